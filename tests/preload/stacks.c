/*
 * Every call works in a thread with the smallest stack that there is, as the first one of the
 * process too, and in a signal handler of such a thread; and one that waits can be cancelled there.
 */
#include "t.h"

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <utime.h>

#define PAGE 4096

static char a[PATH_MAX], b[PATH_MAX], d[PATH_MAX], l[PATH_MAX], p[PATH_MAX], big[PATH_MAX];
static char data[70000];
static int fd = -1, other = -1;
static DIR *dir;
static FILE *file;
static struct stat st;
static struct statvfs vfs;

static long map(void)
{
    void *m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (m == MAP_FAILED)
        return -1;
    *(char *)m = 'm';
    return msync(m, PAGE, MS_SYNC) == 0 ? munmap(m, PAGE) : -1;
}

static long entries(void)
{
    long n = 0;
    while (readdir(dir) != NULL)
        n++;
    return n;
}

static long spawned(void)
{
    char *argv[] = {"sh", "-c", "test -d \"$0\"", d, NULL};
    pid_t pid;
    int status = -1;
    int rc = posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ);
    if (rc == 0)
        waitpid(pid, &status, 0);
    return rc != 0 ? rc : status;
}

static long forked(void)
{
    char *argv[] = {"test", "-d", d, NULL};
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (open(b, O_RDONLY) >= 0)
            execvp("test", argv);
        _exit(9);
    }
    waitpid(pid, &status, 0);
    return status;
}

static int handled;

static void handler(int sig)
{
    int f = open(b, O_RDWR);
    handled = f >= 0 && write(f, "h", 1) == 1 && close(f) == 0 ? sig : -1;
}

/* On an alternate stack, which is small as well. */
static long signalled(void)
{
    static _Alignas(16) char alternate[16384];
    stack_t ss = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
    struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    if (sigaltstack(&ss, NULL) != 0 || sigaction(SIGUSR1, &sa, NULL) != 0)
        return -1;
    pthread_kill(pthread_self(), SIGUSR1);
    return handled == SIGUSR1;
}

/* clang-format off */
#define STEPS(X)                                           \
    X((other = open(a, O_CREAT | O_EXCL | O_RDWR, 0640)) >= 0) \
    X(write(other, data, sizeof(data)))                    \
    X(close(other))                                        \
    X((fd = open(a, O_RDWR)) >= 0)                         \
    X(pread(fd, data, 1000, 60000))                        \
    X(pwrite(fd, "xyz", 3, 100))                           \
    X(fsync(fd))                                           \
    X(ftruncate(fd, 66000))                                \
    X(lseek(fd, 0, SEEK_DATA))                             \
    X(fstat(fd, &st))                                      \
    X(fchmod(fd, 0600))                                    \
    X(map())                                               \
    X((other = dup(fd)) >= 0)                              \
    X(close(other))                                        \
    X(stat(a, &st))                                        \
    X(access(a, R_OK | W_OK))                              \
    X(mkdir(d, 0755))                                      \
    X(link(a, b))                                          \
    X(symlink("b", l))                                     \
    X(readlink(l, big, sizeof(big)))                       \
    X(realpath(l, big) != NULL)                            \
    X(rename(l, p))                                        \
    X(chmod(a, 0644))                                      \
    X(utime(a, NULL))                                      \
    X(truncate(a, 65000))                                  \
    X(statvfs(a, &vfs))                                    \
    X((other = open(d, O_RDONLY | O_DIRECTORY)) >= 0)      \
    X(fchdir(other))                                       \
    X(getcwd(big, sizeof(big)) != NULL)                    \
    X(chdir("/"))                                          \
    X(close(other))                                        \
    X((dir = opendir(top)) != NULL)                        \
    X(entries())                                           \
    X(closedir(dir))                                       \
    X((file = fopen(b, "a")) != NULL)                      \
    X(fputs("text", file) >= 0)                            \
    X(fclose(file))                                        \
    X((other = open(b, O_RDONLY)) >= 0)                    \
    X(sendfile(fd, other, NULL, 100))                      \
    X(close(other))                                        \
    X(forked())                                            \
    X(spawned())                                           \
    X(system("exit 3"))                                    \
    X(signalled())                                         \
    X(unlink(a))                                           \
    X(pread(fd, data, 10, 0))                              \
    X(close(fd))                                           \
    X(unlink(b))                                           \
    X(unlink(p))                                           \
    X(rmdir(d))                                            \
    X(mkfifo(p, 0600))
/* clang-format on */

#define TEXT(call) #call,
static const char *const text[] = {STEPS(TEXT)};
static size_t now;
static long result;
static int error;

static void *step(void *unused)
{
    size_t i = 0;

    errno = 0;
#define CALL(call)                                                                                 \
    if (i++ == now)                                                                                \
        result = (long)(call);
    STEPS(CALL)
    error = errno;
    return unused;
}

static void *waits(void *unused)
{
    open(p, O_RDONLY); /* nobody writes */
    return unused;
}

/* With a page below it that must not be touched. */
static pthread_t start(size_t size, void *(*f)(void *))
{
    pthread_attr_t attr;
    pthread_t t;
    char *stack =
        mmap(NULL, PAGE + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    pthread_attr_init(&attr);
    if (stack == MAP_FAILED || mprotect(stack, PAGE, PROT_NONE) != 0 ||
        pthread_attr_setstack(&attr, stack + PAGE, size) != 0 ||
        pthread_create(&t, &attr, f, NULL) != 0) {
        perror("a small stack");
        exit(1);
    }
    return t;
}

int main(int argc, char **argv)
{
    void *value = NULL;

    top = argc > 1 ? argv[1] : ".";
    strcpy(a, in_top("a"));
    strcpy(b, in_top("b"));
    strcpy(d, in_top("d"));
    strcpy(l, in_top("l"));
    strcpy(p, in_top("p"));
    for (now = 0; now < sizeof(text) / sizeof(*text); now++) {
        pthread_join(start((size_t)sysconf(_SC_THREAD_STACK_MIN), step), NULL);
        errno = error;
        show_result(text[now], result, 0);
    }
    pthread_t t = start(32768, waits);
    usleep(100000); /* mostly it waits by then; either way it ends */
    pthread_cancel(t);
    pthread_join(t, &value);
    printf("cancelled: %d\n", value == PTHREAD_CANCELED);
    SHOW(unlink(p));
    return 0;
}
