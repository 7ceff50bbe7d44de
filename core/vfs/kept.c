/*
 * kept.c - see kept.h.
 */
#include "core/vfs/kept.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void kept_init(struct kept *k)
{
    memset(k, 0, sizeof *k);
    pthread_mutex_init(&k->lock, NULL);
}

static int find(const struct kept *k, uint32_t number)
{
    for (int i = 0; i < k->top; i++) {
        if (k->row[i].number == number)
            return i;
    }
    return -1;
}

static unsigned with_reason(const struct kept *k, unsigned why)
{
    unsigned n = 0;
    for (int i = 0; i < k->top; i++)
        n += k->row[i].number != 0 && (k->row[i].why & why) != 0;
    return n;
}

static bool has_room(const struct kept *k, enum kept_why why)
{
    return why == KEPT_LOCKS || with_reason(k, why) < (why == KEPT_WORK ? WORK_MAX : SPARES_MAX);
}

int kept_get(struct kept *k, uint32_t number)
{
    int fd = -1;

    if (atomic_load(&k->count) == 0)
        return -1;
    pthread_mutex_lock(&k->lock);
    int i = find(k, number);
    if (i >= 0)
        fd = k->row[i].fd;
    pthread_mutex_unlock(&k->lock);
    return fd;
}

static int new_row(struct kept *k)
{
    int i = find(k, 0);
    return i >= 0 ? i : k->top < KEPT_MAX ? k->top++ : -1;
}

bool kept_add(struct kept *k, uint32_t number, int fd, enum kept_why why)
{
    pthread_mutex_lock(&k->lock);
    int i = find(k, number);
    bool had = i >= 0, added = false;
    if (!had && fd >= 0 && has_room(k, why) && (i = new_row(k)) >= 0) {
        k->row[i].number = number;
        k->row[i].fd = fd;
        k->row[i].why = 0;
        k->row[i].lane = NULL;
        atomic_fetch_add(&k->count, 1);
    }
    if (i >= 0) {
        added = true;
        k->row[i].why |= why;
        if (had && fd >= 0 && fd != k->row[i].fd)
            close(fd);
    }
    pthread_mutex_unlock(&k->lock);
    return added;
}

static void drop_row(struct kept *k, int i)
{
    close(k->row[i].fd);
    if (k->row[i].lane != NULL)
        munmap(k->row[i].lane, LANE_BYTES);
    k->row[i].number = 0;
    atomic_fetch_sub(&k->count, 1);
}

void kept_drop(struct kept *k, uint32_t number, enum kept_why why)
{
    if (atomic_load(&k->count) == 0)
        return;
    pthread_mutex_lock(&k->lock);
    int i = find(k, number);
    if (i >= 0) {
        k->row[i].why &= ~(unsigned)why;
        if (k->row[i].why == 0)
            drop_row(k, i);
    }
    pthread_mutex_unlock(&k->lock);
}

bool kept_turn(struct kept *k, uint32_t number, enum kept_why from, enum kept_why to)
{
    pthread_mutex_lock(&k->lock);
    int i = find(k, number);
    bool turned = i >= 0 && k->row[i].why == (unsigned)from && has_room(k, to);
    if (turned)
        k->row[i].why = to;
    pthread_mutex_unlock(&k->lock);
    return turned;
}

bool kept_is(struct kept *k, uint32_t number, enum kept_why why)
{
    if (atomic_load(&k->count) == 0)
        return false;
    pthread_mutex_lock(&k->lock);
    int i = find(k, number);
    bool is = i >= 0 && (k->row[i].why & why) != 0;
    pthread_mutex_unlock(&k->lock);
    return is;
}

size_t kept_numbers(struct kept *k, enum kept_why why, uint32_t *number, size_t n)
{
    size_t have = 0;

    pthread_mutex_lock(&k->lock);
    for (int i = 0; i < k->top && have < n; i++) {
        if (k->row[i].number != 0 && (k->row[i].why & why) != 0)
            number[have++] = k->row[i].number;
    }
    pthread_mutex_unlock(&k->lock);
    return have;
}

bool kept_set_lane(struct kept *k, uint32_t number, void *lane)
{
    pthread_mutex_lock(&k->lock);
    int i = find(k, number);
    bool set = i >= 0 && k->row[i].lane == NULL;
    if (set)
        k->row[i].lane = lane;
    pthread_mutex_unlock(&k->lock);
    return set;
}

void *kept_lane(struct kept *k, uint32_t number)
{
    pthread_mutex_lock(&k->lock);
    int i = find(k, number);
    void *lane = i >= 0 ? k->row[i].lane : NULL;
    pthread_mutex_unlock(&k->lock);
    return lane;
}

uint32_t kept_spare(struct kept *k)
{
    uint32_t number = 0;

    if (atomic_load(&k->count) == 0)
        return 0;
    pthread_mutex_lock(&k->lock);
    for (int i = 0; i < k->top && number == 0; i++) {
        if (k->row[i].number != 0 && k->row[i].why == KEPT_SPARE)
            number = k->row[i].number;
    }
    pthread_mutex_unlock(&k->lock);
    return number;
}

void kept_drop_all(struct kept *k)
{
    pthread_mutex_init(&k->lock, NULL); /* another thread of the parent may have held it */
    for (int i = 0; i < k->top; i++) {
        if (k->row[i].number != 0)
            drop_row(k, i);
    }
}

size_t kept_list(struct kept *k, int *fds, size_t n)
{
    size_t have = 0;

    for (int i = 0; atomic_load(&k->count) != 0 && i < k->top && have < n; i++) {
        if (k->row[i].number != 0)
            fds[have++] = k->row[i].fd;
    }
    return have;
}

void kept_moved(struct kept *k, int old, int fresh)
{
    pthread_mutex_lock(&k->lock);
    for (int i = 0; i < k->top; i++) {
        if (k->row[i].number != 0 && k->row[i].fd == old)
            k->row[i].fd = fresh;
    }
    pthread_mutex_unlock(&k->lock);
}
