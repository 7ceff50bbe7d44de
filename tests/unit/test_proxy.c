/*
 * The relay that other tests rely on: what passes, where it is cut, what is swallowed or held.
 */
#include "core/base/clock.h"
#include "tests/lib/proxy.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct proxy *proxy;
static char path[64];
static int listener, client, server; /* both ends of a connection through the relay */

static struct sockaddr_un address(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", name);
    return a;
}

static void dial(void)
{
    char relay[100];
    struct sockaddr_un a;

    snprintf(relay, sizeof(relay), "%s", proxy_url(proxy) + strlen("unix://"));
    *strchr(relay, '?') = '\0';
    a = address(relay);
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    CU_ASSERT_EQUAL_FATAL(connect(client, (struct sockaddr *)&a, sizeof(a)), 0);
    server = accept(listener, NULL, NULL);
}

static void begin(void)
{
    snprintf(path, sizeof(path), "/tmp/jfspre-test-proxy.%d", (int)getpid());
    struct sockaddr_un a = address(path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(path);
    CU_ASSERT_EQUAL_FATAL(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
    CU_ASSERT_EQUAL_FATAL(listen(listener, 8), 0);
    proxy = proxy_start(path);
    dial();
}

static void hang_up(void)
{
    close(client);
    close(server);
}

static void end(void)
{
    hang_up();
    close(listener);
    unlink(path);
    proxy_free(proxy);
}

static void say(int fd, const char *text)
{
    CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* All that comes until the end or, when `most` is reached, until then; NULL-terminated. */
static const char *heard(int fd, size_t most)
{
    static char text[256];
    size_t n = 0;
    ssize_t got;

    while (n < most && (got = read(fd, text + n, most - n)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    return text;
}

static bool is_silent(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 50) == 0;
}

static void test_passes(void)
{
    begin();
    say(client, "to the server");
    CU_ASSERT_STRING_EQUAL(heard(server, 13), "to the server");
    say(server, "and back");
    CU_ASSERT_STRING_EQUAL(heard(client, 8), "and back");
    struct proxy_stats s = proxy_stats(proxy);
    CU_ASSERT_EQUAL(s.up, 13);
    CU_ASSERT_EQUAL(s.down, 8);
    CU_ASSERT_EQUAL(s.connections, 1);
    CU_ASSERT_EQUAL(s.cuts, 0);
    shutdown(client, SHUT_WR);
    CU_ASSERT_STRING_EQUAL(heard(server, 1), "");
    say(server, "still");
    CU_ASSERT_STRING_EQUAL(heard(client, 5), "still");
    end();
}

static void test_cut_up(void)
{
    begin();
    for (unsigned n = 0; n <= 5; n++) {
        char want[8] = "12345";
        want[n] = '\0';
        proxy_tell(proxy, "cut up %u", n);
        say(client, "12345");
        CU_ASSERT_STRING_EQUAL(heard(server, 100), want);
        CU_ASSERT_STRING_EQUAL(heard(client, 100), "");
        hang_up();
        dial(); /* once: the next one is whole */
        say(client, "12345");
        CU_ASSERT_STRING_EQUAL(heard(server, 5), "12345");
    }
    CU_ASSERT_EQUAL(proxy_stats(proxy).cuts, 6);
    end();
}

static void test_cut_down(void)
{
    begin();
    proxy_tell(proxy, "cut down 3");
    say(client, "ask");
    CU_ASSERT_STRING_EQUAL(heard(server, 3), "ask");
    say(server, "ab"); /* in pieces, too */
    CU_ASSERT_STRING_EQUAL(heard(client, 2), "ab");
    say(server, "cd");
    CU_ASSERT_STRING_EQUAL(heard(client, 100), "c");
    CU_ASSERT_STRING_EQUAL(heard(server, 100), "");
    end();
}

static void test_cut_each_always(void)
{
    begin();
    proxy_tell(proxy, "cut up 2 each always");
    for (int i = 0; i < 3; i++) {
        say(client, "abc");
        CU_ASSERT_STRING_EQUAL(heard(server, 100), "ab");
        hang_up();
        dial();
    }
    proxy_tell(proxy, "heal");
    say(client, "abc");
    CU_ASSERT_STRING_EQUAL(heard(server, 3), "abc");
    end();
}

static void test_drop(void)
{
    begin();
    proxy_tell(proxy, "drop down 2");
    say(server, "abc");
    CU_ASSERT_STRING_EQUAL(heard(client, 2), "ab");
    say(client, "up");
    CU_ASSERT_STRING_EQUAL(heard(server, 2), "up");
    CU_ASSERT(is_silent(client));
    proxy_tell(proxy, "heal");
    say(server, "d");
    CU_ASSERT_STRING_EQUAL(heard(client, 1), "d");
    end();
}

/* What was sent before a client went arrives after what a later one sent. */
static void test_hold(void)
{
    begin();
    int first = server;
    proxy_tell(proxy, "hold up 2");
    say(client, "abcd");
    CU_ASSERT_STRING_EQUAL(heard(first, 2), "ab");
    close(client);
    dial();
    say(client, "other");
    CU_ASSERT_STRING_EQUAL(heard(server, 5), "other");
    CU_ASSERT(is_silent(first));
    CU_ASSERT_EQUAL(proxy_stats(proxy).open, 2);
    proxy_tell(proxy, "release");
    CU_ASSERT_STRING_EQUAL(heard(first, 100), "cd");
    close(first);
    end();
}

static void test_freeze(void)
{
    begin();
    proxy_tell(proxy, "freeze up");
    say(client, "later");
    CU_ASSERT(is_silent(server));
    say(server, "now");
    CU_ASSERT_STRING_EQUAL(heard(client, 3), "now");
    proxy_tell(proxy, "thaw");
    CU_ASSERT_STRING_EQUAL(heard(server, 5), "later");
    proxy_tell(proxy, "reset");
    CU_ASSERT_STRING_EQUAL(heard(server, 100), "");
    CU_ASSERT_STRING_EQUAL(heard(client, 100), "");
    end();
}

static void test_delay(void)
{
    begin();
    proxy_tell(proxy, "delay 100000 0");
    uint64_t start = clock_mono_ms();
    say(client, "slow");
    say(server, "fast");
    CU_ASSERT_STRING_EQUAL(heard(client, 4), "fast");
    CU_ASSERT_STRING_EQUAL(heard(server, 4), "slow");
    CU_ASSERT(clock_mono_ms() - start >= 99);
    end();
}

int main(void)
{
    CU_TestInfo tests[] = {{"bytes pass", test_passes},
                           {"cut up", test_cut_up},
                           {"cut down", test_cut_down},
                           {"cut each, always", test_cut_each_always},
                           {"drop", test_drop},
                           {"hold", test_hold},
                           {"freeze, reset", test_freeze},
                           {"delay", test_delay},
                           CU_TEST_INFO_NULL};

    return suite_run("proxy", tests);
}
