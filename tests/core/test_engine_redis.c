/*
 * The Redis engine below meta: answers that no script of ours gives, scans over keys of every type
 * and size, formats at the same moment, a cluster.
 */
#include "core/redis/lua_text.h"
#include "tests/lib/suite.h"
#include "tests/lib/volume.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A dispatcher of the test's own, which says what the key `answer` holds as Lua. */
const char lua_dispatch_text[] = "return loadstring(redis.call('GET', 'answer'))()\n";
const char lua_dispatch_sha1[] = "6af5934a4739a0df5eeff2cda04eea238d4f295f";

static struct server *shared;

static struct engine *engine_of(struct server *s, int db)
{
    struct engine *e;
    char err[256];

    if (engine_open(server_url(s, db), &e, err, sizeof(err)) < 0)
        exit(99);
    return e;
}

/* --- answers ---------------------------------------------------------------------------------- */

#define ONE(fields) "return {{" fields "}}"
#define EIGHT       "'\\0\\0\\0\\0\\0\\0\\1\\2'"

static int answer(struct engine *e, const char *lua, size_t n, struct op_result *res)
{
    struct op ops[3] = {{.kind = OP_LOOKUP, .base = 1}, {.kind = OP_LOOKUP, .base = 1}};
    struct op_env env = {.mount = "/jfs"};

    server_int(shared, "SET answer %s", lua);
    memset(res, 0xee, n * sizeof(*res));
    return e->ops->call(e, &env, ops, n, res);
}

static void test_good_answers(void)
{
    struct engine *e = engine_of(shared, 0);
    struct op_result res[2];

    CU_ASSERT_EQUAL_FATAL(answer(e, ONE("0, " EIGHT ", '', " EIGHT ", 5, 'a\\0b'"), 1, res), 0);
    CU_ASSERT_EQUAL(res[0].code, 0);
    CU_ASSERT_EQUAL(res[0].ino, 258);
    CU_ASSERT_EQUAL(res[0].parent, 258);
    CU_ASSERT_EQUAL(res[0].rflags, 5);
    CU_ASSERT_FALSE(res[0].has_attr);
    CU_ASSERT_EQUAL_FATAL(res[0].extra.len, 3);
    CU_ASSERT_EQUAL(memcmp(res[0].extra.data, "a\0b", 4), 0);
    op_result_free(&res[0]);
    CU_ASSERT_EQUAL(answer(e, ONE("-2, 0, 0, 0, 0, 0"), 1, res), 0);
    CU_ASSERT_EQUAL(res[0].code, -ENOENT);
    CU_ASSERT_EQUAL(res[0].ino, 0);
    CU_ASSERT_EQUAL(res[0].extra.len, 0);
    CU_ASSERT_EQUAL(answer(e, ONE("-2, false, false, false, 0, false"), 1, res), 0);
    CU_ASSERT_EQUAL(res[0].code, -ENOENT);
    CU_ASSERT_EQUAL(answer(e, ONE("1, '', '', '', 0, '/etc'"), 1, res), 0);
    CU_ASSERT_EQUAL(res[0].code, OP_ESCAPE);
    CU_ASSERT_STRING_EQUAL(res[0].extra.data, "/etc");
    op_result_free(&res[0]);
    e->ops->close(e);
}

static void test_bad_answers(void)
{
    static const char *const one[] = {
        "return 1",
        "return 'x'",
        "return {}",
        "return {{}}",
        "return {1}",
        "return {false}",
        ONE("0, '', '', '', 0"),
        ONE("0, '', '', '', 0, '', ''"),
        ONE("'0', '', '', '', 0, ''"),
        ONE("2, '', '', '', 0, ''"),
        ONE("-4096, '', '', '', 0, ''"),
        ONE("0, '1234567', '', '', 0, ''"),
        ONE("0, '123456789', '', '', 0, ''"),
        ONE("0, 7, '', '', 0, ''"),
        ONE("0, {}, '', '', 0, ''"),
        ONE("0, '', 'short attr', '', 0, ''"),
        ONE("0, '', string.rep('\\0', 72), '', 0, ''"),
        ONE("0, '', '', 'abc', 0, ''"),
        ONE("0, '', '', '', 'x', ''"),
        ONE("0, '', '', '', -1, ''"),
        ONE("0, '', '', '', 4294967296, ''"),
        ONE("0, '', '', '', 0, {}"),
        "return {{0,'','','',0,''}, {0,'','','',0,''}}",
        "return {err = 'ERR none'}",
        "error('raised')",
        "return {{0,'','','',0,''}, nil}, 1, syntax error",
    };
    static const char *const two[] = {
        "return {{0,'','','',0,'text'}}",
        "return {{0,'','','',0,'text'}, {0,'','','',0}}",
        "return {{0,'','','',0,'text'}, false}",
        "return {{0,'','','',0,'text'}, {0,'x','','',0,''}}",
    };
    struct engine *e = engine_of(shared, 0);
    struct op_result res[2];

    for (size_t i = 0; i < sizeof(one) / sizeof(one[0]); i++) {
        int rc = answer(e, one[i], 1, res);
        CU_ASSERT_EQUAL(rc, -EIO);
        CU_ASSERT_PTR_NOT_NULL(strstr(e->ops->error(e), "unix://"));
        if (rc != -EIO)
            fprintf(stderr, "  %d at %s\n", rc, one[i]);
    }
    for (size_t i = 0; i < sizeof(two) / sizeof(two[0]); i++) {
        CU_ASSERT_EQUAL(answer(e, two[i], 2, res), -EIO);
        CU_ASSERT_PTR_NULL(res[0].extra.data); /* nothing is left to be freed */
    }
    e->ops->close(e);
}

/* --- requests --------------------------------------------------------------------------------- */

/* A request of a run of two creates, a run of two removals and a look-up. */
static int request(struct engine *e, const char *lua, struct op_result res[5], uint32_t *applied)
{
    static const struct attr a = {.type = TYPE_FILE, .nlink = 1, .parent = 1};
    struct engine_pack pack = {.id = 7, .size = 9};
    struct op_env env = {.mount = "/jfs"};
    struct op ops[5] = {{.kind = OP_MAKE, .ino = 100, .path = "a"},
                        {.kind = OP_MAKE, .ino = 101, .path = "b"},
                        {.kind = OP_UNLINK, .path = "c"},
                        {.kind = OP_UNLINK, .path = "d"},
                        {.kind = OP_LOOKUP}};
    uint8_t raw[ATTR_BYTES_MAX];

    for (int i = 0; i < 5; i++) {
        ops[i].base = 1;
        ops[i].now.sec = 1000;
        ops[i].data = raw;
        ops[i].data_len = ops[i].kind == OP_MAKE ? (uint32_t)attr_encode(&a, raw) : 0;
    }
    server_int(shared, "SET answer %s", lua);
    struct engine_request rq = {.env = &env,
                                .ops = ops,
                                .n = 5,
                                .res = res,
                                .packs = &pack,
                                .npacks = 1,
                                .board = "b",
                                .seq = 3};
    e->ops->submit(e, &rq);
    CU_ASSERT_PTR_EQUAL(e->ops->complete(e), &rq);
    *applied = pack.applied;
    return rq.rc < 0 ? rq.rc : (int)rq.outcome;
}

#define LOOKED     "{0, '', '', '', 0, 'x'}"
#define FOUR       "'\\0\\0\\0\\5'"
#define ENTRIES    "string.rep('\\1\\0\\0\\0\\0\\0\\0\\0\\9', 2)"
#define ATTRS      "string.rep('\\0\\17' .. string.rep('\\0', 70), 2)"
#define SLICES     "'\\0\\1\\0\\001123456789012'"
#define GONE(rest) "{" ENTRIES ", " ATTRS ", " rest "}"

static void test_request_answers(void)
{
    static const char *const bad[] = {
        "return 1",
        "return {}",
        "return {0, 2}",
        "return {3, 2, ''}",
        "return {'0', 2, ''}",
        "return {0, -1, " FOUR ", 0, " GONE("''") ", " LOOKED "}",
        "return {0, 2, '', 0, " GONE("''") ", " LOOKED "}",
        "return {0, 2, " FOUR ", 0, " GONE("''") "}",
        "return {0, 2, " FOUR ", 0, " GONE("''") ", " LOOKED ", 0}",
        "return {0, 2, " FOUR ", -1, " GONE("''") ", " LOOKED "}",
        "return {0, 2, " FOUR ", 'x', " GONE("''") ", " LOOKED "}",
        "return {0, 2, " FOUR ", {" LOOKED "}, " GONE("''") ", " LOOKED "}",
        "return {0, 2, " FOUR ", {" LOOKED ", 5}, " GONE("''") ", " LOOKED "}",
        "return {0, 2, " FOUR ", 0, {'', " ATTRS ", ''}, " LOOKED "}",
        "return {0, 2, " FOUR ", 0, {" ENTRIES ", 'short', ''}, " LOOKED "}",
        "return {0, 2, " FOUR ", 0, {" ENTRIES ", " ATTRS ", 1}, " LOOKED "}",
        "return {0, 2, " FOUR ", 0, {" ENTRIES ", string.rep('\\0', 144), ''}, " LOOKED "}",
        "return {0, 2, " FOUR ", 0, " GONE("'short'") ", " LOOKED "}",
        "return {0, 2, " FOUR ", 0, " GONE(SLICES ".. 'x'") ", " LOOKED "}",
        "return {0, 2, " FOUR ", 0, " GONE("'\\0\\2\\0\\001123456789012'") ", " LOOKED "}",
        "return {0, 2, " FOUR ", 0, " GONE("'\\0\\1\\0\\0'") ", " LOOKED "}",
        "return {1, 5, 'odd'}",
        "return {1, 5, '\\0\\5\\255\\255'}",
        "return {1, 5, 7}",
        "error('raised')",
    };
    struct engine *e = engine_of(shared, 0);
    struct op_result res[5];
    uint32_t applied;

    CU_ASSERT_EQUAL_FATAL(
        request(e, "return {0, 2, " FOUR ", 16, " GONE(SLICES) ", " LOOKED "}", res, &applied),
        BATCH_APPLIED);
    CU_ASSERT_EQUAL(applied, 5);
    CU_ASSERT_EQUAL(res[1].rflags, OPR_CREATED | OPR_FOREIGN);
    CU_ASSERT_EQUAL(res[1].ino, 101);
    CU_ASSERT_EQUAL(res[2].rflags, OPR_GONE);
    CU_ASSERT_EQUAL(res[2].ino, 9);
    CU_ASSERT_EQUAL(res[2].extra.len, 0);
    CU_ASSERT_EQUAL(res[3].extra.len, 12);
    CU_ASSERT_EQUAL(res[3].attr.ctime.sec, 1000);
    CU_ASSERT_EQUAL(res[4].extra.len, 1);
    for (int i = 0; i < 5; i++)
        op_result_free(&res[i]);
    CU_ASSERT_EQUAL(request(e, "return {1, 5, '\\0\\4\\255\\254'}", res, &applied), BATCH_REPEATED);
    CU_ASSERT_EQUAL(res[4].code, -ENOENT);
    CU_ASSERT_EQUAL(res[3].code, 0);
    CU_ASSERT_EQUAL(request(e, "return {1, 50, false}", res, &applied), BATCH_REPEATED);
    CU_ASSERT_EQUAL(res[3].code, -EIO);
    CU_ASSERT_EQUAL(request(e, "return {2, 1, ''}", res, &applied), BATCH_GAP);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int rc = request(e, bad[i], res, &applied);
        CU_ASSERT_EQUAL(rc, -EIO);
        if (rc != -EIO)
            fprintf(stderr, "  %d at %s\n", rc, bad[i]);
        for (int k = 0; k < 5; k++)
            CU_ASSERT_PTR_NULL(res[k].extra.data);
    }
    e->ops->close(e);
}

/* --- scan ------------------------------------------------------------------------------------- */

struct seen {
    size_t items, by_type[128], bytes;
    size_t next_index; /* of the list */
    int stop_after, in_order;
    void (*meddle)(void);
};

static int visit(void *ctx, const struct engine_item *item)
{
    struct seen *s = ctx;

    s->items++;
    s->by_type[(unsigned char)item->type]++;
    s->bytes += item->value_len;
    if (item->type == 'l') {
        s->in_order &= atoi(item->value) == (int)s->next_index++;
        CU_ASSERT_PTR_NULL(item->field);
    } else if (item->type == 's') {
        CU_ASSERT_PTR_NULL(item->field);
    } else {
        CU_ASSERT_PTR_NOT_NULL(item->field);
    }
    if (item->type == 'h') /* field N holds N */
        CU_ASSERT(item->field_len == item->value_len &&
                  !memcmp(item->field, item->value, item->value_len));
    if (s->meddle)
        s->meddle();
    return s->stop_after && (int)s->items >= s->stop_after ? -ECANCELED : 0;
}

static void fill(int db, const char *command, const char *key, int n, int pairs)
{
    server_int(shared, "SELECT %d", db);
    for (int i = 0; i < n; i++) {
        if (pairs == 2) /* score before member */
            server_int(shared, "%s %s %d m%d", command, key, i, i);
        else if (pairs)
            server_int(shared, "%s %s %d %d", command, key, i, i);
        else
            server_int(shared, "%s %s %d", command, key, i);
    }
    server_int(shared, "SELECT 0");
}

static void test_scan(void)
{
    enum { LONG = 2500 };
    struct engine *e = engine_of(shared, 2);
    struct seen all = {.in_order = 1}, some = {.in_order = 1}, few = {.stop_after = 3};

    CU_ASSERT_EQUAL(e->ops->scan(e, "*", visit, &all), 0); /* of nothing */
    CU_ASSERT_EQUAL(all.items, 0);

    fill(2, "HSET", "hash", LONG, 1);
    fill(2, "HSET", "hash-small", 3, 1);
    fill(2, "RPUSH", "list", LONG, 0);
    fill(2, "SADD", "set", LONG, 0);
    fill(2, "ZADD", "zset", LONG, 2);
    server_int(shared, "SELECT 2");
    for (int i = 0; i < LONG; i++)
        server_int(shared, "SET i%d %b", i, "a\0b", (size_t)3);
    server_int(shared, "XADD stream * a b"); /* of no type that a volume has */
    server_int(shared, "SET * star");
    server_int(shared, "SELECT 0");
    CU_ASSERT_EQUAL(e->ops->scan(e, "*", visit, &all), 0);
    CU_ASSERT_EQUAL(all.by_type['h'], LONG + 3);
    CU_ASSERT_EQUAL(all.by_type['l'], LONG);
    CU_ASSERT_EQUAL(all.by_type['S'], LONG);
    CU_ASSERT_EQUAL(all.by_type['z'], LONG);
    CU_ASSERT_EQUAL(all.by_type['s'], LONG + 1);
    CU_ASSERT(all.in_order);

    CU_ASSERT_EQUAL(e->ops->scan(e, "i1[0-9]", visit, &some), 0);
    CU_ASSERT_EQUAL(some.items, 10);
    CU_ASSERT_EQUAL(some.bytes, 30);
    memset(&some, 0, sizeof(some));
    CU_ASSERT_EQUAL(e->ops->scan(e, "\\*", visit, &some), 0);
    CU_ASSERT_EQUAL(some.items, 1);
    CU_ASSERT_EQUAL(e->ops->scan(e, "*", visit, &few), -ECANCELED);
    CU_ASSERT_EQUAL(few.items, 3);
    e->ops->close(e);
}

/* At the sizes where a page ends. */
static void test_scan_pages(void)
{
    struct engine *e = engine_of(shared, 3);
    static const int sizes[] = {1, 999, 1000, 1001, 2000};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct seen s = {.in_order = 1};

        server_int(shared, "SELECT 3");
        server_int(shared, "FLUSHDB");
        server_int(shared, "SELECT 0");
        fill(3, "RPUSH", "list", sizes[i], 0);
        fill(3, "HSET", "hash", sizes[i], 1);
        CU_ASSERT_EQUAL(e->ops->scan(e, "*", visit, &s), 0);
        CU_ASSERT_EQUAL(s.by_type['l'], (size_t)sizes[i]);
        CU_ASSERT_EQUAL(s.by_type['h'], (size_t)sizes[i]);
        CU_ASSERT(s.in_order);
    }
    e->ops->close(e);
}

static void replace_all(void)
{
    server_int(shared, "SELECT 4");
    server_int(shared, "FLUSHDB");
    server_int(shared, "HSET list a a");
    server_int(shared, "HSET hash a a");
    server_int(shared, "SELECT 0");
}

/* Keys that vanish or become another type between the round trips are passed over. */
static void test_scan_while_changing(void)
{
    struct engine *e = engine_of(shared, 4);
    struct seen s = {.in_order = 1, .meddle = replace_all};

    fill(4, "RPUSH", "list", 3000, 0);
    fill(4, "HSET", "hash", 3000, 1);
    int rc = e->ops->scan(e, "*", visit, &s);
    CU_ASSERT(rc == 0 || rc == -EIO); /* a list that turned into a hash while it was read */
    CU_ASSERT(s.items > 0 && s.items < 6000);
    e->ops->close(e);
}

/* --- format and cluster ----------------------------------------------------------------------- */

static void test_formats_at_once(void)
{
    enum { RACERS = 4 };
    struct setting v = volume_setting("/var/none/", 1);
    struct buf json = {0};
    pid_t pids[RACERS];
    int go[2], won = 0, lost = 0, status;

    CU_ASSERT_EQUAL_FATAL(setting_print(&v, &json), 0);
    CU_ASSERT_EQUAL_FATAL(pipe(go), 0);
    fflush(stdout);
    for (int i = 0; i < RACERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            struct engine *e = engine_of(shared, 5);
            char c;

            close(go[1]);
            if (read(go[0], &c, 1) != 0)
                _exit(9);
            int rc = e->ops->format(e, &json, true);
            e->ops->close(e);
            _exit(rc == 0 ? 1 : rc == -EEXIST ? 2 : 9);
        }
    }
    close(go[0]);
    close(go[1]); /* all at once */
    for (int i = 0; i < RACERS; i++) {
        waitpid(pids[i], &status, 0);
        won += WEXITSTATUS(status) == 1;
        lost += WEXITSTATUS(status) == 2;
    }
    CU_ASSERT_EQUAL(won, 1);
    CU_ASSERT_EQUAL(lost, RACERS - 1);
    buf_free(&json);
}

/* A cluster of one knows no key of the plain name, which must not read as "not formatted". */
static void test_cluster(void)
{
    char port[16], bus[16];
    struct sockaddr_in addr[2];
    int fds[2];

    for (int i = 0; i < 2; i++) {
        socklen_t len = sizeof(addr[i]);

        addr[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        CU_ASSERT_EQUAL_FATAL(bind(fds[i], (struct sockaddr *)&addr[i], len), 0);
        CU_ASSERT_EQUAL_FATAL(getsockname(fds[i], (struct sockaddr *)&addr[i], &len), 0);
    }
    snprintf(port, sizeof(port), "%d", ntohs(addr[0].sin_port));
    snprintf(bus, sizeof(bus), "%d", ntohs(addr[1].sin_port));
    close(fds[0]);
    close(fds[1]);
    struct server *s = server_start_with("--port", port, "--cluster-port", bus, "--bind",
                                         "127.0.0.1", "--cluster-enabled", "yes");
    struct setting v = volume_setting("/var/none/", 1);
    struct buf json = {0};
    struct engine *e = engine_of(s, 0), *one = engine_of(s, 1);

    CU_ASSERT_EQUAL_FATAL(setting_print(&v, &json), 0);
    for (int has_slots = 0; has_slots < 2; has_slots++) {
        struct buf text = {0};

        CU_ASSERT_EQUAL(e->ops->get_setting(e, &text), -ENOTSUP);
        CU_ASSERT_PTR_NOT_NULL(strstr(e->ops->error(e), "Cluster"));
        CU_ASSERT_EQUAL(e->ops->format(e, &json, true), -ENOTSUP);
        CU_ASSERT_PTR_NOT_NULL(strstr(e->ops->error(e), "Cluster"));
        CU_ASSERT_EQUAL(one->ops->get_setting(one, &text), -ENOTSUP);
        CU_ASSERT_PTR_NOT_NULL(strstr(one->ops->error(one), "Cluster"));
        buf_free(&text);
        server_int(s, "CLUSTER ADDSLOTSRANGE 0 16383");
        char error[128]; /* until the node believes that it is up */
        while (server_text(s, error, sizeof(error), "GET nothing") >= 0)
            continue;
    }
    buf_free(&json);
    e->ops->close(e);
    one->ops->close(one);
    server_free(s);
}

/* clang-format off */
#define CASES(X) \
    X(good_answers) X(bad_answers) X(request_answers) X(scan) X(scan_pages) X(scan_while_changing) \
    X(formats_at_once) X(cluster)
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
    return suite_run("engine_redis", tests);
}
