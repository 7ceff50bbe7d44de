/*
 * listing.c - see listing.h.  One list under one lock: programs keep few directories open at a
 * time. Lock order: list, then a listing's own.
 */
#include "preload/listing.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define BY_FD_MAX 8 /* listings kept for descriptors; the oldest one goes */

static struct listing *first;
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;

int listing_make(struct vfs *v, int fd, uint64_t ino, struct listing **out)
{
    struct listing *s = calloc(1, sizeof(*s));
    int rc = s != NULL ? vfs_dir_open(v, ino, &s->dir) : -ENOMEM;

    *out = NULL;
    if (rc < 0) {
        free(s);
        return rc;
    }
    s->fd = fd;
    s->ino = ino;
    pthread_mutex_init(&s->lock, NULL);
    *out = s;
    return 0;
}

void listing_drop(struct listing *s)
{
    vfs_dir_close(s->dir);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* List locked. */
static void push(struct listing *s)
{
    s->next = first;
    first = s;
}

static void unlink_at(struct listing **at)
{
    struct listing *s = *at;

    *at = s->next;
    pthread_mutex_lock(&s->lock); /* who still reads it is let finish */
    pthread_mutex_unlock(&s->lock);
    listing_drop(s);
}

void listing_publish(struct listing *s, const void *key)
{
    s->key = key;
    pthread_mutex_lock(&list_lock);
    push(s);
    pthread_mutex_unlock(&list_lock);
}

struct listing *listing_get(const void *key)
{
    struct listing *s;

    pthread_mutex_lock(&list_lock);
    for (s = first; s != NULL && s->key != key; s = s->next)
        ;
    if (s != NULL)
        pthread_mutex_lock(&s->lock);
    pthread_mutex_unlock(&list_lock);
    return s;
}

void listing_put(struct listing *s)
{
    pthread_mutex_unlock(&s->lock);
}

void listing_remove(const void *key)
{
    pthread_mutex_lock(&list_lock);
    for (struct listing **at = &first; *at != NULL; at = &(*at)->next)
        if ((*at)->key == key) {
            unlink_at(at);
            break;
        }
    pthread_mutex_unlock(&list_lock);
}

/* Of those by descriptor: drops what the number meant before, and the oldest over the limit.
 * List locked. */
static struct listing *find_fd(int fd, uint64_t ino)
{
    struct listing *found = NULL;
    int n = 0;

    for (struct listing **at = &first; *at != NULL;) {
        struct listing *s = *at;
        bool stale = s->fd == fd && s->ino != ino;
        if (s->key == NULL && (stale || ++n > BY_FD_MAX)) {
            unlink_at(at);
            continue;
        }
        if (s->key == NULL && s->fd == fd)
            found = s;
        at = &s->next;
    }
    return found;
}

struct listing *listing_of_fd(struct vfs *v, int fd, uint64_t ino, int *err)
{
    struct listing *s;

    *err = 0;
    pthread_mutex_lock(&list_lock);
    s = find_fd(fd, ino);
    if (s == NULL && (*err = listing_make(v, fd, ino, &s)) == 0)
        push(s);
    if (s != NULL)
        pthread_mutex_lock(&s->lock);
    pthread_mutex_unlock(&list_lock);
    return s;
}

static const unsigned char dirent_type[] = {
    [TYPE_FILE] = DT_REG,    [TYPE_DIRECTORY] = DT_DIR, [TYPE_SYMLINK] = DT_LNK,
    [TYPE_FIFO] = DT_FIFO,   [TYPE_BLOCKDEV] = DT_BLK,  [TYPE_CHARDEV] = DT_CHR,
    [TYPE_SOCKET] = DT_SOCK,
};

int listing_read(struct listing *s, size_t pos, struct dirent *out)
{
    struct vfs_dirent e;
    int rc = vfs_dir_at(s->dir, pos, &e);

    if (rc <= 0)
        return rc;
    size_t len = strnlen(e.name, sizeof(out->d_name) - 1);
    out->d_ino = e.ino;
    out->d_off = (off_t)pos + 1;
    out->d_reclen = (unsigned short)((offsetof(struct dirent, d_name) + len + 1 + 7) & ~7u);
    out->d_type = e.type < sizeof(dirent_type) ? dirent_type[e.type] : DT_UNKNOWN;
    memcpy(out->d_name, e.name, len);
    out->d_name[len] = '\0';
    return 1;
}

void listing_before_fork(void)
{
    pthread_mutex_lock(&list_lock);
    for (struct listing *s = first; s != NULL; s = s->next)
        pthread_mutex_lock(&s->lock);
}

void listing_after_fork(void)
{
    for (struct listing *s = first; s != NULL; s = s->next)
        pthread_mutex_unlock(&s->lock);
    pthread_mutex_unlock(&list_lock);
}
