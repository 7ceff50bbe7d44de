/*
 * proxy_run.c - the relay: one loop over all connections; see proxy.h.
 *
 * What is read from one side is cut or dropped at once, stamped, and written to the other when it
 * is due.  Short waits are spun, since a timer would add its own delay; pieces overtake nothing and
 * the line is never busy, so a delay is latency, not bandwidth.
 */
#include "tests/lib/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PIECE    65536
#define QUEUED   (8 << 20) /* bytes held back in one direction */
#define LINKS    256
#define CONTROLS 8
#define SPIN_NS  100000
#define NONE     UINT64_MAX

enum { UP, DOWN };

struct piece {
    struct piece *next;
    uint64_t due_ns;
    size_t len, done;
    bool is_held;
    char data[];
};

struct lane {
    struct piece *head, *tail;
    size_t queued;
    uint64_t passed; /* bytes taken from the client or server */
    bool has_ended;  /* its source was closed */
    bool is_full;    /* its target takes no more now */
    bool is_held;    /* what comes waits for release */
};

struct connection {
    int fd[2]; /* UP: the client, which lane UP reads; DOWN: the server */
    struct lane lane[2];
    int last; /* it is cut: the lane that is still written out, or -1 */
};

static struct {
    struct connection link[LINKS];
    size_t n;
    const char *server;
    uint64_t delay_ns[2];
    uint64_t cut[2], cut_from[2], drop[2], hold[2]; /* bytes still to pass, NONE: not armed */
    bool is_each, is_always, is_frozen[2];
    struct proxy_stats stats;
} px = {.cut = {NONE, NONE}, .drop = {NONE, NONE}, .hold = {NONE, NONE}};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- connections ------------------------------------------------------------------------------ */

static void end_link(size_t i)
{
    struct connection *l = &px.link[i];

    for (int d = UP; d <= DOWN; d++) {
        close(l->fd[d]);
        for (struct piece *p = l->lane[d].head, *next; p != NULL; p = next) {
            next = p->next;
            free(p);
        }
    }
    *l = px.link[--px.n];
}

static void begin_link(int client)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    snprintf(a.sun_path, sizeof a.sun_path, "%s", px.server);
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* a unix socket has none */
    if (px.n == LINKS || connect(server, (struct sockaddr *)&a, sizeof a) != 0) {
        close(client);
        close(server);
        return;
    }
    fcntl(client, F_SETFL, O_NONBLOCK);
    fcntl(server, F_SETFL, O_NONBLOCK);
    px.link[px.n++] = (struct connection){.fd = {client, server}, .last = -1};
    px.stats.connections++;
}

/* --- faults ----------------------------------------------------------------------------------- */

/* How many of n bytes pass until the cut; true: it is reached. */
static bool cut_here(struct connection *l, int d, size_t *n)
{
    uint64_t left = px.cut[d];

    if (left == NONE)
        return false;
    if (px.is_each)
        left = left > l->lane[d].passed ? left - l->lane[d].passed : 0;
    if (*n < left) {
        if (!px.is_each)
            px.cut[d] -= *n;
        return false;
    }
    *n = (size_t)left;
    px.cut[d] = px.is_always ? px.cut_from[d] : NONE;
    px.stats.cuts++;
    l->last = d;
    l->lane[!d].has_ended = true;
    return true;
}

static void keep(struct lane *lane, const char *data, size_t len, int d)
{
    struct piece *p = malloc(sizeof *p + len);

    if (p == NULL)
        exit(1);
    *p = (struct piece){.due_ns = now_ns() + px.delay_ns[d], .len = len, .is_held = lane->is_held};
    memcpy(p->data, data, len);
    if (lane->tail != NULL)
        lane->tail->next = p;
    else
        lane->head = p;
    lane->tail = p;
    lane->queued += len;
}

/* How many of n bytes pass before the hold. */
static size_t hold_here(struct lane *lane, int d, size_t n)
{
    if (px.hold[d] == NONE)
        return lane->is_held ? 0 : n;
    if (n < px.hold[d]) {
        px.hold[d] -= n;
        return n;
    }
    n = (size_t)px.hold[d];
    px.hold[d] = NONE;
    return n;
}

static void take(struct connection *l, int d)
{
    static char data[PIECE];
    struct lane *lane = &l->lane[d];
    ssize_t got = read(l->fd[d], data, sizeof data);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        lane->has_ended = true;
        return;
    }
    size_t n = (size_t)got, passes;
    if (cut_here(l, d, &n))
        lane->has_ended = true;
    lane->passed += n;
    *(d == UP ? &px.stats.up : &px.stats.down) += n;
    passes = n;
    if (px.drop[d] != NONE) {
        passes = n < px.drop[d] ? n : (size_t)px.drop[d];
        px.drop[d] -= passes;
    }
    bool was_armed = px.hold[d] != NONE;
    size_t before = hold_here(lane, d, passes);
    if (before > 0)
        keep(lane, data, before, d);
    lane->is_held |= was_armed && px.hold[d] == NONE;
    if (passes > before)
        keep(lane, data + before, passes - before, d);
}

/* Writes what is due.  false: the connection is over. */
static bool give(struct connection *l, int d)
{
    struct lane *lane = &l->lane[d];

    while (lane->head != NULL && lane->head->due_ns <= now_ns() && !px.is_frozen[d] &&
           !lane->head->is_held) {
        struct piece *p = lane->head;
        ssize_t n = write(l->fd[!d], p->data + p->done, p->len - p->done);
        lane->is_full = n < 0 && errno == EAGAIN;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n < 0)
            return false;
        p->done += (size_t)n;
        lane->queued -= (size_t)n;
        if (p->done == p->len) {
            lane->head = p->next;
            lane->tail = p->next != NULL ? lane->tail : NULL;
            free(p);
        }
    }
    if (lane->head == NULL && lane->has_ended && l->last < 0)
        shutdown(l->fd[!d], SHUT_WR);
    return true;
}

/* One round for a connection.  false: it is over. */
static bool relay(struct connection *l)
{
    for (int d = UP; d <= DOWN; d++) {
        if (l->last >= 0 && l->last != d)
            continue;
        if (!give(l, d))
            return false;
        if (l->last == d && l->lane[d].head == NULL)
            return false;
    }
    return !(l->lane[UP].has_ended && l->lane[UP].head == NULL && l->lane[DOWN].has_ended &&
             l->lane[DOWN].head == NULL);
}

/* --- commands --------------------------------------------------------------------------------- */

static int direction(const char *word)
{
    return strcmp(word, "up") == 0 ? UP : strcmp(word, "down") == 0 ? DOWN : -1;
}

static void heal(void)
{
    for (int d = UP; d <= DOWN; d++) {
        px.cut[d] = px.drop[d] = px.hold[d] = NONE;
        px.is_frozen[d] = false;
    }
}

static void release(void)
{
    for (size_t i = 0; i < px.n; i++)
        for (int d = UP; d <= DOWN; d++) {
            struct lane *lane = &px.link[i].lane[d];
            lane->is_held = false;
            for (struct piece *p = lane->head; p != NULL; p = p->next)
                p->is_held = false;
        }
}

bool proxy_command(const char *line, char *answer, unsigned long len)
{
    char word[3][16] = {"", "", ""}, name[16] = "";
    unsigned long long a = 0, b = 0;
    int d;

    snprintf(answer, len, "ok\n");
    sscanf(line, "%15s", name);
    if (strcmp(name, "delay") == 0 && sscanf(line, "%*s %llu %llu", &a, &b) == 2) {
        px.delay_ns[UP] = a * 1000;
        px.delay_ns[DOWN] = b * 1000;
    } else if (sscanf(line, "cut %15s %llu %15s %15s", word[0], &a, word[1], word[2]) >= 2 &&
               (d = direction(word[0])) >= 0) {
        px.cut[d] = px.cut_from[d] = a;
        px.is_each = strcmp(word[1], "each") == 0;
        px.is_always = strcmp(word[1], "always") == 0 || strcmp(word[2], "always") == 0;
    } else if (sscanf(line, "drop %15s %llu", word[0], &a) == 2 && (d = direction(word[0])) >= 0) {
        px.drop[d] = a;
    } else if (sscanf(line, "hold %15s %llu", word[0], &a) == 2 && (d = direction(word[0])) >= 0) {
        px.hold[d] = a;
    } else if (strcmp(name, "release") == 0) {
        release();
    } else if (sscanf(line, "freeze %15s", word[0]) == 1) {
        d = direction(word[0]);
        px.is_frozen[UP] |= d != DOWN;
        px.is_frozen[DOWN] |= d != UP;
    } else if (strcmp(name, "thaw") == 0) {
        px.is_frozen[UP] = px.is_frozen[DOWN] = false;
    } else if (strcmp(name, "reset") == 0) {
        while (px.n > 0)
            end_link(px.n - 1);
    } else if (strcmp(name, "heal") == 0) {
        heal();
    } else if (strcmp(name, "zero") == 0) {
        px.stats = (struct proxy_stats){0};
    } else if (strcmp(name, "stats") == 0) {
        snprintf(answer, len, "ok %llu %llu %u %u %zu\n", (unsigned long long)px.stats.up,
                 (unsigned long long)px.stats.down, px.stats.connections, px.stats.cuts, px.n);
    } else {
        snprintf(answer, len, "not understood: %s\n", line);
        return false;
    }
    return true;
}

/* Whole lines only: who tells writes each with one write().  false: closed. */
static bool obey(int fd)
{
    char lines[1024], answer[1100];
    ssize_t n = read(fd, lines, sizeof lines - 1);
    char *rest = lines, *line;

    if (n <= 0)
        return false;
    lines[n] = '\0';
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (line[0] == '\0')
            continue;
        proxy_command(line, answer, sizeof answer);
        if (write(fd, answer, strlen(answer)) < 0)
            return false;
    }
    return true;
}

/* --- the loop --------------------------------------------------------------------------------- */

/* When the next piece is due; NONE: nothing waits for the clock. */
static uint64_t next_due(void)
{
    uint64_t due = NONE;

    for (size_t i = 0; i < px.n; i++)
        for (int d = UP; d <= DOWN; d++) {
            const struct lane *lane = &px.link[i].lane[d];
            if (lane->head != NULL && !lane->head->is_held && !lane->is_full && !px.is_frozen[d] &&
                lane->head->due_ns < due)
                due = lane->head->due_ns;
        }
    return due;
}

static void wait_for(struct pollfd *p, size_t n)
{
    uint64_t due = next_due(), now = now_ns();
    struct timespec t = {0, 0};

    if (due != NONE && due > now + SPIN_NS) {
        t.tv_sec = (time_t)((due - now - SPIN_NS) / 1000000000);
        t.tv_nsec = (long)((due - now - SPIN_NS) % 1000000000);
    }
    ppoll(p, n, due == NONE ? NULL : &t, NULL);
}

static short wanted(const struct connection *l, int d)
{
    const struct lane *in = &l->lane[d], *out = &l->lane[!d];
    bool reads = !in->has_ended && !px.is_frozen[d] && in->queued < QUEUED && l->last < 0;

    return (short)((reads ? POLLIN : 0) | (out->is_full && !px.is_frozen[!d] ? POLLOUT : 0));
}

void proxy_run(int listener, const char *server_socket, int control, int control_listener)
{
    struct pollfd p[2 + CONTROLS + 2 * LINKS];
    int controls[CONTROLS] = {control};
    size_t n_controls = control >= 0 ? 1 : 0;

    px.server = server_socket;
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        size_t n = 0, links = px.n, controls_then = n_controls;
        p[n++] = (struct pollfd){.fd = listener, .events = POLLIN};
        p[n++] = (struct pollfd){.fd = control_listener, .events = POLLIN};
        for (size_t i = 0; i < n_controls; i++)
            p[n++] = (struct pollfd){.fd = controls[i], .events = POLLIN};
        for (size_t i = 0; i < px.n; i++)
            for (int d = UP; d <= DOWN; d++) {
                short events = wanted(&px.link[i], d);
                p[n++] =
                    (struct pollfd){.fd = events != 0 ? px.link[i].fd[d] : -1, .events = events};
            }
        wait_for(p, n);
        const struct pollfd *of_links = p + 2 + controls_then;
        for (size_t i = 0; i < links; i++)
            for (int d = UP; d <= DOWN; d++) {
                const struct pollfd *q = &of_links[2 * i + (size_t)d];
                if ((q->revents & ~POLLOUT) != 0 && (q->events & POLLIN) != 0)
                    take(&px.link[i], d);
            }
        for (size_t i = px.n; i-- > 0;)
            if (!relay(&px.link[i]))
                end_link(i);
        if (p[0].revents != 0)
            begin_link(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
        for (size_t i = controls_then; i-- > 0;)
            if (p[2 + i].revents != 0 && !obey(controls[i])) {
                close(controls[i]);
                controls[i] = controls[--n_controls];
            }
        if (p[1].revents != 0 && n_controls < CONTROLS) {
            int fd = accept4(control_listener, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0)
                controls[n_controls++] = fd;
        }
    }
}
