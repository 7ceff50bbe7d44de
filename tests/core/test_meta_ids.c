/*
 * test_meta_ids.c - core/meta on a real Redis: numbers that are never given twice, also to children
 * and threads.
 */
#include "tests/core/metas.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- ids -------------------------------------------------------------------------------------- */

static void test_ids(void)
{
    int db = fresh_db(shared);
    struct meta *a = volume_open(shared, db, "&inode_batch=7&chunk_batch=3");
    struct meta *b = volume_open(shared, db, "&inode_batch=7&chunk_batch=3");
    unsigned char seen[400] = {0};
    uint64_t id = 0;

    for (int i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL_FATAL(meta_new_inode(i % 3 ? a : b, &id), 0);
        CU_ASSERT_FATAL(id >= 2 && id < sizeof(seen));
        CU_ASSERT_EQUAL(seen[id]++, 0);
    }
    memset(seen, 0, sizeof(seen));
    for (int i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL_FATAL(meta_new_slice(i % 3 ? a : b, &id), 0);
        CU_ASSERT_FATAL(id >= 1 && id < sizeof(seen));
        CU_ASSERT_EQUAL(seen[id]++, 0);
    }
    CU_ASSERT_EQUAL(seen[1], 1); /* the first slice ever is 1 */
    meta_close(a);
    meta_close(b);

    db = fresh_db(shared);
    a = volume_open(shared, db, "&inode_batch=1&chunk_batch=1");
    for (uint64_t want = 2; want < 6; want++) {
        CU_ASSERT_EQUAL(meta_new_inode(a, &id), 0);
        CU_ASSERT_EQUAL(id, want);
    }
    in_db(shared, db, "SET %s -5", "nextinode");
    CU_ASSERT_EQUAL(meta_new_inode(a, &id), -EIO);
    SAYS(a, "nextinode");
    in_db(shared, db, "SET %s garbage", "nextchunk");
    CU_ASSERT_EQUAL(meta_new_slice(a, &id), -EIO);
    in_db(shared, db, "SET %s 9223372036854775806", "nextchunk");
    CU_ASSERT_EQUAL(meta_new_slice(a, &id), -EIO);
    meta_close(a);

    db = fresh_db(shared);
    a = volume_open(shared, db, "");
    CU_ASSERT_EQUAL(meta_new_inode(a, &id), 0);
    CU_ASSERT_EQUAL(meta_new_slice(a, &id), 0);
    CU_ASSERT_EQUAL(in_db(shared, db, "INCRBY %s 0", "nextinode") % 1024, 0);
    CU_ASSERT_EQUAL(in_db(shared, db, "INCRBY %s 0", "nextchunk"), 4096);
    meta_close(a);
}

/* --- fork and threads ------------------------------------------------------------------------- */

static void check_child(struct meta *m, int db, uint64_t parents, bool tells)
{
    int status = -1;

    fflush(stdout);
    meta_before_fork(m);
    pid_t pid = fork();
    if (pid == 0) {
        uint64_t id = 0;
        int ok = 1;

        if (tells)
            meta_after_fork(m);
        ok &= meta_new_inode(m, &id) == 0 && id > parents + 100;
        ok &= make_dir(m, tells ? "child-1" : "child-2") == 0;
        meta_close(m);
        _exit(!ok);
    }
    meta_after_fork_parent(m);
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(in_db(shared, db, "HLEN %s", "sliceRef"), 1); /* the parent's to forget */
}

static void test_fork(void)
{
    int db = fresh_db(shared);
    struct meta *m = volume_open(shared, db, "&inode_batch=200");
    uint64_t before, after;

    ref(db, 9, 9, -1);
    CU_ASSERT_EQUAL(meta_new_inode(m, &before), 0);
    meta_forget_later(m, 9, 9);
    int fd = meta_fd(m);
    check_child(m, db, before, true);
    check_child(m, db, before, false);
    CU_ASSERT_EQUAL(meta_new_inode(m, &after), 0);
    CU_ASSERT_EQUAL(after, before + 1);
    CU_ASSERT_EQUAL(meta_fd(m), fd);
    CU_ASSERT_EQUAL(lookup(m, "child-1"), 0);
    CU_ASSERT_EQUAL(lookup(m, "child-2"), 0);
    meta_close(m);
    CU_ASSERT_EQUAL(in_db(shared, db, "HLEN %s", "sliceRef"), 0);
}

enum { FORK_IDS = 20 };

static void take_inodes(struct meta *m, uint64_t out[FORK_IDS])
{
    for (int i = 0; i < FORK_IDS; i++)
        CU_ASSERT_EQUAL(meta_new_inode(m, &out[i]), 0);
}

/* Also the range that was taken ahead stays the parent's. */
static void test_fork_ahead(void)
{
    int db = fresh_db(shared), p[2];
    struct meta *m = volume_open(shared, db, "&inode_batch=8&inode_low_watermark=7");
    uint64_t ours[FORK_IDS], theirs[FORK_IDS] = {0}, first;

    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(meta_new_inode(m, &first), 0);
    meta_lock(m);
    meta_prime_ids(m);
    meta_unlock(m);
    CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
    fflush(stdout);
    meta_before_fork(m);
    pid_t pid = fork();
    if (pid == 0) {
        meta_after_fork(m);
        take_inodes(m, theirs);
        _exit(write(p[1], theirs, sizeof(theirs)) != sizeof(theirs));
    }
    meta_after_fork_parent(m);
    take_inodes(m, ours);
    CU_ASSERT_EQUAL(read(p[0], theirs, sizeof(theirs)), (ssize_t)sizeof(theirs));
    CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
    for (int i = 0; i < FORK_IDS; i++)
        for (int j = 0; j < FORK_IDS; j++)
            CU_ASSERT_NOT_EQUAL(ours[i], theirs[j]);
    close(p[0]);
    close(p[1]);
    meta_close(m);
}

enum { THREADS = 4, EACH = 60 };

static void *make_many(void *arg)
{
    struct meta *m = arg;
    static int next;
    int mine = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
    intptr_t failed = 0;

    for (int i = 0; i < EACH; i++) {
        char name[32];

        snprintf(name, sizeof(name), "t%d-%d", mine, i);
        failed += make_dir(m, name) != 0;
        if (i % 20 == 0)
            meta_setting_stale(m);
        failed += *meta_error(m) == 0;
    }
    return (void *)failed;
}

static void test_threads(void)
{
    int db = fresh_db(shared);
    struct meta *m = volume_open(shared, db, "&inode_batch=3");
    pthread_t t[THREADS];

    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, make_many, m), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(t[i], &failed);
        CU_ASSERT_PTR_NULL(failed);
    }
    CU_ASSERT_EQUAL(in_db(shared, db, "HLEN %s", "d1"), THREADS * EACH);
    CU_ASSERT_EQUAL(in_db(shared, db, "INCRBY %s 0", "totalInodes"), THREADS * EACH);
    meta_close(m);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"ids", test_ids},         {"fork", test_fork}, {"fork ahead", test_fork_ahead},
        {"threads", test_threads}, CU_TEST_INFO_NULL,
    };
    return metas_main("meta, ids", tests);
}
