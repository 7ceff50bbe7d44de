/*
 * early_queue.c - early changes into the queue, and contents into its pack.
 */
#include "core/meta/early.h"

#include <errno.h>
#include <string.h>

#define STREAM_BATCH 4096 /* ops in a batch that waits for neighbours */

/* --- packs -------------------------------------------------------------------------------------
 */

struct queue_packer early_packer(const struct batch *b)
{
    return (struct queue_packer){
        .pack = b->hooks.pack, .ctx = b->hooks.ctx, .fresh = b->fresh_slice};
}

void early_note_pack(struct batch *b, const struct queue_packer *pk)
{
    if (pk->used)
        b->fresh_slice = 0; /* meta_call() takes the next */
}

/* --- queueing --------------------------------------------------------------------------------- */

/* Batches grow when more waits than the store takes, and are small again when it keeps up. */
static uint32_t size_now(struct batch *b, uint64_t waiting)
{
    const struct batch_params *p = b->params;
    if (b->neighbours)
        return STREAM_BATCH;
    uint32_t size = waiting > p->high_watermark                  ? p->batch_size_max
                    : waiting < p->low_watermark || b->size == 0 ? p->batch_size
                                                                 : b->size;
    if (size != b->size)
        metrics_batch_size(b->m->metrics, size);
    return b->size = size;
}

/* Who adds more than may wait is held up until it was sent. */
static bool has_room(const struct batch *b, struct queue *q)
{
    struct queue_fill fill;
    queue_fill(q, &fill);
    return fill.waiting < b->params->max_pending && fill.pending < b->params->max_pending_bytes;
}

/* False: the queue has no room, or there is none: the store is asked instead, which empties it. */
bool early_queued(struct batch *b, const struct op *op, struct queue_ref *ref)
{
    struct queue_fill fill;
    struct queue *q = batch_queue(b);
    if (q == NULL || !has_room(b, q))
        return false;
    struct queue_packer pk = early_packer(b);
    int rc = queue_put(q, op, &pk, ref);
    if (rc == -ENOSPC) { /* the pack is full, or the queue: a new group may have a new pack */
        queue_cut(q);
        queue_tidy(q, true); /* what was sent and is kept for a while gives way */
        rc = queue_put(q, op, &pk, ref);
    }
    early_note_pack(b, &pk);
    if (rc < 0)
        return false;
    b->early++;
    metrics_queued(b->m->metrics, op->kind, 1);
    metrics_depth(b->m->metrics, 1);
    queue_fill(q, &fill);
    uint64_t bytes = b->params->batch_bytes * (b->neighbours ? 16ull : 4ull);
    bool full = fill.ops >= size_now(b, fill.waiting) || fill.bytes >= bytes;
    if (full)
        queue_cut(q);
    flusher_kick(b, full);
    return true;
}

bool early_named(struct batch *b, const struct op *op, const struct node *dir, const char *name,
                 size_t len, struct queue_ref *ref)
{
    struct queue *q = batch_queue(b);
    if (q == NULL || b->confirming != 0 || board_is_asked(b->board, name, len))
        return false;
    uint64_t expected = queue_expect(q, op); /* before others may drain it */
    if (!early_queued(b, op, ref)) {
        queue_expect(q, NULL);
        return false;
    }
    early_mark_again(b, dir);
    bool contested =
        board_is_asked(b->board, name, len) || board_foreign(b->board, dir->ino, dir->since);
    if (contested || !queue_acknowledge(q, expected))
        b->confirming = expected;
    return true;
}

struct lx early_rules(const struct batch *b, const struct op *op)
{
    return (struct lx){.env = &b->env, .op = op};
}

/* The directory gains or loses a name. */
void early_touch(struct batch *b, const struct op *op, struct node *dir, int nlink)
{
    struct lx x = early_rules(b, op);
    dir->make.frame = 0; /* what changes it from here on comes after its entries */
    dir->a.nlink += (uint32_t)nlink;
    lx_touch(&x, dir->ino, &dir->a, nlink != 0);
}

/* Has somebody else of this host worked on it since we know it?  Answered after our own mark. */
bool early_is_ours_alone(struct batch *b, const struct node *n)
{
    return !board_mark(b->board, n->ino, n->since);
}

void early_mark_again(struct batch *b, const struct node *n)
{
    board_mark(b->board, n->ino, UINT64_MAX);
}
