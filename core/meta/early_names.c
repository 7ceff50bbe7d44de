/*
 * early_names.c - new names, and opening.
 */
#include "core/meta/early.h"

#include <errno.h>
#include <string.h>

#define OPEN_BELIEVED_NS (UINT64_C(50) * 1000000)

/* Close-to-open: what another host closed before we open must be seen, so an open believes less. */
static bool is_fresh(const struct batch *b, uint64_t told_ns)
{
    return overlay_now(b->overlay) - told_ns < OPEN_BELIEVED_NS;
}

/* Of a file: that it has none, or the records that say where it is. */
static bool has_content(const struct batch *b, const struct node *n)
{
    if (n->a.length == 0)
        return is_fresh(b, n->told_ns);
    return n->records_ns > b->input_ns && is_fresh(b, n->records_ns);
}

/* May a name be added to dir without asking? */
bool early_may_add(struct batch *b, const struct op *op, const struct node *dir)
{
    bool streams = dir->fresh >= STREAM_AFTER && early_is_listed(b, dir);
    return b->may_grow && dir->is_complete && (dir->is_mine || streams) && dir->a.flags == 0 &&
           dir->a.tier == 0 && dir->a.default_acl == 0 && dir->a.parent < INO_TRASH &&
           dir->ino < INO_TRASH && meta_may(&op->cred, &dir->a, 3);
}

static bool make(struct batch *b, const struct op *op, struct place *p, uint8_t type,
                 struct op_result *res)
{
    struct lx x = early_rules(b, op);
    uint8_t data[ATTR_BYTES_MAX + PATH_LEN_MAX + 1];
    char name[NAME_LEN_MAX + 1];
    struct queue_ref ref;

    if (op->kind == OP_OPEN && (op->flags & OPF_EXCL) != 0 && b->params->excl_strict)
        return false;
    if (p->dir->ino == INO_ROOT && p->name[0] == '.')
        return false; /* names at the root that stock answers for */
    struct attr a = lx_new_attr(&x, p->dir->ino, &p->dir->a, type, op->mode & 07777);
    size_t n = attr_encode(&a, data);
    if (n != ATTR_BYTES || !early_is_ours_alone(b, p->dir))
        return false;
    if (type == TYPE_SYMLINK) {
        memcpy(data + n, op->data, op->data_len);
        n += op->data_len;
    }
    memcpy(name, p->name, p->len);
    name[p->len] = '\0';
    struct op made = {.kind = OP_MAKE,
                      .cred = op->cred,
                      .now = op->now,
                      .base = p->dir->ino,
                      .path = name,
                      .ino = op->ino,
                      .mode = (uint32_t)type << 12 | a.mode,
                      .off = p->dir->count + 1,
                      .data = data,
                      .data_len = (uint32_t)n};
    b->neighbours = b->neighbours || !p->dir->is_mine;
    if (!early_named(b, &made, p->dir, name, p->len, &ref))
        return false;
    struct node *dir = p->dir;
    early_touch(b, op, dir, type == TYPE_DIRECTORY);
    dir->told_ns = dir->listed_ns = overlay_now(b->overlay);
    dir->last_make = ref.frame;
    if (!overlay_add(b->overlay, dir, name, p->len, type, op->ino))
        dir->is_complete = false;
    struct node *fresh = overlay_learn(b->overlay, op->ino, &a, board_now(b->board));
    if (fresh != NULL) {
        fresh->make = ref;
        fresh->is_mine = true;
        fresh->bare_ns = fresh->told_ns;
        if (type == TYPE_DIRECTORY)
            overlay_set_complete(b->overlay, fresh);
        if (type == TYPE_SYMLINK)
            overlay_set_target(fresh, op->data, op->data_len);
    }
    res->ino = op->ino;
    res->attr = a;
    res->parent = a.parent;
    res->has_attr = true;
    res->rflags = OPR_CREATED;
    return true;
}

bool early_new(struct batch *b, const struct op *op, uint8_t type, struct op_result *res)
{
    struct place p;
    if (!early_find(b, op, op->base, op->path, &p) || p.dir == NULL)
        return false;
    if (p.known == PRESENT && early_is_listed(b, p.dir))
        return early_refuse(res, -EEXIST);
    if (p.known != ABSENT || !early_may_add(b, op, p.dir))
        return false;
    return make(b, op, &p, type, res);
}

bool early_symlink(struct batch *b, const struct op *op, struct op_result *res)
{
    if (op->data_len == 0 || op->data_len > PATH_LEN_MAX ||
        memchr(op->data, '\0', op->data_len) != NULL)
        return false;
    return early_new(b, op, TYPE_SYMLINK, res);
}

bool early_open(struct batch *b, const struct op *op, struct op_result *res)
{
    struct place p;
    bool creates = (op->flags & OPF_CREATE) != 0 && (op->flags & OPF_OPATH) == 0;
    if (!early_find(b, op, op->base, op->path, &p) || (creates && p.dir == NULL))
        return false;
    if (creates && p.known == ABSENT)
        return (op->flags & OPF_DIRECTORY) == 0 && early_may_add(b, op, p.dir) &&
               make(b, op, &p, TYPE_FILE, res);
    if (early_is_absent(b, &p))
        return early_refuse(res, -ENOENT);
    if (creates && p.known == PRESENT && (op->flags & OPF_EXCL) != 0 && early_is_listed(b, p.dir))
        return early_refuse(res, -EEXIST);
    struct node *n = early_object(b, &p);
    if (n == NULL || creates || (op->flags & OPF_TRUNC) != 0 || n->a.flags != 0)
        return false;
    bool is_dir = n->a.type == TYPE_DIRECTORY && (op->valid & 2) == 0;
    bool is_file = n->a.type == TYPE_FILE && (op->flags & OPF_DIRECTORY) == 0;
    if (!is_dir && !(is_file && has_content(b, n)))
        return false;
    if ((op->flags & OPF_OPATH) == 0 && !meta_may(&op->cred, &n->a, op->valid & 7))
        return false;
    if (is_file && n->a.length > 0 && (op->flags & OPF_OPATH) == 0)
        buf_add(&res->extra, n->records, n->records_len);
    if (is_file)
        n->records_ns = 0; /* once: who opens it again wants what was written meanwhile */
    ahead_used(b, n);
    return buf_ok(&res->extra) == 0 && early_answer(res, n);
}
