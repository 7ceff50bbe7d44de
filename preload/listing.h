/*
 * listing - listings of directories of ours behind the DIR pointers and descriptors of the program.
 *
 * The program's DIR is a real one of libc's on the skeleton directory, so dirfd and closedir work
 * on it natively; the listing and the position are kept here, found by the pointer.  A descriptor
 * read with getdents64 has its position in the kernel's offset, which dup, fork and exec share as
 * they do natively; its listing is a cache found by number and inode.
 *
 * Threads: every call, from any thread, inside a guard.
 */
#ifndef JFSPRE_PRELOAD_LISTING_H
#define JFSPRE_PRELOAD_LISTING_H

#include "core/vfs/vfs.h"

#include <dirent.h>
#include <pthread.h>

struct listing {
    const void *key; /* the DIR, or NULL for one by descriptor */
    int fd;
    uint64_t ino;
    struct vfs_dir *dir;
    size_t pos; /* of the next entry, also telldir's answer */
    pthread_mutex_t lock;
    struct dirent entry; /* what readdir returned last */
    struct listing *next;
};

/* A listing for fd, not found by anyone yet.  0 or -errno. */
int listing_make(struct vfs *v, int fd, uint64_t ino, struct listing **out);
/* From now on it is the DIR's. */
void listing_publish(struct listing *s, const void *key);
void listing_drop(struct listing *s); /* one that was not published */
/* Locked, until listing_put(); NULL when the DIR is libc's. */
struct listing *listing_get(const void *key);
void listing_put(struct listing *s);
/* The DIR is about to be closed. */
void listing_remove(const void *key);

/* The listing behind a descriptor, locked until listing_put(); *err when it cannot be had. */
struct listing *listing_of_fd(struct vfs *v, int fd, uint64_t ino, int *err);

/* 1 and out, 0 at the end, -errno. */
int listing_read(struct listing *s, size_t pos, struct dirent *out);

void listing_before_fork(void);
void listing_after_fork(void);

#endif
