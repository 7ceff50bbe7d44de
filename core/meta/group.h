/*
 * group - runs of ops that go to the script as one argument: the same kind by one caller, creates
 * and removals in one directory.  What they share is said once, sums are made here, and the script
 * looks at all of them together (lua/op_make.lua, op_unlink.lua, op_setattr.lua say the bytes).
 *
 * Layer: meta, internal to the Redis engine.
 */
#ifndef JFSPRE_CORE_META_GROUP_H
#define JFSPRE_CORE_META_GROUP_H

#include "core/format/keys.h"
#include "core/op/op.h"

#define GROUP_OPS_MAX 1000 /* what Lua's unpack() and a script's neighbours bear */

/* Finds what is in a run twice. */
#define GROUP_SEEN 4096 /* a power of two, above twice what a run may hold */
struct group_room {
    uint32_t run;
    struct {
        uint32_t run;
        uint64_t hash;
    } seen[GROUP_SEEN];
};

/* Appends the argument of the run that ops begin with and returns how many they are; 0: the first
 * is to be sent by itself, nothing was appended. */
size_t group_encode(struct group_room *room, const struct keys *keys, const struct op *ops,
                    size_t n, struct buf *out);

/* Is op.path a single component that means itself? */
bool group_is_plain_name(const struct op *op);

#endif
