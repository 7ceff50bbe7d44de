/*
 * test_races.c - two processes of one host at the same name at the same time: what each is told at
 * once is what happens.  Nothing is acknowledged and then refused.
 */
#include "core/vfs/vfs.h"

#include "core/base/log.h"
#include "core/meta/engine.h"
#include "tests/lib/host.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 500

static struct server *server; /* its directory holds the volume of either engine */
static bool on_lmdb;
static char url[400];
static struct vfs *v;

static struct shared {
    _Atomic int holders, turn;
    _Atomic unsigned wins, twice, wrong, lines;
} * shared;

static void to_count(enum log_level level, const char *line)
{
    shared->lines++;
    fprintf(stderr, "%s\n", line);
}

static void begin(void)
{
    server = server_start();
    snprintf(url, sizeof url, "lmdb://%s/meta", server_dir(server));
    if (!on_lmdb)
        snprintf(url, sizeof url, "%s", server_url(server, 0));
    struct setting s = host_setting(server_dir(server));
    CU_ASSERT_EQUAL_FATAL(host_format(url, &s), 0);
    v = host_mount(url, server_dir(server), "cache");
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    log_set(to_count, LOG_WARN);
    memset(shared, 0, sizeof *shared);
    CU_ASSERT_EQUAL(vfs_mkdir(v, at("/first"), 0755), 0);
    CU_ASSERT_EQUAL(vfs_mkdir(v, at("/d"), 0755), 0);
}

static void end(void)
{
    CU_ASSERT_EQUAL(vfs_flush(v), 0);
    vfs_unmount(v);
    CU_ASSERT_EQUAL(shared->lines, 0);
    CU_ASSERT_EQUAL(shared->wrong, 0);
    CU_ASSERT(host_is_clean(url));
    server_free(server);
}

/* The same in two processes, of which one made the directory. */
static void race(void (*racer)(int who))
{
    int status;
    begin();
    vfs_before_fork(v);
    pid_t pid = fork();
    vfs_after_fork(v, pid == 0);
    alarm(110);
    racer(pid == 0);
    if (pid == 0) {
        vfs_flush(v);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    alarm(0);
    CU_ASSERT_EQUAL(status, 0);
}

static void check(bool good, const char *what, int rc)
{
    if (good)
        return;
    shared->wrong++;
    fprintf(stderr, "%d: %s: %d\n", (int)getpid(), what, rc);
}

/* --- exclusive -------------------------------------------------------------------------------- */

static void lock_racer(int who)
{
    struct vfs_fd f;
    int rc;
    for (unsigned wins = 0, tries = 0; wins < ROUNDS && tries < 100 * ROUNDS; tries++) {
        int fd = vfs_open(v, at("/d/lock"), O_WRONLY | O_CREAT | O_EXCL, 0600, &f);
        if (fd == -EEXIST)
            continue;
        check(fd >= 0, "open", fd);
        if (fd < 0)
            return;
        wins++;
        shared->wins++;
        if (atomic_fetch_add(&shared->holders, 1) != 0)
            shared->twice++;
        vfs_close(v, fd, &f);
        atomic_fetch_sub(&shared->holders, 1);
        rc = vfs_unlink(v, at("/d/lock"));
        check(rc == 0, "unlink", rc);
    }
}

static void test_lock_files(void)
{
    race(lock_racer);
    CU_ASSERT_EQUAL(shared->twice, 0);
    CU_ASSERT(shared->wins > ROUNDS);
    end();
}

/* mkdir(), and a temporary file that gets its name by rename with NOREPLACE. */
static void dir_racer(int who)
{
    int rc;
    for (unsigned i = 0; i < 2 * ROUNDS; i++) {
        rc = vfs_mkdir(v, at("/d/lock"), 0700);
        if (rc == -EEXIST)
            continue;
        check(rc == 0, "mkdir", rc);
        if (atomic_fetch_add(&shared->holders, 1) != 0)
            shared->twice++;
        atomic_fetch_sub(&shared->holders, 1);
        rc = vfs_rmdir(v, at("/d/lock"));
        check(rc == 0, "rmdir", rc);
    }
}

static void test_lock_directories(void)
{
    race(dir_racer);
    CU_ASSERT_EQUAL(shared->twice, 0);
    end();
}

static void rename_racer(int who)
{
    struct vfs_fd f;
    const char *own = who ? "/d/b" : "/d/a";
    int rc;
    for (unsigned i = 0; i < ROUNDS; i++) {
        int fd = vfs_open(v, at(own), O_WRONLY | O_CREAT, 0600, &f);
        check(fd >= 0, "open", fd);
        if (fd < 0)
            return;
        vfs_close(v, fd, &f);
        rc = vfs_rename(v, at(own), at("/d/lock"), RENAME_NOREPLACE);
        if (rc == -EEXIST)
            continue;
        check(rc == 0, "rename", rc);
        if (atomic_fetch_add(&shared->holders, 1) != 0)
            shared->twice++;
        atomic_fetch_sub(&shared->holders, 1);
        rc = vfs_unlink(v, at("/d/lock"));
        check(rc == 0, "unlink", rc);
    }
}

static void test_renames(void)
{
    race(rename_racer);
    CU_ASSERT_EQUAL(shared->twice, 0);
    end();
}

static void meet(int who)
{
    int turn = atomic_fetch_add(&shared->turn, 1);
    while (atomic_load(&shared->turn) / 2 == turn / 2)
        sched_yield();
}

/* --- threads ---------------------------------------------------------------------------------- */

/* The rename of a file of two names, which the store decides, against an exclusive creation. */
static void name_racer(int who)
{
    char own[40], lock[40], dir[40];
    struct vfs_fd f;
    for (unsigned i = 0; i < ROUNDS; i++) {
        snprintf(own, sizeof own, "/first/own%u", i);
        snprintf(dir, sizeof dir, "/d/%u", i);
        snprintf(lock, sizeof lock, "/d/%u/lock", i);
        int fd = who == 0 ? vfs_open(v, at(own), O_WRONLY | O_CREAT, 0600, &f) : 0, rc = 0;
        check(fd >= 0, "open", fd);
        if (who == 0) {
            vfs_close(v, fd, &f);
            snprintf(lock, sizeof lock, "/first/second%u", i);
            rc = vfs_link(v, at(own), at(lock), false);
            rc = rc == 0 ? vfs_mkdir(v, at(dir), 0755) : rc;
            check(rc == 0, "link, mkdir", rc);
            snprintf(lock, sizeof lock, "/d/%u/lock", i);
        }
        meet(who);
        if (who == 0) {
            rc = vfs_rename(v, at(own), at(lock), RENAME_NOREPLACE);
        } else {
            fd = rc = vfs_open(v, at(lock), O_WRONLY | O_CREAT | O_EXCL, 0600, &f);
            if (fd >= 0)
                rc = vfs_close(v, fd, &f);
        }
        check(rc == 0 || rc == -EEXIST, "lock", rc);
        shared->wins += rc == 0;
        meet(who);
    }
}

static void test_renames_asked(void)
{
    race(name_racer);
    CU_ASSERT_EQUAL(shared->wins, ROUNDS);
    end();
}

static void *other_thread(void *ctx)
{
    name_racer(0);
    return ctx;
}

static void test_threads(void)
{
    pthread_t t;
    begin();
    CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, other_thread, NULL), 0);
    name_racer(1);
    pthread_join(t, NULL);
    CU_ASSERT_EQUAL(shared->wins, ROUNDS);
    end();
}

/* --- shared ----------------------------------------------------------------------------------- */

/* Who opens with O_CREAT what the other one creates at this moment has the same file. */
static void log_racer(int who)
{
    struct vfs_fd f;
    struct iovec line = {.iov_base = (void *)(uintptr_t) "0123456789", .iov_len = 10};
    char path[40];
    for (unsigned i = 0; i < ROUNDS; i++) {
        snprintf(path, sizeof path, "/d/log%u", i);
        meet(who);
        int fd = vfs_open(v, at(path), O_WRONLY | O_CREAT | O_APPEND, 0600, &f);
        check(fd >= 0, "open", fd);
        if (fd < 0)
            continue;
        ssize_t n = vfs_writev(v, fd, &f, &line, 1, -1, 0);
        check(n == 10, "write", (int)n);
        vfs_close(v, fd, &f);
    }
}

static void test_one_log(void)
{
    struct vfs_stat st;
    char path[40];
    race(log_racer);
    for (unsigned i = 0; i < ROUNDS; i++) {
        snprintf(path, sizeof path, "/d/log%u", i);
        int rc = vfs_stat(v, at(path), true, &st);
        check(rc == 0 && st.attr.length == 20, path, (int)st.attr.length);
    }
    end();
}

static int on_redis_suite(void)
{
    on_lmdb = false;
    return 0;
}

static int on_lmdb_suite(void)
{
    on_lmdb = true;
    return 0;
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"lock files", test_lock_files},
        {"lock directories", test_lock_directories},
        {"renames that replace nothing", test_renames},
        {"renames that are asked for", test_renames_asked},
        {"threads", test_threads},
        {"one log", test_one_log},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"races", on_redis_suite, NULL, NULL, NULL, tests},
                             {"races in lmdb", on_lmdb_suite, NULL, NULL, NULL, tests},
                             CU_SUITE_INFO_NULL};
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    return suites_run(suites);
}
