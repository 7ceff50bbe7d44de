/*
 * shared - files mapped by several processes, and mutexes in them that survive a killed holder.
 *
 * Layer: base.
 */
#ifndef JFSPRE_CORE_BASE_SHARED_H
#define JFSPRE_CORE_BASE_SHARED_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* The place of an inode in a table of n places: inodes in a row, as new files have them, lie in a
 * row and share cache lines; blocks of them are scattered. */
static inline uint32_t shared_place(uint64_t ino, uint32_t n)
{
    return (uint32_t)((ino + (ino >> 12) * UINT64_C(0x9e3779b97f4a7c15)) % n);
}

/* Makes (0600) or opens the file, gives it at least `bytes` of size, reserves the first `backed`
 * bytes on the file system (a full one must answer here and not with SIGBUS at a store), maps
 * `bytes` of it and runs lay_out() under a lock that no other process holds meanwhile and that ends
 * with its holder.  0 and *out (munmap()), or -errno, lay_out()'s included. */
int shared_map(const char *path, size_t bytes, size_t backed, int (*lay_out)(void *at, void *ctx),
               void *ctx, void **out);
/* Reserves bytes [from, to) of such a file, which is mapped at `at`; whole pages.  -ENOSPC and the
 * like. */
int shared_back(const char *path, void *at, size_t from, size_t to);

void shared_mutex_init(pthread_mutex_t *m);   /* robust, process-shared */
int shared_taken(pthread_mutex_t *m, int rc); /* what follows, of pthread_mutex_lock()'s answer */
/* 0; 1: its last holder was killed, look at what it guards; -errno. */
static inline int shared_lock(pthread_mutex_t *m)
{
    int rc = pthread_mutex_lock(m);
    return rc == 0 ? 0 : shared_taken(m, rc);
}
/* The same, waiting at most ms: -ETIMEDOUT. */
int shared_lock_for(pthread_mutex_t *m, unsigned ms);

#endif
