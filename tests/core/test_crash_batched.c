/*
 * test_crash_batched.c - kill -9 of processes whose changes are acknowledged before the store has
 * them, on Redis and on the embedded store, with batches that leave soon and late, large and small.
 *
 * CRASH_KILLS (1000) and CRASH_SEED (the date) choose how long and which.
 */
#include "core/meta/batch.h"
#include "core/vfs/vfs_internal.h"
#include "tests/lib/crash.h"
#include "tests/lib/host.h"
#include "tests/lib/scratch.h"
#include "tests/lib/server.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
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

/* Packs that grow, or did. */
static int packs_of(const struct crash_volume *vol)
{
    char path[600];
    glob_t found;
    snprintf(path, sizeof(path), "%s/cache/" VOLUME_UUID ".%u/k/*", vol->dir, (unsigned)geteuid());
    int n = glob(path, 0, NULL, &found) == 0 ? (int)found.gl_pathc : 0;
    globfree(&found);
    return n;
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
    CU_ASSERT_EQUAL(vfs_flush(v), 0);
    CU_ASSERT_EQUAL(packs_of(&vol), 0);
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

static int (*append)(void *ctx, uint64_t id, const void *bytes, uint32_t len, uint32_t *off);

static int append_and_die(void *ctx, uint64_t id, const void *bytes, uint32_t len, uint32_t *off)
{
    append(ctx, id, bytes, len, off);
    return raise(SIGKILL);
}

static void __attribute__((noreturn)) begin_pack(const struct crash_volume *vol)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t) "bytes", .iov_len = 5};
    struct vfs *v = crash_volume_mount(vol);
    struct vfs_fd f;
    if (v == NULL || vfs_mkdir(v, at("/first"), 0755) != 0 || vfs_mkdir(v, at("/d"), 0755) != 0)
        _exit(1);
    append = v->meta->batch->hooks.pack;
    v->meta->batch->hooks.pack = append_and_die;
    int fd = vfs_open(v, at("/d/f"), O_WRONLY | O_CREAT, 0644, &f);
    if (fd < 0 || vfs_writev(v, fd, &f, &iov, 1, -1, 0) != 5)
        _exit(2);
    vfs_close(v, fd, &f);
    _exit(3);
}

/* A process killed when its pack has bytes and its queue does not name it yet.  That nobody has
 * waited for it yet does not make it alive. */
static void test_begun_pack(void)
{
    struct crash_volume vol;
    siginfo_t end;
    char url[400];
    int status;

    snprintf(url, sizeof(url), "lmdb://%s/begun?batch_interval=10s", top);
    crash_volume_at(&vol, url, top);
    struct vfs *v = crash_volume_new(&vol);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    pid_t pid = fork();
    if (pid == 0)
        begin_pack(&vol);
    CU_ASSERT_EQUAL(waitid(P_PID, (id_t)pid, &end, WEXITED | WNOWAIT), 0);
    CU_ASSERT_EQUAL(packs_of(&vol), 1);
    CU_ASSERT_EQUAL(vfs_ready(v), 0);
    CU_ASSERT_EQUAL(vfs_flush(v), 0);
    CU_ASSERT_EQUAL(packs_of(&vol), 0);
    waitpid(pid, &status, 0);
    CU_ASSERT(WIFSIGNALED(status));
    vfs_unmount(v);
    CU_ASSERT(crash_is_clean(&vol));
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
        {"a pack that was begun", test_begun_pack},
        CU_TEST_INFO_NULL,
    };
    return suite_run_with("crash, batched", setup, teardown, tests);
}
