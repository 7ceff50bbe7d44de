/*
 * core/meta on a real Redis: which volumes are used, how the setting is followed, ids that are
 * never given twice, and what happens when the server goes away in the middle.
 */
#include "core/meta/meta_internal.h"
#include "tests/lib/suite.h"
#include "tests/lib/volume.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct server *shared; /* each test has a database of its own */

#define SAYS(m, text) CU_ASSERT_PTR_NOT_NULL(strstr(meta_error(m), text))

enum { BUCKET_DAYS = 1 };

static struct setting usual(void)
{
    return volume_setting("/var/none/", BUCKET_DAYS);
}

/* A fresh volume in a database that no other test uses. */
static int fresh_db(struct server *s)
{
    static int next = 1;
    struct setting v = usual();

    volume_format(s, next, &v);
    return next++;
}

static long long in_db(struct server *s, int db, const char *what, const char *key)
{
    server_int(s, "SELECT %d", db);
    long long n = server_int(s, what, key);
    server_int(s, "SELECT 0");
    return n;
}

static struct op op_on(uint8_t kind, const char *path)
{
    return (struct op){.kind = kind, .base = INO_ROOT, .path = path, .mode = 0755};
}

static int lookup(struct meta *m, const char *path)
{
    struct op op = op_on(OP_LOOKUP, path);
    struct op_result res;

    int rc = meta_call(m, &op, 1, &res);
    if (rc == 0)
        rc = res.code;
    op_result_free(&res);
    return rc;
}

static int make_dir(struct meta *m, const char *path)
{
    struct op op = op_on(OP_MKDIR, path);
    struct op_result res;

    int rc = meta_new_inode(m, &op.ino);
    if (rc < 0)
        return rc;
    rc = meta_call(m, &op, 1, &res);
    if (rc == 0)
        rc = res.code;
    op_result_free(&res);
    return rc;
}

/* --- which volumes ---------------------------------------------------------------------------- */

static void test_urls(void)
{
    static const struct {
        const char *url;
        int rc;
        const char *says;
    } tries[] = {
        {"redis://h/1", 0, ""},
        {"h:1/1", 0, ""},
        {"unix:///x?db=3&inode_batch=5", 0, ""},
        {"RUEIDIS://h", 0, ""},
        {"rediss://h/1", -ENOTSUP, "TLS"},
        {"redis://m,s1,s2:26379", -ENOTSUP, "Sentinel"},
        {"lmdb:///var/x", 0, ""},
        {"lmdb://var/x", -EINVAL, "absolute"},
        {"lmdb:///var/x?a=b", -EINVAL, "parameter \"a\""},
        {"lmdb:///var/x?batch_size=9&a=b", -EINVAL, "parameter \"a\""},
        {"lmdb:///var/x?batch_size=9", 0, ""},
        {"lmdb:///var/x?batch_size=0", -EINVAL, "batch_size=0"},
        {"h:1/1?batch-interval=0", -EINVAL, "batch_interval=0"},
        {"redis://h/1?fast-meta=1", -ENOTSUP, "fast_meta"},
        {"redis://u:x?batch_size=s3cret@h/1", -EINVAL, "port"},
        {"mysql://u:s3cret@(h:1)/db", -ENOTSUP, "mysql"},
        {"postgres://u:s3cret@h/db", -ENOTSUP, "postgres"},
        {"sqlite3://x.db", -ENOTSUP, "sqlite3"},
        {"TiKV://x", -ENOTSUP, "tikv"},
        {"nosuch://s3cret@x", -EINVAL, "scheme"},
        {"redis://h?wrong=1", -EINVAL, "wrong"},
    };

    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        char err[512] = "";
        struct meta *m;

        CU_ASSERT_EQUAL(meta_open(tries[i].url, "/jfs", &m, err, sizeof(err)), tries[i].rc);
        CU_ASSERT_EQUAL(m != NULL, tries[i].rc == 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(err, tries[i].says));
        CU_ASSERT_PTR_NULL(strstr(err, "s3cret"));
        if (m)
            CU_ASSERT_EQUAL(meta_fd(m), -1); /* nothing was connected */
        meta_close(m);
    }
}

static void test_not_there(void)
{
    struct meta *m;
    const struct setting *v = NULL;
    uint64_t id = 7;
    char err[256];

    CU_ASSERT_EQUAL_FATAL(
        meta_open("unix:///nonexistent/jfspre.sock?db=3", "/jfs", &m, err, sizeof(err)), 0);
    CU_ASSERT_EQUAL(meta_setting(m, &v), -ECONNREFUSED);
    CU_ASSERT_PTR_NULL(v);
    SAYS(m, "unix:///nonexistent/jfspre.sock?db=3");
    CU_ASSERT_EQUAL(lookup(m, ""), -ECONNREFUSED);
    CU_ASSERT_EQUAL(meta_new_slice(m, &id), -ECONNREFUSED);
    CU_ASSERT_EQUAL(id, 7);
    meta_close(m);
}

static void test_not_formatted(void)
{
    struct meta *m = volume_open(shared, 40, "");
    const struct setting *v;
    struct setting usual_one = usual();
    uint64_t id;

    CU_ASSERT_EQUAL(meta_setting(m, &v), -ENODATA);
    SAYS(m, "not formatted");
    CU_ASSERT_EQUAL(lookup(m, ""), -ENODATA);
    CU_ASSERT_EQUAL(meta_new_inode(m, &id), -ENODATA);
    CU_ASSERT_EQUAL(meta_new_slice(m, &id), -ENODATA);
    CU_ASSERT_EQUAL(in_db(shared, 40, "DBSIZE", NULL), 0); /* no counter was left there */
    volume_format(shared, 40, &usual_one);
    CU_ASSERT_EQUAL(meta_setting(m, &v), 0);
    CU_ASSERT_STRING_EQUAL(v->uuid, VOLUME_UUID);
    CU_ASSERT_EQUAL(lookup(m, ""), 0);
    meta_close(m);
}

static void test_foreign_setting(void)
{
    static const char *const texts[] = {
        "hello",
        "",
        "{",
        "{}",
        "[]",
        "17",
        "{\"Name\": 3}",
        "{\"Name\":\"a\",\"UUID\":\"b\"}",
        "\x80\x02\xff",
    };
    struct meta *m = volume_open(shared, 41, "");
    uint64_t id;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        server_int(shared, "SELECT 41");
        server_int(shared, "SET setting %s", texts[i]);
        server_int(shared, "SELECT 0");
        CU_ASSERT_EQUAL(lookup(m, ""), -EIO);
        SAYS(m, "`setting`");
        CU_ASSERT_PTR_NULL(strchr(meta_error(m), '\n'));
        CU_ASSERT_EQUAL(meta_new_inode(m, &id), -EIO);
    }
    server_int(shared, "SELECT 41");
    server_int(shared, "DEL setting");
    server_int(shared, "LPUSH setting x");
    server_int(shared, "SELECT 0");
    CU_ASSERT_EQUAL(lookup(m, ""), -EIO);
    SAYS(m, "WRONGTYPE");
    CU_ASSERT_EQUAL(in_db(shared, 41, "DBSIZE", NULL), 1);
    meta_close(m);
}

/* Each refused feature: the setting of a good volume with one field changed. */
static void test_refused_features(void)
{
    static const struct {
        const char *field, *value;
    } rows[] = {
        {"EncryptKey", "\"x\""},           {"Storage", "\"s3\""},           {"MetaVersion", "2"},
        {"MinClientVersion", "\"9.0.0\""}, {"MaxClientVersion", "\"1.0\""}, {"ChangeLog", "true"},
        {"UserGroupQuota", "true"},        {"Compression", "\"brotli\""},   {"Shards", "4"},
    };
    struct setting good = usual();
    struct meta *m = volume_open(shared, 42, "");
    uint64_t id;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char member[64];

        snprintf(member, sizeof(member), "\"%s\": %s", rows[i].field, rows[i].value);
        volume_set(shared, 42, &good, member);
        int rc = lookup(m, "");
        CU_ASSERT_EQUAL(rc, -ENOTSUP);
        SAYS(m, rows[i].field);
        if (rc != -ENOTSUP)
            fprintf(stderr, "  %s: %d %s\n", rows[i].field, rc, meta_error(m));
        CU_ASSERT_EQUAL(meta_new_inode(m, &id), -ENOTSUP);
    }
    CU_ASSERT_EQUAL(in_db(shared, 42, "DBSIZE", NULL), 1);
    meta_close(m);
}

/* --- format ----------------------------------------------------------------------------------- */

static void check_directory(int db, const char *key, uint16_t mode)
{
    struct attr a;
    char raw[128];

    server_int(shared, "SELECT %d", db);
    long long len = server_text(shared, raw, sizeof(raw), "GET %s", key);
    server_int(shared, "SELECT 0");
    CU_ASSERT_EQUAL_FATAL(len, 72);
    CU_ASSERT_EQUAL(attr_decode(raw, (size_t)len, &a), 0);
    CU_ASSERT_EQUAL(a.type, TYPE_DIRECTORY);
    CU_ASSERT_EQUAL(a.mode, mode);
    CU_ASSERT_EQUAL(a.nlink, 2);
    CU_ASSERT_EQUAL(a.length, 4096);
    CU_ASSERT_EQUAL(a.parent, 1);
    CU_ASSERT(a.mtime.sec > 1700000000);
    CU_ASSERT_EQUAL(a.mtime.nsec, 0);
    CU_ASSERT_EQUAL(a.atime.sec, a.mtime.sec);
    CU_ASSERT_EQUAL(a.ctime.sec, a.mtime.sec);
}

static void test_format(void)
{
    struct setting v = usual();
    struct buf json = {0};
    struct engine *e;
    char err[256];

    CU_ASSERT_EQUAL_FATAL(setting_print(&v, &json), 0);
    for (int trash = 0; trash < 2; trash++) {
        int db = 43 + trash;

        in_db(shared, db, "SET %s foreign", "~own");
        CU_ASSERT_EQUAL_FATAL(engine_open(server_url(shared, db), &e, err, sizeof(err)), 0);
        CU_ASSERT_EQUAL(e->ops->format(e, &json, trash), 0);
        CU_ASSERT_EQUAL(in_db(shared, db, "DBSIZE", NULL), 3 + trash);
        CU_ASSERT_EQUAL(in_db(shared, db, "STRLEN %s", "setting"), (long long)json.len);
        check_directory(db, "i1", 0777);
        if (trash)
            check_directory(db, "i9223372032828243968", 0555);
        CU_ASSERT_EQUAL(e->ops->format(e, &json, trash), -EEXIST);
        CU_ASSERT_PTR_NOT_NULL(strstr(e->ops->error(e), "already"));
        e->ops->close(e);
    }
    buf_free(&json);
}

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

/* --- calls ------------------------------------------------------------------------------------ */

static void test_calls(void)
{
    int db = fresh_db(shared);
    struct meta *m = volume_open(shared, db, "");
    struct op ops[40] = {{0}};
    struct op_result res[40];
    char names[40][16];

    CU_ASSERT_EQUAL(meta_call(m, ops, 0, res), 0);
    CU_ASSERT_EQUAL(lookup(m, ""), 0);
    CU_ASSERT_EQUAL(lookup(m, "absent"), -ENOENT);
    for (size_t n = 1; n <= 40; n += 13) {
        struct moment before = clock_now();

        for (size_t i = 0; i < n; i++) {
            snprintf(names[i], sizeof(names[i]), "d%zu-%zu", n, i);
            ops[i] = op_on(OP_MKDIR, names[i]);
            CU_ASSERT_EQUAL(meta_new_inode(m, &ops[i].ino), 0);
        }
        ops[n - 1].path = names[0]; /* twice, unless it is the only one */
        CU_ASSERT_EQUAL_FATAL(meta_call(m, ops, n, res), 0);
        for (size_t i = 0; i < n; i++) {
            bool is_twin = n > 1 && i == n - 1;

            CU_ASSERT_EQUAL(res[i].code, is_twin ? -EEXIST : 0);
            if (!is_twin) {
                CU_ASSERT_EQUAL(res[i].ino, ops[i].ino);
                CU_ASSERT_EQUAL(res[i].parent, 1);
                CU_ASSERT_FATAL(res[i].has_attr);
                CU_ASSERT_EQUAL(res[i].attr.type, TYPE_DIRECTORY);
                CU_ASSERT(res[i].attr.mtime.sec >= before.sec); /* now was filled in */
                CU_ASSERT_EQUAL(ops[i].now.sec, res[i].attr.mtime.sec);
            }
            op_result_free(&res[i]);
        }
    }
    ops[0] = op_on(OP_MKDIR, "stamped");
    ops[0].now = (struct moment){1234567890, 5};
    CU_ASSERT_EQUAL(meta_new_inode(m, &ops[0].ino), 0);
    CU_ASSERT_EQUAL(meta_call(m, ops, 1, res), 0);
    CU_ASSERT_EQUAL(res[0].attr.mtime.sec, 1234567890);
    op_result_free(res);
    meta_close(m);
}

/* What a command says to the script comes back as that op's error, with the server's words. */
static void test_damaged_keys(void)
{
    int db = fresh_db(shared);
    struct meta *m = volume_open(shared, db, "");

    CU_ASSERT_EQUAL(make_dir(m, "a"), 0);
    in_db(shared, db, "DEL %s", "d1");
    in_db(shared, db, "SET %s text", "d1");
    CU_ASSERT_EQUAL(lookup(m, "a"), -EIO);
    SAYS(m, "WRONGTYPE");
    SAYS(m, "lookup");
    meta_close(m);
}

/* --- the setting changes under us ------------------------------------------------------------- */

static void test_setting_is_followed(void)
{
    int db = fresh_db(shared);
    struct meta *m = volume_open(shared, db, "");
    struct setting v = usual();
    const struct setting *first, *again, *second;

    CU_ASSERT_EQUAL(meta_setting(m, &first), 0);
    CU_ASSERT_EQUAL(make_dir(m, "one"), 0);
    v.inodes = 1;
    volume_set(shared, db, &v, NULL);
    CU_ASSERT_EQUAL(meta_setting(m, &again), 0);
    CU_ASSERT_PTR_EQUAL(again, first); /* it was read a moment ago */
    meta_setting_stale(m);
    CU_ASSERT_EQUAL(make_dir(m, "two"), -ENOSPC);
    CU_ASSERT_EQUAL(meta_setting(m, &second), 0);
    CU_ASSERT_EQUAL(second->inodes, 1);
    CU_ASSERT_EQUAL(first->inodes, 0); /* what was handed out stays as it was */
    meta_setting_stale(m);
    CU_ASSERT_EQUAL(meta_setting(m, &again), 0);
    CU_ASSERT_PTR_EQUAL(again, second);

    v.inodes = 0; /* refused from now on, and fine again when it is off */
    volume_set(shared, db, &v, "\"ChangeLog\": true");
    meta_setting_stale(m);
    CU_ASSERT_EQUAL(lookup(m, ""), -ENOTSUP);
    CU_ASSERT_EQUAL(lookup(m, ""), -ENOTSUP);
    SAYS(m, "ChangeLog");
    volume_set(shared, db, &v, NULL);
    CU_ASSERT_EQUAL(make_dir(m, "two"), 0);
    meta_close(m);
}

static void test_other_volume(void)
{
    int db = fresh_db(shared);
    struct meta *m = volume_open(shared, db, "");
    struct setting v = usual(), other = usual();
    uint64_t id;

    strcpy(other.uuid, "00000000-0000-4000-8000-000000000000");
    CU_ASSERT_EQUAL(make_dir(m, "one"), 0);
    volume_set(shared, db, &other, NULL);
    meta_setting_stale(m);
    CU_ASSERT_EQUAL(make_dir(m, "two"), -EIO);
    SAYS(m, "00000000-0000-4000-8000-000000000000");
    volume_set(shared, db, &v, NULL); /* too late: this process is done with it */
    meta_setting_stale(m);
    CU_ASSERT_EQUAL(make_dir(m, "two"), -EIO);
    CU_ASSERT_EQUAL(meta_new_inode(m, &id), -EIO);
    meta_forget_later(m, 1, 1);
    meta_close(m);
    CU_ASSERT_EQUAL(in_db(shared, db, "HLEN %s", "d1"), 1);
}

static void test_destroyed_volume(void)
{
    int db = fresh_db(shared);
    struct meta *m = volume_open(shared, db, "");

    CU_ASSERT_EQUAL(make_dir(m, "one"), 0);
    in_db(shared, db, "FLUSHDB", NULL);
    meta_setting_stale(m);
    CU_ASSERT_EQUAL(make_dir(m, "two"), -ENODATA);
    SAYS(m, "destroyed");
    meta_close(m);
    CU_ASSERT_EQUAL(in_db(shared, db, "DBSIZE", NULL), 0);
}

/* --- slices to forget ------------------------------------------------------------------------- */

static void ref(int db, uint64_t id, int size, int value)
{
    server_int(shared, "SELECT %d", db);
    server_int(shared, "HSET sliceRef k%" PRIu64 "_%d %d", id, size, value);
    server_int(shared, "SELECT 0");
}

static void test_forget(void)
{
    int db = fresh_db(shared);
    struct meta *m = volume_open(shared, db, "");

    for (uint64_t id = 1; id <= 1300; id++)
        ref(db, id, 100, id % 5 ? -1 : 2);
    CU_ASSERT_EQUAL(lookup(m, ""), 0);
    meta_forget_later(m, 1, 100);
    meta_forget_later(m, 2, 99); /* another size is another slice */
    CU_ASSERT_EQUAL(in_db(shared, db, "HLEN %s", "sliceRef"), 1300);
    CU_ASSERT_EQUAL(make_dir(m, "x"), 0); /* it rides along, its answer is not seen */
    CU_ASSERT_EQUAL(in_db(shared, db, "HLEN %s", "sliceRef"), 1299);
    CU_ASSERT_EQUAL(lookup(m, "x"), 0);
    for (uint64_t id = 1; id <= 1300; id++)
        meta_forget_later(m, id, 100); /* more than it keeps */
    meta_close(m);
    CU_ASSERT_EQUAL(in_db(shared, db, "HLEN %s", "sliceRef"), 260); /* those with references */
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

/* --- the server goes away --------------------------------------------------------------------- */

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

/* clang-format off */
#define CASES(X) \
    X(urls) X(not_there) X(not_formatted) X(foreign_setting) X(refused_features) X(format) \
    X(ids) X(calls) X(damaged_keys) X(setting_is_followed) X(other_volume) X(destroyed_volume) \
    X(forget) X(fork) X(fork_ahead) X(threads) X(restart) X(restart_empty) X(killed_in_the_middle) \
    X(full_and_read_only)
/* clang-format on */

int main(void)
{
    unsetenv("REDIS_PASSWORD");
    unsetenv("META_PASSWORD");
    unsetenv("META_PASSWORD_FILE");
    shared = server_start_with("--databases", "64");
    CU_TestInfo tests[] = {
#define ADD(name) {#name, test_##name},
        CASES(ADD) CU_TEST_INFO_NULL,
    };
    return suite_run("meta", tests);
}
