/* open(2) and its kin: every flag, and the errors in the order that Linux finds them. */
#include "t.h"

static void flags(void)
{
    char buf[16];
    int fd;

    TRY(open("new", O_RDONLY));
    TRY(open("new", O_RDWR | O_CREAT, 0666));
    show_stat("new");
    TRY(open("new", O_RDWR | O_CREAT | O_EXCL, 0600));
    TRY(open("mode", O_WRONLY | O_CREAT, 04755));
    show_stat("mode");
    TRY(open("zero", O_WRONLY | O_CREAT, 0));
    show_stat("zero");
    TRY(creat("made", 0640));
    show_stat("made");

    put_file("text", "0123456789");
    FD(fd, open("text", O_WRONLY));
    SHOW(read(fd, buf, 4));
    close(fd);
    FD(fd, open("text", O_RDONLY));
    SHOW(write(fd, "x", 1));
    SHOW(ftruncate(fd, 1));
    close(fd);
    FD(fd, open("text", O_WRONLY | O_APPEND));
    SHOW(write(fd, "ab", 2));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(pwrite(fd, "cd", 2, 0));
    SHOW(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND));
    close(fd);
    show_file("text");
    TRY(open("text", O_WRONLY | O_TRUNC));
    show_file("text");
    put_file("text", "again");
    TRY(open("text", O_RDWR | O_CREAT | O_TRUNC, 0777));
    show_stat("text");

    FD(fd, open("text", O_RDONLY | O_CLOEXEC));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_SETFD, 0));
    SHOW(fcntl(fd, F_GETFD));
    close(fd);
    FD(fd, open("text", O_RDWR | O_NONBLOCK));
    SHOW(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
    SHOW(fcntl(fd, F_SETFL, O_APPEND));
    SHOW(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND));
    SHOW(write(fd, "end", 3));
    close(fd);
    show_file("text");
    TRY(open("text", O_WRONLY | O_SYNC));
    TRY(open("text", O_WRONLY | O_DSYNC));
    SHOW(close(fd));
}

static void kinds(void)
{
    struct stat st;
    char buf[8];
    int fd;

    SHOW(mkdir("dir", 0755));
    SHOW(symlink("text", "to-text"));
    SHOW(symlink("dir", "to-dir"));
    SHOW(symlink("nowhere", "dangling"));
    SHOW(symlink("loop-b", "loop-a"));
    SHOW(symlink("loop-a", "loop-b"));

    TRY(open("dir", O_RDONLY));
    TRY(open("dir", O_WRONLY));
    TRY(open("dir", O_RDWR | O_CREAT, 0644));
    TRY(open("dir", O_RDONLY | O_CREAT, 0644));
    TRY(open("dir", O_RDONLY | O_DIRECTORY));
    TRY(open("text", O_RDONLY | O_DIRECTORY));
    TRY(open("to-dir", O_RDONLY | O_DIRECTORY));
    TRY(open("to-dir", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    TRY(open("to-text", O_RDONLY | O_NOFOLLOW));
    TRY(open("to-text", O_RDONLY));
    TRY(open("dangling", O_RDONLY));
    TRY(open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0644));
    TRY(open("dangling", O_WRONLY | O_CREAT, 0644));
    show_stat("nowhere");
    TRY(open("loop-a", O_RDONLY));
    TRY(open("loop-a", O_RDONLY | O_CREAT, 0644));

    FD(fd, open("dir", O_RDONLY));
    SHOW(read(fd, buf, 1));
    SHOW(write(fd, buf, 1));
    SHOW(lseek(fd, 0, SEEK_SET));
    show_fstat("dir fd", fd);
    close(fd);

    FD(fd, open("text", O_PATH));
    SHOW(read(fd, buf, 1));
    SHOW(write(fd, buf, 1));
    SHOW(fchmod(fd, 0600));
    SHOW(ftruncate(fd, 0));
    show_fstat("path fd", fd);
    close(fd);
    FD(fd, open("to-text", O_PATH | O_NOFOLLOW));
    SHOW(fstat(fd, &st));
    printf("is a link: %d\n", S_ISLNK(st.st_mode));
    SHOW(readlinkat(fd, "", buf, sizeof(buf)));
    close(fd);
    FD(fd, open("dir", O_PATH | O_DIRECTORY));
    TRY(openat(fd, "below", O_WRONLY | O_CREAT, 0644));
    close(fd);
    show_stat("dir/below");
}

static void paths(void)
{
    int dir, file;

    TRY(open("", O_RDONLY));
    TRY(open("text/", O_RDONLY));
    TRY(open("text/x", O_RDONLY));
    TRY(open("absent/x", O_WRONLY | O_CREAT, 0644));
    TRY(open("absent/", O_WRONLY | O_CREAT, 0644));
    TRY(open("dir/", O_RDONLY));
    TRY(open("dir/.", O_RDONLY));
    TRY(open("dir/..", O_RDONLY));
    TRY(open("./dir//below", O_RDONLY));
    TRY(open("dir/../text", O_RDONLY));
    TRY(open("text/../text", O_RDONLY));
    TRY(open("to-dir/../text", O_RDONLY));
    TRY(open("to-dir/", O_RDONLY | O_NOFOLLOW));
    TRY(open(in_top("text"), O_RDONLY));
    TRY(open(in_top("dir/../dir/below"), O_RDONLY));
    SHOW(symlink(in_top("dir/below"), "absolute"));
    TRY(open("absolute", O_RDONLY));
    SHOW(symlink("../text", "dir/up"));
    TRY(open("dir/up", O_RDONLY));
    SHOW(symlink("/dev/null", "dir/out"));
    TRY(open("dir/out", O_RDWR));

    FD(dir, open("dir", O_RDONLY | O_DIRECTORY));
    FD(file, open("text", O_RDONLY));
    TRY(openat(dir, "below", O_RDONLY));
    TRY(openat(dir, "../text", O_RDONLY));
    TRY(openat(dir, "made", O_WRONLY | O_CREAT | O_EXCL, 0600));
    TRY(openat(file, "below", O_RDONLY));
    TRY(openat(-1, "below", O_RDONLY));
    TRY(openat(-1, in_top("text"), O_RDONLY));
    TRY(openat(AT_FDCWD, "text", O_RDONLY));
    TRY(openat(dir, "", O_RDONLY));
    close(file);
    close(dir);
    TRY(openat(dir, "below", O_RDONLY));
    show_dir("dir");
}

/* A descriptor opened again by its name in /proc: same file, an offset of its own. */
static void reopened(void)
{
    char path[64], buf[8];
    int fd, again;

    put_file("text", "0123456789");
    FD(fd, open("text", O_RDWR));
    SHOW(lseek(fd, 5, SEEK_SET));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    errno = 0;
    again = open(path, O_RDONLY);
    show_result("open(/proc/self/fd/N)", again, 1);
    SHOW(read(again, buf, 3));
    show_bytes("from the beginning", buf, 3);
    close(again);
    snprintf(path, sizeof(path), "/dev/fd/%d", fd);
    errno = 0;
    again = open(path, O_WRONLY);
    show_result("open(/dev/fd/N)", again, 1);
    SHOW(write(again, "AB", 2));
    close(again);
    SHOW(read(fd, buf, 3));
    close(fd);
    show_file("text");
}

static void unnamed(void)
{
    char path[64];
    int fd;

    FD(fd, open(".", O_TMPFILE | O_RDWR, 0640));
    SHOW(write(fd, "without a name", 14));
    show_fstat("unnamed", fd);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    errno = 0;
    show_result("linkat", linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), 0);
    close(fd);
    show_stat("named");
    show_file("named");
    FD(fd, open("dir", O_TMPFILE | O_WRONLY | O_EXCL, 0600));
    SHOW(write(fd, "x", 1));
    close(fd);
    TRY(open("dir", O_TMPFILE | O_RDONLY, 0600));
    TRY(open("text", O_TMPFILE | O_RDWR, 0600));
    show_dir("dir");
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    flags();
    kinds();
    paths();
    reopened();
    unnamed();
    show_dir(top);
    return 0;
}
