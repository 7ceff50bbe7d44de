/*
 * real - the next definition of each name we export, which is libc's or another preload's.
 *
 * REAL(name) has the type that libc's header gives `name`.  Core and hiredis reach the same slots
 * under the name jfspre_real_NAME (stubs.S), by which objcopy renames their calls.
 *
 * Bound once, by our own walk over the loaded objects: no lock, no allocation, no libc call, so it
 * may happen before any constructor, in a signal handler and inside an allocator.
 */
#ifndef JFSPRE_PRELOAD_REAL_H
#define JFSPRE_PRELOAD_REAL_H

enum real_index {
#define SYM(family, name)               REAL_##name,
#define REFUSE(family, name, kind, err) REAL_##name,
#define ALIAS(family, name, target)
#define OWN(family, name)
#include "preload/symbols.def"
#undef SYM
#undef REFUSE
#undef ALIAS
#undef OWN
    REAL_COUNT
};

extern void *jfspre_real_table[REAL_COUNT];

/* Fills every slot.  A name that libc lacks gets a function that fails with ENOSYS. */
void real_bind(void);
void *real_bind_late(enum real_index i);

static inline void *real_slot(enum real_index i)
{
    void *fn = jfspre_real_table[i];

    return __builtin_expect(fn != 0, 1) ? fn : real_bind_late(i);
}

#define REAL(name) ((__typeof__(&name))real_slot(REAL_##name))

#endif
