/*
 * gc_waiting.c - what waits to be deleted by whoever comes first: data of removed files (delfiles),
 * slices whose count is below zero, chunks of inodes that are gone.
 */
#include "tools/gc.h"

#include "core/format/record.h"

#include <errno.h>
#include <string.h>

uint64_t gc_remove_slices(struct gc *gc, const uint8_t *slices, size_t bytes)
{
    struct op op = {.kind = OP_FORGET};
    struct op_result res;
    struct buf gone = {0};
    uint64_t n = 0;

    for (size_t at = 0; at + 12 <= bytes; at += 12) {
        uint64_t id = get_be64(slices + at);
        int rc = store_delete_slice(gc->store, id, get_be32(slices + at + 8));
        if (rc < 0) {
            cmd_say(gc->self, "blocks of slice %llu: %s", (unsigned long long)id, strerror(-rc));
            gc->failed = true;
            continue;
        }
        buf_add(&gone, slices + at, 12);
        n++;
    }
    op.data = gone.data;
    op.data_len = (uint32_t)gone.len;
    if (gone.len > 0 && gc_call(gc, &op, &res) == 0)
        op_result_free(&res);
    buf_free(&gone);
    return n;
}

/* Chunks of the first `length` bytes of an inode that is gone.  false: it is there after all, made
 * while the scan went on. */
static bool purge(struct gc *gc, uint64_t ino, uint64_t length)
{
    struct op op = {.kind = OP_PURGE, .base = ino, .len = length};
    struct op_result res;

    int code = gc_call(gc, &op, &res);
    if (code != 0)
        return code != -EBUSY;
    gc_remove_slices(gc, res.extra.data, res.extra.len);
    op_result_free(&res);
    return true;
}

static bool is_young(const struct gc *gc, const struct f_pair *removed)
{
    return removed->value > gc->old_enough;
}

static void removed_files(struct gc *gc)
{
    for (size_t i = 0; i < gc->f.removed.len; i++) {
        const struct f_pair *p = vec_at(&gc->f.removed, i);
        if (fsck_inode(&gc->f, p->ino) != NULL)
            continue; /* an error, which fsck tells: its data is needed */
        gc->removed.n++;
        gc->removed.bytes += p->other;
        if (is_young(gc, p))
            gc->removed.young++;
        else if (gc->is_delete)
            purge(gc, p->ino, p->other);
    }
}

/* Lists are sorted by inode and index.  Those of a removed file that lie behind its length are not
 * visited by its deletion. */
static void leaked_lists(struct gc *gc)
{
    const struct vec *lists = &gc->f.lists;

    for (size_t at = 0, next; at < lists->len; at = next) {
        const struct f_pair *first = vec_at(lists, at), *last = first;
        for (next = at + 1; next < lists->len; next++) {
            const struct f_pair *p = vec_at(lists, next);
            if (p->ino != first->ino)
                break;
            last = p;
        }
        if (fsck_inode(&gc->f, first->ino) != NULL)
            continue;
        const struct f_pair *removed = vec_find(&gc->f.removed, first, by_first);
        if (gc->is_delete && (removed == NULL || !is_young(gc, removed)) &&
            !purge(gc, first->ino, (last->other + 1) * CHUNK_BYTES))
            continue;
        if (removed == NULL)
            gc->lists += next - at;
    }
}

static void below_zero(struct gc *gc)
{
    struct buf slices = {0};

    for (size_t i = 0; i < gc->f.fields.len; i++) {
        const struct f_field *v = vec_at(&gc->f.fields, i);
        struct f_ref key = {.id = v->id, .size = v->size};
        if (v->value >= 0 || vec_find(&gc->f.refs, &key, by_slice) != NULL)
            continue; /* with a reference: counted too low, which is an error */
        gc->unreferenced.n++;
        gc->unreferenced.bytes += v->size;
        buf_add_be64(&slices, v->id);
        buf_add_be32(&slices, v->size);
    }
    if (buf_ok(&slices) < 0)
        gc_out_of_memory(gc);
    else if (gc->is_delete)
        gc_remove_slices(gc, slices.data, slices.len);
    buf_free(&slices);
}

void gc_waiting(struct gc *gc)
{
    below_zero(gc); /* first: what follows makes more of them and removes those itself */
    removed_files(gc);
    leaked_lists(gc);
}
