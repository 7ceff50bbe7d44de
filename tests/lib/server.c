/*
 * server.c - starts, stops and removes the redis-servers of a test program.
 */
#include "tests/lib/server.h"

#include "tests/lib/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXTRA_MAX   32
#define START_TRIES 3000 /* of 10 ms: only a machine in trouble needs more than a few */
#define NAP_NS      10000000L
#define CONNECT_SEC 10
#define TMP_LEN_MAX 70 /* a socket's path has at most 107 bytes */

struct server {
    char dir[96], socket[108], log[108], url[160];
    char *extra[EXTRA_MAX + 1];
    pid_t pid, owner;
    redisContext *link;
    struct server *next;
};

static struct server *servers;

static void fatal(const struct server *s, const char *what)
{
    char line[512];
    FILE *log = s ? fopen(s->log, "r") : NULL;

    fprintf(stderr, "test server: %s\n", what);
    while (log && fgets(line, sizeof(line), log))
        fputs(line, stderr);
    if (log)
        fclose(log);
    exit(99);
}

static void nap(void)
{
    nanosleep(&(struct timespec){0, NAP_NS}, NULL);
}

static void unlink_link(struct server *s)
{
    if (s->link)
        redisFree(s->link);
    s->link = NULL;
}

static void end(struct server *s, int sig)
{
    unlink_link(s);
    if (s->pid > 0) {
        kill(s->pid, sig);
        kill(s->pid, SIGCONT);
        while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    s->pid = 0;
}

static void clean_all(void)
{
    while (servers && servers->owner == getpid())
        server_free(servers);
}

static void on_signal(int sig)
{
    /* A test program interrupted by hand: what is unsafe here at worst leaves a directory. */
    clean_all();
    signal(sig, SIG_DFL);
    raise(sig);
}

static redisContext *link_up(struct server *s)
{
    redisContext *c = redisConnectUnixWithTimeout(s->socket, (struct timeval){CONNECT_SEC, 0});

    if (!c || c->err) {
        if (c)
            redisFree(c);
        return NULL;
    }
    return c;
}

static void run(struct server *s)
{
    const char *argv[EXTRA_MAX + 20] = {
        "redis-server", "--port", "0", "--unixsocket", s->socket, "--dir",
        s->dir,         "--save", "",  "--appendonly", "no",      "--logfile",
        s->log};
    size_t n = 13;
    pid_t parent = getpid();

    for (size_t i = 0; s->extra[i]; i++)
        argv[n++] = s->extra[i];
    unlink(s->socket);
    s->pid = fork();
    if (s->pid < 0)
        fatal(s, "fork failed");
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        unsetenv("LD_PRELOAD");
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        execvp(argv[0], (char *const *)argv);
        fprintf(stderr, "redis-server: %s\n", strerror(errno));
        _exit(127);
    }
    for (int i = 0; i < START_TRIES; i++) {
        redisReply *r = NULL;

        if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
            s->pid = 0;
            fatal(s, "redis-server ended at once");
        }
        s->link = link_up(s);
        if (s->link)
            r = redisCommand(s->link, "PING");
        /* NOAUTH is an answer too; only LOADING means wait. */
        int is_up = r && !(r->type == REDIS_REPLY_ERROR && strncmp(r->str, "LOADING", 7) == 0);
        if (r)
            freeReplyObject(r);
        if (is_up)
            return;
        unlink_link(s);
        nap();
    }
    fatal(s, "redis-server does not answer");
}

static struct server *prepare(void)
{
    static int is_registered;
    struct server *s = calloc(1, sizeof(*s));

    if (!s)
        fatal(NULL, "no memory");
    const char *tmp = getenv("TMPDIR");
    if (!tmp || strlen(tmp) > TMP_LEN_MAX)
        tmp = "/tmp";
    snprintf(s->dir, sizeof(s->dir), "%s/jfspre-test-XXXXXX", tmp);
    if (!mkdtemp(s->dir))
        fatal(NULL, "mkdtemp failed");
    snprintf(s->socket, sizeof(s->socket), "%s/redis.sock", s->dir);
    snprintf(s->log, sizeof(s->log), "%s/redis.log", s->dir);
    s->owner = getpid();
    s->next = servers;
    servers = s;
    if (!is_registered) {
        is_registered = 1;
        atexit(clean_all);
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        signal(SIGHUP, on_signal);
        signal(SIGABRT, on_signal);
    }
    return s;
}

struct server *server_start(void)
{
    struct server *s = prepare();

    run(s);
    return s;
}

struct server *server_start_args(const char *const *args)
{
    struct server *s = prepare();

    for (size_t n = 0; n < EXTRA_MAX && args[n]; n++)
        s->extra[n] = strdup(args[n]);
    run(s);
    return s;
}

void server_free(struct server *s)
{
    if (!s)
        return;
    for (struct server **p = &servers; *p; p = &(*p)->next) {
        if (*p == s) {
            *p = s->next;
            break;
        }
    }
    end(s, SIGKILL);
    scratch_remove(s->dir);
    for (size_t i = 0; s->extra[i]; i++)
        free(s->extra[i]);
    free(s);
}

void server_stop(struct server *s)
{
    end(s, SIGTERM);
}

void server_kill(struct server *s)
{
    end(s, SIGKILL);
}

void server_again(struct server *s)
{
    end(s, SIGTERM);
    run(s);
}

void server_freeze(struct server *s)
{
    int status;

    if (s->pid <= 0)
        fatal(s, "not running");
    kill(s->pid, SIGSTOP);
    /* kill() only queues the signal: the caller relies on a server that is stopped. */
    waitpid(s->pid, &status, WUNTRACED);
}

void server_unfreeze(struct server *s)
{
    if (s->pid > 0)
        kill(s->pid, SIGCONT);
}

/* The file that commands are appended to now. */
static void find_log(const struct server *s, char *out, size_t len)
{
    char sub[sizeof(s->dir) + 20];
    const struct dirent *e;

    snprintf(sub, sizeof(sub), "%s/appendonlydir", s->dir);
    DIR *d = opendir(sub);
    *out = '\0';
    while (d != NULL && (e = readdir(d)) != NULL)
        if (strstr(e->d_name, ".incr.aof") != NULL)
            snprintf(out, len, "%s/%s", sub, e->d_name);
    if (d != NULL)
        closedir(d);
    if (*out == '\0')
        fatal(s, "no append-only file");
}

long server_log_bytes(const struct server *s)
{
    char path[600];
    struct stat sb;

    find_log(s, path, sizeof(path));
    if (stat(path, &sb) != 0)
        fatal(s, path);
    return sb.st_size;
}

void server_log_cut(const struct server *s, long bytes)
{
    char path[600];

    find_log(s, path, sizeof(path));
    if (truncate(path, bytes) != 0)
        fatal(s, path);
}

/* Its first `bytes` bytes; *n how many there are.  free(). */
static char *read_log(const struct server *s, long bytes, size_t *n)
{
    char path[600];

    find_log(s, path, sizeof(path));
    char *text = malloc((size_t)bytes + 1);
    FILE *f = fopen(path, "r");
    *n = text && f ? fread(text, 1, (size_t)bytes, f) : 0;
    if (f)
        fclose(f);
    return text;
}

/* Offset of the last one in text; SIZE_MAX: there is none. */
static size_t last_of(const char *text, size_t n, const char *what)
{
    size_t len = strlen(what);
    for (size_t at = n; at >= len; at--) {
        if (memcmp(text + at - len, what, len) == 0)
            return at - len;
    }
    return SIZE_MAX;
}

#define MULTI "*1\r\n$5\r\nMULTI\r\n"
#define EXEC  "*1\r\n$4\r\nEXEC\r\n"

long server_log_whole(const struct server *s, long bytes)
{
    size_t n;
    char *text = read_log(s, bytes, &n);
    size_t at = last_of(text, n, MULTI);
    free(text);
    if (at == SIZE_MAX)
        fatal(s, "no transaction in the append-only file");
    return (long)at;
}

void server_log_mend(const struct server *s)
{
    size_t n;
    char *text = read_log(s, server_log_bytes(s), &n);
    size_t begins = last_of(text, n, MULTI), ends = last_of(text, n, EXEC);
    free(text);
    if (begins != SIZE_MAX && (ends == SIZE_MAX || ends < begins))
        server_log_cut(s, (long)begins);
}

const char *server_dir(const struct server *s)
{
    return s->dir;
}

const char *server_socket(const struct server *s)
{
    return s->socket;
}

pid_t server_pid(const struct server *s)
{
    return s->pid;
}

const char *server_url(struct server *s, int db)
{
    snprintf(s->url, sizeof(s->url), "unix://%s?db=%d", s->socket, db);
    return s->url;
}

static redisReply *vdo(struct server *s, const char *fmt, va_list ap)
{
    if (!s->link)
        s->link = link_up(s);
    if (!s->link)
        fatal(s, "no connection");
    redisReply *r = redisvCommand(s->link, fmt, ap);
    if (!r)
        fatal(s, s->link->errstr);
    return r;
}

long long server_int(struct server *s, const char *fmt, ...)
{
    va_list ap;
    long long n = -1;

    va_start(ap, fmt);
    redisReply *r = vdo(s, fmt, ap);
    va_end(ap);
    switch (r->type) {
    case REDIS_REPLY_INTEGER:
        n = r->integer;
        break;
    case REDIS_REPLY_STATUS:
        n = 0;
        break;
    case REDIS_REPLY_STRING:
        n = (long long)r->len;
        break;
    case REDIS_REPLY_ARRAY:
        n = (long long)r->elements;
        break;
    default:
        break;
    }
    freeReplyObject(r);
    return n;
}

long long server_text(struct server *s, char *out, size_t cap, const char *fmt, ...)
{
    va_list ap;
    long long n = -1;

    va_start(ap, fmt);
    redisReply *r = vdo(s, fmt, ap);
    va_end(ap);
    out[0] = 0;
    if (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS ||
        r->type == REDIS_REPLY_ERROR) {
        n = (long long)(r->len < cap ? r->len : cap - 1);
        memcpy(out, r->str, (size_t)n);
        out[n] = 0;
    }
    freeReplyObject(r);
    return n;
}
