/*
 * lx_data.c - records of files: writing, cutting, zeroing, giving back (lib_data, lib_truncate,
 * lib_purge, op_write, op_truncate, op_fallocate, op_chunks, op_purge).
 */
#include "core/base/decimal.h"
#include "core/meta/lx.h"
#include "core/meta/make.h"
#include "core/meta/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LENGTH_MAX  (UINT64_C(1) << 53) /* as the scripts, whose numbers are doubles */
#define ITEM        RECORD_ITEM_BYTES
#define REPEAT_TAIL 16  /* records that others may have added since the first try */
#define CHUNKS_MAX  256 /* of one OP_CHUNKS */
#define RECORDS_MAX (1 << 20)

static void list_key(char out[LX_KEY], uint64_t ino, uint64_t chunk)
{
    out[0] = 'c';
    size_t n = 1 + decimal_unsigned(out + 1, ino);
    out[n++] = '_';
    decimal_unsigned(out + n, chunk);
}

bool lx_kill_priv(struct lx *x, struct attr *a)
{
    return lx_has(x, OPF_KILLPRIV) && a->type == TYPE_FILE && lx_drop_priv(x, a);
}

bool lx_drop_priv(const struct lx *x, struct attr *a)
{
    uint16_t drop = a->mode & S_ISUID;
    if ((a->mode & S_IXGRP) != 0 || !lx_in_group(x, a->gid))
        drop |= a->mode & S_ISGID;
    a->mode &= (uint16_t)~drop;
    return drop != 0;
}

uint16_t meta_lost_bits(const struct op_cred *cred, const struct attr *a)
{
    const struct op op = {.cred = *cred};
    const struct lx x = {.op = &op};
    struct attr less = *a;
    return cred->uid != 0 && lx_drop_priv(&x, &less) ? a->mode ^ less.mode : 0;
}

/* mtime never stays what it was after a change of content: readers keep what they cached under it.
 */
static void stamp(struct attr *a, struct moment mtime)
{
    if (mtime.sec == a->mtime.sec && mtime.nsec == a->mtime.nsec) {
        if (++mtime.nsec > 999999999) {
            mtime.nsec = 0;
            mtime.sec++;
        }
    }
    a->mtime = mtime;
}

static int push_zeros(struct lx *x, uint64_t ino, uint64_t chunk, uint32_t pos, uint32_t len)
{
    char key[LX_KEY];
    uint8_t raw[RECORD_BYTES];
    struct record r = {.pos = pos, .len = len};
    list_key(key, ino, chunk);
    record_encode(&r, raw);
    return lx_store(x, list_push(x->kv, key, raw, sizeof(raw)));
}

/* Bytes [from, to) become zeros.  only_lists: whole chunks without a list, which are zeros anyway,
 * stay without one. */
static int zero(struct lx *x, uint64_t ino, uint64_t from, uint64_t to, bool only_lists)
{
    uint64_t first = from / CHUNK_BYTES, last = to / CHUNK_BYTES;
    uint32_t pos = (uint32_t)(from % CHUNK_BYTES), tail = (uint32_t)(to % CHUNK_BYTES);
    char key[LX_KEY];
    if (first == last)
        return push_zeros(x, ino, first, pos, (uint32_t)(to - from));
    int rc = push_zeros(x, ino, first, pos, (uint32_t)CHUNK_BYTES - pos);
    only_lists = only_lists || last - first > 10000; /* a hole of a terabyte is no list of zeros */
    for (uint64_t k = first + 1; rc == 0 && k < last; k++) {
        bool any = true;
        list_key(key, ino, k);
        if (only_lists)
            rc = lx_any(x, key, &any);
        if (rc == 0 && any)
            rc = push_zeros(x, ino, k, 0, (uint32_t)CHUNK_BYTES);
    }
    return rc == 0 && tail > 0 ? push_zeros(x, ino, last, 0, tail) : rc;
}

static int64_t growth(uint64_t to, uint64_t from)
{
    return (int64_t)usage_of_length(to) - (int64_t)usage_of_length(from);
}

int lx_truncate(struct lx *x, uint64_t ino, struct attr *a, uint64_t len)
{
    uint64_t old = a->length;
    if ((a->flags & (ATTR_IMMUTABLE | ATTR_APPEND)) != 0)
        return -EPERM;
    if (len > LENGTH_MAX || old >= LENGTH_MAX)
        return -EFBIG;
    int64_t space = growth(len, old);
    int rc = lx_room_resize(x, ino, a, space);
    if (rc < 0)
        return rc;
    bool killed = lx_kill_priv(x, a);
    if (len == old) {
        bool stamps = lx_has(x, OPF_TRUNC) || lx_has(x, OPF_BY_FD);
        if (stamps)
            stamp(a, x->op->now);
        if (!stamps && !killed)
            return 0;
        a->ctime = x->op->now;
        return lx_save(x, ino, a);
    }
    a->length = len;
    stamp(a, x->op->now);
    a->ctime = x->op->now;
    rc = lx_save(x, ino, a);
    if (rc == 0)
        rc = zero(x, ino, len < old ? len : old, len < old ? old : len, true);
    return rc == 0 ? lx_count_resize(x, ino, a, (int64_t)(len - old), space) : rc;
}

int lx_op_truncate(struct lx *x)
{
    struct lx_walk w;
    bool by_fd = lx_has(x, OPF_BY_FD);
    int rc = lx_start(x, &w, x->op->base, x->op->path);
    if (rc == 0)
        rc = lx_object(x, &w, lx_has(x, OPF_NOFOLLOW));
    if (rc != 0)
        return rc;
    if (w.corrupt)
        return -ENOENT;
    if (w.attr.type != TYPE_FILE)
        return w.attr.type == TYPE_DIRECTORY && !by_fd ? -EISDIR : -EINVAL;
    if (!by_fd && ((w.attr.flags & ATTR_IMMUTABLE) != 0 || lx_in_trash(w.attr.parent)))
        return -EPERM;
    if (!by_fd && !lx_may(x, &w.attr, 2))
        return -EACCES;
    rc = lx_truncate(x, w.ino, &w.attr, x->op->len);
    return rc == 0 ? lx_answer(x, w.ino, &w.attr, w.parent) : rc;
}

/* --- write
 * ------------------------------------------------------------------------------------------ */

struct same {
    const uint8_t *record;
    bool found;
};

static int compare(void *ctx, struct kv_val key, struct kv_val value)
{
    struct same *s = ctx;
    (void)key;
    s->found =
        s->found || (value.len == RECORD_BYTES && memcmp(value.data, s->record, RECORD_BYTES) == 0);
    return 0;
}

/* Did this op already happen?  Its first slice tells. */
static int is_repeated(struct lx *x, uint64_t ino, bool *yes)
{
    const uint8_t *p = x->op->data;
    char key[LX_KEY];
    *yes = false;
    for (size_t at = 0; at < x->op->data_len; at += ITEM) {
        if (get_be64(p + at + 8) == 0)
            continue;
        struct same s = {.record = p + at + 4};
        list_key(key, ino, get_be32(p + at));
        int rc = lx_store(x, list_scan_tail(x->kv, key, REPEAT_TAIL, compare, &s));
        *yes = s.found;
        return rc;
    }
    return 0;
}

/* Counts a record of one of the request's packs. */
static void count_record(struct lx_request *r, const uint8_t *slice)
{
    for (size_t i = 0; i < r->npacks; i++) {
        if (r->packs[i].id == get_be64(slice) && r->packs[i].size == get_be32(slice + 8))
            r->packs[i].n++;
    }
}

int lx_push_items(struct lx *x, uint64_t ino, const uint8_t *p, size_t n)
{
    char key[LX_KEY];
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < n; at += ITEM) {
        list_key(key, ino, get_be32(p + at));
        rc = lx_store(x, list_push(x->kv, key, p + at + 4, RECORD_BYTES));
        count_record(x->request, p + at + 8);
    }
    return rc;
}

void lx_written(struct lx *x, struct attr *a, uint64_t length)
{
    if (x->op->mode != 0)
        a->mode &= (uint16_t) ~(x->op->mode & (S_ISUID | S_ISGID));
    else
        lx_kill_priv(x, a);
    a->length = length;
    stamp(a, x->op->mtime);
    a->ctime = x->op->now;
}

int lx_op_write(struct lx *x)
{
    uint64_t ino = x->op->base, end;
    struct attr a;
    bool found, repeated;
    int rc = lx_load(x, ino, &a, &found);
    if (rc < 0 || !found)
        return rc < 0 ? rc : -ENOENT;
    if (a.type != TYPE_FILE)
        return -EPERM;
    rc = records_end(x->op->data, x->op->data_len, &end);
    if (rc < 0)
        return rc;
    if (end > LENGTH_MAX)
        return -EFBIG;
    rc = is_repeated(x, ino, &repeated);
    if (rc < 0)
        return rc;
    if ((x->op->data_len == 0 && x->op->mode == 0) || repeated)
        return lx_answer(x, ino, &a, a.parent);
    uint64_t old = a.length, length = end > old ? end : old;
    int64_t space = growth(length, old);
    rc = lx_room_resize(x, ino, &a, space);
    if (rc < 0)
        return rc;
    lx_written(x, &a, length);
    rc = lx_save(x, ino, &a);
    if (rc == 0)
        rc = lx_push_items(x, ino, x->op->data, x->op->data_len);
    if (rc == 0 && length != old)
        rc = lx_count_resize(x, ino, &a, (int64_t)(length - old), space);
    return rc == 0 ? lx_answer(x, ino, &a, a.parent) : rc;
}

static bool fallocate_served(uint32_t mode)
{
    return mode == 0 || mode == FALLOC_FL_KEEP_SIZE ||
           mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) || mode == FALLOC_FL_ZERO_RANGE ||
           mode == (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
}

int lx_op_fallocate(struct lx *x)
{
    const struct op *op = x->op;
    struct attr a;
    bool found;
    if (op->len == 0)
        return -EINVAL;
    if (!fallocate_served(op->mode))
        return -EOPNOTSUPP;
    int rc = lx_load(x, op->base, &a, &found);
    if (rc < 0 || !found)
        return rc < 0 ? rc : -ENOENT;
    if ((a.flags & ATTR_IMMUTABLE) != 0 ||
        ((a.flags & ATTR_APPEND) != 0 && op->mode != FALLOC_FL_KEEP_SIZE))
        return -EPERM;
    if (a.type != TYPE_FILE)
        return a.type == TYPE_FIFO ? -ESPIPE : a.type == TYPE_DIRECTORY ? -EISDIR : -ENODEV;
    uint64_t old = a.length, last = op->off + op->len;
    if (last > LENGTH_MAX || last < op->off || old >= LENGTH_MAX)
        return -EFBIG;
    uint64_t length = last > old && (op->mode & FALLOC_FL_KEEP_SIZE) == 0 ? last : old;
    int64_t space = growth(length, old);
    rc = lx_room_resize(x, op->base, &a, space);
    if (rc < 0)
        return rc;
    lx_kill_priv(x, &a);
    a.length = length;
    stamp(&a, op->now);
    a.ctime = op->now;
    rc = lx_save(x, op->base, &a);
    if (rc == 0 && (op->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0 && op->off < old)
        rc = zero(x, op->base, op->off, last < old ? last : old, false);
    if (rc == 0 && length != old)
        rc = lx_count_resize(x, op->base, &a, (int64_t)(length - old), space);
    return rc == 0 ? lx_answer(x, op->base, &a, a.parent) : rc;
}

/* --- records
 * ------------------------------------------------------------------------------------------ */

static int append(void *ctx, struct kv_val key, struct kv_val value)
{
    (void)key;
    buf_add(ctx, value.data, value.len);
    return 0;
}

int lx_records(struct lx *x, uint64_t ino, uint64_t chunk, struct buf *out)
{
    char key[LX_KEY];
    list_key(key, ino, chunk);
    return lx_store(x, list_scan(x->kv, key, append, out));
}

int lx_op_chunks(struct lx *x)
{
    const struct op *op = x->op;
    struct buf *out = &x->res->extra;
    struct attr a;
    bool found;
    int rc = lx_load(x, op->base, &a, &found);
    if (rc < 0 || (!found && !lx_has(x, OPF_BY_FD)))
        return rc < 0 ? rc : -ENOENT;
    if ((found && a.type != TYPE_FILE) || op->len == 0 || op->off + op->len > UINT64_C(1) << 32)
        return -EINVAL;
    uint64_t past = found ? (a.length + CHUNK_BYTES - 1) / CHUNK_BYTES : UINT64_C(1) << 32;
    uint64_t n = op->len < CHUNKS_MAX ? op->len : CHUNKS_MAX;
    for (uint64_t k = op->off; rc == 0 && k < op->off + n && out->len < RECORDS_MAX; k++) {
        struct buf records = {0};
        if (k < past)
            rc = lx_records(x, op->base, k, &records);
        buf_add_be32(out, (uint32_t)k);
        buf_add_be32(out, (uint32_t)records.len);
        buf_add(out, records.data, records.len);
        if (rc == 0)
            rc = buf_ok(&records);
        buf_free(&records);
    }
    return rc == 0 ? lx_answer(x, op->base, found ? &a : NULL, found ? a.parent : 0) : rc;
}

int lx_release(struct lx *x, const uint8_t *slice, struct buf *freed)
{
    char field[64];
    int64_t now;
    bool seen = false;
    int n = snprintf(field, sizeof(field), "k%" PRIu64 "_%" PRIu32, get_be64(slice),
                     get_be32(slice + 8));
    int rc = lx_store(x, hash_incr(x->kv, "sliceRef", field, (size_t)n, -1, &now));
    for (size_t i = 0; rc == 0 && now < 0 && i + 12 <= freed->len && !seen; i += 12)
        seen = memcmp(freed->data + i, slice, 12) == 0;
    if (rc == 0 && now < 0 && !seen)
        buf_add(freed, slice, 12);
    return rc;
}

/* Gives back the references of one chunk's records; slices without one left go to `freed`. */
static int give_back(struct lx *x, const struct buf *records, struct buf *freed)
{
    int rc = 0;
    for (size_t at = 0; rc == 0 && at + RECORD_BYTES <= records->len; at += RECORD_BYTES) {
        if (get_be64(records->data + at + 4) != 0)
            rc = lx_release(x, records->data + at + 4, freed);
    }
    return rc;
}

int lx_purge(struct lx *x, uint64_t ino, uint64_t length)
{
    char key[LX_KEY];
    int rc = 0;
    for (uint64_t k = 0; rc == 0 && k * CHUNK_BYTES < length; k++) {
        struct buf records = {0};
        rc = lx_records(x, ino, k, &records);
        list_key(key, ino, k);
        if (rc == 0 && records.len > 0)
            rc = lx_store(x, clear_all(x->kv, key));
        if (rc == 0)
            rc = give_back(x, &records, &x->res->extra);
        buf_free(&records);
    }
    return rc;
}

int lx_op_purge(struct lx *x)
{
    char member[64];
    struct attr a;
    bool found;
    int rc = lx_load(x, x->op->base, &a, &found);
    if (rc < 0 || found)
        return rc < 0 ? rc : -EBUSY; /* it lives: not a deleted file */
    rc = lx_purge(x, x->op->base, x->op->len);
    int n = snprintf(member, sizeof(member), "%" PRIu64 ":%" PRIu64, x->op->base, x->op->len);
    if (rc == 0)
        rc = lx_del(x, "delfiles", member, (size_t)n);
    return rc == 0 ? lx_answer(x, x->op->base, NULL, 0) : rc;
}

int lx_op_forget(struct lx *x)
{
    const uint8_t *p = x->op->data;
    int rc = x->op->data_len % 12 != 0 ? -EINVAL : 0;
    for (uint32_t at = 0; rc == 0 && at < x->op->data_len; at += 12) {
        char field[64];
        struct kv_val v;
        bool found;
        int n = snprintf(field, sizeof(field), "k%" PRIu64 "_%" PRIu32, get_be64(p + at),
                         get_be32(p + at + 8));
        rc = lx_get(x, "sliceRef", field, (size_t)n, &v, &found);
        if (rc == 0 && found && v.len > 0 && *(const char *)v.data == '-')
            rc = lx_del(x, "sliceRef", field, (size_t)n);
    }
    return rc;
}
