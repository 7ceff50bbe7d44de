/*
 * writer.c - the process that draws deeds and does them; see writer.h.
 */
#include "tests/lib/writer_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint32_t below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(draw(state) >> 16) % n;
}

/* --- doing it --------------------------------------------------------------------------------- */

/* In a writer: the directory that it made, as if it were the working directory. */
static char own_dir[32];
static uint64_t own_ino;

struct vfs_loc *writer_at(const char *path)
{
    static struct vfs_loc loc[2];
    static unsigned next;
    struct vfs_loc *l = &loc[next++ % 2];
    size_t n = strlen(own_dir);
    *l = (struct vfs_loc){.base = INO_ROOT, .path = path};
    if (own_ino != 0 && strncmp(path, own_dir, n) == 0 && path[n] == '/')
        *l = (struct vfs_loc){.base = own_ino, .path = path + n + 1};
    return l;
}

ssize_t writer_transfer(struct vfs *v, int fd, const struct vfs_fd *f, void *data, size_t n,
                        off_t off, bool write)
{
    struct iovec iov = {data, n};
    return write ? vfs_writev(v, fd, f, &iov, 1, off, 0) : vfs_readv(v, fd, f, &iov, 1, off, 0);
}

static int write_file(struct vfs *v, const struct deed *d, int flags, off_t off)
{
    static uint8_t data[1 << 18];
    struct vfs_fd f;
    model_fill(data, d->len, d->seed);
    int fd = vfs_open(v, writer_at(d->a), flags | O_CLOEXEC, 0644, &f);
    if (fd < 0)
        return fd;
    ssize_t n = writer_transfer(v, fd, &f, data, d->len, off, true);
    int rc = vfs_close(v, fd, &f);
    return n < 0 ? (int)n : n != (ssize_t)d->len ? -EIO : rc;
}

static int unlink_open(struct vfs *v, const struct deed *d)
{
    struct vfs_stat st;
    struct vfs_fd f;
    char text[8] = "";
    int fd = vfs_open(v, writer_at(d->a), O_RDWR | O_CLOEXEC, 0, &f);
    if (fd < 0)
        return fd;
    int rc = vfs_unlink(v, writer_at(d->a));
    if (rc == 0)
        rc = vfs_fstat(v, fd, &f, &st);
    if (rc < 0 || st.attr.nlink > 0) {
        vfs_close(v, fd, &f);
        return rc;
    }
    ssize_t n = writer_transfer(v, fd, &f, (char[]){"gone"}, 4, 100, true);
    if (rc == 0 && n != 4)
        rc = n < 0 ? (int)n : -EIO;
    n = writer_transfer(v, fd, &f, text, 4, 100, false);
    if (rc == 0 && (n != 4 || memcmp(text, "gone", 4) != 0))
        rc = n < 0 ? (int)n : -EIO;
    int closed = vfs_close(v, fd, &f);
    return rc == 0 ? closed : rc;
}

static int carry_out(struct vfs *v, const struct deed *d)
{
    switch (d->kind) {
    case DEED_CREATE:
        return write_file(v, d, O_CREAT | O_EXCL | O_WRONLY, -1);
    case DEED_REPLACE:
        return write_file(v, d, O_TRUNC | O_WRONLY, -1);
    case DEED_APPEND:
        return write_file(v, d, O_APPEND | O_WRONLY, -1);
    case DEED_PATCH:
        return write_file(v, d, O_RDWR, d->off);
    case DEED_TRUNCATE:
        return vfs_truncate(v, writer_at(d->a), d->len);
    case DEED_RENAME:
        return vfs_rename(v, writer_at(d->a), writer_at(d->b), 0);
    case DEED_EXCHANGE:
        return vfs_rename(v, writer_at(d->a), writer_at(d->b), 2);
    case DEED_LINK:
        return vfs_link(v, writer_at(d->a), writer_at(d->b), false);
    case DEED_UNLINK:
        return vfs_unlink(v, writer_at(d->a));
    case DEED_UNLINK_OPEN:
        return unlink_open(v, d);
    case DEED_MKDIR:
        return vfs_mkdir(v, writer_at(d->a), 0755);
    case DEED_RMDIR:
        return vfs_rmdir(v, writer_at(d->a));
    default:
        return vfs_symlink(v, d->b, writer_at(d->a));
    }
}

/* own: the directory that this process made, or "". */
static void new_name(const struct model *m, uint64_t *state, const char *own, char out[32])
{
    do {
        if (*own != '\0' && below(state, 3) != 0)
            snprintf(out, 32, "%.20s/%u", own, below(state, 1000));
        else if (below(state, 3) == 0)
            snprintf(out, 32, "shared/%u-%u", m->writer, below(state, 1000));
        else
            snprintf(out, 32, "w%u/%u", m->writer, below(state, 1000));
    } while (model_find((struct model *)m, out) != NULL);
}

static bool is_empty(const struct model *m, const char *dir)
{
    size_t n = strlen(dir);
    for (int i = 0; i < WRITER_NAMES; i++) {
        if (strncmp(m->name[i].name, dir, n) == 0 && m->name[i].name[n] == '/')
            return false;
    }
    return true;
}

static int names_used(const struct model *m)
{
    int used = 0;
    for (int i = 0; i < WRITER_NAMES; i++)
        used += m->name[i].name[0] != '\0';
    return used;
}

/* Names are read again after each kill. */
static bool is_full(const struct model *m)
{
    return names_used(m) > (m->is_quick ? 20 : WRITER_NAMES - 8);
}

/* Of a type, or of any that is no directory (0); below dir, or anywhere (""). */
static bool old_name(const struct model *m, uint64_t *state, uint8_t type, const char *dir,
                     char out[32])
{
    for (int try = 0; try < 100; try++) {
        const struct model_name *n = &m->name[below(state, WRITER_NAMES)];
        uint8_t is = m->file[n->file].type;
        if (n->name[0] == '\0' || (type != 0 ? is != type : is == TYPE_DIRECTORY) ||
            strncmp(n->name, dir, strlen(dir)) != 0)
            continue;
        memcpy(out, n->name, 32);
        return true;
    }
    return false;
}

static bool draw_deed(const struct model *m, uint64_t *state, const char *own, struct deed *d)
{
    static const uint8_t wants[DEED_KINDS] = {
        [DEED_REPLACE] = TYPE_FILE,   [DEED_APPEND] = TYPE_FILE, [DEED_PATCH] = TYPE_FILE,
        [DEED_TRUNCATE] = TYPE_FILE,  [DEED_LINK] = TYPE_FILE,   [DEED_UNLINK_OPEN] = TYPE_FILE,
        [DEED_RMDIR] = TYPE_DIRECTORY};
    static const uint32_t lengths[] = {10, 300, 5000, 70000, 150000};
    memset(d, 0, sizeof(*d));
    bool quick = m->is_quick && *own != '\0' && below(state, 10) != 0;
    d->kind = (uint8_t)below(state, DEED_KINDS);
    if (quick)
        d->kind = below(state, 2) == 0 ? DEED_CREATE : DEED_UNLINK;
    d->len = below(state, lengths[below(state, quick ? 3 : 5)]);
    d->off = below(state, lengths[below(state, 5)]);
    d->seed = below(state, 100000);
    bool makes = d->kind == DEED_CREATE || d->kind == DEED_MKDIR || d->kind == DEED_SYMLINK;
    if ((makes || d->kind == DEED_LINK) && is_full(m))
        return false;
    if (makes)
        new_name(m, state, d->kind == DEED_MKDIR ? "" : own, d->a);
    else if (!old_name(m, state, wants[d->kind], quick ? own : "", d->a))
        return false;
    if (d->kind == DEED_RMDIR && (strcmp(d->a, own) == 0 || !is_empty(m, d->a)))
        return false;
    if (d->kind == DEED_SYMLINK)
        snprintf(d->b, sizeof(d->b), "nowhere/%u", d->seed);
    if (d->kind == DEED_RENAME && below(state, 2) == 0)
        return old_name(m, state, 0, "", d->b);
    if (d->kind == DEED_EXCHANGE)
        return old_name(m, state, 0, "", d->b);
    if (d->kind == DEED_RENAME || d->kind == DEED_LINK)
        new_name(m, state, own, d->b);
    return true;
}

/* false: it is over. */
static bool do_deed(struct vfs *v, struct model *m, struct deed *d, int pipe)
{
    if (write(pipe, d, sizeof(*d)) != sizeof(*d))
        return false;
    d->code = carry_out(v, d);
    d->done = true;
    if (d->code < 0)
        fprintf(stderr, "writer %u: %s\n", m->writer, vfs_error(v));
    if (write(pipe, d, sizeof(*d)) != sizeof(*d) || d->code < 0)
        return false;
    model_apply(m, d);
    return true;
}

static void make_own(struct vfs *v, struct model *m, uint64_t *seed, int pipe)
{
    struct deed d = {.kind = DEED_MKDIR};
    struct vfs_stat st;
    if (is_full(m))
        return;
    do
        snprintf(own_dir, sizeof(own_dir), "w%u/d%u", m->writer, below(seed, 100000));
    while (model_find(m, own_dir) != NULL);
    memcpy(d.a, own_dir, sizeof(own_dir));
    if (do_deed(v, m, &d, pipe) && vfs_stat(v, writer_at(own_dir), true, &st) == 0)
        own_ino = st.ino;
    else
        own_dir[0] = '\0';
}

void writer_run(struct vfs *v, struct model *m, uint64_t seed, int pipe)
{
    struct deed d;
    make_own(v, m, &seed, pipe);
    for (;;) {
        if (draw_deed(m, &seed, own_dir, &d) && !do_deed(v, m, &d, pipe))
            return;
    }
}
