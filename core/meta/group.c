/*
 * group.c - see group.h.
 */
#include "core/meta/group.h"

#include "core/base/decimal.h"
#include "core/meta/make.h"

#include <string.h>

#define GROUP_MARK 3

/* --- what may be in one run ------------------------------------------------------------------- */

static bool same_cred(const struct op_cred *a, const struct op_cred *b)
{
    return a->uid == b->uid && a->gid == b->gid && a->ngroups == b->ngroups &&
           (a->ngroups == 0 || a->groups == b->groups ||
            memcmp(a->groups, b->groups, a->ngroups * sizeof(*a->groups)) == 0);
}

bool group_is_plain_name(const struct op *op)
{
    static const char *const reserved[] = {".trash", ".control", ".accesslog", ".stats", ".config"};
    const char *name = op->path;
    size_t len = name != NULL ? strlen(name) : 0;

    if (len == 0 || len > NAME_LEN_MAX || memchr(name, '/', len) != NULL)
        return false;
    if (name[0] != '.')
        return true;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (size_t i = 0; op->base == INO_ROOT && i < sizeof(reserved) / sizeof(*reserved); i++) {
        if (strcmp(name, reserved[i]) == 0)
            return false;
    }
    return true;
}

static bool is_new_inode(uint64_t ino)
{
    return ino > INO_ROOT && ino < INO_TRASH;
}

static uint64_t hash_name(const char *name)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * UINT64_C(1099511628211);
    return h;
}

static uint64_t hash_ino(uint64_t ino)
{
    return (ino + 1) * UINT64_C(0x9E3779B97F4A7C15);
}

/* Two that only hash alike just end the run. */
static bool is_seen(struct group_room *r, uint64_t hash)
{
    size_t i = (hash >> 32) % GROUP_SEEN;

    for (; r->seen[i].run == r->run; i = (i + 1) % GROUP_SEEN) {
        if (r->seen[i].hash == hash)
            return true;
    }
    r->seen[i].run = r->run;
    r->seen[i].hash = hash;
    return false;
}

static void begin_run(struct group_room *r)
{
    if (++r->run == 0) {
        memset(r, 0, sizeof(*r));
        r->run = 1;
    }
}

/* --- bytes ------------------------------------------------------------------------------------ */

static bool is_before(struct moment a, struct moment b)
{
    return a.sec < b.sec || (a.sec == b.sec && a.nsec < b.nsec);
}

static void add_u8_text(struct buf *out, const char *text, size_t len)
{
    uint8_t n = (uint8_t)len;

    buf_add(out, &n, 1);
    buf_add(out, text, len);
}

static void put_moment(uint8_t *p, struct moment m)
{
    put_be64(p, (uint64_t)m.sec);
    put_be32(p + 8, m.nsec);
}

static void add_groups(struct buf *out, const struct op_cred *c)
{
    buf_add_be16(out, c->ngroups);
    for (uint16_t i = 0; i < c->ngroups; i++)
        buf_add_be32(out, c->groups[i]);
}

/* --- OP_MAKE ---------------------------------------------------------------------------------- */

enum make_at {
    MAKE_OFF = 18,
    MAKE_SPACE = 26,
    MAKE_LENGTH = 34,
    MAKE_N = 42,
    MAKE_DIRS = 46,
    MAKE_FIRST = 50,
    MAKE_LAST = 62,
    MAKE_HEAD = 74, /* then the groups */
};

static bool may_group_make(const struct op *op, struct make *m)
{
    if (op->cred.ngroups > OP_GROUPS_MAX || !is_new_inode(op->ino) || !group_is_plain_name(op))
        return false;
    if (op->base == 0 || op->base >= INO_TRASH || make_parse(op, m) < 0)
        return false;
    return m->a.type != TYPE_BLOCKDEV && m->a.type != TYPE_CHARDEV;
}

static void add_make(struct buf *out, const struct keys *keys, const struct op *op,
                     const struct make *m)
{
    size_t len = strlen(op->path), more = 1 + KEY_MAX + ENTRY_BYTES + ATTR_BYTES + 12 + 1 + 4;
    uint8_t *start = buf_room(out, 1 + len + more + m->rest_len), *p = start;

    if (p == NULL)
        return;
    *p++ = (uint8_t)len;
    memcpy(p, op->path, len);
    p += len;
    *p = (uint8_t)key_inode(keys, op->ino, (char *)p + 1);
    p += 1 + *p;
    entry_encode(m->a.type, op->ino, p);
    memcpy(p + ENTRY_BYTES, op->data, ATTR_BYTES);
    p += ENTRY_BYTES + ATTR_BYTES;
    put_moment(p, op->now);
    p[12] = m->rest_len > 0;
    p += 13;
    if (m->rest_len > 0) {
        put_be32(p, (uint32_t)m->rest_len);
        memcpy(p + 4, m->rest, m->rest_len);
        p += 4 + m->rest_len;
    }
    buf_added(out, (size_t)(p - start));
}

static size_t encode_make(struct group_room *room, const struct keys *keys, const struct op *ops,
                          size_t n, struct buf *out)
{
    uint8_t head[MAKE_HEAD] = {GROUP_MARK, OP_MAKE};
    uint64_t space = 0, length = 0;
    size_t start = out->len, i = 0;
    uint32_t dirs = 0;
    struct make m;

    if (!may_group_make(ops, &m))
        return 0;
    buf_add(out, head, sizeof(head));
    add_groups(out, &ops->cred);
    do {
        uint64_t len = m.a.type == TYPE_FILE ? m.a.length : 0;

        length += len;
        space += usage_of_length(len);
        dirs += m.a.type == TYPE_DIRECTORY;
        add_make(out, keys, &ops[i++], &m);
    } while (i < n && i < GROUP_OPS_MAX && ops[i].kind == OP_MAKE && ops[i].base == ops->base &&
             !is_before(ops[i].now, ops[i - 1].now) &&
             ops[i].off == (ops->off != 0 ? ops->off + i : 0) &&
             same_cred(&ops[i].cred, &ops->cred) && may_group_make(&ops[i], &m) &&
             !is_seen(room, hash_name(ops[i].path)) && !is_seen(room, hash_ino(ops[i].ino)) &&
             length + m.a.length < MAKE_LENGTH_MAX);
    if (out->failed)
        return i;
    put_be32(head + 2, ops->cred.uid);
    put_be32(head + 6, ops->cred.gid);
    put_be64(head + 10, ops->base);
    put_be64(head + MAKE_OFF, ops->off);
    put_be64(head + MAKE_SPACE, space);
    put_be64(head + MAKE_LENGTH, length);
    put_be32(head + MAKE_N, (uint32_t)i);
    put_be32(head + MAKE_DIRS, dirs);
    put_moment(head + MAKE_FIRST, ops->now);
    put_moment(head + MAKE_LAST, ops[i - 1].now);
    memcpy(out->data + start, head, sizeof(head));
    return i;
}

/* --- OP_UNLINK -------------------------------------------------------------------------------- */

enum unlink_at {
    UNLINK_SID = 18,
    UNLINK_N = 26,
    UNLINK_FIRST = 30,
    UNLINK_LAST = 42,
    UNLINK_HEAD = 54, /* then the groups, the inodes held open */
};

static bool may_group_unlink(const struct op *op)
{
    return op->cred.ngroups <= OP_GROUPS_MAX && op->flags == 0 && group_is_plain_name(op);
}

static bool same_held(const struct op *a, const struct op *b)
{
    return a->data_len == b->data_len &&
           (a->data_len == 0 || a->data == b->data || memcmp(a->data, b->data, a->data_len) == 0);
}

static size_t encode_unlink(struct group_room *room, const struct op *ops, size_t n,
                            struct buf *out)
{
    uint8_t head[UNLINK_HEAD] = {GROUP_MARK, OP_UNLINK}, now[12];
    size_t start = out->len, i = 0;

    if (!may_group_unlink(ops))
        return 0;
    buf_add(out, head, sizeof(head));
    add_groups(out, &ops->cred);
    buf_add_be32(out, ops->data_len);
    buf_add(out, ops->data, ops->data_len);
    do {
        add_u8_text(out, ops[i].path, strlen(ops[i].path));
        put_moment(now, ops[i].now);
        buf_add(out, now, sizeof(now));
        buf_add_be64(out, ops[i].ino);
        i++;
    } while (i < n && i < GROUP_OPS_MAX && ops[i].kind == OP_UNLINK && ops[i].base == ops->base &&
             ops[i].sid == ops->sid && !is_before(ops[i].now, ops[i - 1].now) &&
             same_cred(&ops[i].cred, &ops->cred) && same_held(&ops[i], ops) &&
             may_group_unlink(&ops[i]) && !is_seen(room, hash_name(ops[i].path)));
    if (out->failed)
        return i;
    put_be32(head + 2, ops->cred.uid);
    put_be32(head + 6, ops->cred.gid);
    put_be64(head + 10, ops->base);
    put_be64(head + UNLINK_SID, ops->sid);
    put_be32(head + UNLINK_N, (uint32_t)i);
    put_moment(head + UNLINK_FIRST, ops->now);
    put_moment(head + UNLINK_LAST, ops[i - 1].now);
    memcpy(out->data + start, head, sizeof(head));
    return i;
}

/* --- OP_SETATTR ------------------------------------------------------------------------------- */

enum setattr_at {
    SETATTR_N = 10,
    SETATTR_HEAD = 14, /* then the groups */
    SETATTR_ITEM = 64,
};

static bool may_group_setattr(const struct op *op)
{
    return op->cred.ngroups <= OP_GROUPS_MAX && (op->path == NULL || op->path[0] == 0);
}

static void add_setattr(struct buf *out, const struct op *op)
{
    uint8_t item[SETATTR_ITEM];

    put_be64(item, op->base);
    put_moment(item + 8, op->now);
    put_be32(item + 20, op->flags);
    put_be32(item + 24, op->valid);
    put_be32(item + 28, op->mode);
    put_be32(item + 32, op->new_uid);
    put_be32(item + 36, op->new_gid);
    put_moment(item + 40, op->atime);
    put_moment(item + 52, op->mtime);
    buf_add(out, item, sizeof(item));
}

static size_t encode_setattr(const struct op *ops, size_t n, struct buf *out)
{
    uint8_t head[SETATTR_HEAD] = {GROUP_MARK, OP_SETATTR};
    size_t start = out->len, i = 0;

    if (!may_group_setattr(ops))
        return 0;
    buf_add(out, head, sizeof(head));
    add_groups(out, &ops->cred);
    do
        add_setattr(out, &ops[i++]);
    while (i < n && i < GROUP_OPS_MAX && ops[i].kind == OP_SETATTR &&
           same_cred(&ops[i].cred, &ops->cred) && may_group_setattr(&ops[i]));
    if (out->failed)
        return i;
    put_be32(head + 2, ops->cred.uid);
    put_be32(head + 6, ops->cred.gid);
    put_be32(head + SETATTR_N, (uint32_t)i);
    memcpy(out->data + start, head, sizeof(head));
    return i;
}

size_t group_encode(struct group_room *room, const struct keys *keys, const struct op *ops,
                    size_t n, struct buf *out)
{
    if (ops->kind == OP_SETATTR)
        return encode_setattr(ops, n, out);
    if (ops->kind != OP_MAKE && ops->kind != OP_UNLINK)
        return 0;
    begin_run(room);
    is_seen(room, hash_name(ops->path != NULL ? ops->path : ""));
    if (ops->kind == OP_UNLINK)
        return encode_unlink(room, ops, n, out);
    is_seen(room, hash_ino(ops->ino));
    return encode_make(room, keys, ops, n, out);
}
