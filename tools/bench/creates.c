/*
 * creates - makes small files as fast as it can:  creates DIR FILES PROCESSES [BYTES]
 *
 * Each process makes its share of FILES files of 4 KiB in a directory of its own below DIR and they
 * begin together; prints the seconds from then until all are published and the last one has ended.
 */
#include <jfspre.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char data[4096], path[4200];
static size_t bytes = sizeof(data);

static void must(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        _exit(1);
    }
}

static void make(const char *dir, int who, int n)
{
    snprintf(path, sizeof(path), "%s/%d", dir, who);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/%d/file%06d", dir, who, i);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        must(fd >= 0, path);
        must(bytes == 0 || write(fd, data, bytes) == (ssize_t)bytes, path);
        must(close(fd) == 0, path);
    }
    must(jfspre_flush() == 0, "flush");
}

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    int ready[2], go[2], status, bad = 0;
    char c = 0;

    if (argc < 4)
        return 2;
    if (argc > 4)
        bytes = strtoul(argv[4], NULL, 10);
    must(bytes <= sizeof(data), "BYTES");
    int files = atoi(argv[2]), processes = atoi(argv[3]);
    memset(data, 'x', sizeof(data));
    for (int p = 0; p < processes; p++) {
        snprintf(path, sizeof(path), "%s/%d", argv[1], p);
        must(mkdir(path, 0755) == 0, path);
    }
    if (processes == 1) { /* without a fork, for who counts instructions */
        double start = now();
        make(argv[1], 0, files);
        printf("%.6f\n", now() - start);
        return 0;
    }
    must(pipe(ready) == 0 && pipe(go) == 0, "pipe");
    for (int p = 0; p < processes; p++) {
        pid_t pid = fork();
        must(pid >= 0, "fork");
        if (pid == 0) {
            close(go[1]);
            make(argv[1], p, 1); /* connections and caches are there when it begins */
            snprintf(path, sizeof(path), "%s/%d/file%06d", argv[1], p, 0);
            must(unlink(path) == 0, path);
            must(write(ready[1], &c, 1) == 1, "write");
            must(read(go[0], &c, 1) == 0, "read");
            make(argv[1], p, files / processes);
            _exit(0);
        }
    }
    for (int p = 0; p < processes; p++)
        must(read(ready[0], &c, 1) == 1, "read");
    double start = now();
    close(go[1]);
    while (wait(&status) > 0)
        bad |= status;
    printf("%.6f\n", now() - start);
    return bad != 0;
}
