/*
 * wrap_transfer.c - bytes moved from one descriptor to another inside the kernel, and ioctl.
 *
 * sendfile and copy_file_range are done here by reading and writing, in bounded pieces: a large
 * file is neither brought in whole nor kept back from its blocks.  Both may return short, so one
 * piece a call is enough.  splice works on the staging file.  tee and vmsplice know pipes only.
 */
#include "preload/preload.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define PIECE_BYTES (1024 * 1024)

/* One side of a transfer.  off NULL: at the file's offset, which moves. */
struct side {
    int fd;
    off_t *off;
    bool ours;
    struct vfs_fd f;
};

static struct side side_of(int fd, off_t *off)
{
    struct side s = {.fd = fd, .off = off};

    s.ours = fdtab_get(fd, &s.f);
    return s;
}

static ssize_t side_read(struct vfs *v, const struct side *s, void *buf, size_t len)
{
    struct iovec iov = {buf, len};
    off_t off = s->off != NULL ? *s->off : -1;

    if (s->ours)
        return vfs_readv(v, s->fd, &s->f, &iov, 1, off, 0);
    ssize_t got = off < 0 ? REAL(read)(s->fd, buf, len) : REAL(pread)(s->fd, buf, len, off);
    return got < 0 ? -errno : got;
}

static ssize_t side_write(struct vfs *v, const struct side *s, void *buf, size_t len)
{
    struct iovec iov = {buf, len};
    off_t off = s->off != NULL ? *s->off : -1;

    if (s->ours)
        return vfs_writev(v, s->fd, &s->f, &iov, 1, off, 0);
    ssize_t put = off < 0 ? REAL(write)(s->fd, buf, len) : REAL(pwrite)(s->fd, buf, len, off);
    return put < 0 ? -errno : put;
}

static ssize_t transfer(struct vfs *v, const struct side *in, const struct side *out, size_t len)
{
    if ((in->off != NULL && *in->off < 0) || (out->off != NULL && *out->off < 0))
        return -EINVAL;
    if (len == 0)
        return 0;
    if (len > PIECE_BYTES)
        len = PIECE_BYTES;
    char *buf = malloc(len);
    if (buf == NULL)
        return -ENOMEM;
    ssize_t got = side_read(v, in, buf, len);
    ssize_t put = got > 0 ? side_write(v, out, buf, (size_t)got) : got;
    free(buf);
    /* What was read and not written stays unread. */
    off_t back = (put < 0 ? 0 : put) - got;
    if (in->off == NULL && got > 0 && put < got && in->ours)
        vfs_lseek(v, in->fd, &in->f, back, SEEK_CUR);
    else if (in->off == NULL && got > 0 && put < got)
        REAL(lseek)(in->fd, back, SEEK_CUR);
    if (put > 0 && in->off != NULL)
        *in->off += put;
    if (put > 0 && out->off != NULL)
        *out->off += put;
    return put;
}

/* Open for that side, which the kernel asks before it reads? */
static bool is_open_for(const struct side *s, bool reads)
{
    if (s->ours && s->f.kind == VFS_FILE)
        return reads ? s->f.readable : s->f.writable;
    int flags = REAL(fcntl)(s->fd, F_GETFL);
    return flags >= 0 && (flags & O_PATH) == 0 &&
           (flags & O_ACCMODE) != (reads ? O_WRONLY : O_RDONLY);
}

static int direction(const struct side *in, const struct side *out)
{
    return is_open_for(in, true) && is_open_for(out, false) ? 0 : -EBADF;
}

static bool may_be_ours(int a, int b)
{
    return (fdtab_may(a) || fdtab_may(b)) && !guard_inside();
}

SLOW ssize_t sendfile_ours(int to, int from, off_t *off, size_t len)
{
    struct side in = side_of(from, off), out = side_of(to, NULL);
    struct call c;

    call_begin(&c);
    long rc = c.err ? c.err : direction(&in, &out);
    if (rc == 0)
        rc = transfer(c.v, &in, &out, len);
    call_end(&c);
    return to_libc(rc);
}

EXPORT ssize_t sendfile(int to, int from, off_t *off, size_t len)
{
    tell_through(to);
    return may_be_ours(to, from) ? ROOM(sendfile_ours, to, from, off, len)
                                 : REAL(sendfile)(to, from, off, len);
}

/* Its S_IFMT, or -errno. */
static int side_type(const struct side *s)
{
    struct stat sb;

    if (s->ours)
        return s->f.kind == VFS_FILE ? S_IFREG : S_IFDIR; /* O_PATH was refused before */
    return REAL(fstat)(s->fd, &sb) == 0 ? (int)(sb.st_mode & S_IFMT) : -errno;
}

static bool appends(const struct side *s)
{
    return s->ours ? s->f.append : (REAL(fcntl)(s->fd, F_GETFL) & O_APPEND) != 0;
}

/* What the kernel asks of both sides before it copies. */
static int copy_allowed(const struct side *in, const struct side *out)
{
    if (direction(in, out) != 0 || appends(out))
        return -EBADF;
    int a = side_type(in), b = side_type(out);
    if (a < 0 || b < 0)
        return a < 0 ? a : b;
    if (a == S_IFDIR || b == S_IFDIR)
        return -EISDIR;
    return a == S_IFREG && b == S_IFREG ? 0 : -EINVAL;
}

static bool wraps(const off_t *off, size_t len)
{
    return off != NULL && (uint64_t)*off + len < len;
}

static bool overlaps(const struct side *in, const struct side *out, size_t len)
{
    if (!in->ours || !out->ours || in->f.ino != out->f.ino)
        return false;
    off_t a = in->off != NULL ? *in->off : REAL(lseek)(in->fd, 0, SEEK_CUR);
    off_t b = out->off != NULL ? *out->off : REAL(lseek)(out->fd, 0, SEEK_CUR);
    return (size_t)(a < b ? b - a : a - b) < len;
}

SLOW ssize_t copy_ours(int from, off_t *in_off, int to, off_t *out_off, size_t len, unsigned flags)
{
    struct side in = side_of(from, in_off), out = side_of(to, out_off);
    struct call c;

    call_begin(&c);
    long rc = c.err             ? c.err
              : flags != 0      ? -EINVAL
              : len > SSIZE_MAX ? -EOVERFLOW
                                : copy_allowed(&in, &out);
    if (rc == 0 && (wraps(in_off, len) || wraps(out_off, len)))
        rc = -EOVERFLOW;
    if (rc == 0)
        rc = overlaps(&in, &out, len) ? -EINVAL : transfer(c.v, &in, &out, len);
    call_end(&c);
    return to_libc(rc);
}

EXPORT ssize_t copy_file_range(int from, off_t *in_off, int to, off_t *out_off, size_t len,
                               unsigned flags)
{
    return may_be_ours(from, to) ? ROOM(copy_ours, from, in_off, to, out_off, len, flags)
                                 : REAL(copy_file_range)(from, in_off, to, out_off, len, flags);
}

SLOW int direct(int a, int b)
{
    struct call c;
    struct vfs_fd f;

    call_begin(&c);
    long rc = c.err;
    if (rc == 0 && fdtab_get(a, &f))
        rc = vfs_direct(c.v, a, &f, VFS_USE_DIRECT);
    if (rc == 0 && fdtab_get(b, &f))
        rc = vfs_direct(c.v, b, &f, VFS_USE_DIRECT);
    call_end(&c);
    return (int)to_libc(rc);
}

EXPORT ssize_t splice(int from, off_t *in_off, int to, off_t *out_off, size_t len, unsigned flags)
{
    tell_through(to);
    if (may_be_ours(from, to) && direct(from, to) != 0)
        return -1;
    return heard_from(from, REAL(splice)(from, in_off, to, out_off, len, flags));
}

EXPORT ssize_t tee(int from, int to, size_t len, unsigned flags)
{
    tell_through(to);
    return heard_from(from, REAL(tee)(from, to, len, flags));
}

EXPORT ssize_t vmsplice(int fd, const struct iovec *iov, size_t n, unsigned flags)
{
    tell_through(fd);
    return heard_from(fd, REAL(vmsplice)(fd, iov, n, flags));
}

/* Requests that reach below the staging file.  true: *rc is the answer. */
static bool refuses(int fd, unsigned long request, const void *arg, long *rc)
{
    const struct file_clone_range *range = arg;

    switch (request) {
    case FICLONE:
        *rc = -EOPNOTSUPP;
        return fdtab_may(fd) || fdtab_may((int)(intptr_t)arg);
    case FICLONERANGE:
        *rc = -EOPNOTSUPP;
        return fdtab_may(fd) || (range != NULL && fdtab_may((int)range->src_fd));
    case FIDEDUPERANGE:
    case FS_IOC_FIEMAP:
        *rc = -EOPNOTSUPP;
        return fdtab_may(fd);
    case FS_IOC_GETFLAGS:
    case FS_IOC_SETFLAGS:
    case FS_IOC_FSGETXATTR:
    case FS_IOC_FSSETXATTR:
    case FS_IOC_GETVERSION:
        *rc = -ENOTTY;
        return fdtab_may(fd);
    default:
        return false;
    }
}

/* What these ask or change is the open file description's. */
static bool is_about_description(unsigned long request)
{
    return request == FIONREAD || request == FIONBIO || request == FIOASYNC;
}

SLOW int ioctl_settled(int fd, unsigned long request, void *arg)
{
    struct vfs_fd f;
    struct guard g;

    if (!guard_inside() && fdtab_get(fd, &f)) {
        guard_enter(&g);
        vfs_settle(volume_if_any(), &f);
        guard_leave(&g);
    }
    return REAL(ioctl)(fd, request, arg);
}

EXPORT int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    long rc;

    va_start(ap, request);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    if (atomic_load_explicit(&fdtab_any, memory_order_relaxed) && refuses(fd, request, arg, &rc))
        return (int)to_libc(rc);
    if (is_about_description(request) && fdtab_may(fd))
        return ROOM(ioctl_settled, fd, request, arg);
    return REAL(ioctl)(fd, request, arg);
}
