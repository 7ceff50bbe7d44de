/*
 * test_crash_lmdb.c - every kind of change under kill -9 on the embedded store.
 *
 * Four processes change one volume, each its own names there, in a directory of its own and in one
 * of all; now one, now all of them are killed and begun again.  After each kill all that the killed
 * one was told is asked for, names, links and bytes; in between and at the end the counts must be
 * exact (fsck).  The map begins small, so it grows under way in all processes.
 *
 * CRASH_KILLS (300) and CRASH_SEED (the date) choose how long and which; CRASH_LOG shows each
 * change.
 */
#include "core/lmdb/kv.h"
#include "tests/lib/crash.h"
#include "tests/lib/scratch.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL_MAP (256 << 10)

static char top[300];
static int kills;

static void begin_anew(void)
{
    static const char *const parts[] = {"meta", "bucket", "cache"};
    char path[350];
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        snprintf(path, sizeof(path), "%s/%s", top, parts[i]);
        scratch_remove(path);
    }
}

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

static void test_kill(void)
{
    char url[350];
    struct crash_volume vol;
    struct crash_count count;
    const struct crash_plan plan = {.kills = kills, .writers = CRASH_WRITERS};

    snprintf(url, sizeof(url), "lmdb://%s/meta", top);
    crash_volume_at(&vol, url, top);
    kv_first_map(SMALL_MAP);
    struct vfs *v = crash_volume_new(&vol);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    CU_ASSERT(crash_run(&vol, v, &plan, &count));
    vfs_unmount(v);
    kv_first_map(0);
    begin_anew();
}

/* --- a full cache disk
 * ------------------------------------------------------------------------------ */

/* In a process of its own, since a page that the disk has no room for would be SIGBUS. */
static int fill_cache(const struct crash_volume *vol)
{
    enum { MOST = 3000 };
    static struct vfs_fd f[MOST];
    static int fd[MOST];
    static char zeros[1 << 20], back[100];
    struct rlimit limit = {.rlim_cur = MOST + 100, .rlim_max = MOST + 100};
    struct iovec big = {zeros, sizeof(zeros)}, small = {back, sizeof(back)};
    struct vfs *v = crash_volume_new(vol);
    int n = 0, rc = 0;
    if (v == NULL)
        return 1;
    setrlimit(RLIMIT_NOFILE, &limit);
    while (n < MOST && rc >= 0) {
        char name[16];
        struct vfs_loc loc = {.base = INO_ROOT, .path = name};
        snprintf(name, sizeof(name), "f%d", n);
        rc = fd[n] = vfs_open(v, &loc, O_CREAT | O_RDWR | O_CLOEXEC, 0644, &f[n]);
        if (rc >= 0 && n == 0)
            rc = vfs_writev(v, fd[0], &f[0], &big, 1, 0, 0) > 0 ? 0 : -EIO;
        n += rc >= 0;
    }
    if (rc != -ENOSPC || n < 2)
        return 2;
    if (vfs_readv(v, fd[0], &f[0], &small, 1, 0, 0) != sizeof(back))
        return 3;
    while (n > 0) {
        n--;
        if (vfs_close(v, fd[n], &f[n]) != 0)
            return 4;
    }
    struct vfs_loc again = {.base = INO_ROOT, .path = "again"};
    fd[0] = vfs_open(v, &again, O_CREAT | O_RDWR | O_CLOEXEC, 0644, &f[0]);
    if (fd[0] < 0 || vfs_writev(v, fd[0], &f[0], &small, 1, 0, 0) != sizeof(back) ||
        vfs_close(v, fd[0], &f[0]) != 0)
        return 5;
    vfs_unmount(v);
    return crash_is_clean(vol) ? 0 : 6;
}

static void test_full_cache(void)
{
    char url[350], cache[350];
    struct crash_volume vol;
    snprintf(url, sizeof(url), "lmdb://%s/meta", top);
    snprintf(cache, sizeof(cache), "%s/cache", top);
    crash_volume_at(&vol, url, top);
    mkdir(cache, 0700);
    if (mount("none", cache, "tmpfs", 0, "size=1m") != 0) {
        suite_skip("no disk can be mounted, %s", strerror(errno));
        return;
    }
    pid_t pid = fork();
    if (pid == 0)
        _exit(fill_cache(&vol));
    int status;
    waitpid(pid, &status, 0);
    CU_ASSERT_FALSE(WIFSIGNALED(status));
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CU_ASSERT_EQUAL(umount(cache), 0);
    begin_anew();
}

int main(void)
{
    uint64_t seed = crash_seed();
    kills = crash_kills(300);
    printf("%d kills, seed %llu; CRASH_KILLS and CRASH_SEED choose others\n", kills,
           (unsigned long long)seed);
    CU_TestInfo tests[] = {
        {"kill", test_kill},
        {"full cache", test_full_cache},
        CU_TEST_INFO_NULL,
    };
    return suite_run_with("crash", setup, teardown, tests);
}
