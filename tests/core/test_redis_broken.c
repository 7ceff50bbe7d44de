/*
 * core/redis against servers that break off, stammer, talk nonsense or refuse: what may be repeated
 * is repeated once, what may have happened is never sent twice.
 *
 * Time-outs are short only where the server certainly says nothing.
 */
#include "core/redis/rds.h"
#include "tests/lib/fake.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIG (16 << 20) /* more than a socket's buffers hold */

static char *big;

static struct rds *rds_to(struct fake *f, const char *options)
{
    struct rds_url u;
    struct rds *r;
    char url[512], err[256];

    snprintf(url, sizeof(url), "%s?min-retry-backoff=1ms&max-retry-backoff=4ms%s", fake_url(f),
             options);
    if (rds_url_parse(url, &u, err, sizeof(err)) < 0 || rds_open(&u, &r) < 0)
        exit(99);
    return r;
}

/* Sends DO [payload] END; the integer of the answer, or -errno. */
static int64_t say(struct rds *r, enum rds_effect effect, size_t payload)
{
    const struct rds_arg argv[] = {RDS_STR("DO"), {big, payload}, RDS_STR("END")};
    struct rds_reply *reply;
    int64_t n = 0;

    int rc = rds_command(r, effect, argv, 3, &reply);
    if (rc < 0)
        return rc;
    rds_reply_int(reply, &n);
    rds_reply_free(reply);
    return n;
}

#define STEPS(...) ((const struct fake_step[]){__VA_ARGS__, {FAKE_STOP, NULL, 0}})
#define ACCEPT                                                                                     \
    {                                                                                              \
        FAKE_ACCEPT, NULL, 0                                                                       \
    }
#define READ                                                                                       \
    {                                                                                              \
        FAKE_READ, NULL, 0                                                                         \
    }
#define SAY(t)                                                                                     \
    {                                                                                              \
        FAKE_SAY, t, 0                                                                             \
    }
#define DRIP(t)                                                                                    \
    {                                                                                              \
        FAKE_DRIP, t, 0                                                                            \
    }
#define PART(n)                                                                                    \
    {                                                                                              \
        FAKE_PART, NULL, n                                                                         \
    }
#define CLOSE                                                                                      \
    {                                                                                              \
        FAKE_CLOSE, NULL, 0                                                                        \
    }
#define SAYS(r, t) CU_ASSERT_PTR_NOT_NULL(strstr(rds_error(r), t))

/* Plays steps against one call: its result and the number of whole requests that arrived. */
static void play(const struct fake_step *steps, const char *options, enum rds_effect effect,
                 int64_t want, size_t want_requests, const char *want_text)
{
    struct fake *f = fake_start(steps);
    struct rds *r = rds_to(f, options);
    int64_t got = say(r, effect, 1);

    CU_ASSERT_EQUAL(got, want);
    if (want_text)
        SAYS(r, want_text);
    if (got != want || (want_text && !strstr(rds_error(r), want_text)))
        fprintf(stderr, "  %lld, wanted %lld (%s): %s\n", (long long)got, (long long)want,
                want_text ? want_text : "", rds_error(r));
    rds_close(r);
    CU_ASSERT_EQUAL(fake_end(f, 0), want_requests);
}

static void test_slow_answers(void)
{
    play(STEPS(ACCEPT, READ, DRIP(":7\r\n")), "", RDS_CHANGES, 7, 1, NULL);
}

static void test_closed_after_request(void)
{
    play(STEPS(ACCEPT, READ, CLOSE, ACCEPT, READ, SAY(":7\r\n")), "", RDS_READS, 7, 2, NULL);
    play(STEPS(ACCEPT, READ, CLOSE, ACCEPT, READ, CLOSE), "", RDS_READS, -EIO, 2, "closed");
    play(STEPS(ACCEPT, READ, CLOSE), "", RDS_CHANGES, -EIO, 1, "may have happened");
}

static void test_closed_in_answer(void)
{
    play(STEPS(ACCEPT, READ, SAY(":7"), CLOSE, ACCEPT, READ, SAY(":8\r\n")), "", RDS_READS, 8, 2,
         NULL);
    play(STEPS(ACCEPT, READ, SAY("$5\r\nab"), CLOSE), "", RDS_CHANGES, -EIO, 1,
         "may have happened");
}

static void test_nonsense(void)
{
    play(STEPS(ACCEPT, READ, SAY("HTTP/1.1 400 Bad Request\r\n\r\n")), "", RDS_CHANGES, -EIO, 1,
         "protocol");
    play(STEPS(ACCEPT, READ, SAY("*9999999999999\r\n")), "", RDS_CHANGES, -EIO, 1, "protocol");
}

static void test_silence(void)
{
    play(STEPS(ACCEPT, READ), "&read-timeout=5ms", RDS_READS, -ETIMEDOUT, 1, "read-timeout");
    play(STEPS(ACCEPT, READ, SAY("$9\r\n1")), "&read-timeout=50ms", RDS_CHANGES, -EIO, 1,
         "may have happened");
}

static void test_loading(void)
{
    play(STEPS(ACCEPT, READ, SAY("-LOADING Redis is loading\r\n"), READ,
               SAY("-BUSY Redis is busy\r\n"), READ, SAY(":7\r\n")),
         "", RDS_CHANGES, 7, 3, NULL);
    play(STEPS(ACCEPT, SAY("-ERR max number of clients reached\r\n"), CLOSE, ACCEPT, READ,
               SAY(":7\r\n")),
         "", RDS_READS, 7, 1, NULL);
}

static void test_loading_for_ever(void)
{
    struct fake_step steps[64] = {ACCEPT};
    size_t n = 1;

    while (n + 2 < 64) {
        steps[n++] = (struct fake_step)READ;
        steps[n++] = (struct fake_step)SAY("-LOADING Redis is loading\r\n");
    }
    struct fake *f = fake_start(steps);
    struct rds *r = rds_to(f, "&read-timeout=100ms"); /* 1 + 2 + 4 * 25 ms: 27 tries */
    CU_ASSERT_EQUAL(say(r, RDS_CHANGES, 1), -EAGAIN);
    SAYS(r, "LOADING");
    rds_close(r);
    CU_ASSERT(fake_end(f, 1) > 2);
}

/* An answer nobody asked for would be taken for that of the next request. */
static void test_stray_answers(void)
{
    struct fake *f = fake_start(STEPS(ACCEPT, READ, SAY(":1\r\n:66\r\n"), ACCEPT, READ,
                                      SAY(":2\r\n"), CLOSE, ACCEPT, READ, SAY(":3\r\n")));
    struct rds *r = rds_to(f, "");

    CU_ASSERT_EQUAL(say(r, RDS_CHANGES, 1), 1);
    CU_ASSERT_EQUAL(say(r, RDS_CHANGES, 1), 2);
    CU_ASSERT_EQUAL(say(r, RDS_READS, 1), 3);
    rds_close(r);
    CU_ASSERT_EQUAL(fake_end(f, 0), 3);
}

/* Redis runs a command only when it has all of it, so half of one was not run. */
static void test_half_a_request(void)
{
    struct fake *f = fake_start(STEPS(ACCEPT, PART(10), CLOSE, ACCEPT, READ, SAY(":7\r\n")));
    struct rds *r = rds_to(f, "");

    CU_ASSERT_EQUAL(say(r, RDS_CHANGES, BIG), 7);
    rds_close(r);
    CU_ASSERT_EQUAL(fake_end(f, 0), 1);

    f = fake_start(STEPS(ACCEPT, PART(10)));
    r = rds_to(f, "&write-timeout=5ms");
    CU_ASSERT_EQUAL(say(r, RDS_CHANGES, BIG), -ETIMEDOUT);
    SAYS(r, "write-timeout");
    rds_close(r);
    CU_ASSERT_EQUAL(fake_end(f, 0), 0);
}

/* Of a pipeline the first commands may have been run when the rest was not sent. */
static void test_half_a_pipeline(void)
{
    const struct rds_arg small[] = {RDS_STR("DO")}, large[] = {RDS_STR("DO"), {big, BIG}};
    const struct rds_cmd cmds[] = {{small, 1}, {large, 2}};
    struct rds_reply *out[2];
    struct fake *f = fake_start(STEPS(ACCEPT, PART(10), CLOSE));
    struct rds *r = rds_to(f, "");

    CU_ASSERT_EQUAL(rds_pipeline(r, RDS_CHANGES, cmds, 2, out), -EIO);
    SAYS(r, "may have happened");
    CU_ASSERT_PTR_NULL(out[0]);
    rds_close(r);
    CU_ASSERT_EQUAL(fake_end(f, 0), 0);

    /* The first of two answers came: neither is handed out. */
    f = fake_start(STEPS(ACCEPT, SAY(":1\r\n"), CLOSE, ACCEPT, SAY(":2\r\n"), CLOSE));
    r = rds_to(f, "");
    CU_ASSERT_EQUAL(
        rds_pipeline(r, RDS_READS, (const struct rds_cmd[]){{small, 1}, {small, 1}}, 2, out), -EIO);
    CU_ASSERT_PTR_NULL(out[0]);
    CU_ASSERT_PTR_NULL(out[1]);
    rds_close(r);
    fake_end(f, 1);
}

static void test_errors(void)
{
    static const struct {
        const char *reply;
        int64_t rc;
        const char *says;
    } rows[] = {
        {"-OOM command not allowed when used memory > 'maxmemory'.\r\n", -ENOSPC, "OOM"},
        {"-READONLY You can't write against a read only replica.\r\n", -EROFS, "READONLY"},
        {"-MISCONF Redis is configured to save RDB snapshots, but...\r\n", -EROFS, "MISCONF"},
        {"-NOREPLICAS Not enough good replicas to write.\r\n", -EROFS, "NOREPLICAS"},
        {"-NOAUTH Authentication required.\r\n", -EACCES, "NOAUTH"},
        {"-WRONGPASS invalid username-password pair\r\n", -EACCES, "WRONGPASS"},
        {"-NOPERM this user has no permissions\r\n", -EACCES, "NOPERM"},
        {"-WRONGTYPE Operation against a key\r\n", -EIO, "WRONGTYPE"},
        {"-MOVED 3999 127.0.0.1:6381\r\n", -ENOTSUP, "Cluster"},
        {"-ASK 3999 127.0.0.1:6381\r\n", -ENOTSUP, "Cluster"},
        {"-CROSSSLOT Keys in request don't hash to the same slot\r\n", -ENOTSUP, "Cluster"},
        {"-CLUSTERDOWN Hash slot not served\r\n", -ENOTSUP, "Cluster"},
        {"-ERR SELECT is not allowed in cluster mode\r\n", -ENOTSUP, "Cluster"},
        {"-ERR Script attempted to access a non local key in a cluster node\r\n", -ENOTSUP,
         "Cluster"},
        {"-ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed\r\n",
         -ENOSPC, "OOM"},
        {"-ERR Error running script (call to f_1): @user_script: 1: -READONLY You\r\n", -EROFS,
         "READONLY"},
        {"-ERR Error running script (call to f_1): @user_script:1: WRONGTYPE Op\r\n", -EIO,
         "WRONGTYPE"},
        {"-ERR Error running script (call to f_1): @user_script:1: LOADING x\r\n", -EAGAIN,
         "LOADING"},
        {"-ERR something new\r\n", -EIO, "something new"},
        {"-\r\n", -EIO, ""},
        {"-E\r\n", -EIO, "E"},
    };
    enum { N = sizeof(rows) / sizeof(rows[0]) };
    struct fake_step steps[2 * N + 2] = {ACCEPT};

    for (size_t i = 0; i < N; i++) {
        steps[2 * i + 1] = (struct fake_step)READ;
        steps[2 * i + 2] = (struct fake_step)SAY(rows[i].reply);
    }
    struct fake *f = fake_start(steps);
    struct rds *r = rds_to(f, "");
    for (size_t i = 0; i < N; i++) {
        int64_t rc = say(r, RDS_CHANGES, 1);
        CU_ASSERT_EQUAL(rc, rows[i].rc);
        SAYS(r, rows[i].says);
        if (rc != rows[i].rc)
            fprintf(stderr, "  %lld at %s", (long long)rc, rows[i].reply);
    }
    rds_close(r);
    CU_ASSERT_EQUAL(fake_end(f, 0), N); /* each was asked once, on one connection */
}

/* What is sent before the first command is under the same rules. */
static void test_broken_hello(void)
{
    struct fake *f = fake_start(STEPS(ACCEPT, CLOSE));
    struct rds *r = rds_to(f, "&db=3");
    int64_t rc = say(r, RDS_CHANGES, 1);

    CU_ASSERT(rc == -EIO || rc == -ECONNREFUSED);
    CU_ASSERT_EQUAL(rds_fd(r), -1);
    rds_close(r);
    CU_ASSERT_EQUAL(fake_end(f, 1), 0);

    f = fake_start(STEPS(ACCEPT, PART(14), SAY("+OK\r\n"), PART(9), READ, SAY(":5\r\n")));
    r = rds_to(f, "&db=3");
    CU_ASSERT_EQUAL(say(r, RDS_CHANGES, 1), 5);
    rds_close(r);
    CU_ASSERT_EQUAL(fake_end(f, 0), 1);
}

/* clang-format off */
#define CASES(X) \
    X(slow_answers) X(closed_after_request) X(closed_in_answer) X(nonsense) X(silence) \
    X(loading) X(loading_for_ever) X(stray_answers) X(half_a_request) X(half_a_pipeline) \
    X(errors) X(broken_hello)
/* clang-format on */

int main(void)
{
    big = calloc(1, BIG);
    if (!big)
        return 2;
    memset(big, 'x', BIG);
    CU_TestInfo tests[] = {
#define ADD(name) {#name, test_##name},
        CASES(ADD) CU_TEST_INFO_NULL,
    };
    int rc = suite_run("redis_broken", tests);
    free(big);
    return rc;
}
