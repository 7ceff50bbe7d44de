/*
 * fault_proxy - the relay of proxy.h as a program:
 *
 *   fault_proxy [--control SOCKET] PORT|SOCKET SERVER-SOCKET [COMMAND...]
 *   fault_proxy --tell SOCKET COMMAND...      prints each answer; 1: one was refused
 *
 * Listens on 127.0.0.1:PORT or on a unix socket; ends with its parent.
 */
#include "tests/lib/proxy.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    return a;
}

static int bound(int fd, const void *address, socklen_t len)
{
    if (fd < 0 || bind(fd, address, len) != 0 || listen(fd, 64) != 0) {
        perror("fault_proxy");
        exit(1);
    }
    return fd;
}

static int listen_on(const char *where)
{
    if (strspn(where, "0123456789") < strlen(where)) {
        struct sockaddr_un a = unix_address(where);
        unlink(where);
        return bound(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), &a, sizeof a);
    }
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)atoi(where)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    return bound(fd, &a, sizeof a);
}

static int tell(char **argv)
{
    struct sockaddr_un a = unix_address(*argv);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    char text[300];

    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        perror(*argv);
        return 1;
    }
    while (*++argv != NULL) {
        int len = snprintf(text, sizeof text, "%s\n", *argv);
        ssize_t n = write(fd, text, (size_t)len) == len ? read(fd, text, sizeof text - 1) : -1;
        text[n > 0 ? n : 0] = '\0';
        fputs(text, stdout);
        if (strncmp(text, "ok", 2) != 0)
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    int control = -1;
    char answer[300];

    if (argc > 3 && strcmp(argv[1], "--tell") == 0)
        return tell(argv + 2);
    if (argc > 3 && strcmp(argv[1], "--control") == 0) {
        control = listen_on(argv[2]);
        argv += 2;
        argc -= 2;
    }
    if (argc < 3) {
        fprintf(stderr, "usage: %s [--control SOCKET] PORT|SOCKET SERVER-SOCKET [COMMAND...]\n",
                argv[0]);
        return 2;
    }
    for (int i = 3; i < argc; i++) {
        if (!proxy_command(argv[i], answer, sizeof answer)) {
            fputs(answer, stderr);
            return 2;
        }
    }
    proxy_run(listen_on(argv[1]), argv[2], -1, control);
}
