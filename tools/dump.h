/*
 * dump - what `jfspre dump` gathers from one scan of the metadata, and the text made of it.
 *
 * The scan (dump_read.c, dump_scan.c) sorts everything by inode; a key or a field may come twice in
 * a scan of a store that others change, so what is there twice is dropped.  The text (dump_write.c)
 * is that of `juicefs dump`, byte for byte: directories one within the other, entries by name.
 * Besides a directory's path nothing grows while it is written.  A million files take about 200 MB.
 */
#ifndef JFSPRE_TOOLS_DUMP_H
#define JFSPRE_TOOLS_DUMP_H

#include "tools/cmd.h"
#include "tools/key_scan.h"
#include "tools/transfer.h"

#include "core/base/vec.h"
#include "core/format/record.h"

#include <stdio.h>

/* Bytes of a key: dump_bytes(at). */
struct d_value {
    uint64_t ino, at;
};

struct d_entry {
    uint64_t parent, ino;
    uint64_t type : 8, name_len : 8, name : 48; /* name: offset in bytes */
};

struct d_record {
    uint64_t ino;
    uint32_t chunk;
    uint32_t visit; /* of its key: the last one counts */
    uint32_t index; /* in the list */
    uint8_t len;    /* what was there, when not RECORD_BYTES */
    uint8_t raw[24];
};

struct d_number { /* session: sid, inode; removed: expire, inode, length; quota: id, space, inodes
                   */
    int64_t a, b, c;
};

enum counter_kind { /* as Counters lists them */
                    COUNT_SPACE,
                    COUNT_INODES,
                    COUNT_NEXT_INODE,
                    COUNT_NEXT_CHUNK,
                    COUNT_NEXT_SESSION,
                    COUNT_NEXT_TRASH,
                    COUNT_KINDS,
};
enum quota_kind { QUOTA_DIR, QUOTA_USER, QUOTA_GROUP, QUOTA_KINDS };

struct dump {
    const struct cmd *self;
    struct volume *vol;
    struct buf setting;
    bool keep_secrets, skip_trash;
    struct progress progress;

    struct buf bytes;               /* of attributes, names, targets and values */
    struct vec inodes, symlinks;    /* d_value */
    struct vec xattrs;              /* d_value: name_len value_len name value */
    struct vec acls;                /* d_value: ino is the rule's id */
    struct vec entries, records;    /* d_entry, d_record */
    struct vec sessions, sustained; /* d_number */
    struct vec removed, quotas[QUOTA_KINDS];
    int64_t counters[COUNT_KINDS];

    struct key_visits visits;
    uint32_t index;    /* of the item in its visit */
    uint64_t problems; /* damaged things that are left out or written as stock does; said */
};

/* engine_visit of the pass: keeps an item.  0, -EINTR, -ENOMEM. */
int dump_read(void *ctx, const struct engine_item *it);
/* CMD_OK or CMD_USAGE, said. */
int dump_scan(struct dump *d);
void dump_free(struct dump *d);
/* The bytes that begin at an offset: their length and where they are. */
const uint8_t *dump_bytes(const struct dump *d, uint64_t at, size_t *len);
/* The items of an inode in a sorted array: *from up to the index that is returned. */
size_t dump_range(const struct vec *v, uint64_t ino, size_t *from);

/* Writes the text.  0; -EINTR; -ENOMEM.  What the file says is in ferror(). */
int dump_write(struct dump *d, FILE *f);
/* Says a problem and counts it. */
void dump_problem(struct dump *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
