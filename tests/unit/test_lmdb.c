/*
 * test_lmdb.c - the embedded store: types over keys, life across fork and kill, growth of the map.
 */
#include "core/lmdb/kv.h"
#include "core/lmdb/types.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[256];
static struct kv *kv;

static int setup(void)
{
    snprintf(dir, sizeof(dir), "/dev/shm/jfspre-test-XXXXXX");
    return mkdtemp(dir) == NULL || kv_open(dir, true, &kv) != 0;
}

static int teardown(void)
{
    char cmd[300];
    kv_close(kv);
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
    return system(cmd) != 0;
}

static bool is(struct kv_val v, const char *text)
{
    return v.len == strlen(text) && memcmp(v.data, text, v.len) == 0;
}

static int join(void *ctx, struct kv_val key, struct kv_val value)
{
    char *out = ctx;
    size_t n = strlen(out);
    snprintf(out + n, 200 - n, "%.*s=%.*s ", key.data != NULL && key.len < 8 ? (int)key.len : 0,
             (const char *)key.data, (int)value.len, (const char *)value.data);
    return 0;
}

static void test_types(void)
{
    struct kv_val v;
    bool found;
    int64_t n;
    uint64_t len;
    char text[200] = "";

    CU_ASSERT_EQUAL_FATAL(kv_begin(kv, true), 0);
    CU_ASSERT(string_get(kv, "i1", &v, &found) == 0 && !found);
    CU_ASSERT(string_set(kv, "i1", "attr", 4) == 0);
    CU_ASSERT(string_get(kv, "i1", &v, &found) == 0 && found && is(v, "attr"));
    CU_ASSERT(string_incr(kv, "nextinode", 1024, &n) == 0 && n == 1024);
    CU_ASSERT(string_incr(kv, "nextinode", -24, &n) == 0 && n == 1000);
    CU_ASSERT(hash_set(kv, "d1", "b", 1, "B", 1) == 0);
    CU_ASSERT(hash_set(kv, "d1", "a", 1, "A", 1) == 0);
    CU_ASSERT(hash_set(kv, "d10", "c", 1, "C", 1) == 0);
    CU_ASSERT(hash_scan(kv, "d1", NULL, 0, join, text) == 0);
    CU_ASSERT_STRING_EQUAL(text, "a=A b=B ");
    text[0] = '\0';
    CU_ASSERT(hash_scan(kv, "d1", "a", 1, join, text) == 0);
    CU_ASSERT_STRING_EQUAL(text, "b=B ");
    CU_ASSERT(hash_incr(kv, "sliceRef", "k1_2", 4, -1, &n) == 0 && n == -1);
    CU_ASSERT(hash_incr_if_there(kv, "sliceRef", "k1_2", 4, 11) == 0);
    CU_ASSERT(hash_incr(kv, "sliceRef", "k1_2", 4, 0, &n) == 0 && n == 10);
    CU_ASSERT(hash_incr(kv, "sliceRef", "k1_2", 4, -11, &n) == 0 && n == -1);
    CU_ASSERT(hash_incr_if_there(kv, "sliceRef", "k9_9", 4, 1) == 0);
    CU_ASSERT(hash_get(kv, "sliceRef", "k9_9", 4, &v, &found) == 0 && !found);
    CU_ASSERT(hash_del(kv, "d1", "a", 1, &found) == 0 && found);
    CU_ASSERT(hash_del(kv, "d1", "a", 1, &found) == 0 && !found);
    CU_ASSERT(any_of(kv, "d1", &found) == 0 && found);
    CU_ASSERT(clear_all(kv, "d1") == 0);
    CU_ASSERT(any_of(kv, "d1", &found) == 0 && !found);
    CU_ASSERT(any_of(kv, "d10", &found) == 0 && found);
    for (int i = 0; i < 300; i++) {
        char e[8];
        snprintf(e, sizeof(e), "%d", i);
        CU_ASSERT(list_push(kv, "c5_0", e, strlen(e)) == 0);
    }
    CU_ASSERT(list_push(kv, "c5_1", "x", 1) == 0);
    CU_ASSERT(list_len(kv, "c5_0", &len) == 0 && len == 300);
    text[0] = '\0';
    CU_ASSERT(list_scan_tail(kv, "c5_0", 3, join, text) == 0);
    CU_ASSERT_STRING_EQUAL(text, "=299 =298 =297 ");
    CU_ASSERT_EQUAL(kv_commit(kv, false), 0);
    CU_ASSERT_EQUAL(kv_begin(kv, false), 0);
    CU_ASSERT(list_len(kv, "c5_1", &len) == 0 && len == 1);
    kv_abort(kv);
}

static void test_types_of_keys(void)
{
    static const char *const names[] = {"setting",  "i1",       "d1",       "p7",       "c5_0",
                                        "s5",       "x5",       "lockf5",   "locked9",  "session9",
                                        "sessions", "delfiles", "sliceRef", "nextinode"};
    char got[16] = "";
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        got[i] = type_of_key(names[i], strlen(names[i]));
    CU_ASSERT_STRING_EQUAL(got, "sshhlshhSSzzhs");
}

static void test_abort(void)
{
    struct kv_val v;
    bool found;
    CU_ASSERT_EQUAL(kv_begin(kv, true), 0);
    CU_ASSERT(string_set(kv, "gone", "x", 1) == 0);
    kv_abort(kv);
    CU_ASSERT_EQUAL(kv_begin(kv, false), 0);
    CU_ASSERT(string_get(kv, "gone", &v, &found) == 0 && !found);
    kv_abort(kv);
}

/* Parent and child use it at the same time; the child's environment is its own. */
static void test_fork(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        int rc = 0;
        kv_after_fork(kv);
        for (int i = 0; i < 200 && rc == 0; i++) {
            rc = kv_begin(kv, true);
            rc = rc == 0 ? string_incr(kv, "both", 1, NULL) : rc;
            rc = rc == 0 ? kv_commit(kv, false) : rc;
        }
        _exit(rc != 0);
    }
    int64_t n = 0;
    for (int i = 0; i < 200; i++) {
        CU_ASSERT(kv_begin(kv, true) == 0 && string_incr(kv, "both", 1, &n) == 0);
        CU_ASSERT_EQUAL(kv_commit(kv, false), 0);
    }
    int status;
    waitpid(pid, &status, 0);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CU_ASSERT(kv_begin(kv, true) == 0 && string_incr(kv, "both", 0, &n) == 0);
    kv_abort(kv);
    CU_ASSERT_EQUAL(n, 400);
}

/* Killed anywhere, also inside a write transaction: others go on, nothing is half there. */
static void test_kill(void)
{
    int64_t a, b;
    for (int round = 0; round < 20; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            kv_after_fork(kv);
            for (;;) {
                if (kv_begin(kv, true) != 0 || string_incr(kv, "first", 1, NULL) != 0 ||
                    string_incr(kv, "second", 1, NULL) != 0 || kv_commit(kv, false) != 0)
                    _exit(1);
            }
        }
        usleep(3000 + (useconds_t)round * 500);
        kill(pid, SIGKILL);
        int status;
        waitpid(pid, &status, 0);
        CU_ASSERT(WIFSIGNALED(status));
        CU_ASSERT_EQUAL_FATAL(kv_begin(kv, true), 0);
        CU_ASSERT(string_incr(kv, "first", 0, &a) == 0 && string_incr(kv, "second", 0, &b) == 0);
        CU_ASSERT_EQUAL(a, b);
        kv_abort(kv);
    }
}

static void test_fds(void)
{
    int fds[8];
    size_t n = kv_fds(kv, fds, 8);
    CU_ASSERT(n >= 2);
    for (size_t i = 0; i < n; i++)
        CU_ASSERT(fds[i] >= 64 && (fcntl(fds[i], F_GETFD) & FD_CLOEXEC) != 0);
}

/* A small environment of its own in a directory below; 0 or -errno. */
static int small(const char *name, struct kv **out)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return kv_open(path, true, out);
}

static int put_big(struct kv *k, int from, int to)
{
    static uint8_t value[5000];
    int rc = 0;
    for (int i = from; i < to && rc == 0; i++) {
        char key[16];
        memset(value, i & 0xff, sizeof(value));
        snprintf(key, sizeof(key), "i%d", i);
        do {
            rc = kv_begin(k, true);
            rc = rc == 0 ? string_set(k, key, value, sizeof(value)) : rc;
            if (rc == 0)
                rc = kv_commit(k, false);
            else
                kv_abort(k);
        } while (rc == -ENOSPC && kv_is_full(k) && kv_grow(k) == 0);
    }
    return rc;
}

static bool holds_big(struct kv *k, int from, int to)
{
    bool all = kv_begin(k, false) == 0;
    for (int i = from; i < to && all; i++) {
        struct kv_val v;
        char key[16];
        bool found;
        snprintf(key, sizeof(key), "i%d", i);
        all = string_get(k, key, &v, &found) == 0 && found && v.len == 5000 &&
              ((const uint8_t *)v.data)[4999] == (i & 0xff);
    }
    kv_abort(k);
    return all;
}

static off_t data_bytes(const char *name)
{
    char path[300];
    struct stat sb;
    snprintf(path, sizeof(path), "%s/%s/data.mdb", dir, name);
    return stat(path, &sb) == 0 ? sb.st_size : -1;
}

/* One process makes the map larger while another has a smaller one, and the other way round. */
static void test_growth(void)
{
    struct kv *k;
    int to_child[2], to_parent[2];
    char c = 0;
    kv_first_map(64 << 10);
    CU_ASSERT_EQUAL_FATAL(small("growth", &k), 0);
    CU_ASSERT_EQUAL(put_big(k, 0, 50), 0);
    CU_ASSERT(pipe(to_child) == 0 && pipe(to_parent) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        kv_after_fork(k);
        int rc = holds_big(k, 0, 50) ? put_big(k, 50, 300) : -1;
        rc = rc == 0 && write(to_parent[1], "c", 1) == 1 && read(to_child[0], &c, 1) == 1 ? 0 : 1;
        rc = rc == 0 && holds_big(k, 0, 900) ? put_big(k, 900, 1000) : 1;
        _exit(rc != 0);
    }
    CU_ASSERT_EQUAL(read(to_parent[0], &c, 1), 1);
    CU_ASSERT(holds_big(k, 0, 300));
    CU_ASSERT_EQUAL(put_big(k, 300, 900), 0);
    CU_ASSERT_EQUAL(write(to_child[1], "p", 1), 1);
    int status;
    waitpid(pid, &status, 0);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CU_ASSERT_EQUAL(put_big(k, 1000, 1001), 0);
    CU_ASSERT(holds_big(k, 0, 1001));
    CU_ASSERT(data_bytes("growth") > 5000000);
    kv_close(k);
    kv_first_map(0);
    for (int i = 0; i < 2; i++) {
        close(to_child[i]);
        close(to_parent[i]);
    }
}

/* A reader that was killed within its transaction keeps all pages from then on, until it is
 * noticed: before the map grows. */
static void test_dead_reader(void)
{
    struct kv *k;
    int p[2];
    char c;
    kv_first_map(512 << 10);
    CU_ASSERT_EQUAL_FATAL(small("reader", &k), 0);
    CU_ASSERT_EQUAL(put_big(k, 0, 20), 0);
    CU_ASSERT_EQUAL(pipe(p), 0);
    pid_t pid = fork();
    if (pid == 0) {
        kv_after_fork(k);
        if (kv_begin(k, false) == 0 && write(p[1], "r", 1) == 1)
            pause();
        _exit(1);
    }
    CU_ASSERT_EQUAL(read(p[0], &c, 1), 1);
    CU_ASSERT_EQUAL(put_big(k, 0, 20), 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (int i = 0; i < 50; i++)
        CU_ASSERT_EQUAL(put_big(k, 0, 20), 0);
    CU_ASSERT(holds_big(k, 0, 20));
    CU_ASSERT(data_bytes("reader") <= 512 << 10);
    kv_close(k);
    kv_first_map(0);
    close(p[0]);
    close(p[1]);
}

/* A hole in the lock file would be SIGBUS for a reader on a full disk. */
static void test_lock_file(void)
{
    char path[300];
    struct stat sb;
    snprintf(path, sizeof(path), "%s/lock.mdb", dir);
    CU_ASSERT_EQUAL(stat(path, &sb), 0);
    CU_ASSERT(sb.st_blocks * 512 >= sb.st_size);
}

static void test_few_descriptors(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit few;
        getrlimit(RLIMIT_NOFILE, &few);
        few.rlim_cur = 24;
        kv_after_fork(kv);
        int rc = setrlimit(RLIMIT_NOFILE, &few) == 0 ? kv_begin(kv, false) : -1;
        if (rc != 0)
            fprintf(stderr, "%s\n", kv_error(kv));
        kv_abort(kv);
        _exit(rc != 0);
    }
    int status;
    waitpid(pid, &status, 0);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A child that used the numbers for files of its own before it was noticed keeps those. */
static void test_numbers_used_again(void)
{
    CU_ASSERT_EQUAL(kv_begin(kv, false), 0);
    kv_abort(kv);
    pid_t pid = fork();
    if (pid == 0) {
        int fds[8];
        size_t n = kv_fds(kv, fds, 8);
        int null = open("/dev/null", O_RDONLY), bad = 0;
        for (size_t i = 0; i < n; i++)
            bad += dup2(null, fds[i]) < 0;
        kv_after_fork(kv);
        for (size_t i = 0; i < n; i++)
            bad += fcntl(fds[i], F_GETFD) < 0;
        bad += kv_begin(kv, true) != 0 || string_set(kv, "i9", "x", 1) != 0 ||
               kv_commit(kv, false) != 0;
        _exit(bad != 0);
    }
    int status;
    waitpid(pid, &status, 0);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_overlay(void)
{
    char part[4][320], options[1100];
    static const char *const names[] = {"lower", "upper", "work", "merged"};
    struct kv *other;
    for (int i = 0; i < 4; i++) {
        snprintf(part[i], sizeof(part[i]), "%s/%s", dir, names[i]);
        mkdir(part[i], 0700);
    }
    snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s", part[0], part[1],
             part[2]);
    if (mount("overlay", part[3], "overlay", 0, options) != 0) {
        suite_skip("no overlay can be mounted, %s", strerror(errno));
        return;
    }
    CU_ASSERT_EQUAL(kv_open(part[3], true, &other), 0);
    CU_ASSERT_EQUAL(kv_begin(other, true), -ENOTSUP);
    CU_ASSERT(strstr(kv_error(other), "overlay") != NULL);
    kv_close(other);
    CU_ASSERT_EQUAL(umount(part[3]), 0);
}

static void test_refused(void)
{
    struct kv *other;
    CU_ASSERT_EQUAL(kv_open("/proc/nothing/here", false, &other), 0);
    CU_ASSERT_EQUAL(kv_begin(other, false), -ENODATA);
    CU_ASSERT(strstr(kv_error(other), "lmdb:///proc/nothing/here") != NULL);
    kv_close(other);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"types", test_types},
        {"types of keys", test_types_of_keys},
        {"abort", test_abort},
        {"fork", test_fork},
        {"kill", test_kill},
        {"descriptors", test_fds},
        {"growth", test_growth},
        {"dead reader", test_dead_reader},
        {"lock file", test_lock_file},
        {"few descriptors", test_few_descriptors},
        {"numbers used again", test_numbers_used_again},
        {"overlay", test_overlay},
        {"refused", test_refused},
        CU_TEST_INFO_NULL,
    };
    return suite_run_with("lmdb", setup, teardown, tests);
}
