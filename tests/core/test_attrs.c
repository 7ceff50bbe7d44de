/*
 * setattr and extended attributes where a stock mount cannot be asked: flags that its kernel does
 * not know, ACL rules, the trash, what must not be written, names that it would store.
 */
#include "tests/lib/oneop.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <inttypes.h>
#include <stdio.h>

static const struct op_cred me = {.uid = ME, .gid = ME};
static const struct op_cred other = {.uid = ME + 1, .gid = ME + 1};
static const struct op_cred root;

static struct op set_op(const char *path, uint32_t valid, const struct op_cred *who)
{
    return (struct op){.kind = OP_SETATTR,
                       .path = path,
                       .valid = valid,
                       .cred = *who,
                       .now = {3000, 5},
                       .new_uid = ME,
                       .new_gid = ME};
}

static int set(const char *path, uint32_t valid, const struct op_cred *who)
{
    return run(set_op(path, valid, who));
}

static int chmod_as(const char *path, uint32_t mode, const struct op_cred *who)
{
    struct op op = set_op(path, SET_MODE, who);

    op.mode = mode;
    return run(op);
}

static int chattr_as(const char *path, uint32_t flags, const struct op_cred *who)
{
    struct op op = set_op(path, SET_FLAGS, who);

    op.mode = flags;
    return run(op);
}

static struct op xattr_op(uint8_t kind, const char *name, const struct op_cred *who)
{
    return (struct op){
        .kind = kind, .path = "f", .path2 = name, .cred = *who, .data = "value", .data_len = 5};
}

static int xattr(uint8_t kind, const char *name, const struct op_cred *who)
{
    return run(xattr_op(kind, name, who));
}

/* The op's code is as said and it wrote nothing. */
#define WRITES_NOTHING(op_call, rc)                                                                \
    do {                                                                                           \
        char before[64];                                                                           \
        snprintf(before, sizeof(before), "%s", digest());                                          \
        CU_ASSERT_EQUAL(op_call, rc);                                                              \
        CU_ASSERT_STRING_EQUAL(before, digest());                                                  \
    } while (0)

/* --- setattr ---------------------------------------------------------------------------------- */

static void test_nothing_changed(void)
{
    make_file("f", 0644);
    struct attr a = attr_of("f");
    struct op op = set_op("f", SET_MODE, &root);

    op.mode = 0644;
    WRITES_NOTHING(run(op), 0);
    op.valid = SET_UID | SET_GID;
    op.new_uid = op.new_gid = 0;
    WRITES_NOTHING(run(op), 0);
    op.valid = SET_ATIME | SET_MTIME;
    op.atime = a.atime;
    op.mtime = a.mtime;
    WRITES_NOTHING(run(op), 0);
    op.valid = 0;
    WRITES_NOTHING(run(op), 0);
    WRITES_NOTHING(run((struct op){.kind = OP_SETATTR, .path = "f", .cred = other}), 0);
    op.valid = SET_MODE | SET_FLAGS;
    WRITES_NOTHING(run(op), -EINVAL);
    op.valid = 256;
    WRITES_NOTHING(run(op), -EINVAL);
    op.valid = SET_MODE;
    op.path = "none";
    WRITES_NOTHING(run(op), -ENOENT);
    op.path = "f/";
    WRITES_NOTHING(run(op), -ENOTDIR);
}

static void test_frozen(void)
{
    static const uint32_t kinds[] = {ATTR_IMMUTABLE, ATTR_APPEND, ATTR_IMMUTABLE | ATTR_APPEND};

    make_file("f", 0666);
    CU_ASSERT_EQUAL(set("f", SET_UID, &root), 0);
    for (size_t i = 0; i < 3; i++) {
        const bool immutable = kinds[i] & ATTR_IMMUTABLE;

        WRITES_NOTHING(chattr_as("f", kinds[i], &me), -EPERM);
        CU_ASSERT_EQUAL(chattr_as("f", kinds[i], &root), 0);
        CU_ASSERT_EQUAL(oneop_last.attr.ctime.sec, 3000);
        WRITES_NOTHING(chmod_as("f", 0600, &root), -EPERM);
        WRITES_NOTHING(chmod_as("f", 0600, &me), -EPERM);
        WRITES_NOTHING(set("f", SET_UID, &root), -EPERM);
        WRITES_NOTHING(set("f", SET_GID, &root), -EPERM);
        WRITES_NOTHING(set("f", SET_ATIME, &root), -EPERM);
        WRITES_NOTHING(set("f", SET_ATIME_NOW, &root), -EPERM);
        WRITES_NOTHING(set("f", SET_ATIME_NOW | SET_MTIME, &me), -EPERM);
        if (immutable)
            WRITES_NOTHING(set("f", SET_ATIME_NOW | SET_MTIME_NOW, &me), -EPERM);
        else
            CU_ASSERT_EQUAL(set("f", SET_ATIME_NOW | SET_MTIME_NOW, &other), 0);
        WRITES_NOTHING(xattr(OP_SETXATTR, "user.a", &root), -EPERM);
        WRITES_NOTHING(xattr(OP_REMOVEXATTR, "user.a", &root), -EPERM);
        WRITES_NOTHING(chattr_as("f", 0, &me), -EPERM);
        WRITES_NOTHING(chattr_as("f", kinds[i], &other), -EPERM);
        CU_ASSERT_EQUAL(chattr_as("f", kinds[i] | ATTR_SKIP_TRASH, &me), 0);
        CU_ASSERT_EQUAL(oneop_last.attr.flags, kinds[i] | ATTR_SKIP_TRASH);
        CU_ASSERT_EQUAL(chattr_as("f", 0, &root), 0);
    }
    CU_ASSERT_EQUAL(chmod_as("f", 0600, &me), 0);
}

static void test_old_times(void)
{
    struct op op = set_op("f", SET_ATIME | SET_MTIME, &root);

    make_file("f", 0644);
    op.atime = (struct moment){-1, 999999999};
    op.mtime = (struct moment){0, 1};
    CU_ASSERT_EQUAL(run(op), 0);
    CU_ASSERT_EQUAL(oneop_last.attr.atime.sec, 3000); /* as a stock mount: now */
    CU_ASSERT_EQUAL(oneop_last.attr.atime.nsec, 5);
    CU_ASSERT_EQUAL(oneop_last.attr.mtime.sec, 0);
    CU_ASSERT_EQUAL(oneop_last.attr.mtime.nsec, 1);
    op.cred = me;
    WRITES_NOTHING(run(op), -EPERM);
}

static void test_links_and_trash(void)
{
    struct op link = {.kind = OP_SYMLINK, .path = "l", .data = "f", .data_len = 1};
    uint64_t f = make_file("f", 0644);

    CU_ASSERT_EQUAL(meta_new_inode(oneop_meta, &link.ino), 0);
    CU_ASSERT_EQUAL(run(link), 0);
    struct op op = set_op("l", SET_MODE, &root);
    op.flags = OPF_NOFOLLOW;
    op.mode = 0600;
    WRITES_NOTHING(run(op), -EOPNOTSUPP);
    op.flags = 0;
    CU_ASSERT_EQUAL(run(op), 0);
    CU_ASSERT_EQUAL(oneop_last.ino, f);
    CU_ASSERT_EQUAL(attr_of("f").mode, 0600);
    CU_ASSERT_EQUAL(attr_of("l").mode, 0777);

    WRITES_NOTHING(chmod_as(".trash", 0777, &root), -EPERM);
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_UNLINK, .path = "f"}), 0);
    CU_ASSERT_EQUAL(oneop_last.rflags & OPR_TRASHED, OPR_TRASHED);
    op = set_op("", SET_MODE, &root);
    op.base = f;
    op.mode = 0640;
    WRITES_NOTHING(run(op), -EPERM);
    op.flags = OPF_BY_FD;
    CU_ASSERT_EQUAL(run(op), 0);
    struct op cut = {.kind = OP_TRUNCATE, .base = f, .len = 5};
    WRITES_NOTHING(run(cut), -EPERM);
    cut.flags = OPF_BY_FD;
    CU_ASSERT_EQUAL(run(cut), 0);
}

/* chmod of what has an access rule changes the rule, not the group's bits of the mode alone. */
static void test_acl(void)
{
    /* user:: rw, group:: r, mask rw, other r, user 1001 rw */
    static const char rule[] = "\0\6\0\4\0\6\0\4\0\0\0\1\0\0\3\xe9\0\6\0\0\0\0";
    char raw[82];
    uint64_t f = make_file("f", 0664);

    CU_ASSERT_EQUAL_FATAL(server_text(oneop_server, raw, sizeof(raw), "GET i%" PRIu64, f), 72);
    memcpy(raw + 71, "\0\0\0\1\0\0\0\0\0", 9);
    redis_int("SET i%" PRIu64 " %b", f, raw, (size_t)80);
    redis_int("HSET acl 1 %b", rule, sizeof(rule) - 1);
    redis_int("SET aclMaxId 1");
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_LOOKUP, .path = "f", .valid = 2, .cred = other}), 0);
    WRITES_NOTHING(chmod_as("f", 0664, &root), 0);
    CU_ASSERT_EQUAL(chmod_as("f", 04640, &root), 0);
    CU_ASSERT_EQUAL(oneop_last.attr.mode, 04640);
    CU_ASSERT_EQUAL(oneop_last.attr.access_acl, 2);
    CU_ASSERT_EQUAL(server_text(oneop_server, raw, sizeof(raw), "HGET acl 2"), sizeof(rule) - 1);
    CU_ASSERT_EQUAL(memcmp(raw, "\0\6\0\4\0\4\0\0", 8), 0);
    CU_ASSERT_EQUAL(memcmp(raw + 8, rule + 8, sizeof(rule) - 9), 0);
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_LOOKUP, .path = "f", .valid = 2, .cred = other}),
                    -EACCES);
    CU_ASSERT_EQUAL(run((struct op){.kind = OP_LOOKUP, .path = "f", .valid = 4, .cred = other}), 0);
    CU_ASSERT_EQUAL(chmod_as("f", 0664, &root), 0);
    CU_ASSERT_EQUAL(oneop_last.attr.access_acl, 1); /* the rule was known */
    CU_ASSERT_EQUAL(redis_int("HLEN acl"), 2);
}

/* --- extended attributes ---------------------------------------------------------------------- */

static void test_names(void)
{
    static const struct {
        const char *name;
        int set, get;
    } names[] = {
        {"user.", EINVAL, EINVAL},
        {"trusted.", EINVAL, EINVAL},
        {"user", EOPNOTSUPP, EOPNOTSUPP},
        {"userx.a", EOPNOTSUPP, EOPNOTSUPP},
        {"lastBackup", EOPNOTSUPP, EOPNOTSUPP},
        {"system.other", EOPNOTSUPP, EOPNOTSUPP},
        {"security.selinux", EOPNOTSUPP, ENODATA},
        {"system.posix_acl_default", EOPNOTSUPP, ENODATA},
        {"", ERANGE, ERANGE},
        {"user.none", ENODATA, ENODATA},
    };
    uint64_t f = make_file("f", 0644);

    redis_int("HSET x%" PRIu64 " lastBackup now security.x y user.a b trusted.t u", f);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct op op = xattr_op(OP_SETXATTR, names[i].name, &root);
        op.mode = 2; /* replace */
        WRITES_NOTHING(run(op), -names[i].set);
        WRITES_NOTHING(xattr(OP_GETXATTR, names[i].name, &root), -names[i].get);
        WRITES_NOTHING(xattr(OP_REMOVEXATTR, names[i].name, &root), -names[i].set);
    }
    CU_ASSERT_EQUAL(xattr(OP_LISTXATTR, "", &root), 0);
    CU_ASSERT_EQUAL(oneop_last.extra.len, 7 + 10);
    CU_ASSERT_EQUAL(xattr(OP_LISTXATTR, "", &other), 0);
    CU_ASSERT_EQUAL(oneop_last.extra.len, 7);
    CU_ASSERT_EQUAL(memcmp(oneop_last.extra.data, "user.a", 7), 0);
    struct op op = xattr_op(OP_SETXATTR, "user.a", &root);
    for (uint32_t how = 1; how <= 4; how++) {
        op.mode = how;
        CU_ASSERT_EQUAL(run(op), how == 2 ? 0 : how == 4 ? -EINVAL : -EEXIST);
    }
    CU_ASSERT_EQUAL(attr_of("f").ctime.sec, oneop_last.attr.ctime.sec);
    CU_ASSERT_EQUAL(xattr(OP_GETXATTR, "user.a", &other), 0);
    CU_ASSERT_EQUAL(oneop_last.extra.len, 5);
    op.mode = 0;
    op.base = 4444;
    op.path = "";
    WRITES_NOTHING(run(op), -ENOENT); /* stock would store it */
}

static void test_binary_value(void)
{
    static char value[65537];
    struct op op = xattr_op(OP_SETXATTR, "user.b", &root);

    make_file("f", 0644);
    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = (char)(i * 7);
    op.data = value;
    op.data_len = sizeof(value);
    WRITES_NOTHING(run(op), -E2BIG);
    op.data_len = sizeof(value) - 1;
    CU_ASSERT_EQUAL(run(op), 0);
    CU_ASSERT_EQUAL(xattr(OP_GETXATTR, "user.b", &root), 0);
    CU_ASSERT_EQUAL_FATAL(oneop_last.extra.len, sizeof(value) - 1);
    CU_ASSERT_EQUAL(memcmp(oneop_last.extra.data, value, sizeof(value) - 1), 0);
    CU_ASSERT_EQUAL(xattr(OP_REMOVEXATTR, "user.b", &root), 0);
    CU_ASSERT_EQUAL(redis_int("KEYS x*"), 0);
}

/* clang-format off */
#define CASES(X) \
    X(nothing_changed) X(frozen) X(old_times) X(acl) X(names) X(binary_value)
/* clang-format on */

#define FRESH(name)                                                                                \
    static void fresh_##name(void)                                                                 \
    {                                                                                              \
        oneop_begin(NULL);                                                                         \
        test_##name();                                                                             \
        oneop_end();                                                                               \
    }
CASES(FRESH)

static void with_trash(void)
{
    struct setting v = volume_setting("/var/none/", 1);

    oneop_begin(&v);
    test_links_and_trash();
    oneop_end();
}

int main(void)
{
    CU_TestInfo tests[] = {
#define ADD(name) {#name, fresh_##name},
        {"links and trash", with_trash},
        CASES(ADD) CU_TEST_INFO_NULL,
    };
    return suite_run("attrs", tests);
}
