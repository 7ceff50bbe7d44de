/*
 * shared.c - see shared.h.
 */
#include "core/base/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int back(int fd, size_t from, size_t to)
{
    int rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from));
    return rc == 0 || errno == EOPNOTSUPP ? 0 : -errno;
}

static int lock_file(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    while (fcntl(fd, F_OFD_SETLKW, &whole) != 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int shared_map(const char *path, size_t bytes, size_t backed, int (*lay_out)(void *at, void *ctx),
               void *ctx, void **out)
{
    struct stat sb;
    void *at = MAP_FAILED;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return -errno;
    int rc = lock_file(fd);
    if (rc == 0 && fstat(fd, &sb) != 0)
        rc = -errno;
    if (rc == 0 && (size_t)sb.st_size < bytes && ftruncate(fd, (off_t)bytes) != 0)
        rc = -errno;
    if (rc == 0 && (size_t)sb.st_blocks * 512 < backed)
        rc = back(fd, 0, backed);
    if (rc == 0) {
        at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        rc = at == MAP_FAILED ? -errno : lay_out(at, ctx);
    }
    if (rc < 0 && at != MAP_FAILED)
        munmap(at, bytes);
    /* The mapping keeps the open file alive, and so would it this lock. */
    struct flock none = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    fcntl(fd, F_OFD_SETLK, &none);
    close(fd);
    if (rc == 0)
        *out = at;
    return rc;
}

int shared_back(const char *path, void *at, size_t from, size_t to)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    int rc = fd >= 0 ? back(fd, from, to) : -errno;
    if (fd >= 0)
        close(fd);
    if (rc == 0) /* cheaper than a fault a page; where it is not known, those */
        madvise((char *)at + from, to - from, MADV_POPULATE_WRITE);
    return rc;
}

void shared_mutex_init(pthread_mutex_t *m)
{
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(m, &a);
    pthread_mutexattr_destroy(&a);
}

int shared_taken(pthread_mutex_t *m, int rc)
{
    if (rc != EOWNERDEAD)
        return -rc;
    pthread_mutex_consistent(m);
    return 1;
}

int shared_lock_for(pthread_mutex_t *m, unsigned ms)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += ms / 1000;
    end.tv_nsec += (long)(ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    return shared_taken(m, pthread_mutex_timedlock(m, &end));
}
