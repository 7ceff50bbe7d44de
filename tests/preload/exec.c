/* The exec family: programs and scripts in the directory, PATH, /bin/sh for what has no `#!`. */
#include "t.h"

extern char **environ;

#define RUN(label, call)                                                                           \
    do {                                                                                           \
        fflush(stdout);                                                                            \
        pid_t pid_ = fork();                                                                       \
        if (pid_ == 0) {                                                                           \
            (void)(call);                                                                          \
            printf("%s: %s\n", label, strerrorname_np(errno));                                     \
            fflush(stdout);                                                                        \
            _exit(99);                                                                             \
        }                                                                                          \
        show_wait(label, pid_);                                                                    \
    } while (0)

static void put_program(const char *path, const char *text)
{
    put_file(path, text);
    SHOW(chmod(path, 0755));
}

static void copy_program(const char *from, const char *to)
{
    char buf[65536];
    ssize_t n;
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);

    while ((n = read(in, buf, sizeof(buf))) > 0)
        if (write(out, buf, (size_t)n) != n)
            break;
    close(in);
    printf("copied: %d\n", close(out));
    fflush(stdout);
}

static void scripts(void)
{
    char *argv[] = {(char *)(uintptr_t) "zero", (char *)(uintptr_t) "one", NULL};
    char path[PATH_MAX + 64], text[PATH_MAX + 64];

    put_program("script", "#!/bin/sh\necho \"script ${0##*/} $# $1\"\n");
    RUN("relative", execv("./script", argv));
    RUN("bare", execv("script", argv));
    RUN("absolute", execv(in_top("script"), argv));
    RUN("execl", execl("script", "zero", "a", "b", (char *)NULL));
    put_program("with-arg", "#! /bin/sh   -e \nfalse\necho not reached\n");
    RUN("argument", execv("with-arg", argv));
    put_program("no-newline", "#!/bin/true");
    RUN("no newline", execv("no-newline", argv));
    put_program("no-interp", "#!/no/such/interpreter\n");
    RUN("no interpreter", execv("no-interp", argv));
    put_program("empty-interp", "#!   \n");
    RUN("empty interpreter", execv("empty-interp", argv));
    SHOW(symlink("script", "to-script"));
    RUN("by a symlink", execv("to-script", argv));

    /* an interpreter in the directory, a script itself */
    snprintf(text, sizeof(text), "#!%s/script\n", top);
    put_program("nested", text);
    RUN("nested", execv("nested", argv));
    snprintf(text, sizeof(text), "#!%s/loop\n", top);
    put_program("loop", text);
    RUN("endless", execv("loop", argv));
    /* a native script with an interpreter in the directory */
    snprintf(path, sizeof(path), "/tmp/jfspre-exec-%d", getpid());
    snprintf(text, sizeof(text), "#!%s/cat-here\nline of the script\n", top);
    put_file(path, text);
    chmod(path, 0755);
    copy_program("/bin/cat", "cat-here");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0644);
        if (dup2(fd, 1) == 1)
            execl(path, "zero", (char *)NULL);
        _exit(98);
    }
    show_wait("native script", pid);
    FILE *f = fopen("out", "r");
    printf("%s", f != NULL && fgets(text, sizeof(text), f) && fgets(text, sizeof(text), f) ? text
                                                                                           : "?\n");
    if (f != NULL)
        fclose(f);
    unlink(path);
}

/* A sanitizer's runtime must be first in the list, so it cannot be left out of an environment. */
static char *sanitizer(void)
{
    static char entry[PATH_MAX];
    const char *list = getenv("LD_PRELOAD");

    if (list == NULL || strstr(list, "san.so") == NULL)
        return NULL;
    snprintf(entry, sizeof(entry), "LD_PRELOAD=%s", list);
    return entry;
}

static void programs(void)
{
    char *argv[] = {(char *)(uintptr_t) "zero", (char *)(uintptr_t) "text", NULL};
    char *envp[] = {(char *)(uintptr_t) "ONLY=this", sanitizer(), NULL};
    int fd;

    copy_program("/bin/echo", "echo-here");
    RUN("program", execv("./echo-here", argv));
    RUN("execve", execve("echo-here", argv, envp));
    RUN("execle", execle("echo-here", "zero", "by execle", (char *)NULL, envp));
    put_program("show-env", "#!/bin/sh\necho \"ONLY=$ONLY HOME=$HOME\"\n");
    RUN("environment", execve("show-env", argv, envp));

    FD(fd, open("echo-here", O_RDONLY | O_CLOEXEC));
    RUN("fexecve", fexecve(fd, argv, environ));
    SHOW(close(fd));
    FD(fd, open("echo-here", O_PATH));
    RUN("fexecve of a path", fexecve(fd, argv, environ));
    SHOW(close(fd));
    FD(fd, open("script", O_RDONLY));
    char *three[] = {(char *)(uintptr_t) "zero", NULL};
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd, 9);
        fexecve(9, three, environ);
        _exit(97);
    }
    show_wait("fexecve of a script", pid);
    SHOW(close(fd));
    FD(fd, open(".", O_RDONLY | O_DIRECTORY));
    RUN("execveat", execveat(fd, "echo-here", argv, environ, 0));
    RUN("execveat of a link", execveat(fd, "to-script", argv, environ, AT_SYMLINK_NOFOLLOW));
    SHOW(close(fd));
}

static void refused(void)
{
    char *argv[] = {(char *)(uintptr_t) "zero", NULL};

    put_file("plain", "echo plain\n");
    RUN("not executable", execv("plain", argv));
    RUN("absent", execv("absent", argv));
    RUN("a directory", execv(".", argv));
    RUN("below a file", execv("plain/x", argv));
    put_program("text", "echo \"by the shell: ${0##*/} $1\"\n");
    RUN("no format", execv("text", argv));
    RUN("execvp to the shell", execlp("./text", "zero", "arg", (char *)NULL));
    put_program("empty", "");
    RUN("empty", execv("empty", argv));
    RUN("execvp of an empty name", execvp("", argv));
}

static void search(void)
{
    char *argv[] = {(char *)(uintptr_t) "zero", (char *)(uintptr_t) "found", NULL};
    char path[PATH_MAX * 2];

    SHOW(mkdir("bin", 0755));
    copy_program("/bin/echo", "bin/our-echo");
    put_program("bin/our-text", "echo \"text ${0##*/} $1\"\n");
    put_file("bin/our-plain", "x");
    snprintf(path, sizeof(path), "/nowhere:%s/bin:/usr/bin:/bin", top);
    SHOW(setenv("PATH", path, 1));
    RUN("in PATH", execvp("our-echo", argv));
    RUN("text in PATH", execvp("our-text", argv));
    RUN("not executable in PATH", execvp("our-plain", argv));
    RUN("not in PATH", execvp("our-nothing", argv));
    RUN("native in PATH", execvp("true", argv));
    SHOW(setenv("PATH", "bin::/bin", 1));
    RUN("relative PATH", execvp("our-echo", argv));
    RUN("here by an empty one", execlp("script", "zero", "x", (char *)NULL));
    SHOW(setenv("PATH", "", 1));
    RUN("empty PATH", execvp("script", argv));
    SHOW(unsetenv("PATH"));
    RUN("no PATH", execvp("true", argv));
}

/* What is written and not closed is there for the next program, and after it. */
static void unfinished(void)
{
    int fd, kept;

    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        fd = open("gone", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        kept = open("kept", O_WRONLY | O_CREAT | O_APPEND, 0644);
        if (write(fd, "of a closed one", 15) != 15 || write(kept, "first ", 6) != 6)
            _exit(1);
        dup2(kept, 1);
        setenv("PATH", "/usr/bin:/bin", 1);
        execlp("sh", "sh", "-c", "echo second; cat gone kept >copy", (char *)NULL);
        _exit(2);
    }
    show_wait("unfinished", pid);
    show_file("gone");
    show_file("kept");
    show_file("copy");
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    scripts();
    programs();
    refused();
    search();
    unfinished();
    return 0;
}
