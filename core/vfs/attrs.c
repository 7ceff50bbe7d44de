/*
 * attrs.c - modes, owners, times and extended attributes.
 *
 * Times set on a file that has uncommitted data travel behind that data in the same request, since
 * the commit sets mtime itself.
 */
#include "core/vfs/vfs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIMES (SET_ATIME | SET_MTIME | SET_ATIME_NOW | SET_MTIME_NOW)

static void setattr_op(struct op *op, const struct vfs_setattr *s)
{
    op->kind = OP_SETATTR;
    op->valid = s->set;
    op->mode = s->mode & 07777;
    op->new_uid = s->uid;
    op->new_gid = s->gid;
    op->atime = s->atime;
    op->mtime = s->mtime;
}

/* Slot locked.  What is written goes first, then the attributes, in one request. */
static int setattr_slot(struct vfs *v, uint32_t number, const struct vfs_setattr *s, uint32_t flags)
{
    const struct op_result *own;
    struct commit c;
    int rc = commit_prepare(v, number, true, &c);
    if (rc == 0) {
        struct op *op = commit_add(&c, false);
        setattr_op(op, s);
        op->flags = flags;
        rc = commit_send(v, &c, &own);
        if (rc == 0 && own != NULL)
            rc = result_code(own, NULL);
    }
    commit_fini(v, &c);
    return rc;
}

/* A file that has changes carries its mtime itself. */
static void stamp_staged(struct vfs *v, uint32_t number, struct moment mtime)
{
    struct staging_owner owner;
    struct timespec t[2] = {{.tv_nsec = UTIME_OMIT},
                            {.tv_sec = mtime.sec, .tv_nsec = (long)mtime.nsec}};
    struct stat sb;
    staging_enter(v->staging, &owner);
    int fd = staging_open_file(v->staging, number, O_RDWR);
    if (fd >= 0) {
        if (fstat(fd, &sb) == 0 && staging_is_touched(staging_slot(v->staging, number), &sb))
            futimens(fd, t);
        staging_close_file(v->staging, number, fd);
    }
    staging_leave(&owner);
}

/* Without a name in the volume the attributes live in the slot. */
static int setattr_gone(struct vfs *v, uint32_t number, const struct vfs_setattr *s)
{
    struct slot *slot = staging_slot(v->staging, number);
    struct request r;
    struct attr a;
    if (!slot_seen_get(slot, &a))
        return -ESTALE;
    request_init(v, &r, OP_SETATTR, NULL);
    setattr_op(&r.op, s);
    r.op.now = clock_now();
    int rc = meta_setattr_unnamed(&r.op, &a);
    if (rc < 0)
        return rc;
    if ((s->set & (SET_MTIME | SET_MTIME_NOW)) != 0)
        stamp_staged(v, number, a.mtime);
    slot_seen_set(slot, &a);
    return 0;
}

static int setattr_at(struct vfs *v, struct vfs_loc *loc, uint32_t flags,
                      const struct vfs_setattr *s)
{
    struct request r;
    int rc = vfs_ready(v);
    if (rc < 0)
        return rc;
    uint64_t asked = staging_now(v->staging);
    request_init(v, &r, OP_SETATTR, loc);
    setattr_op(&r.op, s);
    r.op.flags = flags;
    rc = request_call(v, &r, loc);
    uint32_t number = rc == 0 ? staging_find(v->staging, r.res.ino) : 0;
    if (number != 0 && r.res.has_attr) {
        struct slot *slot = staging_slot(v->staging, number);
        struct stat sb;
        slot_lock(slot);
        if (slot->ino == r.res.ino && staging_stat(v->staging, number, &sb) == 0) {
            if (!staging_is_dirty(slot, &sb)) {
                if (!staging_changed_since(v->staging, slot->ino, asked))
                    slot_seen_set(slot, &r.res.attr);
            } else if ((s->set & (TIMES | SET_MODE)) != 0) {
                rc = setattr_slot(v, number, s, 0);
            }
        }
        slot_unlock(slot);
    }
    request_fini(&r);
    return rc;
}

int vfs_fsetattr(struct vfs *v, int fd, const struct vfs_fd *f, const struct vfs_setattr *s)
{
    (void)fd;
    int rc = vfs_ready(v);
    if (rc < 0)
        return rc;
    if (f->kind == VFS_FILE) {
        struct slot *slot = staging_slot(v->staging, f->slot);
        slot_lock(slot);
        if ((slot->flags & SLOT_GONE) != 0)
            rc = setattr_gone(v, f->slot, s);
        else
            rc = setattr_slot(v, f->slot, s, OPF_BY_FD);
        slot_unlock(slot);
        return rc;
    }
    struct vfs_loc loc;
    loc_inode(&loc, f->ino);
    return setattr_at(v, &loc, OPF_NOFOLLOW | OPF_BY_FD, s);
}

int vfs_setattr(struct vfs *v, struct vfs_loc *loc, bool nofollow, const struct vfs_setattr *s)
{
    return setattr_at(v, loc, nofollow ? OPF_NOFOLLOW : 0, s);
}

/* --- extended attributes ---------------------------------------------------------------------- */

static ssize_t give(const struct buf *from, void *out, size_t len)
{
    if (len == 0)
        return (ssize_t)from->len;
    if (from->len > len)
        return -ERANGE;
    if (from->len > 0)
        memcpy(out, from->data, from->len);
    return (ssize_t)from->len;
}

static void xattr_init(struct vfs *v, struct request *r, uint8_t kind, struct vfs_loc *loc,
                       bool nofollow, const char *name)
{
    request_init(v, r, kind, loc);
    r->op.flags = nofollow ? OPF_NOFOLLOW : 0;
    r->op.path2 = name;
}

static int xattr_name_check(const char *name)
{
    size_t n = strlen(name);
    return n == 0 || n > 255 ? -ERANGE : 0;
}

ssize_t vfs_getxattr(struct vfs *v, struct vfs_loc *loc, bool nofollow, const char *name, void *out,
                     size_t len)
{
    struct request r;
    ssize_t rc = xattr_name_check(name);
    if (rc < 0)
        return rc;
    xattr_init(v, &r, OP_GETXATTR, loc, nofollow, name);
    rc = request_call(v, &r, loc);
    if (rc == 0)
        rc = give(&r.res.extra, out, len);
    request_fini(&r);
    return rc;
}

ssize_t vfs_listxattr(struct vfs *v, struct vfs_loc *loc, bool nofollow, char *out, size_t len)
{
    struct request r;
    xattr_init(v, &r, OP_LISTXATTR, loc, nofollow, NULL);
    ssize_t rc = request_call(v, &r, loc);
    if (rc == 0)
        rc = give(&r.res.extra, out, len);
    request_fini(&r);
    return rc;
}

int vfs_setxattr(struct vfs *v, struct vfs_loc *loc, bool nofollow, const char *name,
                 const void *value, size_t len, int flags)
{
    struct request r;
    int rc = xattr_name_check(name);
    if (rc == 0 && len > 65536)
        rc = -E2BIG;
    if (rc < 0)
        return rc;
    xattr_init(v, &r, OP_SETXATTR, loc, nofollow, name);
    r.op.data = value;
    r.op.data_len = (uint32_t)len;
    r.op.mode = (uint32_t)flags;
    rc = request_call(v, &r, loc);
    request_fini(&r);
    return rc;
}

int vfs_removexattr(struct vfs *v, struct vfs_loc *loc, bool nofollow, const char *name)
{
    struct request r;
    int rc = xattr_name_check(name);
    if (rc < 0)
        return rc;
    xattr_init(v, &r, OP_REMOVEXATTR, loc, nofollow, name);
    rc = request_call(v, &r, loc);
    request_fini(&r);
    return rc;
}
