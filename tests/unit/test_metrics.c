/*
 * test_metrics.c - counts shared by processes: the file, its buckets, and what happens without it.
 */
#include "core/metrics/metrics.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[128], file[160];
static struct metrics_counts c;

static void fresh(void)
{
    snprintf(dir, sizeof dir, "%s/jfspre-metrics-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/metrics", dir);
}

static void done(void)
{
    unlink(file);
    rmdir(file);
    rmdir(dir);
}

static void test_counts(void)
{
    struct metrics *m, *other;

    fresh();
    CU_ASSERT_EQUAL(metrics_read(dir, &c), -ENOENT);
    metrics_open(dir, &m);
    metrics_open(dir, &other);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_PTR_NOT_NULL_FATAL(other);
    metrics_queued(m, 3, 2);
    metrics_queued(other, 3, 5);
    metrics_flushed(m, 4, 1);
    metrics_coalesced(m, 5, 1);
    metrics_failed(m, 31, 1);
    metrics_direct(m, 0, 1);
    metrics_failed(m, METRICS_KINDS, 7); /* a kind of a later version: not counted */
    metrics_round_trips(m, 2);
    metrics_retries(m, 3);
    metrics_conflicts(other, 4);
    metrics_repeated(m, 5);
    metrics_depth(m, 100);
    metrics_depth(other, -40);
    metrics_batch_size(m, 512);
    CU_ASSERT_EQUAL(metrics_read(dir, &c), 0);
    CU_ASSERT_EQUAL(c.queued[3], 7);
    CU_ASSERT_EQUAL(c.flushed[4], 1);
    CU_ASSERT_EQUAL(c.coalesced[5], 1);
    CU_ASSERT_EQUAL(c.failed[31], 1);
    CU_ASSERT_EQUAL(c.direct[0], 1);
    CU_ASSERT_EQUAL(c.round_trips, 2);
    CU_ASSERT_EQUAL(c.retries, 3);
    CU_ASSERT_EQUAL(c.conflicts, 4);
    CU_ASSERT_EQUAL(c.repeated, 5);
    CU_ASSERT_EQUAL(c.depth, 60);
    CU_ASSERT_EQUAL(c.batch_size, 512);
    metrics_depth(other, -61); /* who added was killed before it counted */
    CU_ASSERT_EQUAL(metrics_read(dir, &c), 0);
    CU_ASSERT_EQUAL(c.depth, 0);
    metrics_close(m);
    metrics_close(other);
    CU_ASSERT_EQUAL(metrics_read(dir, &c), 0); /* they outlive who counted */
    CU_ASSERT_EQUAL(c.queued[3], 7);
    done();
}

static void test_buckets(void)
{
    static const struct {
        uint64_t ops;
        int bucket;
    } sizes[] = {{0, 0},   {1, 0},    {2, 1},    {10, 1},   {11, 2},  {50, 2},
                 {51, 3},  {100, 3},  {101, 4},  {250, 4},  {251, 5}, {512, 5},
                 {513, 6}, {1000, 6}, {1001, 7}, {99999, 7}};
    struct metrics *m;

    fresh();
    metrics_open(dir, &m);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        metrics_read(dir, &c);
        uint64_t before = c.batch_ops[sizes[i].bucket];
        metrics_batch(m, sizes[i].ops, 0);
        metrics_read(dir, &c);
        CU_ASSERT_EQUAL(c.batch_ops[sizes[i].bucket], before + 1);
    }
    for (int n = 0; n < METRICS_TIME_BUCKETS - 1; n++) {
        memset(&m->c, 0, sizeof m->c);
        metrics_batch(m, 7, UINT64_C(100) << n);
        metrics_batch(m, 7, (UINT64_C(100) << n) + 1);
        metrics_read(dir, &c);
        CU_ASSERT_EQUAL(c.drain_time[n], 1);
        CU_ASSERT_EQUAL(c.drain_time[n + 1], 1);
        CU_ASSERT_EQUAL(c.drain_usec_sum, (UINT64_C(200) << n) + 1);
        CU_ASSERT_EQUAL(c.batch_ops_sum, 14);
    }
    CU_ASSERT_EQUAL(metrics_time_bound_usec(14), 1638400);
    CU_ASSERT_EQUAL(metrics_time_bound_usec(15), UINT64_MAX);
    metrics_close(m);
    done();
}

#define PROCESSES 4
#define ADDS      20000

static void test_processes(void)
{
    struct metrics *m;

    fresh();
    metrics_open(dir, &m);
    for (int i = 0; i < PROCESSES; i++) {
        if (fork() != 0)
            continue;
        struct metrics *mine = m; /* inherited, or opened: the same counts */
        if (i % 2 == 0)
            metrics_open(dir, &mine);
        for (int n = 0; n < ADDS; n++)
            metrics_queued(mine, 9, 1);
        _exit(0);
    }
    for (int i = 0; i < PROCESSES; i++)
        wait(NULL);
    CU_ASSERT_EQUAL(metrics_read(dir, &c), 0);
    CU_ASSERT_EQUAL(c.queued[9], PROCESSES * ADDS);
    metrics_close(m);
    done();
}

/* No file: a place that is not there, a directory of that name, a limit on file sizes.  Counting
 * goes on all the same. */
static void test_without(void)
{
    struct metrics *m;
    struct rlimit old, none = {0, 0};

    metrics_open("/nonexistent", &m);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    metrics_queued(m, 1, 3);
    CU_ASSERT_EQUAL(m->c.queued[1], 3);
    metrics_close(m);
    CU_ASSERT_EQUAL(metrics_read("/nonexistent", &c), -ENOENT);

    fresh();
    CU_ASSERT_EQUAL(mkdir(file, 0700), 0);
    metrics_open(dir, &m);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    metrics_conflicts(m, 2);
    CU_ASSERT_EQUAL(m->c.conflicts, 2);
    metrics_close(m);
    CU_ASSERT(metrics_read(dir, &c) < 0);
    done();

    fresh();
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    none.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_FSIZE, &none);
    metrics_open(dir, &m);
    setrlimit(RLIMIT_FSIZE, &old);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    metrics_batch(m, 1, 1);
    metrics_close(m);
    CU_ASSERT_EQUAL(metrics_read(dir, &c), -EINVAL);
    done();

    metrics_queued(NULL, 1, 1);
    metrics_batch(NULL, 1, 1);
    metrics_depth(NULL, 1);
    metrics_retries(NULL, 1);
    metrics_close(NULL);
}

/* A file of another version is replaced; who has it mapped is not disturbed. */
static void test_other_version(void)
{
    struct metrics *old, *m;

    fresh();
    metrics_open(dir, &old);
    old->magic++;
    CU_ASSERT_EQUAL(metrics_read(dir, &c), -EINVAL);
    metrics_open(dir, &m);
    metrics_queued(old, 1, 5);
    metrics_queued(m, 1, 1);
    CU_ASSERT_EQUAL(metrics_read(dir, &c), 0);
    CU_ASSERT_EQUAL(c.queued[1], 1);
    metrics_close(old);
    metrics_close(m);
    done();
}

/* clang-format off */
#define CASES(X) \
    X(counts) X(buckets) X(processes) X(without) X(other_version)
/* clang-format on */

int main(void)
{
    CU_TestInfo tests[] = {
#define ADD(name) {#name, test_##name},
        CASES(ADD) CU_TEST_INFO_NULL,
    };
    return suite_run("metrics", tests);
}
