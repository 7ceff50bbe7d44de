/*
 * bench_run.c - starts the processes of `jfspre bench`, takes the time and the counts, and leaves
 * the volume as it was; see bench.h.
 *
 * Everything that touches the volume is done by forked children, so the one that waits has neither
 * threads nor pending changes, and a signal is answered by telling them to stop.
 */
#include "tools/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define URL_BYTES 8192

const char *const bench_works[WORKS] = {"create empty", "create 4 KiB", "stat",  "list",
                                        "read",         "rename",       "unlink"};
const char *const bench_modes[MODES] = {"batched", "one by one", "unsafe"};

static const char *const parameters[MODES] = {"batchwrite=1", "batchwrite=0",
                                              "batchwrite=1&unsafe_batch=1"};

static void url_of(const struct bench *b, enum bench_mode mode, char out[URL_BYTES])
{
    const char *url = b->config->meta;
    snprintf(out, URL_BYTES, "%s%c%s", url, strchr(url, '?') != NULL ? '&' : '?', parameters[mode]);
}

/* --- processes ----------------------------------------------------------------------------------
 */

/* In the child: what ends the bench is the parent's to say. */
static void become_worker(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(CMD_PROBLEM);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

static void nap_us(unsigned us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000L}, NULL);
}

static void said_by(struct bench *b, const char *where)
{
    progress_clear(&b->progress);
    for (unsigned k = 0; k < b->processes; k++) {
        const struct bench_worker *w = &b->shared->worker[k];
        if (w->rc < 0 && w->rc != -EINTR) {
            cmd_say(b->self, "%s%s", where, w->what[0] != '\0' ? w->what : strerror(-w->rc));
            return;
        }
    }
}

static int make_or_remove(struct bench *b, int (*fn)(struct bench *, const char *), const char *url)
{
    pid_t parent = getpid(), pid;
    int status = 0;

    memset(b->shared, 0, sizeof *b->shared);
    fflush(NULL);
    if ((pid = fork()) == 0) {
        become_worker(parent);
        _exit(fn(b, url) < 0 ? CMD_PROBLEM : CMD_OK);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid > 0 && status == 0)
        return CMD_OK;
    said_by(b, "");
    return CMD_PROBLEM;
}

/* Ends by all having come to `count`, by a child that died, or by a signal: then they are stopped.
 */
static void wait_for(struct bench *b, atomic_uint *count, unsigned *died, const char *what)
{
    int status;

    while (atomic_load(count) + *died < b->processes) {
        nap_us(200);
        if (interrupted())
            atomic_store(&b->shared->stop, true);
        while (*died < b->processes && waitpid(-1, &status, WNOHANG) > 0)
            (*died)++;
        progress_show(&b->progress, what, atomic_load(&b->shared->files), b->files);
    }
}

static int start(struct bench *b, enum bench_work work, const char *url, int go[2], int leave[2])
{
    pid_t parent = getpid();
    unsigned k = 0;

    memset(b->shared, 0, sizeof *b->shared);
    if (pipe2(go, O_CLOEXEC) != 0)
        return -errno;
    if (pipe2(leave, O_CLOEXEC) != 0) {
        int err = errno;
        close(go[0]);
        close(go[1]);
        return -err;
    }
    fflush(NULL);
    for (; k < b->processes; k++) {
        pid_t pid = fork();
        if (pid < 0)
            break;
        if (pid > 0)
            continue;
        become_worker(parent);
        close(go[1]);
        close(leave[1]);
        bench_work(b, work, url, k, go[0], leave[0]);
        _exit(CMD_OK);
    }
    close(go[0]);
    close(leave[0]);
    if (k == b->processes)
        return 0;
    int err = errno; /* those that are there see the pipes end */
    atomic_store(&b->shared->stop, true);
    close(go[1]);
    close(leave[1]);
    while (wait(NULL) > 0)
        ;
    return -err;
}

/* One kind of work once.  CMD_OK or CMD_PROBLEM, said. */
static int run_work(struct bench *b, enum bench_mode mode, enum bench_work work, const char *url,
                    struct bench_result *out)
{
    struct metrics_counts before, after;
    char what[64];
    int go[2], leave[2];
    unsigned died = 0;

    snprintf(what, sizeof what, "%s, %s", bench_modes[mode], bench_works[work]);
    int rc = start(b, work, url, go, leave);
    if (rc < 0) {
        cmd_say(b->self, "fork: %s", strerror(-rc));
        return CMD_PROBLEM;
    }
    wait_for(b, &b->shared->ready, &died, what);
    vfs_counts(b->cache, b->vol->set.uuid, &before);
    uint64_t begin_ns = clock_mono_ns(), end_ns = begin_ns;
    close(go[1]);
    wait_for(b, &b->shared->finished, &died, what);
    vfs_counts(b->cache, b->vol->set.uuid, &after);
    close(leave[1]);
    while (wait(NULL) > 0 || errno == EINTR)
        ;
    progress_clear(&b->progress);
    memset(out, 0, sizeof *out);
    for (unsigned k = 0; k < b->processes; k++) {
        const struct bench_worker *w = &b->shared->worker[k];
        rc = w->rc < 0 && (rc == 0 || rc == -EINTR) ? w->rc : rc;
        end_ns = w->end_ns > end_ns ? w->end_ns : end_ns;
        out->files += w->files;
    }
    if (died > 0 && rc == 0) {
        cmd_say(b->self, "%s: a process died", what);
        return CMD_PROBLEM;
    }
    if (rc < 0) {
        char where[80];
        snprintf(where, sizeof where, "%s: ", bench_modes[mode]);
        said_by(b, where);
        return CMD_PROBLEM;
    }
    out->seconds = (double)(end_ns - begin_ns) / 1e9;
    out->round_trips = (double)(after.round_trips - before.round_trips);
    for (unsigned i = 0; i < METRICS_KINDS; i++)
        out->queued += after.queued[i] - before.queued[i];
    return CMD_OK;
}

/* --- runs ---------------------------------------------------------------------------------------
 */

static int by_seconds(const void *a, const void *b)
{
    const struct bench_result *x = a, *y = b;
    return (x->seconds > y->seconds) - (x->seconds < y->seconds);
}

static void sum_up(struct bench_result *runs, unsigned n, struct bench_result *out)
{
    qsort(runs, n, sizeof *runs, by_seconds);
    *out = runs[n / 2];
    if (n % 2 == 0)
        out->seconds = (runs[n / 2 - 1].seconds + runs[n / 2].seconds) / 2;
    out->round_trips = 0;
    out->queued = 0;
    for (unsigned i = 0; i < n; i++) {
        out->round_trips += runs[i].round_trips / n;
        out->queued += runs[i].queued;
    }
}

static bool is_built(struct bench *b, enum bench_mode mode)
{
    char url[URL_BYTES], err[400];
    struct engine *e;

    url_of(b, mode, url);
    int rc = engine_open(url, &e, err, sizeof err);
    if (rc == 0)
        e->ops->close(e);
    return rc != -ENOTSUP;
}

static int remove_one(const char *path, const struct stat *sb, int type, struct FTW *at)
{
    (void)sb, (void)type, (void)at;
    remove(path);
    return 0;
}

/* All kinds of work in one mode. */
static int run_mode(struct bench *b, enum bench_mode mode, struct bench_result out[WORKS])
{
    char url[URL_BYTES], remover[URL_BYTES];

    url_of(b, mode, url);
    url_of(b, MODE_DIRECT, remover);
    int rc = make_or_remove(b, bench_make_dir, url);
    if (rc != CMD_OK)
        return rc;
    for (unsigned w = 0; rc == CMD_OK && w < WORKS && !interrupted(); w++)
        rc = run_work(b, mode, w, url, &out[w]);
    if (make_or_remove(b, bench_remove_dir, remover) != CMD_OK) {
        cmd_say(b->self, "/%s is still in the volume", b->dir);
        return CMD_PROBLEM;
    }
    return interrupted() ? CMD_PROBLEM : rc;
}

int bench_run(struct bench *b)
{
    static struct bench_result runs[MODES][WORKS][BENCH_RUNS_MAX], once[WORKS];
    int rc = CMD_OK;

    b->shared =
        mmap(NULL, sizeof *b->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (b->shared == MAP_FAILED) {
        cmd_say(b->self, "%s", strerror(errno));
        return CMD_PROBLEM;
    }
    mkdir(b->config->cache_dir, 0700);
    progress_init(&b->progress);
    interrupt_catch();
    for (unsigned m = 0; m < MODES; m++)
        b->built[m] = is_built(b, m);
    for (unsigned run = 0; rc == CMD_OK && run < b->runs; run++) {
        for (unsigned i = 0; rc == CMD_OK && i < MODES; i++) {
            unsigned m = (run + i) % MODES; /* none is always the first */
            if (!b->built[m])
                continue;
            rc = run_mode(b, m, once);
            for (unsigned w = 0; rc == CMD_OK && w < WORKS; w++)
                runs[m][w][run] = once[w];
        }
    }
    for (unsigned m = 0; rc == CMD_OK && m < MODES; m++)
        for (unsigned w = 0; w < WORKS; w++)
            sum_up(runs[m][w], b->runs, &b->results[m][w]);
    nftw(b->cache, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    munmap(b->shared, sizeof *b->shared);
    interrupt_end();
    return rc;
}
