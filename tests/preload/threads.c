/*
 * threads.c - a program with one thread has one thread: what the kernel and libc refuse or wait for
 * while there are others works in the middle of a stream of new files.
 */
#include "t.h"

#include <pthread.h>
#include <sched.h>

static void files(const char *dir)
{
    char name[64];

    SHOW(mkdir(dir, 0755));
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "%s/%d", dir, i);
        put_file(name, "content\n");
    }
}

/* In a child: a namespace is for ever. */
static void alone(const char *label, const char *dir, int flags)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        files(dir);
        errno = 0;
        int rc = unshare(flags);
        printf("%s = %d %s\n", label, rc, rc != 0 ? strerrorname_np(errno) : "");
        /* Without a map of ids it is nobody's in the new user namespace. */
        if (flags != CLONE_NEWUSER && chdir(dir) == 0) {
            put_file("after", "goes on\n");
            show_file("after");
        }
        fflush(stdout);
        _exit(0);
    }
    show_wait(label, pid);
    show_dir(dir);
}

static void *last(void *dir)
{
    files(dir);
    return NULL;
}

/* The process ends with its last thread, which must not be one that the program does not know. */
static void ends_by_itself(void)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t t;
        pthread_create(&t, NULL, last, "threads");
        pthread_detach(t);
        pthread_exit(NULL);
    }
    show_wait("pthread_exit in main", pid);
    show_dir("threads");
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    files("first");
    alone("a user namespace", "user", CLONE_NEWUSER);
    alone("a mount namespace", "mount", CLONE_NEWNS | CLONE_FS);
    alone("descriptors of its own", "files", CLONE_FILES);
    alone("what threads share", "vm", CLONE_VM | CLONE_SIGHAND);
    ends_by_itself();
    return 0;
}
