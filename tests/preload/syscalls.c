/* The same operations through syscall(2), as node, Rust and python use it. */
#include "t.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#define SYS(name, ...) syscall(SYS_##name, __VA_ARGS__)

int main(int argc, char **argv)
{
    char buf[256];
    struct statx sx;
    struct stat st;
    int fd, other;

    begin(argc, argv);
    FD(fd, SYS(openat, AT_FDCWD, "file", O_RDWR | O_CREAT, 0640));
    SHOW(SYS(write, fd, "0123456789", 10));
    SHOW(SYS(lseek, fd, 2, SEEK_SET));
    SHOW(SYS(read, fd, buf, 3));
    show_bytes("read", buf, 3);
    SHOW(SYS(pwrite64, fd, "X", 1, 0));
    SHOW(SYS(pread64, fd, buf, 4, 0));
    SHOW(SYS(fstat, fd, &st));
    SHOW(st.st_size);
    SHOW(SYS(ftruncate, fd, 5));
    SHOW(SYS(fsync, fd));
    FD(other, SYS(dup, fd));
    SHOW(SYS(close, fd));
    SHOW(SYS(close, fd));
    SHOW(SYS(fchmod, other, 0600));
    SHOW(SYS(close, other));
    show_stat("file");
    show_file("file");

    SHOW(SYS(statx, AT_FDCWD, "file", 0, STATX_SIZE | STATX_MODE, &sx));
    SHOW(sx.stx_size);
    SHOW(SYS(newfstatat, AT_FDCWD, "file", &st, 0));
    SHOW(st.st_mode & 07777);
    SHOW(SYS(faccessat, AT_FDCWD, "file", R_OK));
    SHOW(SYS(faccessat, AT_FDCWD, "absent", R_OK));
    SHOW(SYS(mkdirat, AT_FDCWD, "dir", 0755));
    SHOW(SYS(symlinkat, "file", AT_FDCWD, "link"));
    SHOW(SYS(readlinkat, AT_FDCWD, "link", buf, sizeof(buf)));
    SHOW(SYS(linkat, AT_FDCWD, "file", AT_FDCWD, "dir/second", 0));
    SHOW(SYS(renameat2, AT_FDCWD, "link", AT_FDCWD, "dir/second", RENAME_NOREPLACE));
    SHOW(SYS(renameat2, AT_FDCWD, "link", AT_FDCWD, "link2", 0));
    SHOW(SYS(fchmodat, AT_FDCWD, "file", 0604));
    SHOW(SYS(unlinkat, AT_FDCWD, "link2", 0));
    SHOW(SYS(chdir, "dir"));
    SHOW(SYS(getcwd, buf, sizeof(buf)) > 0);
    printf("%s\n", rel(buf));
    show_file("second");
    SHOW(SYS(chdir, ".."));
    SHOW(SYS(unlinkat, AT_FDCWD, "dir/second", 0));
    SHOW(SYS(unlinkat, AT_FDCWD, "dir", AT_REMOVEDIR));
    FD(fd, SYS(openat, AT_FDCWD, "file", O_RDONLY));
    FD(other, SYS(openat, AT_FDCWD, "copy", O_WRONLY | O_CREAT, 0644));
    SHOW(SYS(copy_file_range, fd, NULL, other, NULL, 100, 0));
    SHOW(SYS(close_range, other, other, 0));
    SHOW(SYS(close, fd));
    show_file("copy");
#ifdef SYS_open
    FD(fd, SYS(open, "file", O_RDONLY));
    close(fd);
    SHOW(SYS(stat, "file", &st));
    SHOW(SYS(mkdir, "old", 0755));
    SHOW(SYS(rename, "old", "older"));
    SHOW(SYS(rmdir, "older"));
    SHOW(SYS(unlink, "copy"));
#endif
    SHOW(syscall(SYS_getpid) == getpid());
    show_dir(".");
    return 0;
}
