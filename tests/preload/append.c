/* O_APPEND between processes: no line is lost or torn.  And threads on one file. */
#include "t.h"

#include <pthread.h>

#define WRITERS 6
#define LINES   300

static void check(const char *path)
{
    int count[WRITERS] = {0}, torn = 0, misplaced = 0;
    char line[128];
    FILE *f = fopen(path, "r");

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        int who, n, end = 0;
        if (sscanf(line, "writer %d line %d of many%n", &who, &n, &end) != 2 || who < 0 ||
            who >= WRITERS || line[end] != '\n') {
            torn++;
            continue;
        }
        misplaced += n != count[who]++;
    }
    printf("%s: torn %d, out of order %d, lines", path, torn, misplaced);
    for (int i = 0; i < WRITERS; i++)
        printf(" %d", count[i]);
    printf("\n");
    fflush(stdout);
    if (f != NULL)
        fclose(f);
}

static int lines(int who, int fd)
{
    char line[128];
    for (int i = 0; i < LINES; i++) {
        int n = snprintf(line, sizeof(line), "writer %d line %d of many\n", who, i);
        if (write(fd, line, (size_t)n) != n)
            return 1;
    }
    return 0;
}

static void processes(int opened_before)
{
    const char *path = opened_before ? "inherited" : "separate";
    int fd = opened_before ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;
    pid_t pid[WRITERS];

    for (int i = 0; i < WRITERS; i++) {
        pid[i] = fork();
        if (pid[i] == 0) {
            int own = opened_before ? fd : open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
            int rc = lines(i, own);
            close(own);
            _exit(rc);
        }
    }
    for (int i = 0; i < WRITERS; i++)
        show_wait(path, pid[i]);
    if (opened_before)
        close(fd);
    check(path);
}

static void *thread_main(void *arg)
{
    int own = open("threads", O_WRONLY | O_CREAT | O_APPEND, 0644);
    int rc = lines((int)(intptr_t)arg, own);
    close(own);
    return (void *)(intptr_t)rc;
}

/* Threads that make, write, rename and remove files of their own at the same time. */
static void *busy_main(void *arg)
{
    intptr_t bad = 0;
    char name[32], other[32];
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "busy-%d-%d", (int)(intptr_t)arg, i);
        snprintf(other, sizeof(other), "done-%d-%d", (int)(intptr_t)arg, i);
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
        bad += fd < 0 || write(fd, name, strlen(name)) < 0 || close(fd) != 0 ||
               rename(name, other) != 0 || access(name, F_OK) == 0 || access(other, F_OK) != 0 ||
               (i % 2 == 0 && unlink(other) != 0);
    }
    return (void *)bad;
}

static void threads(void *(*run)(void *), const char *label)
{
    pthread_t t[WRITERS];
    for (intptr_t i = 0; i < WRITERS; i++)
        pthread_create(&t[i], NULL, run, (void *)i);
    for (int i = 0; i < WRITERS; i++) {
        void *rc;
        pthread_join(t[i], &rc);
        printf("%s %d: %d wrong\n", label, i, (int)(intptr_t)rc);
    }
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    processes(0);
    processes(1);
    threads(thread_main, "thread");
    check("threads");
    SHOW(mkdir("busy", 0755));
    SHOW(chdir("busy"));
    threads(busy_main, "busy thread");
    show_dir(".");
    return 0;
}
