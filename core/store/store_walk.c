/*
 * store_walk.c - all files below the directory of blocks, for the garbage collector.
 */
#include "core/store/store_internal.h"

#include "core/base/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH 4 /* of directories: stock has two below chunks/ */

struct walk {
    int (*visit)(void *ctx, const struct store_object *o);
    void *ctx;
    char path[PATH_MAX];
};

/* A decimal number and what follows it; NULL: there is none, or it is above most. */
static const char *number(const char *s, uint64_t most, uint64_t *out)
{
    *out = 0;
    if (*s < '0' || *s > '9')
        return NULL;
    for (; *s >= '0' && *s <= '9'; s++) {
        uint64_t digit = (uint64_t)(*s - '0');
        if (*out > (most - digit) / 10)
            return NULL;
        *out = *out * 10 + digit;
    }
    return s;
}

/* {id}_{index}_{len}, or .jfs.{id}_{index}_{len}.tmp.{anything} */
static bool parse(const char *name, struct store_object *o)
{
    uint64_t index, len;

    o->is_temporary = strncmp(name, ".jfs.", 5) == 0;
    const char *s = number(name + (o->is_temporary ? 5 : 0), UINT64_MAX, &o->id);
    s = s != NULL && *s == '_' ? number(s + 1, UINT32_MAX, &index) : NULL;
    s = s != NULL && *s == '_' ? number(s + 1, UINT32_MAX, &len) : NULL;
    if (s == NULL)
        return false;
    o->index = (uint32_t)index;
    o->len = (uint32_t)len;
    return o->is_temporary ? strncmp(s, ".tmp.", 5) == 0 : *s == '\0';
}

static int walk(struct walk *w, size_t len, int depth);

static int look(struct walk *w, size_t len, const struct dirent *d, int depth)
{
    struct store_object o = {.path = w->path};
    struct stat sb;

    if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
        return 0;
    int n = snprintf(w->path + len, sizeof(w->path) - len, "/%s", d->d_name);
    if (n < 0 || len + (size_t)n >= sizeof(w->path))
        return -ENAMETOOLONG;
    unsigned char type = d->d_type;
    if (type == DT_UNKNOWN && lstat(w->path, &sb) == 0)
        type = S_ISDIR(sb.st_mode) ? DT_DIR : S_ISREG(sb.st_mode) ? DT_REG : DT_UNKNOWN;
    if (type == DT_DIR)
        return depth > 1 ? walk(w, len + (size_t)n, depth - 1) : 0;
    return type == DT_REG && parse(d->d_name, &o) ? w->visit(w->ctx, &o) : 0;
}

static int walk(struct walk *w, size_t len, int depth)
{
    const struct dirent *d;
    int rc = 0;

    w->path[len] = '\0';
    DIR *dir = opendir(w->path);
    if (dir == NULL) {
        rc = -errno;
        if (rc == -ENOENT)
            return 0; /* no block was ever written, or the directory was just removed */
        log_at(LOG_ERROR, "%s: %s", w->path, strerror(-rc));
        return rc;
    }
    while (rc >= 0 && (errno = 0, d = readdir(dir)) != NULL)
        rc = look(w, len, d, depth);
    if (rc >= 0 && errno != 0) {
        rc = -errno;
        w->path[len] = '\0';
        log_at(LOG_ERROR, "%s: %s", w->path, strerror(-rc));
    }
    closedir(dir);
    return rc < 0 ? rc : 0;
}

int store_walk(const struct store *st, int (*visit)(void *ctx, const struct store_object *o),
               void *ctx)
{
    struct walk w = {.visit = visit, .ctx = ctx};

    int n = snprintf(w.path, sizeof(w.path), "%schunks", st->root);
    if (n < 0 || (size_t)n >= sizeof(w.path))
        return -ENAMETOOLONG;
    return walk(&w, (size_t)n, DEPTH);
}
