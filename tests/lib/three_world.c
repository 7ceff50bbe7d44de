/*
 * three_world.c - two volumes and a directory, fresh for each run, and their dumps.
 */
#include "tests/lib/scratch.h"
#include "tests/lib/three_internal.h"

#include "core/lmdb/types.h"
#include "core/meta/meta_internal.h"
#include "core/store/store.h"
#include "core/vfs/vfs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define UUID  "5d1e7c70-93a6-4b0e-8f2c-0b5a4f6f7a11"
#define BATCH 64 /* ids at a time, the same for both */

struct three *three_start(const struct difference *known, size_t n)
{
    struct three *t = calloc(1, sizeof(*t));
    const char *top = getenv("TEST_SHM");
    t->known = known;
    t->nknown = n;
    snprintf(t->dir, sizeof(t->dir), "%s/three.XXXXXX", top != NULL ? top : "/dev/shm");
    if (mkdtemp(t->dir) == NULL || chmod(t->dir, 0755) != 0) {
        perror(t->dir);
        exit(99);
    }
    t->server = server_start();
    three_become(0);
    return t;
}

void three_end(struct three *t)
{
    server_free(t->server);
    scratch_remove(t->dir);
    free(t);
}

/* --- one world -----------------------------------------------------------------------------------
 */

static int format(struct three *t, const struct variant *v, const char *url, const char *bucket)
{
    struct setting s = {.trash_days = v->trash ? 1 : 0,
                        .block_kib = THREE_BLOCK >> 10,
                        .meta_version = 1,
                        .dir_stats = true,
                        .capacity_bytes = v->capacity,
                        .inodes = v->inodes};
    struct buf json = {0};
    struct engine *e = NULL;
    char err[400] = "";
    strcpy(s.name, "threeway");
    strcpy(s.uuid, UUID);
    strcpy(s.storage, "file");
    strcpy(s.compression, "none");
    strcpy(s.min_client, "1.1.0-A");
    snprintf(s.bucket, sizeof(s.bucket), "%s/%s/", t->run, bucket);
    int rc = engine_open(url, &e, err, sizeof(err));
    if (rc == 0)
        rc = store_format(&s, err, sizeof(err));
    if (rc == 0)
        rc = setting_print(&s, &json);
    if (rc == 0)
        rc = e->ops->format(e, &json, v->trash);
    if (rc < 0)
        fprintf(stderr, "format %s: %s %s\n", url, err, e != NULL ? e->ops->error(e) : "");
    if (e != NULL)
        e->ops->close(e);
    buf_free(&json);
    return rc;
}

static void no_handles(struct world *w)
{
    for (int i = 0; i < THREE_HANDLES; i++)
        w->handle[i].fd = -1;
}

/* The kernel's directory is the user's who runs the test. */
static int own_root(struct vfs *v)
{
    struct op op = {.kind = OP_SETATTR,
                    .base = INO_ROOT,
                    .valid = SET_UID | SET_GID,
                    .new_uid = getuid(),
                    .new_gid = getgid()};
    struct op_result res;
    int rc = meta_call(v->meta, &op, 1, &res);
    rc = rc < 0 ? rc : res.code;
    op_result_free(&res);
    return rc;
}

static int open_volume(struct three *t, const struct variant *v, struct world *w, const char *name,
                       const char *url)
{
    char cache[450], bucket[64], err[400];
    w->name = name;
    w->root = -1;
    no_handles(w);
    snprintf(w->dir, sizeof(w->dir), "%s/tree", t->run);
    snprintf(cache, sizeof(cache), "%s/cache-%s", t->run, name);
    snprintf(bucket, sizeof(bucket), "bucket-%s", name);
    if (format(t, v, url, bucket) < 0)
        return -1;
    struct config c = {.meta = (char *)url, .prefix = w->dir, .cache_dir = cache};
    if (vfs_mount(&c, &w->vfs, err, sizeof(err)) != 0) {
        fprintf(stderr, "mount %s: %s\n", url, err);
        return -1;
    }
    struct engine *e = meta_engine(w->vfs->meta);
    e->id_batch[ID_INODE] = e->id_batch[ID_SLICE] = BATCH;
    if (vfs_ready(w->vfs) != 0) {
        fprintf(stderr, "mount %s: %s\n", url, vfs_error(w->vfs));
        return -1;
    }
    return own_root(w->vfs);
}

/* --- quotas --------------------------------------------------------------------------------------
 */

/* As `juicefs quota set` leaves it; in a process of its own, since an environment may be open once
 * in a process. */
static int lmdb_quota(const char *dir, uint64_t ino, const uint8_t limits[16])
{
    pid_t pid = fork();
    if (pid == 0) {
        char field[24];
        struct kv *kv;
        size_t n = (size_t)snprintf(field, sizeof(field), "%" PRIu64, ino);
        int rc = kv_open(dir, false, &kv);
        rc = rc == 0 ? kv_begin(kv, true) : rc;
        rc = rc == 0 ? hash_set(kv, "dirQuota", field, n, limits, 16) : rc;
        rc = rc == 0 ? hash_set(kv, "dirQuotaUsedSpace", field, n, "0", 1) : rc;
        rc = rc == 0 ? hash_set(kv, "dirQuotaUsedInodes", field, n, "0", 1) : rc;
        rc = rc == 0 ? kv_commit(kv, false) : rc;
        _exit(rc != 0);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    return status == 0 ? 0 : -1;
}

static int set_quota(struct three *t, const struct variant *v, struct worlds *w, const char *dir)
{
    struct vfs_loc loc = {.base = INO_ROOT, .path = "a"};
    struct vfs_stat st;
    uint8_t limits[16];
    if (vfs_mkdir(w->redis.vfs, &loc, 0777) != 0 || vfs_mkdir(w->lmdb.vfs, &loc, 0777) != 0 ||
        vfs_stat(w->redis.vfs, &loc, true, &st) != 0)
        return -1;
    put_be64(limits, v->quota_space);
    put_be64(limits + 8, v->quota_inodes);
    server_int(t->server, "HSET dirQuota %llu %b", (unsigned long long)st.ino, limits, (size_t)16);
    server_int(t->server, "HSET dirQuotaUsedSpace %llu 0", (unsigned long long)st.ino);
    server_int(t->server, "HSET dirQuotaUsedInodes %llu 0", (unsigned long long)st.ino);
    return lmdb_quota(dir, st.ino, limits);
}

int worlds_open(struct three *t, const struct variant *v, struct worlds *w)
{
    char url[500];
    memset(w, 0, sizeof(*w));
    snprintf(t->run, sizeof(t->run), "%s/%u", t->dir, t->runs++);
    struct world *k = &w->kernel;
    k->name = "kernel";
    no_handles(k);
    snprintf(k->dir, sizeof(k->dir), "%s/tree", t->run);
    umask(0);
    int rc = mkdir(t->run, 0755) != 0 || mkdir(k->dir, 0777) != 0;
    umask(022);
    k->root = rc == 0 ? open(k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (k->root < 0) {
        perror(k->dir);
        return -1;
    }
    server_int(t->server, "FLUSHALL");
    snprintf(url, sizeof(url), "lmdb://%s/meta", t->run);
    if (open_volume(t, v, &w->redis, "redis", server_url(t->server, 0)) < 0 ||
        open_volume(t, v, &w->lmdb, "lmdb", url) < 0)
        return -1;
    return v->quota_space + v->quota_inodes > 0 ? set_quota(t, v, w, url + 7) : 0;
}

static void close_world(struct world *w)
{
    for (int i = 0; i < THREE_HANDLES; i++) {
        struct handle *h = &w->handle[i];
        if (h->fd >= 0 && w->vfs != NULL)
            vfs_close(w->vfs, h->fd, &h->f);
        else if (h->fd >= 0)
            close(h->fd);
        h->fd = -1;
    }
    vfs_unmount(w->vfs);
    w->vfs = NULL;
    if (w->root >= 0)
        close(w->root);
    w->root = -1;
}

void worlds_close(struct three *t, struct worlds *w)
{
    close_world(&w->redis);
    close_world(&w->lmdb);
    close_world(&w->kernel);
    scratch_remove(t->run);
}

/* --- dumps ---------------------------------------------------------------------------------------
 */

struct item {
    char *line;
};

struct items {
    struct item *item;
    size_t n, cap;
    char list[128]; /* of which elements come now */
    unsigned index;
};

static void hex(struct buf *b, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++) {
        if (p[i] > ' ' && p[i] < 127 && p[i] != '\\')
            buf_add(b, &p[i], 1);
        else
            buf_printf(b, "\\%02x", p[i]);
    }
}

static bool is_key(const struct engine_item *item, const char *key)
{
    return item->key_len == strlen(key) && memcmp(item->key, key, item->key_len) == 0;
}

static int visit(void *ctx, const struct engine_item *item)
{
    struct items *s = ctx;
    struct buf b = {0};
    if (is_key(item, "setting") || item->key[0] == '~')
        return 0; /* differs in its Bucket; names the queue of who sent */
    if (is_key(item, "nextinode") || is_key(item, "nextchunk"))
        return 0; /* taken ahead of need by a thread of its own */
    buf_printf(&b, "%.*s %c ", (int)item->key_len, item->key, item->type);
    if (item->type == 'l') {
        if (strncmp(s->list, item->key, item->key_len) != 0 || s->list[item->key_len] != '\0')
            s->index = 0;
        snprintf(s->list, sizeof(s->list), "%.*s", (int)item->key_len, item->key);
        buf_printf(&b, "[%06u]", s->index++);
    } else if (item->field != NULL) {
        hex(&b, item->field, item->field_len);
    }
    buf_printf(&b, " = ");
    hex(&b, item->value, item->value_len);
    if (s->n == s->cap) {
        s->cap = s->cap == 0 ? 1024 : 2 * s->cap;
        s->item = realloc(s->item, s->cap * sizeof(*s->item));
    }
    if (s->item == NULL || buf_ok(&b) < 0)
        return -ENOMEM;
    s->item[s->n++].line = (char *)b.data; /* taken over */
    return 0;
}

static int by_line(const void *a, const void *b)
{
    return strcmp(((const struct item *)a)->line, ((const struct item *)b)->line);
}

int three_dump(struct world *w, struct buf *out)
{
    struct engine *e = meta_engine(w->vfs->meta);
    struct items s = {0};
    int rc = vfs_flush(w->vfs);
    meta_lock(w->vfs->meta); /* against the thread that sends what is pending */
    if (rc == 0)
        rc = e->ops->scan(e, "*", visit, &s);
    meta_unlock(w->vfs->meta);
    if (s.n > 0)
        qsort(s.item, s.n, sizeof(*s.item), by_line);
    for (size_t i = 0; i < s.n; i++) {
        buf_printf(out, "%s\n", s.item[i].line);
        free(s.item[i].line);
    }
    free(s.item);
    return rc < 0 ? rc : buf_ok(out);
}
