/*
 * content.c - reads what a file holds in the volume: chunk lists, their views, blocks.
 *
 * A view is cached under the file's mtime, since every change of data leaves another mtime.  What
 * does not change it is compaction, which removes blocks: a missing block makes us fetch the list
 * again.
 */
#include "core/vfs/vfs_internal.h"

#include "core/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNKS_AT_ONCE 16
#define READ_TRIES     4

static void view_put(struct view *w)
{
    if (w != NULL && __atomic_sub_fetch(&w->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        free(w->piece);
        free(w);
    }
}

static bool same_key(const struct view_key *a, const struct view_key *b)
{
    return a->ino == b->ino && a->chunk == b->chunk && a->mtime.sec == b->mtime.sec &&
           a->mtime.nsec == b->mtime.nsec;
}

static struct view *view_cached(struct vfs *v, const struct view_key *key)
{
    struct view *found = NULL;
    pthread_mutex_lock(&v->lock);
    for (unsigned i = 0; i < VIEWS_CACHED && found == NULL; i++) {
        if (v->views[i].view != NULL && same_key(&v->views[i].key, key)) {
            found = v->views[i].view;
            __atomic_add_fetch(&found->refs, 1, __ATOMIC_ACQ_REL);
        }
    }
    pthread_mutex_unlock(&v->lock);
    return found;
}

/* Takes over nothing: the cache holds a reference of its own. */
static void view_remember(struct vfs *v, const struct view_key *key, struct view *w)
{
    pthread_mutex_lock(&v->lock);
    unsigned at = v->views_next++ % VIEWS_CACHED;
    for (unsigned i = 0; i < VIEWS_CACHED; i++) {
        if (v->views[i].view != NULL && same_key(&v->views[i].key, key))
            at = i;
    }
    struct view *old = v->views[at].view;
    v->views[at].key = *key;
    v->views[at].view = w;
    if (w != NULL)
        __atomic_add_fetch(&w->refs, 1, __ATOMIC_ACQ_REL);
    pthread_mutex_unlock(&v->lock);
    view_put(old);
}

void content_forget_all(struct vfs *v)
{
    for (unsigned i = 0; i < VIEWS_CACHED; i++) {
        view_put(v->views[i].view);
        v->views[i].view = NULL;
    }
}

void content_forget(struct vfs *v, uint64_t ino)
{
    for (unsigned i = 0; i < VIEWS_CACHED; i++) {
        struct view *old = NULL;
        pthread_mutex_lock(&v->lock);
        if (v->views[i].view != NULL && v->views[i].key.ino == ino) {
            old = v->views[i].view;
            v->views[i].view = NULL;
        }
        pthread_mutex_unlock(&v->lock);
        view_put(old);
    }
}

static int view_make(const void *records, size_t bytes, struct view **out)
{
    struct view *w = calloc(1, sizeof *w);
    if (w == NULL)
        return -ENOMEM;
    w->refs = 1;
    int rc = view_build(records, bytes, &w->piece, &w->count);
    if (rc < 0) {
        free(w);
        return rc;
    }
    *out = w;
    return 0;
}

void content_hint(struct vfs *v, uint64_t ino, struct moment mtime, uint32_t chunk,
                  const void *records, size_t bytes)
{
    struct view_key key = {.ino = ino, .mtime = mtime, .chunk = chunk};
    struct view *w;
    if (view_make(records, bytes, &w) != 0)
        return; /* the reader fetches it again and reports */
    view_remember(v, &key, w);
    view_put(w);
}

static int view_fetch(struct vfs *v, const struct view_key *key, bool removed, struct view **out)
{
    struct request r;

    request_inode(v, &r, OP_CHUNKS, key->ino);
    r.op.off = key->chunk;
    r.op.len = CHUNKS_AT_ONCE;
    r.op.flags = removed ? OPF_BY_FD : 0;
    int rc = request_call(v, &r, NULL);
    bool found = false;
    for (size_t at = 0; rc == 0 && at + 8 <= r.res.extra.len;) {
        uint32_t index = get_be32(r.res.extra.data + at);
        uint32_t bytes = get_be32(r.res.extra.data + at + 4);
        at += 8;
        if (bytes > r.res.extra.len - at) {
            rc = -EIO;
            break;
        }
        struct view_key k = {.ino = key->ino, .mtime = key->mtime, .chunk = index};
        struct view *w;
        rc = view_make(r.res.extra.data + at, bytes, &w);
        if (rc < 0) {
            log_at(LOG_ERROR, "inode %llu: records of chunk %u are malformed",
                   (unsigned long long)key->ino, index);
            break;
        }
        view_remember(v, &k, w);
        if (index == key->chunk && !found) {
            *out = w;
            found = true;
        } else {
            view_put(w);
        }
        at += bytes;
    }
    if (rc < 0 && found)
        view_put(*out);
    if (rc == 0 && !found)
        rc = -EIO;
    request_fini(&r);
    return rc;
}

/* One chunk's part: into memory (out) or into fd. */
struct target {
    uint8_t *out;
    int fd;
    bool removed; /* the inode has no name any more, its lists are still there */
};

static int chunk_part(struct vfs *v, const struct view_key *key, uint32_t pos, uint32_t len,
                      const struct target *to, uint64_t file_off)
{
    struct staging_owner owner;
    int rc = -EIO;

    for (int attempt = 0; attempt < READ_TRIES; attempt++) {
        struct view *w = attempt == 0 ? view_cached(v, key) : NULL;
        if (w == NULL) {
            rc = view_fetch(v, key, to->removed, &w);
            if (rc < 0)
                return rc;
        }
        staging_enter(v->staging, &owner);
        rc = to->out != NULL
                 ? store_read_view(v->store, w->piece, w->count, pos, to->out, len)
                 : store_copy_view(v->store, w->piece, w->count, pos, len, to->fd, (off_t)file_off);
        staging_leave(&owner);
        view_put(w);
        if (rc != -ENOENT)
            return rc;
        /* Compacted just now, or a writer that uploads later: as stock, ask and try again. */
        if (attempt > 0)
            usleep((useconds_t)attempt * 100 * 1000);
    }
    return -EIO; /* the store has named the block */
}

static int each_chunk(struct vfs *v, uint64_t ino, struct moment mtime, uint64_t off, uint64_t len,
                      struct target to)
{
    int rc = vfs_ready(v);
    while (rc == 0 && len > 0) {
        struct view_key key = {.ino = ino, .mtime = mtime, .chunk = (uint32_t)(off / CHUNK_BYTES)};
        uint32_t pos = (uint32_t)(off % CHUNK_BYTES);
        uint32_t part = (uint32_t)(len < CHUNK_BYTES - pos ? len : CHUNK_BYTES - pos);
        rc = chunk_part(v, &key, pos, part, &to, off);
        if (to.out != NULL)
            to.out += part;
        off += part;
        len -= part;
    }
    return rc;
}

int content_read(struct vfs *v, uint64_t ino, struct moment mtime, uint64_t off, void *out,
                 size_t len)
{
    return each_chunk(v, ino, mtime, off, len, (struct target){.out = out, .fd = -1});
}

int content_copy(struct vfs *v, uint64_t ino, struct moment mtime, uint64_t off, uint64_t len,
                 bool removed, int fd)
{
    struct target to = {.out = NULL, .fd = fd, .removed = removed};
    return each_chunk(v, ino, mtime, off, len, to);
}

/* The view of a chunk, cached or asked for. */
static int view_of(struct vfs *v, const struct view_key *key, struct view **out)
{
    *out = view_cached(v, key);
    return *out != NULL ? 0 : view_fetch(v, key, false, out);
}

/* First offset at or after pos, in one chunk, that is data (or a hole); CHUNK_BYTES: none. */
static uint64_t seek_view(const struct view *w, uint64_t pos, bool data)
{
    uint64_t last = 0;
    for (size_t i = 0; i < w->count; i++) {
        const struct record *r = &w->piece[i];
        last = (uint64_t)r->pos + r->len;
        if (last > pos && (r->id != 0) == data)
            return r->pos > pos ? r->pos : pos;
    }
    if (data)
        return CHUNK_BYTES;
    return last > pos ? last : pos; /* what follows the last piece is zeros */
}

int content_seek(struct vfs *v, uint64_t ino, struct moment mtime, uint64_t end, bool data,
                 uint64_t *off)
{
    while (*off < end) {
        struct view_key key = {.ino = ino, .mtime = mtime, .chunk = (uint32_t)(*off / CHUNK_BYTES)};
        uint64_t base = key.chunk * CHUNK_BYTES;
        struct view *w;
        int rc = view_of(v, &key, &w);
        if (rc < 0)
            return rc;
        uint64_t at = seek_view(w, *off - base, data);
        view_put(w);
        *off = base + at;
        if (at < CHUNK_BYTES)
            break;
    }
    if (*off > end)
        *off = end;
    return 0;
}
