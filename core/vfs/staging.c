/*
 * staging.c - the staging area of one user and volume: made, mapped, left; see staging.h.
 */
#include "core/vfs/staging_internal.h"

#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int staging_high_fd(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    if (high < 0)
        return fd; /* a low descriptor limit: it stays where it is */
    close(fd);
    return high;
}

static int make_dirs(const char *path)
{
    char part[4096];
    size_t n = strlen(path);
    if (n >= sizeof part)
        return -ENAMETOOLONG;
    memcpy(part, path, n + 1);
    for (char *p = part + 1; *p != '\0'; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        mkdir(part, 0755);
        *p = '/';
    }
    return mkdir(part, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

/* Leases are how we learn that nobody holds a file; without them slots would never come back. */
static int leases_work(int dir)
{
    int fd = openat(dir, "lease-probe", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int rc = fcntl(fd, F_SETLEASE, F_WRLCK) == 0 || errno == EAGAIN ? 0 : -errno;
    fcntl(fd, F_SETLEASE, F_UNLCK);
    close(fd);
    return rc;
}

#define BACKED_AT_ONCE 256u

static int back(int fd, uint32_t n)
{
    off_t end = (off_t)(offsetof(struct table, slot) + n * sizeof(struct slot));
    return fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, end) == 0 || errno == EOPNOTSUPP ? 0 : -errno;
}

int staging_back_more(struct staging *st)
{
    struct table *t = st->t;
    if (t->free_first != 0 || t->high + 1 < t->backed || t->backed >= SLOTS)
        return 0;
    uint32_t n = t->backed + BACKED_AT_ONCE < SLOTS ? t->backed + BACKED_AT_ONCE : SLOTS;
    int fd = openat(st->dir, "table", O_RDWR | O_CLOEXEC);
    int rc = fd >= 0 ? back(fd, n) : -errno;
    if (fd >= 0)
        close(fd);
    if (rc == 0)
        t->backed = n;
    return rc;
}

static int table_map(struct staging *st)
{
    int rc = 0;
    int fd = openat(st->dir, "table", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    /* The first process lays it out, under a lock that a killed one loses. */
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    while (fcntl(fd, F_OFD_SETLKW, &whole) != 0) {
        if (errno != EINTR) {
            rc = -errno;
            goto out;
        }
    }
    struct stat sb;
    if (fstat(fd, &sb) != 0 || (sb.st_size == 0 && ftruncate(fd, sizeof(struct table)) != 0)) {
        rc = -errno;
        goto out;
    }
    if (sb.st_blocks == 0 && (rc = back(fd, BACKED_AT_ONCE)) < 0)
        goto out;
    st->t = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (st->t == MAP_FAILED) {
        st->t = NULL;
        rc = -errno;
        goto out;
    }
    if (st->t->magic == 0) {
        table_init(st->t);
        st->t->backed = BACKED_AT_ONCE;
        rc = leases_work(st->dir);
        if (rc == 0)
            st->t->magic = TABLE_MAGIC;
    } else if (st->t->magic != TABLE_MAGIC || st->t->slots != SLOTS || st->t->buckets != BUCKETS) {
        rc = -EINVAL;
    }
out:
    whole.l_type = F_UNLCK; /* the mapping keeps the open file, and so its lock, alive */
    fcntl(fd, F_OFD_SETLK, &whole);
    close(fd);
    return rc;
}

bool staging_area_of(const char *cache_dir, const char *uuid, uid_t uid, char *out, size_t cap)
{
    return (size_t)snprintf(out, cap, "%s/%s.%u", cache_dir, uuid, uid) < cap;
}

static uint64_t new_me(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return ((uint64_t)process_id() << 40) ^ ((uint64_t)t.tv_sec << 30) ^ (uint64_t)t.tv_nsec;
}

int staging_open(const char *cache_dir, const char *uuid, struct staging **out, char *err,
                 size_t errlen)
{
    static const char *const parts[] = {"s", "d", "o", "p", "f"};
    struct staging *st = calloc(1, sizeof *st);
    int rc = -ENOMEM;

    *out = NULL;
    if (st == NULL)
        goto out;
    st->dir = -1;
    kept_init(&st->kept);
    st->me = new_me();
    st->uid = process_ids()->uid;
    st->gid = process_ids()->gid;
    snprintf(st->uuid, sizeof st->uuid, "%s", uuid);
    rc = -ENAMETOOLONG;
    if (!staging_area_of(cache_dir, uuid, st->uid, st->path, sizeof st->path))
        goto out;
    rc = make_dirs(cache_dir);
    if (rc == 0)
        rc = make_dirs(st->path);
    if (rc < 0)
        goto out;
    int fd = open(st->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat sb;
    if (fd < 0 || fstat(fd, &sb) != 0) {
        rc = -errno;
        if (fd >= 0)
            close(fd);
        goto out;
    }
    st->dir = staging_high_fd(fd);
    if (sb.st_uid != st->uid) {
        rc = -EACCES; /* somebody else's directory in a world-writable place */
        goto out;
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        mkdirat(st->dir, parts[i], 0700);
    rc = table_map(st);
out:
    if (rc < 0) {
        snprintf(err, errlen, "staging area %s/%s: %s", cache_dir, uuid,
                 rc == -EINVAL ? "its table was made by another version or does not support leases"
                               : strerror(-rc));
        staging_close(st);
        return rc;
    }
    *out = st;
    return 0;
}

void staging_close(struct staging *st)
{
    if (st == NULL)
        return;
    if (st->t != NULL)
        staging_drop_spares(st);
    kept_drop_all(&st->kept);
    if (st->t != NULL)
        munmap(st->t, sizeof *st->t);
    if (st->dir >= 0)
        close(st->dir);
    free(st);
}

const char *staging_uuid(const struct staging *st)
{
    return st->uuid;
}

const char *staging_area(const struct staging *st)
{
    return st->path;
}

void staging_fd_moved(struct staging *st, int old, int fresh)
{
    if (st->dir == old)
        st->dir = fresh;
    else
        kept_moved(&st->kept, old, fresh);
}

/* --- changes -----------------------------------------------------------------------------------
 */

static _Atomic uint64_t *stamp_of(struct staging *st, uint64_t ino)
{
    return &st->t->changed[shared_place(ino, CHANGED)];
}

uint64_t staging_now(struct staging *st)
{
    return atomic_load(&st->t->changes);
}

void staging_changed(struct staging *st, uint64_t ino)
{
    uint64_t stamp = atomic_fetch_add(&st->t->changes, 1) + 1;
    uint64_t last = atomic_load(stamp_of(st, ino));

    while (last < stamp && !atomic_compare_exchange_weak(stamp_of(st, ino), &last, stamp))
        ;
}

bool staging_changed_since(struct staging *st, uint64_t ino, uint64_t stamp)
{
    return atomic_load(stamp_of(st, ino)) > stamp;
}

/* --- locks of the program ----------------------------------------------------------------------
 */

int staging_keep(struct staging *st, uint32_t number)
{
    if (kept_add(&st->kept, number, -1, KEPT_LOCKS))
        return 0;
    int fd = staging_open_file(st, number, O_RDWR);
    if (fd < 0)
        return fd;
    fd = staging_high_fd(fd);
    if (kept_add(&st->kept, number, fd, KEPT_LOCKS))
        return 0;
    close(fd);
    return -ENOLCK;
}

bool staging_keeps(struct staging *st, uint32_t number)
{
    return kept_is(&st->kept, number, KEPT_LOCKS);
}

void staging_unkeep(struct staging *st, uint32_t number)
{
    kept_drop(&st->kept, number, KEPT_LOCKS);
}

void staging_after_fork(struct staging *st)
{
    kept_drop_all(&st->kept);
    st->me = new_me();
    st->lanes_off = 0;
    st->spared = st->readings = 0;
}

size_t staging_own_fds(struct staging *st, int *fds, size_t n)
{
    if (n == 0)
        return 0;
    fds[0] = st->dir;
    return 1 + kept_list(&st->kept, fds + 1, n - 1);
}

/* --- effective ids ---------------------------------------------------------------------------- */

bool staging_is_mine(const struct staging *st)
{
    uid_t real, effective, saved;
    if (process_ids()->uid == st->uid)
        return true;
    return getresuid(&real, &effective, &saved) != 0 || effective == 0 || real == st->uid ||
           saved == st->uid;
}

/* The raw calls act on this thread only; libc's would change every thread of the program. */
void staging_enter(const struct staging *st, struct staging_owner *o)
{
    const struct process_ids *ids = process_ids();

    o->back_uid = ids->uid;
    o->back_gid = ids->gid;
    o->switched =
        o->back_uid != st->uid && syscall(SYS_setresuid, (uid_t)-1, st->uid, (uid_t)-1) == 0;
    if (!o->switched)
        return;
    syscall(SYS_setresgid, (gid_t)-1, st->gid, (gid_t)-1);
    process_ids_changed();
}

void staging_leave(const struct staging_owner *o)
{
    if (!o->switched)
        return;
    int keep = errno;
    syscall(SYS_setresgid, (gid_t)-1, o->back_gid, (gid_t)-1);
    syscall(SYS_setresuid, (uid_t)-1, o->back_uid, (uid_t)-1);
    process_ids_changed();
    errno = keep;
}
