/*
 * kv.c - see kv.h.
 *
 * Not WRITEMAP: a stray pointer of the host program must not reach the database.  NOTLS: a reader
 * belongs to its transaction, not to a thread of the host.  NOSYNC: a commit is in the kernel when
 * it returns, so a killed process loses nothing; kv_commit(durable) reaches the disk.  A power cut
 * under NOSYNC may cost the environment where the file system reorders writes.
 */
#include "core/lmdb/kv.h"

#include "core/lmdb/kv_lib.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MAP_FIRST   ((size_t)1 << 30) /* address space, not disk */
#define READERS     1024              /* processes that read at the same moment */
#define LOW_NUMBERS 64                /* descriptors below are left to the program */
#define FDS_MAX     4
#define ALMOST_FULL (1 << 20) /* bytes that a transaction of ours may want */

struct kv {
    const struct kv_lib *lib;
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *txn;
    bool create;
    bool is_full;
    int fds[FDS_MAX];
    size_t nfds;
    dev_t dev; /* of the data file and the lock file, which fds are on */
    ino_t data_ino, lock_ino;
    char dir[4096];
    char error[4600];
};

static int fail(struct kv *kv, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int fail(struct kv *kv, int rc, const char *fmt, ...)
{
    va_list ap;
    int n = snprintf(kv->error, sizeof(kv->error), "lmdb://%s: ", kv->dir);
    va_start(ap, fmt);
    vsnprintf(kv->error + n, sizeof(kv->error) - (size_t)n, fmt, ap);
    va_end(ap);
    return rc;
}

/* A write that got only part of its bytes in is EIO to LMDB, whatever the reason. */
static bool is_disk_full(const struct kv *kv)
{
    struct statfs s;
    return statfs(kv->dir, &s) == 0 && (uint64_t)s.f_bavail * (uint64_t)s.f_bsize < ALMOST_FULL;
}

/* The one place where LMDB's codes end. */
static int to_errno(struct kv *kv, int rc)
{
    static const struct {
        int mdb, err;
    } map[] = {{MDB_NOTFOUND, ENOENT},    {MDB_KEYEXIST, EEXIST}, {MDB_MAP_FULL, ENOSPC},
               {MDB_TXN_FULL, ENOSPC},    {MDB_DBS_FULL, EIO},    {MDB_READERS_FULL, EBUSY},
               {MDB_BAD_VALSIZE, EINVAL}, {MDB_INVALID, EIO},     {MDB_VERSION_MISMATCH, EIO},
               {MDB_MAP_RESIZED, EAGAIN}};
    if (rc == 0)
        return 0;
    if (rc == MDB_MAP_FULL)
        kv->is_full = true; /* until the next kv_begin(): other calls may fail after it */
    if (rc == MDB_NOTFOUND)
        return -ENOENT; /* an answer, not a failure */
    for (size_t i = 0; i < sizeof(map) / sizeof(*map); i++) {
        if (map[i].mdb == rc)
            return fail(kv, -map[i].err, "%s", kv->lib->mdb_strerror(rc));
    }
    if (rc < 0)
        return fail(kv, -EIO, "%s", kv->lib->mdb_strerror(rc));
    if (rc == EIO && is_disk_full(kv))
        rc = ENOSPC;
    return fail(kv, -rc, "%s", strerror(rc));
}

int kv_open(const char *dir, bool create, struct kv **out)
{
    struct kv *kv = calloc(1, sizeof(*kv));
    *out = NULL;
    if (kv == NULL)
        return -ENOMEM;
    if ((size_t)snprintf(kv->dir, sizeof(kv->dir), "%s", dir) >= sizeof(kv->dir) - 16) {
        free(kv);
        return -ENAMETOOLONG;
    }
    kv->create = create;
    *out = kv;
    return 0;
}

void kv_set_create(struct kv *kv)
{
    kv->create = true;
}

const char *kv_error(const struct kv *kv)
{
    return kv->error[0] != '\0' ? kv->error : "no error";
}

static void forget(struct kv *kv)
{
    kv->env = NULL;
    kv->txn = NULL;
    kv->nfds = 0;
}

bool kv_is_full(const struct kv *kv)
{
    return kv->is_full;
}

void kv_suspend(struct kv *kv)
{
    if (kv->env != NULL)
        kv->lib->mdb_env_close(kv->env);
    forget(kv);
}

void kv_close(struct kv *kv)
{
    if (kv == NULL)
        return;
    kv_abort(kv);
    kv_suspend(kv);
    free(kv);
}

static bool is_ours(const struct kv *kv, int fd)
{
    struct stat sb;
    return fstat(fd, &sb) == 0 && sb.st_dev == kv->dev &&
           (sb.st_ino == kv->data_ino || sb.st_ino == kv->lock_ino);
}

/* mdb_env_close() here would write into the parent's reader table.  The descriptors are copies:
 * closing them touches no lock of the parent's.  Unless the child has used their numbers since: a
 * clone(2) by hand is noticed late. */
void kv_after_fork(struct kv *kv)
{
    for (size_t i = 0; i < kv->nfds; i++) {
        if (is_ours(kv, kv->fds[i]))
            close(kv->fds[i]);
    }
    forget(kv);
}

size_t kv_fds(const struct kv *kv, int *fds, size_t n)
{
    size_t have = kv->nfds < n ? kv->nfds : n;
    memcpy(fds, kv->fds, have * sizeof(*fds));
    return have;
}

/* --- opening -----------------------------------------------------------------------------------
 */

/* Locks and shared mappings that other hosts do not see, or that are not those of the file. */
static const char *refused_fs(const char *dir)
{
    static const struct {
        long magic;
        const char *name;
    } fs[] = {
        {NFS_SUPER_MAGIC, "NFS"}, {0xff534d42, "CIFS"},       {0xfe534d42, "SMB"},
        {SMB_SUPER_MAGIC, "SMB"}, {FUSE_SUPER_MAGIC, "FUSE"}, {OVERLAYFS_SUPER_MAGIC, "overlay"},
        {V9FS_MAGIC, "9p"},       {CEPH_SUPER_MAGIC, "Ceph"}, {0x0bd00bd0, "Lustre"},
        {0x47504653, "GPFS"},     {AFS_SUPER_MAGIC, "AFS"},   {ECRYPTFS_SUPER_MAGIC, "eCryptfs"},
        {0x6b414653, "AFS"},      {0x73757245, "Coda"},       {0x19830326, "BeeGFS"},
        {0x20030528, "OrangeFS"}, {0x7461636f, "OCFS2"},      {0x01161970, "GFS2"},
        {0x786f4256, "vboxsf"},   {0xbacbacbc, "vmhgfs"}};
    struct statfs s;
    if (statfs(dir, &s) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof(fs) / sizeof(*fs); i++) {
        if (fs[i].magic == (long)s.f_type)
            return fs[i].name;
    }
    return NULL;
}

/* Which numbers the environment took: LMDB tells of one only. */
static void find_fds(struct kv *kv, int below)
{
    for (int fd = 0; fd < below && kv->nfds < FDS_MAX; fd++) {
        if (is_ours(kv, fd))
            kv->fds[kv->nfds++] = fd;
    }
    for (size_t i = 0; i < kv->nfds; i++) /* older versions leave the data file's open over exec */
        fcntl(kv->fds[i], F_SETFD, FD_CLOEXEC);
}

/* LMDB leaves holes in the lock file: a reader's slot in one would be SIGBUS on a full disk. */
static int fill_lock_file(const struct kv *kv, const struct stat *lock)
{
    struct stat sb;
    if (lock->st_blocks * 512 >= lock->st_size)
        return 0;
    for (size_t i = 0; i < kv->nfds; i++) {
        if (fstat(kv->fds[i], &sb) == 0 && sb.st_ino == kv->lock_ino &&
            fallocate(kv->fds[i], 0, 0, lock->st_size) != 0 && errno == ENOSPC)
            return ENOSPC;
    }
    return 0;
}

static size_t first_map; /* 0: MAP_FIRST */

void kv_first_map(size_t bytes)
{
    first_map = bytes;
}

/* LMDB's codes. */
static int begin(struct kv *kv, unsigned flags)
{
    int dead, rc;
    for (int attempt = 0;; attempt++) {
        rc = kv->lib->mdb_txn_begin(kv->env, NULL, flags, &kv->txn);
        if (rc == MDB_MAP_RESIZED && attempt < 100)
            kv->lib->mdb_env_set_mapsize(kv->env, 0); /* another process made it larger */
        else if (rc == MDB_READERS_FULL && attempt == 0)
            kv->lib->mdb_reader_check(kv->env, &dead);
        else
            break;
    }
    if (rc != 0)
        kv->txn = NULL;
    return rc;
}

static int open_env(struct kv *kv)
{
    char data_path[4200], lock_path[4200];
    struct stat data, lock = {0};
    int rc = kv->lib->mdb_env_create(&kv->env);
    if (rc == 0)
        rc = kv->lib->mdb_env_set_mapsize(kv->env, first_map != 0 ? first_map : MAP_FIRST);
    if (rc == 0)
        rc = kv->lib->mdb_env_set_maxreaders(kv->env, READERS);
    if (rc == 0)
        rc = kv->lib->mdb_env_open(kv->env, kv->dir, MDB_NOTLS | MDB_NOSYNC | MDB_NORDAHEAD, 0600);
    if (rc == 0) {
        int dead;
        kv->lib->mdb_reader_check(kv->env, &dead); /* slots of killed processes */
        rc = begin(kv, MDB_RDONLY);
    }
    if (rc == 0) {
        rc = kv->lib->mdb_dbi_open(kv->txn, NULL, 0, &kv->dbi); /* there is one, in any file */
        kv->lib->mdb_txn_abort(kv->txn);
        kv->txn = NULL;
    }
    if (rc != 0) {
        rc = to_errno(kv, rc);
        if (kv->env != NULL)
            kv->lib->mdb_env_close(kv->env);
        forget(kv);
        return rc;
    }
    snprintf(data_path, sizeof(data_path), "%s/data.mdb", kv->dir);
    snprintf(lock_path, sizeof(lock_path), "%s/lock.mdb", kv->dir);
    int probe = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (stat(data_path, &data) == 0 && stat(lock_path, &lock) == 0) {
        kv->dev = data.st_dev;
        kv->data_ino = data.st_ino;
        kv->lock_ino = lock.st_ino;
        find_fds(kv, probe >= 0 ? probe : 1024);
    }
    if (probe >= 0)
        close(probe);
    rc = fill_lock_file(kv, &lock);
    if (rc != 0)
        kv_suspend(kv);
    return to_errno(kv, rc);
}

/* LMDB takes the lowest numbers and cannot be moved, and a program may dup2() onto a low one: they
 * are occupied while it opens. */
static int open_env_high(struct kv *kv)
{
    int low[LOW_NUMBERS];
    size_t n = 0;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && fd < LOW_NUMBERS && n < LOW_NUMBERS) {
        low[n++] = fd;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    }
    if (fd >= LOW_NUMBERS)
        close(fd);
    for (int room = 8; fd < 0 && room > 0 && n > 0;
         room--) /* a low limit: it takes what there is */
        close(low[--n]);
    int rc = open_env(kv);
    while (n > 0)
        close(low[--n]);
    return rc;
}

static int ensure(struct kv *kv)
{
    char data_path[4200], why[200];
    struct stat sb;

    if (kv->env != NULL)
        return 0;
    kv->lib = kv_lib(why, sizeof(why));
    if (kv->lib == NULL)
        return fail(kv, -ENOTSUP, "%s", why);
    snprintf(data_path, sizeof(data_path), "%s/data.mdb", kv->dir);
    if (!kv->create && stat(data_path, &sb) != 0)
        return fail(kv, -ENODATA, "no volume there: %s", strerror(errno));
    if (kv->create && mkdir(kv->dir, 0700) != 0 && errno != EEXIST)
        return fail(kv, -errno, "%s", strerror(errno));
    const char *fs = refused_fs(kv->dir);
    if (fs != NULL)
        return fail(kv, -ENOTSUP, "is on a %s file system, where LMDB's locks do not hold", fs);
    return open_env_high(kv);
}

/* --- transactions ------------------------------------------------------------------------------
 */

int kv_begin(struct kv *kv, bool write)
{
    int rc = ensure(kv);
    if (rc < 0)
        return rc;
    kv->is_full = false;
    rc = begin(kv, write ? 0 : MDB_RDONLY);
    if (rc == MDB_PANIC) { /* a meta page could not be written: the file is whole, the handle not */
        kv_suspend(kv);
        rc = ensure(kv);
        if (rc < 0)
            return rc;
        rc = begin(kv, write ? 0 : MDB_RDONLY);
    }
    return to_errno(kv, rc);
}

int kv_commit(struct kv *kv, bool durable)
{
    MDB_txn *txn = kv->txn;
    kv->txn = NULL;
    int rc = kv->lib->mdb_txn_commit(txn);
    if (rc == 0 && durable)
        rc = kv->lib->mdb_env_sync(kv->env, 1);
    return to_errno(kv, rc);
}

void kv_abort(struct kv *kv)
{
    if (kv->txn != NULL)
        kv->lib->mdb_txn_abort(kv->txn);
    kv->txn = NULL;
}

int kv_grow(struct kv *kv)
{
    MDB_envinfo info;
    int dead = 0;
    int rc = kv->lib->mdb_reader_check(kv->env, &dead);
    if (rc == 0 && dead > 0)
        return 0; /* pages that only they still saw are free now */
    rc = kv->lib->mdb_env_info(kv->env, &info);
    if (rc == 0)
        rc = kv->lib->mdb_env_set_mapsize(kv->env, info.me_mapsize * 2);
    return to_errno(kv, rc);
}

/* --- keys and values ---------------------------------------------------------------------------
 */

static MDB_val to_mdb(struct kv_val v)
{
    return (MDB_val){.mv_size = v.len, .mv_data = (void *)v.data};
}

static struct kv_val from_mdb(MDB_val v)
{
    return (struct kv_val){.data = v.mv_data, .len = v.mv_size};
}

int kv_get(struct kv *kv, struct kv_val key, struct kv_val *value)
{
    MDB_val k = to_mdb(key), v;
    int rc = kv->lib->mdb_get(kv->txn, kv->dbi, &k, &v);
    if (rc == 0)
        *value = from_mdb(v);
    return to_errno(kv, rc);
}

int kv_put(struct kv *kv, struct kv_val key, struct kv_val value)
{
    MDB_val k = to_mdb(key), v = to_mdb(value);
    return to_errno(kv, kv->lib->mdb_put(kv->txn, kv->dbi, &k, &v, 0));
}

int kv_del(struct kv *kv, struct kv_val key)
{
    MDB_val k = to_mdb(key);
    return to_errno(kv, kv->lib->mdb_del(kv->txn, kv->dbi, &k, NULL));
}

int kv_change(struct kv *kv, struct kv_val key, kv_edit fn, void *ctx)
{
    MDB_cursor *cur;
    MDB_val k = to_mdb(key), v;
    struct kv_val fresh;
    int rc = kv->lib->mdb_cursor_open(kv->txn, kv->dbi, &cur);
    if (rc != 0)
        return to_errno(kv, rc);
    rc = kv->lib->mdb_cursor_get(cur, &k, &v, MDB_SET);
    int stop = rc == 0 ? fn(ctx, from_mdb(v), &fresh) : 0;
    if (rc == 0 && stop == 0) {
        v = to_mdb(fresh);
        rc = kv->lib->mdb_cursor_put(cur, &k, &v, MDB_CURRENT);
    }
    kv->lib->mdb_cursor_close(cur);
    return stop < 0 ? stop : to_errno(kv, rc);
}

int kv_scan(struct kv *kv, struct kv_val from, kv_visit visit, void *ctx)
{
    MDB_cursor *cur;
    MDB_val k = to_mdb(from), v;
    int stop = 0;
    int rc = kv->lib->mdb_cursor_open(kv->txn, kv->dbi, &cur);
    if (rc != 0)
        return to_errno(kv, rc);
    /* LMDB has no empty key, which SET_RANGE would refuse. */
    rc = kv->lib->mdb_cursor_get(cur, &k, &v, from.len > 0 ? MDB_SET_RANGE : MDB_FIRST);
    while (rc == 0 && stop == 0) {
        stop = visit(ctx, from_mdb(k), from_mdb(v));
        if (stop == 0)
            rc = kv->lib->mdb_cursor_get(cur, &k, &v, MDB_NEXT);
    }
    kv->lib->mdb_cursor_close(cur);
    return stop != 0 ? stop : rc == MDB_NOTFOUND ? 0 : to_errno(kv, rc);
}

struct first {
    struct kv_val key, value;
};

static int keep_first(void *ctx, struct kv_val key, struct kv_val value)
{
    *(struct first *)ctx = (struct first){key, value};
    return 1;
}

int kv_seek(struct kv *kv, struct kv_val from, struct kv_val *key, struct kv_val *value)
{
    struct first f;
    int rc = kv_scan(kv, from, keep_first, &f);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return -ENOENT;
    *key = f.key;
    *value = f.value;
    return 0;
}

int kv_before(struct kv *kv, struct kv_val before, struct kv_val *key, struct kv_val *value)
{
    MDB_cursor *cur;
    MDB_val k = to_mdb(before), v;
    int rc = kv->lib->mdb_cursor_open(kv->txn, kv->dbi, &cur);
    if (rc != 0)
        return to_errno(kv, rc);
    rc = kv->lib->mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
    rc = kv->lib->mdb_cursor_get(cur, &k, &v, rc == 0 ? MDB_PREV : MDB_LAST);
    kv->lib->mdb_cursor_close(cur);
    if (rc == 0) {
        *key = from_mdb(k);
        *value = from_mdb(v);
    }
    return to_errno(kv, rc);
}
