/*
 * fake.c - plays a list of steps on a unix socket.
 */
#include "tests/lib/fake.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct fake {
    const struct fake_step *steps;
    pthread_t thread;
    int listener, wake[2];
    char dir[96], path[108], url[128];
    size_t requests;
};

static void say(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

/* 1 when a whole request came, 0 at the end of the connection. */
static size_t read_request(int fd)
{
    char buf[65536];
    size_t have = 0, want = strlen(FAKE_END);
    ssize_t n;

    while ((n = read(fd, buf + have, sizeof(buf) - have)) > 0) {
        have += (size_t)n;
        if (have >= want && !memcmp(buf + have - want, FAKE_END, want))
            return 1;
        if (have > want) { /* only its end matters */
            memmove(buf, buf + have - want, want);
            have = want;
        }
    }
    return 0;
}

static void read_part(int fd, size_t n)
{
    char c;

    while (n > 0 && read(fd, &c, 1) == 1)
        n--;
}

static void *play(void *arg)
{
    struct fake *f = arg;
    int fd = -1;

    for (const struct fake_step *s = f->steps; s->what != FAKE_STOP; s++) {
        switch (s->what) {
        case FAKE_ACCEPT: {
            int fresh = accept(f->listener, NULL, NULL);

            if (fd >= 0)
                close(fd);
            fd = fresh;
            break;
        }
        case FAKE_READ:
            f->requests += read_request(fd);
            break;
        case FAKE_PART:
            read_part(fd, s->n);
            break;
        case FAKE_SAY:
            say(fd, s->text, strlen(s->text));
            break;
        case FAKE_DRIP:
            for (const char *p = s->text; *p; p++)
                say(fd, p, 1);
            break;
        case FAKE_CLOSE:
            close(fd);
            fd = -1;
            break;
        case FAKE_STOP:
            break;
        }
    }
    /* An open connection that says nothing stays open until the test has seen it. */
    char c;
    while (read(f->wake[0], &c, 1) < 0)
        continue;
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void fatal(const char *what)
{
    perror(what);
    exit(99);
}

struct fake *fake_start(const struct fake_step *steps)
{
    struct fake *f = calloc(1, sizeof(*f));
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    const char *tmp = getenv("TMPDIR");

    if (!f)
        fatal("calloc");
    f->steps = steps;
    if (!tmp || strlen(tmp) > 70)
        tmp = "/tmp";
    snprintf(f->dir, sizeof(f->dir), "%s/jfspre-fake-XXXXXX", tmp);
    if (!mkdtemp(f->dir) || pipe(f->wake) < 0)
        fatal("mkdtemp");
    snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
    snprintf(f->url, sizeof(f->url), "unix://%s", f->path);
    memcpy(addr.sun_path, f->path, sizeof(addr.sun_path));
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(f->listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(f->listener, 8) < 0)
        fatal("listen");
    if (pthread_create(&f->thread, NULL, play, f) != 0)
        fatal("pthread_create");
    return f;
}

const char *fake_url(const struct fake *f)
{
    return f->url;
}

size_t fake_end(struct fake *f, int force)
{
    if (force)
        shutdown(f->listener, SHUT_RDWR); /* an accept() that waits returns */
    close(f->wake[1]);
    pthread_join(f->thread, NULL);
    close(f->wake[0]);
    close(f->listener);
    unlink(f->path);
    rmdir(f->dir);
    size_t n = f->requests;
    free(f);
    return n;
}
