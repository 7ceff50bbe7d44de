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

int by_slice(const void *a, const void *b)
{
    const struct f_ref *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->size > y->size) - (x->size < y->size);
}

static int by_slice_and_file(const void *a, const void *b)
{
    const struct f_ref *x = a, *y = b;
    int c = by_slice(a, b);
    return c != 0 ? c : (x->ino > y->ino) - (x->ino < y->ino);
}

struct f_ref *fsck_ref(const struct fsck *f, size_t i)
{
    return vec_at(&f->refs, i);
}

size_t fsck_run(const struct fsck *f, size_t from)
{
    size_t to = from + 1;
    while (to < f->refs.len && by_slice(fsck_ref(f, from), fsck_ref(f, to)) == 0)
        to++;
    return to;
}

int64_t fsck_field(const struct fsck *f, uint64_t id, uint32_t size)
{
    struct f_field key = {.id = id, .size = size};
    const struct f_field *field = vec_find(&f->fields, &key, by_field);
    return field != NULL ? field->value : 0;
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
}

void fsck_sort_refs(struct fsck *f)
{
    for (size_t n = 0; n < f->refs.len; n++) {
        struct f_ref *r = fsck_ref(f, n);
        if (r->kind == REF_FILE && fsck_inode(f, r->ino) == NULL)
            r->kind = is_removed(f, r->ino) ? REF_REMOVED : REF_LEAKED;
    }
    vec_sort(&f->refs, by_slice_and_file);
}

/* --- counts ----------------------------------------------------------------------------------- */

const char *fsck_owner(const struct fsck *f, size_t from, size_t to, char *out, size_t cap)
{
    const struct f_ref *first = NULL;
    uint64_t last = 0;
    size_t files = 0;

    for (size_t n = from; n < to; n++) {
        const struct f_ref *r = fsck_ref(f, n);
        if (r->kind != REF_FILE || (files > 0 && r->ino == last))
            continue;
        first = files++ == 0 ? r : first;
        last = r->ino;
    }
    if (first != NULL) {
        const char *label = fsck_label(f, first->ino);
        if (files == 1)
            return label;
        snprintf(out, cap, "%s and %zu other file%s", label, files - 1, text_s(files - 1));
        return out;
    }
    first = fsck_ref(f, from);
    if (first->kind == REF_DELSLICE)
        snprintf(out, cap, "delSlices %llu_%u", ULL(first->ino), first->chunk);
    else
        snprintf(out, cap, "removed inode %llu", ULL(first->ino));
    return out;
}

int fsck_count_refs(struct fsck *f, size_t from, size_t to)
{
    const struct f_ref *r = fsck_ref(f, from);
    struct f_field key = {.id = r->id, .size = r->size};
    int64_t have = fsck_field(f, r->id, r->size), want = (int64_t)(to - from) - 1;
    char text[FSCK_OWNER];

    if (have == want)
        return 0;
    fsck_find(f, FIND_SLICE_REF,
              "slice %llu of %u bytes: %zu references, sliceRef says %s%lld, "
              "should be %lld (%s; used by %s)",
              ULL(r->id), r->size, to - from,
              vec_find(&f->fields, &key, by_field) != NULL ? "" : "nothing, which is ",
              (long long)have, (long long)want,
              have < want ? "data will be lost" : "space will not be given back",
              fsck_owner(f, from, to, text, sizeof text));
    return have < want ? -1 : 1;
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
    fsck_sort_refs(f);
    for (size_t at = 0, next; at < f->refs.len; at = next) {
        next = fsck_run(f, at);
        fsck_count_refs(f, at, next);
        f->slices++;
        const struct f_ref *r = fsck_ref(f, at);
        const struct f_ref *other = next < f->refs.len ? fsck_ref(f, next) : NULL;
        if (other != NULL && other->id == r->id) {
            char a[FSCK_OWNER], b[FSCK_OWNER];
            fsck_find(f, FIND_SLICE_SIZE, "slice %llu is of %u bytes for %s, of %u for %s",
                      ULL(r->id), r->size, fsck_owner(f, at, next, a, sizeof a), other->size,
                      fsck_owner(f, next, next + 1, b, sizeof b));
        }
    }
    check_unused_fields(f);
}

/* --- blocks ----------------------------------------------------------------------------------- */

/* Of a slice that many files share: each file with bytes in [low, high) of it. */
static void name_broken(struct fsck *f, size_t from, size_t to, uint64_t low, uint64_t high)
{
    uint64_t last = 0;

    for (; from < to; from++) {
        const struct f_ref *r = fsck_ref(f, from);
        if (r->kind != REF_FILE || r->ino == last || r->off >= high ||
            (uint64_t)r->off + r->len <= low)
            continue;
        last = r->ino;
        fsck_find(f, FIND_BROKEN, "%s has bytes in that block", fsck_label(f, r->ino));
    }
}

static void check_blocks(struct fsck *f, struct store *store, size_t from, size_t to)
{
    const struct f_ref *r = fsck_ref(f, from);
    uint32_t block = store_block_bytes(store);
    uint32_t count = (uint32_t)(((uint64_t)r->size + block - 1) / block);
    char text[FSCK_OWNER], path[4096 + 128];

    for (uint32_t index = 0; index < count; index++) {
        uint32_t len = index + 1 < count ? block : r->size - index * block;
        off_t have = 0;
        int rc = store_check_block(store, r->id, index, len, &have);
        if (++f->blocks % PROGRESS_BLOCKS == 0)
            fsck_progress(f, "looking at blocks", f->blocks, 0);
        f->bytes += len;
        if (rc == 0)
            continue;
        const char *who = fsck_owner(f, from, to, text, sizeof text);
        if (store_block_path(store, r->id, index, len, path, sizeof path) < 0)
            path[0] = '\0';
        if (rc == -ENOENT)
            fsck_find(f, FIND_BLOCK, "%s is missing (used by %s)", path, who);
        else if (rc == -EIO)
            fsck_find(f, FIND_BLOCK, "%s has %lld of %u bytes (used by %s)", path, (long long)have,
                      len, who);
        else
            fsck_find(f, FIND_BLOCK, "%s: error %d (used by %s)", path, -rc, who);
        if (who == text) /* not one file alone */
            name_broken(f, from, to, (uint64_t)index * block, (uint64_t)index * block + len);
    }
}

void fsck_blocks(struct fsck *f, struct store *store)
{
    for (size_t at = 0, next; at < f->refs.len; at = next) {
        bool needed = false;
        next = fsck_run(f, at);
        for (size_t n = at; n < next; n++)
            needed |= fsck_ref(f, n)->kind == REF_FILE || fsck_ref(f, n)->kind == REF_DELSLICE;
        if (needed)
            check_blocks(f, store, at, next);
    }
}
