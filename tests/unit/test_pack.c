/*
 * test_pack.c - packs: growing, sealing again and at once, on one file system and across two, and
 * processes killed at every system call of it.
 */
#include "core/store/pack.h"
#include "tests/unit/blocks.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define ID     UINT64_C(4711)
#define PIECES 3

static char other[] = "/dev/shm/jfspre-pack-XXXXXX"; /* another file system, as a rule */

static struct packs *packs_in(struct store *st, const char *where)
{
    char dir[PATH_MAX];
    struct packs *p;

    snprintf(dir, sizeof dir, "%s/k", where);
    CU_ASSERT_EQUAL_FATAL(packs_open(st, dir, &p), 0);
    return p;
}

static void fill(char *data, size_t len, uint64_t from)
{
    for (size_t i = 0; i < len; i++)
        data[i] = (char)byte_at(from + i);
}

/* Bytes [off, off+len) of the sealed slice are byte_at(from ...). */
static bool holds(struct store *st, uint32_t size, uint32_t off, uint32_t len, uint64_t from)
{
    char *got = malloc(len), *want = malloc(len);
    fill(want, len, from);
    bool same = store_get(st, ID, size, off, got, len) == 0 && memcmp(got, want, len) == 0;
    free(got);
    free(want);
    return same;
}

static bool is_gone(const char *where)
{
    char path[PATH_MAX];
    struct stat sb;
    snprintf(path, sizeof path, "%s/k/%llu", where, (unsigned long long)ID);
    return stat(path, &sb) != 0 && errno == ENOENT;
}

static void grow_and_seal(const char *where)
{
    struct store *st = fresh(false);
    struct packs *p = packs_in(st, where);
    uint32_t lens[] = {1, 4096, 5, BLOCK - 4103, 1}, off, size = 0, end = 0;
    char data[BLOCK];
    struct stat sb;
    char path[PATH_MAX];

    CU_ASSERT_EQUAL(packs_fd(p), -1);
    for (int i = 0; i < 5; i++) {
        fill(data, lens[i], end);
        CU_ASSERT_EQUAL(packs_add(p, ID, data, lens[i], &off), 0);
        CU_ASSERT_EQUAL(off, end);
        end += lens[i];
    }
    CU_ASSERT(packs_fd(p) >= 0);
    CU_ASSERT_EQUAL(end, BLOCK);
    CU_ASSERT_EQUAL(packs_add(p, ID, data, 1, &off), -ENOSPC);
    CU_ASSERT_EQUAL(files_below(base.bucket), 0);
    for (int again = 0; again < 3; again++) {
        CU_ASSERT_EQUAL(packs_seal(p, ID, &size), 0);
        CU_ASSERT_EQUAL(size, BLOCK);
        CU_ASSERT(is_gone(where));
        CU_ASSERT_EQUAL(files_below(base.bucket), 1);
        CU_ASSERT(holds(st, size, 0, BLOCK, 0));
    }
    CU_ASSERT(store_block_path(st, ID, 0, size, path, sizeof path) > 0);
    CU_ASSERT_EQUAL(stat(path, &sb), 0);
    CU_ASSERT_EQUAL(sb.st_mode & 0777, 0644);
    CU_ASSERT_EQUAL(sb.st_nlink, 1);
    packs_close(p);
    store_close(st);
}

static void test_same(void)
{
    umask(022);
    grow_and_seal(top);
}

static void test_across(void)
{
    grow_and_seal(other);
}

/* A pack that waited long is young when it becomes a block. */
static void test_time(void)
{
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct store *st = fresh(true);
    struct packs *p = packs_in(st, top);
    char path[PATH_MAX];
    struct stat sb;
    uint32_t off, size;

    CU_ASSERT_EQUAL(packs_add(p, ID, "x", 1, &off), 0);
    snprintf(path, sizeof path, "%s/k/%llu", top, (unsigned long long)ID);
    CU_ASSERT_EQUAL(utimensat(AT_FDCWD, path, old, 0), 0);
    CU_ASSERT_EQUAL(packs_seal(p, ID, &size), 0);
    CU_ASSERT(store_block_path(st, ID, 0, size, path, sizeof path) > 0);
    CU_ASSERT_EQUAL(stat(path, &sb), 0);
    CU_ASSERT(sb.st_mtim.tv_sec > 1000000);
    packs_close(p);
    store_close(st);
}

static void test_several(void)
{
    struct store *st = fresh(false);
    struct packs *p = packs_in(st, top), *reader = packs_in(st, top);
    uint32_t off, size;
    char whole[BLOCK];

    CU_ASSERT_EQUAL(packs_add(p, 1, "one", 3, &off), 0);
    CU_ASSERT_EQUAL(packs_add(p, 2, "two!", 4, &off), 0);
    CU_ASSERT_EQUAL(off, 0);
    CU_ASSERT_EQUAL(packs_seal(reader, 1, &size), 0); /* another process's */
    CU_ASSERT_EQUAL(size, 3);
    CU_ASSERT_EQUAL(packs_add(p, 2, "more", 4, &off), 0);
    CU_ASSERT_EQUAL(off, 4);
    CU_ASSERT_EQUAL(packs_seal(reader, 2, &size), 0);
    CU_ASSERT_EQUAL(size, 8);
    CU_ASSERT_EQUAL(packs_add(p, 1, "x", 1, &off), 0); /* never asked for; not the old one */
    memset(whole, 'w', sizeof whole);
    CU_ASSERT_EQUAL(packs_add(p, 3, whole, sizeof whole, &off), 0);
    CU_ASSERT_EQUAL(packs_seal(reader, 4, &size), -ENOENT);
    CU_ASSERT_EQUAL(size, 0);
    CU_ASSERT_EQUAL(packs_add(p, 0, "x", 1, &off), -EINVAL);
    CU_ASSERT_EQUAL(packs_add(p, 5, "x", 0, &off), -EINVAL);
    packs_after_fork(p);
    CU_ASSERT_EQUAL(packs_fd(p), -1);
    CU_ASSERT_EQUAL(packs_add(p, 3, "x", 1, &off), -EEXIST); /* the parent's */
    packs_close(reader);
    packs_close(p);
    packs_close(NULL);
    store_close(st);
}

/* No room, and a directory of blocks that cannot be written: told, and good again afterwards. */
static void test_errors(void)
{
    struct store *st = fresh(false);
    struct packs *p = packs_in(st, top);
    struct rlimit was, low = {.rlim_cur = 100, .rlim_max = RLIM_INFINITY};
    char data[200] = "data", path[PATH_MAX];
    uint32_t off, size;

    CU_ASSERT_EQUAL(packs_add(p, ID, data, 50, &off), 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &was);
    low.rlim_max = was.rlim_max;
    setrlimit(RLIMIT_FSIZE, &low);
    CU_ASSERT_EQUAL(packs_add(p, ID, data, 200, &off), -EFBIG);
    setrlimit(RLIMIT_FSIZE, &was);
    fill(data, 200, 50);
    CU_ASSERT_EQUAL(packs_add(p, ID, data, 200, &off), 0);
    CU_ASSERT_EQUAL(off, 50); /* half of what failed is written over */
    path_of("vol/chunks", path);
    int blocked = open(path, O_CREAT | O_WRONLY, 0600);
    CU_ASSERT(blocked >= 0);
    CU_ASSERT_EQUAL(packs_seal(p, ID, &size), -EIO); /* ENOTDIR is nothing that write(2) has */
    CU_ASSERT(log_lines > 0);
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(packs_seal(p, ID, &size), 0);
    CU_ASSERT_EQUAL(size, 250);
    CU_ASSERT(holds(st, size, 50, 200, 50));
    close(blocked);
    packs_close(p);
    store_close(st);
}

static void *sealer(void *arg)
{
    uint32_t size;
    return (void *)(intptr_t)(packs_seal(arg, ID, &size) != 0 || size != 1000);
}

static void test_at_once(void)
{
    for (int round = 0; round < 200; round++) {
        struct store *st = fresh(false);
        struct packs *p = packs_in(st, round % 2 == 0 ? top : other);
        char data[1000];
        uint32_t off, size;
        pthread_t t[4];
        void *bad;

        fill(data, sizeof data, 7);
        CU_ASSERT_EQUAL(packs_add(p, ID, data, sizeof data, &off), 0);
        for (int i = 0; i < 4; i++)
            pthread_create(&t[i], NULL, sealer, p);
        for (int i = 0; i < 4; i++) {
            pthread_join(t[i], &bad);
            CU_ASSERT_PTR_NULL(bad);
        }
        CU_ASSERT_EQUAL(packs_seal(p, ID, &size), 0);
        CU_ASSERT(holds(st, size, 0, sizeof data, 7));
        packs_close(p);
        store_close(st);
    }
}

/* --- killed ----------------------------------------------------------------------------------- */

static struct said {
    uint32_t pieces, off[PIECES]; /* that were added */
    uint32_t sealed;
} * said;

static void victim(struct store *st, const char *where)
{
    struct packs *p = packs_in(st, where);
    char data[5000];
    uint32_t off;

    for (uint32_t i = 0; i < PIECES; i++) {
        fill(data, sizeof data, i * 10000);
        if (packs_add(p, ID, data, sizeof data, &off) != 0)
            _exit(1);
        said->off[i] = off;
        said->pieces = i + 1;
    }
    if (packs_seal(p, ID, &off) != 0)
        _exit(1);
    said->sealed = off;
    _exit(0);
}

/* Lets it make n steps, each up to the entry or exit of a system call.  False: it came to its end.
 */
static bool killed_at(pid_t pid, int n)
{
    int status;

    waitpid(pid, &status, 0);
    for (int i = 0; i < n; i++) {
        if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) != 0)
            return false;
        waitpid(pid, &status, 0);
        if (WIFEXITED(status)) {
            CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
            return false;
        }
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return true;
}

static void kill_at_each_step(const char *where)
{
    bool more = true;
    int n, with_bytes = 0, sealed = 0;

    for (n = 1; more && n < 500; n++) {
        struct store *st = fresh(false);
        memset(said, 0, sizeof *said);
        pid_t pid = fork();
        if (pid == 0) {
            if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
                _exit(1);
            raise(SIGSTOP);
            victim(st, where);
        }
        more = killed_at(pid, n);
        struct packs *p = packs_in(st, where);
        uint32_t size;
        int rc = packs_seal(p, ID, &size);
        CU_ASSERT(said->pieces == 0 || rc == 0);
        CU_ASSERT(said->sealed == 0 || size == said->sealed);
        for (uint32_t i = 0; rc == 0 && i < said->pieces; i++)
            CU_ASSERT(holds(st, size, said->off[i], 5000, i * 10000));
        with_bytes += said->pieces > 0;
        sealed += said->sealed > 0;
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/k", where);
        scratch_remove(path);
        packs_close(p);
        store_close(st);
    }
    CU_ASSERT(n > 20);
    CU_ASSERT(with_bytes > 5);
    CU_ASSERT(sealed > 0);
}

static void test_killed(void)
{
    kill_at_each_step(top);
}

static void test_killed_across(void)
{
    kill_at_each_step(other);
}

int main(void)
{
    CU_TestInfo tests[] = {{"grown and sealed, moved", test_same},
                           {"grown and sealed, copied", test_across},
                           {"a block's time", test_time},
                           {"several packs", test_several},
                           {"errors", test_errors},
                           {"sealed at once", test_at_once},
                           {"killed at each step", test_killed},
                           {"killed at each step, copied", test_killed_across},
                           CU_TEST_INFO_NULL};
    said = mmap(NULL, sizeof *said, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (said == MAP_FAILED || mkdtemp(other) == NULL)
        return 2;
    int rc = run_store_tests("pack", tests);
    scratch_remove(other);
    return rc;
}
