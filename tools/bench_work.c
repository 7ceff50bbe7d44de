/*
 * bench_work.c - one process of `jfspre bench` at one kind of work, through the vfs as a preloaded
 * program goes; see bench.h.
 *
 * Process k has directories of its own, DIR/eK for empty files and DIR/dK for those with content.
 * What is read is compared and what is listed counted: a fast wrong answer is a failure.
 */
#include "tools/bench.h"

#include "core/base/line.h"
#include "core/base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REMOVE_AT_ONCE 512

struct job {
    struct bench *b;
    struct bench_worker *out;
    struct vfs *v;
    unsigned k;
    uint64_t first, n;    /* its files */
    uint64_t empty, data; /* inodes of its directories */
};

static int failed(struct job *j, int rc, const char *what, const char *name)
{
    if (j->out->rc == 0)
        line_set(j->out->what, sizeof j->out->what, "%s %s: %s", what, name, strerror(-rc));
    j->out->rc = rc;
    return rc;
}

static int go_on(struct job *j)
{
    atomic_fetch_add_explicit(&j->b->shared->files, 1, memory_order_relaxed);
    j->out->files++;
    return atomic_load_explicit(&j->b->shared->stop, memory_order_relaxed) ? -EINTR : 0;
}

/* --- one file -----------------------------------------------------------------------------------
 */

static void content(uint64_t i, uint8_t out[BENCH_FILE_BYTES])
{
    for (size_t at = 0; at < BENCH_FILE_BYTES; at += 8)
        put_be64(out + at, i * UINT64_C(0x9e3779b97f4a7c15) + at);
}

static int create(struct job *j, struct vfs_loc *loc, uint64_t i, bool with_data)
{
    uint8_t data[BENCH_FILE_BYTES];
    struct iovec iov = {data, sizeof data};
    struct vfs_fd f;
    ssize_t n = sizeof data;

    int fd = vfs_open(j->v, loc, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644, &f);
    if (fd < 0)
        return fd;
    if (with_data) {
        content(i, data);
        n = vfs_writev(j->v, fd, &f, &iov, 1, -1, 0);
    }
    int rc = vfs_close(j->v, fd, &f);
    return n < 0 ? (int)n : n < (ssize_t)sizeof data ? -EIO : rc;
}

static int read_file(struct job *j, struct vfs_loc *loc, uint64_t i)
{
    uint8_t data[BENCH_FILE_BYTES + 1], want[BENCH_FILE_BYTES];
    struct iovec iov = {data, sizeof data};
    struct vfs_fd f;

    int fd = vfs_open(j->v, loc, O_RDONLY | O_CLOEXEC, 0, &f);
    if (fd < 0)
        return fd;
    ssize_t n = vfs_readv(j->v, fd, &f, &iov, 1, -1, 0);
    vfs_close(j->v, fd, &f);
    content(i, want);
    if (n < 0)
        return (int)n;
    return n == sizeof want && memcmp(data, want, sizeof want) == 0 ? 0 : -EILSEQ;
}

static int stat_file(struct job *j, struct vfs_loc *loc)
{
    struct vfs_stat st;
    int rc = vfs_stat(j->v, loc, true, &st);

    return rc == 0 && st.attr.length != BENCH_FILE_BYTES ? -EILSEQ : rc;
}

static int one_file(struct job *j, enum bench_work work, uint64_t i)
{
    char name[32], renamed[32];
    struct vfs_loc loc = {.base = work == WORK_CREATE ? j->empty : j->data, .path = name};
    struct vfs_loc to = {.base = j->data, .path = renamed};
    int rc = -EINVAL;

    snprintf(name, sizeof name, "f%08" PRIu64, i);
    switch (work) {
    case WORK_CREATE:
    case WORK_CREATE_4K:
        rc = create(j, &loc, i, work == WORK_CREATE_4K);
        break;
    case WORK_STAT:
        rc = stat_file(j, &loc);
        break;
    case WORK_READ:
        rc = read_file(j, &loc, i);
        break;
    default: /* WORK_RENAME */
        snprintf(renamed, sizeof renamed, "r%08" PRIu64, i);
        rc = vfs_rename(j->v, &loc, &to, 0);
        break;
    }
    return rc < 0 ? failed(j, rc, bench_works[work], name) : go_on(j);
}

/* --- directories --------------------------------------------------------------------------------
 */

/* Calls each(j, dir, name) for its names; how many, or -errno. */
static int64_t for_names(struct job *j, uint64_t dir,
                         int (*each)(struct job *, uint64_t, const char *))
{
    struct vfs_dirent e;
    struct vfs_dir *d;
    int64_t n = 0;

    int rc = vfs_dir_open(j->v, dir, &d);
    for (size_t pos = 0; rc == 0 && (rc = vfs_dir_at(d, pos, &e)) > 0; pos++) {
        rc = 0;
        if (strcmp(e.name, ".") == 0 || strcmp(e.name, "..") == 0)
            continue;
        n++;
        rc = each(j, dir, e.name);
    }
    vfs_dir_close(d);
    return rc < 0 ? rc : n;
}

static int count_one(struct job *j, uint64_t dir, const char *name)
{
    (void)dir, (void)name;
    return go_on(j);
}

static int unlink_one(struct job *j, uint64_t dir, const char *name)
{
    struct vfs_loc loc = {.base = dir, .path = name};
    int rc = vfs_unlink(j->v, &loc);

    return rc < 0 ? failed(j, rc, "unlink", name) : go_on(j);
}

/* As rm -r: the names are those that the listing gives. */
static int whole_dir(struct job *j, enum bench_work work, uint64_t dir)
{
    int64_t n = for_names(j, dir, work == WORK_LIST ? count_one : unlink_one);

    if (n < 0)
        return j->out->rc < 0 ? j->out->rc : failed(j, (int)n, bench_works[work], "");
    return (uint64_t)n == j->n ? 0 : failed(j, -EILSEQ, bench_works[work], "all its files");
}

static int work_at(struct job *j, enum bench_work work)
{
    int rc = 0;

    if (work == WORK_LIST || work == WORK_UNLINK) {
        rc = whole_dir(j, work, j->data);
        return rc == 0 && work == WORK_UNLINK ? whole_dir(j, work, j->empty) : rc;
    }
    for (uint64_t i = j->first; rc == 0 && i < j->first + j->n; i++)
        rc = one_file(j, work, i);
    return rc;
}

/* --- the process --------------------------------------------------------------------------------
 */

static int mount(struct job *j, const char *url)
{
    struct config c = *j->b->config;
    char err[400];

    c.meta = (char *)url;
    c.cache_dir = j->b->cache;
    int rc = vfs_mount(&c, &j->v, err, sizeof err);
    if (rc < 0) {
        line_set(j->out->what, sizeof j->out->what, "%s", err);
        j->out->rc = rc;
    } else if ((rc = vfs_ready(j->v)) < 0) {
        line_set(j->out->what, sizeof j->out->what, "%s", vfs_error(j->v));
        j->out->rc = rc;
    }
    return rc;
}

static int find_dir(struct job *j, char kind, bool make, uint64_t *ino)
{
    char path[NAME_LEN_MAX + 32];
    struct vfs_loc loc = {.base = INO_ROOT, .path = path};
    struct vfs_stat st;

    snprintf(path, sizeof path, "%s/%c%u", j->b->dir, kind, j->k);
    int rc = make ? vfs_mkdir(j->v, &loc, 0755) : 0;
    if (rc == 0)
        rc = vfs_stat(j->v, &loc, true, &st);
    if (rc < 0)
        return failed(j, rc, make ? "mkdir" : "stat", path);
    *ino = st.ino;
    return 0;
}

/* The first call for content, or that changes anything, does more than the others. */
static int prepare(struct job *j, enum bench_work work)
{
    int rc = 0;

    if (work == WORK_CREATE || work == WORK_UNLINK)
        rc = find_dir(j, 'e', work == WORK_CREATE, &j->empty);
    if (rc == 0 && work != WORK_CREATE)
        rc = find_dir(j, 'd', work == WORK_CREATE_4K, &j->data);
    if (rc == 0 && (rc = vfs_flush(j->v)) < 0)
        failed(j, rc, "flush", "");
    return rc;
}

static void wait_closed(int fd)
{
    char c;
    while (read(fd, &c, 1) < 0 && errno == EINTR)
        ;
}

void bench_work(struct bench *b, enum bench_work work, const char *url, unsigned k, int go,
                int leave)
{
    struct job j = {.b = b, .out = &b->shared->worker[k], .k = k};
    uint64_t share = b->files / b->processes, more = b->files % b->processes;

    j.n = share + (k < more);
    j.first = k * share + (k < more ? k : more);
    int rc = mount(&j, url);
    if (rc == 0)
        rc = prepare(&j, work);
    atomic_fetch_add(&b->shared->ready, 1);
    wait_closed(go);
    if (rc == 0)
        rc = work_at(&j, work);
    if (rc == 0 && (rc = vfs_flush(j.v)) < 0)
        failed(&j, rc, "flush", "");
    j.out->end_ns = clock_mono_ns();
    atomic_fetch_add(&b->shared->finished, 1);
    wait_closed(leave);
    vfs_unmount(j.v);
}

/* --- before and after ---------------------------------------------------------------------------
 */

int bench_make_dir(struct bench *b, const char *url)
{
    struct job j = {.b = b, .out = &b->shared->worker[0]};
    struct vfs_loc loc = {.base = INO_ROOT, .path = b->dir};

    int rc = mount(&j, url);
    if (rc == 0 && (rc = vfs_mkdir(j.v, &loc, 0755)) < 0)
        failed(&j, rc, "mkdir", b->dir);
    if (rc == 0 && (rc = vfs_flush(j.v)) < 0)
        failed(&j, rc, "flush", "");
    vfs_unmount(j.v);
    return rc;
}

struct leftover {
    char name[NAME_LEN_MAX + 1];
};

static int remove_names(struct job *j, uint64_t dir, const struct vec *names)
{
    struct vfs_name list[REMOVE_AT_ONCE];
    size_t n = names->len;
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < n; at += REMOVE_AT_ONCE) {
        size_t some = n - at < REMOVE_AT_ONCE ? n - at : REMOVE_AT_ONCE;
        for (size_t i = 0; i < some; i++) {
            const struct leftover *l = vec_at(names, at + i);
            list[i] = (struct vfs_name){.base = dir, .path = l->name};
        }
        rc = vfs_unlink_many(j->v, list, some);
    }
    return rc;
}

static struct vec *gathered;

static int gather(struct job *j, uint64_t dir, const char *name)
{
    struct leftover *l = vec_add(gathered);

    (void)j, (void)dir;
    if (l == NULL)
        return -ENOMEM;
    snprintf(l->name, sizeof l->name, "%s", name);
    return 0;
}

static int remove_files(struct job *j, const char *path)
{
    struct vfs_loc loc = {.base = INO_ROOT, .path = path};
    struct vec names = VEC_OF(struct leftover);
    struct vfs_stat st;

    int rc = vfs_stat(j->v, &loc, true, &st);
    gathered = &names;
    int64_t n = rc < 0 ? rc : for_names(j, st.ino, gather);
    rc = n < 0 ? (int)n : remove_names(j, st.ino, &names);
    vec_free(&names);
    return rc < 0 ? rc : vfs_rmdir(j->v, &loc);
}

int bench_remove_dir(struct bench *b, const char *url)
{
    struct job j = {.b = b, .out = &b->shared->worker[0]};
    struct vfs_loc loc = {.base = INO_ROOT, .path = b->dir};
    char path[NAME_LEN_MAX + 32];

    int rc = mount(&j, url);
    for (unsigned k = 0; rc == 0 && k < 2 * b->processes; k++) {
        snprintf(path, sizeof path, "%s/%c%u", b->dir, "ed"[k % 2], k / 2);
        rc = remove_files(&j, path);
        if (rc == -ENOENT)
            rc = 0; /* interrupted before */
        if (rc < 0)
            failed(&j, rc, "remove", path);
    }
    if (rc == 0 && (rc = vfs_rmdir(j.v, &loc)) < 0)
        failed(&j, rc, "rmdir", b->dir);
    if (rc == 0 && (rc = vfs_flush(j.v)) < 0)
        failed(&j, rc, "flush", "");
    vfs_unmount(j.v);
    return rc;
}
