/*
 * flusher.c - the thread that sends what has been pending for batch_interval, or is enough for a
 * batch.  It begins with the first early change of a process and has no part in anything else: a
 * process without it (no thread to be had) sends at its barriers.
 *
 * It ends when there was nothing to send for a while, and begins again with the next early change:
 * a program may be waiting for its last thread to end (pthread_exit() in main).  A store that does
 * not answer is tried again for a minute; what is pending then waits for the next call, or for the
 * next process.
 */
#include "core/meta/batch.h"

#include "core/base/clock.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#define NEIGHBOUR_MS 200
#define IDLE_MS      200
#define RETRY_MS     1000
#define RETRIES      60
#define STACK_BYTES  (256 * 1024)

static struct timespec at_ms(uint64_t ms)
{
    return (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
}

/* When what is pending is to be sent.  A stock client's transactions on a directory fail when
 * scripts come closer than its own round trips (DESIGN 5, neighbours): in one that this process did
 * not make they come slowly, however much is pending. */
static uint64_t due_ms(const struct batch *b)
{
    uint64_t due = b->kicked ? 0 : b->oldest_ms + b->params->batch_interval_ms;
    uint64_t quiet = b->neighbours ? b->sent_ms + NEIGHBOUR_MS : 0;
    if (b->retries > 0)
        quiet = b->failed_ms + RETRY_MS;
    return due > quiet ? due : quiet;
}

/* Only closed groups are sent: the open one has not been open for batch_interval.  Else each full
 * one would take along what its owner has just begun. */
static bool is_young(const struct batch *b)
{
    return !b->neighbours && b->retries == 0 && b->trouble == 0 &&
           (b->group_ms == 0 || clock_mono_ms() < b->group_ms + b->params->batch_interval_ms);
}

/* Locked.  Sleeps until there is something to send; false: the thread is to end. */
static bool wait_for_work(struct batch *b, bool *closed)
{
    uint64_t idle = clock_mono_ms() + IDLE_MS;

    while (!b->stop) {
        bool waits = b->oldest_ms != 0 || b->kicked;
        uint64_t due = waits ? due_ms(b) : idle;
        if (clock_mono_ms() >= due) {
            if (waits)
                break;
            b->is_over = true; /* joined by whoever needs a thread next */
            return false;
        }
        struct timespec until = at_ms(due);
        pthread_cond_timedwait(&b->wake, &b->known, &until);
    }
    *closed = is_young(b);
    if (!*closed)
        b->group_ms = 0;
    b->kicked = false;
    b->oldest_ms = b->group_ms;
    b->neighbours = false;
    return !b->stop;
}

static void *flusher(void *ctx)
{
    struct batch *b = ctx;
    bool closed;
    pthread_mutex_lock(&b->known);
    while (wait_for_work(b, &closed)) {
        pthread_mutex_unlock(&b->known);
        int rc = meta_flush_own(b->m, closed);
        pthread_mutex_lock(&b->known);
        b->failed_ms = clock_mono_ms();
        if (rc < 0 && b->oldest_ms == 0 && b->retries < RETRIES)
            b->oldest_ms = b->failed_ms;
        b->retries = rc < 0 && b->retries < RETRIES ? b->retries + 1 : 0;
    }
    pthread_mutex_unlock(&b->known);
    return NULL;
}

static void begin(struct batch *b)
{
    pthread_attr_t a;
    sigset_t all, before;

    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the program's handlers run elsewhere */
    b->stop = b->is_over = false;
    b->has_thread = pthread_create(&b->thread, &a, flusher, b) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&a);
}

void flusher_kick(struct batch *b, bool full)
{
    bool sleeps = b->oldest_ms == 0 || full;
    if (b->oldest_ms == 0)
        b->oldest_ms = clock_mono_ms();
    if (full)
        b->group_ms = 0;
    else if (b->group_ms == 0)
        b->group_ms = clock_mono_ms();
    b->kicked = b->kicked || full;
    if (b->has_thread && b->is_over) {
        pthread_join(b->thread, NULL);
        b->has_thread = false;
    }
    if (!b->has_thread)
        begin(b);
    else if (sleeps)
        pthread_cond_signal(&b->wake);
}

bool flusher_stop(struct batch *b)
{
    pthread_mutex_lock(&b->known);
    bool had = b->has_thread;
    b->stop = true;
    b->has_thread = false;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->known);
    if (had)
        pthread_join(b->thread, NULL);
    return had;
}
