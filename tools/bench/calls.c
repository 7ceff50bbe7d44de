/*
 * calls - makes one kind of libc call a hundred times and prints how many script calls the server
 * counted for each:  calls KIND DIR COUNTER-COMMAND
 *
 * The counter is a command line that prints `INFO commandstats`; it is run before and after,
 * without the preload.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIMES 100

static const char *dir, *counter;
static char path[4200], other[4200];

static const char *at(const char *prefix, int i)
{
    snprintf(path, sizeof(path), "%s/%s%d", dir, prefix, i);
    return path;
}

static void check(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static long count(void)
{
    char cmd[4200], line[512];
    long calls = 0;
    FILE *p;

    snprintf(cmd, sizeof(cmd), "env -u LD_PRELOAD %s", counter);
    p = popen(cmd, "r");
    check(p != NULL, "popen");
    while (fgets(line, sizeof(line), p) != NULL)
        if (strncmp(line, "cmdstat_evalsha:calls=", 22) == 0)
            calls = atol(line + 22);
    pclose(p);
    return calls;
}

/* Close-on-exec: what a child may write needs more care, and is not what is measured. */
static int fresh(const char *prefix, int i)
{
    int fd = open(at(prefix, i), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    check(fd >= 0, path);
    return fd;
}

/* what has to be there first: files, directories, open descriptors */
static int fd[TIMES];

static void prepare(const char *kind)
{
    static const char *const files[] = {"append-close", "open-close", "stat", "access", "chmod",
                                        "utimensat",    "rename",     "link", "unlink", "truncate"};
    for (size_t k = 0; k < sizeof(files) / sizeof(*files); k++)
        for (int i = 0; strcmp(kind, files[k]) == 0 && i < TIMES; i++) {
            fd[i] = fresh(kind, i);
            check(write(fd[i], "before", 6) == 6 && close(fd[i]) == 0, "prepare");
        }
    for (int i = 0; i < TIMES; i++)
        if (strcmp(kind, "rmdir") == 0)
            check(mkdir(at(kind, i), 0755) == 0, path);
        else if (strcmp(kind, "read") == 0 || strcmp(kind, "lseek") == 0 ||
                 strcmp(kind, "write") == 0 || strcmp(kind, "fstat") == 0 ||
                 strcmp(kind, "fsync") == 0) {
            fd[i] = fresh(kind, i);
            check(write(fd[i], "before", 6) == 6, "prepare");
        }
}

static int once(const char *kind, int i)
{
    struct stat st;
    char buf[16];
    int f;
    DIR *d;

    at(kind, i);
    snprintf(other, sizeof(other), "%s/%s-new%d", dir, kind, i);
    if (strcmp(kind, "mkdir") == 0)
        return mkdir(path, 0755);
    if (strcmp(kind, "symlink") == 0)
        return symlink("target", path);
    if (strcmp(kind, "create-close") == 0)
        return close(open(path, O_WRONLY | O_CREAT | O_EXCL, 0644));
    if (strcmp(kind, "write-close") == 0)
        return (f = open(path, O_WRONLY | O_CREAT, 0644)) < 0 || write(f, "x", 1) != 1 ||
               close(f) != 0;
    if (strcmp(kind, "append-close") == 0)
        return (f = open(path, O_WRONLY | O_APPEND)) < 0 || write(f, "x", 1) != 1 || close(f) != 0;
    if (strcmp(kind, "open-close") == 0)
        return close(open(path, O_RDONLY));
    if (strcmp(kind, "read") == 0)
        return pread(fd[i], buf, 6, 0) != 6;
    if (strcmp(kind, "lseek") == 0)
        return lseek(fd[i], 3, SEEK_SET) != 3;
    if (strcmp(kind, "write") == 0)
        return write(fd[i], "more", 4) != 4;
    if (strcmp(kind, "fstat") == 0)
        return fstat(fd[i], &st);
    if (strcmp(kind, "fsync") == 0)
        return fsync(fd[i]);
    if (strcmp(kind, "stat") == 0)
        return stat(path, &st);
    if (strcmp(kind, "access") == 0)
        return access(path, R_OK);
    if (strcmp(kind, "chmod") == 0)
        return chmod(path, 0600);
    if (strcmp(kind, "utimensat") == 0)
        return utimensat(AT_FDCWD, path, (struct timespec[2]){{1, 1}, {2, 2}}, 0);
    if (strcmp(kind, "rename") == 0)
        return rename(path, other);
    if (strcmp(kind, "link") == 0)
        return link(path, other);
    if (strcmp(kind, "unlink") == 0)
        return unlink(path);
    if (strcmp(kind, "rmdir") == 0)
        return rmdir(path);
    if (strcmp(kind, "truncate") == 0)
        return truncate(path, 3);
    if (strcmp(kind, "readdir") == 0) {
        if ((d = opendir(dir)) == NULL)
            return -1;
        while (readdir(d) != NULL)
            ;
        return closedir(d);
    }
    fprintf(stderr, "no such kind: %s\n", kind);
    exit(2);
}

int main(int argc, char **argv)
{
    long before, after;

    if (argc != 4)
        return 2;
    dir = argv[2];
    counter = argv[3];
    prepare(argv[1]);
    before = count();
    for (int i = 0; i < TIMES; i++)
        check(once(argv[1], i) == 0, argv[1]);
    after = count();
    printf("%.2f\n", (double)(after - before) / TIMES);
    return 0;
}
