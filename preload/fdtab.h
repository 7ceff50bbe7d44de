/*
 * fdtab - which descriptors are ours: number -> struct vfs_fd.
 *
 * A copy of what vfs_identify() would say, filled by open, dup, fork and the constructor.  A miss
 * costs one or two loads and no lock; a hit copies the entry under a sequence count.  The kernel is
 * the truth: a stale entry may mislabel, it never misdirects data.
 *
 * Our own descriptors (socket, staging table) are not in here; they are asked from the volume, kept
 * out of the program's reach and moved when the program wants their number.
 *
 * Threads: every call, from any thread; writers are called inside a guard (or with signals
 * blocked).
 */
#ifndef JFSPRE_PRELOAD_FDTAB_H
#define JFSPRE_PRELOAD_FDTAB_H

#include "core/vfs/vfs.h"

#include <stdatomic.h>
#include <stdbool.h>

#define FDTAB_CHUNK  256
#define FDTAB_CHUNKS 4096 /* descriptors 0 .. 2^20 - 1; above, nothing is ever ours */

#define FDTAB_WORDS (sizeof(struct vfs_fd) / sizeof(uint64_t))

struct fdtab_entry {
    _Atomic uint32_t seq; /* odd while written */
    _Atomic bool used;
    _Atomic uint64_t word[FDTAB_WORDS]; /* the struct vfs_fd */
};

extern _Atomic bool fdtab_any; /* false: no descriptor of ours has ever been seen here */
extern struct fdtab_entry *_Atomic fdtab_chunks[FDTAB_CHUNKS];

/* May fd be ours?  The fast path of every wrapper by descriptor. */
static inline bool fdtab_may(int fd)
{
    if (__builtin_expect(!atomic_load_explicit(&fdtab_any, memory_order_relaxed), 1))
        return false;
    if ((unsigned)fd >= FDTAB_CHUNK * FDTAB_CHUNKS)
        return false;
    struct fdtab_entry *chunk =
        atomic_load_explicit(&fdtab_chunks[fd / FDTAB_CHUNK], memory_order_acquire);
    return chunk != 0 && atomic_load_explicit(&chunk[fd % FDTAB_CHUNK].used, memory_order_relaxed);
}

/* true and *out when fd is ours. */
bool fdtab_get(int fd, struct vfs_fd *out);

/* fd is f from now on.  0, -EMFILE (number out of range) or -ENOMEM. */
int fdtab_set(int fd, const struct vfs_fd *f);

/* Takes the entry out: true and *out (NULL allowed) when fd was ours.  Of two callers one wins. */
bool fdtab_take(int fd, struct vfs_fd *out);

/* dup: `to` is what `from` is, ours or not.  0 or as fdtab_set(). */
int fdtab_copy(int from, int to);

/* The first descriptor of ours >= fd, or -1.  For close_range, exec, fork. */
int fdtab_next(int fd);

/* Asks the kernel what fd is and records it: true when it is ours.  For descriptors that came from
 * somewhere else: /proc/self/fd/N opened, received, inherited.  Needs the volume. */
bool fdtab_identify(struct vfs *v, int fd, struct vfs_fd *out);

/* In a forked child: an entry that another thread was just writing is asked from the kernel. */
void fdtab_after_fork(struct vfs *v);

/* --- our own descriptors --- */

/* Is fd one of the volume's own?  The program must not touch it: EBADF. */
bool fdtab_is_own(int fd);
/* The program wants the number fd for itself: if it is an own one, moves it away first. */
void fdtab_make_way(int fd);
#define OWN_MAX 112 /* of them: core keeps up to 64 for record locks */

/* The own descriptors in ascending order, at most n; returns how many. */
size_t fdtab_own_list(int *fds, size_t n);

#endif
