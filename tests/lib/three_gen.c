/*
 * three_gen.c - draws steps: few names, so that steps meet; what worked before is named again.
 */
#include "tests/lib/three.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* splitmix64 */
static uint64_t draw(struct gen *g)
{
    uint64_t z = g->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint32_t gen_below(struct gen *g, uint32_t n)
{
    return (uint32_t)(draw(g) >> 16) % n;
}

static bool one_in(struct gen *g, uint32_t n)
{
    return gen_below(g, n) == 0;
}

#define PICK(g, array) (array)[gen_below(g, sizeof(array) / sizeof(*(array)))]

static bool is_set(const char *protection)
{
    char path[80], c = '1';
    snprintf(path, sizeof(path), "/proc/sys/fs/protected_%s", protection);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, &c, 1) != 1)
        c = '1';
    if (fd >= 0)
        close(fd);
    return c != '0';
}

void gen_init(struct gen *g, uint64_t seed, bool people, bool trash)
{
    *g = (struct gen){.state = seed, .people = people, .trash = trash};
    g->no_sticky = people && (is_set("regular") || is_set("fifos") || is_set("symlinks"));
    g->no_links = people && !is_set("hardlinks");
}

/* --- paths --------------------------------------------------------------------------------------
 */

static const char *const plain[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};

static void add(char *path, const char *name)
{
    size_t n = strlen(path);
    if (n + 1 + strlen(name) + 1 < THREE_PATH)
        sprintf(path + n, "%s%s", n > 0 && path[n - 1] != '/' ? "/" : "", name);
}

static void drawn_path(struct gen *g, char *out)
{
    out[0] = '\0';
    for (uint32_t depth = 1 + gen_below(g, 3); depth > 0; depth--)
        add(out, PICK(g, plain));
}

static void odd_path(struct gen *g, char *out)
{
    static const char *const odd[] = {".", "..", "./a", "../a", "a/./b", "a/../b", "b//c"};
    char name[300];
    switch (gen_below(g, 5)) {
    case 0:
        drawn_path(g, out);
        strcat(out, "/");
        break;
    case 1:
        memset(name, 'n', 256);
        name[255 + gen_below(g, 2)] = '\0';
        name[256] = '\0';
        out[0] = '\0';
        if (one_in(g, 2))
            add(out, PICK(g, plain));
        add(out, name);
        break;
    case 2:
        drawn_path(g, out);
        add(out, one_in(g, 2) ? "." : "..");
        break;
    case 3:
        drawn_path(g, out);
        add(out, "..");
        add(out, PICK(g, plain));
        break;
    default:
        strcpy(out, PICK(g, odd));
    }
}

/* One that worked before, of the type 'f' 'd' 'l', or any (0); "" when there is none. */
static const char *known(struct gen *g, char type)
{
    for (int try = 0; g->nknown > 0 && try < 20; try++) {
        uint32_t i = gen_below(g, (uint32_t)g->nknown);
        if (type == 0 || g->type[i] == type)
            return g->known[i];
    }
    return "";
}

/* Hours begin with that of THREE_CLOCK; entries are named PARENT-INODE-NAME. */
static void trash_path(struct gen *g, char *out)
{
    strcpy(out, ".trash");
    if (one_in(g, 6))
        return;
    add(out, one_in(g, 4) ? "2033-05-18-04" : "2033-05-18-03");
    if (one_in(g, 4))
        return;
    sprintf(out + strlen(out), "/%u-%u-%s", one_in(g, 2) ? 1 : 64 + gen_below(g, 8),
            65 + gen_below(g, 30), PICK(g, plain));
}

/* Mostly one that fits: a name that is free ('n') or something of that type. */
static void path(struct gen *g, char *out, char type)
{
    uint32_t r = gen_below(g, 100);
    if (g->trash && one_in(g, 8)) {
        trash_path(g, out);
    } else if (r < 3) {
        odd_path(g, out);
    } else if (r < 15) {
        drawn_path(g, out);
    } else if (r < 30) {
        strcpy(out, known(g, 0));
        if (out[0] == '\0' || one_in(g, 2))
            add(out, PICK(g, plain));
    } else {
        strcpy(out, known(g, type == 'n' ? 'd' : type));
        if (type == 'n' && one_in(g, 3))
            out[0] = '\0';
        if (out[0] == '\0' || type == 'n')
            add(out, PICK(g, plain));
    }
}

static uint8_t base(struct gen *g)
{
    uint8_t h = (uint8_t)gen_below(g, THREE_HANDLES);
    return one_in(g, (g->dir_hint >> h & 1) != 0 ? 3 : 60) ? 1 + h : 0;
}

static void target(struct gen *g, char *out)
{
    switch (gen_below(g, 8)) {
    case 0:
        strcpy(out, "../");
        strcat(out, PICK(g, plain));
        break;
    case 1:
        strcpy(out, "@/"); /* the prefix: the worlds put it in */
        strcat(out, PICK(g, plain));
        break;
    case 2:
        strcpy(out, one_in(g, 3) ? "." : one_in(g, 2) ? ".." : "@");
        break;
    case 3:
        strcpy(out, PICK(g, plain));
        strcat(out, "/");
        break;
    default:
        drawn_path(g, out);
    }
}

/* --- numbers ------------------------------------------------------------------------------------
 */

static int64_t offset(struct gen *g)
{
    static const int64_t edges[] = {0,
                                    1,
                                    4095,
                                    4096,
                                    THREE_BLOCK - 1,
                                    THREE_BLOCK,
                                    THREE_BLOCK + 1,
                                    2 * THREE_BLOCK,
                                    3 * THREE_BLOCK - 3};
    uint32_t r = gen_below(g, 100);
    if (r < 30)
        return PICK(g, edges);
    if (r == 30 && one_in(g, 4))
        return (int64_t)(64 << 20) - 100 + gen_below(g, 200); /* the border of a chunk */
    if (r < 65)
        return gen_below(g, 5000);
    return gen_below(g, 5 * THREE_BLOCK);
}

static int64_t length(struct gen *g)
{
    uint32_t r = gen_below(g, 100);
    return r < 5    ? 0
           : r < 60 ? 1 + gen_below(g, 200)
           : r < 85 ? gen_below(g, 6000)
                    : gen_below(g, 2 * THREE_BLOCK);
}

static unsigned mode(struct gen *g)
{
    static const unsigned modes[] = {0644,  0755,  0600,  0700,  0777,  0666, 0444,
                                     0555,  0,     0640,  0070,  0007,  0711, 01777,
                                     02755, 04755, 06777, 02770, 01755, 03777};
    return one_in(g, 8) ? gen_below(g, 010000) : one_in(g, 2) ? 0755 : PICK(g, modes);
}

static int open_flags(struct gen *g)
{
    static const int access[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR};
    int f = PICK(g, access);
    if (gen_below(g, 10) < 6)
        f |= O_CREAT;
    if (one_in(g, 5))
        f |= O_EXCL;
    if (one_in(g, 6))
        f |= O_TRUNC;
    if (one_in(g, 6))
        f |= O_APPEND;
    if (one_in(g, 8))
        f |= O_NOFOLLOW;
    if (one_in(g, 8))
        f = O_RDONLY | O_DIRECTORY | (f & O_NOFOLLOW);
    if (one_in(g, 40))
        f = O_TMPFILE | (one_in(g, 2) ? O_RDWR : O_WRONLY) | (one_in(g, 4) ? O_EXCL : 0);
    return f;
}

static const struct timespec *moment(struct gen *g)
{
    static struct timespec t;
    static const long nsec[] = {0, 1, 999999999, 123456789};
    t.tv_sec = 1000000000 + gen_below(g, 400000000);
    t.tv_nsec = PICK(g, nsec);
    return &t;
}

static void times(struct gen *g, struct step *s)
{
    s->flags = (int)(gen_below(g, 3) | gen_below(g, 3) << 2);
    if (one_in(g, 3))
        s->flags = TIME_SET | TIME_SET << 2;
    s->atime = *moment(g);
    s->mtime = *moment(g);
}

static void owner(struct gen *g, struct step *s)
{
    static const int64_t uids[] = {-1, -1, 0, 1001, 1002}, gids[] = {-1, -1, 0, 1001, 2000, 2001};
    s->uid = PICK(g, uids);
    s->gid = PICK(g, gids);
}

static void xattr(struct gen *g, struct step *s)
{
    if (g->xattr_path[0] != '\0' && one_in(g, 2)) {
        strcpy(s->path, g->xattr_path);
        s->at = 0;
        if (s->kind != STEP_XSET) {
            strcpy(s->path2, g->xattr_name);
            return;
        }
    }
    static const char *const names[] = {"user.a",  "user.a",         "user.a",  "user.b",
                                        "user.b",  "user.long-name", "user.",   "trusted.t",
                                        "nospace", "other.x",        "user.a.b"};
    strcpy(s->path2, PICK(g, names));
    if (one_in(g, 60)) {
        memset(s->path2, 'x', 256);
        memcpy(s->path2, "user.", 5);
        s->path2[255 + gen_below(g, 2)] = '\0';
        s->path2[256] = '\0';
    }
}

/* --- steps --------------------------------------------------------------------------------------
 */

static const struct {
    enum step_kind kind;
    uint8_t weight;
} weights[] = {
    {STEP_OPEN, 16},    {STEP_CLOSE, 9},     {STEP_WRITE, 14},    {STEP_READ, 5},
    {STEP_SEEK, 2},     {STEP_FTRUNCATE, 4}, {STEP_FALLOCATE, 4}, {STEP_FSYNC, 1},
    {STEP_FSTAT, 3},    {STEP_FCHMOD, 1},    {STEP_FCHOWN, 1},    {STEP_FUTIMENS, 1},
    {STEP_STAT, 4},     {STEP_ACCESS, 3},    {STEP_READLINK, 2},  {STEP_MKDIR, 8},
    {STEP_MKNOD, 2},    {STEP_SYMLINK, 4},   {STEP_LINK, 4},      {STEP_LINKFD, 1},
    {STEP_UNLINK, 6},   {STEP_RMDIR, 3},     {STEP_RENAME, 9},    {STEP_TRUNCATE, 3},
    {STEP_CHMOD, 3},    {STEP_CHOWN, 3},     {STEP_UTIMENS, 2},   {STEP_XSET, 3},
    {STEP_XGET, 2},     {STEP_XLIST, 1},     {STEP_XREMOVE, 1},   {STEP_READDIR, 2},
    {STEP_FREADDIR, 1},
};

static enum step_kind kind(struct gen *g)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < sizeof(weights) / sizeof(*weights); i++)
        sum += weights[i].weight;
    uint32_t r = gen_below(g, sum);
    for (size_t i = 0;; i++) {
        if (r < weights[i].weight)
            return weights[i].kind;
        r -= weights[i].weight;
    }
}

static uint8_t handle(struct gen *g, enum step_kind kind)
{
    int fits = kind == STEP_OPEN       ? ~g->open_hint
               : kind == STEP_FREADDIR ? g->dir_hint
               : one_in(g, 20)         ? g->open_hint
                                       : g->open_hint & ~g->dir_hint;
    uint8_t h = (uint8_t)gen_below(g, THREE_HANDLES);
    for (int i = 0; i < THREE_HANDLES; i++, h = (uint8_t)((h + 1) % THREE_HANDLES)) {
        if ((fits >> h & 1) != 0)
            break;
    }
    return h;
}

static void details(struct gen *g, struct step *s)
{
    static const int fallocs[] = {0,
                                  0,
                                  FALLOC_FL_KEEP_SIZE,
                                  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                  FALLOC_FL_ZERO_RANGE,
                                  FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                                  FALLOC_FL_PUNCH_HOLE};
    static const unsigned types[] = {0, S_IFREG, S_IFIFO, S_IFIFO, S_IFSOCK, S_IFDIR};
    static const int renames[] = {0, 0, 0, 0, 1, 2, 2, 3};
    switch (s->kind) {
    case STEP_OPEN:
        s->flags = open_flags(g);
        s->mode = mode(g);
        break;
    case STEP_WRITE:
    case STEP_READ:
        s->off = one_in(g, 3) ? -1 : offset(g);
        s->len = length(g);
        s->seed = gen_below(g, 1000);
        break;
    case STEP_SEEK:
        s->off = offset(g) - (one_in(g, 10) ? 1000 : 0);
        s->flags = (int)gen_below(g, 3);
        break;
    case STEP_FTRUNCATE:
    case STEP_TRUNCATE:
        s->len = one_in(g, 20) ? -1 : offset(g);
        break;
    case STEP_FALLOCATE:
        s->flags = PICK(g, fallocs);
        s->off = one_in(g, 30) ? -1 : offset(g);
        s->len = one_in(g, 20) ? 0 : length(g) + 1;
        break;
    case STEP_FCHMOD:
    case STEP_CHMOD:
    case STEP_MKDIR:
        s->mode = mode(g);
        break;
    case STEP_MKNOD:
        s->mode = mode(g) | PICK(g, types);
        break;
    case STEP_FCHOWN:
    case STEP_CHOWN:
        owner(g, s);
        break;
    case STEP_FUTIMENS:
    case STEP_UTIMENS:
        times(g, s);
        break;
    case STEP_ACCESS:
        s->mode = gen_below(g, 8);
        s->flags = one_in(g, 4) ? STEP_REAL_IDS : 0;
        break;
    case STEP_RENAME:
        s->flags = PICK(g, renames);
        break;
    case STEP_LINK:
        s->flags = one_in(g, 3) ? 0 : STEP_NOFOLLOW;
        return;
    case STEP_SYMLINK:
        target(g, s->path2);
        break;
    case STEP_XSET:
        xattr(g, s);
        s->flags = one_in(g, 4) ? 1 : one_in(g, 4) ? 2 : 0;
        s->len = one_in(g, 30) ? 3000 : gen_below(g, 40);
        s->seed = gen_below(g, 1000);
        break;
    case STEP_XGET:
        xattr(g, s);
        s->len = one_in(g, 3) ? gen_below(g, 30) : 4000;
        break;
    case STEP_XREMOVE:
        xattr(g, s);
        break;
    default:
        break;
    }
    if (one_in(g, 3))
        switch (s->kind) {
        case STEP_STAT:
        case STEP_CHOWN:
        case STEP_UTIMENS:
        case STEP_XSET:
        case STEP_XGET:
        case STEP_XLIST:
        case STEP_XREMOVE:
        case STEP_ACCESS:
            s->flags |= STEP_NOFOLLOW;
            break;
        case STEP_CHMOD:
            s->flags |= one_in(g, 4) ? STEP_NOFOLLOW : 0;
            break;
        default:
            break;
        }
}

static char wants(struct gen *g, enum step_kind of)
{
    switch (of) {
    case STEP_OPEN:
        return one_in(g, 2) ? 'n' : one_in(g, 8) ? 'd' : 'f';
    case STEP_MKDIR:
    case STEP_MKNOD:
    case STEP_SYMLINK:
        return 'n';
    case STEP_TRUNCATE:
        return 'f';
    case STEP_UNLINK:
        return one_in(g, 4) ? 0 : 'f';
    case STEP_RMDIR:
    case STEP_READDIR:
        return 'd';
    case STEP_READLINK:
        return 'l';
    case STEP_XSET:
    case STEP_XGET:
    case STEP_XLIST:
    case STEP_XREMOVE:
        return one_in(g, 2) ? 'f' : one_in(g, 2) ? 'd' : 0;
    case STEP_LINK:
        return one_in(g, 4) ? 0 : 'f';
    default:
        return 0;
    }
}

void gen_step(struct gen *g, struct step *s)
{
    static const uint32_t dts[] = {0, 0, 1, 30, 110, 1000, 1000};
    memset(s, 0, sizeof(*s));
    s->kind = kind(g);
    s->dt_ms = PICK(g, dts);
    if (one_in(g, 2000))
        s->dt_ms = 3600000; /* the next hour: another directory in the trash */
    if (g->people && gen_below(g, 10) < 7)
        s->who = (uint8_t)(1 + gen_below(g, THREE_PEOPLE - 1));
    s->h = handle(g, s->kind);
    s->at = base(g);
    s->at2 = base(g);
    path(g, s->path, wants(g, s->kind));
    path(g, s->path2, one_in(g, 3) ? 0 : 'n');
    details(g, s);
    if (g->no_sticky && s->kind != STEP_ACCESS)
        s->mode &= ~(unsigned)S_ISVTX;
    if (g->no_links && (s->kind == STEP_LINK || s->kind == STEP_LINKFD))
        s->who = 0;
}

static char forget(struct gen *g, const char *name)
{
    char type = 0;
    for (size_t i = 0; i < g->nknown; i++) {
        if (strcmp(g->known[i], name) != 0)
            continue;
        type = g->type[i];
        size_t last = --g->nknown;
        if (i < last)
            memcpy(g->known[i], g->known[last], THREE_PATH);
        g->type[i--] = g->type[last];
    }
    return type;
}

static void remember(struct gen *g, const char *name, char type)
{
    forget(g, name);
    size_t at = g->nknown < GEN_KNOWN ? g->nknown++ : gen_below(g, GEN_KNOWN);
    strcpy(g->known[at], name);
    g->type[at] = type;
}

void gen_learn(struct gen *g, const struct step *s, int64_t code)
{
    if (s->kind == STEP_CLOSE || s->kind == STEP_OPEN) {
        g->open_hint &= ~(1 << s->h);
        g->dir_hint &= ~(1 << s->h);
    }
    if (code < 0)
        return;
    if (s->kind == STEP_OPEN) {
        g->open_hint |= 1 << s->h;
        g->dir_hint |=
            (s->flags & O_DIRECTORY) != 0 && (s->flags & O_TMPFILE) != O_TMPFILE ? 1 << s->h : 0;
    }
    bool near = s->at == 0;
    if (near && s->kind == STEP_XSET)
        strcpy(g->xattr_path, s->path), strcpy(g->xattr_name, s->path2);
    if (near && (s->kind == STEP_MKDIR || s->kind == STEP_READDIR))
        remember(g, s->path, 'd');
    if (near && s->kind == STEP_SYMLINK)
        remember(g, s->path, 'l');
    if (near && s->kind == STEP_MKNOD)
        remember(g, s->path, (s->mode & S_IFMT & ~(unsigned)S_IFREG) == 0 ? 'f' : 'o');
    if (near && s->kind == STEP_OPEN && (s->flags & O_DIRECTORY) == 0)
        remember(g, s->path, 'f');
    if (s->kind == STEP_LINK && s->at2 == 0)
        remember(g, s->path2, 'f');
    if (near && s->kind == STEP_RENAME && s->at2 == 0) {
        char type = forget(g, s->path);
        remember(g, s->path2, type != 0 ? type : 'f');
    }
    if (near && (s->kind == STEP_UNLINK || s->kind == STEP_RMDIR))
        forget(g, s->path);
}
