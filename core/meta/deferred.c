/*
 * deferred.c - changes that were acknowledged and then refused: another client was faster, or the
 * volume is full.  Never silent: one line in the log, an error for the next fsync() of the file or
 * its directory, a count; and what was written stays, under a name that says so.
 */
#include "core/meta/batch.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/format/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "NAME.conflict-HOST-INODE", cut so that it is a name; the same whoever drains. */
static void conflict_name(const struct op *op, char out[NAME_LEN_MAX + 1])
{
    char host[65] = "", tail[160];
    gethostname(host, sizeof(host) - 1);
    for (char *p = host; *p != '\0'; p++)
        if (*p == '/')
            *p = '_';
    int n = snprintf(tail, sizeof(tail), ".conflict-%s-%llu", host, (unsigned long long)op->ino);
    snprintf(out, NAME_LEN_MAX + 1, "%.*s%s", NAME_LEN_MAX - n, op->path, tail);
}

enum kept { NOT_KEPT, KEPT, KEPT_BEFORE, PERHAPS };

/* Records of the group's pack in an op. */
static int64_t pack_records(const struct op *op, uint64_t pack)
{
    struct record_item i;
    int64_t n = 0;
    for (size_t pos = op_records(op);
         pack != 0 && record_item_next(op->data, op->data_len, &pos, &i);)
        n += i.r.id == pack;
    return n;
}

void deferred_begin(struct batch *b, const struct queue_batch *g, const struct engine_pack *pack,
                    const struct op_result *res)
{
    bool all = pack->applied > 0; /* then the store has counted them */
    for (size_t i = 0; all && i < g->n; i++)
        all = res[i].code >= 0;
    b->pack = *pack;
    b->pack_refs = all ? pack->applied : 0;
    for (size_t i = 0; !all && i < g->n; i++)
        if (res[i].code >= 0)
            b->pack_refs += pack_records(&g->ops[i], pack->id);
}

/* An op by itself, which the volume's limits do not refuse again.  A record of a pack that others
 * name already is counted first: a count that is too high loses nothing.  Not when another drainer
 * did it. */
static int publish(struct batch *b, const struct op *op, struct op_result *res)
{
    struct engine *e = b->m->engine;
    struct op_env env = b->env;
    int64_t records = pack_records(op, b->pack.id), seen = b->pack_refs > 0 ? b->pack_refs - 1 : 0;
    uint8_t count[8 + 4 + 8 + 8];
    struct op recount = {
        .kind = OP_RECOUNT, .now = op->now, .data = count, .data_len = sizeof(count)};
    int rc = 0;

    env.capacity_bytes = env.inodes = 0;
    if (b->pack_refs + records > 1 && records > 0) {
        put_be64(count, b->pack.id);
        put_be32(count + 8, b->pack.size);
        put_be64(count + 12, (uint64_t)seen);
        put_be64(count + 20, (uint64_t)(b->pack_refs + records - 1));
        rc = e->ops->call(e, &env, &recount, 1, res);
        if (rc == 0)
            op_result_free(res);
    }
    if (rc == 0)
        rc = e->ops->call(e, &env, op, 1, res);
    if (rc < 0 || res->code == 0)
        b->pack_refs += records;
    return rc;
}

/* Makes the name, unless another drainer of the same group did. */
static enum kept keep_as(struct batch *b, const struct op *make)
{
    struct engine *e = b->m->engine;
    struct op look = {.kind = OP_LOOKUP,
                      .base = make->base,
                      .path = make->path,
                      .now = make->now,
                      .flags = OPF_NOFOLLOW};
    struct op_result res;

    if (publish(b, make, &res) != 0)
        return PERHAPS;
    int code = res.code;
    op_result_free(&res);
    if (code != -EEXIST)
        return code == 0 ? KEPT : NOT_KEPT;
    if (e->ops->call(e, &b->env, &look, 1, &res) != 0)
        return PERHAPS;
    bool same = res.code == 0 && res.ino == make->ino;
    op_result_free(&res);
    if (same)
        b->pack_refs += pack_records(make, b->pack.id);
    return same ? KEPT_BEFORE : NOT_KEPT;
}

/* The same inode under another name: beside the winner, or in the root when its directory went or
 * takes nothing more. */
static enum kept keep(struct batch *b, const struct op *op, char name[NAME_LEN_MAX + 1])
{
    struct op again = *op;
    uint8_t moved[4096];
    struct attr a;

    conflict_name(op, name);
    again.path = name;
    again.off = 0;
    enum kept kept = keep_as(b, &again);
    if (kept != NOT_KEPT || attr_decode(op->data, ATTR_BYTES, &a) < 0 ||
        op->data_len > sizeof(moved))
        return kept;
    a.parent = INO_ROOT;
    memcpy(moved, op->data, op->data_len);
    attr_encode(&a, moved);
    again.base = INO_ROOT;
    again.cred = (struct op_cred){0};
    again.data = moved;
    return keep_as(b, &again);
}

/* What came behind the refused op and is about the file that it made: done now that it is there. */
static bool follows(struct batch *b, const struct op *op)
{
    struct op_result res = {0};

    if (b->kept == 0 || op->base != b->kept || (op->kind != OP_WRITE && op->kind != OP_SETATTR))
        return false;
    bool done = publish(b, op, &res) == 0 && res.code == 0;
    op_result_free(&res);
    return done;
}

/* Blocks that the refused op alone would have named; those of a pack are the pack's. */
static void drop_blocks(struct batch *b, const struct op *op)
{
    struct record_item i;
    for (size_t pos = op_records(op); record_item_next(op->data, op->data_len, &pos, &i);) {
        if (i.r.id != 0 && i.r.id != op->pack && b->hooks.drop != NULL)
            b->hooks.drop(b->hooks.ctx, i.r.id, i.r.size);
    }
}

void deferred_refused(struct batch *b, struct queue *q, const struct op *op, int code)
{
    char name[NAME_LEN_MAX + 1];

    if (queue_refuse(q, op)) {
        drop_blocks(b, op);
        return; /* its caller has been told nothing yet */
    }
    /* Somebody else removed it as well. */
    if (op->kind == OP_UNLINK && code == -ENOENT)
        return;
    if (code == -ENOENT && follows(b, op))
        return;
    bool is_lost = code == -ENODATA; /* its bytes are */
    queue_defer(q, op->kind == OP_MAKE ? op->ino : 0, op->base, is_lost ? -EIO : code);
    metrics_conflicts(b->m->metrics, 1);
    const char *what = op->path != NULL ? op->path : "";
    enum kept kept = NOT_KEPT;
    if (op->kind == OP_MAKE && op_records(op) < op->data_len && !is_lost)
        kept = keep(b, op, name);
    if (kept == KEPT)
        b->kept = op->ino;
    if (kept == NOT_KEPT) {
        drop_blocks(b, op);
        log_at(LOG_ERROR, "%s %s (inode %llu): refused after it was acknowledged: %s",
               op_kind_name(op->kind), what, (unsigned long long)op->base, strerror(-code));
    } else {
        log_at(LOG_ERROR, "%s (in directory %llu): %s; its data is %s as %s", what,
               (unsigned long long)op->base, strerror(-code),
               kept == PERHAPS ? "perhaps kept" : "kept", name);
    }
}

int meta_deferred(struct meta *m, uint64_t ino)
{
    struct batch *b = m->batch;
    return b != NULL && m->owner == process_id() && b->queue != NULL ? queue_deferred(b->queue, ino)
                                                                     : 0;
}
