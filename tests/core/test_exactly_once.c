/*
 * Every op of a batch is applied once: the connection is cut at each byte of both directions,
 * answers are swallowed, requests arrive late, the server is killed and forgets, the process of an
 * embedded store is killed; then the same batches are sent again.
 *
 * STEP=n (1) tries every n-th byte only.
 */
#include "core/base/clock.h"
#include "tests/lib/proxy.h"
#include "tests/lib/suite.h"
#include "tests/lib/talk.h"
#include "tests/lib/volume.h"

#include <CUnit/Basic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OPTIONS "&min-retry-backoff=1ms&max-retry-backoff=5s"
#define BATCHES 3

static struct moment start = {1700000000, 0};
static char *wanted; /* keys after one undisturbed telling */

static void fatal(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(99);
}

static struct engine *opened(const char *url, const char *options)
{
    struct engine *e;
    char full[300], err[300];

    snprintf(full, sizeof full, "%s%s", url, options);
    if (engine_open(full, &e, err, sizeof err) < 0)
        fatal(err);
    return e;
}

static void format(struct engine *e)
{
    struct setting v = volume_setting("/var/none/", 0);
    struct buf json = {0};

    setting_print(&v, &json);
    if (e->ops->format(e, &json, false) < 0)
        fatal(e->ops->error(e));
    buf_free(&json);
}

/* Is the store as after an undisturbed telling?  Prints the first difference. */
static bool is_as_wanted(struct engine *e, size_t batches)
{
    uint64_t last;
    char *keys = talk_keys(e, &last);
    bool same = strcmp(keys, wanted) == 0 && last == batches;

    if (!same) {
        size_t at = 0, line = 0;
        for (; keys[at] != '\0' && keys[at] == wanted[at]; at++)
            line = keys[at] == '\n' ? at + 1 : line;
        printf("last batch %llu; is     %.*s\nwanted %.*s\n", (unsigned long long)last,
               (int)strcspn(keys + line, "\n"), keys + line, (int)strcspn(wanted + line, "\n"),
               wanted + line);
    }
    free(keys);
    return same;
}

/* The first telling: its answers and keys are the ones wanted from then on. */
static void tell_first(struct talk *t, struct engine *e)
{
    uint64_t last;

    if (!talk_deliver(t, e, &(struct talk_way){0}))
        fatal("the conversation fails undisturbed");
    struct talk_count c = talk_count(t);
    CU_ASSERT_EQUAL(c.applied, talk_batches(t));
    CU_ASSERT_EQUAL(c.repeated + c.gaps + c.failed, 0);
    free(wanted);
    wanted = talk_keys(e, &last);
}

/* --- a network that breaks -------------------------------------------------------------------- */

static struct server *server;
static struct proxy *proxy;
static struct engine *direct; /* past the proxy */
static struct talk *talk;

static void fresh_volume(void)
{
    server_int(server, "FLUSHDB");
    format(direct);
}

static void heal(void *ctx, int rc)
{
    proxy_tell(proxy, "heal");
}

static void network_begin(size_t batches)
{
    clock_fix(&start);
    server = server_start();
    proxy = proxy_start(server_socket(server));
    direct = opened(server_url(server, 0), "");
    talk = talk_new(batches);
    fresh_volume();
    tell_first(talk, direct);
}

static void network_end(void)
{
    direct->ops->close(direct);
    talk_free(talk);
    proxy_free(proxy);
    server_free(server);
    clock_fix(NULL);
}

/* One telling through the proxy, which does what it was told; then all is as it must be. */
static bool tell_again(const char *options, const struct talk_way *way)
{
    struct engine *e = opened(proxy_url(proxy), options);
    bool ok = talk_deliver(talk, e, way);

    e->ops->close(e);
    return ok && is_as_wanted(direct, talk_batches(talk));
}

static uint64_t step(void)
{
    const char *text = getenv("STEP");
    return text != NULL && atoi(text) > 0 ? (uint64_t)atoi(text) : 1;
}

/* Cuts at each byte of a direction, one telling each. */
static void cut_everywhere(const char *direction, uint64_t bytes, size_t in_flight)
{
    struct talk_way way = {.in_flight = in_flight};
    unsigned repeated = 0, tellings = 0;

    for (uint64_t at = 0; at < bytes; at += step()) {
        fresh_volume();
        proxy_tell(proxy, "zero");
        proxy_tell(proxy, "cut %s %llu", direction, (unsigned long long)at);
        bool ok = tell_again(OPTIONS, &way);
        struct talk_count c = talk_count(talk);
        repeated += c.repeated;
        tellings++;
        if (!ok || proxy_stats(proxy).cuts != 1) {
            printf("cut %s at byte %llu of %llu, %zu in flight\n", direction,
                   (unsigned long long)at, (unsigned long long)bytes, in_flight);
            CU_FAIL("not once");
            return;
        }
        CU_ASSERT_EQUAL(c.gaps, 0);
        CU_ASSERT_EQUAL(c.applied + c.repeated, talk_batches(talk));
    }
    printf("%u tellings cut %s, %u batches answered a second time ... ", tellings, direction,
           repeated);
    CU_ASSERT(tellings > 20);
    if (step() == 1)
        CU_ASSERT(repeated > 0); /* answers were lost of what had been applied */
}

static void test_cut(size_t batches, size_t in_flight)
{
    struct talk_way way = {.in_flight = in_flight};

    network_begin(batches);
    fresh_volume();
    proxy_tell(proxy, "zero");
    CU_ASSERT(tell_again(OPTIONS, &way));
    talk_count(talk);
    struct proxy_stats whole = proxy_stats(proxy);
    cut_everywhere("up", whole.up, in_flight);
    cut_everywhere("down", whole.down, in_flight);
    network_end();
}

static void test_cut_one_by_one(void)
{
    test_cut(2, 1);
}

static void test_cut_in_flight(void)
{
    test_cut(BATCHES, BATCHES);
}

/* The server does not have the script, so its text is on the way too. */
static void test_cut_script(void)
{
    network_begin(BATCHES);
    for (int d = 0; d < 2; d++) {
        server_int(server, "SCRIPT FLUSH");
        fresh_volume();
        proxy_tell(proxy, "zero");
        CU_ASSERT(tell_again(OPTIONS, &(struct talk_way){0}));
        struct proxy_stats whole = proxy_stats(proxy);
        uint64_t bytes = d == 0 ? whole.up : whole.down;
        for (uint64_t at = 0; at < bytes; at += 1 + bytes / 200) {
            server_int(server, "SCRIPT FLUSH");
            fresh_volume();
            proxy_tell(proxy, "cut %s %llu", d == 0 ? "up" : "down", (unsigned long long)at);
            if (!tell_again(OPTIONS, &(struct talk_way){0})) {
                printf("cut %s at byte %llu\n", d == 0 ? "up" : "down", (unsigned long long)at);
                CU_FAIL("not once");
            }
        }
    }
    network_end();
}

/* The connection breaks again and again, each one after a few bytes more. */
static void test_cut_always(void)
{
    network_begin(BATCHES);
    for (int d = 0; d < 2; d++) {
        for (unsigned each = 2500; each < 4000; each += 150) {
            fresh_volume();
            proxy_tell(proxy, "zero");
            proxy_tell(proxy, "cut %s %u each always", d == 0 ? "up" : "down",
                       d == 0 ? each : each / 3);
            CU_ASSERT(tell_again(OPTIONS, &(struct talk_way){.in_flight = 1}));
            proxy_tell(proxy, "heal");
        }
    }
    network_end();
}

/* Answers never come: the client gives up waiting and asks again. */
static void test_swallowed(void)
{
    struct talk_way way = {.trouble = heal};

    network_begin(BATCHES);
    uint64_t down = proxy_stats(proxy).down;
    CU_ASSERT(tell_again(OPTIONS, &way) && talk_count(talk).repeated == BATCHES);
    down = proxy_stats(proxy).down - down;
    for (uint64_t at = 0; at < down; at += 1 + down / 30) {
        fresh_volume();
        proxy_tell(proxy, "drop down %llu", (unsigned long long)at);
        CU_ASSERT(tell_again(OPTIONS "&read-timeout=150ms", &way));
        proxy_tell(proxy, "heal");
    }
    network_end();
}

/* A request that was given up arrives after the same one was answered on another connection. */
static void test_late(void)
{
    struct talk_way way = {.in_flight = BATCHES};

    network_begin(BATCHES);
    fresh_volume();
    proxy_tell(proxy, "zero");
    CU_ASSERT(tell_again(OPTIONS, &way));
    uint64_t up = proxy_stats(proxy).up;
    unsigned late = 0;
    for (uint64_t at = 0; at < up; at += 1 + up / 40) {
        fresh_volume();
        proxy_tell(proxy, "hold up %llu", (unsigned long long)at);
        CU_ASSERT(tell_again(OPTIONS "&read-timeout=150ms", &way));
        long long calls = server_int(server, "HLEN ~seq");
        CU_ASSERT_EQUAL(calls, 1);
        late += proxy_stats(proxy).open;
        proxy_tell(proxy, "release");
        while (proxy_stats(proxy).open > 0) /* until the server has read it to its end */
            nanosleep(&(struct timespec){0, 1000000}, NULL);
        if (!is_as_wanted(direct, BATCHES)) {
            printf("held from byte %llu of %llu\n", (unsigned long long)at, (unsigned long long)up);
            CU_FAIL("applied again");
        }
    }
    CU_ASSERT(late > 20);
    network_end();
}

/* --- a server that forgets -------------------------------------------------------------------- */

enum memory { ALWAYS, EVERYSEC, SNAPSHOT };
struct crash {
    struct server *s;
    enum memory memory;
    size_t at; /* kills it when this batch is acknowledged */
    long cut;  /* bytes that its log loses */
    long kept; /* bytes that it does not lose: up to the volume that is made for this crash */
    unsigned kills;
};

/* Redis 7.0 leaves the first commands of a transaction in its log when the end of it is lost, and
 * at its next start, but not at this one, does them before what follows.  So no log is ever cut
 * back to what an earlier crash has left. */
static void keep_log(struct crash *c)
{
    char text[4000];

    while (server_text(c->s, text, sizeof text, "INFO persistence") < 0 ||
           strstr(text, "aof_buffer_length:0\r") == NULL) /* written a moment later */
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    c->kept = server_log_bytes(c->s);
}

static void kill_server(struct crash *c)
{
    server_kill(c->s);
    if (c->cut > 0) { /* what the kernel had not written when the power went */
        long left = server_log_bytes(c->s) - c->cut;
        server_log_cut(c->s, left > c->kept ? left : c->kept);
    }
    server_again(c->s);
    c->kills++;
}

static void on_acknowledged(void *ctx, size_t batch)
{
    struct crash *c = ctx;

    if (c->memory == SNAPSHOT && batch == c->at / 2)
        server_int(c->s, "SAVE");
    if (batch == c->at && c->kills == 0)
        kill_server(c);
}

/* After the batch `at` was acknowledged, with the ones behind it on their way.  Returns gaps. */
static unsigned crash_at(struct crash *c, struct talk *t, const char *url)
{
    struct engine *e = opened(url, OPTIONS);
    struct talk_way way = {
        .may_lose = c->memory != ALWAYS, .acknowledged = on_acknowledged, .ctx = c};
    /* what was acknowledged last is asked for again, as after a reconnection */
    struct talk_way again = {.from = talk_batches(t) - 1, .may_lose = way.may_lose};

    c->kills = 0;
    server_int(c->s, "FLUSHALL");
    format(e);
    if (c->memory == SNAPSHOT)
        server_int(c->s, "SAVE"); /* the volume is never lost */
    if (c->cut > 0)
        keep_log(c);
    talk_count(t);
    CU_ASSERT(talk_deliver(t, e, &way));
    CU_ASSERT(talk_deliver(t, e, &again));
    CU_ASSERT_EQUAL(c->kills, 1);
    CU_ASSERT(is_as_wanted(e, talk_batches(t)));
    e->ops->close(e);
    return talk_count(t).gaps;
}

static void crash_everywhere(struct crash c, const char *const *args, const long *cuts, size_t n)
{
    struct talk *t = talk_new(12);
    unsigned gaps = 0;

    clock_fix(&start);
    c.s = server_start_args(args);
    char url[200];
    snprintf(url, sizeof url, "%s", server_url(c.s, 0));
    struct engine *e = opened(url, "");
    format(e);
    tell_first(t, e);
    e->ops->close(e);
    for (size_t i = 0; i < n; i++) {
        for (c.at = 1; c.at < 12; c.at += 2) {
            c.cut = cuts[i];
            gaps += crash_at(&c, t, url);
        }
    }
    printf("%u gaps ... ", gaps);
    if (c.memory == ALWAYS)
        CU_ASSERT_EQUAL(gaps, 0);
    if (c.memory != ALWAYS)
        CU_ASSERT(gaps > 0);
    talk_free(t);
    server_free(c.s);
    clock_fix(NULL);
}

static void test_killed_always(void)
{
    static const char *const args[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};
    crash_everywhere((struct crash){.memory = ALWAYS}, args, (const long[]){0}, 1);
}

/* Killed alone it loses nothing; with the machine, the end of its log. */
static void test_killed_everysec(void)
{
    static const char *const args[] = {
        "--appendonly", "yes", "--appendfsync", "everysec", "--aof-load-truncated", "yes", NULL};
    crash_everywhere((struct crash){.memory = EVERYSEC}, args, (const long[]){1, 700, 3000, 20000},
                     4);
}

static void test_killed_snapshot(void)
{
    static const char *const args[] = {"--appendonly", "no", NULL};
    crash_everywhere((struct crash){.memory = SNAPSHOT}, args, (const long[]){0}, 1);
}

/* --- the embedded store ----------------------------------------------------------------------- */

#define KILLS        300
#define KILL_BATCHES 40

static void say_batch(void *ctx, size_t batch)
{
    if (write(*(int *)ctx, "b", 1) != 1)
        _exit(9);
}

/* Tells the batches from `from` on, a byte for each that is acknowledged, until it is killed. */
static void __attribute__((noreturn)) child(const char *url, size_t from, int out)
{
    struct talk *t = talk_new(KILL_BATCHES);
    struct talk_way way = {.from = from, .acknowledged = say_batch, .ctx = &out};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct engine *e = opened(url, "");
    talk_deliver(t, e, &way);
    _exit(0);
}

/* Kills a child after a while; how many batches more were acknowledged. */
static size_t run_and_kill(const char *url, size_t from, long wait_ns)
{
    int p[2];
    char byte;
    size_t n = 0;

    if (pipe(p) != 0)
        fatal("pipe");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(p[0]);
        child(url, from, p[1]);
    }
    close(p[1]);
    if (read(p[0], &byte, 1) == 1)
        n++;
    nanosleep(&(struct timespec){0, wait_ns}, NULL);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    while (read(p[0], &byte, 1) == 1)
        n++;
    close(p[0]);
    return n;
}

static void test_killed_lmdb(void)
{
    char dir[] = "/dev/shm/jfspre-once.XXXXXX", url[100], command[100];
    struct talk *t = talk_new(KILL_BATCHES);
    unsigned whole = 0;

    clock_fix(&start);
    if (mkdtemp(dir) == NULL)
        fatal(dir);
    snprintf(url, sizeof url, "lmdb://%s/first", dir);
    struct engine *e = opened(url, "");
    format(e);
    tell_first(t, e);
    e->ops->close(e);
    srand(1);
    for (int i = 0; i < KILLS; i++) {
        snprintf(url, sizeof url, "lmdb://%s/%d", dir, i);
        e = opened(url, "");
        format(e);
        e->ops->close(e);
        size_t n = run_and_kill(url, 0, rand() % 500000);
        if (n > KILL_BATCHES)
            fatal("more batches than there are");
        whole += n == KILL_BATCHES;
        e = opened(url, "");
        talk_count(t);
        size_t from = n > 4 ? n - 4 : 0;
        CU_ASSERT(talk_deliver(t, e, &(struct talk_way){.from = from}));
        struct talk_count c = talk_count(t);
        CU_ASSERT(c.repeated >= n - from); /* what was acknowledged was there */
        CU_ASSERT_EQUAL(c.repeated + c.applied, KILL_BATCHES - from);
        CU_ASSERT(is_as_wanted(e, KILL_BATCHES));
        e->ops->close(e);
    }
    printf("%d kills, %u after the end ... ", KILLS, whole);
    CU_ASSERT(whole < KILLS);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    CU_ASSERT_EQUAL(system(command), 0);
    talk_free(t);
    clock_fix(NULL);
}

int main(void)
{
    CU_TestInfo tests[] = {{"cut at each byte, one on its way", test_cut_one_by_one},
                           {"cut at each byte, all on their way", test_cut_in_flight},
                           {"cut while the script is loaded", test_cut_script},
                           {"cut again and again", test_cut_always},
                           {"answers swallowed", test_swallowed},
                           {"requests that arrive late", test_late},
                           {"server killed, log always written", test_killed_always},
                           {"server killed, its log loses its end", test_killed_everysec},
                           {"server killed, back at a snapshot", test_killed_snapshot},
                           {"process killed, embedded store", test_killed_lmdb},
                           CU_TEST_INFO_NULL};

    return suite_run("exactly once", tests);
}
