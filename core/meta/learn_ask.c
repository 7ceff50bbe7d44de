/*
 * learn_ask.c - before a request: names that it may make are announced, and what rides along with
 * it so that the next ones need not ask.
 */
#include "core/meta/batch.h"

#include <stdlib.h>
#include <string.h>

#define LOST_READS 1 /* reads of a process that are not told the way */

enum making { NOTHING, ONE_NAME, ANYTHING };

/* May the change make a name, or take a directory from under one? */
static enum making makes(const struct op *op, const char **path)
{
    *path = op->path;
    switch (op->kind) {
    case OP_OPEN:
        return (op->flags & OPF_CREATE) != 0 ? ONE_NAME : NOTHING;
    case OP_MKNOD:
    case OP_MKDIR:
    case OP_SYMLINK:
    case OP_MAKE:
        return ONE_NAME;
    case OP_LINK:
    case OP_RENAME:
        *path = op->path2;
        return (op->flags & OPF_EXCHANGE) != 0 ? NOTHING : ONE_NAME;
    case OP_RMDIR:
        return ANYTHING;
    default:
        return NOTHING;
    }
}

uint32_t learn_before(struct batch *b, const struct op *ops, size_t n)
{
    enum making sum = NOTHING;
    const char *path = NULL, *one;
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        enum making m = makes(&ops[i], &one);
        if (m != NOTHING)
            sum = m == ANYTHING || sum != NOTHING ? ANYTHING : ONE_NAME;
        path = m == ONE_NAME ? one : path;
    }
    if (sum == NOTHING)
        return NOT_ASKING;
    const char *name = sum == ONE_NAME ? learn_last_name(path, &len) : NULL;
    return board_begin_asking(b->board, name, len);
}

/* Who makes one name after another in a directory is told what else is in it. */
static bool begins_stream(const struct node *dir)
{
    return dir->fresh + 1 >= STREAM_AFTER && !dir->is_complete && !dir->is_long &&
           dir->a.type == TYPE_DIRECTORY;
}

static struct op question(const struct op *op, uint8_t kind, uint64_t base, const char *path)
{
    return (struct op){.kind = kind,
                       .len = kind == OP_READDIR ? STREAM_ENTRIES : 0,
                       .flags = OPF_NOFOLLOW | OPF_BY_FD,
                       .cred = op->cred,
                       .now = op->now,
                       .base = base,
                       .path = path};
}

/* A look-up of the base, and one of each directory on the way: "a/b/c" asks for "", "a" and "a/b";
 * a read also for the name itself, which it may have followed. */
static size_t ask_way(const struct op *op, struct op more[LEARN_MORE], char **paths)
{
    const char *path = op->path + strspn(op->path, "/");
    size_t n = 0, depth = 1, len = strlen(path);
    for (const char *p = path; *p != '\0'; p++)
        depth += *p == '/';
    char *copy = depth < LEARN_MORE && len <= PATH_LEN_MAX ? malloc(depth * (len + 1)) : NULL;
    *paths = copy;
    more[n++] = question(op, OP_LOOKUP, op->base, "");
    for (size_t i = 0; copy != NULL && i < len; i++) {
        if (path[i] != '/' || path[i + 1] == '/' || path[i + 1] == '\0')
            continue;
        memcpy(copy, path, i);
        copy[i] = '\0';
        more[n++] = question(op, OP_LOOKUP, op->base, copy);
        copy += i + 1;
    }
    if (!op_changes(op) && op->kind != OP_LOOKUP)
        more[n++] = question(op, OP_LOOKUP, op->base, op->path);
    return n;
}

/* Who reads below a directory time and again is told the way there, once a second. */
static bool loses_way(struct batch *b, const struct op *op)
{
    return !op_changes(op) && ++b->lost > LOST_READS;
}

size_t learn_more(struct batch *b, const struct op *ops, size_t n, struct op more[LEARN_MORE],
                  char **paths)
{
    size_t found = 0;
    *paths = NULL;
    if (n != 1 || ops->cred.uid != b->uid)
        return 0;
    bool makes_name = (ops->kind == OP_MKDIR || ops->kind == OP_OPEN) && op_changes(ops);
    bool has_path = ops->path != NULL && *ops->path != '\0';
    pthread_mutex_lock(&b->known);
    const struct node *dir = has_path ? early_parent(b, ops) : NULL;
    if (dir == NULL && has_path && (makes_name || loses_way(b, ops)))
        found = ask_way(ops, more, paths);
    else if (makes_name && dir != NULL && begins_stream(dir))
        more[found++] = question(ops, OP_READDIR, dir->ino, "");
    else if (!op_changes(ops))
        found = ahead_ask(b, ops, more, paths);
    pthread_mutex_unlock(&b->known);
    return found;
}
