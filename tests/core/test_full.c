/*
 * test_full.c - the embedded engine on full disks: ENOSPC is said, nothing acknowledged is lost,
 * reads go on, and with room again so do writes.  Every count is exact afterwards (fsck).
 */
#include "core/base/log.h"
#include "core/meta/engine.h"
#include "tests/lib/host.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONGEST   150000
#define NAMES_MAX 60010

static char top[256], url[400];

/* A file's bytes follow from its birth name, which it keeps in its first bytes. */
static size_t content(unsigned id, uint8_t *out)
{
    unsigned x = id * 2654435761u + 1;
    size_t n = 8 + x % (id % 7 == 0 ? LONGEST : 3000);
    for (size_t i = 0; i < n; i++) {
        x = x * 1103515245u + 12345u;
        out[i] = (uint8_t)(x >> 16);
    }
    memcpy(out, &id, sizeof(id));
    return n;
}

static int put(struct vfs *v, const char *name, unsigned id, uint8_t *scratch)
{
    struct vfs_loc loc = *at(name);
    struct vfs_fd f;
    size_t n = content(id, scratch);
    int fd = vfs_open(v, &loc, O_CREAT | O_EXCL | O_WRONLY, 0644, &f);
    if (fd < 0)
        return fd;
    int rc = 0;
    for (size_t done = 0; done < n && rc == 0;) { /* in pieces, as programs write */
        struct iovec iov = {.iov_base = scratch + done,
                            .iov_len = n - done < 10240 ? n - done : 10240};
        ssize_t put_now = vfs_writev(v, fd, &f, &iov, 1, -1, 0);
        rc = put_now < 0 ? (int)put_now : 0;
        done += put_now > 0 ? (size_t)put_now : 0;
    }
    int end = vfs_close(v, fd, &f);
    return rc < 0 ? rc : end;
}

enum state { ABSENT, EMPTY, WHOLE, HALF };

static enum state look(struct vfs *v, const char *name, unsigned id)
{
    static uint8_t want[LONGEST + 16], got[LONGEST + 64];
    struct vfs_loc loc = *at(name);
    struct vfs_fd f;
    size_t n = content(id, want), have = 0;
    int fd = vfs_open(v, &loc, O_RDONLY, 0, &f);
    if (fd == -ENOENT)
        return ABSENT;
    if (fd < 0)
        return HALF;
    ssize_t r = 1;
    while (r > 0 && have < sizeof(got)) {
        struct iovec iov = {.iov_base = got + have, .iov_len = sizeof(got) - have};
        r = vfs_readv(v, fd, &f, &iov, 1, -1, 0);
        have += r > 0 ? (size_t)r : 0;
    }
    vfs_close(v, fd, &f);
    if (r < 0)
        return HALF;
    return have == 0 ? EMPTY : have == n && memcmp(want, got, n) == 0 ? WHOLE : HALF;
}

/* --- the model
 * ------------------------------------------------------------------------------------ */

/* What is known of each name. */
enum known { NOTHING, THERE, GONE, MAYBE };
static uint8_t known[NAMES_MAX];
static unsigned birth_of[NAMES_MAX];

static void name_of(unsigned id, char out[32])
{
    snprintf(out, 32, "d%u/n%u", id % 3, id);
}

static unsigned check_all(struct vfs *v, unsigned end)
{
    unsigned wrong = 0;
    char name[32];
    for (unsigned id = 1; id < end; id++) {
        if (known[id] == NOTHING)
            continue;
        name_of(id, name);
        enum state is = look(v, name, birth_of[id]);
        bool ok = known[id] == THERE ? is == WHOLE : known[id] == GONE ? is == ABSENT : is != HALF;
        if (!ok && wrong++ < 10)
            fprintf(stderr, "%s: known %d, is %d\n", name, known[id], is);
    }
    return wrong;
}

/* --- full disks
 * ------------------------------------------------------------------------------------ */

/* small: the directory on a disk of 4 MiB; the volume's other half is elsewhere. */
static void fill(const char *meta, const char *bucket)
{
    static uint8_t scratch[LONGEST + 16];
    char name[32];
    unsigned id, last = 0;
    int rc = 0;

    memset(known, 0, sizeof(known));
    snprintf(url, sizeof(url), "lmdb://%s?batchwrite=0", meta);
    struct setting s = host_setting(bucket);
    CU_ASSERT_EQUAL_FATAL(host_format(url, &s), 0);
    struct vfs *v = host_mount(url, top, "cache");
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "d%d", i);
        struct vfs_loc loc = *at(name);
        CU_ASSERT_EQUAL_FATAL(vfs_mkdir(v, &loc, 0755), 0);
    }
    for (id = 1; id < 60000 && rc == 0; id++) {
        name_of(id, name);
        rc = put(v, name, id, scratch);
        birth_of[id] = id;
        known[id] = rc == 0 ? THERE : MAYBE;
        last = id;
    }
    CU_ASSERT_EQUAL(rc, -ENOSPC);
    CU_ASSERT(last > 20);
    CU_ASSERT_EQUAL(check_all(v, id), 0); /* reading goes on, and nothing acknowledged is lost */
    /* room again: where even removing needs room, space is given from outside, as a user would */
    char fifo[300];
    snprintf(fifo, sizeof(fifo), "%s/small", top);
    CU_ASSERT_EQUAL(mount("none", fifo, "tmpfs", MS_REMOUNT, "size=64m"), 0);
    for (unsigned k = 1; k <= 10; k++) {
        name_of(k, name);
        struct vfs_loc loc = *at(name);
        CU_ASSERT_EQUAL(vfs_unlink(v, &loc), 0);
        known[k] = GONE;
    }
    name_of(60001, name);
    CU_ASSERT_EQUAL(put(v, name, 60001, scratch), 0);
    birth_of[60001] = 60001;
    known[60001] = THERE;
    CU_ASSERT_EQUAL(check_all(v, 60002), 0);
    vfs_unmount(v);
    CU_ASSERT(host_is_clean(url));
}

static void quiet(enum log_level level, const char *line)
{
    (void)level;
    (void)line;
}

static void on_small_disk(bool meta_is_small)
{
    char small[300], meta[320], bucket[320], cmd[700];
    if (geteuid() != 0) {
        suite_skip("not root, nothing can be mounted");
        return;
    }
    log_set(quiet, LOG_ERROR);
    snprintf(small, sizeof(small), "%s/small", top);
    mkdir(small, 0700);
    CU_ASSERT_EQUAL_FATAL(mount("none", small, "tmpfs", 0, "size=4m"), 0);
    snprintf(meta, sizeof(meta), "%s/%s", meta_is_small ? small : top, "full-meta");
    snprintf(bucket, sizeof(bucket), "%s/%s", meta_is_small ? top : small, "full-bucket");
    fill(meta, bucket);
    umount(small);
    snprintf(cmd, sizeof(cmd), "rm -rf '%s' '%s'", meta, bucket);
    CU_ASSERT_EQUAL(system(cmd), 0);
}

static void test_full_environment(void)
{
    on_small_disk(true);
}

static void test_full_store(void)
{
    on_small_disk(false);
}

static int setup(void)
{
    snprintf(top, sizeof(top), "%s/jfspre-full-XXXXXX",
             getenv("TEST_SHM") != NULL ? getenv("TEST_SHM") : "/dev/shm");
    return mkdtemp(top) == NULL;
}

static int teardown(void)
{
    char cmd[700];
    snprintf(cmd, sizeof(cmd), "umount '%s/small' 2>/dev/null; rm -rf '%s'", top, top);
    return system(cmd) != 0;
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"full environment", test_full_environment},
        {"full store", test_full_store},
        CU_TEST_INFO_NULL,
    };
    return suite_run_with("full", setup, teardown, tests);
}
