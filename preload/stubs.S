/*
 * stubs.S - jfspre_real_NAME for every name we export: a jump through its slot.
 *
 * objcopy renames the libc calls of core and hiredis to these, so they pass by our exports.  A jump
 * leaves the arguments where they are, also those of variadic calls.  Slots are filled before the
 * first call into core.
 */
#if defined(__x86_64__)

#define STUB(name)                                                                                 \
    .globl jfspre_real_##name;                                                                     \
    .hidden jfspre_real_##name;                                                                    \
    .type jfspre_real_##name, @function;                                                           \
    jfspre_real_##name: endbr64;                                                                   \
    jmp *(jfspre_real_table + 8 * slot)(%rip);                                                     \
    .size jfspre_real_##name, . - jfspre_real_##name;                                              \
    .set slot, slot + 1;

#elif defined(__aarch64__)

#define STUB(name)                                                                                 \
    .globl jfspre_real_##name;                                                                     \
    .hidden jfspre_real_##name;                                                                    \
    .type jfspre_real_##name, %function;                                                           \
    jfspre_real_##name: hint 34; /* bti c */                                                       \
    adrp x16, jfspre_real_table + 8 * slot;                                                        \
    ldr x16, [x16, :lo12:jfspre_real_table + 8 * slot];                                            \
    br x16;                                                                                        \
    .size jfspre_real_##name, . - jfspre_real_##name;                                              \
    .set slot, slot + 1;

#else
#error "no stubs for this processor yet"
#endif

#define SYM(family, name)               STUB(name)
#define REFUSE(family, name, kind, err) STUB(name)
#define ALIAS(family, name, target)
#define OWN(family, name)

    .text
    .hidden jfspre_real_table
    .set slot, 0
#include "preload/symbols.def"

#undef SYM
#undef REFUSE
#undef ALIAS
#define SYM(family, name)
#define REFUSE(family, name, kind, err)
#define ALIAS(family, name, target)                                                                \
    .globl jfspre_real_##name;                                                                     \
    .hidden jfspre_real_##name;                                                                    \
    .set jfspre_real_##name, jfspre_real_##target;
#include "preload/symbols.def"

    .section .note.GNU-stack, "", %progbits
