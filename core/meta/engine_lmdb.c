/*
 * engine_lmdb.c - the embedded store: ops as transactions on an LMDB environment of this host.
 *
 * A call is one transaction, so several ops of it happen together or not at all.  When the map is
 * full it is made larger and the call begins again.
 */
#include "core/meta/import.h"
#include "core/meta/lx.h"

#include "core/base/line.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INODES_AT_ONCE 64 /* taking more costs a transaction, no round trip */
#define SLICES_AT_ONCE 64
#define GROW_MOST      24 /* doublings within one call: 2^24 GiB */

struct engine_lmdb {
    struct engine base;
    struct kv *kv;
    struct engine_traffic traffic;
    struct engine_request *oldest, *newest; /* done, not handed out */
    char name[4200];
    char error[4700];
};

static struct engine_lmdb *of(struct engine *e)
{
    return (struct engine_lmdb *)e;
}

static int noted(struct engine_lmdb *e, int rc)
{
    if (rc < 0)
        snprintf(e->error, sizeof(e->error), "%s", kv_error(e->kv));
    return rc;
}

/* One transaction, begun again while the map is too small. */
static int apply(struct engine_lmdb *e, struct engine_request *rq)
{
    bool write = rq->board != NULL;
    int rc = 0;
    for (size_t i = 0; i < rq->n; i++)
        write = write || op_changes(&rq->ops[i]);
    memset(rq->res, 0, rq->n * sizeof(*rq->res));
    if (rq->n > ENGINE_REQUEST_OPS)
        return -E2BIG;
    for (int grown = 0; grown <= GROW_MOST; grown++) {
        e->traffic.round_trips++;
        rc = lx_run(e->kv, rq, write);
        if (rc == 0)
            return 0;
        for (size_t i = 0; i < rq->n; i++)
            op_result_free(&rq->res[i]);
        if (rc != -ENOSPC || !kv_is_full(e->kv) || kv_grow(e->kv) < 0)
            break;
    }
    return noted(e, rc);
}

static int call(struct engine *engine, const struct op_env *env, const struct op *list, size_t n,
                struct op_result *res)
{
    struct engine_request rq = {.env = env, .ops = list, .n = n, .res = res};

    return apply(of(engine), &rq);
}

static void submit(struct engine *engine, struct engine_request *rq)
{
    struct engine_lmdb *e = of(engine);

    rq->outcome = BATCH_APPLIED;
    rq->last = 0;
    rq->next = NULL;
    for (size_t i = 0; i < rq->npacks; i++)
        rq->packs[i].applied = 0;
    rq->rc = apply(e, rq);
    if (e->newest != NULL)
        e->newest->next = rq;
    else
        e->oldest = rq;
    e->newest = rq;
}

static struct engine_request *complete(struct engine *engine)
{
    struct engine_lmdb *e = of(engine);
    struct engine_request *rq = e->oldest;

    if (rq == NULL)
        return NULL;
    e->oldest = rq->next;
    if (e->oldest == NULL)
        e->newest = NULL;
    return rq;
}

/* A change of a few keys, with the same growth of the map. */
static int change(struct engine_lmdb *e, int (*fn)(struct engine_lmdb *e, void *ctx), void *ctx)
{
    int rc = 0;
    for (int grown = 0; grown <= GROW_MOST; grown++) {
        rc = kv_begin(e->kv, true);
        if (rc < 0)
            break;
        e->traffic.round_trips++;
        rc = fn(e, ctx);
        if (rc == 0) {
            rc = kv_commit(e->kv, false);
            if (rc == 0)
                return 0;
        } else {
            kv_abort(e->kv);
        }
        if (rc != -ENOSPC || !kv_is_full(e->kv) || kv_grow(e->kv) < 0)
            break;
    }
    return rc == -EEXIST ? rc : noted(e, rc);
}

struct ids {
    const char *key;
    uint32_t n;
    int64_t lowest;
    uint64_t first;
};

static int take(struct engine_lmdb *e, void *ctx)
{
    struct ids *ids = ctx;
    int64_t last;
    int rc;
    /* The counter is the last id handed out.  A fresh volume's first range would hold the root: the
     * next one does not. */
    do
        rc = string_incr(e->kv, ids->key, ids->n, &last);
    while (rc == 0 && last - (int64_t)ids->n + 1 < ids->lowest);
    ids->first = (uint64_t)last - ids->n + 1;
    return rc;
}

static int take_ids(struct engine *engine, enum id_kind kind, uint32_t n, uint64_t *first)
{
    struct ids ids = {.key = kind == ID_INODE ? "nextinode" : "nextchunk",
                      .n = n,
                      .lowest = kind == ID_INODE ? INO_ROOT + 1 : 1};
    if (n == 0)
        return -EINVAL;
    int rc = change(of(engine), take, &ids);
    *first = ids.first;
    return rc;
}

static int get_setting(struct engine *engine, struct buf *json)
{
    struct engine_lmdb *e = of(engine);
    struct kv_val v;
    bool found = false;
    int rc = kv_begin(e->kv, false);
    if (rc < 0)
        return noted(e, rc);
    e->traffic.round_trips++;
    rc = string_get(e->kv, "setting", &v, &found);
    if (rc == 0 && found) {
        buf_add(json, v.data, v.len);
        rc = buf_ok(json);
    }
    kv_abort(e->kv);
    if (rc == 0 && !found) {
        rc = -ENODATA;
        snprintf(e->error, sizeof(e->error), "%s: no volume there: `jfspre format` makes one",
                 e->name);
        return rc;
    }
    return noted(e, rc);
}

struct fresh {
    const struct buf *json;
    bool trash;
};

static int write_dir(struct engine_lmdb *e, uint64_t ino, uint16_t mode)
{
    char key[LX_KEY];
    uint8_t raw[ATTR_BYTES_MAX];
    struct moment now = {.sec = clock_now().sec};
    struct attr a = {.type = TYPE_DIRECTORY,
                     .mode = mode,
                     .nlink = 2,
                     .length = 4096,
                     .parent = INO_ROOT,
                     .atime = now,
                     .mtime = now,
                     .ctime = now};
    lx_key(key, 'i', ino);
    return string_set(e->kv, key, raw, attr_encode(&a, raw));
}

static int make(struct engine_lmdb *e, void *ctx)
{
    const struct fresh *f = ctx;
    struct kv_val v;
    bool found;
    int rc = string_get(e->kv, "setting", &v, &found);
    if (rc == 0 && found)
        rc = -EEXIST;
    if (rc == 0 && f->trash)
        rc = write_dir(e, INO_TRASH, 0555);
    if (rc == 0)
        rc = string_set(e->kv, "setting", f->json->data, f->json->len);
    return rc == 0 ? write_dir(e, INO_ROOT, 0777) : rc;
}

static int format(struct engine *engine, const struct buf *json, bool trash)
{
    struct engine_lmdb *e = of(engine);
    struct fresh f = {.json = json, .trash = trash};
    kv_set_create(e->kv);
    int rc = change(e, make, &f);
    if (rc == -EEXIST)
        snprintf(e->error, sizeof(e->error), "%s: a volume is there already", e->name);
    return rc;
}

/* --- scan
 * ------------------------------------------------------------------------------------------ */

struct scan {
    const char *pattern;
    size_t fixed; /* bytes of the pattern before its first wildcard */
    engine_visit visit;
    void *ctx;
};

static int scan_one(void *ctx, struct kv_val key, struct kv_val value)
{
    struct scan *s = ctx;
    char name[LX_KEY * 2];
    if (key.len < s->fixed || memcmp(key.data, s->pattern, s->fixed) != 0)
        return 1; /* past the names that begin so */
    const char *nul = memchr(key.data, '\0', key.len);
    size_t n = nul != NULL ? (size_t)(nul - (const char *)key.data) : key.len;
    if (n >= sizeof(name))
        return 0;
    memcpy(name, key.data, n);
    name[n] = '\0';
    if (fnmatch(s->pattern, name, 0) != 0)
        return 0;
    struct engine_item item = {.key = name,
                               .key_len = n,
                               .type = type_of_key(name, n),
                               .value = value.data,
                               .value_len = value.len};
    if (nul != NULL && item.type != 'l') {
        item.field = nul + 1;
        item.field_len = key.len - n - 1;
    }
    int rc = s->visit(s->ctx, &item);
    return rc < 0 ? rc : 0;
}

static int scan(struct engine *engine, const char *pattern, engine_visit visit, void *ctx)
{
    struct engine_lmdb *e = of(engine);
    struct scan s = {
        .pattern = pattern, .fixed = strcspn(pattern, "*?[\\"), .visit = visit, .ctx = ctx};
    int rc = kv_begin(e->kv, false);
    if (rc < 0)
        return noted(e, rc);
    rc = kv_scan(e->kv, (struct kv_val){pattern, s.fixed}, scan_one, &s);
    kv_abort(e->kv);
    return rc < 0 ? rc : 0;
}

/* --- the rest
 * ---------------------------------------------------------------------------------------- */

static int import(struct engine *engine, engine_fill fill, void *ctx)
{
    struct engine_lmdb *e = of(engine);
    return import_lmdb(e->name + strlen("lmdb://"), fill, ctx, e->error, sizeof(e->error));
}

static const char *name(const struct engine *e)
{
    return ((const struct engine_lmdb *)e)->name;
}

static const char *error(const struct engine *e)
{
    const struct engine_lmdb *l = (const struct engine_lmdb *)e;
    return l->error[0] != '\0' ? l->error : "no error";
}

static size_t fds(const struct engine *e, int *out, size_t n)
{
    return kv_fds(((const struct engine_lmdb *)e)->kv, out, n);
}

static uint32_t epoch(const struct engine *e)
{
    (void)e;
    return 0;
}

static int describe(struct engine *e, struct buf *out)
{
    (void)e;
    buf_printf(out, "LMDB, not synced to disk");
    return buf_ok(out);
}

static struct engine_traffic traffic(const struct engine *e)
{
    return ((const struct engine_lmdb *)e)->traffic;
}

/* LMDB's descriptors cannot be moved: it lets go of all of them and opens again. */
static void fd_moved(struct engine *e, int fresh)
{
    close(fresh);
    kv_suspend(of(e)->kv);
}

static void after_fork(struct engine *e)
{
    kv_after_fork(of(e)->kv);
    of(e)->oldest = of(e)->newest = NULL;
}

static void close_engine(struct engine *e)
{
    kv_close(of(e)->kv);
    free(e);
}

static const struct engine_ops lmdb_ops = {
    .call = call,
    .submit = submit,
    .complete = complete,
    .take_ids = take_ids,
    .get_setting = get_setting,
    .format = format,
    .scan = scan,
    .import = import,
    .name = name,
    .error = error,
    .fds = fds,
    .epoch = epoch,
    .traffic = traffic,
    .describe = describe,
    .fd_moved = fd_moved,
    .after_fork = after_fork,
    .close = close_engine,
};

int engine_lmdb_open(const char *url, struct engine **out, char *err, size_t errlen)
{
    const char *dir = url + strlen("lmdb://");
    *out = NULL;
    if (dir[0] != '/') {
        snprintf(err, errlen, "metadata URL %s: want an absolute directory, as lmdb:///path", url);
        return -EINVAL;
    }
    const char *query = strchr(dir, '?');
    if (query != NULL) {
        line_set(err, errlen, "metadata URL: lmdb:// has no parameter \"%.*s\"",
                 (int)strcspn(query + 1, "=&"), query + 1);
        return -EINVAL;
    }
    struct engine_lmdb *e = calloc(1, sizeof(*e));
    int rc = e != NULL ? kv_open(dir, false, &e->kv) : -ENOMEM;
    if (rc < 0) {
        snprintf(err, errlen, "metadata URL %s: %s", url, strerror(-rc));
        free(e);
        return rc;
    }
    snprintf(e->name, sizeof(e->name), "%s", url);
    e->base.ops = &lmdb_ops;
    e->base.id_batch[ID_INODE] = INODES_AT_ONCE;
    e->base.id_batch[ID_SLICE] = SLICES_AT_ONCE;
    *out = &e->base;
    return 0;
}
