/*
 * wrap_signal.c - does the program have signal handlers?  Before the first one no call of ours
 * needs to keep signals away (guard.h).  sigvec() has no name to link to any more.
 */
#include "preload/preload.h"

#include <signal.h>

EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
    if (act != NULL)
        guard_note_handler(sig, (const void *)act->sa_handler);
    return REAL(sigaction)(sig, act, old);
}

/* clang-format off */
#define SIGNAL_CALL(name)                                   \
    EXPORT __sighandler_t name(int sig, __sighandler_t fn)  \
    {                                                       \
        guard_note_handler(sig, (const void *)fn);          \
        return REAL(name)(sig, fn);                         \
    }
SIGNAL_CALL(signal)
SIGNAL_CALL(sysv_signal)
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
SIGNAL_CALL(sigset)
/* clang-format on */
