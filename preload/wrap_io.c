/*
 * wrap_io.c - reading, writing, lengths and durability of an open file.
 *
 * The offset is the kernel's, but for new files until they are settled.  Nothing else
 * is exported here that works on the staging file as it is: posix_fadvise, readahead,
 * sync_file_range.
 */
#include "preload/files.h"
#include "preload/preload.h"

#include <limits.h>
#include <sys/uio.h>

#define AT(off, call)      ((off) < 0 ? -EINVAL : (call))
#define IOV(n, call)       ((n) < 0 || (n) > IOV_MAX ? -EINVAL : (call))
#define READ(iov, n, off)  vfs_readv(c.v, fd, &f, iov, n, off, 0)
#define WRITE(iov, n, off) vfs_writev(c.v, fd, &f, iov, n, off, 0)
#define ONE(buf, len)      &((struct iovec){(void *)(uintptr_t)(buf), len})

/* All that this process changed is where other hosts see it. */
static int sync_all(struct vfs *v)
{
    int committed = files_commit_all(v), flushed = vfs_flush(v);

    return committed < 0 ? committed : flushed;
}

/* clang-format off */
IN_CALL(ssize_t, read, (int fd, void *buf, size_t len), (fd, buf, len), READ(ONE(buf, len), 1, -1))
FD_CALL(ssize_t, pread, (int fd, void *buf, size_t len, off_t off), (fd, buf, len, off),
        AT(off, READ(ONE(buf, len), 1, off)))
IN_CALL(ssize_t, readv, (int fd, const struct iovec *iov, int n), (fd, iov, n), IOV(n, READ(iov, n, -1)))
FD_CALL(ssize_t, preadv, (int fd, const struct iovec *iov, int n, off_t off), (fd, iov, n, off),
        AT(off, IOV(n, READ(iov, n, off))))
IN_CALL(ssize_t, preadv2, (int fd, const struct iovec *iov, int n, off_t off, int flags),
        (fd, iov, n, off, flags), AT(off + 1, IOV(n, vfs_readv(c.v, fd, &f, iov, n, off, flags))))

OUT_CALL(ssize_t, write, (int fd, const void *buf, size_t len), (fd, buf, len), WRITE(ONE(buf, len), 1, -1))
FD_CALL(ssize_t, pwrite, (int fd, const void *buf, size_t len, off_t off), (fd, buf, len, off),
        AT(off, WRITE(ONE(buf, len), 1, off)))
OUT_CALL(ssize_t, writev, (int fd, const struct iovec *iov, int n), (fd, iov, n), IOV(n, WRITE(iov, n, -1)))
FD_CALL(ssize_t, pwritev, (int fd, const struct iovec *iov, int n, off_t off), (fd, iov, n, off),
        AT(off, IOV(n, WRITE(iov, n, off))))
OUT_CALL(ssize_t, pwritev2, (int fd, const struct iovec *iov, int n, off_t off, int flags),
        (fd, iov, n, off, flags), AT(off + 1, IOV(n, vfs_writev(c.v, fd, &f, iov, n, off, flags))))

FD_CALL(int, ftruncate, (int fd, off_t len), (fd, len),
        f.kind == VFS_PATH ? -EBADF : vfs_ftruncate(c.v, fd, &f, len))
FD_CALL(int, fallocate, (int fd, int mode, off_t off, off_t len), (fd, mode, off, len),
        vfs_fallocate(c.v, fd, &f, mode, off, len))
FD_CALL(int, fsync, (int fd), (fd), vfs_fsync(c.v, fd, &f))
FD_CALL(int, fdatasync, (int fd), (fd), vfs_fsync(c.v, fd, &f))
FD_CALL(int, syncfs, (int fd), (fd), sync_all(c.v))
/* clang-format on */

EXPORT ssize_t __read_chk(int fd, void *buf, size_t len, size_t size)
{
    if (len > size)
        __chk_fail();
    return read(fd, buf, len);
}

EXPORT ssize_t __pread_chk(int fd, void *buf, size_t len, off_t off, size_t size)
{
    if (len > size)
        __chk_fail();
    return pread(fd, buf, len, off);
}

SLOW off_t lseek_ours(int fd, off_t off, int whence)
{
    struct vfs_fd f;
    struct call c;

    if (guard_inside() || !fdtab_get(fd, &f))
        return REAL(lseek)(fd, off, whence);
    call_begin(&c);
    long rc = c.err ? c.err : vfs_lseek(c.v, fd, &f, off, whence);
    call_end(&c);
    return to_libc(rc);
}

EXPORT off_t lseek(int fd, off_t off, int whence)
{
    return fdtab_may(fd) ? ROOM(lseek_ours, fd, off, whence) : REAL(lseek)(fd, off, whence);
}

/* Returns an error number and leaves errno alone. */
SLOW int posix_fallocate_ours(int fd, off_t off, off_t len)
{
    struct vfs_fd f;
    struct call c;

    if (!fdtab_may(fd) || guard_inside() || !fdtab_get(fd, &f))
        return REAL(posix_fallocate)(fd, off, len);
    call_begin(&c);
    int rc = c.err ? c.err : vfs_fallocate(c.v, fd, &f, 0, off, len);
    call_end(&c);
    return rc < 0 ? -rc : 0;
}

EXPORT int posix_fallocate(int fd, off_t off, off_t len)
{
    return ROOM(posix_fallocate_ours, fd, off, len);
}

EXPORT void sync(void)
{
    struct call c;

    if (volume_if_any() != NULL && !guard_inside()) {
        call_begin(&c);
        if (c.v != NULL)
            ROOM(sync_all, c.v); /* an error comes again at fsync or close */
        call_end(&c);
    }
    REAL(sync)();
}
