/*
 * import - items of a new volume, gathered into batches, and the two stores that take them.
 *
 * Layer: meta, internal to the engines.
 */
#ifndef JFSPRE_CORE_META_IMPORT_H
#define JFSPRE_CORE_META_IMPORT_H

#include "core/base/bytes.h"
#include "core/base/vec.h"
#include "core/meta/engine.h"

struct rds;

struct import_batch {
    struct buf bytes;
    struct vec places; /* of items in bytes */
};

void import_batch_init(struct import_batch *b);
void import_batch_free(struct import_batch *b);
void import_batch_clear(struct import_batch *b);
/* Copies an item.  0 or -ENOMEM. */
int import_batch_add(struct import_batch *b, const struct engine_item *item);
/* Item i, borrowed until the batch changes; its key ends with a NUL. */
struct engine_item import_batch_at(const struct import_batch *b, size_t i);

/* engine_ops.import of each store.  dir: of the environment, err: one line. */
int import_lmdb(const char *dir, engine_fill fill, void *ctx, char *err, size_t errlen);
int import_redis(struct rds *rds, engine_fill fill, void *ctx);

#endif
