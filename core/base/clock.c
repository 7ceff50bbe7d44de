/*
 * clock.c - both clocks come from the vDSO: no system call.
 */
#include "core/base/clock.h"

#include <time.h>

static struct moment fixed; /* sec 0: not fixed */

void clock_fix(const struct moment *at)
{
    fixed = at ? *at : (struct moment){0};
}

struct moment clock_now(void)
{
    struct timespec ts;

    if (fixed.sec != 0)
        return fixed;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (struct moment){.sec = ts.tv_sec, .nsec = (uint32_t)ts.tv_nsec};
}

uint64_t clock_mono_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t clock_mono_ms(void)
{
    return clock_mono_ns() / 1000000;
}

uint64_t clock_coarse_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}
