/*
 * kept - internal descriptors of staging files that stay open, each for one or more reasons.
 *
 * KEPT_LOCKS: "All locks held by the process on the file are released when any descriptor for it is
 * closed": also one that only we knew of.  So while a program holds record locks on a staging file,
 * one internal descriptor of it is kept and used for everything.
 * KEPT_WORK: the file is being written here; everything internal is done on this descriptor.
 * KEPT_SPARE: the slot waits, empty, for the next new file: it need not be made.
 *
 * Beside it a row may have a lane (staging_lane.c): the mapped buffer, and the source, an open file
 * description of the staging file that descriptors of the program are duplicates of.  Of a file
 * that is only read (staging_reads.c) the source is all there is: a descriptor for writing would
 * keep others from executing it.
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

#define KEPT_MAX   80 /* files in one process */
#define WORK_MAX   8  /* of them, such as are being written, and as many that are only read */
#define SPARES_MAX 2  /* of either */
#define LANE_BYTES (256u << 10)

enum kept_why { KEPT_LOCKS = 1, KEPT_WORK = 2, KEPT_SPARE = 4 };

struct kept {
    atomic_int top;       /* rows from here on were never used */
    pthread_mutex_t lock; /* of who changes rows; who reads needs none, see kept.c */
    struct kept_row {
        _Atomic uint32_t number; /* 0: free */
        atomic_int fd;
        atomic_uint why;
        void *_Atomic lane; /* mapped buffer, or NULL */
        atomic_int source;  /* -1: none */
        int source_flags;   /* of open(2), without O_CLOEXEC; set before the source */
    } row[KEPT_MAX];
};

void kept_init(struct kept *k);
/* The descriptor of a staging file, or -1. */
int kept_get(struct kept *k, uint32_t number);
/* Adds a reason.  true: it is kept, fd is taken over, or closed when there was one already;
 * false: no room, fd stays the caller's.  fd -1: only where there is one. */
bool kept_add(struct kept *k, uint32_t number, int fd, enum kept_why why);
/* Takes a reason away; without one left the descriptor is closed.  None is fine. */
void kept_drop(struct kept *k, uint32_t number, enum kept_why why);
/* false: there is none, or too many have that reason already. */
bool kept_turn(struct kept *k, uint32_t number, enum kept_why from, enum kept_why to);
bool kept_is(struct kept *k, uint32_t number, enum kept_why why);
/* Those with a reason, at most n; returns how many. */
size_t kept_numbers(struct kept *k, enum kept_why why, uint32_t *number, size_t n);
/* A mapping of LANE_BYTES that goes with the row; false: there is no such row, or it has one. */
bool kept_set_lane(struct kept *k, uint32_t number, void *lane);
void *kept_lane(struct kept *k, uint32_t number);
/* Takes fd over (-1 is fine): the source of the row, opened with these flags.  Without a row it is
 * closed. */
void kept_set_source(struct kept *k, uint32_t number, int fd, int flags);
/* A row for KEPT_WORK whose source, a descriptor for reading, is all there is.  false: no room, or
 * there is a row; fd stays the caller's. */
bool kept_add_reader(struct kept *k, uint32_t number, int fd, int flags);
/* -1: none, or opened otherwise. */
int kept_source(struct kept *k, uint32_t number, int flags);
/* A row that is nothing else goes with it.  None is fine. */
void kept_drop_source(struct kept *k, uint32_t number);
/* The number of a spare one, best one whose source was opened with these flags; or 0.  For O_RDONLY
 * only such, made by kept_add_reader(); else none of these. */
uint32_t kept_spare(struct kept *k, int flags);
/* Closes all; in a forked child, which has no locks and no work. */
void kept_drop_all(struct kept *k);
size_t kept_list(struct kept *k, int *fds, size_t n);
void kept_moved(struct kept *k, int old, int fresh);

#endif
