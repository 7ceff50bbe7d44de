/*
 * learn.c - what the store's own answers teach the overlay, and other processes of the host.
 *
 * An answer is what was true when it was given.  When early changes were acknowledged while it was
 * on its way, what it says of the same objects may be older than what is known: it is forgotten
 * then instead of learned.
 */
#include "core/meta/batch.h"

#include "core/base/clock.h"
#include "core/meta/lx.h"
#include "core/meta/order.h"

#include <errno.h>
#include <string.h>

#define LISTED_MAX 100000 /* one with more is not known whole */

/* The last component of a path that can be nothing else than a name of its parent. */
const char *learn_last_name(const char *path, size_t *len)
{
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    const char *name = slash != NULL ? slash + 1 : path;
    *len = name != NULL ? strlen(name) : 0;
    if (*len == 0 || *len > NAME_LEN_MAX || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return NULL;
    return name;
}

/* --- marks for others ------------------------------------------------------------------------- */

static void mark(struct batch *b, uint64_t ino)
{
    if (ino != 0)
        board_mark(b->board, ino, UINT64_MAX);
}

static bool is_name(const char *path)
{
    return path == NULL || strchr(path, '/') == NULL;
}

static void mark_change(struct batch *b, const struct op *op, const struct op_result *res)
{
    if (!op_changes(op) || (res->code != 0 && res->code != -EIO))
        return;
    if (op->kind == OP_PURGE || op->kind == OP_FORGET)
        return;
    if (op->kind == OP_OPEN && (res->rflags & OPR_CREATED) == 0 && (op->flags & OPF_TRUNC) == 0)
        return;
    if (res->code == -EIO || (op->base2 != 0 && !(is_name(op->path) && is_name(op->path2)))) {
        board_mark_all(b->board);
        return;
    }
    mark(b, res->ino);
    mark(b, res->parent);
    if (op->base2 != 0) {
        mark(b, op->base);
        mark(b, op->base2);
    }
}

/* The directory of the name, when that needs no walk. */
static uint64_t dir_of(const struct op *op)
{
    return op->path != NULL && strchr(op->path, '/') == NULL ? op->base : 0;
}

/* --- what this process knows ------------------------------------------------------------------ */

static void learn_new(struct batch *b, const struct op *op, const struct op_result *res,
                      uint64_t since)
{
    size_t len;
    const char *name = (res->rflags & OPR_LINKED) == 0 ? learn_last_name(op->path, &len) : NULL;
    struct node *dir = overlay_node(b->overlay, res->parent);
    struct lx x = {.env = &b->env, .op = op};

    bool unknown = name == NULL && dir != NULL && !dir->is_complete; /* one entry more that is */
    if (dir != NULL && !unknown &&
        (name == NULL || !overlay_add(b->overlay, dir, name, len, res->attr.type, res->ino))) {
        overlay_forget(b->overlay, res->parent);
        dir = NULL;
    }
    if (dir != NULL) {
        bool is_dir = res->attr.type == TYPE_DIRECTORY;
        dir->fresh++;
        dir->a.nlink += is_dir;
        lx_touch(&x, dir->ino, &dir->a, is_dir);
    }
    struct node *n = overlay_learn(b->overlay, res->ino, &res->attr, since);
    if (n == NULL)
        return;
    n->is_mine = true;
    n->bare_ns = n->told_ns;
    if (res->attr.type == TYPE_DIRECTORY)
        overlay_set_complete(b->overlay, n);
    if (res->attr.type == TYPE_SYMLINK && op->kind == OP_SYMLINK)
        overlay_set_target(n, op->data, op->data_len);
}

static void learn_gone(struct batch *b, const struct op *op, const struct op_result *res)
{
    size_t len;
    const char *name = learn_last_name(op->path, &len);
    struct node *dir = overlay_node(b->overlay, res->parent);
    struct lx x = {.env = &b->env, .op = op};

    overlay_forget(b->overlay, res->ino);
    if (dir == NULL)
        return;
    if (name == NULL) {
        overlay_forget(b->overlay, res->parent);
        return;
    }
    overlay_remove(b->overlay, dir, name, len);
    dir->a.nlink -= op->kind == OP_RMDIR;
    lx_touch(&x, dir->ino, &dir->a, op->kind == OP_RMDIR);
}

static void learn_attr(struct batch *b, const struct op_result *res, uint64_t since)
{
    if (!res->has_attr || res->ino == 0)
        return;
    struct node *n = overlay_learn(b->overlay, res->ino, &res->attr, since);
    if (n != NULL)
        n->make.frame = 0;
}

static void learn_xattrs(struct batch *b, const struct op_result *res, bool has_none)
{
    struct node *n = overlay_node(b->overlay, res->ino);
    if (n != NULL)
        n->bare_ns = has_none ? clock_mono_ns() : 0;
}

/* Is it the page behind the one that was learned last?  What this process did in between is in what
 * it knows; what others did has ended that. */
static bool continues(const struct batch *b, const struct op *op, const struct node *dir)
{
    const struct reading *r = &b->reading;
    return dir != NULL && dir->ino == r->dir && dir->listing == r->listing &&
           op->off == r->cursor && op->path2 != NULL && strcmp(op->path2, r->last) == 0 &&
           dir->count <= LISTED_MAX;
}

/* The entries of a page, with their attributes.  NULL: not all of them. */
static struct node *learn_page(struct batch *b, struct node *dir, const struct buf *page,
                               uint64_t since, char last[NAME_LEN_MAX + 1])
{
    const uint8_t *p = page->data + 8, *end = page->data + page->len;
    uint64_t dir_ino = dir->ino;
    while (end - p >= 2) {
        size_t n = get_be16(p);
        const char *name = (const char *)p + 2;
        if ((size_t)(end - p) < 2 + n + 9 + 2 || n > NAME_LEN_MAX)
            return NULL;
        const uint8_t *entry = p + 2 + n;
        size_t raw = get_be16(entry + 9);
        if ((size_t)(end - entry) < 11 + raw)
            return NULL;
        struct attr a;
        uint64_t ino = get_be64(entry + 1);
        if (!overlay_add(b->overlay, dir, name, n, entry[0], ino))
            return NULL;
        if (raw > 0 && attr_decode(entry + 11, raw, &a) == 0) {
            if (overlay_learn(b->overlay, ino, &a, since) == NULL)
                return NULL;
            dir = overlay_node(b->overlay, dir_ino);
            if (dir == NULL)
                return NULL;
        }
        order_add(&dir->order, name, n, ino);
        memcpy(last, name, n);
        last[n] = '\0';
        p = entry + 11 + raw;
    }
    return dir;
}

/* The name that a look-up without following went by. */
static void learn_entry(struct batch *b, const struct op *op, const struct op_result *res)
{
    size_t len;
    const char *name = learn_last_name(op->path, &len);
    struct node *dir = name != NULL && (op->flags & OPF_NOFOLLOW) != 0 && res->has_attr
                           ? overlay_node(b->overlay, res->parent)
                           : NULL;
    if (dir != NULL && dir->ino != res->ino)
        overlay_add(b->overlay, dir, name, len, res->attr.type, res->ino);
}

/* Names of a directory that are looked for one after another.  What is not among them may be there:
 * nobody has listed it. */
static void learn_names(struct batch *b, struct node *dir, const struct op_result *res,
                        uint64_t since)
{
    char last[NAME_LEN_MAX + 1];
    if (dir == NULL || dir->is_complete)
        return;
    order_free(dir->order);
    dir->order = NULL;
    learn_page(b, dir, &res->extra, since, last);
}

/* A directory whose pages were all learned is known whole, as of the first of them. */
static void learn_listing(struct batch *b, const struct op *op, const struct op_result *res,
                          uint64_t since)
{
    struct reading one = {0}, *r = op->len == AHEAD_ENTRIES ? &one : &b->reading;
    if (res->extra.len < 8 || !res->has_attr)
        return;
    struct node *dir = overlay_node(b->overlay, res->ino);
    if (op->len == ORDER_ENTRIES) {
        learn_names(b, dir, res, since);
        return;
    }
    if (op->off != 0 && !continues(b, op, dir))
        return;
    uint64_t cursor = get_be64(res->extra.data);
    bool was_complete = dir != NULL && dir->is_complete;
    dir = overlay_learn(b->overlay, res->ino, &res->attr, since);
    if (dir == NULL)
        return;
    if (op->off == 0) {
        if (cursor == 0 || !was_complete) /* else it stays complete, and pages are added */
            overlay_start_listing(b->overlay, dir);
        *r = (struct reading){.listing = dir->listing, .told_ns = dir->told_ns};
        order_free(dir->order);
        dir->order = NULL;
    }
    r->dir = 0;
    dir = learn_page(b, dir, &res->extra, since, r->last);
    if (dir == NULL)
        return;
    if (cursor != 0) {
        dir->is_long = dir->is_long || op->len >= STREAM_ENTRIES;
        r->dir = dir->ino;
        r->cursor = cursor;
        return;
    }
    overlay_set_complete(b->overlay, dir);
    dir->listed_ns = r->told_ns;
    if (op->off == 0)
        keep_listing(b, dir, res, op->len == AHEAD_ENTRIES);
}

/* Between single names of known directories; whatever else it was, all knowledge ends. */
static void learn_rename(struct batch *b, const struct op *op, const struct op_result *res)
{
    struct node *from = dir_of(op) != 0 ? overlay_node(b->overlay, op->base) : NULL;
    size_t n, n2;
    const char *name = learn_last_name(op->path, &n), *name2 = learn_last_name(op->path2, &n2);
    uint8_t type;
    uint64_t ino;

    if (from == NULL || name == NULL || name2 == NULL || strchr(op->path2, '/') != NULL ||
        (op->flags & OPF_EXCHANGE) != 0 ||
        overlay_entry(b->overlay, from, name, n, &type, &ino) != PRESENT ||
        type == TYPE_DIRECTORY) {
        overlay_clear(b->overlay);
        return;
    }
    overlay_remove(b->overlay, from, name, n);
    overlay_forget(b->overlay, ino);
    overlay_forget(b->overlay, res->ino);
    struct node *to = overlay_node(b->overlay, op->base2);
    if (to != NULL && !overlay_add(b->overlay, to, name2, n2, type, ino))
        to->is_complete = false;
}

static void learn(struct batch *b, const struct op *op, const struct op_result *res, uint64_t since)
{
    if (res->code != 0)
        return;
    switch (op->kind) {
    case OP_OPEN:
        if ((res->rflags & OPR_CREATED) == 0) {
            learn_attr(b, res, since);
            break;
        }
        /* fall through */
    case OP_MKNOD:
    case OP_MKDIR:
    case OP_SYMLINK:
        learn_new(b, op, res, since);
        break;
    case OP_UNLINK:
    case OP_RMDIR:
        learn_gone(b, op, res);
        break;
    case OP_READDIR:
        learn_listing(b, op, res, since);
        break;
    case OP_LOOKUP:
        learn_attr(b, res, since);
        learn_entry(b, op, res);
        break;
    case OP_AHEAD:
        learn_attr(b, res, since);
        ahead_learn(b, op, res, since);
        break;
    case OP_LISTXATTR:
    case OP_SETXATTR:
        learn_attr(b, res, since);
        learn_xattrs(b, res, op->kind == OP_LISTXATTR && res->extra.len == 0);
        break;
    case OP_GETXATTR:
    case OP_SETATTR:
    case OP_WRITE:
    case OP_TRUNCATE:
    case OP_FALLOCATE:
        learn_attr(b, res, since);
        break;
    case OP_RENAME:
        learn_rename(b, op, res);
        break;
    case OP_LINK:
        overlay_clear(b->overlay);
        break;
    default:
        break;
    }
}

static void forget(struct batch *b, const struct op_result *res)
{
    overlay_forget(b->overlay, res->ino);
    overlay_forget(b->overlay, res->parent);
}

void learn_opened(struct batch *b, const struct op *op, const struct op_result *res)
{
    if (op->kind != OP_OPEN || res->code != 0)
        return;
    pthread_mutex_lock(&b->known);
    struct node *n = overlay_node(b->overlay, res->ino);
    if (n != NULL)
        n->records_ns = 0;
    pthread_mutex_unlock(&b->known);
}

void learn_after(struct batch *b, const struct op *ops, size_t n, const struct op_result *res,
                 uint64_t since, uint64_t early)
{
    for (size_t i = 0; i < n; i++)
        mark_change(b, &ops[i], &res[i]);
    pthread_mutex_lock(&b->known);
    for (size_t i = 0; i < n; i++) {
        bool changes = op_changes(&ops[i]);
        if (changes && b->changes < FIRST_SYNC)
            b->changes++;
        if (b->early == early && ops[i].cred.uid == b->uid)
            learn(b, &ops[i], &res[i], since);
        else if (changes && ops[i].base2 != 0)
            overlay_clear(b->overlay);
        else if (changes && res[i].code == 0)
            forget(b, &res[i]);
    }
    pthread_mutex_unlock(&b->known);
}
