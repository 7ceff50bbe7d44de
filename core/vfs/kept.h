/*
 * kept - internal descriptors that stay open because of locks.
 *
 * "All locks held by the process on the file are released when any descriptor for it is closed":
 * also one that only we knew of.  So while a program holds record locks on a staging file, one
 * internal descriptor of it is kept and used for everything.
 *
 * Layer: vfs, internal.  Threads: any.
 */
#ifndef JFSPRE_CORE_VFS_KEPT_H
#define JFSPRE_CORE_VFS_KEPT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEPT_MAX 64 /* files with record locks in one process */

struct kept {
    atomic_int count;
    pthread_mutex_t lock; /* the rows */
    struct {
        uint32_t number; /* 0: free */
        int fd;
    } row[KEPT_MAX];
};

void kept_init(struct kept *k);
/* The descriptor of a staging file, or -1. */
int kept_get(struct kept *k, uint32_t number);
/* false: no room, or there is one already; fd stays the caller's. */
bool kept_add(struct kept *k, uint32_t number, int fd);
/* Closes it; none is fine. */
void kept_drop(struct kept *k, uint32_t number);
/* Closes all; in a forked child, which has no locks. */
void kept_drop_all(struct kept *k);
size_t kept_list(struct kept *k, int *fds, size_t n);
void kept_moved(struct kept *k, int old, int fresh);

#endif
