/*
 * kept.c - see kept.h.
 */
#include "core/vfs/kept.h"

#include <string.h>
#include <unistd.h>

void kept_init(struct kept *k)
{
    memset(k, 0, sizeof *k);
    pthread_mutex_init(&k->lock, NULL);
}

static int find(const struct kept *k, uint32_t number)
{
    for (int i = 0; i < KEPT_MAX; i++) {
        if (k->row[i].number == number)
            return i;
    }
    return -1;
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

bool kept_add(struct kept *k, uint32_t number, int fd)
{
    pthread_mutex_lock(&k->lock);
    int i = find(k, number) < 0 ? find(k, 0) : -1;
    if (i >= 0) {
        k->row[i].number = number;
        k->row[i].fd = fd;
        atomic_fetch_add(&k->count, 1);
    }
    pthread_mutex_unlock(&k->lock);
    return i >= 0;
}

static void drop_row(struct kept *k, int i)
{
    close(k->row[i].fd);
    k->row[i].number = 0;
    atomic_fetch_sub(&k->count, 1);
}

void kept_drop(struct kept *k, uint32_t number)
{
    if (atomic_load(&k->count) == 0)
        return;
    pthread_mutex_lock(&k->lock);
    int i = find(k, number);
    if (i >= 0)
        drop_row(k, i);
    pthread_mutex_unlock(&k->lock);
}

void kept_drop_all(struct kept *k)
{
    pthread_mutex_init(&k->lock, NULL); /* another thread of the parent may have held it */
    for (int i = 0; i < KEPT_MAX; i++) {
        if (k->row[i].number != 0)
            drop_row(k, i);
    }
}

size_t kept_list(struct kept *k, int *fds, size_t n)
{
    size_t have = 0;

    for (int i = 0; atomic_load(&k->count) != 0 && i < KEPT_MAX && have < n; i++) {
        if (k->row[i].number != 0)
            fds[have++] = k->row[i].fd;
    }
    return have;
}

void kept_moved(struct kept *k, int old, int fresh)
{
    pthread_mutex_lock(&k->lock);
    for (int i = 0; i < KEPT_MAX; i++) {
        if (k->row[i].number != 0 && k->row[i].fd == old)
            k->row[i].fd = fresh;
    }
    pthread_mutex_unlock(&k->lock);
}
