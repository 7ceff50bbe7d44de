/*
 * room - stack for what is ours, whatever the thread has.
 *
 * A wrapper costs up to 40 KiB of stack (paths, requests, LMDB, hiredis), and a program may make
 * threads of PTHREAD_STACK_MIN or handle signals on a small alternate stack.  What is not plainly
 * libc's is therefore called by ROOM(): as it is where there is room, else on a stack from a pool.
 * Signals wait while that is in use (guard.h), and cancellation unwinds through it.
 *
 * Not for what runs code of the program: callbacks, constructors, exit handlers.
 */
#ifndef JFSPRE_PRELOAD_ROOM_H
#define JFSPRE_PRELOAD_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#define ROOM_BYTES (64 * 1024)

/* The addresses in which a frame of this thread has room below it; none before room_find(). */
extern __thread uintptr_t room_low, room_span;

/* Looks at the thread's stack, once; whether there is room here. */
bool room_find(uintptr_t here);

/* fn(args[0], ...) on a stack of its own, or on this one when none is to be had. */
long room_call(const void *fn, const long args[6]);

static inline bool room_is_enough(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true; /* they know no stacks but their own */
#else
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return __builtin_expect(here - room_low < room_span, 1) || room_find(here);
#endif
}

#define ROOM_ARGS_(a, b, c, d, e, f, ...)                                                          \
    (const long[6])                                                                                \
    {                                                                                              \
        (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)                           \
    }
/* fn: at most six arguments, all of them integers or pointers; so is its result. */
#define ROOM(fn, ...)                                                                              \
    (room_is_enough() ? fn(__VA_ARGS__)                                                            \
                      : (__typeof__(fn(__VA_ARGS__)))room_call(                                    \
                            (const void *)fn, ROOM_ARGS_(__VA_ARGS__, 0, 0, 0, 0, 0, 0)))

#endif
