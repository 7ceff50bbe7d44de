/*
 * batches - what batches cost a server, without anything above the engine:
 *   batches META-URL OPS-A-BATCH OPS [IN-FLIGHT [1]]      1: only the first kind
 *
 * A bare loop: batches are encoded, pipelined and answered, no path is walked and no block written.
 * The volume should be empty and is full of files afterwards.  A line a kind: seconds, ops a
 * second, and microseconds an op of the server's CPU, of its script calls and of our CPU.
 */
#include "core/format/record.h"
#include "core/meta/engine.h"
#include "core/redis/rds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define FLIGHT_MOST 16
#ifndef DIR_ENTRIES
#define DIR_ENTRIES 10000
#endif
#define MOST 4096

static struct engine *engine;
static struct rds *rds;
static size_t batch_ops, total, in_flight = 4;
static struct op_env env = {.flags = ENV_DIR_STATS, .skip_dir_mtime_ms = 100, .mount = "/jfs"};
static uint64_t seq, first_ino;
static size_t failed;

static struct slot {
    struct engine_request rq;
    struct engine_pack pack;
    struct op ops[MOST];
    struct op_result res[MOST];
    char name[MOST][24];
    uint8_t data[MOST][ATTR_BYTES + 28];
} slots[FLIGHT_MOST];

static void fatal(const char *what, const char *why)
{
    fprintf(stderr, "batches: %s: %s\n", what, why);
    exit(1);
}

/* --- counters --------------------------------------------------------------------------------- */

struct used {
    double wall, server, scripts, client;
};

static double field(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at != NULL ? atof(at + strlen(name)) : 0;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static struct used now(void)
{
    struct rds_arg argv[] = {RDS_STR("INFO"), RDS_STR("all")};
    struct rds_reply *reply = NULL;
    struct timespec ts;
    struct rusage ru;
    struct used u = {0};
    const char *text;
    size_t len;

    if (rds != NULL) {
        if (rds_command(rds, RDS_READS, argv, 2, &reply) < 0 ||
            rds_reply_bytes(reply, &text, &len) < 0)
            fatal("INFO", rds_error(rds));
        u.server = field(text, "used_cpu_user:") + field(text, "used_cpu_sys:");
        const char *stat = strstr(text, "cmdstat_evalsha:");
        u.scripts = stat != NULL ? field(stat, "usec=") / 1e6 : 0;
        rds_reply_free(reply);
    }
    clock_gettime(CLOCK_MONOTONIC, &ts);
    u.wall = (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
    getrusage(RUSAGE_SELF, &ru);
    u.client = seconds(ru.ru_utime) + seconds(ru.ru_stime);
    return u;
}

/* --- kinds ------------------------------------------------------------------------------------ */

enum what { MAKE, MAKE_DATA, SETATTR, WRITE, UNLINK, MAKE_DIR, MKNOD, UNLINK_DATA };

static const char *const names[] = {
    "make, empty",
    "make, one record",
    "setattr of an inode",
    "write, one record",
    "unlink, empty",
    "make, directory",
    "mknod",
    "unlink, one record",
};

/* i: number of the object, n: its place in the batch */
static void set_op(struct slot *s, size_t n, enum what what, uint64_t dir, size_t i)
{
    struct op *op = &s->ops[n];
    uint64_t ino = first_ino + i;
    struct moment t = {1754000000, (uint32_t)i * 1000};
    size_t len = ATTR_BYTES;

    snprintf(s->name[n], sizeof(s->name[n]), "file%08zu.c", i);
    *op = (struct op){
        .kind = OP_MAKE, .base = dir, .now = t, .ino = ino, .path = s->name[n], .data = s->data[n]};
    struct attr a = {.type = what == MAKE_DIR ? TYPE_DIRECTORY : TYPE_FILE,
                     .mode = 0644,
                     .atime = t,
                     .mtime = t,
                     .ctime = t,
                     .nlink = what == MAKE_DIR ? 2 : 1,
                     .length = what == MAKE_DIR    ? 4096
                               : what == MAKE_DATA ? 4000
                                                   : 0,
                     .parent = dir};
    struct record r = {.id = s->pack.id, .size = s->pack.size, .off = 1, .len = 4000};

    switch (what) {
    case MAKE:
    case MAKE_DIR:
    case MAKE_DATA:
        attr_encode(&a, s->data[n]);
        if (what == MAKE_DATA) {
            put_be32(s->data[n] + len, 0);
            record_encode(&r, s->data[n] + len + 4);
            len += 28;
        }
        op->data_len = (uint32_t)len;
        break;
    case MKNOD:
        op->kind = OP_MKNOD;
        op->mode = TYPE_FILE << 12 | 0644;
        op->data = NULL;
        break;
    case UNLINK:
    case UNLINK_DATA:
        op->kind = OP_UNLINK;
        op->data = NULL;
        break;
    case SETATTR:
        op->kind = OP_SETATTR;
        op->base = ino;
        op->path = "";
        op->valid = SET_MODE | SET_MTIME | SET_ATIME;
        op->mode = 0600;
        op->mtime = op->atime = (struct moment){1700000000, 0};
        op->data = NULL;
        break;
    case WRITE:
        op->kind = OP_WRITE;
        op->base = ino;
        op->path = "";
        op->mtime = t;
        put_be32(s->data[n], 0);
        record_encode(&r, s->data[n] + 4);
        op->data_len = 28;
        break;
    }
}

static void finish(void)
{
    struct engine_request *rq = engine->ops->complete(engine);

    if (rq == NULL || rq->rc < 0 || rq->outcome != BATCH_APPLIED)
        fatal("complete", engine->ops->error(engine));
    for (size_t i = 0; i < rq->n; i++) {
        failed += rq->res[i].code != 0;
        op_result_free(&rq->res[i]);
    }
}

/* Makes directory after directory of DIR_ENTRIES objects, or goes through them again. */
static void run(enum what what, uint64_t dirs)
{
    struct used before = now(), after;
    size_t flying = 0;

    failed = 0;
    for (size_t i = 0; i < total;) {
        struct slot *s = &slots[seq % FLIGHT_MOST];
        size_t n = 0;
        if (flying == in_flight) {
            finish();
            flying--;
        }
        s->pack = (struct engine_pack){.id = 1000000 + seq, .size = 4 << 20};
        for (; n < batch_ops && i < total; n++, i++)
            set_op(s, n, what, dirs + i / DIR_ENTRIES, i);
        seq++;
        s->rq = (struct engine_request){.env = &env,
                                        .ops = s->ops,
                                        .n = n,
                                        .res = s->res,
                                        .packs = &s->pack,
                                        .npacks = what == MAKE_DATA || what == WRITE,
                                        .board = "b",
                                        .seq = seq};
        engine->ops->submit(engine, &s->rq);
        flying++;
    }
    while (flying-- > 0)
        finish();
    after = now();
    double n = (double)total / 1e6;
    printf("%-20s %8.3f s %9.0f/s %8.2f %8.2f %8.2f us%s\n", names[what], after.wall - before.wall,
           (double)total / (after.wall - before.wall), (after.server - before.server) / n,
           (after.scripts - before.scripts) / n, (after.client - before.client) / n,
           failed ? "  FAILED" : "");
    if (failed > 0)
        exit(1);
}

static uint64_t ids(size_t n)
{
    uint64_t first;

    if (engine->ops->take_ids(engine, ID_INODE, (uint32_t)n, &first) < 0)
        fatal("ids", engine->ops->error(engine));
    return first;
}

/* Directories for all objects; their first inode. */
static uint64_t directories(void)
{
    size_t n = total / DIR_ENTRIES + 1;
    uint64_t first = ids(n);

    for (size_t i = 0; i < n; i++) {
        char name[40];
        struct op_result res;
        struct op op = {.kind = OP_MKDIR,
                        .base = INO_ROOT,
                        .now = clock_now(),
                        .ino = first + i,
                        .mode = 0755,
                        .path = name};
        snprintf(name, sizeof(name), "bench%llu", (unsigned long long)(first + i));
        if (engine->ops->call(engine, &env, &op, 1, &res) < 0 || res.code < 0)
            fatal("mkdir", engine->ops->error(engine));
        op_result_free(&res);
    }
    first_ino = ids(total);
    return first;
}

int main(int argc, char **argv)
{
    char err[300];
    struct rds_url url;
    uint64_t dirs;

    if (argc < 4 || engine_open(argv[1], &engine, err, sizeof(err)) < 0)
        fatal("usage", "batches META-URL OPS-A-BATCH OPS [IN-FLIGHT [1]]");
    batch_ops = strtoul(argv[2], NULL, 10);
    total = strtoul(argv[3], NULL, 10);
    if (argc > 4)
        in_flight = strtoul(argv[4], NULL, 10);
    if (batch_ops == 0 || batch_ops > MOST || in_flight == 0 || in_flight > FLIGHT_MOST)
        fatal("usage", "a number is out of range");
    if (strncmp(argv[1], "lmdb:", 5) != 0 &&
        (rds_url_parse(argv[1], &url, err, sizeof(err)) < 0 || rds_open(&url, &rds) < 0))
        fatal(argv[1], err);
    printf("%zu ops, %zu a batch, %zu batches in flight\n", total, batch_ops, in_flight);
    printf("%-20s %10s %11s %8s %8s %8s\n", "an op costs:", "", "", "server", "script", "client");
    dirs = directories();
    run(MAKE, dirs);
    if (argc > 5)
        goto out;
    run(SETATTR, dirs);
    run(WRITE, dirs);
    dirs = directories();
    run(MAKE_DATA, dirs);
    run(UNLINK_DATA, dirs);
    dirs = directories();
    run(MAKE, dirs);
    run(UNLINK, dirs);
    dirs = directories();
    run(MKNOD, dirs);
    dirs = directories();
    run(MAKE_DIR, dirs);
out:
    engine->ops->close(engine);
    rds_close(rds);
    return 0;
}
