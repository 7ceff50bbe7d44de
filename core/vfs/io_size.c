/*
 * io_size.c - changes of a file's length and its holes: truncate, fallocate.  The volume first,
 * then the staging file, if there is one.
 */
#include "core/vfs/vfs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <unistd.h>

static void stamp_now(int fd)
{
    struct moment now = clock_now();
    struct timespec t[2] = {{.tv_nsec = UTIME_OMIT},
                            {.tv_sec = now.sec, .tv_nsec = (long)now.nsec}};
    futimens(fd, t);
}

/* The same change of length on the staging file; clean stays clean, where the volume knows of it.
 */
static int resize_slot(struct vfs *v, uint32_t number, uint64_t len, bool by_fd)
{
    struct staging_owner owner;
    struct slot *s = staging_slot(v->staging, number);
    struct stat sb;

    staging_enter(v->staging, &owner);
    int fd = staging_open_file(v->staging, number, O_RDWR);
    int rc = fd < 0 ? fd : fstat(fd, &sb) != 0 ? -errno : 0;
    if (rc == 0 && (uint64_t)sb.st_size != len) {
        bool clean = !staging_is_touched(s, &sb) && (s->flags & SLOT_GONE) == 0;
        s->flags &= ~(uint32_t)SLOT_BLANK;
        if (ftruncate(fd, (off_t)len) != 0)
            rc = -errno;
        if (s->published > len)
            s->published = len;
        if (clean)
            staging_set_clean(s, fd);
        else
            stamp_now(fd);
    } else if (rc == 0 && by_fd && staging_is_touched(s, &sb)) {
        stamp_now(fd); /* ftruncate() always does */
    }
    if (fd >= 0)
        staging_close_file(v->staging, number, fd);
    staging_leave(&owner);
    return rc;
}

int vfs_ftruncate(struct vfs *v, int fd, const struct vfs_fd *f, off_t len)
{
    struct request r = {0};

    (void)fd;
    if (len < 0 || !f->writable)
        return -EINVAL;
    int rc;
    struct slot *s = io_lock_settled(v, f, &rc);
    if (s == NULL)
        return rc < 0 ? rc : -EINVAL;
    if ((s->flags & SLOT_GONE) == 0) {
        request_inode(v, &r, OP_TRUNCATE, f->ino);
        r.op.len = (uint64_t)len;
        r.op.flags = OPF_BY_FD | (r.op.cred.uid != 0 ? OPF_KILLPRIV : 0);
        rc = request_call(v, &r, NULL);
        staging_changed(v->staging, s->ino);
    } else {
        rc = io_drop_privileges(v, s);
    }
    if (rc == 0)
        rc = resize_slot(v, f->slot, (uint64_t)len, true);
    if (rc == 0 && r.res.has_attr) /* last: killed before, the old length is asked for again */
        slot_seen_set(s, &r.res.attr);
    request_fini(&r);
    slot_unlock(s);
    return rc == -ENOENT ? -ESTALE : rc;
}

int vfs_truncate(struct vfs *v, struct vfs_loc *loc, off_t len)
{
    struct request r;

    if (len < 0)
        return -EINVAL;
    request_init(v, &r, OP_TRUNCATE, loc);
    r.op.len = (uint64_t)len;
    if (r.op.cred.uid != 0)
        r.op.flags = OPF_KILLPRIV;
    int rc = request_call(v, &r, loc);
    uint32_t number = rc == 0 ? staging_find(v->staging, r.res.ino) : 0;
    struct slot *s = number != 0 ? staging_slot(v->staging, number) : NULL;
    if (s != NULL) {
        slot_lock(s);
        if (s->ino == r.res.ino && (s->flags & SLOT_FILLED) != 0) {
            staging_changed(v->staging, s->ino);
            rc = lane_settle(v->staging, number);
            if (rc == 0)
                rc = resize_slot(v, number, (uint64_t)len, false);
            slot_seen_set(s, &r.res.attr);
        }
        slot_unlock(s);
    }
    request_fini(&r);
    return rc;
}

static int native_fallocate(struct vfs *v, uint32_t number, int mode, off_t off, off_t len)
{
    struct slot *s = staging_slot(v->staging, number);
    struct staging_owner owner;
    struct stat sb;

    staging_enter(v->staging, &owner);
    int fd = staging_open_file(v->staging, number, O_RDWR);
    int rc = fd < 0 ? fd : fstat(fd, &sb) != 0 ? -errno : 0;
    if (rc == 0) {
        bool clean = !staging_is_touched(s, &sb);
        bool zero = (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0;
        off_t end = off + len;
        /* Space is not reserved here: the length is what counts. */
        if ((mode & FALLOC_FL_KEEP_SIZE) == 0 && end > sb.st_size && ftruncate(fd, end) != 0)
            rc = -errno;
        if (rc == 0 && zero && off < sb.st_size &&
            fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len) != 0)
            rc = -errno;
        s->flags &= ~(uint32_t)SLOT_BLANK;
        if (clean && (s->flags & SLOT_GONE) == 0)
            staging_set_clean(s, fd);
        else if (clean)
            stamp_now(fd);
    }
    if (fd >= 0)
        staging_close_file(v->staging, number, fd);
    staging_leave(&owner);
    return rc;
}

static bool falloc_mode_known(int mode)
{
    const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return mode == punch || (mode & ~(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)) == 0;
}

/* The kernel's order of refusals. */
int vfs_fallocate(struct vfs *v, int fd, const struct vfs_fd *f, int mode, off_t off, off_t len)
{
    struct request r = {0};

    (void)fd;
    if (f->kind == VFS_PATH)
        return -EBADF;
    if (off < 0 || len <= 0)
        return -EINVAL;
    if (!falloc_mode_known(mode))
        return -EOPNOTSUPP;
    if (!f->writable)
        return -EBADF;
    if (len > INT64_MAX - off)
        return -EFBIG;
    int rc;
    struct slot *s = io_lock_settled(v, f, &rc);
    if (s == NULL)
        return rc < 0 ? rc : -EBADF;
    /* Ours first: the volume's length must include what only the staging file has. */
    rc = commit_slot(v, f->slot);
    if (rc == 0 && (s->flags & SLOT_GONE) == 0) {
        request_inode(v, &r, OP_FALLOCATE, f->ino);
        r.op.mode = (uint32_t)mode;
        r.op.off = (uint64_t)off;
        r.op.len = (uint64_t)len;
        r.op.flags = OPF_BY_FD | (r.op.cred.uid != 0 ? OPF_KILLPRIV : 0);
        rc = request_call(v, &r, NULL);
        staging_changed(v->staging, s->ino);
    } else if (rc == 0) {
        rc = io_drop_privileges(v, s);
    }
    if (rc == 0)
        rc = native_fallocate(v, f->slot, mode, off, len);
    if (rc == 0 && r.res.has_attr)
        slot_seen_set(s, &r.res.attr);
    request_fini(&r);
    slot_unlock(s);
    return rc;
}
