/* sendfile, copy_file_range, splice, and requests of ioctl. */
#include "t.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#define BIG (3 * 1024 * 1024 + 17)

static char native[64];

static void put_big(const char *path)
{
    static unsigned char buf[BIG];
    for (size_t i = 0; i < sizeof(buf); i++)
        buf[i] = (unsigned char)(i * 2654435761u >> 13);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    printf("put: %d\n",
           fd >= 0 && write(fd, buf, sizeof(buf)) == (ssize_t)sizeof(buf) && close(fd) == 0);
}

/* May be short; goes on until the end of the source. */
static void copy_all(const char *from, const char *to)
{
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ssize_t n;

    do
        n = copy_file_range(in, NULL, out, NULL, 1 << 30, 0);
    while (n > 0);
    if (n < 0 && errno == EXDEV) /* two native file systems */
        do
            n = sendfile(out, in, NULL, 1 << 30);
        while (n > 0);
    printf("copy: %zd, at %lld %lld\n", n, (long long)lseek(in, 0, SEEK_CUR),
           (long long)lseek(out, 0, SEEK_CUR));
    close(in);
    close(out);
    if (to != native)
        show_digest(to);
}

static void sent(void)
{
    int in, out, pair[2];
    off_t off = 5;
    char buf[32];

    put_file("text", "0123456789abcdef");
    FD(in, open("text", O_RDONLY));
    FD(out, open("sent", O_RDWR | O_CREAT | O_TRUNC, 0644));
    SHOW(sendfile(out, in, &off, 4));
    printf("offset %lld, position %lld\n", (long long)off, (long long)lseek(in, 0, SEEK_CUR));
    SHOW(sendfile(out, in, NULL, 3));
    SHOW(lseek(in, 0, SEEK_CUR));
    SHOW(sendfile(out, in, NULL, 100));
    SHOW(sendfile(out, in, NULL, 100));
    show_file("sent");
    off = 14;
    SHOW(sendfile(out, in, &off, 100));
    SHOW(sendfile(out, in, &off, 100));
    off = -1;
    SHOW(sendfile(out, in, &off, 1));
    SHOW(sendfile(in, out, NULL, 1));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    off = 2;
    SHOW(sendfile(pair[0], in, &off, 6));
    SHOW(read(pair[1], buf, sizeof(buf)));
    show_bytes("through a socket", buf, 6);
    close(pair[1]);
    close(pair[0]);
    /* what a full pipe does not take is not read */
    SHOW(pipe2(pair, O_NONBLOCK));
    put_big("large");
    int big = open("large", O_RDONLY);
    ssize_t n = sendfile(pair[1], big, NULL, BIG);
    printf("into a pipe: %s, position agrees %d\n", n > 0 && n < BIG ? "some" : "all or none",
           lseek(big, 0, SEEK_CUR) == n);
    SHOW(sendfile(pair[1], big, NULL, BIG));
    printf("position agrees %d\n", lseek(big, 0, SEEK_CUR) == n);
    close(big);
    close(pair[0]);
    close(pair[1]);
    close(in);
    close(out);
}

static void copied(void)
{
    int in, out, append;
    off_t from = 2, to = 30;

    copy_all("large", "within");
    copy_all("large", native);
    copy_all(native, "back");
    FD(in, open("text", O_RDONLY));
    FD(out, open("copied", O_RDWR | O_CREAT | O_TRUNC, 0644));
    SHOW(copy_file_range(in, &from, out, &to, 5, 0));
    printf("offsets %lld %lld\n", (long long)from, (long long)to);
    SHOW(copy_file_range(in, NULL, out, NULL, 3, 0));
    show_file("copied");
    SHOW(copy_file_range(in, NULL, out, NULL, 3, 1));
    SHOW(copy_file_range(in, NULL, out, NULL, 0, 0));
    from = -1;
    SHOW(copy_file_range(in, &from, out, NULL, 3, 0));
    from = 100;
    SHOW(copy_file_range(in, &from, out, NULL, 3, 0));
    SHOW(copy_file_range(out, NULL, in, NULL, 3, 0));
    from = 0, to = 2;
    SHOW(copy_file_range(out, &from, out, &to, 5, 0));
    from = 0, to = 40;
    SHOW(copy_file_range(out, &from, out, &to, 5, 0));
    FD(append, open("copied", O_WRONLY | O_APPEND));
    SHOW(copy_file_range(in, NULL, append, NULL, 3, 0));
    close(append);
    FD(append, open(".", O_RDONLY));
    SHOW(copy_file_range(append, NULL, out, NULL, 3, 0));
    close(append);
    show_file("copied");
    close(in);
    close(out);
}

static void spliced(void)
{
    int p[2], in, out;
    char buf[32];

    SHOW(pipe(p));
    FD(in, open("text", O_RDONLY));
    FD(out, open("spliced", O_RDWR | O_CREAT | O_TRUNC, 0644));
    SHOW(splice(in, NULL, p[1], NULL, 10, 0));
    SHOW(splice(p[0], NULL, out, NULL, 6, 0));
    SHOW(read(p[0], buf, sizeof(buf)));
    show_bytes("rest", buf, 4);
    SHOW(lseek(in, 0, SEEK_CUR));
    close(in);
    close(out);
    close(p[0]);
    close(p[1]);
    show_file("spliced");
}

static void requests(void)
{
    int fd, n = -1;

    FD(fd, open("text", O_RDWR));
    SHOW(lseek(fd, 4, SEEK_SET));
    SHOW(ioctl(fd, FIONREAD, &n));
    printf("%d bytes\n", n);
    SHOW(ioctl(fd, FIOCLEX));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(ioctl(fd, FIONCLEX));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(isatty(fd));
    n = 1;
    SHOW(ioctl(fd, FIONBIO, &n));
    SHOW((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    close(fd);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    snprintf(native, sizeof(native), "/tmp/jfspre-transfer-%d", getpid());
    sent();
    copied();
    spliced();
    requests();
    unlink(native);
    return 0;
}
