/*
 * gc_refs.c - sliceRef against the references found.
 *
 * A scan takes a while, and a slice that is shared or given up meanwhile looks miscounted.  So only
 * what two whole scans find alike is told: the same number of references, the same field.  A count
 * that is too high is lowered when the field still has that value in the step that changes it and
 * no session exists: without a mount counts of existing slices only go down, so a value that is the
 * same as before was never another in between.  Counts that are too low are told, not changed:
 * whoever wrote them so may have done more.
 */
#include "tools/gc.h"

#include <errno.h>

#define AT_ONCE 500 /* fields in one op */

struct wrong {
    uint64_t id;
    uint32_t size;
    uint32_t refs;
    int64_t seen;
};

bool gc_refs_look_wrong(struct gc *gc)
{
    const struct fsck *f = &gc->f;
    bool is_wrong = false;

    for (size_t at = 0, next; at < f->refs.len; at = next) {
        const struct f_ref *r = fsck_ref(f, at);
        next = fsck_run(f, at);
        gc->slices++;
        is_wrong |= fsck_field(f, r->id, r->size) != (int64_t)(next - at) - 1;
    }
    for (size_t i = 0; i < f->fields.len; i++) {
        const struct f_field *v = vec_at(&f->fields, i);
        struct f_ref key = {.id = v->id, .size = v->size};
        is_wrong |= v->value >= 0 && vec_find(&f->refs, &key, by_slice) == NULL;
    }
    return is_wrong;
}

static bool has_blocks(const struct gc *gc, uint64_t id, uint32_t size)
{
    uint32_t block = store_block_bytes(gc->store);

    for (uint64_t at = 0; at < size; at += block) {
        uint32_t len = size - at < block ? (uint32_t)(size - at) : block;
        off_t have;
        if (store_check_block(gc->store, id, (uint32_t)(at / block), len, &have) != -ENOENT)
            return true;
    }
    return false;
}

static int by_wrong(const void *a, const void *b)
{
    const struct wrong *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->size > y->size) - (x->size < y->size);
}

static void add(struct gc *gc, struct vec *out, uint64_t id, uint32_t size, size_t refs)
{
    struct wrong *w = vec_add(out);
    if (w == NULL)
        gc_out_of_memory(gc);
    else
        *w = (struct wrong){id, size, (uint32_t)refs, fsck_field(&gc->f, id, size)};
}

/* A new scan, and what is wrong in it. */
static bool collect(struct gc *gc, struct vec *out)
{
    if (gc_scan(gc, true) != CMD_OK) {
        gc->failed = true;
        return false;
    }
    const struct fsck *f = &gc->f;
    gc->is_mounted |= f->sessions.len > 0;
    for (size_t at = 0, next; at < f->refs.len; at = next) {
        const struct f_ref *r = fsck_ref(f, at);
        next = fsck_run(f, at);
        if (fsck_field(f, r->id, r->size) != (int64_t)(next - at) - 1)
            add(gc, out, r->id, r->size, next - at);
    }
    for (size_t i = 0; i < f->fields.len; i++) {
        const struct f_field *v = vec_at(&f->fields, i);
        struct f_ref key = {.id = v->id, .size = v->size};
        if (v->value >= 0 && vec_find(&f->refs, &key, by_slice) == NULL)
            add(gc, out, v->id, v->size, 0);
    }
    vec_sort(out, by_wrong);
    return !gc->failed;
}

static void repair(struct gc *gc, struct buf *items, uint64_t *count)
{
    struct op op = {.kind = OP_RECOUNT, .data = items->data, .data_len = (uint32_t)items->len};
    struct op_result res;

    if (buf_ok(items) < 0) {
        gc_out_of_memory(gc);
    } else if (items->len > 0 && gc_call(gc, &op, &res) == 0) {
        *count += res.extra.len >= 4 ? get_be32(res.extra.data) : 0;
        op_result_free(&res);
    }
    buf_clear(items);
}

/* Tells it; is it to be put right? */
static bool judge(struct gc *gc, const struct wrong *w)
{
    struct f_ref key = {.id = w->id, .size = w->size};

    if (w->refs == 0) {
        gc->unused++;
        return !has_blocks(gc, w->id, w->size); /* else when they have gone */
    }
    size_t from = vec_lower(&gc->f.refs, &key, by_slice);
    if (fsck_count_refs(&gc->f, from, fsck_run(&gc->f, from)) < 0) {
        gc->too_low++;
        return false;
    }
    gc->too_high++;
    return !gc->is_mounted;
}

void gc_refs(struct gc *gc)
{
    struct vec first = VEC_OF(struct wrong), second = VEC_OF(struct wrong);
    struct buf items[2] = {{0}, {0}}; /* used, unused */
    uint64_t *const count[2] = {&gc->lowered, &gc->dropped};

    bool ok = collect(gc, &first) && collect(gc, &second);
    gc->f.quiet = false;
    fsck_name_inodes(&gc->f);
    for (size_t i = 0; ok && i < second.len; i++) {
        const struct wrong *w = vec_at(&second, i), *before = vec_find(&first, w, by_wrong);
        if (before == NULL || before->seen != w->seen || before->refs != w->refs)
            continue;
        if (!judge(gc, w) || !gc->is_delete)
            continue;
        int kind = w->refs == 0;
        buf_add_be64(&items[kind], w->id);
        buf_add_be32(&items[kind], w->size);
        buf_add_be64(&items[kind], (uint64_t)w->seen);
        buf_add_be64(&items[kind], w->refs == 0 ? 0 : w->refs - 1);
        if (items[kind].len >= (size_t)AT_ONCE * 28)
            repair(gc, &items[kind], count[kind]);
    }
    for (int kind = 0; kind < 2; kind++) {
        repair(gc, &items[kind], count[kind]);
        buf_free(&items[kind]);
    }
    vec_free(&first);
    vec_free(&second);
}
