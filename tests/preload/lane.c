/* New files that are used in some other way in the middle of being written: each other use must
 * find what was written, at the right offset. */
#include "t.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static char name[32];
static int number;

/* One that has seen two writes. */
static int begun(int flags)
{
    snprintf(name, sizeof(name), "file%d", number++);
    int fd = open(name, flags | O_CREAT | O_EXCL, 0644);
    if (fd < 0 || write(fd, "first ", 6) != 6 || write(fd, "second ", 7) != 7)
        printf("begun: %s\n", strerrorname_np(errno));
    return fd;
}

/* Goes on behind what was written, and shows the file. */
static void end(const char *what, int fd)
{
    if (write(fd, "third", 5) != 5)
        printf("%s: write: %s\n", what, strerrorname_np(errno));
    printf("%s: ", what);
    show_fstat("", fd);
    SHOW(close(fd));
    show_file(name);
}

static void by_this_process(void)
{
    const char *volatile nowhere = NULL;
    char buf[32] = "";
    int one = 1;
    struct iovec two[2] = {{"a", 1}, {"bc", 2}};
    int fd, other;

    end("nothing", begun(O_WRONLY));
    fd = begun(O_WRONLY);
    SHOW(lseek(fd, 0, SEEK_CUR));
    end("lseek", fd);
    fd = begun(O_WRONLY);
    SHOW(lseek(fd, 3, SEEK_SET));
    end("lseek back", fd);
    fd = begun(O_WRONLY);
    SHOW(lseek(fd, 100, SEEK_END));
    end("lseek beyond", fd);
    fd = begun(O_RDWR);
    SHOW(pread(fd, buf, 20, 2));
    puts(buf);
    end("pread", fd);
    fd = begun(O_RDWR);
    SHOW(read(fd, buf, 20));
    end("read", fd);
    fd = begun(O_WRONLY);
    SHOW(read(fd, buf, 20));
    end("not for reading", fd);
    fd = begun(O_WRONLY);
    SHOW(pwrite(fd, "X", 1, 1));
    end("pwrite", fd);
    fd = begun(O_WRONLY);
    SHOW(writev(fd, two, 2));
    end("writev", fd);
    fd = begun(O_WRONLY);
    SHOW(write(fd, nowhere, 5));
    end("bad address", fd);
    fd = begun(O_WRONLY);
    SHOW(write(fd, "", 0));
    end("empty write", fd);
    fd = begun(O_WRONLY);
    SHOW(ftruncate(fd, 4));
    end("ftruncate", fd);
    fd = begun(O_WRONLY);
    SHOW(truncate(name, 4));
    end("truncate", fd);
    fd = begun(O_WRONLY);
    SHOW(posix_fallocate(fd, 0, 50));
    end("posix_fallocate", fd);
    fd = begun(O_WRONLY);
    FD(other, dup(fd));
    SHOW(write(other, "dup ", 4));
    end("dup", fd);
    SHOW(write(other, " late", 5));
    SHOW(close(other));
    show_file(name);
    fd = begun(O_WRONLY);
    FD(other, fcntl(fd, F_DUPFD, 50));
    SHOW(close(fd));
    end("F_DUPFD", other);
    fd = begun(O_WRONLY);
    FD(other, open(name, O_RDWR | O_APPEND));
    SHOW(write(other, "other ", 6));
    SHOW(pread(other, buf, 31, 0));
    SHOW(close(other));
    end("opened twice", fd);
    fd = begun(O_WRONLY);
    FD(other, open(name, O_WRONLY | O_TRUNC));
    SHOW(write(other, "emptied", 7));
    SHOW(close(other));
    end("emptied meanwhile", fd);
    fd = begun(O_WRONLY);
    SHOW(fsync(fd));
    show_file(name);
    end("fsync", fd);
    fd = begun(O_WRONLY);
    SHOW(dprintf(fd, "%d ", 42));
    end("dprintf", fd);
    fd = begun(O_WRONLY);
    SHOW(lockf(fd, F_TLOCK, 0));
    end("lockf", fd);
    fd = begun(O_WRONLY);
    SHOW(flock(fd, LOCK_EX | LOCK_NB));
    end("flock", fd);
    fd = begun(O_WRONLY);
    SHOW(ioctl(fd, FIONBIO, &one));
    end("ioctl", fd);
    fd = begun(O_WRONLY);
    SHOW(fcntl(fd, F_GETFL) & O_NONBLOCK); /* of another file */
    SHOW(fcntl(fd, F_SETFL, O_NONBLOCK));
    end("fcntl", fd);
    fd = begun(O_WRONLY);
    SHOW(fcntl(fd, F_GETFL) & O_NONBLOCK);
    end("behind it", fd);
    fd = begun(O_WRONLY);
    SHOW(fcntl(fd, F_SETFL, O_APPEND));
    SHOW(lseek(fd, 0, SEEK_SET));
    end("O_APPEND", fd);
    fd = begun(O_WRONLY);
    SHOW(unlink(name));
    end("unlinked", fd);
    fd = begun(O_WRONLY);
    SHOW(fchmod(fd, 0600));
    SHOW(futimens(fd, (struct timespec[2]){{100, 0}, {200, 0}}));
    end("fchmod", fd);
    fd = begun(O_WRONLY);
    SHOW(chmod(name, 0640));
    show_stat(name);
    end("chmod", fd);
    fd = begun(O_WRONLY);
    SHOW(rename(name, "renamed"));
    end("renamed", fd);
    show_file("renamed");
    fd = begun(O_RDWR);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    map[0] = 'F';
    munmap(map, 4096);
    end("mmap", fd);
    fd = begun(O_WRONLY);
    FILE *fp = fdopen(fd, "w");
    fputs("stream ", fp);
    fflush(fp);
    SHOW(write(fd, "third", 5));
    SHOW(fclose(fp));
    show_file(name);
    fd = begun(O_WRONLY);
    FD(other, open("file0", O_RDONLY));
    SHOW(sendfile(fd, other, NULL, 5));
    close(other);
    end("sendfile", fd);
    fd = begun(O_WRONLY);
    FD(other, open("file0", O_RDONLY));
    SHOW(copy_file_range(other, NULL, fd, NULL, 5, 0));
    close(other);
    end("copy_file_range", fd);
}

static void large(void)
{
    static char data[100000];
    struct stat st;
    int fd;

    memset(data, 'x', sizeof(data));
    for (size_t pieces = 1; pieces < 6;
         pieces++) { /* across what a lane holds, and across a block */
        snprintf(name, sizeof(name), "large%zu", pieces);
        FD(fd, open(name, O_WRONLY | O_CREAT, 0644));
        for (size_t i = 0; i < pieces; i++) {
            memset(data, 'a' + (int)i, sizeof(data));
            SHOW(write(fd, data, sizeof(data)));
            SHOW(fstat(fd, &st));
            printf("%ld bytes\n", (long)st.st_size);
        }
        SHOW(close(fd));
        show_digest(name);
    }
}

static pid_t cloned(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void child(const char *what, int fd, pid_t (*start)(void), int (*run)(int fd))
{
    pid_t pid = start();
    if (pid == 0)
        _exit(run(fd));
    show_wait(what, pid);
}

static int writes(int fd)
{
    return write(fd, "child ", 6) != 6;
}

static int reads_by_name(int fd)
{
    (void)fd;
    show_file(name);
    return 0;
}

static int appends_by_name(int fd)
{
    int own = open(name, O_WRONLY | O_APPEND);
    (void)fd;
    return own < 0 || write(own, "child ", 6) != 6 || close(own) != 0;
}

static int shell(int fd)
{
    (void)fd;
    execl("/bin/sh", "sh", "-c", "echo shell; echo from a shell >&3", NULL);
    return 127;
}

static void by_others(void)
{
    int fd, to_child[2], to_parent[2];
    char c = 0;

    fd = begun(O_WRONLY);
    child("forked", fd, fork, writes);
    end("forked", fd);
    fd = begun(O_WRONLY);
    child("cloned", fd, cloned, writes);
    end("cloned", fd);
    fd = begun(O_WRONLY);
    child("cloned, appended", fd, cloned, appends_by_name);
    end("cloned, appended", fd);
    fd = begun(O_WRONLY);
    child("appended", fd, fork, appends_by_name);
    end("appended", fd);
    fd = begun(O_WRONLY);
    if (fd != 3)
        dup2(fd, 3);
    child("shell", fd, fork, shell);
    end("shell", fd);
    if (fd != 3)
        close(3);

    /* a process that was there before */
    SHOW(pipe(to_child));
    SHOW(pipe(to_parent));
    snprintf(name, sizeof(name), "file%d", number);
    pid_t pid = fork();
    if (pid == 0) {
        close(to_child[1]);
        if (read(to_child[0], &c, 1) != 1)
            _exit(1);
        reads_by_name(-1);
        appends_by_name(-1);
        (void)!write(to_parent[1], &c, 1);
        _exit(0);
    }
    fd = begun(O_WRONLY);
    (void)!write(to_child[1], &c, 1);
    (void)!read(to_parent[0], &c, 1);
    show_wait("there before", pid);
    end("there before", fd);

    /* lent by a socket */
    int pair[2];
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    fd = begun(O_WRONLY);
    char control[CMSG_SPACE(sizeof(int))] = "";
    struct iovec iov = {&c, 1};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = sizeof(control)};
    struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &fd, sizeof(fd));
    pid = fork();
    if (pid == 0) {
        int got = -1; /* nothing is shown: the parent shows its own call meanwhile */
        if (recvmsg(pair[1], &msg, 0) != 1)
            _exit(2);
        memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(got));
        _exit(got < 0 || write(got, "lent ", 5) != 5);
    }
    SHOW(sendmsg(pair[0], &msg, 0));
    show_wait("lent", pid);
    end("lent", fd);
}

/* As io_uring does: the kernel is asked past libc. */
static long raw_write(int fd, const void *data, size_t len)
{
#ifdef __x86_64__
    long rc = SYS_write;
    __asm__ volatile("syscall"
                     : "+a"(rc)
                     : "D"((long)fd), "S"(data), "d"(len)
                     : "rcx", "r11", "memory");
    return rc;
#else
    register long rc __asm__("x0") = fd;
    register const void *at __asm__("x1") = data;
    register size_t n __asm__("x2") = len;
    register long number __asm__("x8") = SYS_write;
    __asm__ volatile("svc 0" : "+r"(rc) : "r"(at), "r"(n), "r"(number) : "memory");
    return rc;
#endif
}

/* A process with io_uring writes past libc in the middle of a file, at its offset. */
static void past_libc(void)
{
    int fd = begun(O_WRONLY);
    syscall(SYS_io_uring_setup, 0, NULL); /* fails, and still tells */
    SHOW((int)raw_write(fd, "past libc ", 10));
    end("io_uring, open before", fd);
    fd = begun(O_WRONLY);
    SHOW((int)raw_write(fd, "past libc ", 10));
    end("io_uring", fd);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    for (int i = 0; i < 5; i++) { /* a process that writes files */
        snprintf(name, sizeof(name), "before%d", i);
        put_file(name, "text");
    }
    by_this_process();
    large();
    by_others();
    past_libc();
    show_dir(".");
    return 0;
}
