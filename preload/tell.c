/*
 * tell.c - see tell.h.
 */
#include "preload/tell.h"

#include "preload/real.h"
#include "preload/room.h"
#include "preload/route.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define MEMORY_MAJOR 1 /* null, zero, full, random */

/* eventfd and its kin have no type: threads wake each other by them. */
static bool leads_out(mode_t mode, dev_t device)
{
    return S_ISFIFO(mode) || S_ISSOCK(mode) || (S_ISCHR(mode) && major(device) != MEMORY_MAJOR);
}

void tell_now(void)
{
    struct call c;

    call_begin(&c);
    if (c.v != NULL)
        ROOM(vfs_flush, c.v);
    call_end(&c);
}

void tell_now_through(int fd)
{
    int saved = errno;
    struct stat st;

    if (REAL(fstat)(fd, &st) == 0 && leads_out(st.st_mode, st.st_rdev))
        tell_now();
    errno = saved;
}

/* --- what comes in ----------------------------------------------------------------------------
 * A stale answer costs a round trip, or belief of a second at most (core/meta/early.c). */

#define KINDS 1024 /* descriptors remembered; others are asked each time */

enum { UNKNOWN, QUIET, OUTSIDE };
static _Atomic unsigned char kinds[KINDS];

void heard_now(int fd)
{
    int saved = errno;
    bool kept = fd >= 0 && fd < KINDS;
    unsigned char kind =
        kept ? atomic_load_explicit(&kinds[fd], memory_order_relaxed) : (unsigned char)UNKNOWN;
    struct stat st;

    if (kind == UNKNOWN && REAL(fstat)(fd, &st) == 0) {
        kind = leads_out(st.st_mode, st.st_rdev) ? OUTSIDE : QUIET;
        if (kept)
            atomic_store_explicit(&kinds[fd], kind, memory_order_relaxed);
    }
    if (kind == OUTSIDE)
        heard();
    errno = saved;
}

void heard_forget(unsigned from, unsigned to)
{
    for (; from <= to && from < KINDS; from++)
        atomic_store_explicit(&kinds[from], UNKNOWN, memory_order_relaxed);
}
