/*
 * test_setting.c - the volume's setting: what stock 1.4.2 wrote is read, and printed byte for byte;
 * garbage is refused in one line.
 */
#include "core/base/bytes.h"
#include "core/format/json.h"
#include "core/format/setting.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char err[256];

/* --- what stock writes ------------------------------------------------------------------------ */

#define HEAD(name, uuid)                                                                           \
    "{\n\"Name\": \"" name "\",\n\"UUID\": \"" uuid "\",\n\"Storage\": \"file\",\n\"Tiers\": {\n"  \
    "\"0\": {\n\"ID\": 0,\n\"StorageClass\": \"\",\n\"Tag\": \"\"\n}\n},\n"
#define TAIL                                                                                       \
    "\"MetaVersion\": 1,\n\"MinClientVersion\": \"1.1.0-A\",\n\"DirStats\": true,\n"               \
    "\"EnableACL\": false\n}"

/* The texts are what `juicefs format` left in Redis, called with the flags in the comment. */
static const struct {
    const char *json;
    struct setting s;
} stock[] = {
    {/* no flags */
     HEAD("vol-a",
          "3ff7bc4b-2675-42e9-8d00-4e408155484a") "\"Bucket\": \"/srv/b1/\",\n\"BlockSize\": "
                                                  "4096,\n\"Compression\": \"none\",\n"
                                                  "\"EncryptAlgo\": "
                                                  "\"aes256gcm-rsa\",\n\"TrashDays\": 1,\n" TAIL,
     {.name = "vol-a",
      .uuid = "3ff7bc4b-2675-42e9-8d00-4e408155484a",
      .storage = "file",
      .bucket = "/srv/b1/",
      .compression = "none",
      .block_kib = 4096,
      .trash_days = 1,
      .meta_version = 1,
      .min_client = "1.1.0-A",
      .dir_stats = true}},
    {/* --trash-days 0 --block-size 1M --hash-prefix */
     HEAD("vol-b",
          "4647e280-c91a-40d2-9b62-a7766c15c442") "\"Bucket\": \"/srv/b2/\",\n\"BlockSize\": "
                                                  "1024,\n\"Compression\": \"none\",\n"
                                                  "\"HashPrefix\": true,\n"
                                                  "\"EncryptAlgo\": "
                                                  "\"aes256gcm-rsa\",\n\"TrashDays\": 0,\n" TAIL,
     {.name = "vol-b",
      .uuid = "4647e280-c91a-40d2-9b62-a7766c15c442",
      .storage = "file",
      .bucket = "/srv/b2/",
      .compression = "none",
      .block_kib = 1024,
      .hash_prefix = true,
      .meta_version = 1,
      .min_client = "1.1.0-A",
      .dir_stats = true}},
    {/* --capacity 10 --inodes 1000000 --compress lz4 --block-size 64 */
     HEAD("vol-c",
          "b7a26dfe-cf60-4397-a9fb-363573e5a0fd") "\"Bucket\": \"/srv/b3/\",\n\"BlockSize\": "
                                                  "64,\n\"Compression\": \"lz4\",\n"
                                                  "\"Capacity\": 10737418240,\n\"Inodes\": "
                                                  "1000000,\n"
                                                  "\"EncryptAlgo\": "
                                                  "\"aes256gcm-rsa\",\n\"TrashDays\": 1,\n" TAIL,
     {.name = "vol-c",
      .uuid = "b7a26dfe-cf60-4397-a9fb-363573e5a0fd",
      .storage = "file",
      .bucket = "/srv/b3/",
      .compression = "lz4",
      .block_kib = 64,
      .capacity_bytes = UINT64_C(10737418240),
      .inodes = 1000000,
      .trash_days = 1,
      .meta_version = 1,
      .min_client = "1.1.0-A",
      .dir_stats = true}},
    {/* --storage file --bucket with all kinds of bytes --trash-days 7 --compress zstd */
     HEAD("vol-d",
          "5b73b6c2-859a-40a3-bb30-d8e557241554") "\"Bucket\": \"/srv/b4 "
                                                  "\\u003c\\u0026\\u003e\\\"\\\\é\\tx/"
                                                  "\",\n\"BlockSize\": 4096,\n"
                                                  "\"Compression\": \"zstd\",\n"
                                                  "\"EncryptAlgo\": "
                                                  "\"aes256gcm-rsa\",\n\"TrashDays\": 7,\n" TAIL,
     {.name = "vol-d",
      .uuid = "5b73b6c2-859a-40a3-bb30-d8e557241554",
      .storage = "file",
      .bucket = "/srv/b4 <&>\"\\é\tx/",
      .compression = "zstd",
      .block_kib = 4096,
      .trash_days = 7,
      .meta_version = 1,
      .min_client = "1.1.0-A",
      .dir_stats = true}},
    {/* --compress "" */
     HEAD(
         "vol-h",
         "e0b55e07-9295-446b-a03c-042acf7cb308") "\"Bucket\": \"/srv/b8/\",\n\"BlockSize\": 4096,\n"
                                                 "\"EncryptAlgo\": "
                                                 "\"aes256gcm-rsa\",\n\"TrashDays\": 1,\n" TAIL,
     {.name = "vol-h",
      .uuid = "e0b55e07-9295-446b-a03c-042acf7cb308",
      .storage = "file",
      .bucket = "/srv/b8/",
      .block_kib = 4096,
      .trash_days = 1,
      .meta_version = 1,
      .min_client = "1.1.0-A",
      .dir_stats = true}},
    {/* --bucket with control bytes and a line separator */
     HEAD("vol-i",
          "72a61090-d905-4dc5-b0b4-50e7c8e94775") "\"Bucket\": "
                                                  "\"/srv/b9\177\\u2028\\u0001\\b\\f\\r/"
                                                  "\",\n\"BlockSize\": 16384,\n"
                                                  "\"Compression\": \"none\",\n"
                                                  "\"EncryptAlgo\": "
                                                  "\"aes256gcm-rsa\",\n\"TrashDays\": 1,\n" TAIL,
     {.name = "vol-i",
      .uuid = "72a61090-d905-4dc5-b0b4-50e7c8e94775",
      .storage = "file",
      .bucket = "/srv/b9\177\xE2\x80\xA8\1\b\f\r/",
      .compression = "none",
      .block_kib = 16384,
      .trash_days = 1,
      .meta_version = 1,
      .min_client = "1.1.0-A",
      .dir_stats = true}},
};

static void same(const struct setting *a, const struct setting *b)
{
    CU_ASSERT_STRING_EQUAL(a->name, b->name);
    CU_ASSERT_STRING_EQUAL(a->uuid, b->uuid);
    CU_ASSERT_STRING_EQUAL(a->storage, b->storage);
    CU_ASSERT_STRING_EQUAL(a->bucket, b->bucket);
    CU_ASSERT_STRING_EQUAL(a->compression, b->compression);
    CU_ASSERT_STRING_EQUAL(a->min_client, b->min_client);
    CU_ASSERT_STRING_EQUAL(a->max_client, b->max_client);
    CU_ASSERT(a->block_kib == b->block_kib && a->shards == b->shards);
    CU_ASSERT(a->hash_prefix == b->hash_prefix && a->dir_stats == b->dir_stats);
    CU_ASSERT(a->acl == b->acl && a->user_group_quota == b->user_group_quota);
    CU_ASSERT(a->changelog == b->changelog && a->encrypted == b->encrypted);
    CU_ASSERT(a->capacity_bytes == b->capacity_bytes && a->inodes == b->inodes);
    CU_ASSERT(a->trash_days == b->trash_days && a->meta_version == b->meta_version);
}

static void test_stock(void)
{
    for (size_t i = 0; i < sizeof stock / sizeof stock[0]; i++) {
        struct buf out = {0};
        struct setting s;

        CU_ASSERT_EQUAL_FATAL(
            setting_parse(stock[i].json, strlen(stock[i].json), &s, err, sizeof err), 0);
        same(&s, &stock[i].s);
        CU_ASSERT_EQUAL(setting_print(&s, &out), 0);
        CU_ASSERT_STRING_EQUAL((char *)out.data, stock[i].json);
        buf_clear(&out);
        *s.min_client = 0; /* the one that format gives */
        CU_ASSERT_EQUAL(setting_print(&s, &out), 0);
        CU_ASSERT_STRING_EQUAL((char *)out.data, stock[i].json);
        buf_free(&out);
    }
}

/* --- the reader ------------------------------------------------------------------------------- */

#define MUST "\"Name\":\"vol\",\"UUID\":\"u-1\",\"BlockSize\":4096"

static int parse(const char *json, struct setting *s)
{
    size_t len = strlen(json);
    char *copy = malloc(len != 0 ? len : 1); /* no NUL behind it: a read past the end is seen */
    int rc;

    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    memcpy(copy, json, len);
    *err = 0;
    rc = setting_parse(copy, len, s, err, sizeof err);
    free(copy);
    return rc;
}

static void test_foreign_fields(void)
{
    struct setting s;

    CU_ASSERT_EQUAL(parse("{" MUST "}", &s), 0);
    CU_ASSERT_EQUAL(parse(" \t\r\n{ " MUST " , \"x\" : null } \n", &s), 0);
    CU_ASSERT_EQUAL(parse("{\"New\":{\"a\":[1,2.5e+3,-0,{\"b\":[]},\"}\",true,false,null,{}]},"
                          "\"Name\\u0032\":1," MUST ",\"Very long name of a field that nobody knows"
                          "\":\"x\",\"\":0}",
                          &s),
                    0);
    CU_ASSERT_STRING_EQUAL(s.name, "vol");
    CU_ASSERT_EQUAL(parse("{" MUST ",\"Capacity\":18446744073709551615,\"Inodes\":null,"
                          "\"TrashDays\":-2147483648,\"Name\":\"later\"}",
                          &s),
                    0);
    CU_ASSERT_EQUAL(s.capacity_bytes, UINT64_MAX);
    CU_ASSERT_EQUAL(s.trash_days, INT32_MIN);
    CU_ASSERT_STRING_EQUAL(s.name, "later"); /* as in Go, the last one counts */
    CU_ASSERT_EQUAL(parse("{" MUST ",\"EncryptKey\":\"\"}", &s), 0);
    CU_ASSERT_FALSE(s.encrypted);
    CU_ASSERT_EQUAL(parse("{" MUST ",\"EncryptKey\":\"-----BEGIN\\n\"}", &s), 0);
    CU_ASSERT_TRUE(s.encrypted);
    CU_ASSERT_EQUAL(parse("{" MUST ",\"name\":\"other\",\"Shards\":2}", &s), 0);
    CU_ASSERT_STRING_EQUAL(s.name, "vol");
    CU_ASSERT_EQUAL(s.shards, 2);
}

static void test_escapes(void)
{
    static const struct {
        const char *text, *want; /* NULL: not JSON */
    } rows[] = {
        {"a\\\"\\\\\\/\\b\\f\\n\\r\\t", "a\"\\/\b\f\n\r\t"},
        {"\\u0041\\u00e9\\u20AC", "Aé€"},
        {"\\ud83d\\ude00", "😀"},
        {"\\ud83d", "\xEF\xBF\xBD"},
        {"\\ude00x", "\xEF\xBF\xBDx"},
        {"\\ud83d\\u0041", "\xEF\xBF\xBD"
                           "A"},
        {"\\ud83d\\ud83d\\ude00", "\xEF\xBF\xBD😀"},
        {"\\udbff\\udfff\\uffff", "\xF4\x8F\xBF\xBF\xEF\xBF\xBF"},
        {"\xff\xfe", "\xff\xfe"}, /* bytes that are no UTF-8 stay: a path may have them */
        {"\\ud83d\\u00", NULL},
        {"\\u12", NULL},
        {"\\u12g4", NULL},
        {"\\u 123", NULL},
        {"\\x41", NULL},
        {"\\", NULL},
        {"a\nb", NULL},
    };
    struct setting s;
    char json[256];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(json, sizeof json, "{" MUST ",\"Bucket\":\"%s\"}", rows[i].text);
        CU_ASSERT_EQUAL(parse(json, &s), rows[i].want != NULL ? 0 : -EINVAL);
        if (rows[i].want != NULL)
            CU_ASSERT_STRING_EQUAL(s.bucket, rows[i].want);
    }
}

static void test_bad_json(void)
{
    static const char *const bad[] = {
        "",
        " ",
        "null",
        "[]",
        "\"x\"",
        "{",
        "}",
        "{" MUST,
        "{" MUST ",",
        "{" MUST ",}",
        "{" MUST "}}",
        "{" MUST "} x",
        "{," MUST "}",
        "{" MUST " \"a\":1}",
        "{" MUST ",\"a\"}",
        "{" MUST ",\"a\":}",
        "{" MUST ",\"a\" 1}",
        "{" MUST ",a:1}",
        "{" MUST ",\"a\":'x'}",
        "{" MUST ",\"a\":\"x}",
        "{" MUST ",\"a\":tru}",
        "{" MUST ",\"a\":True}",
        "{" MUST ",\"a\":nul}",
        "{" MUST ",\"a\":01}",
        "{" MUST ",\"a\":-}",
        "{" MUST ",\"a\":- 1}",
        "{" MUST ",\"a\":+1}",
        "{" MUST ",\"a\":.5}",
        "{" MUST ",\"a\":1.}",
        "{" MUST ",\"a\":1e}",
        "{" MUST ",\"a\":1e+}",
        "{" MUST ",\"a\":0x10}",
        "{" MUST ",\"a\":NaN}",
        "{" MUST ",\"a\":[1,]}",
        "{" MUST ",\"a\":[1 2]}",
        "{" MUST ",\"a\":[}",
        "{" MUST ",\"a\":{\"b\"}}",
        "{" MUST ",\"a\":{1:2}}",
        "{" MUST ",\"a\":{\"b\":1,}}",
        "{" MUST ",/**/\"a\":1}",
        "\xEF\xBB\xBF{" MUST "}",
    };
    struct setting s;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int rc = parse(bad[i], &s);

        if (rc != -EINVAL)
            printf("\n  accepted: %s\n", bad[i]);
        CU_ASSERT_EQUAL(rc, -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(err, "not valid JSON"));
    }
    CU_ASSERT_EQUAL(setting_parse("{" MUST "}\0", strlen("{" MUST "}") + 1, &s, err, sizeof err),
                    -EINVAL);
}

static void test_deep(void)
{
    static char json[400000];
    struct setting s;

    /* as deep as is allowed, one more, and enough to overrun a stack */
    static const struct {
        int depth, rc;
    } rows[] = {{64, 0}, {65, -EINVAL}, {100000, -EINVAL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t at = (size_t)sprintf(json, "{" MUST ",\"a\":");

        memset(json + at, '[', (size_t)rows[i].depth);
        at += (size_t)rows[i].depth;
        memset(json + at, ']', (size_t)rows[i].depth);
        at += (size_t)rows[i].depth;
        strcpy(json + at, "}");
        CU_ASSERT_EQUAL(parse(json, &s), rows[i].rc);
    }
}

static void test_bad_fields(void)
{
    static const struct {
        const char *member, *names;
    } bad[] = {
        {"\"Name\":5", "Name"},
        {"\"Name\":\"\"", "Name"},
        {"\"Name\":null", NULL}, /* as absent, and MUST has one */
        {"\"Name\":\"a/b\"", "Name"},
        {"\"Name\":\"..\"", "Name"},
        {"\"Name\":\"a\\u0000b\"", "Name"},
        {"\"UUID\":\"../../etc\"", "UUID"},
        {"\"UUID\":[]", "UUID"},
        {"\"UUID\":\"a.b\"", "UUID"},
        {"\"UUID\":\"\\u00e9\"", "UUID"},
        {"\"BlockSize\":0", "BlockSize"},
        {"\"BlockSize\":-4096", "BlockSize"},
        {"\"BlockSize\":\"4096\"", "BlockSize"},
        {"\"BlockSize\":4096.0", "BlockSize"},
        {"\"BlockSize\":4e3", "BlockSize"},
        {"\"BlockSize\":4294967296", "BlockSize"},
        {"\"Capacity\":18446744073709551616", "Capacity"},
        {"\"Capacity\":-1", "Capacity"},
        {"\"TrashDays\":2147483648", "TrashDays"},
        {"\"TrashDays\":99999999999999999999999", "TrashDays"},
        {"\"HashPrefix\":1", "HashPrefix"},
        {"\"HashPrefix\":\"true\"", "HashPrefix"},
        {"\"EncryptKey\":{}", "EncryptKey"},
        {"\"Compression\":\"sixteen-bytes-xx\"", "Compression"},
        {"\"Storage\":{\"a\":1}", "Storage"},
    };
    struct setting s;
    char json[300];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(json, sizeof json, "{" MUST ",%s}", bad[i].member);
        if (bad[i].names == NULL) {
            CU_ASSERT_EQUAL(parse(json, &s), 0);
            continue;
        }
        CU_ASSERT_EQUAL(parse(json, &s), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(err, bad[i].names));
        CU_ASSERT_PTR_NULL(strchr(err, '\n'));
    }
    CU_ASSERT_EQUAL(parse("{\"Name\":\"v\",\"UUID\":\"u\"}", &s), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, "BlockSize"));
    CU_ASSERT_EQUAL(parse("{\"Name\":\"v\",\"BlockSize\":64}", &s), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, "UUID"));
    CU_ASSERT_EQUAL(parse("{}", &s), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, "Name"));
}

/* A string as long as its field holds, and one byte more. */
static void test_longest(void)
{
    static char json[5000], text[4200];
    struct setting s;

    memset(text, 'b', sizeof text);
    for (int len = 4095; len <= 4096; len++) {
        sprintf(json, "{" MUST ",\"Bucket\":\"%.*s\"}", len, text);
        CU_ASSERT_EQUAL(parse(json, &s), len == 4095 ? 0 : -EINVAL);
    }
}

/* Every prefix of a good text, and good texts with bytes changed at random. */
static void test_garbage(void)
{
    const char *json = stock[3].json;
    size_t len = strlen(json);
    struct setting s;
    char *copy;

    for (size_t n = 0; n < len; n++) {
        copy = malloc(n != 0 ? n : 1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
        memcpy(copy, json, n);
        CU_ASSERT_EQUAL(setting_parse(copy, n, &s, err, sizeof err), -EINVAL);
        free(copy);
    }
    srand(3);
    copy = malloc(len);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    for (int round = 0; round < 50000; round++) {
        static const char likely[] = "{}[]\",:\\u0123456789-.eEtfn\0\n\xff";

        memcpy(copy, json, len);
        for (int k = rand() % 5; k >= 0; k--)
            copy[(size_t)rand() % len] = likely[(size_t)rand() % (sizeof likely - 1)];
        *err = 0;
        if (setting_parse(copy, len, &s, err, sizeof err) != 0)
            CU_ASSERT(*err != 0 && strchr(err, '\n') == NULL);
    }
    free(copy);
}

static void test_utf8(void)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"", true},
        {"az~\177", true},
        {"é€😀", true},
        {"\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", true},
        {"\x80", false},
        {"\xC1\xBF", false},
        {"\xC2", false},
        {"\xE0\x9F\xBF", false},
        {"\xE2\x82", false},
        {"\xED\xA0\x80", false},
        {"\xF0\x8F\xBF\xBF", false},
        {"\xF4\x90\x80\x80", false},
        {"\xF5\x80\x80\x80", false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CU_ASSERT_EQUAL(json_is_utf8(rows[i].text), rows[i].good);
    struct buf out = {0};
    json_write_string(&out, "a\xff\xE2\x82z");
    CU_ASSERT_STRING_EQUAL((char *)out.data, "\"a\\ufffd\\ufffd\\ufffdz\"");
    buf_free(&out);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"what stock wrote", test_stock},
        {"fields that nobody knows", test_foreign_fields},
        {"escapes", test_escapes},
        {"not JSON", test_bad_json},
        {"nesting", test_deep},
        {"bad fields", test_bad_fields},
        {"longest text", test_longest},
        {"garbage", test_garbage},
        {"UTF-8", test_utf8},
        CU_TEST_INFO_NULL,
    };
    return suite_run("setting: reading", tests);
}
