/*
 * test_board.c - the board: marks of one process as others see them, pending queues, what another
 * version or a full file system left.
 */
#include "core/meta/board.h"
#include "tests/lib/scratch.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define INO 4711

static char top[SCRATCH_MAX];
static struct board *board;

static void begin(void)
{
    char err[300];
    scratch_make("board", top);
    CU_ASSERT_EQUAL_FATAL(board_open(top, &board, err, sizeof err), 0);
}

static void end(void)
{
    board_close(board);
    scratch_remove(top);
}

/* Another process marks. */
static void mark_elsewhere(uint64_t ino)
{
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        board_after_fork(board);
        if (ino != 0)
            board_mark(board, ino, UINT64_MAX);
        else
            board_mark_all(board);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
}

static void test_marks(void)
{
    begin();
    uint64_t since = board_now(board);
    CU_ASSERT(!board_foreign(board, INO, since));
    CU_ASSERT(!board_mark(board, INO, since)); /* own */
    CU_ASSERT(!board_foreign(board, INO, since));
    mark_elsewhere(INO);
    CU_ASSERT(board_foreign(board, INO, since));
    CU_ASSERT(!board_foreign(board, INO + 1, since));
    CU_ASSERT(!board_foreign(board, INO, board_now(board))); /* learned after it */
    CU_ASSERT(board_mark(board, INO, since));                /* ours hides it, and is told so */
    CU_ASSERT(board_foreign(board, INO, since));
    CU_ASSERT(!board_foreign(board, INO, board_now(board)));
    end();
}

static void test_all(void)
{
    begin();
    uint64_t since = board_now(board);
    board_mark_all(board); /* own */
    CU_ASSERT(!board_foreign(board, INO, since));
    mark_elsewhere(0);
    CU_ASSERT(board_foreign(board, INO, since) && board_foreign(board, 1, since));
    board_mark_all(board); /* ours hides it */
    CU_ASSERT(board_foreign(board, INO, since) && board_foreign(board, 1, since));
    CU_ASSERT(!board_foreign(board, INO, board_now(board)));
    end();
}

/* To a forked child what its parent did is foreign, and the other way round. */
static void test_child(void)
{
    int status;
    begin();
    uint64_t since = board_now(board);
    board_mark(board, INO, since);
    pid_t pid = fork();
    if (pid == 0) {
        board_after_fork(board);
        bool right = board_foreign(board, INO, since) && board_mark(board, INO, since) &&
                     !board_foreign(board, INO, board_now(board));
        _exit(right ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT(board_foreign(board, INO, since));
    end();
}

/* --- many at once ----------------------------------------------------------------------------- */

#define ROUNDS   200000
#define MARKERS  2
#define WATCHERS 2

static struct shared {
    _Atomic uint64_t told[MARKERS]; /* now before the last mark that is done */
    _Atomic unsigned missed;
    _Atomic bool stop;
} * shared;

static void marker(int which)
{
    alarm(100);
    board_after_fork(board);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t before = board_now(board);
        board_mark(board, INO, UINT64_MAX);
        shared->told[which] = before;
    }
    _exit(0);
}

/* What was marked by another one and told us is seen, also when a third one marks meanwhile. */
static void watcher(bool marks)
{
    alarm(100);
    board_after_fork(board);
    while (!shared->stop) {
        for (int i = 0; i < MARKERS; i++) {
            uint64_t since = shared->told[i];
            if (since != 0 && marks)
                board_mark(board, INO, UINT64_MAX);
            if (since != 0 && !board_foreign(board, INO, since))
                shared->missed++;
        }
    }
    _exit(0);
}

static void test_at_once(void)
{
    pid_t pid[MARKERS + WATCHERS];
    int status;

    begin();
    memset(shared, 0, sizeof *shared);
    for (int i = 0; i < MARKERS + WATCHERS; i++) {
        pid[i] = fork();
        if (pid[i] == 0 && i < MARKERS)
            marker(i);
        if (pid[i] == 0)
            watcher(i > MARKERS);
    }
    for (int i = 0; i < MARKERS + WATCHERS; i++) {
        if (i == MARKERS)
            shared->stop = true;
        waitpid(pid[i], &status, 0);
        CU_ASSERT_EQUAL(status, 0);
    }
    CU_ASSERT_EQUAL(shared->missed, 0);
    end();
}

/* --- the rest --------------------------------------------------------------------------------- */

static void test_pending(void)
{
    begin();
    CU_ASSERT(!board_others_pending(board, 5));
    board_set_pending(board, 5);
    CU_ASSERT(board_is_pending(board, 5) && !board_is_pending(board, 4));
    CU_ASSERT(!board_others_pending(board, 5));
    CU_ASSERT(board_others_pending(board, 6) && board_others_pending(board, BOARD_QUEUES));
    board_set_pending(board, BOARD_QUEUES - 1);
    board_clear_pending(board, 5);
    CU_ASSERT(board_others_pending(board, 5));
    board_clear_pending(board, BOARD_QUEUES - 1);
    CU_ASSERT(!board_others_pending(board, 5));
    end();
}

/* Another process that asks for a name (NULL: any) until go_on() or end_of(). */
static pid_t asks(const char *name, bool ends, int *go)
{
    int ready[2], wait[2];
    char c = 0;
    CU_ASSERT_EQUAL_FATAL(pipe(ready), 0);
    CU_ASSERT_EQUAL_FATAL(pipe(wait), 0);
    pid_t pid = fork();
    if (pid == 0) {
        uint32_t ticket = board_begin_asking(board, name, name != NULL ? strlen(name) : 0);
        (void)!write(ready[1], "r", 1);
        (void)!read(wait[0], &c, 1);
        if (ends)
            board_end_asking(board, ticket);
        _exit(0);
    }
    CU_ASSERT_EQUAL(read(ready[0], &c, 1), 1);
    close(ready[0]), close(ready[1]), close(wait[0]);
    *go = wait[1];
    return pid;
}

static void go_on(pid_t pid, int go)
{
    int status;
    CU_ASSERT_EQUAL(write(go, "g", 1), 1);
    close(go);
    waitpid(pid, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
}

static void test_ids(void)
{
    begin();
    CU_ASSERT_EQUAL(board_note_id(board, 0, 1024), 0);
    CU_ASSERT_EQUAL(board_note_id(board, 1, 7), 0); /* another kind */
    CU_ASSERT_EQUAL(board_note_id(board, 0, 512), 1024);
    CU_ASSERT_EQUAL(board_note_id(board, 0, 2048), 1024); /* the lower one has left it */
    CU_ASSERT_EQUAL(board_note_id(board, 0, 2049), 2048);
    CU_ASSERT_EQUAL(board_note_id(board, 1, 8), 7);
    end();
}

static void test_asking(void)
{
    int go;
    begin();
    CU_ASSERT(!board_is_asked(board, "lock", 4));
    pid_t pid = asks("lock", true, &go);
    CU_ASSERT(board_is_asked(board, "lock", 4));
    CU_ASSERT(!board_is_asked(board, "other", 5));
    go_on(pid, go);
    CU_ASSERT(!board_is_asked(board, "lock", 4));
    pid = asks(NULL, true, &go);
    CU_ASSERT(board_is_asked(board, "lock", 4));
    CU_ASSERT(board_is_asked(board, "other", 5));
    go_on(pid, go);
    pid = asks("lock", false, &go); /* ends within */
    go_on(pid, go);
    CU_ASSERT(!board_is_asked(board, "lock", 4));
    uint32_t own = board_begin_asking(board, "lock", 4);
    CU_ASSERT(board_is_asked(board, "lock", 4)); /* for other threads */
    CU_ASSERT(!board_is_asked(board, "other", 5));
    board_end_asking(board, own);
    CU_ASSERT(!board_is_asked(board, "lock", 4));
    end();
}

/* Those that ended within do not keep others from asking. */
static void test_asking_full(void)
{
    int go;
    begin();
    for (int i = 0; i < 2 * BOARD_ASKING; i++) {
        pid_t pid = asks("lock", false, &go);
        go_on(pid, go);
    }
    pid_t pid = asks("lock", true, &go);
    CU_ASSERT(board_is_asked(board, "lock", 4));
    go_on(pid, go);
    end();
}

/* Nor do those that are stopped within; and they end no other's announcement. */
static void test_asking_stopped(void)
{
    pid_t pid[BOARD_ASKING];
    int go[BOARD_ASKING];
    begin();
    for (int i = 0; i < BOARD_ASKING; i++)
        pid[i] = asks("one", true, &go[i]);
    CU_ASSERT(!board_is_asked(board, "lock", 4));
    alarm(60);
    uint32_t own = board_begin_asking(board, "lock", 4);
    alarm(0);
    CU_ASSERT(board_is_asked(board, "lock", 4));
    for (int i = 0; i < BOARD_ASKING; i++)
        go_on(pid[i], go[i]);
    CU_ASSERT(board_is_asked(board, "lock", 4));
    board_end_asking(board, own);
    CU_ASSERT(!board_is_asked(board, "lock", 4));
    end();
}

static void test_lock_of_killed(void)
{
    int status;
    begin();
    pid_t pid = fork();
    if (pid == 0) {
        board_lock(board);
        kill(getpid(), SIGKILL);
    }
    waitpid(pid, &status, 0);
    alarm(20);
    CU_ASSERT_EQUAL(board_lock(board), 0);
    board_unlock(board);
    CU_ASSERT_EQUAL(board_lock(board), 0);
    board_unlock(board);
    alarm(0);
    end();
}

static void test_refused(void)
{
    struct board *b;
    char err[300], path[300];

    begin();
    CU_ASSERT(board_open("/proc/none", &b, err, sizeof err) < 0);
    CU_ASSERT(b == NULL && strstr(err, "/proc/none") != NULL);
    snprintf(path, sizeof path, "%s/board", board_dir(board));
    int fd = open(path, O_WRONLY);
    CU_ASSERT_EQUAL(pwrite(fd, "another", 8, 0), 8);
    close(fd);
    CU_ASSERT_EQUAL(board_open(top, &b, err, sizeof err), -EINVAL);
    CU_ASSERT(strstr(err, "another version") != NULL);
    end();
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"marks", test_marks},
        {"marks of everything", test_all},
        {"a child", test_child},
        {"marks at once", test_at_once},
        {"pending", test_pending},
        {"ids", test_ids},
        {"asking", test_asking},
        {"asking of the killed", test_asking_full},
        {"asking of the stopped", test_asking_stopped},
        {"lock of a killed process", test_lock_of_killed},
        {"refused", test_refused},
        CU_TEST_INFO_NULL,
    };
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    return suite_run("board", tests);
}
