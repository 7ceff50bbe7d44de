/*
 * bench - what the files of `jfspre bench` share.
 *
 * A run of a mode: a directory of its own in the volume, and one kind of work after the other, each
 * by fresh processes that wait for each other before they begin.  Time is from the common start
 * until the last has said jfspre_flush(), so what is counted is published.
 */
#ifndef JFSPRE_TOOLS_BENCH_H
#define JFSPRE_TOOLS_BENCH_H

#include "tools/cmd.h"
#include "tools/transfer.h"

#include "core/metrics/metrics.h"
#include "core/vfs/vfs.h"

#include <stdatomic.h>

#define BENCH_PROCESSES_MAX 64
#define BENCH_RUNS_MAX      25
#define BENCH_FILE_BYTES    4096

enum bench_work {
    WORK_CREATE,
    WORK_CREATE_4K,
    WORK_STAT,
    WORK_LIST,
    WORK_READ,
    WORK_RENAME,
    WORK_UNLINK,
    WORKS,
};

enum bench_mode { MODE_BATCHED, MODE_DIRECT, MODE_UNSAFE, MODES };

struct bench_result {
    uint64_t files;     /* of one run */
    double seconds;     /* median of the runs */
    double round_trips; /* mean of the runs */
    uint64_t queued;    /* ops of all runs that were acknowledged early */
};

/* Written by the processes, read by the one that started them. */
struct bench_worker {
    uint64_t end_ns;
    uint64_t files;
    int rc; /* -errno, and what failed */
    char what[400];
};

struct bench_shared {
    atomic_uint ready, finished; /* processes */
    atomic_bool stop;            /* give up at the next file */
    atomic_uint_fast64_t files;  /* done so far, for the progress */
    struct bench_worker worker[BENCH_PROCESSES_MAX];
};

struct bench {
    const struct cmd *self;
    const struct config *config;
    struct volume *vol;
    uint64_t files; /* of each kind of work, all processes together */
    unsigned processes, runs;
    bool json;
    double rtt_ms;
    char server[128];
    char dir[NAME_LEN_MAX + 1]; /* in the root of the volume */
    char cache[4096];           /* a cache directory for the bench alone, for its counts */
    struct bench_shared *shared;
    struct progress progress;
    bool built[MODES];
    struct bench_result results[MODES][WORKS];
};

extern const char *const bench_works[WORKS];
extern const char *const bench_modes[MODES];

/* --- bench_work.c: in a process of its own ------------------------------------------------------
 */

/* Process k of its share: opens the volume, prepares, waits until the pipe `go` is closed, works,
 * flushes, waits for `leave`; its result is in shared->worker[k]. */
void bench_work(struct bench *b, enum bench_work work, const char *url, unsigned k, int go,
                int leave);
/* The directory of the bench, made before and removed with all that is in it after. */
int bench_make_dir(struct bench *b, const char *url);
int bench_remove_dir(struct bench *b, const char *url);

/* --- bench_run.c
 * ---------------------------------------------------------------------------------- */

/* All modes, all kinds of work, all runs.  CMD_OK or CMD_PROBLEM, said; also when interrupted,
 * after cleaning up. */
int bench_run(struct bench *b);

/* --- bench_print.c
 * -------------------------------------------------------------------------------- */

void bench_print(const struct bench *b);

#endif
