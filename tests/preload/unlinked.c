/* Files without a name that are still open, and names that change under open files. */
#include "t.h"

int main(int argc, char **argv)
{
    char buf[32];
    pid_t pid;
    int fd, second;

    begin(argc, argv);
    FD(fd, open("file", O_RDWR | O_CREAT, 0644));
    SHOW(write(fd, "before", 6));
    SHOW(unlink("file"));
    show_fstat("unlinked", fd);
    SHOW(write(fd, " after", 6));
    SHOW(pread(fd, buf, 32, 0));
    show_bytes("still readable", buf, 12);
    SHOW(ftruncate(fd, 3));
    show_fstat("cut", fd);
    SHOW(fchmod(fd, 0600));
    show_fstat("changed", fd);
    SHOW(fsync(fd));
    /* a new file of that name is another one */
    put_file("file", "new");
    FD(second, open("file", O_RDONLY));
    SHOW(pread(second, buf, 32, 0));
    SHOW(pread(fd, buf, 32, 0));
    close(second);
    close(fd);
    show_file("file");

    /* written earlier, closed, opened, then unlinked: data must stay readable */
    FD(fd, open("file", O_RDONLY));
    SHOW(unlink("file"));
    SHOW(read(fd, buf, 32));
    show_bytes("old data", buf, 3);
    SHOW(lseek(fd, 0, SEEK_SET));
    pid = fork();
    if (pid == 0) {
        SHOW(read(fd, buf, 32));
        show_fstat("in the child", fd);
        _exit(0);
    }
    show_wait("child", pid);
    close(fd);

    /* two names, one goes */
    put_file("one", "linked");
    SHOW(link("one", "two"));
    FD(fd, open("one", O_RDWR));
    SHOW(unlink("one"));
    show_fstat("one name left", fd);
    SHOW(write(fd, "LINKED", 6));
    close(fd);
    show_file("two");

    /* another process removes it */
    put_file("shared", "seen by both");
    FD(fd, open("shared", O_RDONLY));
    pid = fork();
    if (pid == 0)
        _exit(unlink("shared"));
    show_wait("remover", pid);
    SHOW(read(fd, buf, 32));
    show_fstat("removed by another", fd);
    close(fd);

    /* renamed while open, replaced while open */
    FD(fd, open("moving", O_RDWR | O_CREAT, 0644));
    SHOW(write(fd, "moved", 5));
    SHOW(rename("moving", "moved"));
    SHOW(write(fd, " on", 3));
    close(fd);
    show_file("moved");
    put_file("winner", "winner");
    FD(fd, open("moved", O_RDWR));
    SHOW(rename("winner", "moved"));
    SHOW(pread(fd, buf, 32, 0));
    SHOW(pwrite(fd, "gone", 4, 0));
    show_fstat("replaced", fd);
    close(fd);
    show_file("moved");

    /* made and removed without ever being closed; many of them */
    for (int i = 0; i < 200; i++) {
        int f = open("brief", O_RDWR | O_CREAT | O_EXCL, 0600);
        if (f < 0 || write(f, "x", 1) != 1 || unlink("brief") != 0 || close(f) != 0)
            printf("brief %d: %s\n", i, strerrorname_np(errno));
    }
    SHOW(mkdir("dir", 0755));
    FD(fd, open("dir", O_RDONLY));
    SHOW(rmdir("dir"));
    show_fstat("removed directory", fd);
    SHOW(fchmod(fd, 0700));
    close(fd);
    show_dir(".");
    return 0;
}
