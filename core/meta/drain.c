/*
 * drain.c - pending groups become batches: sent in order, several on their way, until the store has
 * all of them.
 *
 * A function of the queue alone: its owner runs it at a barrier or when its thread finds something
 * old, any other process of the user before it asks the store, `jfspre sync`, and whoever finds
 * what a dead one left.  A batch that is sent twice is applied once (engine.h).
 */
#include "core/meta/batch.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/format/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW     8    /* batches on their way */
#define WAIT_MS    1000 /* for a drainer that does not move */
#define TRIES      3
#define GONE_BYTES 12 /* u64 id, u32 size */

struct flight {
    struct engine_request rq;
    struct queue_batch g;
    struct engine_pack pack;
    struct op *sent; /* instead of g.ops, when its pack is lost; or NULL */
    struct op_result *res;
    uint64_t from_ns;
};

struct draining {
    struct batch *b;
    struct op_env env; /* b->env may not be set yet: draining may be the first thing we do */
    struct queue *q;
    struct flight flight[WINDOW];
    size_t first, n;
    struct queue_place next; /* group to send; nowhere: the queue's first */
    struct queue_place end;  /* of what was pending when it began */
    bool closed;             /* the open group is not part of that */
    uint64_t force;          /* sequence number that is sent whatever the store remembers */
    int rc;
    bool again; /* the queue went back to an older group */
};

/* Does the op name the group's pack?  size not 0: its records there get it. */
static bool is_packed(struct flight *f, const struct op *op, uint32_t size)
{
    uint8_t *data = (uint8_t *)(uintptr_t)op->data; /* of the copy */
    struct record_item item;
    bool is = false;
    for (size_t pos = op_records(op); record_item_next(data, op->data_len, &pos, &item);) {
        if (item.r.id != f->g.pack)
            continue;
        is = true;
        item.r.size = size;
        if (size != 0)
            record_encode(&item.r, data + item.at);
    }
    return is;
}

/* The pack is nowhere: somebody removed it from the staging area, or all of the batch was refused
 * and who drained it was killed before he could say so.  Ops that name it become one that is
 * refused, so that the batch has its number of ops and the store can say which of the two it is. */
static int lose(struct flight *f)
{
    f->sent = malloc(f->g.n * sizeof(*f->sent));
    if (f->sent == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < f->g.n; i++) {
        f->sent[i] = f->g.ops[i];
        if (is_packed(f, &f->g.ops[i], 0))
            f->sent[i] = (struct op){.kind = OP_UNLINK,
                                     .cred = f->g.ops[i].cred,
                                     .now = f->g.ops[i].now,
                                     .base = f->g.ops[i].base,
                                     .ino = f->g.ops[i].ino,
                                     .path = f->g.ops[i].path};
    }
    return 0;
}

/* The records of the group's pack get its size, which is final from here on. */
static int seal(struct batch *b, struct flight *f)
{
    uint32_t size = 0;
    if (f->g.pack == 0)
        return 0;
    int rc = b->hooks.seal != NULL ? b->hooks.seal(b->hooks.ctx, f->g.pack, &size) : -EIO;
    if (rc == -ENOENT)
        return lose(f);
    for (size_t i = 0; rc == 0 && i < f->g.n; i++)
        is_packed(f, &f->g.ops[i], size);
    f->pack = (struct engine_pack){.id = f->g.pack, .size = size};
    f->rq.packs = &f->pack;
    f->rq.npacks = 1;
    return rc;
}

static void flight_free(struct flight *f)
{
    for (size_t i = 0; f->res != NULL && i < f->g.n; i++)
        buf_free(&f->res[i].extra);
    free(f->res);
    free(f->sent);
    queue_batch_free(&f->g);
    memset(f, 0, sizeof(*f));
}

/* Sends the next group.  False: there is none, or it cannot be sent. */
static bool send_one(struct draining *d)
{
    struct flight *f = &d->flight[(d->first + d->n) % WINDOW];
    struct engine *e = d->b->m->engine;

    memset(f, 0, sizeof(*f));
    if (d->next.use == d->end.use && d->next.at >= d->end.at)
        return false;
    int rc = queue_batch(d->q, &d->next, &f->g);
    if (rc == 1) {
        rc = seal(d->b, f);
        f->res = rc < 0 ? NULL : malloc((f->g.n + 1) * sizeof(*f->res)); /* submit() clears them */
        rc = rc < 0 ? rc : f->res == NULL ? -ENOMEM : 1;
    }
    if (rc < 1) {
        flight_free(f);
        if (rc < 0)
            d->rc = meta_fail(d->b->m, rc, "pending changes: %s", strerror(-rc));
        return false;
    }
    d->next = f->g.next;
    f->rq.env = &d->env;
    f->rq.ops = f->sent != NULL ? f->sent : f->g.ops;
    f->rq.n = f->g.n;
    f->rq.res = f->res;
    f->rq.board = queue_id(d->q);
    f->rq.seq = f->g.seq;
    f->rq.force = f->g.seq == d->force;
    f->from_ns = clock_mono_ns();
    d->n++;
    e->ops->submit(e, &f->rq);
    return true;
}

static void drop_slices(struct batch *b, const struct buf *pairs)
{
    for (size_t at = 0; at + GONE_BYTES <= pairs->len; at += GONE_BYTES) {
        uint64_t id = get_be64(pairs->data + at);
        uint32_t size = get_be32(pairs->data + at + 8);
        if (b->hooks.drop != NULL && b->hooks.drop(b->hooks.ctx, id, size) == 0)
            meta_forget_locked(b->m, id, size);
    }
}

/* Once for a group, whoever drains it. */
static void count_sent(struct draining *d, const struct flight *f)
{
    struct metrics *m = d->b->m->metrics;
    uint32_t sent = queue_sent(d->q, &f->g);

    metrics_repeated(m, f->rq.outcome == BATCH_REPEATED);
    metrics_batch(m, f->g.n, (clock_mono_ns() - f->from_ns) / 1000);
    if (sent == 0)
        return;
    metrics_depth(m, -(int64_t)sent);
    uint32_t flushed[OP_KINDS] = {0};
    for (size_t i = 0; i < f->g.n; i++) {
        unsigned kind = f->g.ops[i].kind;
        if (f->res[i].code < 0)
            metrics_failed(m, kind, 1);
        else if (kind < OP_KINDS)
            flushed[kind]++;
    }
    for (unsigned kind = 0; kind < OP_KINDS; kind++)
        if (flushed[kind] > 0)
            metrics_flushed(m, kind, flushed[kind]);
}

static void take_answers(struct draining *d, struct flight *f)
{
    struct batch *b = d->b;
    for (size_t i = 0; f->sent != NULL && f->rq.outcome == BATCH_APPLIED && i < f->g.n; i++) {
        if (is_packed(f, &f->g.ops[i], 0))
            f->res[i].code = -ENODATA;
    }
    deferred_begin(b, &f->g, &f->pack, f->res);
    for (size_t i = 0; i < f->g.n; i++) {
        const struct op *op = &f->g.ops[i];
        const struct op_result *res = &f->res[i];
        if (res->code < 0)
            deferred_refused(b, d->q, op, res->code);
        else if ((res->rflags & OPR_GONE) != 0)
            drop_slices(b, &res->extra);
        if ((res->rflags & OPR_FOREIGN) != 0 || res->code < 0) {
            pthread_mutex_lock(&b->known);
            overlay_doubt(b->overlay, op->base);
            overlay_forget(b->overlay, op->ino);
            pthread_mutex_unlock(&b->known);
        }
    }
    if (f->pack.id != 0 && f->pack.applied == 0 && b->pack_refs == 0 &&
        f->rq.outcome == BATCH_APPLIED && b->hooks.drop != NULL)
        b->hooks.drop(b->hooks.ctx, f->pack.id, f->pack.size);
    count_sent(d, f);
}

/* The server knows less than it told us: it crashed, or another one took over. */
static void gap(struct draining *d, const struct flight *f)
{
    if (d->again || f->g.seq == d->force)
        return; /* what was on its way behind the first one */
    d->again = true;
    uint64_t before = queue_waiting(d->q);
    if (queue_rewind(d->q, f->rq.last) == 0) {
        metrics_depth(d->b->m->metrics, (int64_t)(queue_waiting(d->q) - before));
        meta_skip_ids(d->b->m);
        log_at(LOG_WARN, "%s: the store forgot changes it had confirmed; sending them again",
               d->b->m->engine->ops->name(d->b->m->engine));
    } else {
        if (f->g.seq > 1)
            log_at(LOG_WARN, "%s: the store does not know this host's earlier changes",
                   d->b->m->engine->ops->name(d->b->m->engine));
        d->force = f->g.seq;
    }
}

static void finish_one(struct draining *d)
{
    struct flight *f = &d->flight[d->first];
    struct engine *e = d->b->m->engine;
    struct engine_request *rq = e->ops->complete(e);

    if (rq != &f->rq || rq->rc < 0) {
        if (d->rc == 0)
            d->rc = meta_engine_failed(d->b->m, rq != &f->rq ? -EIO : rq->rc);
    } else if (f->rq.outcome == BATCH_GAP) {
        if (d->rc == 0)
            gap(d, f);
    } else if (d->rc == 0 && !d->again) {
        take_answers(d, f);
    }
    flight_free(f);
    d->first = (d->first + 1) % WINDOW;
    d->n--;
    if (d->rc == 0 && d->q == d->b->queue) /* a stream of batches may not end for long */
        meta_prime_ids(d->b->m);
}

/* Sends all groups, the call behind them. */
static void run(struct draining *d, struct engine_request *call)
{
    struct engine *e = d->b->m->engine;
    bool more = true;

    d->next.at = 0;
    d->end = queue_end_now(d->q, d->closed);
    d->again = false;
    d->rc = 0;
    while (more || d->n > 0) {
        while (more && d->n < WINDOW && d->rc == 0 && !d->again)
            more = send_one(d);
        if (d->rc < 0 || d->again)
            more = false;
        if (!more && call != NULL && d->rc == 0 && !d->again) {
            e->ops->submit(e, call);
            while (d->n > 0)
                finish_one(d);
            struct engine_request *rq = e->ops->complete(e);
            if (rq != call)
                call->rc = -EIO;
            return;
        }
        if (d->n > 0)
            finish_one(d);
    }
}

static int drain_queue(struct batch *b, struct queue *q, struct engine_request *call, bool closed)
{
    struct draining *d = calloc(1, sizeof(*d));
    int rc;

    if (d == NULL)
        return meta_fail(b->m, -ENOMEM, "no memory");
    *d = (struct draining){.b = b, .env = meta_env(b->m), .q = q, .closed = closed};
    bool mine = queue_begin(q, WAIT_MS) == 0;
    for (int i = 0; i < TRIES; i++) {
        run(d, call);
        if (!d->again && d->rc == 0)
            break;
        if (d->rc < 0 && d->rc != -EIO) /* the server said no; it did not just go away */
            break;
        call = NULL;
    }
    rc = d->rc < 0 ? d->rc : d->again ? meta_fail(b->m, -EIO, "pending changes are refused") : 0;
    if (mine)
        queue_end(q);
    free(d);
    return rc;
}

static int drain_others(struct batch *b)
{
    uint32_t own = b->queue != NULL ? queue_number(b->queue) : BOARD_QUEUES;
    int rc = 0;
    for (uint32_t n = 0; n < BOARD_QUEUES; n++) {
        struct queue *q;
        if (n == own || !board_is_pending(b->board, n))
            continue;
        int one = queue_open(b->board, n, &q);
        if (one == -ENOENT)
            board_clear_pending(b->board, n);
        if (one == -ENOENT || one == -EACCES) /* gone; of a user that we no longer are */
            continue;
        if (one == 0) {
            one = drain_queue(b, q, NULL, false);
            batch_discard(b, q);
            queue_forget(q);
        }
        rc = rc < 0 ? rc : one;
    }
    return rc;
}

bool drain_needed(struct batch *b, bool others)
{
    uint32_t own = b->queue != NULL ? queue_number(b->queue) : BOARD_QUEUES;
    return (b->queue != NULL && !queue_is_empty(b->queue)) ||
           (others && board_others_pending(b->board, own));
}

static int drain_own(struct batch *b, struct engine_request *call, bool closed)
{
    if (b->queue == NULL || queue_is_empty(b->queue))
        return 0;
    int rc = drain_queue(b, b->queue, call, closed);
    queue_tidy(b->queue, false);
    return rc;
}

static int note_drain(struct batch *b, int rc)
{
    b->sent_ms = b->trouble_ms = clock_mono_ms();
    b->trouble = rc;
    return rc;
}

int drain_closed(struct batch *b)
{
    return note_drain(b, drain_own(b, NULL, true));
}

int drain(struct batch *b, bool others, struct engine_request *call)
{
    uint32_t own = b->queue != NULL ? queue_number(b->queue) : BOARD_QUEUES;
    struct engine *e = b->m->engine;
    int rc = others && board_others_pending(b->board, own) ? drain_others(b) : 0;

    if (call != NULL)
        call->rc = -EAGAIN;
    if (rc == 0)
        rc = drain_own(b, call, false);
    note_drain(b, rc);
    if (rc == 0 && call != NULL && call->rc == -EAGAIN) {
        call->rc = e->ops->call(e, call->env, call->ops, call->n, call->res);
        if (call->rc < 0)
            meta_engine_failed(b->m, call->rc);
    }
    return rc < 0 ? rc : call != NULL ? call->rc : 0;
}

uint64_t meta_pending(struct meta *m)
{
    struct batch *b = m->batch;
    uint64_t sum = 0;
    if (b == NULL)
        return 0;
    meta_lock(m);
    for (uint32_t n = 0; n < BOARD_QUEUES; n++) {
        struct queue *q;
        if (!board_is_pending(b->board, n) || queue_open(b->board, n, &q) < 0)
            continue;
        sum += queue_waiting(q);
        queue_forget(q);
    }
    meta_unlock(m);
    return sum;
}
