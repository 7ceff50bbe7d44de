/*
 * guard.c - see guard.h.  The mask is changed by the system call itself: libc's sigprocmask may be
 * wrapped by a sanitizer, and pthread_sigmask hides signals that libc keeps for itself.
 */
#include "preload/guard.h"

#include "preload/raw.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

__thread int guard_depth;

#define BIT(sig) (UINT64_C(1) << ((sig)-1))
/* 32 is libc's cancellation signal, 33 its setuid broadcast: the latter must get through, the
 * sender waits for every thread. */
#define LEAVE_OPEN                                                                                 \
    (BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGILL) | BIT(SIGTRAP) | BIT(SIGABRT) | BIT(33))

static _Atomic bool has_handlers;

void guard_note_handler(int sig, const void *handler)
{
    bool waits = sig > 0 && sig <= 64 && (BIT(sig) & LEAVE_OPEN) == 0;

    if (waits && handler != (const void *)SIG_DFL && handler != (const void *)SIG_IGN)
        atomic_store(&has_handlers, true);
}

static void set_mask(const uint64_t *set, uint64_t *old)
{
    raw_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, set, old, sizeof(*set));
}

void guard_enter(struct guard *g)
{
    g->saved_errno = errno;
    if (guard_depth > 0) {
        guard_depth++;
        return;
    }
    uint64_t all = ~LEAVE_OPEN;
    g->masked = atomic_load_explicit(&has_handlers, memory_order_relaxed);
    if (g->masked)
        set_mask(&all, &g->mask);
    guard_depth = 1; /* behind the mask: a handler in between must not find itself inside */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &g->cancel);
}

void guard_leave(struct guard *g)
{
    if (--guard_depth == 0) {
        pthread_setcancelstate(g->cancel, &g->cancel);
        if (g->masked)
            set_mask(&g->mask, NULL);
    }
    errno = g->saved_errno;
}
