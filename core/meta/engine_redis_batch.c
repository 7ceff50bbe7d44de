/*
 * engine_redis_batch.c - requests on their way to Redis: built as one script call each, their
 * answers taken apart.  lua/op_batch.lua is the other end.
 */
#include "core/meta/engine_redis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_MARK   2 /* first byte of the argument that makes a request of a call */
#define HEAD_FORCE  1
#define PACK_BYTES  12
#define CODE_BYTES  4 /* u16 index of the op, i16 code */
#define HEAD_FIELDS 3 /* of the answer: outcome, last, packs or codes; then one an argument */

/* --- the request ------------------------------------------------------------------------------ */

/* Arguments of a call as offsets into one buffer, which may move while it grows. */
struct args {
    struct buf *bytes;
    struct rds_arg *argv;
    size_t n;
};

static void end_arg(struct args *a)
{
    a->argv[a->n++].len = a->bytes->len; /* where it ends, until finish() */
}

static void finish(struct args *a)
{
    size_t from = 0;

    for (size_t i = 0; i < a->n; i++) {
        size_t end = a->argv[i].len;

        a->argv[i] = (struct rds_arg){a->bytes->data + from, end - from};
        from = end;
    }
}

static void add_head(struct buf *b, const struct engine_request *rq)
{
    const char *board = rq->board ? rq->board : "";

    buf_add(b, (const uint8_t[]){HEAD_MARK, rq->force ? HEAD_FORCE : 0}, 2);
    buf_add_be64(b, rq->seq);
    buf_add_be16(b, (uint16_t)rq->n);
    buf_add_be16(b, (uint16_t)rq->npacks);
    for (size_t i = 0; i < rq->npacks; i++) {
        buf_add_be64(b, rq->packs[i].id);
        buf_add_be32(b, rq->packs[i].size);
    }
    buf_add(b, board, strlen(board));
}

static int send(struct redis_engine *re, struct engine_request *rq)
{
    struct args a = {.bytes = &re->args};
    int rc = -ENOMEM;

    if (rq->n > ENGINE_REQUEST_OPS || rq->npacks > UINT16_MAX)
        return rds_fail(re->rds, -E2BIG, "a request of too many parts");
    buf_clear(a.bytes);
    a.argv = malloc((rq->n + 2) * sizeof(*a.argv));
    if (a.argv) {
        op_env_encode(rq->env, a.bytes);
        end_arg(&a);
        add_head(a.bytes, rq);
        end_arg(&a);
        for (size_t i = 0; i < rq->n; i++) {
            op_encode(&rq->ops[i], a.bytes);
            end_arg(&a);
        }
        rc = buf_ok(a.bytes);
    }
    if (rc == 0) {
        finish(&a);
        rq->way = rds_script_send(re->rds, a.argv, a.n, &rc);
    } else {
        buf_free(a.bytes);
        rds_fail(re->rds, rc, "no memory for the request");
    }
    free(a.argv);
    return rc;
}

void engine_redis_submit(struct engine *e, struct engine_request *rq)
{
    struct redis_engine *re = (struct redis_engine *)e;

    memset(rq->res, 0, rq->n * sizeof(*rq->res));
    for (size_t i = 0; i < rq->npacks; i++)
        rq->packs[i].applied = 0;
    rq->outcome = BATCH_APPLIED;
    rq->last = 0;
    rq->next = NULL;
    rq->way = NULL;
    rq->rc = send(re, rq);
    if (re->newest)
        re->newest->next = rq;
    else
        re->oldest = rq;
    re->newest = rq;
}

/* --- the answer ------------------------------------------------------------------------------- */

static int decode_packs(const struct rds_reply *r, struct engine_request *rq)
{
    const char *data;
    size_t len;

    if (answer_bytes(r, &data, &len) < 0 || len != rq->npacks * 4)
        return -EIO;
    for (size_t i = 0; i < rq->npacks; i++)
        rq->packs[i].applied = get_be32((const uint8_t *)data + 4 * i);
    return 0;
}

/* Of a batch that was applied before.  Not kept any more: what became of it is not known. */
static int decode_codes(const struct rds_reply *r, struct engine_request *rq)
{
    const uint8_t *p;
    const char *data;
    size_t len;

    if (rds_reply_is_nil(r)) {
        for (size_t i = 0; i < rq->n; i++)
            rq->res[i].code = -EIO;
        return 0;
    }
    if (rds_reply_bytes(r, &data, &len) < 0 || len % CODE_BYTES != 0)
        return -EIO;
    for (p = (const uint8_t *)data; len > 0; p += CODE_BYTES, len -= CODE_BYTES) {
        if (get_be16(p) >= rq->n)
            return -EIO;
        rq->res[get_be16(p)].code = (int16_t)get_be16(p + 2);
    }
    return 0;
}

static int decode(const struct rds_reply *r, struct engine_request *rq)
{
    int64_t outcome, last;
    size_t count;
    int rc;

    if (rds_reply_array(r, &count) < 0 || count < HEAD_FIELDS ||
        rds_reply_int(rds_reply_at(r, 0), &outcome) < 0 ||
        rds_reply_int(rds_reply_at(r, 1), &last) < 0 || last < 0)
        return -EIO;
    rq->last = (uint64_t)last;
    if (outcome == BATCH_GAP && count == HEAD_FIELDS) {
        rq->outcome = BATCH_GAP;
        return 0;
    }
    if (outcome == BATCH_REPEATED && count == HEAD_FIELDS) {
        rq->outcome = BATCH_REPEATED;
        return decode_codes(rds_reply_at(r, 2), rq);
    }
    if (outcome != BATCH_APPLIED || count != HEAD_FIELDS + rq->n)
        return -EIO;
    rc = decode_packs(rds_reply_at(r, 2), rq);
    for (size_t i = 0; i < rq->n && rc == 0; i++)
        rc = answer_decode(rds_reply_at(r, HEAD_FIELDS + i), &rq->res[i]);
    return rc;
}

struct engine_request *engine_redis_complete(struct engine *e)
{
    struct redis_engine *re = (struct redis_engine *)e;
    struct engine_request *rq = re->oldest;
    struct rds_reply *reply;

    if (!rq)
        return NULL;
    re->oldest = rq->next;
    if (!re->oldest)
        re->newest = NULL;
    if (rq->way)
        rq->rc = rds_script_wait(re->rds, rq->way, &reply);
    if (rq->rc < 0)
        return rq;
    rq->rc = decode(reply, rq);
    rds_reply_free(reply);
    if (rq->rc < 0) {
        for (size_t i = 0; i < rq->n; i++)
            op_result_free(&rq->res[i]);
        rds_fail(re->rds, rq->rc, "malformed answer of the script");
    }
    return rq;
}
