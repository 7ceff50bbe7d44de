/*
 * store_format.c - the place of a new volume: empty, writable, and marked with its UUID.
 */
#include "core/store/store_internal.h"

#include "core/base/line.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBE_BYTES 100
#define PROBE_NAME  10

/* Is there a file with something in it?  1, 0 or -errno; path is changed meanwhile.  As stock sees
 * it, a tree of directories is empty, and so is what a failed format left in testing/. */
static int has_content(char path[PATH_MAX], bool top);

static int look_at(char path[PATH_MAX], size_t len, const char *name, bool top)
{
    struct stat sb;
    int rc = 0;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || (top && strcmp(name, "testing") == 0))
        return 0;
    if ((size_t)snprintf(path + len, PATH_MAX - len, "%s", name) >= PATH_MAX - len - 1)
        return -ENAMETOOLONG;
    if (lstat(path, &sb) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (S_ISDIR(sb.st_mode)) {
        strcat(path, "/");
        rc = has_content(path, false);
    } else if (sb.st_size != 0) {
        rc = 1;
    }
    return rc;
}

static int has_content(char path[PATH_MAX], bool top)
{
    DIR *dir = opendir(path);
    size_t len = strlen(path);
    struct dirent *entry;
    int rc = 0;

    if (dir == NULL)
        return errno == ENOENT ? 0 : -errno;
    while (rc == 0 && (errno = 0, entry = readdir(dir)) != NULL)
        rc = look_at(path, len, entry->d_name, top);
    if (rc == 0 && errno != 0)
        rc = -errno;
    closedir(dir);
    path[len] = 0;
    return rc;
}

static void random_name(char out[PROBE_NAME + 1])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    for (int i = 0; i < PROBE_NAME; i++)
        out[i] = letters[some_number() % (sizeof letters - 1)];
    out[PROBE_NAME] = 0;
}

/* What was written must be what is read. */
static int read_back(const char *path, const uint8_t *want)
{
    uint8_t got[PROBE_BYTES + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = read(fd, got, sizeof got);
    close(fd);
    return n == PROBE_BYTES && memcmp(got, want, PROBE_BYTES) == 0 ? 0 : -EIO;
}

static int probe(const char *root)
{
    char path[PATH_MAX], name[PROBE_NAME + 1];
    uint8_t data[PROBE_BYTES];
    int rc;

    for (int i = 0; i < PROBE_BYTES; i++)
        data[i] = (uint8_t)some_number();
    random_name(name);
    if (snprintf(path, sizeof path, "%stesting/%s", root, name) >= (int)sizeof path)
        return -ENAMETOOLONG;
    rc = atomic_put(path, 1, data, sizeof data);
    if (rc == 0) {
        rc = read_back(path, data);
        if (unlink(path) != 0 && rc == 0)
            rc = -errno;
    }
    *strrchr(path, '/') = 0;
    rmdir(path); /* stays where an earlier attempt left something */
    return rc;
}

int store_format(const struct setting *s, char *err, size_t errlen)
{
    char root[PATH_MAX], path[PATH_MAX];
    int rc = root_path(s, root);

    if (rc < 0) {
        line_set(err, errlen, "bucket \"%.64s...\": too long", s->bucket);
        return rc;
    }
    strcpy(path, root);
    rc = has_content(path, true);
    if (rc > 0) {
        line_set(err, errlen, "%s is not empty: remove what is in it or take another name", root);
        return -ENOTEMPTY;
    }
    if (rc == 0)
        rc = probe(root);
    if (rc == 0) {
        strcat(path, "juicefs_uuid"); /* root_path() left room */
        rc = atomic_put(path, 1, s->uuid, strlen(s->uuid));
    }
    if (rc != 0)
        line_set(err, errlen, "%s cannot be used: %s", root, strerror(-rc));
    return rc;
}
