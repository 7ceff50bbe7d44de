/*
 * wrap_unseen.c - calls of libc that write to a descriptor, or lend it, by calls of their own: the
 * file is made ready for such use before.
 */
#include "preload/preload.h"

#include <aio.h>
#include <execinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

SLOW int ready_for(int fd)
{
    struct vfs_fd f;
    struct call c;

    if (guard_inside() || !fdtab_get(fd, &f))
        return 0;
    call_begin(&c);
    if (c.v != NULL)
        vfs_direct(c.v, fd, &f, VFS_USE_DIRECT);
    call_end(&c);
    return 0;
}

EXPORT int vdprintf(int fd, const char *format, va_list ap)
{
    if (fdtab_may(fd))
        ROOM(ready_for, fd);
    return REAL(vdprintf)(fd, format, ap);
}

EXPORT int __vdprintf_chk(int fd, int flag, const char *format, va_list ap)
{
    if (fdtab_may(fd))
        ROOM(ready_for, fd);
    return REAL(__vdprintf_chk)(fd, flag, format, ap);
}

EXPORT int dprintf(int fd, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    int rc = vdprintf(fd, format, ap);
    va_end(ap);
    return rc;
}

EXPORT int __dprintf_chk(int fd, int flag, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    int rc = __vdprintf_chk(fd, flag, format, ap);
    va_end(ap);
    return rc;
}

EXPORT void backtrace_symbols_fd(void *const *buffer, int size, int fd)
{
    if (fdtab_may(fd))
        ROOM(ready_for, fd);
    REAL(backtrace_symbols_fd)(buffer, size, fd);
}

EXPORT int aio_write(struct aiocb *cb)
{
    if (fdtab_may(cb->aio_fildes))
        ROOM(ready_for, cb->aio_fildes);
    return REAL(aio_write)(cb);
}

EXPORT int aio_read(struct aiocb *cb)
{
    if (fdtab_may(cb->aio_fildes))
        ROOM(ready_for, cb->aio_fildes);
    return REAL(aio_read)(cb);
}

/* Descriptors that go to another process. */
static void lend(const struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL;
         c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(0))
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
            if (fdtab_may(fd))
                ROOM(ready_for, fd);
        }
    }
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    if (atomic_load(&fdtab_any) && !guard_inside() && msg != NULL && msg->msg_controllen > 0)
        lend(msg);
    if (tell_pending())
        tell_now();
    return REAL(sendmsg)(fd, msg, flags);
}
