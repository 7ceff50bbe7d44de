/*
 * wrap_exit.c - the end of a process: what was written to files that nobody closed is committed.
 *
 * exit() and the return of main() run inside libc.  So the first function called in a program,
 * __libc_start_main, registers ours before anybody else's: it runs after all others and after the
 * destructors, just before libc flushes its streams, which it therefore does itself for those of
 * ours.  _exit and abort are called by name; core takes no lock and no memory of the program's.
 * What a signal leaves is found by the next process that opens the file.
 *
 * A commit that fails is said on stderr.  The exit status stays the program's: it has promised
 * nothing about files that it did not close.
 */
#include "preload/files.h"
#include "preload/preload.h"
#include "preload/streams.h"

#include <stdlib.h>
#include <sys/single_threaded.h>
#include <sys/stat.h>

int __cxa_atexit(void (*fn)(void *), void *arg, void *library);
int __cxa_at_quick_exit(void (*fn)(void *), void *library);

/* Nothing can use the descriptors any more: no thread of the program is left but this one.  libc's
 * own answer counts threads that were there before a fork, and ours. */
static bool is_last_thread(void)
{
    struct stat sb;
    return stat("/proc/self/task", &sb) == 0 ? sb.st_nlink == 3 : __libc_single_threaded;
}

/* closes: the staging files may be given back, when the program has no other thread. */
SLOW void commit(bool closes)
{
    struct call c;

    call_begin(&c);
    if (c.v != NULL)
        vfs_stop(c.v);
    closes = closes && is_last_thread();
    if (c.v != NULL && closes)
        files_leave(c.v);
    else if (c.v != NULL)
        files_commit_own(c.v);
    if (c.v != NULL)
        vfs_flush(c.v);
    call_end(&c);
}

static void at_exit(void *unused)
{
    if (volume_if_any() == NULL)
        return;
    streams_flush();
    commit(true);
}

static void at_quick(void *unused)
{
    if (volume_if_any() != NULL)
        ROOM(commit, true);
}

EXPORT void _exit(int status)
{
    if (volume_if_any() != NULL && !guard_inside())
        ROOM(commit, true);
    REAL(_exit)(status);
    __builtin_unreachable();
}

EXPORT void abort(void)
{
    if (volume_if_any() != NULL && !guard_inside())
        ROOM(commit, false);
    REAL(abort)();
    __builtin_unreachable();
}

EXPORT int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv,
                             void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                             void *stack_end)
{
    /* Without a library's handle: else they would run with our destructors, too early. */
    __cxa_atexit(at_exit, NULL, NULL);
    __cxa_at_quick_exit(at_quick, NULL);
    return REAL(__libc_start_main)(main, argc, argv, init, fini, rtld_fini, stack_end);
}
