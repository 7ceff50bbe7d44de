/*
 * early.c - deciding an op from what this process knows, and queueing it (DESIGN 8).
 *
 * Only what succeeds, a name that is there (EEXIST) and one that is not (ENOENT) are decided here;
 * everything else, errors above all, is the store's to say.  The rules are those of lx_*.c, whose
 * functions are used where they are pure.
 */
#include "core/meta/batch.h"

#include "core/base/clock.h"
#include "core/meta/lx.h"
#include "core/meta/make.h"

#include <errno.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)
/* Attributes and listings, as a stock mount's kernel believes them; and for taking a name away,
 * where a name that has gone meanwhile does no harm. */
#define BELIEVED_NS         SECOND_NS
#define REMOVAL_BELIEVED_NS (30 * SECOND_NS)
#define HELD_BYTES_MAX      512
#define OPEN_BELIEVED_NS    (SECOND_NS / 20)
#define OWN_DIR_NS          (60 * SECOND_NS)
#define STREAM_BATCH        4096 /* ops in a batch that waits for neighbours */

/* The last component of a path, and the directory it is in. */
struct place {
    struct node *dir; /* NULL: path is "", the object is the base */
    const char *name;
    size_t len;
    enum known known;
    uint8_t type;
    uint64_t ino;
};

static bool is_younger(const struct batch *b, const struct node *n, uint64_t ns)
{
    if (queue_holds(b->queue, &n->make))
        return true; /* nobody else knows of it */
    return clock_mono_ns() - n->told_ns < ns && n->told_ns > b->input_ns;
}

static bool is_young(const struct batch *b, const struct node *n)
{
    return is_younger(b, n, BELIEVED_NS);
}

/* Close-to-open: what another host closed before we open must be seen, so an open believes less. */
static bool is_fresh(const struct node *n)
{
    return clock_mono_ns() - n->told_ns < OPEN_BELIEVED_NS;
}

static bool may_search(const struct op *op, const struct node *n)
{
    return n->a.type == TYPE_DIRECTORY && meta_may(&op->cred, &n->a, 1);
}

static bool is_dots(const char *name, size_t len)
{
    return name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
}

/* A name on the way: in a directory of others it may have become another directory's. */
static bool is_way(struct batch *b, const struct node *dir, const char *name, size_t len)
{
    if (dir->is_mine && dir->is_complete)
        return true;
    uint64_t told = overlay_entry_told(b->overlay, dir, name, len);
    return clock_mono_ns() - told < BELIEVED_NS && told > b->input_ns;
}

/* The directory of the last component.  Names that need a closer look are the store's business:
 * dots, symlinks on the way, slashes at the end. */
static bool find_place(struct batch *b, const struct op *op, uint64_t base, const char *path,
                       struct place *p)
{
    struct node *dir = overlay_node(b->overlay, base);
    *p = (struct place){0};
    if (path != NULL)
        path += strspn(path, "/"); /* what follows the prefix begins with one */
    if (path == NULL || *path == '\0') {
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
    return find_place(b, op, op->base, op->path, &p) ? p.dir : NULL;
}

/* Who unpacks a tree comes back to the directories it made, to set their times and modes. */
static struct node *known_for(struct batch *b, const struct place *p, uint64_t ns)
{
    struct node *n = p->known == PRESENT ? overlay_node(b->overlay, p->ino) : NULL;
    if (n != NULL && n->is_mine && n->a.type == TYPE_DIRECTORY)
        ns = OWN_DIR_NS;
    bool is_plain = n != NULL && n->a.parent < INO_TRASH && n->a.access_acl == 0;
    return is_plain && is_younger(b, n, ns) ? n : NULL;
}

/* The attributes of what is there, young enough to be told to a program. */
static struct node *object_of(struct batch *b, const struct place *p)
{
    return known_for(b, p, BELIEVED_NS);
}

/* The same of what is about to go. */
static struct node *removed_of(struct batch *b, const struct place *p)
{
    return known_for(b, p, REMOVAL_BELIEVED_NS);
}

static bool answer(struct op_result *res, const struct node *n)
{
    res->ino = n->ino;
    res->attr = n->a;
    res->parent = n->a.parent;
    res->has_attr = true;
    return true;
}

static bool refuse(struct op_result *res, int code)
{
    res->code = code;
    return true;
}

/* Is a name known not to be there, as far as reads go? */
static bool is_absent(const struct batch *b, const struct place *p)
{
    return p->known == ABSENT && is_young(b, p->dir);
}

/* --- reads ------------------------------------------------------------------------------------ */

static bool lookup(struct batch *b, const struct op *op, struct op_result *res)
{
    struct place p;
    if (!find_place(b, op, op->base, op->path, &p))
        return false;
    if (is_absent(b, &p))
        return refuse(res, -ENOENT);
    struct node *n = object_of(b, &p);
    if (n == NULL || (op->valid != 0 && !meta_may(&op->cred, &n->a, op->valid)) ||
        ((op->flags & OPF_DIRECTORY) != 0 && n->a.type != TYPE_DIRECTORY))
        return false;
    if (n->a.type == TYPE_SYMLINK) {
        if ((op->flags & OPF_NOFOLLOW) == 0 || n->target == NULL)
            return false;
        buf_add(&res->extra, n->target, n->a.length);
    }
    return answer(res, n);
}

/* --- packs -------------------------------------------------------------------------------------
 */

static struct queue_packer packer(const struct batch *b)
{
    return (struct queue_packer){
        .pack = b->hooks.pack, .ctx = b->hooks.ctx, .fresh = b->fresh_slice};
}

static void note_pack(struct batch *b, const struct queue_packer *pk)
{
    if (pk->used)
        b->fresh_slice = 0; /* meta_call() takes the next */
}

/* --- queueing --------------------------------------------------------------------------------- */

/* Batches grow when more waits than the store takes, and are small again when it keeps up. */
static uint32_t size_now(struct batch *b, uint64_t waiting)
{
    const struct batch_params *p = b->params;
    if (b->neighbours)
        return STREAM_BATCH;
    uint32_t size = waiting > p->high_watermark                  ? p->batch_size_max
                    : waiting < p->low_watermark || b->size == 0 ? p->batch_size
                                                                 : b->size;
    if (size != b->size)
        metrics_batch_size(b->m->metrics, size);
    return b->size = size;
}

/* Who adds more than may wait is held up until it was sent. */
static bool has_room(const struct batch *b, struct queue *q)
{
    struct queue_fill fill;
    queue_fill(q, &fill);
    return fill.waiting < b->params->max_pending && fill.pending < b->params->max_pending_bytes;
}

/* False: the queue has no room, or there is none: the store is asked instead, which empties it. */
static bool queued(struct batch *b, const struct op *op, struct queue_ref *ref)
{
    struct queue_fill fill;
    struct queue *q = batch_queue(b);
    if (q == NULL || !has_room(b, q))
        return false;
    struct queue_packer pk = packer(b);
    int rc = queue_put(q, op, &pk, ref);
    if (rc == -ENOSPC) { /* the pack is full, or the queue: a new group may have a new pack */
        queue_cut(q);
        queue_tidy(q, true); /* what was sent and is kept for a while gives way */
        rc = queue_put(q, op, &pk, ref);
    }
    note_pack(b, &pk);
    if (rc < 0)
        return false;
    b->early++;
    metrics_queued(b->m->metrics, op->kind, 1);
    metrics_depth(b->m->metrics, 1);
    queue_fill(q, &fill);
    uint64_t bytes = b->params->batch_bytes * (b->neighbours ? 16ull : 4ull);
    bool full = fill.ops >= size_now(b, fill.waiting) || fill.bytes >= bytes;
    if (full)
        queue_cut(q);
    flusher_kick(b, full);
    return true;
}

static struct lx rules(const struct batch *b, const struct op *op)
{
    return (struct lx){.env = &b->env, .op = op};
}

/* The directory gains or loses a name. */
static void touch(struct batch *b, const struct op *op, struct node *dir, int nlink)
{
    struct lx x = rules(b, op);
    dir->make.frame = 0; /* what changes it from here on comes after its entries */
    dir->a.nlink += (uint32_t)nlink;
    lx_touch(&x, dir->ino, &dir->a, nlink != 0);
}

/* Has somebody else of this host worked on it since we know it?  Answered after our own mark. */
static bool is_ours_alone(struct batch *b, const struct node *dir)
{
    return !board_mark(b->board, dir->ino, dir->since);
}

/* --- new names -------------------------------------------------------------------------------- */

/* May a name be added to dir without asking? */
static bool may_add(struct batch *b, const struct op *op, const struct node *dir)
{
    bool streams = dir->fresh >= STREAM_AFTER && is_young(b, dir);
    return b->may_grow && dir->is_complete && (dir->is_mine || streams) && dir->a.flags == 0 &&
           dir->a.tier == 0 && dir->a.default_acl == 0 && dir->a.parent < INO_TRASH &&
           dir->ino < INO_TRASH && meta_may(&op->cred, &dir->a, 3);
}

/* What another process does with a lock file in a directory of ours at this moment is decided by
 * the store: exclusive creations that it decides are counted before they look at our queue, and we
 * look after our op is in it. */
static bool is_contested(struct batch *b, const struct op *op, const struct node *dir)
{
    uint64_t exclusive = board_exclusive(b->board);
    bool counted = exclusive != b->exclusive;
    b->exclusive = exclusive;
    return (op->kind != OP_OPEN || (op->flags & OPF_EXCL) != 0) &&
           (counted || board_foreign(b->board, dir->ino, dir->since));
}

static bool make(struct batch *b, const struct op *op, struct place *p, uint8_t type,
                 struct op_result *res)
{
    struct lx x = rules(b, op);
    uint8_t data[ATTR_BYTES_MAX + PATH_LEN_MAX + 1];
    char name[NAME_LEN_MAX + 1];
    struct queue_ref ref;

    if (op->kind == OP_OPEN && (op->flags & OPF_EXCL) != 0 && b->params->excl_strict)
        return false;
    if (b->confirming != 0 || (p->dir->ino == INO_ROOT && p->name[0] == '.'))
        return false; /* names at the root that stock answers for */
    struct attr a = lx_new_attr(&x, p->dir->ino, &p->dir->a, type, op->mode & 07777);
    size_t n = attr_encode(&a, data);
    if (n != ATTR_BYTES || !is_ours_alone(b, p->dir))
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
    if (!queued(b, &made, &ref))
        return false;
    if (is_contested(b, op, p->dir)) {
        b->confirming = op->ino;
        b->confirmed = 0;
    }
    struct node *dir = p->dir;
    touch(b, op, dir, type == TYPE_DIRECTORY);
    dir->told_ns = clock_mono_ns();
    dir->last_make = ref.frame;
    if (!overlay_add(b->overlay, dir, name, p->len, type, op->ino))
        dir->is_complete = false;
    struct node *fresh = overlay_learn(b->overlay, op->ino, &a, board_now(b->board));
    if (fresh != NULL) {
        fresh->make = ref;
        fresh->is_mine = true;
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

static bool new_name(struct batch *b, const struct op *op, uint8_t type, struct op_result *res)
{
    struct place p;
    if (!find_place(b, op, op->base, op->path, &p) || p.dir == NULL)
        return false;
    if (p.known == PRESENT && is_young(b, p.dir))
        return refuse(res, -EEXIST);
    if (p.known != ABSENT || !may_add(b, op, p.dir))
        return false;
    return make(b, op, &p, type, res);
}

static bool symlink_op(struct batch *b, const struct op *op, struct op_result *res)
{
    if (op->data_len == 0 || op->data_len > PATH_LEN_MAX ||
        memchr(op->data, '\0', op->data_len) != NULL)
        return false;
    return new_name(b, op, TYPE_SYMLINK, res);
}

static bool open_op(struct batch *b, const struct op *op, struct op_result *res)
{
    struct place p;
    bool creates = (op->flags & OPF_CREATE) != 0 && (op->flags & OPF_OPATH) == 0;
    if (!find_place(b, op, op->base, op->path, &p) || (creates && p.dir == NULL))
        return false;
    if (creates && p.known == ABSENT)
        return (op->flags & OPF_DIRECTORY) == 0 && may_add(b, op, p.dir) &&
               make(b, op, &p, TYPE_FILE, res);
    if (is_absent(b, &p))
        return refuse(res, -ENOENT);
    if (creates && p.known == PRESENT && (op->flags & OPF_EXCL) != 0 && is_young(b, p.dir))
        return refuse(res, -EEXIST);
    /* Directories, and files without a byte: whatever has content comes with its records. */
    struct node *n = object_of(b, &p);
    if (n == NULL || creates || (op->flags & OPF_TRUNC) != 0 || n->a.flags != 0)
        return false;
    bool is_dir = n->a.type == TYPE_DIRECTORY;
    if (!(is_dir && (op->valid & 2) == 0) && !(n->a.type == TYPE_FILE && n->a.length == 0 &&
                                               (op->flags & OPF_DIRECTORY) == 0 && is_fresh(n)))
        return false;
    if ((op->flags & OPF_OPATH) == 0 && !meta_may(&op->cred, &n->a, op->valid & 7))
        return false;
    return answer(res, n);
}

/* --- changes of an inode ---------------------------------------------------------------------- */

struct fold {
    const struct attr *a;
    const uint8_t *records;
    uint32_t len;
};

/* The new attributes, and records behind them.  Where it was made stays as it was: it may have been
 * renamed by an op behind this one. */
static uint32_t fold(void *ctx, uint8_t *data, uint32_t len, uint32_t room, const uint8_t *record,
                     uint32_t record_len)
{
    const struct fold *f = ctx;
    uint8_t fresh[ATTR_BYTES_MAX];
    struct attr was, a = *f->a;
    if (attr_decode(data, ATTR_BYTES, &was) == 0)
        a.parent = was.parent;
    attr_encode(&a, fresh);
    memcpy(data, fresh, ATTR_BYTES);
    if (record == NULL) {
        record = f->records;
        record_len = f->len;
    }
    if (record_len > 0 && record_len <= room - len) {
        memcpy(data + len, record, record_len);
        len += record_len;
    }
    return len;
}

static bool folded(struct batch *b, struct node *n, const struct attr *a, const struct op *op)
{
    struct fold f = {.a = a};
    if (n->make.frame == 0 || b->queue == NULL)
        return false;
    if (op->kind == OP_WRITE) {
        f.records = op->data;
        f.len = op->data_len;
        if (n->a.length != 0 || f.len > 4 + RECORD_BYTES) /* a second write stays in order */
            return false;
    }
    struct queue_packer pk = packer(b);
    int rc = queue_fold(b->queue, &n->make, op->content, &pk, fold, &f);
    note_pack(b, &pk);
    if (rc <= 0) {
        n->make.frame = 0;
        return false;
    }
    b->early++;
    metrics_queued(b->m->metrics, op->kind, 1);
    metrics_coalesced(b->m->metrics, op->kind, 1);
    return true;
}

/* op, of n alone, makes its attributes *a. */
static bool change(struct batch *b, const struct op *op, struct node *n, const struct attr *a,
                   struct op_result *res)
{
    struct queue_ref ref;
    if (!is_ours_alone(b, n))
        return false;
    if (!folded(b, n, a, op)) {
        struct op direct = *op;
        direct.base = n->ino;
        direct.path = "";
        direct.flags |= OPF_NOFOLLOW;
        if (!queued(b, &direct, &ref))
            return false;
        n->make.frame = 0; /* what follows must not overtake it */
    }
    n->a = *a;
    return answer(res, n);
}

static bool setattr(struct batch *b, const struct op *op, struct op_result *res)
{
    struct place p;
    if (!find_place(b, op, op->base, op->path, &p))
        return false;
    struct node *n = object_of(b, &p);
    if (n == NULL || n->a.nlink == 0 || n->a.flags != 0 || n->a.default_acl != 0 ||
        (n->a.type == TYPE_SYMLINK && (op->flags & OPF_NOFOLLOW) == 0 && p.dir != NULL))
        return false;
    struct attr a = n->a;
    if ((op->valid & SET_FLAGS) != 0 || meta_setattr_unnamed(op, &a) < 0)
        return false;
    return change(b, op, n, &a, res);
}

static bool write_op(struct batch *b, const struct op *op, struct op_result *res)
{
    struct node *n = overlay_node(b->overlay, op->base);
    struct lx x = rules(b, op);
    uint64_t end;

    /* A file that it made itself and nobody else has marked. */
    if (n == NULL || !b->may_grow || !n->is_mine || n->a.type != TYPE_FILE || n->a.nlink != 1)
        return false;
    if (op->content != NULL) {
        end = op->content->len;
        if (n->a.length != 0 || end == 0 || !b->params->pack || b->hooks.pack == NULL)
            return false;
    } else if (op->data_len == 0 || records_end(op->data, op->data_len, &end) < 0) {
        return false;
    }
    struct attr a = n->a;
    lx_written(&x, &a, end > a.length ? end : a.length);
    return change(b, op, n, &a, res);
}

/* --- names that go ---------------------------------------------------------------------------- */

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
    struct lx x = rules(b, op);
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

    if (!is_ours_alone(b, p->dir) || !is_ours_alone(b, n))
        return false;
    memcpy(name, p->name, p->len);
    name[p->len] = '\0';
    gone.base = p->dir->ino;
    gone.path = name;
    gone.ino = n->ino;
    /* Its name may be another file's by now, one that is open. */
    gone.data_len = is_dir || is_young(b, n) ? 0 : op->data_len;
    if (gone.data_len > HELD_BYTES_MAX)
        return false;
    b->neighbours = b->neighbours || !p->dir->is_mine;
    if (!queued(b, &gone, &ref))
        return false;
    res->ino = n->ino;
    res->parent = p->dir->ino;
    res->attr = n->a;
    res->attr.nlink = 0;
    res->has_attr = true;
    /* Of a file, its blocks: said when it is sent. */
    res->rflags = is_dir && (b->env.flags & ENV_TRASH) == 0 ? OPR_GONE : 0;
    touch(b, op, p->dir, is_dir ? -1 : 0);
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
    touch(b, op, p->dir, 0);
    overlay_remove(b->overlay, p->dir, p->name, p->len);
    overlay_forget(b->overlay, n->ino);
    return true;
}

static bool unlink_op(struct batch *b, const struct op *op, struct op_result *res)
{
    struct place p;
    if (!find_place(b, op, op->base, op->path, &p) || p.dir == NULL)
        return false;
    if (is_absent(b, &p))
        return refuse(res, -ENOENT);
    struct node *n = removed_of(b, &p);
    if (n == NULL || n->a.type == TYPE_DIRECTORY || n->a.nlink != 1 || is_held(op, n->ino) ||
        !may_remove(b, op, p.dir, n))
        return false;
    return cancelled(b, op, &p, n, res) || removal(b, op, &p, n, res);
}

static bool rmdir_op(struct batch *b, const struct op *op, struct op_result *res)
{
    struct place p;
    if (!find_place(b, op, op->base, op->path, &p) || p.dir == NULL)
        return false;
    struct node *n = removed_of(b, &p);
    if (n == NULL || n->a.type != TYPE_DIRECTORY || !n->is_complete || n->count != 0 ||
        !may_remove(b, op, p.dir, n))
        return false;
    return removal(b, op, &p, n, res);
}

/* --- renames -----------------------------------------------------------------------------------
 */

static bool rename_op(struct batch *b, const struct op *op, struct op_result *res)
{
    struct place from, to;
    struct queue_ref ref;
    char name[NAME_LEN_MAX + 1], name2[NAME_LEN_MAX + 1];

    if ((op->flags & OPF_EXCHANGE) != 0 || !find_place(b, op, op->base, op->path, &from) ||
        !find_place(b, op, op->base2, op->path2, &to) || from.dir == NULL || to.dir == NULL ||
        to.known != ABSENT || !may_add(b, op, to.dir) ||
        (to.dir->ino == INO_ROOT && to.name[0] == '.'))
        return false;
    struct node *n = removed_of(b, &from);
    if (n == NULL || n->a.type == TYPE_DIRECTORY || n->a.nlink != 1 ||
        !may_remove(b, op, from.dir, n) || !is_ours_alone(b, from.dir) ||
        !is_ours_alone(b, to.dir) || !is_ours_alone(b, n))
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
    if (!queued(b, &moved, &ref))
        return false;
    if (from.dir != to.dir)
        touch(b, op, from.dir, 0);
    touch(b, op, to.dir, 0);
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

static bool readdir_op(struct batch *b, const struct op *op, struct op_result *res)
{
    struct node *n = overlay_node(b->overlay, op->base);
    if (n == NULL || b->listed != n->ino || b->listed_names != n->listing ||
        b->listed_early != b->early || op->off != 0 || (op->path != NULL && *op->path != '\0') ||
        !is_young(b, n))
        return false;
    *res = b->listing;
    res->extra = (struct buf){0};
    buf_add(&res->extra, b->listing.extra.data, b->listing.extra.len);
    b->listed = 0; /* once: who asks again wants to see something new */
    return buf_ok(&res->extra) == 0;
}

/* --- the table -------------------------------------------------------------------------------- */

bool early_call(struct batch *b, const struct op *op, struct op_result *res)
{
    uint8_t type = (uint8_t)(op->mode >> 12);
    if (op_changes(op) && (b->changes < FIRST_SYNC || op->cred.uid != b->uid))
        return false;
    switch (op->kind) {
    case OP_LOOKUP:
        return lookup(b, op, res);
    case OP_OPEN:
        return open_op(b, op, res);
    case OP_MKNOD:
        return new_name(b, op, type, res);
    case OP_MKDIR:
        return new_name(b, op, TYPE_DIRECTORY, res);
    case OP_SYMLINK:
        return symlink_op(b, op, res);
    case OP_SETATTR:
        return setattr(b, op, res);
    case OP_WRITE:
        return write_op(b, op, res);
    case OP_RENAME:
        return rename_op(b, op, res);
    case OP_READDIR:
        return readdir_op(b, op, res);
    case OP_UNLINK:
        return unlink_op(b, op, res);
    case OP_RMDIR:
        return rmdir_op(b, op, res);
    default:
        return false;
    }
}
