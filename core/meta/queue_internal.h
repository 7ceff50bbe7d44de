/*
 * queue_internal - the file of a queue, for the files that read it.
 */
#ifndef JFSPRE_CORE_META_QUEUE_INTERNAL_H
#define JFSPRE_CORE_META_QUEUE_INTERNAL_H

#include "core/base/shared.h"
#include "core/format/record.h"
#include "core/meta/queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

/* Changes with the layout, of struct op too. */
#define QUEUE_MAGIC (UINT64_C(0x6a66735f71753400) + sizeof(struct op))
#define QUEUE_DATA  8192u /* offset of the first group */

#define EXPECTED_REFUSED UINT64_MAX

struct queue_frame {
    uint32_t bytes_in_all;
    uint32_t room;              /* bytes that the data may grow to */
    uint32_t path2_at, data_at; /* offsets in bytes; groups, then the path, come first */
    struct op op;               /* kind 0: cancelled; its pointers are made anew by who reads it */
    uint8_t bytes[];
};

struct queue_group {
    uint64_t end;     /* offset behind its last frame */
    uint64_t seq;     /* 0: open */
    uint64_t pack;    /* 0: none */
    uint64_t sent_ms; /* 0: not yet */
    uint32_t ops;
    uint32_t unused;
};

/* head, tail, open and waiting change under the lock and are looked at without it. */
#define QUEUE_LOOK(field)       __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define QUEUE_SET(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

struct queue_page {
    uint64_t magic;
    char id[QUEUE_ID_MAX];
    pthread_mutex_t lock, draining;
    pid_t owner; /* 0: free */
    uint64_t owner_birth;
    uint32_t use;      /* grows when the file is emptied */
    uint64_t first;    /* oldest group that is kept */
    uint64_t head;     /* first one not sent */
    uint64_t tail;     /* end of what is published */
    uint64_t open;     /* group that is appended to; 0: none */
    uint64_t next_seq; /* for the next group that is closed */
    uint64_t waiting;  /* ops from head on */
    uint64_t backed;   /* bytes of the file that have memory */
    uint64_t begun;    /* pack that may be there and no group names yet; 0: none */
    uint64_t undo_at;
    uint32_t undo_len; /* 0: no fold is going on */
    uint8_t undo[2048];
    _Atomic uint64_t expected; /* inode and kind; 0: none; EXPECTED_REFUSED */
    uint32_t n_deferred;
    struct {
        uint64_t ino, dir; /* 0: none, or told */
        int32_t code;
    } deferred[QUEUE_DEFERRED];
};
_Static_assert(sizeof(struct queue_page) <= QUEUE_DATA, "the page is before the groups");

struct queue {
    struct board *board;
    uint32_t number;
    bool owned;
    struct queue_page *p;
};

int queue_locked(struct queue *q, int rc); /* after shared_lock(): repairs, or -errno */

/* 0 or -errno; what a killed process left half done is undone. */
static inline int queue_lock(struct queue *q)
{
    int rc = shared_lock(&q->p->lock);
    return rc == 0 ? 0 : queue_locked(q, rc);
}

static inline void queue_unlock(struct queue *q)
{
    pthread_mutex_unlock(&q->p->lock);
}

static inline struct queue_group *queue_group_at(const struct queue *q, uint64_t at)
{
    return (struct queue_group *)((uint8_t *)q->p + at);
}

static inline struct queue_frame *queue_frame_at(const struct queue *q, uint64_t at)
{
    return (struct queue_frame *)((uint8_t *)q->p + at);
}

int queue_back_to(struct queue *q, uint64_t end); /* memory up to there; -ENOSPC */
void queue_close_group(struct queue *q);          /* locked */
void queue_count_waiting(struct queue *q);        /* locked: anew */

#endif
