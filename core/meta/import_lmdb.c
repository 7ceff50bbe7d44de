/*
 * import_lmdb.c - a new environment, made in a directory of its own inside the final one and moved
 * into place as a whole: until then nobody sees anything, and a failure leaves nothing behind but,
 * after a kill, that directory (`.load-XXXXXX`).
 */
#include "core/lmdb/types.h"
#include "core/meta/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_ITEMS 20000 /* a transaction */
#define GROW_MOST   24    /* doublings of the map within one batch */
#define PATH_SIZE   4200

struct sink {
    struct kv *kv;
    struct import_batch batch;
};

static int put_item(struct kv *kv, const struct engine_item *it)
{
    switch (it->type) {
    case 's':
        return string_set(kv, it->key, it->value, it->value_len);
    case 'l':
        return list_push(kv, it->key, it->value, it->value_len);
    default:
        return hash_set(kv, it->key, it->field, it->field_len, it->value, it->value_len);
    }
}

static int put_batch(struct sink *s, bool durable)
{
    int rc = kv_begin(s->kv, true);

    for (size_t i = 0; rc == 0 && i < s->batch.places.len; i++) {
        struct engine_item it = import_batch_at(&s->batch, i);
        rc = put_item(s->kv, &it);
    }
    if (rc == 0)
        return kv_commit(s->kv, durable);
    kv_abort(s->kv);
    return rc;
}

static int flush(struct sink *s, bool durable)
{
    int rc;

    for (int grown = 0;; grown++) {
        rc = put_batch(s, durable);
        if (rc != -ENOSPC || !kv_is_full(s->kv) || grown == GROW_MOST || kv_grow(s->kv) < 0)
            break;
    }
    import_batch_clear(&s->batch);
    return rc;
}

static int put(void *sink, const struct engine_item *item)
{
    struct sink *s = sink;
    int rc = import_batch_add(&s->batch, item);

    return rc == 0 && s->batch.places.len >= BATCH_ITEMS ? flush(s, false) : rc;
}

static int fill_new(const char *dir, engine_fill fill, void *ctx, char *err, size_t errlen)
{
    struct sink s = {0};
    int rc = kv_open(dir, true, &s.kv);

    import_batch_init(&s.batch);
    if (rc == 0)
        rc = kv_begin(s.kv, false); /* a directory that will not do is known before the reading */
    if (rc == 0) {
        kv_abort(s.kv);
        rc = fill(ctx, put, &s);
        if (rc == 0)
            rc = flush(&s, true);
    }
    if (rc < 0)
        snprintf(err, errlen, "%s", s.kv != NULL ? kv_error(s.kv) : strerror(-rc));
    import_batch_free(&s.batch);
    kv_close(s.kv);
    return rc;
}

static int move(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    return link(from, to) == 0 ? 0 : -errno; /* the first name goes with its directory */
}

static int publish(const char *fresh, const char *dir, const char *data)
{
    char made[PATH_SIZE + 16];

    snprintf(made, sizeof made, "%s/data.mdb", fresh);
    int rc = move(made, data);
    int fd = rc == 0 ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    return rc;
}

static void remove_fresh(const char *fresh)
{
    static const char *const names[] = {"data.mdb", "lock.mdb"};
    char path[PATH_SIZE + 16];

    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", fresh, names[i]);
        unlink(path);
    }
    rmdir(fresh);
}

int import_lmdb(const char *dir, engine_fill fill, void *ctx, char *err, size_t errlen)
{
    char data[PATH_SIZE], fresh[PATH_SIZE];
    struct stat sb;

    if ((size_t)snprintf(fresh, sizeof fresh, "%s/.load-XXXXXX", dir) >= sizeof fresh) {
        snprintf(err, errlen, "lmdb://%.200s...: %s", dir, strerror(ENAMETOOLONG));
        return -ENAMETOOLONG;
    }
    snprintf(data, sizeof data, "%s/data.mdb", dir);
    bool made = mkdir(dir, 0700) == 0;
    int rc = made || errno == EEXIST ? 0 : -errno;
    if (rc == 0 && lstat(data, &sb) == 0) {
        snprintf(err, errlen, "lmdb://%s: a database is there already", dir);
        return -EEXIST;
    }
    if (rc == 0 && mkdtemp(fresh) == NULL)
        rc = -errno;
    if (rc < 0) {
        snprintf(err, errlen, "lmdb://%s: %s", dir, strerror(-rc));
    } else {
        rc = fill_new(fresh, fill, ctx, err, errlen);
        if (rc == 0 && (rc = publish(fresh, dir, data)) < 0)
            snprintf(err, errlen, "lmdb://%s: %s", dir,
                     rc == -EEXIST ? "another database was made there meanwhile" : strerror(-rc));
        remove_fresh(fresh);
    }
    if (rc < 0 && made)
        rmdir(dir);
    return rc;
}
