/*
 * wrap_glob.c - glob.
 *
 * libc's glob asks for directories through callbacks when GLOB_ALTDIRFUNC is set; ours are the
 * exported calls, so a pattern may lead through native directories and ours alike.
 */
#include "preload/preload.h"

#include <dirent.h>
#include <glob.h>
#include <sys/stat.h>

static void *glob_opendir(const char *path)
{
    return opendir(path);
}

static struct dirent *glob_readdir(void *dir)
{
    return readdir(dir);
}

static void glob_closedir(void *dir)
{
    closedir(dir);
}

EXPORT int glob(const char *restrict pattern, int flags, int (*error)(const char *, int),
                glob_t *restrict g)
{
    /* A tilde may stand for a home directory of ours. */
    bool plain = route_native(AT_FDCWD, pattern) &&
                 (route_prefix()[0] == '\0' || (flags & (GLOB_TILDE | GLOB_TILDE_CHECK)) == 0);

    if (plain || g == NULL || (flags & GLOB_ALTDIRFUNC) != 0)
        return REAL(glob)(pattern, flags, error, g);
    g->gl_opendir = glob_opendir;
    g->gl_readdir = (__typeof__(g->gl_readdir))glob_readdir;
    g->gl_closedir = glob_closedir;
    g->gl_stat = stat;
    g->gl_lstat = lstat;
    int rc = REAL(glob)(pattern, flags | GLOB_ALTDIRFUNC, error, g);
    g->gl_flags &= ~GLOB_ALTDIRFUNC;
    return rc;
}
