/*
 * gc_blocks.c - files in the store that no slice has: blocks whose record never came or whose slice
 * is forgotten, and temporary files of writers that died.
 */
#include "tools/gc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRESS 1024

/* An old file that the first scan did not know. */
struct suspect {
    struct store_object o;
    char *path;
    uint64_t size;
};

/* Has a slice of that size a block of that index and length? */
static bool fits(const struct gc *gc, uint32_t size, const struct store_object *o)
{
    uint32_t block = store_block_bytes(gc->store);
    uint64_t from = (uint64_t)o->index * block;
    return from < size && o->len == (size - from < block ? size - from : block);
}

/* The same id may be used with two sizes, which is an error of its own: both keep their blocks. */
static bool is_known(const struct gc *gc, const struct store_object *o)
{
    const struct fsck *f = &gc->f;
    struct f_ref ref = {.id = o->id};
    struct f_field field = {.id = o->id};

    for (size_t i = vec_lower(&f->refs, &ref, by_slice);
         i < f->refs.len && fsck_ref(f, i)->id == o->id; i = fsck_run(f, i)) {
        if (fits(gc, fsck_ref(f, i)->size, o))
            return true;
    }
    for (size_t i = vec_lower(&f->fields, &field, by_field); i < f->fields.len; i++) {
        const struct f_field *v = vec_at(&f->fields, i);
        if (v->id != o->id)
            break;
        if (v->value < 0 && fits(gc, v->size, o)) /* counted among the slices */
            return true;
    }
    return false;
}

static int visit(void *ctx, const struct store_object *o)
{
    struct gc *gc = ctx;
    struct stat sb;

    if (++gc->f.items % PROGRESS == 0)
        fsck_progress(&gc->f, "looking at blocks", gc->f.items, 0);
    if (!o->is_temporary && is_known(gc, o)) {
        gc->used.n++;
        gc->used.bytes += o->len;
        return 0;
    }
    if (lstat(o->path, &sb) != 0)
        return 0; /* gone meanwhile */
    struct gc_sum *sum = o->is_temporary ? &gc->temporary : &gc->blocks;
    bool is_young = sb.st_mtime > gc->old_enough;
    sum->n++;
    sum->bytes += (uint64_t)sb.st_size;
    sum->young += is_young;
    if (is_young || !gc->is_delete)
        return 0;
    struct suspect *s = vec_add(&gc->suspects);
    if (s == NULL || (s->path = strdup(o->path)) == NULL) {
        gc_out_of_memory(gc);
        return -ENOMEM;
    }
    s->o = *o;
    s->size = (uint64_t)sb.st_size;
    return 0;
}

/* What a second scan does not know either: a slice may pass from one file to another during a
 * scan, unseen in both. */
static void remove_suspects(struct gc *gc)
{
    for (size_t i = 0; i < gc->suspects.len; i++) {
        struct suspect *s = vec_at(&gc->suspects, i);
        if (!s->o.is_temporary && is_known(gc, &s->o)) {
            gc->blocks.n--;
            gc->blocks.bytes -= s->size;
        } else if (unlink(s->path) != 0 && errno != ENOENT) {
            cmd_say(gc->self, "%s: %s", s->path, strerror(errno));
            gc->failed = true;
        }
    }
}

void gc_blocks(struct gc *gc)
{
    gc->f.items = 0;
    gc->suspects = VEC_OF(struct suspect);
    int rc = store_walk(gc->store, visit, gc);
    if (rc < 0 && rc != -ENOMEM) {
        cmd_say(gc->self, "blocks: %s", strerror(-rc));
        gc->failed = true;
    }
    if (gc->suspects.len > 0 && !gc->failed) {
        if (gc_scan(gc, true) == CMD_OK)
            remove_suspects(gc);
        else
            gc->failed = true;
    }
    for (size_t i = 0; i < gc->suspects.len; i++)
        free(((struct suspect *)vec_at(&gc->suspects, i))->path);
    vec_free(&gc->suspects);
}
