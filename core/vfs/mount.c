/*
 * mount.c - a volume at a prefix: made from the configuration without a connection, made ready at
 * the first call that needs it.
 */
#include "core/vfs/vfs_internal.h"

#include "core/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *copy(const char *s)
{
    return s != NULL ? strdup(s) : NULL;
}

/* Descriptors are recognised by the name that /proc shows, which has no symlinks in it. */
static char *canonical(const char *cache_dir)
{
    mkdir(cache_dir, 0700); /* deeper ones are made when staging is opened */
    char *real = realpath(cache_dir, NULL);
    return real != NULL ? real : copy(cache_dir);
}

int vfs_mount(const struct config *c, struct vfs **out, char *err, size_t errlen)
{
    struct vfs *v = NULL;
    int rc = -ENOMEM;

    *out = NULL;
    if (c->meta == NULL) {
        snprintf(err, errlen, "no metadata URL: set JFSPRE_META or `meta` in the configuration");
        return -EINVAL;
    }
    v = calloc(1, sizeof *v);
    if (v == NULL)
        goto out;
    pthread_mutex_init(&v->lock, NULL);
    pthread_mutex_init(&v->packing_lock, NULL);
    atomic_init(&v->umask, -1);
    v->config.meta = copy(c->meta);
    v->config.prefix = copy(c->prefix);
    v->config.cache_dir = canonical(c->cache_dir);
    if (v->config.meta == NULL || v->config.prefix == NULL || v->config.cache_dir == NULL)
        goto out;
    rc = meta_open(c->meta, c->prefix, &v->meta, err, errlen);
out:
    if (rc == -ENOMEM)
        snprintf(err, errlen, "out of memory");
    if (rc < 0)
        vfs_unmount(v);
    else
        *out = v;
    return rc;
}

void vfs_unmount(struct vfs *v)
{
    if (v == NULL)
        return;
    content_forget_all(v);
    meta_close(v->meta);
    packs_close(v->packs);
    free(v->packing_buffer);
    metrics_close(v->metrics);
    store_close(v->store);
    staging_close(v->staging);
    config_free(&v->config);
    pthread_mutex_destroy(&v->lock);
    free(v);
}

static uint64_t device_of(const char *uuid)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (; *uuid != '\0'; uuid++)
        h = (h ^ (uint8_t)*uuid) * UINT64_C(1099511628211);
    return UINT64_C(0x7a00000) | (h & 0xfffff); /* an unassigned major, so no real device */
}

/* A hook of meta. */
static int drop_slice(void *ctx, uint64_t id, uint32_t size)
{
    struct vfs *v = ctx;
    struct staging_owner owner;
    staging_enter(v->staging, &owner);
    int rc = store_delete_slice(v->store, id, size);
    staging_leave(&owner);
    return rc;
}

static void act_as_owner(void *ctx, bool begin)
{
    static __thread struct staging_owner owner;
    const struct vfs *v = ctx;
    if (begin)
        staging_enter(v->staging, &owner);
    else
        staging_leave(&owner);
}

static void begin_batching(struct vfs *v)
{
    struct meta_hooks hooks = {.ctx = v, .drop = drop_slice, .act = act_as_owner};
    char why[400];
    if (v->batching)
        return;
    packing_open(v);
    if (v->packs != NULL) {
        hooks.pack = packing_add;
        hooks.seal = packing_seal;
        hooks.discard = packing_discard;
    }
    v->batching = meta_batch(v->meta, staging_area(v->staging), &hooks, why, sizeof why) == 0;
    if (!v->batching)
        log_once(LOG_WARN, "%s: each change is sent at once", why);
}

static int make_ready(struct vfs *v)
{
    const struct setting *s;
    char why[400];

    int rc = meta_setting(v->meta, &s);
    if (rc < 0)
        return vfs_fail(v, rc, "%s: %s", v->config.prefix, meta_error(v->meta));
    if (v->staging != NULL && strcmp(staging_uuid(v->staging), s->uuid) != 0)
        return vfs_fail(v, -ESTALE, "%s: inherited descriptors belong to another volume (%s)",
                        v->config.prefix, staging_uuid(v->staging));
    if (v->store == NULL) {
        rc = store_open(s, &v->store, why, sizeof why);
        if (rc == -ENOENT || rc == -ENOTDIR)
            rc = -EIO; /* a program would take it for an answer about its own path */
        if (rc < 0)
            return vfs_fail(v, rc, "%s: %s", v->config.prefix, why);
    }
    if (v->staging == NULL) {
        rc = staging_open(v->config.cache_dir, s->uuid, &v->staging, why, sizeof why);
        if (rc < 0)
            return vfs_fail(v, rc, "%s: %s", v->config.prefix, why);
    }
    if (v->metrics == NULL) {
        metrics_open(staging_area(v->staging), &v->metrics);
        meta_set_metrics(v->meta, v->metrics);
    }
    begin_batching(v);
    v->dev = device_of(s->uuid);
    atomic_store(&v->ready, true);
    return 0;
}

/* The program gave up the user that the staging area belongs to, for good: it goes on in that of
 * the new one.  The old one stays mapped, other threads may be in it; descriptors from before are
 * the business of who lent them. */
static int change_user(struct vfs *v)
{
    struct staging *fresh;
    char why[400];
    int rc = staging_open(v->config.cache_dir, staging_uuid(v->staging), &fresh, why, sizeof why);
    if (rc < 0)
        return vfs_fail(v, rc, "%s: %s", v->config.prefix, why);
    staging_drop_spares(v->staging);
    v->staging = fresh;
    v->batching = false;
    begin_batching(v);
    return 0;
}

int vfs_ready(struct vfs *v)
{
    if (atomic_load(&v->ready) && staging_is_mine(v->staging))
        return 0;
    pthread_mutex_lock(&v->lock);
    int rc = atomic_load(&v->ready) ? 0 : make_ready(v);
    if (rc == 0 && !staging_is_mine(v->staging))
        rc = change_user(v);
    if (rc == 0 && atomic_load(&v->unseen))
        lanes_end(v->staging); /* none began: no slot is locked here */
    pthread_mutex_unlock(&v->lock);
    return rc;
}

int vfs_ready_to_make(struct vfs *v)
{
    if (!atomic_load(&v->ready))
        meta_will_make(v->meta);
    return vfs_ready(v);
}

const char *vfs_error(struct vfs *v)
{
    return v->error[0] != '\0' ? v->error : meta_error(v->meta);
}

const char *vfs_prefix(const struct vfs *v)
{
    return v->config.prefix;
}

int vfs_flush(struct vfs *v)
{
    if (!atomic_load(&v->ready))
        return 0;
    int rc = meta_flush(v->meta);
    return rc < 0 ? vfs_fail(v, rc, "%s: %s", v->config.prefix, meta_error(v->meta)) : 0;
}

bool vfs_stop(struct vfs *v)
{
    return meta_stop(v->meta);
}

void vfs_input(struct vfs *v)
{
    meta_input(v->meta);
}

bool vfs_is_pending(const struct vfs *v)
{
    return atomic_load(&v->ready) && meta_is_pending(v->meta);
}

void vfs_unseen(struct vfs *v)
{
    atomic_store(&v->unseen, true);
    if (v->staging != NULL)
        lanes_end(v->staging);
}

void vfs_before_fork(struct vfs *v)
{
    if (v->staging != NULL) /* before our own lock: slots come first */
        lanes_before_fork(v->staging);
    pthread_mutex_lock(&v->lock);
    meta_before_fork(v->meta);
}

void vfs_after_fork(struct vfs *v, bool in_child)
{
    if (in_child && v->staging != NULL)
        staging_after_fork(v->staging);
    else if (v->staging != NULL)
        lanes_after_fork(v->staging);
    if (in_child && v->packs != NULL)
        packs_after_fork(v->packs);
    if (in_child && v->store != NULL)
        store_after_fork(v->store);
    if (in_child) /* another thread of the parent may have held it */
        pthread_mutex_init(&v->packing_lock, NULL);
    if (in_child)
        meta_after_fork(v->meta);
    else
        meta_after_fork_parent(v->meta);
    /* Parent and child must not create the same inode. */
    if (in_child)
        v->spare_ino = 0;
    pthread_mutex_unlock(&v->lock);
}

size_t vfs_own_fds(struct vfs *v, int *fds, size_t n)
{
    size_t have = meta_fds(v->meta, fds, n);
    if (v->staging != NULL)
        have += staging_own_fds(v->staging, fds + have, n - have);
    if (v->packs != NULL && packs_fd(v->packs) >= 0 && have < n)
        fds[have++] = packs_fd(v->packs);
    if (v->store != NULL && store_fd(v->store) >= 0 && have < n)
        fds[have++] = store_fd(v->store);
    return have;
}

int vfs_statfs(struct vfs *v, struct vfs_statfs *out)
{
    struct request r;
    const struct setting *s;
    struct vfs_loc root = {.base = INO_ROOT, .path = ""};

    int rc = request_simple(v, &r, OP_STATFS, &root);
    if (rc == 0 && r.res.extra.len < 16)
        rc = -EIO;
    if (rc == 0)
        rc = meta_setting(v->meta, &s);
    if (rc == 0) {
        int64_t used = (int64_t)get_be64(r.res.extra.data);
        int64_t inodes = (int64_t)get_be64(r.res.extra.data + 8);
        uint64_t used_bytes = used > 0 ? (uint64_t)used : 0;
        uint64_t used_inodes = inodes > 0 ? (uint64_t)inodes : 0;
        uint64_t total = s->capacity_bytes;
        if (total == 0) { /* without a limit: as stock, 1 PiB doubled until 80 % is not reached */
            total = UINT64_C(1) << 50;
            while (used_bytes > total / 10 * 8)
                total *= 2;
        }
        memset(out, 0, sizeof *out);
        out->block_bytes = 4096;
        out->blocks = total / 4096;
        out->blocks_free = used_bytes < total ? (total - used_bytes) / 4096 : 0;
        uint64_t free_inodes = UINT64_C(10) << 20;
        if (s->inodes != 0)
            free_inodes = s->inodes > used_inodes ? s->inodes - used_inodes : 0;
        else
            while (free_inodes * 10 < (free_inodes + used_inodes) * 8)
                free_inodes *= 2;
        out->files = used_inodes + free_inodes;
        out->files_free = free_inodes;
        out->fsid = v->dev;
    }
    request_fini(&r);
    return rc;
}
