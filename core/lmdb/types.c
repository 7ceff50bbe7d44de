/*
 * types.c - see types.h.
 */
#include "core/lmdb/types.h"

#include "core/base/bytes.h"
#include "core/base/decimal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct full_key {
    size_t len;
    uint8_t data[KV_KEY_MAX];
};

static struct kv_val val_of(const struct full_key *k)
{
    return (struct kv_val){.data = k->data, .len = k->len};
}

/* K, or K 00 F. */
static int make_key(struct full_key *out, const char *key, const void *field, size_t flen)
{
    size_t n = strlen(key);
    if (n + (field != NULL ? 1 + flen : 0) > KV_KEY_MAX)
        return -EINVAL;
    memcpy(out->data, key, n);
    out->len = n;
    if (field != NULL) {
        out->data[n] = 0;
        memcpy(out->data + n + 1, field, flen);
        out->len = n + 1 + flen;
    }
    return 0;
}

char type_of_key(const char *key, size_t len)
{
    static const struct {
        const char *name;
        char type;
    } named[] = {
        {"allSessions", 'z'},
        {"delfiles", 'z'},
        {"detachedNodes", 'z'},
        {"sessionInfos", 'h'},
        {"sliceRef", 'h'},
        {"delSlices", 'h'},
        {"dirDataLength", 'h'},
        {"dirUsedSpace", 'h'},
        {"dirUsedInodes", 'h'},
        {"dirQuota", 'h'},
        {"dirQuotaUsedSpace", 'h'},
        {"dirQuotaUsedInodes", 'h'},
        {"userQuota", 'h'},
        {"userQuotaUsedSpace", 'h'},
        {"userQuotaUsedInodes", 'h'},
        {"groupQuota", 'h'},
        {"groupQuotaUsedSpace", 'h'},
        {"groupQuotaUsedInodes", 'h'},
        {"acl", 'h'},
        {"krbToken", 'h'},
        {"txnLog", 'l'},
        {"sessions", 'z'},
        {"~seq", 'h'},
    };
    for (size_t i = 0; i < sizeof(named) / sizeof(*named); i++) {
        if (strlen(named[i].name) == len && memcmp(key, named[i].name, len) == 0)
            return named[i].type;
    }
    if (len > 7 && memcmp(key, "session", 7) == 0 && key[7] >= '0' && key[7] <= '9')
        return 'S';
    if (len > 6 && memcmp(key, "locked", 6) == 0 && key[6] >= '0' && key[6] <= '9')
        return 'S';
    if (len > 5 && memcmp(key, "lock", 4) == 0)
        return 'h'; /* lockf, lockp */
    bool number = len > 1 && key[1] >= '0' && key[1] <= '9';
    if (number && (key[0] == 'd' || key[0] == 'p' || key[0] == 'x'))
        return 'h';
    return number && key[0] == 'c' ? 'l' : 's';
}

static int get(struct kv *kv, const struct full_key *k, struct kv_val *out, bool *found)
{
    int rc = kv_get(kv, val_of(k), out);
    *found = rc == 0;
    if (rc == -ENOENT) {
        *out = (struct kv_val){0};
        rc = 0;
    }
    return rc;
}

static int del(struct kv *kv, const struct full_key *k, bool *was_there)
{
    int rc = kv_del(kv, val_of(k));
    if (was_there != NULL)
        *was_there = rc == 0;
    return rc == -ENOENT ? 0 : rc;
}

struct sum {
    int64_t delta, now;
    char text[DECIMAL_MAX];
};

static int add(void *ctx, struct kv_val old, struct kv_val *fresh)
{
    struct sum *s = ctx;
    char text[32];
    if (old.len == 0 || old.len >= sizeof(text))
        return -EIO;
    memcpy(text, old.data, old.len);
    text[old.len] = '\0';
    s->now = strtoll(text, NULL, 10) + s->delta;
    *fresh = (struct kv_val){s->text, decimal_signed(s->text, s->now)};
    return 0;
}

static int incr(struct kv *kv, const struct full_key *k, bool absent_too, int64_t delta,
                int64_t *now)
{
    struct sum s = {.delta = delta, .now = delta};
    int rc = kv_change(kv, val_of(k), add, &s);
    if (rc == -ENOENT) {
        if (!absent_too)
            return 0;
        size_t len = decimal_signed(s.text, delta);
        rc = kv_put(kv, val_of(k), (struct kv_val){s.text, len});
    }
    if (rc == 0 && now != NULL)
        *now = s.now;
    return rc;
}

/* --- strings and hashes ------------------------------------------------------------------------
 */

int string_get(struct kv *kv, const char *key, struct kv_val *out, bool *found)
{
    return hash_get(kv, key, NULL, 0, out, found);
}

int string_set(struct kv *kv, const char *key, const void *data, size_t len)
{
    return hash_set(kv, key, NULL, 0, data, len);
}

int string_del(struct kv *kv, const char *key)
{
    return hash_del(kv, key, NULL, 0, NULL);
}

int string_incr(struct kv *kv, const char *key, int64_t delta, int64_t *now)
{
    return hash_incr(kv, key, NULL, 0, delta, now);
}

int hash_get(struct kv *kv, const char *key, const void *field, size_t flen, struct kv_val *out,
             bool *found)
{
    struct full_key k;
    int rc = make_key(&k, key, field, flen);
    return rc < 0 ? rc : get(kv, &k, out, found);
}

int hash_set(struct kv *kv, const char *key, const void *field, size_t flen, const void *data,
             size_t len)
{
    struct full_key k;
    int rc = make_key(&k, key, field, flen);
    return rc < 0 ? rc : kv_put(kv, val_of(&k), (struct kv_val){data, len});
}

int hash_del(struct kv *kv, const char *key, const void *field, size_t flen, bool *was_there)
{
    struct full_key k;
    int rc = make_key(&k, key, field, flen);
    return rc < 0 ? rc : del(kv, &k, was_there);
}

int hash_incr(struct kv *kv, const char *key, const void *field, size_t flen, int64_t delta,
              int64_t *now)
{
    struct full_key k;
    int rc = make_key(&k, key, field, flen);
    return rc < 0 ? rc : incr(kv, &k, true, delta, now);
}

int hash_incr_if_there(struct kv *kv, const char *key, const void *field, size_t flen,
                       int64_t delta)
{
    struct full_key k;
    int rc = make_key(&k, key, field, flen);
    return rc < 0 ? rc : incr(kv, &k, false, delta, NULL);
}

/* --- whole keys --------------------------------------------------------------------------------
 */

struct within {
    const struct full_key *stem; /* K 00 */
    kv_visit visit;
    void *ctx;
    int result;
};

static int visit_within(void *ctx, struct kv_val key, struct kv_val value)
{
    struct within *w = ctx;
    if (key.len < w->stem->len || memcmp(key.data, w->stem->data, w->stem->len) != 0)
        return 1; /* past the end */
    key.data = (const uint8_t *)key.data + w->stem->len;
    key.len -= w->stem->len;
    w->result = w->visit(w->ctx, key, value);
    return w->result;
}

int hash_scan(struct kv *kv, const char *key, const void *after, size_t alen, kv_visit visit,
              void *ctx)
{
    struct full_key stem, from;
    int rc = make_key(&stem, key, "", 0);
    if (rc == 0)
        rc = make_key(&from, key, after != NULL ? after : "", alen);
    if (rc < 0)
        return rc;
    if (after != NULL) { /* the smallest key above it */
        if (from.len == KV_KEY_MAX)
            return -EINVAL;
        from.data[from.len++] = 0;
    }
    struct within w = {.stem = &stem, .visit = visit, .ctx = ctx};
    rc = kv_scan(kv, val_of(&from), visit_within, &w);
    return w.result != 0 ? w.result : rc < 0 ? rc : 0;
}

static int stop_at_first(void *ctx, struct kv_val key, struct kv_val value)
{
    (void)key;
    (void)value;
    *(bool *)ctx = true;
    return 1;
}

int any_of(struct kv *kv, const char *key, bool *found)
{
    *found = false;
    int rc = hash_scan(kv, key, NULL, 0, stop_at_first, found);
    return rc < 0 ? rc : 0;
}

int clear_all(struct kv *kv, const char *key)
{
    struct full_key stem;
    struct kv_val k, v;
    int rc = make_key(&stem, key, "", 0);
    while (rc == 0) {
        rc = kv_seek(kv, val_of(&stem), &k, &v);
        if (rc < 0 || k.len < stem.len || memcmp(k.data, stem.data, stem.len) != 0)
            break;
        struct full_key copy = {.len = k.len};
        memcpy(copy.data, k.data, k.len);
        rc = kv_del(kv, val_of(&copy));
    }
    return rc == -ENOENT ? 0 : rc;
}

/* --- lists -------------------------------------------------------------------------------------
 */

/* The last element: its index in *index.  -ENOENT: the list is empty. */
static int list_last(struct kv *kv, const char *key, uint64_t before, uint64_t *index,
                     struct kv_val *value)
{
    struct full_key end;
    struct kv_val k;
    uint8_t b[8];
    size_t stem = strlen(key) + 1;

    put_be64(b, before);
    int rc = make_key(&end, key, b, sizeof(b));
    if (rc == 0)
        rc = kv_before(kv, val_of(&end), &k, value);
    if (rc < 0)
        return rc;
    if (k.len != stem + 8 || memcmp(k.data, end.data, stem) != 0)
        return -ENOENT;
    *index = get_be64((const uint8_t *)k.data + stem);
    return 0;
}

int list_push(struct kv *kv, const char *key, const void *data, size_t len)
{
    struct kv_val v;
    uint64_t index = 0;
    uint8_t b[8];
    int rc = list_last(kv, key, UINT64_MAX, &index, &v);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    put_be64(b, rc == -ENOENT ? 0 : index + 1);
    return hash_set(kv, key, b, sizeof(b), data, len);
}

static int count_one(void *ctx, struct kv_val key, struct kv_val value)
{
    (void)key;
    (void)value;
    ++*(uint64_t *)ctx;
    return 0;
}

int list_len(struct kv *kv, const char *key, uint64_t *n)
{
    *n = 0;
    return hash_scan(kv, key, NULL, 0, count_one, n);
}

int list_scan(struct kv *kv, const char *key, kv_visit visit, void *ctx)
{
    return hash_scan(kv, key, NULL, 0, visit, ctx);
}

int list_scan_tail(struct kv *kv, const char *key, size_t n, kv_visit visit, void *ctx)
{
    uint64_t before = UINT64_MAX;
    struct kv_val v;
    while (n-- > 0) {
        int rc = list_last(kv, key, before, &before, &v);
        if (rc == -ENOENT)
            return 0;
        if (rc == 0)
            rc = visit(ctx, (struct kv_val){0}, v);
        if (rc != 0)
            return rc;
    }
    return 0;
}

struct search {
    struct kv_val wanted;
    uint8_t index[8];
    bool found;
};

static int is_wanted(void *ctx, struct kv_val key, struct kv_val value)
{
    struct search *s = ctx;
    s->found = key.len == sizeof(s->index) && value.len == s->wanted.len &&
               memcmp(value.data, s->wanted.data, value.len) == 0;
    if (s->found)
        memcpy(s->index, key.data, sizeof(s->index));
    return s->found;
}

int list_replace(struct kv *kv, const char *key, struct kv_val old, struct kv_val fresh,
                 bool *found)
{
    struct search s = {.wanted = old};
    int rc = list_scan(kv, key, is_wanted, &s);
    *found = rc >= 0 && s.found;
    if (rc < 0 || !s.found)
        return rc < 0 ? rc : 0;
    return hash_set(kv, key, s.index, sizeof(s.index), fresh.data, fresh.len);
}
