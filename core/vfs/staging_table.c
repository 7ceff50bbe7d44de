/*
 * staging_table.c - the slots of a mapped table: chains by inode, the free list, robust locks.
 */
#include "core/vfs/staging_internal.h"

#include "core/base/shared.h"

#include <errno.h>
#include <string.h>

void table_init(struct table *t)
{
    t->slots = SLOTS;
    t->buckets = BUCKETS;
    shared_mutex_init(&t->lock);
}

static uint32_t *bucket_of(struct table *t, uint64_t ino)
{
    return &t->bucket[shared_place(ino, BUCKETS)];
}

/* A holder of the table lock was killed: slots say all, chains are made from them again. */
static void index_again(struct table *t)
{
    memset(t->bucket, 0, sizeof t->bucket);
    t->free_first = 0;
    t->used = 0;
    for (uint32_t n = t->high; n > 0; n--) {
        struct slot *s = &t->slot[n];
        uint32_t *head = s->ino != 0 ? bucket_of(t, s->ino) : &t->free_first;
        s->next = *head;
        *head = n;
        t->used += s->ino != 0;
    }
}

void table_lock(struct table *t)
{
    if (pthread_mutex_lock(&t->lock) == EOWNERDEAD) {
        index_again(t);
        pthread_mutex_consistent(&t->lock);
    }
}

void table_unlock(struct table *t)
{
    pthread_mutex_unlock(&t->lock);
}

/* The file may be marked clean and not be, and the seen range may be lost. */
static void after_lock(struct slot *s, int rc)
{
    if (rc != EOWNERDEAD)
        return;
    s->flags |= SLOT_TORN;
    pthread_mutex_consistent(&s->lock);
}

void slot_lock(struct slot *s)
{
    after_lock(s, pthread_mutex_lock(&s->lock));
}

bool slot_trylock(struct slot *s)
{
    int rc = pthread_mutex_trylock(&s->lock);
    if (rc == EBUSY)
        return false;
    after_lock(s, rc);
    return true;
}

void slot_probe(struct slot *s)
{
    if (slot_trylock(s))
        slot_unlock(s);
}

void slot_unlock(struct slot *s)
{
    pthread_mutex_unlock(&s->lock);
}

/* --- slots ------------------------------------------------------------------------------------ */

uint32_t table_find(struct table *t, uint64_t ino)
{
    uint32_t n = *bucket_of(t, ino);
    while (n != 0 && t->slot[n].ino != ino)
        n = t->slot[n].next;
    return n;
}

static void link_slot(struct table *t, uint32_t n, uint64_t ino)
{
    t->slot[n].ino = ino;
    t->slot[n].next = *bucket_of(t, ino);
    *bucket_of(t, ino) = n;
}

static void unlink_slot(struct table *t, uint32_t n)
{
    uint32_t *link = bucket_of(t, t->slot[n].ino);
    while (*link != 0 && *link != n)
        link = &t->slot[*link].next;
    if (*link == n)
        *link = t->slot[n].next;
}

static void slot_begin(struct slot *s)
{
    s->gen++;
    s->flags = 0;
    s->opened = 0;
    s->published = 0;
    s->dirty_lo = UINT64_MAX;
    s->dirty_hi = 0;
    s->has_seen = false;
}

uint32_t table_take(struct table *t, uint64_t ino)
{
    uint32_t n = t->free_first;
    if (n != 0) {
        t->free_first = t->slot[n].next;
    } else if (t->high + 1 < SLOTS) {
        n = t->high + 1;
        shared_mutex_init(
            &t->slot[n].lock); /* before it counts as one, or a kill here leaves a bad lock */
        t->high = n;
    } else {
        return 0;
    }
    if (slot_trylock(&t->slot[n])) /* what a killed holder left torn was the file before */
        slot_unlock(&t->slot[n]);
    slot_begin(&t->slot[n]);
    link_slot(t, n, ino);
    t->used++;
    return n;
}

void table_move(struct table *t, uint32_t n, uint64_t ino)
{
    unlink_slot(t, n);
    slot_begin(&t->slot[n]);
    link_slot(t, n, ino);
}

void table_give(struct table *t, uint32_t n)
{
    struct slot *s = &t->slot[n];
    unlink_slot(t, n);
    s->ino = 0;
    s->next = t->free_first;
    t->free_first = n;
    t->used--;
}
