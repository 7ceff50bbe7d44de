/*
 * lx_read.c - finding, opening and listing (op_lookup, op_open, op_readdir, op_pathof, op_statfs).
 */
#include "core/meta/lx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int add_target(struct lx *x, uint64_t ino)
{
    char key[LX_KEY];
    struct kv_val v;
    bool found;
    lx_key(key, 's', ino);
    int rc = lx_get(x, key, NULL, 0, &v, &found);
    if (rc == 0 && found)
        buf_add(&x->res->extra, v.data, v.len);
    return rc;
}

static int walk(struct lx *x, struct lx_walk *w, bool nofollow)
{
    int rc = lx_start(x, w, x->op->base, x->op->path);
    return rc == 0 ? lx_object(x, w, nofollow) : rc;
}

int lx_op_lookup(struct lx *x)
{
    struct lx_walk w;
    uint32_t mask = x->op->valid;
    int rc = walk(x, &w, lx_has(x, OPF_NOFOLLOW));
    if (rc != 0)
        return rc;
    if (w.attr.type != TYPE_DIRECTORY && lx_has(x, OPF_DIRECTORY))
        return -ENOTDIR;
    if (mask != 0 && !lx_may(x, &w.attr, mask))
        return -EACCES;
    if ((mask & 2) != 0 && ((w.attr.flags & ATTR_IMMUTABLE) != 0 || lx_in_trash(w.attr.parent)))
        return -EPERM;
    if (w.attr.type == TYPE_SYMLINK)
        rc = add_target(x, w.ino);
    return rc == 0 ? lx_answer(x, w.ino, &w.attr, w.parent) : rc;
}

/* --- open
 * --------------------------------------------------------------------------------------------- */

static int may_open(struct lx *x, const struct lx_walk *w)
{
    const struct attr *a = &w->attr;
    if (lx_has(x, OPF_CREATE)) {
        if (lx_has(x, OPF_EXCL))
            return -EEXIST;
        if (a->type == TYPE_DIRECTORY)
            return -EISDIR;
    }
    if (lx_has(x, OPF_DIRECTORY) && a->type != TYPE_DIRECTORY)
        return -ENOTDIR;
    if (lx_has(x, OPF_OPATH))
        return 0;
    if (a->type == TYPE_SYMLINK)
        return -ELOOP;
    bool trunc = lx_has(x, OPF_TRUNC);
    uint32_t mask = (x->op->valid & 7) | (trunc ? 2 : 0);
    bool writes = (mask & 2) != 0;
    if (writes && a->type == TYPE_DIRECTORY)
        return -EISDIR;
    if (!lx_may(x, a, mask))
        return -EACCES;
    if (writes && a->type == TYPE_FILE) {
        if ((a->flags & ATTR_IMMUTABLE) != 0 || lx_in_trash(a->parent))
            return -EPERM;
        if ((a->flags & ATTR_APPEND) != 0 && (trunc || !lx_has(x, OPF_APPEND)))
            return -EPERM;
    }
    return 0;
}

static int open_create(struct lx *x, struct lx_walk *w)
{
    struct attr a;
    if (lx_has(x, OPF_DIRECTORY))
        return -EINVAL;
    if (lx_reserved(w))
        return lx_has(x, OPF_EXCL) ? -EEXIST : -EPERM;
    int rc = lx_create(x, w, TYPE_FILE, x->op->mode & 07777, NULL, 0, &a);
    if (rc < 0)
        return rc;
    x->res->rflags = OPR_CREATED | (w->linked ? OPR_LINKED : 0);
    return lx_answer(x, x->op->ino, &a, w->dir);
}

int lx_op_open(struct lx *x)
{
    struct lx_walk w;
    bool create = lx_has(x, OPF_CREATE) && !lx_has(x, OPF_OPATH);
    int rc = lx_start(x, &w, x->op->base, x->op->path);
    w.creating = create;
    if (rc == 0)
        rc = lx_object(x, &w, lx_has(x, OPF_NOFOLLOW) || (create && lx_has(x, OPF_EXCL)));
    if (x->fatal != 0)
        return rc;
    if (create && rc == -ENOENT && w.kind == LAST_NORM)
        return open_create(x, &w);
    if (rc != 0)
        return rc;
    rc = may_open(x, &w);
    if (rc < 0)
        return rc;
    if (w.attr.type == TYPE_FILE && !lx_has(x, OPF_OPATH)) {
        if (w.corrupt)
            return -EIO;
        if (lx_has(x, OPF_TRUNC))
            rc = lx_truncate(x, w.ino, &w.attr, 0);
        if (rc == 0 && w.attr.length > 0)
            rc = lx_records(x, w.ino, 0, &x->res->extra);
    } else if (w.attr.type == TYPE_SYMLINK) {
        rc = add_target(x, w.ino);
    }
    return rc == 0 ? lx_answer(x, w.ino, &w.attr, w.parent) : rc;
}

/* --- listing
 * ------------------------------------------------------------------------------------------- */

struct page {
    struct lx *x;
    uint64_t left;
    bool more;
};

static int add_entry(void *ctx, struct kv_val key, struct kv_val value)
{
    struct page *p = ctx;
    struct buf *out = &p->x->res->extra;
    struct kv_val raw;
    char ikey[LX_KEY];
    bool found;
    if (p->left == 0) {
        p->more = true;
        return 1;
    }
    if (value.len != ENTRY_BYTES || key.len == 0)
        return 0;
    p->left--;
    lx_key(ikey, 'i', get_be64((const uint8_t *)value.data + 1));
    int rc = lx_get(p->x, ikey, NULL, 0, &raw, &found);
    if (rc < 0)
        return rc;
    buf_add_be16(out, (uint16_t)key.len);
    buf_add(out, key.data, key.len);
    buf_add(out, value.data, value.len);
    buf_add_be16(out, (uint16_t)raw.len);
    buf_add(out, raw.data, raw.len);
    return 0;
}

int lx_op_readdir(struct lx *x)
{
    const struct op *op = x->op;
    struct lx_walk w;
    char key[LX_KEY];
    bool by_path = op->path != NULL && op->path[0] != '\0';
    int rc = walk(x, &w, lx_has(x, OPF_NOFOLLOW));
    if (rc != 0)
        return rc;
    if (w.attr.type != TYPE_DIRECTORY)
        return -ENOTDIR;
    if (by_path && !lx_has(x, OPF_BY_FD) && !lx_may(x, &w.attr, 4))
        return -EACCES;
    /* Names are kept in order here, so a page goes on after the last name of the one before. */
    const char *after = op->off != 0 ? op->path2 : NULL;
    struct page p = {.x = x, .left = op->len == 0 ? 512 : op->len < 4096 ? op->len : 4096};
    buf_add_be64(&x->res->extra, 0);
    lx_key(key, 'd', w.ino);
    rc = hash_scan(x->kv, key, after, after != NULL ? strlen(after) : 0, add_entry, &p);
    if (rc < 0)
        return lx_store(x, rc);
    rc = buf_ok(&x->res->extra);
    if (rc == 0)
        put_be64(x->res->extra.data, p.more ? 1 : 0);
    return rc == 0 ? lx_answer(x, w.ino, &w.attr, w.parent) : rc;
}

/* --- path of a directory
 * --------------------------------------------------------------------------------- */

struct name_in {
    uint8_t entry[ENTRY_BYTES];
    char name[NAME_LEN_MAX + 1];
    bool found;
};

static int is_it(void *ctx, struct kv_val key, struct kv_val value)
{
    struct name_in *n = ctx;
    if (value.len != ENTRY_BYTES || memcmp(value.data, n->entry, ENTRY_BYTES) != 0 ||
        key.len > NAME_LEN_MAX)
        return 0;
    memcpy(n->name, key.data, key.len);
    n->name[key.len] = '\0';
    n->found = true;
    return 1;
}

static int name_in_parent(struct lx *x, uint64_t parent, uint64_t ino, struct name_in *n)
{
    char key[LX_KEY];
    n->found = ino == INO_TRASH;
    strcpy(n->name, ".trash");
    if (n->found)
        return 0;
    lx_key(key, 'd', parent);
    entry_encode(TYPE_DIRECTORY, ino, n->entry);
    int rc = hash_scan(x->kv, key, NULL, 0, is_it, n);
    return rc < 0 ? lx_store(x, rc) : n->found ? 0 : -ENOENT;
}

int lx_op_pathof(struct lx *x)
{
    char path[PATH_MAX + 1];
    size_t at = PATH_MAX; /* it is written from its end */
    uint64_t ino = x->op->base;
    struct attr first = {0};
    for (int depth = 0; depth < 2048; depth++) {
        struct attr a;
        struct name_in n;
        bool found;
        int rc = lx_load(x, ino, &a, &found);
        if (rc < 0 || !found)
            return rc < 0 ? rc : -ENOENT;
        if (a.type != TYPE_DIRECTORY)
            return -ENOTDIR;
        if (depth == 0)
            first = a;
        if (ino == INO_ROOT) {
            buf_add(&x->res->extra, path + at, PATH_MAX - at);
            return lx_answer(x, x->op->base, &first, first.parent);
        }
        if (lx_in_trash(a.parent))
            return -ENOENT;
        rc = name_in_parent(x, a.parent, ino, &n);
        if (rc < 0)
            return rc;
        size_t len = strlen(n.name);
        if (len + 1 > at || PATH_MAX - at + len + 1 > PATH_LEN_MAX)
            return -ENAMETOOLONG;
        at -= len + 1;
        path[at] = '/';
        memcpy(path + at + 1, n.name, len);
        ino = a.parent;
    }
    return -ELOOP;
}

int lx_op_statfs(struct lx *x)
{
    static const char *const counters[] = {"usedSpace", "totalInodes"};
    int rc = 0;
    for (int i = 0; rc == 0 && i < 2; i++) {
        struct kv_val v;
        char text[32] = "";
        bool found;
        rc = lx_get(x, counters[i], NULL, 0, &v, &found);
        if (rc == 0 && v.len < sizeof(text))
            memcpy(text, v.len > 0 ? v.data : "", v.len);
        buf_add_be64(&x->res->extra, (uint64_t)strtoll(text, NULL, 10));
    }
    bool quotas = false;
    if (rc == 0)
        rc = lx_any(x, "dirQuota", &quotas);
    buf_add_be64(&x->res->extra, quotas);
    return rc;
}
