/*
 * Names on a real Redis: what the twin comparison with a stock mount (tests/interop) cannot reach.
 * Batches, the bytes of attrs of every age, numbers above 2^53, flags, inodes held open, a prefix.
 */
#include "core/redis/lua_text.h"
#include "tests/core/names.h"

static void test_batch(void)
{
    struct op ops[] = {
        {.kind = OP_MKDIR, .path = "a", .mode = 0755, .ino = 10},
        {.kind = OP_MKDIR, .path = "a", .mode = 0755, .ino = 11},
        {.kind = OP_MKNOD, .path = "a/f", .mode = TYPE_FILE << 12 | 0644, .ino = 12},
        {.kind = OP_LOOKUP, .path = "bad/x"},
        {.kind = OP_KINDS},
        {.kind = OP_LOOKUP, .path = "a/f"},
    };
    enum { N = sizeof(ops) / sizeof(ops[0]) };
    struct op_result res[N];

    begin(0);
    OK(MKDIR("bad", .ino = 9));
    redis("SET d9 string");
    for (int i = 0; i < N; i++) {
        ops[i].base = INO_ROOT;
        ops[i].now = now;
    }
    CU_ASSERT_EQUAL_FATAL(engine->ops->call(engine, &env, ops, N, res), 0);
    CU_ASSERT_EQUAL(res[0].code, 0);
    CU_ASSERT_EQUAL(res[0].rflags, OPR_CREATED);
    CU_ASSERT_EQUAL(res[1].code, -EEXIST);
    CU_ASSERT_EQUAL(res[2].code, 0);
    CU_ASSERT_EQUAL(res[2].parent, 10);
    CU_ASSERT_EQUAL(res[3].code, -EIO); /* WRONGTYPE */
    CU_ASSERT(res[3].extra.data && strstr((char *)res[3].extra.data, "WRONGTYPE"));
    CU_ASSERT_EQUAL(res[4].code, -EINVAL);
    CU_ASSERT_EQUAL(res[5].code, 0);
    CU_ASSERT_EQUAL(res[5].ino, 12);
    CU_ASSERT_EQUAL(res[5].attr.mode, 0644);
    CU_ASSERT_EQUAL(redis("EXISTS i11"), 0);
    for (int i = 0; i < N; i++)
        op_result_free(&res[i]);
    end();
}

/* Each length of attr that ever was in use is read, and comes back in the form stock writes now. */
static void test_attr_lengths(void)
{
    static const struct {
        size_t len;
        uint8_t ids, tier;
        size_t written;
    } rows[] = {
        {63, 0, 0, 72}, {71, 0, 0, 72}, {72, 0, 0, 72}, {72, 0, 3, 73}, {73, 0, 3, 73},
        {79, 0, 0, 72}, {79, 7, 0, 80}, {80, 7, 0, 80}, {80, 0, 0, 72}, {80, 7, 3, 81},
        {81, 7, 3, 81}, {81, 0, 3, 73}, {81, 0, 0, 72},
    };

    begin(0);
    OK(MKNOD("f", .ino = 50));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t raw[81] = {32 | 8, 0x1f, 0xed, 0, 0, 3, 0xe8};

        memset(raw + 7, 0xa5, 40); /* gid and times, also before 1970 */
        raw[50] = 1;               /* nlink */
        raw[51] = 0x00;
        raw[52] = 0x20; /* 2^53 + 1 bytes: no double has it */
        raw[58] = 1;
        put_be32(raw + 59, 0xfffffffe);
        if (rows[i].len >= 71)
            raw[70] = INO_ROOT;
        if (rows[i].len >= 79)
            raw[74] = rows[i].ids;
        if (rows[i].len == 72 || rows[i].len == 73)
            raw[71] = rows[i].tier;
        if (rows[i].len >= 80)
            raw[79] = rows[i].tier;
        redis("SET i50 %b", raw, rows[i].len);
        if (rows[i].len == 63)
            redis("HSET p50 1 1");
        OK(RENAME("f", "g"));
        const uint8_t *got = (const uint8_t *)text("GET i50");
        CU_ASSERT_EQUAL_FATAL(text_len, (long long)rows[i].written);
        CU_ASSERT_EQUAL(memcmp(got, raw, 35), 0);
        CU_ASSERT_EQUAL(get_be64(got + 35), (uint64_t)now.sec); /* ctime */
        CU_ASSERT_EQUAL(memcmp(got + 47, raw + 47, rows[i].len < 71 ? 16 : 24), 0);
        if (rows[i].ids)
            CU_ASSERT_EQUAL(memcmp(got + 71, raw + 71, 8), 0);
        CU_ASSERT_EQUAL(got[text_len - 1], 0);
        if (rows[i].tier)
            CU_ASSERT_EQUAL(got[text_len - 2], rows[i].tier);
        OK(RENAME("g", "f"));
    }
    redis("SET i50 short");
    REFUSED(LOOKUP("f"), EIO);
    end();
}

/* Inodes of the trash do not fit a double, nor does what is computed from them. */
static void test_trash_numbers(void)
{
    char name[256], trashed[512];

    begin(1);
    OK(MKDIR("d", .ino = 9007199254740993)); /* 2^53 + 1 */
    memset(name, 'n', 255);
    name[255] = 0;
    snprintf(trashed, sizeof(trashed), "9007199254740993-9223372032559808513-%s", name);
    trashed[255] = 0;
    OK(MKNOD(name, .base = 9007199254740993, .ino = 9223372032559808513));
    OK(LINK(name, "l", .base = 9007199254740993));
    redis("SET nextTrash 268435460");
    OK(UNLINK(name, .base = 9007199254740993));
    CU_ASSERT_EQUAL(last.rflags, OPR_TRASHED);
    CU_ASSERT_EQUAL(last.attr.nlink, 2);
    /* 0x7FFFFFFF10000000 + 268435461 */
    CU_ASSERT_EQUAL(redis("EXISTS i9223372032828243968"), 1);
    CU_ASSERT_EQUAL(redis("EXISTS i9223372033096679429"), 1);
    CU_ASSERT_EQUAL(redis("HLEN d9223372033096679429"), 1);
    CU_ASSERT_EQUAL(redis("HSTRLEN d9223372033096679429 %s", trashed), 9);
    CU_ASSERT_STRING_EQUAL(text("HGET p9223372032559808513 9223372033096679429"), "1");
    CU_ASSERT_STRING_EQUAL(text("HGET dirUsedInodes 9223372033096679429"), "1");
    /* in the trash: out of it by its second name's directory only */
    REFUSED(MKNOD("x", .base = 9223372033096679429), EPERM);
    OK(UNLINK("l"));
    CU_ASSERT_EQUAL(last.rflags, OPR_TRASHED);
    CU_ASSERT_EQUAL(redis("HGETALL p9223372032559808513"), 6);
    end();
}

/* A name is only taken from the inode that is meant. */
static void test_expected(void)
{
    begin(0);
    OK(MKNOD("f"));
    uint64_t f = last.ino;
    OK(MKDIR("d"));
    uint64_t d = last.ino;
    CU_ASSERT_EQUAL(UNLINK("f", .ino = f + 1000), -ENOENT);
    CU_ASSERT_EQUAL(RENAME("f", "g", .ino = f + 1000), -ENOENT);
    CU_ASSERT_EQUAL(RMDIR("d", .ino = f), -ENOENT);
    OK(RENAME("f", "g", .ino = f));
    OK(UNLINK("g", .ino = f));
    OK(RMDIR("d", .ino = d));
    end();
}

static void test_trash_hours(void)
{
    static const struct {
        int64_t sec;
        const char *name;
    } rows[] = {
        {0, "1970-01-01-00"},          {951868799, "2000-02-29-23"},  {951868800, "2000-03-01-00"},
        {4107542399, "2100-02-28-23"}, {4107542400, "2100-03-01-00"}, {1709251199, "2024-02-29-23"},
        {1735689599, "2024-12-31-23"}, {1735689600, "2025-01-01-00"}, {1754000103, "2025-07-31-22"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        begin(1);
        now = (struct moment){rows[i].sec, 1};
        OK(MKNOD("f"));
        OK(UNLINK("f"));
        CU_ASSERT_EQUAL(redis("HLEN d9223372032828243968"), 1);
        CU_ASSERT_EQUAL(redis("HEXISTS d9223372032828243968 %s", rows[i].name), 1);
        end();
    }
    /* one directory an hour; without the trash's root nothing is removed */
    begin(1);
    OK(MKNOD("a"));
    OK(MKNOD("b"));
    OK(UNLINK("a"));
    OK(UNLINK("b"));
    CU_ASSERT_EQUAL(redis("HLEN d9223372032828243969"), 2);
    now.sec += 3600;
    OK(MKNOD("c"));
    redis("DEL i9223372032828243968");
    REFUSED(UNLINK("c"), ENOENT);
    OK(LOOKUP("c"));
    end();
}

static void test_flags(void)
{
    begin(1);
    OK(MKDIR("d", .ino = 10));
    OK(MKNOD("d/f", .ino = 11));
    OK(MKNOD("g", .ino = 12));
    set_flags(10, ATTR_IMMUTABLE);
    REFUSED(MKNOD("d/x"), EPERM);
    REFUSED(UNLINK("d/f"), EPERM);
    REFUSED(RENAME("d/f", "f"), EPERM);
    REFUSED(RENAME("g", "d/g"), EPERM);
    REFUSED(LINK("g", "d/g"), EPERM);
    REFUSED(RUN(OP_RMDIR, "d"), EPERM);
    set_flags(10, ATTR_APPEND);
    OK(MKNOD("d/x"));
    REFUSED(UNLINK("d/x"), EPERM);
    REFUSED(RENAME("d/x", "x"), EPERM);
    set_flags(10, 0);
    set_flags(11, ATTR_APPEND);
    REFUSED(UNLINK("d/f"), EPERM);
    REFUSED(LINK("d/f", "h"), EPERM);
    REFUSED(RENAME("d/f", "h"), EPERM);
    REFUSED(RENAME("g", "d/f"), EPERM);
    REFUSED(RUN(OP_OPEN, "d/f", .valid = 2), EPERM);
    REFUSED(RUN(OP_OPEN, "d/f", .valid = 2, .flags = OPF_APPEND | OPF_TRUNC), EPERM);
    OK(RUN(OP_OPEN, "d/f", .valid = 2, .flags = OPF_APPEND));
    OK(RUN(OP_OPEN, "d/f", .valid = 4));
    set_flags(11, ATTR_IMMUTABLE);
    REFUSED(RUN(OP_OPEN, "d/f", .valid = 2, .flags = OPF_APPEND), EPERM);
    REFUSED(LOOKUP("d/f", .valid = 2), EPERM);
    OK(RUN(OP_OPEN, "d/f", .valid = 4));
    /* skip-trash goes from a directory to what is made in it, and keeps it out of the trash */
    set_flags(10, ATTR_SKIP_TRASH);
    OK(MKNOD("d/s", .ino = 20));
    CU_ASSERT_EQUAL(last.attr.flags, ATTR_SKIP_TRASH);
    OK(UNLINK("d/s"));
    CU_ASSERT_EQUAL(last.rflags, OPR_GONE);
    CU_ASSERT_EQUAL(redis("EXISTS i20"), 0);
    end();
}

/* An inode that somebody holds open keeps its data. */
static void test_held(void)
{
    uint8_t list[16];
    struct record rec = {.pos = 0, .id = 7, .size = 5, .off = 0, .len = 5};
    uint8_t raw[RECORD_BYTES];

    put_be64(list, 99);
    put_be64(list + 8, 10);
    record_encode(&rec, raw);
    for (int held = 0; held < 3; held++) {
        begin(0);
        OK(MKNOD("f", .ino = 10));
        redis("SETRANGE i10 58 %b", "\5", (size_t)1);
        redis("RPUSH c10_0 %b", raw, sizeof(raw));
        redis("RPUSH c10_0 %b", raw, sizeof(raw));
        redis("HSET sliceRef k7_5 1");
        redis("HSET x10 user.a b");
        OK(UNLINK("f", .data = held ? list : NULL, .data_len = held ? 16 : 0,
                  .sid = held == 2 ? 4 : 0));
        CU_ASSERT_EQUAL(last.ino, 10);
        CU_ASSERT_EQUAL(last.attr.nlink, 0);
        CU_ASSERT_EQUAL(redis("EXISTS x10"), 0);
        if (held == 0) {
            CU_ASSERT_EQUAL(last.rflags, OPR_GONE);
            CU_ASSERT_EQUAL_FATAL(last.extra.len, 12);
            CU_ASSERT_EQUAL(get_be64(last.extra.data), 7);
            CU_ASSERT_EQUAL(get_be32(last.extra.data + 8), 5);
            CU_ASSERT_EQUAL(redis("EXISTS c10_0 delfiles i10"), 0);
        } else if (held == 1) {
            CU_ASSERT_EQUAL(last.rflags, OPR_GONE | OPR_DEFERRED);
            CU_ASSERT_EQUAL(redis("LLEN c10_0"), 2);
            CU_ASSERT_STRING_EQUAL(text("ZSCORE delfiles 10:5"), "1754000000");
            CU_ASSERT_EQUAL(redis("EXISTS i10"), 0);
        } else {
            CU_ASSERT_EQUAL(last.rflags, 0);
            CU_ASSERT_EQUAL(redis("SISMEMBER session4 10"), 1);
            CU_ASSERT_EQUAL(redis("EXISTS i10 c10_0"), 2);
            CU_ASSERT_STRING_EQUAL(text("GET usedSpace"), "4096");
            /* such an inode gets a name again only from its holder */
            REFUSED(LINK("", "again", .base = 10), ENOENT);
            REFUSED(LINK("", "again", .base = 10, .sid = 5, .flags = OPF_BY_FD), ENOENT);
            OK(LINK("", "again", .base = 10, .sid = 4, .flags = OPF_BY_FD));
            CU_ASSERT_EQUAL(last.attr.nlink, 1);
            CU_ASSERT_EQUAL(last.attr.parent, INO_ROOT);
            CU_ASSERT_EQUAL(redis("EXISTS session4 p10"), 0);
        }
        end();
    }
    /* longer than 64 chunks: later, in calls of its own */
    begin(0);
    OK(MKNOD("long", .ino = 10));
    redis("SETRANGE i10 51 %b", "\0\0\0\1\0\0\0\1", (size_t)8);
    OK(UNLINK("long"));
    CU_ASSERT_EQUAL(last.rflags, OPR_GONE | OPR_DEFERRED);
    CU_ASSERT_STRING_EQUAL(text("ZSCORE delfiles 10:4294967297"), "1754000000");
    end();
}

/* A parent's times move once in 100 ms, unless its link count changes. */
static void test_touch(void)
{
    begin(0);
    now.nsec = 950000000;
    OK(MKDIR("d", .ino = 10));
    now = (struct moment){now.sec + 1, 49000000};
    OK(MKNOD("d/a"));
    OK(LOOKUP("d"));
    CU_ASSERT_EQUAL(last.attr.mtime.nsec, 950000000);
    now.nsec = 50000000;
    OK(MKNOD("d/b"));
    OK(LOOKUP("d"));
    CU_ASSERT_EQUAL(last.attr.mtime.nsec, 50000000);
    CU_ASSERT_EQUAL(last.attr.ctime.nsec, 50000000);
    CU_ASSERT_EQUAL(last.attr.atime.nsec, 950000000);
    now.nsec++;
    OK(MKDIR("d/c"));
    OK(LOOKUP("d"));
    CU_ASSERT_EQUAL(last.attr.mtime.nsec, 50000001);
    CU_ASSERT_EQUAL(last.attr.nlink, 3);
    end();
}

static void test_reserved_names(void)
{
    static const char *const names[] = {".trash", ".control", ".accesslog", ".stats", ".config"};

    begin(0);
    OK(MKDIR("d"));
    OK(MKNOD("f"));
    for (size_t i = 0; i < 5; i++) {
        char below[32];

        REFUSED(MKDIR(names[i]), EEXIST);
        REFUSED(MKNOD(names[i]), EEXIST);
        REFUSED(RUN(OP_SYMLINK, names[i], .data = "x", .data_len = 1), EEXIST);
        REFUSED(RUN(OP_OPEN, names[i], .flags = OPF_CREATE | OPF_EXCL, .valid = 2), EEXIST);
        CU_ASSERT_NOT_EQUAL(RUN(OP_OPEN, names[i], .flags = OPF_CREATE, .valid = 2), 0);
        CU_ASSERT_NOT_EQUAL(LINK("f", names[i]), 0);
        CU_ASSERT_NOT_EQUAL(RENAME("f", names[i]), 0);
        CU_ASSERT_NOT_EQUAL(RENAME("d", names[i]), 0);
        CU_ASSERT_NOT_EQUAL(UNLINK(names[i]), 0);
        CU_ASSERT_NOT_EQUAL(RUN(OP_RMDIR, names[i]), 0);
        snprintf(below, sizeof(below), "d/%s", names[i]);
        OK(MKNOD(below));
    }
    CU_ASSERT_EQUAL(redis("HLEN d1"), 2);
    end();
}

/* Names that point at nothing can be seen, opened by nobody, and removed. */
static void test_corrupt(void)
{
    begin(1);
    OK(MKDIR("d", .ino = 10));
    OK(MKNOD("d/f", .ino = 11));
    OK(MKDIR("d/s", .ino = 12));
    redis("DEL i11 i12");
    OK(LOOKUP("d/f"));
    CU_ASSERT_EQUAL(last.attr.type, TYPE_FILE);
    CU_ASSERT_EQUAL(last.attr.nlink, 0);
    REFUSED(RUN(OP_OPEN, "d/f", .valid = 4), EIO);
    REFUSED(LINK("d/f", "x"), ENOENT);
    REFUSED(RENAME("d/f", "x"), ENOENT);
    REFUSED(LOOKUP("d/s/x"), ENOENT);
    OK(RUN(OP_READDIR, "d"));
    /* cursor; two entries of u16 1, name, 9 bytes, u16 0 */
    CU_ASSERT_EQUAL(last.extra.len, 8 + 2 * (2 + 1 + 9 + 2));
    OK(UNLINK("d/f"));
    OK(RUN(OP_RMDIR, "d/s"));
    OK(RUN(OP_RMDIR, "d"));
    redis("HSET d1 odd 12345678");
    REFUSED(LOOKUP("odd"), EIO);
    end();
}

/* In a cluster every key carries the prefix. */
static void test_prefix(void)
{
    struct op op = {
        .kind = OP_MKDIR, .base = INO_ROOT, .path = "d", .ino = 10, .now = {1754000000, 0}};
    struct buf e = {0}, o = {0}, o2 = {0};

    begin(1);
    redis("RENAME i1 {3}i1");
    redis("RENAME i9223372032828243968 {3}i9223372032828243968");
    op_env_encode(&env, &e);
    op_encode(&op, &o);
    op.kind = OP_RMDIR;
    op_encode(&op, &o2);
    CU_ASSERT_EQUAL(redis("EVAL %s 1 {3}setting %b %b %b", lua_dispatch_text, e.data, e.len, o.data,
                          o.len, o2.data, o2.len),
                    2);
    CU_ASSERT_EQUAL(redis("HLEN {3}d9223372032828243969"), 1);
    CU_ASSERT_EQUAL(
        redis("EVAL %s 0",
              "local n = 0 for _, k in ipairs(redis.call('KEYS', '*')) do "
              "if k ~= 'setting' and k:sub(1, 3) ~= '{3}' then n = n + 1 end end return n"),
        0);
    buf_free(&e);
    buf_free(&o);
    buf_free(&o2);
    end();
}

/* What is not an op of ours is refused, whatever its bytes. */
static void test_malformed(void)
{
    struct op op = {.kind = OP_MKDIR,
                    .base = INO_ROOT,
                    .path = "d",
                    .path2 = "e",
                    .data = "xyz",
                    .data_len = 3};
    struct buf e = {0}, o = {0};
    static char code[1 << 17]; /* the dispatcher, whose first answer's code is what is returned */

    snprintf(code, sizeof(code), "local function f() %s end return f()[1][1]", lua_dispatch_text);
    begin(0);
    op_env_encode(&env, &e);
    op_encode(&op, &o);
    buf_add(&o, "", 1); /* every length but the right one */
    for (size_t len = 0; len <= o.len; len++)
        if (len != o.len - 1)
            CU_ASSERT_EQUAL(redis("EVAL %s 1 setting %b %b", code, e.data, e.len, o.data, len),
                            -EINVAL);
    buf_free(&e);
    buf_free(&o);
    end();
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"ops of a batch are independent", test_batch},
        {"attrs of every length", test_attr_lengths},
        {"numbers of the trash", test_trash_numbers},
        {"expected inodes", test_expected},
        {"hours of the trash", test_trash_hours},
        {"immutable, append-only, skip-trash", test_flags},
        {"inodes held open", test_held},
        {"a directory's times", test_touch},
        {"reserved names", test_reserved_names},
        {"entries without an inode", test_corrupt},
        {"key prefix", test_prefix},
        {"malformed ops", test_malformed},
        CU_TEST_INFO_NULL,
    };
    return names_main("names", tests);
}
