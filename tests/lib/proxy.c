/*
 * proxy.c - a relay in a child process, and its commands; see proxy.h.
 */
#include "tests/lib/proxy.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct proxy {
    pid_t pid;
    int control;
    char dir[64], socket[80], url[100];
};

static void fatal(const char *what)
{
    fprintf(stderr, "proxy: ");
    perror(what);
    exit(99);
}

struct proxy *proxy_start(const char *server_socket)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct proxy *p = calloc(1, sizeof *p);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), pair[2];

    if (p == NULL || listener < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        fatal("socket");
    snprintf(p->dir, sizeof p->dir, "/tmp/jfspre-proxy.XXXXXX");
    if (mkdtemp(p->dir) == NULL)
        fatal(p->dir);
    snprintf(p->socket, sizeof p->socket, "%s/s", p->dir);
    snprintf(p->url, sizeof p->url, "unix://%s?db=0", p->socket);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", p->socket);
    if (bind(listener, (struct sockaddr *)&a, sizeof a) != 0 || listen(listener, 64) != 0)
        fatal(p->socket);
    p->pid = fork();
    if (p->pid < 0)
        fatal("fork");
    if (p->pid == 0) {
        close(pair[0]);
        proxy_run(listener, server_socket, pair[1], -1);
    }
    close(listener);
    close(pair[1]);
    p->control = pair[0];
    return p;
}

void proxy_free(struct proxy *p)
{
    if (p == NULL)
        return;
    kill(p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
    close(p->control);
    unlink(p->socket);
    rmdir(p->dir);
    free(p);
}

const char *proxy_url(const struct proxy *p)
{
    return p->url;
}

static void ask(struct proxy *p, const char *line, char *answer, size_t cap)
{
    ssize_t n = -1;

    if (write(p->control, line, strlen(line)) == (ssize_t)strlen(line))
        n = read(p->control, answer, cap - 1);
    answer[n > 0 ? n : 0] = '\0';
    if (strncmp(answer, "ok", 2) != 0) {
        fprintf(stderr, "proxy: %s: %s\n", line, answer);
        exit(99);
    }
}

void proxy_tell(struct proxy *p, const char *fmt, ...)
{
    char line[200], answer[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line - 1, fmt, ap);
    va_end(ap);
    strcat(line, "\n");
    ask(p, line, answer, sizeof answer);
}

struct proxy_stats proxy_stats(struct proxy *p)
{
    unsigned long long up = 0, down = 0;
    struct proxy_stats s = {0};
    char answer[300];

    ask(p, "stats\n", answer, sizeof answer);
    if (sscanf(answer, "ok %llu %llu %u %u %u", &up, &down, &s.connections, &s.cuts, &s.open) != 5)
        fatal(answer);
    s.up = up;
    s.down = down;
    return s;
}
