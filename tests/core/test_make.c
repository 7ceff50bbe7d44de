/*
 * OP_MAKE on a real Redis: what a folded create leaves behind, and what it refuses.  That the
 * embedded store does the same is test_batch's.
 */
#include "tests/core/names.h"

#define DATA_MAX 8192

static uint8_t bytes[DATA_MAX];

/* An attr as the caller of OP_MAKE sends it, in base. */
static struct attr fresh(uint8_t type, uint64_t base)
{
    return (struct attr){.type = type,
                         .mode = 0640,
                         .uid = 7,
                         .gid = 8,
                         .atime = {1, 2},
                         .mtime = {3, 4},
                         .ctime = {5, 6},
                         .nlink = type == TYPE_DIRECTORY ? 2 : 1,
                         .length = type == TYPE_DIRECTORY ? 4096 : 0,
                         .parent = base};
}

static struct op make_op(const char *name, const struct attr *a, const void *rest, size_t n)
{
    attr_encode(a, bytes);
    memcpy(bytes + ATTR_BYTES, rest, n);
    return (struct op){.kind = OP_MAKE,
                       .path = name,
                       .base = a->parent,
                       .data = bytes,
                       .data_len = (uint32_t)(ATTR_BYTES + n)};
}

static int make(const char *name, struct attr a)
{
    return run(make_op(name, &a, "", 0));
}

static size_t put_record(uint8_t *p, uint32_t chunk, struct record r)
{
    put_be32(p, chunk);
    record_encode(&r, p + 4);
    return 28;
}

static void test_file(void)
{
    uint8_t rest[84];
    size_t n = 0;

    begin(0);
    OK(MKDIR("d", .ino = 10));
    now.sec += 10;
    n += put_record(rest + n, 0, (struct record){.id = 5, .size = 4000, .len = 3000});
    n += put_record(rest + n, 0,
                    (struct record){.pos = 3000, .id = 5, .size = 4000, .off = 3000, .len = 1000});
    n += put_record(rest + n, 2, (struct record){.pos = 9, .len = 1});
    struct attr a = fresh(TYPE_FILE, 10);
    a.length = 2 * CHUNK_BYTES + 20;
    struct op op = make_op("f", &a, rest, n);
    op.ino = 20;
    op.off = 1; /* the directory is empty */
    OK(run(op));
    CU_ASSERT_EQUAL(last.rflags, OPR_CREATED);
    CU_ASSERT_EQUAL(last.ino, 20);
    CU_ASSERT_EQUAL(last.parent, 10);
    CU_ASSERT_FALSE(last.has_attr);
    (void)text("GET i20");
    CU_ASSERT_EQUAL(text_len, ATTR_BYTES);
    CU_ASSERT_EQUAL(memcmp(text_buf, bytes, ATTR_BYTES), 0);
    CU_ASSERT_EQUAL(redis("LLEN c20_0"), 2);
    CU_ASSERT_EQUAL(redis("LLEN c20_2"), 1);
    (void)text("LINDEX c20_0 1");
    CU_ASSERT_EQUAL(memcmp(text_buf, rest + 32, RECORD_BYTES), 0);
    CU_ASSERT_EQUAL(memcmp(text("HGET d10 f"), "\1\0\0\0\0\0\0\0\x14", 9), 0);
    CU_ASSERT_STRING_EQUAL(text("GET usedSpace"),
                           "134225920"); /* 2 * 64 MiB + 4096, the directory */
    CU_ASSERT_STRING_EQUAL(text("GET totalInodes"), "2");
    CU_ASSERT_STRING_EQUAL(text("HGET dirDataLength 10"), "134217748");
    CU_ASSERT_STRING_EQUAL(text("HGET dirUsedSpace 10"), "134221824");
    CU_ASSERT_STRING_EQUAL(text("HGET dirUsedInodes 10"), "1");
    CU_ASSERT_EQUAL(redis("EXISTS sliceRef"), 0);
    OK(LOOKUP("d"));
    CU_ASSERT_EQUAL(last.attr.mtime.sec, now.sec);
    CU_ASSERT_EQUAL(last.attr.nlink, 2);
    end();
}

static void test_others(void)
{
    struct attr a = fresh(TYPE_SYMLINK, INO_ROOT);

    begin(0);
    a.length = 3;
    struct op op = make_op("l", &a, "a/b", 3);
    op.ino = 30;
    OK(run(op));
    CU_ASSERT_STRING_EQUAL(text("GET s30"), "a/b");
    OK(make("d", fresh(TYPE_DIRECTORY, INO_ROOT)));
    CU_ASSERT_EQUAL(redis("HEXISTS dirUsedInodes 100"), 1);
    OK(make("sub", fresh(TYPE_DIRECTORY, 100)));
    OK(LOOKUP("d"));
    CU_ASSERT_EQUAL(last.attr.nlink, 3);
    OK(LOOKUP("."));
    CU_ASSERT_EQUAL(last.attr.nlink, 3);
    OK(make("p", fresh(TYPE_FIFO, INO_ROOT)));
    a = fresh(TYPE_CHARDEV, INO_ROOT);
    a.rdev = 0x103;
    OK(make("null", a));
    OK(LOOKUP("null"));
    CU_ASSERT_EQUAL(last.attr.rdev, 0x103);
    CU_ASSERT_STRING_EQUAL(text("GET usedSpace"), "20480");
    CU_ASSERT_STRING_EQUAL(text("HGET dirUsedInodes 100"), "1");
    end();
}

static void test_directory_decides(void)
{
    begin(0);
    OK(MKDIR("d", .ino = 10));
    set_flags(10, 32); /* skip-trash goes on */
    OK(make("f", fresh(TYPE_FILE, 10)));
    CU_ASSERT_EQUAL((uint8_t)text("GET i%d", 100)[0], 32);
    redis("SETRANGE i10 71 %b", "\3\0", (size_t)2); /* tier 3 */
    OK(make("g", fresh(TYPE_FILE, 10)));
    (void)text("GET i101");
    CU_ASSERT_EQUAL(text_len, 73);
    CU_ASSERT_EQUAL(text_buf[71], 3);
    CU_ASSERT_EQUAL(text_buf[72], 0);
    end();
}

static void test_foreign(void)
{
    struct attr a = fresh(TYPE_FILE, INO_ROOT);
    struct op op = make_op("a", &a, "", 0);

    begin(0);
    op.off = 1;
    OK(run(op));
    CU_ASSERT_EQUAL(last.rflags, OPR_CREATED);
    op.path = "b";
    OK(run(op)); /* there is one already */
    CU_ASSERT_EQUAL(last.rflags, OPR_CREATED | OPR_FOREIGN);
    op.path = "c";
    op.off = 3;
    OK(run(op));
    CU_ASSERT_EQUAL(last.rflags, OPR_CREATED);
    op.path = "d";
    op.off = 0;
    OK(run(op));
    CU_ASSERT_EQUAL(last.rflags, OPR_CREATED);
    end();
}

/* One thing wrong at a time; nothing is written. */
static void test_malformed(void)
{
    static const uint8_t small[] = {1, 2, 3};
    struct attr file = fresh(TYPE_FILE, INO_ROOT), dir = fresh(TYPE_DIRECTORY, INO_ROOT), a;
    struct op op = make_op("f", &file, "", 0);
    uint8_t rest[28];
    char before[64];

    begin(0);
    snprintf(before, sizeof(before), "%.60s", digest());
    REFUSED(make("", file), EINVAL);
    REFUSED(make("a/b", file), EINVAL);
    REFUSED(make(".", file), EEXIST);
    REFUSED(make("..", file), EEXIST);
    op.data_len = ATTR_BYTES - 1;
    REFUSED(run(op), EINVAL);
    op = make_op("f", &file, small, sizeof(small));
    REFUSED(run(op), EINVAL);
    a = file, a.nlink = 2;
    REFUSED(make("f", a), EINVAL);
    a = dir, a.nlink = 3;
    REFUSED(make("f", a), EINVAL);
    a = dir, a.length = 0;
    REFUSED(make("f", a), EINVAL);
    a = fresh(TYPE_FIFO, INO_ROOT), a.length = 1;
    REFUSED(make("f", a), EINVAL);
    op = make_op("f", &file, "", 0);
    op.base = 10;
    REFUSED(run(op), EINVAL); /* another parent */
    op.base = 1;
    bytes[71] = 1;
    REFUSED(run(op), EINVAL); /* a tier */
    bytes[71] = 0;
    bytes[1] = 0x81;
    REFUSED(run(op), EINVAL); /* a type that is none */
    a = file, a.length = UINT64_C(1) << 53;
    REFUSED(make("f", a), EFBIG);
    a = fresh(TYPE_SYMLINK, INO_ROOT);
    REFUSED(run(make_op("f", &a, "", 0)), ENOENT);
    a.length = 3;
    REFUSED(run(make_op("f", &a, "ab", 2)), EINVAL);
    REFUSED(run(make_op("f", &a, "a\0b", 3)), EINVAL);
    static char target[4096];
    memset(target, 't', sizeof(target));
    a.length = sizeof(target);
    REFUSED(run(make_op("f", &a, target, sizeof(target))), ENAMETOOLONG);
    put_record(rest, 0, (struct record){.id = 5, .size = 10, .len = 11});
    REFUSED(run(make_op("f", &file, rest, 28)), EINVAL);
    put_record(rest, 0, (struct record){.id = 5, .size = 10});
    REFUSED(run(make_op("f", &file, rest, 28)), EINVAL);
    put_record(rest, 0, (struct record){.off = 1, .len = 1});
    REFUSED(run(make_op("f", &file, rest, 28)), EINVAL);
    put_record(rest, 1 << 27, (struct record){.len = 1});
    REFUSED(run(make_op("f", &file, rest, 28)), EFBIG);
    REFUSED(run(make_op("f", &dir, rest, 28)), EINVAL);
    CU_ASSERT_STRING_EQUAL(digest(), before);
    end();
}

static void test_refused(void)
{
    struct attr root = fresh(TYPE_FILE, INO_ROOT), in = fresh(TYPE_FILE, 10), a;
    char name[300], before[64];
    struct op op;

    begin(0);
    OK(MKDIR("d", .ino = 10));
    OK(MKNOD("f", .ino = 11));
    snprintf(before, sizeof(before), "%.60s", digest());
    REFUSED(make("f", root), EEXIST);
    REFUSED(make(".trash", root), EEXIST);
    REFUSED(make(".control", root), EEXIST);
    memset(name, 'n', 256);
    name[256] = 0;
    REFUSED(make(name, root), ENAMETOOLONG);
    REFUSED(make("x", fresh(TYPE_FILE, 11)), ENOTDIR);
    REFUSED(make("x", fresh(TYPE_FILE, 99)), ENOENT);
    op = make_op("x", &in, "", 0);
    op.cred = (struct op_cred){.uid = ME, .gid = ME};
    REFUSED(run(op), EACCES);
    a = fresh(TYPE_CHARDEV, INO_ROOT), a.rdev = 1;
    op = make_op("x", &a, "", 0);
    op.cred = (struct op_cred){.uid = ME, .gid = ME};
    REFUSED(run(op), EPERM);
    op = make_op("x", &root, "", 0);
    op.ino = INO_ROOT;
    REFUSED(run(op), EINVAL);
    op.ino = 11; /* given before */
    REFUSED(run(op), EIO);
    env.inodes = 2;
    REFUSED(make("x", in), ENOSPC);
    env.inodes = 0;
    env.capacity_bytes = 4 * 4096;
    a = in, a.length = 8193;
    REFUSED(make("x", a), ENOSPC);
    CU_ASSERT_STRING_EQUAL(digest(), before);
    a.length = 8192;
    OK(make("x", a));
    set_flags(10, 1);
    REFUSED(make("y", in), EPERM);
    end();
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"a file with records", test_file},
        {"symlinks, directories, devices", test_others},
        {"what the directory decides", test_directory_decides},
        {"somebody else was there", test_foreign},
        {"malformed", test_malformed},
        {"refused", test_refused},
        CU_TEST_INFO_NULL,
    };
    return names_main("make", tests);
}
