/*
 * clock.c - both clocks come from the vDSO: no system call.
 */
#include "core/base/clock.h"

#include <time.h>

struct moment clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (struct moment){.sec = ts.tv_sec, .nsec = (uint32_t)ts.tv_nsec};
}

uint64_t clock_mono_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}
