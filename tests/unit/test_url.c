/*
 * Metadata URLs: what stock takes gives the same parts, what is not built is refused by name, and a
 * password shows up nowhere.
 */
#include "core/redis/rds.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rds_url u;
static char err[512];

static int parse(const char *url)
{
    memset(err, 0, sizeof(err));
    return rds_url_parse(url, &u, err, sizeof(err));
}

static void no_environment(void)
{
    unsetenv("REDIS_PASSWORD");
    unsetenv("META_PASSWORD");
    unsetenv("META_PASSWORD_FILE");
}

struct good {
    const char *url, *host, *socket;
    int port, db;
    const char *user, *password, *shown;
};

static const struct good goods[] = {
    {"localhost", "localhost", "", 6379, 0, "", "", "redis://localhost:6379/0"},
    {"10.0.0.1:7000/3", "10.0.0.1", "", 7000, 3, "", "", "redis://10.0.0.1:7000/3"},
    {"redis://", "localhost", "", 6379, 0, "", "", "redis://localhost:6379/0"},
    {"redis:///5", "localhost", "", 6379, 5, "", "", "redis://localhost:6379/5"},
    {"redis://h", "h", "", 6379, 0, "", "", "redis://h:6379/0"},
    {"redis://h/", "h", "", 6379, 0, "", "", "redis://h:6379/0"},
    {"redis://h:/", "h", "", 6379, 0, "", "", "redis://h:6379/0"},
    {"redis://h:1/2", "h", "", 1, 2, "", "", "redis://h:1/2"},
    {"redis://h:65535/2", "h", "", 65535, 2, "", "", "redis://h:65535/2"},
    {"REDIS://h/1", "h", "", 6379, 1, "", "", "redis://h:6379/1"},
    {"rueidis://h/1", "h", "", 6379, 1, "", "", "redis://h:6379/1"},
    {"redis://h/1?db=4", "h", "", 6379, 4, "", "", "redis://h:6379/4"},
    {"redis://h?db=4", "h", "", 6379, 4, "", "", "redis://h:6379/4"},
    {"redis://:pw@h/1", "h", "", 6379, 1, "", "pw", "redis://:****@h:6379/1"},
    {"redis://me:pw@h/1", "h", "", 6379, 1, "me", "pw", "redis://me:****@h:6379/1"},
    {"redis://me@h/1", "h", "", 6379, 1, "me", "", "redis://me@h:6379/1"},
    {"redis://me:@h/1", "h", "", 6379, 1, "me", "", "redis://me@h:6379/1"},
    {"redis://me:a%2Fb%3F%23%40%25c@h/1", "h", "", 6379, 1, "me", "a/b?#@%c",
     "redis://me:****@h:6379/1"},
    {"redis://me:a@b:c@h:1/1", "h", "", 1, 1, "me", "a@b:c", "redis://me:****@h:1/1"},
    {"redis://m%3Ae:a+b@h", "h", "", 6379, 0, "m:e", "a+b", "redis://m:e:****@h:6379/0"},
    {"redis://[::1]:7/2", "::1", "", 7, 2, "", "", "redis://[::1]:7/2"},
    {"redis://[fe80::1]", "fe80::1", "", 6379, 0, "", "", "redis://[fe80::1]:6379/0"},
    {"redis://:pw@[::1]/2", "::1", "", 6379, 2, "", "pw", "redis://:****@[::1]:6379/2"},
    {"unix:///run/r.sock", "", "/run/r.sock", 6379, 0, "", "", "unix:///run/r.sock?db=0"},
    {"unix:///run/r.sock?db=9", "", "/run/r.sock", 6379, 9, "", "", "unix:///run/r.sock?db=9"},
    {"unix://me:pw@/r%20x.sock?db=9", "", "/r x.sock", 6379, 9, "me", "pw",
     "unix://me:****@/r x.sock?db=9"},
    {"unix:///run/a@b.sock", "", "/run/a@b.sock", 6379, 0, "", "", "unix:///run/a@b.sock?db=0"},
};

static void test_good(void)
{
    no_environment();
    for (size_t i = 0; i < sizeof(goods) / sizeof(goods[0]); i++) {
        const struct good *g = &goods[i];
        int rc = parse(g->url);

        CU_ASSERT_EQUAL(rc, 0);
        CU_ASSERT_STRING_EQUAL(u.host, g->host);
        CU_ASSERT_STRING_EQUAL(u.socket, g->socket);
        CU_ASSERT_EQUAL(u.port, g->port);
        CU_ASSERT_EQUAL(u.db, g->db);
        CU_ASSERT_STRING_EQUAL(u.user, g->user);
        CU_ASSERT_STRING_EQUAL(u.password, g->password);
        CU_ASSERT_STRING_EQUAL(u.shown, g->shown);
        if (rc != 0 || strcmp(u.shown, g->shown))
            fprintf(stderr, "  at %s: %s %s\n", g->url, u.shown, err);
    }
}

struct refused {
    const char *url;
    int rc;
    const char *names; /* what the line must contain */
};

static const struct refused refusals[] = {
    {"rediss://h/1", -ENOTSUP, "rediss://"},
    {"REDISS://h/1", -ENOTSUP, "rediss://"},
    {"redis://mymaster,s1,s2:26379/1", -ENOTSUP, "Sentinel"},
    {"redis://:pw@mymaster,s1:26379/1", -ENOTSUP, "Sentinel"},
    {"redis://a:1,b:2/1", -ENOTSUP, "Cluster"},
    {"redis://a,b,c/1", -ENOTSUP, "Cluster"},
    {"mysql://h/1", -EINVAL, "scheme"},
    {"://h", -EINVAL, "scheme"},
    {"redis://h:x/1", -EINVAL, "port"},
    {"redis://h:0/1", -EINVAL, "port"},
    {"redis://h:65536/1", -EINVAL, "port"},
    {"redis://h:99999999999999999999/1", -EINVAL, "port"},
    {"redis://h:-1/1", -EINVAL, "port"},
    {"redis://[::1/1", -EINVAL, "IPv6"},
    {"redis://[::1]x/1", -EINVAL, "IPv6"},
    {"redis://h/x", -EINVAL, "database"},
    {"redis://h/-1", -EINVAL, "database"},
    {"redis://h/1/2", -EINVAL, "database"},
    {"redis://h/99999999999", -EINVAL, "database"},
    {"redis://h/1?db=x", -EINVAL, "db"},
    {"redis://h/1?db=", -EINVAL, "db"},
    {"redis://a%zz:b@h/1", -EINVAL, "%XX"},
    {"redis://:b%0@h/1", -EINVAL, "%XX"},
    {"redis://:b%00c@h/1", -EINVAL, "%XX"},
    {"redis://h/1#x", -EINVAL, "%23"},
    {"unix://", -EINVAL, "absolute path"},
    {"unix://rel.sock", -EINVAL, "absolute path"},
    {"unix://rel/r.sock", -EINVAL, "absolute path"},
    {"redis://h/1?what=2", -EINVAL, "\"what\""},
    {"redis://h/1?what", -EINVAL, "\"what\""},
    {"redis://h/1?=2", -EINVAL, "\"\""},
    {"redis://h/1?a%0ab=2", -EINVAL, "malformed parameter name"},
    {"redis://h/1?a%b=2", -EINVAL, "malformed parameter"},
    {"redis://h/1?db=1&read-timeout=30", -EINVAL, "read-timeout"},
    {"redis://h/1?read-timeout=-1s", -EINVAL, "read-timeout"},
    {"redis://h/1?read-timeout=1x", -EINVAL, "read-timeout"},
    {"redis://h/1?read-timeout=s", -EINVAL, "read-timeout"},
    {"redis://h/1?read-timeout=.s", -EINVAL, "read-timeout"},
    {"redis://h/1?read-timeout=", -EINVAL, "read-timeout"},
    {"redis://h/1?read-timeout=9999999h", -EINVAL, "read-timeout"},
    {"redis://h/1?tls-ca-cert-file=/x", -ENOTSUP, "tls-ca-cert-file"},
    {"redis://h/1?insecure-skip-verify=true", -ENOTSUP, "insecure-skip-verify"},
};

static void test_refused(void)
{
    no_environment();
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refused *r = &refusals[i];
        int rc = parse(r->url);

        CU_ASSERT_EQUAL(rc, r->rc);
        CU_ASSERT_PTR_NOT_NULL(strstr(err, r->names));
        CU_ASSERT_PTR_NULL(strchr(err, '\n'));
        if (rc != r->rc || !strstr(err, r->names))
            fprintf(stderr, "  at %s: %d %s\n", r->url, rc, err);
    }
}

static void test_too_long(void)
{
    char url[5000];

    no_environment();
    for (size_t len = 0; len < 4900; len += 7) {
        static const char *const heads[] = {"redis://", "redis://u:", "redis://:p@h/1?",
                                            "unix:///"};
        static const char *const tails[] = {"/1", "@h/1", "=1", ""};
        for (size_t i = 0; i < 4; i++) {
            size_t n = (size_t)sprintf(url, "%s", heads[i]);
            memset(url + n, 'a', len);
            strcpy(url + n + len, tails[i]);
            if (parse(url) < 0)
                CU_ASSERT_NOT_EQUAL(err[0], 0);
        }
    }
    memcpy(url, "unix:///", 8);
    memset(url + 8, 'a', 106);
    url[8 + 106] = 0;
    CU_ASSERT_EQUAL(parse(url), 0);
    CU_ASSERT_EQUAL(strlen(u.socket), 107);
    strcat(url, "a");
    CU_ASSERT_EQUAL(parse(url), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, "107"));
}

static void test_options(void)
{
    no_environment();
    CU_ASSERT_EQUAL(parse("redis://h"), 0);
    CU_ASSERT_EQUAL(u.read_timeout_ms, 30000);
    CU_ASSERT_EQUAL(u.write_timeout_ms, 5000);
    CU_ASSERT_EQUAL(u.min_backoff_ms, 20);
    CU_ASSERT_EQUAL(u.max_backoff_ms, 10000);

    CU_ASSERT_EQUAL(parse("redis://h?read-timeout=1m30s&write_timeout=1.5s&min-retry-backoff=1ms"
                          "&max_retry_backoff=250us"),
                    0);
    CU_ASSERT_EQUAL(u.read_timeout_ms, 90000);
    CU_ASSERT_EQUAL(u.write_timeout_ms, 1500);
    CU_ASSERT_EQUAL(u.min_backoff_ms, 1);
    CU_ASSERT_EQUAL(u.max_backoff_ms, 1);

    CU_ASSERT_EQUAL(parse("redis://h?read-timeout=0&write-timeout=1h&dial_timeout=%310ms&"), 0);
    CU_ASSERT_EQUAL(u.read_timeout_ms, 30000);
    CU_ASSERT_EQUAL(u.write_timeout_ms, 3600000);
    CU_ASSERT_EQUAL(u.connect_timeout_ms, 10);

    CU_ASSERT_EQUAL(parse("redis://h?client-cache=true&client_cache_size=5&client-cache-expire=1m"
                          "&client-cache-preload=3&route-read=replica&pool_size=3&protocol=3"),
                    0);
}

static void test_password_sources(void)
{
    char path[] = "/tmp/jfspre-url-XXXXXX";
    char spaces[600];
    int fd = mkstemp(path);

    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write(fd, "  from file\n", 12), 12);
    no_environment();
    setenv("META_PASSWORD_FILE", path, 1);
    CU_ASSERT_EQUAL(parse("redis://h"), 0);
    CU_ASSERT_STRING_EQUAL(u.password, "from file");
    CU_ASSERT_STRING_EQUAL(u.shown, "redis://:****@h:6379/0");
    setenv("META_PASSWORD", "meta", 1);
    CU_ASSERT_EQUAL(parse("redis://h"), 0);
    CU_ASSERT_STRING_EQUAL(u.password, "meta");
    setenv("REDIS_PASSWORD", "redis", 1);
    CU_ASSERT_EQUAL(parse("redis://me@h"), 0);
    CU_ASSERT_STRING_EQUAL(u.password, "redis");
    CU_ASSERT_STRING_EQUAL(u.user, "me");
    CU_ASSERT_EQUAL(parse("redis://:url@h"), 0);
    CU_ASSERT_STRING_EQUAL(u.password, "url");

    setenv("REDIS_PASSWORD", "", 1);
    setenv("META_PASSWORD", "", 1);
    CU_ASSERT_EQUAL(parse("redis://h"), 0);
    CU_ASSERT_STRING_EQUAL(u.password, "from file");

    memset(spaces, 'x', sizeof(spaces));
    CU_ASSERT_EQUAL(write(fd, spaces, sizeof(spaces)), (ssize_t)sizeof(spaces));
    CU_ASSERT_EQUAL(parse("redis://h"), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, path));
    spaces[sizeof(spaces) - 1] = 0;
    setenv("META_PASSWORD", spaces, 1);
    CU_ASSERT_EQUAL(parse("redis://h"), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, "META_PASSWORD"));
    unsetenv("META_PASSWORD");

    close(fd);
    unlink(path);
    CU_ASSERT_EQUAL(parse("redis://h"), -ENOENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, path));
    CU_ASSERT_EQUAL(parse("redis://:x@h"), 0);
    no_environment();
}

/* Passwords that were not encoded end up in every other part of the URL. */
static void test_never_shown(void)
{
    static const char *const urls[] = {
        "redis://:s3cret@h:bad/1",
        "redis://:s3cret@h/x",
        "redis://:s3cret@h/1?nope=1",
        "redis://u:1/s3cret@h/1",
        "redis://u:1?s3cret@h/1",
        "redis://u:1?s3cret=1@h/1",
        "redis://u:1#s3cret@h/1",
        "redis://:s3cret%zz@h/1",
        "redis://:a,s3cret:x@h/1",
        "redis://:s3cret@a,b/1",
        "unix://:s3cret@rel/path",
        "unix://:s3cret@/p?x=1",
        "redis://:s3cret@h/1?db=s3cret",
        "redis://u:s3cret/@h",
        "redis://u:s3cret?@h",
        "redis://u:s3cret@h",
        "unix://:s3cret@/p",
    };

    no_environment();
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        int rc = parse(urls[i]);

        CU_ASSERT_PTR_NULL(strstr(err, "s3cret"));
        if (rc == 0)
            CU_ASSERT_PTR_NULL(strstr(u.shown, "s3cret"));
        if (strstr(err, "s3cret"))
            fprintf(stderr, "  at %s: %s\n", urls[i], err);
    }
}

/* clang-format off */
#define CASES(X) \
    X(good) X(refused) X(too_long) X(options) X(password_sources) X(never_shown)
/* clang-format on */

int main(void)
{
    CU_TestInfo tests[] = {
#define ADD(name) {#name, test_##name},
        CASES(ADD) CU_TEST_INFO_NULL,
    };
    return suite_run("url", tests);
}
