/* Handlers that work in the directory, at any moment of the program's own work there. */
#include "t.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define FILES 300

static volatile sig_atomic_t rounds, failures, failed_with;
static char busy[PATH_MAX];

/* The kernel's own, as programs without libc's have it. */
struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

/* Once: the next one is asked for when a handler has ended, or the work would never go on. */
static void start_timer(long us)
{
    struct itimerval once = {{0, 0}, {0, us}};
    setitimer(ITIMER_REAL, &once, NULL);
}

static void work(int sig)
{
    int keep = errno, fd = open(busy, O_RDWR | O_CREAT | O_APPEND, 0644);

    (void)sig;
    if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) != 0) {
        failures++;
        failed_with = errno;
    }
    rounds++;
    start_timer(rounds % 20 * 17 + 50);
    errno = keep;
}

static void files(const char *kind)
{
    char path[PATH_MAX];
    int bad = 0;

    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof(path), "%s%d", kind, i);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
        bad += fd < 0 || write(fd, "data", 4) != 4 || close(fd) != 0;
    }
    printf("%s: %d bad\n", kind, bad);
}

int main(int argc, char **argv)
{
    static const char *const kinds[] = {"signal", "sigaction", "raw"};
    struct sigaction act = {.sa_handler = work, .sa_flags = SA_RESTART};
    struct sigaction now;
    struct stat st;

    begin(argc, argv);
    snprintf(busy, sizeof(busy), "%s", in_top("busy"));
    files("before");
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (i == 0) {
                signal(SIGALRM, work);
            } else if (i == 1) {
                sigaction(SIGALRM, &act, NULL);
            } else {
                /* libc's restorer, as its own call has it */
                sigaction(SIGALRM, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
                struct kernel_action k, old;
                syscall(SYS_rt_sigaction, SIGALRM, NULL, &old, 8);
                k = old;
                k.handler = work;
                k.flags |= SA_RESTART;
                syscall(SYS_rt_sigaction, SIGALRM, &k, NULL, 8);
            }
            SHOW(sigaction(SIGALRM, NULL, &now));
            printf("ours: %d\n", now.sa_handler == work);
            start_timer(300);
            files(kinds[i]);
            for (int wait = 0; rounds < 50 && wait < 2000; wait++)
                usleep(1000);
            start_timer(0);
            printf("handlers: %s, %d failures, %s\n", rounds >= 50 ? "enough" : "few",
                   (int)failures, strerrorname_np(failed_with));
            SHOW(stat(busy, &st));
            printf("each one's byte: %d\n", st.st_size == rounds);
            SHOW(unlink(busy));
            fflush(stdout);
            _exit(0);
        }
        waitpid(pid, NULL, 0);
    }
    return 0;
}
