/*
 * queue_told.c - what drainers of a queue tell its owner; see queue.h.
 */
#include "core/meta/queue_internal.h"

#include <string.h>

/* What made the inode may be pending before its rename, and is acknowledged. */
static uint64_t key_of(const struct op *op)
{
    return op->ino << 6 | op->kind;
}

uint64_t queue_expect(struct queue *q, const struct op *op)
{
    uint64_t key = op != NULL ? key_of(op) : 0;
    atomic_store(&q->p->expected, key);
    return key;
}

bool queue_acknowledge(struct queue *q, uint64_t expected)
{
    return atomic_compare_exchange_strong(&q->p->expected, &expected, 0);
}

bool queue_refuse(struct queue *q, const struct op *op)
{
    uint64_t expected = key_of(op);
    return atomic_compare_exchange_strong(&q->p->expected, &expected, EXPECTED_REFUSED);
}

_Static_assert(OP_KINDS <= 64, "a kind fits below an inode");

void queue_defer(struct queue *q, uint64_t ino, uint64_t dir, int code)
{
    struct queue_page *p = q->p;
    if (queue_lock(q) < 0)
        return;
    if (p->n_deferred >= QUEUE_DEFERRED) {
        p->n_deferred = QUEUE_DEFERRED - 1;
        memmove(&p->deferred[0], &p->deferred[1], sizeof(p->deferred) - sizeof(p->deferred[0]));
    }
    p->deferred[p->n_deferred].ino = ino;
    p->deferred[p->n_deferred].dir = dir;
    p->deferred[p->n_deferred].code = code;
    p->n_deferred++;
    queue_unlock(q);
}

int queue_deferred(struct queue *q, uint64_t ino)
{
    struct queue_page *p = q->p;
    int code = 0;

    if (p->n_deferred == 0 || queue_lock(q) < 0)
        return 0;
    for (uint32_t i = 0; i < p->n_deferred && i < QUEUE_DEFERRED && code == 0; i++) {
        if (p->deferred[i].ino != ino && p->deferred[i].dir != ino)
            continue;
        code = p->deferred[i].code;
        if (p->deferred[i].ino == ino)
            p->deferred[i].ino = 0;
        if (p->deferred[i].dir == ino)
            p->deferred[i].dir = 0;
        if (p->deferred[i].ino == 0 && p->deferred[i].dir == 0)
            p->deferred[i] = p->deferred[--p->n_deferred];
    }
    queue_unlock(q);
    return code;
}
