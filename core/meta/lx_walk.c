/*
 * lx_walk.c - paths to inodes (lib_walk).
 */
#include "core/meta/lx.h"

#include <errno.h>
#include <string.h>

#define LINKS_MAX 40

int lx_start(struct lx *x, struct lx_walk *w, uint64_t base, const char *path)
{
    size_t n = path != NULL ? strlen(path) : 0;
    bool found;

    memset(w, 0, offsetof(struct lx_walk, rest));
    w->kind = LAST_ROOT;
    w->dir = base;
    if (n > PATH_LEN_MAX)
        return -ENAMETOOLONG;
    memcpy(w->rest, n > 0 ? path : "", n + 1);
    int rc = lx_load(x, base, &w->a, &found);
    return rc < 0 ? rc : found ? 0 : -ENOENT;
}

static int escape(struct lx *x, const char *head, size_t hlen, const char *middle, const char *tail)
{
    buf_clear(&x->res->extra);
    buf_add(&x->res->extra, head, hlen);
    buf_add(&x->res->extra, middle, strlen(middle));
    buf_add(&x->res->extra, tail, strlen(tail));
    return LX_ESCAPE;
}

static int up(struct lx *x, struct lx_walk *w, const char *tail)
{
    struct attr a;
    bool found;
    if (w->dir == INO_ROOT)
        return escape(x, x->env->mount, strlen(x->env->mount), "/..", tail);
    uint64_t dir = w->a.parent;
    int rc = lx_load(x, dir, &a, &found);
    if (rc < 0 || !found)
        return rc < 0 ? rc : -ENOENT;
    w->dir = dir;
    w->a = a;
    return 0;
}

/* Runs of slashes become one; returns the length. */
static size_t squeeze(const char *from, size_t n, char *to)
{
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        if (from[i] != '/' || out == 0 || to[out - 1] != '/')
            to[out++] = from[i];
    }
    return out;
}

/* Puts t before tail, which may be a part of w->rest. */
static int put_before(struct lx_walk *w, const char *t, size_t n, const char *tail)
{
    size_t len = strlen(tail);
    if (n + len >= sizeof(w->rest))
        return -ENAMETOOLONG;
    memmove(w->rest + n, tail, len + 1);
    memcpy(w->rest, t, n);
    w->pos = 0;
    return 0;
}

/* The symlink's target takes the place of what was walked; tail follows it. */
static int follow(struct lx *x, struct lx_walk *w, uint64_t ino, const char *tail)
{
    char key[LX_KEY], plain[PATH_MAX];
    const char *mount = x->env->mount;
    size_t m = strlen(mount);
    struct kv_val v;
    bool found;

    if (++w->links > LINKS_MAX)
        return -ELOOP;
    lx_key(key, 's', ino);
    int rc = lx_get(x, key, NULL, 0, &v, &found);
    if (rc < 0)
        return rc;
    const char *target = v.data;
    if (!found || v.len == 0 || v.len >= sizeof(plain))
        return -EIO;
    if (target[0] != '/')
        return put_before(w, target, v.len, tail);
    size_t k = squeeze(target, v.len, plain);
    if (m == 0 || k < m || memcmp(plain, mount, m) != 0 || (k > m && plain[m] != '/'))
        return escape(x, target, v.len, "", tail);
    w->dir = INO_ROOT;
    rc = lx_load(x, INO_ROOT, &w->a, &found);
    if (rc < 0 || !found)
        return rc < 0 ? rc : -ENOENT;
    return put_before(w, plain + m, k - m, tail);
}

/* One component that is not the last: tail begins with the slash after it. */
static int enter(struct lx *x, struct lx_walk *w, const char *name, size_t len, const char *tail)
{
    uint8_t type;
    uint64_t ino;
    bool found;

    if (len == 1 && name[0] == '.')
        return 0;
    if (len == 2 && name[0] == '.' && name[1] == '.')
        return up(x, w, tail);
    int rc = lx_entry(x, w->dir, name, len, &type, &ino, &found);
    if (rc < 0 || !found)
        return rc < 0 ? rc : -ENOENT;
    if (type == TYPE_SYMLINK)
        return follow(x, w, ino, tail);
    if (type != TYPE_DIRECTORY)
        return -ENOTDIR;
    struct attr a;
    rc = lx_load(x, ino, &a, &found);
    if (rc < 0 || !found)
        return rc < 0 ? rc : -ENOENT;
    w->dir = ino;
    w->a = a;
    return 0;
}

int lx_to_last(struct lx *x, struct lx_walk *w)
{
    for (;;) {
        const char *name = w->rest + w->pos + strspn(w->rest + w->pos, "/");
        size_t len = strcspn(name, "/");
        if (len == 0) {
            w->kind = LAST_ROOT;
            w->name_len = 0;
            w->slash = w->rest[0] != '\0';
            return w->slash && w->a.type != TYPE_DIRECTORY ? -ENOTDIR : 0;
        }
        if (w->a.type != TYPE_DIRECTORY)
            return -ENOTDIR;
        if (!lx_may(x, &w->a, 1))
            return -EACCES;
        if (len > NAME_LEN_MAX)
            return -ENAMETOOLONG;
        const char *tail = name + len;
        const char *next = tail + strspn(tail, "/");
        if (*next == '\0') {
            memcpy(w->name, name, len);
            w->name[len] = '\0';
            w->name_len = len;
            w->slash = *tail == '/';
            w->kind = strcmp(w->name, ".") == 0    ? LAST_DOT
                      : strcmp(w->name, "..") == 0 ? LAST_DOTDOT
                                                   : LAST_NORM;
            return 0;
        }
        w->pos = (size_t)(next - w->rest);
        int rc = enter(x, w, name, len, tail);
        if (rc != 0)
            return rc;
    }
}

/* An entry whose inode has no attr: stock shows its type and nothing else; but the trash, which a
 * volume without trash never made, as an empty directory. */
static struct attr no_attr(uint8_t type, uint64_t ino)
{
    struct attr a = {.type = type};
    if (ino == INO_TRASH) {
        a.mode = 0555;
        a.nlink = 2;
        a.parent = INO_ROOT;
    }
    return a;
}

int lx_object(struct lx *x, struct lx_walk *w, bool nofollow)
{
    for (;;) {
        int rc = lx_to_last(x, w);
        if (rc == 0 && w->creating && w->slash && w->kind == LAST_NORM)
            rc = -EISDIR;
        if (rc != 0) {
            w->kind = LAST_FAILED;
            return rc;
        }
        if (w->kind == LAST_DOTDOT && (rc = up(x, w, w->slash ? "/" : "")) != 0)
            return rc;
        if (w->kind != LAST_NORM) {
            w->ino = w->dir;
            w->attr = w->a;
            w->parent = w->a.parent;
            w->found = true;
            return 0;
        }
        uint8_t type;
        uint64_t ino;
        bool found;
        rc = lx_entry(x, w->dir, w->name, w->name_len, &type, &ino, &found);
        if (rc < 0 || !found)
            return rc < 0 ? rc : -ENOENT;
        if (type == TYPE_SYMLINK && (w->slash || !nofollow)) {
            w->linked = true;
            rc = follow(x, w, ino, w->slash ? "/" : "");
            if (rc != 0) {
                w->kind = LAST_FAILED;
                return rc;
            }
            continue;
        }
        rc = lx_load(x, ino, &w->attr, &found);
        if (rc < 0)
            return rc;
        if (!found) {
            w->attr = no_attr(type, ino);
            w->corrupt = true;
        }
        w->ino = ino;
        w->parent = w->dir;
        w->found = true;
        return w->slash && w->attr.type != TYPE_DIRECTORY ? -ENOTDIR : 0;
    }
}

int lx_is_below(struct lx *x, uint64_t dir, uint64_t ino)
{
    for (int i = 0; i < 10000; i++) {
        struct attr a;
        bool found;
        if (dir == ino)
            return 1;
        if (dir == INO_ROOT || dir == 0 || lx_is_trash(dir))
            return 0;
        int rc = lx_load(x, dir, &a, &found);
        if (rc < 0 || !found)
            return rc < 0 ? rc : 0;
        dir = a.parent;
    }
    return -ELOOP;
}

int lx_answer(struct lx *x, uint64_t ino, const struct attr *a, uint64_t parent)
{
    x->res->ino = ino;
    x->res->parent = parent;
    x->res->has_attr = a != NULL;
    if (a != NULL)
        x->res->attr = *a;
    return 0;
}

bool lx_reserved(const struct lx_walk *w)
{
    static const char *const names[] = {".trash", ".control", ".accesslog", ".stats", ".config"};
    for (size_t i = 0; w->dir == INO_ROOT && i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(w->name, names[i]) == 0)
            return true;
    }
    return false;
}
