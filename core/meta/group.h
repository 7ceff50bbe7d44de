/*
 * group - runs of ops that go to the script as one argument: the same kind by one caller, creates
 * in one directory, removals of files and directories in any.  What they share is said once, sums
 * are made here, and the script looks at all of them together (lua/op_make.lua, op_unlink.lua,
 * op_setattr.lua say the bytes).
 *
 * Layer: meta, internal to the Redis engine.
 */
#ifndef JFSPRE_CORE_META_GROUP_H
#define JFSPRE_CORE_META_GROUP_H

#include "core/format/keys.h"
#include "core/op/op.h"

#define GROUP_OPS_MAX 1000 /* what Lua's unpack() and a script's neighbours bear */

#define GROUP_SEEN 4096 /* a power of two, above twice what a run may hold */
struct group_dir {
    uint64_t ino;
    uint32_t n, next; /* removals in it, their places */
};
struct group_room {
    /* Finds what is in a run twice. */
    uint32_t run;
    struct {
        uint32_t run;
        uint64_t hash;
    } seen[GROUP_SEEN];
    /* Of removals: their directories, and their turns directory by directory. */
    uint32_t ndirs;
    struct group_dir dirs[GROUP_OPS_MAX];
    uint16_t dir_of[GROUP_OPS_MAX], order[GROUP_OPS_MAX];
};

/* Appends the argument of the run that ops begin with and returns how many they are; 0: the first
 * is to be sent by itself, nothing was appended. */
size_t group_encode(struct group_room *room, const struct keys *keys, const struct op *ops,
                    size_t n, struct buf *out);

/* The order in which a run of removals is sent, and answered: room->order. */
void group_by_directory(struct group_room *room, const struct op *ops, size_t run);

/* Is op.path a single component that means itself? */
bool group_is_plain_name(const struct op *op);

#endif
