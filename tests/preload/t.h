/*
 * t - what the programs of this folder print with.
 *
 * A program gets a directory, works in it and prints what every call returned: on a plain directory
 * and on the volume the output must be the same, so nothing that a machine chooses (descriptor and
 * inode numbers, times, the directory's own path) may be printed.
 */
#ifndef JFSPRE_TESTS_PRELOAD_T_H
#define JFSPRE_TESTS_PRELOAD_T_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

static const char *top; /* the directory to work in */

/* Value of a call, or the name of its error. */
#define SHOW(call)                                                                                 \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long rc_ = (long)(call);                                                                   \
        show_result(#call, rc_, 0);                                                                \
    } while (0)

/* The same for a call that makes a descriptor: its number is not printed. */
#define FD(var, call) FD_AS(var, call, #call)
#define FD_AS(var, call, text)                                                                     \
    do {                                                                                           \
        errno = 0;                                                                                 \
        var = (call);                                                                              \
        show_result(text, var, 1);                                                                 \
    } while (0)

/* Makes a descriptor and closes it. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        int fd_;                                                                                   \
        FD_AS(fd_, call, #call);                                                                   \
        if (fd_ >= 0)                                                                              \
            close(fd_);                                                                            \
    } while (0)

/* Flushed at once: children of the program print too. */
static UNUSED void show_result(const char *what, long rc, int is_fd)
{
    int e = errno;
    if (rc == -1)
        printf("%s = -1 %s\n", what, e != 0 ? strerrorname_np(e) : "?");
    else if (is_fd)
        printf("%s = fd\n", what);
    else
        printf("%s = %ld\n", what, rc);
    fflush(stdout);
}

/* "TOP/x" for a path below the directory. */
static UNUSED const char *rel(const char *path)
{
    static char out[4][PATH_MAX + 8];
    static unsigned next;
    char *o = out[next++ % 4];
    if (path == NULL)
        return strerrorname_np(errno);
    if (strncmp(path, top, strlen(top)) == 0)
        snprintf(o, sizeof(out[0]), "TOP%s", path + strlen(top));
    else
        snprintf(o, sizeof(out[0]), "%s", path);
    return o;
}

/* The absolute path of a name in the directory; eight live at a time. */
static UNUSED const char *in_top(const char *name)
{
    static char out[8][PATH_MAX * 2];
    static unsigned next;
    char *o = out[next++ % 8];
    snprintf(o, sizeof(out[0]), "%s/%s", top, name);
    return o;
}

static UNUSED void put_escaped(const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++)
        printf(p[i] >= ' ' && p[i] < 127 && p[i] != '"' && p[i] != '\\' ? "%c" : "\\x%02x", p[i]);
}

static UNUSED void show_bytes(const char *label, const void *data, ssize_t n)
{
    printf("%s (%zd) \"", label, n);
    put_escaped(data, n > 0 ? (size_t)n : 0);
    printf("\"\n");
    fflush(stdout);
}

static UNUSED char kind_of(mode_t mode)
{
    return S_ISREG(mode)    ? '-'
           : S_ISDIR(mode)  ? 'd'
           : S_ISLNK(mode)  ? 'l'
           : S_ISFIFO(mode) ? 'p'
           : S_ISSOCK(mode) ? 's'
           : S_ISCHR(mode)  ? 'c'
           : S_ISBLK(mode)  ? 'b'
                            : '?';
}

static UNUSED void show_st(const char *label, const struct stat *st)
{
    printf("%s: %c%04o links %lu owner %u:%u", label, kind_of(st->st_mode), st->st_mode & 07777,
           (unsigned long)st->st_nlink, st->st_uid, st->st_gid);
    if (!S_ISDIR(st->st_mode))
        printf(" size %lld", (long long)st->st_size);
    printf("\n");
    fflush(stdout);
}

static UNUSED void show_stat(const char *path) /* of the name itself */
{
    struct stat st;
    if (lstat(path, &st) == 0)
        show_st(rel(path), &st);
    else
        printf("%s: %s\n", rel(path), strerrorname_np(errno));
    fflush(stdout);
}

static UNUSED void show_fstat(const char *label, int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0)
        show_st(label, &st);
    else
        printf("%s: %s\n", label, strerrorname_np(errno));
    fflush(stdout);
}

static UNUSED void put_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd) != 0)
        printf("put_file(%s) failed: %s\n", rel(path), strerrorname_np(errno));
}

static UNUSED void show_file(const char *path)
{
    char buf[4096];
    int fd = open(path, O_RDONLY);
    if (fd < 0) {
        printf("%s: %s\n", rel(path), strerrorname_np(errno));
        return;
    }
    show_bytes(rel(path), buf, read(fd, buf, sizeof(buf)));
    close(fd);
}

static UNUSED int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The sorted names of a directory with their types. */
static UNUSED void show_dir(const char *path)
{
    char *names[512], line[300];
    size_t n = 0;
    DIR *d = opendir(path);
    if (d == NULL) {
        printf("%s/: %s\n", rel(path), strerrorname_np(errno));
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL && n < 512;) {
        snprintf(line, sizeof(line), "%s%c", e->d_name, kind_of(DTTOIF(e->d_type)));
        names[n++] = strdup(line);
    }
    closedir(d);
    qsort(names, n, sizeof(*names), by_text);
    printf("%s/:", rel(path));
    for (size_t i = 0; i < n; i++) {
        printf(" ");
        put_escaped(names[i], strlen(names[i]));
        free(names[i]);
    }
    printf("\n");
    fflush(stdout);
}

/* FNV-1a of the whole file and its length: big files need not be printed. */
static UNUSED void show_digest(const char *path)
{
    static unsigned char buf[1 << 16];
    uint64_t h = UINT64_C(0xcbf29ce484222325), total = 0;
    int fd = open(path, O_RDONLY);
    ssize_t n = -1;
    while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0) {
        total += (uint64_t)n;
        for (ssize_t i = 0; i < n; i++)
            h = (h ^ buf[i]) * UINT64_C(0x100000001b3);
    }
    if (n < 0)
        printf("%s: %s\n", rel(path), strerrorname_np(errno));
    else
        printf("%s: %llu bytes, digest %016llx\n", rel(path), (unsigned long long)total,
               (unsigned long long)h);
    fflush(stdout);
    if (fd >= 0)
        close(fd);
}

/* Waits for a child; prints how it ended. */
static UNUSED void show_wait(const char *label, pid_t pid)
{
    int status = 0;
    if (waitpid(pid, &status, 0) != pid)
        printf("%s: waitpid %s\n", label, strerrorname_np(errno));
    else if (WIFEXITED(status))
        printf("%s: exit %d\n", label, WEXITSTATUS(status));
    else
        printf("%s: signal %d\n", label, WTERMSIG(status));
    fflush(stdout);
}

/* begin(argc, argv): enters the directory. */
static UNUSED void begin(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s DIR\n", argv[0]);
        exit(2);
    }
    top = argv[1];
    umask(022);
    if (chdir(top) != 0) {
        perror(top);
        exit(2);
    }
}

#endif
