/*
 * wrap_open.c - open and its kin.
 *
 * A file of ours gets a descriptor from the volume and an entry in fdtab.  What libc opens through
 * a link of the kernel's (/proc/self/fd/N, /dev/stdin) may be ours too: the kernel is asked then.
 */
#include "preload/preload.h"

#include "preload/open.h"

#include <stdarg.h>

/* O_TMPFILE contains O_DIRECTORY, so it is compared whole. */
static bool takes_mode(int flags)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

#define MODE_ARG(mode, flags)                                                                      \
    mode_t mode = 0;                                                                               \
    if (takes_mode(flags)) {                                                                       \
        va_list ap;                                                                                \
        va_start(ap, flags);                                                                       \
        mode = va_arg(ap, mode_t);                                                                 \
        va_end(ap);                                                                                \
    }

long open_volume(struct vfs *v, struct vfs_loc *loc, int flags, mode_t mode, struct vfs_fd *out)
{
    struct vfs_fd f = {0};
    long fd = vfs_open(v, loc, flags, mode, &f);

    if (fd >= 0 && f.ino != 0) {
        int rc = fdtab_set((int)fd, &f);
        if (rc < 0) {
            vfs_close(v, (int)fd, &f);
            return rc;
        }
        if (fd <= STDERR_FILENO) /* stdio uses it without asking */
            vfs_direct(v, (int)fd, &f, VFS_USE_DIRECT);
    }
    if (out != NULL)
        *out = f;
    return fd;
}

int open_native(int dir, const char *path, int flags, mode_t mode)
{
    int fd = REAL(openat)(dir, path, flags, mode);

    if (fd >= 0 && path[0] == '/' && !route_native(dir, path) && route_magic_fd(path) >= 0) {
        struct call c;
        call_begin(&c);
        if (c.v != NULL)
            fdtab_identify(c.v, fd, NULL);
        call_end(&c);
    }
    return fd;
}

/* The kernel's link to an open file is followed by the kernel: the file may have no name any more.
 */
static bool route_open(struct route *at, int dir, const char *path, int flags)
{
    struct vfs_fd f;

    if (route_at(at, dir, path))
        return true;
    if (*path != '/' || (flags & O_NOFOLLOW) != 0)
        return false;
    int fd = route_magic_fd(path);
    if (fd >= 0 && (!fdtab_get(fd, &f) || f.kind != VFS_DIR))
        return false;
    return route_follow(at, dir, path);
}

SLOW int openat_ours(int dir, const char *path, int flags, mode_t mode)
{
    struct route at;

    for (int climbs = 0; climbs < ROUTE_CLIMBS; climbs++) {
        if (!route_open(&at, dir, path, flags))
            return open_native(dir, path, flags, mode);
        long rc = at.err ? at.err : open_volume(at.v, &at.loc, flags, mode, NULL);
        if (!route_put(&at, rc))
            return (int)to_libc(rc);
        dir = AT_FDCWD;
        path = at.loc.native;
    }
    return (int)to_libc(-ELOOP);
}

EXPORT int open(const char *path, int flags, ...)
{
    MODE_ARG(mode, flags)
    if (route_native(AT_FDCWD, path))
        return REAL(open)(path, flags, mode);
    return ROOM(openat_ours, AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int dir, const char *path, int flags, ...)
{
    MODE_ARG(mode, flags)
    if (route_native(dir, path))
        return REAL(openat)(dir, path, flags, mode);
    return ROOM(openat_ours, dir, path, flags, mode);
}

EXPORT int creat(const char *path, mode_t mode)
{
    if (route_native(AT_FDCWD, path))
        return REAL(creat)(path, mode);
    return ROOM(openat_ours, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* The fortified entries of a call without a mode; libc's ends the process when one is missing. */
EXPORT int __open_2(const char *path, int flags)
{
    if (takes_mode(flags) || route_native(AT_FDCWD, path))
        return REAL(__open_2)(path, flags);
    return ROOM(openat_ours, AT_FDCWD, path, flags, 0);
}

EXPORT int __openat_2(int dir, const char *path, int flags)
{
    if (takes_mode(flags) || route_native(dir, path))
        return REAL(__openat_2)(dir, path, flags);
    return ROOM(openat_ours, dir, path, flags, 0);
}
