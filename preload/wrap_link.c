/*
 * wrap_link.c - what a symlink says and where a path really leads.
 *
 * The kernel's links to directories of ours (/proc/self/cwd, /proc/self/fd/N) read as the path
 * below the prefix, not as the skeleton directory behind it.
 */
#include "preload/preload.h"

#include "preload/cwd.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* at: what the kernel's link leads to.  Length, or -errno when it is no directory. */
static long read_magic(struct route *at, char *out, size_t len)
{
    char path[PATH_MAX];
    size_t n = strlen(route_prefix());

    memcpy(path, route_prefix(), n);
    long rc = vfs_dir_path(at->v, at->loc.base, path + n, sizeof(path) - n);
    if (rc < 0)
        return rc;
    n = strlen(path);
    n = n < len ? n : len;
    memcpy(out, path, n);
    return (long)n;
}

/* "If pathname is an empty string, the call operates on the symbolic link referred to by dirfd" */
static long read_link(struct route *at, char *out, size_t len)
{
    if ((ssize_t)len <= 0)
        return -EINVAL;
    return vfs_readlink(at->v, &at->loc, out, len);
}

SLOW ssize_t readlinkat_ours(int dir, const char *path, char *buf, size_t len)
{
    struct route at;
    long rc;

    for (int climbs = 0; climbs < ROUTE_CLIMBS; climbs++) {
        if (!route_flags(&at, dir, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
            break;
        rc = at.err ? at.err : read_link(&at, buf, len);
        if (!route_put(&at, rc))
            return to_libc(rc);
        dir = AT_FDCWD;
        path = at.loc.native;
    }
    if (*path == '/' && route_follow(&at, dir, path)) {
        rc = at.err ? at.err : read_magic(&at, buf, len);
        route_put(&at, rc);
        if (rc >= 0)
            return rc;
    }
    return REAL(readlinkat)(dir, path, buf, len);
}

EXPORT ssize_t readlink(const char *path, char *buf, size_t len)
{
    if (route_native(AT_FDCWD, path))
        return REAL(readlink)(path, buf, len);
    return ROOM(readlinkat_ours, AT_FDCWD, path, buf, len);
}

EXPORT ssize_t readlinkat(int dir, const char *path, char *buf, size_t len)
{
    if (route_native_flags(dir, path, AT_EMPTY_PATH))
        return REAL(readlinkat)(dir, path, buf, len);
    return ROOM(readlinkat_ours, dir, path, buf, len);
}

EXPORT ssize_t __readlink_chk(const char *path, char *buf, size_t len, size_t size)
{
    if (len > size || route_native(AT_FDCWD, path))
        return REAL(__readlink_chk)(path, buf, len, size);
    return ROOM(readlinkat_ours, AT_FDCWD, path, buf, len);
}

EXPORT ssize_t __readlinkat_chk(int dir, const char *path, char *buf, size_t len, size_t size)
{
    if (len > size || route_native_flags(dir, path, AT_EMPTY_PATH))
        return REAL(__readlinkat_chk)(dir, path, buf, len, size);
    return ROOM(readlinkat_ours, dir, path, buf, len);
}

/* --- realpath ------------------------------------------------------------------------------------
 */

SLOW char *realpath_ours(const char *path, char *buf)
{
    char out[PATH_MAX];
    struct route at;

    for (int climbs = 0; climbs < ROUTE_CLIMBS; climbs++) {
        if (!route_follow(&at, AT_FDCWD, path))
            return REAL(realpath)(path, buf);
        long rc = at.err ? at.err : vfs_realpath(at.v, &at.loc, out, sizeof(out));
        if (!route_put(&at, rc)) {
            if (rc < 0)
                return to_libc_null(rc);
            return buf != NULL ? strcpy(buf, out) : strdup(out);
        }
        path = at.loc.native;
    }
    return to_libc_null(-ELOOP);
}

EXPORT char *realpath(const char *path, char *buf)
{
    if (route_native(AT_FDCWD, path))
        return REAL(realpath)(path, buf);
    return ROOM(realpath_ours, path, buf);
}

EXPORT char *__realpath_chk(const char *path, char *buf, size_t size)
{
    if (size < PATH_MAX || route_native(AT_FDCWD, path))
        return REAL(__realpath_chk)(path, buf, size);
    return ROOM(realpath_ours, path, buf);
}

EXPORT char *canonicalize_file_name(const char *path)
{
    if (route_native(AT_FDCWD, path))
        return REAL(canonicalize_file_name)(path);
    return ROOM(realpath_ours, path, NULL);
}
