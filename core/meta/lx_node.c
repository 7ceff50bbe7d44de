/*
 * lx_node.c - new inodes and new names (lib_node, op_mknod, op_mkdir, op_symlink, op_link).
 */
#include "core/meta/lx.h"
#include "core/meta/meta.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int lx_may_add(struct lx *x, const struct lx_walk *w)
{
    if (lx_is_trash(w->dir))
        return -EPERM;
    if (lx_in_trash(w->a.parent))
        return -ENOENT;
    if (!lx_may(x, &w->a, 3))
        return -EACCES;
    return (w->a.flags & ATTR_IMMUTABLE) != 0 ? -EPERM : 0;
}

int lx_must_be_free(struct lx *x, const struct lx_walk *w, bool is_dir)
{
    uint8_t type;
    uint64_t ino;
    bool found = true;
    if (w->kind == LAST_NORM) {
        int rc = lx_entry(x, w->dir, w->name, w->name_len, &type, &ino, &found);
        if (rc < 0)
            return rc;
    }
    if (found)
        return -EEXIST;
    return w->slash && !is_dir ? -ENOENT : 0;
}

uint16_t meta_new_mode(const struct op_cred *cred, const struct attr *dir, uint8_t type,
                       uint16_t mode, uint16_t umask)
{
    bool setgid = (dir->mode & S_ISGID) != 0;
    if (setgid && type == TYPE_DIRECTORY)
        mode |= S_ISGID;
    else if (setgid && (mode & 02010) == 02010 && cred->uid != 0 && !lx_has_group(cred, dir->gid))
        mode &= (uint16_t)~S_ISGID; /* the kernel looks at the mode before the umask */
    return mode & (uint16_t)~umask;
}

struct attr lx_new_attr(const struct lx *x, uint64_t dir, const struct attr *d, uint8_t type,
                        uint16_t mode)
{
    const struct op *op = x->op;
    struct attr a = {.type = type, .parent = dir, .nlink = 1};
    a.flags = d->flags & ATTR_SKIP_TRASH;
    a.tier = d->tier;
    a.uid = op->cred.uid;
    a.gid = (d->mode & S_ISGID) != 0 ? d->gid : op->cred.gid;
    a.atime = a.mtime = a.ctime = op->now;
    a.mode = type == TYPE_SYMLINK ? 0777 : meta_new_mode(&op->cred, d, type, mode, op->umask);
    if (type == TYPE_DIRECTORY) {
        a.nlink = 2;
        a.length = 4096;
    } else if (type == TYPE_SYMLINK) {
        a.length = op->data_len;
    } else if (type == TYPE_BLOCKDEV || type == TYPE_CHARDEV) {
        a.rdev = op->rdev;
    }
    return a;
}

int lx_new_refused(struct lx *x, const struct lx_walk *w, int64_t space)
{
    uint64_t ino = x->op->ino;
    struct attr there;
    bool found = false;

    int rc = lx_may_add(x, w);
    if (rc < 0)
        return rc;
    if (lx_reserved(w))
        return -EEXIST;
    if (ino == 0 || ino == INO_ROOT || lx_is_trash(ino))
        return -EINVAL;
    rc = lx_room(x, w->dir, space, 1);
    if (rc == 0)
        rc = lx_load(x, ino, &there, &found);
    return rc == 0 && found ? -EIO : rc; /* an inode number is given once */
}

int lx_enter(struct lx *x, struct lx_walk *w, const struct attr *a)
{
    bool is_dir = a->type == TYPE_DIRECTORY;
    int rc = 0;

    if (is_dir)
        w->a.nlink++;
    if (lx_touch(x, w->dir, &w->a, is_dir))
        rc = lx_save(x, w->dir, &w->a);
    if (rc == 0)
        rc = lx_entry_set(x, w->dir, w->name, w->name_len, a->type, x->op->ino);
    if (rc == 0 && is_dir)
        rc = lx_new_dir_stats(x, x->op->ino);
    if (rc == 0)
        rc = lx_volume(x, (int64_t)usage_of_length(lx_data_length(a)), 1);
    return rc == 0 ? lx_count_entry(x, w->dir, a, 1) : rc;
}

int lx_create(struct lx *x, struct lx_walk *w, uint8_t type, uint16_t mode, const char *target,
              size_t len, struct attr *out)
{
    uint64_t ino = x->op->ino;
    char key[LX_KEY];

    int rc = lx_new_refused(x, w, 4096);
    if (rc < 0)
        return rc;
    struct attr a = lx_new_attr(x, w->dir, &w->a, type, mode);
    rc = lx_save(x, ino, &a);
    if (rc == 0 && target != NULL) {
        lx_key(key, 's', ino);
        rc = lx_set(x, key, NULL, 0, target, len);
    }
    if (rc == 0)
        rc = lx_enter(x, w, &a);
    *out = a;
    return rc;
}

/* The common end of the ops that make a node. */
static int made(struct lx *x, struct lx_walk *w, uint8_t type, uint16_t mode, const char *target,
                size_t len)
{
    struct attr a;
    int rc = lx_create(x, w, type, mode, target, len, &a);
    if (rc < 0)
        return rc;
    x->res->rflags = OPR_CREATED;
    if (target != NULL)
        buf_add(&x->res->extra, target, len);
    return lx_answer(x, x->op->ino, &a, w->dir);
}

static int to_last(struct lx *x, struct lx_walk *w)
{
    int rc = lx_start(x, w, x->op->base, x->op->path);
    return rc == 0 ? lx_to_last(x, w) : rc;
}

int lx_op_mknod(struct lx *x)
{
    struct lx_walk w;
    uint8_t type = (uint8_t)(x->op->mode >> 12);
    int rc = to_last(x, &w);
    if (rc != 0)
        return rc;
    if (type == TYPE_DIRECTORY)
        return -EPERM;
    if (type < TYPE_FILE || type > TYPE_SOCKET || type == TYPE_SYMLINK)
        return -EINVAL;
    rc = lx_must_be_free(x, &w, false);
    if (rc < 0)
        return rc;
    if (x->op->cred.uid != 0 &&
        (type == TYPE_BLOCKDEV || (type == TYPE_CHARDEV && x->op->rdev != 0))) {
        rc = lx_may_add(x, &w);
        return rc < 0 ? rc : -EPERM;
    }
    return made(x, &w, type, x->op->mode & 07777, NULL, 0);
}

int lx_op_mkdir(struct lx *x)
{
    struct lx_walk w;
    int rc = to_last(x, &w);
    if (rc == 0)
        rc = lx_must_be_free(x, &w, true);
    return rc == 0 ? made(x, &w, TYPE_DIRECTORY, x->op->mode & 01777, NULL, 0) : rc;
}

int lx_op_symlink(struct lx *x)
{
    struct lx_walk w;
    const char *target = x->op->data;
    size_t len = x->op->data_len;
    if (len == 0)
        return -ENOENT;
    if (len > PATH_LEN_MAX)
        return -ENAMETOOLONG;
    if (memchr(target, '\0', len) != NULL)
        return -EINVAL;
    int rc = to_last(x, &w);
    if (rc == 0)
        rc = lx_must_be_free(x, &w, false);
    return rc == 0 ? made(x, &w, TYPE_SYMLINK, 0777, target, len) : rc;
}

static int may_link_unnamed(struct lx *x, uint64_t ino, const char *session)
{
    char f[24];
    struct kv_val v;
    bool found = false;
    int rc = 0;
    int n = snprintf(f, sizeof(f), "%" PRIu64, ino);
    if (lx_has(x, OPF_BY_FD) && x->op->sid != 0)
        rc = lx_get(x, session, f, (size_t)n, &v, &found);
    return rc < 0 ? rc : found ? 0 : -ENOENT;
}

int lx_op_link(struct lx *x)
{
    struct lx_walk w, to;
    char key[LX_KEY], session[LX_KEY];
    int rc = lx_start(x, &w, x->op->base, x->op->path);
    if (rc == 0)
        rc = lx_object(x, &w, lx_has(x, OPF_NOFOLLOW));
    if (rc == 0)
        rc = lx_start(x, &to, x->op->base2, x->op->path2);
    if (rc == 0) {
        rc = lx_to_last(x, &to);
        if (rc == LX_ESCAPE)
            x->res->rflags = 2; /* it was the second path */
    }
    if (rc == 0)
        rc = lx_must_be_free(x, &to, false);
    if (rc != 0)
        return rc;
    struct attr *a = &w.attr;
    if (!lx_may_link(x, a) || lx_reserved(&to))
        return -EPERM;
    rc = lx_may_add(x, &to);
    if (rc < 0)
        return rc;
    if (a->type == TYPE_DIRECTORY || (a->flags & (ATTR_IMMUTABLE | ATTR_APPEND)) != 0)
        return -EPERM;
    if (w.corrupt || (lx_in_trash(a->parent) && lx_has(x, OPF_BY_FD)))
        return -ENOENT;
    snprintf(session, sizeof(session), "session%" PRIu64, x->op->sid);
    if (a->nlink == 0 && (rc = may_link_unnamed(x, w.ino, session)) < 0)
        return rc;
    rc = lx_room_dir(x, to.dir, (int64_t)usage_of_length(lx_data_length(a)), 1);
    if (rc < 0)
        return rc;

    rc = lx_entry_set(x, to.dir, to.name, to.name_len, a->type, w.ino);
    if (rc == 0 && lx_touch(x, to.dir, &to.a, false))
        rc = lx_save(x, to.dir, &to.a);
    uint64_t old = a->parent;
    a->ctime = x->op->now;
    a->nlink++;
    if (a->nlink == 1) {
        if (rc == 0)
            rc = lx_del_ino(x, session, w.ino);
        a->parent = to.dir;
    } else {
        lx_key(key, 'p', w.ino);
        a->parent = 0;
        if (rc == 0 && old != 0)
            rc = lx_incr_ino(x, key, old, 1);
        if (rc == 0)
            rc = lx_incr_ino(x, key, to.dir, 1);
    }
    if (rc == 0)
        rc = lx_save(x, w.ino, a);
    if (rc == 0)
        rc = lx_count_entry(x, to.dir, a, 1);
    return rc == 0 ? lx_answer(x, w.ino, a, to.dir) : rc;
}
