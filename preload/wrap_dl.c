/*
 * wrap_dl.c - dlopen of a library of ours: the loader maps its staging file.
 *
 * The loader finds RUNPATH and $ORIGIN by the address that dlopen returns to, so every other call
 * is a tail call.  What the library itself needs is looked for by the loader, which sees native
 * directories only.
 */
#include "preload/preload.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Opens the library and gives the name of its staging file, which is not used for another while it
 * is mapped.  A descriptor, or -1 and errno. */
static int open_library(const char *file, char *name, size_t len)
{
    char link[40];
    struct vfs_fd f;
    struct call c;
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    call_begin(&c);
    long rc = c.err;
    if (rc == 0 && fdtab_get(fd, &f))
        rc = vfs_direct(c.v, fd, &f, VFS_USE_MAP_READ);
    if (rc == 0) {
        rc = REAL(readlink)(link, name, len - 1);
        rc = rc < 0 ? -errno : rc;
    }
    call_end(&c);
    if (rc >= 0) {
        name[rc] = '\0';
        return fd;
    }
    close(fd);
    return (int)to_libc(rc);
}

SLOW void *dlopen_ours(Lmid_t space, bool in_space, const char *file, int flags)
{
    char name[PATH_MAX];
    int fd = open_library(file, name, sizeof(name));

    /* The loader says about this name what open said. */
    if (fd < 0)
        return REAL(dlopen)(file, flags);
    void *lib = in_space ? REAL(dlmopen)(space, name, flags) : REAL(dlopen)(name, flags);
    close(fd);
    return lib;
}

/* Without a slash it is searched for by the loader. */
static bool is_native(const char *file)
{
    return file == NULL || strchr(file, '/') == NULL || route_native(AT_FDCWD, file);
}

EXPORT void *dlopen(const char *file, int flags)
{
    if (is_native(file))
        return REAL(dlopen)(file, flags);
    return dlopen_ours(LM_ID_BASE, false, file, flags);
}

EXPORT void *dlmopen(Lmid_t space, const char *file, int flags)
{
    if (is_native(file))
        return REAL(dlmopen)(space, file, flags);
    return dlopen_ours(space, true, file, flags);
}
