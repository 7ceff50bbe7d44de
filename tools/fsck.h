/*
 * fsck - what `jfspre fsck` gathers from one scan of the metadata, and the checks over it.
 *
 * The scan (fsck_scan.c, fsck_read.c) sorts everything into arrays; a key or a field may come twice
 * in a scan, so duplicates are dropped after sorting.  Then: names and inodes (fsck_tree.c), slices
 * and blocks (fsck_data.c), counters and statistics (fsck_count.c).  A million files take about 200
 * MB.
 */
#ifndef JFSPRE_TOOLS_FSCK_H
#define JFSPRE_TOOLS_FSCK_H

#include "tools/cmd.h"
#include "tools/key_scan.h"

#include "core/base/vec.h"
#include "core/store/store.h"

/* Every kind of finding: what is printed before it, and whether it is an error (wrong or lost data,
 * or soon to be) or a warning (space that is not given back, statistics that drifted). */
#define FINDINGS(X)                                                                                \
    X(BAD_ATTR, "attr", true)                                                                      \
    X(BAD_ENTRY, "entry", true)                                                                    \
    X(BAD_RECORD, "record", true)                                                                  \
    X(BAD_KEY, "key", true)                                                                        \
    X(DANGLING, "dangling", true)                                                                  \
    X(ORPHAN, "orphan", true)                                                                      \
    X(LOOP, "loop", true)                                                                          \
    X(TYPE, "type", true)                                                                          \
    X(NLINK, "nlink", true)                                                                        \
    X(PARENT, "parent", true)                                                                      \
    X(SYMLINK, "symlink", true)                                                                    \
    X(SUSTAINED, "sustained", true)                                                                \
    X(DELFILES, "delfiles", true)                                                                  \
    X(TRASH, "trash", true)                                                                        \
    X(SLICE_REF, "sliceref", true)                                                                 \
    X(SLICE_SIZE, "slicesize", true)                                                               \
    X(BLOCK, "block", true)                                                                        \
    X(BROKEN, "broken", true)                                                                      \
    X(COUNTER, "counter", true)                                                                    \
    X(LEAK, "leak", false)                                                                         \
    X(DIR_STATS, "dirstats", false)                                                                \
    X(DIR_LENGTH, "dirlength", false)

enum finding {
#define X(id, text, error) FIND_##id,
    FINDINGS(X)
#undef X
        FIND_KINDS,
};

struct f_inode {
    uint64_t ino, parent, length;
    uint32_t nlink;
    uint32_t names;   /* entries that lead here */
    uint32_t subdirs; /* directories in it */
    uint32_t entry;   /* index of one of its entries, if names > 0 */
    uint8_t type;     /* 0: the attr is malformed */
    uint8_t reached;  /* directories: 1 on the way, 2 leads up to the root */
    uint8_t sustained, detached;
};

struct f_entry {
    uint64_t parent, ino;
    uint64_t name : 56; /* offset in `names` */
    uint64_t name_len : 8;
    uint8_t type;
};

/* A reference to (id, size): a record of a chunk list, or an item of delSlices. */
struct f_ref {
    uint64_t id, ino; /* ino: of delSlices the slice that replaced it */
    uint32_t size;
    uint32_t chunk;         /* index of the chunk; of delSlices its second */
    uint32_t pos, off, len; /* of a record */
    uint32_t visit;         /* the same for all of one visit to the list */
    uint8_t kind;           /* enum ref_kind */
};
enum ref_kind { REF_FILE, REF_REMOVED, REF_LEAKED, REF_DELSLICE };

struct f_field { /* of sliceRef */
    uint64_t id;
    uint32_t size;
    int64_t value;
};

struct f_pair { /* inode and another number: p{ino}, session{sid}, directory statistics */
    uint64_t ino, other;
    int64_t value;
};

enum counter_id { USED_SPACE, TOTAL_INODES, NEXT_INODE, NEXT_CHUNK, NEXT_TRASH, COUNTERS };

struct fsck {
    const struct cmd *self;
    struct volume *vol;
    bool all;      /* every finding is printed, not the first of each kind */
    bool quiet;    /* findings are counted, not printed */
    bool progress; /* stderr is a terminal */
    bool no_memory;

    struct vec inodes, entries, refs, fields;
    struct vec parents;   /* f_pair: p{ino} */
    struct vec sustained; /* f_pair: inode, sid */
    struct vec sessions;  /* f_pair: sid in ino */
    struct vec removed;   /* f_pair: delfiles, inode and length, when it was removed */
    struct vec detached;  /* f_pair */
    struct vec stats;     /* f_pair: directory, 0 length 1 space 2 inodes */
    struct vec symlinks;  /* f_pair: inode, length */
    struct vec xattrs;    /* f_pair */
    struct vec lists;     /* f_pair: inode and index of a chunk list */
    struct buf names;
    int64_t counter[COUNTERS];
    bool has_counter[COUNTERS];
    bool incomplete_attrs; /* one is malformed: sums cannot be compared */

    /* The scan. */
    struct key_visits visits;
    uint64_t items;

    uint64_t found[FIND_KINDS];
    uint64_t files, dirs, others, slices, blocks, bytes;
};

int fsck_read(void *f, const struct engine_item *it); /* an engine_visit */
/* CMD_OK or CMD_USAGE, said. */
int fsck_scan(struct fsck *f);
void fsck_free(struct fsck *f);

void fsck_tree(struct fsck *f);
void fsck_name_inodes(struct fsck *f); /* for fsck_label() without fsck_tree() */
/* Says what each reference is (enum ref_kind) and sorts them by slice and file. */
void fsck_sort_refs(struct fsck *f);
/* After fsck_sort_refs(): the end of the run of references to the same slice that begins at from.
 */
size_t fsck_run(const struct fsck *f, size_t from);
struct f_ref *fsck_ref(const struct fsck *f, size_t i);
/* What sliceRef says of a slice, 0 when nothing. */
int64_t fsck_field(const struct fsck *f, uint64_t id, uint32_t size);
/* sliceRef against the references of one slice: 0 equal, -1 too low, 1 too high, which is found. */
int fsck_count_refs(struct fsck *f, size_t from, size_t to);
/* Who uses the slice, for people: a file, and how many others. */
#define FSCK_OWNER 5200
const char *fsck_owner(const struct fsck *f, size_t from, size_t to, char *out, size_t cap);
/* Lists of chunks, and sliceRef against a full count; sorts the references. */
void fsck_refs(struct fsck *f);
/* Every block that a record or delSlices names. */
void fsck_blocks(struct fsck *f, struct store *store);
void fsck_counters(struct fsck *f);
void fsck_dir_stats(struct fsck *f);

/* Counts a finding and prints it. */
void fsck_find(struct fsck *f, enum finding kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* On a terminal: one line that is written over. */
void fsck_progress(struct fsck *f, const char *what, uint64_t done, uint64_t of);
void fsck_progress_end(const struct fsck *f);

struct f_inode *fsck_inode(const struct fsck *f, uint64_t ino); /* NULL: there is none */
/* "/a/b (inode 7)" as people name it; one of two static buffers is used in turn. */
const char *fsck_label(const struct fsck *f, uint64_t ino);

int by_ino(const void *a, const void *b);   /* f_inode */
int by_pair(const void *a, const void *b);  /* f_pair: ino, other */
int by_first(const void *a, const void *b); /* f_pair: ino */
int by_field(const void *a, const void *b); /* f_field */
int by_slice(const void *a, const void *b); /* f_ref: id, size */

#endif
