/*
 * test_op.c - the encoding of a request.  The bytes below are what lua/lib_op.lua reads: a change
 * here is a change of OP_VERSION.
 */
#include "core/op/op.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t two_groups[] = {27, 0xFFFFFFFE};

static const struct op sample = {
    .kind = OP_RENAME,
    .umask = 022,
    .flags = OPF_NOREPLACE | OPF_NOFOLLOW,
    .valid = SET_MODE | SET_MTIME,
    .cred = {.uid = 1000, .gid = 1001, .ngroups = 2, .groups = two_groups},
    .now = {.sec = 1754000000, .nsec = 999999999},
    .base = 1,
    .base2 = INO_TRASH,
    .ino = 2050,
    .mode = 0100644,
    .rdev = 0x0801,
    .new_uid = 7,
    .new_gid = 8,
    .atime = {.sec = -1, .nsec = 1},
    .mtime = {.sec = 1754000001, .nsec = 2},
    .off = UINT64_C(1) << 40,
    .len = 4096,
    .sid = 3,
    .path = "a/b",
    .path2 = "c",
    .data = "\0\1\2",
    .data_len = 3,
};

static const char sample_hex[] = "01"
                                 "0f"
                                 "0012"
                                 "00000041"
                                 "00000011"
                                 "000003e8"
                                 "000003e9"
                                 "00000000688bea80"
                                 "3b9ac9ff"
                                 "0000000000000001"
                                 "7fffffff10000000"
                                 "0000000000000802"
                                 "000081a4"
                                 "00000801"
                                 "00000007"
                                 "00000008"
                                 "ffffffffffffffff"
                                 "00000001"
                                 "00000000688bea81"
                                 "00000002"
                                 "0000010000000000"
                                 "0000000000001000"
                                 "0000000000000003"
                                 "0002"
                                 "0000001b"
                                 "fffffffe"
                                 "0003"
                                 "612f62"
                                 "0001"
                                 "63"
                                 "00000003"
                                 "000102";

static void to_hex(const struct buf *b, char *out)
{
    for (size_t i = 0; i < b->len; i++)
        sprintf(out + 2 * i, "%02x", b->data[i]);
    out[2 * b->len] = 0;
}

static void test_fixed_bytes(void)
{
    struct buf b = {0};
    char hex[1024];

    op_encode(&sample, &b);
    CU_ASSERT_EQUAL_FATAL(buf_ok(&b), 0);
    CU_ASSERT_FATAL(b.len * 2 < sizeof hex);
    to_hex(&b, hex);
    CU_ASSERT_STRING_EQUAL(hex, sample_hex);
    buf_free(&b);
}

static void test_env_bytes(void)
{
    struct op_env env = {
        .flags = ENV_TRASH | ENV_DIR_STATS,
        .capacity_bytes = UINT64_C(10) << 30,
        .inodes = 1000,
        .skip_dir_mtime_ms = 100,
        .mount = "/jfs",
    };
    struct buf b = {0};
    char hex[128];

    op_env_encode(&env, &b);
    to_hex(&b, hex);
    CU_ASSERT_STRING_EQUAL(hex, "00000003"
                                "0000000280000000"
                                "00000000000003e8"
                                "00000064"
                                "0004"
                                "2f6a6673");
    buf_clear(&b);
    env.mount = NULL;
    op_env_encode(&env, &b);
    CU_ASSERT_EQUAL(b.len, 4 + 8 + 8 + 4 + 2);
    buf_free(&b);
}

static void same(const struct op *a, const struct op *b)
{
    struct op x = *a, y = *b;

    CU_ASSERT_STRING_EQUAL(x.path != NULL ? x.path : "", y.path);
    CU_ASSERT_STRING_EQUAL(x.path2 != NULL ? x.path2 : "", y.path2);
    CU_ASSERT_EQUAL_FATAL(x.data_len, y.data_len);
    CU_ASSERT(x.data_len == 0 || memcmp(x.data, y.data, x.data_len) == 0);
    CU_ASSERT_EQUAL_FATAL(x.cred.ngroups, y.cred.ngroups);
    for (uint16_t i = 0; i < x.cred.ngroups; i++)
        CU_ASSERT_EQUAL(x.cred.groups[i], y.cred.groups[i]);
    CU_ASSERT_EQUAL(x.kind, y.kind);
    CU_ASSERT_EQUAL(x.umask, y.umask);
    CU_ASSERT_EQUAL(x.flags, y.flags);
    CU_ASSERT_EQUAL(x.valid, y.valid);
    CU_ASSERT_EQUAL(x.cred.uid, y.cred.uid);
    CU_ASSERT_EQUAL(x.cred.gid, y.cred.gid);
    CU_ASSERT(x.now.sec == y.now.sec && x.now.nsec == y.now.nsec);
    CU_ASSERT(x.base == y.base && x.base2 == y.base2 && x.ino == y.ino);
    CU_ASSERT(x.mode == y.mode && x.rdev == y.rdev);
    CU_ASSERT(x.new_uid == y.new_uid && x.new_gid == y.new_gid);
    CU_ASSERT(x.atime.sec == y.atime.sec && x.atime.nsec == y.atime.nsec);
    CU_ASSERT(x.mtime.sec == y.mtime.sec && x.mtime.nsec == y.mtime.nsec);
    CU_ASSERT(x.off == y.off && x.len == y.len && x.sid == y.sid);
}

static void round_trip(const struct op *op)
{
    struct op_room room;
    struct op back;
    struct buf b = {0};

    op_encode(op, &b);
    CU_ASSERT_EQUAL_FATAL(op_decode(b.data, b.len, &back, &room), 0);
    same(op, &back);
    buf_free(&b);
}

static void test_round_trip(void)
{
    static char longest[PATH_LEN_MAX + 1], data[70000];
    static uint32_t groups[OP_GROUPS_MAX];
    struct op op = {.kind = OP_STATFS};

    round_trip(&sample);
    round_trip(&op);
    memset(longest, 'n', PATH_LEN_MAX);
    for (uint32_t i = 0; i < OP_GROUPS_MAX; i++)
        groups[i] = i * 77;
    op = sample;
    op.kind = OP_LOOKUP;
    op.path = op.path2 = longest;
    op.data = data;
    op.data_len = sizeof data;
    op.cred.groups = groups;
    op.cred.ngroups = OP_GROUPS_MAX;
    round_trip(&op);
    for (uint8_t kind = 1; kind < OP_KINDS; kind++) {
        op = (struct op){.kind = kind, .path = "x"};
        round_trip(&op);
    }
}

static void test_limits(void)
{
    static uint32_t groups[OP_GROUPS_MAX + 5];
    static char text[UINT16_MAX + 2];
    struct op op = {.kind = OP_LOOKUP, .cred = {.ngroups = OP_GROUPS_MAX + 5, .groups = groups}};
    struct op_room room;
    struct op back;
    struct buf b = {0};

    op_encode(&op, &b); /* too many groups are cut */
    CU_ASSERT_EQUAL_FATAL(op_decode(b.data, b.len, &back, &room), 0);
    CU_ASSERT_EQUAL(back.cred.ngroups, OP_GROUPS_MAX);
    buf_clear(&b);
    op.cred.ngroups = 0;
    memset(text, 'n', UINT16_MAX + 1);
    op.path = text;
    op_encode(&op, &b); /* a path is never cut */
    CU_ASSERT_EQUAL(buf_ok(&b), -ENOMEM);
    buf_clear(&b);
    text[PATH_LEN_MAX + 1] = 0;
    op_encode(&op, &b);
    CU_ASSERT_EQUAL(buf_ok(&b), 0);
    CU_ASSERT_EQUAL(op_decode(b.data, b.len, &back, &room), -EINVAL);
    buf_free(&b);
}

static void test_bad_bytes(void)
{
    struct op_room room;
    struct op back;
    struct buf b = {0};
    uint8_t *copy;

    op_encode(&sample, &b);
    for (size_t len = 0; len < b.len; len++) {
        copy =
            malloc(len != 0 ? len : 1); /* of exactly this size, so that a read behind it is seen */
        CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
        memcpy(copy, b.data, len);
        CU_ASSERT_EQUAL(op_decode(copy, len, &back, &room), -EINVAL);
        free(copy);
    }
    buf_add(&b, "x", 1);
    CU_ASSERT_EQUAL(op_decode(b.data, b.len, &back, &room), -EINVAL);
    b.len--;
    CU_ASSERT_EQUAL(op_decode(b.data, b.len, &back, &room), 0);
    b.data[0] = OP_VERSION + 1;
    CU_ASSERT_EQUAL(op_decode(b.data, b.len, &back, &room), -EINVAL);
    b.data[0] = OP_VERSION;
    b.data[1] = 0;
    CU_ASSERT_EQUAL(op_decode(b.data, b.len, &back, &room), -EINVAL);
    b.data[1] = OP_KINDS;
    CU_ASSERT_EQUAL(op_decode(b.data, b.len, &back, &room), -EINVAL);
    b.data[1] = OP_RENAME;
    b.data[OP_HEADER_BYTES + 2 + 8 + 2] = 0; /* a NUL in the path */
    CU_ASSERT_EQUAL(op_decode(b.data, b.len, &back, &room), -EINVAL);
    /* bytes at random never read outside */
    srand(1);
    for (int round = 0; round < 20000; round++) {
        b.data[0] = OP_VERSION;
        b.data[1] = OP_RENAME;
        b.data[OP_HEADER_BYTES + (unsigned)rand() % (b.len - OP_HEADER_BYTES)] = (uint8_t)rand();
        op_decode(b.data, b.len, &back, &room);
    }
    buf_free(&b);
}

static void test_names(void)
{
    CU_ASSERT_STRING_EQUAL(op_kind_name(OP_LOOKUP), "lookup");
    CU_ASSERT_STRING_EQUAL(op_kind_name(OP_FORGET), "forget");
    CU_ASSERT_STRING_EQUAL(op_kind_name(0), "unknown");
    CU_ASSERT_STRING_EQUAL(op_kind_name(OP_KINDS), "unknown");
    for (uint8_t kind = 1; kind < OP_KINDS; kind++)
        CU_ASSERT_PTR_NOT_NULL(op_kind_name(kind));
}

static void test_result_free(void)
{
    struct op_result r = {.code = 1};

    buf_add(&r.extra, "abc", 3);
    op_result_free(&r);
    op_result_free(&r);
    CU_ASSERT_PTR_NULL(r.extra.data);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"bytes of a request", test_fixed_bytes},
        {"bytes of the environment", test_env_bytes},
        {"there and back", test_round_trip},
        {"limits", test_limits},
        {"bad bytes", test_bad_bytes},
        {"names of kinds", test_names},
        {"a result is freed", test_result_free},
        CU_TEST_INFO_NULL,
    };
    return suite_run("op", tests);
}
