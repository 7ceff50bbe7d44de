/*
 * test_staging.c - the table of staging files: who holds a slot, when it comes back, what a killed
 * process leaves.
 */
#include "tests/lib/suite.h"
#include "tests/unit/staging_area.h"

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
        {"second process", test_second_process},
        {"names", test_names},
        {"refused", test_refused},
        CU_TEST_INFO_NULL,
    };
    return suite_run_with("staging", setup, teardown, tests);
}
