/*
 * io.c - reading and writing open files.
 *
 * Above `published` the staging file holds the bytes and the kernel does the work; below, reads go
 * to the blocks, and the first write there brings everything in.  The slot lock makes the choice
 * and the call one step.
 */
#include "core/vfs/vfs_internal.h"

#include "core/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#define FIRST_PAGE 4096

static struct slot *lock_file(struct vfs *v, const struct vfs_fd *f)
{
    struct slot *s = f->kind == VFS_FILE ? staging_slot(v->staging, f->slot) : NULL;
    if (s == NULL)
        return NULL;
    slot_lock(s);
    if (s->ino == f->ino && s->gen == f->gen)
        return s;
    slot_unlock(s); /* cannot be while the caller's descriptor is open */
    return NULL;
}

struct slot *io_lock_settled(struct vfs *v, const struct vfs_fd *f, int *rc)
{
    struct slot *s = lock_file(v, f);
    *rc = s != NULL ? lane_settle(v->staging, f->slot) : 0;
    if (*rc < 0) {
        slot_unlock(s);
        return NULL;
    }
    return s;
}

static size_t iov_bytes(const struct iovec *iov, int n)
{
    size_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += iov[i].iov_len;
    return sum < SSIZE_MAX ? sum : SSIZE_MAX;
}

static struct moment slot_mtime(const struct slot *s)
{
    struct attr a = {0};
    slot_seen_get(s, &a);
    return a.mtime;
}

/* Reads at pos, below published; up to want bytes into iov. */
static ssize_t read_published(struct vfs *v, const struct slot *s, const struct iovec *iov, int n,
                              uint64_t pos, size_t want)
{
    size_t done = 0;
    for (int i = 0; i < n && done < want; i++) {
        size_t part = iov[i].iov_len < want - done ? iov[i].iov_len : want - done;
        int rc = content_read(v, s->ino, slot_mtime(s), pos + done, iov[i].iov_base, part);
        if (rc < 0)
            return done > 0 ? (ssize_t)done : rc;
        done += part;
    }
    return (ssize_t)done;
}

static ssize_t native_readv(int fd, const struct iovec *iov, int n, off_t off, int rwf)
{
    ssize_t got = rwf != 0  ? preadv2(fd, iov, n, off, rwf)
                  : off < 0 ? readv(fd, iov, n)
                  : n == 1  ? pread(fd, iov->iov_base, iov->iov_len, off)
                            : preadv(fd, iov, n, off);
    return got < 0 ? -errno : got;
}

static ssize_t locked_readv(struct vfs *v, struct slot *s, int fd, const struct vfs_fd *f,
                            const struct iovec *iov, int n, off_t off, int rwf)
{
    if (s->published == 0)
        return native_readv(fd, iov, n, off, rwf);
    off_t pos = off >= 0 ? off : lseek(fd, 0, SEEK_CUR);
    struct stat sb;
    if (pos < 0 || fstat(fd, &sb) != 0)
        return -errno;
    if ((uint64_t)pos >= s->published || pos >= sb.st_size)
        return native_readv(fd, iov, n, off, rwf);
    int fl = fcntl(fd, F_GETFL);
    if (fl < 0 || (fl & O_ACCMODE) == O_WRONLY || (fl & O_PATH) != 0)
        return -EBADF;
    size_t want = iov_bytes(iov, n);
    if (want > (uint64_t)sb.st_size - (uint64_t)pos)
        want = (size_t)(sb.st_size - pos);
    if ((uint64_t)pos + want > s->published) {
        /* Across the border: a program may count on whole reads, so bring the rest together. */
        int rc = slot_hydrate(v, f->slot);
        return rc < 0 ? rc : native_readv(fd, iov, n, off, rwf);
    }
    ssize_t got = read_published(v, s, iov, n, (uint64_t)pos, want);
    if (got > 0 && off < 0 && lseek(fd, pos + got, SEEK_SET) < 0)
        return -errno;
    return got;
}

/* The slot knows the offset and the end. */
static ssize_t reads_readv(struct vfs *v, struct slot *s, const struct iovec *iov, int n, off_t off)
{
    uint64_t pos = off >= 0 ? (uint64_t)off : s->lane_len;
    uint64_t left = pos < s->published ? s->published - pos : 0;
    size_t want = iov_bytes(iov, n);
    ssize_t got = read_published(v, s, iov, n, pos, want < left ? want : (size_t)left);
    if (got > 0 && off < 0)
        s->lane_len += (uint32_t)got;
    return got;
}

ssize_t vfs_readv(struct vfs *v, int fd, const struct vfs_fd *f, const struct iovec *iov, int n,
                  off_t off, int rwf)
{
    struct slot *s = lock_file(v, f);
    if (s == NULL)
        return native_readv(fd, iov, n, off, rwf);
    ssize_t got;
    if (rwf == 0 && reads_is_here(v->staging, f->slot, fd))
        got = reads_readv(v, s, iov, n, off);
    else if ((got = lane_settle(v->staging, f->slot)) == 0)
        got = locked_readv(v, s, fd, f, iov, n, off, rwf);
    slot_unlock(s);
    return got;
}

static ssize_t native_writev(int fd, const struct iovec *iov, int n, off_t off, int rwf)
{
    ssize_t put = rwf != 0  ? pwritev2(fd, iov, n, off, rwf)
                  : off < 0 ? writev(fd, iov, n)
                  : n == 1  ? pwrite(fd, iov->iov_base, iov->iov_len, off)
                            : pwritev(fd, iov, n, off);
    return put < 0 ? -errno : put;
}

/* Where the next write lands: at the end for O_APPEND. */
static off_t write_position(int fd, bool append, off_t off)
{
    struct stat sb;
    if (append)
        return fstat(fd, &sb) == 0 ? sb.st_size : -1;
    return off >= 0 ? off : lseek(fd, 0, SEEK_CUR);
}

int io_drop_privileges(struct vfs *v, struct slot *s)
{
    struct request r;
    struct attr a;

    if (!slot_seen_get(s, &a) || (a.mode & (S_ISUID | S_ISGID)) == 0 || process_ids()->uid == 0)
        return 0;
    request_inode(v, &r, OP_WRITE, s->ino);
    uint16_t lost = meta_lost_bits(&r.op.cred, &a);
    int rc = 0;
    if (lost != 0 && (s->flags & SLOT_GONE) == 0) {
        r.op.mode = lost;
        r.op.mtime = a.mtime;
        rc = request_call(v, &r, NULL);
        staging_changed(v->staging, s->ino);
        if (rc == 0 && r.res.has_attr)
            slot_seen_set(s, &r.res.attr);
    } else if (lost != 0) {
        a.mode &= (uint16_t)~lost;
        slot_seen_set(s, &a);
    }
    request_fini(&r);
    return rc == -ENOENT ? 0 : rc; /* removed by another client: the commit says so */
}

static ssize_t locked_writev(struct vfs *v, struct slot *s, int fd, const struct vfs_fd *f,
                             const struct iovec *iov, int n, off_t off, int rwf)
{
    bool append = f->append || (rwf & RWF_APPEND) != 0;
    int rc;
    off_t pos = write_position(fd, append, off);
    if (pos < 0)
        return -errno;
    if (s->published > 0 && (uint64_t)pos < s->published) {
        rc = slot_hydrate(v, f->slot);
        if (rc < 0)
            return rc;
    }
    rc = iov_bytes(iov, n) > 0 ? io_drop_privileges(v, s) : 0;
    if (rc < 0)
        return rc;
    ssize_t put = native_writev(fd, iov, n, off, rwf);
    if (put <= 0)
        return put;
    s->flags &= ~(uint32_t)SLOT_BLANK;
    uint64_t end = (uint64_t)pos + (uint64_t)put;
    if (append)
        s->flags |= SLOT_APPENDED;
    if ((uint64_t)pos < s->dirty_lo)
        s->dirty_lo = (uint64_t)pos;
    if (end > s->dirty_hi)
        s->dirty_hi = end;
    /* A chunk is full: publish it, so that neither memory nor the last close grows with the file.
     */
    if (s->dirty_hi - s->dirty_lo > CHUNK_BYTES + CHUNK_BYTES / 4 &&
        (s->flags & (SLOT_DIRECT | SLOT_MAPPED | SLOT_GONE)) == 0) {
        rc = commit_slot(v, f->slot);
        if (rc < 0)
            return rc;
        commit_punch(v, f->slot);
    }
    return put;
}

/* 0: not taken. */
static ssize_t lane_writev(struct vfs *v, struct slot *s, int fd, const struct vfs_fd *f,
                           const struct iovec *iov)
{
    if ((uintptr_t)iov->iov_base < FIRST_PAGE) /* the kernel says EFAULT */
        return 0;
    int rc = iov->iov_len > 0 ? io_drop_privileges(v, s) : 0;
    if (rc < 0)
        return rc;
    return lane_write(v->staging, f->slot, fd, iov->iov_base, iov->iov_len) ? (ssize_t)iov->iov_len
                                                                            : 0;
}

ssize_t vfs_writev(struct vfs *v, int fd, const struct vfs_fd *f, const struct iovec *iov, int n,
                   off_t off, int rwf)
{
    struct slot *s = f->writable ? lock_file(v, f) : NULL;
    if (s == NULL)
        return native_writev(fd, iov, n, off, rwf);
    ssize_t put = 0;
    if (n == 1 && off < 0 && rwf == 0 && (s->flags & SLOT_LANE) != 0)
        put = lane_writev(v, s, fd, f, iov);
    if (put == 0)
        put = lane_settle(v->staging, f->slot);
    if (put == 0)
        put = locked_writev(v, s, fd, f, iov, n, off, rwf);
    slot_unlock(s);
    return put;
}

int vfs_direct(struct vfs *v, int fd, const struct vfs_fd *f, enum vfs_use use)
{
    (void)fd;
    int rc;
    struct slot *s = io_lock_settled(v, f, &rc);
    if (s == NULL)
        return rc;
    rc = slot_hydrate(v, f->slot);
    if (rc == 0 && f->writable)
        s->flags |= use == VFS_USE_MAP_WRITE ? SLOT_MAPPED | SLOT_DIRECT : SLOT_DIRECT;
    slot_unlock(s);
    return rc;
}

/* Below `published` the records know the holes, above it the staging file does. */
static off_t seek_published(struct vfs *v, const struct slot *s, int fd, off_t off, int whence)
{
    struct stat sb;
    if (fstat(fd, &sb) != 0)
        return -errno;
    if (off < 0 || off >= sb.st_size)
        return -ENXIO;
    uint64_t end = s->published < (uint64_t)sb.st_size ? s->published : (uint64_t)sb.st_size;
    uint64_t at = (uint64_t)off;
    int rc = content_seek(v, s->ino, slot_mtime(s), end, whence == SEEK_DATA, &at);
    if (rc < 0)
        return rc;
    off_t to = (off_t)at;
    if (at == end) {
        if (at < (uint64_t)sb.st_size)
            to = lseek(fd, to, whence);
        else if (whence == SEEK_DATA)
            return -ENXIO;
        if (to < 0)
            return -errno;
    }
    return lseek(fd, to, SEEK_SET);
}

off_t vfs_lseek(struct vfs *v, int fd, const struct vfs_fd *f, off_t off, int whence)
{
    bool by_content = whence == SEEK_DATA || whence == SEEK_HOLE;
    struct slot *s = lock_file(v, f);
    off_t to;
    int rc = 0;
    if (s != NULL && reads_is_here(v->staging, f->slot, fd) &&
        reads_seek(v->staging, f->slot, off, whence, &to)) {
        slot_unlock(s);
        return to;
    }
    if (s != NULL)
        rc = lane_settle(v->staging, f->slot);
    if (rc < 0)
        to = rc;
    else if (s != NULL && by_content && (off < 0 || (uint64_t)off < s->published))
        to = seek_published(v, s, fd, off, whence);
    else if ((to = lseek(fd, off, whence)) < 0)
        to = -errno;
    if (s != NULL)
        slot_unlock(s);
    return to;
}
