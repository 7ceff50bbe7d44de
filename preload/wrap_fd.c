/*
 * wrap_fd.c - numbers: close, dup, fcntl.
 *
 * A number of ours that goes away without a close by name (dup2 over it, close_range) is closed as
 * close would.  Our own descriptors do not exist for the program: EBADF; when it wants their number
 * they are moved.
 *
 * Locks (F_SETLK, F_OFD_SETLK, flock, lockf) are the kernel's, on the staging file that all
 * processes of this user on this host share; another host does not see them.  Record locks end when
 * the process closes any descriptor of the file, so core is told not to.
 */
#include "preload/files.h"
#include "preload/preload.h"

#include <sched.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Is there anything that a call on numbers has to look at? */
static bool is_idle(void)
{
    return volume_if_any() == NULL || guard_inside();
}

/* --- close ------------------------------------------------------------------------------------ */

SLOW int close_ours(int fd)
{
    struct vfs_fd f;
    struct call c;

    call_begin(&c);
    /* Out of the table first: once it is closed the number may be another thread's. */
    bool ours = fdtab_take(fd, &f);
    long rc = 0;
    if (ours && c.v != NULL)
        rc = vfs_close(c.v, fd, &f);
    call_end(&c);
    return ours && c.v != NULL ? (int)to_libc(rc) : REAL(close)(fd);
}

EXPORT int close(int fd)
{
    if (is_idle())
        return REAL(close)(fd);
    if (fdtab_may(fd))
        return ROOM(close_ours, fd);
    if (fdtab_is_own(fd))
        return (int)to_libc(-EBADF);
    tell_through(fd); /* who reads the other end is told that there is no more */
    heard_forget((unsigned)fd, (unsigned)fd);
    return REAL(close)(fd);
}

static int range_natively(unsigned from, unsigned to, int flags)
{
    int own[OWN_MAX], rc = 0;
    size_t n = fdtab_own_list(own, OWN_MAX);

    for (size_t i = 0; i < n && rc == 0; i++) {
        if ((unsigned)own[i] < from || (unsigned)own[i] > to)
            continue;
        if ((unsigned)own[i] > from)
            rc = REAL(close_range)(from, (unsigned)own[i] - 1, flags);
        from = (unsigned)own[i] + 1;
    }
    return rc == 0 && from <= to ? REAL(close_range)(from, to, flags) : rc;
}

SLOW int range_ours(unsigned from, unsigned to, int flags)
{
    struct call c;
    long rc = 0;

    tell_others();
    heard_forget(from, to);
    call_begin(&c);
    if ((flags & CLOSE_RANGE_UNSHARE) != 0) {
        vfs_stop(c.v); /* its thread would keep the old descriptors */
        rc = unshare(CLONE_FILES) != 0 ? -errno : 0;
    }
    if (rc == 0 && from <= INT_MAX)
        for (int fd = fdtab_next((int)from); fd >= 0 && (unsigned)fd <= to; fd = fdtab_next(fd + 1))
            files_close(c.v, fd);
    if (rc == 0 && range_natively(from, to, flags & ~CLOSE_RANGE_UNSHARE) != 0)
        rc = -errno;
    call_end(&c);
    return (int)to_libc(rc);
}

EXPORT int close_range(unsigned from, unsigned to, int flags)
{
    if (is_idle() || from > to || (flags & ~CLOSE_RANGE_UNSHARE) != 0)
        return REAL(close_range)(from, to, flags); /* setting close-on-exec changes nothing here */
    return ROOM(range_ours, from, to, flags);
}

EXPORT void closefrom(int from)
{
    struct guard g;

    if (is_idle()) {
        REAL(closefrom)(from);
        return;
    }
    tell_others();
    guard_enter(&g);
    if (ROOM(range_ours, from < 0 ? 0 : (unsigned)from, ~0u, 0) != 0 && errno == ENOSYS)
        for (int fd = from < 0 ? 0 : from, end = (int)sysconf(_SC_OPEN_MAX); fd < end; fd++)
            if (!fdtab_is_own(fd))
                REAL(close)(fd);
    guard_leave(&g);
}

/* --- dup -------------------------------------------------------------------------------------- */

SLOW int dup_ours(int fd, int cmd, long arg)
{
    struct guard g;

    guard_enter(&g);
    long rc = REAL(fcntl)(fd, cmd, arg);
    if (rc >= 0)
        files_landed(volume_if_any(), fd, (int)rc);
    else
        rc = -errno;
    guard_leave(&g);
    return (int)to_libc(rc);
}

EXPORT int dup(int fd)
{
    if (is_idle())
        return REAL(dup)(fd);
    if (fdtab_may(fd))
        return ROOM(dup_ours, fd, F_DUPFD, 0);
    return fdtab_is_own(fd) ? (int)to_libc(-EBADF) : REAL(dup)(fd);
}

/* "If newfd was open, any errors that would have been reported at close(2) time are lost": not
 * silently. */
SLOW int dup_over(int from, int to, int flags)
{
    struct vfs *v = volume_if_any();
    struct vfs_fd old;
    struct guard g;
    long rc;

    tell_through(to);
    heard_forget((unsigned)to, (unsigned)to);
    guard_enter(&g);
    bool valid = REAL(fcntl)(from, F_GETFD) >= 0 && !fdtab_is_own(from);
    bool ours = valid && from != to && fdtab_get(to, &old);
    if (ours && old.writable)
        files_lost(&old, vfs_commit(v, to, &old));
    if (ours)
        vfs_settle(v, &old);
    if (valid && from != to)
        fdtab_make_way(to);
    if (!valid)
        rc = -EBADF;
    else if ((rc = flags < 0 ? REAL(dup2)(from, to) : REAL(dup3)(from, to, flags)) < 0)
        rc = -errno;
    else if (from != to)
        files_landed(v, from, to);
    if (ours && rc >= 0)
        vfs_release(v, &old);
    guard_leave(&g);
    return (int)to_libc(rc);
}

EXPORT int dup2(int from, int to)
{
    return is_idle() ? REAL(dup2)(from, to) : ROOM(dup_over, from, to, -1);
}

EXPORT int dup3(int from, int to, int flags)
{
    return is_idle() ? REAL(dup3)(from, to, flags) : ROOM(dup_over, from, to, flags);
}

/* --- fcntl ------------------------------------------------------------------------------------ */

/* O_APPEND belongs to the open file description, which several numbers may share. */
static void append_changed(const struct vfs_fd *like)
{
    struct vfs_fd f;

    for (int fd = fdtab_next(0); fd >= 0; fd = fdtab_next(fd + 1)) {
        if (!fdtab_get(fd, &f) || f.slot != like->slot || f.gen != like->gen)
            continue;
        int flags = REAL(fcntl)(fd, F_GETFL);
        if (flags < 0 || f.append == ((flags & O_APPEND) != 0))
            continue;
        f.append = !f.append;
        fdtab_set(fd, &f);
    }
}

/* 0 or -1 and errno. */
static int keep_locks(int fd)
{
    struct vfs_fd f;
    struct call c;

    if (!fdtab_get(fd, &f))
        return 0;
    call_begin(&c);
    long rc = c.err ? c.err : vfs_keep_locks(c.v, &f);
    call_end(&c);
    return (int)to_libc(rc);
}

SLOW int fcntl_ours(int fd, int cmd, void *arg)
{
    struct vfs_fd f;
    struct guard g;

    if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)
        return ROOM(dup_ours, fd, cmd, (long)arg);
    if ((cmd == F_SETLK || cmd == F_SETLKW) && keep_locks(fd) != 0)
        return -1;
    if (cmd != F_GETFD && cmd != F_SETFD && cmd != F_GETFL && fdtab_get(fd, &f)) {
        guard_enter(&g);
        vfs_settle(volume_if_any(), &f);
        guard_leave(&g);
    }
    int rc = REAL(fcntl)(fd, cmd, arg);
    if (cmd == F_SETFL && rc == 0 && fdtab_get(fd, &f)) {
        guard_enter(&g);
        append_changed(&f);
        guard_leave(&g);
    }
    return rc;
}

static bool locks(int cmd)
{
    return cmd == F_SETLK || cmd == F_SETLKW || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
}

EXPORT int fcntl(int fd, int cmd, ...)
{
    va_list ap;
    int rc;

    va_start(ap, cmd);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    if (is_idle())
        return REAL(fcntl)(fd, cmd, arg);
    if (locks(cmd))
        tell_others();
    if (fdtab_may(fd))
        rc = ROOM(fcntl_ours, fd, cmd, arg);
    else
        rc = fdtab_is_own(fd) ? (int)to_libc(-EBADF) : REAL(fcntl)(fd, cmd, arg);
    if (locks(cmd) && rc == 0)
        heard();
    return rc;
}

EXPORT int lockf(int fd, int cmd, off_t len)
{
    tell_others();
    if (fdtab_may(fd) && !guard_inside() && keep_locks(fd) != 0)
        return -1;
    int rc = REAL(lockf)(fd, cmd, len);
    if (rc == 0)
        heard();
    return rc;
}

/* The lock belongs to the open file description: it must be this descriptor's alone. */
SLOW int flock_ours(int fd, int op)
{
    struct vfs_fd f;
    struct guard g;

    if (fdtab_get(fd, &f)) {
        guard_enter(&g);
        vfs_settle(volume_if_any(), &f);
        guard_leave(&g);
    }
    return REAL(flock)(fd, op);
}

EXPORT int flock(int fd, int op)
{
    tell_others();
    int rc = fdtab_may(fd) && !guard_inside() ? ROOM(flock_ours, fd, op) : REAL(flock)(fd, op);
    if (rc == 0)
        heard();
    return rc;
}

EXPORT mode_t umask(mode_t mask)
{
    struct vfs *v = volume_if_any();
    mode_t old = REAL(umask)(mask);

    if (v != NULL)
        vfs_set_umask(v, mask);
    return old;
}
