/*
 * test_batch.c - one random sequence of ops, four ways: one by one and in batches, on Redis and on
 * LMDB.  Answers and keys agree; references to packs are exact.
 *
 * BATCH_SEED and BATCH_OPS (40000) choose what is drawn.
 */
#include "core/format/record.h"
#include "core/meta/engine.h"
#include "core/meta/make.h"
#include "tests/lib/scratch.h"
#include "tests/lib/suite.h"
#include "tests/lib/volume.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUND      1000 /* ops on one fresh set of volumes */
#define WAYS       4
#define IN_FLIGHT  4
#define BATCH_MOST 120
#define FIRST_INO  100
#define QUOTA_INO  10

static struct server *server;
static char top[256];
static uint64_t seed = 1, state;
static size_t total = 40000;

static uint32_t below(uint32_t n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % n;
}

static bool chance(uint32_t percent)
{
    return below(100) < percent;
}

/* --- what is drawn ---------------------------------------------------------------------------- */

struct variant {
    const char *name;
    bool trash, people, packs;
    uint64_t capacity, inodes, quota_space, quota_inodes;
};

static const struct variant variants[] = {
    {.name = "plain"},
    {.name = "people", .people = true},
    {.name = "trash", .trash = true},
    {.name = "limits", .capacity = 3 << 20, .inodes = 120, .trash = true},
    {.name = "quota", .quota_space = 400 << 10, .quota_inodes = 40},
    {.name = "packs", .packs = true},
    {.name = "packs and trash", .packs = true, .trash = true, .people = true},
};

/* An op with everything that it points to. */
struct drawn {
    struct op op;
    char path[300], path2[40];
    uint8_t data[ATTR_BYTES + 4 * RECORD_ITEM_BYTES + 64];
    size_t batch; /* it is in */
};

static bool is_clean;       /* the run is one that would work */
static uint8_t held[8 * 8]; /* inodes that the caller of a run holds open */
static uint32_t held_len;
static struct drawn *drawn;
static size_t ndrawn;
static const struct variant *variant;
static struct moment now;
static uint64_t next_ino, next_slice;
static size_t batch;

static struct engine_pack pack_of(size_t b, unsigned k)
{
    return (struct engine_pack){.id = 1000000 + b * 2 + k, .size = 65536};
}

static const struct op_cred somebody = {.uid = 1000, .gid = 1000};

/* Directories come first in the order of inodes, so that most of them are one. */
static uint64_t some_dir(void)
{
    return chance(25) ? INO_ROOT : chance(60) ? QUOTA_INO + below(3) : FIRST_INO + below(12);
}

static uint64_t some_ino(void)
{
    return FIRST_INO + below((uint32_t)(next_ino - FIRST_INO) + 2);
}

static void some_name(char *out, uint32_t many)
{
    static const char *const odd[] = {"", ".", "..", "a/b", ".trash", ".stats", "n1/", "/"};
    if (chance(2))
        snprintf(out, 40, "%s", odd[below(8)]);
    else
        snprintf(out, 40, "n%u", below(many));
}

/* Names that were asked for, a run of which is asked for again by what needs one. */
static struct {
    uint64_t dir;
    char name[40];
} known[2 * ROUND];
static size_t nknown, at_known;

static void learn(uint64_t dir, const char *name)
{
    known[nknown].dir = dir;
    snprintf(known[nknown++].name, sizeof(known[0].name), "%.39s", name);
}

static size_t put_records(uint8_t *p, unsigned n)
{
    uint32_t chunk = chance(10) ? below(3) : 0;
    for (unsigned i = 0; i < n; i++) {
        bool packed = variant->packs && chance(70);
        struct record r = {
            .pos = i * 4096, .id = ++next_slice, .size = 4096, .len = 1 + below(4096)};
        if (packed) {
            struct engine_pack k = pack_of(batch, below(2));
            r.id = k.id;
            r.size = k.size;
            r.off = below(60000);
        } else if (chance(10)) {
            r.id = r.size = 0;
        }
        put_be32(p, chance(10) ? chunk++ : chunk);
        record_encode(&r, p + 4);
        p += RECORD_ITEM_BYTES;
    }
    return (size_t)n * RECORD_ITEM_BYTES;
}

static void draw_make(struct drawn *d, uint64_t dir)
{
    struct op *op = &d->op;
    uint8_t type = is_clean || chance(75) ? TYPE_FILE
                   : chance(50)           ? TYPE_DIRECTORY
                                          : (uint8_t)(1 + below(7));
    struct attr a = {.type = type,
                     .mode = (uint16_t)below(01000),
                     .uid = op->cred.uid,
                     .gid = op->cred.gid,
                     .atime = now,
                     .mtime = {1000 + below(1000), below(1000)},
                     .ctime = now,
                     .nlink = type == TYPE_DIRECTORY ? 2 : 1,
                     .parent = !is_clean && chance(2) ? 77 : dir};
    size_t n = 0;
    op->ino = !is_clean && chance(2) ? some_ino() : next_ino++;
    if (type == TYPE_DIRECTORY) {
        a.length = 4096;
        a.mode |= 0700;
    } else if (type == TYPE_SYMLINK) {
        n = a.length = 1 + below(60);
        memset(d->data + ATTR_BYTES, 't', n);
    } else if (type == TYPE_FILE && chance(60)) {
        uint64_t end;
        n = put_records(d->data + ATTR_BYTES, 1 + below(4));
        records_end(d->data + ATTR_BYTES, n, &end);
        a.length = chance(5) ? end + below(10000) : end;
    } else if (type == TYPE_BLOCKDEV || type == TYPE_CHARDEV) {
        a.rdev = below(3);
    }
    attr_encode(&a, d->data);
    op->data = d->data;
    op->data_len = (uint32_t)(ATTR_BYTES + n - (!is_clean && chance(2) ? 1 : 0));
    if (chance(30))
        op->off = 1 + below(40);
}

static void draw_rest(struct drawn *d)
{
    struct op *op = &d->op;
    switch (op->kind) {
    case OP_MKDIR:
    case OP_MKNOD:
    case OP_SYMLINK:
        op->ino = next_ino++;
        op->mode = op->kind == OP_MKDIR ? 0755 : TYPE_FILE << 12 | 0666;
        op->data = "target";
        op->data_len = op->kind == OP_SYMLINK ? 6 : 0;
        break;
    case OP_RENAME:
    case OP_LINK:
        op->base2 = some_dir();
        some_name(d->path2, chance(50) ? 60 : 100000);
        learn(op->base2, d->path2);
        break;
    case OP_SETATTR:
        op->base = some_ino();
        d->path[0] = 0;
        op->valid = 1 + below(15);
        op->mode = below(010000);
        if (chance(20)) {
            op->base = chance(40) ? QUOTA_INO + below(3) : some_ino();
            op->valid = SET_FLAGS;
            op->mode = chance(20) ? ATTR_IMMUTABLE : chance(30) ? ATTR_SKIP_TRASH : 0;
        }
        op->new_uid = op->new_gid = 1000;
        op->atime = op->mtime = (struct moment){1 + below(5000), below(5)};
        op->flags = chance(50) ? OPF_BY_FD : 0;
        break;
    case OP_WRITE:
        op->base = some_ino();
        d->path[0] = 0;
        op->data = d->data;
        op->data_len = (uint32_t)put_records(d->data, below(4));
        op->mtime = now;
        break;
    case OP_TRUNCATE:
        op->len = below(20000);
        break;
    case OP_UNLINK:
        memcpy(d->data, held, held_len);
        op->data = d->data;
        op->data_len = held_len;
        break;
    case OP_AHEAD:
        op->base = chance(90) ? some_dir() : some_ino();
        d->path[0] = 0;
        op->data = d->data;
        for (unsigned i = below(5) + 1; i > 0; i--) {
            char *name = (char *)d->data + op->data_len + 1;
            some_name(name, 60);
            d->data[op->data_len] = (uint8_t)(strlen(name) + chance(1));
            op->data_len += 1 + (uint32_t)strlen(name);
        }
        break;
    case OP_SETXATTR:
        strcpy(d->path2, "user.x");
        op->data = "value";
        op->data_len = 5;
        break;
    default:
        break;
    }
}

static void draw_op(struct drawn *d, uint8_t kind, uint64_t dir, bool is_me, uint32_t names)
{
    if (chance(50)) {
        now.nsec += below(60000000);
        now.sec += now.nsec / 1000000000;
        now.nsec %= 1000000000;
    }
    if (chance(2)) /* stamps of several processes */
        now.sec -= below(2);
    d->op = (struct op){.kind = kind,
                        .base = dir,
                        .now = now,
                        .cred = is_me ? somebody : (struct op_cred){0},
                        .umask = 022,
                        .path = d->path,
                        .path2 = d->path2};
    d->batch = batch;
    bool makes = kind == OP_MAKE || kind == OP_MKDIR || kind == OP_MKNOD || kind == OP_SYMLINK;
    if (makes || nknown == 0 || (!is_clean && chance(20))) {
        some_name(d->path, names);
    } else {
        at_known = (at_known + 1) % nknown;
        d->op.base = known[at_known].dir;
        snprintf(d->path, sizeof(d->path), "%s", known[at_known].name);
    }
    if (makes)
        learn(dir, d->path);
    if (kind == OP_MAKE)
        draw_make(d, dir);
    else
        draw_rest(d);
}

static size_t in_batch, batch_size;

static void count_drawn(void)
{
    if (++in_batch < batch_size)
        return;
    batch++;
    in_batch = 0;
    batch_size = 1 + below(BATCH_MOST);
}

static void draw_in(uint8_t kind, uint64_t dir, const char *name, bool is_me)
{
    struct drawn *d = &drawn[ndrawn++];
    draw_op(d, kind, dir, is_me, 1000000);
    d->op.base = dir;
    snprintf(d->path, sizeof(d->path), "%s", name);
    count_drawn();
}

#define TREE_DEPTH 2
#define TREE_FILES 6
#define TREE_MOST  ((TREE_DEPTH + 1) * (2 * TREE_FILES + 2))

/* A tree, made and removed as `rm -rf` does; now and then a file is forgotten. */
static void draw_tree(uint64_t dir, unsigned depth, bool is_me)
{
    uint64_t self = next_ino;
    uint32_t files = below(TREE_FILES);
    char name[40];

    is_clean = true;
    snprintf(name, sizeof(name), "t%llu", (unsigned long long)self);
    draw_in(OP_MKDIR, dir, name, is_me);
    for (uint32_t i = 0; i < files; i++) {
        char file[] = {'f', (char)('0' + i), '\0'};
        draw_in(chance(90) ? OP_MAKE : OP_SYMLINK, self, file, is_me);
    }
    for (uint32_t i = 0; i <= files; i++) {
        char file[] = {'f', (char)('0' + i), '\0'};
        if (depth > 0 && i == files / 2 && chance(80))
            draw_tree(self, depth - 1, is_me);
        if (i < files && !chance(2))
            draw_in(OP_UNLINK, self, file, is_me);
    }
    draw_in(OP_RMDIR, dir, name, is_me);
}

/* Runs of one kind in one directory, as programs do. */
static void draw(size_t n)
{
    static const struct {
        uint8_t kind, percent, most;
    } rows[] = {
        {OP_MAKE, 12, 40},  {OP_UNLINK, 10, 30}, {OP_SETATTR, 10, 10}, {OP_WRITE, 12, 15},
        {OP_MKDIR, 6, 3},   {OP_RMDIR, 6, 8},    {OP_RENAME, 10, 10},  {OP_LINK, 12, 10},
        {OP_SYMLINK, 4, 3}, {OP_TRUNCATE, 4, 4}, {OP_LOOKUP, 2, 4},    {OP_SETXATTR, 4, 4},
        {OP_MKNOD, 4, 10},  {OP_AHEAD, 4, 6},
    };

    in_batch = 0;
    batch_size = 1 + below(BATCH_MOST);
    drawn = calloc(n, sizeof(*drawn));
    for (ndrawn = 0; ndrawn < n;) {
        uint32_t dice = below(100), i = 0;
        while (dice >= rows[i].percent) {
            dice -= rows[i].percent;
            i = (i + 1) % (sizeof(rows) / sizeof(*rows));
        }
        uint64_t dir = some_dir();
        bool is_me = variant->people && chance(50);
        uint32_t run = 1 + below(rows[i].most), names = chance(20) ? 60 : 100000;
        is_clean = chance(60);
        at_known = below((uint32_t)nknown + 1);
        if (chance(50)) /* the latest ones */
            at_known = nknown > 40 ? nknown - 1 - below(40) : 0;
        if (is_clean)
            names = 1000000;
        held_len = chance(30) ? 8 * (1 + below(7)) : 0;
        for (uint32_t k = 0; k < held_len; k += 8)
            put_be64(held + k, some_ino());
        for (; run > 0 && ndrawn < n; run--) {
            draw_op(&drawn[ndrawn++], rows[i].kind, dir, is_me, names);
            count_drawn();
        }
        if (chance(10) && ndrawn + TREE_MOST < n) {
            held_len = 0;
            draw_tree(dir, TREE_DEPTH, is_me);
        }
    }
}

/* --- a volume --------------------------------------------------------------------------------- */

struct way {
    const char *name;
    bool is_batched;
    struct engine *engine;
    struct op_result *res;
    char **line; /* of the dump */
    size_t nline;
};

static int put_item(engine_put put, void *sink, const char *key, char type, const char *field,
                    const void *value, size_t len)
{
    struct engine_item item = {.key = key,
                               .key_len = strlen(key),
                               .type = type,
                               .field = field,
                               .field_len = field != NULL ? strlen(field) : 0,
                               .value = value,
                               .value_len = len};
    return put(sink, &item);
}

/* The root, a directory with a quota and two more. */
static int fill(void *ctx, engine_put put, void *sink)
{
    struct attr a = {.type = TYPE_DIRECTORY, .mode = 0777, .nlink = 5, .length = 4096, .parent = 1};
    struct setting s = volume_setting("/var/none/", variant->trash);
    struct buf json = {0};
    uint8_t raw[ATTR_BYTES_MAX], entry[ENTRY_BYTES], limits[16];
    int rc = setting_print(&s, &json);

    (void)ctx;
    rc = rc < 0 ? rc : put_item(put, sink, "i1", 's', NULL, raw, attr_encode(&a, raw));
    a.nlink = 2;
    for (uint64_t ino = QUOTA_INO; rc == 0 && ino < QUOTA_INO + 3; ino++) {
        char key[24], field[24];
        snprintf(key, sizeof(key), "i%u", (unsigned)ino);
        snprintf(field, sizeof(field), "%u", (unsigned)ino);
        entry_encode(TYPE_DIRECTORY, ino, entry);
        rc = put_item(put, sink, key, 's', NULL, raw, attr_encode(&a, raw));
        rc = rc < 0 ? rc : put_item(put, sink, "d1", 'h', field, entry, sizeof(entry));
        rc = rc < 0 ? rc : put_item(put, sink, "dirDataLength", 'h', field, "0", 1);
        rc = rc < 0 ? rc : put_item(put, sink, "dirUsedSpace", 'h', field, "0", 1);
        rc = rc < 0 ? rc : put_item(put, sink, "dirUsedInodes", 'h', field, "0", 1);
    }
    put_be64(limits, variant->quota_space);
    put_be64(limits + 8, variant->quota_inodes);
    if (variant->quota_inodes > 0 && rc == 0) {
        rc = put_item(put, sink, "dirQuota", 'h', "10", limits, sizeof(limits));
        rc = rc < 0 ? rc : put_item(put, sink, "dirQuotaUsedSpace", 'h', "10", "0", 1);
        rc = rc < 0 ? rc : put_item(put, sink, "dirQuotaUsedInodes", 'h', "10", "0", 1);
    }
    a.mode = 0555;
    if (variant->trash && rc == 0)
        rc = put_item(put, sink, "i9223372032828243968", 's', NULL, raw, attr_encode(&a, raw));
    if (rc == 0)
        rc = put_item(put, sink, "setting", 's', NULL, json.data, json.len);
    buf_free(&json);
    return rc;
}

static struct op_env env_of(void)
{
    return (struct op_env){.flags = ENV_DIR_STATS | (variant->trash ? ENV_TRASH : 0),
                           .capacity_bytes = variant->capacity,
                           .inodes = variant->inodes,
                           .skip_dir_mtime_ms = 100,
                           .mount = "/jfs"};
}

static void fatal(const char *what, const struct engine *e)
{
    fprintf(stderr, "%s: %s\n", what, e->ops->error(e));
    exit(99);
}

static void open_way(struct way *w, const char *url)
{
    char err[300];
    if (engine_open(url, &w->engine, err, sizeof(err)) < 0) {
        fprintf(stderr, "%s\n", err);
        exit(99);
    }
    if (w->engine->ops->import(w->engine, fill, NULL) < 0)
        fatal("import", w->engine);
    w->res = calloc(ndrawn, sizeof(*w->res));
}

/* --- the four ways ---------------------------------------------------------------------------- */

static void one_by_one(struct way *w)
{
    struct op_env env = env_of();
    for (size_t i = 0; i < ndrawn; i++) {
        if (w->engine->ops->call(w->engine, &env, &drawn[i].op, 1, &w->res[i]) < 0)
            fatal("call", w->engine);
    }
}

struct sent {
    struct engine_request rq;
    struct op ops[BATCH_MOST];
    struct engine_pack packs[2];
};

static void finish(struct way *w)
{
    struct engine_request *rq = w->engine->ops->complete(w->engine);
    if (rq == NULL || rq->rc < 0)
        fatal("complete", w->engine);
    CU_ASSERT_EQUAL(rq->outcome, BATCH_APPLIED);
    CU_ASSERT_EQUAL(rq->last, rq->seq - 1);
}

static void in_batches(struct way *w)
{
    struct sent *ring = calloc(IN_FLIGHT, sizeof(*ring));
    struct op_env env = env_of();
    uint64_t seq = 0;
    size_t flying = 0;
    for (size_t i = 0; i < ndrawn;) {
        if (flying == IN_FLIGHT) {
            finish(w);
            flying--;
        }
        struct sent *s = &ring[seq % IN_FLIGHT];
        size_t n = 0, b = drawn[i].batch;
        while (i + n < ndrawn && drawn[i + n].batch == b) {
            s->ops[n] = drawn[i + n].op;
            n++;
        }
        s->packs[0] = pack_of(b, 0);
        s->packs[1] = pack_of(b, 1);
        s->rq = (struct engine_request){.env = &env,
                                        .ops = s->ops,
                                        .n = n,
                                        .res = w->res + i,
                                        .packs = s->packs,
                                        .npacks = variant->packs ? 2 : 0,
                                        .board = "0123456789abcdef",
                                        .seq = ++seq};
        w->engine->ops->submit(w->engine, &s->rq);
        flying++;
        i += n;
    }
    while (flying-- > 0)
        finish(w);
    CU_ASSERT_PTR_NULL(w->engine->ops->complete(w->engine));
    free(ring);
}

/* --- comparing -------------------------------------------------------------------------------- */

static char last_list[64];
static unsigned index_in_list;

static int add_line(void *ctx, const struct engine_item *item)
{
    struct way *w = ctx;
    struct buf b = {0};

    if (item->key[0] == '~')
        return 0;
    buf_printf(&b, "%.*s %c ", (int)item->key_len, item->key, item->type);
    if (item->type == 'l') {
        if (strlen(last_list) != item->key_len || memcmp(last_list, item->key, item->key_len) != 0)
            index_in_list = 0;
        snprintf(last_list, sizeof(last_list), "%.*s", (int)item->key_len, item->key);
        buf_printf(&b, "[%05u] ", index_in_list++);
    }
    buf_printf(&b, "%.*s ", (int)item->field_len, item->field ? (const char *)item->field : "");
    for (size_t i = 0; i < item->value_len; i++)
        buf_printf(&b, "%02x", ((const uint8_t *)item->value)[i]);
    w->line = realloc(w->line, (w->nline + 1) * sizeof(*w->line));
    w->line[w->nline++] = (char *)b.data;
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void dump(struct way *w)
{
    last_list[0] = 0;
    if (w->engine->ops->scan(w->engine, "*", add_line, w) < 0)
        fatal("scan", w->engine);
    qsort(w->line, w->nline, sizeof(*w->line), by_text);
}

static bool same_result(const struct op_result *a, const struct op_result *b)
{
    uint8_t x[ATTR_BYTES_MAX], y[ATTR_BYTES_MAX];
    if (a->code != b->code)
        return false;
    if (a->code < 0)
        return true;
    if (a->rflags != b->rflags || a->ino != b->ino || a->parent != b->parent ||
        a->has_attr != b->has_attr || a->extra.len != b->extra.len)
        return false;
    if (a->extra.len > 0 && memcmp(a->extra.data, b->extra.data, a->extra.len) != 0)
        return false;
    return !a->has_attr ||
           (attr_encode(&a->attr, x) == attr_encode(&b->attr, y) && memcmp(x, y, ATTR_BYTES) == 0);
}

static void show_op(size_t i, const struct op_result *a, const struct op_result *b)
{
    const struct op *op = &drawn[i].op;
    fprintf(stderr,
            "  op %zu (batch %zu): %s base %llu path '%s' '%s' ino %llu uid %u: code %d %d, flags "
            "%u %u, "
            "ino %llu %llu, extra %zu %zu\n",
            i, drawn[i].batch, op_kind_name(op->kind), (unsigned long long)op->base, op->path,
            op->path2, (unsigned long long)op->ino, op->cred.uid, a->code, b->code, a->rflags,
            b->rflags, (unsigned long long)a->ino, (unsigned long long)b->ino, a->extra.len,
            b->extra.len);
}

static bool agree(const struct way *a, const struct way *b)
{
    int wrong = 0;
    for (size_t i = 0; i < ndrawn && wrong < 5; i++) {
        if (!same_result(&a->res[i], &b->res[i])) {
            show_op(i, &a->res[i], &b->res[i]);
            wrong++;
        }
    }
    for (size_t i = 0, k = 0; (i < a->nline || k < b->nline) && wrong < 10;) {
        int c = i == a->nline ? 1 : k == b->nline ? -1 : strcmp(a->line[i], b->line[k]);
        if (c != 0) {
            fprintf(stderr, "  only %s: %s\n", c < 0 ? a->name : b->name,
                    c < 0 ? a->line[i] : b->line[k]);
            wrong++;
        }
        i += c <= 0;
        k += c >= 0;
    }
    if (wrong > 0)
        fprintf(stderr, "%s and %s differ: variant %s, BATCH_SEED=%llu\n", a->name, b->name,
                variant->name, (unsigned long long)seed);
    return wrong == 0;
}

/* --- references ------------------------------------------------------------------------------- */

struct reference {
    uint64_t id;
    uint32_t size;
    int64_t records, field;
};

static struct reference *refs;
static size_t nrefs;

static struct reference *reference(uint64_t id, uint32_t size)
{
    for (size_t i = 0; i < nrefs; i++) {
        if (refs[i].id == id && refs[i].size == size)
            return &refs[i];
    }
    refs = realloc(refs, (nrefs + 1) * sizeof(*refs));
    refs[nrefs] = (struct reference){.id = id, .size = size};
    return &refs[nrefs++];
}

static int count_item(void *ctx, const struct engine_item *item)
{
    struct record r;
    (void)ctx;
    if (item->type == 'l' && record_decode(item->value, item->value_len, &r) == 0 && r.id != 0)
        reference(r.id, r.size)->records++;
    if (item->key_len == 8 && memcmp(item->key, "sliceRef", 8) == 0) {
        unsigned long long id;
        unsigned size;
        char text[64];
        snprintf(text, sizeof(text), "%.*s", (int)item->field_len, (const char *)item->field);
        if (sscanf(text, "k%llu_%u", &id, &size) == 2) {
            snprintf(text, sizeof(text), "%.*s", (int)item->value_len, (const char *)item->value);
            reference(id, size)->field = atoll(text);
        }
    }
    return 0;
}

/* records - 1 == field, absent is 0, for every slice that a record names; -1 where none does. */
static void check_references(struct way *w)
{
    nrefs = 0;
    w->engine->ops->scan(w->engine, "*", count_item, NULL);
    for (size_t i = 0; i < nrefs; i++) {
        bool ok = refs[i].records - 1 == refs[i].field;
        CU_ASSERT(ok);
        if (!ok)
            fprintf(stderr, "  %s: slice %llu_%u: %lld records, field %lld: BATCH_SEED=%llu\n",
                    w->name, (unsigned long long)refs[i].id, refs[i].size,
                    (long long)refs[i].records, (long long)refs[i].field, (unsigned long long)seed);
    }
    free(refs);
    refs = NULL;
}

/* --- rounds ----------------------------------------------------------------------------------- */

static unsigned long long tried[OP_KINDS], worked[OP_KINDS];

static void count(const struct way *w)
{
    for (size_t i = 0; i < ndrawn; i++) {
        tried[drawn[i].op.kind]++;
        worked[drawn[i].op.kind] += w->res[i].code == 0;
    }
}

static void close_way(struct way *w)
{
    for (size_t i = 0; i < ndrawn; i++)
        op_result_free(&w->res[i]);
    for (size_t i = 0; i < w->nline; i++)
        free(w->line[i]);
    free(w->line);
    free(w->res);
    if (w->engine != NULL)
        w->engine->ops->close(w->engine);
}

static void round_of(size_t n)
{
    struct way ways[WAYS] = {{.name = "redis one by one"},
                             {.name = "redis batches", .is_batched = true},
                             {.name = "lmdb one by one"},
                             {.name = "lmdb batches", .is_batched = true}};
    char url[400];

    state = seed * 2654435761u + 12345;
    now = (struct moment){1754000000, 0};
    next_ino = FIRST_INO;
    next_slice = 0;
    batch = nknown = 0;
    draw(n);
    mkdir(top, 0755);
    server_int(server, "FLUSHALL");
    for (int i = 0; i < WAYS; i++) {
        struct way *w = &ways[i];
        if (variant->packs && !w->is_batched)
            continue; /* what packs are for */
        if (i < 2)
            snprintf(url, sizeof(url), "%s", server_url(server, i));
        else
            snprintf(url, sizeof(url), "lmdb://%s/%s%d", top, "meta", i);
        open_way(w, url);
        if (w->is_batched)
            in_batches(w);
        else
            one_by_one(w);
        dump(w);
        if (variant->packs)
            check_references(w);
    }
    if (variant->packs) {
        CU_ASSERT(agree(&ways[1], &ways[3]));
    } else {
        CU_ASSERT(agree(&ways[0], &ways[1]));
        CU_ASSERT(agree(&ways[0], &ways[2]));
        CU_ASSERT(agree(&ways[2], &ways[3]));
    }
    count(&ways[1]);
    for (int i = 0; i < WAYS; i++) {
        if (ways[i].engine != NULL)
            close_way(&ways[i]);
    }
    free(drawn);
    scratch_remove(top);
}

static void test_random(void)
{
    size_t rounds = (total + ROUND - 1) / ROUND;
    uint64_t first = seed;
    for (size_t i = 0; i < rounds; i++) {
        seed = first + i;
        variant = &variants[seed % (sizeof(variants) / sizeof(*variants))];
        round_of(total < ROUND ? total : ROUND);
    }
    for (int k = 1; k < OP_KINDS; k++) {
        if (tried[k] > 0)
            printf("\n    %-10s %6llu worked of %llu", op_kind_name((uint8_t)k), worked[k],
                   tried[k]);
    }
    printf("\n");
}

static int setup(void)
{
    const char *shm = getenv("TEST_SHM");
    snprintf(top, sizeof(top), "%s/batch.%d", shm != NULL ? shm : "/dev/shm", (int)getpid());
    server = server_start();
    return 0;
}

static int teardown(void)
{
    server_free(server);
    return 0;
}

int main(void)
{
    const char *text = getenv("BATCH_SEED");
    if (text != NULL)
        seed = strtoull(text, NULL, 0);
    text = getenv("BATCH_OPS");
    if (text != NULL)
        total = strtoull(text, NULL, 0);
    CU_TestInfo tests[] = {
        {"random", test_random},
        CU_TEST_INFO_NULL,
    };
    return suite_run_with("batch", setup, teardown, tests);
}
