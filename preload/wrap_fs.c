/*
 * wrap_fs.c - what kind of file system this is: statfs, statvfs, pathconf.
 */
#include "preload/preload.h"

#include <sys/statfs.h>
#include <sys/statvfs.h>

/* The path must exist, as for any other call. */
static long exists(struct route *at)
{
    struct vfs_stat st;

    return vfs_stat(at->v, &at->loc, false, &st);
}

static long fill_statfs(struct vfs *v, struct statfs *out)
{
    struct vfs_statfs s;
    long rc = vfs_statfs(v, &s);

    if (rc == 0)
        statfs_to_libc(&s, out);
    return rc;
}

static long fill_statvfs(struct vfs *v, struct statvfs *out)
{
    struct vfs_statfs s;
    long rc = vfs_statfs(v, &s);

    if (rc == 0)
        statvfs_to_libc(&s, out);
    return rc;
}

static long statfs_path(struct route *at, struct statfs *out)
{
    long rc = exists(at);

    return rc == 0 ? fill_statfs(at->v, out) : rc;
}

static long statvfs_path(struct route *at, struct statvfs *out)
{
    long rc = exists(at);

    return rc == 0 ? fill_statvfs(at->v, out) : rc;
}

/* Limits of the volume; what it has no opinion on is the root's. */
static long limit(int name)
{
    switch (name) {
    case _PC_LINK_MAX:
        return 65000; /* stock's nlink has 32 bits, but programs allocate by this */
    case _PC_NAME_MAX:
        return NAME_LEN_MAX;
    case _PC_PATH_MAX:
        return PATH_MAX;
    case _PC_NO_TRUNC:
    case _PC_CHOWN_RESTRICTED:
    case _PC_2_SYMLINKS:
        return 1;
    case _PC_FILESIZEBITS:
        return 64;
    default:
        return REAL(pathconf)("/", name);
    }
}

/* clang-format off */
FOLLOW_CALL(int, statfs, (const char *path, struct statfs *out), (path, out), statfs_path(&at, out))
FD_CALL(int, fstatfs, (int fd, struct statfs *out), (fd, out), fill_statfs(c.v, out))
FOLLOW_CALL(int, statvfs, (const char *path, struct statvfs *out), (path, out), statvfs_path(&at, out))
FD_CALL(int, fstatvfs, (int fd, struct statvfs *out), (fd, out), fill_statvfs(c.v, out))
/* clang-format on */

/* By hand: "unlimited" is -1 with errno left alone. */
SLOW long pathconf_ours(const char *path, int name)
{
    struct route at;

    for (int climbs = 0; climbs < ROUTE_CLIMBS; climbs++) {
        if (!route_follow(&at, AT_FDCWD, path))
            return REAL(pathconf)(path, name);
        long rc = at.err ? at.err : exists(&at);
        if (!route_put(&at, rc))
            return rc == 0 ? limit(name) : to_libc(rc);
        path = at.loc.native;
    }
    return to_libc(-ELOOP);
}

EXPORT long pathconf(const char *path, int name)
{
    if (route_native(AT_FDCWD, path))
        return REAL(pathconf)(path, name);
    return ROOM(pathconf_ours, path, name);
}

EXPORT long fpathconf(int fd, int name)
{
    if (!fdtab_may(fd))
        return REAL(fpathconf)(fd, name);
    return limit(name);
}
