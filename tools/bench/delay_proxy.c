/*
 * delay_proxy - a relay that makes a server look far away:  delay_proxy PORT SOCKET DELAY_US
 *
 * Listens on 127.0.0.1:PORT and relays to a unix socket.  Each piece of data is held back half the
 * delay in each direction; pieces overtake nothing and the line is never busy, so it is latency and
 * not bandwidth that is simulated.  Ends with its parent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PIECE_BYTES 65536
#define PIECES      64 /* on their way in one direction */

static uint64_t half_ns;
static const char *server_path;

/* One direction of a connection: a reader stamps pieces, a writer sends each when it is due. */
struct lane {
    int from, to;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct {
        uint64_t due_ns;
        ssize_t len; /* 0: the end */
        char data[PIECE_BYTES];
    } piece[PIECES];
    unsigned head, tail;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Short waits are spun: a timer would add its own delay. */
static void wait_until(uint64_t due)
{
    for (uint64_t now = now_ns(); now < due; now = now_ns()) {
        if (due - now > 150000) {
            struct timespec t = {0, (long)(due - now - 100000)};
            nanosleep(&t, NULL);
        }
    }
}

static void *read_lane(void *arg)
{
    struct lane *l = arg;
    ssize_t n;
    do {
        unsigned at;
        pthread_mutex_lock(&l->lock);
        while (l->tail - l->head == PIECES)
            pthread_cond_wait(&l->changed, &l->lock);
        at = l->tail % PIECES;
        pthread_mutex_unlock(&l->lock);
        n = read(l->from, l->piece[at].data, PIECE_BYTES);
        pthread_mutex_lock(&l->lock);
        l->piece[at].due_ns = now_ns() + half_ns;
        l->piece[at].len = n > 0 ? n : 0;
        l->tail++;
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->lock);
    } while (n > 0);
    return NULL;
}

static void *write_lane(void *arg)
{
    struct lane *l = arg;
    for (;;) {
        unsigned at;
        ssize_t done = 0;
        pthread_mutex_lock(&l->lock);
        while (l->tail == l->head)
            pthread_cond_wait(&l->changed, &l->lock);
        at = l->head % PIECES;
        pthread_mutex_unlock(&l->lock);
        wait_until(l->piece[at].due_ns);
        while (done < l->piece[at].len) {
            ssize_t n = write(l->to, l->piece[at].data + done, (size_t)(l->piece[at].len - done));
            if (n <= 0)
                break;
            done += n;
        }
        if (done == 0 || done < l->piece[at].len) {
            shutdown(l->to, SHUT_WR);
            return NULL;
        }
        pthread_mutex_lock(&l->lock);
        l->head++;
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->lock);
    }
}

static struct lane *lane_new(int from, int to)
{
    struct lane *l = calloc(1, sizeof(*l));
    if (l == NULL)
        exit(1);
    l->from = from;
    l->to = to;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    return l;
}

static void *relay(void *arg)
{
    int client = (int)(intptr_t)arg, server = socket(AF_UNIX, SOCK_STREAM, 0), one = 1;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct lane *lane[2];
    pthread_t t[4];

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", server_path);
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(server, (struct sockaddr *)&a, sizeof(a)) != 0) {
        close(client);
        close(server);
        return NULL;
    }
    lane[0] = lane_new(client, server);
    lane[1] = lane_new(server, client);
    for (int i = 0; i < 2; i++) {
        pthread_create(&t[2 * i], NULL, read_lane, lane[i]);
        pthread_create(&t[2 * i + 1], NULL, write_lane, lane[i]);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < 2; i++)
        free(lane[i]);
    close(client);
    close(server);
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    if (argc != 4) {
        fprintf(stderr, "usage: %s PORT SOCKET DELAY_US\n", argv[0]);
        return 2;
    }
    server_path = argv[2];
    half_ns = strtoull(argv[3], NULL, 10) * 500;
    a.sin_port = htons((uint16_t)atoi(argv[1]));
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(s, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(s, 64) != 0) {
        perror("delay_proxy");
        return 1;
    }
    for (;;) {
        pthread_t t;
        int client = accept(s, NULL, NULL);
        if (client < 0)
            continue;
        if (pthread_create(&t, NULL, relay, (void *)(intptr_t)client) != 0)
            close(client);
        else
            pthread_detach(t);
    }
}
