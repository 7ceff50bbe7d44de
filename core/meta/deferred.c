/*
 * deferred.c - changes that were acknowledged and then refused: another client was faster, or the
 * volume is full.  Never silent: one line in the log, an error for the next fsync() of the file or
 * its directory, a count; and what was written stays, under a name that says so.
 */
#include "core/meta/batch.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/format/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void remember(struct batch *b, const struct op *op, int code)
{
    pthread_mutex_lock(&b->known);
    if (b->n_deferred == DEFERRED_MAX) {
        memmove(b->deferred, b->deferred + 1, sizeof(b->deferred) - sizeof(b->deferred[0]));
        b->n_deferred--;
    }
    bool made = op->kind == OP_MAKE;
    b->deferred[b->n_deferred++] =
        (struct deferred){.ino = made ? op->ino : op->base, .dir = op->base, .code = code};
    pthread_mutex_unlock(&b->known);
}

/* "NAME.conflict-HOST-PID-INODE", cut so that it is a name. */
static void conflict_name(const struct op *op, char out[NAME_LEN_MAX + 1])
{
    char host[65] = "", tail[160];
    gethostname(host, sizeof(host) - 1);
    for (char *p = host; *p != '\0'; p++)
        if (*p == '/')
            *p = '_';
    int n = snprintf(tail, sizeof(tail), ".conflict-%s-%d-%llu", host, (int)getpid(),
                     (unsigned long long)op->ino);
    snprintf(out, NAME_LEN_MAX + 1, "%.*s%s", NAME_LEN_MAX - n, op->path, tail);
}

/* The same inode under another name: beside the winner, or in the root when its directory went. */
static bool keep(struct batch *b, const struct op *op, char name[NAME_LEN_MAX + 1])
{
    struct engine *e = b->m->engine;
    struct op again = *op;
    struct op_result res;
    uint8_t data[ATTR_BYTES_MAX];
    struct attr a;

    conflict_name(op, name);
    again.path = name;
    again.off = 0;
    if (e->ops->call(e, &b->env, &again, 1, &res) == 0 && res.code == 0)
        return true;
    if (attr_decode(op->data, ATTR_BYTES, &a) < 0 || op->data_len > 4096)
        return false;
    uint8_t moved[4096];
    a.parent = INO_ROOT;
    attr_encode(&a, data);
    memcpy(moved, op->data, op->data_len);
    memcpy(moved, data, ATTR_BYTES);
    again.base = INO_ROOT;
    again.data = moved;
    return e->ops->call(e, &b->env, &again, 1, &res) == 0 && res.code == 0;
}

/* Blocks that the refused op alone would have named; those of a pack are the pack's. */
static void drop_blocks(struct batch *b, const struct op *op)
{
    const uint8_t *p = op->data;
    uint32_t at = op->kind == OP_MAKE ? ATTR_BYTES : 0;
    bool file = op->kind == OP_WRITE || (op->kind == OP_MAKE && (op->mode >> 12) == TYPE_FILE);

    for (; file && at + 4 + RECORD_BYTES <= op->data_len; at += 4 + RECORD_BYTES) {
        struct record r;
        if (record_decode(p + at + 4, RECORD_BYTES, &r) == 0 && r.id != 0 && r.id != op->pack &&
            b->hooks.drop != NULL)
            b->hooks.drop(b->hooks.ctx, r.id, r.size);
    }
}

void deferred_refused(struct batch *b, const struct op *op, int code)
{
    char name[NAME_LEN_MAX + 1];

    if (op->kind == OP_MAKE && op->ino == b->confirming) {
        drop_blocks(b, op);
        b->confirmed = code; /* its caller is waiting and has been told nothing */
        return;
    }
    /* Somebody else removed it as well. */
    if (op->kind == OP_UNLINK && code == -ENOENT)
        return;
    remember(b, op, code);
    metrics_conflicts(b->m->metrics, 1);
    const char *what = op->path != NULL ? op->path : "";
    if (op->kind == OP_MAKE && (op->mode >> 12) == TYPE_FILE && op->data_len > ATTR_BYTES &&
        (code == -EEXIST || code == -ENOENT) && keep(b, op, name)) {
        log_at(LOG_ERROR, "%s (in directory %llu): %s; its data is kept as %s", what,
               (unsigned long long)op->base, strerror(-code), name);
    } else {
        drop_blocks(b, op);
        log_at(LOG_ERROR, "%s %s (inode %llu): refused after it was acknowledged: %s",
               op_kind_name(op->kind), what, (unsigned long long)op->base, strerror(-code));
    }
}

int meta_deferred(struct meta *m, uint64_t ino)
{
    struct batch *b = m->batch;
    int code = 0;

    if (b == NULL || b->n_deferred == 0)
        return 0;
    pthread_mutex_lock(&b->known);
    for (uint32_t i = 0; i < b->n_deferred && code == 0; i++) {
        struct deferred *d = &b->deferred[i];
        if (d->ino != ino && d->dir != ino)
            continue;
        code = d->code;
        *d = b->deferred[--b->n_deferred];
    }
    pthread_mutex_unlock(&b->known);
    return code;
}
