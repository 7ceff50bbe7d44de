/* A process that changes its ids between calls, for all its threads or for one. */
#include "t.h"

#include <grp.h>
#include <pthread.h>
#include <sys/syscall.h>

enum { ANN = 12001, BOB = 12002, GROUP = 12003 };

static void made(const char *name)
{
    struct stat st;
    int fd;

    FD_AS(fd, open(name, O_WRONLY | O_CREAT | O_EXCL, 0644), name);
    if (fd < 0)
        return;
    SHOW(fstat(fd, &st));
    printf("%s: owner %u group %u\n", name, st.st_uid, st.st_gid);
    close(fd);
}

/* The raw call changes the calling thread alone. */
static void *as_bob(void *arg)
{
    (void)arg;
    made("thread-before");
    SHOW(syscall(SYS_setresuid, -1, BOB, -1));
    made("thread-bob");
    return NULL;
}

int main(int argc, char **argv)
{
    gid_t group = GROUP;
    pthread_t t;
    pid_t pid;

    begin(argc, argv);
    if (geteuid() != 0) {
        puts("skip ids: not root");
        return 0;
    }
    SHOW(mkdir("all", 0777));
    SHOW(chmod("all", 0777));
    SHOW(chdir("all"));
    made("root");
    SHOW(seteuid(ANN));
    made("ann");
    SHOW(seteuid(0));
    made("root-again");
    SHOW(setegid(GROUP));
    made("group");
    SHOW(setegid(0));
    SHOW(setreuid(-1, BOB));
    made("bob");
    SHOW(setresuid(-1, 0, -1));
    pthread_create(&t, NULL, as_bob, NULL);
    pthread_join(t, NULL);
    made("main-still-root");
    pid = fork();
    if (pid == 0) {
        SHOW(setgroups(1, &group));
        SHOW(setgid(ANN));
        SHOW(setuid(ANN));
        made("child");
        SHOW(seteuid(0));
        made("child-for-good");
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    made("parent");
    return 0;
}
