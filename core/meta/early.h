/*
 * early - what the files of early.c share: deciding an op from what this process knows (DESIGN 8).
 *
 * Everything here is called with `known` locked.  A function that takes an op and a result answers
 * true when the op is decided and *res its answer; false: the store is to be asked.
 *
 * Layer: meta, internal.
 */
#ifndef JFSPRE_CORE_META_EARLY_H
#define JFSPRE_CORE_META_EARLY_H

#include "core/meta/batch.h"
#include "core/meta/lx.h"

/* The last component of a path, and the directory it is in. */
struct place {
    struct node *dir;    /* NULL: path is "", the object is the base */
    struct node *object; /* that one; NULL: look it up by ino */
    const char *name;
    size_t len;
    enum known known;
    uint8_t type;
    uint64_t ino;
};

/* --- early.c ---------------------------------------------------------------------------------- */

/* The directory of the last component.  False: names that need a closer look are the store's
 * business: dots, symlinks on the way, slashes at the end. */
bool early_find(struct batch *b, const struct op *op, uint64_t base, const char *path,
                struct place *p);
/* Believed as a stock mount's kernel believes attributes and listings. */
bool early_is_young(const struct batch *b, const struct node *n);
/* The same of which names it holds. */
bool early_is_listed(const struct batch *b, const struct node *dir);
/* As far as that: has it no extended attributes? */
bool early_is_bare(const struct batch *b, const struct node *n);
/* The attributes of what is there, young enough to be told to a program; NULL: not known. */
struct node *early_object(struct batch *b, const struct place *p);
/* The same of what is about to go. */
struct node *early_removed(struct batch *b, const struct place *p);
/* Is a name known not to be there, as far as reads go? */
bool early_is_absent(const struct batch *b, const struct place *p);
bool early_answer(struct op_result *res, const struct node *n); /* true, with n's attributes */
bool early_refuse(struct op_result *res, int code);             /* true, with code */

/* --- early_queue.c ---------------------------------------------------------------------------- */

struct queue_packer early_packer(const struct batch *b);
void early_note_pack(struct batch *b, const struct queue_packer *pk); /* after each use */
/* Puts op into the queue.  False: it has no room, or there is none: the store is asked instead,
 * which empties it. */
bool early_queued(struct batch *b, const struct op *op, struct queue_ref *ref);
/* The same of an op that gives op->ino a new name.  When another process may be making that name at
 * this moment, the store says who was first: before (false), or afterwards (b->confirming). */
bool early_named(struct batch *b, const struct op *op, const struct node *dir, const char *name,
                 size_t len, struct queue_ref *ref);
/* For the pure functions of lx.h. */
struct lx early_rules(const struct batch *b, const struct op *op);
/* The directory gains or loses a name, and `nlink` directories. */
void early_touch(struct batch *b, const struct op *op, struct node *dir, int nlink);
/* Has nobody else of this host worked on it since we know it?  Answered after our own mark. */
bool early_is_ours_alone(struct batch *b, const struct node *n);
/* The change is queued: who learned of n after the first mark and looked for pending changes before
 * this learned something old. */
void early_mark_again(struct batch *b, const struct node *n);

/* --- early_names.c, early_removals.c, early_attrs.c, early_xattrs.c
 * ------------------------------- */

/* May a name be added to dir without asking? */
bool early_may_add(struct batch *b, const struct op *op, const struct node *dir);
bool early_new(struct batch *b, const struct op *op, uint8_t type, struct op_result *res);
bool early_symlink(struct batch *b, const struct op *op, struct op_result *res);
bool early_open(struct batch *b, const struct op *op, struct op_result *res);
bool early_unlink(struct batch *b, const struct op *op, struct op_result *res);
bool early_rmdir(struct batch *b, const struct op *op, struct op_result *res);
bool early_rename(struct batch *b, const struct op *op, struct op_result *res);
bool early_setattr(struct batch *b, const struct op *op, struct op_result *res);
bool early_write(struct batch *b, const struct op *op, struct op_result *res);
bool early_listxattr(struct batch *b, const struct op *op, struct op_result *res);
bool early_getxattr(struct batch *b, const struct op *op, struct op_result *res);
bool early_setxattr(struct batch *b, const struct op *op, struct op_result *res); /* or removes */

#endif
