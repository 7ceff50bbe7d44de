/*
 * descriptor.c - what an open descriptor is, by its name in /proc, and closing it.
 */
#include "core/vfs/vfs_internal.h"

#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- recognising ------------------------------------------------------------------------------ */

/* The staging area that a descriptor's name tells of; no connection is needed for it. */
static struct staging *staging_of(struct vfs *v, const char *uuid)
{
    char why[400];
    pthread_mutex_lock(&v->lock);
    if (v->staging == NULL &&
        staging_open(v->config.cache_dir, uuid, &v->staging, why, sizeof why) < 0)
        log_at(LOG_ERROR, "%s", why);
    struct staging *st = v->staging;
    pthread_mutex_unlock(&v->lock);
    return st != NULL && strcmp(staging_uuid(st), uuid) == 0 ? st : NULL;
}

static int kind_of_link(struct vfs *v, const char *proc, char uuid[64], uint64_t *number)
{
    char link[PATH_MAX];
    ssize_t n = readlink(proc, link, sizeof link - 1);
    if (n <= 0)
        return 0;
    link[n] = '\0';
    return staging_name_of(link, v->config.cache_dir, uuid, number);
}

int vfs_identify(struct vfs *v, int fd, struct vfs_fd *out)
{
    char proc[64], uuid[64];
    uint64_t number;

    memset(out, 0, sizeof *out);
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    int kind = kind_of_link(v, proc, uuid, &number);
    struct staging *st = kind != 0 ? staging_of(v, uuid) : NULL;
    if (st == NULL)
        return 0;
    out->ino = number;
    out->kind = kind == 'd' ? VFS_DIR : VFS_PATH;
    if (kind == 's') {
        struct slot *s = staging_slot(st, (uint32_t)number);
        if (s == NULL || s->ino == 0)
            return 0;
        int fl = fcntl(fd, F_GETFL);
        out->kind = VFS_FILE;
        out->ino = s->ino;
        out->slot = (uint32_t)number;
        out->gen = s->gen;
        out->readable = fl >= 0 && (fl & O_ACCMODE) != O_WRONLY;
        out->writable = fl >= 0 && (fl & O_ACCMODE) != O_RDONLY;
        out->append = fl >= 0 && (fl & O_APPEND) != 0;
        vfs_settle(v, out); /* it may be one more */
    }
    return 1;
}

int vfs_cwd_identify(struct vfs *v, uint64_t *ino)
{
    char uuid[64];
    return kind_of_link(v, "/proc/self/cwd", uuid, ino) == 'd' && staging_of(v, uuid) != NULL;
}

void vfs_fd_moved(struct vfs *v, int old, int fresh)
{
    int meta[4];
    size_t n = meta_fds(v->meta, meta, 4);
    for (size_t i = 0; i < n; i++) {
        if (meta[i] == old) {
            meta_fd_moved(v->meta, fresh);
            return;
        }
    }
    if (v->packs != NULL && packs_fd(v->packs) == old)
        packs_fd_moved(v->packs, fresh);
    else if (v->store != NULL && store_fd(v->store) == old)
        store_fd_moved(v->store, fresh);
    else if (v->staging != NULL)
        staging_fd_moved(v->staging, old, fresh);
}

/* --- closing ---------------------------------------------------------------------------------- */

int vfs_commit(struct vfs *v, int fd, const struct vfs_fd *f)
{
    (void)fd;
    if (f->kind != VFS_FILE || v->staging == NULL)
        return 0;
    struct slot *s = staging_slot(v->staging, f->slot);
    if (s == NULL)
        return 0;
    slot_lock(s);
    int rc = s->ino == f->ino && s->gen == f->gen ? commit_slot(v, f->slot) : 0;
    slot_unlock(s);
    return rc;
}

static int commit_settled(struct vfs *v, const struct vfs_fd *f)
{
    struct slot *s = staging_slot(v->staging, f->slot);
    int rc = 0;
    slot_lock(s);
    if (s->ino == f->ino && s->gen == f->gen) {
        rc = lane_settle(v->staging, f->slot);
        if (rc == 0)
            rc = commit_slot(v, f->slot);
    }
    slot_unlock(s);
    return rc;
}

int vfs_keep_locks(struct vfs *v, const struct vfs_fd *f)
{
    struct staging_owner owner;
    struct slot *s = f->kind == VFS_FILE ? staging_slot(v->staging, f->slot) : NULL;
    if (s == NULL)
        return 0;
    staging_enter(v->staging, &owner);
    slot_lock(s);
    int rc = lane_settle(v->staging, f->slot); /* ranges are relative to the offset and the end */
    if (rc == 0)
        rc = staging_keep(v->staging, f->slot);
    slot_unlock(s);
    staging_leave(&owner);
    return rc;
}

int vfs_fsync(struct vfs *v, int fd, const struct vfs_fd *f)
{
    int rc = vfs_commit(v, fd, f);
    if (rc == 0)
        rc = vfs_flush(v);
    return rc == 0 ? meta_deferred(v->meta, f->ino) : rc;
}

static void release_file(struct vfs *v, const struct vfs_fd *f)
{
    struct slot *s = staging_slot(v->staging, f->slot);
    if (s == NULL)
        return;
    if (staging_keeps(v->staging, f->slot)) {
        slot_lock(s); /* nobody is using it */
        staging_unkeep(v->staging, f->slot);
        slot_unlock(s);
    }
    if (!staging_release(v->staging, f->slot, f->gen))
        return;
    int rc = commit_settled(v, f);
    if (rc < 0)
        log_at(LOG_ERROR, "inode %llu: what was written to it otherwise is not in the volume: %s",
               (unsigned long long)f->ino, strerror(-rc));
    staging_release(v->staging, f->slot, f->gen);
}

void vfs_release(struct vfs *v, const struct vfs_fd *f)
{
    struct staging_owner owner;
    if (v->staging == NULL)
        return;
    staging_enter(v->staging, &owner);
    if (f->kind == VFS_FILE)
        release_file(v, f);
    else if (f->kind == VFS_DIR && f->made)
        staging_drop_dir(v->staging, f->ino);
    staging_leave(&owner);
}

int vfs_settle(struct vfs *v, const struct vfs_fd *f)
{
    struct slot *s =
        f->kind == VFS_FILE && v->staging != NULL ? staging_slot(v->staging, f->slot) : NULL;
    if (s == NULL || (__atomic_load_n(&s->flags, __ATOMIC_ACQUIRE) &
                      (SLOT_LANE | SLOT_READS | SLOT_BEHIND)) == 0)
        return 0;
    slot_lock(s);
    int rc = s->ino == f->ino && s->gen == f->gen ? lane_settle(v->staging, f->slot) : 0;
    slot_unlock(s);
    return rc;
}

int vfs_close(struct vfs *v, int fd, const struct vfs_fd *f)
{
    int rc = f->writable ? vfs_commit(v, fd, f) : 0;
    if (f->writable && v->staging != NULL && meta_engine(v->meta)->params.sync_close) {
        int flushed = vfs_flush(v);
        rc = rc < 0 ? rc : flushed;
    }
    if (f->writable && rc == 0)
        rc = meta_deferred(v->meta, f->ino);
    if (f->kind == VFS_FILE && v->staging != NULL)
        lane_closing(v->staging, f->slot);
    close(fd);
    vfs_release(v, f);
    return rc;
}
