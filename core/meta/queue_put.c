/*
 * queue_put.c - a queue as its owner sees it: appending, folding, closing groups; see queue.h.
 *
 * What is published is below `tail`, which moves after a frame is whole.  A fold changes a frame in
 * place: what was there is kept in `undo` meanwhile, and put back when its owner was killed within.
 */
#include "core/meta/queue_internal.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* --- appending -------------------------------------------------------------------------------- */

static uint32_t aligned(size_t n)
{
    return (uint32_t)((n + 7) & ~(size_t)7);
}

static uint32_t text_len(const char *s)
{
    return s != NULL ? (uint32_t)strlen(s) : 0;
}

static bool is_file_make(const struct op *op)
{
    return op->kind == OP_MAKE && (op->mode >> 12) == TYPE_FILE;
}

static uint8_t *add(uint8_t *at, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(at, bytes, len);
    return at + len;
}

static uint8_t *add_text(uint8_t *at, const char *s, uint32_t len)
{
    at = add(at, s, len);
    *at = '\0';
    return at + 1;
}

/* All but bytes_in_all and room; np and np2 are the lengths of op's paths. */
static void write_frame(struct queue_frame *f, const struct op *op, uint32_t np, uint32_t np2,
                        const void *data, uint32_t data_len)
{
    f->op = *op;
    f->op.cred.groups = NULL;
    f->op.path = f->op.path2 = NULL;
    f->op.data = NULL;
    f->op.data_len = data_len;
    f->op.content = NULL;
    uint8_t *at = add(f->bytes, op->cred.groups, op->cred.ngroups * sizeof(uint32_t));
    at = add_text(at, op->path, np);
    f->path2_at = (uint32_t)(at - f->bytes);
    at = add_text(at, op->path2, np2);
    f->data_at = (uint32_t)(at - f->bytes);
    add(at, data, data_len);
}

/* The content's record in the pack `have`, or, 0, in a new one, which is `begun` until the group
 * names it: who is killed before that leaves it to others, who come for what is pending.  Locked.
 */
static int packed(struct queue *q, struct queue_packer *pk, const struct op_content *c,
                  uint64_t have, uint8_t out[RECORD_ITEM_BYTES], uint64_t *pack)
{
    struct record r = {.id = have != 0 ? have : pk->fresh, .size = UINT32_MAX, .len = c->len};
    if (r.id == 0)
        return -EAGAIN;
    if (have == 0) {
        board_set_pending(q->board, q->number);
        q->p->begun = r.id;
        atomic_thread_fence(memory_order_release);
    }
    int rc = pk->pack(pk->ctx, r.id, c->bytes, c->len, &r.off);
    if (rc < 0)
        return rc;
    pk->used = pk->used || have == 0;
    put_be32(out, 0);
    record_encode(&r, out + 4);
    *pack = r.id;
    return 0;
}

/* A group has the pack. */
static void named(struct queue_page *p, uint64_t pack)
{
    atomic_thread_fence(memory_order_release);
    if (p->begun == pack)
        p->begun = 0;
}

static int put(struct queue *q, const struct op *op, struct queue_packer *pk, struct queue_ref *ref)
{
    struct queue_page *p = q->p;
    uint8_t record[RECORD_ITEM_BYTES];
    bool fresh = p->open == 0, packs = op->content != NULL;
    uint64_t have = fresh ? 0 : queue_group_at(q, p->open)->pack, pack = 0;
    uint32_t data_len = packs ? sizeof(record) : op->data_len;
    uint32_t np = text_len(op->path), np2 = text_len(op->path2);
    uint32_t room = data_len + (is_file_make(op) ? RECORD_ITEM_BYTES : 0);
    uint32_t bytes = aligned(sizeof(struct queue_frame) + op->cred.ngroups * sizeof(uint32_t) + np +
                             np2 + 2 + room);
    uint64_t at = p->tail + (fresh ? sizeof(struct queue_group) : 0);

    int rc = queue_back_to(q, at + bytes);
    if (rc == 0 && packs)
        rc = packed(q, pk, op->content, have, record, &pack);
    if (rc < 0)
        return rc;
    struct queue_frame *f = queue_frame_at(q, at);
    write_frame(f, op, np, np2, packs ? record : op->data, data_len);
    f->op.pack = pack;
    f->room = room;
    f->bytes_in_all = bytes;
    board_set_pending(q->board, q->number);
    if (fresh) {
        *queue_group_at(q, p->tail) =
            (struct queue_group){.end = at + bytes, .ops = 1, .pack = pack};
        atomic_thread_fence(memory_order_release);
        QUEUE_SET(p->open, p->tail);
    } else {
        struct queue_group *g = queue_group_at(q, p->open);
        if (pack != 0)
            g->pack = pack;
        atomic_thread_fence(memory_order_release);
        g->end = at + bytes;
        g->ops++;
    }
    atomic_thread_fence(memory_order_release); /* what is below the tail is open, or closed */
    QUEUE_SET(p->tail, at + bytes);
    if (pack != 0)
        named(p, pack);
    QUEUE_SET(p->waiting, p->waiting + 1);
    *ref = (struct queue_ref){.group = p->open, .frame = at, .use = p->use};
    return 0;
}

int queue_put(struct queue *q, const struct op *op, struct queue_packer *pk, struct queue_ref *ref)
{
    int rc = queue_lock(q);
    if (rc < 0)
        return rc;
    rc = put(q, op, pk, ref);
    queue_unlock(q);
    return rc;
}

_Static_assert(offsetof(struct op, content) > offsetof(struct op, data_len) &&
                   offsetof(struct op, pack) > offsetof(struct op, data_len),
               "what a fold changes is behind data_len");

static int fold_locked(struct queue *q, const struct queue_ref *ref,
                       const struct op_content *content, struct queue_packer *pk,
                       queue_fold_fn fold, void *ctx)
{
    struct queue_page *p = q->p;
    struct queue_group *g = queue_group_at(q, ref->group);
    struct queue_frame *f = queue_frame_at(q, ref->frame);
    uint8_t record[RECORD_ITEM_BYTES];
    uint64_t pack = 0;

    if (ref->use != p->use || p->open != ref->group || f->op.kind == 0)
        return 0;
    /* What a fold changes begins with data_len; but `kind`, which is a byte. */
    uint8_t *from = (uint8_t *)&f->op.data_len;
    size_t len = (size_t)(f->bytes + f->data_at + f->op.data_len - from);
    if (len > sizeof(p->undo))
        return 0;
    int rc = content != NULL ? packed(q, pk, content, g->pack, record, &pack) : 0;
    if (rc < 0)
        return rc;
    memcpy(p->undo, from, len);
    p->undo_at = (uint64_t)(from - (uint8_t *)p);
    atomic_thread_fence(memory_order_release);
    p->undo_len = (uint32_t)len;
    uint32_t n = fold(ctx, f->bytes + f->data_at, f->op.data_len, f->room,
                      content != NULL ? record : NULL, content != NULL ? sizeof(record) : 0);
    f->op.data_len = n;
    if (n == 0)
        f->op.kind = 0;
    if (pack != 0)
        f->op.pack = g->pack = pack;
    atomic_thread_fence(memory_order_release);
    p->undo_len = 0;
    if (pack != 0)
        named(p, pack);
    return 1;
}

int queue_fold(struct queue *q, const struct queue_ref *ref, const struct op_content *content,
               struct queue_packer *pk, queue_fold_fn fold, void *ctx)
{
    if (ref->frame == 0)
        return 0;
    int rc = queue_lock(q);
    if (rc < 0)
        return rc;
    rc = fold_locked(q, ref, content, pk, fold, ctx);
    queue_unlock(q);
    return rc;
}

bool queue_holds(const struct queue *q, const struct queue_ref *ref)
{
    return q != NULL && ref->frame != 0 && ref->use == q->p->use &&
           ref->group == QUEUE_LOOK(q->p->open);
}

void queue_fill(struct queue *q, struct queue_fill *out)
{
    const struct queue_page *p = q->p;
    /* Each is looked at once: who drains moves the head and closes the group meanwhile. */
    uint64_t head = QUEUE_LOOK(p->head), tail = QUEUE_LOOK(p->tail), open = QUEUE_LOOK(p->open);
    *out = (struct queue_fill){.pending = tail > head ? tail - head : 0,
                               .waiting = QUEUE_LOOK(p->waiting)};
    if (open != 0) {
        const struct queue_group *g = queue_group_at(q, open);
        out->ops = g->ops;
        out->bytes = g->end - open;
        out->pack = g->pack;
    }
}

void queue_close_group(struct queue *q)
{
    struct queue_page *p = q->p;
    if (p->open == 0)
        return;
    queue_group_at(q, p->open)->seq = p->next_seq;
    atomic_thread_fence(memory_order_release);
    QUEUE_SET(p->open, 0);
    p->next_seq++;
}

void queue_cut(struct queue *q)
{
    if (queue_lock(q) < 0)
        return;
    queue_close_group(q);
    queue_unlock(q);
}
