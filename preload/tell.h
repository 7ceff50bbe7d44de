/*
 * tell - what goes out of this process, and what comes in (DESIGN 6 and 10).
 *
 * Changes may be acknowledged before the store has them.  Whatever could tell somebody of them (a
 * write to a socket, terminal, pipe or FIFO, a signal, a child) waits until it has.  After what
 * came in, nothing is believed that was known before.
 *
 * With nothing pending a call pays a few loads; with something, one fstat more.  A store that does
 * not answer stops nobody: the log has a line, fsync() tells.
 */
#ifndef JFSPRE_PRELOAD_TELL_H
#define JFSPRE_PRELOAD_TELL_H

#include "core/vfs/vfs.h"
#include "preload/guard.h"
#include "preload/init.h"

#include <stdbool.h>
#include <sys/types.h>

/* The slow halves. */
void tell_now(void);
void tell_now_through(int fd);
void heard_now(int fd);

static inline bool tell_pending(void)
{
    struct vfs *v = volume_if_any();

    return __builtin_expect(v != NULL, 0) && vfs_is_pending(v) && !guard_inside();
}

/* Something is about to leave that others may see. */
static inline void tell_others(void)
{
    if (tell_pending())
        tell_now();
}

/* The same, through this descriptor: only when it leads out of the process. */
static inline void tell_through(int fd)
{
    if (tell_pending())
        tell_now_through(fd);
}

/* A child ended, a message came. */
static inline void heard(void)
{
    struct vfs *v = volume_if_any();

    if (__builtin_expect(v != NULL, 0))
        vfs_input(v);
}

/* fd was read, rc is the answer and is handed on.  Also its end says something. */
static inline ssize_t heard_from(int fd, ssize_t rc)
{
    if (rc >= 0 && __builtin_expect(volume_if_any() != NULL, 0))
        heard_now(fd);
    return rc;
}

/* These numbers may be something else from now on. */
void heard_forget(unsigned from, unsigned to);

#endif
