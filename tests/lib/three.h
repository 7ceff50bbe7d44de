/*
 * three - one random sequence of file system calls for three worlds: a volume on Redis, a volume on
 * LMDB, a plain directory of the kernel.  What they answer and what they hold afterwards must be
 * the same.
 *
 * A sequence is data: steps with concrete paths, printed and read as one line each, so that it can
 * be run again, cut down, and kept as a regression.  three_gen.c draws steps, three_vfs.c and
 * three_kernel.c carry one out, three_world.c makes and compares worlds, three_run.c runs and
 * shrinks.
 */
#ifndef JFSPRE_TESTS_LIB_THREE_H
#define JFSPRE_TESTS_LIB_THREE_H

#include "core/base/bytes.h"
#include "core/vfs/vfs.h"
#include "tests/lib/server.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define THREE_HANDLES 6
#define THREE_PATH    1100
#define THREE_CLOCK   INT64_C(2000000000) /* where the fixed clock begins: no real time is near */
#define THREE_BLOCK   (64 << 10)          /* the smallest block size, so that borders are near */

/* name, and which fields it uses: the letters of three_text.c */
#define THREE_KINDS(X)                                                                             \
    X(OPEN, open, "hapfm")                                                                         \
    X(CLOSE, close, "h")                                                                           \
    X(WRITE, write, "hols")                                                                        \
    X(READ, read, "hol")                                                                           \
    X(SEEK, seek, "hof")                                                                           \
    X(FTRUNCATE, ftruncate, "hl")                                                                  \
    X(FALLOCATE, fallocate, "hfol")                                                                \
    X(FSYNC, fsync, "h")                                                                           \
    X(FSTAT, fstat, "h")                                                                           \
    X(FCHMOD, fchmod, "hm")                                                                        \
    X(FCHOWN, fchown, "hug")                                                                       \
    X(FUTIMENS, futimens, "hft")                                                                   \
    X(STAT, stat, "apf")                                                                           \
    X(ACCESS, access, "apfm")                                                                      \
    X(READLINK, readlink, "ap")                                                                    \
    X(MKDIR, mkdir, "apm")                                                                         \
    X(MKNOD, mknod, "apm")                                                                         \
    X(SYMLINK, symlink, "apq")                                                                     \
    X(LINK, link, "apbqf")                                                                         \
    X(LINKFD, linkfd, "hbq")                                                                       \
    X(UNLINK, unlink, "ap")                                                                        \
    X(RMDIR, rmdir, "ap")                                                                          \
    X(RENAME, rename, "apbqf")                                                                     \
    X(TRUNCATE, truncate, "apl")                                                                   \
    X(CHMOD, chmod, "apfm")                                                                        \
    X(CHOWN, chown, "apfug")                                                                       \
    X(UTIMENS, utimens, "apft")                                                                    \
    X(XSET, setxattr, "apqfls")                                                                    \
    X(XGET, getxattr, "apqfl")                                                                     \
    X(XLIST, listxattr, "apf")                                                                     \
    X(XREMOVE, removexattr, "apqf")                                                                \
    X(READDIR, readdir, "ap")                                                                      \
    X(FREADDIR, freaddir, "h")

enum step_kind {
#define X(upper, lower, fields) STEP_##upper,
    THREE_KINDS(X)
#undef X
        STEP_KINDS
};

/* FUTIMENS and UTIMENS: flags hold two bits a time (atime, then mtime) and NOFOLLOW. */
enum { TIME_OMIT, TIME_NOW, TIME_SET };
#define STEP_NOFOLLOW   0x100 /* of calls that take a path and can do both */
#define STEP_REAL_IDS   0x200 /* access */
#define STEP_TIME(f, n) ((f) >> 2 * (n)&3)

struct step {
    enum step_kind kind;
    uint8_t who;     /* who asks: three_people[] */
    uint32_t dt_ms;  /* the clock goes on by this before it */
    uint8_t h;       /* handle 0..THREE_HANDLES-1 */
    uint8_t at, at2; /* handle + 1 of the directory that the path starts in; 0: the root */
    char path[THREE_PATH], path2[THREE_PATH]; /* path2: target, second name, attribute */
    int flags;
    unsigned mode;
    int64_t off, len; /* off -1: at the descriptor's offset */
    unsigned seed;    /* of the bytes written */
    int64_t uid, gid; /* -1: keep */
    struct timespec atime, mtime;
};

struct steps {
    struct step *step;
    size_t n, cap;
};

struct person {
    uid_t uid;
    gid_t gid;
    size_t ngroups;
    gid_t groups[4];
    mode_t umask;
};
extern const struct person three_people[];
#define THREE_PEOPLE 4
/* Effective ids, groups and umask of the process; nothing but the umask without root. */
void three_become(uint8_t who);

/* --- what a step answered ----------------------------------------------------------------------
 */

struct answer {
    int64_t code;     /* >= 0 or -errno */
    bool escaped;     /* it left the volume: nothing to compare */
    char text[4096];  /* what the caller gets to see */
    char exact[1024]; /* and what only two engines must agree on */
};
void answer_add(struct answer *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void answer_exact(struct answer *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The names of a listing, in order. */
struct names {
    char (*name)[300];
    size_t n, cap;
};
void names_add(struct names *s, const char *name);
void names_sort(struct names *s);
void names_free(struct names *s);
/* The bytes that a write of this seed puts at off. */
void three_pattern(unsigned seed, uint64_t off, void *out, size_t len);
uint64_t three_hash(const void *data, size_t len);
/* Hash of a file, block by block: zeros count by their place only, wherever they are stored. */
uint64_t three_content(uint64_t so_far, uint64_t off, const void *data, size_t len);

/* --- worlds ------------------------------------------------------------------------------------
 */

struct handle {
    int fd; /* -1: free */
    bool is_dir, readable;
    struct vfs_fd f; /* of a volume */
};

struct world {
    const char *name;
    struct vfs *vfs; /* NULL: the kernel's */
    int root;        /* the kernel's: descriptor of its directory */
    char dir[512];   /* the kernel's directory, which is also the prefix of the volumes */
    struct handle handle[THREE_HANDLES];
};

void three_vfs_step(struct world *w, const struct step *s, struct answer *a);
void three_kernel_step(struct world *w, const struct step *s, struct answer *a);
/* The stamps of the files of a tree, in its order. */
struct stamps {
    struct stamp {
        char path[200];
        struct timespec mtime, ctime;
    } * stamp;
    size_t n, cap;
};
void stamps_add(struct stamps *s, const char *path, struct timespec mtime, struct timespec ctime);

/* One line a thing below the root, sorted by path.  Contents as a hash. */
void three_vfs_tree(struct world *w, struct buf *out, struct stamps *times);
void three_kernel_tree(struct world *w, struct buf *out, struct stamps *times);

/* Every key, field and value of a volume's metadata but `setting` and the numbers to be given next,
 * one a line, sorted. */
int three_dump(struct world *w, struct buf *out);

struct variant {
    const char *name;
    bool trash, people, no_kernel;
    uint64_t capacity, inodes;          /* limits of the volume */
    uint64_t quota_space, quota_inodes; /* of the directory "a", made before the first step */
};

/* An errno that is ours by intention: nothing else may differ. */
struct difference {
    enum step_kind kind;
    int64_t ours, kernel; /* codes as in struct answer */
    const char *why;
};

struct three; /* the server and the directory of all runs */
struct three *three_start(const struct difference *known, size_t n);
void three_end(struct three *t);
/* Prints how many steps of each kind were tried and worked. */
void three_counts(const struct three *t);

struct worlds {
    struct world redis, lmdb, kernel;
};
int worlds_open(struct three *t, const struct variant *v, struct worlds *w);
void worlds_close(struct three *t, struct worlds *w);

/* --- text, generator, runs ----------------------------------------------------------------------
 */

void step_print(const struct step *s, char *out, size_t len);
bool step_parse(const char *line, struct step *out);
const char *step_name(enum step_kind kind);
bool step_has_path(enum step_kind kind);

#define GEN_KNOWN 48
struct gen {
    uint64_t state;
    bool people, trash;
    bool no_sticky, no_links; /* what /proc/sys/fs/protected_* makes of it differs */
    size_t nknown;
    char known[GEN_KNOWN][THREE_PATH];
    char type[GEN_KNOWN]; /* 'f' 'd' 'l' or 'o', as far as one can tell */
    char xattr_path[THREE_PATH], xattr_name[THREE_PATH];
    int open_hint, dir_hint; /* handles that are probably open, a bit each */
};
/* trash: also paths below .trash, which the kernel has not. */
void gen_init(struct gen *g, uint64_t seed, bool people, bool trash);
uint32_t gen_below(struct gen *g, uint32_t n);
void gen_step(struct gen *g, struct step *out);
/* What the step did, for better guesses later. */
void gen_learn(struct gen *g, const struct step *s, int64_t code);

/* Draws n steps and runs them.  0, or 1 after a disagreement, which is cut down and printed. */
int three_random(struct three *t, const struct variant *v, uint64_t seed, size_t n);
/* Steps as text, one a line, ended by NULL. */
int three_fixed(struct three *t, const struct variant *v, const char *const *lines);

#endif
