/*
 * lx_batch.c - batches that are applied exactly once, slices that several records of a request name
 * (op_batch, which says how `~seq` is written).
 */
#include "core/base/clock.h"
#include "core/format/keys.h"
#include "core/meta/lx.h"

#include <errno.h>
#include <string.h>

#define SEQ_KEY    "~seq"
#define HEAD_BYTES 16 /* u64 last, u64 time */
#define ITEM_BYTES 10 /* u64 seq, u16 n, then n codes */
#define CODE_BYTES 4  /* u16 index, i16 code */
#define MANY       1000
#define IDLE_S     (7 * 86400)
#define LEAVE_MOST 1000 /* of one look */

/* --- packs ------------------------------------------------------------------------------------ */

static int add_references(struct lx *x, const struct lx_pack *p, int64_t by, int64_t *now)
{
    char field[KEY_MAX];
    size_t n = key_slice_field(p->id, p->size, field);

    return lx_store(x, hash_incr(x->kv, "sliceRef", field, n, by, now));
}

int lx_count_packs(struct lx *x)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < x->request->npacks; i++) {
        struct lx_pack *p = &x->request->packs[i];
        if (p->n == 0)
            continue;
        rc = add_references(x, p, p->n, NULL);
        p->total += p->n;
        p->n = 0;
    }
    return rc;
}

int lx_close_packs(struct lx *x, struct engine_pack *out)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < x->request->npacks; i++) {
        struct lx_pack *p = &x->request->packs[i];
        int64_t now = 0;
        p->total += p->n;
        if (p->total > 0 && p->n != 1)
            rc = add_references(x, p, (int64_t)p->n - 1, &now);
        out[i].applied = now < 0 ? 0 : p->total;
    }
    return rc;
}

/* --- boards ----------------------------------------------------------------------------------- */

struct boards {
    uint64_t n, before; /* those that were last used before this time leave */
    struct buf old;     /* NUL after each */
    size_t nold;
};

static int look_at_board(void *ctx, struct kv_val key, struct kv_val value)
{
    struct boards *b = ctx;

    b->n++;
    if (b->nold < LEAVE_MOST &&
        (value.len < HEAD_BYTES || get_be64((const uint8_t *)value.data + 8) < b->before)) {
        buf_add(&b->old, key.data, key.len);
        buf_add(&b->old, "", 1);
        b->nold++;
    }
    return 0;
}

/* A new board comes: those that were not used for long leave. */
static int expire(struct lx *x)
{
    struct boards b = {.before = (uint64_t)clock_now().sec - IDLE_S};
    int rc = lx_store(x, hash_scan(x->kv, SEQ_KEY, NULL, 0, look_at_board, &b));

    if (rc == 0)
        rc = buf_ok(&b.old);
    for (size_t at = 0; rc == 0 && b.n > MANY && at < b.old.len;) {
        const char *board = (const char *)b.old.data + at;
        size_t n = strlen(board);
        rc = lx_del(x, SEQ_KEY, board, n);
        at += n + 1;
    }
    buf_free(&b.old);
    return rc;
}

static int set_codes(const uint8_t *p, size_t n, struct engine_request *rq)
{
    for (; n > 0; n--, p += CODE_BYTES) {
        if (get_be16(p) >= rq->n)
            return -EIO;
        rq->res[get_be16(p)].code = (int16_t)get_be16(p + 2);
    }
    return 0;
}

static int set_repeated(const uint8_t *p, size_t len, struct engine_request *rq)
{
    bool is_kept = rq->seq + ENGINE_BATCH_KEPT > rq->last;
    int rc = 0;

    rq->outcome = BATCH_REPEATED;
    for (size_t i = 0; !is_kept && i < rq->n; i++)
        rq->res[i].code = -EIO;
    while (is_kept && rc == 0 && len >= ITEM_BYTES) {
        size_t n = get_be16(p + 8), size = ITEM_BYTES + n * CODE_BYTES;
        if (size > len)
            return -EIO;
        if (get_be64(p) == rq->seq)
            rc = set_codes(p + ITEM_BYTES, n, rq);
        p += size;
        len -= size;
    }
    return rc;
}

int lx_seq_begin(struct lx *x, struct engine_request *rq, struct buf *kept)
{
    struct kv_val v = {0};
    bool found;
    int rc = lx_get(x, SEQ_KEY, rq->board, strlen(rq->board), &v, &found);

    if (rc < 0)
        return rc;
    const uint8_t *p = v.data;
    size_t len = found && v.len >= HEAD_BYTES ? v.len - HEAD_BYTES : 0;
    rq->outcome = BATCH_APPLIED;
    rq->last = found && v.len >= HEAD_BYTES ? get_be64(p) : 0;
    if (rq->seq <= rq->last)
        return set_repeated(p + HEAD_BYTES, len, rq);
    if (rq->seq != rq->last + 1 && !rq->force) {
        rq->outcome = BATCH_GAP;
        return 0;
    }
    if (len > 0)
        p += HEAD_BYTES;
    while (len >= ITEM_BYTES && get_be64(p) + ENGINE_BATCH_KEPT <= rq->seq) {
        size_t size = ITEM_BYTES + (size_t)get_be16(p + 8) * CODE_BYTES;
        size = size < len ? size : len;
        p += size;
        len -= size;
    }
    buf_add(kept, p, len);
    return found ? 0 : expire(x);
}

int lx_seq_store(struct lx *x, const struct engine_request *rq, struct buf *kept)
{
    struct buf value = {0};
    size_t n = 0;

    for (size_t i = 0; i < rq->n; i++)
        n += rq->res[i].code != 0;
    buf_add_be64(&value, rq->seq);
    buf_add_be64(&value, (uint64_t)clock_now().sec);
    buf_add(&value, kept->data, kept->len);
    if (n > 0) {
        buf_add_be64(&value, rq->seq);
        buf_add_be16(&value, (uint16_t)n);
    }
    for (size_t i = 0; n > 0 && i < rq->n; i++) {
        if (rq->res[i].code != 0) {
            buf_add_be16(&value, (uint16_t)i);
            buf_add_be16(&value, (uint16_t)(int16_t)rq->res[i].code);
        }
    }
    int rc = buf_ok(&value);
    if (rc == 0)
        rc = lx_set(x, SEQ_KEY, rq->board, strlen(rq->board), value.data, value.len);
    buf_free(&value);
    return rc;
}
