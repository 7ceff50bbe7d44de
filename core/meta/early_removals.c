/*
 * early_removals.c - names that go: unlink, rmdir, rename.
 */
#include "core/meta/early.h"

#include <errno.h>
#include <string.h>

#define HELD_BYTES_MAX 512

static bool is_held(const struct op *op, uint64_t ino)
{
    const uint8_t *p = op->data;
    for (uint32_t i = 0; i + 8 <= op->data_len; i += 8) {
        uint64_t one;
        memcpy(&one, p + i, 8);
        if (get_be64((const uint8_t *)&one) == ino)
            return true;
    }
    return false;
}

static bool may_remove(const struct batch *b, const struct op *op, const struct node *dir,
                       const struct node *n)
{
    struct lx x = early_rules(b, op);
    return dir->a.parent < INO_TRASH && dir->ino < INO_TRASH && dir->a.flags == 0 &&
           n->a.flags == 0 && lx_may_remove(&x, dir->ino, &dir->a, &n->a) == 0;
}

static bool removal(struct batch *b, const struct op *op, struct place *p, struct node *n,
                    struct op_result *res)
{
    struct queue_ref ref;
    char name[NAME_LEN_MAX + 1];
    struct op gone = *op;
    bool is_dir = n->a.type == TYPE_DIRECTORY;

    if (!early_is_ours_alone(b, p->dir) || !early_is_ours_alone(b, n))
        return false;
    memcpy(name, p->name, p->len);
    name[p->len] = '\0';
    gone.base = p->dir->ino;
    gone.path = name;
    gone.ino = n->ino;
    /* Its name may be another file's by now, one that is open. */
    gone.data_len = is_dir || early_is_young(b, n) ? 0 : op->data_len;
    if (gone.data_len > HELD_BYTES_MAX)
        return false;
    b->neighbours = b->neighbours || !p->dir->is_mine;
    if (!early_queued(b, &gone, &ref))
        return false;
    early_mark_again(b, p->dir);
    early_mark_again(b, n);
    res->ino = n->ino;
    res->parent = p->dir->ino;
    res->attr = n->a;
    res->attr.nlink = 0;
    res->has_attr = true;
    /* Of a file, its blocks: said when it is sent. */
    res->rflags = is_dir && (b->env.flags & ENV_TRASH) == 0 ? OPR_GONE : 0;
    early_touch(b, op, p->dir, is_dir ? -1 : 0);
    overlay_remove(b->overlay, p->dir, name, p->len);
    overlay_forget(b->overlay, n->ino);
    return true;
}

static uint32_t cancel(void *ctx, uint8_t *data, uint32_t len, uint32_t room, const uint8_t *record,
                       uint32_t record_len)
{
    (void)data, (void)room, (void)record, (void)record_len;
    *(uint32_t *)ctx = len;
    return 0;
}

/* What was made and not sent yet, and nothing was made in its directory since (the store counts the
 * entries): both ops become none.  Only of what has no blocks yet. */
static bool cancelled(struct batch *b, const struct op *op, struct place *p, struct node *n,
                      struct op_result *res)
{
    uint32_t len;
    if (n->make.frame == 0 || n->make.frame != p->dir->last_make || b->queue == NULL ||
        n->a.type != TYPE_FILE || n->a.length != 0 ||
        queue_fold(b->queue, &n->make, NULL, NULL, cancel, &len) <= 0)
        return false;
    b->early++;
    metrics_coalesced(b->m->metrics, OP_MAKE, 1);
    res->ino = n->ino;
    res->parent = p->dir->ino;
    res->attr = n->a;
    res->attr.nlink = 0;
    res->has_attr = true;
    early_touch(b, op, p->dir, 0);
    overlay_remove(b->overlay, p->dir, p->name, p->len);
    overlay_forget(b->overlay, n->ino);
    return true;
}

bool early_unlink(struct batch *b, const struct op *op, struct op_result *res)
{
    struct place p;
    if (!early_find(b, op, op->base, op->path, &p) || p.dir == NULL)
        return false;
    if (early_is_absent(b, &p))
        return early_refuse(res, -ENOENT);
    struct node *n = early_removed(b, &p);
    if (n == NULL || n->a.type == TYPE_DIRECTORY || n->a.nlink != 1 || is_held(op, n->ino) ||
        !may_remove(b, op, p.dir, n))
        return false;
    return cancelled(b, op, &p, n, res) || removal(b, op, &p, n, res);
}

bool early_rmdir(struct batch *b, const struct op *op, struct op_result *res)
{
    struct place p;
    if (!early_find(b, op, op->base, op->path, &p) || p.dir == NULL)
        return false;
    struct node *n = early_removed(b, &p);
    if (n == NULL || n->a.type != TYPE_DIRECTORY || !n->is_complete || n->count != 0 ||
        !may_remove(b, op, p.dir, n))
        return false;
    return removal(b, op, &p, n, res);
}

bool early_rename(struct batch *b, const struct op *op, struct op_result *res)
{
    struct place from, to;
    struct queue_ref ref;
    char name[NAME_LEN_MAX + 1], name2[NAME_LEN_MAX + 1];

    if ((op->flags & OPF_EXCHANGE) != 0 || !early_find(b, op, op->base, op->path, &from) ||
        !early_find(b, op, op->base2, op->path2, &to) || from.dir == NULL || to.dir == NULL ||
        to.known != ABSENT || !early_may_add(b, op, to.dir) ||
        (to.dir->ino == INO_ROOT && to.name[0] == '.'))
        return false;
    struct node *n = early_removed(b, &from);
    if (n == NULL || n->a.type == TYPE_DIRECTORY || n->a.nlink != 1 ||
        !may_remove(b, op, from.dir, n) || !early_is_ours_alone(b, from.dir) ||
        !early_is_ours_alone(b, to.dir) || !early_is_ours_alone(b, n))
        return false;
    memcpy(name, from.name, from.len);
    name[from.len] = '\0';
    memcpy(name2, to.name, to.len);
    name2[to.len] = '\0';
    struct op moved = *op;
    moved.base = from.dir->ino;
    moved.path = name;
    moved.base2 = to.dir->ino;
    moved.path2 = name2;
    moved.ino = n->ino;
    moved.data_len = 0;
    b->neighbours = b->neighbours || !from.dir->is_mine || !to.dir->is_mine;
    if (!early_named(b, &moved, to.dir, name2, to.len, &ref))
        return false;
    early_mark_again(b, from.dir);
    early_mark_again(b, n);
    if (from.dir != to.dir)
        early_touch(b, op, from.dir, 0);
    early_touch(b, op, to.dir, 0);
    from.dir->last_make = to.dir->last_make = 0;
    n->a.ctime = op->now;
    n->a.parent = to.dir->ino;
    n->make.frame = 0;
    uint8_t type = n->a.type;
    uint64_t ino = n->ino;
    overlay_remove(b->overlay, from.dir, name, from.len);
    if (!overlay_add(b->overlay, to.dir, name2, to.len, type, ino))
        to.dir->is_complete = false;
    *res = (struct op_result){.parent = to.dir->ino};
    return true;
}
