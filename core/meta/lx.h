/*
 * lx - ops applied in C over the embedded store: lua/ said again, for LMDB.
 *
 * The same keys, values, checks, order and errnos as the scripts; each file here names the Lua
 * files that it mirrors, and a random test holds both and the kernel against each other.  A
 * function answers 0, -errno of the op (nothing is written then) or LX_ESCAPE.  What the store
 * itself fails with is kept in lx.fatal besides: the transaction is then aborted and every op of
 * it.
 *
 * Layer: meta, internal to the LMDB engine.
 */
#ifndef JFSPRE_CORE_META_LX_H
#define JFSPRE_CORE_META_LX_H

#include "core/format/record.h"
#include "core/lmdb/types.h"
#include "core/meta/engine.h"

#include <limits.h>

#define LX_ESCAPE OP_ESCAPE

/* Records of a slice that one request pushed; not counted in sliceRef yet, and in all. */
struct lx_pack {
    uint64_t id;
    uint32_t size;
    uint32_t n, total;
};

/* What the ops of one request share. */
struct lx_request {
    uint64_t dir, entries; /* of the directory that was counted last; 0: none */
    struct lx_pack *packs;
    size_t npacks;
};

struct lx {
    struct kv *kv;
    const struct op_env *env;
    const struct op *op;
    struct op_result *res;
    int fatal;      /* -errno of the store */
    int has_quotas; /* -1: not asked yet */
    struct lx_request *request;
};

/* --- lx_base.c (lib_num, lib_attr, lib_acct) ---------------------------------------------------
 */

#define LX_KEY 64 /* longest key name of ours without a field */
void lx_key(char out[LX_KEY], char letter, uint64_t ino);
int lx_store(struct lx *x, int rc); /* notes a failure of the store */

int lx_get(struct lx *x, const char *key, const void *field, size_t flen, struct kv_val *out,
           bool *found);
int lx_set(struct lx *x, const char *key, const void *field, size_t flen, const void *data,
           size_t len);
int lx_del(struct lx *x, const char *key, const void *field, size_t flen);
int lx_incr(struct lx *x, const char *key, const void *field, size_t flen, int64_t by);
int lx_any(struct lx *x, const char *key, bool *found);
/* Fields that are an inode in decimal. */
int lx_set_ino(struct lx *x, const char *key, uint64_t ino, const char *text);
int lx_del_ino(struct lx *x, const char *key, uint64_t ino);
int lx_incr_ino(struct lx *x, const char *key, uint64_t ino, int64_t by);

bool lx_is_trash(uint64_t ino);
bool lx_in_trash(uint64_t parent);

int lx_load(struct lx *x, uint64_t ino, struct attr *a, bool *found);
int lx_save(struct lx *x, uint64_t ino, const struct attr *a);
uint64_t lx_data_length(const struct attr *a);
/* mtime and ctime of a directory become now, unless that happened lately; true: save it. */
bool lx_touch(struct lx *x, uint64_t dir, struct attr *a, bool force);
int lx_entry(struct lx *x, uint64_t dir, const char *name, size_t len, uint8_t *type, uint64_t *ino,
             bool *found);
int lx_entry_set(struct lx *x, uint64_t dir, const char *name, size_t len, uint8_t type,
                 uint64_t ino);
int lx_entry_del(struct lx *x, uint64_t dir, const char *name, size_t len);

/* Directories with a quota: dir and those above it. */
struct lx_quotas {
    size_t n;
    uint64_t dir[64];
};
int lx_volume(struct lx *x, int64_t space, int64_t inodes);
int lx_quota_dirs(struct lx *x, uint64_t dir, struct lx_quotas *out);
int lx_room_volume(struct lx *x, int64_t space, int64_t inodes);
int lx_room_quotas(struct lx *x, const struct lx_quotas *q, int64_t space, int64_t inodes);
int lx_room_dir(struct lx *x, uint64_t dir, int64_t space, int64_t inodes);
int lx_room(struct lx *x, uint64_t dir, int64_t space, int64_t inodes);
int lx_room_resize(struct lx *x, uint64_t ino, const struct attr *a, int64_t space);
int lx_stats(struct lx *x, uint64_t dir, int64_t len, int64_t space, int64_t inodes);
int lx_use_quotas(struct lx *x, const struct lx_quotas *q, int64_t space, int64_t inodes);
int lx_count_entry(struct lx *x, uint64_t dir, const struct attr *a, int sign);
int lx_count_lost(struct lx *x, uint64_t dir);
int lx_count_resize(struct lx *x, uint64_t ino, const struct attr *a, int64_t len, int64_t space);
/* Space and inodes of a tree; -EXDEV when it has too many entries. */
int lx_tree(struct lx *x, uint64_t ino, const struct attr *a, int64_t *space, int64_t *inodes);
int lx_new_dir_stats(struct lx *x, uint64_t ino);

/* --- lx_perm.c (lib_perm, lib_acl) --------------------------------------------------------------
 */

bool lx_has_group(const struct op_cred *c, uint32_t gid);
bool lx_in_group(const struct lx *x, uint32_t gid);
bool lx_may(const struct lx *x, const struct attr *a, uint32_t mask);
bool lx_sticky(const struct lx *x, const struct attr *dir, const struct attr *a);
int lx_may_remove(struct lx *x, uint64_t dir, const struct attr *d, const struct attr *a);
bool lx_may_link(struct lx *x, const struct attr *a);

/* --- lx_walk.c (lib_walk) ------------------------------------------------------------------------
 */

enum lx_last { LAST_NORM, LAST_DOT, LAST_DOTDOT, LAST_ROOT, LAST_FAILED };
struct lx_walk {
    uint64_t dir;
    struct attr a; /* of dir */
    enum lx_last kind;
    bool slash;
    char name[NAME_LEN_MAX + 1];
    size_t name_len;
    uint64_t ino, parent; /* lx_object(): what was found */
    struct attr attr;
    bool found;    /* ino and attr are set */
    bool corrupt;  /* an entry names it, but it has no attr */
    bool creating; /* lx_object(): by O_CREAT, which refuses a slash behind the last name */
    bool linked;   /* the last name came from a symlink */
    bool forced;   /* rename: dir's times change whatever their age */
    int links;
    size_t pos;              /* in rest */
    char rest[2 * PATH_MAX]; /* the last field */
};
int lx_start(struct lx *x, struct lx_walk *w, uint64_t base, const char *path);
int lx_to_last(struct lx *x, struct lx_walk *w);
int lx_object(struct lx *x, struct lx_walk *w, bool nofollow);
/* 1 yes, 0 no, -errno. */
int lx_is_below(struct lx *x, uint64_t dir, uint64_t ino);
/* The answer: an object. */
int lx_answer(struct lx *x, uint64_t ino, const struct attr *a, uint64_t parent);
bool lx_reserved(const struct lx_walk *w); /* a name at the root that stock answers for */

/* --- lx_node.c (lib_node), lx_remove.c (lib_trash) -----------------------------------------------
 */

int lx_may_add(struct lx *x, const struct lx_walk *w);
int lx_must_be_free(struct lx *x, const struct lx_walk *w, bool is_dir);
/* What a new inode of op begins with, in directory `dir` with attributes d. */
struct attr lx_new_attr(const struct lx *x, uint64_t dir, const struct attr *d, uint8_t type,
                        uint16_t mode);
int lx_create(struct lx *x, struct lx_walk *w, uint8_t type, uint16_t mode, const char *target,
              size_t len, struct attr *out);
/* May op->ino, which takes so much space, be made as w->name, which is free? */
int lx_new_refused(struct lx *x, const struct lx_walk *w, int64_t space);
/* op->ino, whose attr is written, gets its name: the directory, the entry, the counters. */
int lx_enter(struct lx *x, struct lx_walk *w, const struct attr *a);

struct lx_plan {
    bool to_trash;
    uint64_t hour; /* 0: to be made */
    char hour_name[24];
    char name[NAME_LEN_MAX + 1];
    size_t name_len;
};
int lx_trash_plan(struct lx *x, uint64_t dir, const char *name, size_t len, uint64_t ino,
                  const struct attr *a, struct lx_plan *out);
int lx_trash_put(struct lx *x, const struct lx_plan *p, uint64_t dir, uint64_t ino, struct attr *a);
int lx_drop(struct lx *x, uint64_t dir, uint64_t ino, struct attr *a);
int lx_drop_dir(struct lx *x, uint64_t ino);

/* --- lx_attr.c (op_xattr) -----------------------------------------------------------------------
 */

#define XATTR_VALUE_MAX 65536
/* What op does to the attributes of an inode.  1: they changed, 0: not, -errno. */
int lx_setattr(struct lx *x, struct attr *a);
/* May the caller read (mask 4) or write (2) this extended attribute of a?  0 or -errno. */
int lx_xattr_permitted(struct lx *x, const struct attr *a, const char *name, uint32_t mask);

/* --- lx_data.c (lib_data, lib_truncate, lib_purge)
 * ------------------------------------------------ */

bool lx_kill_priv(struct lx *x, struct attr *a);       /* when the op says so */
bool lx_drop_priv(const struct lx *x, struct attr *a); /* setuid, setgid; true: mode changed */
void lx_written(struct lx *x, struct attr *a, uint64_t length); /* attributes after OP_WRITE */
int lx_truncate(struct lx *x, uint64_t ino, struct attr *a, uint64_t len);
int lx_purge(struct lx *x, uint64_t ino, uint64_t length); /* slices freed go to res->extra */
/* One reference less of a slice (u64 id, u32 size); without one left it goes to `freed`. */
int lx_release(struct lx *x, const uint8_t *slice, struct buf *freed);
int lx_records(struct lx *x, uint64_t ino, uint64_t chunk, struct buf *out);
/* Appends n bytes of OP_WRITE's items. */
int lx_push_items(struct lx *x, uint64_t ino, const uint8_t *p, size_t n);

/* --- lx_run.c (dispatch) ------------------------------------------------------------------------
 */

/* The whole request as one transaction: its results and outcome are set.  -errno: nothing is
 * stored; what results hold is to be freed all the same. */
int lx_run(struct kv *kv, struct engine_request *rq, bool write);

/* --- lx_batch.c (op_batch) --------------------------------------------------------------------
 */

/* Packs: references for what was pushed are written before an op that may remove some, and at the
 * end of the request, which says how many records each has. */
int lx_count_packs(struct lx *x);
int lx_close_packs(struct lx *x, struct engine_pack *out);
/* May the batch be applied?  Sets its outcome and last, codes of a repeated one.  Applied: *kept is
 * what is to be stored with it, by lx_seq_store(). */
int lx_seq_begin(struct lx *x, struct engine_request *rq, struct buf *kept);
int lx_seq_store(struct lx *x, const struct engine_request *rq, struct buf *kept);

/* --- ops
 * ------------------------------------------------------------------------------------------ */

typedef int (*lx_op)(struct lx *x);
int lx_op_lookup(struct lx *x);
int lx_op_open(struct lx *x);
int lx_op_readdir(struct lx *x);
int lx_op_chunks(struct lx *x);
int lx_op_getxattr(struct lx *x);
int lx_op_listxattr(struct lx *x);
int lx_op_statfs(struct lx *x);
int lx_op_pathof(struct lx *x);
int lx_op_mknod(struct lx *x);
int lx_op_mkdir(struct lx *x);
int lx_op_symlink(struct lx *x);
int lx_op_link(struct lx *x);
int lx_op_unlink(struct lx *x);
int lx_op_rmdir(struct lx *x);
int lx_op_rename(struct lx *x);
int lx_op_setattr(struct lx *x);
int lx_op_truncate(struct lx *x);
int lx_op_write(struct lx *x);
int lx_op_fallocate(struct lx *x);
int lx_op_setxattr(struct lx *x);
int lx_op_removexattr(struct lx *x);
int lx_op_purge(struct lx *x);
int lx_op_forget(struct lx *x);
int lx_op_make(struct lx *x);
int lx_op_repack(struct lx *x);
int lx_op_recount(struct lx *x);
int lx_op_ahead(struct lx *x);

static inline bool lx_has(const struct lx *x, uint32_t flag)
{
    return (x->op->flags & flag) != 0;
}

#endif
