/*
 * test_setting_rules.c - which volumes are refused, by which name, and what a new one may be.
 */
#include "core/format/setting.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static char err[256];

#define MUST "\"Name\":\"vol\",\"UUID\":\"u-1\",\"BlockSize\":4096"

static int parse(const char *json, struct setting *s)
{
    return setting_parse(json, strlen(json), s, err, sizeof err);
}

/* --- versions --------------------------------------------------------------------------------- */

static void test_versions(void)
{
    static const char *const ascending[] = {
        "x",       "0",           "0.9.9",        "1.0.0-A",     "1",
        "1.1.0-A", "1.1.0-beta1", "1.1.0-beta10", "1.1.0-beta2", "1.1.0",
        "1.4.0",   "1.4.1-A",     "1.4.1",        "1.10",        "18446744073709551615.0.0",
    };
    static const char *const equal[][2] = {
        {"1.1", "1.1.0"},           {"1.1.0+2026.abc", "1.1"}, {"01.1.0", "1.1"},
        {"1.1.0-A+x-y", "1.1.0-A"}, {"1.1.0-", "1.1.0"},       {"", "1.2.3.4"},
    };
    static const char *const invalid[] = {"",    "v1.0", "1.",      "1..2", ".1",
                                          "1.x", "-1",   "1.2.3.4", "1 ",   "18446744073709551616"};

    for (size_t i = 0; i < sizeof ascending / sizeof ascending[0]; i++) {
        for (size_t k = 0; k < sizeof ascending / sizeof ascending[0]; k++) {
            int got = version_compare(ascending[i], ascending[k]);

            CU_ASSERT_EQUAL((got > 0) - (got < 0), (i > k) - (i < k));
        }
    }
    for (size_t i = 0; i < sizeof equal / sizeof equal[0]; i++)
        CU_ASSERT_EQUAL(version_compare(equal[i][0], equal[i][1]), 0);
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++)
        CU_ASSERT_FALSE(version_valid(invalid[i]));
    CU_ASSERT_TRUE(version_valid(EMULATED_VERSION));
}

/* --- what is refused -------------------------------------------------------------------------- */

static void test_supported(void)
{
    /* added to a good setting: what the line must name, NULL where the volume can be used */
    static const struct {
        const char *member, *field, *value;
    } rows[] = {
        {"\"MetaVersion\":2", "MetaVersion", "2"},
        {"\"MetaVersion\":1", NULL, NULL},
        {"\"MinClientVersion\":\"1.4.0\"", NULL, NULL},
        {"\"MinClientVersion\":\"1.4.0-A\"", NULL, NULL},
        {"\"MinClientVersion\":\"1.4.1\"", "MinClientVersion", "1.4.1"},
        {"\"MinClientVersion\":\"2\"", "MinClientVersion", "2"},
        {"\"MinClientVersion\":\"new\"", "MinClientVersion", "new"},
        {"\"MaxClientVersion\":\"1.4.0\"", NULL, NULL},
        {"\"MaxClientVersion\":\"1.3.9\"", "MaxClientVersion", "1.3.9"},
        {"\"MaxClientVersion\":\"1.4.0-beta1\"", "MaxClientVersion", "1.4.0-beta1"},
        {"\"MaxClientVersion\":\"old\"", "MaxClientVersion", "old"},
        {"\"EncryptKey\":\"k\"", "EncryptKey", "set"},
        {"\"KeyEncrypted\":true", NULL, NULL},
        {"\"Storage\":\"File\"", NULL, NULL},
        {"\"Storage\":\"s3\"", "Storage", "s3"},
        {"\"Storage\":\"\"", "Storage", "\"\""},
        {"\"Bucket\":\"relative/\"", "Bucket", "relative/"},
        {"\"Compression\":\"None\"", NULL, NULL},
        {"\"Compression\":\"\"", NULL, NULL},
        {"\"Compression\":\"lz4\"", "Compression", "lz4"},
        {"\"Compression\":\"Zstd\"", "Compression", "Zstd"},
        {"\"Shards\":1", NULL, NULL},
        {"\"Shards\":2", "Shards", "2"},
        {"\"EnableACL\":true", "EnableACL", "true"},
        {"\"UserGroupQuota\":true", "UserGroupQuota", "true"},
        {"\"ChangeLog\":true", "ChangeLog", "true"},
        {"\"BlockSize\":1000", "BlockSize", "1000"},
        {"\"BlockSize\":32", "BlockSize", "32"},
        {"\"BlockSize\":32768", "BlockSize", "32768"},
        {"\"BlockSize\":64", NULL, NULL},
        {"\"BlockSize\":16384", NULL, NULL},
        {"\"HashPrefix\":true,\"Capacity\":1,\"Inodes\":1,\"DirStats\":false,\"TrashDays\":0", NULL,
         NULL},
        {"\"RangerRestUrl\":\"x\",\"KerbConf\":\"y\",\"UploadLimit\":3", NULL, NULL},
    };
    struct setting s;
    char json[400];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(json, sizeof json, "{" MUST ",\"Storage\":\"file\",\"Bucket\":\"/b/\",%s}",
                 rows[i].member);
        CU_ASSERT_EQUAL_FATAL(parse(json, &s), 0);
        CU_ASSERT_EQUAL(setting_supported(&s, err, sizeof err), rows[i].field ? -ENOTSUP : 0);
        if (rows[i].field == NULL)
            continue;
        CU_ASSERT_EQUAL(strncmp(err, rows[i].field, strlen(rows[i].field)), 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(err, rows[i].value));
        CU_ASSERT_PTR_NULL(strchr(err, '\n'));
    }
}

/* Texts of the setting cannot break the line. */
static void test_one_line(void)
{
    struct setting s;

    CU_ASSERT_EQUAL_FATAL(
        parse("{" MUST ",\"Bucket\":\"/b\",\"Storage\":\"s3\\n\\u001b[2Jx\"}", &s), 0);
    CU_ASSERT_EQUAL(setting_supported(&s, err, sizeof err), -ENOTSUP);
    CU_ASSERT_PTR_NULL(strchr(err, '\n'));
    CU_ASSERT_PTR_NULL(strchr(err, '\033'));
    CU_ASSERT_EQUAL(setting_supported(&s, err, 20), -ENOTSUP);
    CU_ASSERT_EQUAL(strlen(err), 19);
    CU_ASSERT_STRING_EQUAL(err + 16, "...");
}

static void test_check_new(void)
{
    static const struct {
        const char *name;
        int rc;
    } names[] = {
        {"vol", 0},         {"ab", -EINVAL},
        {"", -EINVAL},      {"a-1", 0},
        {"-ab", -EINVAL},   {"ab-", -EINVAL},
        {"Vol", -EINVAL},   {"vo_l", -EINVAL},
        {"vol\n", -EINVAL}, {"012345678901234567890123456789012345678901234567890123456789012", 0},
    };
    struct setting good = {.name = "vol",
                           .uuid = "u",
                           .storage = "file",
                           .bucket = "/srv/",
                           .compression = "none",
                           .block_kib = 4096,
                           .trash_days = 1,
                           .meta_version = 1,
                           .dir_stats = true};
    struct setting s;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        s = good;
        strcpy(s.name, names[i].name);
        CU_ASSERT_EQUAL(setting_check_new(&s, err, sizeof err), names[i].rc);
    }
#define BAD(change, what)                                                                          \
    do {                                                                                           \
        s = good;                                                                                  \
        change;                                                                                    \
        CU_ASSERT_EQUAL(setting_check_new(&s, err, sizeof err), -EINVAL);                          \
        CU_ASSERT_PTR_NOT_NULL(strstr(err, what));                                                 \
    } while (0)
    BAD(strcpy(s.bucket, "srv/"), "bucket");
    BAD(strcpy(s.bucket, "/srv"), "bucket");
    BAD(strcpy(s.bucket, ""), "bucket");
    BAD(strcpy(s.bucket, "/s\xff/"), "UTF-8");
    BAD(strcpy(s.bucket, "/s\xc0\xaf/"), "UTF-8");
    BAD(strcpy(s.bucket, "/s\xed\xa0\x80/"), "UTF-8");
    BAD((memset(s.bucket, '/', 4000), s.bucket[4000] = 0), "too long");
    BAD(s.trash_days = -1, "trash");
    BAD(s.block_kib = 4095, "BlockSize");
    BAD(strcpy(s.compression, "lz4"), "Compression");
    BAD(strcpy(s.storage, "s3"), "Storage");
    BAD(s.shards = 2, "Shards");
    BAD(s.acl = true, "EnableACL");
    BAD(*s.uuid = 0, "UUID");
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"versions", test_versions},
        {"what is refused", test_supported},
        {"messages are one line", test_one_line},
        {"a new volume", test_check_new},
        CU_TEST_INFO_NULL,
    };
    return suite_run("setting: rules", tests);
}
