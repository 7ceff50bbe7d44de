/*
 * test_format.c - attributes, entries and key names, against what a stock client (1.4.2) wrote.
 */
#include "core/format/attr.h"
#include "core/format/keys.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Text of hex digits and spaces to bytes. */
static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t n = 0;

    for (unsigned byte; sscanf(hex, " %2x", &byte) == 1; n++) {
        out[n] = (uint8_t)byte;
        while (*hex == ' ')
            hex++;
        hex += 2;
    }
    return n;
}

/* --- attributes ------------------------------------------------------------------------------- */

/* Written by a stock mount. */
static const struct {
    const char *what, *hex;
    uint8_t type;
    uint16_t mode;
    uint32_t uid, gid, nlink, rdev;
    uint64_t length, parent;
    struct moment atime, ctime;
} stock[] = {
    {"root",
     "0021ff0000000000000000000000006b01a0a700000000000000006b01a0c418f8cbb3000000006b01a0c418f8cbb"
     "3"
     "00000003000000000000100000000000000000000000000100",
     TYPE_DIRECTORY,
     0777,
     0,
     0,
     3,
     0,
     4096,
     1,
     {0x6b01a0a7, 0},
     {0x6b01a0c4, 0x18f8cbb3}},
    {"trash root",
     "00216d0000000000000000000000006b01a0a700000000000000006b01a0a700000000000000006b01a0a70000000"
     "0"
     "00000002000000000000100000000000000000000000000100",
     TYPE_DIRECTORY,
     0555,
     0,
     0,
     2,
     0,
     4096,
     1,
     {0x6b01a0a7, 0},
     {0x6b01a0a7, 0}},
    {"file with setuid, times set",
     "0019ed000003e8000003e900000000688c0380075bcd15000000006b01a0c42176142c000000006b01a0c42176142"
     "c"
     "0000000100000000042c1d8000000000000000000000000200",
     TYPE_FILE,
     04755,
     1000,
     1001,
     1,
     0,
     70000000,
     2,
     {1754006400, 123456789},
     {0x6b01a0c4, 0x2176142c}},
    {"symlink",
     "0031ff0000000000000000000000006b01a0c41b6a61c2000000006b01a0c41b6a61c2000000006b01a0c41b6a61c"
     "2"
     "00000001000000000000000600000000000000000000000200",
     TYPE_SYMLINK,
     0777,
     0,
     0,
     1,
     0,
     6,
     2,
     {0x6b01a0c4, 0x1b6a61c2},
     {0x6b01a0c4, 0x1b6a61c2}},
    {"fifo",
     "0041a40000000000000000000000006b01a0c41b845ad1000000006b01a0c41b845ad1000000006b01a0c41b845ad"
     "1"
     "00000001000000000000000000000000000000000000000200",
     TYPE_FIFO,
     0644,
     0,
     0,
     1,
     0,
     0,
     2,
     {0x6b01a0c4, 0x1b845ad1},
     {0x6b01a0c4, 0x1b845ad1}},
    {"block device 8:1",
     "0051a40000000000000000000000006b01a0c41bad80c3000000006b01a0c41bad80c3000000006b01a0c41bad80c"
     "3"
     "00000001000000000000000000000801000000000000000200",
     TYPE_BLOCKDEV,
     0644,
     0,
     0,
     1,
     0x801,
     0,
     2,
     {0x6b01a0c4, 0x1bad80c3},
     {0x6b01a0c4, 0x1bad80c3}},
    {"character device 1:3",
     "0061a40000000000000000000000006b01a0c41b9b093d000000006b01a0c41b9b093d000000006b01a0c41b9b093"
     "d"
     "00000001000000000000000000000103000000000000000200",
     TYPE_CHARDEV,
     0644,
     0,
     0,
     1,
     0x103,
     0,
     2,
     {0x6b01a0c4, 0x1b9b093d},
     {0x6b01a0c4, 0x1b9b093d}},
    {"socket",
     "0071ed0000000000000000000000006b01a0c420285f66000000006b01a0c420285f66000000006b01a0c420285f6"
     "6"
     "00000001000000000000000000000000000000000000000200",
     TYPE_SOCKET,
     0755,
     0,
     0,
     1,
     0,
     0,
     2,
     {0x6b01a0c4, 0x20285f66},
     {0x6b01a0c4, 0x20285f66}},
    {"file with two links, parents elsewhere",
     "0011a40000000000000000000000006b01a0c4208ce7b4000000006b01a0c420bba509000000006b01a0c420d845c"
     "2"
     "00000002000000000000000500000000000000000000000000",
     TYPE_FILE,
     0644,
     0,
     0,
     2,
     0,
     5,
     0,
     {0x6b01a0c4, 0x208ce7b4},
     {0x6b01a0c4, 0x20d845c2}},
};

static void test_attr_of_stock(void)
{
    for (size_t i = 0; i < sizeof stock / sizeof stock[0]; i++) {
        uint8_t raw[ATTR_BYTES_MAX], back[ATTR_BYTES_MAX];
        size_t len = from_hex(stock[i].hex, raw);
        struct attr a;

        CU_ASSERT_EQUAL_FATAL(len, 72);
        CU_ASSERT_EQUAL_FATAL(attr_decode(raw, len, &a), 0);
        CU_ASSERT_EQUAL(a.type, stock[i].type);
        CU_ASSERT_EQUAL(a.mode, stock[i].mode);
        CU_ASSERT(a.uid == stock[i].uid && a.gid == stock[i].gid);
        CU_ASSERT(a.nlink == stock[i].nlink && a.rdev == stock[i].rdev);
        CU_ASSERT(a.length == stock[i].length && a.parent == stock[i].parent);
        CU_ASSERT(a.atime.sec == stock[i].atime.sec && a.atime.nsec == stock[i].atime.nsec);
        CU_ASSERT(a.ctime.sec == stock[i].ctime.sec && a.ctime.nsec == stock[i].ctime.nsec);
        CU_ASSERT(a.flags == 0 && a.tier == 0 && a.access_acl == 0 && a.default_acl == 0);
        CU_ASSERT_EQUAL_FATAL(attr_encode(&a, back), len);
        CU_ASSERT(memcmp(raw, back, len) == 0);
    }
}

static const char fixed[] = "23 11a4 000003e8 000003e8 00000000688bea80 00000001"
                            " 00000000688bea81 1dcd6500 00000000688bea82 3b9ac9ff 00000001"
                            " 00000000004c4b40 00000000";

/* The tails that exist, by length; what a rewrite makes of each. */
static void test_attr_tails(void)
{
    static const struct {
        const char *tail;
        size_t len, rewritten;
        uint64_t parent;
        uint32_t access, dflt;
        uint8_t tier;
    } rows[] = {
        {"", 63, 72, 0, 0, 0, 0},
        {"00000000000000", 70, 72, 0, 0, 0, 0}, /* less than a parent is none */
        {"7fffffff10000001", 71, 72, INO_TRASH + 1, 0, 0, 0},
        {"0000000000000001 00", 72, 72, 1, 0, 0, 0},
        {"0000000000000001 02", 72, 73, 1, 0, 0, 2}, /* the byte there is the tier */
        {"0000000000000001 02 00", 73, 73, 1, 0, 0, 2},
        {"0000000000000001 00000001 00000000", 79, 80, 1, 1, 0, 0},
        {"0000000000000001 00000001 00000000 00", 80, 80, 1, 1, 0, 0},
        {"0000000000000001 00000000 00000007 00", 80, 80, 1, 0, 7, 0},
        {"0000000000000001 00000000 00000000 00", 80, 72, 1, 0, 0, 0},
        {"0000000000000001 00000001 00000009 02 00", 81, 81, 1, 1, 9, 2},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t raw[128], back[ATTR_BYTES_MAX];
        size_t head = from_hex(fixed, raw), len = head + from_hex(rows[i].tail, raw + head);
        struct attr a;

        CU_ASSERT_EQUAL_FATAL(head, 63);
        CU_ASSERT_EQUAL_FATAL(len, rows[i].len);
        CU_ASSERT_EQUAL_FATAL(attr_decode(raw, len, &a), 0);
        CU_ASSERT_EQUAL(a.flags, 0x23); /* kept, also bits without a name here */
        CU_ASSERT_EQUAL(a.mtime.nsec, 500000000);
        CU_ASSERT_EQUAL(a.length, 5000000);
        CU_ASSERT_EQUAL(a.parent, rows[i].parent);
        CU_ASSERT(a.access_acl == rows[i].access && a.default_acl == rows[i].dflt);
        CU_ASSERT_EQUAL(a.tier, rows[i].tier);
        CU_ASSERT_EQUAL(attr_encode(&a, back), rows[i].rewritten);
        CU_ASSERT_EQUAL(back[rows[i].rewritten - 1], 0);
        if (rows[i].len == rows[i].rewritten && raw[len - 1] == 0)
            CU_ASSERT(memcmp(raw, back, len) == 0);
    }
}

static void test_attr_bad(void)
{
    uint8_t raw[ATTR_BYTES_MAX];
    struct attr a;

    from_hex(stock[0].hex, raw);
    for (size_t len = 0; len < ATTR_BYTES_MIN; len++)
        CU_ASSERT_EQUAL(attr_decode(raw, len, &a), -EIO);
    raw[1] = 0x01; /* no type */
    CU_ASSERT_EQUAL(attr_decode(raw, 72, &a), -EIO);
    raw[1] = 0x81; /* type 8 */
    CU_ASSERT_EQUAL(attr_decode(raw, 72, &a), -EIO);
}

static void test_attr_extremes(void)
{
    struct attr a = {
        .flags = 255,
        .type = TYPE_SOCKET,
        .mode = 07777,
        .uid = UINT32_MAX,
        .gid = UINT32_MAX,
        .atime = {INT64_MIN, UINT32_MAX},
        .mtime = {INT64_MAX, 0},
        .ctime = {-1, 999999999},
        .nlink = UINT32_MAX,
        .length = UINT64_MAX,
        .rdev = UINT32_MAX,
        .parent = UINT64_MAX,
        .access_acl = UINT32_MAX,
        .default_acl = UINT32_MAX,
        .tier = 255,
    };
    uint8_t raw[ATTR_BYTES_MAX], again[ATTR_BYTES_MAX];
    struct attr b;

    CU_ASSERT_EQUAL_FATAL(attr_encode(&a, raw), ATTR_BYTES_MAX);
    CU_ASSERT_EQUAL_FATAL(attr_decode(raw, ATTR_BYTES_MAX, &b), 0);
    CU_ASSERT_EQUAL(b.atime.sec, INT64_MIN);
    CU_ASSERT_EQUAL(b.ctime.sec, -1);
    CU_ASSERT_EQUAL(b.length, UINT64_MAX);
    CU_ASSERT_EQUAL(attr_encode(&b, again), ATTR_BYTES_MAX);
    CU_ASSERT(memcmp(raw, again, ATTR_BYTES_MAX) == 0);
}

static void test_types(void)
{
    static const struct {
        uint8_t type;
        uint32_t st_mode;
    } rows[] = {
        {TYPE_FILE, S_IFREG},    {TYPE_DIRECTORY, S_IFDIR}, {TYPE_SYMLINK, S_IFLNK},
        {TYPE_FIFO, S_IFIFO},    {TYPE_BLOCKDEV, S_IFBLK},  {TYPE_CHARDEV, S_IFCHR},
        {TYPE_SOCKET, S_IFSOCK},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct attr a = {.type = rows[i].type, .mode = 06644};

        CU_ASSERT_EQUAL(attr_st_mode(&a), rows[i].st_mode | 06644);
        CU_ASSERT_EQUAL(type_of_st_mode(rows[i].st_mode | 0777), rows[i].type);
    }
    CU_ASSERT_EQUAL(type_of_st_mode(0644), 0);
    CU_ASSERT_EQUAL(type_of_st_mode(S_IFMT), 0);
    CU_ASSERT_EQUAL(usage_of_length(0), 4096);
    CU_ASSERT_EQUAL(usage_of_length(1), 4096);
    CU_ASSERT_EQUAL(usage_of_length(4096), 4096);
    CU_ASSERT_EQUAL(usage_of_length(4097), 8192);
    CU_ASSERT_EQUAL(usage_of_length(UINT64_C(1) << 56), UINT64_C(1) << 56);
}

static void test_entry(void)
{
    uint8_t raw[ENTRY_BYTES], want[ENTRY_BYTES];
    uint8_t type;
    uint64_t ino;

    entry_encode(TYPE_FILE, 2050, raw);
    from_hex("01 0000000000000802", want);
    CU_ASSERT(memcmp(raw, want, ENTRY_BYTES) == 0);
    entry_encode(TYPE_DIRECTORY, INO_TRASH + 1, raw);
    from_hex("02 7fffffff10000001", want);
    CU_ASSERT(memcmp(raw, want, ENTRY_BYTES) == 0);
    CU_ASSERT_EQUAL_FATAL(entry_decode(raw, ENTRY_BYTES, &type, &ino), 0);
    CU_ASSERT_EQUAL(type, TYPE_DIRECTORY);
    CU_ASSERT_EQUAL(ino, INO_TRASH + 1);
    CU_ASSERT_EQUAL(entry_decode(raw, ENTRY_BYTES - 1, &type, &ino), -EIO);
    CU_ASSERT_EQUAL(entry_decode(want, 0, &type, &ino), -EIO);
    raw[0] = 0;
    CU_ASSERT_EQUAL(entry_decode(raw, ENTRY_BYTES, &type, &ino), -EIO);
    raw[0] = 8;
    CU_ASSERT_EQUAL(entry_decode(raw, ENTRY_BYTES, &type, &ino), -EIO);
}

/* --- keys ------------------------------------------------------------------------------------- */

static void test_keys(void)
{
    struct keys none = {""}, three = {"{3}"}, full;
    char key[KEY_MAX];

    CU_ASSERT_EQUAL(key_plain(&none, "setting", key), 7);
    CU_ASSERT_STRING_EQUAL(key, "setting");
    CU_ASSERT_EQUAL(key_plain(&three, "sliceRef", key), 11);
    CU_ASSERT_STRING_EQUAL(key, "{3}sliceRef");
    CU_ASSERT_EQUAL(key_inode(&none, INO_TRASH, key), 20);
    CU_ASSERT_STRING_EQUAL(key, "i9223372032828243968");
    key_inode(&three, 1, key);
    CU_ASSERT_STRING_EQUAL(key, "{3}i1");
    key_dir(&none, 2, key);
    CU_ASSERT_STRING_EQUAL(key, "d2");
    key_parents(&none, 3, key);
    CU_ASSERT_STRING_EQUAL(key, "p3");
    CU_ASSERT_EQUAL(key_chunk(&none, 3, 17, key), 5);
    CU_ASSERT_STRING_EQUAL(key, "c3_17");
    key_symlink(&none, 4, key);
    CU_ASSERT_STRING_EQUAL(key, "s4");
    key_xattr(&three, 5, key);
    CU_ASSERT_STRING_EQUAL(key, "{3}x5");
    CU_ASSERT_EQUAL(key_slice_field(4097, 5000000, key), 13);
    CU_ASSERT_STRING_EQUAL(key, "k4097_5000000");
    memset(full.prefix, 'p', sizeof full.prefix); /* the longest there is */
    CU_ASSERT_EQUAL(key_chunk(&full, UINT64_MAX, UINT32_MAX, key), 16 + 1 + 20 + 1 + 10);
    CU_ASSERT_EQUAL(strlen(key), 48);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"attributes of a stock mount", test_attr_of_stock},
        {"attributes: every tail", test_attr_tails},
        {"attributes: bad bytes", test_attr_bad},
        {"attributes: extremes", test_attr_extremes},
        {"types and usage", test_types},
        {"entries", test_entry},
        {"names of keys", test_keys},
        CU_TEST_INFO_NULL,
    };
    return suite_run("attributes and keys", tests);
}
