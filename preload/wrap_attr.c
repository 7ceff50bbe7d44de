/*
 * wrap_attr.c - calls that change attributes: mode, owner, times, length.
 *
 * Each form of a call becomes one struct vfs_setattr; which object it is for is the same for all:
 * a path, a descriptor, or AT_EMPTY_PATH.
 */
#include "preload/preload.h"

#include "core/op/op.h"

#include <sys/stat.h>
#include <sys/time.h>
#include <utime.h>

/* --- what to set -------------------------------------------------------------------------------
 */

static struct vfs_setattr of_mode(mode_t mode)
{
    return (struct vfs_setattr){.set = SET_MODE, .mode = mode & 07777};
}

/* -1 leaves an id as it is. */
static struct vfs_setattr of_owner(uid_t uid, gid_t gid)
{
    struct vfs_setattr s = {.uid = uid, .gid = gid};

    if (uid != (uid_t)-1)
        s.set |= SET_UID;
    if (gid != (gid_t)-1)
        s.set |= SET_GID;
    return s;
}

static const struct vfs_setattr to_now = {.set = SET_ATIME_NOW | SET_MTIME_NOW};

/* One of two times.  false: its nanoseconds are no number of them. */
static bool add_time(struct vfs_setattr *s, const struct timespec *t, struct moment *to,
                     uint32_t set, uint32_t set_now)
{
    if (t->tv_nsec == UTIME_OMIT)
        return true;
    if (t->tv_nsec == UTIME_NOW) {
        s->set |= set_now;
        return true;
    }
    if (t->tv_nsec < 0 || t->tv_nsec > 999999999)
        return false;
    s->set |= set;
    *to = (struct moment){.sec = t->tv_sec, .nsec = (uint32_t)t->tv_nsec};
    return true;
}

/* times NULL: now.  0 or -EINVAL. */
static int of_times(const struct timespec *times, struct vfs_setattr *s)
{
    *s = (struct vfs_setattr){0};
    if (times == NULL)
        *s = to_now;
    else if (!add_time(s, &times[0], &s->atime, SET_ATIME, SET_ATIME_NOW) ||
             !add_time(s, &times[1], &s->mtime, SET_MTIME, SET_MTIME_NOW))
        return -EINVAL;
    return 0;
}

/* NULL stays NULL; *ok is false when the microseconds are none. */
static const struct timespec *of_timevals(const struct timeval *tv, struct timespec out[2],
                                          bool *ok)
{
    *ok = true;
    for (int i = 0; tv != NULL && i < 2; i++) {
        *ok = *ok && tv[i].tv_usec >= 0 && tv[i].tv_usec < 1000000;
        out[i] = (struct timespec){.tv_sec = tv[i].tv_sec, .tv_nsec = tv[i].tv_usec * 1000};
    }
    return tv != NULL ? out : NULL;
}

/* --- on what -----------------------------------------------------------------------------------
 */

static long set_path(struct route *at, bool nofollow, struct vfs_setattr s)
{
    if (at->fd >= 0 && at->f.kind != VFS_PATH)
        return vfs_fsetattr(at->v, at->fd, &at->f, &s);
    return vfs_setattr(at->v, &at->loc, nofollow, &s);
}

/* A descriptor made with O_PATH only names the file. */
static long set_fd(struct vfs *v, int fd, const struct vfs_fd *f, struct vfs_setattr s)
{
    if (f->kind == VFS_PATH)
        return -EBADF;
    return vfs_fsetattr(v, fd, f, &s);
}

/* "AT_SYMLINK_NOFOLLOW: If pathname is a symbolic link, do not dereference it"; the mode of a
 * symlink itself cannot be changed. */
static long set_mode_nofollow(struct route *at, mode_t mode)
{
    struct vfs_stat st;
    long rc = vfs_stat(at->v, &at->loc, true, &st);

    if (rc == 0 && st.attr.type == TYPE_SYMLINK)
        rc = -EOPNOTSUPP;
    return rc != 0 ? rc : set_path(at, true, of_mode(mode));
}

static long set_times_path(struct route *at, bool nofollow, const struct timespec *times)
{
    struct vfs_setattr s;
    long rc = of_times(times, &s);

    return rc != 0 || s.set == 0 ? rc : set_path(at, nofollow, s);
}

static long set_times_fd(struct vfs *v, int fd, const struct vfs_fd *f,
                         const struct timespec *times)
{
    struct vfs_setattr s;
    long rc = of_times(times, &s);

    return rc != 0 || s.set == 0 ? rc : set_fd(v, fd, f, s);
}

/* The *at forms.  `known` are the flags that the call takes. */
static long set_flags(struct route *at, int flags, int known, struct vfs_setattr s)
{
    bool nofollow = (flags & AT_SYMLINK_NOFOLLOW) != 0;

    if ((flags & ~known) != 0)
        return -EINVAL;
    if (nofollow && s.set == SET_MODE)
        return set_mode_nofollow(at, s.mode);
    return set_path(at, nofollow, s);
}

static long set_times_flags(struct route *at, int flags, const struct timespec *times)
{
    struct vfs_setattr s;
    long rc = of_times(times, &s);

    if (rc != 0 || s.set == 0)
        return rc;
    return set_flags(at, flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, s);
}

/* utimes and its kin; tv NULL: now. */
static long set_utimes(struct route *at, bool nofollow, const struct timeval *tv)
{
    struct timespec ts[2];
    bool ok;
    const struct timespec *times = of_timevals(tv, ts, &ok);

    return ok ? set_times_path(at, nofollow, times) : -EINVAL;
}

static long set_futimes(struct vfs *v, int fd, const struct vfs_fd *f, const struct timeval *tv)
{
    struct timespec ts[2];
    bool ok;
    const struct timespec *times = of_timevals(tv, ts, &ok);

    return ok ? set_times_fd(v, fd, f, times) : -EINVAL;
}

static long set_utime(struct route *at, const struct utimbuf *t)
{
    struct timeval tv[2] = {{0}};

    if (t == NULL)
        return set_path(at, false, to_now);
    tv[0].tv_sec = t->actime;
    tv[1].tv_sec = t->modtime;
    return set_utimes(at, false, tv);
}

/* clang-format off */

FOLLOW_CALL(int, chmod, (const char *path, mode_t mode), (path, mode), set_path(&at, false, of_mode(mode)))
PATH_CALL(int, lchmod, (const char *path, mode_t mode), (path, mode), set_mode_nofollow(&at, mode))
FD_CALL(int, fchmod, (int fd, mode_t mode), (fd, mode), set_fd(c.v, fd, &f, of_mode(mode)))
FLAGS_CALL(int, fchmodat, (int dir, const char *path, mode_t mode, int flags), (dir, path, mode, flags),
           set_flags(&at, flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, of_mode(mode)))

FOLLOW_CALL(int, chown, (const char *path, uid_t uid, gid_t gid), (path, uid, gid), set_path(&at, false, of_owner(uid, gid)))
PATH_CALL(int, lchown, (const char *path, uid_t uid, gid_t gid), (path, uid, gid), set_path(&at, true, of_owner(uid, gid)))
FD_CALL(int, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid), set_fd(c.v, fd, &f, of_owner(uid, gid)))
FLAGS_CALL(int, fchownat, (int dir, const char *path, uid_t uid, gid_t gid, int flags), (dir, path, uid, gid, flags),
           set_flags(&at, flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, of_owner(uid, gid)))

FOLLOW_CALL(int, truncate, (const char *path, off_t len), (path, len), vfs_truncate(at.v, &at.loc, len))

FOLLOW_CALL(int, utime, (const char *path, const struct utimbuf *t), (path, t), set_utime(&at, t))
FOLLOW_CALL(int, utimes, (const char *path, const struct timeval tv[2]), (path, tv), set_utimes(&at, false, tv))
PATH_CALL(int, lutimes, (const char *path, const struct timeval tv[2]), (path, tv), set_utimes(&at, true, tv))
FD_CALL(int, futimes, (int fd, const struct timeval tv[2]), (fd, tv), set_futimes(c.v, fd, &f, tv))
FD_CALL(int, futimens, (int fd, const struct timespec times[2]), (fd, times), set_times_fd(c.v, fd, &f, times))
FLAGS_CALL(int, utimensat, (int dir, const char *path, const struct timespec times[2], int flags), (dir, path, times, flags),
           set_times_flags(&at, flags, times))
/* clang-format on */

SLOW int futimesat_ours(int dir, const char *path, const struct timeval *tv)
{
    struct route at;

    for (int climbs = 0; climbs < ROUTE_CLIMBS; climbs++) {
        if (!route_follow(&at, dir, path))
            return REAL(futimesat)(dir, path, tv);
        long rc = at.err ? at.err : set_utimes(&at, false, tv);
        if (!route_put(&at, rc))
            return (int)to_libc(rc);
        dir = AT_FDCWD;
        path = at.loc.native;
    }
    return (int)to_libc(-ELOOP);
}

/* Without a path: the descriptor itself. */
EXPORT int futimesat(int dir, const char *path, const struct timeval tv[2])
{
    if (path == NULL)
        return futimes(dir, tv);
    if (route_native(dir, path))
        return REAL(futimesat)(dir, path, tv);
    return ROOM(futimesat_ours, dir, path, tv);
}
