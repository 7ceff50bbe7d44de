/*
 * jfspre.h - what a program may say to libjfspre.so when it is preloaded.
 *
 * Nothing is linked: each call looks whether the library is there (dlsym) and otherwise does the
 * same with libc, so a program built with this header runs with and without it.  C and C++.
 *
 *   cc $(pkg-config --cflags jfspre) x.c $(pkg-config --libs jfspre)
 */
#ifndef JFSPRE_H
#define JFSPRE_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* For the calls below: the library's function of that name into fn, or NULL. */
static inline void jfspre_find(const char *name, void *fn, size_t size)
{
    void *found = dlsym(NULL, name); /* RTLD_DEFAULT, which wants _GNU_SOURCE */
    memcpy(fn, &found, size);
}

/* Everything that was acknowledged to this process, and what it wrote to files that are still open,
 * is in the volume's store, and others see it.  0, or -1 and errno: something is not. */
static inline int jfspre_flush(void)
{
    int (*fn)(void);

    jfspre_find("jfspre_flush", &fn, sizeof fn);
    return fn != NULL ? fn() : 0;
}

/* Makes n empty files, names[i] as openat(dirfd, names[i], O_CREAT | O_EXCL, mode) takes it.  In a
 * volume a few hundred of them share a round trip.  All are tried: 0, or -1 and the errno of the
 * first that failed.  errors: NULL, or n numbers that become 0 or an errno. */
static inline int jfspre_create_many(int dirfd, const char *const *names, size_t n, mode_t mode,
                                     int *errors)
{
    int (*fn)(int, const char *const *, size_t, mode_t, int *);
    int first = 0;

    jfspre_find("jfspre_create_many", &fn, sizeof fn);
    if (fn != NULL)
        return fn(dirfd, names, n, mode, errors);
    for (size_t i = 0; i < n; i++) {
        int fd = openat(dirfd, names[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        int e = fd < 0 || close(fd) != 0 ? errno : 0;
        if (errors != NULL)
            errors[i] = e;
        if (first == 0)
            first = e;
    }
    if (first == 0)
        return 0;
    errno = first;
    return -1;
}

/* The same for unlinkat(dirfd, names[i], 0). */
static inline int jfspre_unlink_many(int dirfd, const char *const *names, size_t n, int *errors)
{
    int (*fn)(int, const char *const *, size_t, int *);
    int first = 0;

    jfspre_find("jfspre_unlink_many", &fn, sizeof fn);
    if (fn != NULL)
        return fn(dirfd, names, n, errors);
    for (size_t i = 0; i < n; i++) {
        int e = unlinkat(dirfd, names[i], 0) != 0 ? errno : 0;
        if (errors != NULL)
            errors[i] = e;
        if (first == 0)
            first = e;
    }
    if (first == 0)
        return 0;
    errno = first;
    return -1;
}

#ifdef __cplusplus
}
#endif

#endif
