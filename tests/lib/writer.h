/*
 * writer - a process that changes its part of a volume until it is killed, and the record of what
 * it was told has happened.
 *
 * The writer says on a pipe what it is about to do and, when the call returned, that it is done.
 * Whoever reads the pipe keeps the same model of files and bytes, so that after a kill all that was
 * acknowledged can be asked for; of what was under way each outcome is right that a kill may leave.
 */
#ifndef JFSPRE_TESTS_LIB_WRITER_H
#define JFSPRE_TESTS_LIB_WRITER_H

#include "core/vfs/vfs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WRITER_NAMES 60

enum deed_kind {
    DEED_CREATE,  /* a: len bytes of seed */
    DEED_REPLACE, /* a: emptied by O_TRUNC, then written */
    DEED_APPEND,
    DEED_PATCH, /* len bytes at off */
    DEED_TRUNCATE,
    DEED_RENAME, /* a to b, which may be there */
    DEED_EXCHANGE,
    DEED_LINK,
    DEED_UNLINK,
    DEED_UNLINK_OPEN, /* written and read once more before it is closed */
    DEED_MKDIR,
    DEED_RMDIR,
    DEED_SYMLINK,
    DEED_KINDS
};

struct deed {
    uint8_t kind;
    bool done;    /* else: about to */
    int32_t code; /* with done: what a call failed with */
    char a[32], b[32];
    uint32_t off, len, seed;
};

struct model_file { /* what names lead to */
    uint8_t type;   /* enum inode_type; 0: unused */
    uint32_t nlink;
    uint8_t *data; /* or a symlink's target */
    size_t len;
};

struct model {
    unsigned writer; /* its names are in directory wN and in "shared", where they begin with N- */
    bool is_quick;   /* mostly small files that come and go in a directory of its own */
    struct model_file file[WRITER_NAMES];
    struct model_name {
        char name[32]; /* "" : unused */
        int file;
    } name[WRITER_NAMES];
};

void model_free(struct model *m);
void model_apply(struct model *m, const struct deed *d);
/* Is the volume as the model has it?  Else one line in why. */
bool model_holds(const struct model *m, struct vfs *v, char *why, size_t len);
/* After a kill during *d: takes the outcome that the volume shows into the model. */
bool model_settle(struct model *m, const struct deed *d, struct vfs *v, char *why, size_t len);

/* Makes a directory of its own, where changes may be acknowledged early, then draws deeds and does
 * them; returns at an error only, which it has told. */
void writer_run(struct vfs *v, struct model *m, uint64_t seed, int pipe);

#endif
