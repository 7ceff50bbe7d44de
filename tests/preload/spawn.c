/* posix_spawn with file actions and attributes, system, popen. */
#include "t.h"

#include <signal.h>
#include <spawn.h>

extern char **environ;

typedef posix_spawn_file_actions_t actions;

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void run(const char *label, const actions *fa, const posix_spawnattr_t *attr,
                const char *file, int search, const char *const args[])
{
    char *const *argv = (char *const *)(uintptr_t)args;
    pid_t pid = -1;

    fflush(stdout);
    int rc = search ? posix_spawnp(&pid, file, fa, attr, argv, environ)
                    : posix_spawn(&pid, file, fa, attr, argv, environ);
    if (rc != 0)
        printf("%s: %s\n", label, strerrorname_np(rc));
    else
        show_wait(label, pid);
    fflush(stdout);
}

static void files(void)
{
    actions fa;
    int fd;

    put_file("in", "from the file\n");
    posix_spawn_file_actions_init(&fa);
    SHOW(posix_spawn_file_actions_addopen(&fa, 0, "in", O_RDONLY, 0));
    SHOW(posix_spawn_file_actions_addopen(&fa, 1, in_top("out"), O_WRONLY | O_CREAT | O_TRUNC,
                                          0640));
    SHOW(posix_spawn_file_actions_adddup2(&fa, 1, 2));
    run("redirected", &fa, NULL, "/bin/sh", 0, ARGS("sh", "-c", "cat; echo error >&2"));
    show_file("out");
    show_stat("out");
    run("again", &fa, NULL, "sh", 1, ARGS("sh", "-c", "echo other"));
    show_file("out");
    posix_spawn_file_actions_destroy(&fa);

    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addopen(&fa, 0, "absent", O_RDONLY, 0);
    run("absent input", &fa, NULL, "/bin/true", 0, ARGS("true"));
    posix_spawn_file_actions_destroy(&fa);

    /* close-on-exec here, passed on by dup2 to its own number and to another */
    FD(fd, open("passed", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, fd, 1);
    run("dup2", &fa, NULL, "/bin/echo", 0, ARGS("echo", "passed on"));
    posix_spawn_file_actions_destroy(&fa);
    SHOW(dup2(fd, 7));
    SHOW(fcntl(7, F_SETFD, FD_CLOEXEC));
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, 7, 7);
    posix_spawn_file_actions_addclose(&fa, fd);
    run("dup2 to itself", &fa, NULL, "/bin/sh", 0, ARGS("sh", "-c", "echo to seven >&7"));
    posix_spawn_file_actions_destroy(&fa);
    close(7);
    close(fd);
    show_file("passed");
}

static void directories(void)
{
    actions fa;
    int dir;

    SHOW(mkdir("dir", 0755));
    put_file("dir/here", "in dir\n");
    FD(dir, open("dir", O_RDONLY | O_DIRECTORY));
    posix_spawn_file_actions_init(&fa);
    SHOW(posix_spawn_file_actions_addchdir_np(&fa, "dir"));
    posix_spawn_file_actions_addopen(&fa, 1, "../chdir", O_WRONLY | O_CREAT, 0644);
    run("chdir", &fa, NULL, "/bin/cat", 0, ARGS("cat", "here"));
    posix_spawn_file_actions_destroy(&fa);
    show_file("chdir");

    posix_spawn_file_actions_init(&fa);
    SHOW(posix_spawn_file_actions_addfchdir_np(&fa, dir));
    posix_spawn_file_actions_addclosefrom_np(&fa, 3);
    run("fchdir", &fa, NULL, "/bin/cat", 0, ARGS("cat", "here"));
    posix_spawn_file_actions_destroy(&fa);

    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addchdir_np(&fa, "/");
    posix_spawn_file_actions_addchdir_np(&fa, in_top("dir"));
    run("there and back", &fa, NULL, "cat", 1, ARGS("cat", "here"));
    posix_spawn_file_actions_destroy(&fa);

    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addchdir_np(&fa, "absent");
    run("absent directory", &fa, NULL, "/bin/true", 0, ARGS("true"));
    posix_spawn_file_actions_destroy(&fa);
    close(dir);
}

static void programs(void)
{
    put_file("script", "#!/bin/sh\necho \"script ${0##*/} $1\"\n");
    SHOW(chmod("script", 0755));
    run("script", NULL, NULL, "./script", 0, ARGS("zero", "arg"));
    run("script, absolute", NULL, NULL, in_top("script"), 0, ARGS("zero", "arg"));
    run("by name only", NULL, NULL, "script", 0, ARGS("zero"));
    char path[PATH_MAX + 32];
    snprintf(path, sizeof(path), "%s:/usr/bin:/bin", top);
    setenv("PATH", path, 1);
    run("in PATH", NULL, NULL, "script", 1, ARGS("zero", "searched"));
    run("native in PATH", NULL, NULL, "true", 1, ARGS("true"));
    run("not in PATH", NULL, NULL, "no-such-program", 1, ARGS("zero"));
    run("absent", NULL, NULL, "absent", 0, ARGS("zero"));
    put_file("plain", "x");
    run("not executable", NULL, NULL, "./plain", 0, ARGS("zero"));
}

static void attributes(void)
{
    posix_spawnattr_t attr;
    sigset_t set;
    actions fa;

    posix_spawnattr_init(&attr);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    posix_spawnattr_setsigmask(&attr, &set);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    posix_spawnattr_setsigdefault(&attr, &set);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                        POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_RESETIDS);
    signal(SIGUSR2, SIG_IGN);
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addopen(&fa, 1, "status", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    run("attributes", &fa, &attr, "/bin/grep", 0, ARGS("grep", "^SigBlk", "/proc/self/status"));
    show_file("status");
    run("signal by default", &fa, &attr, "/bin/sh", 0,
        ARGS("sh", "-c", "kill -USR2 $$; echo ignored"));
    run("own group", &fa, &attr, "/bin/sh", 0,
        ARGS("sh", "-c", "[ $(cut -d' ' -f5 /proc/$$/stat) = $$ ] && echo leader"));
    show_file("status");
    posix_spawn_file_actions_destroy(&fa);
    posix_spawnattr_destroy(&attr);
}

static void shells(void)
{
    char line[128];
    FILE *p;

    fflush(stdout);
    SHOW(system("echo by system >system.out; exit 3"));
    show_file("system.out");
    SHOW(system("cat <system.out"));
    SHOW(system("kill -9 $$"));
    SHOW(system(NULL));
    p = popen("cat system.out", "r");
    printf("popen: %s", p != NULL && fgets(line, sizeof(line), p) ? line : "?\n");
    SHOW(pclose(p));
    p = popen("cat >popen.out; exit 5", "w");
    fprintf(p, "to the child\n");
    SHOW(pclose(p));
    show_file("popen.out");
    p = popen("exit 6", "re");
    printf("nothing: %s\n", fgets(line, sizeof(line), p) == NULL ? "end" : line);
    SHOW(pclose(p));
    SHOW(popen("true", "x") == NULL ? -1 : 0);
    p = popen("echo closed by fclose; exit 2", "r");
    if (fgets(line, sizeof(line), p) == NULL) /* else echo may meet a closed pipe */
        printf("nothing from echo\n");
    int (*volatile close_it)(FILE *) = fclose; /* gcc warns of it */
    SHOW(close_it(p));
    /* two at once: the second child must not hold the first one's end */
    FILE *first = popen("cat >first.out", "w"), *second = popen("cat >second.out", "w");
    fprintf(first, "1\n");
    fprintf(second, "2\n");
    SHOW(pclose(first));
    SHOW(pclose(second));
    show_file("first.out");
    show_file("second.out");
    /* with a descriptor to inherit */
    int fd;
    FD(fd, open("inherited", O_WRONLY | O_CREAT, 0644));
    SHOW(dup2(fd, 8));
    SHOW(system("echo into eight >&8"));
    p = popen("echo more >&8", "w");
    SHOW(pclose(p));
    close(8);
    close(fd);
    show_file("inherited");
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    files();
    directories();
    programs();
    attributes();
    shells();
    return 0;
}
