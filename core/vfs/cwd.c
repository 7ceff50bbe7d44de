/*
 * cwd.c - current directories, their paths, and paths that programs may be given.
 *
 * The kernel's current directory is the skeleton of ours, so it survives fork and exec and its
 * inode is read back from its name.
 */
#include "core/vfs/vfs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int enter(struct vfs *v, uint64_t ino)
{
    struct staging_owner owner;
    bool made;
    staging_enter(v->staging, &owner);
    int fd = staging_open_dir(v->staging, ino, O_PATH | O_CLOEXEC, &made);
    int rc = fd < 0 ? fd : fchdir(fd) != 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    staging_leave(&owner);
    return rc;
}

static int enter_checked(struct vfs *v, struct vfs_loc *loc, uint64_t *ino)
{
    struct request r;
    request_init(v, &r, OP_LOOKUP, loc);
    r.op.flags = OPF_DIRECTORY;
    r.op.valid = X_OK;
    int rc = request_call(v, &r, loc);
    if (rc == 0) {
        *ino = r.res.ino;
        rc = enter(v, *ino);
    }
    request_fini(&r);
    return rc;
}

int vfs_chdir(struct vfs *v, struct vfs_loc *loc, uint64_t *ino)
{
    return enter_checked(v, loc, ino);
}

int vfs_fchdir(struct vfs *v, int fd, const struct vfs_fd *f)
{
    struct vfs_loc loc;
    uint64_t ino;
    (void)fd;
    if (f->kind != VFS_DIR)
        return -ENOTDIR;
    loc_inode(&loc, f->ino);
    return enter_checked(v, &loc, &ino);
}

int vfs_dir_path(struct vfs *v, uint64_t ino, char *out, size_t len)
{
    struct vfs_loc loc;
    struct request r;
    int rc = 0;

    if (ino == INO_ROOT) {
        if (len < 1)
            return -ERANGE;
        out[0] = '\0';
        return 0;
    }
    loc_inode(&loc, ino);
    rc = request_simple(v, &r, OP_PATHOF, &loc);
    const struct buf *e = &r.res.extra;
    if (rc == 0) {
        size_t slash = e->len > 0 && e->data[0] != '/';
        if (e->len + slash + 1 > len) {
            rc = -ERANGE;
        } else {
            out[0] = '/';
            if (e->len > 0)
                memcpy(out + slash, e->data, e->len);
            out[e->len + slash] = '\0';
        }
    }
    request_fini(&r);
    return rc;
}

/* --- realpath --------------------------------------------------------------------------------- */

struct walk {
    char rest[PATH_MAX * 2]; /* still to go */
    char done[PATH_MAX];     /* below the prefix: "" or "/a/b", no links in it */
    int links;
};

static void pop(char *done)
{
    char *slash = strrchr(done, '/');
    if (slash != NULL)
        *slash = '\0';
}

static int prepend(struct walk *w, const char *target, size_t len)
{
    size_t rest = strlen(w->rest);
    if (len + rest >= sizeof w->rest)
        return -ENAMETOOLONG;
    memmove(w->rest + len, w->rest, rest + 1); /* empty, or it begins with a slash */
    memcpy(w->rest, target, len);
    return 0;
}

/* A link was met: its target goes in front of the rest. */
static int follow(struct vfs *v, struct walk *w, const struct buf *target, struct vfs_loc *loc)
{
    size_t prefix = strlen(v->config.prefix);
    const char *t = (const char *)target->data;
    size_t n = target->len;

    if (++w->links > 40)
        return -ELOOP;
    pop(w->done);
    if (n > 0 && t[0] == '/') {
        if (n < prefix || memcmp(t, v->config.prefix, prefix) != 0 ||
            (n > prefix && t[prefix] != '/')) {
            if ((size_t)snprintf(loc->native, sizeof loc->native, "%.*s/%s", (int)n, t, w->rest) >=
                sizeof loc->native)
                return -ENAMETOOLONG;
            return VFS_ESCAPE;
        }
        w->done[0] = '\0';
        t += prefix;
        n -= prefix;
    }
    return prepend(w, t, n);
}

static int step(struct vfs *v, struct walk *w, struct vfs_loc *loc)
{
    char *name = w->rest + strspn(w->rest, "/");
    size_t n = strcspn(name, "/");
    char part[NAME_LEN_MAX + 1];

    if (n > NAME_LEN_MAX)
        return -ENAMETOOLONG;
    memcpy(part, name, n);
    part[n] = '\0';
    memmove(w->rest, name + n, strlen(name + n) + 1);
    if (n == 0 || strcmp(part, ".") == 0)
        return 0;
    if (strcmp(part, "..") == 0) {
        if (w->done[0] == '\0') {
            if ((size_t)snprintf(loc->native, sizeof loc->native, "%s/..%s", v->config.prefix,
                                 w->rest) >= sizeof loc->native)
                return -ENAMETOOLONG;
            return VFS_ESCAPE;
        }
        pop(w->done);
        return 0;
    }
    size_t have = strlen(w->done);
    if (have + 1 + n >= sizeof w->done)
        return -ENAMETOOLONG;
    w->done[have] = '/';
    memcpy(w->done + have + 1, part, n + 1);
    struct vfs_loc at = {.base = INO_ROOT, .path = w->done + 1};
    struct request r;
    request_init(v, &r, OP_LOOKUP, &at);
    r.op.flags = OPF_NOFOLLOW;
    int rc = request_call(v, &r, &at);
    if (rc == 0 && r.res.attr.type == TYPE_SYMLINK)
        rc = follow(v, w, &r.res.extra, loc);
    else if (rc == 0 && r.res.attr.type != TYPE_DIRECTORY && w->rest[0] != '\0')
        rc = -ENOTDIR;
    request_fini(&r);
    return rc;
}

int vfs_realpath(struct vfs *v, struct vfs_loc *loc, char *out, size_t len)
{
    struct walk *w = calloc(1, sizeof *w);
    if (w == NULL)
        return -ENOMEM;
    int rc = vfs_ready(v);
    if (rc == 0)
        rc = vfs_dir_path(v, loc->base, w->done, sizeof w->done);
    size_t n = strlen(loc->path);
    if (rc == 0 && n >= PATH_MAX)
        rc = -ENAMETOOLONG;
    if (rc == 0)
        memcpy(w->rest, loc->path, n + 1);
    while (rc == 0 && w->rest[0] != '\0')
        rc = step(v, w, loc);
    if (rc == 0 && (size_t)snprintf(out, len, "%s%s", v->config.prefix, w->done) >= len)
        rc = -ENAMETOOLONG;
    free(w);
    return rc;
}

int vfs_exec_path(struct vfs *v, struct vfs_loc *loc, char *out, size_t len)
{
    struct vfs_stat st;
    struct vfs_fd f;
    int rc = vfs_access(v, loc, X_OK, false, false);
    if (rc == 0)
        rc = vfs_stat(v, loc, false, &st);
    if (rc == 0 && (st.attr.type != TYPE_FILE || (st.attr.mode & 0111) == 0))
        rc = -EACCES; /* also for root */
    if (rc < 0)
        return rc;
    /* Bytes have to be brought in, so execute permission alone is not enough here. */
    struct vfs_loc by_ino = {.base = st.ino, .path = ""};
    int fd = vfs_open(v, &by_ino, O_RDONLY | O_CLOEXEC, 0, &f);
    if (fd < 0)
        return fd;
    rc = vfs_direct(v, fd, &f, VFS_USE_MAP_READ);
    if (rc == 0) {
        struct staging_owner owner;
        staging_enter(v->staging, &owner);
        staging_path(v->staging, f.slot, out, len);
        if (chmod(out, 0700) != 0)
            rc = -errno;
        staging_leave(&owner);
    }
    if (rc < 0) {
        vfs_close(v, fd, &f);
        return rc;
    }
    return fd;
}
