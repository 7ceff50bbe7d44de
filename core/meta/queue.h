/*
 * queue - changes that a process has acknowledged and the store does not have yet.
 *
 * A file mapped shared, one a process at a time, so what a killed process left is drained by any
 * other of the same user.  Ops lie in groups; a group is what one batch applies.  Its owner appends
 * to the open group; closing it (by its size, or by whoever drains) gives it the queue's next
 * sequence number, and after that it never changes: it can be sent again, by anybody, and is
 * recognised (engine.h).  Sent groups stay until they are some seconds old, since a server that
 * crashed may have forgotten them (DESIGN 7).
 *
 *   file: struct queue_page, then groups: struct queue_group, frames: struct queue_frame, op bytes
 *
 * There is no order between queues: a process that acts on what another one did has asked the store
 * for it, and before that drained the other's queue.
 *
 * Locks: `draining` (the right to drain, held over round trips), then `lock` (the bytes, never held
 * for long).  Both robust.
 *
 * Layer: meta; uses op, base.
 */
#ifndef JFSPRE_CORE_META_QUEUE_H
#define JFSPRE_CORE_META_QUEUE_H

#include "core/meta/board.h"
#include "core/op/op.h"

#define QUEUE_BYTES  (64u << 20) /* addresses; memory is taken as it is used */
#define QUEUE_ID_MAX 33

struct queue;

/* Where an op lies, to fold more into it. */
struct queue_ref {
    uint64_t group, frame; /* offsets; frame 0: nowhere */
    uint32_t use;          /* the file was emptied since when it differs */
};

/* A free queue of the board, for this process.  -EAGAIN: all are in use; -ENOSPC: no room for it.
 */
int queue_claim(struct board *b, struct queue **out);
/* Queue n as another process's; -ENOENT: never made. */
int queue_open(struct board *b, uint32_t n, struct queue **out);
/* Unmaps it; an owner's queue becomes free (what is pending stays pending). */
void queue_close(struct queue *q);
void queue_forget(struct queue *q); /* in a forked child: unmaps, the parent stays the owner */
uint32_t queue_number(const struct queue *q);
const char *queue_id(const struct queue *q); /* the `board` of its batches */

/* --- the owner's side ------------------------------------------------------------------------- */

/* Where the content of a file goes (op.content): into the pack of the open group, which gets the
 * slice `fresh` when it has none.  The queue's lock is held over pack(), so that a group which is
 * closed has a pack that grows no more. */
struct queue_packer {
    int (*pack)(void *ctx, uint64_t id, const void *bytes, uint32_t len, uint32_t *off);
    void *ctx;
    uint64_t fresh;
    bool used; /* out: fresh is the group's now */
};

/* A pack that was begun, and whose owner was killed (or gave up) before a group named it: its file
 * may be there.  0: there is none.  Of the own queue only between queue_claim() and the first op.
 */
uint64_t queue_orphan(struct queue *q);
void queue_orphan_gone(struct queue *q, uint64_t id); /* its file is removed */

/* Appends op to the open group.  A regular file's OP_MAKE gets room for one record.  pk: for an op
 * with content, which becomes its record.  -ENOSPC: no room in the queue, or in the pack: the group
 * must be cut first; what pack() answered. */
int queue_put(struct queue *q, const struct op *op, struct queue_packer *pk, struct queue_ref *ref);
/* Changes the data of an unsent op in place.  fold() gets it with room for `room` bytes, and of
 * op->content its record (else NULL, 0), and returns the new length; 0: the op is cancelled.  1:
 * done; 0: it was sent or closed meanwhile; -errno as queue_put(). */
typedef uint32_t (*queue_fold_fn)(void *ctx, uint8_t *data, uint32_t len, uint32_t room,
                                  const uint8_t *record, uint32_t record_len);
int queue_fold(struct queue *q, const struct queue_ref *ref, const struct op_content *content,
               struct queue_packer *pk, queue_fold_fn fold, void *ctx);
/* Is that op in the open group, where nobody else can have seen it? */
bool queue_holds(const struct queue *q, const struct queue_ref *ref);
/* What is in the open group. */
struct queue_fill {
    uint32_t ops;
    uint64_t bytes;   /* of the open group */
    uint64_t pending; /* bytes not yet sent, all groups */
    uint64_t waiting; /* ops, the same */
    uint64_t pack;
};
void queue_fill(struct queue *q, struct queue_fill *out);
void queue_cut(struct queue *q); /* closes the open group */
/* The op that comes next is not acknowledged before queue_acknowledge() with what this answers;
 * false: it was refused meanwhile, by whoever drained it.  NULL: it does not come. */
uint64_t queue_expect(struct queue *q, const struct op *op);
bool queue_acknowledge(struct queue *q, uint64_t expected);
/* The error of an acknowledged op that made `ino` or changed the directory `ino`: once for each of
 * the two; 0: none. */
int queue_deferred(struct queue *q, uint64_t ino);
/* Empties the file when everything in it was sent long enough ago; all: however lately. */
void queue_tidy(struct queue *q, bool all);

/* --- the drainer's side ----------------------------------------------------------------------- */

/* The right to drain.  -ETIMEDOUT after ms: whoever has it does not move; draining without it does
 * no harm but double work. */
int queue_begin(struct queue *q, unsigned ms);
void queue_end(struct queue *q);

/* Where a group begins.  It means nothing any more when the file was emptied since. */
struct queue_place {
    uint64_t at; /* offset; 0: nowhere */
    uint32_t use;
};

/* The end of what is pending now: who drains for what is there sends no more, since batches that
 * are cut out of what its owner just begins are small. */
struct queue_place queue_end_now(struct queue *q, bool closed); /* of the closed groups only */

/* A copy of one closed group, until queue_batch_free(): who is stopped while it has it may find the
 * file used anew. */
struct queue_batch {
    struct queue_place place, next; /* its own, of the one behind it */
    uint64_t seq;
    uint64_t pack;
    size_t n;
    struct op *ops;
    uint8_t *bytes; /* what they point to */
};
/* The group at `place`; NULL, or a place that means nothing: the first one not sent.  The open one
 * is closed if need be.  1: *g is set; 0: nothing is left; -EIO: damaged; -ENOMEM. */
int queue_batch(struct queue *q, const struct queue_place *place, struct queue_batch *g);
void queue_batch_free(struct queue_batch *g);
/* The group and all before it are in the store.  How many ops are pending no more: 0 when another
 * drainer was faster. */
uint32_t queue_sent(struct queue *q, const struct queue_batch *g);
/* The op was refused.  False: it is acknowledged already. */
bool queue_refuse(struct queue *q, const struct op *op);
/* An acknowledged op was refused: its owner's fsync() will say so.  The last QUEUE_DEFERRED of them
 * are kept.  ino: 0 when the directory alone is to tell it. */
#define QUEUE_DEFERRED 64
void queue_defer(struct queue *q, uint64_t ino, uint64_t dir, int code);
/* The store knows only batches up to `last`: goes back to the one after it, if it is still there.
 * 0, -ENOENT: not kept that long. */
int queue_rewind(struct queue *q, uint64_t last);
bool queue_is_empty(struct queue *q);          /* nothing to send */
uint64_t queue_waiting(const struct queue *q); /* ops to send */

#endif
