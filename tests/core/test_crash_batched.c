/*
 * test_crash_batched.c - kill -9 of processes whose changes are acknowledged before the store has
 * them, on Redis and on the embedded store, with batches that leave soon and late, large and small.
 *
 * CRASH_KILLS (1000) and CRASH_SEED (the date) choose how long and which.
 */
#include "tests/lib/crash.h"
#include "tests/lib/scratch.h"
#include "tests/lib/server.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const ways[] = {
    "batch_interval=10ms",
    "batch_interval=1ms&batch_size=7",
    "batch_interval=300ms&batch_size=20",
    "batch_interval=10s",
};
#define WAYS (sizeof ways / sizeof *ways)

static char top[300];
static int kills, pending;

static int setup(void)
{
    const char *shm = getenv("TEST_SHM");
    snprintf(top, sizeof(top), "%s/crash.XXXXXX", shm != NULL ? shm : "/dev/shm");
    return mkdtemp(top) == NULL;
}

static int teardown(void)
{
    scratch_remove(top);
    return 0;
}

static void run_on(const char *url)
{
    struct crash_volume vol;
    struct crash_count count;
    const struct crash_plan plan = {
        .kills = kills / (int)(2 * WAYS), .writers = 2, .is_quick = true};
    char dir[400];

    snprintf(dir, sizeof(dir), "%s/XXXXXX", top);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    crash_volume_at(&vol, url, dir);
    struct vfs *v = crash_volume_new(&vol);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    CU_ASSERT(crash_run(&vol, v, &plan, &count));
    printf("%s: %d kills, %d of all at once, %d with something pending\n", strrchr(url, '?'),
           count.kills, count.all, count.pending);
    pending += count.pending;
    vfs_unmount(v);
    scratch_remove(dir);
}

static void test_redis(void)
{
    struct server *s = server_start();
    char url[400];

    printf("\n");
    for (size_t i = 0; i < WAYS; i++) {
        server_int(s, "FLUSHALL");
        snprintf(url, sizeof(url), "%s&%s", server_url(s, 0), ways[i]);
        run_on(url);
    }
    server_free(s);
    CU_ASSERT(pending > 0 || kills < 500); /* else nothing was tried */
}

static void test_lmdb(void)
{
    char url[500];

    pending = 0;
    printf("\n");
    for (size_t i = 0; i < WAYS; i++) {
        snprintf(url, sizeof(url), "lmdb://%s/meta%zu?%s", top, i, ways[i]);
        run_on(url);
    }
    CU_ASSERT(pending > 0 || kills < 500);
}

int main(void)
{
    uint64_t seed = crash_seed();

    kills = crash_kills(1000);
    printf("%d kills, seed %llu; CRASH_KILLS and CRASH_SEED choose others\n", kills,
           (unsigned long long)seed);
    CU_TestInfo tests[] = {
        {"Redis", test_redis},
        {"embedded", test_lmdb},
        CU_TEST_INFO_NULL,
    };
    return suite_run_with("crash, batched", setup, teardown, tests);
}
