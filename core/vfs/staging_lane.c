/*
 * staging_lane.c - the fast lane: a new file that only sees write and close.
 *
 * Its bytes [0, lane_len) are not in the slot's file, which stays empty, but in f/N, which the
 * process that writes has mapped: a write is a copy in memory, and a commit finds the bytes there.
 * The first other use settles the file: the bytes are put where they belong and the descriptor's
 * offset behind them.  Any process can do that but for the offset, which is its owner's to set.
 *
 * A buffer serves the files of its slot one after the other.  It is backed before it is mapped, so
 * that a full file system is no SIGBUS.
 */
#include "core/vfs/staging_internal.h"

#include "core/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LANE_FROM 3 /* files of a process before it is worth a buffer */

static bool is_mine(const struct staging *st, const struct slot *s)
{
    return s->lane_owner == st->me;
}

/* The buffer of a slot that this process works on, mapped; NULL: none. */
static void *lane_of(struct staging *st, uint32_t number)
{
    void *at = kept_lane(&st->kept, number);
    char name[32];

    if (at != NULL || st->spared < LANE_FROM)
        return at;
    staging_name('f', number, name);
    int fd = openat(st->dir, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return NULL;
    if (fallocate(fd, 0, 0, LANE_BYTES) == 0)
        at = mmap(NULL, LANE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at == NULL || at == MAP_FAILED)
        return NULL;
    if (kept_set_lane(&st->kept, number, at))
        return at;
    munmap(at, LANE_BYTES);
    return NULL;
}

/* Only write() at the end of a file that has just been made or emptied. */
static bool suits(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY && (flags & (O_CREAT | O_TRUNC)) != 0 &&
           (flags & (O_APPEND | O_DIRECT | O_SYNC | O_DSYNC)) == 0;
}

/* Descriptors of the next files on this slot are duplicates of this one's description, which nobody
 * uses while they are in the lane: a tenth of the cost of opening it. */
static void keep_source(struct staging *st, uint32_t number, int fd, int flags)
{
    flags &= STAGING_FLAGS & ~O_CLOEXEC;
    if (kept_source(&st->kept, number, flags) < 0)
        kept_set_source(&st->kept, number, fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD), flags);
}

void lane_begin(struct staging *st, uint32_t number, int fd, int flags)
{
    const uint32_t fresh = SLOT_BLANK | SLOT_FILLED;
    struct slot *s = staging_slot(st, number);

    if ((s->flags & SLOT_READS) != 0)
        return;
    if (!suits(flags) || s->flags != fresh || st->lanes_off != 0 || atomic_load(&st->unseen) ||
        !kept_is(&st->kept, number, KEPT_WORK) || lane_of(st, number) == NULL) {
        kept_drop_source(&st->kept, number); /* the program will move its offset */
        return;
    }
    keep_source(st, number, fd, flags);
    s->lane_len = 0;
    s->lane_fd = fd;
    s->lane_owner = st->me;
    __atomic_store_n(&s->flags, fresh | SLOT_LANE, __ATOMIC_SEQ_CST);
}

char *lane_bytes(struct staging *st, uint32_t number)
{
    const struct slot *s = staging_slot(st, number);
    return (s->flags & SLOT_LANE) != 0 && is_mine(st, s) ? kept_lane(&st->kept, number) : NULL;
}

bool lane_write(struct staging *st, uint32_t number, int fd, const void *bytes, size_t len)
{
    struct slot *s = staging_slot(st, number);
    char *lane = lane_bytes(st, number);

    if (lane == NULL || s->lane_fd != fd || len > LANE_BYTES - s->lane_len)
        return false;
    memcpy(lane + s->lane_len, bytes, len);
    struct moment now = clock_now();
    s->lane_mtime = now;
    if (s->lane_len < s->dirty_lo)
        s->dirty_lo = s->lane_len;
    s->dirty_hi = s->lane_len + len;
    __atomic_store_n(&s->lane_len, s->lane_len + (uint32_t)len, __ATOMIC_RELEASE);
    return true;
}

static int put_all(int fd, const char *bytes, size_t len)
{
    off_t at = 0;
    while (len > 0) {
        ssize_t n = pwrite(fd, bytes, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        bytes += n;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

static int put_bytes(struct staging *st, uint32_t number)
{
    struct slot *s = staging_slot(st, number);
    char *lane = lane_bytes(st, number), *mapped = NULL, name[32];
    int rc = 0;

    if (lane == NULL) {
        staging_name('f', number, name);
        int from = openat(st->dir, name, O_RDONLY | O_CLOEXEC);
        if (from < 0)
            return -errno;
        mapped = mmap(NULL, LANE_BYTES, PROT_READ, MAP_SHARED, from, 0);
        close(from);
        if (mapped == MAP_FAILED)
            return -errno;
        lane = mapped;
    }
    int fd = staging_open_file(st, number, O_RDWR);
    struct stat sb;
    rc = fd < 0 ? fd : fstat(fd, &sb) != 0 ? -errno : put_all(fd, lane, s->lane_len);
    if (rc == 0 && staging_is_touched(s, &sb)) {
        s->flags |= SLOT_DIRECT; /* somebody wrote there too */
    } else if (rc == 0 && s->dirty_lo >= s->dirty_hi) {
        staging_set_clean(s, fd);
    } else if (rc == 0) {
        struct timespec t[2] = {{.tv_nsec = UTIME_OMIT},
                                {s->lane_mtime.sec, (long)s->lane_mtime.nsec}};
        futimens(fd, t);
    }
    if (fd >= 0)
        staging_close_file(st, number, fd);
    if (mapped != NULL)
        munmap(mapped, LANE_BYTES);
    return rc;
}

int lane_settle(struct staging *st, uint32_t number)
{
    struct slot *s = staging_slot(st, number);
    struct staging_owner owner;
    int rc = 0;

    if ((s->flags & (SLOT_LANE | SLOT_READS)) != 0) {
        bool reads = (s->flags & SLOT_READS) != 0,
             fills = reads ? s->published > 0 : s->lane_len > 0;
        if (reads) /* it is for reading alone */
            kept_drop_source(&st->kept, number);
        if (fills) {
            staging_enter(st, &owner);
            rc = reads ? reads_settle(st, number) : put_bytes(st, number);
            staging_leave(&owner);
        }
        if (rc < 0)
            return rc;
        uint32_t gone = SLOT_LANE | SLOT_READS | (fills ? SLOT_BLANK : 0);
        __atomic_store_n(&s->flags,
                         (s->flags & ~gone) | (s->lane_len > 0 ? (uint32_t)SLOT_BEHIND : 0),
                         __ATOMIC_SEQ_CST);
    }
    if ((s->flags & SLOT_BEHIND) != 0 && is_mine(st, s)) {
        if (s->lane_fd >= 0)
            lseek(s->lane_fd, s->lane_len, SEEK_SET);
        __atomic_and_fetch(&s->flags, ~(uint32_t)SLOT_BEHIND, __ATOMIC_SEQ_CST);
    }
    if ((s->flags & SLOT_FILLED) != 0) /* else it waits for lane_begin() */
        kept_drop_source(&st->kept, number);
    return 0;
}

void lane_closing(struct staging *st, uint32_t number)
{
    struct slot *s = staging_slot(st, number);
    if ((s->flags & (SLOT_LANE | SLOT_READS | SLOT_BEHIND)) == 0 || !is_mine(st, s))
        return;
    s->lane_fd = -1;
    __atomic_and_fetch(&s->flags, ~(uint32_t)SLOT_BEHIND, __ATOMIC_SEQ_CST);
}

bool lane_is_over(const struct staging *st, uint32_t number)
{
    const struct slot *s = &st->t->slot[number];
    return (s->flags & (SLOT_LANE | SLOT_READS)) != 0 && is_mine(st, s) && s->lane_fd < 0 &&
           s->opened == 1 && !atomic_load(&st->unseen);
}

static void settle_all(struct staging *st)
{
    uint32_t number[KEPT_MAX];
    size_t n = kept_numbers(&st->kept, KEPT_WORK, number, KEPT_MAX);

    for (size_t i = 0; i < n; i++) {
        struct slot *s = staging_slot(st, number[i]);
        slot_lock(s);
        if (is_mine(st, s))
            lane_settle(st, number[i]); /* what cannot be put there the child settles, or fails */
        slot_unlock(s);
    }
}

void lanes_before_fork(struct staging *st)
{
    __atomic_add_fetch(&st->lanes_off, 1, __ATOMIC_SEQ_CST);
    settle_all(st);
}

void lanes_end(struct staging *st)
{
    if (!atomic_exchange(&st->unseen, true))
        settle_all(st);
}

void lanes_after_fork(struct staging *st)
{
    __atomic_sub_fetch(&st->lanes_off, 1, __ATOMIC_SEQ_CST);
}
