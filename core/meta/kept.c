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

static void drop(struct kept_page *k)
{
    op_result_free(&k->res);
    *k = (struct kept_page){0};
}

void keep_listing(struct batch *b, const struct node *dir, const struct op_result *res, bool ahead)
{
    struct kept_page *k = &b->kept_page[b->next_page++ % KEPT_PAGES];

    for (size_t i = 0; i < KEPT_PAGES; i++) /* in its old place, if it has one */
        if (b->kept_page[i].dir == dir->ino)
            k = &b->kept_page[i];
    if (k->is_ahead && b->dirs_size > DIRS_MIN)
        b->dirs_size /= 2; /* for nothing */
    drop(k);
    k->listing = dir->listing;
    k->changes = dir->changes;
    k->is_ahead = ahead;
    copy(&k->res, res);
    k->dir = buf_ok(&k->res.extra) == 0 ? dir->ino : 0;
}

/* Once more after the first time: who asks again wants to see something new. */
bool kept_listing(struct batch *b, const struct node *dir, struct op_result *res)
{
    for (size_t i = 0; i < KEPT_PAGES; i++) {
        struct kept_page *k = &b->kept_page[i];
        if (k->dir != dir->ino)
            continue;
        bool holds = k->listing == dir->listing && k->changes == dir->changes;
        bool was_ahead = k->is_ahead;
        if (holds && was_ahead) {
            copy(res, &k->res);
            k->is_ahead = false;
            b->dirs_size += b->dirs_size < DIRS_MAX;
        } else if (holds) {
            *res = k->res;
            k->res.extra = (struct buf){0};
        }
        if (!holds || !was_ahead || buf_ok(&res->extra) < 0)
            drop(k);
        return holds;
    }
    return false;
}

void kept_free(struct batch *b)
{
    for (size_t i = 0; i < KEPT_PAGES; i++)
        op_result_free(&b->kept_page[i].res);
}
