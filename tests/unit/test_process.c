/*
 * test_process.c - who we are, kept and asked again: in children, in threads, after a change.
 */
#include "core/base/process.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int status_of(pid_t pid)
{
    int status = 0;
    waitpid(pid, &status, 0);
    return status;
}

static void test_pid(void)
{
    CU_ASSERT_EQUAL(process_id(), getpid());
    CU_ASSERT_EQUAL(process_id(), getpid());
    pid_t pid = fork();
    if (pid == 0)
        _exit(process_id() != getpid());
    CU_ASSERT_EQUAL(status_of(pid), 0);
    /* one that no library knows of */
    pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        syscall(SYS_exit_group, process_id() != (pid_t)syscall(SYS_getpid));
    CU_ASSERT_EQUAL(status_of(pid), 0);
    CU_ASSERT_EQUAL(process_id(), getpid());
}

static int is_true(void)
{
    const struct process_ids *ids = process_ids();
    return ids->uid == geteuid() && ids->gid == getegid();
}

static void test_not_watched(void)
{
    CU_ASSERT(is_true());
}

static void test_not_watched_changed(void)
{
    if (geteuid() != 0) {
        suite_skip("not root, it can be nobody else");
        return;
    }
    CU_ASSERT_EQUAL(seteuid(1234), 0);
    CU_ASSERT(is_true());
    CU_ASSERT_EQUAL(seteuid(0), 0);
    CU_ASSERT(is_true());
}

static void *switched(void *arg)
{
    syscall(SYS_setresuid, -1, 1234, -1);
    process_ids_changed();
    *(int *)arg = process_ids()->uid == 1234;
    return NULL;
}

static void as_user(void)
{
    gid_t few[3] = {5, 6, 7}, many[PROCESS_GROUPS_MAX + 9];

    for (int i = 0; i < PROCESS_GROUPS_MAX + 9; i++)
        many[i] = (gid_t)(100 + i);
    if (setgroups(3, few) != 0 || setegid(4321) != 0 || seteuid(1234) != 0)
        _exit(1);
    process_ids_changed();
    const struct process_ids *ids = process_ids();
    if (!is_true() || ids->ngroups != 3 || ids->groups[2] != 7 || ids->left_out != 0)
        _exit(2);
    if (seteuid(0) != 0 || setgroups(PROCESS_GROUPS_MAX + 9, many) != 0 || seteuid(1234) != 0)
        _exit(3);
    if (process_ids()->ngroups != 3)
        _exit(4); /* it was kept */
    process_ids_changed();
    ids = process_ids();
    if (ids->ngroups != PROCESS_GROUPS_MAX || ids->groups[63] != 163 || ids->left_out != 9)
        _exit(5);
    _exit(0);
}

static void test_watched(void)
{
    process_ids_are_watched();
    CU_ASSERT(is_true());
}

static void test_watched_changed(void)
{
    int other = 0;
    pthread_t t;

    if (geteuid() != 0) {
        suite_skip("not root, it can be nobody else");
        return;
    }
    pthread_create(&t, NULL, switched, &other);
    pthread_join(t, NULL);
    CU_ASSERT(other);
    CU_ASSERT_EQUAL(process_ids()->uid, 0);
    pid_t pid = fork();
    if (pid == 0)
        as_user();
    CU_ASSERT_EQUAL(status_of(pid), 0);
    CU_ASSERT(is_true());
}

/* They are not kept: they change by another process's hand. */
static void test_unmapped(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWUSER) != 0)
            _exit(77);
        process_ids_changed();
        _exit(process_ids()->uid != geteuid() || process_ids()->uid == 0);
    }
    int status = status_of(pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        suite_skip("no user namespace to be had");
    else
        CU_ASSERT_EQUAL(status, 0);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"process id", test_pid},
        {"ids, not watched", test_not_watched},
        {"ids, not watched, changed", test_not_watched_changed},
        {"ids, watched", test_watched},
        {"ids, watched, changed", test_watched_changed},
        {"ids, unmapped", test_unmapped},
        CU_TEST_INFO_NULL,
    };
    return suite_run("process", tests);
}
