/*
 * engine_redis.c - ops as one call of the dispatcher script, ids, setting and format on Redis.
 */
#include "core/meta/engine_redis.h"
#include "core/meta/import.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_FIELDS  6 /* code ino attr parent rflags extra: lua/README.md */
#define ERRNO_MAX      4095
#define FEW_OPS        8
#define INODE_CEILING  UINT64_C(0x7FFFFFFF00000000) /* virtual inodes begin here (format 3.7) */
#define INODE_LOWEST   2
#define INODES_AT_ONCE 1024
#define SLICES_AT_ONCE 4096

/* --- call ------------------------------------------------------------------------------------- */

/* May the op be sent twice without harm?  OP_FORGET removes fields that are negative: the second
 * time there are none. */
static bool is_repeatable(const struct op *op)
{
    return !op_changes(op) || op->kind == OP_FORGET;
}

int answer_bytes(const struct rds_reply *r, const char **data, size_t *len)
{
    int64_t zero;

    if (rds_reply_bytes(r, data, len) == 0)
        return 0;
    if (!rds_reply_is_nil(r) && (rds_reply_int(r, &zero) < 0 || zero != 0))
        return -EIO;
    *data = "";
    *len = 0;
    return 0;
}

static int field_u64(const struct rds_reply *r, uint64_t *out)
{
    const char *data;
    size_t len;

    if (answer_bytes(r, &data, &len) < 0 || (len != 0 && len != 8))
        return -EIO;
    *out = len ? get_be64((const uint8_t *)data) : 0;
    return 0;
}

int answer_decode(const struct rds_reply *r, struct op_result *out)
{
    const char *data;
    int64_t code, rflags;
    size_t n;

    if (rds_reply_array(r, &n) < 0 || n != ANSWER_FIELDS ||
        rds_reply_int(rds_reply_at(r, 0), &code) < 0 || code > OP_ESCAPE || code < -ERRNO_MAX)
        return -EIO;
    if (field_u64(rds_reply_at(r, 1), &out->ino) < 0 ||
        field_u64(rds_reply_at(r, 3), &out->parent) < 0 ||
        rds_reply_int(rds_reply_at(r, 4), &rflags) < 0 || rflags < 0 || rflags > UINT32_MAX)
        return -EIO;
    if (answer_bytes(rds_reply_at(r, 2), &data, &n) < 0)
        return -EIO;
    if (n > 0) {
        if (attr_decode(data, n, &out->attr) < 0)
            return -EIO;
        out->has_attr = true;
    }
    if (answer_bytes(rds_reply_at(r, 5), &data, &n) < 0)
        return -EIO;
    if (n > 0)
        buf_add(&out->extra, data, n);
    out->code = (int)code;
    out->rflags = (uint32_t)rflags;
    return buf_ok(&out->extra);
}

static int decode_answers(struct rds *rds, const struct rds_reply *r, size_t n,
                          struct op_result *res)
{
    size_t count, i = 0;
    int rc = rds_reply_array(r, &count);

    if (rc < 0 || count != n)
        return rds_fail(rds, -EIO, "malformed answer of the script: not one element an op");
    for (; i < n && rc == 0; i++)
        rc = answer_decode(rds_reply_at(r, i), &res[i]);
    if (rc == 0)
        return 0;
    while (i > 0) {
        op_result_free(&res[--i]);
        memset(&res[i], 0, sizeof(res[i]));
    }
    return rds_fail(rds, rc, "malformed answer of the script");
}

static int redis_call(struct engine *e, const struct op_env *env, const struct op *ops, size_t n,
                      struct op_result *res)
{
    struct redis_engine *re = (struct redis_engine *)e;
    struct rds_arg few[FEW_OPS + 1], *argv = few;
    enum rds_effect effect = RDS_READS;
    struct rds_reply *reply = NULL;
    struct buf *b = &re->args;

    memset(res, 0, n * sizeof(*res));
    if (n == 0)
        return 0;
    if (n > FEW_OPS)
        argv = malloc((n + 1) * sizeof(*argv));
    if (!argv)
        return rds_fail(re->rds, -ENOMEM, "no memory for the request");
    buf_clear(b);
    op_env_encode(env, b);
    argv[0].len = b->len;
    for (size_t i = 0; i < n; i++) {
        size_t from = b->len;

        op_encode(&ops[i], b);
        argv[i + 1].len = b->len - from;
        if (!is_repeatable(&ops[i]))
            effect = RDS_CHANGES;
    }
    int rc = buf_ok(b);
    if (rc < 0) {
        buf_free(b);
        rds_fail(re->rds, rc, "no memory for the request");
    } else {
        const uint8_t *at = b->data; /* it moves no more */
        for (size_t i = 0; i <= n; i++) {
            argv[i].data = at;
            at += argv[i].len;
        }
        rc = rds_script(re->rds, effect, argv, n + 1, &reply);
    }
    if (rc == 0) {
        rc = decode_answers(re->rds, reply, n, res);
        rds_reply_free(reply);
    }
    for (size_t i = 0; i < n && rc == 0; i++)
        plain_learn(re, &ops[i], &res[i]);
    if (argv != few)
        free(argv);
    return rc;
}

/* --- ids -------------------------------------------------------------------------------------- */

/* A server that lost everything gets no counter. */
static const char add_script[] =
    "return redis.call('EXISTS', KEYS[1]) == 1 and redis.call('INCRBY', KEYS[2], ARGV[1])\n";

/* Adds n to a counter; *last is its value then.  Repeating it only loses ids, so it counts as a
 * read. */
static int add_to_counter(struct rds *r, const char *name, uint64_t n, uint64_t *last)
{
    struct rds_reply *reply;
    char keys[2][KEY_MAX], number[24];
    int64_t v;

    snprintf(number, sizeof(number), "%llu", (unsigned long long)n);
    const struct rds_arg argv[] = {
        RDS_STR("EVAL"),
        RDS_STR(add_script),
        RDS_STR("2"),
        {keys[0], key_plain(rds_keys(r), "setting", keys[0])},
        {keys[1], key_plain(rds_keys(r), name, keys[1])},
        RDS_STR(number),
    };
    int rc = rds_command(r, RDS_READS, argv, sizeof(argv) / sizeof(argv[0]), &reply);
    if (rc < 0)
        return rc;
    bool gone = rds_reply_is_nil(reply);
    rc = rds_reply_int(reply, &v);
    rds_reply_free(reply);
    if (gone)
        return rds_fail(r, -ENODATA, "the database holds no volume: `setting` is gone");
    if (rc < 0 || v < (int64_t)n || (uint64_t)v >= INODE_CEILING)
        return rds_fail(r, -EIO, "the counter %s is damaged", name);
    *last = (uint64_t)v;
    return 0;
}

static int redis_take_ids(struct engine *e, enum id_kind kind, uint32_t n, uint64_t *first)
{
    struct rds *r = engine_rds(e);
    uint64_t lowest = kind == ID_INODE ? INODE_LOWEST : 1, last = 0;

    if (n == 0)
        return -EINVAL;
    for (;;) {
        int rc = add_to_counter(r, kind == ID_INODE ? "nextinode" : "nextchunk", n, &last);
        if (rc < 0)
            return rc;
        /* A fresh volume's first range would hold the root: the next one does not.  What is lost
         * are numbers only. */
        if (last - n + 1 >= lowest)
            break;
    }
    *first = last - n + 1;
    return 0;
}

/* --- setting ---------------------------------------------------------------------------------- */

/* A cluster answers a look-up of the plain key name with nothing, which must not read as "not
 * formatted": it is asked only then. */
static bool is_cluster(struct rds *r)
{
    const struct rds_arg argv[] = {RDS_STR("CLUSTER"), RDS_STR("INFO")};
    struct rds_reply *reply;
    const char *text;
    size_t len;
    bool found = false;

    if (rds_command(r, RDS_READS, argv, 2, &reply) < 0)
        return false;
    if (rds_reply_bytes(reply, &text, &len) == 0)
        found = memmem(text, len, "cluster_state:", 14) != NULL;
    rds_reply_free(reply);
    return found;
}

static int redis_get_setting(struct engine *e, struct buf *json)
{
    struct rds *r = engine_rds(e);
    struct rds_reply *reply;
    const char *text;
    char key[KEY_MAX];
    size_t len = key_plain(rds_keys(r), "setting", key);

    buf_clear(json);
    int rc = rds_command(r, RDS_READS, (struct rds_arg[]){RDS_STR("GET"), {key, len}}, 2, &reply);
    if (rc < 0)
        return rc;
    if (rds_reply_is_nil(reply)) {
        rc = is_cluster(r)
                 ? rds_fail(r, -ENOTSUP, "the server is a Redis Cluster, which is not built in yet")
                 : rds_fail(r, -ENODATA, "the database is not formatted: it has no key `setting`");
    } else if (rds_reply_bytes(reply, &text, &len) < 0) {
        rc = rds_fail(r, -EIO, "malformed answer to GET setting");
    } else {
        buf_add(json, text, len);
        rc = buf_ok(json);
    }
    rds_reply_free(reply);
    return rc;
}

/* What is not formatted gets no counter. */
static const char start_script[] =
    "local s = redis.call('GET', KEYS[1])\n"
    "return s and {s, redis.call('INCRBY', KEYS[2], ARGV[1])} or {}\n";

static int redis_get_setting_and_inodes(struct engine *e, struct buf *json, uint32_t n,
                                        uint64_t *first)
{
    struct rds *r = engine_rds(e);
    char keys[2][KEY_MAX], number[12];
    struct rds_reply *reply;
    const char *text;
    size_t count = 0, len;
    int64_t last = 0;

    *first = 0;
    buf_clear(json);
    snprintf(number, sizeof(number), "%u", n);
    const struct rds_arg argv[] = {
        RDS_STR("EVAL"),
        RDS_STR(start_script),
        RDS_STR("2"),
        {keys[0], key_plain(rds_keys(r), "setting", keys[0])},
        {keys[1], key_plain(rds_keys(r), "nextinode", keys[1])},
        RDS_STR(number),
    };
    int rc = rds_command(r, RDS_READS, argv, sizeof(argv) / sizeof(argv[0]), &reply);
    if (rc < 0)
        return rc;
    if (rds_reply_array(reply, &count) < 0 || count != 2 ||
        rds_reply_bytes(rds_reply_at(reply, 0), &text, &len) < 0 ||
        rds_reply_int(rds_reply_at(reply, 1), &last) < 0) {
        rc = -EIO;
    } else {
        buf_add(json, text, len);
        rc = buf_ok(json);
        if (last - n + 1 >= INODE_LOWEST && (uint64_t)last < INODE_CEILING)
            *first = (uint64_t)last - n + 1;
    }
    rds_reply_free(reply);
    return rc;
}

/* One script, so that of two formats at once one wins whole.  The order is stock's. */
static const char format_script[] =
    "if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end\n"
    "if ARGV[3] ~= '' then redis.call('SETNX', KEYS[3], ARGV[3]) end\n"
    "redis.call('SET', KEYS[1], ARGV[1])\n"
    "redis.call('SET', KEYS[2], ARGV[2])\n"
    "return 1\n";

static size_t fresh_directory(uint16_t mode, uint8_t out[ATTR_BYTES_MAX])
{
    struct moment now = {clock_now().sec, 0}; /* stock leaves the nanoseconds out here */
    const struct attr a = {.type = TYPE_DIRECTORY,
                           .mode = mode,
                           .atime = now,
                           .mtime = now,
                           .ctime = now,
                           .nlink = 2,
                           .length = 4096,
                           .parent = INO_ROOT};

    return attr_encode(&a, out);
}

static int redis_format(struct engine *e, const struct buf *json, bool trash)
{
    struct rds *r = engine_rds(e);
    uint8_t root[ATTR_BYTES_MAX], trash_root[ATTR_BYTES_MAX];
    char keys[3][KEY_MAX];
    struct rds_reply *reply;
    int64_t done;

    const struct rds_arg argv[] = {
        RDS_STR("EVAL"),
        RDS_STR(format_script),
        RDS_STR("3"),
        {keys[0], key_plain(rds_keys(r), "setting", keys[0])},
        {keys[1], key_inode(rds_keys(r), INO_ROOT, keys[1])},
        {keys[2], key_inode(rds_keys(r), INO_TRASH, keys[2])},
        {json->data, json->len},
        {root, fresh_directory(0777, root)},
        {trash_root, trash ? fresh_directory(0555, trash_root) : 0},
    };
    int rc = rds_command(r, RDS_CHANGES, argv, sizeof(argv) / sizeof(argv[0]), &reply);
    if (rc < 0)
        return rc;
    if (rds_reply_int(reply, &done) < 0)
        rc = rds_fail(r, -EIO, "malformed answer of the format script");
    else if (!done)
        rc = rds_fail(r, -EEXIST, "the database holds a volume already");
    rds_reply_free(reply);
    return rc;
}

/* --- the rest --------------------------------------------------------------------------------- */

static int redis_import(struct engine *e, engine_fill fill, void *ctx)
{
    return import_redis(engine_rds(e), fill, ctx);
}

static const char *redis_name(const struct engine *e)
{
    return rds_shown(engine_rds(e));
}

static const char *redis_error(const struct engine *e)
{
    return rds_error(engine_rds(e));
}

static uint32_t redis_epoch(const struct engine *e)
{
    return rds_epoch(engine_rds(e));
}

static struct engine_traffic redis_traffic(const struct engine *e)
{
    struct rds_traffic t = rds_traffic(engine_rds(e));

    return (struct engine_traffic){t.round_trips, t.retries};
}

static size_t redis_fds(const struct engine *e, int *fds, size_t n)
{
    int fd = rds_fd(engine_rds((struct engine *)e));

    if (fd < 0 || n == 0)
        return 0;
    fds[0] = fd;
    return 1;
}

static void redis_fd_moved(struct engine *e, int fresh)
{
    rds_fd_moved(engine_rds(e), fresh);
}

static void redis_after_fork(struct engine *e)
{
    struct redis_engine *re = (struct redis_engine *)e;

    rds_after_fork(re->rds);
    engine_redis_forget(re);
}

static void redis_close(struct engine *e)
{
    struct redis_engine *re = (struct redis_engine *)e;

    if (!re)
        return;
    rds_close(re->rds);
    engine_redis_forget(re);
    buf_free(&re->args);
    free(re->room);
    free(re->plain);
    free(re);
}

static const struct engine_ops redis_ops = {
    .call = redis_call,
    .submit = engine_redis_submit,
    .complete = engine_redis_complete,
    .take_ids = redis_take_ids,
    .get_setting = redis_get_setting,
    .get_setting_and_inodes = redis_get_setting_and_inodes,
    .format = redis_format,
    .scan = engine_redis_scan,
    .import = redis_import,
    .name = redis_name,
    .error = redis_error,
    .fds = redis_fds,
    .epoch = redis_epoch,
    .traffic = redis_traffic,
    .describe = engine_redis_describe,
    .fd_moved = redis_fd_moved,
    .after_fork = redis_after_fork,
    .close = redis_close,
};

int engine_redis_open(const char *url, struct engine **out, char *err, size_t errlen)
{
    struct rds_url parsed;
    struct redis_engine *re;

    *out = NULL;
    int rc = rds_url_parse(url, &parsed, err, errlen);
    if (rc < 0)
        return rc;
    re = calloc(1, sizeof(*re));
    rc = re ? rds_open(&parsed, &re->rds) : -ENOMEM;
    if (rc < 0) {
        free(re);
        snprintf(err, errlen, "no memory");
        return rc;
    }
    re->base.ops = &redis_ops;
    re->base.id_batch[ID_INODE] = INODES_AT_ONCE;
    re->base.id_batch[ID_SLICE] = SLICES_AT_ONCE;
    *out = &re->base;
    return 0;
}
