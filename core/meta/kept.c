/*
 * kept.c - whole listings as they were answered, each for one more question.
 */
#include "core/meta/batch.h"

static void copy(struct op_result *to, const struct op_result *from)
{
    *to = *from;
    to->extra = (struct buf){0};
    buf_add(&to->extra, from->extra.data, from->extra.len);
}

static void drop(struct batch *b, size_t i)
{
    op_result_free(&b->kept_page[i].res);
    b->dirs_waiting -= b->kept_page[i].is_ahead;
    b->kept_page[i] = (struct kept_page){0};
    b->kept_dir[i] = 0;
}

/* KEPT_PAGES: none. */
static size_t place_of(const struct batch *b, uint64_t dir)
{
    size_t i = 0;
    while (i < KEPT_PAGES && b->kept_dir[i] != dir)
        i++;
    return i;
}

/* The place of a page that may go: one that was asked for, if there is any. */
static size_t oldest(struct batch *b)
{
    for (size_t i = 0; i < KEPT_PAGES; i++) {
        size_t at = b->next_page++ % KEPT_PAGES;
        if (!b->kept_page[at].is_ahead)
            return at;
    }
    return b->next_page++ % KEPT_PAGES;
}

void keep_listing(struct batch *b, const struct node *dir, const struct op_result *res, bool ahead)
{
    size_t i = place_of(b, dir->ino);
    if (i == KEPT_PAGES)
        i = oldest(b);
    struct kept_page *k = &b->kept_page[i];
    if (k->is_ahead && b->dirs_size > DIRS_MIN)
        b->dirs_size /= 2; /* for nothing */
    drop(b, i);
    k->listing = dir->listing;
    k->changes = dir->changes;
    k->is_ahead = ahead;
    b->dirs_waiting += ahead;
    b->dirs_entries += ahead ? (uint32_t)dir->count : 0;
    copy(&k->res, res);
    b->kept_dir[i] = buf_ok(&k->res.extra) == 0 ? dir->ino : 0;
}

/* Once more after the first time: who asks again wants to see something new. */
bool kept_listing(struct batch *b, const struct node *dir, struct op_result *res)
{
    size_t i = place_of(b, dir->ino);
    if (i == KEPT_PAGES)
        return false;
    struct kept_page *k = &b->kept_page[i];
    bool holds = k->listing == dir->listing && k->changes == dir->changes;
    bool was_ahead = k->is_ahead;
    if (holds && was_ahead) {
        copy(res, &k->res);
        k->is_ahead = false;
        b->dirs_waiting--;
        b->dirs_size += b->dirs_size < DIRS_MAX;
    } else if (holds) {
        *res = k->res;
        k->res.extra = (struct buf){0};
    }
    if (!holds || !was_ahead || buf_ok(&res->extra) < 0)
        drop(b, i);
    return holds;
}

void kept_free(struct batch *b)
{
    for (size_t i = 0; i < KEPT_PAGES; i++)
        op_result_free(&b->kept_page[i].res);
}
