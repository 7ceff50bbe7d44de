/*
 * gc_repack.c - slices that are mostly dead: what is in use moves to new slices.
 *
 * A slice that many files share lives until the last of them is gone (juicefs-format.md 6.8).  The
 * ranges in use are copied one after the other into new slices of at most a block; then one op
 * replaces the records of all files that use a new slice, in the same step in which the counts
 * change.  A record that was changed meanwhile is left, and with it the old slice.  Killed at any
 * point, it leaves blocks that nobody refers to, for the next gc.
 */
#include "tools/gc.h"

#include "core/format/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS_AT_ONCE 512 /* in one op, which Redis does nothing beside */
#define IDS_AT_ONCE     16

/* The slice that is being made. */
struct fresh {
    struct gc *gc;
    struct buf data;
    struct vec moves; /* struct move */
    uint64_t next_id, ids_left;
};

struct move {
    const struct f_ref *ref;
    uint32_t off; /* in the new slice */
};

static int by_off(const void *a, const void *b)
{
    const struct f_ref *x = a, *y = b;
    return (x->off > y->off) - (x->off < y->off);
}

/* The end of the run of references (sorted by off) whose ranges overlap. */
static size_t range(const struct fsck *f, size_t from, size_t to, uint32_t *end)
{
    *end = fsck_ref(f, from)->off + fsck_ref(f, from)->len;
    while (++from < to && fsck_ref(f, from)->off < *end) {
        uint32_t last = fsck_ref(f, from)->off + fsck_ref(f, from)->len;
        *end = last > *end ? last : *end;
    }
    return from;
}

static uint64_t live_bytes(const struct fsck *f, size_t from, size_t to)
{
    uint64_t live = 0;
    uint32_t end;

    for (size_t at = from; at < to;) {
        uint32_t off = fsck_ref(f, at)->off;
        at = range(f, at, to, &end);
        live += end - off;
    }
    return live;
}

/* --- a new slice ------------------------------------------------------------------------------ */

static bool new_id(struct fresh *n, uint64_t *id)
{
    struct engine *e = n->gc->vol->engine;

    if (n->ids_left == 0) {
        if (e->ops->take_ids(e, ID_SLICE, IDS_AT_ONCE, &n->next_id) < 0) {
            cmd_say(n->gc->self, "%s", e->ops->error(e));
            n->gc->failed = true;
            return false;
        }
        n->ids_left = IDS_AT_ONCE;
    }
    n->ids_left--;
    *id = n->next_id++;
    return true;
}

static bool put_blocks(struct fresh *n, uint64_t id)
{
    uint32_t block = store_block_bytes(n->gc->store);

    for (size_t at = 0; at < n->data.len; at += block) {
        size_t len = n->data.len - at < block ? n->data.len - at : block;
        int rc = store_put_block(n->gc->store, id, (uint32_t)(at / block), n->data.data + at,
                                 (uint32_t)len);
        if (rc < 0) {
            cmd_say(n->gc->self, "a new block: %s", strerror(-rc));
            store_delete_slice(n->gc->store, id, (uint32_t)n->data.len);
            n->gc->failed = true;
            return false;
        }
    }
    return true;
}

static void encode_moves(const struct fresh *n, uint64_t id, struct buf *out)
{
    for (size_t i = 0; i < n->moves.len; i++) {
        const struct move *m = vec_at(&n->moves, i);
        const struct f_ref *r = m->ref;
        struct record was = {r->pos, r->id, r->size, r->off, r->len};
        struct record is = {r->pos, id, (uint32_t)n->data.len, m->off, r->len};
        uint8_t raw[2 * RECORD_BYTES];
        record_encode(&was, raw);
        record_encode(&is, raw + RECORD_BYTES);
        buf_add_be64(out, r->ino);
        buf_add_be32(out, r->chunk);
        buf_add(out, raw, sizeof raw);
    }
}

/* Writes the slice and moves the records to it.  When the answer is lost its blocks stay: they may
 * be in use. */
static bool finish(struct fresh *n)
{
    struct gc *gc = n->gc;
    struct buf items = {0};
    struct op_result res;
    uint64_t id;
    bool ok = true;

    if (n->moves.len == 0)
        return true;
    if (!new_id(n, &id) || !put_blocks(n, id))
        return false;
    encode_moves(n, id, &items);
    struct op op = {.kind = OP_REPACK,
                    .ino = id,
                    .len = n->data.len,
                    .data = items.data,
                    .data_len = (uint32_t)items.len};
    if (buf_ok(&items) < 0) {
        ok = gc_out_of_memory(gc);
        store_delete_slice(gc->store, id, (uint32_t)n->data.len);
    } else if (gc_call(gc, &op, &res) == 0) {
        uint32_t done = res.extra.len >= 4 ? get_be32(res.extra.data) : 0;
        gc->moved += done;
        gc->moved_not += n->moves.len - done;
        if (done == 0) {
            store_delete_slice(gc->store, id, (uint32_t)n->data.len);
        } else {
            gc->made.n++;
            gc->made.bytes += n->data.len;
            gc->gone += gc_remove_slices(gc, res.extra.data + 4, res.extra.len - 4);
        }
        op_result_free(&res);
    } else {
        ok = false;
    }
    buf_free(&items);
    buf_clear(&n->data);
    n->moves.len = 0;
    return ok;
}

/* --- an old one ------------------------------------------------------------------------------- */

/* Adds bytes [off, end) of the slice to n->data; false: they cannot be read. */
static bool copy_range(struct fresh *n, const struct f_ref *of, uint32_t off, uint32_t end)
{
    size_t was = n->data.len, len = end - off;
    uint8_t *bytes = malloc(len);

    if (bytes == NULL)
        return gc_out_of_memory(n->gc);
    int rc = store_get(n->gc->store, of->id, of->size, off, bytes, (uint32_t)len);
    if (rc == 0) {
        buf_add(&n->data, bytes, len);
        rc = buf_ok(&n->data);
    }
    free(bytes);
    if (rc == 0)
        return true;
    cmd_say(n->gc->self, "slice %llu of %u bytes stays as it is: %s", (unsigned long long)of->id,
            of->size, strerror(-rc));
    n->data.len = was;
    n->gc->failed = true;
    return false;
}

static bool add_moves(struct fresh *n, size_t from, size_t to, uint32_t off, size_t at)
{
    for (; from < to; from++) {
        const struct f_ref *r = fsck_ref(&n->gc->f, from);
        struct move *m = vec_add(&n->moves);
        if (m == NULL)
            return gc_out_of_memory(n->gc);
        *m = (struct move){r, (uint32_t)at + (r->off - off)};
    }
    return true;
}

/* Moves what is in use of one slice.  false: nothing more can be done. */
static bool move_slice(struct fresh *n, size_t from, size_t to)
{
    uint32_t block = store_block_bytes(n->gc->store), end;

    for (size_t next; from < to; from = next) {
        const struct f_ref *r = fsck_ref(&n->gc->f, from);
        uint32_t off = r->off;
        next = range(&n->gc->f, from, to, &end);
        if (n->data.len > 0 && n->data.len + (end - off) > block && !finish(n))
            return false;
        size_t at = n->data.len;
        if (!copy_range(n, r, off, end))
            return true; /* the next one may be readable */
        if (!add_moves(n, from, next, off, at))
            return false;
        if ((n->data.len >= block || n->moves.len >= RECORDS_AT_ONCE) && !finish(n))
            return false;
    }
    return true;
}

/* Only records of files use it, and as many as sliceRef says. */
static bool is_free(const struct fsck *f, size_t from, size_t to)
{
    const struct f_ref *r = fsck_ref(f, from);

    if (r->size > CHUNK_BYTES || fsck_field(f, r->id, r->size) != (int64_t)(to - from) - 1)
        return false;
    for (size_t i = from; i < to; i++)
        if (fsck_ref(f, i)->kind != REF_FILE)
            return false;
    return true;
}

void gc_repack(struct gc *gc)
{
    struct fsck *f = &gc->f;
    struct fresh n = {.gc = gc, .moves = VEC_OF(struct move)};
    bool go_on = true;

    for (size_t at = 0, next; go_on && at < f->refs.len; at = next) {
        next = fsck_run(f, at);
        struct vec run = f->refs; /* a view of a part: sorted in place */
        run.data = fsck_ref(f, at);
        run.len = next - at;
        if (!is_free(f, at, next))
            continue;
        vec_sort(&run, by_off);
        uint64_t size = fsck_ref(f, at)->size, live = live_bytes(f, at, next);
        if (live * 100 >= size * gc->percent)
            continue;
        gc->dead.n++;
        gc->dead.bytes += size;
        gc->live_bytes += live;
        if (gc->is_repack)
            go_on = move_slice(&n, at, next);
    }
    if (go_on)
        finish(&n);
    buf_free(&n.data);
    vec_free(&n.moves);
}
