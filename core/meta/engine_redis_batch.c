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

/* Of the first n ops; of less than all only what is plain behind them says that it was applied. */
static void add_head(struct buf *b, const struct engine_request *rq, size_t n)
{
    const char *board = rq->board && n == rq->n ? rq->board : "";

    buf_add(b, (const uint8_t[]){HEAD_MARK, rq->force ? HEAD_FORCE : 0}, 2);
    buf_add_be64(b, rq->seq);
    buf_add_be16(b, (uint16_t)n);
    buf_add_be16(b, (uint16_t)rq->npacks);
    for (size_t i = 0; i < rq->npacks; i++) {
        buf_add_be64(b, rq->packs[i].id);
        buf_add_be32(b, rq->packs[i].size);
    }
    buf_add(b, board, strlen(board));
}

/* A request on its way: which arguments are how many ops. */
struct way {
    struct rds_flight *flight; /* the script's, with ops [0, from); NULL: from is 0 */
    struct rds_flight *plain;  /* with the others; NULL: there are none, or plain_rc */
    int plain_rc;
    size_t from;
    uint32_t epoch;
    size_t n;
    struct part {
        uint32_t ops; /* 0: one, by itself */
    } part[];
};

/* The ops of a request as arguments; runs of them as one. */
static void add_ops(struct redis_engine *re, const struct engine_request *rq, struct args *a,
                    struct way *w)
{
    for (size_t i = 0; i < w->from;) {
        size_t run = group_encode(re->room, rds_keys(re->rds), rq->ops + i, w->from - i, a->bytes);

        if (run == 0)
            op_encode(&rq->ops[i], a->bytes);
        end_arg(a);
        w->part[w->n++].ops = (uint32_t)run;
        i += run > 0 ? run : 1;
    }
}

static int encode(struct redis_engine *re, const struct engine_request *rq, struct args *a,
                  struct way *w)
{
    if (!re->room)
        re->room = calloc(1, sizeof(*re->room));
    if (!re->room || !a->argv || !w)
        return rds_fail(re->rds, -ENOMEM, "no memory for the request");
    buf_clear(a->bytes);
    op_env_encode(rq->env, a->bytes);
    end_arg(a);
    add_head(a->bytes, rq, w->from);
    end_arg(a);
    add_ops(re, rq, a, w);
    if (buf_ok(a->bytes) == 0) {
        finish(a);
        return 0;
    }
    buf_free(a->bytes);
    return rds_fail(re->rds, -ENOMEM, "no memory for the request");
}

static int send(struct redis_engine *re, struct engine_request *rq)
{
    struct args a = {.bytes = &re->args};
    struct way *w;

    if (rq->n > ENGINE_REQUEST_OPS || rq->npacks > UINT16_MAX)
        return rds_fail(re->rds, -E2BIG, "a request of too many parts");
    a.argv = malloc((rq->n + 2) * sizeof(*a.argv));
    w = calloc(1, sizeof(*w) + rq->n * sizeof(w->part[0]));
    if (w)
        w->from = plain_begin(re, rq);
    int rc = encode(re, rq, &a, w);
    if (rc == 0 && (w->from > 0 || rq->n == 0))
        w->flight = rds_script_send(re->rds, a.argv, a.n, &rc);
    if (rc == 0 && w->from < rq->n)
        w->plain = plain_send(re, rq, w->from, &w->plain_rc);
    if (rc == 0)
        w->epoch = rds_epoch(re->rds);
    if (rc == 0)
        rq->way = w;
    else
        free(w);
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

static int decode_made(int64_t rflags, const struct op *ops, uint32_t run, struct op_result *res)
{
    if (rflags < 0 || rflags > UINT32_MAX)
        return -EIO;
    for (uint32_t i = 0; i < run; i++) {
        res[i].rflags = OPR_CREATED | (uint32_t)rflags;
        res[i].ino = ops[i].ino;
        res[i].parent = ops[i].base;
    }
    return 0;
}

/* u16 index, u16 n, n slices */
static int decode_slices(const uint8_t *p, size_t len, uint32_t run, struct op_result *res)
{
    while (len > 0) {
        size_t n = len >= 4 ? (size_t)get_be16(p + 2) * PACK_BYTES : 0;

        if (n == 0 || n + 4 > len || get_be16(p) >= run)
            return -EIO;
        buf_add(&res[get_be16(p)].extra, p + 4, n);
        if (buf_ok(&res[get_be16(p)].extra) < 0)
            return -ENOMEM;
        p += n + 4;
        len -= n + 4;
    }
    return 0;
}

/* What the op alone would answer: a directory that is gone had its attr as it was. */
static void set_removed(const struct op *op, uint64_t hour, struct op_result *res)
{
    res->rflags = hour ? OPR_TRASHED : OPR_GONE;
    res->parent = op->base;
    res->has_attr = true;
    if (hour)
        res->attr.parent = hour;
    else if (op->kind == OP_UNLINK)
        res->attr.nlink = 0;
    if (hour || op->kind == OP_UNLINK)
        res->attr.ctime = op->now;
}

/* Entries, attrs before the change, and the trash's directory or the slices given back. */
static int decode_removed(const struct rds_reply *r, const struct op *ops, uint32_t run,
                          struct group_room *room, struct op_result *res)
{
    const char *entries, *attrs, *rest;
    size_t nentries, nattrs, nrest;
    uint8_t type;

    if (rds_reply_bytes(rds_reply_at(r, 0), &entries, &nentries) < 0 ||
        rds_reply_bytes(rds_reply_at(r, 1), &attrs, &nattrs) < 0 ||
        rds_reply_bytes(rds_reply_at(r, 2), &rest, &nrest) < 0 || nentries != run * ENTRY_BYTES ||
        nattrs != run * ATTR_BYTES)
        return -EIO;
    uint64_t hour = nrest == 8 ? get_be64((const uint8_t *)rest) : 0; /* 8: no list is so short */
    group_by_directory(room, ops, run);
    for (uint32_t i = 0; i < run; i++) {
        uint16_t turn = room->order[i];
        if (entry_decode(entries + i * ENTRY_BYTES, ENTRY_BYTES, &type, &res[turn].ino) < 0 ||
            attr_decode(attrs + i * ATTR_BYTES, ATTR_BYTES, &res[turn].attr) < 0)
            return -EIO;
        set_removed(&ops[turn], hour, &res[turn]);
    }
    return hour ? 0 : decode_slices((const uint8_t *)rest, nrest, run, res);
}

/* The answer to one argument: of one op, or of a run: what all that worked have in common, or an
 * answer for each. */
static int decode_part(const struct rds_reply *r, const struct op *ops, uint32_t run,
                       struct group_room *room, struct op_result *res)
{
    const char *bytes;
    int64_t rflags;
    size_t count, len;
    int rc = 0;

    if (run == 0)
        return answer_decode(r, res);
    if (rds_reply_int(r, &rflags) == 0)
        return decode_made(rflags, ops, run, res);
    if (rds_reply_array(r, &count) < 0)
        return -EIO;
    if (count == 3 && rds_reply_bytes(rds_reply_at(r, 0), &bytes, &len) == 0)
        return decode_removed(r, ops, run, room, res);
    if (count != run)
        return -EIO;
    for (uint32_t i = 0; i < run && rc == 0; i++)
        rc = answer_decode(rds_reply_at(r, i), &res[i]);
    return rc;
}

static int decode(const struct rds_reply *r, const struct way *w, struct group_room *room,
                  struct engine_request *rq)
{
    int64_t outcome, last;
    size_t count, at = 0;
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
    if (outcome != BATCH_APPLIED || count != HEAD_FIELDS + w->n)
        return -EIO;
    rc = decode_packs(rds_reply_at(r, 2), rq);
    for (size_t i = 0; i < w->n && rc == 0; i++) {
        uint32_t run = w->part[i].ops;

        rc = decode_part(rds_reply_at(r, HEAD_FIELDS + i), rq->ops + at, run, room, rq->res + at);
        at += run > 0 ? run : 1;
    }
    return rc;
}

static void complete_plain(struct redis_engine *re, struct way *w, struct engine_request *rq)
{
    struct rds_reply *reply = NULL;
    int rc = w->plain ? rds_script_wait(re->rds, w->plain, &reply) : w->plain_rc;

    rds_reply_free(reply);
    if (rq->rc == 0)
        rq->rc = rc;
    if (rq->rc == 0)
        plain_results(rq, w->from);
}

struct engine_request *engine_redis_complete(struct engine *e)
{
    struct redis_engine *re = (struct redis_engine *)e;
    struct engine_request *rq = re->oldest;
    struct rds_reply *reply = NULL;

    if (!rq)
        return NULL;
    re->oldest = rq->next;
    if (!re->oldest)
        re->newest = NULL;
    struct way *w = rq->way;
    if (w && w->flight)
        rq->rc = rds_script_wait(re->rds, w->flight, &reply);
    if (w && w->flight && rq->rc == 0) {
        rq->rc = decode(reply, w, re->room, rq);
        if (rq->rc < 0)
            rds_fail(re->rds, rq->rc, "malformed answer of the script");
    }
    rds_reply_free(reply);
    if (w && w->from < rq->n)
        complete_plain(re, w, rq);
    for (size_t i = 0; w && rq->rc < 0 && i < rq->n; i++)
        op_result_free(&rq->res[i]);
    plain_answered(re, rq, w ? w->epoch : 0);
    free(w);
    rq->way = NULL;
    return rq;
}

void engine_redis_forget(struct redis_engine *re)
{
    for (struct engine_request *rq = re->oldest; rq; rq = rq->next)
        free(rq->way);
    re->oldest = re->newest = NULL;
}
