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

/* --- OP_UNLINK, OP_RMDIR ---------------------------------------------------------------------- */

enum remove_at {
    REMOVE_SID = 10,
    REMOVE_N = 18,
    REMOVE_DIRS = 22,
    REMOVE_FIRST = 26,
    REMOVE_LAST = 38,
    REMOVE_HEAD = 50, /* then the groups, the inodes held open, the directories */
    REMOVE_ITEM = 23, /* behind the name */
};

static bool may_group_remove(const struct op *op)
{
    return (op->kind == OP_UNLINK || op->kind == OP_RMDIR) && op->cred.ngroups <= OP_GROUPS_MAX &&
           op->flags == 0 && group_is_plain_name(op);
}

static bool same_held(const struct op *a, const struct op *b)
{
    return a->data_len == b->data_len &&
           (a->data_len == 0 || a->data == b->data || memcmp(a->data, b->data, a->data_len) == 0);
}

/* Its place in the list.  Who removes a tree comes back to directories it was in lately. */
static uint32_t dir_place(struct group_room *r, uint64_t dir)
{
    for (uint32_t i = r->ndirs; i > 0; i--)
        if (r->dirs[i - 1].ino == dir)
            return i - 1;
    r->dirs[r->ndirs] = (struct group_dir){.ino = dir};
    return r->ndirs++;
}

void group_by_directory(struct group_room *r, const struct op *ops, size_t run)
{
    r->ndirs = 0;
    for (size_t i = 0; i < run; i++) {
        uint32_t d = dir_place(r, ops[i].base);
        r->dir_of[i] = (uint16_t)d;
        r->dirs[d].n++;
    }
    for (uint32_t d = 0, at = 0; d < r->ndirs; d++) {
        r->dirs[d].next = at;
        at += r->dirs[d].n;
    }
    for (size_t i = 0; i < run; i++)
        r->order[r->dirs[r->dir_of[i]].next++] = (uint16_t)i;
}

static void add_remove(struct buf *out, const struct op *op, uint16_t turn)
{
    uint8_t tail[REMOVE_ITEM];

    add_u8_text(out, op->path, strlen(op->path));
    tail[0] = op->kind;
    put_be16(tail + 1, turn);
    put_moment(tail + 3, op->now);
    put_be64(tail + 15, op->ino);
    buf_add(out, tail, sizeof(tail));
}

/* Directories hold no bytes and are never held open: their ops have neither sid nor data. */
static bool follows(const struct op *op, const struct op *before, const struct op *file)
{
    return !is_before(op->now, before->now) && same_cred(&op->cred, &before->cred) &&
           may_group_remove(op) &&
           (op->kind == OP_RMDIR || file == NULL || (op->sid == file->sid && same_held(op, file)));
}

static size_t encode_remove(struct group_room *room, const struct op *ops, size_t n,
                            struct buf *out)
{
    uint8_t head[REMOVE_HEAD] = {GROUP_MARK, OP_UNLINK};
    const struct op *file = NULL; /* the first */
    size_t start = out->len, run = 0;

    if (!may_group_remove(ops))
        return 0;
    do {
        if (file == NULL && ops[run].kind == OP_UNLINK)
            file = &ops[run];
        run++;
    } while (run < n && run < GROUP_OPS_MAX && follows(&ops[run], &ops[run - 1], file) &&
             !is_seen(room, hash_name(ops[run].path) ^ hash_ino(ops[run].base)));
    if (run == 1 && file == NULL)
        return 0;
    buf_add(out, head, sizeof(head));
    add_groups(out, &ops->cred);
    buf_add_be32(out, file != NULL ? file->data_len : 0);
    if (file != NULL)
        buf_add(out, file->data, file->data_len);
    group_by_directory(room, ops, run);
    for (uint32_t i = 0; i < room->ndirs; i++) {
        buf_add_be64(out, room->dirs[i].ino);
        buf_add_be32(out, room->dirs[i].n);
    }
    for (size_t i = 0; i < run; i++)
        add_remove(out, &ops[room->order[i]], room->order[i]);
    if (out->failed)
        return run;
    put_be32(head + 2, ops->cred.uid);
    put_be32(head + 6, ops->cred.gid);
    put_be64(head + REMOVE_SID, file != NULL ? file->sid : 0);
    put_be32(head + REMOVE_N, (uint32_t)run);
    put_be32(head + REMOVE_DIRS, room->ndirs);
    put_moment(head + REMOVE_FIRST, ops->now);
    put_moment(head + REMOVE_LAST, ops[run - 1].now);
    memcpy(out->data + start, head, sizeof(head));
    return run;
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
    bool removes = ops->kind == OP_UNLINK || ops->kind == OP_RMDIR;
    if (ops->kind != OP_MAKE && !removes)
        return 0;
    begin_run(room);
    is_seen(room,
            hash_name(ops->path != NULL ? ops->path : "") ^ (removes ? hash_ino(ops->base) : 0));
    if (removes)
        return encode_remove(room, ops, n, out);
    is_seen(room, hash_ino(ops->ino));
    return encode_make(room, keys, ops, n, out);
}
