/*
 * dir.c - directory listings with stable positions.
 *
 * A page is asked for when a position beyond what is known is read, so a position stays the same
 * entry for the life of the listing, as telldir(3) promises.  Pages may repeat a name (the format's
 * hashes are scanned while others write); a repeated one is dropped.
 */
#include "core/vfs/vfs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_ENTRIES 512

struct entry {
    uint64_t ino;
    char *name; /* owned; NULL for "." and ".." */
    uint8_t type;
};

struct vfs_dir {
    struct vfs *v;
    uint64_t ino, parent;
    struct entry *entry;
    size_t count, cap;
    uint32_t *index; /* open addressing by name: entry number + 1; only with several pages */
    size_t index_cap;
    uint64_t cursor;
    char last[NAME_LEN_MAX + 1]; /* name that the last page ended with */
    bool started, ended;
};

int vfs_dir_open(struct vfs *v, uint64_t ino, struct vfs_dir **out)
{
    struct vfs_dir *d = calloc(1, sizeof *d);
    *out = d;
    if (d == NULL)
        return -ENOMEM;
    d->v = v;
    d->ino = ino;
    return 0;
}

void vfs_dir_rewind(struct vfs_dir *d)
{
    for (size_t i = 0; i < d->count; i++)
        free(d->entry[i].name);
    free(d->entry);
    free(d->index);
    *d = (struct vfs_dir){.v = d->v, .ino = d->ino};
}

void vfs_dir_close(struct vfs_dir *d)
{
    if (d == NULL)
        return;
    vfs_dir_rewind(d);
    free(d);
}

static uint64_t hash(const char *name)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (; *name != '\0'; name++)
        h = (h ^ (uint8_t)*name) * UINT64_C(1099511628211);
    return h;
}

/* The place of a name in the index: taken by it, or free. */
static uint32_t *index_place(struct vfs_dir *d, const char *name)
{
    for (size_t at = hash(name) % d->index_cap;; at = (at + 1) % d->index_cap) {
        uint32_t *p = &d->index[at];
        if (*p == 0 || strcmp(d->entry[*p - 1].name, name) == 0)
            return p;
    }
}

static int index_grow(struct vfs_dir *d)
{
    if (d->count * 2 < d->index_cap)
        return 0;
    free(d->index);
    d->index_cap = d->count * 4 + 4 * PAGE_ENTRIES;
    d->index = calloc(d->index_cap, sizeof *d->index);
    if (d->index == NULL) {
        d->index_cap = 0;
        return -ENOMEM;
    }
    for (size_t i = 0; i < d->count; i++) {
        if (d->entry[i].name != NULL)
            *index_place(d, d->entry[i].name) = (uint32_t)i + 1;
    }
    return 0;
}

static int add(struct vfs_dir *d, uint64_t ino, uint8_t type, const uint8_t *name, size_t len)
{
    if (d->count == d->cap) {
        size_t cap = d->cap == 0 ? 64 : d->cap * 2;
        struct entry *e = realloc(d->entry, cap * sizeof *e);
        if (e == NULL)
            return -ENOMEM;
        d->entry = e;
        d->cap = cap;
    }
    struct entry *e = &d->entry[d->count];
    *e = (struct entry){.ino = ino, .type = type};
    if (name != NULL) {
        e->name = malloc(len + 1);
        if (e->name == NULL)
            return -ENOMEM;
        memcpy(e->name, name, len);
        e->name[len] = '\0';
    }
    d->count++;
    if (d->index == NULL || name == NULL)
        return 0;
    uint32_t *place = index_place(d, e->name);
    if (*place != 0) {
        free(e->name);
        d->count--;
        return 0;
    }
    *place = (uint32_t)d->count;
    return index_grow(d);
}

static int add_page(struct vfs_dir *d, const uint8_t *p, size_t len)
{
    if (len < 8)
        return -EIO;
    d->cursor = get_be64(p);
    d->ended = d->cursor == 0;
    const uint8_t *end = p + len;
    p += 8;
    while (p < end) {
        if (end - p < 2)
            return -EIO;
        size_t name_len = get_be16(p);
        if ((size_t)(end - p) < 2 + name_len + 11)
            return -EIO;
        const uint8_t *name = p + 2;
        p = name + name_len;
        uint8_t type = p[0];
        uint64_t ino = get_be64(p + 1);
        size_t attr_len = get_be16(p + 9);
        p += 11;
        if ((size_t)(end - p) < attr_len)
            return -EIO;
        if (name_len <= NAME_LEN_MAX) {
            memcpy(d->last, name, name_len);
            d->last[name_len] = '\0';
        }
        p += attr_len; /* kept for the listing cache of a later day; types come with the entry */
        if (name_len == 0 || memchr(name, '/', name_len) != NULL ||
            memchr(name, '\0', name_len) != NULL)
            continue; /* no program could use it */
        int rc = add(d, ino, type, name, name_len);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int fetch(struct vfs_dir *d)
{
    struct request r;

    request_inode(d->v, &r, OP_READDIR, d->ino);
    r.op.off = d->cursor;
    r.op.path2 = d->last;
    r.op.len = PAGE_ENTRIES;
    r.op.flags = OPF_BY_FD;
    int rc = request_call(d->v, &r, NULL);
    if (rc == -ENOENT && !d->started) {
        d->ended = true; /* removed while open: an empty listing, as the kernel gives */
        d->started = true;
        rc = 0;
        goto out;
    }
    if (rc == 0 && !d->started) {
        d->started = true;
        d->parent = r.res.has_attr && r.res.attr.parent != 0 ? r.res.attr.parent : d->ino;
        rc = add(d, d->ino, TYPE_DIRECTORY, NULL, 0);
        if (rc == 0)
            rc = add(d, d->parent, TYPE_DIRECTORY, NULL, 0);
    } else if (rc == 0 && d->index == NULL) {
        rc = index_grow(d);
    }
    if (rc == 0)
        rc = add_page(d, r.res.extra.data, r.res.extra.len);
out:
    request_fini(&r);
    return rc;
}

int vfs_dir_at(struct vfs_dir *d, size_t pos, struct vfs_dirent *out)
{
    while (pos >= d->count && !d->ended) {
        int rc = fetch(d);
        if (rc < 0)
            return rc;
    }
    if (pos >= d->count)
        return 0;
    const struct entry *e = &d->entry[pos];
    out->ino = e->ino;
    out->type = e->type;
    out->name = e->name != NULL ? e->name : pos == 0 ? "." : "..";
    return 1;
}
