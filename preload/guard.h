/*
 * guard - "this thread is inside us".
 *
 * While a thread is inside, every call of ours that it makes goes straight to libc (resolvers and
 * allocators call libc through our exports), signals wait (a handler would find our locks taken)
 * and the thread cannot be cancelled.  Faults (SEGV, BUS, FPE, ILL, TRAP) stay deliverable.
 *
 * Until the program installs its first handler (wrap_signal.c tells) nothing can come in between
 * but the end of the process, which every lock survives: then the mask is left alone, which saves
 * two system calls a call.
 */
#ifndef JFSPRE_PRELOAD_GUARD_H
#define JFSPRE_PRELOAD_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct guard {
    bool masked;   /* signals wait */
    uint64_t mask; /* kernel's signal mask to go back to */
    int cancel;    /* state to go back to */
    int saved_errno;
};

extern __thread int guard_depth;

static inline bool guard_inside(void)
{
    return __builtin_expect(guard_depth != 0, 0);
}

/* handler as sigaction(2) has it: SIG_DFL, SIG_IGN or a function. */
void guard_note_handler(int sig, const void *handler);

void guard_enter(struct guard *g);
void guard_leave(struct guard *g); /* errno is what it was at guard_enter() */

#endif
