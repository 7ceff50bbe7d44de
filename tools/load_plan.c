/*
 * load_plan.c - between the two readings of a dump: do its names make a tree?  See load.h.
 */
#include "tools/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

/* FNV-1a, finished by a multiplication that spreads it: two names of a directory with the same
 * 64 bits do not happen by chance. */
uint64_t load_hash(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    h = (h ^ (h >> 32)) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ (h >> 29);
}

static int by_place(const void *a, const void *b)
{
    const struct l_name *x = a, *y = b;
    int c = ORDER(x->parent, y->parent);

    return c != 0 ? c : ORDER(x->hash, y->hash);
}

static int by_name_ino(const void *a, const void *b)
{
    const struct l_name *x = a, *y = b;
    int c = ORDER(x->ino, y->ino);

    return c != 0 ? c : ORDER(x->parent, y->parent);
}

static int by_quota(const void *a, const void *b)
{
    const struct l_quota *x = a, *y = b;

    return ORDER(x->id, y->id);
}

static int wrong(struct load *l, const char *what, uint64_t ino)
{
    snprintf(l->error, sizeof l->error, "%s: inode %" PRIu64 " %s", l->shown, ino, what);
    return -1;
}

static int check_names(struct load *l)
{
    const struct l_name *a, *b;

    vec_sort(&l->names, by_place);
    for (size_t i = 1; i < l->names.len; i++) {
        a = vec_at(&l->names, i - 1);
        b = vec_at(&l->names, i);
        if (by_place(a, b) == 0)
            return wrong(l, "has the same name twice among its entries", a->parent);
    }
    vec_sort(&l->names, by_name_ino);
    for (size_t i = 1; i < l->names.len; i++) {
        a = vec_at(&l->names, i - 1);
        b = vec_at(&l->names, i);
        if (a->ino != b->ino)
            continue;
        if (a->type == TYPE_DIRECTORY || b->type == TYPE_DIRECTORY)
            return wrong(l, "is a directory and has several names", a->ino);
        if (a->type != b->type)
            return wrong(l, "has names of different types", a->ino);
    }
    return 0;
}

/* A file that waits for its removal must not be one that has a name. */
static void drop_living(struct load *l)
{
    size_t kept = 0, n;

    for (size_t i = 0; i < l->removed.len; i++) {
        struct l_removed r = *(struct l_removed *)vec_at(&l->removed, i);
        if (load_names(l, r.ino, &n) != NULL)
            l->kept_alive++;
        else
            *(struct l_removed *)vec_at(&l->removed, kept++) = r;
    }
    l->removed.len = kept;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The dump has the next inode and slice, the store the last one given; a number that is in use is
 * never given again, whatever the dump says. */
static void begin_counters(struct load *l)
{
    int64_t *c = l->counters;

    c[L_NEXT_INODE] = larger(l->dumped[L_NEXT_INODE] - 1, 0);
    c[L_NEXT_CHUNK] = larger(l->dumped[L_NEXT_CHUNK] - 1, 0);
    c[L_NEXT_SESSION] = l->dumped[L_NEXT_SESSION];
    c[L_NEXT_TRASH] = l->dumped[L_NEXT_TRASH];
    for (size_t i = 0; i < l->names.len; i++) {
        uint64_t ino = ((const struct l_name *)vec_at(&l->names, i))->ino;
        if (load_is_hour(ino))
            c[L_NEXT_TRASH] = larger(c[L_NEXT_TRASH], (int64_t)(ino - INO_TRASH));
        else
            c[L_NEXT_INODE] = larger(c[L_NEXT_INODE], (int64_t)ino);
    }
}

int load_plan(struct load *l)
{
    if (check_names(l) < 0)
        return -1;
    for (int k = 0; k < L_QUOTAS; k++) {
        vec_sort(&l->quotas[k], by_quota);
        vec_unique(&l->quotas[k], by_quota);
    }
    drop_living(l);
    begin_counters(l);
    return 0;
}

struct l_name *load_names(const struct load *l, uint64_t ino, size_t *n)
{
    struct l_name key = {.ino = ino}, *first;
    size_t from = vec_lower(&l->names, &key, by_name_ino), end = from;

    while (end < l->names.len && ((struct l_name *)vec_at(&l->names, end))->ino == ino)
        end++;
    *n = end - from;
    first = *n > 0 ? vec_at(&l->names, from) : NULL;
    return first;
}

struct l_quota *load_quota(const struct load *l, enum l_quota_kind kind, uint64_t id)
{
    struct l_quota key = {.id = id};

    return vec_find(&l->quotas[kind], &key, by_quota);
}

struct l_quota *load_quota_of(struct load *l, enum l_quota_kind kind, uint64_t id)
{
    struct vec *v = &l->quotas[kind];
    struct l_quota key = {.id = id, .max_space = -1, .max_inodes = -1};
    size_t at = vec_lower(v, &key, by_quota);

    if (at < v->len && ((struct l_quota *)vec_at(v, at))->id == id)
        return vec_at(v, at);
    if (vec_add(v) == NULL)
        return NULL;
    struct l_quota *q = vec_at(v, at);
    memmove(q + 1, q, (v->len - 1 - at) * sizeof *q);
    *q = key;
    return q;
}
