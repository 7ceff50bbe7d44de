/* Descriptor numbers: the library's own must be neither seen, nor in the way, nor lost. */
#include "t.h"

#include <linux/close_range.h>
#include <sys/resource.h>

static int made;

/* Something that needs the connection and the staging area. */
static void works(const char *label)
{
    char name[32];
    snprintf(name, sizeof(name), "made-%d", made++);
    put_file(name, label);
    show_file(name);
    show_stat(name);
}

static void lowest(void)
{
    int a, b, c;

    a = open("made-0", O_RDONLY);
    b = open(".", O_RDONLY | O_DIRECTORY);
    c = dup(a);
    printf("numbers %d %d %d\n", a, b, c);
    close(b);
    printf("again %d\n", b = open("made-0", O_RDWR));
    FILE *f = fopen("made-0", "r");
    printf("stream %d\n", fileno(f));
    fclose(f);
    DIR *d = opendir(".");
    printf("directory %d\n", dirfd(d));
    closedir(d);
    close(a);
    close(b);
    close(c);
}

static void closed_one_by_one(void)
{
    int open_ones = 0;
    struct stat st;

    for (int fd = 3; fd < 1024; fd++)
        open_ones += fcntl(fd, F_GETFD) >= 0 || fstat(fd, &st) == 0 || write(fd, "x", 1) >= 0;
    printf("open ones: %d\n", open_ones);
    for (int fd = 3; fd < 1024; fd++)
        if (close(fd) == 0)
            printf("%d was open\n", fd);
    works("closed one by one");
}

static void replaced(void)
{
    int bad = 0;

    for (int fd = 3; fd < 1024; fd++)
        bad += dup2(0, fd) != fd;
    printf("dup2 over all: %d bad\n", bad);
    for (int fd = 3; fd < 1024; fd++)
        bad += close(fd) != 0;
    printf("closed: %d bad\n", bad);
    works("replaced");
    int fd = open("made-0", O_RDONLY);
    for (int to = 3; to < 1024; to++)
        if (to != fd)
            bad += dup3(fd, to, O_CLOEXEC) != to;
    printf("dup3 of one of ours: %d bad\n", bad);
    char buf[8];
    SHOW(read(900, buf, 4));
    SHOW(lseek(5, 0, SEEK_CUR));
    for (int to = 3; to < 1024; to++)
        if (to != fd)
            close(to);
    SHOW(lseek(fd, 0, SEEK_CUR));
    close(fd);
    works("replaced by ours");
}

/* The limit that it is called with decides nothing here. */
static void limit(rlim_t most)
{
    struct rlimit lim;

    getrlimit(RLIMIT_NOFILE, &lim);
    lim.rlim_cur = most < lim.rlim_max ? most : lim.rlim_max;
    setrlimit(RLIMIT_NOFILE, &lim);
}

/* Not one number is left while the program has them. */
static void taken(void)
{
    int bad = 0;

    limit(1024);
    for (int fd = 3; fd < 1024; fd++)
        bad += dup2(0, fd) != fd;
    for (int fd = 3; fd < 1024; fd++)
        bad += close(fd) != 0;
    printf("all numbers taken: %d bad\n", bad);
    works("taken");
    limit(4096);
}

static void ranges(void)
{
    int a, b;

    FD(a, open("range-a", O_WRONLY | O_CREAT, 0644));
    FD(b, open("range-b", O_WRONLY | O_CREAT, 0644));
    SHOW(write(a, "a", 1));
    SHOW(write(b, "b", 1));
    SHOW(close_range((unsigned)a, ~0u, CLOSE_RANGE_CLOEXEC));
    SHOW(fcntl(a, F_GETFD));
    SHOW(close_range((unsigned)b, (unsigned)b, 0));
    SHOW(write(b, "b", 1));
    SHOW(write(a, "a", 1));
    SHOW(close_range(3, ~0u, 0));
    SHOW(write(a, "a", 1));
    SHOW(close_range(5, 4, 0));
    SHOW(close_range(5, 6, 1234));
    works("close_range");
    show_file("range-a");
    show_file("range-b");
    FD(a, open("range-c", O_WRONLY | O_CREAT, 0644));
    SHOW(write(a, "c", 1));
    SHOW(close_range(3, ~0u, CLOSE_RANGE_UNSHARE));
    works("unshare");
    show_file("range-c");
    FD(a, open("range-d", O_WRONLY | O_CREAT, 0644));
    SHOW(write(a, "d", 1));
    closefrom(3);
    SHOW(fcntl(a, F_GETFD));
    works("closefrom");
    show_file("range-d");
}

/* A directory and files open, everything above closed in a forked child before exec. */
static void in_a_child(void)
{
    int fd;

    FD(fd, open("child", O_RDWR | O_CREAT | O_APPEND, 0644));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd, 1);
        close_range(3, ~0u, 0);
        execl("/bin/sh", "sh", "-c", "echo in the child; cat made-0; echo x >made-by-child",
              (char *)NULL);
        _exit(1);
    }
    show_wait("child", pid);
    SHOW(write(fd, "parent\n", 7));
    SHOW(close(fd));
    show_file("child");
    show_file("made-by-child");
    pid = fork();
    if (pid == 0) {
        for (int i = 3; i < 1024; i++)
            close(i);
        works("child without descriptors");
        fflush(stdout);
        _exit(0);
    }
    show_wait("child", pid);
    made++;
    works("parent of it");
}

static void few(void)
{
    struct rlimit lim = {32, 32};
    int n = 0;

    SHOW(setrlimit(RLIMIT_NOFILE, &lim));
    works("a low limit");
    while (open("made-0", O_RDONLY) >= 0)
        n++;
    printf("%s after enough: %d\n", strerrorname_np(errno), n >= 20); /* LMDB has its own */
    SHOW(access("made-0", F_OK));
    SHOW(close(10));
    int fd = open("made-0", O_RDONLY);
    printf("number %d\n", fd);
}

int main(int argc, char **argv)
{
    limit(4096);
    begin(argc, argv);
    closefrom(3);
    works("start");
    lowest();
    closed_one_by_one();
    replaced();
    taken();
    ranges();
    in_a_child();
    few();
    return 0;
}
