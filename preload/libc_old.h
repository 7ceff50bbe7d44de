/*
 * libc_old - prototypes of names that libc exports and its headers hide: the stat family as
 * programs built before glibc 2.33 call it, and the entries behind _FORTIFY_SOURCE.
 */
#ifndef JFSPRE_PRELOAD_LIBC_OLD_H
#define JFSPRE_PRELOAD_LIBC_OLD_H

#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct sockaddr;

int __xstat(int ver, const char *path, struct stat *st);
int __lxstat(int ver, const char *path, struct stat *st);
int __fxstat(int ver, int fd, struct stat *st);
int __fxstatat(int ver, int dir, const char *path, struct stat *st, int flags);
int __xmknod(int ver, const char *path, mode_t mode, dev_t *dev);
int __xmknodat(int ver, int dir, const char *path, mode_t mode, dev_t *dev);

int __open_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);
ssize_t __pread_chk(int fd, void *buf, size_t len, off_t off, size_t size);
ssize_t __readlink_chk(const char *path, char *buf, size_t len, size_t size);
ssize_t __readlinkat_chk(int dir, const char *path, char *buf, size_t len, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t size, int flags, struct sockaddr *from,
                       unsigned *n);
int pidfd_send_signal(int fd, int sig, siginfo_t *info, unsigned flags); /* before its header */
void __syslog_chk(int priority, int flag, const char *format, ...);
void __vsyslog_chk(int priority, int flag, const char *format, va_list ap);
int __dprintf_chk(int fd, int flag, const char *format, ...);
int __vdprintf_chk(int fd, int flag, const char *format, va_list ap);
char *__realpath_chk(const char *path, char *buf, size_t size);
char *__getcwd_chk(char *buf, size_t len, size_t size);
char *__getwd_chk(char *buf, size_t size);

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *stack_end);
/* Ends the process with libc's "buffer overflow detected". */
void __chk_fail(void) __attribute__((noreturn));
void __fortify_fail(const char *msg) __attribute__((noreturn));

#endif
