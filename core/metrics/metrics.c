/*
 * metrics.c - the shared file behind the counters; see metrics.h.
 */
#include "core/metrics/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* "jfsmet" and the layout */
#define MAGIC (UINT64_C(0x6a66736d65740000) | sizeof(struct metrics))

static bool path_of(const char *dir, char out[PATH_MAX])
{
    return (size_t)snprintf(out, PATH_MAX, "%s/metrics", dir) < PATH_MAX;
}

/* The file, its room taken: a page without would be SIGBUS in the program.  -1: not to be had. */
static int open_file(const char *path)
{
    struct stat sb;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd >= 0 && fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode) && sb.st_uid == geteuid() &&
        fallocate(fd, 0, 0, sizeof(struct metrics)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* *other: it is there, but of another version. */
static struct metrics *map_file(const char *path, bool *other)
{
    int fd = open_file(path);
    struct metrics *m;
    uint64_t none = 0;

    *other = false;
    if (fd < 0)
        return NULL;
    m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (m == MAP_FAILED)
        return NULL;
    if (__atomic_compare_exchange_n(&m->magic, &none, MAGIC, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED) ||
        none == MAGIC)
        return m;
    munmap(m, sizeof *m);
    *other = true;
    return NULL;
}

void metrics_open(const char *dir, struct metrics **out)
{
    char path[PATH_MAX];
    bool other = false;

    *out = NULL;
    if (path_of(dir, path)) {
        *out = map_file(path, &other);
        if (other && unlink(path) == 0) /* who has it mapped goes on counting there */
            *out = map_file(path, &other);
    }
    if (*out != NULL)
        return;
    *out = mmap(NULL, sizeof **out, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (*out == MAP_FAILED)
        *out = NULL;
}

void metrics_close(struct metrics *m)
{
    if (m != NULL)
        munmap(m, sizeof *m);
}

int metrics_read(const char *dir, struct metrics_counts *out)
{
    char path[PATH_MAX];
    struct metrics m;

    memset(out, 0, sizeof *out);
    if (!path_of(dir, path))
        return -ENAMETOOLONG;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    ssize_t n = pread(fd, &m, sizeof m, 0);
    int rc = n < 0 ? -errno : 0;
    close(fd);
    if (rc < 0)
        return rc;
    if ((size_t)n != sizeof m || m.magic != MAGIC)
        return -EINVAL;
    *out = m.c;
    if (out->depth > INT64_MAX)
        out->depth = 0;
    return 0;
}

/* --- histograms ------------------------------------------------------------------------------- */

uint64_t metrics_size_bound(size_t i)
{
    static const uint64_t bounds[METRICS_SIZE_BUCKETS - 1] = {1, 10, 50, 100, 250, 512, 1000};

    return i < METRICS_SIZE_BUCKETS - 1 ? bounds[i] : UINT64_MAX;
}

uint64_t metrics_time_bound_usec(size_t i)
{
    return i < METRICS_TIME_BUCKETS - 1 ? UINT64_C(100) << i : UINT64_MAX;
}

void metrics_batch(struct metrics *m, uint64_t ops, uint64_t usec)
{
    size_t size = 0, time = 0;

    if (m == NULL)
        return;
    while (ops > metrics_size_bound(size))
        size++;
    while (usec > metrics_time_bound_usec(time))
        time++;
    metrics_add(&m->c.batch_ops[size], 1);
    metrics_add(&m->c.batch_ops_sum, ops);
    metrics_add(&m->c.drain_time[time], 1);
    metrics_add(&m->c.drain_usec_sum, usec);
}
