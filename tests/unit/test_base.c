/*
 * test_base.c - buffers, the log's sink, clocks, and where settings come from.
 */
#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/config.h"
#include "core/base/log.h"
#include "tests/lib/scratch.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- bytes ------------------------------------------------------------------------------------ */

static void test_big_endian(void)
{
    static const uint8_t want[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    struct buf b = {0};
    uint8_t raw[8];

    buf_add_be16(&b, 0x0102);
    buf_add_be32(&b, 0x03040506);
    buf_add_be64(&b, UINT64_C(0x0708090a0b0c0d0e));
    CU_ASSERT_EQUAL_FATAL(b.len, sizeof want);
    CU_ASSERT(memcmp(b.data, want, sizeof want) == 0);
    CU_ASSERT_EQUAL(b.data[b.len], 0);
    CU_ASSERT_EQUAL(get_be16(b.data), 0x0102);
    CU_ASSERT_EQUAL(get_be32(b.data + 2), 0x03040506);
    CU_ASSERT_EQUAL(get_be64(b.data + 6), UINT64_C(0x0708090a0b0c0d0e));
    put_be64(raw, UINT64_MAX);
    CU_ASSERT_EQUAL(get_be64(raw), UINT64_MAX);
    CU_ASSERT_EQUAL(get_be32(raw), UINT32_MAX);
    buf_free(&b);
}

static void test_buf_grows(void)
{
    struct buf b = {0};

    buf_free(&b);
    CU_ASSERT_EQUAL(buf_ok(&b), 0);
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t byte = (uint8_t)i;
        buf_add(&b, &byte, 1);
    }
    CU_ASSERT_EQUAL_FATAL(b.len, 100000);
    CU_ASSERT_EQUAL(buf_ok(&b), 0);
    for (unsigned i = 0; i < 100000; i++)
        CU_ASSERT_EQUAL_FATAL(b.data[i], (uint8_t)i);
    buf_clear(&b);
    CU_ASSERT_EQUAL(b.len, 0);
    CU_ASSERT(b.cap >= 100000);
    buf_free(&b);
    CU_ASSERT_PTR_NULL(b.data);
    buf_add(&b, "", 0); /* nothing, and still a string */
    CU_ASSERT_EQUAL(b.len, 0);
    CU_ASSERT_STRING_EQUAL((char *)b.data, "");
    buf_free(&b);
}

static void test_buf_room(void)
{
    struct buf b = {0};
    int wrong = 0;

    for (size_t n = 0; n < 300; n++) {
        uint8_t *p = buf_room(&b, n + 7); /* more than is used */
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        wrong += p != b.data + b.len;
        memset(p, (int)n, n);
        buf_added(&b, n);
        wrong += b.data[b.len] != 0;
    }
    CU_ASSERT_EQUAL(b.len, 299 * 300 / 2);
    for (size_t n = 0, at = 0; n < 300; at += n++)
        for (size_t i = 0; i < n; i++)
            wrong += b.data[at + i] != (uint8_t)n;
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_PTR_NULL(buf_room(&b, SIZE_MAX));
    CU_ASSERT_EQUAL(buf_ok(&b), -ENOMEM);
    buf_free(&b);
}

static void test_buf_printf(void)
{
    struct buf b = {0};
    char want[5000];

    buf_printf(&b, "%s", "");
    CU_ASSERT_STRING_EQUAL((char *)b.data, "");
    buf_printf(&b, "%d-%s", 7, "x");
    CU_ASSERT_STRING_EQUAL((char *)b.data, "7-x");
    buf_printf(&b, "%04999d", 1); /* longer than the room left */
    snprintf(want, sizeof want, "%04999d", 1);
    CU_ASSERT_EQUAL(b.len, 3 + 4999);
    CU_ASSERT_STRING_EQUAL((char *)b.data + 3, want);
    /* exactly at the edge of what is allocated: 63 bytes and the NUL */
    buf_free(&b);
    for (int len = 60; len < 70; len++) {
        buf_printf(&b, "%*d", len, 5);
        CU_ASSERT_EQUAL(b.len, (size_t)len);
        CU_ASSERT_EQUAL(b.data[len], 0);
        buf_free(&b);
    }
}

static void test_buf_failure_sticks(void)
{
    struct buf b = {0};

    buf_add(&b, "abc", 3);
    buf_add(&b, "", SIZE_MAX); /* overflows before anything is read */
    CU_ASSERT_EQUAL(buf_ok(&b), -ENOMEM);
    buf_add(&b, "d", 1);
    buf_printf(&b, "e");
    CU_ASSERT_EQUAL(b.len, 3);
    CU_ASSERT_STRING_EQUAL((char *)b.data, "abc");
    buf_clear(&b);
    CU_ASSERT_EQUAL(buf_ok(&b), 0);
    buf_free(&b);
}

/* --- log -------------------------------------------------------------------------------------- */

static char last_line[2048];
static int lines;
static enum log_level last_level;

static void sink(enum log_level level, const char *line)
{
    lines++;
    last_level = level;
    snprintf(last_line, sizeof last_line, "%s", line);
}

static void say_once(void)
{
    log_once(LOG_WARN, "once %d", 1);
}

static void test_log(void)
{
    char longer[3000];

    log_set(NULL, LOG_DEBUG);
    log_at(LOG_ERROR, "nobody hears");
    CU_ASSERT_EQUAL(lines, 0);
    log_set(sink, LOG_WARN);
    log_at(LOG_INFO, "below");
    CU_ASSERT_EQUAL(lines, 0);
    log_at(LOG_WARN, "block %d: %s", 3, "a\nb\033[0m\177");
    CU_ASSERT_EQUAL(lines, 1);
    CU_ASSERT_EQUAL(last_level, LOG_WARN);
    CU_ASSERT_STRING_EQUAL(last_line, "block 3: a?b?[0m?");
    say_once();
    say_once();
    CU_ASSERT_EQUAL(lines, 2);
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    log_at(LOG_ERROR, "%s", longer);
    CU_ASSERT_EQUAL(strlen(last_line), 1023);
    CU_ASSERT_STRING_EQUAL(last_line + 1020, "...");
    log_set(NULL, LOG_ERROR);
}

/* --- clock ------------------------------------------------------------------------------------ */

static void test_clock(void)
{
    struct moment a = clock_now(), b;
    uint64_t m = clock_mono_ms();

    CU_ASSERT(a.sec > 1700000000);
    CU_ASSERT(a.nsec < 1000000000);
    usleep(2000);
    b = clock_now();
    CU_ASSERT(b.sec != a.sec || b.nsec != a.nsec);
    CU_ASSERT(clock_mono_ms() > m);
    uint64_t coarse = clock_coarse_ms();
    CU_ASSERT(coarse <= clock_mono_ms());
    while (clock_coarse_ms() == coarse) /* it moves */
        continue;
}

/* --- config ----------------------------------------------------------------------------------- */

static char home[] = "/tmp/jfspre-unit-XXXXXX";
static char err[512];

/* Every variable that config reads is gone, HOME is a directory of this test. */
static void clean(void)
{
    static const char *const names[] = {"JFSPRE_META", "JFSPRE_PREFIX",   "JFSPRE_CACHE_DIR",
                                        "JFSPRE_LOG",  "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    setenv("HOME", home, 1);
    snprintf(err, sizeof err, "untouched");
}

static void write_file(const char *dir, const char *text, size_t len)
{
    char path[PATH_MAX];
    int fd;

    snprintf(path, sizeof path, "%s/%s", home, dir);
    mkdir(path, 0700);
    strcat(path, "/jfspre");
    mkdir(path, 0700);
    strcat(path, "/config");
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write(fd, text, len), (ssize_t)len);
    close(fd);
}

static void write_config(const char *text)
{
    write_file(".config", text, strlen(text));
}

static void test_config_environment(void)
{
    struct config c = {0};

    clean();
    write_config("this is not = a config\n"); /* never read: the environment has it all */
    setenv("JFSPRE_META", "redis://h/1", 1);
    setenv("JFSPRE_PREFIX", "/mnt/vol", 1);
    setenv("JFSPRE_CACHE_DIR", "/var/tmp/c", 1);
    setenv("JFSPRE_LOG", "debug:/tmp/l", 1);
    CU_ASSERT_EQUAL_FATAL(config_load(&c, err, sizeof err), 0);
    CU_ASSERT_STRING_EQUAL(c.meta, "redis://h/1");
    CU_ASSERT_STRING_EQUAL(c.prefix, "/mnt/vol");
    CU_ASSERT_STRING_EQUAL(c.cache_dir, "/var/tmp/c");
    CU_ASSERT_STRING_EQUAL(c.log, "debug:/tmp/l");
    config_free(&c);
    CU_ASSERT_PTR_NULL(c.meta);
    CU_ASSERT_PTR_NULL(c.log);
}

static void test_config_defaults(void)
{
    struct config c = {0};
    char want[PATH_MAX];

    clean();
    setenv("JFSPRE_META", "redis://h/1", 1);
    setenv("JFSPRE_PREFIX", "", 1); /* empty is unset */
    setenv("XDG_RUNTIME_DIR", home, 1);
    CU_ASSERT_EQUAL_FATAL(config_load(&c, err, sizeof err), 0);
    CU_ASSERT_STRING_EQUAL(c.prefix, "/jfs");
    snprintf(want, sizeof want, "%s/jfspre", home);
    CU_ASSERT_STRING_EQUAL(c.cache_dir, want);
    CU_ASSERT_PTR_NULL(c.log);
    config_free(&c);
    setenv("XDG_RUNTIME_DIR", "/nowhere/at/all", 1);
    CU_ASSERT_EQUAL_FATAL(config_load(&c, err, sizeof err), 0);
    snprintf(want, sizeof want, "jfspre-%u", (unsigned)geteuid());
    CU_ASSERT_PTR_NOT_NULL(strstr(c.cache_dir, want));
    CU_ASSERT_PTR_NULL(strstr(c.cache_dir, "nowhere"));
    config_free(&c);
}

static void test_config_order(void)
{
    struct config c = {.prefix = strdup("/flag")};

    clean();
    write_config("# a comment\n\n"
                 "meta = redis://:p#w=1@h:1/0   # behind a value\n"
                 "\tprefix=/file\r\n"
                 "cache-dir =  /file cache \n"
                 "log = info");
    setenv("JFSPRE_LOG", "error", 1);
    CU_ASSERT_EQUAL_FATAL(config_load(&c, err, sizeof err), 0);
    CU_ASSERT_STRING_EQUAL(c.meta, "redis://:p#w=1@h:1/0");
    CU_ASSERT_STRING_EQUAL(c.prefix, "/flag");
    CU_ASSERT_STRING_EQUAL(c.cache_dir, "/file cache");
    CU_ASSERT_STRING_EQUAL(c.log, "error");
    config_free(&c);
    /* XDG_CONFIG_HOME takes the place of ~/.config; a relative one is ignored */
    write_file("xdg", "meta = redis://x", strlen("meta = redis://x"));
    snprintf(err, sizeof err, "%s/xdg", home);
    setenv("XDG_CONFIG_HOME", err, 1);
    CU_ASSERT_EQUAL_FATAL(config_load(&c, err, sizeof err), 0);
    CU_ASSERT_STRING_EQUAL(c.meta, "redis://x");
    config_free(&c);
    setenv("XDG_CONFIG_HOME", "xdg", 1);
    CU_ASSERT_EQUAL_FATAL(config_load(&c, err, sizeof err), 0);
    CU_ASSERT_STRING_EQUAL(c.meta, "redis://:p#w=1@h:1/0");
    config_free(&c);
}

static void test_config_bad_files(void)
{
    static const struct {
        const char *text, *where;
    } bad[] = {
        {"meta = redis://h\nmata = 1\n", "config:2: unknown name \"mata\""},
        {"\n\nmeta redis://h secret\n", "config:3: not \"name = value\" \"meta\""},
        {"log =   # nothing\n", "config:1: no value for \"log\""},
        {"  = x\n", "config:1: unknown name \"\""},
        {"log=a\nlog=b\n", "config:2: second value for \"log\""},
        {"Meta=x", "config:1: unknown name \"Meta\""},
        {"meta-url=redis://:secret@h", "config:1: unknown name \"meta-url\""},
    };
    static char big[70000];
    struct config c = {0};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        clean();
        write_config(bad[i].text);
        CU_ASSERT_EQUAL(config_load(&c, err, sizeof err), -EINVAL);
        if (strstr(err, bad[i].where) == NULL)
            printf("\n  got: %s\n  not: %s\n", err, bad[i].where);
        CU_ASSERT_PTR_NOT_NULL(strstr(err, bad[i].where));
        CU_ASSERT_PTR_NULL(strstr(err, "secret"));
        CU_ASSERT_PTR_NOT_NULL(strstr(err, home));
        config_free(&c);
    }
    write_file(".config", "meta = a\0b\n", 11);
    CU_ASSERT_EQUAL(config_load(&c, err, sizeof err), -EINVAL);
    config_free(&c);
    memset(big, '\n', sizeof big);
    write_file(".config", big, sizeof big);
    CU_ASSERT_EQUAL(config_load(&c, err, sizeof err), -EFBIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, "too large"));
    config_free(&c);
}

static void test_config_no_file(void)
{
    struct config c = {0};

    clean();
    if (access("/etc/jfspre.conf", F_OK) == 0)
        return;                     /* this host is configured: nothing to learn here */
    setenv("HOME", "/dev/null", 1); /* ENOTDIR */
    CU_ASSERT_EQUAL_FATAL(config_load(&c, err, sizeof err), 0);
    CU_ASSERT_PTR_NULL(c.meta);
    CU_ASSERT_STRING_EQUAL(c.prefix, "/jfs");
    config_free(&c);
    unsetenv("HOME");
    CU_ASSERT_EQUAL(config_load(&c, err, sizeof err), 0);
    config_free(&c);
}

/* After su, HOME may be a directory that is closed to us: as if there were no file. */
static void test_config_closed_home(void)
{
    struct config c = {0};
    bool root = geteuid() == 0;
    int rc;

    clean();
    write_config("meta = redis://not-ours");
    if (access("/etc/jfspre.conf", F_OK) == 0)
        return;
    CU_ASSERT_EQUAL_FATAL(root ? seteuid(65534) : chmod(home, 0), 0);
    rc = config_load(&c, err, sizeof err);
    CU_ASSERT_EQUAL_FATAL(root ? seteuid(0) : chmod(home, 0700), 0);
    CU_ASSERT_EQUAL(rc, 0);
    CU_ASSERT_PTR_NULL(c.meta);
    config_free(&c);
}

static void test_config_prefix(void)
{
    static const struct {
        const char *given, *want; /* NULL: refused */
    } rows[] = {
        {"/jfs/", "/jfs"},      {"//a///b//", "/a/b"}, {"/./a/././b/.", "/a/b"},
        {"/.a/..b", "/.a/..b"}, {"/", NULL},           {"///", NULL},
        {"/./.", NULL},         {"jfs", NULL},         {"./jfs", NULL},
        {"/a/../b", NULL},      {"/..", NULL},         {"/a b/ü\n", "/a b/ü\n"},
    };
    char path[PATH_MAX + 10];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config c = {.meta = strdup("redis://h"), .prefix = strdup(rows[i].given)};
        int rc;

        clean();
        rc = config_load(&c, err, sizeof err);
        CU_ASSERT_EQUAL(rc, rows[i].want != NULL ? 0 : -EINVAL);
        if (rc == 0) {
            CU_ASSERT_STRING_EQUAL(c.prefix, rows[i].want);
        } else {
            CU_ASSERT_PTR_NOT_NULL(strstr(err, "prefix"));
        }
        config_free(&c);
    }
    memset(path, 'a', sizeof path);
    path[0] = '/';
    for (size_t len = PATH_MAX - 1; len <= PATH_MAX; len++) {
        struct config c = {.meta = strdup("redis://h"), .prefix = strndup(path, len)};

        CU_ASSERT_EQUAL(config_load(&c, err, sizeof err), len < PATH_MAX ? 0 : -EINVAL);
        config_free(&c);
    }
    struct config c = {.meta = strdup("redis://h"), .cache_dir = strdup("cache")};
    CU_ASSERT_EQUAL(config_load(&c, err, sizeof err), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, "cache-dir"));
    config_free(&c);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"big-endian numbers", test_big_endian},
        {"a buffer grows", test_buf_grows},
        {"a buffer is written into in place", test_buf_room},
        {"a buffer is printed into", test_buf_printf},
        {"a failed allocation sticks", test_buf_failure_sticks},
        {"log", test_log},
        {"clocks", test_clock},
        {"config: environment", test_config_environment},
        {"config: defaults", test_config_defaults},
        {"config: order", test_config_order},
        {"config: bad files", test_config_bad_files},
        {"config: no file", test_config_no_file},
        {"config: closed home", test_config_closed_home},
        {"config: prefix", test_config_prefix},
        CU_TEST_INFO_NULL,
    };
    if (mkdtemp(home) == NULL)
        return 2;
    int rc = suite_run("base", tests);
    scratch_remove(home);
    return rc;
}
