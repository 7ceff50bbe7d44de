/*
 * staging.c - the shared table of slots and who holds them; see staging.h.
 */
#include "core/vfs/staging.h"

#include "core/base/log.h"
#include "core/vfs/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TABLE_MAGIC UINT64_C(0x6a66737072653032) /* "jfspre02" */
#define SLOTS       65536u                       /* slot 0 is never used */
#define BUCKETS     16384u
#define CHANGED     4096u /* stamps of changes, by a hash of the inode */
#define HIGH_FD     700   /* our own descriptors live from here on, out of the way of programs */

struct table {
    uint64_t magic;
    uint32_t slots, buckets;
    pthread_mutex_t lock;
    uint32_t used;       /* slots in use */
    uint32_t high;       /* slots above were never used */
    uint32_t free_first; /* 0: none below high */
    uint32_t hand;       /* where the sweep goes on */
    _Atomic uint64_t changes;
    _Atomic uint64_t changed[CHANGED];
    uint32_t bucket[BUCKETS];
    struct slot slot[SLOTS];
};

struct staging {
    struct table *t;
    int dir; /* CACHE/UUID */
    struct kept kept;
    uid_t uid;
    gid_t gid;
    char uuid[64];
    char path[4096];
};

/* --- locks ------------------------------------------------------------------------------------ */

static void mutex_init(pthread_mutex_t *m)
{
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(m, &a);
    pthread_mutexattr_destroy(&a);
}

static uint32_t *bucket_of(struct table *t, uint64_t ino)
{
    return &t->bucket[(ino * UINT64_C(0x9e3779b97f4a7c15) >> 40) % BUCKETS];
}

/* A holder of the table lock was killed: slots say all, chains are made from them again. */
static void index_again(struct table *t)
{
    memset(t->bucket, 0, sizeof t->bucket);
    t->free_first = 0;
    t->used = 0;
    for (uint32_t n = t->high; n > 0; n--) {
        struct slot *s = &t->slot[n];
        uint32_t *head = s->ino != 0 ? bucket_of(t, s->ino) : &t->free_first;
        s->next = *head;
        *head = n;
        t->used += s->ino != 0;
    }
}

static void table_lock(struct table *t)
{
    if (pthread_mutex_lock(&t->lock) == EOWNERDEAD) {
        index_again(t);
        pthread_mutex_consistent(&t->lock);
    }
}

static void table_unlock(struct table *t)
{
    pthread_mutex_unlock(&t->lock);
}

void slot_lock(struct slot *s)
{
    if (pthread_mutex_lock(&s->lock) == EOWNERDEAD) {
        /* Killed inside a commit or a fill: the file may lack bytes that `published` promises and
         * the seen range may be lost, so look at everything again. */
        s->flags |= SLOT_DIRECT;
        pthread_mutex_consistent(&s->lock);
    }
}

void slot_unlock(struct slot *s)
{
    pthread_mutex_unlock(&s->lock);
}

/* --- opening ---------------------------------------------------------------------------------- */

static int to_high_fd(int fd)
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
    st->t = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (st->t == MAP_FAILED) {
        st->t = NULL;
        rc = -errno;
        goto out;
    }
    if (st->t->magic == 0) {
        st->t->slots = SLOTS;
        st->t->buckets = BUCKETS;
        mutex_init(&st->t->lock);
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

int staging_open(const char *cache_dir, const char *uuid, struct staging **out, char *err,
                 size_t errlen)
{
    static const char *const parts[] = {"s", "d", "o", "p"};
    struct staging *st = calloc(1, sizeof *st);
    int rc = -ENOMEM;

    *out = NULL;
    if (st == NULL)
        goto out;
    st->dir = -1;
    kept_init(&st->kept);
    st->uid = geteuid();
    st->gid = getegid();
    snprintf(st->uuid, sizeof st->uuid, "%s", uuid);
    rc = -ENAMETOOLONG;
    if ((size_t)snprintf(st->path, sizeof st->path, "%s/%s.%u", cache_dir, uuid, st->uid) >=
        sizeof st->path)
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
    st->dir = to_high_fd(fd);
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
        munmap(st->t, sizeof *st->t);
    if (st->dir >= 0)
        close(st->dir);
    free(st);
}

const char *staging_uuid(const struct staging *st)
{
    return st->uuid;
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
    return &st->t->changed[(ino * UINT64_C(0x9e3779b97f4a7c15) >> 40) % CHANGED];
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
    if (kept_get(&st->kept, number) >= 0)
        return 0;
    int fd = staging_open_file(st, number, O_RDWR);
    if (fd < 0)
        return fd;
    fd = to_high_fd(fd);
    if (kept_add(&st->kept, number, fd))
        return 0;
    close(fd);
    return kept_get(&st->kept, number) >= 0 ? 0 : -ENOLCK;
}

void staging_unkeep(struct staging *st, uint32_t number)
{
    kept_drop(&st->kept, number);
}

void staging_after_fork(struct staging *st)
{
    kept_drop_all(&st->kept);
}

size_t staging_own_fds(struct staging *st, int *fds, size_t n)
{
    if (n == 0)
        return 0;
    fds[0] = st->dir;
    return 1 + kept_list(&st->kept, fds + 1, n - 1);
}

/* --- names ------------------------------------------------------------------------------------ */

int staging_name_of(const char *link, const char *cache_dir, char uuid[64], uint64_t *number)
{
    size_t n = strlen(cache_dir);
    if (strncmp(link, cache_dir, n) != 0 || link[n] != '/')
        return 0;
    const char *p = link + n + 1;
    size_t len = strcspn(p, "/");
    if (len == 0 || len >= 64 || p[len] != '/' || p[len + 1] == '\0' || p[len + 2] != '/' ||
        strchr("sdo", p[len + 1]) == NULL)
        return 0;
    int kind = p[len + 1];
    char *end;
    errno = 0;
    uint64_t v = strtoull(p + len + 3, &end, 10);
    if (end == p + len + 3 || errno != 0 || (*end != '\0' && strcmp(end, " (deleted)") != 0))
        return 0;
    memcpy(uuid, p, len);
    uuid[len] = '\0';
    char *dot = strrchr(uuid, '.'); /* UUID.UID */
    if (dot == NULL)
        return 0;
    *dot = '\0';
    *number = v;
    return kind;
}

static void name_of(char kind, uint64_t number, char out[32])
{
    snprintf(out, 32, "%c/%llu", kind, (unsigned long long)number);
}

void staging_path(const struct staging *st, uint32_t number, char *out, size_t len)
{
    snprintf(out, len, "%s/s/%u", st->path, number);
}

/* --- slots ------------------------------------------------------------------------------------ */

struct slot *staging_slot(struct staging *st, uint32_t number)
{
    return number != 0 && number < SLOTS ? &st->t->slot[number] : NULL;
}

static uint32_t find_locked(struct table *t, uint64_t ino)
{
    uint32_t n = *bucket_of(t, ino);
    while (n != 0 && t->slot[n].ino != ino)
        n = t->slot[n].next;
    return n;
}

uint32_t staging_find(struct staging *st, uint64_t ino)
{
    if (__atomic_load_n(&st->t->used, __ATOMIC_ACQUIRE) == 0)
        return 0;
    table_lock(st->t);
    uint32_t n = find_locked(st->t, ino);
    table_unlock(st->t);
    return n;
}

static uint32_t take_locked(struct table *t, uint64_t ino)
{
    uint32_t n = t->free_first;
    struct slot *s;
    if (n != 0) {
        s = &t->slot[n];
        t->free_first = s->next;
    } else if (t->high + 1 < SLOTS) {
        n = t->high + 1;
        s = &t->slot[n];
        mutex_init(&s->lock); /* before it counts as one, or a kill here leaves a bad lock */
        t->high = n;
    } else {
        return 0;
    }
    s->gen++;
    s->flags = 0;
    s->published = 0;
    s->dirty_lo = UINT64_MAX;
    s->dirty_hi = 0;
    s->seen_len = 0;
    s->ino = ino;
    s->next = *bucket_of(t, ino);
    *bucket_of(t, ino) = n;
    t->used++;
    return n;
}

static void give_locked(struct table *t, uint32_t n)
{
    struct slot *s = &t->slot[n];
    uint32_t *link = bucket_of(t, s->ino);
    while (*link != 0 && *link != n)
        link = &t->slot[*link].next;
    if (*link == n)
        *link = s->next;
    s->ino = 0;
    s->next = t->free_first;
    t->free_first = n;
    t->used--;
}

/* The table is locked, so nobody opens the file meanwhile. */
static bool nobody_holds(int fresh_fd)
{
    if (fcntl(fresh_fd, F_SETLEASE, F_WRLCK) != 0)
        return false;
    fcntl(fresh_fd, F_SETLEASE, F_UNLCK);
    return true;
}

static bool alone_locked(struct staging *st, uint32_t number)
{
    int fd = staging_open_file(st, number, O_RDWR);
    if (fd < 0)
        return false;
    bool alone = nobody_holds(fd);
    staging_close_file(st, number, fd);
    return alone;
}

/* Nobody holds the file and nothing in it waits for a commit: the slot is free again. */
static void release_locked(struct staging *st, uint32_t number)
{
    struct slot *s = &st->t->slot[number];
    int fd = staging_open_file(st, number, O_RDWR);
    struct stat sb;
    if (fd >= 0 && nobody_holds(fd) && fstat(fd, &sb) == 0 &&
        ((s->flags & SLOT_GONE) != 0 || !staging_is_dirty(s, &sb) || s->seen_len == 0)) {
        if (sb.st_size != 0 && ftruncate(fd, 0) != 0)
            log_at(LOG_WARN, "staging file %u: %s", number, strerror(errno));
        if ((sb.st_mode & 0777) != 0600)
            fchmod(fd, 0600);
        give_locked(st->t, number);
    }
    if (fd >= 0)
        staging_close_file(st, number, fd);
}

void staging_release(struct staging *st, uint32_t number, uint32_t gen)
{
    struct slot *s = staging_slot(st, number);
    if (s == NULL)
        return;
    table_lock(st->t);
    if (s->ino != 0 && s->gen == gen)
        release_locked(st, number);
    table_unlock(st->t);
}

/* Mappings end without a call of ours, and so do processes: each new slot looks at two old ones. */
static void sweep_locked(struct staging *st)
{
    struct table *t = st->t;
    int looked = 0;
    for (uint32_t step = 0; step < t->high && step < 64 && looked < 2; step++) {
        t->hand = t->hand % t->high + 1;
        if (t->slot[t->hand].ino != 0) {
            release_locked(st, t->hand);
            looked++;
        }
    }
}

/* A killed process was writing a new file and had not closed it.  Half a file under the name of a
 * whole one is worse than none, so it is not published: l/INO-GEN keeps it. */
static void set_aside_locked(struct staging *st, uint32_t number)
{
    struct slot *s = &st->t->slot[number];
    char name[32], aside[64];
    name_of('s', number, name);
    snprintf(aside, sizeof aside, "l/%llu-%u", (unsigned long long)s->ino, s->gen);
    mkdirat(st->dir, "l", 0700);
    if (renameat(st->dir, name, st->dir, aside) == 0)
        log_at(LOG_WARN, "inode %llu: what a killed process had not closed is kept as %s/%s",
               (unsigned long long)s->ino, st->path, aside);
    s->flags = 0;
    s->gen++;
    s->published = 0;
    s->dirty_lo = UINT64_MAX;
    s->dirty_hi = 0;
    s->seen_len = 0;
}

/* Not so for what was appended, for a file that had content, and for what was written past our
 * wrappers (the writer could not commit): the next one commits that. */
static bool is_unfinished(struct staging *st, uint32_t number)
{
    const uint32_t kept = SLOT_DIRECT | SLOT_MAPPED | SLOT_GONE | SLOT_APPENDED;
    const struct slot *s = &st->t->slot[number];
    struct attr seen = {0};
    struct stat sb;
    return (s->flags & kept) == 0 && s->dirty_hi > s->dirty_lo && slot_seen_get(s, &seen) &&
           seen.length == 0 && staging_stat(st, number, &sb) == 0 && staging_is_dirty(s, &sb);
}

bool staging_left(struct staging *st, uint32_t number)
{
    table_lock(st->t);
    bool left = is_unfinished(st, number) && alone_locked(st, number);
    table_unlock(st->t);
    return left;
}

int staging_hold(struct staging *st, uint64_t ino, int flags, uint32_t *number,
                 enum staging_how *how)
{
    char name[32];
    int fd;

    table_lock(st->t);
    uint32_t n = find_locked(st->t, ino);
    *how = STAGING_NEW;
    if (n != 0) {
        *how = alone_locked(st, n) ? STAGING_ABANDONED : STAGING_SHARED;
        if (*how == STAGING_ABANDONED && is_unfinished(st, n)) {
            set_aside_locked(st, n);
            *how = STAGING_NEW;
        }
    } else {
        sweep_locked(st);
        n = take_locked(st->t, ino);
    }
    name_of('s', n, name);
    fd = n == 0 ? -ENFILE : openat(st->dir, name, flags | O_CREAT, 0600);
    if (fd == -1) {
        fd = -errno;
        if (*how == STAGING_NEW)
            give_locked(st->t, n);
    }
    table_unlock(st->t);
    *number = n;
    return fd;
}

bool staging_alone(struct staging *st, uint32_t number)
{
    table_lock(st->t);
    bool alone = alone_locked(st, number);
    table_unlock(st->t);
    return alone;
}

size_t staging_inodes(struct staging *st, uint64_t *ino, size_t n)
{
    size_t have = 0;
    if (__atomic_load_n(&st->t->used, __ATOMIC_ACQUIRE) == 0)
        return 0;
    table_lock(st->t);
    for (uint32_t i = 1; i <= st->t->high && have < n; i++) {
        if (st->t->slot[i].ino != 0)
            ino[have++] = st->t->slot[i].ino;
    }
    table_unlock(st->t);
    return have;
}

int staging_open_file(struct staging *st, uint32_t number, int flags)
{
    char name[32];
    int fd = kept_get(&st->kept, number);
    if (fd >= 0)
        return fd;
    name_of('s', number, name);
    fd = openat(st->dir, name, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void staging_close_file(struct staging *st, uint32_t number, int fd)
{
    if (fd != kept_get(&st->kept, number))
        close(fd);
}

int staging_stat(struct staging *st, uint32_t number, struct stat *out)
{
    struct staging_owner owner;
    char name[32];
    name_of('s', number, name);
    staging_enter(st, &owner);
    int rc = fstatat(st->dir, name, out, 0) == 0 ? 0 : -errno;
    staging_leave(&owner);
    return rc;
}

bool staging_is_dirty(const struct slot *s, const struct stat *sb)
{
    return (s->flags & SLOT_MAPPED) != 0 || sb->st_mtim.tv_sec != STAGING_CLEAN_SEC;
}

void staging_set_clean(int fd)
{
    struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = STAGING_CLEAN_SEC}};
    futimens(fd, t);
}

void slot_seen_set(struct slot *s, const struct attr *a)
{
    s->seen_len = (uint32_t)attr_encode(a, s->seen);
}

bool slot_seen_get(const struct slot *s, struct attr *a)
{
    return s->seen_len != 0 && attr_decode(s->seen, s->seen_len, a) == 0;
}

/* --- skeletons -------------------------------------------------------------------------------- */

int staging_open_dir(struct staging *st, uint64_t ino, int flags, bool *made)
{
    char name[32];
    name_of('d', ino, name);
    *made = false;
    for (int attempt = 0; attempt < 100; attempt++) { /* another process may drop it meanwhile */
        int fd = openat(st->dir, name, flags | O_DIRECTORY);
        if (fd >= 0)
            return fd;
        if (errno != ENOENT)
            return -errno;
        *made = mkdirat(st->dir, name, 0700) == 0;
        if (!*made && errno != EEXIST)
            return -errno;
    }
    return -EAGAIN;
}

void staging_drop_dir(struct staging *st, uint64_t ino)
{
    char name[32];
    name_of('d', ino, name);
    unlinkat(st->dir, name, AT_REMOVEDIR);
}

int staging_open_marker(struct staging *st, uint64_t ino, int flags)
{
    char name[32];
    name_of('o', ino, name);
    int made = openat(st->dir, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (made < 0)
        return -errno;
    close(made);
    int fd = openat(st->dir, name, flags);
    return fd < 0 ? -errno : fd;
}

int staging_fifo(struct staging *st, uint64_t ino, mode_t mode, char *path, size_t len)
{
    char name[32];
    name_of('p', ino, name);
    if (mknodat(st->dir, name, S_IFIFO | 0600, 0) != 0 && errno != EEXIST)
        return -errno;
    /* fstat(2) shows its bits; rights were checked on the volume's inode. */
    if (fchmodat(st->dir, name, mode | 0600, 0) != 0)
        return -errno;
    return (size_t)snprintf(path, len, "%s/%s", st->path, name) < len ? 0 : -ENAMETOOLONG;
}

/* --- effective ids ---------------------------------------------------------------------------- */

bool staging_is_mine(const struct staging *st)
{
    uid_t real, effective, saved;
    if (geteuid() == st->uid)
        return true;
    return getresuid(&real, &effective, &saved) != 0 || effective == 0 || real == st->uid ||
           saved == st->uid;
}

/* The raw calls act on this thread only; libc's would change every thread of the program. */
void staging_enter(const struct staging *st, struct staging_owner *o)
{
    o->back_uid = geteuid();
    o->switched =
        o->back_uid != st->uid && syscall(SYS_setresuid, (uid_t)-1, st->uid, (uid_t)-1) == 0;
    if (!o->switched)
        return;
    o->back_gid = getegid();
    syscall(SYS_setresgid, (gid_t)-1, st->gid, (gid_t)-1);
}

void staging_leave(const struct staging_owner *o)
{
    if (!o->switched)
        return;
    int keep = errno;
    syscall(SYS_setresgid, (gid_t)-1, o->back_gid, (gid_t)-1);
    syscall(SYS_setresuid, (uid_t)-1, o->back_uid, (uid_t)-1);
    errno = keep;
}
