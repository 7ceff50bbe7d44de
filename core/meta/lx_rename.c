/*
 * lx_rename.c - renameat2(2) (op_rename).
 */
#include "core/meta/lx.h"

#include <errno.h>
#include <string.h>

struct side {
    uint8_t type; /* 0: no such name */
    uint64_t ino;
    struct attr a;
    bool has_attr;
};

struct move {
    struct lx_walk s, t; /* parents of source and target */
    struct attr *ta;     /* t's attr: s's own when both are one directory */
    struct side src, dst;
    bool exchange, across;
    bool has_quotas;
    struct lx_quotas from, to;
    int64_t space, inodes;
    struct lx_plan plan;
};

static int entry(struct lx *x, struct lx_walk *w, struct side *o)
{
    bool found;
    int rc = lx_entry(x, w->dir, w->name, w->name_len, &o->type, &o->ino, &found);
    if (rc == 0 && !found)
        o->type = 0, o->ino = 0;
    return rc;
}

static int loops(struct lx *x, const struct move *m)
{
    if (m->src.type == TYPE_DIRECTORY) {
        int below = lx_is_below(x, m->t.dir, m->src.ino);
        if (below != 0)
            return below < 0 ? below : -EINVAL;
    }
    if (m->dst.type == TYPE_DIRECTORY) {
        int below = lx_is_below(x, m->s.dir, m->dst.ino);
        if (below != 0)
            return below < 0 ? below : m->exchange ? -EINVAL : -ENOTEMPTY;
    }
    return 0;
}

/* What the kernel decides before the permissions; 1: nothing to do. */
static int check_names(struct lx *x, const struct move *m)
{
    if (m->src.type == 0)
        return -ENOENT;
    if (m->dst.type != 0 && lx_has(x, OPF_NOREPLACE))
        return -EEXIST;
    if (m->exchange && m->dst.type == 0)
        return -ENOENT;
    if (m->exchange && m->dst.type != TYPE_DIRECTORY && m->t.slash)
        return -ENOTDIR;
    if (m->src.type != TYPE_DIRECTORY && (m->s.slash || (!m->exchange && m->t.slash)))
        return -ENOTDIR;
    if (lx_reserved(&m->s) || lx_reserved(&m->t))
        return -EPERM;
    int rc = m->across ? loops(x, m) : 0;
    return rc == 0 && m->src.ino == m->dst.ino ? 1 : rc;
}

static int check_target(struct lx *x, const struct move *m)
{
    if (m->dst.type == 0) {
        struct lx_walk *t = (struct lx_walk *)&m->t;
        return lx_may_add(x, t);
    }
    if (!lx_may(x, m->ta, 3))
        return -EACCES;
    if ((m->ta->flags & ATTR_IMMUTABLE) != 0)
        return -EPERM;
    if (m->dst.has_attr &&
        (lx_sticky(x, m->ta, &m->dst.a) || (m->dst.a.flags & (ATTR_IMMUTABLE | ATTR_APPEND)) != 0))
        return -EPERM;
    if (m->exchange)
        return 0;
    if (m->src.type == TYPE_DIRECTORY && m->dst.type != TYPE_DIRECTORY)
        return -ENOTDIR;
    return m->src.type != TYPE_DIRECTORY && m->dst.type == TYPE_DIRECTORY ? -EISDIR : 0;
}

static int check_allowed(struct lx *x, const struct move *m)
{
    char key[LX_KEY];
    bool any;

    if (lx_is_trash(m->t.dir) || m->s.dir == INO_TRASH)
        return -EPERM;
    int rc = lx_may_remove(x, m->s.dir, &m->s.a, &m->src.a);
    if (rc < 0)
        return rc;
    if (lx_in_trash(m->ta->parent))
        return -ENOENT;
    rc = check_target(x, m);
    if (rc < 0)
        return rc;
    /* a directory that gets another parent is written to (its "..") */
    if (m->across && m->src.type == TYPE_DIRECTORY && !lx_may(x, &m->src.a, 2))
        return -EACCES;
    if (m->across && m->exchange && m->dst.type == TYPE_DIRECTORY && !lx_may(x, &m->dst.a, 2))
        return -EACCES;
    if (m->dst.type != TYPE_DIRECTORY || m->exchange)
        return 0;
    lx_key(key, 'd', m->dst.ino);
    rc = lx_any(x, key, &any);
    return rc == 0 && any ? -ENOTEMPTY : rc;
}

static int plan_quotas(struct lx *x, struct move *m)
{
    if (!m->across)
        return 0;
    int rc = lx_quota_dirs(x, m->s.dir, &m->from);
    if (rc == 0)
        rc = lx_quota_dirs(x, m->t.dir, &m->to);
    if (rc < 0 || x->has_quotas != 1)
        return rc;
    uint64_t near_from = m->from.n > 0 ? m->from.dir[0] : 0;
    uint64_t near_to = m->to.n > 0 ? m->to.dir[0] : 0;
    if (near_from == near_to)
        return 0;
    /* quotas above both see no change */
    while (m->from.n > 0 && m->to.n > 0 && m->from.dir[m->from.n - 1] == m->to.dir[m->to.n - 1]) {
        m->from.n--;
        m->to.n--;
    }
    rc = lx_tree(x, m->src.ino, &m->src.a, &m->space, &m->inodes);
    if (rc == 0 && m->exchange) {
        int64_t space, inodes;
        rc = lx_tree(x, m->dst.ino, &m->dst.a, &space, &inodes);
        m->space -= space;
        m->inodes -= inodes;
    }
    if (rc == 0)
        rc = lx_room_quotas(x, &m->to, m->space, m->inodes);
    if (rc == 0)
        rc = lx_room_quotas(x, &m->from, -m->space, -m->inodes);
    m->has_quotas = rc == 0;
    return rc;
}

static int reparent(struct lx *x, struct side *o, uint64_t from, uint64_t to)
{
    char key[LX_KEY];
    if (o->a.type == TYPE_DIRECTORY || o->a.parent != 0) {
        o->a.parent = to;
        return 0;
    }
    lx_key(key, 'p', o->ino);
    int rc = lx_incr_ino(x, key, to, 1);
    return rc == 0 ? lx_incr_ino(x, key, from, -1) : rc;
}

static int count(struct lx *x, uint64_t dir, const struct attr *a, int sign)
{
    int64_t len = (int64_t)lx_data_length(a);
    int64_t space = (int64_t)usage_of_length(lx_data_length(a));
    return lx_stats(x, dir, sign * len, sign * space, sign);
}

static int save_dir(struct lx *x, const struct lx_walk *w, struct attr *a, int links)
{
    if (lx_is_trash(w->dir))
        return 0;
    a->nlink = (uint32_t)((int64_t)a->nlink + links);
    return lx_touch(x, w->dir, a, links != 0 || w->forced) ? lx_save(x, w->dir, a) : 0;
}

/* The target loses its name to the source. */
static int replace(struct lx *x, struct move *m, int *t_links)
{
    static const char *const quota[] = {"dirQuota", "dirQuotaUsedSpace", "dirQuotaUsedInodes"};
    int rc = lx_entry_del(x, m->s.dir, m->s.name, m->s.name_len);
    if (rc < 0 || m->dst.type == 0)
        return rc;
    if (!m->dst.has_attr)
        return lx_count_lost(x, m->t.dir);
    rc = lx_count_entry(x, m->t.dir, &m->dst.a, -1);
    if (m->dst.type == TYPE_DIRECTORY) {
        --*t_links;
        m->t.forced = true;
        for (size_t i = 0; rc == 0 && i < sizeof(quota) / sizeof(*quota); i++)
            rc = lx_del_ino(x, quota[i], m->dst.ino);
    }
    if (rc == 0 && m->plan.to_trash) {
        rc = lx_trash_put(x, &m->plan, m->t.dir, m->dst.ino, &m->dst.a);
        x->res->rflags = OPR_TRASHED;
    } else if (rc == 0 && m->dst.type == TYPE_DIRECTORY) {
        rc = lx_drop_dir(x, m->dst.ino);
        x->res->rflags = OPR_GONE;
    } else if (rc == 0) {
        rc = lx_drop(x, m->t.dir, m->dst.ino, &m->dst.a);
    }
    return rc;
}

static int swap(struct lx *x, struct move *m, int *s_links, int *t_links)
{
    int rc = 0;
    if (m->across && m->dst.type == TYPE_DIRECTORY) {
        ++*s_links;
        --*t_links;
        m->s.forced = m->t.forced = true;
    }
    m->dst.a.ctime = x->op->now;
    if (m->across)
        rc = reparent(x, &m->dst, m->t.dir, m->s.dir);
    if (rc == 0)
        rc = lx_save(x, m->dst.ino, &m->dst.a);
    return rc == 0 ? lx_entry_set(x, m->s.dir, m->s.name, m->s.name_len, m->dst.type, m->dst.ino)
                   : rc;
}

static int count_across(struct lx *x, const struct move *m)
{
    int rc = count(x, m->s.dir, &m->src.a, -1);
    if (rc == 0)
        rc = count(x, m->t.dir, &m->src.a, 1);
    if (rc == 0 && m->exchange)
        rc = count(x, m->t.dir, &m->dst.a, -1);
    return rc == 0 && m->exchange ? count(x, m->s.dir, &m->dst.a, 1) : rc;
}

static int apply(struct lx *x, struct move *m)
{
    int s_links = 0, t_links = 0;
    if (m->across && m->src.type == TYPE_DIRECTORY) {
        s_links = -1;
        t_links = 1;
        m->s.forced = m->t.forced = true;
    }
    int rc = m->exchange ? swap(x, m, &s_links, &t_links) : replace(x, m, &t_links);
    if (rc == 0 && m->across) {
        rc = save_dir(x, &m->s, &m->s.a, s_links);
        if (rc == 0)
            rc = reparent(x, &m->src, m->s.dir, m->t.dir);
    }
    m->src.a.ctime = x->op->now;
    if (rc == 0)
        rc = lx_save(x, m->src.ino, &m->src.a);
    if (rc == 0)
        rc = lx_entry_set(x, m->t.dir, m->t.name, m->t.name_len, m->src.type, m->src.ino);
    if (rc == 0)
        rc = save_dir(x, &m->t, m->ta, t_links);
    if (rc == 0 && m->across)
        rc = count_across(x, m);
    if (rc == 0 && m->has_quotas)
        rc = lx_use_quotas(x, &m->from, -m->space, -m->inodes);
    return rc == 0 && m->has_quotas ? lx_use_quotas(x, &m->to, m->space, m->inodes) : rc;
}

static int walk(struct lx *x, struct move *m)
{
    int rc = lx_start(x, &m->s, x->op->base, x->op->path);
    if (rc == 0)
        rc = lx_to_last(x, &m->s);
    if (rc != 0)
        return rc;
    rc = lx_start(x, &m->t, x->op->base2, x->op->path2);
    if (rc == 0)
        rc = lx_to_last(x, &m->t);
    if (rc == LX_ESCAPE)
        x->res->rflags = 2; /* it was the second path */
    m->across = m->s.dir != m->t.dir;
    m->ta = m->across ? &m->t.a : &m->s.a;
    return rc;
}

int lx_op_rename(struct lx *x)
{
    struct move m = {.exchange = lx_has(x, OPF_EXCHANGE)};
    if (m.exchange && lx_has(x, OPF_NOREPLACE))
        return -EINVAL;
    int rc = walk(x, &m);
    if (rc != 0)
        return rc;
    if (m.s.kind != LAST_NORM)
        return -EBUSY;
    if (m.t.kind != LAST_NORM)
        return lx_has(x, OPF_NOREPLACE) ? -EEXIST : -EBUSY;
    rc = entry(x, &m.s, &m.src);
    if (rc == 0 && x->op->ino != 0 && m.src.type != 0 && x->op->ino != m.src.ino)
        rc = -ENOENT;
    if (rc == 0)
        rc = entry(x, &m.t, &m.dst);
    if (rc == 0)
        rc = check_names(x, &m);
    if (rc != 0)
        return rc == 1 ? lx_answer(x, 0, NULL, m.t.dir) : rc;
    rc = lx_load(x, m.src.ino, &m.src.a, &m.src.has_attr);
    if (rc == 0 && m.dst.type != 0)
        rc = lx_load(x, m.dst.ino, &m.dst.a, &m.dst.has_attr);
    if (rc == 0 && (!m.src.has_attr || (m.exchange && !m.dst.has_attr)))
        rc = -ENOENT;
    if (rc == 0)
        rc = check_allowed(x, &m);
    if (rc == 0)
        rc = plan_quotas(x, &m);
    if (rc == 0 && m.dst.has_attr && !m.exchange)
        rc = lx_trash_plan(x, m.t.dir, m.t.name, m.t.name_len, m.dst.ino, &m.dst.a, &m.plan);
    if (rc == 0)
        rc = apply(x, &m);
    if (rc < 0)
        return rc;
    if (m.exchange || !m.dst.has_attr)
        return lx_answer(x, 0, NULL, m.t.dir);
    return lx_answer(x, m.dst.ino, &m.dst.a, m.t.dir);
}
