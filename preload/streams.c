/*
 * streams.c - see streams.h.
 */
#include "preload/streams.h"

#include "preload/guard.h"

#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE **list;
static size_t count, room;

void streams_add(FILE *fp)
{
    struct guard g;

    guard_enter(&g);
    pthread_mutex_lock(&lock);
    if (count == room) {
        size_t want = room * 2 + 16;
        FILE **more = realloc(list, want * sizeof(*list));
        if (more != NULL) {
            list = more;
            room = want;
        }
    }
    if (count < room) /* else: no memory; what is left in its buffer at exit is found later */
        list[count++] = fp;
    pthread_mutex_unlock(&lock);
    guard_leave(&g);
}

void streams_remove(FILE *fp)
{
    struct guard g;

    guard_enter(&g);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count; i++)
        if (list[i] == fp) {
            list[i] = list[--count];
            break;
        }
    pthread_mutex_unlock(&lock);
    guard_leave(&g);
}

static void flush(FILE *fp)
{
    if (ftrylockfile(fp) != 0)
        return;
    fflush_unlocked(fp);
    funlockfile(fp);
}

void streams_flush(void)
{
    if (pthread_mutex_trylock(&lock) != 0)
        return;
    for (size_t i = 0; i < count; i++)
        flush(list[i]);
    pthread_mutex_unlock(&lock);
    flush(stdout);
    flush(stderr);
}

void streams_after_fork(void)
{
    pthread_mutex_init(&lock, NULL);
}
