/*
 * staging_slots.c - who holds a slot's file, and when it comes back.
 */
#include "core/vfs/staging_internal.h"

#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SWEEP_EVERY 32 /* files that get a spare slot */

struct slot *staging_slot(struct staging *st, uint32_t number)
{
    return number != 0 && number < SLOTS ? &st->t->slot[number] : NULL;
}

uint32_t staging_find(struct staging *st, uint64_t ino)
{
    if (__atomic_load_n(&st->t->used, __ATOMIC_ACQUIRE) == 0)
        return 0;
    table_lock(st->t);
    uint32_t n = table_find(st->t, ino);
    table_unlock(st->t);
    return n;
}

/* The table is locked, so nobody opens the file meanwhile. */
static bool nobody_holds(int fresh_fd)
{
    if (fcntl(fresh_fd, F_SETLEASE, F_WRLCK) != 0)
        return false;
    fcntl(fresh_fd, F_SETLEASE, F_UNLCK);
    return true;
}

static bool alone_locked(struct staging *st, uint32_t number)
{
    int fd = staging_open_file(st, number, O_RDWR);
    if (fd < 0)
        return false;
    bool alone = nobody_holds(fd);
    staging_close_file(st, number, fd);
    return alone;
}

/* The buffer of a spare slot whose process goes or went. */
static void drop_lane(struct staging *st, uint32_t number)
{
    char name[32];
    staging_name('f', number, name);
    unlinkat(st->dir, name, 0);
}

/* Its file is empty, and the descriptor kept of it is all that holds it. */
static bool make_spare(struct staging *st, uint32_t number)
{
    if (!kept_turn(&st->kept, number, KEPT_WORK, KEPT_SPARE))
        return false;
    table_move(st->t, number, SLOT_SPARE);
    return true;
}

/* Nobody holds the file and nothing in it waits for a commit: the slot is free again, or a spare
 * one of this process. */
static bool release_locked(struct staging *st, uint32_t number)
{
    bool unseen = false;
    struct slot *s = &st->t->slot[number];
    bool untouched = lane_is_over(st, number);
    if (!untouched)
        kept_drop_source(&st->kept, number);
    int fd = staging_open_file(st, number, O_RDWR);
    struct stat sb;
    if (fd >= 0 && (untouched || nobody_holds(fd)) && fstat(fd, &sb) == 0 &&
        ((s->flags & SLOT_GONE) != 0 || !staging_is_dirty(s, &sb) || !s->has_seen)) {
        bool empty = true;
        /* First: killed behind the truncation, the empty file must not be taken for the inode's. */
        s->has_seen = false;
        __atomic_store_n(&s->flags, 0, __ATOMIC_SEQ_CST);
        if (sb.st_size != 0 && ftruncate(fd, 0) != 0) {
            log_at(LOG_WARN, "staging file %u: %s", number, strerror(errno));
            empty = false;
        }
        if ((sb.st_mode & 0777) != 0600)
            fchmod(fd, 0600);
        if (s->ino == SLOT_SPARE)
            drop_lane(st, number);
        if (!empty || !make_spare(st, number))
            table_give(st->t, number);
    } else if (fd >= 0 && (s->flags & SLOT_LANE) != 0) {
        unseen = fstat(fd, &sb) == 0 && staging_is_touched(s, &sb);
    }
    if (fd >= 0)
        staging_close_file(st, number, fd);
    return unseen;
}

bool staging_release(struct staging *st, uint32_t number, uint32_t gen)
{
    struct slot *s = staging_slot(st, number);
    bool unseen = false;
    if (s == NULL)
        return false;
    slot_lock(s); /* nobody is using what is kept of it */
    table_lock(st->t);
    if (s->ino != 0 && s->gen == gen) {
        unseen = release_locked(st, number);
        kept_drop(&st->kept, number, KEPT_WORK); /* others hold it, or it is given back */
    }
    table_unlock(st->t);
    slot_unlock(s);
    return unseen;
}

void staging_drop_spares(struct staging *st)
{
    uint32_t number;

    table_lock(st->t);
    while (kept_numbers(&st->kept, KEPT_SPARE, &number, 1) != 0) {
        if (st->t->slot[number].ino == SLOT_SPARE) {
            drop_lane(st, number);
            table_give(st->t, number);
        }
        kept_drop(&st->kept, number, KEPT_SPARE);
    }
    table_unlock(st->t);
}

/* Mappings end without a call of ours, and so do processes: each new slot looks at two old ones. */
static void sweep_locked(struct staging *st)
{
    struct table *t = st->t;
    int looked = 0;
    for (uint32_t step = 0; step < t->high && step < 64 && looked < 2; step++) {
        t->hand = t->hand % t->high + 1;
        uint32_t n = t->hand;
        if (t->slot[n].ino == 0 || kept_is(&st->kept, n, KEPT_SPARE))
            continue;
        looked++;
        if (!kept_is(&st->kept, n, KEPT_WORK)) {
            release_locked(st, n);
        } else if (slot_trylock(&t->slot[n])) { /* else somebody uses what is kept */
            release_locked(st, n);
            if (t->slot[n].ino == SLOT_SPARE || t->slot[n].ino == 0)
                kept_drop(&st->kept, n, KEPT_WORK);
            slot_unlock(&t->slot[n]);
        }
    }
}

/* A killed process was writing a new file and had not closed it.  Half a file under the name of a
 * whole one is worse than none, so it is not published: l/INO-GEN keeps it. */
static void set_aside_locked(struct staging *st, uint32_t number)
{
    struct slot *s = &st->t->slot[number];
    char name[32], aside[64];
    if (lane_settle(st, number) < 0)
        log_at(LOG_ERROR, "inode %llu: what a killed process had not closed is lost",
               (unsigned long long)s->ino);
    staging_name('s', number, name);
    snprintf(aside, sizeof aside, "l/%llu-%u", (unsigned long long)s->ino, s->gen);
    mkdirat(st->dir, "l", 0700);
    if (renameat(st->dir, name, st->dir, aside) == 0)
        log_at(LOG_WARN, "inode %llu: what a killed process had not closed is kept as %s/%s",
               (unsigned long long)s->ino, st->path, aside);
    kept_drop(&st->kept, number, KEPT_WORK); /* of the file that went */
    s->flags = 0;
    s->gen++;
    s->published = 0;
    s->dirty_lo = UINT64_MAX;
    s->dirty_hi = 0;
    s->has_seen = false;
}

/* Not so for what was appended, for a file that had content, and for what was written past our
 * wrappers (the writer could not commit): the next one commits that. */
static bool is_unfinished(struct staging *st, uint32_t number)
{
    const uint32_t kept = SLOT_DIRECT | SLOT_MAPPED | SLOT_GONE | SLOT_APPENDED;
    struct slot *s = &st->t->slot[number];
    struct attr seen = {0};
    struct stat sb;
    slot_probe(s);
    return (s->flags & kept) == 0 && (s->dirty_hi > s->dirty_lo || (s->flags & SLOT_TORN) != 0) &&
           slot_seen_get(s, &seen) && seen.length == 0 && staging_stat(st, number, &sb) == 0 &&
           staging_is_dirty(s, &sb);
}

bool staging_left(struct staging *st, uint32_t number)
{
    table_lock(st->t);
    bool left = is_unfinished(st, number) && alone_locked(st, number);
    table_unlock(st->t);
    return left;
}

/* A spare slot for the inode, opened with these flags: number, or 0. */
static uint32_t take_spare(struct staging *st, uint64_t ino, int flags)
{
    uint32_t n = kept_spare(&st->kept, flags & STAGING_FLAGS & ~O_CLOEXEC);
    if (n != 0 && st->t->slot[n].ino != SLOT_SPARE) { /* a child that nobody saw took it */
        kept_drop(&st->kept, n, KEPT_SPARE);
        return 0;
    }
    if (n == 0 || !kept_turn(&st->kept, n, KEPT_SPARE, KEPT_WORK))
        return 0;
    table_move(st->t, n, ino);
    st->t->slot[n].flags = SLOT_BLANK;
    return n;
}

/* The first files of a process: what is opened here serves the next ones too. */
static void keep_for_work(struct staging *st, uint32_t number)
{
    int fd = staging_open_file(st, number, O_RDWR);
    if (fd < 0)
        return;
    fd = staging_high_fd(fd);
    if (fd < HIGH_FD || !kept_add(&st->kept, number, fd, KEPT_WORK))
        close(fd);
}

/* A descriptor for the program on the file of a slot, which is its first one or not. */
static int open_for(struct staging *st, uint32_t number, int flags, bool first)
{
    char name[32];
    int source = first ? kept_source(&st->kept, number, flags & STAGING_FLAGS & ~O_CLOEXEC) : -1;
    int fd = -1;
    if (source >= 0)
        fd = fcntl(source, (flags & O_CLOEXEC) != 0 ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
    if (fd >= 0)
        return fd;
    kept_drop_source(&st->kept, number); /* what is opened here is not its duplicate */
    staging_name('s', number, name);
    return openat(st->dir, name, (flags & STAGING_FLAGS) | O_CREAT, 0600);
}

int staging_hold(struct staging *st, uint64_t ino, int flags, uint32_t *number,
                 enum staging_how *how)
{
    int fd, room = 0;
    bool writes = (flags & O_ACCMODE) != O_RDONLY;

    table_lock(st->t);
    uint32_t n = table_find(st->t, ino);
    *how = STAGING_NEW;
    if (n != 0) {
        *how = alone_locked(st, n) ? STAGING_ABANDONED : STAGING_SHARED;
        if (*how == STAGING_ABANDONED && is_unfinished(st, n)) {
            set_aside_locked(st, n);
            *how = STAGING_NEW;
        }
    } else {
        if (kept_spare(&st->kept, flags) == 0 || ++st->spared % SWEEP_EVERY == 0)
            sweep_locked(st); /* before it is taken: nobody holds it yet */
        n = take_spare(st, ino, flags);
        if (n == 0 && (room = staging_back_more(st)) == 0)
            n = table_take(st->t, ino);
    }
    fd = room < 0 ? room : n == 0 ? -ENFILE : open_for(st, n, flags, *how == STAGING_NEW);
    if (fd >= 0) {
        st->t->slot[n].opened++;
    } else if (fd == -1) {
        fd = -errno;
        if (*how == STAGING_NEW && n != 0) {
            table_give(st->t, n);
            kept_drop(&st->kept, n, KEPT_WORK);
        }
    }
    if (fd >= 0 && *how == STAGING_NEW && writes && kept_get(&st->kept, n) < 0)
        keep_for_work(st, n);
    table_unlock(st->t);
    *number = n;
    return fd;
}

bool staging_alone(struct staging *st, uint32_t number)
{
    table_lock(st->t);
    bool alone = alone_locked(st, number);
    table_unlock(st->t);
    return alone;
}

size_t staging_inodes(struct staging *st, uint64_t *ino, size_t n)
{
    size_t have = 0;
    if (__atomic_load_n(&st->t->used, __ATOMIC_ACQUIRE) == 0)
        return 0;
    table_lock(st->t);
    for (uint32_t i = 1; i <= st->t->high && have < n; i++) {
        if (st->t->slot[i].ino != 0 && st->t->slot[i].ino != SLOT_SPARE)
            ino[have++] = st->t->slot[i].ino;
    }
    table_unlock(st->t);
    return have;
}

int staging_open_file(struct staging *st, uint32_t number, int flags)
{
    char name[32];
    int fd = kept_get(&st->kept, number);
    if (fd >= 0)
        return fd;
    staging_name('s', number, name);
    fd = openat(st->dir, name, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void staging_close_file(struct staging *st, uint32_t number, int fd)
{
    if (fd != kept_get(&st->kept, number))
        close(fd);
}

int staging_stat(struct staging *st, uint32_t number, struct stat *out)
{
    struct staging_owner owner;
    char name[32];
    staging_name('s', number, name);
    staging_enter(st, &owner);
    int rc = fstatat(st->dir, name, out, 0) == 0 ? 0 : -errno;
    staging_leave(&owner);
    return rc;
}

bool staging_is_touched(const struct slot *s, const struct stat *sb)
{
    return sb->st_mtim.tv_sec != STAGING_CLEAN_SEC &&
           ((s->flags & SLOT_BLANK) == 0 || sb->st_size != 0);
}

bool staging_is_dirty(const struct slot *s, const struct stat *sb)
{
    return (s->flags & (SLOT_MAPPED | SLOT_TORN)) != 0 || staging_is_touched(s, sb) ||
           ((s->flags & SLOT_LANE) != 0 && s->dirty_lo < s->dirty_hi);
}

void staging_set_clean(struct slot *s, int fd)
{
    s->flags &= ~(uint32_t)SLOT_BLANK;
    struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = STAGING_CLEAN_SEC}};
    futimens(fd, t);
}

void slot_seen_set(struct slot *s, const struct attr *a)
{
    s->seen = *a;
    s->has_seen = true;
}

bool slot_seen_get(const struct slot *s, struct attr *a)
{
    if (s->has_seen)
        *a = s->seen;
    return s->has_seen;
}
