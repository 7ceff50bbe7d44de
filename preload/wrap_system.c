/*
 * wrap_system.c - system, popen and pclose.
 *
 * libc runs /bin/sh inside itself with `environ`.  That is enough while `environ` already says
 * everything that a child must know; otherwise the same is done here with an environment completed
 * for the child alone (putenv would change what the program sees of itself).
 */
#include "preload/exec.h"
#include "preload/popen.h"
#include "preload/preload.h"
#include "preload/streams.h"

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* everything below */

static int run_shell(pid_t *pid, const char *cmd, const posix_spawn_file_actions_t *fa,
                     const posix_spawnattr_t *attr, char *const envp[])
{
    const char *argv[] = {"sh", "-c", cmd, NULL};

    return REAL(posix_spawn)(pid, "/bin/sh", fa, attr, (char *const *)(uintptr_t)argv, envp);
}

/* --- system ----------------------------------------------------------------------------------- */

/* The first of several threads ignores the signals, the last one restores them. */
static int waiting;
static struct sigaction was_int, was_quit;

static void ignore_signals(sigset_t *mask)
{
    struct sigaction ign = {.sa_handler = SIG_IGN};
    sigset_t chld;

    pthread_mutex_lock(&lock);
    if (waiting++ == 0) {
        sigaction(SIGINT, &ign, &was_int);
        sigaction(SIGQUIT, &ign, &was_quit);
    }
    pthread_mutex_unlock(&lock);
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &chld, mask);
}

static void restore_signals(const sigset_t *mask)
{
    pthread_mutex_lock(&lock);
    if (--waiting == 0) {
        sigaction(SIGINT, &was_int, NULL);
        sigaction(SIGQUIT, &was_quit, NULL);
    }
    pthread_mutex_unlock(&lock);
    pthread_sigmask(SIG_SETMASK, mask, NULL);
}

struct shell {
    pid_t pid;
    sigset_t mask;
};

/* The caller is cancelled while it waits. */
static void cancelled(void *arg)
{
    struct shell *sh = arg;

    kill(sh->pid, SIGKILL);
    waitpid(sh->pid, NULL, 0);
    restore_signals(&sh->mask);
}

static int system_with(const char *cmd, char *const envp[])
{
    posix_spawnattr_t attr;
    struct shell sh;
    sigset_t dfl;
    int status = -1;

    ignore_signals(&sh.mask);
    sigemptyset(&dfl);
    if (was_int.sa_handler != SIG_IGN)
        sigaddset(&dfl, SIGINT);
    if (was_quit.sa_handler != SIG_IGN)
        sigaddset(&dfl, SIGQUIT);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &sh.mask);
    posix_spawnattr_setsigdefault(&attr, &dfl);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    int rc = run_shell(&sh.pid, cmd, NULL, &attr, envp);
    posix_spawnattr_destroy(&attr);
    if (rc == 0) {
        pthread_cleanup_push(cancelled, &sh);
        while (waitpid(sh.pid, &status, 0) != sh.pid)
            if (errno != EINTR) {
                status = -1;
                break;
            }
        pthread_cleanup_pop(0);
    } else {
        status = W_EXITCODE(127, 0); /* "as if the shell had called exit(127)" */
    }
    restore_signals(&sh.mask);
    if (rc != 0)
        errno = rc;
    return status;
}

SLOW int system_ours(const char *cmd)
{
    struct exec x;

    if (cmd == NULL || guard_inside())
        return REAL(system)(cmd);
    int rc = exec_begin(&x, environ, EXEC_SPAWNS);
    if (rc == 0)
        rc = x.env.envp == environ ? REAL(system)(cmd) : system_with(cmd, x.env.envp);
    else
        rc = (int)to_libc(rc);
    exec_end(&x);
    heard();
    return rc;
}

EXPORT int system(const char *cmd)
{
    return ROOM(system_ours, cmd);
}

/* --- popen ------------------------------------------------------------------------------------ */

/* The streams that were opened here; libc keeps its own. */
static struct child {
    FILE *fp;
    pid_t pid;
    struct child *next;
} * children;

/* "any streams from previous popen() calls that remain open in the parent process are closed in
 * the new child". */
static void close_others(posix_spawn_file_actions_t *fa)
{
    for (const struct child *c = children; c != NULL; c = c->next)
        REAL(posix_spawn_file_actions_addclose)(fa, fileno(c->fp));
}

/* ends: of the pipe, theirs first. */
static int start(struct child *c, const char *cmd, const int ends[2], int theirs,
                 char *const envp[])
{
    posix_spawn_file_actions_t fa;

    REAL(posix_spawn_file_actions_init)(&fa);
    pthread_mutex_lock(&lock);
    close_others(&fa);
    REAL(posix_spawn_file_actions_adddup2)(&fa, ends[0], theirs);
    int rc = run_shell(&c->pid, cmd, &fa, NULL, envp);
    if (rc == 0) {
        c->next = children;
        children = c;
    }
    pthread_mutex_unlock(&lock);
    REAL(posix_spawn_file_actions_destroy)(&fa);
    return -rc;
}

static FILE *popen_with(const char *cmd, const char *mode, char *const envp[])
{
    bool reads = mode[0] == 'r';
    int p[2];

    if ((mode[0] != 'r' && mode[0] != 'w') || mode[1 + strspn(mode + 1, "re")] != '\0')
        return to_libc_null(-EINVAL);
    if (pipe2(p, O_CLOEXEC) != 0)
        return NULL;
    struct child *c = calloc(1, sizeof(*c));
    int ends[2] = {reads ? p[1] : p[0], reads ? p[0] : p[1]};
    if (c != NULL)
        c->fp = REAL(fdopen)(ends[1], reads ? "r" : "w");
    int rc = c == NULL || c->fp == NULL
                 ? -ENOMEM
                 : start(c, cmd, ends, reads ? STDOUT_FILENO : STDIN_FILENO, envp);
    REAL(close)(ends[0]);
    if (rc == 0) {
        if (strchr(mode, 'e') == NULL)
            REAL(fcntl)(ends[1], F_SETFD, 0);
        return c->fp;
    }
    if (c != NULL && c->fp != NULL)
        REAL(fclose)(c->fp);
    else
        REAL(close)(ends[1]);
    free(c);
    return to_libc_null(rc);
}

SLOW FILE *popen_ours(const char *cmd, const char *mode)
{
    struct exec x;
    FILE *fp = NULL;

    if (guard_inside())
        return REAL(popen)(cmd, mode);
    int rc = exec_begin(&x, environ, EXEC_SPAWNS);
    if (rc == 0)
        fp = x.env.envp == environ ? REAL(popen)(cmd, mode) : popen_with(cmd, mode, x.env.envp);
    else
        to_libc(rc);
    exec_end(&x);
    if (fp != NULL)
        streams_watch(fp);
    return fp;
}

EXPORT FILE *popen(const char *cmd, const char *mode)
{
    return ROOM(popen_ours, cmd, mode);
}

bool popen_made(FILE *fp)
{
    struct child *c;

    if (children == NULL)
        return false;
    pthread_mutex_lock(&lock);
    for (c = children; c != NULL && c->fp != fp; c = c->next)
        ;
    pthread_mutex_unlock(&lock);
    return c != NULL;
}

void popen_after_fork(void)
{
    pthread_mutex_init(&lock, NULL);
}

static bool take(FILE *fp, pid_t *pid)
{
    struct child **at = &children, *c;

    if (children == NULL)
        return false;
    pthread_mutex_lock(&lock);
    while (*at != NULL && (*at)->fp != fp)
        at = &(*at)->next;
    if ((c = *at) != NULL)
        *at = c->next;
    pthread_mutex_unlock(&lock);
    if (c == NULL)
        return false;
    *pid = c->pid;
    free(c);
    return true;
}

EXPORT int pclose(FILE *fp)
{
    pid_t pid, got;
    int status;

    tell_others();
    heard_forget((unsigned)fileno(fp), (unsigned)fileno(fp));
    if (!take(fp, &pid)) {
        int rc = REAL(pclose)(fp);
        heard();
        return rc;
    }
    if (REAL(fclose)(fp) != 0)
        return -1;
    do
        got = waitpid(pid, &status, 0);
    while (got < 0 && errno == EINTR);
    return got == pid ? status : -1;
}
