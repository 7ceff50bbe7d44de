/*
 * Limits on a real Redis: capacity, inodes, directory quotas and moves between them, depth and size
 * of what a script looks at, permissions beyond the mode (ACL, groups), and servers that refuse.
 */
#include "tests/core/names.h"

static void test_volume_limits(void)
{
    begin(1);
    env.inodes = 3;
    OK(MKDIR("a"));
    OK(MKNOD("a/b"));
    OK(RUN(OP_SYMLINK, "c", .data = "x", .data_len = 1));
    REFUSED(MKNOD("d"), ENOSPC);
    REFUSED(MKDIR("d"), ENOSPC);
    REFUSED(RUN(OP_OPEN, "d", .flags = OPF_CREATE, .valid = 2), ENOSPC);
    OK(LINK("a/b", "d")); /* an inode more it is not */
    env.inodes = 0;
    env.capacity_bytes = 4 * 4096 - 1;
    REFUSED(MKNOD("e"), ENOSPC);
    env.capacity_bytes++;
    OK(MKNOD("e"));
    OK(UNLINK("e")); /* the trash's own directory is made whatever the limits are */
    CU_ASSERT_STRING_EQUAL(text("GET usedSpace"), "20480");
    end();
}

/* A failing op leaves every key as it was. */
static void test_refusals_write_nothing(void)
{
    char before[64];

    begin(1);
    OK(MKDIR("d", .ino = 10));
    OK(MKDIR("d/sub"));
    OK(MKNOD("d/f"));
    OK(MKNOD("g"));
    OK(RUN(OP_MKDIR, "mine", .mode = 01777));
    snprintf(before, sizeof(before), "%.60s", digest());
    REFUSED(MKDIR("d"), EEXIST);
    REFUSED(MKNOD("d/x", BY_ME), EACCES);
    REFUSED(RUN(OP_RMDIR, "d"), ENOTEMPTY);
    REFUSED(UNLINK("d/f", BY_ME), EACCES);
    REFUSED(RENAME("d", "d/sub/x"), EINVAL);
    REFUSED(RENAME("g", "d"), EISDIR);
    REFUSED(RENAME("d/sub", "g"), ENOTDIR);
    REFUSED(RENAME("g", "none", .flags = OPF_EXCHANGE), ENOENT);
    REFUSED(LINK("g", "d/f"), EEXIST);
    REFUSED(LINK("d", "e"), EPERM);
    REFUSED(RUN(OP_SYMLINK, "s", .data = NULL), ENOENT);
    env.inodes = 1;
    REFUSED(MKDIR("n"), ENOSPC);
    env.inodes = 0;
    redis("RENAME i9223372032828243968 keep");
    REFUSED(UNLINK("g"), ENOENT); /* no trash to go to */
    REFUSED(RENAME("d/f", "g"), ENOENT);
    redis("RENAME keep i9223372032828243968");
    CU_ASSERT_STRING_EQUAL(digest(), before);
    end();
}

static void make_quota(unsigned long long ino, long long space, long long inodes)
{
    uint8_t raw[16];

    put_be64(raw, (uint64_t)space);
    put_be64(raw + 8, (uint64_t)inodes);
    redis("HSET dirQuota %llu %b", ino, raw, sizeof(raw));
    redis("HSET dirQuotaUsedSpace %llu 0", ino);
    redis("HSET dirQuotaUsedInodes %llu 0", ino);
}

static long long used(const char *hash, unsigned long long ino)
{
    return atoll(text("HGET %s %llu", hash, ino));
}

#define QUOTA(ino, space, inodes)                                                                  \
    do {                                                                                           \
        CU_ASSERT_EQUAL(used("dirQuotaUsedSpace", ino), space);                                    \
        CU_ASSERT_EQUAL(used("dirQuotaUsedInodes", ino), inodes);                                  \
    } while (0)

static void test_quotas(void)
{
    begin(0);
    OK(MKDIR("a", .ino = 10));
    OK(MKDIR("a/b", .ino = 11));
    OK(MKDIR("a/b/c", .ino = 12));
    OK(MKDIR("z", .ino = 20));
    make_quota(10, 1 << 20, 5);
    make_quota(12, 8192, -1);
    make_quota(20, -1, 2);
    OK(MKNOD("a/b/c/f"));
    QUOTA(10, 4096, 1);
    QUOTA(12, 4096, 1);
    CU_ASSERT_EQUAL(redis("HEXISTS dirQuotaUsedInodes 11"), 0);
    OK(MKNOD("a/b/c/g"));
    REFUSED(MKNOD("a/b/c/h"), EDQUOT); /* space of c */
    OK(MKNOD("a/h"));
    OK(MKDIR("a/i"));
    OK(MKDIR("a/j"));
    QUOTA(10, 5 * 4096, 5);
    REFUSED(MKDIR("a/b/k"), EDQUOT); /* inodes of a */
    REFUSED(LINK("a/h", "a/k"), EDQUOT);
    /* within one quota nothing is counted; out of c its parent's stays */
    OK(RENAME("a/h", "a/b/h"));
    OK(RENAME("a/b/c/f", "a/b/f"));
    QUOTA(10, 5 * 4096, 5);
    QUOTA(12, 4096, 1);
    /* a full quota lets what it has move about below it */
    OK(RENAME("a/b/f", "a/b/c/f"));
    QUOTA(10, 5 * 4096, 5);
    QUOTA(12, 8192, 2);
    REFUSED(RENAME("a/b/h", "a/b/c/h"), EDQUOT);
    /* trees: a/b is itself, c, f, g, h */
    REFUSED(RENAME("a/b", "z/b"), EDQUOT);
    make_quota(20, -1, 100);
    OK(RENAME("a/b", "z/b"));
    QUOTA(20, 5 * 4096, 5);
    QUOTA(10, 0, 0);
    QUOTA(12, 8192, 2);
    OK(RENAME("z/b", "a/j", .flags = OPF_EXCHANGE));
    QUOTA(20, 4096, 1);
    QUOTA(10, 4 * 4096, 4);
    OK(UNLINK("a/j/c/f"));
    OK(RUN(OP_RMDIR, "a/i"));
    QUOTA(10, 2 * 4096, 2);
    /* a directory takes its quota along when it goes */
    OK(UNLINK("a/j/c/g"));
    OK(RUN(OP_RMDIR, "a/j/c"));
    CU_ASSERT_EQUAL(redis("HEXISTS dirQuota 12"), 0);
    CU_ASSERT_EQUAL(redis("HEXISTS dirQuotaUsedInodes 12"), 0);
    /* dir stats off: quotas are neither asked nor counted */
    env.flags &= ~(uint32_t)ENV_DIR_STATS;
    make_quota(20, 1, 1);
    OK(MKNOD("z/more"));
    QUOTA(20, 0, 0);
    end();
}

/* More entries than a script should count. */
static void test_tree_too_large(void)
{
    begin(0);
    OK(MKDIR("a", .ino = 10));
    OK(MKDIR("z", .ino = 20));
    OK(MKDIR("z/t", .ino = 21));
    make_quota(20, -1, -1);
    redis("EVAL %s 0",
          "for i = 1, 99999 do redis.call('HSET', 'd21', 'f' .. i, '\\4\\0\\0\\0\\0\\0\\1\\0\\0') "
          "end return 1");
    OK(RENAME("z/t", "a/t"));
    QUOTA(20, -100000LL * 4096, -100000);
    redis("EVAL %s 0", "redis.call('HSET', 'd21', 'g', '\\4\\0\\0\\0\\0\\0\\1\\0\\0') return 1");
    REFUSED(RENAME("a/t", "z/t"), EXDEV);
    OK(RENAME("a/t", "t")); /* no quota, nothing to count */
    end();
}

static void test_groups(void)
{
    uint32_t groups[OP_GROUPS_MAX];
    struct op_cred in = {.uid = ME, .gid = ME, .ngroups = OP_GROUPS_MAX, .groups = groups};

    for (uint32_t i = 0; i < OP_GROUPS_MAX; i++)
        groups[i] = 5000 + i;
    begin(0);
    OK(RUN(OP_MKDIR, "d", .mode = 0770, .cred = {.uid = 1, .gid = 5000 + OP_GROUPS_MAX - 1}));
    OK(MKNOD("d/f", .cred = in));
    groups[OP_GROUPS_MAX - 1] = 1;
    REFUSED(MKNOD("d/g", .cred = in), EACCES);
    /* the owner's bits count for the owner, though the group has more */
    OK(RUN(OP_MKNOD, "f", .mode = TYPE_FILE << 12 | 0070, .cred = {.uid = ME, .gid = ME}));
    REFUSED(RUN(OP_OPEN, "f", .valid = 4, BY_ME), EACCES);
    OK(RUN(OP_OPEN, "f", .valid = 6, .cred = {.uid = 1, .gid = ME}));
    end();
}

/* Rule 1 (format 3.6 k): u=6 g=4 m=6 o=4, user 1001: 6.  Rule 2 as a default: named group 2000: 7.
 */
static void test_acl(void)
{
    static const uint8_t rule1[] = "\0\6\0\4\0\6\0\4\0\0\0\1\0\0\3\351\0\6\0\0\0";
    static const uint8_t rule2[] = "\0\7\0\5\0\7\0\0\0\0\0\0\0\0\0\1\0\0\7\320\0\7";
    static const uint8_t minimal[] = "\0\7\0\5\377\377\0\1\0\0\0\0\0\0\0";
    uint8_t raw[ATTR_BYTES_MAX];
    struct attr a;

    begin(0);
    redis("HSET acl 1 %b 2 %b 3 %b", rule1, (size_t)22, rule2, (size_t)22, minimal, (size_t)16);
    redis("SET aclMaxId 3");
    OK(MKNOD("f", .ino = 10));
    a = last.attr;
    a.mode = 0664;
    a.uid = 5;
    a.gid = 6;
    a.access_acl = 1;
    redis("SET i10 %b", raw, attr_encode(&a, raw));
    OK(LOOKUP("f", .valid = 6, .cred = {.uid = 1001, .gid = 1}));
    REFUSED(LOOKUP("f", .valid = 2, .cred = {.uid = 1002, .gid = 1}), EACCES);
    OK(LOOKUP("f", .valid = 4, .cred = {.uid = 1002, .gid = 1}));
    REFUSED(LOOKUP("f", .valid = 2, .cred = {.uid = 1002, .gid = 6}), EACCES);
    OK(LOOKUP("f", .valid = 6, .cred = {.uid = 5, .gid = 1}));
    /* inherited: umask does not count, the mode narrows owner, mask and other */
    OK(MKDIR("d", .ino = 20));
    a = last.attr;
    a.default_acl = 2;
    redis("SET i20 %b", raw, attr_encode(&a, raw));
    OK(RUN(OP_MKNOD, "d/f", .mode = TYPE_FILE << 12 | 0666, .umask = 077, .ino = 21));
    CU_ASSERT_EQUAL(last.attr.mode, 0660);
    CU_ASSERT_EQUAL(last.attr.access_acl, 4);
    CU_ASSERT_EQUAL(last.attr.default_acl, 0);
    CU_ASSERT_EQUAL(
        memcmp(text("HGET acl 4"), "\0\6\0\5\0\6\0\0\0\0\0\0\0\0\0\1\0\0\7\320\0\7", 22), 0);
    OK(RUN(OP_MKNOD, "d/g", .mode = TYPE_FILE << 12 | 0666, .ino = 22));
    CU_ASSERT_EQUAL(last.attr.access_acl, 4);
    CU_ASSERT_EQUAL(redis("HLEN acl"), 4);
    OK(RUN(OP_MKDIR, "d/d", .mode = 0777, .umask = 077, .ino = 23));
    CU_ASSERT_EQUAL(last.attr.default_acl, 2);
    CU_ASSERT_EQUAL(last.attr.access_acl, 2);
    CU_ASSERT_EQUAL(last.attr.mode, 0770);
    OK(RUN(OP_SYMLINK, "d/s", .data = "x", .data_len = 1));
    CU_ASSERT_EQUAL(last.attr.mode, 0777);
    CU_ASSERT_EQUAL(last.attr.access_acl, 0);
    OK(MKNOD("d/d/by", .cred = {.uid = 9, .gid = 2000}));
    REFUSED(MKNOD("d/d/not", .cred = {.uid = 9, .gid = 2001}), EACCES);
    OK(MKDIR("m", .ino = 30));
    a = last.attr;
    a.default_acl = 3;
    redis("SET i30 %b", raw, attr_encode(&a, raw));
    OK(RUN(OP_MKNOD, "m/f", .mode = TYPE_FILE << 12 | 0666, .umask = 077));
    CU_ASSERT_EQUAL(last.attr.mode, 0640);
    CU_ASSERT_EQUAL(last.attr.access_acl, 0);
    end();
}

/* Deep and wide: the walk, the climb and a listing. */
static void test_depth(void)
{
    char path[PATH_LEN_MAX + 1] = "";
    uint64_t dir = INO_ROOT;

    begin(0);
    for (int i = 0; i < 2047; i++) {
        OK(MKDIR("d", .base = dir));
        dir = last.ino;
        strcat(path, i ? "/d" : "d");
    }
    CU_ASSERT_EQUAL(strlen(path), 4093);
    OK(LOOKUP(path));
    CU_ASSERT_EQUAL(last.ino, dir);
    OK(RUN(OP_PATHOF, "", .base = dir));
    CU_ASSERT_EQUAL(last.extra.len, 4094);
    REFUSED(RENAME("d", "x", .base2 = dir), EINVAL);
    OK(MKNOD("f", .base = dir));
    OK(RENAME("f", "f", .base = dir));
    OK(RUN(OP_READDIR, "", .base = dir));
    end();
}

/* An unreachable loop, as a rename below itself by a client without checks leaves it. */
static void test_loop(void)
{
    begin(0);
    OK(MKDIR("a", .ino = 10));
    OK(MKDIR("a/b", .ino = 11));
    OK(MKDIR("x"));
    redis("RENAME d1 d11");
    redis("HSET d1 x %b", "\2\0\0\0\0\0\0\0\144", (size_t)9);
    redis("SETRANGE i10 63 %b", "\0\0\0\0\0\0\0\13", (size_t)8);
    make_quota(1, -1, -1);
    REFUSED(RENAME("x", "x", .base2 = 10), ELOOP);
    CU_ASSERT(RUN(OP_PATHOF, "", .base = 11) < 0);
    OK(MKNOD("f", .base = 10));
    OK(LOOKUP("b/a/../../b/a/f", .base = 10));
    end();
}

static void test_servers_that_refuse(void)
{
    begin(0);
    OK(MKDIR("d"));
    redis("CONFIG SET maxmemory 1");
    REFUSED(MKDIR("x"), ENOSPC);
    REFUSED(MKNOD("d/f"), ENOSPC);
    OK(LOOKUP("d"));
    OK(RUN(OP_READDIR, ""));
    redis("CONFIG SET maxmemory 0");
    REFUSED(LOOKUP("x"), ENOENT);
    OK(MKDIR("x"));
    redis("REPLICAOF 127.0.0.1 1");
    REFUSED(MKDIR("y"), EROFS);
    OK(LOOKUP("d"));
    redis("REPLICAOF NO ONE");
    OK(MKDIR("y"));
    end();
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"capacity and inodes", test_volume_limits},
        {"a refusal writes nothing", test_refusals_write_nothing},
        {"directory quotas", test_quotas},
        {"a tree too large to count", test_tree_too_large},
        {"groups", test_groups},
        {"ACL", test_acl},
        {"deep paths", test_depth},
        {"a loop of directories", test_loop},
        {"servers that refuse", test_servers_that_refuse},
        CU_TEST_INFO_NULL,
    };
    return names_main("limits of names", tests);
}
