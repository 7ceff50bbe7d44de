/*
 * meta_internal - what the files of meta.h share.
 */
#ifndef JFSPRE_CORE_META_META_INTERNAL_H
#define JFSPRE_CORE_META_META_INTERNAL_H

#include "core/meta/meta.h"

#include <pthread.h>
#include <sys/types.h>

#define FORGET_MAX       512 /* pairs kept */
#define FORGET_BYTES     12  /* u64 id, u32 size */
#define META_ERROR_BYTES 2048

/* Callers keep pointers to settings they were given, so an older one stays until the end. */
struct kept_setting {
    struct setting s;
    struct kept_setting *older;
};

struct id_range {
    uint64_t next, left;
};

struct meta {
    pthread_mutex_t lock;
    bool is_forking; /* the lock is held by meta_before_fork() */
    pid_t owner;
    struct engine *engine;
    char *mount;
    struct kept_setting *setting; /* NULL: not read yet */
    struct buf json;              /* text that it was made of */
    uint64_t read_at_ms;
    uint32_t epoch; /* the engine's when it was read */
    bool is_stale;
    bool will_make;          /* the first call makes something: inodes are taken with the setting */
    int dead;                /* -errno when the volume must not be touched any more */
    pthread_mutex_t id_lock; /* the next two; taken last */
    struct id_range ids[2];
    struct id_range ahead[2];      /* taken in the background */
    bool streams[2];               /* a whole range was used up */
    struct batch *batch;           /* NULL: every change is sent at once */
    struct metrics *metrics;       /* borrowed */
    struct engine_traffic counted; /* of the engine's, in metrics already */
    uint8_t forget[FORGET_MAX * FORGET_BYTES];
    size_t nforget;
    char error[META_ERROR_BYTES];
};

void meta_lock(struct meta *m);
void meta_unlock(struct meta *m);
/* Under the lock: sets meta_error() to "VOLUME: text", or to the engine's; returns rc. */
int meta_fail(struct meta *m, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int meta_engine_failed(struct meta *m, int rc);
/* Under the lock, what every call begins with: the volume may be used, and its setting is fresh. */
int meta_ready(struct meta *m);
struct op_env meta_env(const struct meta *m);
void meta_drop_ids(struct meta *m); /* ids of ours that the server may give to someone else */
/* n inodes that were taken with something else. */
void meta_add_inodes(struct meta *m, uint64_t first, uint32_t n);
/* The server forgot: its counters go behind all ids that were given here before anybody else is. */
void meta_skip_ids(struct meta *m);
/* Takes the next range before this one is used up. */
void meta_prime_ids(struct meta *m);
void meta_forget_locked(struct meta *m, uint64_t id, uint32_t size);
void meta_send_forgotten(struct meta *m);
void meta_forgotten(struct meta *m, struct op_result *res); /* the answer; freed */
/* meta_flush() of this process's changes only; closed: without those of the open group. */
int meta_flush_own(struct meta *m, bool closed);

#endif
