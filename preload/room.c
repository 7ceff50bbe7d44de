/*
 * room.c - see room.h.
 */
#include "preload/room.h"

#include "preload/raw.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#define STACK_BYTES (256 * 1024)
#define GUARD_BYTES (64 * 1024) /* pages of any size */
#define KEPT        8

__thread uintptr_t room_low, room_span;

static _Atomic(char *) kept[KEPT];

/* room_switch(fn, args, top): fn(args[0], ..., args[5]) with the stack pointer at top. */
long room_switch(const void *fn, const long args[6], char *top)
    __attribute__((visibility("hidden")));

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl room_switch\n"
        ".hidden room_switch\n"
        ".type room_switch, @function\n"
        "room_switch:\n"
        ".cfi_startproc\n"
        "endbr64\n"
        "push %rbp\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset %rbp, -16\n"
        "mov %rsp, %rbp\n"
        ".cfi_def_cfa_register %rbp\n"
        "mov %rdx, %rsp\n"
        "mov %rdi, %rax\n"
        "mov %rsi, %r10\n"
        "mov (%r10), %rdi\n"
        "mov 8(%r10), %rsi\n"
        "mov 16(%r10), %rdx\n"
        "mov 24(%r10), %rcx\n"
        "mov 32(%r10), %r8\n"
        "mov 40(%r10), %r9\n"
        "call *%rax\n"
        "leave\n"
        ".cfi_def_cfa %rsp, 8\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size room_switch, . - room_switch\n");
#elif defined(__aarch64__)
__asm__(".text\n"
        ".globl room_switch\n"
        ".hidden room_switch\n"
        ".type room_switch, %function\n"
        "room_switch:\n"
        ".cfi_startproc\n"
        "hint 34\n" /* bti c */
        "stp x29, x30, [sp, #-16]!\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset x29, -16\n"
        ".cfi_offset x30, -8\n"
        "mov x29, sp\n"
        ".cfi_def_cfa_register x29\n"
        "mov sp, x2\n"
        "mov x9, x0\n"
        "mov x10, x1\n"
        "ldp x0, x1, [x10]\n"
        "ldp x2, x3, [x10, #16]\n"
        "ldp x4, x5, [x10, #32]\n"
        "blr x9\n"
        "mov sp, x29\n"
        "ldp x29, x30, [sp], #16\n"
        ".cfi_def_cfa sp, 0\n"
        ".cfi_restore x29\n"
        ".cfi_restore x30\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size room_switch, . - room_switch\n");
#else
#error "no stacks for this processor yet"
#endif

/* The first thread's grows by itself. */
static bool is_first_thread(void)
{
    return raw_syscall3(SYS_gettid, 0, 0, 0) == raw_syscall3(SYS_getpid, 0, 0, 0);
}

bool room_find(uintptr_t here)
{
    pthread_attr_t a;
    void *low;
    size_t size;

    if (room_span != 0)
        return false; /* known: here is not within it */
    if (is_first_thread()) {
        room_low = 0;
        room_span = UINTPTR_MAX;
        return true;
    }
    room_span = 1; /* nowhere, when it cannot be told */
    if (pthread_getattr_np(pthread_self(), &a) != 0)
        return false;
    if (pthread_attr_getstack(&a, &low, &size) == 0 && size > ROOM_BYTES) {
        room_low = (uintptr_t)low + ROOM_BYTES;
        room_span = size - ROOM_BYTES;
    }
    pthread_attr_destroy(&a);
    return here - room_low < room_span;
}

static char *take(void)
{
    for (int i = 0; i < KEPT; i++) {
        char *stack = atomic_exchange_explicit(&kept[i], NULL, memory_order_acquire);
        if (stack != NULL)
            return stack;
    }
    char *stack = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return NULL;
    mprotect(stack, GUARD_BYTES, PROT_NONE);
    return stack;
}

static void give_back(char *stack)
{
    for (int i = 0; i < KEPT; i++) {
        char *none = NULL;
        if (atomic_compare_exchange_strong_explicit(&kept[i], &none, stack, memory_order_release,
                                                    memory_order_relaxed))
            return;
    }
    munmap(stack, GUARD_BYTES + STACK_BYTES);
}

long room_call(const void *fn, const long args[6])
{
    char *stack = take();
    if (stack == NULL)
        return ((long (*)(long, long, long, long, long, long))(uintptr_t)fn)(
            args[0], args[1], args[2], args[3], args[4], args[5]);
    long rc = room_switch(fn, args, stack + GUARD_BYTES + STACK_BYTES);
    give_back(stack);
    return rc;
}
