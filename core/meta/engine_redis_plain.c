/*
 * engine_redis_plain.c - unsafe_batch=1: the last ops of a batch as plain pipelined commands.
 *
 * It measures what the script costs.  Nothing is checked and nothing is atomic: the volume is
 * right when nobody else changes it and no connection breaks.  Plain are new files, directories,
 * symlinks, FIFOs and sockets in directories that this process made, and their chmod, utimens and
 * (of such a directory) chown.  From the first op of a batch behind which all are plain, they are
 * commands; what comes before is a script call, in the same round trip.
 *
 * The last command writes the batch into `~seq`, so batches through the script may follow.  After
 * anything that went wrong they do, until one was answered: a batch that had been sent whole is
 * recognised, of one that had not, what was done is done twice or refused.
 */
#include "core/meta/engine_redis.h"

#include "core/base/decimal.h"
#include "core/base/log.h"
#include "core/format/record.h"
#include "core/meta/make.h"

#include <stdlib.h>
#include <string.h>

#define DIRS        4096 /* remembered; another one takes the place of what hashes alike */
#define BOARD_MAX   33
#define MTIME_AT    23  /* byte of an attr: mtime, then ctime */
#define ATIME_AT    11  /* byte */
#define OWNER_AT    3   /* byte: uid, gid */
#define MODE_BIT    12  /* of 12 bits, behind the type */
#define NLINK_BIT   376 /* of 32 */
#define PLAIN_TIMES (SET_ATIME | SET_MTIME | SET_ATIME_NOW | SET_MTIME_NOW)

/* A directory in `dirs` was made by this process and inherits nothing to what is made in it. */
struct plain {
    uint64_t dirs[DIRS];
    char board[BOARD_MAX];
    uint64_t next;     /* batch of that board */
    bool is_confirmed; /* the store has, or gets behind nothing that may fail, all before it */
    uint32_t epoch;    /* of the connection that answered so */
};

/* --- what may be plain ------------------------------------------------------------------------ */

/* NULL: not asked for, or no memory. */
static struct plain *plain_of(struct redis_engine *re)
{
    if (!re->plain && re->base.params.unsafe_batch)
        re->plain = calloc(1, sizeof(*re->plain));
    return re->plain;
}

static uint64_t *slot(struct plain *p, uint64_t dir)
{
    return &p->dirs[dir % DIRS];
}

static bool is_known(struct plain *p, uint64_t dir)
{
    return dir != 0 && *slot(p, dir) == dir;
}

void plain_learn(struct redis_engine *re, const struct op *op, const struct op_result *res)
{
    struct plain *p = plain_of(re);

    if (p && op->kind == OP_MKDIR && res->code == 0 && res->has_attr && res->attr.flags == 0 &&
        res->attr.tier == 0 && res->attr.default_acl == 0)
        *slot(p, res->ino) = res->ino;
    if (p && op->kind == OP_SETATTR && (op->valid & SET_FLAGS) != 0)
        memset(p->dirs, 0, sizeof(p->dirs));
}

static bool is_plain_make(struct plain *p, const struct op *op)
{
    struct make m;

    if (!is_known(p, op->base) || !group_is_plain_name(op) || make_parse(op, &m) < 0 ||
        m.a.flags != 0 || m.a.type == TYPE_BLOCKDEV || m.a.type == TYPE_CHARDEV)
        return false;
    if (m.a.type == TYPE_DIRECTORY)
        *slot(p, op->ino) = op->ino;
    return true;
}

/* Where no old value decides what becomes of the new one. */
static bool is_plain_setattr(struct plain *p, const struct op *op)
{
    uint32_t chown = is_known(p, op->base) ? SET_UID | SET_GID : 0;
    bool drops_setgid = (op->valid & SET_MODE) != 0 && (op->mode & 02000) != 0 && op->cred.uid != 0;

    if ((op->path && op->path[0]) || op->valid == 0 || drops_setgid)
        return false;
    return (op->valid & ~(uint32_t)(SET_MODE | PLAIN_TIMES)) == 0 ||
           (op->valid & ~(PLAIN_TIMES | chown)) == 0;
}

size_t plain_begin(struct redis_engine *re, const struct engine_request *rq)
{
    size_t from = 0;

    struct plain *p = plain_of(re);
    if (!p || !rq->board || strlen(rq->board) >= BOARD_MAX)
        return rq->n;
    bool follows = p->is_confirmed && !rq->force && rq->seq == p->next &&
                   strcmp(p->board, rq->board) == 0 && rds_fd(re->rds) >= 0 &&
                   rds_epoch(re->rds) == p->epoch;
    p->is_confirmed = follows;
    p->next = rq->seq + 1;
    memcpy(p->board, rq->board, strlen(rq->board) + 1);
    for (size_t i = 0; i < rq->n; i++) {
        const struct op *op = &rq->ops[i];
        bool is_plain = op->kind == OP_MAKE      ? is_plain_make(p, op)
                        : op->kind == OP_SETATTR ? is_plain_setattr(p, op)
                                                 : false;
        if (!is_plain)
            from = i + 1;
    }
    return follows ? from : rq->n;
}

void plain_answered(struct redis_engine *re, const struct engine_request *rq, uint32_t epoch)
{
    struct plain *p = re->plain;

    if (!p || !rq->board || strcmp(p->board, rq->board) != 0)
        return;
    p->is_confirmed = rq->rc == 0 && rq->outcome != BATCH_GAP;
    p->epoch = epoch;
}

/* --- commands --------------------------------------------------------------------------------- */

struct out {
    struct rds_pipe *pipe;
    const struct keys *keys;
    const struct op_env *env;
    int64_t space, inodes; /* of the volume */
};

static void command(struct out *o, const char *name, size_t args)
{
    rds_pipe_command(o->pipe, name, args);
}

static void text(struct out *o, const char *s)
{
    rds_pipe_arg(o->pipe, s, strlen(s));
}

static void number(struct out *o, uint64_t n)
{
    char digits[DECIMAL_MAX];

    rds_pipe_arg(o->pipe, digits, decimal_unsigned(digits, n));
}

static void plain_key(struct out *o, const char *name)
{
    char key[KEY_MAX];

    rds_pipe_arg(o->pipe, key, key_plain(o->keys, name, key));
}

static void inode_key(struct out *o, uint64_t ino)
{
    char key[KEY_MAX];

    rds_pipe_arg(o->pipe, key, key_inode(o->keys, ino, key));
}

static void set_range(struct out *o, uint64_t ino, uint32_t at, const void *bytes, size_t n)
{
    command(o, "SETRANGE", 3);
    inode_key(o, ino);
    number(o, at);
    rds_pipe_arg(o->pipe, bytes, n);
}

static void add_to(struct out *o, const char *hash, uint64_t field, uint64_t n)
{
    if (n == 0)
        return;
    command(o, "HINCRBY", 3);
    plain_key(o, hash);
    number(o, field);
    number(o, n);
}

static void put_moment(uint8_t *p, struct moment m)
{
    put_be64(p, (uint64_t)m.sec);
    put_be32(p + 8, m.nsec);
}

/* --- new names -------------------------------------------------------------------------------- */

static void push_records(struct out *o, const struct op *op, const struct make *m)
{
    struct record_item it;
    char key[KEY_MAX];

    for (size_t at = 0; record_item_next(m->rest, m->rest_len, &at, &it);) {
        command(o, "RPUSH", 2);
        rds_pipe_arg(o->pipe, key, key_chunk(o->keys, op->ino, it.chunk, key));
        rds_pipe_arg(o->pipe, m->rest + it.at, RECORD_BYTES);
    }
}

static void set_inodes(struct out *o, const struct op *ops, size_t n, size_t links)
{
    char key[KEY_MAX];
    struct make m;

    command(o, "MSET", 2 * (n + links));
    for (size_t i = 0; i < n; i++) {
        make_parse(&ops[i], &m);
        inode_key(o, ops[i].ino);
        rds_pipe_arg(o->pipe, ops[i].data, ATTR_BYTES);
        if (m.a.type != TYPE_SYMLINK)
            continue;
        rds_pipe_arg(o->pipe, key, key_symlink(o->keys, ops[i].ino, key));
        rds_pipe_arg(o->pipe, m.rest, m.rest_len);
    }
}

static void zero_statistics(struct out *o, const struct op *op)
{
    static const char *const hashes[] = {"dirUsedInodes", "dirDataLength", "dirUsedSpace"};

    for (size_t i = 0; i < sizeof(hashes) / sizeof(*hashes); i++) {
        command(o, "HSET", 3);
        plain_key(o, hashes[i]);
        number(o, op->ino);
        text(o, "0");
    }
}

static void set_entries(struct out *o, const struct op *ops, size_t n)
{
    uint8_t entry[ENTRY_BYTES];
    char key[KEY_MAX];
    struct make m;

    command(o, "HSET", 1 + 2 * n);
    rds_pipe_arg(o->pipe, key, key_dir(o->keys, ops->base, key));
    for (size_t i = 0; i < n; i++) {
        make_parse(&ops[i], &m);
        entry_encode(m.a.type, ops[i].ino, entry);
        text(o, ops[i].path);
        rds_pipe_arg(o->pipe, entry, sizeof(entry));
    }
}

/* All in one directory, which is stamped whenever that was last. */
static void make_run(struct out *o, const struct op *ops, size_t n)
{
    uint64_t length = 0, space = 0, dirs = 0, base = ops->base;
    size_t links = 0;
    uint8_t stamps[24];
    struct make m;

    for (size_t i = 0; i < n; i++) {
        make_parse(&ops[i], &m);
        links += m.a.type == TYPE_SYMLINK;
        if (m.a.type == TYPE_FILE)
            push_records(o, &ops[i], &m);
        if (m.a.type == TYPE_DIRECTORY)
            zero_statistics(o, &ops[i]);
        dirs += m.a.type == TYPE_DIRECTORY;
        uint64_t len = m.a.type == TYPE_FILE ? m.a.length : 0;
        length += len;
        space += usage_of_length(len);
    }
    set_inodes(o, ops, n, links);
    if (dirs > 0) {
        command(o, "BITFIELD", 5);
        inode_key(o, base);
        text(o, "INCRBY");
        text(o, "u32");
        number(o, NLINK_BIT);
        number(o, dirs);
    }
    put_moment(stamps, ops[n - 1].now);
    put_moment(stamps + 12, ops[n - 1].now);
    set_range(o, base, MTIME_AT, stamps, sizeof(stamps));
    set_entries(o, ops, n);
    if ((o->env->flags & ENV_DIR_STATS) != 0) {
        add_to(o, "dirDataLength", base, length);
        add_to(o, "dirUsedSpace", base, space);
        add_to(o, "dirUsedInodes", base, n);
    }
    o->space += (int64_t)space;
    o->inodes += (int64_t)n;
}

/* --- attributes ------------------------------------------------------------------------------- */

static void set_time(struct out *o, const struct op *op, uint32_t at, bool is_now, struct moment t)
{
    uint8_t bytes[12];

    put_moment(bytes, is_now || t.sec < 0 ? op->now : t);
    set_range(o, op->base, at, bytes, sizeof(bytes));
}

static void set_attr(struct out *o, const struct op *op)
{
    uint8_t id[4];

    if ((op->valid & SET_MODE) != 0) {
        command(o, "BITFIELD", 5);
        inode_key(o, op->base);
        text(o, "SET");
        text(o, "u12");
        number(o, MODE_BIT);
        number(o, op->mode & 07777);
    }
    put_be32(id, op->new_uid);
    if ((op->valid & SET_UID) != 0)
        set_range(o, op->base, OWNER_AT, id, sizeof(id));
    put_be32(id, op->new_gid);
    if ((op->valid & SET_GID) != 0)
        set_range(o, op->base, OWNER_AT + 4, id, sizeof(id));
    if ((op->valid & (SET_ATIME | SET_ATIME_NOW)) != 0)
        set_time(o, op, ATIME_AT, (op->valid & SET_ATIME_NOW) != 0, op->atime);
    if ((op->valid & (SET_MTIME | SET_MTIME_NOW)) != 0)
        set_time(o, op, MTIME_AT, (op->valid & SET_MTIME_NOW) != 0, op->mtime);
    set_time(o, op, MTIME_AT + 12, true, op->now);
}

/* --- the request ------------------------------------------------------------------------------ */

/* Records of [from, to) that name the slice. */
static uint32_t references(const struct engine_request *rq, size_t from, size_t to, uint64_t id)
{
    uint32_t count = 0;

    for (size_t i = from; i < to; i++) {
        const struct op *op = &rq->ops[i];
        struct record_item it;

        for (size_t at = op_records(op); record_item_next(op->data, op->data_len, &at, &it);)
            count += it.r.id == id;
    }
    return count;
}

/* One reference is there without a word; the script has said those of its own ops. */
static void count_pack(struct out *o, const struct engine_request *rq, size_t from,
                       const struct engine_pack *k)
{
    uint32_t n = references(rq, from, rq->n, k->id);
    char field[KEY_MAX];

    if (n > 0 && references(rq, 0, from, k->id) == 0)
        n--;
    if (n == 0)
        return;
    size_t len = key_slice_field(k->id, k->size, field);
    command(o, "HINCRBY", 3);
    plain_key(o, "sliceRef");
    rds_pipe_arg(o->pipe, field, len);
    number(o, n);
}

static void count_volume(struct out *o, const char *name, int64_t n)
{
    if (n == 0)
        return;
    command(o, "INCRBY", 2);
    plain_key(o, name);
    number(o, (uint64_t)n);
}

static void note_seq(struct out *o, const struct engine_request *rq)
{
    uint8_t value[16];

    put_be64(value, rq->seq);
    put_be64(value + 8, (uint64_t)clock_now().sec);
    command(o, "HSET", 3);
    plain_key(o, "~seq");
    text(o, rq->board);
    rds_pipe_arg(o->pipe, value, sizeof(value));
}

static size_t run_length(const struct op *ops, size_t n)
{
    size_t i = 1;

    while (i < n && ops[i].kind == OP_MAKE && ops[i].base == ops->base)
        i++;
    return i;
}

struct rds_flight *plain_send(struct redis_engine *re, const struct engine_request *rq, size_t from,
                              int *rc)
{
    struct rds_pipe pipe = {0};
    struct out o = {.pipe = &pipe, .keys = rds_keys(re->rds), .env = rq->env};

    for (size_t i = from; i < rq->n;) {
        size_t run = 1;

        if (rq->ops[i].kind == OP_MAKE)
            make_run(&o, rq->ops + i, run = run_length(rq->ops + i, rq->n - i));
        else
            set_attr(&o, &rq->ops[i]);
        i += run;
    }
    for (size_t i = 0; i < rq->npacks; i++)
        count_pack(&o, rq, from, &rq->packs[i]);
    count_volume(&o, "usedSpace", o.space);
    count_volume(&o, "totalInodes", o.inodes);
    note_seq(&o, rq);
    return rds_pipe_send(re->rds, &pipe, rc);
}

void plain_results(const struct engine_request *rq, size_t from)
{
    for (size_t i = from; i < rq->n; i++) {
        const struct op *op = &rq->ops[i];

        rq->res[i].ino = op->kind == OP_MAKE ? op->ino : op->base;
        rq->res[i].parent = op->kind == OP_MAKE ? op->base : 0;
        rq->res[i].rflags = op->kind == OP_MAKE ? OPR_CREATED : 0;
    }
    for (size_t i = 0; i < rq->npacks; i++)
        rq->packs[i].applied += references(rq, from, rq->n, rq->packs[i].id);
}
