/*
 * lx_remove.c - names that go, and what becomes of their inodes (lib_trash, op_unlink, op_rmdir).
 */
#include "core/meta/lx.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define INLINE_CHUNKS                                                                              \
    64 /* longer files are listed in delfiles and purged by an op of their own                     \
        */

int lx_trash_plan(struct lx *x, uint64_t dir, const char *name, size_t len, uint64_t ino,
                  const struct attr *a, struct lx_plan *out)
{
    char entry[NAME_LEN_MAX + 64], key[LX_KEY];
    struct kv_val v;
    struct tm tm;
    time_t sec = x->op->now.sec;
    uint8_t type;
    bool found;

    memset(out, 0, sizeof(*out));
    if ((x->env->flags & ENV_TRASH) == 0 || lx_is_trash(dir) || (a->flags & ATTR_SKIP_TRASH) != 0)
        return 0;
    gmtime_r(&sec, &tm);
    strftime(out->hour_name, sizeof(out->hour_name), "%Y-%m-%d-%H", &tm);
    int n =
        snprintf(entry, sizeof(entry), "%" PRIu64 "-%" PRIu64 "-%.*s", dir, ino, (int)len, name);
    out->name_len = n < NAME_LEN_MAX ? (size_t)n : NAME_LEN_MAX;
    memcpy(out->name, entry, out->name_len);
    int rc =
        lx_entry(x, INO_TRASH, out->hour_name, strlen(out->hour_name), &type, &out->hour, &found);
    if (rc == 0 && found) {
        if (a->nlink > 1 && a->type != TYPE_DIRECTORY) {
            lx_key(key, 'd', out->hour);
            rc = lx_get(x, key, out->name, out->name_len, &v, &found);
            if (rc < 0 || found)
                return rc;
        }
    } else if (rc == 0) {
        struct attr root;
        out->hour = 0;
        rc = lx_load(x, INO_TRASH, &root, &found);
        if (rc == 0 && !found)
            rc = -ENOENT;
    }
    out->to_trash = rc == 0;
    return rc;
}

static int make_hour(struct lx *x, const char *name, uint64_t *dir)
{
    struct attr a = {
        .type = TYPE_DIRECTORY, .mode = 0555, .nlink = 2, .length = 4096, .parent = INO_TRASH};
    int64_t n;
    int rc = lx_store(x, string_incr(x->kv, "nextTrash", 1, &n));
    if (rc < 0)
        return rc;
    *dir = INO_TRASH + (uint64_t)n;
    a.atime = a.mtime = a.ctime = x->op->now;
    rc = lx_save(x, *dir, &a);
    if (rc == 0)
        rc = lx_entry_set(x, INO_TRASH, name, strlen(name), TYPE_DIRECTORY, *dir);
    if (rc == 0)
        rc = lx_new_dir_stats(x, *dir);
    return rc == 0 ? lx_volume(x, 4096, 1) : rc;
}

int lx_trash_put(struct lx *x, const struct lx_plan *p, uint64_t dir, uint64_t ino, struct attr *a)
{
    uint64_t hour = p->hour;
    char key[LX_KEY];
    int rc = hour == 0 ? make_hour(x, p->hour_name, &hour) : 0;
    a->ctime = x->op->now;
    if (a->parent != 0) {
        a->parent = hour;
    } else {
        lx_key(key, 'p', ino);
        if (rc == 0)
            rc = lx_incr_ino(x, key, hour, 1);
        if (rc == 0)
            rc = lx_incr_ino(x, key, dir, -1);
    }
    if (rc == 0)
        rc = lx_save(x, ino, a);
    if (rc == 0)
        rc = lx_entry_set(x, hour, p->name, p->name_len, a->type, ino);
    return rc == 0 ? lx_count_entry(x, hour, a, 1) : rc;
}

static bool is_held(const struct lx *x, uint64_t ino)
{
    const uint8_t *p = x->op->data;
    for (uint32_t at = 0; at + 8 <= x->op->data_len; at += 8) {
        if (get_be64(p + at) == ino)
            return true;
    }
    return false;
}

static int keep_for_session(struct lx *x, uint64_t ino, const struct attr *a)
{
    char session[LX_KEY];
    snprintf(session, sizeof(session), "session%" PRIu64, x->op->sid);
    int rc = lx_save(x, ino, a);
    return rc == 0 ? lx_set_ino(x, session, ino, "") : rc;
}

static int delete_inode(struct lx *x, uint64_t ino, const struct attr *a, bool held)
{
    char key[LX_KEY], member[64], score[32];
    lx_key(key, 'i', ino);
    int rc = lx_del(x, key, NULL, 0);
    if (rc == 0)
        rc = lx_volume(x, -(int64_t)usage_of_length(lx_data_length(a)), -1);
    x->res->rflags = OPR_GONE;
    if (rc == 0 && a->type == TYPE_SYMLINK) {
        lx_key(key, 's', ino);
        rc = lx_del(x, key, NULL, 0);
    } else if (rc == 0 && a->type == TYPE_FILE) {
        if (held || a->length > INLINE_CHUNKS * CHUNK_BYTES) {
            size_t n =
                (size_t)snprintf(member, sizeof(member), "%" PRIu64 ":%" PRIu64, ino, a->length);
            size_t k = (size_t)snprintf(score, sizeof(score), "%" PRId64, x->op->now.sec);
            rc = lx_set(x, "delfiles", member, n, score, k);
            x->res->rflags |= OPR_DEFERRED;
        } else {
            rc = lx_purge(x, ino, a->length);
        }
    }
    return rc;
}

int lx_drop(struct lx *x, uint64_t dir, uint64_t ino, struct attr *a)
{
    char key[LX_KEY];
    bool shared = a->parent == 0;
    int rc;

    a->ctime = x->op->now;
    if (a->nlink > 1) {
        a->nlink--;
        rc = lx_save(x, ino, a);
        lx_key(key, 'p', ino);
        return rc == 0 && shared ? lx_incr_ino(x, key, dir, -1) : rc;
    }
    bool held = a->type == TYPE_FILE && is_held(x, ino);
    a->nlink = 0;
    if (held && x->op->sid != 0)
        rc = keep_for_session(x, ino, a);
    else
        rc = delete_inode(x, ino, a, held);
    if (rc == 0) {
        lx_key(key, 'x', ino);
        rc = lx_store(x, clear_all(x->kv, key));
    }
    if (rc == 0 && shared) {
        lx_key(key, 'p', ino);
        rc = lx_store(x, clear_all(x->kv, key));
    }
    return rc;
}

int lx_drop_dir(struct lx *x, uint64_t ino)
{
    char key[LX_KEY];
    lx_key(key, 'i', ino);
    int rc = lx_del(x, key, NULL, 0);
    lx_key(key, 'x', ino);
    if (rc == 0)
        rc = lx_store(x, clear_all(x->kv, key));
    return rc == 0 ? lx_volume(x, -4096, -1) : rc;
}

/* What unlink and rmdir begin with: the last component, its entry and attr. */
struct victim {
    struct lx_walk w;
    uint8_t type;
    uint64_t ino;
    struct attr a;
    bool has_attr;
    struct lx_plan plan;
};

static int find(struct lx *x, struct victim *v)
{
    bool found;
    int rc = lx_entry(x, v->w.dir, v->w.name, v->w.name_len, &v->type, &v->ino, &found);
    if (rc < 0 || !found)
        return rc < 0 ? rc : -ENOENT;
    return lx_load(x, v->ino, &v->a, &v->has_attr);
}

static int plan(struct lx *x, struct victim *v)
{
    if (!v->has_attr)
        return 0;
    return lx_trash_plan(x, v->w.dir, v->w.name, v->w.name_len, v->ino, &v->a, &v->plan);
}

int lx_op_unlink(struct lx *x)
{
    struct victim v = {0};
    int rc = lx_start(x, &v.w, x->op->base, x->op->path);
    if (rc == 0)
        rc = lx_to_last(x, &v.w);
    if (rc != 0)
        return rc;
    if (v.w.kind != LAST_NORM)
        return -EISDIR;
    rc = find(x, &v);
    if (rc < 0)
        return rc == -ENOENT && lx_reserved(&v.w) ? -EPERM : rc;
    if (x->op->ino != 0 && x->op->ino != v.ino)
        return -ENOENT;
    if (v.w.slash)
        return v.type == TYPE_DIRECTORY ? -EISDIR : -ENOTDIR;
    rc = lx_may_remove(x, v.w.dir, &v.w.a, v.has_attr ? &v.a : NULL);
    if (rc == 0 && v.type == TYPE_DIRECTORY)
        rc = -EISDIR;
    if (rc == 0)
        rc = plan(x, &v);
    if (rc < 0)
        return rc;

    rc = lx_entry_del(x, v.w.dir, v.w.name, v.w.name_len);
    if (rc == 0 && lx_touch(x, v.w.dir, &v.w.a, false))
        rc = lx_save(x, v.w.dir, &v.w.a);
    if (rc == 0 && !v.has_attr) { /* an entry that named nothing */
        rc = lx_count_lost(x, v.w.dir);
        return rc == 0 ? lx_answer(x, v.ino, NULL, v.w.dir) : rc;
    }
    if (rc == 0)
        rc = lx_count_entry(x, v.w.dir, &v.a, -1);
    if (rc == 0 && v.plan.to_trash) {
        rc = lx_trash_put(x, &v.plan, v.w.dir, v.ino, &v.a);
        x->res->rflags = OPR_TRASHED;
    } else if (rc == 0) {
        rc = lx_drop(x, v.w.dir, v.ino, &v.a);
    }
    return rc == 0 ? lx_answer(x, v.ino, &v.a, v.w.dir) : rc;
}

int lx_op_rmdir(struct lx *x)
{
    static const char *const per_dir[] = {"dirDataLength",     "dirUsedSpace",
                                          "dirUsedInodes",     "dirQuota",
                                          "dirQuotaUsedSpace", "dirQuotaUsedInodes"};
    struct victim v = {0};
    char key[LX_KEY];
    bool any = false;
    int rc = lx_start(x, &v.w, x->op->base, x->op->path);
    if (rc == 0)
        rc = lx_to_last(x, &v.w);
    if (rc != 0)
        return rc;
    if (v.w.kind != LAST_NORM)
        return v.w.kind == LAST_DOT ? -EINVAL : v.w.kind == LAST_DOTDOT ? -ENOTEMPTY : -EBUSY;
    if (v.w.dir == INO_TRASH || lx_reserved(&v.w))
        return -EPERM;
    rc = find(x, &v);
    if (rc == 0 && x->op->ino != 0 && x->op->ino != v.ino)
        rc = -ENOENT;
    if (rc == 0)
        rc = lx_may_remove(x, v.w.dir, &v.w.a, v.has_attr ? &v.a : NULL);
    if (rc == 0 && v.type != TYPE_DIRECTORY)
        rc = -ENOTDIR;
    lx_key(key, 'd', v.ino);
    if (rc == 0)
        rc = lx_any(x, key, &any);
    if (rc == 0 && any)
        rc = -ENOTEMPTY;
    if (rc == 0)
        rc = plan(x, &v);
    if (rc < 0)
        return rc;

    rc = lx_entry_del(x, v.w.dir, v.w.name, v.w.name_len);
    if (rc == 0 && !lx_is_trash(v.w.dir)) {
        v.w.a.nlink--;
        lx_touch(x, v.w.dir, &v.w.a, true);
        rc = lx_save(x, v.w.dir, &v.w.a);
    }
    if (rc == 0 && v.plan.to_trash)
        rc = lx_trash_put(x, &v.plan, v.w.dir, v.ino, &v.a);
    else if (rc == 0 && v.has_attr)
        rc = lx_drop_dir(x, v.ino);
    for (size_t i = 0; rc == 0 && i < sizeof(per_dir) / sizeof(*per_dir); i++)
        rc = lx_del_ino(x, per_dir[i], v.ino);
    if (rc == 0)
        rc = lx_count_lost(x, v.w.dir);
    x->res->rflags = v.plan.to_trash ? OPR_TRASHED : v.has_attr ? OPR_GONE : 0;
    return rc == 0 ? lx_answer(x, v.ino, v.has_attr ? &v.a : NULL, v.w.dir) : rc;
}
