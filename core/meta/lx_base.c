/*
 * lx_base.c - keys, attrs, entries and accounting (lib_num, lib_attr, lib_acct, lib_tree).
 */
#include "core/base/decimal.h"
#include "core/meta/lx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int lx_store(struct lx *x, int rc)
{
    if (rc < 0 && x->fatal == 0)
        x->fatal = rc;
    return rc;
}

void lx_key(char out[LX_KEY], char letter, uint64_t ino)
{
    out[0] = letter;
    decimal_unsigned(out + 1, ino);
}

int lx_get(struct lx *x, const char *key, const void *field, size_t flen, struct kv_val *out,
           bool *found)
{
    return lx_store(x, hash_get(x->kv, key, field, flen, out, found));
}

int lx_set(struct lx *x, const char *key, const void *field, size_t flen, const void *data,
           size_t len)
{
    return lx_store(x, hash_set(x->kv, key, field, flen, data, len));
}

int lx_del(struct lx *x, const char *key, const void *field, size_t flen)
{
    return lx_store(x, hash_del(x->kv, key, field, flen, NULL));
}

int lx_incr(struct lx *x, const char *key, const void *field, size_t flen, int64_t by)
{
    return lx_store(x, hash_incr(x->kv, key, field, flen, by, NULL));
}

int lx_any(struct lx *x, const char *key, bool *found)
{
    return lx_store(x, any_of(x->kv, key, found));
}

static size_t dec(uint64_t n, char out[24])
{
    return decimal_unsigned(out, n);
}

int lx_set_ino(struct lx *x, const char *key, uint64_t ino, const char *text)
{
    char f[24];
    size_t n = dec(ino, f);
    return lx_set(x, key, f, n, text, strlen(text));
}

int lx_del_ino(struct lx *x, const char *key, uint64_t ino)
{
    char f[24];
    size_t n = dec(ino, f);
    return lx_del(x, key, f, n);
}

int lx_incr_ino(struct lx *x, const char *key, uint64_t ino, int64_t by)
{
    char f[24];
    size_t n = dec(ino, f);
    return lx_incr(x, key, f, n, by);
}

bool lx_is_trash(uint64_t ino)
{
    return ino >= INO_TRASH && ino >> 32 == 0x7fffffff;
}

bool lx_in_trash(uint64_t parent)
{
    return parent != INO_TRASH && lx_is_trash(parent);
}

/* --- attrs and entries --------------------------------------------------------------------------
 */

int lx_load(struct lx *x, uint64_t ino, struct attr *a, bool *found)
{
    char key[LX_KEY];
    struct kv_val v;
    lx_key(key, 'i', ino);
    int rc = lx_get(x, key, NULL, 0, &v, found);
    if (rc == 0 && *found)
        rc = attr_decode(v.data, v.len, a);
    return rc;
}

int lx_save(struct lx *x, uint64_t ino, const struct attr *a)
{
    char key[LX_KEY];
    uint8_t raw[ATTR_BYTES_MAX];
    lx_key(key, 'i', ino);
    return lx_set(x, key, NULL, 0, raw, attr_encode(a, raw));
}

uint64_t lx_data_length(const struct attr *a)
{
    return a->type == TYPE_FILE ? a->length : 0;
}

bool lx_touch(struct lx *x, uint64_t dir, struct attr *a, bool force)
{
    if (lx_is_trash(dir))
        return false;
    const struct moment *now = &x->op->now;
    int64_t ms = (now->sec - a->mtime.sec) * 1000;
    double more = ((double)now->nsec - (double)a->mtime.nsec) / 1e6;
    if (!force && (double)ms + more < x->env->skip_dir_mtime_ms)
        return false;
    a->mtime = a->ctime = *now;
    return true;
}

int lx_entry(struct lx *x, uint64_t dir, const char *name, size_t len, uint8_t *type, uint64_t *ino,
             bool *found)
{
    char key[LX_KEY];
    struct kv_val v;
    if (dir == INO_ROOT && len == 6 && memcmp(name, ".trash", 6) == 0) {
        *type = TYPE_DIRECTORY;
        *ino = INO_TRASH;
        *found = true;
        return 0;
    }
    lx_key(key, 'd', dir);
    int rc = lx_get(x, key, name, len, &v, found);
    if (rc == 0 && *found)
        rc = entry_decode(v.data, v.len, type, ino);
    return rc;
}

int lx_entry_set(struct lx *x, uint64_t dir, const char *name, size_t len, uint8_t type,
                 uint64_t ino)
{
    char key[LX_KEY];
    uint8_t raw[ENTRY_BYTES];
    lx_key(key, 'd', dir);
    entry_encode(type, ino, raw);
    return lx_set(x, key, name, len, raw, sizeof(raw));
}

int lx_entry_del(struct lx *x, uint64_t dir, const char *name, size_t len)
{
    char key[LX_KEY];
    lx_key(key, 'd', dir);
    return lx_del(x, key, name, len);
}

/* --- limits
 * ---------------------------------------------------------------------------------------- */

static int number(struct lx *x, const char *key, const char *field, int64_t *out)
{
    struct kv_val v;
    char text[32];
    bool found;
    int rc = lx_get(x, key, field, field != NULL ? strlen(field) : 0, &v, &found);
    *out = 0;
    if (rc == 0 && found && v.len < sizeof(text)) {
        memcpy(text, v.data, v.len);
        text[v.len] = '\0';
        *out = strtoll(text, NULL, 10);
    }
    return rc;
}

int lx_volume(struct lx *x, int64_t space, int64_t inodes)
{
    int rc = space != 0 ? lx_incr(x, "usedSpace", NULL, 0, space) : 0;
    return rc == 0 && inodes != 0 ? lx_incr(x, "totalInodes", NULL, 0, inodes) : rc;
}

int lx_quota_dirs(struct lx *x, uint64_t dir, struct lx_quotas *out)
{
    int rc = 0;
    out->n = 0;
    if (x->has_quotas < 0) {
        bool any = false;
        if ((x->env->flags & ENV_DIR_STATS) != 0)
            rc = lx_any(x, "dirQuotaUsedInodes", &any);
        x->has_quotas = any;
    }
    for (int seen = 0; rc == 0 && x->has_quotas == 1 && seen <= 4096; seen++) {
        if (dir == 0 || lx_is_trash(dir))
            break;
        char f[24];
        struct kv_val v;
        struct attr a;
        bool found;
        rc = lx_get(x, "dirQuotaUsedInodes", f, dec(dir, f), &v, &found);
        if (rc == 0 && found && out->n < sizeof(out->dir) / sizeof(*out->dir))
            out->dir[out->n++] = dir;
        if (rc < 0 || dir == INO_ROOT)
            break;
        rc = lx_load(x, dir, &a, &found);
        if (!found)
            break;
        dir = a.parent;
    }
    return rc;
}

int lx_room_volume(struct lx *x, int64_t space, int64_t inodes)
{
    int64_t used;
    int rc = 0;
    if (x->env->capacity_bytes > 0 && space > 0) {
        rc = number(x, "usedSpace", NULL, &used);
        if (rc == 0 && used + space > (int64_t)x->env->capacity_bytes)
            return -ENOSPC;
    }
    if (rc == 0 && x->env->inodes > 0 && inodes > 0) {
        rc = number(x, "totalInodes", NULL, &used);
        if (rc == 0 && used + inodes > (int64_t)x->env->inodes)
            return -ENOSPC;
    }
    return rc;
}

int lx_room_quotas(struct lx *x, const struct lx_quotas *q, int64_t space, int64_t inodes)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < q->n; i++) {
        char f[24];
        struct kv_val v;
        bool found;
        int64_t used;
        rc = lx_get(x, "dirQuota", f, dec(q->dir[i], f), &v, &found);
        if (rc < 0 || !found || v.len != 16)
            continue;
        int64_t max_space = (int64_t)get_be64(v.data);
        int64_t max_inodes = (int64_t)get_be64((const uint8_t *)v.data + 8);
        if (space > 0 && max_space > 0) {
            rc = number(x, "dirQuotaUsedSpace", f, &used);
            if (rc == 0 && used + space > max_space)
                return -EDQUOT;
        }
        if (rc == 0 && inodes > 0 && max_inodes > 0) {
            rc = number(x, "dirQuotaUsedInodes", f, &used);
            if (rc == 0 && used + inodes > max_inodes)
                return -EDQUOT;
        }
    }
    return rc;
}

int lx_room_dir(struct lx *x, uint64_t dir, int64_t space, int64_t inodes)
{
    struct lx_quotas q;
    int rc = lx_quota_dirs(x, dir, &q);
    return rc == 0 ? lx_room_quotas(x, &q, space, inodes) : rc;
}

int lx_room(struct lx *x, uint64_t dir, int64_t space, int64_t inodes)
{
    int rc = lx_room_volume(x, space, inodes);
    return rc == 0 ? lx_room_dir(x, dir, space, inodes) : rc;
}

/* --- usage
 * ----------------------------------------------------------------------------------------- */

static int add_if_there(struct lx *x, const char *hash, uint64_t dir, int64_t n)
{
    char f[24];
    if (n == 0)
        return 0;
    return lx_store(x, hash_incr_if_there(x->kv, hash, f, dec(dir, f), n));
}

int lx_stats(struct lx *x, uint64_t dir, int64_t len, int64_t space, int64_t inodes)
{
    if ((x->env->flags & ENV_DIR_STATS) == 0)
        return 0;
    int rc = add_if_there(x, "dirDataLength", dir, len);
    if (rc == 0)
        rc = add_if_there(x, "dirUsedSpace", dir, space);
    return rc == 0 ? add_if_there(x, "dirUsedInodes", dir, inodes) : rc;
}

int lx_use_quotas(struct lx *x, const struct lx_quotas *q, int64_t space, int64_t inodes)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < q->n; i++) {
        char f[24];
        size_t flen = dec(q->dir[i], f);
        struct kv_val v;
        bool found;
        rc = lx_get(x, "dirQuota", f, flen, &v, &found);
        if (rc == 0 && !found)
            rc = lx_set(x, "dirQuota", f, flen,
                        "\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377", 16);
        if (rc == 0 && space != 0)
            rc = lx_incr(x, "dirQuotaUsedSpace", f, flen, space);
        if (rc == 0 && inodes != 0)
            rc = lx_incr(x, "dirQuotaUsedInodes", f, flen, inodes);
    }
    return rc;
}

static int quota(struct lx *x, uint64_t dir, int64_t space, int64_t inodes)
{
    struct lx_quotas q;
    if (lx_is_trash(dir))
        return 0;
    int rc = lx_quota_dirs(x, dir, &q);
    return rc == 0 ? lx_use_quotas(x, &q, space, inodes) : rc;
}

int lx_count_entry(struct lx *x, uint64_t dir, const struct attr *a, int sign)
{
    int64_t len = (int64_t)lx_data_length(a);
    int64_t space = (int64_t)usage_of_length((uint64_t)len);
    int rc = lx_stats(x, dir, sign * len, sign * space, sign);
    return rc == 0 ? quota(x, dir, sign * space, sign) : rc;
}

int lx_count_lost(struct lx *x, uint64_t dir)
{
    int rc = lx_stats(x, dir, 0, -4096, -1);
    return rc == 0 ? quota(x, dir, -4096, -1) : rc;
}

/* The directories that hold a non-directory, with their number of links. */
struct parents {
    size_t n;
    struct {
        uint64_t dir;
        int64_t links;
    } of[256];
};

static int add_parent(void *ctx, struct kv_val key, struct kv_val value)
{
    struct parents *p = ctx;
    char text[32];
    if (key.len >= sizeof(text) || value.len >= sizeof(text))
        return 0;
    memcpy(text, value.data, value.len);
    text[value.len] = '\0';
    int64_t links = strtoll(text, NULL, 10);
    memcpy(text, key.data, key.len);
    text[key.len] = '\0';
    if (links <= 0 || p->n == sizeof(p->of) / sizeof(*p->of))
        return 0;
    p->of[p->n].dir = strtoull(text, NULL, 10);
    p->of[p->n++].links = links;
    return 0;
}

static int parents_of(struct lx *x, uint64_t ino, const struct attr *a, struct parents *out)
{
    char key[LX_KEY];
    out->n = 0;
    if (a->parent != 0) {
        out->n = 1;
        out->of[0].dir = a->parent;
        out->of[0].links = 1;
        return 0;
    }
    lx_key(key, 'p', ino);
    return lx_store(x, hash_scan(x->kv, key, NULL, 0, add_parent, out));
}

int lx_room_resize(struct lx *x, uint64_t ino, const struct attr *a, int64_t space)
{
    struct parents p;
    if (space <= 0)
        return 0;
    int rc = lx_room_volume(x, space, 0);
    if (rc < 0 || a->nlink == 0)
        return rc;
    rc = parents_of(x, ino, a, &p);
    for (size_t i = 0; rc == 0 && i < p.n; i++)
        rc = lx_room_dir(x, p.of[i].dir, space, 0);
    return rc;
}

int lx_count_resize(struct lx *x, uint64_t ino, const struct attr *a, int64_t len, int64_t space)
{
    struct parents p;
    int rc = lx_volume(x, space, 0);
    if (rc < 0 || a->nlink == 0 || (x->env->flags & ENV_DIR_STATS) == 0 || (len == 0 && space == 0))
        return rc;
    rc = parents_of(x, ino, a, &p);
    for (size_t i = 0; rc == 0 && i < p.n; i++) {
        rc = lx_stats(x, p.of[i].dir, len * p.of[i].links, space * p.of[i].links, 0);
        if (rc == 0)
            rc = quota(x, p.of[i].dir, space * p.of[i].links, 0);
    }
    return rc;
}

int lx_new_dir_stats(struct lx *x, uint64_t ino)
{
    int rc = lx_set_ino(x, "dirUsedInodes", ino, "0");
    if (rc == 0)
        rc = lx_set_ino(x, "dirDataLength", ino, "0");
    return rc == 0 ? lx_set_ino(x, "dirUsedSpace", ino, "0") : rc;
}

/* --- size of a tree
 * -------------------------------------------------------------------------------- */

#define TREE_MAX 100000

struct tree {
    struct lx *x;
    uint64_t *stack;
    size_t n, cap;
    int64_t space, inodes;
};

static int add_child(void *ctx, struct kv_val key, struct kv_val value)
{
    struct tree *t = ctx;
    struct attr a;
    uint8_t type;
    uint64_t ino;
    bool found = false;
    (void)key;
    int rc = entry_decode(value.data, value.len, &type, &ino);
    if (rc == 0 && ++t->inodes > TREE_MAX)
        rc = -EXDEV;
    if (rc == 0 && type == TYPE_FILE)
        rc = lx_load(t->x, ino, &a, &found);
    if (rc < 0)
        return rc;
    t->space += found ? (int64_t)usage_of_length(a.length) : 4096;
    if (type != TYPE_DIRECTORY)
        return 0;
    if (t->n == t->cap) {
        size_t cap = t->cap * 2 + 64;
        uint64_t *more = realloc(t->stack, cap * sizeof(*more));
        if (more == NULL)
            return -ENOMEM;
        t->stack = more;
        t->cap = cap;
    }
    t->stack[t->n++] = ino;
    return 0;
}

int lx_tree(struct lx *x, uint64_t ino, const struct attr *a, int64_t *space, int64_t *inodes)
{
    struct tree t = {.x = x, .space = 4096, .inodes = 1};
    int rc = 0;
    if (a->type != TYPE_DIRECTORY) {
        *space = (int64_t)usage_of_length(lx_data_length(a));
        *inodes = 1;
        return 0;
    }
    for (uint64_t dir = ino; rc == 0;) {
        char key[LX_KEY];
        lx_key(key, 'd', dir);
        rc = hash_scan(x->kv, key, NULL, 0, add_child, &t);
        if (rc < 0 || t.n == 0)
            break;
        dir = t.stack[--t.n];
    }
    free(t.stack);
    *space = t.space;
    *inodes = t.inodes;
    return rc;
}
