/*
 * wrap_stat.c - the stat family: today's names, those of programs built before glibc 2.33
 * (__xstat), statx; and access.
 */
#include "preload/preload.h"

#include <string.h>
#include <sys/ipc.h>

#ifdef __x86_64__
#define STAT_VER 1
#else
#define STAT_VER 0
#endif

static long volume_stat(struct route *at, bool nofollow, struct stat *out)
{
    struct vfs_stat s;
    long rc = at->fd >= 0 ? vfs_fstat(at->v, at->fd, &at->f, &s)
                          : vfs_stat(at->v, &at->loc, nofollow, &s);

    if (rc == 0)
        stat_to_libc(&s, out);
    return rc;
}

static long volume_fstat(struct vfs *v, int fd, const struct vfs_fd *f, struct stat *out)
{
    struct vfs_stat s;
    long rc = vfs_fstat(v, fd, f, &s);

    if (rc == 0)
        stat_to_libc(&s, out);
    return rc;
}

#define STAT_FLAGS (AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)

static long stat_flags(struct route *at, int flags, int known, struct vfs_stat *s)
{
    if ((flags & ~known) != 0)
        return -EINVAL;
    if (at->fd >= 0)
        return vfs_fstat(at->v, at->fd, &at->f, s);
    return vfs_stat(at->v, &at->loc, (flags & AT_SYMLINK_NOFOLLOW) != 0, s);
}

static long volume_fstatat(struct route *at, int flags, struct stat *out)
{
    struct vfs_stat s;
    long rc = stat_flags(at, flags, STAT_FLAGS, &s);

    if (rc == 0)
        stat_to_libc(&s, out);
    return rc;
}

static long volume_statx(struct route *at, int flags, unsigned mask, struct statx *out)
{
    struct vfs_stat s;

    if ((flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE || (mask & STATX__RESERVED) != 0)
        return -EINVAL;
    long rc = stat_flags(at, flags, STAT_FLAGS | AT_STATX_SYNC_TYPE, &s);
    if (rc == 0)
        statx_to_libc(&s, out);
    return rc;
}

/* clang-format off */
FOLLOW_CALL(int, stat, (const char *path, struct stat *out), (path, out), volume_stat(&at, false, out))
PATH_CALL(int, lstat, (const char *path, struct stat *out), (path, out), volume_stat(&at, true, out))
FD_CALL(int, fstat, (int fd, struct stat *out), (fd, out), volume_fstat(c.v, fd, &f, out))

FOLLOW_CALL(int, __xstat, (int ver, const char *path, struct stat *out), (ver, path, out),
            ver == STAT_VER ? volume_stat(&at, false, out) : -EINVAL)
PATH_CALL(int, __lxstat, (int ver, const char *path, struct stat *out), (ver, path, out),
          ver == STAT_VER ? volume_stat(&at, true, out) : -EINVAL)
FD_CALL(int, __fxstat, (int ver, int fd, struct stat *out), (ver, fd, out),
        ver == STAT_VER ? volume_fstat(c.v, fd, &f, out) : -EINVAL)

FLAGS_CALL(int, fstatat, (int dir, const char *path, struct stat *out, int flags), (dir, path, out, flags),
           volume_fstatat(&at, flags, out))
FLAGS_CALL(int, __fxstatat, (int ver, int dir, const char *path, struct stat *out, int flags), (ver, dir, path, out, flags),
           ver == STAT_VER ? volume_fstatat(&at, flags, out) : -EINVAL)
FLAGS_CALL(int, statx, (int dir, const char *restrict path, int flags, unsigned mask, struct statx *restrict out),
           (dir, path, flags, mask, out), volume_statx(&at, flags, mask, out))
/* clang-format on */

/* libc's asks the kernel directly. */
EXPORT key_t ftok(const char *path, int id)
{
    struct stat st;

    if (route_native(AT_FDCWD, path))
        return REAL(ftok)(path, id);
    if (stat(path, &st) < 0)
        return -1;
    return (key_t)((st.st_ino & 0xffff) | ((st.st_dev & 0xff) << 16) |
                   (((unsigned)id & 0xff) << 24));
}

/* --- access ----------------------------------------------------------------------------------- */

#define ACCESS_MODES (R_OK | W_OK | X_OK)

static long volume_access(struct route *at, int mode, bool nofollow, bool real_ids)
{
    if ((mode & ~ACCESS_MODES) != 0)
        return -EINVAL;
    return vfs_access(at->v, &at->loc, mode, nofollow, real_ids);
}

static long volume_faccessat(struct route *at, int mode, int flags)
{
    if ((flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
        return -EINVAL;
    return volume_access(at, mode, (flags & AT_SYMLINK_NOFOLLOW) != 0, (flags & AT_EACCESS) == 0);
}

/* clang-format off */
FOLLOW_CALL(int, access, (const char *path, int mode), (path, mode), volume_access(&at, mode, false, true))
FOLLOW_CALL(int, euidaccess, (const char *path, int mode), (path, mode), volume_access(&at, mode, false, false))
FLAGS_CALL(int, faccessat, (int dir, const char *path, int mode, int flags), (dir, path, mode, flags),
           volume_faccessat(&at, mode, flags))
/* clang-format on */
