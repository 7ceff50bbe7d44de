/*
 * test_lane.c - new files whose bytes are in memory: written, settled, closed, left behind.
 */
#include "tests/lib/suite.h"
#include "tests/unit/staging_area.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

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
    lane_begin(in, *n, fd, O_RDWR | O_CREAT | O_CLOEXEC);
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

/* Its bytes were published and its only descriptor is closed. */
static void done(uint32_t n, int fd)
{
    struct slot *s = staging_slot(st, n);
    s->dirty_lo = UINT64_MAX;
    s->dirty_hi = 0;
    lane_closing(st, n);
    close(fd);
}

/* The descriptor of ours that shares its offset with fd; -1: there is none. */
static int source_of(int fd)
{
    int own[100], found = -1;
    size_t n = staging_own_fds(st, own, 100);
    lseek(fd, 77, SEEK_SET);
    for (size_t i = 0; i < n; i++) {
        if (lseek(own[i], 0, SEEK_CUR) == 77)
            found = own[i];
    }
    lseek(fd, 0, SEEK_SET);
    return found;
}

/* The next file gets a duplicate of what was opened for this one, while nobody used that. */
static void test_source(void)
{
    uint32_t n, m;

    be_writer();
    int fd = in_lane(st, 45000, &n);
    CU_ASSERT(put(st, n, fd, "one"));
    int source = source_of(fd);
    CU_ASSERT(source >= 0);
    done(n, fd);
    CU_ASSERT(!staging_release(st, n, staging_slot(st, n)->gen));
    CU_ASSERT_EQUAL(staging_find(st, 45000), 0);
    fd = in_lane(st, 45001, &m);
    CU_ASSERT_EQUAL(m, n);
    CU_ASSERT_EQUAL(source_of(fd), source);
    CU_ASSERT_EQUAL(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK), O_RDWR);
    CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_CUR), 0);
    CU_ASSERT(put(st, n, fd, "two"));
    CU_ASSERT_EQUAL(settle(st, n), 0); /* from here on the offset is the program's */
    CU_ASSERT_EQUAL(source_of(fd), -1);
    forget(st, n, fd);
    fd = in_lane(st, 45002, &n);
    CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_CUR), 0);
    CU_ASSERT((staging_slot(st, n)->flags & SLOT_LANE) != 0);
    done(n, fd);
    staging_release(st, n, staging_slot(st, n)->gen);

    /* opened in another way, it is opened */
    enum staging_how how;
    fd = hold(45003, O_WRONLY, &n, &how);
    CU_ASSERT_EQUAL(fcntl(fd, F_GETFL) & O_ACCMODE, O_WRONLY);
    CU_ASSERT_EQUAL(source_of(fd), -1);
    seen(n);
    close(fd);
    staging_release(st, n, staging_slot(st, n)->gen);
}

/* Somebody opened the file, and was not yet here to settle it when its writer closed it: the slot
 * is no other file's. */
static void test_lane_opened_by_other(void)
{
    int ready[2], go[2], status;
    uint32_t n;
    char c = 0;

    CU_ASSERT_EQUAL_FATAL(pipe(ready) + pipe(go), 0);
    be_writer();
    int fd = in_lane(st, 46000, &n);
    pid_t pid = fork();
    if (pid == 0) {
        enum staging_how how;
        uint32_t m;
        staging_after_fork(st);
        close(fd);
        int own = staging_hold(st, 46000, O_RDONLY | O_CLOEXEC, &m, &how);
        (void)!write(ready[1], &c, 1);
        (void)!read(go[0], &c, 1);
        uint64_t ino = staging_slot(st, m)->ino;
        close(own);
        _exit(m != n || ino != 46000);
    }
    CU_ASSERT_EQUAL(read(ready[0], &c, 1), 1);
    done(n, fd);
    staging_release(st, n, staging_slot(st, n)->gen);
    CU_ASSERT_EQUAL(staging_find(st, 46000), n);
    CU_ASSERT_EQUAL(write(go[1], &c, 1), 1);
    waitpid(pid, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    staging_release(st, n, staging_slot(st, n)->gen);
    CU_ASSERT_EQUAL(staging_find(st, 46000), 0);
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(go[i]);
    }
}

/* The program has other ways to write: what is open is put in place, and there are no lanes more.
 */
static void test_lanes_end(void)
{
    struct staging *other;
    struct stat sb;
    char err[400];
    uint32_t n;

    CU_ASSERT_EQUAL_FATAL(staging_open(dir, "other", &other, err, sizeof err), 0);
    struct staging *kept = st;
    st = other;
    be_writer();
    int fd = in_lane(st, 47000, &n);
    CU_ASSERT(put(st, n, fd, "open"));
    lanes_end(st);
    CU_ASSERT(fstat(fd, &sb) == 0 && sb.st_size == 4);
    CU_ASSERT_EQUAL(source_of(fd), -1);
    forget(st, n, fd);
    fd = in_lane(st, 47001, &n);
    CU_ASSERT_EQUAL(staging_slot(st, n)->flags & SLOT_LANE, 0);
    forget(st, n, fd);
    st = kept;
    staging_close(other);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"written and settled", test_lane},
        {"of another process", test_lane_of_other},
        {"written otherwise", test_lane_unseen},
        {"of a killed process", test_lane_of_killed},
        {"one description for all", test_source},
        {"opened by another process", test_lane_opened_by_other},
        {"no more", test_lanes_end},
        CU_TEST_INFO_NULL,
    };
    return suite_run_with("lane", setup, teardown, tests);
}
