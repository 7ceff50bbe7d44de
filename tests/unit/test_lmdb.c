/*
 * test_lmdb.c - the embedded store: types over keys, life across fork and kill, growth of the map.
 */
#include "core/lmdb/kv.h"
#include "core/lmdb/types.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("lmdb", setup, teardown);
    CU_add_test(s, "types", test_types);
    CU_add_test(s, "types of keys", test_types_of_keys);
    CU_add_test(s, "abort", test_abort);
    CU_add_test(s, "fork", test_fork);
    CU_add_test(s, "kill", test_kill);
    CU_add_test(s, "descriptors", test_fds);
    CU_add_test(s, "refused", test_refused);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    int failed = (int)CU_get_number_of_failures() + (int)CU_get_number_of_suites_failed();
    CU_cleanup_registry();
    return failed != 0;
}
