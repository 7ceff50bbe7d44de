/*
 * test_threeway.c - the same random calls to a volume on Redis, to one on LMDB and to the kernel:
 * answers, errnos, trees and bytes agree, and the dumps of both stores are the same text.
 *
 * THREEWAY_SEED and THREEWAY_OPS (10000) choose what is drawn.  A disagreement prints the shortest
 * sequence that shows it, as lines for a regression below.
 */
#include "tests/lib/three.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUND 500 /* steps on one fresh set of worlds */

/* Every errno that is not the kernel's, and why.  Beside them:
 * - With a trash, what was removed keeps a link there, so that its nlink is not compared; and a
 *   file of several names, all of them removed, can be given one by linkat(/proc/self/fd/N), which
 *   is not drawn then.
 * - A ctime need not change by extended attributes, nor by what changes nothing, as stock has it.
 * - Directories' stamps: a change within 100 ms of another does not set them, as stock has it. */
static const struct difference known[] = {
    {STEP_OPEN, -ENXIO, -EACCES,
     "O_CREAT of somebody's socket in a sticky directory: fails anyhow, the kernel looks at "
     "fs.protected_regular first"},
    {STEP_RENAME, -ENAMETOOLONG, -ENOENT, "two wrong names: which one is said"},
    {STEP_RENAME, -ENAMETOOLONG, -ENOTDIR, "the same"},
    {STEP_RENAME, -ENAMETOOLONG, -EACCES, "the same"},
    {STEP_RENAME, -ENAMETOOLONG, -ELOOP, "the same"},
    {STEP_LINKFD, -ENOENT, -EPERM,
     "an unlinked file gets no name anyhow; the kernel says first "
     "whose it is"},
    {STEP_LINKFD, -ENOENT, -EACCES, "the same, and whether the directory may be written"},
};

static const struct variant variants[] = {
    {.name = "plain"},
    {.name = "people", .people = true},
    {.name = "trash", .trash = true},
    {.name = "trash and people", .trash = true, .people = true},
    {.name = "quota", .no_kernel = true, .quota_space = 200 << 10, .quota_inodes = 10},
    {.name = "limits", .no_kernel = true, .trash = true, .capacity = 1 << 20, .inodes = 25},
};
#define VARIANTS (sizeof(variants) / sizeof(*variants))

static struct three *t;
static uint64_t seed;
static size_t ops = 10000;

static int setup(void)
{
    t = three_start(known, sizeof(known) / sizeof(*known));
    return t == NULL;
}

static int teardown(void)
{
    three_counts(t);
    three_end(t);
    return 0;
}

static void test_random(void)
{
    size_t rounds = (ops + ROUND - 1) / ROUND;
    for (size_t i = 0; i < rounds; i++) {
        const struct variant *v = &variants[i % VARIANTS];
        size_t n = ops < ROUND ? ops : ROUND;
        printf("[%s %llu] ", v->name, (unsigned long long)(seed + i));
        fflush(stdout);
        CU_ASSERT_EQUAL(three_random(t, v, seed + i, n), 0);
    }
}

int main(void)
{
    const char *text = getenv("THREEWAY_SEED");
    seed = text != NULL ? strtoull(text, NULL, 0) : 1;
    text = getenv("THREEWAY_OPS");
    if (text != NULL)
        ops = strtoull(text, NULL, 0);
    printf("seed %llu, %zu steps; THREEWAY_SEED and THREEWAY_OPS choose others\n",
           (unsigned long long)seed, ops);
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("threeway", setup, teardown);
    CU_add_test(s, "random", test_random);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    int failed = (int)CU_get_number_of_failures() + (int)CU_get_number_of_suites_failed();
    CU_cleanup_registry();
    return failed != 0;
}
