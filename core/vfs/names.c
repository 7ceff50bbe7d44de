/*
 * names.c - calls that make, find, move and remove names: one request each.
 */
#include "core/vfs/vfs_internal.h"

#include "core/op/op.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE (1 << 0)
#define RENAME_EXCHANGE  (1 << 1)
#endif

static void to_stat(struct vfs *v, const struct op_result *res, struct vfs_stat *out)
{
    out->ino = res->ino;
    out->dev = v->dev;
    out->attr = res->attr;
    if (out->attr.type == TYPE_FILE)
        slot_overlay(v, res->ino, &out->attr);
}

static int lookup(struct vfs *v, struct request *r, struct vfs_loc *loc, uint32_t flags)
{
    request_init(v, r, OP_LOOKUP, loc);
    r->op.flags = flags;
    int rc = request_call(v, r, loc);
    return rc == 0 && !r->res.has_attr ? -EIO : rc;
}

int vfs_stat(struct vfs *v, struct vfs_loc *loc, bool nofollow, struct vfs_stat *out)
{
    struct request r;
    int rc = lookup(v, &r, loc, nofollow ? OPF_NOFOLLOW : 0);
    if (rc == 0)
        to_stat(v, &r.res, out);
    request_fini(&r);
    return rc;
}

/* An inode without a name is known only here, by its slot. */
static int stat_gone(struct vfs *v, const struct vfs_fd *f, struct vfs_stat *out)
{
    struct slot *s = staging_slot(v->staging, f->slot);
    struct stat sb;
    if (s == NULL || s->ino != f->ino || !slot_seen_get(s, &out->attr) ||
        staging_stat(v->staging, f->slot, &sb) != 0)
        return -ESTALE;
    out->ino = f->ino;
    out->dev = v->dev;
    out->attr.nlink = 0;
    out->attr.length = (s->flags & SLOT_LANE) != 0 ? s->lane_len : (uint64_t)sb.st_size;
    slot_overlay(v, f->ino, &out->attr);
    return 0;
}

int vfs_fstat(struct vfs *v, int fd, const struct vfs_fd *f, struct vfs_stat *out)
{
    struct vfs_loc loc;
    (void)fd;
    int rc = vfs_ready(v);
    if (rc < 0)
        return rc;
    struct slot *s = f->kind == VFS_FILE ? staging_slot(v->staging, f->slot) : NULL;
    if (s != NULL && (s->flags & SLOT_GONE) != 0)
        return stat_gone(v, f, out);
    struct request r;
    loc_inode(&loc, f->ino);
    rc = lookup(v, &r, &loc, OPF_NOFOLLOW | OPF_BY_FD);
    if (rc == 0)
        to_stat(v, &r.res, out);
    request_fini(&r);
    return rc == -ENOENT && s != NULL ? stat_gone(v, f, out) : rc;
}

int vfs_access(struct vfs *v, struct vfs_loc *loc, int mode, bool nofollow, bool real_ids)
{
    struct request r;
    if ((mode & ~(R_OK | W_OK | X_OK)) != 0)
        return -EINVAL;
    request_init(v, &r, OP_LOOKUP, loc);
    r.op.flags = nofollow ? OPF_NOFOLLOW : 0;
    r.op.valid = (uint32_t)mode;
    if (real_ids) {
        r.op.cred.uid = getuid();
        r.op.cred.gid = getgid();
    }
    int rc = request_call(v, &r, loc);
    request_fini(&r);
    return rc;
}

ssize_t vfs_readlink(struct vfs *v, struct vfs_loc *loc, char *out, size_t len)
{
    struct request r;
    ssize_t rc = lookup(v, &r, loc, OPF_NOFOLLOW);
    if (rc == 0 && r.res.attr.type != TYPE_SYMLINK)
        rc = -EINVAL;
    if (rc == 0) {
        size_t n = r.res.extra.len < len ? r.res.extra.len : len;
        if (n > 0)
            memcpy(out, r.res.extra.data, n);
        rc = (ssize_t)n;
    }
    request_fini(&r);
    return rc;
}

/* --- new names -------------------------------------------------------------------------------- */

static int make(struct vfs *v, struct request *r, struct vfs_loc *loc)
{
    uint64_t ino;
    int rc = vfs_take_inode(v, &ino);
    if (rc < 0)
        return rc;
    r->op.ino = ino;
    rc = request_call(v, r, loc);
    if (rc < 0 && rc != -EIO)
        vfs_put_inode(v, r->op.ino);
    request_fini(r);
    return rc;
}

int vfs_mkdir(struct vfs *v, struct vfs_loc *loc, mode_t mode)
{
    struct request r;
    request_init(v, &r, OP_MKDIR, loc);
    r.op.mode = (uint32_t)TYPE_DIRECTORY << 12 | (mode & 01777);
    r.op.umask = vfs_umask(v);
    return make(v, &r, loc);
}

int vfs_mknod(struct vfs *v, struct vfs_loc *loc, mode_t mode, dev_t dev)
{
    struct request r;
    uint8_t type = (mode & S_IFMT) == 0 ? TYPE_FILE : type_of_st_mode(mode);
    if (type == TYPE_DIRECTORY)
        return -EPERM;
    if (type == 0 || type == TYPE_SYMLINK)
        return -EINVAL;
    request_init(v, &r, OP_MKNOD, loc);
    r.op.mode = (uint32_t)type << 12 | (mode & 07777);
    r.op.umask = vfs_umask(v);
    /* The kernel's 32-bit device number, as FUSE passes it. */
    if (type == TYPE_BLOCKDEV || type == TYPE_CHARDEV)
        r.op.rdev =
            (uint32_t)((minor(dev) & 0xff) | (major(dev) << 8) | ((minor(dev) & ~0xffu) << 12));
    return make(v, &r, loc);
}

int vfs_symlink(struct vfs *v, const char *target, struct vfs_loc *loc)
{
    struct request r;
    size_t n = strlen(target);
    if (n == 0)
        return -ENOENT;
    if (n >= PATH_MAX)
        return -ENAMETOOLONG;
    request_init(v, &r, OP_SYMLINK, loc);
    r.op.data = target;
    r.op.data_len = (uint32_t)n;
    return make(v, &r, loc);
}

static int link_to(struct vfs *v, struct vfs_loc *from, struct vfs_loc *to, uint32_t flags)
{
    struct request r;
    request_init(v, &r, OP_LINK, from);
    r.op.flags = flags;
    r.op.base2 = to->base;
    r.op.path2 = to->path;
    int rc = request_call(v, &r, from);
    request_fini(&r);
    return rc == VFS_ESCAPE ? -EXDEV : rc;
}

int vfs_link(struct vfs *v, struct vfs_loc *from, struct vfs_loc *to, bool follow)
{
    return link_to(v, from, to, follow ? 0 : OPF_NOFOLLOW);
}

/* What the kernel says of the new name comes first, then ENOENT. */
static int link_gone(struct vfs *v, struct vfs_loc *to)
{
    const char *path = to->path;
    size_t n = strlen(path);
    struct request r;

    while (n > 1 && path[n - 1] == '/')
        n--; /* a symlink at the end is there, whatever it leads to */
    char *bare = strndup(path, n);
    if (bare == NULL)
        return -ENOMEM;
    to->path = bare;
    int rc = lookup(v, &r, to, OPF_NOFOLLOW);
    request_fini(&r);
    to->path = path;
    free(bare);
    return rc == 0 ? -EEXIST : rc == VFS_ESCAPE ? -EXDEV : rc;
}

/* What else was done to an O_TMPFILE file, after its data in the same request; as the kernel,
 * whoever names it. */
static void add_attributes(struct commit *c, const struct attr *a)
{
    bool written = c->mtime.tv_sec > STAGING_CLEAN_SEC;
    c->res[c->n] = (struct op_result){0};
    struct op *op = &c->ops[c->n++];
    *op = (struct op){.kind = OP_SETATTR, .base = c->slot->ino, .flags = OPF_BY_FD};
    op->valid = SET_MODE | SET_UID | SET_GID | SET_ATIME | SET_MTIME;
    op->mode = a->mode;
    op->new_uid = a->uid;
    op->new_gid = a->gid;
    op->atime = a->atime;
    op->mtime = written
                    ? (struct moment){.sec = c->mtime.tv_sec, .nsec = (uint32_t)c->mtime.tv_nsec}
                    : a->mtime;
}

/* An O_TMPFILE file gets its first name: inode, data and name in one request. */
static int link_tmpfile(struct vfs *v, const struct vfs_fd *f, struct vfs_loc *to)
{
    struct slot *s = staging_slot(v->staging, f->slot);
    const struct op_result *made;
    uint32_t groups[OP_GROUPS_MAX];
    struct op_cred cred;
    struct commit c;
    struct attr a;

    slot_lock(s);
    if ((s->flags & SLOT_TMPFILE) == 0 || !slot_seen_get(s, &a)) {
        slot_unlock(s);
        return link_gone(v, to); /* linked by another thread, or unlinked: no way back */
    }
    caller_cred(&cred, groups);
    if (!meta_may_link(&cred, &a)) {
        slot_unlock(s);
        int refused = link_gone(v, to);
        return refused == -ENOENT ? -EPERM : refused;
    }
    s->flags &= ~(uint32_t)(SLOT_TMPFILE | SLOT_GONE);
    int rc = commit_prepare(v, f->slot, false, &c);
    if (rc == 0) {
        struct op *op = commit_add(&c, true);
        op->kind = OP_MKNOD;
        op->base = to->base;
        op->path = to->path;
        op->ino = f->ino;
        op->mode =
            (uint32_t)TYPE_FILE << 12 | (a.mode & 0777); /* a new owner takes the others away */
        add_attributes(&c, &a);
        rc = commit_send(v, &c, &made);
        if (made != NULL && made->code != 0)
            rc = result_code(made, NULL);
    }
    if (rc < 0) {
        s->flags |= SLOT_TMPFILE | SLOT_GONE;
        slot_seen_set(s, &a);
    }
    commit_fini(v, &c);
    slot_unlock(s);
    return rc;
}

int vfs_link_fd(struct vfs *v, int fd, const struct vfs_fd *f, struct vfs_loc *to)
{
    (void)fd;
    int rc = vfs_ready(v);
    if (rc < 0)
        return rc;
    if (f->kind == VFS_FILE) {
        const struct slot *s = staging_slot(v->staging, f->slot);
        if (s != NULL && s->ino == f->ino && (s->flags & SLOT_GONE) != 0)
            return link_tmpfile(v, f, to);
    }
    struct vfs_loc from = {.base = f->ino, .path = ""};
    return link_to(v, &from, to, OPF_NOFOLLOW | OPF_BY_FD);
}

/* --- names that go ---------------------------------------------------------------------------- */

void removal_done(struct vfs *v, const struct op_result *res)
{
    if ((res->rflags & OPR_GONE) == 0)
        return;
    if ((res->rflags & OPR_DEFERRED) != 0) {
        slot_gone(v, res->ino, res->has_attr ? res->attr.length : 0, true,
                  res->has_attr ? &res->attr : NULL);
    } else {
        vfs_drop_slices(v, &res->extra);
    }
}

int vfs_unlink(struct vfs *v, struct vfs_loc *loc)
{
    struct request r;
    uint32_t bytes;
    uint64_t *held = slots_held(v, &bytes);
    request_init(v, &r, OP_UNLINK, loc);
    r.op.data = held;
    r.op.data_len = bytes;
    int rc = request_call(v, &r, loc);
    if (rc == 0)
        removal_done(v, &r.res);
    request_fini(&r);
    free(held);
    return rc;
}

static void after_dir_removal(struct vfs *v, const struct op_result *res)
{
    struct staging_owner owner;
    staging_enter(v->staging, &owner);
    staging_drop_dir(v->staging, res->ino);
    staging_leave(&owner);
    if ((res->rflags & OPR_GONE) != 0 && res->has_attr)
        removed_note(v, res->ino, res->parent, &res->attr);
}

int vfs_rmdir(struct vfs *v, struct vfs_loc *loc)
{
    struct request r;
    int rc = request_simple(v, &r, OP_RMDIR, loc);
    if (rc == 0 && r.res.ino != 0)
        after_dir_removal(v, &r.res);
    request_fini(&r);
    return rc;
}

int vfs_rename(struct vfs *v, struct vfs_loc *from, struct vfs_loc *to, unsigned flags)
{
    struct request r;
    uint32_t bytes;

    if ((flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0 ||
        flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL;
    uint64_t *held = slots_held(v, &bytes);
    request_init(v, &r, OP_RENAME, from);
    r.op.base2 = to->base;
    r.op.path2 = to->path;
    r.op.data = held;
    r.op.data_len = bytes;
    r.op.flags = (flags & RENAME_NOREPLACE ? OPF_NOREPLACE : 0) |
                 (flags & RENAME_EXCHANGE ? OPF_EXCHANGE : 0);
    int rc = request_call(v, &r, from);
    if (rc == 0 && r.res.has_attr && r.res.attr.type == TYPE_DIRECTORY)
        after_dir_removal(v, &r.res);
    else if (rc == 0)
        removal_done(v, &r.res);
    request_fini(&r);
    free(held);
    return rc == VFS_ESCAPE ? -EXDEV : rc;
}
