/* Files that nobody closed: what is in them after every way to end a process. */
#include "t.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

/* One way to end; each has a file by descriptor, one by a stream and one by a mapping. */
static void leave(const char *label, void (*end)(void), int standard)
{
    char name[64], *p;

    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        snprintf(name, sizeof(name), "%s-fd", label);
        /* Appended: a new file that a killed process was writing is set aside instead. */
        int fd = open(name, O_WRONLY | O_CREAT | O_APPEND, 0644);
        if (write(fd, "by descriptor\n", 14) != 14)
            _exit(90);
        snprintf(name, sizeof(name), "%s-stream", label);
        FILE *f = fopen(name, "w");
        fprintf(f, "by stream\n");
        snprintf(name, sizeof(name), "%s-map", label);
        int map = open(name, O_RDWR | O_CREAT, 0644);
        if (ftruncate(map, 8192) != 0)
            _exit(91);
        p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
        close(map);
        memcpy(p + 4094, "mapped", 6);
        if (standard) {
            snprintf(name, sizeof(name), "%s-standard", label);
            int out = open(name, O_WRONLY | O_CREAT, 0644);
            dup2(out, 1);
            close(out);
            printf("by standard output\n");
        }
        end();
        _exit(92);
    }
    show_wait(label, pid);
    snprintf(name, sizeof(name), "%s-fd", label);
    show_file(name);
    snprintf(name, sizeof(name), "%s-stream", label);
    show_file(name);
    snprintf(name, sizeof(name), "%s-map", label);
    show_digest(name);
    snprintf(name, sizeof(name), "%s-standard", label);
    if (standard)
        show_file(name);
}

static void by_exit(void)
{
    exit(3);
}

static void by_underscore(void)
{
    _exit(4);
}

static void by_quick(void)
{
    quick_exit(5);
}

static void by_abort(void)
{
    abort();
}

static void by_failed_exec(void)
{
    execl("absent", "absent", (char *)NULL);
    _exit(6);
}

static void by_exec(void)
{
    fflush(NULL);
    execl("/bin/true", "true", (char *)NULL);
}

static void *thread_exit(void *unused)
{
    exit(7);
}

static void *thread_read(void *arg)
{
    char c;
    flockfile(stdin); /* held for ever, as by a reader that waits */
    return read(*(int *)arg, &c, 1) < 0 ? arg : NULL;
}

static void by_thread(void)
{
    static int p[2];
    pthread_t t[2];

    if (pipe(p) != 0 || pthread_create(&t[0], NULL, thread_read, &p[0]) != 0 ||
        pthread_create(&t[1], NULL, thread_exit, NULL) != 0)
        _exit(93);
    pthread_join(t[0], NULL);
}

static void at_end(void)
{
    put_file("by-atexit", "written by a function of atexit\n");
}

static void by_atexit(void)
{
    atexit(at_end);
    exit(8);
}

/* A child that inherits a stream's unwritten bytes and exits writes them too, as always. */
static void inherited_stream(void)
{
    FILE *f = fopen("stream", "w");

    fprintf(f, "once or twice\n");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    show_wait("_exit", pid);
    fflush(f);
    pid = fork();
    if (pid == 0) {
        fprintf(f, "by the child\n");
        exit(0);
    }
    show_wait("exit", pid);
    fprintf(f, "by the parent\n");
    SHOW(fclose(f));
    show_file("stream");
}

/* Standard output by opening the lowest number. */
static void lowest_number(void)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(1);
        printf("on %d\n", open("low", O_WRONLY | O_CREAT, 0644));
        exit(0);
    }
    show_wait("low", pid);
    show_file("low");
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    leave("exit", by_exit, 1);
    leave("underscore", by_underscore, 1);
    leave("quick", by_quick, 0);
    leave("abort", by_abort, 0);
    leave("failed", by_failed_exec, 0);
    leave("exec", by_exec, 1);
    leave("thread", by_thread, 0);
    leave("atexit", by_atexit, 0);
    show_file("by-atexit");
    inherited_stream();
    lowest_number();
    return 0;
}
