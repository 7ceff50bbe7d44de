/*
 * staging - the local files behind open descriptors, shared by the processes of one user and host.
 *
 * In CACHE/UUID.UID/, table is mapped by every process: a slot for each inode in use.  s/N is the
 * file of slot N, d/INO an empty directory behind an open or entered directory, o/INO an empty file
 * behind an O_PATH descriptor, p/INO a native FIFO, l/INO-GEN what a killed process left.  The name
 * alone tells what a descriptor is, so it is known again after exec, dup or SCM_RIGHTS.
 *
 * One slot an inode: whoever opens the inode on this host gets the same file.  A slot is given back
 * when nobody holds its file open; the kernel answers that (a write lease on a fresh descriptor is
 * granted only when there is no other holder), so a killed process leaves nothing behind for long.
 *
 * Content of slot N.  Bytes [0, published) live only in the volume, the rest in the file; the
 * file's size is the file size.  A file without changes since the last commit carries the mtime
 * STAGING_CLEAN, so that every write, also one that no wrapper sees, is noticed by its new mtime.
 *
 * Locks: slot lock, then table lock.  Both are robust and shared between processes; a holder that
 * was killed leaves the table to be indexed anew.
 *
 * Layer: vfs, internal.
 */
#ifndef JFSPRE_CORE_VFS_STAGING_H
#define JFSPRE_CORE_VFS_STAGING_H

#include "core/base/clock.h"
#include "core/format/attr.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define STAGING_CLEAN_SEC 1 /* mtime of a file without changes: the first second of 1970 */

enum slot_flag {
    SLOT_FILLED = 1 << 0,   /* content, length and version are those of `seen` */
    SLOT_DIRECT = 1 << 1,   /* written by calls that no wrapper sees: dirty_* is not all */
    SLOT_MAPPED = 1 << 2,   /* mapped shared and writable: every commit writes */
    SLOT_GONE = 1 << 3,     /* the inode has no name and no data in the volume any more */
    SLOT_TMPFILE = 1 << 4,  /* GONE, and never had one: O_TMPFILE */
    SLOT_APPENDED = 1 << 5, /* written with O_APPEND since the last commit */
    SLOT_TORN = 1 << 6, /* a holder was killed inside a fill, write or commit: look at everything */
    SLOT_LANE = 1 << 8, /* [0, lane_len) is in f/N, the file itself empty: staging_lane.c */
    SLOT_BEHIND = 1 << 9, /* settled by another process: lane_fd's offset is to be lane_len */
    SLOT_READS =
        1 << 10, /* only read so far, at lane_len; the file itself empty: staging_reads.c */
    SLOT_BLANK =
        1 << 7, /* empty from the start: while it is that it is clean, whatever its mtime */
};

struct slot {
    uint64_t ino;  /* 0: free */
    uint32_t gen;  /* grows at each use */
    uint32_t next; /* in its hash chain or the free list; 0: end */
    uint32_t flags;
    uint32_t opened;   /* how often since it began; table locked */
    uint32_t lane_len; /* of SLOT_LANE, SLOT_READS and SLOT_BEHIND, as the next three */
    int32_t lane_fd;
    uint64_t lane_owner; /* staging.me of the process that writes */
    struct moment lane_mtime;
    uint64_t published;          /* bytes that live in the volume only */
    uint64_t dirty_lo, dirty_hi; /* seen writes since the last commit; lo >= hi: none */
    struct attr seen;            /* of the volume when we last heard */
    bool has_seen;
    pthread_mutex_t lock;
};

struct staging;

/* Makes or maps CACHE/UUID.  -errno and one line in err: cache directory not makeable, not ours, on
 * a file system without leases or shared mappings. */
int staging_open(const char *cache_dir, const char *uuid, struct staging **out, char *err,
                 size_t errlen);
void staging_close(struct staging *st); /* NULL is fine */
const char *staging_uuid(const struct staging *st);
const char *staging_area(const struct staging *st); /* CACHE/UUID.UID */
/* The same of a volume whose area need not be there.  false: it does not fit. */
bool staging_area_of(const char *cache_dir, const char *uuid, uid_t uid, char *out, size_t cap);
size_t staging_own_fds(struct staging *st, int *fds, size_t n);
void staging_fd_moved(struct staging *st, int old, int fresh); /* an own one; others are ignored */
void staging_after_fork(struct staging *st);                   /* in the child */

/* Did a process of this host change the file's length or bytes in the volume since?  Attributes
 * that were asked for before that are not the file's any more.  staging_changed() is called with
 * the slot locked, after the change; false positives are possible. */
uint64_t staging_now(struct staging *st);
void staging_changed(struct staging *st, uint64_t ino);
bool staging_changed_since(struct staging *st, uint64_t ino, uint64_t stamp);

/* The program takes record locks on the file, which closing any descriptor would drop: one internal
 * descriptor stays open until staging_unkeep().  0, -ENOLCK: too many, -errno. */
int staging_keep(struct staging *st, uint32_t number);
bool staging_keeps(struct staging *st, uint32_t number);
void staging_unkeep(struct staging *st, uint32_t number);

/* What is fd, by its name in /proc/self/fd?  's' 'd' 'o' and *number, or 0.  cache_dir is
 * canonical; *uuid gets the volume's (64 bytes). */
int staging_name_of(const char *link, const char *cache_dir, char uuid[64], uint64_t *number);

/* The slot of an inode, made when absent.  The descriptor returned is opened on its file with
 * `flags` before the table is unlocked, so that the slot cannot be given back in between.  -ENFILE:
 * all slots are in use.
 *
 * A process that writes new files keeps a spare slot or two with a descriptor on each (kept.h), so
 * that neither the file nor an internal descriptor has to be made for the next one.  In the table a
 * spare slot is that of inode SLOT_SPARE, and the descriptor is its holder. */
#define SLOT_SPARE UINT64_MAX
/* Of the flags of open(2), what the descriptor of the program on its staging file gets. */
#define STAGING_FLAGS                                                                              \
    (O_ACCMODE | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_SYNC | O_DSYNC | O_LARGEFILE)
enum staging_how {
    STAGING_NEW,       /* made now */
    STAGING_SHARED,    /* somebody holds it open */
    STAGING_ABANDONED, /* a process ended without giving it back: what a program wrote past our
                          wrappers may be in it */
};
int staging_hold(struct staging *st, uint64_t ino, int flags, uint32_t *number,
                 enum staging_how *how);
/* The slot in use for an inode: its number, or 0. */
uint32_t staging_find(struct staging *st, uint64_t ino);
struct slot *staging_slot(struct staging *st, uint32_t number); /* NULL: no such number */
/* Gives the slot back when nobody holds its file and nothing in it waits for a commit.  The slot is
 * not locked.  true: not so, since somebody wrote to the file of a lane: it is to be committed. */
bool staging_release(struct staging *st, uint32_t number, uint32_t gen);
/* This process has no use for spare slots any more. */
void staging_drop_spares(struct staging *st);
/* Nobody but fd's descriptor holds the file of the slot. */
bool staging_alone(struct staging *st, uint32_t number);
/* What is in the file was left by a killed process and will be set aside at the next open. */
bool staging_left(struct staging *st, uint32_t number);
/* Inodes in use, at most n; returns how many. */
size_t staging_inodes(struct staging *st, uint64_t *ino, size_t n);

/* An internal descriptor, for reading and writing, and its end. */
int staging_open_file(struct staging *st, uint32_t number, int flags);
void staging_close_file(struct staging *st, uint32_t number, int fd);
int staging_stat(struct staging *st, uint32_t number, struct stat *out);
/* Somebody wrote to the file since it was last clean, as its mtime tells. */
bool staging_is_touched(const struct slot *s, const struct stat *sb);
bool staging_is_dirty(const struct slot *s, const struct stat *sb); /* or must be taken for it */
void staging_set_clean(struct slot *s, int fd);
void staging_path(const struct staging *st, uint32_t number, char *out, size_t len);

/* Skeletons: a descriptor opened with flags. */
int staging_open_dir(struct staging *st, uint64_t ino, int flags, bool *made); /* made: by us now */
int staging_open_marker(struct staging *st, uint64_t ino, int flags);
/* Makes the native FIFO; path gets its name. */
int staging_fifo(struct staging *st, uint64_t ino, mode_t mode, char *path, size_t len);
void staging_drop_dir(struct staging *st, uint64_t ino);

/* --- staging_reads.c: files that are only read.  Slot locked. ----------------------------------
 */

/* fd was opened on the slot's file with these flags for an inode that has these attributes.  true:
 * it is filled, and reads and seeks of fd need the volume alone. */
bool reads_begin(struct staging *st, uint32_t number, int fd, int flags, enum staging_how how,
                 const struct attr *a);
/* It is so, and fd the descriptor: its offset is lane_len, the end is `published`. */
bool reads_is_here(const struct staging *st, uint32_t number, int fd);
/* false: it is to be settled, and the kernel to be asked. */
bool reads_seek(struct staging *st, uint32_t number, off_t off, int whence, off_t *to);

/* --- staging_lane.c: new files whose bytes are elsewhere.  Slot locked, unless said otherwise.
 */

/* The slot was filled just now and fd opened on its file with these flags: if it is a new file that
 * this process may write, the bytes that lane_write() takes are in memory from here on. */
void lane_begin(struct staging *st, uint32_t number, int fd, int flags);
/* A write at the descriptor's offset.  false: it is to be done on the file, settled before. */
bool lane_write(struct staging *st, uint32_t number, int fd, const void *bytes, size_t len);
/* lane_len of them; NULL: not this process's. */
char *lane_bytes(struct staging *st, uint32_t number);
/* Lane or reader: the bytes, or the size, are in the slot's file, and the offset of a descriptor of
 * this process behind them. 0, also when they were; -errno: they are still in the lane. */
int lane_settle(struct staging *st, uint32_t number);
/* The descriptor of this process goes. */
void lane_closing(struct staging *st, uint32_t number);
/* Not locked.  The program writes, or may, past libc and later than it closes (io_uring): what is
 * open is settled, and nothing begins in this process any more. */
void lanes_end(struct staging *st);
/* Not locked.  What a child will share is settled, and nothing begins until after the fork. */
void lanes_before_fork(struct staging *st);
void lanes_after_fork(struct staging *st);

void slot_lock(struct slot *s);
void slot_unlock(struct slot *s);
void slot_seen_set(struct slot *s, const struct attr *a);
bool slot_seen_get(const struct slot *s, struct attr *a);

/* While open staging files and blocks belong to the user who opened the staging area: a process
 * that switched its effective ids (not its real or saved ones) acts as that user meanwhile.
 * Affects the calling thread only. */
struct staging_owner {
    uid_t back_uid;
    gid_t back_gid;
    bool switched;
};
bool staging_is_mine(const struct staging *st); /* can the process still act as that user? */
void staging_enter(const struct staging *st, struct staging_owner *o);
void staging_leave(const struct staging_owner *o);

#endif
