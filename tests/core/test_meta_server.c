/*
 * test_meta_server.c - core/meta when its Redis goes away in the middle, comes back empty, is full
 * or read-only.
 */
#include "tests/core/metas.h"

#include <pthread.h>
#include <unistd.h>

static void test_restart(void)
{
    struct server *s = server_start_with("--appendonly", "yes", "--appendfsync", "always");
    struct setting v = usual();
    uint64_t before, after;

    volume_format(s, 0, &v);
    struct meta *m = volume_open(s, 0, "");
    CU_ASSERT_EQUAL(make_dir(m, "one"), 0);
    CU_ASSERT_EQUAL(meta_new_inode(m, &before), 0);
    server_stop(s);
    server_again(s);
    CU_ASSERT_EQUAL(make_dir(m, "two"), 0);
    CU_ASSERT_EQUAL(meta_new_inode(m, &after), 0);
    CU_ASSERT(after > before + 1); /* what the server might have forgotten is not used */
    CU_ASSERT_EQUAL(lookup(m, "one"), 0);
    CU_ASSERT_EQUAL(lookup(m, "two"), 0);
    meta_close(m);
    server_free(s);
}

/* A server that comes back empty is noticed though the setting was read a moment ago. */
static void test_restart_empty(void)
{
    struct server *s = server_start();
    struct setting v = usual();

    volume_format(s, 0, &v);
    struct meta *m = volume_open(s, 0, "");
    CU_ASSERT_EQUAL(make_dir(m, "one"), 0);
    server_kill(s);
    server_again(s);
    CU_ASSERT(lookup(m, "one") < 0); /* finds the new connection */
    CU_ASSERT_EQUAL(make_dir(m, "two"), -ENODATA);
    SAYS(m, "destroyed");
    CU_ASSERT_EQUAL(server_int(s, "DBSIZE"), 0);
    meta_close(m);
    server_free(s);
}

struct maker {
    struct meta *m;
    int made[100000]; /* 1: acknowledged, 2: may have happened */
    int count, stop;
};

static void *make_until_stopped(void *arg)
{
    struct maker *k = arg;

    while (!__atomic_load_n(&k->stop, __ATOMIC_RELAXED) && k->count < 100000) {
        char name[32];

        snprintf(name, sizeof(name), "n%d", k->count);
        int rc = make_dir(k->m, name);
        k->made[k->count] = rc == 0 ? 1 : rc == -EIO ? 2 : 0;
        __atomic_fetch_add(&k->count, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* SIGKILL while a thread makes directories: each that was acknowledged is there, none is there
 * that was answered with "it did not happen". */
static void test_killed_in_the_middle(void)
{
    struct server *s = server_start_with("--appendonly", "yes", "--appendfsync", "always");
    struct setting v = usual();
    struct maker *k = calloc(1, sizeof(*k));
    pthread_t t;

    volume_format(s, 0, &v);
    k->m = volume_open(s, 0, "");
    CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, make_until_stopped, k), 0);
    for (int round = 0; round < 5; round++) {
        int from = __atomic_load_n(&k->count, __ATOMIC_RELAXED);
        while (__atomic_load_n(&k->count, __ATOMIC_RELAXED) < from + 20)
            usleep(100);
        server_kill(s);
        server_again(s);
    }
    __atomic_store_n(&k->stop, 1, __ATOMIC_RELAXED);
    pthread_join(t, NULL);
    int acknowledged = 0, wrong = 0;
    for (int i = 0; i < k->count; i++) {
        char name[32];

        snprintf(name, sizeof(name), "n%d", i);
        int rc = lookup(k->m, name);
        wrong += (k->made[i] == 1 && rc != 0) || (k->made[i] == 0 && rc != -ENOENT);
        acknowledged += k->made[i] == 1;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(acknowledged >= 20);
    meta_close(k->m);
    free(k);
    server_free(s);
}

static void test_full_and_read_only(void)
{
    struct server *s = server_start();
    struct setting v = usual();
    uint64_t id;

    volume_format(s, 0, &v);
    struct meta *m = volume_open(s, 0, "&inode_batch=2");
    CU_ASSERT_EQUAL(make_dir(m, "one"), 0);
    server_int(s, "CONFIG SET maxmemory 1");
    CU_ASSERT_EQUAL(make_dir(m, "two"), -ENOSPC);
    SAYS(m, "OOM");
    CU_ASSERT_EQUAL(meta_new_inode(m, &id), -ENOSPC);
    CU_ASSERT_EQUAL(lookup(m, "one"), 0);
    CU_ASSERT_EQUAL(lookup(m, "two"), -ENOENT);
    server_int(s, "CONFIG SET maxmemory 0");
    CU_ASSERT_EQUAL(make_dir(m, "two"), 0);

    server_int(s, "REPLICAOF 127.0.0.1 1");
    CU_ASSERT_EQUAL(make_dir(m, "three"), -EROFS);
    SAYS(m, "READONLY");
    CU_ASSERT_EQUAL(lookup(m, "two"), 0);
    server_int(s, "REPLICAOF NO ONE");
    CU_ASSERT_EQUAL(make_dir(m, "three"), 0);
    meta_close(m);
    server_free(s);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"restart", test_restart},
        {"restart empty", test_restart_empty},
        {"killed in the middle", test_killed_in_the_middle},
        {"full and read only", test_full_and_read_only},
        CU_TEST_INFO_NULL,
    };
    return metas_main("meta, server", tests);
}
