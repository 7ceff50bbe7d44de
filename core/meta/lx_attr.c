/*
 * lx_attr.c - attributes and extended attributes (op_setattr, op_xattr).
 */
#include "core/meta/lx.h"
#include "core/meta/meta.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define FROZEN (ATTR_IMMUTABLE | ATTR_APPEND)

static int object(struct lx *x, struct lx_walk *w)
{
    int rc = lx_start(x, w, x->op->base, x->op->path);
    if (rc == 0)
        rc = lx_object(x, w, lx_has(x, OPF_NOFOLLOW));
    return rc == 0 && w->corrupt ? -ENOENT : rc;
}

static bool set(const struct lx *x, uint32_t bits)
{
    return (x->op->valid & bits) != 0;
}

/* The kernel's setattr_prepare(). */
static int refused(struct lx *x, const struct attr *a)
{
    const struct op *op = x->op;
    uint32_t uid = op->cred.uid;
    bool owner = uid == 0 || uid == a->uid;
    bool now = set(x, SET_ATIME_NOW) && set(x, SET_MTIME_NOW);
    bool times = !now && set(x, SET_ATIME | SET_MTIME | SET_ATIME_NOW | SET_MTIME_NOW);
    if ((times || set(x, SET_MODE | SET_UID | SET_GID)) && (a->flags & FROZEN) != 0)
        return -EPERM;
    if (now && (a->flags & ATTR_IMMUTABLE) != 0)
        return -EPERM;
    if (now && !owner && !lx_may(x, a, 2))
        return -EACCES;
    if ((times || set(x, SET_MODE | SET_FLAGS)) && !owner)
        return -EPERM;
    if (uid != 0) {
        struct attr less = *a;
        if (op->valid == 0 && !owner && a->type != TYPE_DIRECTORY && lx_drop_priv(x, &less))
            return -EPERM;
        if (set(x, SET_UID) && !(owner && op->new_uid == a->uid))
            return -EPERM;
        if (set(x, SET_GID) && !(owner && (op->new_gid == a->gid || lx_in_group(x, op->new_gid))))
            return -EPERM;
        if (set(x, SET_FLAGS) && ((op->mode ^ a->flags) & FROZEN) != 0)
            return -EPERM;
    }
    return set(x, SET_MODE) && a->type == TYPE_SYMLINK ? -EOPNOTSUPP : 0;
}

static bool own(struct lx *x, struct attr *a)
{
    const struct op *op = x->op;
    bool chown = set(x, SET_UID | SET_GID) || op->valid == 0;
    uint16_t special = a->mode & (S_ISUID | S_ISGID);
    bool changed = chown && special != 0;
    uint16_t keep = 07777;
    if (changed && a->type != TYPE_DIRECTORY)
        keep = op->cred.uid != 0 || (a->mode & S_IXGRP) != 0 ? 01777 : 03777;
    a->mode &= keep;
    if (set(x, SET_GID) && op->new_gid != a->gid) {
        a->gid = op->new_gid;
        changed = true;
    }
    if (set(x, SET_UID) && op->new_uid != a->uid) {
        a->uid = op->new_uid;
        changed = true;
    }
    if (set(x, SET_MODE)) {
        uint16_t mode = op->mode & 07777;
        if (chown)
            mode = (mode | special) & keep;
        if (op->cred.uid != 0 && (mode & S_ISGID) != 0 && !lx_in_group(x, a->gid))
            mode &= (uint16_t)~S_ISGID;
        changed = changed || mode != a->mode;
        a->mode = mode;
    }
    return changed;
}

static bool differs(struct moment a, struct moment b)
{
    return a.sec != b.sec || a.nsec != b.nsec;
}

/* One of the two times; a time before 1970 means now, as stock has it. */
static bool new_time(struct lx *x, bool given, bool now, struct moment value, struct moment *at)
{
    if (now || (given && value.sec < 0)) {
        *at = x->op->now;
        return true;
    }
    if (!given || !differs(value, *at))
        return false;
    *at = value;
    return true;
}

int lx_setattr(struct lx *x, struct attr *a)
{
    const struct op *op = x->op;
    if (op->valid > 255 || (set(x, SET_FLAGS) && set(x, SET_MODE)))
        return -EINVAL;
    int rc = refused(x, a);
    if (rc < 0)
        return rc;
    bool changed = own(x, a);
    changed |= new_time(x, set(x, SET_ATIME), set(x, SET_ATIME_NOW), op->atime, &a->atime);
    changed |= new_time(x, set(x, SET_MTIME), set(x, SET_MTIME_NOW), op->mtime, &a->mtime);
    if (set(x, SET_FLAGS)) {
        a->flags = (uint8_t)op->mode;
        changed = true;
    }
    if (changed)
        a->ctime = op->now;
    return changed;
}

int meta_setattr_unnamed(const struct op *op, struct attr *a)
{
    struct lx x = {.op = op};
    int rc = lx_setattr(&x, a);
    return rc < 0 ? rc : 0;
}

int lx_op_setattr(struct lx *x)
{
    const struct op *op = x->op;
    struct lx_walk w;
    int rc = lx_start(x, &w, op->base, op->path);
    if (rc == 0)
        rc = lx_object(x, &w, lx_has(x, OPF_NOFOLLOW));
    if (rc != 0)
        return rc;
    struct attr *a = &w.attr;
    if (w.corrupt)
        return -ENOENT;
    if (lx_is_trash(w.ino) || (lx_in_trash(a->parent) && !lx_has(x, OPF_BY_FD)))
        return -EPERM;
    rc = lx_setattr(x, a);
    if (rc > 0)
        rc = lx_save(x, w.ino, a);
    return rc == 0 ? lx_answer(x, w.ino, a, w.parent) : rc;
}

/* --- extended attributes
 * ------------------------------------------------------------------------------ */

static bool begins(const char *name, const char *space)
{
    return strncmp(name, space, strlen(space)) == 0;
}

int lx_xattr_permitted(struct lx *x, const struct attr *a, const char *name, uint32_t mask)
{
    bool writes = mask == 2;
    uint32_t uid = x->op->cred.uid;
    if (name[0] == '\0' || strlen(name) > NAME_LEN_MAX)
        return -ERANGE;
    if (writes && (a->flags & FROZEN) != 0)
        return -EPERM;
    if (begins(name, "security.") || strcmp(name, "system.posix_acl_access") == 0 ||
        strcmp(name, "system.posix_acl_default") == 0)
        return writes ? -EOPNOTSUPP : -ENODATA;
    if (begins(name, "trusted.")) {
        if (uid != 0)
            return writes ? -EPERM : -ENODATA;
        return name[8] == '\0' ? -EINVAL : 0;
    }
    if (!begins(name, "user."))
        return !begins(name, "system.") && !lx_may(x, a, mask) ? -EACCES : -EOPNOTSUPP;
    if (a->type != TYPE_FILE && a->type != TYPE_DIRECTORY)
        return writes ? -EPERM : -ENODATA;
    if (writes && a->type == TYPE_DIRECTORY && (a->mode & S_ISVTX) != 0 && uid != 0 &&
        uid != a->uid)
        return -EPERM;
    if (!lx_may(x, a, mask))
        return -EACCES;
    return name[5] == '\0' ? -EINVAL : 0;
}

static const char *name_of(const struct lx *x)
{
    return x->op->path2 != NULL ? x->op->path2 : "";
}

int lx_op_getxattr(struct lx *x)
{
    struct lx_walk w;
    struct kv_val v;
    char key[LX_KEY];
    bool found;
    int rc = object(x, &w);
    if (rc == 0)
        rc = lx_xattr_permitted(x, &w.attr, name_of(x), 4);
    if (rc != 0)
        return rc;
    lx_key(key, 'x', w.ino);
    rc = lx_get(x, key, name_of(x), strlen(name_of(x)), &v, &found);
    if (rc < 0 || !found)
        return rc < 0 ? rc : -ENODATA;
    buf_add(&x->res->extra, v.data, v.len);
    return lx_answer(x, w.ino, &w.attr, w.parent);
}

static int add_name(void *ctx, struct kv_val key, struct kv_val value)
{
    struct lx *x = ctx;
    char name[NAME_LEN_MAX + 1];
    (void)value;
    if (key.len > NAME_LEN_MAX)
        return 0;
    memcpy(name, key.data, key.len);
    name[key.len] = '\0';
    if (begins(name, "user.") || (x->op->cred.uid == 0 && begins(name, "trusted.")))
        buf_add(&x->res->extra, name, key.len + 1);
    return 0;
}

int lx_op_listxattr(struct lx *x)
{
    struct lx_walk w;
    char key[LX_KEY];
    int rc = object(x, &w);
    if (rc != 0)
        return rc;
    lx_key(key, 'x', w.ino);
    rc = lx_store(x, hash_scan(x->kv, key, NULL, 0, add_name, x));
    return rc == 0 ? lx_answer(x, w.ino, &w.attr, w.parent) : rc;
}

int lx_op_setxattr(struct lx *x)
{
    const struct op *op = x->op;
    struct lx_walk w;
    struct kv_val v;
    char key[LX_KEY];
    bool found;
    size_t n = strlen(name_of(x));
    if (op->mode > 3)
        return -EINVAL;
    if (n == 0 || n > NAME_LEN_MAX)
        return -ERANGE;
    if (op->data_len > XATTR_VALUE_MAX)
        return -E2BIG;
    int rc = object(x, &w);
    if (rc == 0)
        rc = lx_xattr_permitted(x, &w.attr, name_of(x), 2);
    if (rc != 0)
        return rc;
    lx_key(key, 'x', w.ino);
    rc = lx_get(x, key, name_of(x), n, &v, &found);
    if (rc == 0 && found && (op->mode & 1) != 0)
        return -EEXIST;
    if (rc == 0 && !found && (op->mode & 2) != 0)
        return -ENODATA;
    if (rc == 0)
        rc = lx_set(x, key, name_of(x), n, op->data, op->data_len);
    return rc == 0 ? lx_answer(x, w.ino, &w.attr, w.parent) : rc;
}

int lx_op_removexattr(struct lx *x)
{
    struct lx_walk w;
    char key[LX_KEY];
    bool found;
    int rc = object(x, &w);
    if (rc == 0)
        rc = lx_xattr_permitted(x, &w.attr, name_of(x), 2);
    if (rc != 0)
        return rc;
    lx_key(key, 'x', w.ino);
    rc = lx_store(x, hash_del(x->kv, key, name_of(x), strlen(name_of(x)), &found));
    if (rc < 0 || !found)
        return rc < 0 ? rc : -ENODATA;
    return lx_answer(x, w.ino, &w.attr, w.parent);
}
