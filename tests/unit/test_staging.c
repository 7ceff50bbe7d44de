/*
 * test_staging.c - the table of staging files: who holds a slot, when it comes back, what a killed
 * process leaves.
 */
#include "core/vfs/staging.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[256];
static struct staging *st;

static int setup(void)
{
    char err[400];
    snprintf(dir, sizeof dir, "/dev/shm/jfspre-test-XXXXXX");
    return mkdtemp(dir) == NULL || staging_open(dir, "volume", &st, err, sizeof err) != 0;
}

static int teardown(void)
{
    char cmd[300];
    staging_close(st);
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
    return system(cmd) != 0;
}

static int hold(uint64_t ino, int flags, uint32_t *number, enum staging_how *how)
{
    return staging_hold(st, ino, flags | O_CLOEXEC, number, how);
}

static void seen(uint32_t number)
{
    struct attr a = {.type = TYPE_FILE, .nlink = 1};
    slot_seen_set(staging_slot(st, number), &a);
}

static void test_share_and_release(void)
{
    uint32_t a, b;
    enum staging_how how;
    int fd = hold(100, O_RDWR, &a, &how);
    CU_ASSERT(fd >= 0 && how == STAGING_NEW);
    seen(a);
    staging_set_clean(staging_slot(st, a), fd);
    int fd2 = hold(100, O_RDONLY, &b, &how);
    CU_ASSERT(fd2 >= 0 && how == STAGING_SHARED && a == b);
    CU_ASSERT_EQUAL(staging_find(st, 100), a);
    close(fd);
    staging_release(st, a, staging_slot(st, a)->gen);
    CU_ASSERT_EQUAL(staging_find(st, 100), a); /* fd2 still holds it */
    close(fd2);
    staging_release(st, a, staging_slot(st, a)->gen + 1);
    CU_ASSERT_EQUAL(staging_find(st, 100), a); /* of another generation */
    staging_release(st, a, staging_slot(st, a)->gen);
    CU_ASSERT_EQUAL(staging_find(st, 100), 0);
}

static void test_other_holders(void)
{
    uint32_t n;
    enum staging_how how;
    int fd = hold(200, O_RDWR, &n, &how);
    seen(n);
    CU_ASSERT(ftruncate(fd, 4096) == 0);
    staging_set_clean(staging_slot(st, n), fd);
    uint32_t gen = staging_slot(st, n)->gen;
    int copy = dup(fd);
    close(fd);
    staging_release(st, n, gen);
    CU_ASSERT_EQUAL(staging_find(st, 200), n); /* a duplicate */
    void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, copy, 0);
    CU_ASSERT(map != MAP_FAILED);
    close(copy);
    staging_release(st, n, gen);
    CU_ASSERT_EQUAL(staging_find(st, 200), n); /* a mapping without a descriptor */
    munmap(map, 4096);
    staging_release(st, n, gen);
    CU_ASSERT_EQUAL(staging_find(st, 200), 0);
}

static void test_dirty_stays(void)
{
    uint32_t n;
    enum staging_how how;
    int fd = hold(300, O_RDWR, &n, &how);
    struct stat sb;
    seen(n);
    staging_set_clean(staging_slot(st, n), fd);
    CU_ASSERT(fstat(fd, &sb) == 0 && !staging_is_dirty(staging_slot(st, n), &sb));
    CU_ASSERT(write(fd, "x", 1) == 1);
    CU_ASSERT(fstat(fd, &sb) == 0 && staging_is_dirty(staging_slot(st, n), &sb));
    close(fd);
    staging_release(st, n, staging_slot(st, n)->gen);
    CU_ASSERT_EQUAL(staging_find(st, 300), n);
    fd = hold(300, O_RDWR, &n, &how);
    CU_ASSERT_EQUAL(how, STAGING_ABANDONED);
    staging_set_clean(staging_slot(st, n), fd);
    close(fd);
    staging_release(st, n, staging_slot(st, n)->gen);
    CU_ASSERT_EQUAL(staging_find(st, 300), 0);
}

/* Written through wrappers, which tell the range, and never closed: not for the next one to see. */
static void test_set_aside(void)
{
    char path[400];
    uint32_t n;
    enum staging_how how;
    struct stat sb;
    int fd = hold(400, O_RDWR, &n, &how);
    struct slot *s = staging_slot(st, n);
    seen(n);
    staging_set_clean(staging_slot(st, n), fd);
    CU_ASSERT(write(fd, "half", 4) == 4);
    s->dirty_lo = 0;
    s->dirty_hi = 4;
    uint32_t gen = s->gen;
    close(fd);
    staging_release(st, n, gen);
    fd = hold(400, O_RDWR, &n, &how);
    CU_ASSERT_EQUAL(how, STAGING_NEW);
    CU_ASSERT(fstat(fd, &sb) == 0 && sb.st_size == 0 && s->gen != gen);
    snprintf(path, sizeof path, "%s/volume.%u/l/400-%u", dir, geteuid(), gen);
    CU_ASSERT(stat(path, &sb) == 0 && sb.st_size == 4);
    seen(n);
    staging_set_clean(staging_slot(st, n), fd);
    close(fd);
    staging_release(st, n, s->gen);
    CU_ASSERT_EQUAL(staging_find(st, 400), 0);
}

static void test_killed_holders(void)
{
    for (int round = 0; round < 20; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            staging_after_fork(st);
            for (uint64_t i = 0;; i++) {
                uint32_t n;
                enum staging_how how;
                int fd = hold(1000 + i % 50, O_RDWR, &n, &how);
                if (fd < 0)
                    _exit(1);
                seen(n);
                staging_set_clean(staging_slot(st, n), fd);
                close(fd);
                staging_release(st, n, staging_slot(st, n)->gen);
            }
        }
        usleep(2000 + (useconds_t)round * 300);
        kill(pid, SIGKILL);
        int status;
        waitpid(pid, &status, 0);
        CU_ASSERT(WIFSIGNALED(status));
    }
    /* Whatever was left can be taken and given back. */
    for (uint64_t ino = 1000; ino < 1050; ino++) {
        uint32_t n;
        enum staging_how how;
        int fd = hold(ino, O_RDWR, &n, &how);
        CU_ASSERT_FATAL(fd >= 0);
        CU_ASSERT(how != STAGING_SHARED);
        seen(n);
        staging_set_clean(staging_slot(st, n), fd);
        close(fd);
        staging_release(st, n, staging_slot(st, n)->gen);
        CU_ASSERT_EQUAL(staging_find(st, ino), 0);
    }
    uint64_t left[8];
    CU_ASSERT_EQUAL(staging_inodes(st, left, 8), 0);
}

static void test_names(void)
{
    char uuid[64];
    uint64_t n;
    CU_ASSERT_EQUAL(staging_name_of("/c/u-1.0/s/12", "/c", uuid, &n), 's');
    CU_ASSERT(n == 12 && strcmp(uuid, "u-1") == 0);
    CU_ASSERT_EQUAL(staging_name_of("/c/u-1.0/d/9223372032828243968 (deleted)", "/c", uuid, &n),
                    'd');
    CU_ASSERT_EQUAL(n, INO_TRASH);
    CU_ASSERT_EQUAL(staging_name_of("/c/u-1.0/s/12x", "/c", uuid, &n), 0);
    CU_ASSERT_EQUAL(staging_name_of("/c/u-1.0/s/", "/c", uuid, &n), 0);
    CU_ASSERT_EQUAL(staging_name_of("/c/u-1.0/table", "/c", uuid, &n), 0);
    CU_ASSERT_EQUAL(staging_name_of("/cc/u-1.0/s/12", "/c", uuid, &n), 0);
    CU_ASSERT_EQUAL(staging_name_of("pipe:[5]", "/c", uuid, &n), 0);
}

static uint32_t one_file(uint64_t ino)
{
    uint32_t n;
    enum staging_how how;
    int fd = hold(ino, O_WRONLY, &n, &how);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(how, STAGING_NEW);
    seen(n);
    CU_ASSERT_EQUAL(write(fd, "data", 4), 4);
    staging_set_clean(staging_slot(st, n), fd);
    close(fd);
    staging_release(st, n, staging_slot(st, n)->gen);
    CU_ASSERT_EQUAL(staging_find(st, ino), 0);
    return n;
}

/* A process that ends without closing leaves slots; new ones bring them back. */
static void test_sweep(void)
{
    uint32_t n;
    enum staging_how how;
    for (uint64_t ino = 5000; ino < 5040; ino++) {
        int fd = hold(ino, O_RDWR, &n, &how);
        seen(n);
        staging_set_clean(staging_slot(st, n), fd);
        close(fd);
    }
    for (uint64_t ino = 6000; ino < 6040; ino++) {
        int fd = hold(ino, O_RDONLY, &n, &how);
        seen(n);
        staging_set_clean(staging_slot(st, n), fd);
        close(fd);
        staging_release(st, n, staging_slot(st, n)->gen);
    }
    uint64_t left[64];
    CU_ASSERT_EQUAL(staging_inodes(st, left, 64), 0);
    /* Also where each new file gets the spare slot, though not at each one. */
    int fd = hold(7000, O_RDONLY, &n, &how);
    seen(n);
    staging_set_clean(staging_slot(st, n), fd);
    close(fd);
    for (uint64_t ino = 8000; ino < 12000; ino++)
        one_file(ino);
    CU_ASSERT_EQUAL(staging_find(st, 7000), 0);
}

/* The slot of a written file serves the next one, unless somebody still holds the file. */
static void test_spare(void)
{
    uint32_t n, m;
    enum staging_how how;
    struct stat sb;
    char got[8] = "";

    uint32_t first = one_file(20000), gen = staging_slot(st, first)->gen;
    CU_ASSERT_EQUAL(one_file(20001), first);
    CU_ASSERT_NOT_EQUAL(staging_slot(st, first)->gen, gen);

    int fd = hold(20002, O_RDWR, &n, &how), again = hold(20002, O_RDONLY, &m, &how);
    CU_ASSERT(n == first && m == n && how == STAGING_SHARED);
    close(again);
    struct slot *s = staging_slot(st, n);
    seen(n);
    CU_ASSERT((s->flags & SLOT_BLANK) != 0);
    CU_ASSERT(fstat(fd, &sb) == 0 && sb.st_size == 0 && !staging_is_dirty(s, &sb));
    CU_ASSERT_EQUAL(write(fd, "old", 3), 3);
    CU_ASSERT(fstat(fd, &sb) == 0 && staging_is_dirty(s, &sb));
    staging_set_clean(s, fd);
    int copy = dup(fd);
    close(fd);
    staging_release(st, n, s->gen);
    CU_ASSERT_EQUAL(staging_find(st, 20002), n);
    fd = hold(20003, O_RDWR, &m, &how);
    CU_ASSERT_NOT_EQUAL(m, n);
    seen(m);
    CU_ASSERT_EQUAL(write(copy, "stray", 5), 5);
    CU_ASSERT_EQUAL(pread(fd, got, sizeof got, 0), 0);
    staging_set_clean(staging_slot(st, m), fd);
    close(fd);
    staging_release(st, m, staging_slot(st, m)->gen);
    staging_set_clean(s, copy);
    close(copy);
    staging_release(st, n, s->gen);
    CU_ASSERT_EQUAL(staging_find(st, 20002), 0);
    staging_drop_spares(st);
    CU_ASSERT_EQUAL(staging_slot(st, m)->ino, 0);
}

/* A killed process's spare slot is for all again; a living one's is nobody else's. */
static void test_spare_of_killed(void)
{
    int to_parent[2], status;
    uint32_t n = 0, other;
    enum staging_how how;

    CU_ASSERT_EQUAL(pipe(to_parent), 0);
    pid_t pid = fork();
    if (pid == 0) {
        staging_after_fork(st);
        n = one_file(30000);
        (void)!write(to_parent[1], &n, sizeof n);
        pause();
    }
    CU_ASSERT_EQUAL(read(to_parent[0], &n, sizeof n), (ssize_t)sizeof n);
    CU_ASSERT_EQUAL(staging_slot(st, n)->ino, SLOT_SPARE);
    for (int alive = 1; alive >= 0; alive--) {
        for (uint64_t ino = 31000; ino < 31100; ino++) {
            int fd = hold(ino, O_RDONLY, &other, &how);
            CU_ASSERT(!alive || other != n);
            seen(other);
            staging_set_clean(staging_slot(st, other), fd);
            close(fd);
            staging_release(st, other, staging_slot(st, other)->gen);
        }
        CU_ASSERT_EQUAL(staging_slot(st, n)->ino == SLOT_SPARE, alive);
        if (alive) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
        }
    }
    close(to_parent[0]);
    close(to_parent[1]);
}

/* --- lanes ------------------------------------------------------------------------------------ */

/* A new file whose bytes go into the lane. */
static int in_lane(struct staging *in, uint64_t ino, uint32_t *n)
{
    struct attr a = {.type = TYPE_FILE, .nlink = 1};
    enum staging_how how;
    int fd = staging_hold(in, ino, O_RDWR | O_CLOEXEC, n, &how);
    struct slot *s = staging_slot(in, *n);
    CU_ASSERT_FATAL(fd >= 0);
    slot_lock(s);
    slot_seen_set(s, &a);
    s->flags |= SLOT_FILLED;
    lane_begin(in, *n, fd);
    slot_unlock(s);
    return fd;
}

static bool put(struct staging *in, uint32_t n, int fd, const char *text)
{
    struct slot *s = staging_slot(in, n);
    slot_lock(s);
    bool taken = lane_write(in, n, fd, text, strlen(text));
    slot_unlock(s);
    return taken;
}

static int settle(struct staging *in, uint32_t n)
{
    struct slot *s = staging_slot(in, n);
    slot_lock(s);
    int rc = lane_settle(in, n);
    slot_unlock(s);
    return rc;
}

static void be_writer(void)
{
    for (uint64_t ino = 40000; ino < 40005; ino++)
        one_file(ino);
}

static void forget(struct staging *in, uint32_t n, int fd)
{
    struct slot *s = staging_slot(in, n);
    staging_set_clean(s, fd);
    s->flags &= ~(uint32_t)(SLOT_LANE | SLOT_BEHIND);
    s->dirty_lo = UINT64_MAX;
    s->dirty_hi = 0;
    close(fd);
    staging_release(in, n, s->gen);
}

static void test_lane(void)
{
    char got[32] = "", *big = calloc(1, 300000);
    struct stat sb;
    uint32_t n;

    be_writer();
    int fd = in_lane(st, 41000, &n);
    struct slot *s = staging_slot(st, n);
    CU_ASSERT((s->flags & SLOT_LANE) != 0);
    CU_ASSERT(put(st, n, fd, "one ") && put(st, n, fd, "two"));
    CU_ASSERT(!put(st, n, fd + 1, "another descriptor"));
    memset(big, 'b', 299999);
    CU_ASSERT(!put(st, n, fd, big));
    CU_ASSERT_EQUAL(s->lane_len, 7);
    CU_ASSERT(memcmp(lane_bytes(st, n), "one two", 7) == 0);
    CU_ASSERT(fstat(fd, &sb) == 0 && sb.st_size == 0 && staging_is_dirty(s, &sb));
    CU_ASSERT_EQUAL(settle(st, n), 0);
    CU_ASSERT(lane_bytes(st, n) == NULL && !put(st, n, fd, "x"));
    CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_CUR), 7);
    CU_ASSERT(pread(fd, got, sizeof got, 0) == 7 && strcmp(got, "one two") == 0);
    CU_ASSERT(fstat(fd, &sb) == 0 && staging_is_dirty(s, &sb));
    forget(st, n, fd);
    CU_ASSERT_EQUAL(staging_find(st, 41000), 0);
    free(big);

    /* what is committed and settled is clean */
    fd = in_lane(st, 41001, &n);
    s = staging_slot(st, n);
    CU_ASSERT(put(st, n, fd, "committed"));
    s->dirty_lo = UINT64_MAX;
    s->dirty_hi = 0;
    CU_ASSERT(fstat(fd, &sb) == 0 && !staging_is_dirty(s, &sb));
    CU_ASSERT_EQUAL(settle(st, n), 0);
    CU_ASSERT(fstat(fd, &sb) == 0 && sb.st_size == 9 && !staging_is_dirty(s, &sb));
    forget(st, n, fd);

    /* nothing begins while another thread forks */
    lanes_before_fork(st);
    fd = in_lane(st, 41002, &n);
    CU_ASSERT_EQUAL(staging_slot(st, n)->flags & SLOT_LANE, 0);
    lanes_after_fork(st);
    forget(st, n, fd);
}

/* Another process settles it; its owner finds its offset behind the bytes. */
static void test_lane_of_other(void)
{
    uint32_t n;
    int status;

    be_writer();
    int fd = in_lane(st, 42000, &n);
    struct slot *s = staging_slot(st, n);
    CU_ASSERT(put(st, n, fd, "seen by all"));
    pid_t pid = fork();
    if (pid == 0) {
        char got[32] = "";
        enum staging_how how;
        uint32_t m;
        staging_after_fork(st);
        close(fd);
        int own = staging_hold(st, 42000, O_RDONLY | O_CLOEXEC, &m, &how);
        _exit(m != n || how != STAGING_SHARED || settle(st, n) != 0 ||
              read(own, got, sizeof got) != 11 || strcmp(got, "seen by all") != 0);
    }
    waitpid(pid, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(s->flags & (SLOT_LANE | SLOT_BEHIND), SLOT_BEHIND);
    CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_CUR), 0);
    CU_ASSERT(!put(st, n, fd, "x"));
    CU_ASSERT_EQUAL(settle(st, n), 0);
    CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_CUR), 11);
    CU_ASSERT_EQUAL(s->flags & SLOT_BEHIND, 0);
    forget(st, n, fd);
}

/* Somebody who knows nothing of us wrote to the file: that is not given back with it. */
static void test_lane_unseen(void)
{
    char got[32] = "";
    uint32_t n;

    be_writer();
    int fd = in_lane(st, 43000, &n);
    struct slot *s = staging_slot(st, n);
    CU_ASSERT(put(st, n, fd, "lane"));
    CU_ASSERT_EQUAL(pwrite(fd, "beyond", 6, 4), 6);
    s->dirty_lo = UINT64_MAX; /* committed */
    s->dirty_hi = 0;
    uint32_t gen = s->gen;
    lane_closing(st, n);
    close(fd);
    CU_ASSERT(staging_release(st, n, gen));
    CU_ASSERT_EQUAL(staging_find(st, 43000), n);
    CU_ASSERT_EQUAL(settle(st, n), 0);
    CU_ASSERT((s->flags & SLOT_DIRECT) != 0);
    fd = staging_open_file(st, n, O_RDWR);
    CU_ASSERT(pread(fd, got, sizeof got, 0) == 10 && strcmp(got, "lanebeyond") == 0);
    s->flags &= ~(uint32_t)SLOT_DIRECT;
    forget(st, n, fd);
    CU_ASSERT_EQUAL(staging_find(st, 43000), 0);
}

/* Its writer was killed: set aside whole, and the next file in that slot begins empty. */
static void test_lane_of_killed(void)
{
    int ready[2], status;
    char path[400], got[32] = "";
    enum staging_how how;
    struct stat sb;
    uint32_t n, m;

    CU_ASSERT_EQUAL(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        staging_after_fork(st);
        be_writer();
        int fd = in_lane(st, 44000, &n);
        bool taken = put(st, n, fd, "half of ") && put(st, n, fd, "it");
        (void)!write(ready[1], taken ? &n : &(uint32_t){0}, sizeof n);
        pause();
    }
    CU_ASSERT_EQUAL(read(ready[0], &n, sizeof n), (ssize_t)sizeof n);
    CU_ASSERT_NOT_EQUAL_FATAL(n, 0);
    uint32_t gen = staging_slot(st, n)->gen;
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    CU_ASSERT(staging_left(st, n));
    int fd = hold(44000, O_RDWR, &m, &how);
    CU_ASSERT(m == n && how == STAGING_NEW);
    CU_ASSERT(fstat(fd, &sb) == 0 && sb.st_size == 0);
    CU_ASSERT_EQUAL(staging_slot(st, n)->flags, 0);
    snprintf(path, sizeof path, "%s/volume.%u/l/44000-%u", dir, geteuid(), gen);
    int left = open(path, O_RDONLY | O_CLOEXEC);
    CU_ASSERT(left >= 0 && read(left, got, sizeof got) == 10 && strcmp(got, "half of it") == 0);
    close(left);
    seen(n);
    staging_set_clean(staging_slot(st, n), fd);
    close(fd);
    staging_release(st, n, staging_slot(st, n)->gen);
    CU_ASSERT_EQUAL(staging_find(st, 44000), 0);
    close(ready[0]);
    close(ready[1]);
}

/* Another process maps the table while this one has it mapped. */
static void test_second_process(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct staging *other;
        char err[400];
        alarm(20);
        _exit(staging_open(dir, "volume", &other, err, sizeof err) != 0);
    }
    int status;
    waitpid(pid, &status, 0);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_refused(void)
{
    struct staging *other;
    char err[400] = "";
    CU_ASSERT(staging_open("/proc/none", "v", &other, err, sizeof err) < 0);
    CU_ASSERT(other == NULL && strstr(err, "/proc/none") != NULL);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"share and release", test_share_and_release},
        {"other holders", test_other_holders},
        {"dirty stays", test_dirty_stays},
        {"set aside", test_set_aside},
        {"killed holders", test_killed_holders},
        {"sweep", test_sweep},
        {"spare", test_spare},
        {"spare of a killed process", test_spare_of_killed},
        {"lane", test_lane},
        {"lane of another process", test_lane_of_other},
        {"lane, written otherwise", test_lane_unseen},
        {"lane of a killed process", test_lane_of_killed},
        {"second process", test_second_process},
        {"names", test_names},
        {"refused", test_refused},
        CU_TEST_INFO_NULL,
    };
    return suite_run_with("staging", setup, teardown, tests);
}
