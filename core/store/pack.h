/*
 * pack - small files that share one block (juicefs-format.md 6.8).
 *
 * A pack is the file DIR/ID, where ID is the number of a slice that is used for nothing else.  One
 * process appends to it.  When the caller has closed it, whoever comes first seals it: its size is
 * final, and the file itself becomes the only block of the slice, moved where DIR and store are on
 * one file system, else copied.  Only then may records name it.
 *
 * A process killed while it appends leaves bytes at the end that no record names; they stay in the
 * block.  One killed while it seals leaves the pack, or the block, or with a copy both: sealing
 * again ends in the same block.
 *
 * Layer:   store.
 * Threads: packs_add() from one at a time, everything else from any.
 */
#ifndef JFSPRE_CORE_STORE_PACK_H
#define JFSPRE_CORE_STORE_PACK_H

#include "core/store/store.h"

struct packs;

/* dir is made; its parent is there.  The store must outlive it.  0 or -errno. */
int packs_open(struct store *st, const char *dir, struct packs **out);
void packs_close(struct packs *p); /* seals nothing; NULL is fine */
/* Appends to the pack of slice id, which is made when it is another one than last time; *off is
 * where.  -ENOSPC: it would be longer than a block, or there is no room; other -errno: no pack can
 * be had. */
int packs_add(struct packs *p, uint64_t id, const void *bytes, uint32_t len, uint32_t *off);
/* Nothing is added any more.  0: the block is in the store, *size is its and the slice's size; the
 * same however often.  -ENOENT: neither pack nor block is there; errors as of store_put_slice(). */
int packs_seal(struct packs *p, uint64_t id, uint32_t *size);
/* Nothing will name it, and nobody adds to it: the pack goes, if it was begun and not sealed. */
int packs_discard(struct packs *p, uint64_t id);

int packs_fd(const struct packs *p); /* kept open, or -1 */
void packs_fd_moved(struct packs *p, int fresh);
void packs_after_fork(struct packs *p); /* in the child: the pack is the parent's */

#endif
