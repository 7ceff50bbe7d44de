/*
 * model.c - what a writer's part of a volume holds, and whether the volume agrees; see writer.h.
 */
#include "tests/lib/writer_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void model_fill(uint8_t *p, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(1 + (i * 31 + i / 251 + seed * 7919) % 255);
}

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

struct model_name *model_find(struct model *m, const char *name)
{
    for (int i = 0; i < WRITER_NAMES; i++) {
        if (strcmp(m->name[i].name, name) == 0)
            return &m->name[i];
    }
    return NULL;
}

static struct model_file *file_of(struct model *m, const char *name)
{
    struct model_name *n = model_find(m, name);
    return n != NULL ? &m->file[n->file] : NULL;
}

static void unlink_name(struct model *m, const char *name)
{
    struct model_name *n = model_find(m, name);
    struct model_file *f = &m->file[n->file];
    n->name[0] = '\0';
    if (--f->nlink == 0) {
        free(f->data);
        *f = (struct model_file){0};
    }
}

static void add_name(struct model *m, const char *name, int file)
{
    struct model_name *n = model_find(m, "");
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
    model_fill(f->data + off, len, seed);
}

void model_apply(struct model *m, const struct deed *d)
{
    struct model_file *f = file_of(m, d->a);
    struct model_name *a = model_find(m, d->a), *b = model_find(m, d->b);
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

/* --- the volume ------------------------------------------------------------------------------- */

/* The bytes of a file, malloc'ed; -errno. */
static ssize_t read_all(struct vfs *v, const char *path, uint8_t **out)
{
    struct vfs_fd f;
    struct vfs_stat st;
    *out = NULL;
    int fd = vfs_open(v, writer_at(path), O_RDONLY | O_CLOEXEC, 0, &f);
    if (fd < 0)
        return fd;
    ssize_t rc = vfs_fstat(v, fd, &f, &st);
    if (rc == 0) {
        *out = malloc(st.attr.length + 1);
        rc = writer_transfer(v, fd, &f, *out, st.attr.length + 1, 0, false);
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
    int rc = vfs_stat(v, writer_at(n->name), true, &st);
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
        ssize_t k = vfs_readlink(v, writer_at(n->name), target, sizeof(target));
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
    int rc = vfs_stat(v, writer_at(dir), true, &st);
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
        if (model_find((struct model *)m, path) == NULL) {
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
    model_fill(want, d->len, d->seed);
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
