/*
 * fsck_scan.c - one pass over all keys of the volume into sorted arrays; see fsck.h.
 */
#include "tools/fsck.h"

#include <errno.h>
#include <string.h>

/* --- order ------------------------------------------------------------------------------------ */

#define ORDER(x, y) (((x) > (y)) - ((x) < (y)))

int by_ino(const void *a, const void *b)
{
    const struct f_inode *x = a, *y = b;
    return ORDER(x->ino, y->ino);
}

int by_first(const void *a, const void *b)
{
    const struct f_pair *x = a, *y = b;
    return ORDER(x->ino, y->ino);
}

int by_pair(const void *a, const void *b)
{
    const struct f_pair *x = a, *y = b;
    int c = ORDER(x->ino, y->ino);
    return c != 0 ? c : ORDER(x->other, y->other);
}

int by_field(const void *a, const void *b)
{
    const struct f_field *x = a, *y = b;
    int c = ORDER(x->id, y->id);
    return c != 0 ? c : ORDER(x->size, y->size);
}

/* qsort(3) has no context: the names that the order of entries needs. */
static const uint8_t *sort_names;

static int by_name(const void *a, const void *b)
{
    const struct f_entry *x = a, *y = b;
    size_t len = x->name_len < y->name_len ? x->name_len : y->name_len;
    int c = ORDER(x->parent, y->parent);
    if (c == 0)
        c = memcmp(sort_names + x->name, sort_names + y->name, len);
    return c != 0 ? c : ORDER(x->name_len, y->name_len);
}

static int by_list(const void *a, const void *b)
{
    const struct f_ref *x = a, *y = b;
    int c = ORDER(x->kind == REF_DELSLICE, y->kind == REF_DELSLICE);
    if (c == 0)
        c = ORDER(x->ino, y->ino);
    return c != 0 ? c : ORDER(x->chunk, y->chunk);
}

static int by_visit(const void *a, const void *b)
{
    const struct f_ref *x = a, *y = b;
    int c = by_list(a, b);
    return c != 0 ? c : ORDER(x->visit, y->visit);
}

/* --- after the pass --------------------------------------------------------------------------- */

/* Of a list that was visited twice only the last visit counts. */
static void drop_visits(struct vec *refs)
{
    size_t kept = 0, next;

    vec_sort(refs, by_visit);
    for (size_t at = 0; at < refs->len; at = next) {
        const struct f_ref *first = vec_at(refs, at);
        for (next = at; next < refs->len && by_list(first, vec_at(refs, next)) == 0; next++)
            ;
        uint32_t last = ((struct f_ref *)vec_at(refs, next - 1))->visit;
        for (; at < next; at++) {
            struct f_ref r = *(struct f_ref *)vec_at(refs, at);
            if (r.visit == last)
                *(struct f_ref *)vec_at(refs, kept++) = r;
        }
    }
    refs->len = kept;
}

static void settle(struct vec *v, vec_order order)
{
    vec_sort(v, order);
    vec_unique(v, order);
}

int fsck_scan(struct fsck *f)
{
    struct engine *e = f->vol->engine;

    f->inodes = VEC_OF(struct f_inode);
    f->entries = VEC_OF(struct f_entry);
    f->refs = VEC_OF(struct f_ref);
    f->fields = VEC_OF(struct f_field);
    f->parents = f->sustained = f->sessions = f->removed = f->detached = f->stats = f->symlinks =
        f->xattrs = f->lists = VEC_OF(struct f_pair);

    int rc = e->ops->scan(e, "*", fsck_read, f);
    if (rc == 0)
        rc = buf_ok(&f->names);
    if (rc < 0) {
        cmd_say(f->self, "%s", rc == -ENOMEM ? strerror(ENOMEM) : e->ops->error(e));
        return CMD_USAGE;
    }
    settle(&f->inodes, by_ino);
    sort_names = f->names.data;
    settle(&f->entries, by_name);
    drop_visits(&f->refs);
    settle(&f->fields, by_field);
    settle(&f->parents, by_pair);
    settle(&f->sustained, by_pair);
    settle(&f->sessions, by_first);
    settle(&f->removed, by_pair);
    settle(&f->detached, by_first);
    settle(&f->stats, by_pair);
    settle(&f->symlinks, by_first);
    settle(&f->xattrs, by_first);
    settle(&f->lists, by_pair);
    return CMD_OK;
}

void fsck_free(struct fsck *f)
{
    struct vec *const all[] = {&f->inodes,    &f->entries,  &f->refs,    &f->fields, &f->parents,
                               &f->sustained, &f->sessions, &f->removed, &f->stats,  &f->detached,
                               &f->symlinks,  &f->xattrs,   &f->lists};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        vec_free(all[i]);
    buf_free(&f->names);
}

struct f_inode *fsck_inode(const struct fsck *f, uint64_t ino)
{
    struct f_inode key = {.ino = ino};
    return vec_find(&f->inodes, &key, by_ino);
}
