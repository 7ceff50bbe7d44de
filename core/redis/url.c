/*
 * url.c - metadata URLs as stock takes them (juicefs-format.md 2).
 *
 *   [redis://][user][:password]@host[:port][/db][?options]
 *   unix://[user:password@]/path/to.sock[?db=N&options]
 *
 * A message never repeats a piece of the text that could be part of a password: one that was
 * not percent-encoded may turn up where a host, port or parameter is expected.
 */
#include "core/redis/rds_internal.h"

#include "core/base/line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#define URL_MAX         4096
#define SOCKET_PATH_MAX sizeof(((struct sockaddr_un *)NULL)->sun_path)

static int bad(char *err, size_t errlen, int rc, const char *text)
{
    line_set(err, errlen, "metadata URL: %s", text);
    return rc;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes %XX (and '+' in a query) from [p, end).  -EINVAL: malformed, a NUL, or too long. */
static int decode(const char *p, const char *end, bool in_query, char *out, size_t cap)
{
    size_t n = 0;

    for (; p < end; p++) {
        char c = *p;

        if (c == '%') {
            if (end - p < 3 || hex(p[1]) < 0 || hex(p[2]) < 0)
                return -EINVAL;
            c = (char)(hex(p[1]) << 4 | hex(p[2]));
            p += 2;
        } else if (c == '+' && in_query) {
            c = ' ';
        }
        if (c == 0 || n + 1 >= cap)
            return -EINVAL;
        out[n++] = c;
    }
    out[n] = 0;
    return 0;
}

static const char *last_at(const char *p, const char *end)
{
    while (end > p && end[-1] != '@')
        end--;
    return end > p ? end - 1 : NULL;
}

static int parse_user(struct rds_url *u, const char *p, const char *end, char *err, size_t errlen)
{
    const char *colon = memchr(p, ':', (size_t)(end - p));
    const char *user_end = colon ? colon : end;

    if (decode(p, user_end, false, u->user, sizeof(u->user)) < 0 ||
        (colon && decode(colon + 1, end, false, u->password, sizeof(u->password)) < 0))
        return bad(err, errlen, -EINVAL, "user or password is too long or has a malformed %XX");
    return 0;
}

static int parse_port(struct rds_url *u, const char *p, const char *end)
{
    long v = 0;

    if (p == end)
        return 0; /* "host:" is the default port, as Go has it */
    for (; p < end; p++) {
        if (*p < '0' || *p > '9')
            return -EINVAL;
        v = v * 10 + (*p - '0');
        if (v > 65535)
            return -EINVAL;
    }
    u->port = (int)v;
    return v ? 0 : -EINVAL;
}

static int parse_host(struct rds_url *u, const char *p, const char *end, char *err, size_t errlen)
{
    const char *comma = memchr(p, ',', (size_t)(end - p));
    const char *colon = memchr(p, ':', (size_t)(end - p));
    const char *host_end = end;

    if (comma && colon && comma < colon)
        return bad(err, errlen, -ENOTSUP,
                   "Redis Sentinel (MASTER,SENTINEL,...) is not built in yet");
    if (comma)
        return bad(err, errlen, -ENOTSUP, "Redis Cluster (several hosts) is not built in yet");
    if (p < end && *p == '[') { /* IPv6 */
        host_end = memchr(p, ']', (size_t)(end - p));
        if (!host_end || (host_end + 1 < end && host_end[1] != ':'))
            return bad(err, errlen, -EINVAL, "malformed [IPv6] host");
        colon = host_end + 1 < end ? host_end + 1 : NULL;
        p++;
    } else if (colon) {
        host_end = colon;
    }
    if (colon && parse_port(u, colon + 1, end) < 0)
        return bad(err, errlen, -EINVAL, "the port is not a number from 1 to 65535");
    if (decode(p, host_end, false, u->host, sizeof(u->host)) < 0)
        return bad(err, errlen, -EINVAL, "malformed host");
    if (!u->host[0])
        strcpy(u->host, "localhost");
    return 0;
}

/* "/", "/N", "//N/": what Go's FieldsFunc leaves must be one number. */
static int parse_db_path(struct rds_url *u, const char *p, const char *end, char *err,
                         size_t errlen)
{
    char number[16];

    while (p < end && *p == '/')
        p++;
    while (end > p && end[-1] == '/')
        end--;
    if (p == end)
        return 0;
    if (decode(p, end, false, number, sizeof(number)) < 0 ||
        rds_url_option(u, "db", number, err, errlen) < 0)
        return bad(err, errlen, -EINVAL, "the path after the host is not a database number");
    return 0;
}

static int parse_query(struct rds_url *u, const char *p, char *err, size_t errlen)
{
    if (strchr(p, '@'))
        return bad(err, errlen, -EINVAL,
                   "an @ after the ?: write / ? # @ in a password as %2F %3F %23 %40");
    while (*p) {
        const char *end = p + strcspn(p, "&");
        const char *eq = memchr(p, '=', (size_t)(end - p));
        char name[128], value[512];
        int rc;

        if (p < end) {
            if (decode(p, eq ? eq : end, true, name, sizeof(name)) < 0 ||
                decode(eq ? eq + 1 : end, end, true, value, sizeof(value)) < 0)
                return bad(err, errlen, -EINVAL, "malformed parameter");
            rc = rds_url_option(u, name, value, err, errlen);
            if (rc < 0)
                return rc;
        }
        p = *end ? end + 1 : end;
    }
    return 0;
}

static int password_file(struct rds_url *u, const char *path, char *err, size_t errlen)
{
    char text[sizeof(u->password)];
    size_t n = 0, from = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : 1;

    while (got > 0 && n < sizeof(text)) {
        got = read(fd, text + n, sizeof(text) - n);
        n += got > 0 ? (size_t)got : 0;
    }
    int rc = got < 0 ? -errno : n == sizeof(text) ? -EINVAL : 0;
    if (fd >= 0)
        close(fd);
    if (rc < 0) {
        line_set(err, errlen, "META_PASSWORD_FILE %.256s: %s", path,
                 rc == -EINVAL ? "too long for a password" : strerror(-rc));
        return rc;
    }
    while (n > from && strchr(" \t\r\n\v\f", text[n - 1]))
        n--;
    while (n > from && strchr(" \t\r\n\v\f", text[from]))
        from++;
    memcpy(u->password, text + from, n - from);
    u->password[n - from] = 0;
    return 0;
}

static int find_password(struct rds_url *u, char *err, size_t errlen)
{
    static const char *const names[] = {"REDIS_PASSWORD", "META_PASSWORD"};
    const char *v;

    for (size_t i = 0; i < 2 && !u->password[0]; i++) {
        v = getenv(names[i]);
        if (v && strlen(v) >= sizeof(u->password)) {
            line_set(err, errlen, "%s: too long for a password", names[i]);
            return -EINVAL;
        }
        if (v)
            strcpy(u->password, v);
    }
    v = getenv("META_PASSWORD_FILE");
    return !u->password[0] && v && *v ? password_file(u, v, err, errlen) : 0;
}

static void make_shown(struct rds_url *u)
{
    const char *pass = u->password[0] ? ":****" : "";
    const char *at = u->password[0] || u->user[0] ? "@" : "";
    bool is_v6 = strchr(u->host, ':') != NULL;

    if (u->socket[0])
        line_set(u->shown, sizeof(u->shown), "unix://%s%s%s%s?db=%d", u->user, pass, at, u->socket,
                 u->db);
    else
        line_set(u->shown, sizeof(u->shown), "redis://%s%s%s%s%s%s:%d/%d", u->user, pass, at,
                 is_v6 ? "[" : "", u->host, is_v6 ? "]" : "", u->port, u->db);
}

int rds_url_parse(const char *url, struct rds_url *out, char *err, size_t errlen)
{
    struct rds_url *u = out;
    const char *p = strstr(url, "://");
    size_t scheme = p ? (size_t)(p - url) : 0;
    bool is_unix = scheme == 4 && !strncasecmp(url, "unix", 4);
    int rc = 0;

    *u = (struct rds_url){.port = 6379,
                          .read_timeout_ms = 30000,
                          .write_timeout_ms = 5000,
                          .min_backoff_ms = 20,
                          .max_backoff_ms = 10000,
                          .connect_timeout_ms = 5000};
    if (scheme == 6 && !strncasecmp(url, "rediss", 6))
        return bad(err, errlen, -ENOTSUP, "rediss:// (TLS) is not built in yet");
    if (p && !is_unix && !(scheme == 5 && !strncasecmp(url, "redis", 5)) &&
        !(scheme == 7 && !strncasecmp(url, "rueidis", 7)))
        return bad(err, errlen, -EINVAL, "the scheme is not redis:// or unix://");
    if (strlen(url) > URL_MAX)
        return bad(err, errlen, -EINVAL, "too long");
    p = p ? p + 3 : url;
    if (strchr(p, '#'))
        return bad(err, errlen, -EINVAL, "a # that is part of a password is written %23");

    const char *end = p + strcspn(p, "?"), *query = *end ? end + 1 : end;
    const char *path = memchr(p, '/', (size_t)(end - p));
    if (!path)
        path = end;
    const char *at = last_at(p, path);
    if (!is_unix && last_at(path, end))
        return bad(err, errlen, -EINVAL,
                   "an @ after the host: write / ? # @ in a password as %2F %3F %23 %40");
    if (at)
        rc = parse_user(u, p, at, err, errlen);
    const char *host = at ? at + 1 : p;
    if (rc == 0 && is_unix) {
        if (host != path || path == end)
            rc = bad(err, errlen, -EINVAL, "unix:// wants an absolute path: unix:///path/to.sock");
        else if (decode(path, end, false, u->socket, sizeof(u->socket)) < 0)
            rc = bad(err, errlen, -EINVAL, "the socket's path is malformed");
        else if (strlen(u->socket) >= SOCKET_PATH_MAX)
            rc = bad(err, errlen, -EINVAL, "the socket's path is longer than 107 bytes");
    } else if (rc == 0) {
        rc = parse_host(u, host, path, err, errlen);
        if (rc == 0)
            rc = parse_db_path(u, path, end, err, errlen);
    }
    if (rc == 0)
        rc = parse_query(u, query, err, errlen);
    if (rc == 0)
        rc = find_password(u, err, errlen);
    if (rc == 0)
        make_shown(u);
    return rc;
}
