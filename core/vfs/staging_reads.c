/*
 * staging_reads.c - the fast lane of readers: a file that is only opened, read and closed.
 *
 * Its staging file stays empty and the kernel's offset where it is: the slot has both, and reads
 * are answered from the volume's blocks without a system call for either.  As with the lane of
 * writers, the first other use settles it, and the next file gets a duplicate of the same open file
 * description.
 */
#include "core/vfs/staging_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define READS_FROM 3 /* files that a process reads before one stays open for the next */

static bool suits(int flags)
{
    return (flags & (O_ACCMODE | O_TRUNC | O_DIRECT | O_SYNC | O_DSYNC)) == O_RDONLY;
}

/* A slot that was no spare one: what was left in its file goes. */
static bool is_empty(struct staging *st, uint32_t number)
{
    struct stat sb;
    if (st->t->slot[number].flags == SLOT_BLANK)
        return true;
    char name[32];
    staging_name('s', number, name);
    int fd = openat(st->dir, name, O_RDWR | O_CLOEXEC); /* what is kept is for reading */
    bool empty = fd >= 0 && fstat(fd, &sb) == 0 && (sb.st_size == 0 || ftruncate(fd, 0) == 0);
    if (fd >= 0)
        close(fd);
    return empty;
}

static bool keep_open(struct staging *st, uint32_t number, int fd, int flags)
{
    flags &= STAGING_FLAGS & ~O_CLOEXEC;
    if (kept_source(&st->kept, number, flags) >= 0)
        return true;
    if (st->readings < READS_FROM && ++st->readings < READS_FROM)
        return false;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    if (high >= 0 && kept_add_reader(&st->kept, number, high, flags))
        return true;
    if (high >= 0)
        close(high);
    return false;
}

bool reads_begin(struct staging *st, uint32_t number, int fd, int flags, enum staging_how how,
                 const struct attr *a)
{
    struct slot *s = staging_slot(st, number);

    if (!suits(flags) || how != STAGING_NEW)
        return false;
    if ((s->flags & ~(uint32_t)SLOT_BLANK) != 0 || a->length > UINT32_MAX || st->lanes_off != 0 ||
        atomic_load(&st->unseen) || !keep_open(st, number, fd, flags) || !is_empty(st, number)) {
        kept_drop_source(&st->kept, number);
        return false;
    }
    s->published = a->length;
    s->dirty_lo = UINT64_MAX;
    s->dirty_hi = 0;
    slot_seen_set(s, a);
    s->lane_len = 0;
    s->lane_fd = fd;
    s->lane_owner = st->me;
    __atomic_store_n(&s->flags, SLOT_BLANK | SLOT_FILLED | SLOT_READS, __ATOMIC_SEQ_CST);
    return true;
}

bool reads_is_here(const struct staging *st, uint32_t number, int fd)
{
    const struct slot *s = &st->t->slot[number];
    return (s->flags & SLOT_READS) != 0 && s->lane_owner == st->me && s->lane_fd == fd;
}

bool reads_seek(struct staging *st, uint32_t number, off_t off, int whence, off_t *to)
{
    struct slot *s = staging_slot(st, number);
    off_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? s->lane_len : (off_t)s->published;

    if ((whence != SEEK_SET && whence != SEEK_CUR && whence != SEEK_END) ||
        __builtin_add_overflow(from, off, to) || *to < 0 || *to > UINT32_MAX)
        return false; /* the kernel's to answer */
    s->lane_len = (uint32_t)*to;
    return true;
}

int reads_settle(struct staging *st, uint32_t number)
{
    struct slot *s = staging_slot(st, number);
    int fd = staging_open_file(st, number, O_RDWR);
    int rc = fd < 0 ? fd : ftruncate(fd, (off_t)s->published) != 0 ? -errno : 0;

    if (rc == 0)
        staging_set_clean(s, fd);
    if (fd >= 0)
        staging_close_file(st, number, fd);
    return rc;
}
