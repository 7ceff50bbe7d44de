/* fcntl, OFD and flock locks between processes; writing, syncing and other opens keep them. */
#include "t.h"

#include <sys/file.h>

static const char *name = "file";

/* In a child of its own: can the byte be locked? */
static void try_lock(const char *what, int cmd, off_t at)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(name, O_RDWR);
        struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
        int rc = cmd == 0 ? flock(fd, LOCK_EX | LOCK_NB) : fcntl(fd, cmd, &l);
        printf("%s: %s\n", what, rc == 0 ? "free" : errno == EAGAIN ? "held" : strerror(errno));
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static int lock(int fd, int cmd, int type, off_t at, off_t len)
{
    struct flock l = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = at, .l_len = len};
    return fcntl(fd, cmd, &l);
}

int main(int argc, char **argv)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    int fd, other;

    begin(argc, argv);
    FD(fd, open("file", O_RDWR | O_CREAT, 0644));
    SHOW(lock(fd, F_SETLK, F_WRLCK, 0, 10));
    try_lock("locked", F_SETLK, 0);
    try_lock("behind it", F_SETLK, 10);
    SHOW(write(fd, "0123456789", 10));
    try_lock("after write", F_SETLK, 0);
    SHOW(fsync(fd));
    try_lock("after fsync", F_SETLK, 0);
    SHOW(ftruncate(fd, 4));
    try_lock("after ftruncate", F_SETLK, 0);
    SHOW(access("file", R_OK));
    SHOW(chmod("file", 0600));
    SHOW(fchmod(fd, 0644));
    SHOW(rename("file", "moved"));
    SHOW(rename("moved", "file"));
    try_lock("after names and attributes", F_SETLK, 0);
    SHOW(fcntl(fd, F_GETLK, &l));
    printf("own lock is %s\n", l.l_type == F_UNLCK ? "no obstacle" : "one");
    SHOW(lock(fd, F_SETLK, F_UNLCK, 0, 5));
    try_lock("first half", F_SETLK, 0);
    try_lock("second half", F_SETLK, 5);
    /* any close of the file by the process drops them */
    FD(other, open("file", O_RDONLY));
    SHOW(close(other));
    try_lock("after a close", F_SETLK, 5);

    SHOW(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 0));
    FD(other, open("file", O_RDONLY));
    SHOW(close(other));
    SHOW(write(fd, "x", 1));
    SHOW(fdatasync(fd));
    try_lock("open file description", F_OFD_SETLK, 100);
    SHOW(lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0));
    try_lock("given back", F_OFD_SETLK, 100);

    SHOW(flock(fd, LOCK_EX));
    SHOW(write(fd, "y", 1));
    SHOW(fsync(fd));
    FD(other, dup(fd));
    SHOW(close(other));
    try_lock("flock", 0, 0);
    SHOW(flock(fd, LOCK_SH));
    try_lock("flock shared", 0, 0);
    SHOW(lockf(fd, F_TLOCK, 0));
    try_lock("lockf", F_SETLK, 1000);
    SHOW(close(fd));
    try_lock("closed", F_SETLK, 0);
    /* by a reader of a file that nobody writes */
    FD(fd, open("file", O_RDONLY));
    SHOW(flock(fd, LOCK_EX | LOCK_NB));
    try_lock("flock by a reader", 0, 0);
    SHOW(close(fd));

    /* new files, each locked while it is written: a lock ends with its file */
    name = "next";
    for (int i = 0; i < 6; i++) {
        FD(fd, open("new", O_WRONLY | O_CREAT | O_EXCL, 0644));
        SHOW(write(fd, "some", 4));
        SHOW(flock(fd, LOCK_EX | LOCK_NB));
        SHOW(close(fd));
        SHOW(unlink("new"));
        FD(fd, open("next", O_WRONLY | O_CREAT | O_EXCL, 0644));
        SHOW(write(fd, "some", 4));
        try_lock("of the file before", 0, 0);
        SHOW(close(fd));
        SHOW(unlink("next"));
    }
    return 0;
}
