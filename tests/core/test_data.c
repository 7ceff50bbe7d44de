/*
 * Content of files: what commits, truncates, fallocate and purge leave in Redis where a stock mount
 * cannot be asked - repeated and malformed requests, limits, references, attributes of newer
 * clients.
 */
#include "tests/lib/oneop.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LENGTH_MAX ((UINT64_C(1) << 53) - 1) /* that can be changed */

/* The op is refused and wrote nothing. */
#define REFUSED(op_call, err)                                                                      \
    do {                                                                                           \
        char before[64];                                                                           \
        snprintf(before, sizeof(before), "%s", digest());                                          \
        CU_ASSERT_EQUAL(op_call, -(err));                                                          \
        CU_ASSERT_STRING_EQUAL(before, digest());                                                  \
    } while (0)

static struct op on(uint8_t kind, uint64_t ino)
{
    return (struct op){.kind = kind, .base = ino, .flags = OPF_BY_FD};
}

static struct op truncate_op(uint64_t ino, uint64_t len)
{
    struct op op = on(OP_TRUNCATE, ino);

    op.len = len;
    return op;
}

static struct op fallocate_op(uint64_t ino, uint32_t mode, uint64_t off, uint64_t len)
{
    struct op op = on(OP_FALLOCATE, ino);

    op.mode = mode;
    op.off = off;
    op.len = len;
    return op;
}

static struct op purge_op(uint64_t ino, uint64_t len)
{
    struct op op = on(OP_PURGE, ino);

    op.len = len;
    return op;
}

static long long records(uint64_t ino, unsigned index)
{
    return redis_int("LLEN c%" PRIu64 "_%u", ino, index);
}

static long long number(const char *fmt, uint64_t ino)
{
    char text[32] = "";

    server_text(oneop_server, text, sizeof(text), fmt, ino);
    return atoll(text);
}

/* --- OP_WRITE --------------------------------------------------------------------------------- */

static void test_repeated_write(void)
{
    uint64_t f = make_file("f", 0644);
    const struct piece two[] = {{0, {.pos = 0, .id = 8, .size = 10, .len = 4}},
                                {0, {.pos = 20, .id = 8, .size = 10, .off = 4, .len = 6}}};

    CU_ASSERT_EQUAL(write_at(f, 0, 6, 7), 0);
    REFUSED(write_at(f, 0, 6, 7), 0);
    CU_ASSERT_EQUAL(commit(f, two, 2), 0);
    CU_ASSERT_EQUAL(records(f, 0), 3);
    REFUSED(commit(f, two, 2), 0);
    /* somebody else wrote before the answer was asked for again */
    CU_ASSERT_EQUAL(write_at(f, 5000, 5000, 9), 0);
    REFUSED(commit(f, two, 2), 0);
    REFUSED(write_at(f, 0, 6, 7), 0);
    CU_ASSERT_EQUAL(records(f, 0), 4);
    CU_ASSERT_EQUAL(number("GET usedSpace", 0), 12288);
    CU_ASSERT_EQUAL(oneop_last.attr.length, 10000);
    CU_ASSERT_EQUAL(redis_int("EXISTS sliceRef"), 0);
}

static void test_mtime_differs(void)
{
    uint64_t f = make_file("f", 0644);

    for (uint32_t i = 0; i < 3; i++) {
        struct moment before = attr_of("f").mtime;
        CU_ASSERT_EQUAL(write_at(f, 0, 6, 7 + i), 0);
        CU_ASSERT_TRUE(before.sec != oneop_last.attr.mtime.sec ||
                       before.nsec != oneop_last.attr.mtime.nsec);
        CU_ASSERT_EQUAL(oneop_last.attr.mtime.sec, 2000);
    }
    struct op utimens = on(OP_SETATTR, f);
    utimens.valid = SET_MTIME;
    utimens.mtime = (struct moment){1999, 999999999};
    CU_ASSERT_EQUAL(run(utimens), 0);
    struct op op = truncate_op(f, 100);
    op.now = utimens.mtime;
    CU_ASSERT_EQUAL(run(op), 0);
    CU_ASSERT_EQUAL(oneop_last.attr.mtime.sec, 2000);
    CU_ASSERT_EQUAL(oneop_last.attr.mtime.nsec, 0);
}

static void test_malformed_records(void)
{
    /* clang-format off */
    static const struct piece bad[] = {
        {0, {.pos = 0, .id = 7, .size = 10, .len = 0}},
        {0, {.pos = 0, .id = 7, .size = 0, .len = 1}},
        {0, {.pos = 0, .id = 7, .size = 10, .off = 5, .len = 6}},
        {0, {.pos = 0, .id = 7, .size = 10, .off = 0xFFFFFFFF, .len = 6}},
        {0, {.pos = CHUNK_BYTES - 5, .id = 7, .size = 6, .len = 6}},
        {0, {.pos = 0xFFFFFFFF, .id = 7, .size = 6, .len = 6}},
        {0, {.pos = 0, .id = 0, .size = 6, .len = 6}},
        {0, {.pos = 0, .id = 0, .off = 6, .len = 6}},
    };
    /* clang-format on */
    uint64_t f = make_file("f", 0644);
    uint64_t d = make_dir("d");

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct piece pair[] = {{0, {.pos = 0, .id = 6, .size = 10, .len = 1}}, bad[i]};
        REFUSED(commit(f, bad + i, 1), EINVAL);
        REFUSED(commit(f, pair, 2), EINVAL);
    }
    struct op odd = on(OP_WRITE, f);
    odd.data = "12345678901234567890123456789";
    odd.data_len = 29;
    REFUSED(run(odd), EINVAL);
    odd.data_len = 0;
    REFUSED(run(odd), 0);
    REFUSED(write_at(f + 1000, 0, 5, 7), ENOENT);
    REFUSED(write_at(d, 0, 5, 7), EPERM);
    const struct piece far = {0xFFFFFFFF, {.pos = 0, .id = 7, .size = 10, .len = 10}};
    REFUSED(commit(f, &far, 1), EFBIG);
    CU_ASSERT_EQUAL(write_at(f, CHUNK_BYTES - 5, 5, 7), 0);
    const struct piece hole = {1, {.pos = 3, .id = 0, .len = 6}};
    CU_ASSERT_EQUAL(commit(f, &hole, 1), 0);
    CU_ASSERT_EQUAL(oneop_last.attr.length, CHUNK_BYTES + 9);
}

static void test_many_records(void)
{
    enum { N = 5000 };
    static struct piece p[N];
    uint64_t f = make_file("f", 0644);

    for (uint32_t i = 0; i < N; i++)
        p[i] = (struct piece){
            i / 2500, {.pos = 10 * (i % 2500), .id = 7, .size = 10 * N, .off = 10 * i, .len = 10}};
    CU_ASSERT_EQUAL(commit(f, p, N), 0);
    CU_ASSERT_EQUAL(records(f, 0), 2500);
    CU_ASSERT_EQUAL(records(f, 1), 2500);
    CU_ASSERT_EQUAL(oneop_last.attr.length, CHUNK_BYTES + 25000);
}

static void test_tail_is_kept(void)
{
    uint64_t f = make_file("f", 0644);
    /* flags 32, ACL ids 1 and 0, tier 2: 81 bytes */
    char raw[82];

    CU_ASSERT_EQUAL_FATAL(server_text(oneop_server, raw, sizeof(raw), "GET i%" PRIu64, f), 72);
    raw[0] = 32;
    memcpy(raw + 71, "\0\0\0\1\0\0\0\0\2", 10);
    redis_int("SET i%" PRIu64 " %b", f, raw, (size_t)81);
    CU_ASSERT_EQUAL(write_at(f, 0, 5, 7), 0);
    CU_ASSERT_EQUAL(run(truncate_op(f, 77)), 0);
    CU_ASSERT_EQUAL(run(fallocate_op(f, 0, 0, 78)), 0);
    char now[82];
    CU_ASSERT_EQUAL(server_text(oneop_server, now, sizeof(now), "GET i%" PRIu64, f), 81);
    CU_ASSERT_EQUAL(now[0], 32);
    CU_ASSERT_EQUAL(memcmp(raw + 59, now + 59, 22), 0);
    CU_ASSERT_EQUAL(oneop_last.attr.length, 78);
}

/* A flag set after open() stops no descriptor; setuid goes only when the caller says so. */
static void test_open_descriptor(void)
{
    uint64_t f = make_file("f", 06777);
    struct op op = on(OP_SETATTR, f);

    CU_ASSERT_EQUAL(write_at(f, 0, 5, 7), 0);
    CU_ASSERT_EQUAL(oneop_last.attr.mode, 06777);
    op.valid = SET_FLAGS;
    op.mode = ATTR_IMMUTABLE | ATTR_APPEND;
    CU_ASSERT_EQUAL(run(op), 0);
    CU_ASSERT_EQUAL(write_at(f, 5, 5, 8), 0);
    REFUSED(run(truncate_op(f, 3)), EPERM);
    REFUSED(run(fallocate_op(f, 0, 0, 3)), EPERM);
}

/* Setgid without group-execute stays for the group's members. */
static void test_privileges(void)
{
    /* clang-format off */
    static const struct { uint32_t uid, gid, before, after; } cases[] = {
        {ME, ME, 06777, 00777}, {ME, ME, 06767, 00767}, {ME, 0, 06777, 00777}, {ME, 0, 06767, 02767},
        {ME, 0, 02767, 02767}, {ME, ME, 02767, 00767}, {ME, ME, 01777, 01777},
    };
    /* clang-format on */
    static const uint8_t kinds[] = {OP_WRITE, OP_TRUNCATE, OP_FALLOCATE};
    uint64_t f = make_file("f", 0);

    for (size_t i = 0; i < 3 * sizeof(cases) / sizeof(cases[0]); i++) {
        struct op chmod = on(OP_SETATTR, f), op = on(kinds[i % 3], f);
        uint8_t hole[28] = {[27] = 1}; /* chunk 0, a byte of zeros */

        chmod.valid = SET_MODE;
        chmod.mode = cases[i / 3].before;
        CU_ASSERT_EQUAL(run(chmod), 0);
        op.cred = (struct op_cred){cases[i / 3].uid, cases[i / 3].gid, 0, NULL};
        op.flags |= OPF_KILLPRIV;
        op.len = i + 1;
        op.data = hole;
        op.data_len = sizeof(hole);
        CU_ASSERT_EQUAL(run(op), 0);
        CU_ASSERT_EQUAL(oneop_last.attr.mode, cases[i / 3].after);
    }
}

/* --- limits and counters ---------------------------------------------------------------------- */

static void test_capacity(void)
{
    uint64_t f = make_file("f", 0644);

    CU_ASSERT_EQUAL(write_at(f, 0, 4097, 7), 0); /* 8192 of 16384 used */
    CU_ASSERT_EQUAL(write_at(f, 0, 16384, 8), 0);
    REFUSED(write_at(f, 16384, 1, 9), ENOSPC);
    REFUSED(run(truncate_op(f, 16385)), ENOSPC);
    REFUSED(run(fallocate_op(f, 0, 16384, 1)), ENOSPC);
    CU_ASSERT_EQUAL(write_at(f, 16383, 1, 10), 0);
    CU_ASSERT_EQUAL(run(fallocate_op(f, 1, 16384, 1000)), 0);
    CU_ASSERT_EQUAL(run(truncate_op(f, 16000)), 0);
    CU_ASSERT_EQUAL(run(truncate_op(f, 1)), 0);
    CU_ASSERT_EQUAL(number("GET usedSpace", 0), 4096);
    CU_ASSERT_EQUAL(write_at(f, 8000, 192, 11), 0);
    CU_ASSERT_EQUAL(number("GET usedSpace", 0), 8192);
}

static void test_quota(void)
{
    static const char limit[] = "\0\0\0\0\0\0\x40\0\xff\xff\xff\xff\xff\xff\xff\xff"; /* 16 KiB */
    uint64_t d = make_dir("d"), e = make_dir("d/e"), other = make_dir("other");
    uint64_t f = make_file("d/e/f", 0644);

    redis_int("HSET dirQuota %" PRIu64 " %b", d, limit, (size_t)16);
    redis_int("HSET dirQuotaUsedSpace %" PRIu64 " 8192", d);
    redis_int("HSET dirQuotaUsedInodes %" PRIu64 " 2", d);
    REFUSED(write_at(f, 0, 12289, 7), EDQUOT);
    REFUSED(run(truncate_op(f, 12289)), EDQUOT);
    CU_ASSERT_EQUAL(write_at(f, 0, 12288, 7), 0);
    CU_ASSERT_EQUAL(number("HGET dirQuotaUsedSpace %" PRIu64, d), 16384);
    CU_ASSERT_EQUAL(number("HGET dirUsedSpace %" PRIu64, e), 12288);
    CU_ASSERT_EQUAL(number("HGET dirDataLength %" PRIu64, e), 12288);
    struct op link = {.kind = OP_LINK, .path = "d/e/f", .base2 = other, .path2 = "g"};
    CU_ASSERT_EQUAL(run(link), 0);
    CU_ASSERT_EQUAL(run(truncate_op(f, 4096)), 0);
    CU_ASSERT_EQUAL(number("HGET dirQuotaUsedSpace %" PRIu64, d), 8192);
    CU_ASSERT_EQUAL(number("HGET dirUsedSpace %" PRIu64, e), 4096);
    CU_ASSERT_EQUAL(number("HGET dirUsedSpace %" PRIu64, other), 4096);
    REFUSED(run(fallocate_op(f, 0, 0, 20000)), EDQUOT); /* its other directory has no quota */
    /* fields that do not exist stay so */
    redis_int("HDEL dirUsedSpace %" PRIu64, e);
    redis_int("DEL dirQuotaUsedSpace dirQuotaUsedInodes dirQuota");
    CU_ASSERT_EQUAL(run(truncate_op(f, 100000)), 0);
    CU_ASSERT_EQUAL(redis_int("HEXISTS dirUsedSpace %" PRIu64, e), 0);
    CU_ASSERT_EQUAL(redis_int("EXISTS dirQuota dirQuotaUsedSpace dirQuotaUsedInodes"), 0);
    CU_ASSERT_EQUAL(number("HGET dirDataLength %" PRIu64, e), 100000);
}

/* A file without a name counts in the volume only. */
static void test_no_name(void)
{
    uint64_t d = make_dir("d"), f = make_file("d/f", 0644);
    uint8_t held[8];
    struct op op = {.kind = OP_UNLINK, .path = "d/f", .sid = 3, .data = held, .data_len = 8};

    put_be64(held, f);
    CU_ASSERT_EQUAL(run(op), 0);
    CU_ASSERT_EQUAL(write_at(f, 0, 5000, 7), 0);
    CU_ASSERT_EQUAL(oneop_last.attr.nlink, 0);
    CU_ASSERT_EQUAL(run(truncate_op(f, 10000)), 0);
    CU_ASSERT_EQUAL(number("GET usedSpace", 0), 4096 + 12288);
    CU_ASSERT_EQUAL(number("HGET dirUsedSpace %" PRIu64, d), 0);
    CU_ASSERT_EQUAL(number("HGET dirDataLength %" PRIu64, d), 0);
}

/* --- OP_TRUNCATE and OP_FALLOCATE ------------------------------------------------------------- */

static void test_far_away(void)
{
    uint64_t f = make_file("f", 0644), g = make_file("g", 0644);

    CU_ASSERT_EQUAL(run(truncate_op(g, CHUNK_BYTES * 3 + 1)), 0);
    CU_ASSERT_EQUAL(records(g, 0), 1);
    CU_ASSERT_EQUAL(records(g, 1), 0); /* no list means zeros */
    CU_ASSERT_EQUAL(records(g, 3), 1);
    CU_ASSERT_EQUAL(run(truncate_op(g, 0)), 0);
    redis_int("DEL c%" PRIu64 "_0 c%" PRIu64 "_3", g, g);
    CU_ASSERT_EQUAL(run(truncate_op(f, LENGTH_MAX)), 0);
    CU_ASSERT_EQUAL(write_at(f, CHUNK_BYTES * 3, 10, 7), 0);
    CU_ASSERT_EQUAL(write_at(f, CHUNK_BYTES * 100000, 10, 8), 0);
    CU_ASSERT_EQUAL(write_at(g, CHUNK_BYTES * 4, 10, 9), 0);
    CU_ASSERT_EQUAL(run(fallocate_op(f, 3, CHUNK_BYTES, UINT64_C(1) << 52)), 0);
    CU_ASSERT_EQUAL(records(f, 3), 2);
    CU_ASSERT_EQUAL(records(f, 100000), 2);
    CU_ASSERT_EQUAL(run(truncate_op(f, 10)), 0);
    CU_ASSERT_EQUAL(records(f, 0), 2);
    CU_ASSERT_EQUAL(records(f, 1), 2);
    CU_ASSERT_EQUAL(records(f, 2), 0);
    CU_ASSERT_EQUAL(records(f, 3), 3);
    CU_ASSERT_EQUAL(records(f, 100000), 3);
    CU_ASSERT_EQUAL(records(g, 4), 1);
    REFUSED(run(truncate_op(f, LENGTH_MAX + 1)), EFBIG);
    REFUSED(run(truncate_op(f, UINT64_MAX)), EFBIG);
    REFUSED(run(fallocate_op(f, 0, 1, LENGTH_MAX)), EFBIG);
    CU_ASSERT_EQUAL(number("GET usedSpace", 0), 4096 + (4 * 64 * 1024 + 4) * 1024);
    CU_ASSERT_EQUAL(run(truncate_op(f, LENGTH_MAX)), 0);
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_UNLINK, .path = "f"}), 0);
    CU_ASSERT_EQUAL(run(purge_op(f, LENGTH_MAX)), 0);
    CU_ASSERT_EQUAL(oneop_last.extra.len, 24);
    CU_ASSERT_EQUAL(redis_int("KEYS c*"), 1);
    CU_ASSERT_EQUAL(redis_int("EXISTS delfiles"), 0);
}

/* Longer than we change, as a stock mount may make it: it can be removed, and counts exactly. */
static void test_huge(void)
{
    const uint64_t huge = (UINT64_C(120) << 50) + 8191;
    uint64_t d = make_dir("d"), f = make_file("d/f", 0644);
    char raw[82];
    uint8_t length[8];

    CU_ASSERT_EQUAL_FATAL(server_text(oneop_server, raw, sizeof(raw), "GET i%" PRIu64, f), 72);
    put_be64(length, huge);
    memcpy(raw + 51, length, 8);
    redis_int("SET i%" PRIu64 " %b", f, raw, (size_t)72);
    redis_int("INCRBY usedSpace %" PRIu64, huge + 1 - 4096);
    redis_int("HINCRBY dirUsedSpace %" PRIu64 " %" PRIu64, d, huge + 1 - 4096);
    CU_ASSERT_EQUAL(attr_of("d/f").length, huge);
    REFUSED(run(truncate_op(f, 5)), EFBIG);
    REFUSED(run(fallocate_op(f, 0, 0, 1)), EFBIG);
    CU_ASSERT_EQUAL(write_at(f, 5, 5, 7), 0);
    CU_ASSERT_EQUAL(oneop_last.attr.length, huge);
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_UNLINK, .path = "d/f"}), 0);
    CU_ASSERT_EQUAL(oneop_last.rflags, OPR_GONE | OPR_DEFERRED);
    CU_ASSERT_EQUAL(number("GET usedSpace", 0), 4096);
    CU_ASSERT_EQUAL(number("HGET dirUsedSpace %" PRIu64, d), 0);
    CU_ASSERT_EQUAL(run(purge_op(f, huge)), 0);
    CU_ASSERT_EQUAL(oneop_last.extra.len, 12);
}

static void test_wrong_type(void)
{
    uint64_t d = make_dir("d"), f = make_file("f", 0200);
    struct op fifo = {
        .kind = OP_MKNOD, .path = "fifo", .mode = TYPE_FIFO << 12 | 0666, .ino = 999999};
    struct op chunks = on(OP_CHUNKS, d);

    CU_ASSERT_EQUAL(run(fifo), 0);
    REFUSED(run(truncate_op(d, 3)), EINVAL);
    REFUSED(run(truncate_op(999999, 3)), EINVAL);
    REFUSED(run(truncate_op(4444, 3)), ENOENT);
    REFUSED(run(fallocate_op(d, 0, 0, 1)), EISDIR);
    REFUSED(run(fallocate_op(999999, 0, 0, 1)), ESPIPE);
    REFUSED(run(fallocate_op(4444, 0, 0, 1)), ENOENT);
    chunks.len = 1;
    REFUSED(run(chunks), EINVAL);
    chunks.base = f;
    CU_ASSERT_EQUAL(run(chunks), 0);
    chunks.len = 0;
    REFUSED(run(chunks), EINVAL);
    struct op path = {.kind = OP_TRUNCATE, .path = "f", .len = 9, .cred = {.uid = ME, .gid = ME}};
    REFUSED(run(path), EACCES);
    path.base = f;
    path.path = "";
    path.flags = OPF_BY_FD;
    CU_ASSERT_EQUAL(run(path), 0);
}

/* --- OP_CHUNKS -------------------------------------------------------------------------------- */

static void test_chunk_limits(void)
{
    enum { N = 30000 };
    static struct piece p[N];
    uint64_t f = make_file("f", 0644);
    struct op op = on(OP_CHUNKS, f);

    for (uint32_t i = 0; i < N; i++)
        p[i] = (struct piece){5 + i / 15000,
                              {.pos = i % 15000, .id = 7, .size = N, .off = i, .len = 1}};
    for (uint32_t i = 0; i < N; i += 5000)
        CU_ASSERT_EQUAL(commit(f, p + i, 5000), 0);
    CU_ASSERT_EQUAL(write_at(f, 4000 * CHUNK_BYTES, 1, 9), 0);
    op.len = 8;
    CU_ASSERT_EQUAL(run(op), 0);
    CU_ASSERT_EQUAL(oneop_last.extra.len, 8 * 8 + (size_t)N * 24);
    op.len = 1000;
    CU_ASSERT_EQUAL(run(op), 0);
    CU_ASSERT_EQUAL(oneop_last.extra.len, 256 * 8 + (size_t)N * 24);
    for (uint32_t i = 0; i < N; i += 5000) /* 45000 records in chunk 5 and 6 each are over 1 MiB */
        for (uint64_t id = 10; id < 14; id++) {
            for (uint32_t j = 0; j < 5000; j++)
                p[i + j].r.id = id;
            CU_ASSERT_EQUAL(commit(f, p + i, 5000), 0);
        }
    op.off = 4;
    CU_ASSERT_EQUAL(run(op), 0);
    CU_ASSERT_EQUAL(oneop_last.extra.len, 2 * 8 + (size_t)75000 * 24);
    op.off = 3999;
    op.len = 3;
    CU_ASSERT_EQUAL(run(op), 0);
    CU_ASSERT_EQUAL(oneop_last.extra.len, 3 * 8 + 24);
    CU_ASSERT_EQUAL(get_be32(oneop_last.extra.data + 8), 4000);
    op.off = UINT32_MAX;
    REFUSED(run(op), EINVAL);
}

/* --- references ------------------------------------------------------------------------------- */

static void test_purge(void)
{
    /* four files share slice 7; the second holds it twice, one piece is covered */
    uint64_t f[4];
    char name[2] = "a";
    const struct piece again = {1, {.pos = 0, .id = 7, .size = 100, .off = 50, .len = 10}};

    for (size_t i = 0; i < 4; i++, name[0]++) {
        f[i] = make_file(name, 0644);
        const struct piece p = {
            0, {.pos = 0, .id = 7, .size = 100, .off = 10 * (uint32_t)i, .len = 10}};
        CU_ASSERT_EQUAL(commit(f[i], &p, 1), 0);
    }
    CU_ASSERT_EQUAL(commit(f[1], &again, 1), 0);
    CU_ASSERT_EQUAL(write_at(f[1], 0, 20, 8), 0);
    redis_int("HSET sliceRef k7_100 4");
    REFUSED(run(purge_op(f[1], 100)), EBUSY);
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_UNLINK, .path = "b"}), 0);
    CU_ASSERT_EQUAL(number("HGET sliceRef k7_100", 0), 2);
    CU_ASSERT_EQUAL_FATAL(oneop_last.extra.len, 12);
    CU_ASSERT_EQUAL(get_be64(oneop_last.extra.data), 8);
    CU_ASSERT_EQUAL(get_be32(oneop_last.extra.data + 8), 20);
    CU_ASSERT_EQUAL(number("HGET sliceRef k8_20", 0), -1);
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_UNLINK, .path = "a"}), 0);
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_UNLINK, .path = "c"}), 0);
    CU_ASSERT_EQUAL(oneop_last.extra.len, 0);
    CU_ASSERT_EQUAL(number("HGET sliceRef k7_100", 0), 0);
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_UNLINK, .path = "d"}), 0);
    CU_ASSERT_EQUAL(oneop_last.extra.len, 12);

    struct op forget = {.kind = OP_FORGET};
    uint8_t both[24];
    put_be64(both, 7), put_be32(both + 8, 100);
    put_be64(both + 12, 9), put_be32(both + 20, 5);
    forget.data = both;
    forget.data_len = 24;
    redis_int("HSET sliceRef k9_5 0");
    CU_ASSERT_EQUAL(run(forget), 0);
    CU_ASSERT_EQUAL(redis_int("HEXISTS sliceRef k7_100"), 0);
    CU_ASSERT_EQUAL(redis_int("HEXISTS sliceRef k9_5"), 1); /* somebody refers to it */
    CU_ASSERT_EQUAL(redis_int("HEXISTS sliceRef k8_20"), 1);
    forget.data_len = 23;
    REFUSED(run(forget), EINVAL);
    CU_ASSERT_EQUAL(redis_int("KEYS c*"), 0);
}

static void test_purge_twice(void)
{
    uint64_t f = make_file("f", 0644);
    uint8_t held[8];

    for (uint32_t i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(write_at(f, i * CHUNK_BYTES, 5, 7 + i), 0);
    /* a record twice, which stock may leave: each holds a reference */
    redis_int("HSET sliceRef k7_5 1");
    redis_int("RPUSH c%" PRIu64 "_0 %b", f, "\0\0\0\0\0\0\0\0\0\0\0\7\0\0\0\5\0\0\0\0\0\0\0\5",
              (size_t)24);
    redis_int("RPUSH c%" PRIu64 "_2 short", f);
    put_be64(held, f);
    struct op op = {.kind = OP_UNLINK, .path = "f", .data = held, .data_len = 8};
    CU_ASSERT_EQUAL(run(op), 0);
    CU_ASSERT_EQUAL(oneop_last.rflags, OPR_GONE | OPR_DEFERRED);
    CU_ASSERT_EQUAL(redis_int("ZCARD delfiles"), 1);
    struct op chunks = on(OP_CHUNKS, f); /* who holds it open still reads it */
    chunks.len = 2;
    CU_ASSERT_EQUAL(run(chunks), 0);
    CU_ASSERT_EQUAL(oneop_last.extra.len, 2 * 8 + 3 * 24);
    CU_ASSERT_FALSE(oneop_last.has_attr);
    chunks.flags = 0;
    CU_ASSERT_EQUAL(run(chunks), -ENOENT);
    CU_ASSERT_EQUAL(run(purge_op(f, 2 * CHUNK_BYTES + 5)), 0);
    CU_ASSERT_EQUAL(oneop_last.extra.len, 36);
    CU_ASSERT_EQUAL(redis_int("EXISTS delfiles"), 0);
    CU_ASSERT_EQUAL(number("HGET sliceRef k7_5", 0), -1);
    CU_ASSERT_EQUAL(run(purge_op(f, 2 * CHUNK_BYTES + 5)), 0);
    CU_ASSERT_EQUAL(oneop_last.extra.len, 0);
    CU_ASSERT_EQUAL(number("HGET sliceRef k7_5", 0), -1);
    CU_ASSERT_EQUAL(redis_int("KEYS c*"), 0);
}

static void test_full_server(void)
{
    uint64_t f = make_file("f", 0644);

    CU_ASSERT_EQUAL(write_at(f, 0, 6, 7), 0);
    redis_int("CONFIG SET maxmemory 1");
    REFUSED(write_at(f, 6, 6, 8), ENOSPC);
    REFUSED(run(truncate_op(f, 100)), ENOSPC);
    redis_int("CONFIG SET maxmemory 0");
    CU_ASSERT_EQUAL(write_at(f, 6, 6, 8), 0);
}

/* clang-format off */
#define CASES(X) \
    X(repeated_write) X(mtime_differs) X(malformed_records) X(many_records) X(tail_is_kept) \
    X(open_descriptor) X(privileges) X(quota) X(no_name) X(far_away) X(huge) X(wrong_type) \
    X(chunk_limits) X(purge) X(purge_twice) X(full_server)
/* clang-format on */

#define FRESH(name)                                                                                \
    static void fresh_##name(void)                                                                 \
    {                                                                                              \
        oneop_begin(NULL);                                                                         \
        test_##name();                                                                             \
        oneop_end();                                                                               \
    }
CASES(FRESH)

static void small_capacity(void)
{
    struct setting v = volume_setting("/var/none/", 0);

    v.capacity_bytes = 16384;
    oneop_begin(&v);
    test_capacity();
    oneop_end();
}

int main(void)
{
    CU_TestInfo tests[] = {
#define ADD(name) {#name, fresh_##name},
        {"capacity", small_capacity},
        CASES(ADD) CU_TEST_INFO_NULL,
    };
    return suite_run("data", tests);
}
