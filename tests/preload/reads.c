/* Files that are being read and are used in some other way in the middle: the offset and what is
 * read behind must be the same as with a plain file, whoever did what. */
#include "t.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static const char text[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

static void next(const char *what, int fd, size_t n)
{
    char buf[100] = "";
    ssize_t got = read(fd, buf, n);
    printf("%s: %zd \"%s\" at %ld\n", what, got, buf, (long)lseek(fd, 0, SEEK_CUR));
}

/* Opened, and ten bytes read. */
static int begun(int flags)
{
    int fd = open("file", flags);
    if (fd < 0)
        printf("begun: %s\n", strerrorname_np(errno));
    next("begun", fd, 10);
    return fd;
}

static void end(const char *what, int fd)
{
    next(what, fd, 5);
    show_fstat(what, fd);
    SHOW(close(fd));
}

static void places(void)
{
    char buf[100] = "";
    struct iovec two[2] = {{buf, 3}, {buf + 3, 4}};
    int fd = begun(O_RDONLY);
    SHOW(lseek(fd, 3, SEEK_SET));
    next("set", fd, 4);
    SHOW(lseek(fd, -2, SEEK_CUR));
    next("back", fd, 4);
    SHOW(lseek(fd, -4, SEEK_END));
    next("from the end", fd, 100);
    next("at the end", fd, 100);
    SHOW(lseek(fd, 1000, SEEK_SET));
    next("behind the end", fd, 10);
    SHOW(lseek(fd, -1, SEEK_SET));
    SHOW(lseek(fd, 5, 77));
    SHOW(lseek(fd, 0, SEEK_DATA));
    SHOW(lseek(fd, 0, SEEK_HOLE));
    SHOW(lseek(fd, 20, SEEK_SET));
    SHOW(pread(fd, buf, 5, 60));
    SHOW(pread(fd, buf, 5, 100));
    SHOW(pread(fd, buf, 5, -1));
    SHOW(readv(fd, two, 2));
    puts(buf);
    SHOW(preadv(fd, two, 2, 50));
    puts(buf);
    SHOW(lseek(fd, (off_t)1 << 40, SEEK_SET));
    next("far away", fd, 10);
    SHOW(lseek(fd, 7, SEEK_SET));
    SHOW(write(fd, "x", 1));
    SHOW(pwrite(fd, "x", 1, 0));
    SHOW(ftruncate(fd, 3));
    end("places", fd);
}

static void by_this_process(void)
{
    int fd, other, n = 0, one = 1;

    end("nothing", begun(O_RDONLY));
    fd = begun(O_RDONLY);
    FD(other, dup(fd));
    next("dup", other, 5);
    SHOW(close(other));
    end("dup", fd);
    fd = begun(O_RDONLY);
    FD(other, begun(O_RDONLY));
    end("second", other);
    end("second", fd);
    fd = begun(O_RDONLY);
    char *at = mmap(NULL, 62, PROT_READ, MAP_PRIVATE, fd, 0);
    printf("%.62s\n", at);
    munmap(at, 62);
    end("mmap", fd);
    fd = begun(O_RDONLY);
    SHOW(ioctl(fd, FIONREAD, &n));
    printf("%d\n", n);
    SHOW(ioctl(fd, FIONBIO, &one));
    end("ioctl", fd);
    fd = begun(O_RDONLY);
    SHOW(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND));
    SHOW(flock(fd, LOCK_SH | LOCK_NB));
    end("flock", fd);
    fd = begun(O_RDONLY);
    SHOW(fcntl(fd, F_SETLK, &(struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET}));
    end("lock", fd);
    fd = begun(O_RDONLY);
    FD(other, open("file", O_RDWR));
    SHOW(pwrite(other, "written", 7, 12));
    next("while written", fd, 10);
    SHOW(close(other));
    end("written", fd);
    fd = begun(O_RDONLY);
    FD(other, open("file", O_WRONLY | O_APPEND));
    SHOW(write(other, "more", 4));
    SHOW(close(other));
    SHOW(lseek(fd, -6, SEEK_END));
    end("appended", fd);
    fd = begun(O_RDONLY);
    SHOW(truncate("file", 13));
    next("cut", fd, 10);
    end("cut", fd);
    put_file("file", text);
    fd = begun(O_RDONLY);
    FD(other, open("out", O_WRONLY | O_CREAT | O_TRUNC, 0644));
    SHOW(sendfile(other, fd, NULL, 7));
    SHOW(copy_file_range(fd, NULL, other, NULL, 6, 0));
    SHOW(close(other));
    show_file("out");
    end("sendfile", fd);
    fd = begun(O_RDONLY);
    SHOW(fchmod(fd, 0600));
    SHOW(fchmod(fd, 0644));
    end("fchmod", fd);
    fd = begun(O_RDONLY);
    SHOW(rename("file", "moved"));
    SHOW(rename("moved", "file"));
    end("renamed", fd);
    fd = begun(O_RDONLY);
    SHOW(unlink("file"));
    next("unlinked", fd, 5);
    end("unlinked", fd);
    put_file("file", text);
    fd = begun(O_RDONLY);
    put_file("fresh", "the new one");
    SHOW(rename("fresh", "file"));
    end("replaced", fd);
    put_file("file", text);
    fd = begun(O_RDONLY);
    FD(other, open("file", O_WRONLY | O_TRUNC));
    next("emptied", fd, 5);
    SHOW(write(other, text, sizeof(text) - 1));
    next("filled", fd, 5);
    SHOW(close(other));
    end("filled", fd);
}

static void by_streams(void)
{
    char line[40] = "";
    FILE *f = fopen("file", "r");
    SHOW(fseek(f, 5, SEEK_SET));
    SHOW(fgets(line, 6, f) != NULL);
    puts(line);
    SHOW((int)ftell(f));
    SHOW(fclose(f));
    int fd = begun(O_RDONLY);
    f = fdopen(fd, "r");
    SHOW(fgets(line, 6, f) != NULL);
    puts(line);
    SHOW((int)ftell(f));
    SHOW(fclose(f));
}

static pid_t cloned(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void by_children(void)
{
    pid_t (*const start[])(void) = {fork, cloned};

    for (int i = 0; i < 2; i++) {
        int fd = begun(O_RDONLY);
        fflush(stdout);
        pid_t pid = start[i]();
        if (pid == 0) {
            next("child", fd, 8);
            fflush(stdout);
            _exit(0);
        }
        show_wait("child", pid);
        end("child", fd);
    }
    int fd = begun(O_RDONLY);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd, 0);
        execl("/bin/cat", "cat", NULL);
        _exit(127);
    }
    show_wait("cat", pid);
    puts("");
    end("cat", fd);
}

/* A process that was there before reads, writes and removes the file that this one reads. */
static void beside_another(void)
{
    int go[2], done[2], fd;
    char c = 0;

    SHOW(pipe(go));
    SHOW(pipe(done));
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        for (int step = 0; read(go[0], &c, 1) == 1; step++) {
            fd = open("file", step == 1 ? O_RDWR : O_RDONLY);
            if (step == 0)
                next("the other", fd, 5);
            if (step == 1 && (pwrite(fd, "other", 5, 12) != 5 || lseek(fd, 0, SEEK_END) < 0 ||
                              write(fd, "end", 3) != 3))
                puts("cannot write");
            close(fd);
            if (step == 2)
                unlink("file");
            fflush(stdout);
            (void)!write(done[1], &c, 1);
        }
        _exit(0);
    }
    for (int step = 0; step < 3; step++) {
        fd = begun(O_RDONLY);
        fflush(stdout);
        (void)!write(go[1], &c, 1);
        (void)!read(done[0], &c, 1);
        next("beside another", fd, 10);
        SHOW(lseek(fd, -5, SEEK_END));
        end("beside another", fd);
    }
    for (int i = 0; i < 2; i++) {
        close(go[1 - i]);
        close(done[i]);
    }
    show_wait("the other", pid);
    put_file("file", text);
}

/* A program may be executed while another process reads it. */
static void while_executed(void)
{
    int go[2], from = open("/bin/true", O_RDONLY), fd;
    char bytes[4096], c = 0;
    ssize_t n;

    FD(fd, open("program", O_WRONLY | O_CREAT | O_EXCL, 0755));
    while ((n = read(from, bytes, sizeof(bytes))) > 0)
        if (write(fd, bytes, (size_t)n) != n)
            puts("cannot copy");
    close(from);
    close(fd);
    SHOW(pipe(go));
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        (void)!read(go[0], &c, 1);
        execl("./program", "program", NULL);
        _exit(errno);
    }
    FD(fd, open("program", O_RDONLY));
    SHOW(read(fd, bytes, 10));
    close(go[0]);
    close(go[1]);
    show_wait("executed", pid);
    SHOW(read(fd, bytes, 10));
    SHOW(close(fd));
    SHOW(unlink("program"));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    put_file("file", text);
    for (int i = 0; i < 5; i++) { /* a process that reads files */
        int fd = open("file", O_RDONLY);
        next("before", fd, 3);
        close(fd);
    }
    places();
    by_this_process();
    by_streams();
    by_children();
    beside_another();
    while_executed();
    put_file("empty", "");
    int fd = open("empty", O_RDONLY);
    end("empty", fd);
    fd = open("file", O_RDONLY | O_CREAT, 0644);
    end("O_CREAT", fd);
    fd = open("made", O_RDONLY | O_CREAT, 0644);
    int other = open("made", O_WRONLY);
    SHOW(write(other, "now", 3));
    SHOW(close(other));
    end("made", fd);
    /* none is left open */
    FD(fd, open("/dev/null", O_RDONLY));
    show_dir(".");
    return 0;
}
