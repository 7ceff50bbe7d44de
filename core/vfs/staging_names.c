/*
 * staging_names.c - names in the staging area, and the skeletons behind directories, markers and
 * FIFOs.
 */
#include "core/vfs/staging_internal.h"

#include "core/base/decimal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int staging_name_of(const char *link, const char *cache_dir, char uuid[64], uint64_t *number)
{
    size_t n = strlen(cache_dir);
    if (strncmp(link, cache_dir, n) != 0 || link[n] != '/')
        return 0;
    const char *p = link + n + 1;
    size_t len = strcspn(p, "/");
    if (len == 0 || len >= 64 || p[len] != '/' || p[len + 1] == '\0' || p[len + 2] != '/' ||
        strchr("sdo", p[len + 1]) == NULL)
        return 0;
    int kind = p[len + 1];
    char *end;
    errno = 0;
    uint64_t v = strtoull(p + len + 3, &end, 10);
    if (end == p + len + 3 || errno != 0 || (*end != '\0' && strcmp(end, " (deleted)") != 0))
        return 0;
    memcpy(uuid, p, len);
    uuid[len] = '\0';
    char *dot = strrchr(uuid, '.'); /* UUID.UID */
    if (dot == NULL)
        return 0;
    *dot = '\0';
    *number = v;
    return kind;
}

void staging_name(char kind, uint64_t number, char out[32])
{
    out[0] = kind;
    out[1] = '/';
    decimal_unsigned(out + 2, number);
}

void staging_path(const struct staging *st, uint32_t number, char *out, size_t len)
{
    snprintf(out, len, "%s/s/%u", st->path, number);
}

/* --- skeletons -------------------------------------------------------------------------------- */

int staging_open_dir(struct staging *st, uint64_t ino, int flags, bool *made)
{
    char name[32];
    staging_name('d', ino, name);
    *made = false;
    for (int attempt = 0; attempt < 100; attempt++) { /* another process may drop it meanwhile */
        int fd = openat(st->dir, name, flags | O_DIRECTORY);
        if (fd >= 0)
            return fd;
        if (errno != ENOENT)
            return -errno;
        *made = mkdirat(st->dir, name, 0700) == 0;
        if (!*made && errno != EEXIST)
            return -errno;
    }
    return -EAGAIN;
}

void staging_drop_dir(struct staging *st, uint64_t ino)
{
    char name[32];
    staging_name('d', ino, name);
    unlinkat(st->dir, name, AT_REMOVEDIR);
}

int staging_open_marker(struct staging *st, uint64_t ino, int flags)
{
    char name[32];
    staging_name('o', ino, name);
    int made = openat(st->dir, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (made < 0)
        return -errno;
    close(made);
    int fd = openat(st->dir, name, flags);
    return fd < 0 ? -errno : fd;
}

int staging_fifo(struct staging *st, uint64_t ino, mode_t mode, char *path, size_t len)
{
    char name[32];
    staging_name('p', ino, name);
    if (mknodat(st->dir, name, S_IFIFO | 0600, 0) != 0 && errno != EEXIST)
        return -errno;
    /* fstat(2) shows its bits; rights were checked on the volume's inode. */
    if (fchmodat(st->dir, name, mode | 0600, 0) != 0)
        return -errno;
    return (size_t)snprintf(path, len, "%s/%s", st->path, name) < len ? 0 : -ENAMETOOLONG;
}
