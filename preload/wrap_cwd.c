/*
 * wrap_cwd.c - the current directory.
 *
 * A directory of ours is entered by really entering its skeleton, so the kernel keeps it over fork
 * and exec.  route_cwd is this process's note of the inode; 0 is a native directory.
 */
#include "preload/preload.h"

#include "preload/cwd.h"
#include "preload/raw.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The native directory that has the volume's name: the volume's is meant. */
static bool enter_same_name(struct vfs *v, uint64_t *ino)
{
    char path[PATH_MAX];
    struct vfs_loc loc;

    return raw_syscall3(SYS_getcwd, path, sizeof(path), 0) > 0 && route_below(path, &loc) &&
           vfs_chdir(v, &loc, ino) == 0;
}

void cwd_inherit(struct vfs *v)
{
    uint64_t ino;

    if (vfs_cwd_identify(v, &ino) == 1 || enter_same_name(v, &ino))
        atomic_store(&route_cwd, ino);
}

int cwd_path(struct vfs *v, char *out, size_t len)
{
    size_t n = strlen(route_prefix());

    if (n >= len)
        return -ERANGE;
    memcpy(out, route_prefix(), n);
    return vfs_dir_path(v, atomic_load(&route_cwd), out + n, len - n);
}

static int entered_native(int rc)
{
    if (rc == 0)
        atomic_store(&route_cwd, 0);
    return rc;
}

SLOW int chdir_ours(const char *path)
{
    struct route at;
    uint64_t ino = 0;

    for (int climbs = 0; climbs < ROUTE_CLIMBS; climbs++) {
        if (!route_follow(&at, AT_FDCWD, path))
            return entered_native(REAL(chdir)(path));
        long rc = at.err ? at.err : vfs_chdir(at.v, &at.loc, &ino);
        if (rc == 0)
            atomic_store(&route_cwd, ino);
        if (!route_put(&at, rc))
            return (int)to_libc(rc);
        path = at.loc.native;
    }
    return (int)to_libc(-ELOOP);
}

EXPORT int chdir(const char *path)
{
    if (route_native(AT_FDCWD, path))
        return entered_native(REAL(chdir)(path));
    return ROOM(chdir_ours, path);
}

SLOW int fchdir_ours(int fd)
{
    struct vfs_fd f;
    struct call c;

    if (guard_inside() || !fdtab_may(fd) || !fdtab_get(fd, &f))
        return entered_native(REAL(fchdir)(fd));
    call_begin(&c);
    long rc = c.err;
    if (rc == 0)
        rc = f.kind == VFS_DIR ? vfs_fchdir(c.v, fd, &f) : -ENOTDIR;
    if (rc == 0)
        atomic_store(&route_cwd, f.ino);
    call_end(&c);
    return (int)to_libc(rc);
}

EXPORT int fchdir(int fd)
{
    return ROOM(fchdir_ours, fd);
}

/* getwd is deprecated for its callers, not for us. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* --- asking --------------------------------------------------------------------------------------
 */

static bool cwd_is_ours(void)
{
    return atomic_load_explicit(&route_cwd, memory_order_relaxed) != 0 && !guard_inside();
}

static int ask(char *out, size_t len)
{
    struct call c;

    call_begin(&c);
    int rc = c.err ? c.err : cwd_path(c.v, out, len);
    call_end(&c);
    return rc;
}

SLOW char *getcwd_ours(char *buf, size_t size)
{
    char path[PATH_MAX];
    int rc;

    if (size == 0 && buf != NULL)
        return to_libc_null(-EINVAL);
    if ((rc = ask(path, sizeof(path))) < 0)
        return to_libc_null(rc);
    size_t need = strlen(path) + 1;
    if (size != 0 && need > size)
        return to_libc_null(-ERANGE);
    /* "As an extension ... allocates the buffer dynamically if buf is NULL": size bytes, or as many
     * as necessary when size is zero. */
    if (buf == NULL && (buf = malloc(size != 0 ? size : need)) == NULL)
        return NULL;
    return memcpy(buf, path, need);
}

EXPORT char *getcwd(char *buf, size_t size)
{
    if (!cwd_is_ours())
        return REAL(getcwd)(buf, size);
    return ROOM(getcwd_ours, buf, size);
}

EXPORT char *__getcwd_chk(char *buf, size_t len, size_t size)
{
    if (len > size || !cwd_is_ours())
        return REAL(__getcwd_chk)(buf, len, size);
    return ROOM(getcwd_ours, buf, len);
}

EXPORT char *getwd(char *buf)
{
    if (!cwd_is_ours())
        return REAL(getwd)(buf);
    return ROOM(getcwd_ours, buf, PATH_MAX);
}

EXPORT char *__getwd_chk(char *buf, size_t size)
{
    if (!cwd_is_ours())
        return REAL(__getwd_chk)(buf, size);
    return ROOM(getcwd_ours, buf, size);
}

/* $PWD where it names the current directory, by whatever symlinks it got there. */
EXPORT char *get_current_dir_name(void)
{
    const char *pwd = getenv("PWD");
    struct stat here, there;

    if (!cwd_is_ours())
        return REAL(get_current_dir_name)();
    if (pwd != NULL && *pwd == '/' && stat(".", &here) == 0 && stat(pwd, &there) == 0 &&
        here.st_dev == there.st_dev && here.st_ino == there.st_ino)
        return strdup(pwd);
    return ROOM(getcwd_ours, NULL, 0);
}
