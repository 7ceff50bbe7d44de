/*
 * core/redis against a real server: who may connect, what a restart, a fork or a stolen descriptor
 * does, and the errno of everything a server refuses.
 */
#include "core/redis/lua_text.h"
#include "core/redis/rds.h"
#include "tests/lib/server.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A dispatcher of the test's own: the library's is not linked where these are defined. */
const char lua_dispatch_text[] = "local op = ARGV[1]\n"
                                 "if op == 'count' then return {#ARGV, KEYS[1], #KEYS} end\n"
                                 "if op == 'raise' then error('on purpose') end\n"
                                 "if op == 'forbidden' then return redis.call('NOSUCH') end\n"
                                 "return redis.call(unpack(ARGV))\n";
const char lua_dispatch_sha1[] = "07cc9bbc5c7ac913fbcece841add15a3485627f9";

#define QUICK "&min-retry-backoff=1ms&max-retry-backoff=1ms&read-timeout=10s"

static struct server *shared; /* has no password and keeps what is written */

static struct rds *rds_of(const char *url)
{
    struct rds_url u;
    struct rds *r;
    char err[512];

    if (rds_url_parse(url, &u, err, sizeof(err)) < 0 || rds_open(&u, &r) < 0) {
        fprintf(stderr, "%s: %s\n", url, err);
        exit(99);
    }
    return r;
}

static struct rds *rds_with(const char *url, const char *options)
{
    char text[512];

    snprintf(text, sizeof(text), "%s%s", url, options);
    return rds_of(text);
}

/* A command of words; its integer, or 0, or -errno. */
static int64_t words(struct rds *r, enum rds_effect effect, bool is_script, const char *text)
{
    struct rds_arg argv[8];
    char copy[256], *save = NULL;
    struct rds_reply *reply;
    size_t argc = 0;
    int64_t n = 0;

    snprintf(copy, sizeof(copy), "%s", text);
    for (char *w = strtok_r(copy, " ", &save); w && argc < 8; w = strtok_r(NULL, " ", &save))
        argv[argc++] = RDS_STR(w);
    int rc = is_script ? rds_script(r, effect, argv, argc, &reply)
                       : rds_command(r, effect, argv, argc, &reply);
    if (rc < 0) {
        CU_ASSERT_PTR_NULL(reply);
        CU_ASSERT_PTR_NULL(strchr(rds_error(r), '\n'));
        return rc;
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
    rds_reply_int(reply, &n);
    rds_reply_free(reply);
    return n;
}

#define ASK(r, text)     words(r, RDS_READS, false, text)
#define CHANGE(r, text)  words(r, RDS_CHANGES, false, text)
#define SCRIPT(r, text)  words(r, RDS_CHANGES, true, text)
#define SAYS(r, text)    CU_ASSERT_PTR_NOT_NULL(strstr(rds_error(r), text))
#define SAYS_NO(r, text) CU_ASSERT_PTR_NULL(strstr(rds_error(r), text))

static void test_nothing_listening(void)
{
    struct rds *r = rds_of("unix:///nonexistent/jfspre/redis.sock");

    CU_ASSERT_EQUAL(rds_fd(r), -1);
    CU_ASSERT_EQUAL(ASK(r, "PING"), -ECONNREFUSED); /* not ENOENT: no fact about a file */
    SAYS(r, "unix:///nonexistent/jfspre/redis.sock");
    CU_ASSERT_EQUAL(CHANGE(r, "PING"), -ECONNREFUSED);
    CU_ASSERT_EQUAL(rds_fd(r), -1);
    rds_close(r);
    r = rds_of("redis://:s3cret@127.0.0.1:1/2");
    CU_ASSERT_EQUAL(ASK(r, "PING"), -ECONNREFUSED);
    SAYS(r, "127.0.0.1:1/2");
    SAYS(r, "Connection refused");
    SAYS_NO(r, "s3cret");
    rds_close(r);
    rds_close(NULL);
}

static void test_tcp(void)
{
    char port[16], url[64];
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&addr, len), 0);
    CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    close(fd);
    snprintf(port, sizeof(port), "%d", ntohs(addr.sin_port));
    struct server *s = server_start_with("--port", port, "--bind", "127.0.0.1");
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(url, sizeof(url), "redis://%s:%s/3", hosts[i], port);
        struct rds *r = rds_of(url);
        CU_ASSERT_EQUAL(CHANGE(r, "INCR n"), (int64_t)i + 1);
        rds_close(r);
    }
    /* Here a send into a connection whose server is gone succeeds: it must be noticed before. */
    snprintf(url, sizeof(url), "redis://127.0.0.1:%s/3", port);
    struct rds *r = rds_of(url);
    CU_ASSERT_EQUAL(CHANGE(r, "INCR n"), 3);
    server_kill(s);
    server_again(s);
    CU_ASSERT_EQUAL(CHANGE(r, "INCR n"), 1);
    rds_close(r);
    server_free(s);
}

static void test_passwords(void)
{
    struct server *s = server_start_with("--requirepass", "pw0", "--user", "me", "on", ">pw1", "~*",
                                         "+@all", "-flushall");
    static const struct {
        const char *who, *after;
        int64_t rc;
        const char *says;
    } tries[] = {
        {"", "", -EACCES, "NOAUTH"},
        {":pw0@", "", 0, NULL},
        {":s3cret@", "", -EACCES, "wrong user or password"},
        {"me:pw1@", "?db=2", 0, NULL},
        {"me:s3cret@", "", -EACCES, "wrong user or password"},
        {"nobody:s3cret@", "", -EACCES, "wrong user or password"},
        {"default:pw0@", "", 0, NULL},
    };

    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        char url[256];

        snprintf(url, sizeof(url), "unix://%s%s%s", tries[i].who, server_socket(s), tries[i].after);
        struct rds *r = rds_of(url);
        CU_ASSERT_EQUAL(CHANGE(r, "SET a 1"), tries[i].rc);
        if (tries[i].says)
            SAYS(r, tries[i].says);
        SAYS_NO(r, "s3cret");
        CU_ASSERT_EQUAL(rds_fd(r) >= 0, tries[i].rc == 0 || i == 0);
        if (i == 3) {
            CU_ASSERT_EQUAL(CHANGE(r, "FLUSHALL"), -EACCES);
            SAYS(r, "NOPERM");
        }
        rds_close(r);
    }
    server_free(s);

    /* A server without a password, and one that does not know AUTH and says what it was given. */
    struct rds *r = rds_with("unix://:s3cret@", server_socket(shared));
    CU_ASSERT_EQUAL(ASK(r, "PING"), -EACCES);
    SAYS_NO(r, "s3cret");
    rds_close(r);
    s = server_start_with("--rename-command", "AUTH", "");
    r = rds_with("unix://:s3cret@", server_socket(s));
    CU_ASSERT_EQUAL(ASK(r, "PING"), -EACCES);
    SAYS_NO(r, "s3cret");
    rds_close(r);
    server_free(s);
}

static void test_databases(void)
{
    struct rds *zero = rds_of(server_url(shared, 0)), *nine = rds_of(server_url(shared, 9));
    struct rds *far = rds_of(server_url(shared, 16));

    CU_ASSERT_EQUAL(CHANGE(nine, "SET only-here 1"), 0);
    CU_ASSERT_EQUAL(ASK(nine, "EXISTS only-here"), 1);
    CU_ASSERT_EQUAL(ASK(zero, "EXISTS only-here"), 0);
    CU_ASSERT_EQUAL(ASK(far, "PING"), -EINVAL);
    SAYS(far, "DB index is out of range");
    rds_close(zero);
    rds_close(nine);
    rds_close(far);
}

/* SELECT travels with a first command that only reads; a change waits until it is in its database.
 */
static void test_greeting(void)
{
    struct rds *zero = rds_of(server_url(shared, 0)), *reads = rds_of(server_url(shared, 9));
    struct rds *changes = rds_of(server_url(shared, 9)), *far = rds_of(server_url(shared, 16));

    CU_ASSERT_EQUAL(ASK(reads, "PING"), 0);
    CU_ASSERT_EQUAL(rds_traffic(reads).round_trips, 1);
    CU_ASSERT_EQUAL(ASK(reads, "PING"), 0);
    CU_ASSERT_EQUAL(rds_traffic(reads).round_trips, 2);
    CU_ASSERT_EQUAL(CHANGE(changes, "INCR counted"), 1);
    CU_ASSERT_EQUAL(rds_traffic(changes).round_trips, 2);
    CU_ASSERT_EQUAL(CHANGE(far, "INCR counted"), -EINVAL);
    CU_ASSERT_EQUAL(ASK(zero, "EXISTS counted"), 0);
    CU_ASSERT_EQUAL(CHANGE(changes, "INCR counted"), 2);
    rds_close(zero);
    rds_close(reads);
    rds_close(changes);
    rds_close(far);
}

static void test_script_is_loaded(void)
{
    struct rds *r = rds_of(server_url(shared, 1));
    struct rds_arg argv[40];
    struct rds_reply *reply;
    const char *key;
    int64_t n;
    size_t len;

    server_int(shared, "SCRIPT FLUSH");
    for (int round = 0; round < 2; round++) {
        for (size_t argc = 1; argc <= 40; argc += 3) {
            for (size_t i = 0; i < argc; i++)
                argv[i] = RDS_STR("count");
            CU_ASSERT_EQUAL_FATAL(rds_script(r, RDS_CHANGES, argv, argc, &reply), 0);
            CU_ASSERT_EQUAL_FATAL(rds_reply_array(reply, &len), 0);
            CU_ASSERT_EQUAL_FATAL(len, 3);
            CU_ASSERT_EQUAL(rds_reply_int(rds_reply_at(reply, 0), &n), 0);
            CU_ASSERT_EQUAL(n, (int64_t)argc);
            CU_ASSERT_EQUAL(rds_reply_bytes(rds_reply_at(reply, 1), &key, &len), 0);
            CU_ASSERT_STRING_EQUAL(key, "setting");
            CU_ASSERT_EQUAL(rds_reply_int(rds_reply_at(reply, 2), &n), 0);
            CU_ASSERT_EQUAL(n, 1);
            /* type checks */
            CU_ASSERT_EQUAL(rds_reply_int(reply, &n), -EIO);
            CU_ASSERT_EQUAL(rds_reply_bytes(reply, &key, &len), -EIO);
            CU_ASSERT_EQUAL(rds_reply_bytes(rds_reply_at(reply, 0), &key, &len), -EIO);
            CU_ASSERT_EQUAL(rds_reply_array(rds_reply_at(reply, 1), &len), -EIO);
            CU_ASSERT_FALSE(rds_reply_is_nil(reply));
            rds_reply_free(reply);
        }
        server_int(shared, "SCRIPT FLUSH");
    }
    CU_ASSERT_EQUAL(SCRIPT(r, "raise"), -EIO);
    SAYS(r, "on purpose");
    CU_ASSERT_EQUAL(SCRIPT(r, "forbidden"), -EIO);
    CU_ASSERT_EQUAL(SCRIPT(r, "SET text 1"), 0);
    CU_ASSERT_EQUAL(SCRIPT(r, "LPUSH text 1"), -EIO);
    SAYS(r, "WRONGTYPE");
    CU_ASSERT_EQUAL(CHANGE(r, "LPUSH text 1"), -EIO);
    SAYS(r, "WRONGTYPE");
    CU_ASSERT_EQUAL(SCRIPT(r, "GET nothing"), 0);
    rds_close(r);
}

static void test_pipeline(void)
{
    struct rds *r = rds_of(server_url(shared, 2));
    const struct rds_arg set[] = {RDS_STR("SET"), RDS_STR("a"), RDS_STR("x")};
    const struct rds_arg push[] = {RDS_STR("LPUSH"), RDS_STR("a"), RDS_STR("x")};
    const struct rds_arg get[] = {RDS_STR("GET"), RDS_STR("a")};
    const struct rds_cmd cmds[] = {{set, 3}, {push, 3}, {get, 2}};
    struct rds_reply *out[3];

    CU_ASSERT_EQUAL(rds_pipeline(r, RDS_CHANGES, cmds, 0, out), 0);
    CU_ASSERT_EQUAL(rds_fd(r), -1);
    CU_ASSERT_EQUAL_FATAL(rds_pipeline(r, RDS_CHANGES, cmds, 3, out), 0);
    CU_ASSERT_EQUAL(rds_reply_error(r, out[0]), 0);
    CU_ASSERT_EQUAL(rds_reply_error(r, out[1]), -EIO);
    SAYS(r, "WRONGTYPE");
    CU_ASSERT_EQUAL(rds_reply_error(r, out[2]), 0);
    for (int i = 0; i < 3; i++)
        rds_reply_free(out[i]);
    rds_close(r);
}

/* Larger than every buffer on the way, with bytes that mean something to the protocol. */
static void test_big_values(void)
{
    struct rds *r = rds_of(server_url(shared, 2));
    size_t len = 9 << 20, got;
    char *big = malloc(len);
    struct rds_reply *reply;
    const char *data;

    CU_ASSERT_PTR_NOT_NULL_FATAL(big);
    for (size_t i = 0; i < len; i++)
        big[i] = "\r\n$-1\0*+"[i * 31 % 8];
    const struct rds_arg set[] = {RDS_STR("SET"), RDS_STR("big"), {big, len}};
    const struct rds_arg get[] = {RDS_STR("GET"), RDS_STR("big")};
    CU_ASSERT_EQUAL_FATAL(rds_command(r, RDS_CHANGES, set, 3, &reply), 0);
    rds_reply_free(reply);
    CU_ASSERT_EQUAL_FATAL(rds_command(r, RDS_READS, get, 2, &reply), 0);
    CU_ASSERT_EQUAL(rds_reply_bytes(reply, &data, &got), 0);
    CU_ASSERT_EQUAL(got, len);
    CU_ASSERT(got == len && !memcmp(data, big, len));
    rds_reply_free(reply);
    CU_ASSERT_EQUAL(ASK(r, "STRLEN big"), (int64_t)len);
    free(big);
    rds_close(r);
}

static void test_restart_between_calls(void)
{
    struct server *s = server_start_with("--appendonly", "yes", "--appendfsync", "always");
    struct rds *r = rds_of(server_url(s, 5));

    CU_ASSERT_EQUAL(CHANGE(r, "INCR n"), 1);
    server_stop(s);
    server_again(s);
    CU_ASSERT_EQUAL(CHANGE(r, "INCR n"), 2); /* in the same database */
    server_kill(s);
    server_again(s);
    CU_ASSERT_EQUAL(SCRIPT(r, "INCR n"), 3);
    rds_close(r);
    server_free(s);
}

static void test_down_and_up_again(void)
{
    struct server *s = server_start();
    struct rds *r = rds_with(server_url(s, 0), QUICK);

    CU_ASSERT_EQUAL(CHANGE(r, "INCR n"), 1);
    server_kill(s);
    CU_ASSERT_EQUAL(CHANGE(r, "INCR n"), -ECONNREFUSED);
    CU_ASSERT_EQUAL(ASK(r, "GET n"), -ECONNREFUSED);
    server_again(s);
    CU_ASSERT_EQUAL(CHANGE(r, "INCR n"), 1); /* nothing was kept on disk */
    rds_close(r);
    server_free(s);
}

static void *increment(void *r)
{
    return (void *)(intptr_t)CHANGE(r, "INCR n");
}

/* A running program waits for a server that is being restarted. */
static void test_waits_for_restart(void)
{
    struct server *s = server_start();
    struct rds *r = rds_with(server_url(s, 0), "&max-retry-backoff=100s");
    pthread_t t;
    void *n;

    CU_ASSERT_EQUAL(CHANGE(r, "INCR n"), 1);
    server_kill(s);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, increment, r), 0);
    server_again(s);
    pthread_join(t, &n);
    CU_ASSERT_EQUAL((intptr_t)n, 1);
    rds_close(r);
    server_free(s);
}

static void test_frozen(void)
{
    struct server *s = server_start();
    struct rds *r = rds_with(server_url(s, 0), "&read-timeout=20ms");

    server_int(s, "SET n 1");
    server_freeze(s);
    CU_ASSERT_EQUAL(ASK(r, "GET n"), -ETIMEDOUT);
    SAYS(r, "read-timeout");
    CU_ASSERT_EQUAL(rds_fd(r), -1); /* a late answer must not be taken for the next one */
    CU_ASSERT_EQUAL(CHANGE(r, "INCR n"), -EIO);
    SAYS(r, "may have happened");
    server_unfreeze(s);
    while (server_int(s, "INCRBY n 0") != 2) /* it has, once the server comes to it */
        continue;
    rds_close(r);
    server_free(s);
}

static int in_child(struct rds *r, bool tells)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        if (tells)
            rds_after_fork(r);
        int64_t id = CHANGE(r, "CLIENT ID");
        int ok = id > 0 && CHANGE(r, "INCR forked") > 0 && CHANGE(r, "CLIENT ID") == id;
        rds_close(r);
        _exit(ok ? id & 0x7f : 0);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_fork(void)
{
    struct rds *r = rds_of(server_url(shared, 3));
    int64_t id = CHANGE(r, "CLIENT ID");

    CU_ASSERT(id > 0);
    for (int tells = 0; tells < 2; tells++) {
        int child = in_child(r, tells);
        CU_ASSERT(child > 0);
        CU_ASSERT_NOT_EQUAL(child, id & 0x7f);
        CU_ASSERT_EQUAL(CHANGE(r, "CLIENT ID"), id); /* ours was left alone */
    }
    CU_ASSERT_EQUAL(CHANGE(r, "INCR forked"), 3);
    rds_close(r);
}

static void test_descriptor(void)
{
    struct rds *r = rds_of(server_url(shared, 3));
    int64_t id = CHANGE(r, "CLIENT ID");
    int fd = rds_fd(r);

    CU_ASSERT(fd >= 64);
    CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
    int fresh = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    CU_ASSERT(fresh >= 10);
    close(fd);
    rds_fd_moved(r, fresh);
    CU_ASSERT_EQUAL(CHANGE(r, "CLIENT ID"), id);
    rds_close(r);
    CU_ASSERT_EQUAL(fcntl(fresh, F_GETFD), -1);
}

/* With few descriptors to be had it is less high, but never 0, 1 or 2. */
static void test_low_descriptors(void)
{
    struct rlimit old, few = {64, 64};
    pid_t pid;
    int status = -1;

    getrlimit(RLIMIT_NOFILE, &old);
    few.rlim_max = old.rlim_max;
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        struct rds *r = rds_of(server_url(shared, 3));
        setrlimit(RLIMIT_NOFILE, &few);
        close(0);
        int ok = CHANGE(r, "INCR low") == 1 && rds_fd(r) >= 3;
        rds_close(r);
        _exit(!ok);
    }
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT_EQUAL(status, 0);
}

/* A program closes what it does not know, and gets the number for something of its own. */
static void test_stolen_descriptor(void)
{
    struct rds *r = rds_of(server_url(shared, 3));
    FILE *file = tmpfile();
    int pair[2];
    struct stat st;
    char c;

    CU_ASSERT(CHANGE(r, "INCR stolen") > 0);
    int fd = rds_fd(r);
    close(fd);
    CU_ASSERT(CHANGE(r, "INCR stolen") > 0);

    fd = rds_fd(r);
    CU_ASSERT_EQUAL(dup2(fileno(file), fd), fd);
    CU_ASSERT(CHANGE(r, "INCR stolen") > 0);
    CU_ASSERT_NOT_EQUAL(rds_fd(r), fd);
    CU_ASSERT_EQUAL(fstat(fd, &st), 0); /* it is theirs and stays open */
    CU_ASSERT_EQUAL(st.st_size, 0);
    close(fd);

    fd = rds_fd(r);
    CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CU_ASSERT_EQUAL(dup2(pair[0], fd), fd);
    CU_ASSERT(CHANGE(r, "INCR stolen") > 0);
    CU_ASSERT_EQUAL(recv(pair[1], &c, 1, MSG_DONTWAIT), -1);
    rds_close(r);
    CU_ASSERT_EQUAL(fstat(fd, &st), 0);
    close(fd);
    close(pair[0]);
    close(pair[1]);
    fclose(file);
}

static void test_full(void)
{
    struct server *s = server_start_with("--maxmemory-policy", "noeviction");
    struct rds *r = rds_of(server_url(s, 0));

    CU_ASSERT_EQUAL(SCRIPT(r, "SET a 1"), 0);
    server_int(s, "CONFIG SET maxmemory 1");
    CU_ASSERT_EQUAL(CHANGE(r, "SET b 1"), -ENOSPC);
    SAYS(r, "OOM");
    CU_ASSERT_EQUAL(SCRIPT(r, "SET b 1"), -ENOSPC);
    CU_ASSERT_EQUAL(ASK(r, "STRLEN a"), 1);
    CU_ASSERT_EQUAL(SCRIPT(r, "STRLEN a"), 1);
    CU_ASSERT_EQUAL(ASK(r, "EXISTS b"), 0);
    server_int(s, "CONFIG SET maxmemory 0");
    CU_ASSERT_EQUAL(SCRIPT(r, "SET b 1"), 0);
    rds_close(r);
    server_free(s);
}

static void test_replica(void)
{
    struct server *s = server_start_with("--replicaof", "127.0.0.1", "1");
    struct rds *r = rds_with(server_url(s, 0), "&read-timeout=500ms");

    CU_ASSERT_EQUAL(CHANGE(r, "SET b 1"), -EROFS);
    SAYS(r, "READONLY");
    CU_ASSERT_EQUAL(SCRIPT(r, "SET b 1"), -EROFS);
    CU_ASSERT_EQUAL(SCRIPT(r, "EXISTS b"), 0);
    server_int(s, "CONFIG SET replica-serve-stale-data no");
    CU_ASSERT_EQUAL(ASK(r, "EXISTS b"), -EAGAIN);
    SAYS(r, "MASTERDOWN");
    server_int(s, "REPLICAOF NO ONE");
    CU_ASSERT_EQUAL(SCRIPT(r, "SET b 1"), 0);
    rds_close(r);
    server_free(s);
}

/* clang-format off */
#define CASES(X) \
    X(nothing_listening) X(tcp) X(passwords) X(databases) X(greeting) X(script_is_loaded) X(pipeline) \
    X(big_values) X(restart_between_calls) X(down_and_up_again) X(waits_for_restart) X(frozen) \
    X(fork) X(descriptor) X(low_descriptors) X(stolen_descriptor) X(full) X(replica)
/* clang-format on */

int main(void)
{
    unsetenv("REDIS_PASSWORD");
    unsetenv("META_PASSWORD");
    unsetenv("META_PASSWORD_FILE");
    shared = server_start();
    CU_TestInfo tests[] = {
#define ADD(name) {#name, test_##name},
        CASES(ADD) CU_TEST_INFO_NULL,
    };
    return suite_run("redis", tests);
}
