/*
 * slot.c - what a staging file holds: filled from the volume, brought in, overlaid, left behind.
 */
#include "core/vfs/vfs_internal.h"

#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct moment seen_mtime(const struct slot *s, uint64_t *length)
{
    struct attr a = {0};
    slot_seen_get(s, &a);
    *length = a.length;
    return a.mtime;
}

int slot_hydrate(struct vfs *v, uint32_t number)
{
    struct staging_owner owner;
    struct slot *s = staging_slot(v->staging, number);
    uint64_t length;

    if (lane_settle(v->staging, number) < 0)
        return -EIO;
    if (s->published == 0)
        return 0;
    struct moment mtime = seen_mtime(s, &length);
    staging_enter(v->staging, &owner);
    int fd = staging_open_file(v->staging, number, O_RDWR);
    struct stat sb;
    int rc = fd < 0 ? fd : fstat(fd, &sb) != 0 ? -errno : 0;
    staging_leave(&owner);
    if (rc == 0) {
        uint64_t n = s->published < (uint64_t)sb.st_size ? s->published : (uint64_t)sb.st_size;
        rc = content_copy(v, s->ino, mtime, 0, n, (s->flags & SLOT_GONE) != 0, fd);
        if (rc == 0) {
            s->published = 0;
            struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, sb.st_mtim};
            staging_enter(v->staging, &owner); /* only its owner may */
            futimens(fd, t);                   /* as dirty or clean as it was */
            staging_leave(&owner);
        }
    }
    if (fd >= 0)
        staging_close_file(v->staging, number, fd);
    return rc;
}

static void filled(struct slot *s, const struct attr *a, uint32_t flags)
{
    s->published = a->length;
    s->dirty_lo = UINT64_MAX;
    s->dirty_hi = 0;
    slot_seen_set(s, a);
    __atomic_store_n(&s->flags, (s->flags & (SLOT_DIRECT | SLOT_MAPPED)) | SLOT_FILLED | flags,
                     __ATOMIC_SEQ_CST);
}

/* The file's bytes are those of the volume again: none here. */
static int fill_lazy(struct vfs *v, uint32_t number, const struct attr *a)
{
    struct slot *s = staging_slot(v->staging, number);
    if ((s->flags & (SLOT_BLANK | SLOT_FILLED)) == SLOT_BLANK && a->length == 0) {
        filled(s, a, SLOT_BLANK);
        return 0;
    }
    int fd = staging_open_file(v->staging, number, O_RDWR);
    if (fd < 0)
        return fd;
    int rc = 0;
    struct stat sb;
    /* Killed half-way, it is nobody's file: neither this one's nor what it was before. */
    __atomic_and_fetch(&s->flags, ~(uint32_t)SLOT_FILLED, __ATOMIC_SEQ_CST);
    if (fstat(fd, &sb) != 0 || (sb.st_size != 0 && ftruncate(fd, 0) != 0) ||
        (a->length != 0 && ftruncate(fd, (off_t)a->length) != 0))
        rc = -errno;
    if (rc == 0) {
        staging_set_clean(s, fd);
        filled(s, a, 0);
    }
    staging_close_file(v->staging, number, fd);
    return rc;
}

static bool slot_is_dirty(struct vfs *v, uint32_t number)
{
    struct stat sb;
    return staging_stat(v->staging, number, &sb) == 0 &&
           staging_is_dirty(staging_slot(v->staging, number), &sb);
}

/* Another client changed the file; programs that use ours past the wrappers find the new bytes
 * in place, the others fetch them. */
static int fill_again(struct vfs *v, uint32_t number, const struct attr *a)
{
    struct slot *s = staging_slot(v->staging, number);
    bool in_place = (s->flags & (SLOT_DIRECT | SLOT_MAPPED)) != 0;
    int rc = fill_lazy(v, number, a);
    if (rc == 0 && in_place)
        rc = slot_hydrate(v, number);
    return rc;
}

static int commit_left(struct vfs *v, uint32_t number, bool *sent)
{
    struct commit c;
    int rc = commit_prepare(v, number, true, &c);
    *sent = c.n > 0;
    if (rc == 0)
        rc = commit_send(v, &c, NULL);
    commit_fini(v, &c);
    return rc;
}

/* Slot locked: makes its file that of attr, as open(2) found it. */
int slot_fill(struct vfs *v, uint32_t number, enum staging_how how, bool emptied,
              const struct attr *a)
{
    struct slot *s = staging_slot(v->staging, number);
    struct attr seen;

    int settled = lane_settle(v->staging, number);
    if (settled < 0)
        return settled;
    if (how == STAGING_ABANDONED && (s->flags & SLOT_FILLED) != 0) {
        /* A killed process left it.  What it wrote counts, unless the file was emptied since. */
        bool sent = false;
        if (!emptied && slot_is_dirty(v, number)) {
            int rc = commit_left(v, number, &sent);
            if (rc < 0)
                return rc;
        }
        s->flags &= ~(uint32_t)(SLOT_DIRECT | SLOT_MAPPED);
        if (sent)
            return 0; /* newer than what open(2) found */
    }
    /* Not "how is STAGING_NEW": who came second may have been first to lock the slot. */
    if (emptied || (s->flags & SLOT_FILLED) == 0 || !slot_seen_get(s, &seen))
        return fill_lazy(v, number, a);
    if (slot_is_dirty(v, number))
        return 0; /* a writer on this host: its bytes are the newest */
    if (seen.mtime.sec == a->mtime.sec && seen.mtime.nsec == a->mtime.nsec &&
        seen.length == a->length) {
        slot_seen_set(s, a);
        return 0;
    }
    return fill_again(v, number, a);
}

/* --- names that vanish ------------------------------------------------------------------------ */

uint64_t *slots_held(struct vfs *v, uint32_t *bytes)
{
    enum { MOST = 8192 };
    uint64_t *ino = NULL;
    size_t n = 0;

    *bytes = 0;
    if (v->staging == NULL || (ino = malloc(MOST * sizeof *ino)) == NULL)
        return NULL;
    n = staging_inodes(v->staging, ino, MOST);
    for (size_t i = 0; i < n; i++)
        put_be64((uint8_t *)&ino[i], ino[i]);
    *bytes = (uint32_t)(n * sizeof *ino);
    return ino;
}

void slot_gone(struct vfs *v, uint64_t ino, uint64_t length, bool deferred, const struct attr *a)
{
    uint32_t number = staging_find(v->staging, ino);
    if (number != 0) {
        struct slot *s = staging_slot(v->staging, number);
        slot_lock(s);
        if (s->ino == ino) {
            s->flags |= SLOT_GONE;
            if (slot_hydrate(v, number) < 0)
                log_at(LOG_ERROR, "inode %llu: unlinked while open, its data could not be kept",
                       (unsigned long long)ino);
            struct attr seen;
            if (a != NULL || slot_seen_get(s, &seen)) {
                seen = a != NULL ? *a : seen;
                seen.nlink = 0;
                slot_seen_set(s, &seen);
            }
        }
        slot_unlock(s);
        struct staging_owner owner;
        staging_enter(v->staging, &owner);
        staging_release(v->staging, number, s->gen);
        staging_leave(&owner);
    }
    if (deferred) {
        struct request r;
        request_inode(v, &r, OP_PURGE, ino);
        r.op.len = length;
        /* On failure it stays listed in delfiles, which stock clients empty. */
        if (request_call(v, &r, NULL) == 0)
            vfs_drop_slices(v, &r.res.extra);
        request_fini(&r);
    }
}

void slot_overlay(struct vfs *v, uint64_t ino, struct attr *a)
{
    uint32_t number = v->staging != NULL ? staging_find(v->staging, ino) : 0;
    const struct slot *s = staging_slot(v->staging, number);
    struct stat sb;
    if (s == NULL)
        return;
    uint32_t flags = __atomic_load_n(&s->flags, __ATOMIC_ACQUIRE);
    bool lane = (flags & SLOT_LANE) != 0;
    if ((flags & SLOT_READS) != 0 || (flags & SLOT_FILLED) == 0 ||
        (lane && s->dirty_lo >= s->dirty_hi))
        return;
    if (!lane && (staging_stat(v->staging, number, &sb) != 0 || !staging_is_touched(s, &sb)))
        return;
    bool mine = lane_bytes(v->staging, number) != NULL; /* not left by a killed process then */
    if (s->ino != ino || (!mine && staging_left(v->staging, number)))
        return;
    if (lane) {
        a->length = __atomic_load_n(&s->lane_len, __ATOMIC_ACQUIRE);
        a->mtime = s->lane_mtime;
    } else {
        a->length = (uint64_t)sb.st_size;
        a->mtime = (struct moment){.sec = sb.st_mtim.tv_sec, .nsec = (uint32_t)sb.st_mtim.tv_nsec};
    }
    if (a->mtime.sec > a->ctime.sec ||
        (a->mtime.sec == a->ctime.sec && a->mtime.nsec > a->ctime.nsec))
        a->ctime = a->mtime;
}
