/*
 * crash - processes that change one volume and are killed, again and again; see writer.h for what
 * they do.  After each kill all that the killed one was told must be there: the process that asks
 * is another one, so it also sends what the killed one had acknowledged and not sent.
 */
#ifndef JFSPRE_TESTS_LIB_CRASH_H
#define JFSPRE_TESTS_LIB_CRASH_H

#include "tests/lib/writer.h"

#define CRASH_WRITERS 4 /* at most */

/* Metadata of a volume, and where its blocks and its one host are. */
struct crash_volume {
    char url[400], dir[400];
};
void crash_volume_at(struct crash_volume *vol, const char *url, const char *dir);
struct vfs *crash_volume_new(const struct crash_volume *vol); /* formats and mounts; NULL: said */
struct vfs *crash_volume_mount(const struct crash_volume *vol);
/* What `jfspre fsck` says: nothing but blocks that a killed writer stored and never named. */
bool crash_is_clean(const struct crash_volume *vol);

/* CRASH_SEED, or the date. */
uint64_t crash_seed(void);
/* CRASH_KILLS, or what is given. */
int crash_kills(int usual);

struct crash_count {
    int kills;
    int all;     /* times that all were killed at once */
    int pending; /* of these: something was acknowledged and not sent yet */
};
struct crash_plan {
    int kills;
    unsigned writers;
    bool is_quick; /* what they do: writer.h */
};
/* On a volume that was just made, mounted as v.  false: something was lost, said. */
bool crash_run(const struct crash_volume *vol, struct vfs *v, const struct crash_plan *plan,
               struct crash_count *count);

#endif
