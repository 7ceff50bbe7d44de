/*
 * ahead.c - reading ahead among names: who asks for one file of a directory after another, in the
 * order of its listing or of inodes, is told of the next ones in the same round trip: what open(),
 * stat() and the calls for extended attributes ask (OP_AHEAD).  Who lists one directory after
 * another gets the listings of their neighbours.
 *
 * How many is learned from how many were used of those before: a program that picks single names
 * soon gets few.
 */
#include "core/meta/batch.h"
#include "core/meta/early.h"

#include "core/base/clock.h"
#include "core/meta/order.h"

#include <stdlib.h>
#include <string.h>

#define AHEAD_MIN   8
#define AHEAD_MAX   512
#define ASKED_MIN   3                        /* times in a directory, before it is known to pay */
#define YOUNG_NS    (UINT64_C(25) * 1000000) /* what is younger is not asked for again */
#define WALKED_MIN  2
#define WALK_DEPTH  8    /* levels that are looked through for directories to be listed */
#define SEEN_MAX    2048 /* names, the same */
#define ENTRIES_MAX 2048 /* of listings that come at once: the script keeps others waiting */
#define RECORDS_MAX 4096 /* bytes that are kept of a file */

/* --- asking -------------------------------------------------------------------------------------
 */

static bool is_read_of_file(const struct op *op)
{
    switch (op->kind) {
    case OP_OPEN:
        return !op_changes(op) && (op->flags & (OPF_OPATH | OPF_DIRECTORY)) == 0;
    case OP_LOOKUP:
    case OP_GETXATTR:
    case OP_LISTXATTR:
        return true;
    default:
        return false;
    }
}

/* The directory of the file that is asked for, and its inode there; 0: not known. */
static struct node *place_of(struct batch *b, const struct op *op, uint64_t *ino)
{
    struct place p;
    *ino = 0;
    if (!early_find(b, op, op->base, op->path, &p))
        return NULL;
    if (p.known == PRESENT)
        *ino = p.ino;
    if (p.dir != NULL)
        return p.dir;
    const struct node *n = overlay_node(b->overlay, p.ino);
    return n != NULL ? overlay_node(b->overlay, n->a.parent) : NULL;
}

/* More where it pays, less where it does not. */
static void weigh(struct batch *b)
{
    if (b->ahead_sent == 0)
        return;
    b->ahead_pays = b->ahead_used * 2 >= b->ahead_sent;
    if (b->ahead_used * 4 >= b->ahead_sent * 3 && b->ahead_sent * 2 > b->ahead_size)
        b->ahead_size = b->ahead_size * 2 < AHEAD_MAX ? b->ahead_size * 2 : AHEAD_MAX;
    else if (!b->ahead_pays)
        b->ahead_size = b->ahead_size / 2 > AHEAD_MIN ? b->ahead_size / 2 : AHEAD_MIN;
    b->ahead_sent = b->ahead_used = 0;
}

static bool is_wanted(struct batch *b, uint64_t ino)
{
    const struct node *n = overlay_node(b->overlay, ino);
    uint64_t told = n == NULL ? 0 : n->a.type == TYPE_FILE ? n->records_ns : n->bare_ns;
    return clock_mono_ns() - told > YOUNG_NS;
}

/* Names from a place on, all around when the program has only begun.  How many. */
static uint32_t gather(struct batch *b, struct order *o, size_t from, bool around, struct buf *out)
{
    size_t n = order_count(o), most = around ? n : n - from, i;
    uint32_t found = 0;
    for (i = 0; i < most && found < b->ahead_size; i++) {
        size_t len;
        uint64_t ino;
        const char *name = order_name(o, (from + i) % n, &len, &ino);
        const uint8_t len8 = (uint8_t)len;
        if (!is_wanted(b, ino))
            continue;
        buf_add(out, &len8, 1);
        buf_add(out, name, len);
        found++;
    }
    order_gave(o, from + i);
    return found;
}

/* The files of a directory that is about to be worked through.  Not its listing: that would say for
 * a second what is absent. */
static struct op all_files(const struct op *op, uint64_t dir)
{
    return (struct op){
        .kind = OP_AHEAD, .cred = op->cred, .now = op->now, .base = dir, .len = AHEAD_MAX};
}

/* The names of a large one, for their order. */
static struct op all_names(const struct op *op, uint64_t dir)
{
    return (struct op){.kind = OP_READDIR,
                       .flags = OPF_BY_FD,
                       .cred = op->cred,
                       .now = op->now,
                       .base = dir,
                       .len = ORDER_ENTRIES};
}

/* The files of the directories behind dir, as far as their listings say that there is room. */
static size_t ask_behind(struct batch *b, const struct op *op, const struct node *dir,
                         struct op *more, size_t most)
{
    const struct node *parent = overlay_node(b->overlay, dir->a.parent);
    long at = parent != NULL && parent->order != NULL ? order_find(parent->order, dir->ino) : -1;
    size_t found = 0, count = at >= 0 ? order_count(parent->order) : 0;
    for (size_t i = (size_t)at + 1; i < count && found < most; i++) {
        size_t len;
        uint64_t ino;
        order_name(parent->order, i, &len, &ino);
        const struct node *d = overlay_node(b->overlay, ino);
        if (d == NULL || !d->is_complete || d->count == 0)
            continue;
        if (b->ahead_sent + d->count > b->ahead_size)
            break;
        more[found++] = all_files(op, ino);
        b->ahead_sent += (uint32_t)d->count;
    }
    return found;
}

/* A directory that is not listed but looked into, now and then. */
static bool is_looked_into(struct node *dir)
{
    uint32_t n = ++dir->asked;
    return n == ASKED_MIN || (n >= 32 && (n & (n - 1)) == 0);
}

/* What is asked of a file. */
static size_t ask_files(struct batch *b, const struct op *op, struct op more[LEARN_MORE],
                        char **room)
{
    struct buf names = {0};
    uint64_t ino;

    struct node *dir = place_of(b, op, &ino);
    if (dir == NULL)
        return 0;
    if (dir->order == NULL) {
        *more = all_files(op, dir->ino);
        return is_looked_into(dir);
    }
    if (ino == 0 || order_find(dir->order, ino) < 0) { /* one of more than came at once */
        *more = all_names(op, dir->ino);
        return !dir->is_complete && is_looked_into(dir);
    }
    weigh(b);
    unsigned asked = order_asked(dir->order);
    if (!b->ahead_pays && asked < ASKED_MIN)
        return 0;
    if (b->ahead_size == 0)
        b->ahead_size = AHEAD_MIN * 4;
    order_follow(dir->order, ino);
    size_t from = (size_t)order_find(dir->order, ino);
    uint32_t n = gather(b, dir->order, from, asked <= ASKED_MIN, &names);
    if (n == 0 || buf_ok(&names) < 0) {
        buf_free(&names);
        return 0;
    }
    b->ahead_sent = n;
    *more = (struct op){.kind = OP_AHEAD,
                        .cred = op->cred,
                        .now = op->now,
                        .base = dir->ino,
                        .data = names.data,
                        .data_len = (uint32_t)names.len};
    *room = (char *)names.data;
    return 1 + (b->ahead_pays ? ask_behind(b, op, dir, more + 1, LEARN_MORE - 1) : 0);
}

/* Listings that a walk will ask for. */
struct coming {
    struct batch *b;
    const struct op *op;
    struct op *more;
    size_t n, most, seen;
};

static void ask_listing(struct coming *c, uint64_t dir)
{
    if (c->n + 1 + c->b->ahead_pays > c->most)
        return;
    c->more[c->n++] = (struct op){.kind = OP_READDIR,
                                  .flags = OPF_BY_FD,
                                  .cred = c->op->cred,
                                  .now = c->op->now,
                                  .base = dir,
                                  .len = AHEAD_ENTRIES};
    if (c->b->ahead_pays)
        c->more[c->n++] = all_files(c->op, dir);
}

/* Of the directories in n places of a listing; and of those below the ones that are listed. */
static void ask_below(struct coming *c, const struct node *dir, size_t from, size_t n,
                      unsigned depth)
{
    for (size_t i = from; i < from + n && c->n < c->most && c->seen < SEEN_MAX; i++) {
        size_t len;
        uint64_t ino;
        order_name(dir->order, i, &len, &ino);
        const struct node *d = overlay_node(c->b->overlay, ino);
        c->seen++;
        if (d == NULL || d->a.type != TYPE_DIRECTORY)
            continue;
        if (!early_is_listed(c->b, d))
            ask_listing(c, ino);
        else if (depth > 0 && d->order != NULL)
            ask_below(c, d, 0, order_count(d->order), depth - 1);
    }
}

/* What comes behind dir: its neighbours and what is below them, then those of the directory it is
 * in, and so on. */
static void ask_behind_dir(struct coming *c, const struct node *dir)
{
    for (unsigned up = 0; up < WALK_DEPTH && c->n < c->most; up++) {
        const struct node *parent = overlay_node(c->b->overlay, dir->a.parent);
        bool has_order = parent != NULL && parent != dir && parent->order != NULL;
        long at = has_order ? order_find(parent->order, dir->ino) : -1;
        if (at < 0)
            return;
        size_t next = (size_t)at + 1;
        if (up > 0 && c->b->dirs_waiting + c->n > KEPT_PAGES / 4)
            return; /* those are far: what is near will need the room */
        ask_below(c, parent, next, order_count(parent->order) - next, WALK_DEPTH);
        if (up == 0) /* who does not go by the order of the listing comes back to these */
            ask_below(c, parent, 0, (size_t)at, 0);
        dir = parent;
    }
}

/* How many listings: fewer when what came was much. */
static size_t dirs_at_once(struct batch *b)
{
    if (b->dirs_entries > ENTRIES_MAX)
        b->dirs_size = b->dirs_size / 2 > DIRS_MIN ? b->dirs_size / 2 : DIRS_MIN;
    b->dirs_entries = 0;
    size_t n = b->ahead_pays && b->dirs_size > DIRS_MAX / 4 ? DIRS_MAX / 4 : b->dirs_size;
    size_t room = b->dirs_waiting < KEPT_PAGES / 4 * 3 ? KEPT_PAGES / 4 * 3 - b->dirs_waiting : 0;
    return n < room ? n : room;
}

/* A walk lists the directories of a directory one after another: the listings of the next ones. */
static size_t ask_dirs(struct batch *b, const struct op *op, struct op more[LEARN_MORE])
{
    struct coming c = {.b = b, .op = op, .more = more};
    const struct node *dir = overlay_node(b->overlay, op->base);
    const struct node *parent = dir != NULL ? overlay_node(b->overlay, dir->a.parent) : NULL;
    if (b->ahead_pays)
        more[c.n++] = all_files(op, op->base);
    if (parent == NULL || parent == dir || parent->order == NULL ||
        order_find(parent->order, op->base) < 0 || ++b->walked < WALKED_MIN)
        return c.n;
    c.most = c.n + dirs_at_once(b) * (1 + b->ahead_pays);
    ask_behind_dir(&c, dir);
    return c.n;
}

size_t ahead_ask(struct batch *b, const struct op *op, struct op more[LEARN_MORE], char **room)
{
    if (op->kind == OP_READDIR)
        return op->off == 0 && (op->path == NULL || *op->path == '\0') ? ask_dirs(b, op, more) : 0;
    return is_read_of_file(op) ? ask_files(b, op, more, room) : 0;
}

/* --- learning -----------------------------------------------------------------------------------
 */

/* One name: how many bytes it takes, 0: it does not end. */
static size_t learn_one(struct batch *b, uint64_t dir_ino, const uint8_t *p, size_t len,
                        uint64_t since, bool ordered)
{
    struct attr a;
    size_t n = len >= 2 ? get_be16(p) : len;
    if (n > NAME_LEN_MAX || len < 2 + n + 11)
        return 0;
    const uint8_t *entry = p + 2 + n, *raw = entry + 11;
    size_t raw_len = get_be16(entry + 9), head = 2 + n + 11 + raw_len + 5;
    if (len < head || get_be32(raw + raw_len + 1) > len - head)
        return 0;
    uint32_t bytes = get_be32(raw + raw_len + 1);
    struct node *dir = overlay_node(b->overlay, dir_ino);
    if (dir == NULL || attr_decode(raw, raw_len, &a) < 0)
        return head + bytes;
    uint64_t ino = get_be64(entry + 1);
    overlay_add(b->overlay, dir, (const char *)p + 2, n, entry[0], ino);
    if (ordered)
        order_add(&dir->order, (const char *)p + 2, n, ino);
    struct node *one = overlay_learn(b->overlay, ino, &a, since);
    if (one != NULL) {
        one->make.frame = 0;
        one->bare_ns = raw[raw_len] == 0 ? one->told_ns : 0;
        one->is_ahead = true;
        if (bytes <= RECORDS_MAX)
            overlay_set_records(one, raw + raw_len + 5, bytes);
    }
    return head + bytes;
}

void ahead_learn(struct batch *b, const struct op *op, const struct op_result *res, uint64_t since)
{
    const uint8_t *p = res->extra.data;
    size_t left = res->extra.len, n;
    const struct node *dir = overlay_node(b->overlay, res->ino);
    bool ordered = op->data_len == 0 && dir != NULL && dir->order == NULL;
    while (left > 0 && (n = learn_one(b, res->ino, p, left, since, ordered)) > 0) {
        p += n;
        left -= n;
    }
}

void ahead_used(struct batch *b, struct node *n)
{
    b->ahead_used += n->is_ahead;
    n->is_ahead = false;
}
