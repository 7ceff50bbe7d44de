/*
 * talk - a conversation of batches with a store, and how it must end: every op applied once,
 * whatever happened on the way.
 *
 * The batches make, write, fold, fail, rename and remove, with packs; all is decided beforehand, so
 * that each telling of it has the same answers and leaves the same keys.
 */
#ifndef JFSPRE_TESTS_LIB_TALK_H
#define JFSPRE_TESTS_LIB_TALK_H

#include "core/meta/engine.h"
#include "tests/lib/server.h"

#define TALK_BOARD "5eed5eed5eed5eed"
#define TALK_OPS   6 /* of a batch */

struct talk;

struct talk *talk_new(size_t batches);
void talk_free(struct talk *t);
size_t talk_batches(const struct talk *t);

/* Told by talk_deliver() when a request failed (rc < 0) or was a gap (rc 0), before it goes on. */
typedef void (*talk_trouble)(void *ctx, int rc);

struct talk_way {
    size_t from;      /* batches before this one (from 0) are taken as acknowledged */
    size_t in_flight; /* 0: 4 */
    bool may_lose;    /* the store may forget batches: a gap is right */
    talk_trouble trouble;
    void (*acknowledged)(void *ctx, size_t batch);
    void *ctx;
};

/* Sends the batches from the first that is not acknowledged, again after each failure, from where
 * the store says after a gap, until all are answered, each as at the first telling.  false: not so;
 * why is printed. */
bool talk_deliver(struct talk *t, struct engine *e, const struct talk_way *way);

/* How batches were answered by talk_deliver() since this was last asked. */
struct talk_count {
    unsigned applied, repeated, gaps, failed;
};
struct talk_count talk_count(struct talk *t);

/* All keys as one text with the second of ~seq left out, and the board's number; free(). */
char *talk_keys(struct engine *e, uint64_t *last);

#endif
