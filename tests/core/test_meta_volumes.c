/*
 * test_meta_volumes.c - core/meta on a real Redis: which volumes are used, how they are formatted,
 * how a setting that changes is followed.
 */
#include "tests/core/metas.h"

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

int main(void)
{
    CU_TestInfo tests[] = {
        {"urls", test_urls},
        {"not there", test_not_there},
        {"not formatted", test_not_formatted},
        {"foreign setting", test_foreign_setting},
        {"refused features", test_refused_features},
        {"format", test_format},
        {"setting is followed", test_setting_is_followed},
        {"other volume", test_other_volume},
        {"destroyed volume", test_destroyed_volume},
        CU_TEST_INFO_NULL,
    };
    return metas_main("meta, volumes", tests);
}
