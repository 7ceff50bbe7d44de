/*
 * vfs_internal - what the files of vfs/ share.
 *
 * Lock order: slot lock, then table lock (staging.h), then vfs.lock, then meta's own.
 *
 * Layer: vfs, internal.
 */
#ifndef JFSPRE_CORE_VFS_VFS_INTERNAL_H
#define JFSPRE_CORE_VFS_VFS_INTERNAL_H

#include "core/meta/meta.h"
#include "core/metrics/metrics.h"
#include "core/store/pack.h"
#include "core/store/store.h"
#include "core/vfs/staging.h"
#include "core/vfs/vfs.h"

#include <pthread.h>
#include <stdatomic.h>

#define VIEWS_CACHED 32

/* The view of one chunk as it was at one mtime of its file. */
struct view {
    int refs;
    struct record *piece;
    size_t count;
};

struct view_key {
    uint64_t ino;
    struct moment mtime;
    uint32_t chunk;
};

/* A directory that this process removed. */
#define REMOVED_KEPT 16
struct removed {
    uint64_t ino, parent;
    struct attr attr;
};

struct vfs {
    struct config config; /* own copies */
    struct meta *meta;
    pthread_mutex_t lock; /* the fields below */
    atomic_bool ready;
    atomic_bool unseen; /* vfs_unseen() */
    bool batching;      /* meta_batch() was told where */
    struct store *store;
    struct packs *packs;          /* NULL: none can be made */
    pthread_mutex_t packing_lock; /* the buffer is in use */
    void *packing_buffer;
    struct staging *staging;
    struct metrics *metrics; /* of that area */
    uint64_t dev;
    uint64_t spare_ino; /* taken from the counter, not used yet; 0: none */
    atomic_int umask;   /* -1: not known yet */
    unsigned views_next;
    struct {
        struct view_key key;
        struct view *view;
    } views[VIEWS_CACHED];
    unsigned removed_next;
    struct removed removed[REMOVED_KEPT];
    char error[512];
};

/* --- call.c: requests ------------------------------------------------------------------------- */

/* Credentials and storage of one request; the op points into it. */
struct request {
    struct op op;
    uint32_t groups[OP_GROUPS_MAX];
    struct op_result res;
};

/* op of `kind` on (loc->base, loc->path) with the caller's effective ids; loc NULL: base 0. */
void request_init(struct vfs *v, struct request *r, uint8_t kind, const struct vfs_loc *loc);
/* The same on an inode, which no walk leaves. */
void request_inode(struct vfs *v, struct request *r, uint8_t kind, uint64_t ino);
/* The inode itself as a place; room for a native path is not emptied, which costs more than a call.
 */
static inline void loc_inode(struct vfs_loc *loc, uint64_t ino)
{
    loc->base = ino;
    loc->path = "";
}
void caller_cred(struct op_cred *cred, uint32_t groups[OP_GROUPS_MAX]);
/* One round trip.  0, -errno, or VFS_ESCAPE with loc->native filled (loc NULL: -EIO instead). */
int request_call(struct vfs *v, struct request *r, struct vfs_loc *loc);
/* The code of one result of a call of several ops, as request_call() gives it. */
int result_code(const struct op_result *res, struct vfs_loc *loc);
/* Init and call with nothing else to set. */
int request_simple(struct vfs *v, struct request *r, uint8_t kind, struct vfs_loc *loc);
void request_fini(struct request *r);
int vfs_ready_to_make(struct vfs *v); /* vfs_ready() before something that takes an inode */
int vfs_take_inode(struct vfs *v, uint64_t *ino);
void vfs_put_inode(struct vfs *v, uint64_t ino); /* it was not used after all */
uint16_t vfs_umask(struct vfs *v);
/* Blocks of (id, size) pairs that the metadata does not name any more. */
void vfs_drop_slices(struct vfs *v, const struct buf *pairs);
/* meta_call() of a volume that is ready; what the server itself failed with is logged. */
int vfs_call(struct vfs *v, struct op *ops, size_t n, struct op_result *res);
/* Keeps the text for vfs_error() and logs it, unless it is what was logged last. */
int vfs_fail(struct vfs *v, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* --- names.c ---------------------------------------------------------------------------------- */

/* The inode that lost its name went for good: its blocks go, unless it is open on this host. */
void removal_done(struct vfs *v, const struct op_result *res);

/* --- removed.c -------------------------------------------------------------------------------- */

void removed_note(struct vfs *v, uint64_t ino, uint64_t parent, const struct attr *a);
/* The request named nothing; true: its base is a directory removed here, and r->res is the answer.
 */
bool removed_answer(struct vfs *v, struct request *r);

/* --- content.c: bytes of a file that live in the volume --------------------------------------- */

/* Reads [off, off+len) of the file; a chunk list is fetched when it is not cached. */
int content_read(struct vfs *v, uint64_t ino, struct moment mtime, uint64_t off, void *out,
                 size_t len);
/* Copies it into fd at the same offsets; zeros become holes.  removed: its last name went just now,
 * the data waits for OP_PURGE. */
int content_copy(struct vfs *v, uint64_t ino, struct moment mtime, uint64_t off, uint64_t len,
                 bool removed, int fd);
/* Moves *off to the first data (or hole) at or after it, at most to end.  By whole records. */
int content_seek(struct vfs *v, uint64_t ino, struct moment mtime, uint64_t end, bool data,
                 uint64_t *off);
/* A chunk list that came along with another answer. */
void content_hint(struct vfs *v, uint64_t ino, struct moment mtime, uint32_t chunk,
                  const void *records, size_t bytes);
/* Of one inode: another commit may have left the same mtime, whose steps are milliseconds. */
void content_forget(struct vfs *v, uint64_t ino);
void content_forget_all(struct vfs *v);

/* --- commit.c: staging to volume -------------------------------------------------------------- */

/*
 * A commit: slices are written by commit_prepare(), the ops that name them are sent by
 * commit_send(), with one op of the caller's before or behind them (commit_add()), all in one round
 * trip.  The caller holds the slot's lock from prepare to send.
 */
#define COMMIT_OPS 2 /* and two of the caller's */
struct commit {
    struct slot *slot;
    uint32_t number;
    struct op ops[COMMIT_OPS + 2];
    struct op_result res[COMMIT_OPS + 2];
    size_t n;     /* ops in use, the caller's included */
    size_t own;   /* index of the caller's, or SIZE_MAX */
    bool carries; /* data, beside the caller's op */
    uint32_t groups[OP_GROUPS_MAX];
    struct buf records;        /* data of OP_WRITE */
    struct buf slices;         /* (id, size) pairs written for it */
    struct op_content content; /* of OP_WRITE instead of records: all of a small new file */
    void *packing;             /* where it is */
    uint64_t lo, hi;           /* dirty range taken over */
    struct timespec mtime;     /* of what was written */
};
/* 0 or -errno; c->n is 0 when nothing was written since the last commit.  commit_fini() always.
 * first: no op of the caller's comes before it. */
int commit_prepare(struct vfs *v, uint32_t number, bool first, struct commit *c);
/* The op to fill in; its credentials are set. */
struct op *commit_add(struct commit *c, bool first);
/* Returns the commit's outcome; *own (may be NULL) gets the result of the caller's op, borrowed
 * until commit_fini(), or NULL when nothing was answered. */
int commit_send(struct vfs *v, struct commit *c, const struct op_result **own);
void commit_fini(struct vfs *v, struct commit *c);
/* All of it, for a slot that the caller has locked. */
int commit_slot(struct vfs *v, uint32_t number);
/* After a commit: full chunks of the file need not be kept here.  Slot locked. */
void commit_punch(struct vfs *v, uint32_t number);

/* --- io.c ------------------------------------------------------------------------------------- */

/* The slot of an open file, locked, for everything but a plain write.  NULL: there is none, or *rc
 * says why not. */
struct slot *io_lock_settled(struct vfs *v, const struct vfs_fd *f, int *rc);
/* What the caller is about to change loses setuid and setgid first, as the kernel has it: others
 * are told before there is anything to commit.  Slot locked. */
int io_drop_privileges(struct vfs *v, struct slot *s);

/* --- commit_data.c: the data of a commit ------------------------------------------------------ */

/* Bytes [c->lo, c->hi) of the staging file; 0 or -errno, with c->slices of what was written. */
int commit_put_range(struct vfs *v, struct commit *c, int fd, const struct stat *sb,
                     uint64_t old_length);
/* A slice of one block, from memory, at `off` of the file. */
int commit_put_block(struct vfs *v, struct commit *c, uint64_t off, const void *bytes,
                     uint32_t len);
/* All of a file that the volume has no byte of, for c->content. */
int commit_read_content(struct vfs *v, struct commit *c, int fd, uint32_t len);
void commit_drop_written(struct vfs *v, struct commit *c);

/* --- packing.c ---------------------------------------------------------------------------------
 */

#define PACKING_KEPT (512u << 10) /* bytes of the buffer that is not allocated each time */

void packing_open(struct vfs *v); /* ready, but for packs */
/* Hooks of meta; ctx is the vfs. */
int packing_add(void *ctx, uint64_t id, const void *bytes, uint32_t len, uint32_t *off);
int packing_seal(void *ctx, uint64_t id, uint32_t *size);
int packing_discard(void *ctx, uint64_t id);
uint32_t packing_max(struct vfs *v); /* bytes of a file that may be packed; 0: none may */
/* For a file of len bytes; NULL: no memory.  Given back by the same thread. */
void *packing_buffer(struct vfs *v, uint32_t len);
void packing_buffer_put(struct vfs *v, void *buffer); /* NULL is fine */

/* --- slot.c ----------------------------------------------------------------------------------- */

/* Makes the file of a slot that of *a, as open(2) found it; emptied: by O_TRUNC.  Slot
 * locked. */
int slot_fill(struct vfs *v, uint32_t number, enum staging_how how, bool emptied,
              const struct attr *a);
/* Brings bytes [0, published) into the staging file.  Slot locked. */
int slot_hydrate(struct vfs *v, uint32_t number);
/* Adds to the attributes what is written here and not committed. */
void slot_overlay(struct vfs *v, uint64_t ino, struct attr *a);
/* Data of an inode without a name is needed here no longer than its descriptors live. */
void slot_gone(struct vfs *v, uint64_t ino, uint64_t length, bool deferred, const struct attr *a);
/* Inodes in use here as op.data of unlink and rename; owned by the caller: free(). */
uint64_t *slots_held(struct vfs *v, uint32_t *bytes);

#endif
