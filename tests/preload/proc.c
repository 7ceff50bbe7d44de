/* fork, vfork, exec, posix_spawn, system, popen: descriptors, offsets and the cwd go along. */
#include "t.h"

#include <spawn.h>
#include <sys/syscall.h>

extern char **environ;
static char self[PATH_MAX];

static void forked(void)
{
    char buf[8];
    pid_t pid;
    int fd;

    put_file("file", "0123456789");
    FD(fd, open("file", O_RDWR));
    SHOW(read(fd, buf, 2));
    pid = fork();
    if (pid == 0) {
        SHOW(read(fd, buf, 3));
        SHOW(pwrite(fd, "C", 1, 0));
        put_file("made-by-child", "c");
        _exit(0);
    }
    show_wait("fork", pid);
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(read(fd, buf, 2));
    show_bytes("after the child", buf, 2);
    close(fd);
    show_file("file");
    show_file("made-by-child");

    /* the child outlives the parent's descriptor */
    FD(fd, open("late", O_WRONLY | O_CREAT, 0644));
    pid = fork();
    if (pid == 0)
        _exit(write(fd, "written by the child alone", 26) == 26 ? 0 : 1);
    close(fd);
    show_wait("fork", pid);
    show_file("late");

    /* grandchildren, each with a file */
    pid = fork();
    if (pid == 0) {
        pid_t inner = fork();
        if (inner == 0) {
            put_file("grand", "g");
            _exit(0);
        }
        put_file("child", "c");
        waitpid(inner, NULL, 0);
        _exit(0);
    }
    show_wait("fork", pid);
    show_file("grand");
    show_file("child");
}

/* a vfork child may only exec or _exit; what it closes stays open here */
static void vforked(void)
{
    char buf[8];
    pid_t pid;
    int fd;

    put_file("file", "0123456789");
    FD(fd, open("file", O_RDONLY));
    fflush(stdout);
    pid = vfork();
    if (pid == 0) {
        close(fd);
        _exit(7);
    }
    show_wait("vfork", pid);
    SHOW(read(fd, buf, 2));
    close(fd);
    fflush(stdout);
    pid = vfork();
    if (pid == 0) {
        execl("/bin/cat", "cat", "file", (char *)NULL);
        _exit(127);
    }
    show_wait("vfork and exec", pid);
    printf("\n");
}

/* started again with a descriptor number: "fd N" reads and writes there, "cwd" works where it is */
static int reborn(char **argv)
{
    char buf[8] = "";
    int fd = atoi(argv[1]);

    if (strcmp(argv[0], "cwd") == 0) {
        printf("%s\n", rel(getcwd(buf, sizeof(buf)) == NULL && errno == ERANGE ? "long" : "short"));
        put_file("made-after-exec", "here");
        show_file("made-after-exec");
        return 0;
    }
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(read(fd, buf, 3));
    show_bytes("inherited", buf, 3);
    SHOW(write(fd, "W", 1));
    show_fstat("inherited", fd);
    return 0;
}

static void executed(void)
{
    char number[16], buf[4];
    pid_t pid;
    int fd, hidden, dir;

    put_file("file", "0123456789");
    FD(fd, open("file", O_RDWR));
    FD(hidden, open("file", O_RDWR | O_CLOEXEC));
    SHOW(read(fd, buf, 1));
    snprintf(number, sizeof(number), "%d", fd);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        execl(self, self, "--reborn", top, "fd", number, (char *)NULL);
        _exit(127);
    }
    show_wait("exec", pid);
    SHOW(lseek(fd, 0, SEEK_CUR));
    snprintf(number, sizeof(number), "%d", hidden);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        execl(self, self, "--reborn", top, "fd", number, (char *)NULL);
        _exit(127);
    }
    show_wait("exec with a closed one", pid);
    close(fd);
    close(hidden);
    show_file("file");

    SHOW(mkdir("dir", 0755));
    FD(dir, open("dir", O_RDONLY));
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (fchdir(dir) == 0)
            execl(self, self, "--reborn", top, "cwd", "0", (char *)NULL);
        _exit(127);
    }
    show_wait("exec in another directory", pid);
    show_file("dir/made-after-exec");
    close(dir);

    /* written, not closed, then the program is replaced */
    pid = fork();
    if (pid == 0) {
        int out = open("before-exec", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (write(out, "not lost", 8) == 8)
            execl("/bin/true", "true", (char *)NULL);
        _exit(127);
    }
    show_wait("exec with unsaved data", pid);
    show_file("before-exec");
}

static void spawned(void)
{
    posix_spawn_file_actions_t fa;
    char *cat[] = {"cat", NULL}, *pwd[] = {"ls", NULL};
    pid_t pid;
    int rc;

    put_file("input", "spawned text\n");
    SHOW(posix_spawn_file_actions_init(&fa));
    SHOW(posix_spawn_file_actions_addopen(&fa, 0, "input", O_RDONLY, 0));
    SHOW(posix_spawn_file_actions_addopen(&fa, 1, in_top("output"), O_WRONLY | O_CREAT | O_TRUNC,
                                          0640));
    SHOW(posix_spawn(&pid, "/bin/cat", &fa, NULL, cat, environ));
    show_wait("posix_spawn", pid);
    posix_spawn_file_actions_destroy(&fa);
    show_file("output");
    show_stat("output");

    SHOW(posix_spawn_file_actions_init(&fa));
    SHOW(posix_spawn_file_actions_addchdir_np(&fa, "dir"));
    rc = posix_spawnp(&pid, "ls", &fa, NULL, pwd, environ); /* it prints: nothing beside it */
    show_wait("posix_spawnp", pid);
    SHOW(rc);
    posix_spawn_file_actions_destroy(&fa);

    SHOW(posix_spawn_file_actions_init(&fa));
    SHOW(posix_spawn_file_actions_addopen(&fa, 0, "absent", O_RDONLY, 0));
    printf("posix_spawn: %s\n",
           strerrorname_np(posix_spawn(&pid, "/bin/cat", &fa, NULL, cat, environ)));
    posix_spawn_file_actions_destroy(&fa);
    fflush(stdout);
}

static void shells(void)
{
    char line[64] = "";
    FILE *p;

    SHOW(system("echo from system >shell-out; cat shell-out"));
    SHOW(WEXITSTATUS(system("test -f absent")));
    show_file("shell-out");
    p = popen("cat shell-out", "r");
    printf("%s", fgets(line, sizeof(line), p));
    SHOW(pclose(p));
    p = popen("cat >popen-out", "w");
    SHOW(fputs("through a pipe\n", p));
    SHOW(pclose(p));
    show_file("popen-out");
}

/* programs that lie in the directory: an ELF file, a script, something that is neither */
static void from_here(void)
{
    char *argv[] = {"prog", "x", NULL};
    pid_t pid;
    int fd;

    SHOW(system("cp /bin/echo prog && chmod 755 prog"));
    SHOW(WEXITSTATUS(system("./prog run from here")));
    put_file("script", "#!/bin/sh\necho \"script $1\"\ncat input\n");
    SHOW(chmod("script", 0755));
    SHOW(WEXITSTATUS(system("./script argument")));
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        execv("prog", argv);
        _exit(127);
    }
    show_wait("execv", pid);
    put_file("plain", "just text\n");
    SHOW(execl("plain", "plain", (char *)NULL));
    SHOW(chmod("plain", 0755));
    SHOW(execl("plain", "plain", (char *)NULL));
    SHOW(execl("absent", "absent", (char *)NULL));
    SHOW(execl("dir", "dir", (char *)NULL));
    FD(fd, open("prog", O_RDONLY | O_CLOEXEC));
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        fexecve(fd, argv, environ);
        _exit(127);
    }
    show_wait("fexecve", pid);
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "--reborn") == 0) {
        top = argv[2];
        return reborn(argv + 3);
    }
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
        return 2;
    begin(argc, argv);
    forked();
    vforked();
    executed();
    spawned();
    shells();
    from_here();
    return 0;
}
