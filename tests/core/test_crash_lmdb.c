/*
 * test_crash_lmdb.c - every kind of change under kill -9 on the embedded store.
 *
 * Four processes change one volume, each its own names there, in a directory of its own and in one
 * of all; now one, now all of them are killed and begun again.  After each kill all that the killed
 * one was told is asked for, names, links and bytes; in between and at the end the counts must be
 * exact (fsck).  The map begins small, so it grows under way in all processes.
 *
 * CRASH_KILLS (300) and CRASH_SEED (the date) choose how long and which; CRASH_LOG shows each
 * change.
 */
#include "core/lmdb/kv.h"
#include "core/meta/engine.h"
#include "core/store/store.h"
#include "tests/lib/writer.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WRITERS   4
#define SMALL_MAP (256 << 10)

static char top[300];
static uint64_t seed;
static int kills = 300;

static uint32_t draw(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % n;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int setup(void)
{
    const char *shm = getenv("TEST_SHM");
    snprintf(top, sizeof(top), "%s/crash.XXXXXX", shm != NULL ? shm : "/dev/shm");
    return mkdtemp(top) == NULL;
}

static int teardown(void)
{
    remove_tree(top);
    return 0;
}

/* --- a volume: metadata, store and staging in directories of their own
 * ---------------------------- */

struct volume {
    char url[400], store[400], cache[400];
};

static void volume_at(struct volume *vol, const char *meta, const char *store, const char *cache)
{
    snprintf(vol->url, sizeof(vol->url), "lmdb://%s", meta);
    snprintf(vol->store, sizeof(vol->store), "%s/", store);
    snprintf(vol->cache, sizeof(vol->cache), "%s", cache);
}

static struct vfs *volume_mount(const struct volume *vol)
{
    char err[400];
    struct vfs *v = NULL;
    struct config c = {
        .meta = (char *)vol->url, .prefix = (char *)"/jfs", .cache_dir = (char *)vol->cache};
    if (vfs_mount(&c, &v, err, sizeof(err)) < 0)
        fprintf(stderr, "mount: %s\n", err);
    return v;
}

static struct vfs *volume_new(const struct volume *vol)
{
    struct setting s = {.block_kib = 64, .meta_version = 1, .dir_stats = true};
    struct buf json = {0};
    struct engine *e = NULL;
    char err[400] = "";
    strcpy(s.name, "crash");
    strcpy(s.uuid, "77a5a1d2-0c1f-4b53-8d0e-3f5c2b9e6d10");
    strcpy(s.storage, "file");
    strcpy(s.compression, "none");
    strcpy(s.min_client, "1.1.0-A");
    snprintf(s.bucket, sizeof(s.bucket), "%s", vol->store);
    if (engine_open(vol->url, &e, err, sizeof(err)) < 0 || setting_print(&s, &json) < 0 ||
        store_format(&s, err, sizeof(err)) < 0 || e->ops->format(e, &json, false) < 0) {
        fprintf(stderr, "format: %s %s\n", err, e != NULL ? e->ops->error(e) : "");
        return NULL;
    }
    e->ops->close(e);
    buf_free(&json);
    return volume_mount(vol);
}

/* What `jfspre fsck` says: nothing but blocks that a killed writer stored and never named. */
static bool is_clean(const struct volume *vol)
{
    const char *b = getenv("B");
    char cmd[1500], line[500];
    bool clean = true;
    snprintf(cmd, sizeof(cmd), "'%s/jfspre' fsck '%s' --all 2>&1", b != NULL ? b : "build",
             vol->url);
    FILE *f = popen(cmd, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, "warning: leak", 13) == 0 || strncmp(line, "crash: ", 7) == 0)
            continue;
        fprintf(stderr, "fsck: %s", line);
        clean = false;
    }
    return f != NULL && pclose(f) == 0 && clean;
}

/* --- kill -9
 * --------------------------------------------------------------------------------------- */

struct writer {
    pid_t pid;
    int pipe;
    struct model model;
    struct deed last; /* heard */
    bool heard;
};

static bool start(struct vfs *v, struct writer *w)
{
    int p[2];
    if (pipe(p) != 0)
        return false;
    uint64_t mine = seed + draw(1 << 30);
    vfs_before_fork(v);
    w->pid = fork();
    vfs_after_fork(v, w->pid == 0);
    if (w->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_DFL);
        close(p[0]);
        writer_run(v, &w->model, mine, p[1]);
        _exit(3);
    }
    close(p[1]);
    w->pipe = p[0];
    w->heard = false;
    return w->pid > 0;
}

static void show(const struct writer *w, const char *what, const struct deed *d)
{
    if (getenv("CRASH_LOG") != NULL)
        fprintf(stderr, "%u: %sdeed %d %s %s off %u len %u seed %u\n", w->model.writer, what,
                d->kind, d->a, d->b, d->off, d->len, d->seed);
}

/* Takes what it says; false at the end of it. */
static bool hear(struct writer *w, int *failed)
{
    struct deed d[64];
    ssize_t n = read(w->pipe, d, sizeof(d));
    for (ssize_t i = 0; i < n / (ssize_t)sizeof(*d); i++) {
        if (d[i].done && d[i].code < 0) {
            fprintf(stderr, "writer %u: deed %d (%s %s): %s\n", w->model.writer, d[i].kind, d[i].a,
                    d[i].b, strerror(-d[i].code));
            ++*failed;
        } else if (d[i].done) {
            show(w, "", &d[i]);
            model_apply(&w->model, &d[i]);
        }
        w->last = d[i];
        w->heard = true;
    }
    return n > 0;
}

static void hear_all(struct writer *w, int ms, int *failed)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t end = t.tv_sec * 1000 + t.tv_nsec / 1000000 + ms;
    for (int left = ms; left >= 0;) {
        struct pollfd p[WRITERS];
        for (int i = 0; i < WRITERS; i++)
            p[i] = (struct pollfd){.fd = w[i].pid > 0 ? w[i].pipe : -1, .events = POLLIN};
        poll(p, WRITERS, left);
        for (int i = 0; i < WRITERS; i++) {
            if ((p[i].revents & POLLIN) != 0)
                hear(&w[i], failed);
        }
        clock_gettime(CLOCK_MONOTONIC, &t);
        left = (int)(end - (t.tv_sec * 1000 + t.tv_nsec / 1000000));
    }
}

/* Kills it and asks the volume for all that it was told. */
static bool reap(struct vfs *v, struct writer *w, int *failed)
{
    char why[900] = "";
    int status;
    kill(w->pid, SIGKILL);
    waitpid(w->pid, &status, 0);
    w->pid = 0;
    while (hear(w, failed))
        continue;
    close(w->pipe);
    show(w, w->last.done ? "killed after " : "killed in ", &w->last);
    bool held = w->heard && !w->last.done ? model_settle(&w->model, &w->last, v, why, sizeof(why))
                                          : model_holds(&w->model, v, why, sizeof(why));
    if (!held)
        fprintf(stderr, "writer %u: %s\n", w->model.writer, why);
    return held && WIFSIGNALED(status);
}

static void test_kill(void)
{
    static struct writer w[WRITERS];
    char meta[350], store[350], cache[350];
    struct volume vol;
    int failed = 0;

    snprintf(meta, sizeof(meta), "%s/meta", top);
    snprintf(store, sizeof(store), "%s/store", top);
    snprintf(cache, sizeof(cache), "%s/cache", top);
    volume_at(&vol, meta, store, cache);
    kv_first_map(SMALL_MAP);
    struct vfs *v = volume_new(&vol);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    struct vfs_loc shared = {.base = INO_ROOT, .path = "shared"};
    CU_ASSERT_EQUAL(vfs_mkdir(v, &shared, 0777), 0);
    for (unsigned i = 0; i < WRITERS; i++) {
        char name[16];
        struct vfs_loc dir = {.base = INO_ROOT, .path = name};
        snprintf(name, sizeof(name), "w%u", i);
        w[i].model.writer = i;
        CU_ASSERT_EQUAL(vfs_mkdir(v, &dir, 0777), 0);
        CU_ASSERT_TRUE_FATAL(start(v, &w[i]));
    }
    for (int done = 0; done < kills && failed == 0;) {
        hear_all(w, (int)draw(12), &failed);
        /* mostly one, now and then all at once */
        uint32_t first = draw(WRITERS), n = draw(20) == 0 ? WRITERS : 1;
        for (uint32_t i = 0; i < n; i++) {
            struct writer *x = &w[(first + i) % WRITERS];
            done++;
            failed += !reap(v, x, &failed);
        }
        if (n == WRITERS && done % 3 == 0)
            failed += !is_clean(&vol);
        for (uint32_t i = 0; i < n; i++)
            failed += !start(v, &w[(first + i) % WRITERS]);
    }
    for (int i = 0; i < WRITERS; i++)
        failed += !reap(v, &w[i], &failed);
    CU_ASSERT_EQUAL(failed, 0);
    CU_ASSERT(is_clean(&vol));
    for (int i = 0; i < WRITERS; i++)
        model_free(&w[i].model);
    vfs_unmount(v);
    kv_first_map(0);
    remove_tree(meta);
    remove_tree(store);
    remove_tree(cache);
}

/* --- a full cache disk
 * ------------------------------------------------------------------------------ */

/* In a process of its own, since a page that the disk has no room for would be SIGBUS. */
static int fill_cache(const struct volume *vol)
{
    enum { MOST = 3000 };
    static struct vfs_fd f[MOST];
    static int fd[MOST];
    static char zeros[1 << 20], back[100];
    struct rlimit limit = {.rlim_cur = MOST + 100, .rlim_max = MOST + 100};
    struct iovec big = {zeros, sizeof(zeros)}, small = {back, sizeof(back)};
    struct vfs *v = volume_new(vol);
    int n = 0, rc = 0;
    if (v == NULL)
        return 1;
    setrlimit(RLIMIT_NOFILE, &limit);
    while (n < MOST && rc >= 0) {
        char name[16];
        struct vfs_loc loc = {.base = INO_ROOT, .path = name};
        snprintf(name, sizeof(name), "f%d", n);
        rc = fd[n] = vfs_open(v, &loc, O_CREAT | O_RDWR | O_CLOEXEC, 0644, &f[n]);
        if (rc >= 0 && n == 0)
            rc = vfs_writev(v, fd[0], &f[0], &big, 1, 0, 0) > 0 ? 0 : -EIO;
        n += rc >= 0;
    }
    if (rc != -ENOSPC || n < 2)
        return 2;
    if (vfs_readv(v, fd[0], &f[0], &small, 1, 0, 0) != sizeof(back))
        return 3;
    while (n > 0) {
        n--;
        if (vfs_close(v, fd[n], &f[n]) != 0)
            return 4;
    }
    struct vfs_loc again = {.base = INO_ROOT, .path = "again"};
    fd[0] = vfs_open(v, &again, O_CREAT | O_RDWR | O_CLOEXEC, 0644, &f[0]);
    if (fd[0] < 0 || vfs_writev(v, fd[0], &f[0], &small, 1, 0, 0) != sizeof(back) ||
        vfs_close(v, fd[0], &f[0]) != 0)
        return 5;
    vfs_unmount(v);
    return is_clean(vol) ? 0 : 6;
}

static void test_full_cache(void)
{
    char meta[350], store[350], cache[350];
    struct volume vol;
    snprintf(meta, sizeof(meta), "%s/meta", top);
    snprintf(store, sizeof(store), "%s/store", top);
    snprintf(cache, sizeof(cache), "%s/cache", top);
    volume_at(&vol, meta, store, cache);
    mkdir(cache, 0700);
    if (mount("none", cache, "tmpfs", 0, "size=1m") != 0) {
        printf("(no disk can be mounted: %s; left out) ", strerror(errno));
        return;
    }
    pid_t pid = fork();
    if (pid == 0)
        _exit(fill_cache(&vol));
    int status;
    waitpid(pid, &status, 0);
    CU_ASSERT_FALSE(WIFSIGNALED(status));
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CU_ASSERT_EQUAL(umount(cache), 0);
    remove_tree(meta);
    remove_tree(store);
    remove_tree(cache);
}

int main(void)
{
    const char *text = getenv("CRASH_KILLS");
    if (text != NULL)
        kills = atoi(text);
    text = getenv("CRASH_SEED");
    seed = text != NULL ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) / 86400;
    printf("%d kills, seed %llu; CRASH_KILLS and CRASH_SEED choose others\n", kills,
           (unsigned long long)seed);
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("crash", setup, teardown);
    CU_add_test(s, "kill", test_kill);
    CU_add_test(s, "full cache", test_full_cache);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    int failed = (int)CU_get_number_of_failures() + (int)CU_get_number_of_suites_failed();
    CU_cleanup_registry();
    return failed != 0;
}
