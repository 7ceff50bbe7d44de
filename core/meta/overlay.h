/*
 * overlay - what this process knows of directories and inodes: what it made, changed or was told,
 * so that it can say what a change will do before the store does it (DESIGN 8).
 *
 * A node is an inode whose attributes are known; a directory whose whole listing is known is
 * complete: what is not in it is not there.  Knowledge ends when another process of the host marks
 * the inode (board.h), when a batch reports a foreign change, and, where noted, with its age.
 * Losing all of it is always right and only costs round trips.
 *
 * Layer: meta; uses board, op, format.  Threads: the caller serialises.
 */
#ifndef JFSPRE_CORE_META_OVERLAY_H
#define JFSPRE_CORE_META_OVERLAY_H

#include "core/format/attr.h"
#include "core/meta/board.h"
#include "core/meta/queue.h"

struct node {
    uint64_t ino;
    struct node *next; /* beside ino: a look-up reads nothing else of those it passes */
    struct attr a;
    uint64_t since;        /* board_now() when it was learned */
    uint64_t told_ns;      /* when the store last said it (or we made it) */
    uint64_t bare_ns;      /* when it last was known to have no extended attributes; 0: never */
    struct queue_ref make; /* its unsent OP_MAKE; frame 0: none */
    uint64_t listing;      /* of a directory: which entries are its own; 0: none */
    uint64_t listed_ns;    /* when the listing was told, when complete */
    uint64_t count;        /* entries, when complete */
    uint32_t changes;      /* names that came, went or changed */
    bool is_complete;
    bool is_mine;        /* made by this process */
    uint64_t last_make;  /* of a directory: frame of the last OP_MAKE in it */
    uint32_t fresh;      /* entries made here one after another */
    bool is_long;        /* of a directory: it has more than STREAM_ENTRIES */
    char *target;        /* of a symlink, NUL-terminated, or NULL */
    uint32_t asked;      /* of a directory: reads of files in it while its names were not known */
    struct order *order; /* of a directory: names as they were listed, or NULL */
    uint64_t records_ns; /* of a file: when the records of chunk 0 were told; 0: not known */
    uint8_t *records;
    uint32_t records_len;
    bool is_ahead; /* told before the program asked, and not used yet */
};

struct overlay;
int overlay_new(struct board *b, struct overlay **out);
void overlay_free(struct overlay *o);
void overlay_clear(struct overlay *o);

/* The monotonic clock, in ns: how old knowledge is.  Between begin and end it stands still, so that
 * a call reads it at most once for all that it learns and believes. */
uint64_t overlay_now(struct overlay *o);
void overlay_begin_call(struct overlay *o);
void overlay_end_call(struct overlay *o);

/* NULL: not known, or not any more.  Valid until the next call that is not a look-up. */
struct node *overlay_node(struct overlay *o, uint64_t ino);
/* Adds or renews; NULL: no memory. */
struct node *overlay_learn(struct overlay *o, uint64_t ino, const struct attr *a, uint64_t since);
void overlay_forget(struct overlay *o, uint64_t ino);
/* Somebody else changed the directory: its listing is not known any more. */
void overlay_doubt(struct overlay *o, uint64_t dir);
/* They came with its attributes; 0 bytes: it has none.  They go when mtime or length change. */
void overlay_set_records(struct node *n, const void *records, size_t len);
void overlay_set_target(struct node *n, const char *target, size_t len);

enum known { NOT_KNOWN, ABSENT, PRESENT };
enum known overlay_entry(struct overlay *o, const struct node *dir, const char *name, size_t len,
                         uint8_t *type, uint64_t *ino);
/* When the entry was last learned; 0: it is not known. */
uint64_t overlay_entry_told(struct overlay *o, const struct node *dir, const char *name,
                            size_t len);
/* False: no memory; the directory is not complete then. */
bool overlay_add(struct overlay *o, struct node *dir, const char *name, size_t len, uint8_t type,
                 uint64_t ino);
void overlay_remove(struct overlay *o, struct node *dir, const char *name, size_t len);
void overlay_set_complete(struct overlay *o,
                          struct node *dir); /* entries known are all there are */
void overlay_start_listing(struct overlay *o, struct node *dir); /* none is known */

#endif
