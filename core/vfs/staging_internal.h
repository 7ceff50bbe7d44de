/*
 * staging_internal - what the files of staging share: the mapped table and its lock.
 *
 * Layer: vfs, internal to staging*.c.
 */
#ifndef JFSPRE_CORE_VFS_STAGING_INTERNAL_H
#define JFSPRE_CORE_VFS_STAGING_INTERNAL_H

#include "core/vfs/kept.h"
#include "core/vfs/staging.h"

#include <stdatomic.h>

#define TABLE_MAGIC UINT64_C(0x6a66737072653036) /* "jfspre06" */
#define SLOTS       65536u                       /* slot 0 is never used */
#define BUCKETS     16384u
#define CHANGED     4096u /* stamps of changes, by a hash of the inode */
#define HIGH_FD     700   /* our own descriptors live from here on, out of the way of programs */

struct table {
    uint64_t magic;
    uint32_t slots, buckets;
    pthread_mutex_t lock;
    uint32_t used;       /* slots in use */
    uint32_t high;       /* slots above were never used */
    uint32_t free_first; /* 0: none below high */
    uint32_t hand;       /* where the sweep goes on */
    uint32_t backed;     /* slots below have room on the disk */
    _Atomic uint64_t changes;
    _Atomic uint64_t changed[CHANGED];
    uint32_t bucket[BUCKETS];
    struct slot slot[SLOTS];
};

struct staging {
    struct table *t;
    int dir; /* CACHE/UUID */
    struct kept kept;
    uint64_t me;        /* tells this process from all others, also later ones */
    int lanes_off;      /* forks going on */
    atomic_bool unseen; /* somebody writes past libc: no lanes any more */
    unsigned readings;  /* files opened for reading alone, up to READS_FROM */
    unsigned spared;    /* files that got a spare slot; table locked */
    uid_t uid;
    gid_t gid;
    char uuid[64];
    char path[4096];
};

/* --- staging_table.c ---------------------------------------------------------------------------
 */

void table_init(struct table *t); /* of zeros */
void table_lock(struct table *t);
void table_unlock(struct table *t);
/* The table is locked.  Numbers; 0: none. */
uint32_t table_find(struct table *t, uint64_t ino);
uint32_t table_take(struct table *t, uint64_t ino);
bool slot_trylock(struct slot *s);
void slot_probe(struct slot *s); /* notices a lock holder that was killed */
void table_move(struct table *t, uint32_t n, uint64_t ino); /* it begins anew, as another's */
void table_give(struct table *t, uint32_t n);

/* --- staging_names.c ---------------------------------------------------------------------------
 */

void staging_name(char kind, uint64_t number, char out[32]); /* "s/12" */

/* --- staging_reads.c ---------------------------------------------------------------------------
 */

/* Slot locked: its file gets its size.  0 or -errno. */
int reads_settle(struct staging *st, uint32_t number);

/* --- staging_lane.c ----------------------------------------------------------------------------
 */

/* Slot and table locked.  A lane of this process whose only descriptor was closed: nobody opened
 * the file but for that, and nothing was asked of the descriptor that would have settled it, so
 * nobody holds it.  (What was asked past libc: DESIGN 9.) */
bool lane_is_over(const struct staging *st, uint32_t number);

/* --- staging.c ---------------------------------------------------------------------------------
 */

/* Table locked: takes room on the disk for the next slot.  A page that found none there when it is
 * touched would be SIGBUS in the program.  0 or -errno. */
int staging_back_more(struct staging *st);

int staging_high_fd(int fd); /* moves a descriptor of ours out of the way */

#endif
