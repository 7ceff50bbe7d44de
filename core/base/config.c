/*
 * config.c - where each setting comes from, in the order of config.h.
 *
 * One table has a row per setting; environment and files fill what is still NULL, so the first
 * source wins.  Files are read by config_file.c.
 */
#include "core/base/config.h"
#include "core/base/config_file.h"
#include "core/base/line.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOST_FILE      "/etc/jfspre.conf"
#define DEFAULT_PREFIX "/jfs"

/* clang-format off */
static const struct row {
    const char *variable, *name;
    size_t offset;
} rows[] = {
    {"JFSPRE_META",      "meta",      offsetof(struct config, meta)},
    {"JFSPRE_PREFIX",    "prefix",    offsetof(struct config, prefix)},
    {"JFSPRE_CACHE_DIR", "cache-dir", offsetof(struct config, cache_dir)},
    {"JFSPRE_LOG",       "log",       offsetof(struct config, log)},
};
/* clang-format on */
#define ROWS (sizeof rows / sizeof rows[0])

static char **field(struct config *c, size_t row)
{
    return (char **)((char *)c + rows[row].offset);
}

char **config_field(struct config *c, const char *name, size_t len)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0)
            return field(c, i);
    }
    return NULL;
}

static int no_memory(char *err, size_t errlen)
{
    line_set(err, errlen, "out of memory");
    return -ENOMEM;
}

static int from_environment(struct config *c)
{
    for (size_t i = 0; i < ROWS; i++) {
        char **to = field(c, i);
        const char *value = *to == NULL ? getenv(rows[i].variable) : NULL;

        if (value == NULL || *value == 0)
            continue;
        *to = strdup(value);
        if (*to == NULL)
            return -ENOMEM;
    }
    return 0;
}

/* Takes what is still missing in c from a file. */
static int from_file(struct config *c, const char *path, char *err, size_t errlen)
{
    struct config file = {0};
    int rc = config_file_read(path, &file, err, errlen);

    for (size_t i = 0; rc == 0 && i < ROWS; i++) {
        char **to = field(c, i), **from = field(&file, i);

        if (*to == NULL) {
            *to = *from;
            *from = NULL;
        }
    }
    config_free(&file);
    return rc;
}

/* False: there is no place for it. */
static bool user_file(char *out, size_t cap)
{
    const char *base = getenv("XDG_CONFIG_HOME");
    const char *middle = "";
    int len;

    /* "All paths set in these environment variables must be absolute", else they are ignored. */
    if (base == NULL || *base != '/') {
        base = getenv("HOME");
        middle = "/.config";
        if (base == NULL || *base != '/')
            return false;
    }
    len = snprintf(out, cap, "%s%s/jfspre/config", base, middle);
    return len > 0 && (size_t)len < cap;
}

static int from_files(struct config *c, char *err, size_t errlen)
{
    char path[PATH_MAX];
    int rc;

    if (user_file(path, sizeof path)) {
        rc = from_file(c, path, err, errlen);
        /* HOME may be another user's, after su or in a service: then there is none for us. */
        if (rc != 0 && rc != -EACCES)
            return rc;
    }
    return from_file(c, HOST_FILE, err, errlen);
}

/* Rewrites path without empty components, "." and a trailing slash. */
static int normalise_prefix(char *path, char *err, size_t errlen)
{
    char *to = path;

    if (*path != '/') {
        line_set(err, errlen, "prefix \"%s\": not an absolute path", path);
        return -EINVAL;
    }
    if (strlen(path) >= PATH_MAX) {
        line_set(err, errlen, "prefix \"%.64s...\": too long", path);
        return -EINVAL;
    }
    for (const char *from = path; *from != 0;) {
        size_t len = strcspn(from, "/");

        if (len == 2 && memcmp(from, "..", 2) == 0) {
            line_set(err, errlen, "prefix: \"..\" is not allowed in it");
            return -EINVAL;
        }
        if (len != 0 && !(len == 1 && *from == '.')) {
            *to++ = '/';
            memmove(to, from, len);
            to += len;
        }
        from += len;
        from += strspn(from, "/");
    }
    *to = 0;
    if (to == path) {
        line_set(err, errlen, "prefix \"/\": the whole tree cannot be served, name a directory");
        return -EINVAL;
    }
    return 0;
}

static int default_cache_dir(char **out)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    unsigned uid = (unsigned)geteuid();
    int len;

    if (runtime != NULL && *runtime == '/' && access(runtime, W_OK | X_OK) == 0)
        len = asprintf(out, "%s/jfspre", runtime);
    else if (access("/dev/shm", W_OK | X_OK) == 0)
        len = asprintf(out, "/dev/shm/jfspre-%u", uid);
    else
        len = asprintf(out, "/tmp/jfspre-%u", uid);
    if (len >= 0)
        return 0;
    *out = NULL;
    return -ENOMEM;
}

int config_load(struct config *c, char *err, size_t errlen)
{
    int rc = from_environment(c);

    if (rc != 0)
        return no_memory(err, errlen);
    if (c->meta == NULL) {
        rc = from_files(c, err, errlen);
        if (rc != 0)
            return rc;
    }
    if (c->prefix == NULL)
        c->prefix = strdup(DEFAULT_PREFIX);
    if (c->prefix == NULL)
        return no_memory(err, errlen);
    rc = normalise_prefix(c->prefix, err, errlen);
    if (rc != 0)
        return rc;
    if (c->cache_dir == NULL && default_cache_dir(&c->cache_dir) != 0)
        return no_memory(err, errlen);
    if (*c->cache_dir != '/') {
        line_set(err, errlen, "cache-dir \"%s\": not an absolute path", c->cache_dir);
        return -EINVAL;
    }
    return 0;
}

void config_free(struct config *c)
{
    for (size_t i = 0; i < ROWS; i++)
        free(*field(c, i));
    *c = (struct config){0};
}
