/*
 * metrics - what the processes of one user did to a volume on this host, counted together.
 *
 * CACHE/UUID.UID/metrics is mapped by every process, so counts outlive the short ones; adding is a
 * relaxed atomic and costs a few nanoseconds.  Where the file cannot be made the counts are the
 * process's own and nobody reads them: counting never fails.
 *
 * Layer:   uses base; used by meta, vfs and tools.
 * Threads: every call, from any thread and process; also after fork.
 */
#ifndef JFSPRE_CORE_METRICS_METRICS_H
#define JFSPRE_CORE_METRICS_METRICS_H

#include <stddef.h>
#include <stdint.h>

#define METRICS_KINDS        32 /* ops by kind: enum op_kind of core/op */
#define METRICS_SIZE_BUCKETS 8  /* ops in a batch; the last one is +Inf */
#define METRICS_TIME_BUCKETS 16 /* 0.1 ms times 2^n, n = 0..14, and +Inf */

/* Counters only grow; buckets are not cumulative.  uint64_t throughout. */
struct metrics_counts {
    uint64_t queued[METRICS_KINDS];    /* acknowledged before the store had them */
    uint64_t flushed[METRICS_KINDS];   /* of those, in the store now */
    uint64_t coalesced[METRICS_KINDS]; /* of those, never sent: folded into another or cancelled */
    uint64_t failed[METRICS_KINDS];    /* of those, refused by the store */
    uint64_t direct[METRICS_KINDS];    /* sent and waited for by their caller */
    uint64_t batch_ops[METRICS_SIZE_BUCKETS], batch_ops_sum;
    uint64_t drain_time[METRICS_TIME_BUCKETS], drain_usec_sum;
    uint64_t round_trips; /* to Redis; LMDB: transactions */
    uint64_t retries;     /* requests sent again, connections made again */
    uint64_t conflicts;   /* ops that lost against another client */
    uint64_t repeated;    /* batches asked for twice and applied once */
    uint64_t depth;       /* gauge: ops pending; a process killed while it counts shifts it */
    uint64_t batch_size;  /* gauge: the limit in force */
};

struct metrics {
    uint64_t magic;
    struct metrics_counts c;
};

/* Maps dir/metrics, made when it is not there or of another version.  *out is never freed by a
 * fork; metrics_close() unmaps it.  NULL only without memory. */
void metrics_open(const char *dir, struct metrics **out);
void metrics_close(struct metrics *m); /* NULL is fine, as in all calls below */

/* A copy of what dir/metrics holds.  0, -ENOENT: nothing was counted there, -EINVAL: another
 * version's, or -errno. */
int metrics_read(const char *dir, struct metrics_counts *out);

/* Upper bounds of the buckets; UINT64_MAX: +Inf. */
uint64_t metrics_size_bound(size_t i);
uint64_t metrics_time_bound_usec(size_t i);

/* One drained batch: its ops, and how long it took from sending to the answer. */
void metrics_batch(struct metrics *m, uint64_t ops, uint64_t usec);

static inline void metrics_add(uint64_t *counter, uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* metrics_queued(m, OP_MKNOD, 1) and its kin */
#define METRICS_BY_KIND(name)                                                                      \
    static inline void metrics_##name(struct metrics *m, unsigned kind, uint64_t n)                \
    {                                                                                              \
        if (m != NULL && kind < METRICS_KINDS)                                                     \
            metrics_add(&m->c.name[kind], n);                                                      \
    }
METRICS_BY_KIND(queued)
METRICS_BY_KIND(flushed)
METRICS_BY_KIND(coalesced)
METRICS_BY_KIND(failed)
METRICS_BY_KIND(direct)
#undef METRICS_BY_KIND

/* metrics_round_trips(m, 1) and its kin */
#define METRICS_COUNTER(name)                                                                      \
    static inline void metrics_##name(struct metrics *m, uint64_t n)                               \
    {                                                                                              \
        if (m != NULL)                                                                             \
            metrics_add(&m->c.name, n);                                                            \
    }
METRICS_COUNTER(round_trips)
METRICS_COUNTER(retries)
METRICS_COUNTER(conflicts)
METRICS_COUNTER(repeated)
#undef METRICS_COUNTER

/* More ops are pending now, or fewer. */
static inline void metrics_depth(struct metrics *m, int64_t change)
{
    if (m != NULL)
        metrics_add(&m->c.depth, (uint64_t)change);
}

static inline void metrics_batch_size(struct metrics *m, uint64_t now)
{
    if (m != NULL)
        __atomic_store_n(&m->c.batch_size, now, __ATOMIC_RELAXED);
}

#endif
