/*
 * clock - the two clocks in use: the wall (stamps in the volume) and the monotonic one (time-outs).
 *
 * Layer: base.
 */
#ifndef JFSPRE_CORE_BASE_CLOCK_H
#define JFSPRE_CORE_BASE_CLOCK_H

#include <stdint.h>

/* A moment as the volume stores it (juicefs-format.md 3.2). */
struct moment {
    int64_t sec; /* since the Unix epoch */
    uint32_t nsec;
};

struct moment clock_now(void);
/* For tests that compare stamps: clock_now() answers *at from now on; NULL: the real clock. */
void clock_fix(const struct moment *at);
uint64_t clock_mono_ms(void);
uint64_t clock_coarse_ms(void); /* the same, up to some 10 ms behind, for a fifth of the cost */
uint64_t clock_mono_ns(void);

#endif
