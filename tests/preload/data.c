/* What is in a file: offsets, holes, cutting and growing, at the edges of blocks and chunks. */
#include "t.h"

#include <sys/sendfile.h>
#include <sys/uio.h>

#define MIB 1048576L

/* len bytes that depend on their place */
static int fill(int fd, off_t at, size_t len, unsigned seed)
{
    static unsigned char buf[65536];
    while (len > 0) {
        size_t n = len < sizeof(buf) ? len : sizeof(buf);
        for (size_t i = 0; i < n; i++)
            buf[i] = (unsigned char)((size_t)at + i + seed + ((size_t)at + i) / 251);
        ssize_t done = pwrite(fd, buf, n, at);
        if (done != (ssize_t)n)
            return -1;
        at += done;
        len -= (size_t)done;
    }
    return 0;
}

static void offsets(void)
{
    struct iovec iov[3] = {{(char[]){"abc"}, 3}, {(char[]){"de"}, 2}, {(char[]){"fghij"}, 5}};
    char buf[32], x[4], y[8];
    struct iovec in[2] = {{x, 3}, {y, 4}};
    int fd;

    FD(fd, open("offsets", O_RDWR | O_CREAT | O_TRUNC, 0644));
    SHOW(writev(fd, iov, 3));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(lseek(fd, 2, SEEK_SET));
    SHOW(readv(fd, in, 2));
    show_bytes("x", x, 3);
    show_bytes("y", y, 4);
    SHOW(pread(fd, buf, 4, 1));
    show_bytes("pread", buf, 4);
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(pwrite(fd, "ZZ", 2, 4));
    SHOW(preadv(fd, in, 2, 3));
    show_bytes("x", x, 3);
    SHOW(pwritev(fd, iov, 2, 8));
    SHOW(preadv2(fd, in, 2, 0, 0));
    SHOW(preadv2(fd, in, 1, -1, 0));
    SHOW(pwritev2(fd, iov, 1, 0, RWF_APPEND));
    SHOW(lseek(fd, -2, SEEK_END));
    SHOW(read(fd, buf, 10));
    SHOW(read(fd, buf, 10));
    SHOW(lseek(fd, -1, SEEK_SET));
    SHOW(lseek(fd, 0, 99));
    SHOW(lseek(fd, 100, SEEK_END));
    SHOW(read(fd, buf, 1));
    SHOW(write(fd, "far", 3));
    SHOW(pread(fd, buf, 4, -1));
    SHOW(read(fd, buf, 0));
    SHOW(write(fd, buf, 0));
    SHOW(pread(fd, buf, 5, 1000));
    close(fd);
    show_digest("offsets");
}

static void cutting(void)
{
    char buf[16];
    int fd;

    put_file("cut", "0123456789");
    SHOW(truncate("cut", 4));
    show_file("cut");
    SHOW(truncate("cut", 8));
    show_file("cut");
    SHOW(truncate("cut", 8));
    SHOW(truncate("absent", 1));
    SHOW(truncate("cut", -1));
    SHOW(mkdir("dir", 0755));
    SHOW(truncate("dir", 0));
    FD(fd, open("cut", O_RDWR));
    SHOW(ftruncate(fd, 2));
    SHOW(lseek(fd, 6, SEEK_SET));
    SHOW(write(fd, "x", 1));
    SHOW(ftruncate(fd, 9));
    SHOW(pread(fd, buf, 16, 0));
    show_bytes("grown", buf, 9);
    SHOW(ftruncate(fd, -1));
    SHOW(truncate("cut", 3));
    show_fstat("cut by name", fd);
    SHOW(write(fd, "y", 1));
    close(fd);
    show_file("cut");
    SHOW(truncate("cut", 0));
    show_stat("cut");
    /* cut and grown again: what was there must not come back */
    FD(fd, open("cut", O_RDWR));
    SHOW(fill(fd, 0, 100000, 1));
    SHOW(ftruncate(fd, 1000));
    SHOW(ftruncate(fd, 100000));
    close(fd);
    show_digest("cut");
    FD(fd, open("cut", O_RDWR));
    SHOW(pwrite(fd, "tail", 4, 50000));
    close(fd);
    SHOW(truncate("cut", 50002));
    SHOW(truncate("cut", 60000));
    show_digest("cut");
}

/* sizes around a block (4 MiB here) and a chunk (64 MiB) */
static void edges(void)
{
    const long at[] = {4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 64 * MIB - 1, 64 * MIB, 64 * MIB + 1};
    char name[32];
    int fd;

    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "whole%d", i);
        FD(fd, open(name, O_RDWR | O_CREAT, 0644));
        SHOW(fill(fd, 0, (size_t)at[i], (unsigned)i));
        close(fd);
        show_digest(name);
    }
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof(name), "edge%d", i);
        FD(fd, open(name, O_RDWR | O_CREAT, 0644));
        SHOW(fill(fd, at[i] - 1000, 2000, (unsigned)i)); /* a hole, then bytes on both sides */
        close(fd);
        show_digest(name);
        FD(fd, open(name, O_RDWR));
        SHOW(fill(fd, at[i] - 10, 20, 99));
        SHOW(ftruncate(fd, at[i] + 5));
        close(fd);
        show_digest(name);
        SHOW(unlink(name));
    }
}

/* larger than a chunk, all of it written, then changed in the middle */
static void long_file(void)
{
    int fd;
    FD(fd, open("long", O_RDWR | O_CREAT, 0644));
    SHOW(fill(fd, 0, 70 * MIB + 123, 7));
    SHOW(fsync(fd));
    SHOW(fill(fd, 63 * MIB + 500, 2 * MIB, 8));
    close(fd);
    show_digest("long");
    FD(fd, open("long", O_RDWR));
    SHOW(fill(fd, 10, 100, 9));
    SHOW(ftruncate(fd, 65 * MIB));
    close(fd);
    show_digest("long");
    SHOW(unlink("long"));
}

static void holes(void)
{
    static char buf[8192];
    int fd;

    FD(fd, open("holes", O_RDWR | O_CREAT, 0644));
    SHOW(pwrite(fd, "a", 1, 3 * MIB));
    SHOW(ftruncate(fd, 8 * MIB));
    SHOW(lseek(fd, 0, SEEK_DATA) / MIB);
    SHOW(lseek(fd, 4 * MIB, SEEK_DATA));
    SHOW(lseek(fd, 0, SEEK_HOLE));
    SHOW(lseek(fd, 3 * MIB, SEEK_DATA));
    SHOW(lseek(fd, 8 * MIB, SEEK_HOLE));
    SHOW(lseek(fd, 9 * MIB, SEEK_DATA));
    close(fd);
    FD(fd, open("holes", O_RDWR)); /* and when it is opened again */
    SHOW(lseek(fd, 0, SEEK_DATA) / MIB);
    SHOW(lseek(fd, 4 * MIB, SEEK_DATA));
    SHOW(lseek(fd, 0, SEEK_HOLE));
    SHOW(pread(fd, buf, sizeof(buf), 5 * MIB));
    SHOW(buf[0] == 0 && memcmp(buf, buf + 1, sizeof(buf) - 1) == 0);
    close(fd);
    show_digest("holes");

    FD(fd, open("alloc", O_RDWR | O_CREAT, 0644));
    SHOW(fallocate(fd, 0, 0, 10000));
    show_fstat("allocated", fd);
    SHOW(fill(fd, 0, 10000, 3));
    SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 20000));
    show_fstat("kept", fd);
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000, 5000));
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
    SHOW(fallocate(fd, 0, -1, 10));
    SHOW(fallocate(fd, 0, 0, 0));
    SHOW(posix_fallocate(fd, 9000, 5000));
    SHOW(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    close(fd);
    show_digest("alloc");
    FD(fd, open("alloc", O_RDONLY));
    SHOW(fallocate(fd, 0, 0, 10));
    close(fd);
}

static void transfers(void)
{
    loff_t from = 100, to = 50;
    off_t off = 200;
    int in, out;

    FD(in, open("source", O_RDWR | O_CREAT, 0644));
    SHOW(fill(in, 0, 100000, 5));
    FD(out, open("target", O_RDWR | O_CREAT, 0644));
    SHOW(copy_file_range(in, &from, out, &to, 5000, 0));
    SHOW(from == 5100 && to == 5050);
    SHOW(sendfile(out, in, &off, 3000));
    SHOW(off);
    close(in);
    close(out);
    show_digest("target");
    FD(in, open("source", O_RDONLY)); /* nothing of it is here yet */
    FD(out, open("target", O_WRONLY | O_TRUNC));
    SHOW(sendfile(out, in, NULL, 200000));
    close(out);
    show_digest("target");
    FD(out, open("target", O_WRONLY | O_TRUNC));
    SHOW(lseek(in, 50000, SEEK_SET));
    SHOW(copy_file_range(in, NULL, out, NULL, 100000, 0));
    close(in);
    close(out);
    show_digest("target");
    FD(in, open("/proc/self/exe", O_RDONLY)); /* from a native file */
    FD(out, open("program", O_WRONLY | O_CREAT, 0755));
    while (sendfile(out, in, NULL, 1 << 20) > 0)
        ;
    close(in);
    close(out);
    SHOW(system("cmp program /proc/$PPID/exe"));
}

/* writer and reader with descriptors of their own */
static void beside(void)
{
    char buf[16];
    int w, r;

    FD(w, open("beside", O_WRONLY | O_CREAT | O_TRUNC, 0644));
    FD(r, open("beside", O_RDONLY));
    SHOW(write(w, "first", 5));
    SHOW(read(r, buf, 16));
    SHOW(write(w, "second", 6));
    SHOW(read(r, buf, 16));
    show_bytes("read", buf, 6);
    show_fstat("reader", r);
    SHOW(ftruncate(w, 3));
    SHOW(pread(r, buf, 16, 0));
    SHOW(fsync(w));
    SHOW(fdatasync(w));
    SHOW(write(w, "gap", 3));
    close(w);
    SHOW(pread(r, buf, 16, 0));
    close(r);
    show_digest("beside");
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    offsets();
    cutting();
    edges();
    long_file();
    holes();
    transfers();
    beside();
    return 0;
}
