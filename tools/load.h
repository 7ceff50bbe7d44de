/*
 * load - what `jfspre load` keeps while it reads a dump.
 *
 * The text is read twice.  The first reading (load_read.c, put == NULL) checks all of it and
 * gathers what one place alone does not tell: which inodes have several names, quotas, counters
 * (load_plan.c).  Nothing is written until that is found good.  The second gives the store every
 * key (load_put.c) and counts again what the format leaves out: references of slices, statistics of
 * directories, usage.  A million files take about 60 MB besides the text, which is mapped.
 */
#ifndef JFSPRE_TOOLS_LOAD_H
#define JFSPRE_TOOLS_LOAD_H

#include "tools/cmd.h"
#include "tools/transfer.h"

#include "core/base/vec.h"
#include "core/format/json.h"
#include "core/format/record.h"

#define LOAD_TEXT (1 << 20) /* bytes of the longest string */

struct usage {
    int64_t length, space, inodes;
};

struct l_name { /* one name of an inode */
    uint64_t ino, parent, hash;
    uint8_t type;
    bool is_put; /* of the first one of an inode: its content was given to the store */
};

struct l_quota {
    uint64_t id;
    int64_t max_space, max_inodes;
    struct usage used;
};

struct l_removed {
    uint64_t ino, length;
    int64_t expire;
};

struct l_slice {
    uint64_t id;
    uint32_t size;
};

enum l_quota_kind { L_DIR, L_USER, L_GROUP, L_QUOTAS };
enum l_counter {
    L_SPACE,
    L_INODES,
    L_NEXT_INODE,
    L_NEXT_CHUNK,
    L_NEXT_SESSION,
    L_NEXT_TRASH,
    L_COUNTERS
};

struct load {
    const struct cmd *self;
    const char *shown; /* the file, for messages */
    struct progress progress;
    struct json j;
    char error[900]; /* the first thing that is wrong, with its place; "" */

    engine_put put; /* NULL: checking */
    void *sink;
    int rc; /* -errno: the store's or memory's, ends everything */

    struct buf setting; /* as it goes into the store */
    struct setting set;
    bool has_setting, has_tree, has_trash, has_removed_secret;
    int64_t dumped[L_COUNTERS], counters[L_COUNTERS];
    uint64_t sustained, changed_links, kept_alive;
    struct vec names;            /* l_name, in order of the text; then by inode */
    struct vec quotas[L_QUOTAS]; /* l_quota, then by id */
    struct vec removed;          /* l_removed */
    struct vec slices;           /* l_slice */
    struct vec rules;            /* l_rule: ACL rules, their index + 1 is the id */
    struct buf rule_bytes;

    char *text; /* LOAD_TEXT bytes: one string */
    char name[NAME_LEN_MAX * 3 + 1];
    size_t name_len;
};

struct l_rule {
    size_t at, len; /* in rule_bytes */
};

/* An entry that is being read. */
struct l_node {
    uint64_t ino, parent;
    struct attr a;
    bool has_attr, has_target, has_entries;
    bool is_first; /* in the second reading: the inode's content is still to be given */
    uint32_t subdirs;
    struct usage entries; /* what is directly in it: statistics */
    struct usage below;   /* what its quota counts */
};

/* --- load_read.c ------------------------------------------------------------------------------ */

/* Reads the text from front to back; 0, or -1 with l->error or l->rc. */
int load_read(struct load *l, const char *text, size_t len);
int load_fail(struct load *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- load_fields.c: members of an entry; 0 or -1 ---------------------------------------------- */

/* A string with %XX: into l->text. */
int load_string(struct load *l, const char *what, size_t *len);
int load_attr(struct load *l, struct l_node *n);
int load_xattrs(struct load *l, struct l_node *n);
int load_acl(struct load *l, uint32_t *id);
int load_chunks(struct load *l, struct l_node *n);

/* --- load_plan.c ------------------------------------------------------------------------------ */

/* Between the readings: 0, or -1 with l->error. */
int load_plan(struct load *l);
/* Names of an inode in the sorted array: *n of them. */
struct l_name *load_names(const struct load *l, uint64_t ino, size_t *n);
struct l_quota *load_quota(const struct load *l, enum l_quota_kind kind, uint64_t id);
/* The same, made when there is none; NULL: no memory. */
struct l_quota *load_quota_of(struct load *l, enum l_quota_kind kind, uint64_t id);
uint64_t load_hash(const void *data, size_t len);
static inline bool load_is_hour(uint64_t ino)
{
    return ino > INO_TRASH;
}

/* --- load_put.c: in the second reading; 0 or -1 with l->rc ------------------------------------ */

int put_entry(struct load *l, const struct l_node *n); /* l->name in n->parent */
int put_inode(struct load *l, struct l_node *n);
int put_symlink(struct load *l, uint64_t ino, size_t len); /* l->text */
int put_xattr(struct load *l, uint64_t ino, const char *name, const void *value, size_t len);
int put_record(struct load *l, uint64_t ino, uint32_t chunk, const struct record *r);
int put_rest(struct load *l); /* all but the trees */

#endif
