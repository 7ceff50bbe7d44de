/*
 * early_attrs.c - changes of an inode: attributes, and what was written.
 */
#include "core/meta/early.h"

#include "core/meta/make.h"
#include <errno.h>
#include <string.h>

struct fold {
    const struct attr *a;
    const uint8_t *records;
    uint32_t len;
};

/* The new attributes, and records behind them.  Where it was made stays as it was: it may have been
 * renamed by an op behind this one. */
static uint32_t fold(void *ctx, uint8_t *data, uint32_t len, uint32_t room, const uint8_t *record,
                     uint32_t record_len)
{
    const struct fold *f = ctx;
    uint8_t fresh[ATTR_BYTES_MAX];
    attr_encode(f->a, fresh);
    memcpy(data, fresh, ATTR_BYTES_MIN); /* what follows begins with the parent */
    if (record == NULL) {
        record = f->records;
        record_len = f->len;
    }
    if (record_len > 0 && record_len <= room - len) {
        memcpy(data + len, record, record_len);
        len += record_len;
    }
    return len;
}

static void count_folded(struct batch *b, const struct op *op)
{
    metrics_queued(b->m->metrics, op->kind, 1);
    metrics_coalesced(b->m->metrics, op->kind, 1);
}

static bool folded(struct batch *b, struct node *n, const struct attr *a, const struct op *op)
{
    struct fold f = {.a = a};
    if (n->make.frame == 0 || b->queue == NULL)
        return false;
    if (op->kind == OP_WRITE) {
        f.records = op->data;
        f.len = op->data_len;
        if (n->a.length != 0 || f.len > RECORD_ITEM_BYTES) /* a second write stays in order */
            return false;
    }
    struct queue_packer pk = early_packer(b);
    int rc = queue_fold(b->queue, &n->make, op->content, &pk, fold, &f);
    early_note_pack(b, &pk);
    if (rc <= 0) {
        n->make.frame = 0;
        return false;
    }
    b->early++;
    count_folded(b, op);
    return true;
}

/* op, of n alone, makes its attributes *a. */
static bool change(struct batch *b, const struct op *op, struct node *n, const struct attr *a,
                   struct op_result *res)
{
    struct queue_ref ref;
    /* What is folded needs no mark: nobody else can have learned of the inode. */
    if (!folded(b, n, a, op)) {
        if (!early_is_ours_alone(b, n))
            return false;
        struct op direct = *op;
        direct.base = n->ino;
        direct.path = "";
        direct.flags |= OPF_NOFOLLOW;
        if (!early_queued(b, &direct, &ref))
            return false;
        early_mark_again(b, n);
        n->make.frame = 0; /* what follows must not overtake it */
    }
    n->a = *a;
    if (op->kind == OP_WRITE)
        n->records_ns = 0;
    return early_answer(res, n);
}

bool early_setattr(struct batch *b, const struct op *op, struct op_result *res)
{
    struct place p;
    if (!early_find(b, op, op->base, op->path, &p))
        return false;
    struct node *n = early_object(b, &p);
    if (n == NULL || n->a.nlink == 0 || n->a.flags != 0 || n->a.default_acl != 0 ||
        (n->a.type == TYPE_SYMLINK && (op->flags & OPF_NOFOLLOW) == 0 && p.dir != NULL))
        return false;
    struct lx x = early_rules(b, op);
    struct attr a = n->a;
    int changed = (op->valid & SET_FLAGS) != 0 ? -EPERM : lx_setattr(&x, &a);
    if (changed == 0 && queue_holds(b->queue, &n->make)) { /* it is as nobody else knows it */
        count_folded(b, op);
        return early_answer(res, n);
    }
    return changed >= 0 && change(b, op, n, &a, res);
}

bool early_write(struct batch *b, const struct op *op, struct op_result *res)
{
    struct node *n = overlay_node(b->overlay, op->base);
    struct lx x = early_rules(b, op);
    uint64_t end;

    /* A file that it made itself and nobody else has marked. */
    if (n == NULL || !b->may_grow || !n->is_mine || n->a.type != TYPE_FILE || n->a.nlink != 1)
        return false;
    if (op->content != NULL) {
        end = op->content->len;
        if (n->a.length != 0 || end == 0 || !b->params->pack || b->hooks.pack == NULL)
            return false;
    } else if (op->data_len == 0 || records_end(op->data, op->data_len, &end) < 0) {
        return false;
    }
    struct attr a = n->a;
    lx_written(&x, &a, end > a.length ? end : a.length);
    return change(b, op, n, &a, res);
}
