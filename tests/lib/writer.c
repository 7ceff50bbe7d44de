/*
 * writer.c - see writer.h.
 */
#include "tests/lib/writer.h"

#include "core/base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint32_t below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(draw(state) >> 16) % n;
}

static void fill(uint8_t *p, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(1 + (i * 31 + i / 251 + seed * 7919) % 255);
}

/* --- the model -----------------------------------------------------------------------------------
 */

void model_free(struct model *m)
{
    for (int i = 0; i < WRITER_NAMES; i++)
        free(m->file[i].data);
    memset(m->file, 0, sizeof(m->file));
    memset(m->name, 0, sizeof(m->name));
}

static void copy(const struct model *from, struct model *to)
{
    *to = *from;
    for (int i = 0; i < WRITER_NAMES; i++) {
        struct model_file *f = &to->file[i];
        if (f->data == NULL)
            continue;
        f->data = malloc(f->len + 1);
        memcpy(f->data, from->file[i].data, f->len);
    }
}

static struct model_name *find(struct model *m, const char *name)
{
    for (int i = 0; i < WRITER_NAMES; i++) {
        if (strcmp(m->name[i].name, name) == 0)
            return &m->name[i];
    }
    return NULL;
}

static struct model_file *file_of(struct model *m, const char *name)
{
    struct model_name *n = find(m, name);
    return n != NULL ? &m->file[n->file] : NULL;
}

static void unlink_name(struct model *m, const char *name)
{
    struct model_name *n = find(m, name);
    struct model_file *f = &m->file[n->file];
    n->name[0] = '\0';
    if (--f->nlink == 0) {
        free(f->data);
        *f = (struct model_file){0};
    }
}

static void add_name(struct model *m, const char *name, int file)
{
    struct model_name *n = find(m, "");
    if (n == NULL)
        abort(); /* draw_deed() leaves room */
    snprintf(n->name, sizeof(n->name), "%s", name);
    n->file = file;
    m->file[file].nlink++;
}

static struct model_file *add_file(struct model *m, const char *name, uint8_t type)
{
    int i = 0;
    while (m->file[i].type != 0)
        i++;
    m->file[i] = (struct model_file){.type = type};
    add_name(m, name, i);
    return &m->file[i];
}

static void resize(struct model_file *f, size_t len)
{
    f->data = realloc(f->data, len + 1);
    if (len > f->len)
        memset(f->data + f->len, 0, len - f->len);
    f->len = len;
}

static void put(struct model_file *f, size_t off, size_t len, uint32_t seed)
{
    if (len == 0)
        return; /* a write of nothing makes nothing longer */
    if (off + len > f->len)
        resize(f, off + len);
    fill(f->data + off, len, seed);
}

void model_apply(struct model *m, const struct deed *d)
{
    struct model_file *f = file_of(m, d->a);
    struct model_name *a = find(m, d->a), *b = find(m, d->b);
    int swap;
    switch (d->kind) {
    case DEED_CREATE:
        f = add_file(m, d->a, TYPE_FILE);
        put(f, 0, d->len, d->seed);
        break;
    case DEED_REPLACE:
        resize(f, 0);
        put(f, 0, d->len, d->seed);
        break;
    case DEED_APPEND:
        put(f, f->len, d->len, d->seed);
        break;
    case DEED_PATCH:
        put(f, d->off, d->len, d->seed);
        break;
    case DEED_TRUNCATE:
        resize(f, d->len);
        break;
    case DEED_RENAME:
        if (b != NULL && a->file == b->file)
            break; /* two names of one file: nothing happens */
        if (b != NULL)
            unlink_name(m, d->b);
        snprintf(a->name, sizeof(a->name), "%s", d->b);
        break;
    case DEED_EXCHANGE:
        swap = a->file;
        a->file = b->file;
        b->file = swap;
        break;
    case DEED_LINK:
        add_name(m, d->b, a->file);
        break;
    case DEED_UNLINK:
    case DEED_UNLINK_OPEN:
    case DEED_RMDIR:
        unlink_name(m, d->a);
        break;
    case DEED_MKDIR:
        add_file(m, d->a, TYPE_DIRECTORY);
        break;
    case DEED_SYMLINK:
        f = add_file(m, d->a, TYPE_SYMLINK);
        resize(f, strlen(d->b));
        memcpy(f->data, d->b, strlen(d->b));
        break;
    default:
        break;
    }
}

/* --- the volume ----------------------------------------------------------------------------------
 */

/* In a writer: the directory that it made, as if it were the working directory. */
static char own_dir[32];
static uint64_t own_ino;

static struct vfs_loc *at(const char *path)
{
    static struct vfs_loc loc[2];
    static unsigned next;
    struct vfs_loc *l = &loc[next++ % 2];
    size_t n = strlen(own_dir);
    *l = (struct vfs_loc){.base = INO_ROOT, .path = path};
    if (own_ino != 0 && strncmp(path, own_dir, n) == 0 && path[n] == '/')
        *l = (struct vfs_loc){.base = own_ino, .path = path + n + 1};
    return l;
}

static ssize_t transfer(struct vfs *v, int fd, const struct vfs_fd *f, void *data, size_t n,
                        off_t off, bool write)
{
    struct iovec iov = {data, n};
    return write ? vfs_writev(v, fd, f, &iov, 1, off, 0) : vfs_readv(v, fd, f, &iov, 1, off, 0);
}

/* The bytes of a file, malloc'ed; -errno. */
static ssize_t read_all(struct vfs *v, const char *path, uint8_t **out)
{
    struct vfs_fd f;
    struct vfs_stat st;
    *out = NULL;
    int fd = vfs_open(v, at(path), O_RDONLY | O_CLOEXEC, 0, &f);
    if (fd < 0)
        return fd;
    ssize_t rc = vfs_fstat(v, fd, &f, &st);
    if (rc == 0) {
        *out = malloc(st.attr.length + 1);
        rc = transfer(v, fd, &f, *out, st.attr.length + 1, 0, false);
    }
    vfs_close(v, fd, &f);
    return rc;
}

static bool same_object(const struct model *m, struct vfs *v, const struct model_name *n, char *why,
                        size_t len)
{
    const struct model_file *f = &m->file[n->file];
    struct vfs_stat st;
    char target[64];
    uint8_t *data;
    int rc = vfs_stat(v, at(n->name), true, &st);
    if (rc < 0) {
        snprintf(why, len, "%s: %s", n->name, strerror(-rc));
        return false;
    }
    uint32_t nlink = f->type == TYPE_DIRECTORY ? 2 : f->nlink;
    if (st.attr.type != f->type || st.attr.nlink != nlink) {
        snprintf(why, len, "%s: type %d nlink %u, not type %d nlink %u", n->name, st.attr.type,
                 st.attr.nlink, f->type, nlink);
        return false;
    }
    if (f->type == TYPE_SYMLINK) {
        ssize_t k = vfs_readlink(v, at(n->name), target, sizeof(target));
        if (k != (ssize_t)f->len || memcmp(target, f->data, f->len) != 0) {
            snprintf(why, len, "%s: another target", n->name);
            return false;
        }
    }
    if (f->type != TYPE_FILE)
        return true;
    ssize_t got = read_all(v, n->name, &data);
    bool same =
        got == (ssize_t)f->len && memcmp(data, f->data != NULL ? f->data : data, f->len) == 0;
    if (!same && got != (ssize_t)f->len)
        snprintf(why, len, "%s: %zd bytes, not %zu", n->name, got, f->len);
    for (size_t i = 0; !same && got == (ssize_t)f->len && i < f->len; i++) {
        if (data[i] == f->data[i])
            continue;
        snprintf(why, len, "%s: at %zu of %zu is %02x, not %02x", n->name, i, f->len, data[i],
                 f->data[i]);
        break;
    }
    free(data);
    return same;
}

/* Every name of the writer's in dir is in the model.  Counts them. */
static int listed(const struct model *m, struct vfs *v, const char *dir, char *why, size_t len)
{
    char prefix[32], path[300];
    struct vfs_stat st;
    struct vfs_dir *d;
    struct vfs_dirent e;
    int n = 0;
    prefix[0] = '\0';
    if (strcmp(dir, "shared") == 0)
        snprintf(prefix, sizeof(prefix), "%u-", m->writer);
    int rc = vfs_stat(v, at(dir), true, &st);
    rc = rc == 0 ? vfs_dir_open(v, st.ino, &d) : rc;
    if (rc < 0) {
        snprintf(why, len, "%s: %s", dir, strerror(-rc));
        return -1;
    }
    for (size_t i = 2; n >= 0 && (rc = vfs_dir_at(d, i, &e)) == 1; i++) {
        if (strncmp(e.name, prefix, strlen(prefix)) != 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, e.name);
        n++;
        if (find((struct model *)m, path) == NULL) {
            snprintf(why, len, "%s: should not be there", path);
            n = -1;
        }
    }
    vfs_dir_close(d);
    return n;
}

bool model_holds(const struct model *m, struct vfs *v, char *why, size_t len)
{
    char dir[16];
    int names = 0;
    snprintf(dir, sizeof(dir), "w%u", m->writer);
    for (int i = 0; i < WRITER_NAMES; i++) {
        if (m->name[i].name[0] == '\0')
            continue;
        names++;
        if (!same_object(m, v, &m->name[i], why, len))
            return false;
    }
    int a = listed(m, v, dir, why, len), b = a >= 0 ? listed(m, v, "shared", why, len) : -1;
    for (int i = 0; b >= 0 && i < WRITER_NAMES; i++) {
        if (m->name[i].name[0] == '\0' || m->file[m->name[i].file].type != TYPE_DIRECTORY)
            continue;
        a += b;
        b = listed(m, v, m->name[i].name, why, len);
    }
    if (b >= 0 && a + b != names)
        snprintf(why, len, "%d names listed, not %d", a + b, names);
    return b >= 0 && a + b == names;
}

/* What a kill may leave of a file: nothing, what was there, empty where it was to be written anew,
 * or, where bytes went into one that had some, a first part of them. */
static void partly(struct model *m, const struct deed *d, struct vfs *v)
{
    struct model_file *f = file_of(m, d->a);
    uint8_t *data;
    if (d->kind == DEED_CREATE)
        f = add_file(m, d->a, TYPE_FILE);
    if (d->kind == DEED_CREATE || d->kind == DEED_REPLACE) {
        resize(f, 0);
        return;
    }
    if (d->kind != DEED_APPEND && d->kind != DEED_PATCH)
        return;
    size_t off = d->kind == DEED_APPEND ? f->len : d->off, part = 0;
    ssize_t got = read_all(v, d->a, &data);
    uint8_t *want = malloc(d->len + 1);
    fill(want, d->len, d->seed);
    while (got > 0 && off + part < (size_t)got && part < d->len && data[off + part] == want[part])
        part++;
    put(f, off, part, d->seed);
    free(want);
    free(data);
}

bool model_settle(struct model *m, const struct deed *d, struct vfs *v, char *why, size_t len)
{
    struct model before, half, after;
    char said[3][200] = {"", "", ""};
    copy(m, &before);
    copy(m, &half);
    copy(m, &after);
    model_apply(&after, d);
    struct model *const outcome[] = {&before, &after, &half};
    bool found = false;
    for (int i = 0; i < 3; i++) {
        if (i == 2 && !found)
            partly(&half, d, v);
        if (!found && model_holds(outcome[i], v, said[i], sizeof(said[i]))) {
            model_free(m);
            *m = *outcome[i];
            found = true;
        } else {
            model_free(outcome[i]);
        }
    }
    if (!found)
        snprintf(why, len, "after a kill in deed %d (%s %s off %u len %u): %s; or: %s; or: %s",
                 d->kind, d->a, d->b, d->off, d->len, said[0], said[1], said[2]);
    return found;
}

/* --- doing it ------------------------------------------------------------------------------------
 */

static int write_file(struct vfs *v, const struct deed *d, int flags, off_t off)
{
    static uint8_t data[1 << 18];
    struct vfs_fd f;
    fill(data, d->len, d->seed);
    int fd = vfs_open(v, at(d->a), flags | O_CLOEXEC, 0644, &f);
    if (fd < 0)
        return fd;
    ssize_t n = transfer(v, fd, &f, data, d->len, off, true);
    int rc = vfs_close(v, fd, &f);
    return n < 0 ? (int)n : n != (ssize_t)d->len ? -EIO : rc;
}

static int unlink_open(struct vfs *v, const struct deed *d)
{
    struct vfs_stat st;
    struct vfs_fd f;
    char text[8] = "";
    int fd = vfs_open(v, at(d->a), O_RDWR | O_CLOEXEC, 0, &f);
    if (fd < 0)
        return fd;
    int rc = vfs_unlink(v, at(d->a));
    if (rc == 0)
        rc = vfs_fstat(v, fd, &f, &st);
    if (rc < 0 || st.attr.nlink > 0) {
        vfs_close(v, fd, &f);
        return rc;
    }
    ssize_t n = transfer(v, fd, &f, (char[]){"gone"}, 4, 100, true);
    if (rc == 0 && n != 4)
        rc = n < 0 ? (int)n : -EIO;
    n = transfer(v, fd, &f, text, 4, 100, false);
    if (rc == 0 && (n != 4 || memcmp(text, "gone", 4) != 0))
        rc = n < 0 ? (int)n : -EIO;
    int closed = vfs_close(v, fd, &f);
    return rc == 0 ? closed : rc;
}

static int carry_out(struct vfs *v, const struct deed *d)
{
    switch (d->kind) {
    case DEED_CREATE:
        return write_file(v, d, O_CREAT | O_EXCL | O_WRONLY, -1);
    case DEED_REPLACE:
        return write_file(v, d, O_TRUNC | O_WRONLY, -1);
    case DEED_APPEND:
        return write_file(v, d, O_APPEND | O_WRONLY, -1);
    case DEED_PATCH:
        return write_file(v, d, O_RDWR, d->off);
    case DEED_TRUNCATE:
        return vfs_truncate(v, at(d->a), d->len);
    case DEED_RENAME:
        return vfs_rename(v, at(d->a), at(d->b), 0);
    case DEED_EXCHANGE:
        return vfs_rename(v, at(d->a), at(d->b), 2);
    case DEED_LINK:
        return vfs_link(v, at(d->a), at(d->b), false);
    case DEED_UNLINK:
        return vfs_unlink(v, at(d->a));
    case DEED_UNLINK_OPEN:
        return unlink_open(v, d);
    case DEED_MKDIR:
        return vfs_mkdir(v, at(d->a), 0755);
    case DEED_RMDIR:
        return vfs_rmdir(v, at(d->a));
    default:
        return vfs_symlink(v, d->b, at(d->a));
    }
}

/* own: the directory that this process made, or "". */
static void new_name(const struct model *m, uint64_t *state, const char *own, char out[32])
{
    do {
        if (*own != '\0' && below(state, 3) != 0)
            snprintf(out, 32, "%.20s/%u", own, below(state, 1000));
        else if (below(state, 3) == 0)
            snprintf(out, 32, "shared/%u-%u", m->writer, below(state, 1000));
        else
            snprintf(out, 32, "w%u/%u", m->writer, below(state, 1000));
    } while (find((struct model *)m, out) != NULL);
}

static bool is_empty(const struct model *m, const char *dir)
{
    size_t n = strlen(dir);
    for (int i = 0; i < WRITER_NAMES; i++) {
        if (strncmp(m->name[i].name, dir, n) == 0 && m->name[i].name[n] == '/')
            return false;
    }
    return true;
}

static int names_used(const struct model *m)
{
    int used = 0;
    for (int i = 0; i < WRITER_NAMES; i++)
        used += m->name[i].name[0] != '\0';
    return used;
}

/* Names are read again after each kill. */
static bool is_full(const struct model *m)
{
    return names_used(m) > (m->is_quick ? 20 : WRITER_NAMES - 8);
}

/* Of a type, or of any that is no directory (0); below dir, or anywhere (""). */
static bool old_name(const struct model *m, uint64_t *state, uint8_t type, const char *dir,
                     char out[32])
{
    for (int try = 0; try < 100; try++) {
        const struct model_name *n = &m->name[below(state, WRITER_NAMES)];
        uint8_t is = m->file[n->file].type;
        if (n->name[0] == '\0' || (type != 0 ? is != type : is == TYPE_DIRECTORY) ||
            strncmp(n->name, dir, strlen(dir)) != 0)
            continue;
        memcpy(out, n->name, 32);
        return true;
    }
    return false;
}

static bool draw_deed(const struct model *m, uint64_t *state, const char *own, struct deed *d)
{
    static const uint8_t wants[DEED_KINDS] = {
        [DEED_REPLACE] = TYPE_FILE,   [DEED_APPEND] = TYPE_FILE, [DEED_PATCH] = TYPE_FILE,
        [DEED_TRUNCATE] = TYPE_FILE,  [DEED_LINK] = TYPE_FILE,   [DEED_UNLINK_OPEN] = TYPE_FILE,
        [DEED_RMDIR] = TYPE_DIRECTORY};
    static const uint32_t lengths[] = {10, 300, 5000, 70000, 150000};
    memset(d, 0, sizeof(*d));
    bool quick = m->is_quick && *own != '\0' && below(state, 10) != 0;
    d->kind = (uint8_t)below(state, DEED_KINDS);
    if (quick)
        d->kind = below(state, 2) == 0 ? DEED_CREATE : DEED_UNLINK;
    d->len = below(state, lengths[below(state, quick ? 3 : 5)]);
    d->off = below(state, lengths[below(state, 5)]);
    d->seed = below(state, 100000);
    bool makes = d->kind == DEED_CREATE || d->kind == DEED_MKDIR || d->kind == DEED_SYMLINK;
    if ((makes || d->kind == DEED_LINK) && is_full(m))
        return false;
    if (makes)
        new_name(m, state, d->kind == DEED_MKDIR ? "" : own, d->a);
    else if (!old_name(m, state, wants[d->kind], quick ? own : "", d->a))
        return false;
    if (d->kind == DEED_RMDIR && (strcmp(d->a, own) == 0 || !is_empty(m, d->a)))
        return false;
    if (d->kind == DEED_SYMLINK)
        snprintf(d->b, sizeof(d->b), "nowhere/%u", d->seed);
    if (d->kind == DEED_RENAME && below(state, 2) == 0)
        return old_name(m, state, 0, "", d->b);
    if (d->kind == DEED_EXCHANGE)
        return old_name(m, state, 0, "", d->b);
    if (d->kind == DEED_RENAME || d->kind == DEED_LINK)
        new_name(m, state, own, d->b);
    return true;
}

/* false: it is over. */
static bool do_deed(struct vfs *v, struct model *m, struct deed *d, int pipe)
{
    if (write(pipe, d, sizeof(*d)) != sizeof(*d))
        return false;
    d->code = carry_out(v, d);
    d->done = true;
    if (d->code < 0)
        fprintf(stderr, "writer %u: %s\n", m->writer, vfs_error(v));
    if (write(pipe, d, sizeof(*d)) != sizeof(*d) || d->code < 0)
        return false;
    model_apply(m, d);
    return true;
}

static void make_own(struct vfs *v, struct model *m, uint64_t *seed, int pipe)
{
    struct deed d = {.kind = DEED_MKDIR};
    struct vfs_stat st;
    if (is_full(m))
        return;
    do
        snprintf(own_dir, sizeof(own_dir), "w%u/d%u", m->writer, below(seed, 100000));
    while (find(m, own_dir) != NULL);
    memcpy(d.a, own_dir, sizeof(own_dir));
    if (do_deed(v, m, &d, pipe) && vfs_stat(v, at(own_dir), true, &st) == 0)
        own_ino = st.ino;
    else
        own_dir[0] = '\0';
}

void writer_run(struct vfs *v, struct model *m, uint64_t seed, int pipe)
{
    struct deed d;
    make_own(v, m, &seed, pipe);
    for (;;) {
        if (draw_deed(m, &seed, own_dir, &d) && !do_deed(v, m, &d, pipe))
            return;
    }
}
