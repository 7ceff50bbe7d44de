/*
 * make - what the data of an OP_MAKE says; for the embedded store, and for a request that packs
 * many of them.
 *
 * Layer: meta, internal to the engines.
 */
#ifndef JFSPRE_CORE_META_MAKE_H
#define JFSPRE_CORE_META_MAKE_H

#include "core/op/op.h"

#define MAKE_LENGTH_MAX (UINT64_C(1) << 53) /* first length that no script can hold */

struct make {
    struct attr a;
    const uint8_t *rest; /* records, or a target; borrowed from the op */
    size_t rest_len;
};

/* 0, or -errno for what no such object can be: lua/op_make.lua says the same. */
int make_parse(const struct op *op, struct make *out);

/* End of the data in the file, or -EINVAL where a record would make its chunk unreadable (3.4). */
int records_end(const uint8_t *p, size_t n, uint64_t *end);

#endif
