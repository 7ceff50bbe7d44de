/* The descriptor table: dup and its kin, fcntl, close_range, what a later duplicate still does. */
#include "t.h"

static void duplicates(void)
{
    char buf[16];
    int a, b, c;

    put_file("file", "0123456789");
    FD(a, open("file", O_RDWR));
    FD(b, dup(a));
    SHOW(read(a, buf, 3));
    SHOW(lseek(b, 0, SEEK_CUR));
    SHOW(read(b, buf, 2));
    show_bytes("shared offset", buf, 2);
    SHOW(close(a));
    SHOW(write(b, "ab", 2));
    show_fstat("duplicate", b);
    SHOW(close(b));
    show_file("file");

    FD(a, open("file", O_RDWR));
    FD(b, open("other", O_RDWR | O_CREAT, 0644));
    SHOW(write(b, "kept", 4));
    SHOW(dup2(a, b) == b);
    show_file("other");
    SHOW(lseek(b, 0, SEEK_END));
    SHOW(dup2(a, a) == a);
    SHOW(dup3(a, a, 0));
    SHOW(dup2(-1, b));
    SHOW(dup2(a, -1));
    SHOW(dup3(a, b, O_CLOEXEC) == b);
    SHOW(fcntl(b, F_GETFD));
    c = fcntl(a, F_DUPFD, 100);
    SHOW(c >= 100);
    SHOW(fcntl(c, F_GETFD));
    close(c);
    c = fcntl(a, F_DUPFD_CLOEXEC, 120);
    SHOW(c >= 120);
    SHOW(fcntl(c, F_GETFD));
    SHOW(pwrite(c, "ZZ", 2, 0));
    close(c);
    close(b);
    close(a);
    show_file("file");

    /* over a native file and back */
    FD(a, open("/dev/null", O_WRONLY));
    FD(b, open("file", O_WRONLY));
    SHOW(dup2(b, a) == a);
    SHOW(write(a, "ours", 4));
    close(b);
    close(a);
    show_file("file");
    FD(a, open("file", O_WRONLY));
    FD(b, open("/dev/null", O_WRONLY));
    SHOW(write(a, "first", 5));
    SHOW(dup2(b, a) == a);
    SHOW(write(a, "lost", 4));
    close(b);
    close(a);
    show_file("file");
}

static void directories(void)
{
    int a, b;

    SHOW(mkdir("dir", 0755));
    FD(a, open("dir", O_RDONLY));
    FD(b, dup(a));
    close(a);
    TRY(openat(b, "x", O_CREAT | O_WRONLY, 0644));
    SHOW(fchdir(b));
    show_stat("x");
    SHOW(chdir(".."));
    close(b);
}

static void closing(void)
{
    int fd[8];

    for (int i = 0; i < 8; i++) {
        char name[16];
        snprintf(name, sizeof(name), "c%d", i);
        fd[i] = fcntl(open(name, O_RDWR | O_CREAT, 0644), F_DUPFD, 200 + i);
        if (write(fd[i], name, strlen(name)) < 0)
            printf("%s: %s\n", name, strerrorname_np(errno));
    }
    SHOW(close_range(202, 204, 0));
    SHOW(fcntl(201, F_GETFD));
    SHOW(fcntl(203, F_GETFD));
    SHOW(fcntl(205, F_GETFD));
    SHOW(close_range(205, 206, CLOSE_RANGE_CLOEXEC));
    SHOW(fcntl(206, F_GETFD));
    SHOW(write(207, "+", 1));
    closefrom(3);
    SHOW(fcntl(207, F_GETFD));
    SHOW(close(200));
    SHOW(close_range(10, 5, 0));
    show_file("c3");
    show_file("c7");
    TRY(open("file", O_RDONLY)); /* the volume still answers */
    for (int i = 3; i < 1024; i++)
        close(i);
    TRY(open("file", O_RDONLY));
    SHOW(mkdir("after", 0755));
}

/* All numbers of a program are low: ours are never in its way. */
static void lowest(void)
{
    int null = open("/dev/null", O_RDONLY), fd, next;
    fd = open("file", O_RDONLY);
    next = open("/dev/null", O_RDONLY);
    printf("file next to native ones: %d %d\n", fd - null, next - null);
    close(fd);
    fd = open("file", O_RDONLY);
    printf("the lowest free one again: %d\n", fd - null);
    close(fd);
    close(next);
    close(null);
}

static void locks(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
    pid_t pid;
    int fd;

    FD(fd, open("file", O_RDWR));
    SHOW(fcntl(fd, F_SETLK, &lock));
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        int other = open("file", O_RDWR);
        SHOW(fcntl(other, F_SETLK, &lock));
        lock.l_start = 20;
        SHOW(fcntl(other, F_SETLK, &lock));
        lock.l_start = 0;
        SHOW(fcntl(other, F_GETLK, &lock));
        SHOW(lock.l_type == F_WRLCK && lock.l_pid == getppid());
        _exit(0);
    }
    show_wait("child", pid);
    close(fd);
    FD(fd, open("file", O_RDWR));
    SHOW(lockf(fd, F_TLOCK, 5));
    SHOW(lockf(fd, F_ULOCK, 5));
    close(fd);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    duplicates();
    directories();
    lowest();
    locks();
    closing();
    return 0;
}
