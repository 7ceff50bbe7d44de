/*
 * params - what the query of a metadata URL says about batching, for every engine alike:
 *
 *   redis://host/1?batchwrite=0    lmdb:///dir?batch_interval=5ms&pack_max=1m
 *
 * One table in params.c has all names, ranges and defaults.  In names '-' stands for '_'; switches
 * are 0 or 1 (or false, true); sizes take k, m, g (1024); durations ms or s, without: ms.
 *
 * Layer: meta; uses base.
 */
#ifndef JFSPRE_CORE_META_PARAMS_H
#define JFSPRE_CORE_META_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch_params {
    bool batchwrite;                   /* acknowledge changes before the store has them */
    bool unsafe_batch;                 /* plain pipelined commands instead of scripts */
    bool metaprime;                    /* ids are taken ahead, in the background */
    bool sync_close;                   /* sync=close: every close is a barrier */
    bool excl_strict;                  /* excl=strict: O_EXCL always asks the store */
    bool pack;                         /* small files share slices */
    uint32_t batch_size;               /* ops in a batch */
    uint32_t batch_size_max;           /* what it grows to; never below batch_size */
    uint32_t high_watermark;           /* pending ops above which it grows */
    uint32_t low_watermark;            /* and below which it is batch_size again */
    uint32_t batch_bytes;              /* of records in a batch */
    uint32_t batch_interval_ms;        /* age of the oldest pending op that is sent */
    uint32_t max_pending;              /* ops; who adds more waits */
    uint32_t max_pending_bytes;        /* of records, the same */
    uint32_t inode_batch, chunk_batch; /* ids to take at a time; 0: as the engine likes it */
    uint32_t inode_low_watermark;      /* ids left when the next are taken; 0: a quarter */
    uint32_t chunk_low_watermark;
    uint32_t pack_max; /* bytes of a file that may be packed */
};

void batch_params_default(struct batch_params *p);

/* Takes these parameters out of the URL's query.  *rest is the URL without them, malloc'ed, the
 * caller's; NULL after an error.  -EINVAL: malformed or out of range, -ENOTSUP: not built in yet,
 * each with one line in err that names parameter, value and range; -ENOMEM. */
int batch_params_take(const char *url, struct batch_params *out, char **rest, char *err,
                      size_t errlen);

#endif
