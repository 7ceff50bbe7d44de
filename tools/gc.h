/*
 * gc - what `jfspre gc` gives back: data of removed files, slices and blocks that nobody refers to,
 * counts that are too high, the dead part of slices that many files share.
 *
 * It reads the volume with fsck's scan (fsck.h): the metadata first, the blocks after, so a block
 * without a reference was there before its record could have come; young ones are left, as by
 * stock (juicefs-format.md 6.7).  gc_waiting.c: what waits for deletion; gc_refs.c: sliceRef;
 * gc_blocks.c: blocks; gc_repack.c: slices that are mostly dead.
 */
#ifndef JFSPRE_TOOLS_GC_H
#define JFSPRE_TOOLS_GC_H

#include "tools/fsck.h"

struct gc_sum {
    uint64_t n, bytes;
    uint64_t young; /* of n: left alone */
};

struct gc {
    const struct cmd *self;
    struct volume *vol;
    struct store *store;
    struct fsck f;
    bool is_delete, is_repack;
    int64_t old_enough; /* seconds since the epoch: what is younger stays */
    unsigned percent;   /* of a slice in use below which it is repacked */
    bool failed;        /* something could not be done, said */
    struct vec suspects;

    struct gc_sum removed;      /* files in delfiles */
    struct gc_sum unreferenced; /* slices below zero */
    struct gc_sum blocks;       /* that no slice has */
    struct gc_sum temporary;    /* files of writers */
    struct gc_sum dead;         /* mostly dead slices; bytes: all of them */
    uint64_t live_bytes;        /* of those */
    uint64_t lists;             /* chunks of inodes that are gone */
    uint64_t slices;
    struct gc_sum used;                 /* blocks */
    uint64_t too_high, too_low, unused; /* fields of sliceRef */
    uint64_t lowered, dropped;          /* of them, put right */
    bool is_mounted;
    struct gc_sum made;              /* by repacking */
    uint64_t gone, moved, moved_not; /* slices given back; records */
};

/* A new scan of the metadata into gc->f, its references sorted.  quiet: findings are not printed.
 * CMD_OK or CMD_USAGE, said. */
int gc_scan(struct gc *gc, bool quiet);

/* Each of these counts, and removes where gc->is_delete. */
void gc_waiting(struct gc *gc);
void gc_blocks(struct gc *gc);

/* Is there a count in the scan that does not fit?  Also counts slices. */
bool gc_refs_look_wrong(struct gc *gc);
/* Tells the counts that two more scans find wrong alike; lowers the ones that are too high where
 * gc->is_delete. */
void gc_refs(struct gc *gc);

/* Counts slices of which less than gc->percent is in use; moves what is where gc->is_repack. */
void gc_repack(struct gc *gc);

/* Removes the blocks of n * (u64 id, u32 size) and what sliceRef has below zero of them; how many
 * slices were removed. */
uint64_t gc_remove_slices(struct gc *gc, const uint8_t *slices, size_t bytes);
/* One op: 0, or its code or -errno; said, gc->failed, except -EBUSY. */
int gc_call(struct gc *gc, struct op *op, struct op_result *res);
bool gc_out_of_memory(struct gc *gc); /* says it; false */

#endif
