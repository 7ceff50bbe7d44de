/*
 * early.c - deciding an op from what this process knows, and queueing it (DESIGN 8).
 *
 * Only what succeeds, a name that is there (EEXIST) and one that is not (ENOENT) are decided here;
 * everything else, errors above all, is the store's to say.  The rules are those of lx_*.c, whose
 * functions are used where they are pure.
 */
#include "core/meta/early.h"

#include <errno.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)
/* Attributes and listings, as a stock mount's kernel believes them; and for taking a name away,
 * where a name that has gone meanwhile does no harm. */
#define BELIEVED_NS         SECOND_NS
#define REMOVAL_BELIEVED_NS (30 * SECOND_NS)
#define OWN_DIR_NS          (60 * SECOND_NS)

static bool is_believed(const struct batch *b, const struct node *n, uint64_t told_ns, uint64_t ns)
{
    if (queue_holds(b->queue, &n->make))
        return true; /* nobody else knows of it */
    return overlay_now(b->overlay) - told_ns < ns && told_ns > b->input_ns;
}

bool early_is_young(const struct batch *b, const struct node *n)
{
    return is_believed(b, n, n->told_ns, BELIEVED_NS);
}

bool early_is_listed(const struct batch *b, const struct node *dir)
{
    return dir->is_complete && is_believed(b, dir, dir->listed_ns, BELIEVED_NS);
}

bool early_is_bare(const struct batch *b, const struct node *n)
{
    return n->bare_ns != 0 && is_believed(b, n, n->bare_ns, BELIEVED_NS);
}

static bool may_search(const struct op *op, const struct node *n)
{
    return n->a.type == TYPE_DIRECTORY && meta_may(&op->cred, &n->a, 1);
}

static bool is_dots(const char *name, size_t len)
{
    return name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
}

/* When it was told what the name is: in a directory of others it may have become another one's. */
static uint64_t name_told(struct batch *b, const struct node *dir, const char *name, size_t len)
{
    if (dir->is_mine && dir->is_complete)
        return overlay_now(b->overlay);
    return overlay_entry_told(b->overlay, dir, name, len);
}

static bool is_way(struct batch *b, const struct node *dir, const char *name, size_t len)
{
    uint64_t told = name_told(b, dir, name, len);
    return overlay_now(b->overlay) - told < BELIEVED_NS && told > b->input_ns;
}

/* The directory of the last component.  Names that need a closer look are the store's business:
 * dots, symlinks on the way, slashes at the end. */
bool early_find(struct batch *b, const struct op *op, uint64_t base, const char *path,
                struct place *p)
{
    struct node *dir = overlay_node(b->overlay, base);
    *p = (struct place){0};
    while (path != NULL && *path == '/')
        path++; /* what follows the prefix begins with one */
    if (path == NULL || *path == '\0') {
        p->object = dir;
        p->known = dir != NULL ? PRESENT : NOT_KNOWN;
        p->ino = base;
        p->type = dir != NULL ? dir->a.type : 0;
        return dir != NULL;
    }
    if (strlen(path) > PATH_LEN_MAX)
        return false;
    while (dir != NULL && *path != '/') {
        const char *end = strchrnul(path, '/');
        size_t len = (size_t)(end - path);
        if (len == 1 && *path == '.' && *end == '/') {
            for (path = end; *path == '/'; path++)
                ;
            if (*path == '\0')
                return false;
            continue;
        }
        if (len > NAME_LEN_MAX || is_dots(path, len) || !may_search(op, dir))
            return false;
        p->dir = dir;
        p->name = path;
        p->len = len;
        p->known = overlay_entry(b->overlay, dir, path, len, &p->type, &p->ino);
        if (*end == '\0')
            return true;
        if (p->known != PRESENT || p->type != TYPE_DIRECTORY || !is_way(b, dir, path, len))
            return false;
        dir = overlay_node(b->overlay, p->ino);
        for (path = end; *path == '/'; path++)
            ;
        if (*path == '\0')
            return false;
    }
    return false;
}

struct node *early_parent(struct batch *b, const struct op *op)
{
    struct place p;
    return early_find(b, op, op->base, op->path, &p) ? p.dir : NULL;
}

/* Who unpacks a tree comes back to the directories it made, to set their times and modes. */
static struct node *known_for(struct batch *b, const struct place *p, uint64_t ns)
{
    struct node *n = p->object;
    if (n == NULL && p->known == PRESENT)
        n = overlay_node(b->overlay, p->ino);
    if (n != NULL && n->is_mine && n->a.type == TYPE_DIRECTORY)
        ns = OWN_DIR_NS;
    if (n == NULL || n->a.parent >= INO_TRASH || n->a.access_acl != 0)
        return NULL;
    /* The inode may have been told of by another name since. */
    uint64_t name = p->dir != NULL ? name_told(b, p->dir, p->name, p->len) : n->told_ns;
    return is_believed(b, n, name < n->told_ns ? name : n->told_ns, ns) ? n : NULL;
}

/* The attributes of what is there, young enough to be told to a program. */
struct node *early_object(struct batch *b, const struct place *p)
{
    return known_for(b, p, BELIEVED_NS);
}

/* The same of what is about to go; of a directory, which names it holds, too. */
struct node *early_removed(struct batch *b, const struct place *p)
{
    struct node *n = known_for(b, p, REMOVAL_BELIEVED_NS);
    if (n == NULL || !n->is_complete)
        return n;
    uint64_t ns = n->is_mine ? OWN_DIR_NS : REMOVAL_BELIEVED_NS;
    return is_believed(b, n, n->listed_ns, ns) ? n : NULL;
}

bool early_answer(struct op_result *res, const struct node *n)
{
    res->ino = n->ino;
    res->attr = n->a;
    res->parent = n->a.parent;
    res->has_attr = true;
    return true;
}

bool early_refuse(struct op_result *res, int code)
{
    res->code = code;
    return true;
}

/* Is a name known not to be there, as far as reads go? */
bool early_is_absent(const struct batch *b, const struct place *p)
{
    return p->known == ABSENT && early_is_listed(b, p->dir);
}

/* --- reads ------------------------------------------------------------------------------------ */

static bool lookup(struct batch *b, const struct op *op, struct op_result *res)
{
    struct place p;
    if (!early_find(b, op, op->base, op->path, &p))
        return false;
    if (early_is_absent(b, &p))
        return early_refuse(res, -ENOENT);
    struct node *n = early_object(b, &p);
    if (n == NULL || (op->valid != 0 && !meta_may(&op->cred, &n->a, op->valid)) ||
        ((op->flags & OPF_DIRECTORY) != 0 && n->a.type != TYPE_DIRECTORY))
        return false;
    if (n->a.type == TYPE_SYMLINK) {
        if ((op->flags & OPF_NOFOLLOW) == 0 || n->target == NULL)
            return false;
        buf_add(&res->extra, n->target, n->a.length);
    }
    ahead_used(b, n);
    return early_answer(res, n);
}

static bool readdir_op(struct batch *b, const struct op *op, struct op_result *res)
{
    const struct node *n = overlay_node(b->overlay, op->base);
    if (op->off != 0 || (op->path != NULL && *op->path != '\0') || n == NULL ||
        !early_is_listed(b, n))
        return false;
    return kept_listing(b, n, res);
}

/* --- the table -------------------------------------------------------------------------------- */

bool early_call(struct batch *b, const struct op *op, struct op_result *res)
{
    uint8_t type = (uint8_t)(op->mode >> 12);
    if ((b->changes < FIRST_SYNC || op->cred.uid != b->uid) && op_changes(op))
        return false;
    switch (op->kind) {
    case OP_LOOKUP:
        return lookup(b, op, res);
    case OP_OPEN:
        return early_open(b, op, res);
    case OP_MKNOD:
        return early_new(b, op, type, res);
    case OP_MKDIR:
        return early_new(b, op, TYPE_DIRECTORY, res);
    case OP_SYMLINK:
        return early_symlink(b, op, res);
    case OP_SETATTR:
        return early_setattr(b, op, res);
    case OP_WRITE:
        return early_write(b, op, res);
    case OP_RENAME:
        return early_rename(b, op, res);
    case OP_READDIR:
        return readdir_op(b, op, res);
    case OP_LISTXATTR:
        return early_listxattr(b, op, res);
    case OP_GETXATTR:
        return early_getxattr(b, op, res);
    case OP_SETXATTR:
    case OP_REMOVEXATTR:
        return early_setxattr(b, op, res);
    case OP_UNLINK:
        return early_unlink(b, op, res);
    case OP_RMDIR:
        return early_rmdir(b, op, res);
    default:
        return false;
    }
}
