/*
 * meta - the names and inodes of one volume, as the vfs uses them: an engine, the volume's setting
 * kept fresh, ids taken in ranges, and housekeeping that rides along with the next call.
 *
 * Layer:   meta; uses engine, op, format, base.  Used by vfs and tools.
 * Threads: every call, from any thread; one lock inside.  After fork the child calls
 *          meta_after_fork() before anything else.
 * Errors:  0 or -errno as unlink(2) and its kin name them.  -EIO: the change may have happened.
 */
#ifndef JFSPRE_CORE_META_META_H
#define JFSPRE_CORE_META_META_H

#include "core/format/setting.h"
#include "core/meta/engine.h"
#include "core/metrics/metrics.h"

struct meta;

/* Parses the URL and makes the engine; connects and reads `setting` at the first use.
 * mount is the prefix ("/jfs"), used for absolute symlinks.  *out is the caller's: meta_close(). */
int meta_open(const char *url, const char *mount, struct meta **out, char *err, size_t errlen);
/* Where ops, round trips and retries are counted, those from before included.  NULL: nowhere. */
void meta_set_metrics(struct meta *m, struct metrics *metrics);
void meta_close(struct meta *m); /* sends what meta_forget_later() holds; NULL is fine */
void meta_after_fork(struct meta *m);
/* fork(): the lock is held across it so that a child never inherits a half-used connection. */
void meta_before_fork(struct meta *m);
void meta_after_fork_parent(struct meta *m);

/* The setting, read at most 12 s ago when a call was made since; connects at first use.
 * 0, -ENODATA (not formatted), -ENOTSUP (feature refused), -EIO (`setting` is not a volume's), or a
 * connection error; meta_error() says which in one line.  *out is valid until meta_close() and does
 * not change: ask again to see a newer one.
 * A volume whose `setting` vanished (-ENODATA) or got another UUID (-EIO) is not touched any more.
 */
int meta_setting(struct meta *m, const struct setting **out);
void meta_setting_stale(struct meta *m); /* the next call reads it anew, however young it is */

/* Runs ops in one round trip; op.now is filled in when its sec is 0.  Re-reads an old setting on
 * the way. */
int meta_call(struct meta *m, struct op *ops, size_t n, struct op_result *res);

/* OP_SETATTR on an open file without a name, which the store does not know: the same rules.  The
 * stamps are op->now.  0 or -errno. */
int meta_setattr_unnamed(const struct op *op, struct attr *a);
/* May these ids do it (4 read, 2 write, 1 search or execute)?  For what is known only here. */
bool meta_may(const struct op_cred *cred, const struct attr *a, uint32_t mask);
/* May these ids give it a further name (fs.protected_hardlinks)? */
bool meta_may_link(const struct op_cred *cred, const struct attr *a);
/* The mode of what these ids make in this directory.  mode: asked for, umask: theirs. */
uint16_t meta_new_mode(const struct op_cred *cred, const struct attr *dir, uint8_t type,
                       uint16_t mode, uint16_t umask);
/* The bits of a->mode that a change of the content by these ids takes away. */
uint16_t meta_lost_bits(const struct op_cred *cred, const struct attr *a);

/* Said before the first call of a process: it makes something. */
void meta_will_make(struct meta *m);
int meta_new_inode(struct meta *m, uint64_t *ino);
int meta_new_slice(struct meta *m, uint64_t *id);

/* --- changes acknowledged early (DESIGN 5 to 8) ------------------------------------------------
 */

/* What packs and blocks are is the caller's business.  Called with locks held: they must not call
 * meta.  pack and seal NULL: there are none. */
struct meta_hooks {
    void *ctx;
    /* Appends to the pack of slice `id`, made when it is new; *off is where.  Packs of other slices
     * may be sealed meanwhile, this one not.  -ENOSPC: it would grow beyond a block; -errno: no
     * pack can be made here.  Called with the queue's lock held: soon, and without calling meta. */
    int (*pack)(void *ctx, uint64_t id, const void *bytes, uint32_t len, uint32_t *off);
    /* The pack of slice `id` grows no more; its block is in the store when this returns 0, and
     * *size its bytes.  By any process, and again: the same answer. */
    int (*seal)(void *ctx, uint64_t id, uint32_t *size);
    /* The pack of slice `id`, not sealed, is named by nothing and grows no more: it goes, if it is
     * there.  0 or -errno. */
    int (*discard)(void *ctx, uint64_t id);
    /* Nothing names the slice: its blocks go.  0 or -errno. */
    int (*drop)(void *ctx, uint64_t id, uint32_t size);
    /* Acts as the user of the staging area from true to false, in this thread. */
    void (*act)(void *ctx, bool begin);
};

/* From here on changes are acknowledged early where that is certain, and processes that share `dir`
 * (CACHE/UUID.UID) see each other's.  Called after meta_setting(), and again when the directory is
 * another one.  0, or -errno with one line in err: everything then goes to the store at once. */
int meta_batch(struct meta *m, const char *dir, const struct meta_hooks *hooks, char *err,
               size_t errlen);
/* Bytes of a file whose content may be packed (op.content); 0: contents are not taken. */
uint32_t meta_pack_max(const struct meta *m);
/* Everything acknowledged, by this process and others of the user on this host, is in the store.
 * 0 or -errno: it is still kept, and sent later. */
int meta_flush(struct meta *m);
/* Changes pending in all queues of this user on this host. */
uint64_t meta_pending(struct meta *m);
/* Ends the thread that sends what is old: from here on only meta_flush() and other calls do. */
bool meta_stop(struct meta *m);             /* true: there was one */
bool meta_is_pending(const struct meta *m); /* would meta_flush() send anything of this process? */
/* The program took input from outside (a pipe, socket or terminal, a child's end): somebody may
 * have told it of something newer than what is known here.  Cheap. */
void meta_input(struct meta *m);
/* What was acknowledged of this inode and refused by the store afterwards: -errno, once; 0:
 * nothing. A directory answers for its entries. */
int meta_deferred(struct meta *m, uint64_t ino);
/* Keeps (id, size) pairs whose blocks are gone; an OP_FORGET goes with the next call or at close.
 */
void meta_forget_later(struct meta *m, uint64_t id, uint32_t size);

int meta_fd(const struct meta *m);                         /* descriptor in use or -1 */
size_t meta_fds(const struct meta *m, int *fds, size_t n); /* all that are in use */
void meta_fd_moved(struct meta *m, int fresh); /* the program's number was freed for it */
/* One line about the last failure of this process, never NULL; stable until the next call. */
const char *meta_error(struct meta *m);
struct engine *meta_engine(struct meta *m); /* for tools: scans */

#endif
