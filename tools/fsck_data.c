/*
 * fsck_data.c - slices: who refers to them against the counts in sliceRef, and their blocks.
 *
 * The rule (juicefs-format.md 3.5): for each (id, size), records plus items of delSlices minus one
 * is the field's value, an absent field being 0.  A count that is too low is the dangerous one: the
 * blocks go while records still need them.
 */
#include "tools/fsck.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ULL(x)          ((unsigned long long)(x))
#define PROGRESS_BLOCKS 1024

static int by_slice(const void *a, const void *b)
{
    const struct f_ref *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->size > y->size) - (x->size < y->size);
}

static struct f_ref *ref_at(const struct fsck *f, size_t i)
{
    return vec_at(&f->refs, i);
}

static bool is_removed(const struct fsck *f, uint64_t ino)
{
    struct f_pair key = {.ino = ino};
    return vec_find(&f->removed, &key, by_first) != NULL;
}

/* --- lists of chunks -------------------------------------------------------------------------- */

static void check_lists(struct fsck *f)
{
    for (size_t n = 0; n < f->lists.len; n++) {
        const struct f_pair *p = vec_at(&f->lists, n);
        const struct f_inode *i = fsck_inode(f, p->ino);
        if (i == NULL && !is_removed(f, p->ino))
            fsck_find(f, FIND_LEAK, "c%llu_%llu: chunk of an inode that is not there", ULL(p->ino),
                      ULL(p->other));
        else if (i != NULL && i->type != 0 && i->type != TYPE_FILE)
            fsck_find(f, FIND_TYPE, "%s: a %s with a chunk of data", fsck_label(f, p->ino),
                      text_type(i->type));
    }
    for (size_t n = 0; n < f->refs.len; n++) {
        struct f_ref *r = ref_at(f, n);
        if (r->kind == REF_FILE && fsck_inode(f, r->ino) == NULL)
            r->kind = is_removed(f, r->ino) ? REF_REMOVED : REF_LEAKED;
    }
}

/* --- counts ----------------------------------------------------------------------------------- */

/* What a slice is named by when something is wrong: a file that uses it. */
static const char *owner(const struct fsck *f, size_t from, size_t to, char *out, size_t cap)
{
    for (size_t n = from; n < to; n++)
        if (ref_at(f, n)->kind == REF_FILE)
            return fsck_label(f, ref_at(f, n)->ino);
    const struct f_ref *r = ref_at(f, from);
    if (r->kind == REF_DELSLICE)
        snprintf(out, cap, "delSlices %llu_%u", ULL(r->ino), r->chunk);
    else
        snprintf(out, cap, "removed inode %llu", ULL(r->ino));
    return out;
}

static void check_count(struct fsck *f, size_t from, size_t to)
{
    const struct f_ref *r = ref_at(f, from);
    struct f_field key = {.id = r->id, .size = r->size};
    const struct f_field *field = vec_find(&f->fields, &key, by_field);
    int64_t have = field != NULL ? field->value : 0, want = (int64_t)(to - from) - 1;
    char text[64];

    if (have == want)
        return;
    fsck_find(f, FIND_SLICE_REF,
              "slice %llu of %u bytes: %zu references, sliceRef says %s%lld, "
              "should be %lld (%s; used by %s)",
              ULL(r->id), r->size, to - from, field != NULL ? "" : "nothing, which is ",
              (long long)have, (long long)want,
              have < want ? "data will be lost" : "space will not be given back",
              owner(f, from, to, text, sizeof text));
}

static void check_unused_fields(struct fsck *f)
{
    for (size_t n = 0; n < f->fields.len; n++) {
        const struct f_field *v = vec_at(&f->fields, n);
        struct f_ref key = {.id = v->id, .size = v->size};
        /* Below zero: to be deleted, by whoever comes first. */
        if (v->value >= 0 && vec_find(&f->refs, &key, by_slice) == NULL)
            fsck_find(f, FIND_LEAK, "slice %llu of %u bytes: sliceRef says %lld, nobody uses it",
                      ULL(v->id), v->size, (long long)v->value);
    }
}

void fsck_refs(struct fsck *f)
{
    check_lists(f);
    vec_sort(&f->refs, by_slice);
    for (size_t at = 0, next; at < f->refs.len; at = next) {
        for (next = at; next < f->refs.len && by_slice(ref_at(f, at), ref_at(f, next)) == 0; next++)
            ;
        check_count(f, at, next);
        f->slices++;
        if (next < f->refs.len && ref_at(f, next)->id == ref_at(f, at)->id) {
            char a[64], b[64];
            fsck_find(f, FIND_SLICE_SIZE, "slice %llu is of %u bytes for %s, of %u for %s",
                      ULL(ref_at(f, at)->id), ref_at(f, at)->size, owner(f, at, next, a, sizeof a),
                      ref_at(f, next)->size, owner(f, next, next + 1, b, sizeof b));
        }
    }
    check_unused_fields(f);
}

/* --- blocks ----------------------------------------------------------------------------------- */

static void check_blocks(struct fsck *f, struct store *store, size_t from, size_t to)
{
    const struct f_ref *r = ref_at(f, from);
    uint32_t block = store_block_bytes(store);
    uint32_t count = (uint32_t)(((uint64_t)r->size + block - 1) / block);
    char text[64], path[4096 + 128];

    for (uint32_t index = 0; index < count; index++) {
        uint32_t len = index + 1 < count ? block : r->size - index * block;
        off_t have = 0;
        int rc = store_check_block(store, r->id, index, len, &have);
        if (++f->blocks % PROGRESS_BLOCKS == 0)
            fsck_progress(f, "looking at blocks", f->blocks, 0);
        f->bytes += len;
        if (rc == 0)
            continue;
        if (store_block_path(store, r->id, index, len, path, sizeof path) < 0)
            path[0] = '\0';
        if (rc == -ENOENT)
            fsck_find(f, FIND_BLOCK, "%s is missing (used by %s)", path,
                      owner(f, from, to, text, sizeof text));
        else if (rc == -EIO)
            fsck_find(f, FIND_BLOCK, "%s has %lld of %u bytes (used by %s)", path, (long long)have,
                      len, owner(f, from, to, text, sizeof text));
        else
            fsck_find(f, FIND_BLOCK, "%s: error %d (used by %s)", path, -rc,
                      owner(f, from, to, text, sizeof text));
    }
}

void fsck_blocks(struct fsck *f, struct store *store)
{
    for (size_t at = 0, next; at < f->refs.len; at = next) {
        bool needed = false;
        for (next = at; next < f->refs.len && by_slice(ref_at(f, at), ref_at(f, next)) == 0; next++)
            needed |= ref_at(f, next)->kind == REF_FILE || ref_at(f, next)->kind == REF_DELSLICE;
        if (needed)
            check_blocks(f, store, at, next);
    }
}
