/*
 * batch - changes acknowledged before the store has them: what the files early*.c, learn.c,
 * drain.c, deferred.c, flusher.c and batch.c share.  DESIGN 5 to 8.
 *
 *   meta_call() -> early_call(): decided here, queued (early.c)
 *               -> or asked: what is pending is sent before it, in the same round trip (drain.c),
 *                  and the answer is learned from (learn.c)
 *
 * Locks: meta's lock (the connection), then `known` (overlay, ids, open group), then the queue's.
 * `known` is never held over a round trip.
 *
 * Layer: meta, internal.
 */
#ifndef JFSPRE_CORE_META_BATCH_H
#define JFSPRE_CORE_META_BATCH_H

#include "core/meta/meta_internal.h"
#include "core/meta/overlay.h"
#include "core/metrics/metrics.h"

#include <stdatomic.h>

#define STREAM_AFTER   8    /* entries made one after another in a directory of others */
#define STREAM_ENTRIES 4096 /* a directory of others with more is not streamed into */
#define FIRST_SYNC     2 /* changes of a process that are sent at once: touch never gets a queue */

/* A listing that is learned page after page; what it says is as old as its first page. */
struct reading {
    uint64_t dir, listing; /* 0: none; the node's */
    uint64_t cursor, told_ns;
    char last[NAME_LEN_MAX + 1]; /* name that the last page ended with */
};

/* A whole listing, as it was answered: some programs ask twice, others will ask for it. */
#define KEPT_PAGES 256
#define DIRS_MIN   2
#define DIRS_MAX   64
struct kept_page {
    uint64_t listing; /* the node's `listing` and `changes` then */
    uint32_t changes;
    bool is_ahead; /* nobody has asked for it yet */
    struct op_result res;
};

struct batch {
    struct meta *m;
    const struct batch_params *params;
    struct meta_hooks hooks;
    struct board *board;
    struct queue *queue; /* NULL: not needed yet, or none to be had */
    bool no_queue;
    _Atomic int trouble; /* -errno of the last drain: changes wait for the store again */
    uint64_t trouble_ms;
    uint32_t uid;          /* whose staging area it is in */
    pthread_mutex_t known; /* guards what follows */
    struct overlay *overlay;
    uint32_t size;             /* ops in a batch, now; 0: nothing was queued yet */
    uint64_t fresh_slice;      /* for the next pack; 0: none taken yet */
    uint64_t early;            /* changes acknowledged early, ever */
    uint32_t changes;          /* changes in all, as far as FIRST_SYNC goes */
    _Atomic uint64_t input_ns; /* what was told before is older than input of the program */
    uint64_t usable_until_ms;  /* the setting is believed until then */
    bool may_grow;             /* no limit and no quota is near */
    uint64_t usage_at_ms;      /* when that was asked; 0: never */
    struct op_env env;
    uint64_t kept_dir[KEPT_PAGES]; /* whose page it is; 0: none */
    struct kept_page kept_page[KEPT_PAGES];
    uint32_t next_page;
    struct reading reading;
    uint32_t ahead_size, ahead_sent, ahead_used; /* names at a time; of the last ones */
    uint32_t dirs_size, dirs_entries;            /* listings at a time, what was in the last */
    uint32_t dirs_waiting;                       /* kept ones that nobody has asked for yet */
    uint32_t walked; /* directories that were listed one after another in one that was */
    bool ahead_pays;
    uint32_t lost; /* reads that were asked for since the way to a directory was not known */
    _Atomic uint64_t sent_ms; /* when this process last sent a batch of its own */
    bool neighbours;          /* a pending op is in a directory that this process did not make */
    uint64_t kept;            /* inode that was kept under another name last; 0: none */
    /* Of the group whose answers are taken: its pack, and records that name it. */
    struct engine_pack pack;
    int64_t pack_refs;
    uint64_t confirming; /* queue_expect() of an op that is queued and not acknowledged; 0: none */
    uint64_t oldest_ms;  /* of what is pending here; 0: nothing */
    uint64_t group_ms;   /* no op of the open group is older; 0: it is empty */
    /* flusher.c */
    pthread_t thread;
    pthread_cond_t wake;
    bool has_thread, stop, kicked;
    unsigned retries;   /* the store did not take what is pending, so often */
    uint64_t failed_ms; /* the last time */
    bool is_over;       /* the thread takes no lock any more, and is still to be joined */
};

/* --- early.c: what the store will do ---------------------------------------------------------- */

/* True: op is decided, *res is its answer, and a change is queued.  Locked. */
bool early_call(struct batch *b, const struct op *op, struct op_result *res);
/* The directory of op's last component, when the whole way to it is known.  Locked. */
struct node *early_parent(struct batch *b, const struct op *op);

/* --- learn.c, learn_ask.c: what the store did
 * -------------------------------------------------------------- */

/* Announces names that the ops may make, before anything is looked at that decides them.  Answers
 * the board's ticket.  Not locked. */
#define AHEAD_ENTRIES 255  /* of a listing that is asked for ahead */
#define ORDER_ENTRIES 4095 /* of one that is asked for the order of its names */
#define NOT_ASKING    UINT32_MAX
uint32_t learn_before(struct batch *b, const struct op *ops, size_t n);
/* The last component of a path that can be nothing else than a name of its parent, or NULL. */
const char *learn_last_name(const char *path, size_t *len);
/* early: b->early when the ops were sent.  Locks. */
void learn_after(struct batch *b, const struct op *ops, size_t n, const struct op_result *res,
                 uint64_t since, uint64_t early);
/* What came ahead of the file that op opened does not serve the next open. */
void learn_opened(struct batch *b, const struct op *op, const struct op_result *res);
/* Ops for the same round trip whose answers make early ones possible: the way to the directory
 * where something is made, or its listing.  Returns how many; *paths is to be freed with them. */
#define LEARN_MORE (DIRS_MAX + 2)
size_t learn_more(struct batch *b, const struct op *ops, size_t n, struct op more[LEARN_MORE],
                  char **paths);

/* --- ahead.c: the next files of a directory ----------------------------------------------------
 */

/* Ops for the same round trip, when the program goes through a directory: how many; *room is to be
 * freed with them.  Locked, as what follows. */
size_t ahead_ask(struct batch *b, const struct op *op, struct op more[LEARN_MORE], char **room);
void ahead_learn(struct batch *b, const struct op *op, const struct op_result *res, uint64_t since);
void ahead_used(struct batch *b, struct node *n); /* what is known of n served a read */
/* kept.c: the listing of dir, which is known whole, was answered; and it is asked for: true, once.
 */
void keep_listing(struct batch *b, const struct node *dir, const struct op_result *res, bool ahead);
bool kept_listing(struct batch *b, const struct node *dir, struct op_result *res);
void kept_free(struct batch *b);

/* --- drain.c ---------------------------------------------------------------------------------- */

/* Under meta's lock: sends what is pending in this process's queue, and in others' when `others`;
 * then `call` (may be NULL) in the same round trip.  Answers what became of the call; without one,
 * whether all was sent. */
int drain(struct batch *b, bool others, struct engine_request *call);
/* Of this process's queue those groups that are closed. */
int drain_closed(struct batch *b);
bool drain_needed(struct batch *b, bool others);

/* --- deferred.c ------------------------------------------------------------------------------- */

/* The answers of a group come next.  Under meta's lock, as what follows. */
void deferred_begin(struct batch *b, const struct queue_batch *g, const struct engine_pack *pack,
                    const struct op_result *res);
/* An op of that queue was refused. */
void deferred_refused(struct batch *b, struct queue *q, const struct op *op, int code);

/* --- flusher.c: the thread that sends what is old ----------------------------------------------
 */

/* Something is pending.  full: its group is closed and need not wait for its age.  Locked. */
void flusher_kick(struct batch *b, bool full);
bool flusher_stop(struct batch *b); /* was there one? */

/* --- batch.c ---------------------------------------------------------------------------------- */

/* May changes be acknowledged early now?  Locks known if so. */
bool batch_enter(struct batch *b);
void batch_leave(struct batch *b);
/* This process's queue, claimed if need be.  Locked. */
struct queue *batch_queue(struct batch *b);
/* The pack that a killed owner of q left behind goes. */
void batch_discard(struct batch *b, struct queue *q);
/* The setting is young, and usage (may be NULL) the answer of OP_STATFS.  Under meta's lock. */
void batch_refresh(struct batch *b, const struct op_env *env, const struct op_result *usage);
void batch_free(struct batch *b); /* NULL is fine */
void batch_after_fork(struct batch *b);

#endif
