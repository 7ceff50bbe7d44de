/* FIFOs, devices and sockets as names; a FIFO that two processes talk through. */
#include "t.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
    char buf[32] = "";
    pid_t pid;
    int fd;

    begin(argc, argv);
    SHOW(mkfifo("fifo", 0640));
    SHOW(mkfifo("fifo", 0640));
    show_stat("fifo");
    SHOW(mknod("fifo2", S_IFIFO | 0600, 0));
    SHOW(mknod("regular", S_IFREG | 0604, 0));
    SHOW(mknod("nothing", 0600, 0));
    show_stat("nothing");
    SHOW(mknod("dir", S_IFDIR | 0755, 0));
    show_stat("regular");
    SHOW(mknodat(AT_FDCWD, "socket", S_IFSOCK | 0755, 0));
    show_stat("socket");
    SHOW(mkfifoat(AT_FDCWD, "absent/fifo", 0600));
    if (geteuid() == 0) {
        struct stat st;
        SHOW(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
        SHOW(mknod("block", S_IFBLK | 0600, makedev(259, 70000)));
        show_stat("null");
        SHOW(stat("block", &st));
        SHOW(major(st.st_rdev) == 259 && minor(st.st_rdev) == 70000);
    }
    TRY(open("socket", O_RDONLY));
    TRY(open("fifo", O_WRONLY | O_NONBLOCK));
    TRY(open("fifo", O_RDONLY | O_NONBLOCK));
    SHOW(chmod("fifo", 0600));
    SHOW(rename("fifo", "pipe"));
    pid = fork();
    if (pid == 0) {
        fd = open("pipe", O_WRONLY);
        _exit(write(fd, "through", 7) == 7 ? 0 : 1);
    }
    FD(fd, open("pipe", O_RDONLY));
    SHOW(read(fd, buf, sizeof(buf)));
    show_bytes("from the FIFO", buf, 7);
    show_fstat("FIFO", fd);
    SHOW(lseek(fd, 0, SEEK_SET));
    close(fd);
    show_wait("writer", pid);
    SHOW(link("pipe", "pipe2"));
    show_stat("pipe");
    SHOW(truncate("pipe", 0));
    show_dir(".");
    SHOW(unlink("pipe"));
    SHOW(unlink("pipe2"));
    SHOW(unlink("socket"));
    show_dir(".");
    return 0;
}
