/*
 * lx_make.c - a new name with all that happened to it before it was sent (op_make).
 */
#include "core/meta/lx.h"
#include "core/meta/make.h"

#include <errno.h>

static int count_one(void *ctx, struct kv_val key, struct kv_val value)
{
    (void)key, (void)value;
    ++*(uint64_t *)ctx;
    return 0;
}

/* Entries of a directory.  Counting costs time, so what one request counted is kept and goes on
 * with the names that it makes. */
static int count_entries(struct lx *x, uint64_t dir, uint64_t *n)
{
    struct lx_request *c = x->request;
    char key[LX_KEY];

    if (c->dir != dir) {
        c->entries = 0;
        lx_key(key, 'd', dir);
        int rc = lx_store(x, hash_scan(x->kv, key, NULL, 0, count_one, &c->entries));
        if (rc < 0)
            return rc;
        c->dir = dir;
    }
    *n = c->entries;
    return 0;
}

static bool is_device(const struct attr *a)
{
    return a->type == TYPE_BLOCKDEV || (a->type == TYPE_CHARDEV && a->rdev != 0);
}

static int refused(struct lx *x, const struct lx_walk *w, const struct make *m)
{
    int rc = lx_must_be_free(x, w, true);

    if (rc == 0 && x->op->cred.uid != 0 && is_device(&m->a)) {
        rc = lx_may_add(x, w);
        rc = rc < 0 ? rc : -EPERM;
    }
    if (rc == 0)
        rc = lx_new_refused(x, w, (int64_t)usage_of_length(lx_data_length(&m->a)));
    return rc;
}

int lx_op_make(struct lx *x)
{
    struct lx_walk w;
    struct make m;
    uint64_t ino = x->op->ino, entries = 0;
    char key[LX_KEY];

    int rc = make_parse(x->op, &m);
    if (rc == 0)
        rc = lx_start(x, &w, x->op->base, x->op->path);
    if (rc == 0)
        rc = lx_to_last(x, &w);
    if (rc == 0)
        rc = refused(x, &w, &m);
    if (rc == 0 && x->op->off != 0)
        rc = count_entries(x, w.dir, &entries);
    if (rc != 0)
        return rc;
    bool is_foreign = x->op->off != 0 && entries != x->op->off - 1;
    m.a.flags |= w.a.flags & ATTR_SKIP_TRASH;
    m.a.tier = w.a.tier;
    rc = lx_save(x, ino, &m.a);
    if (rc == 0 && m.a.type == TYPE_SYMLINK) {
        lx_key(key, 's', ino);
        rc = lx_set(x, key, NULL, 0, m.rest, m.rest_len);
    } else if (rc == 0) {
        rc = lx_push_items(x, ino, m.rest, m.rest_len);
    }
    if (rc == 0)
        rc = lx_enter(x, &w, &m.a);
    if (x->request->dir == w.dir)
        x->request->entries++;
    x->res->rflags = OPR_CREATED | (is_foreign ? OPR_FOREIGN : 0);
    return rc == 0 ? lx_answer(x, ino, NULL, w.dir) : rc;
}
