/*
 * wrap_tell.c - calls by which processes tell each other something: sockets, signals, semaphores,
 * message queues, locks, the end of a child.  They are the kernel's; what they could tell of is in
 * the store before (tell.h), and what comes in by them ends what was believed.
 */
#include "core/base/process.h"
#include "preload/preload.h"

#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <syslog.h>

/* TELL: goes out when `when`.  HEAR: came in when `when`, which sees rc.  A descriptor without a
 * look at its kind: a call that works only on sockets knows it. */
/* clang-format off */
#define TELL(ret, name, params, args, when)   \
    EXPORT ret name params                    \
    {                                         \
        if (tell_pending() && (when))         \
            tell_now();                       \
        return REAL(name) args;               \
    }
#define HEAR(ret, name, params, args, when)   \
    EXPORT ret name params                    \
    {                                         \
        ret rc = REAL(name) args;             \
        if (when)                             \
            heard();                          \
        return rc;                            \
    }
#define BOTH(ret, name, params, args, when)   \
    EXPORT ret name params                    \
    {                                         \
        if (tell_pending() && (when))         \
            tell_now();                       \
        ret rc = REAL(name) args;             \
        if (rc >= 0 && (when))                \
            heard();                          \
        return rc;                            \
    }

/* --- sockets ---------------------------------------------------------------------------------- */

TELL(ssize_t, send, (int fd, const void *buf, size_t len, int flags), (fd, buf, len, flags), true)
TELL(ssize_t, sendto, (int fd, const void *buf, size_t len, int flags, const struct sockaddr *to, socklen_t n),
     (fd, buf, len, flags, to, n), true)
TELL(int, sendmmsg, (int fd, struct mmsghdr *m, unsigned n, int flags), (fd, m, n, flags), true)
TELL(int, shutdown, (int fd, int how), (fd, how), how != SHUT_RD)

HEAR(ssize_t, recv, (int fd, void *buf, size_t len, int flags), (fd, buf, len, flags), rc >= 0)
HEAR(ssize_t, recvfrom, (int fd, void *buf, size_t len, int flags, struct sockaddr *from, socklen_t *n),
     (fd, buf, len, flags, from, n), rc >= 0)
HEAR(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags), rc >= 0)
HEAR(int, recvmmsg, (int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t),
     (fd, m, n, flags, t), rc >= 0)
HEAR(ssize_t, __recv_chk, (int fd, void *buf, size_t len, size_t size, int flags),
     (fd, buf, len, size, flags), rc >= 0)
HEAR(ssize_t, __recvfrom_chk, (int fd, void *buf, size_t len, size_t size, int flags, struct sockaddr *from,
     socklen_t *n), (fd, buf, len, size, flags, from, n), rc >= 0)

/* --- signals ---------------------------------------------------------------------------------- */

/* 0 only asks whether somebody is there. */
#define TO_OTHERS(pid, sig) ((sig) != 0 && (pid) != process_id())

TELL(int, kill, (pid_t pid, int sig), (pid, sig), TO_OTHERS(pid, sig))
TELL(int, killpg, (pid_t group, int sig), (group, sig), sig != 0)
TELL(int, tgkill, (pid_t pid, pid_t tid, int sig), (pid, tid, sig), TO_OTHERS(pid, sig))
TELL(int, sigqueue, (pid_t pid, int sig, const union sigval val), (pid, sig, val), TO_OTHERS(pid, sig))
TELL(int, pidfd_send_signal, (int fd, int sig, siginfo_t *info, unsigned flags), (fd, sig, info, flags), sig != 0)

/* --- semaphores and messages ------------------------------------------------------------------ */

/* glibc keeps the flag for futex(2) behind the count: 0 when only threads of one process wait. */
#define IS_SHARED(sem) (((const int *)(sem))[2] != 0)

TELL(int, sem_post, (sem_t *sem), (sem), IS_SHARED(sem))
HEAR(int, sem_wait, (sem_t *sem), (sem), rc == 0 && IS_SHARED(sem))
HEAR(int, sem_trywait, (sem_t *sem), (sem), rc == 0 && IS_SHARED(sem))
HEAR(int, sem_timedwait, (sem_t *sem, const struct timespec *t), (sem, t), rc == 0 && IS_SHARED(sem))
HEAR(int, sem_clockwait, (sem_t *sem, clockid_t clock, const struct timespec *t), (sem, clock, t),
     rc == 0 && IS_SHARED(sem))

TELL(int, mq_send, (mqd_t q, const char *buf, size_t len, unsigned prio), (q, buf, len, prio), true)
TELL(int, mq_timedsend, (mqd_t q, const char *buf, size_t len, unsigned prio, const struct timespec *t),
     (q, buf, len, prio, t), true)
HEAR(ssize_t, mq_receive, (mqd_t q, char *buf, size_t len, unsigned *prio), (q, buf, len, prio), rc >= 0)
HEAR(ssize_t, mq_timedreceive, (mqd_t q, char *buf, size_t len, unsigned *prio, const struct timespec *t),
     (q, buf, len, prio, t), rc >= 0)
TELL(int, msgsnd, (int q, const void *msg, size_t len, int flags), (q, msg, len, flags), true)
HEAR(ssize_t, msgrcv, (int q, void *msg, size_t len, long type, int flags), (q, msg, len, type, flags), rc >= 0)
BOTH(int, semop, (int set, struct sembuf *op, size_t n), (set, op, n), true)
BOTH(int, semtimedop, (int set, struct sembuf *op, size_t n, const struct timespec *t), (set, op, n, t), true)

/* --- the end of children ---------------------------------------------------------------------- */

HEAR(pid_t, wait, (int *status), (status), rc > 0)
HEAR(pid_t, waitpid, (pid_t pid, int *status, int flags), (pid, status, flags), rc > 0)
HEAR(pid_t, wait3, (int *status, int flags, struct rusage *use), (status, flags, use), rc > 0)
HEAR(pid_t, wait4, (pid_t pid, int *status, int flags, struct rusage *use), (pid, status, flags, use), rc > 0)
HEAR(int, waitid, (idtype_t type, id_t id, siginfo_t *info, int flags), (type, id, info, flags), rc == 0)
/* clang-format on */

/* --- the system's log, which libc sends to inside itself -------------------------------------- */

EXPORT void vsyslog(int priority, const char *format, va_list ap)
{
    tell_others();
    REAL(vsyslog)(priority, format, ap);
}

EXPORT void syslog(int priority, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsyslog(priority, format, ap);
    va_end(ap);
}

EXPORT void __vsyslog_chk(int priority, int flag, const char *format, va_list ap)
{
    tell_others();
    REAL(__vsyslog_chk)(priority, flag, format, ap);
}

EXPORT void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    __vsyslog_chk(priority, flag, format, ap);
    va_end(ap);
}
