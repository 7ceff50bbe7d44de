/*
 * op.c - the encoding of op.h, and names for kinds.
 *
 * The header's fields have fixed places, listed once in `enum at`; lua/lib_op.lua unpacks the same.
 */
#include "core/op/op.h"

#include "core/base/log.h"

#include <errno.h>
#include <string.h>

enum at {
    AT_VERSION = 0,
    AT_KIND = 1,
    AT_UMASK = 2,
    AT_FLAGS = 4,
    AT_VALID = 8,
    AT_UID = 12,
    AT_GID = 16,
    AT_NOW = 20,
    AT_BASE = 32,
    AT_BASE2 = 40,
    AT_INO = 48,
    AT_MODE = 56,
    AT_RDEV = 60,
    AT_NEW_UID = 64,
    AT_NEW_GID = 68,
    AT_ATIME = 72,
    AT_MTIME = 84,
    AT_OFF = 96,
    AT_LEN = 104,
    AT_SID = 112,
};
_Static_assert(AT_SID + 8 == OP_HEADER_BYTES, "the header is full");

static void put_moment(uint8_t *p, const struct moment *m)
{
    put_be64(p, (uint64_t)m->sec);
    put_be32(p + 8, m->nsec);
}

static struct moment get_moment(const uint8_t *p)
{
    return (struct moment){.sec = (int64_t)get_be64(p), .nsec = get_be32(p + 8)};
}

static void add_text(struct buf *out, const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;

    if (len > UINT16_MAX) {
        out->failed = 1;
        return;
    }
    buf_add_be16(out, (uint16_t)len);
    buf_add(out, text, len);
}

void op_encode(const struct op *op, struct buf *out)
{
    uint16_t ngroups = op->cred.ngroups;
    uint8_t head[OP_HEADER_BYTES];

    if (ngroups > OP_GROUPS_MAX) {
        log_once(LOG_WARN, "only %d of %u supplementary groups are used for permissions",
                 OP_GROUPS_MAX, ngroups);
        ngroups = OP_GROUPS_MAX;
    }
    head[AT_VERSION] = OP_VERSION;
    head[AT_KIND] = op->kind;
    put_be16(head + AT_UMASK, op->umask);
    put_be32(head + AT_FLAGS, op->flags);
    put_be32(head + AT_VALID, op->valid);
    put_be32(head + AT_UID, op->cred.uid);
    put_be32(head + AT_GID, op->cred.gid);
    put_moment(head + AT_NOW, &op->now);
    put_be64(head + AT_BASE, op->base);
    put_be64(head + AT_BASE2, op->base2);
    put_be64(head + AT_INO, op->ino);
    put_be32(head + AT_MODE, op->mode);
    put_be32(head + AT_RDEV, op->rdev);
    put_be32(head + AT_NEW_UID, op->new_uid);
    put_be32(head + AT_NEW_GID, op->new_gid);
    put_moment(head + AT_ATIME, &op->atime);
    put_moment(head + AT_MTIME, &op->mtime);
    put_be64(head + AT_OFF, op->off);
    put_be64(head + AT_LEN, op->len);
    put_be64(head + AT_SID, op->sid);
    buf_add(out, head, sizeof head);
    buf_add_be16(out, ngroups);
    for (uint16_t i = 0; i < ngroups; i++)
        buf_add_be32(out, op->cred.groups[i]);
    add_text(out, op->path);
    add_text(out, op->path2);
    buf_add_be32(out, op->data_len);
    buf_add(out, op->data, op->data_len);
}

void op_env_encode(const struct op_env *env, struct buf *out)
{
    buf_add_be32(out, env->flags);
    buf_add_be64(out, env->capacity_bytes);
    buf_add_be64(out, env->inodes);
    buf_add_be32(out, env->skip_dir_mtime_ms);
    add_text(out, env->mount);
}

/* What is left to decode; at NULL: more was asked for than was there. */
struct rest {
    const uint8_t *at;
    size_t len;
};

/* The next n bytes, or NULL. */
static const uint8_t *take(struct rest *r, size_t n)
{
    const uint8_t *p = r->at;

    if (p == NULL || n > r->len) {
        r->at = NULL;
        return NULL;
    }
    r->at += n;
    r->len -= n;
    return p;
}

static int take_groups(struct rest *r, struct op *out, uint32_t *groups)
{
    const uint8_t *p = take(r, 2);
    uint16_t n = p != NULL ? get_be16(p) : 0;

    if (p == NULL || n > OP_GROUPS_MAX)
        return -EINVAL;
    p = take(r, (size_t)n * 4);
    if (p == NULL)
        return -EINVAL;
    for (uint16_t i = 0; i < n; i++)
        groups[i] = get_be32(p + (size_t)i * 4);
    out->cred.ngroups = n;
    out->cred.groups = groups;
    return 0;
}

static int take_text(struct rest *r, char text[PATH_LEN_MAX + 1])
{
    const uint8_t *p = take(r, 2);
    size_t len = p != NULL ? get_be16(p) : 0;

    if (p == NULL || len > PATH_LEN_MAX)
        return -EINVAL;
    p = take(r, len);
    if (p == NULL || memchr(p, 0, len) != NULL)
        return -EINVAL;
    memcpy(text, p, len);
    text[len] = 0;
    return 0;
}

int op_decode(const void *data, size_t len, struct op *out, struct op_room *room)
{
    struct rest r = {.at = data, .len = len};
    const uint8_t *head = take(&r, OP_HEADER_BYTES), *p;

    if (head == NULL || head[AT_VERSION] != OP_VERSION || head[AT_KIND] == 0 ||
        head[AT_KIND] >= OP_KINDS)
        return -EINVAL;
    *out = (struct op){
        .kind = head[AT_KIND],
        .umask = get_be16(head + AT_UMASK),
        .flags = get_be32(head + AT_FLAGS),
        .valid = get_be32(head + AT_VALID),
        .cred = {.uid = get_be32(head + AT_UID), .gid = get_be32(head + AT_GID)},
        .now = get_moment(head + AT_NOW),
        .base = get_be64(head + AT_BASE),
        .base2 = get_be64(head + AT_BASE2),
        .ino = get_be64(head + AT_INO),
        .mode = get_be32(head + AT_MODE),
        .rdev = get_be32(head + AT_RDEV),
        .new_uid = get_be32(head + AT_NEW_UID),
        .new_gid = get_be32(head + AT_NEW_GID),
        .atime = get_moment(head + AT_ATIME),
        .mtime = get_moment(head + AT_MTIME),
        .off = get_be64(head + AT_OFF),
        .len = get_be64(head + AT_LEN),
        .sid = get_be64(head + AT_SID),
        .path = room->path,
        .path2 = room->path2,
    };
    if (take_groups(&r, out, room->groups) != 0 || take_text(&r, room->path) != 0 ||
        take_text(&r, room->path2) != 0)
        return -EINVAL;
    p = take(&r, 4);
    if (p == NULL || get_be32(p) != r.len)
        return -EINVAL;
    out->data = r.at;
    out->data_len = (uint32_t)r.len;
    return 0;
}

size_t op_records(const struct op *op)
{
    bool made = op->kind == OP_MAKE && op->mode >> 12 == TYPE_FILE;
    return made && op->data_len > ATTR_BYTES ? ATTR_BYTES : op->kind == OP_WRITE ? 0 : op->data_len;
}

bool op_changes(const struct op *op)
{
    switch (op->kind) {
    case OP_LOOKUP:
    case OP_READDIR:
    case OP_CHUNKS:
    case OP_GETXATTR:
    case OP_LISTXATTR:
    case OP_STATFS:
    case OP_PATHOF:
    case OP_AHEAD:
        return false;
    case OP_OPEN:
        return (op->flags & (OPF_CREATE | OPF_TRUNC)) != 0;
    default:
        return true;
    }
}

const char *op_kind_name(uint8_t kind)
{
    static const char *const names[] = {
        [OP_LOOKUP] = "lookup",       [OP_OPEN] = "open",         [OP_READDIR] = "readdir",
        [OP_CHUNKS] = "chunks",       [OP_GETXATTR] = "getxattr", [OP_LISTXATTR] = "listxattr",
        [OP_STATFS] = "statfs",       [OP_PATHOF] = "pathof",     [OP_MKNOD] = "mknod",
        [OP_MKDIR] = "mkdir",         [OP_SYMLINK] = "symlink",   [OP_LINK] = "link",
        [OP_UNLINK] = "unlink",       [OP_RMDIR] = "rmdir",       [OP_RENAME] = "rename",
        [OP_SETATTR] = "setattr",     [OP_TRUNCATE] = "truncate", [OP_WRITE] = "write",
        [OP_FALLOCATE] = "fallocate", [OP_SETXATTR] = "setxattr", [OP_REMOVEXATTR] = "removexattr",
        [OP_PURGE] = "purge",         [OP_FORGET] = "forget",     [OP_MAKE] = "make",
        [OP_REPACK] = "repack",       [OP_RECOUNT] = "recount",   [OP_AHEAD] = "ahead",
    };
    _Static_assert(sizeof names / sizeof names[0] == OP_KINDS, "a name for each kind");

    return kind != 0 && kind < OP_KINDS ? names[kind] : "unknown";
}

void op_result_free(struct op_result *r)
{
    buf_free(&r->extra);
    *r = (struct op_result){0};
}
