/*
 * test_requests.c - requests on their way, on both engines: what is applied once, what is refused,
 * what is told of a batch that came before, packs.
 */
#include "tests/core/requests.h"

#include <sys/wait.h>
#include <unistd.h>

static void test_once(void)
{
    uint64_t last;

    begin();
    CU_ASSERT_EQUAL(send_one(2, false, "early", &last), BATCH_GAP); /* a board never seen */
    CU_ASSERT_EQUAL(last, 0);
    CU_ASSERT_EQUAL(send_one(1, false, "a", &last), BATCH_APPLIED);
    CU_ASSERT_EQUAL(last, 0);
    CU_ASSERT_EQUAL(send_one(1, false, "again", &last), BATCH_REPEATED);
    CU_ASSERT_EQUAL(last, 1);
    CU_ASSERT_EQUAL(send_one(2, false, "a", &last), 100 + EEXIST);
    CU_ASSERT_EQUAL(last, 1);
    CU_ASSERT_EQUAL(send_one(2, false, "again", &last), 100 + EEXIST + 0); /* its code of then */
    CU_ASSERT_EQUAL(send_one(4, false, "early", &last), BATCH_GAP);
    CU_ASSERT_EQUAL(last, 2);
    CU_ASSERT_EQUAL(send_one(9, true, "forced", &last), BATCH_APPLIED);
    CU_ASSERT_EQUAL(last, 2);
    CU_ASSERT_EQUAL(send_one(9, true, "again", &last), BATCH_REPEATED);
    CU_ASSERT_EQUAL(send_one(10, false, "b", &last), BATCH_APPLIED);
    CU_ASSERT(exists("a") && exists("b") && exists("forced"));
    CU_ASSERT_FALSE(exists("again"));
    CU_ASSERT_FALSE(exists("early"));
    end();
}

/* Codes of the last 16 batches are kept, in any of them. */
static void test_codes(void)
{
    struct mine *m;
    uint64_t last;

    begin();
    for (uint64_t seq = 1; seq <= 20; seq++) {
        m = mine(BOARD, seq, 3, "x");
        if (seq % 2 == 0) /* one name is new */
            snprintf(m->name[1], sizeof(m->name[1]), "new%d", (int)seq);
        submit(m);
        wait_for(m);
        CU_ASSERT_EQUAL(m->res[0].code, seq == 1 ? 0 : -EEXIST);
        CU_ASSERT_EQUAL(m->res[1].code, seq == 1 || seq % 2 == 0 ? 0 : -EEXIST);
        release(m);
    }
    for (uint64_t seq = 1; seq <= 20; seq++) {
        m = mine(BOARD, seq, 3, "never");
        submit(m);
        wait_for(m);
        CU_ASSERT_EQUAL(m->rq.rc, 0);
        CU_ASSERT_EQUAL(m->rq.outcome, BATCH_REPEATED);
        CU_ASSERT_EQUAL(m->rq.last, 20);
        int failed = seq <= 20 - ENGINE_BATCH_KEPT ? -EIO : -EEXIST;
        CU_ASSERT_EQUAL(m->res[0].code, failed);
        CU_ASSERT_EQUAL(m->res[1].code, failed == -EEXIST && seq % 2 == 0 ? 0 : failed);
        CU_ASSERT_EQUAL(m->res[2].code, failed);
        CU_ASSERT_EQUAL(m->res[2].ino, 0);
        release(m);
    }
    CU_ASSERT_EQUAL(send_one(21, false, "y", &last), BATCH_APPLIED);
    end();
}

static int count_boards(void *ctx, const struct engine_item *item)
{
    int *n = ctx;

    CU_ASSERT_EQUAL(item->type, 'h');
    CU_ASSERT(item->value_len >= 16);
    ++*n;
    return 0;
}

/* Requests on their way at once, in order; a call goes behind them and their answers stay. */
static void test_order(void)
{
    struct mine *m[6];

    begin();
    for (int i = 0; i < 6; i++) {
        m[i] = mine(i == 3 ? NULL : BOARD, i < 3 ? i + 1 : i, 3, "d"); /* the same names */
        submit(m[i]);
    }
    CU_ASSERT(exists("d2"));
    for (int i = 0; i < 6; i++) {
        wait_for(m[i]);
        CU_ASSERT_EQUAL(m[i]->rq.rc, 0);
        CU_ASSERT_EQUAL(m[i]->rq.outcome, BATCH_APPLIED);
        for (int k = 0; k < 3; k++)
            CU_ASSERT_EQUAL(m[i]->res[k].code, i == 0 ? 0 : -EEXIST);
        CU_ASSERT_EQUAL(m[i]->res[0].has_attr, i == 0);
        release(m[i]);
    }
    int boards = 0;
    CU_ASSERT_EQUAL(engine->ops->scan(engine, "~seq", count_boards, &boards), 0);
    CU_ASSERT_EQUAL(boards, 1);
    struct mine *none = mine(BOARD, 6, 0, "");
    submit(none);
    wait_for(none);
    CU_ASSERT_EQUAL(none->rq.rc, 0);
    release(none);
    end();
}

/* --- packs ------------------------------------------------------------------------------------ */

#define PACK_ID   500
#define PACK_SIZE 65536

struct file {
    uint8_t data[ATTR_BYTES + 28 * 2];
    char name[16];
};

static struct op file_op(struct file *f, const char *name, unsigned records, uint64_t id)
{
    struct attr a = {.type = TYPE_FILE, .mode = 0644, .nlink = 1, .length = 100, .parent = 1};

    snprintf(f->name, sizeof(f->name), "%s", name);
    attr_encode(&a, f->data);
    for (unsigned i = 0; i < records; i++) {
        struct record r = {.pos = i * 50, .id = id, .size = PACK_SIZE, .off = 7, .len = 50};
        put_be32(f->data + ATTR_BYTES + i * 28, 0);
        record_encode(&r, f->data + ATTR_BYTES + i * 28 + 4);
    }
    return (struct op){.kind = OP_MAKE,
                       .base = INO_ROOT,
                       .now = {1754000000, 5},
                       .path = f->name,
                       .ino = next_ino++,
                       .data = f->data,
                       .data_len = ATTR_BYTES + records * 28};
}

static struct op unlink_op(const char *name)
{
    return (struct op){.kind = OP_UNLINK, .base = INO_ROOT, .now = {1754000000, 5}, .path = name};
}

static int find_reference(void *ctx, const struct engine_item *item)
{
    if (item->field_len == 10 && memcmp(item->field, "k500_65536", 10) == 0)
        *(int *)ctx = atoi((const char *)item->value);
    return 0;
}

#define NO_FIELD 77

static int reference(void)
{
    int n = NO_FIELD;

    CU_ASSERT_EQUAL(engine->ops->scan(engine, "sliceRef", find_reference, &n), 0);
    return n;
}

/* Runs ops as one request that names the pack; how many records it has. */
static uint32_t run_packed(struct op *ops, size_t n, struct op_result *res)
{
    struct engine_pack pack = {.id = PACK_ID, .size = PACK_SIZE, .applied = 99};
    struct engine_request rq = {
        .env = &env, .ops = ops, .n = n, .res = res, .packs = &pack, .npacks = 1};

    engine->ops->submit(engine, &rq);
    CU_ASSERT_PTR_EQUAL_FATAL(engine->ops->complete(engine), &rq);
    CU_ASSERT_EQUAL_FATAL(rq.rc, 0);
    return pack.applied;
}

static void test_packs(void)
{
    struct file f[4];
    struct op_result res[6];
    struct op ops[6];

    begin();
    ops[0] = file_op(&f[0], "a", 1, PACK_ID);
    CU_ASSERT_EQUAL(run_packed(ops, 1, res), 1);
    CU_ASSERT_EQUAL(reference(), NO_FIELD);      /* absent: one */
    CU_ASSERT_EQUAL(run_packed(ops, 1, res), 0); /* it is there already */
    CU_ASSERT_EQUAL(res[0].code, -EEXIST);
    end();

    begin();
    ops[0] = file_op(&f[0], "a", 2, PACK_ID);
    ops[1] = file_op(&f[1], "a", 1, PACK_ID); /* refused: counts nothing */
    ops[2] = file_op(&f[2], "b", 1, PACK_ID);
    ops[3] = file_op(&f[3], "c", 1, PACK_ID + 1); /* another slice */
    CU_ASSERT_EQUAL(run_packed(ops, 4, res), 3);
    CU_ASSERT_EQUAL(res[1].code, -EEXIST);
    CU_ASSERT_EQUAL(reference(), 2);
    end();

    /* Removed again between: the slice is never given back while a later op names it. */
    begin();
    ops[0] = file_op(&f[0], "a", 1, PACK_ID);
    ops[1] = unlink_op("a");
    ops[2] = file_op(&f[2], "b", 1, PACK_ID);
    CU_ASSERT_EQUAL(run_packed(ops, 3, res), 2);
    CU_ASSERT_EQUAL(res[1].rflags, OPR_GONE);
    CU_ASSERT_EQUAL(res[1].extra.len, 0);
    CU_ASSERT_EQUAL(reference(), 0);
    ops[0] = unlink_op("b");
    CU_ASSERT_EQUAL(run_packed(ops, 1, res), 0);
    CU_ASSERT_EQUAL(res[0].extra.len, 12); /* the last record went: now it is */
    op_result_free(&res[0]);
    CU_ASSERT_EQUAL(reference(), -1);
    end();

    begin();
    ops[0] = file_op(&f[0], "a", 1, PACK_ID);
    ops[1] = unlink_op("a");
    CU_ASSERT_EQUAL(run_packed(ops, 2, res), 0); /* nothing names it: the caller removes it */
    CU_ASSERT_EQUAL(res[1].extra.len, 0);
    CU_ASSERT_EQUAL(reference(), -1);
    end();
}

/* --- many, and children -------------------------------------------------------------------------
 */

/* Requests and answers of many MiB: more than both directions hold. */
static void test_full_buffers(void)
{
    enum { REQUESTS = 64, OPS = 200 };
    static struct engine_request rq[REQUESTS];
    static struct op ops[OPS];
    static struct op_result res[REQUESTS][OPS];
    static char target[4000];

    begin();
    memset(target, 't', sizeof(target) - 1);
    ops[0] = (struct op){.kind = OP_SYMLINK,
                         .base = 1,
                         .now = {1754000000, 0},
                         .path = "l",
                         .ino = 50,
                         .data = target,
                         .data_len = sizeof(target) - 1};
    CU_ASSERT_EQUAL(engine->ops->call(engine, &env, ops, 1, res[0]), 0);
    op_result_free(&res[0][0]);
    for (int i = 0; i < OPS; i++)
        ops[i] = (struct op){.kind = OP_LOOKUP,
                             .base = 1,
                             .now = {1754000000, 0},
                             .path = "l",
                             .flags = OPF_NOFOLLOW,
                             .path2 = target};
    for (int i = 0; i < REQUESTS; i++) {
        rq[i] = (struct engine_request){.env = &env, .ops = ops, .n = OPS, .res = res[i]};
        engine->ops->submit(engine, &rq[i]);
    }
    CU_ASSERT(exists("."));
    for (int i = 0; i < REQUESTS; i++) {
        CU_ASSERT_PTR_EQUAL_FATAL(engine->ops->complete(engine), &rq[i]);
        CU_ASSERT_EQUAL(rq[i].rc, 0);
        for (int k = 0; k < OPS; k++) {
            CU_ASSERT_EQUAL(res[i][k].extra.len, sizeof(target) - 1);
            op_result_free(&res[i][k]);
        }
    }
    end();
}

/* What is on its way is the parent's. */
static void test_fork(void)
{
    static struct mine *m; /* the child's copy goes with it: no leak */
    int status = 1;

    begin();
    m = mine(BOARD, 1, 2, "d");
    submit(m);
    pid_t pid = fork();
    if (pid == 0) {
        engine->ops->after_fork(engine);
        _exit(engine->ops->complete(engine) != NULL);
    }
    waitpid(pid, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    wait_for(m);
    CU_ASSERT_EQUAL(m->rq.rc, 0);
    release(m);
    CU_ASSERT(exists("d0"));
    end();
}

static int redis_suite(void)
{
    is_lmdb = false;
    return 0;
}

static int lmdb_suite(void)
{
    is_lmdb = true;
    return 0;
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"applied once", test_once}, {"codes of then", test_codes},       {"in order", test_order},
        {"packs", test_packs},       {"full buffers", test_full_buffers}, {"fork", test_fork},
        CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = {{"requests, redis", redis_suite, NULL, NULL, NULL, tests},
                             {"requests, lmdb", lmdb_suite, NULL, NULL, NULL, tests},
                             CU_SUITE_INFO_NULL};
    server = server_start();
    int rc = suites_run(suites);
    server_free(server);
    return rc;
}
