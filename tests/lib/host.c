/*
 * host.c - see host.h.
 */
#include "tests/lib/host.h"

#include "core/op/op.h"
#include "core/store/store.h"

#include <stdio.h>
#include <stdlib.h>

struct setting host_setting(const char *dir)
{
    char bucket[300];
    snprintf(bucket, sizeof bucket, "%s/bucket/", dir);
    struct setting s = volume_setting(bucket, 0);
    s.block_kib = 64;
    return s;
}

int host_format(const char *url, const struct setting *s)
{
    char err[512];
    if (store_format(s, err, sizeof err) == 0 && volume_format_at(url, s, err, sizeof err) == 0)
        return 0;
    fprintf(stderr, "format %s: %s\n", url, err);
    return -1;
}

struct vfs *host_mount(const char *url, const char *dir, const char *cache)
{
    char cache_dir[500], err[400];
    struct vfs *v = NULL;
    snprintf(cache_dir, sizeof cache_dir, "%s/%s", dir, cache);
    struct config c = {.meta = (char *)url, .prefix = (char *)"/jfs", .cache_dir = cache_dir};
    if (vfs_mount(&c, &v, err, sizeof err) != 0)
        fprintf(stderr, "mount %s: %s\n", url, err);
    return v;
}

int host_counts(const char *dir, const char *cache, struct metrics_counts *out)
{
    char cache_dir[500];
    snprintf(cache_dir, sizeof cache_dir, "%s/%s", dir, cache);
    return vfs_counts(cache_dir, VOLUME_UUID, out);
}

bool host_is_clean(const char *url)
{
    const char *b = getenv("B");
    char command[900];
    snprintf(command, sizeof command,
             "said=$('%s/jfspre' fsck '%s' 2>&1) || { echo \"$said\" >&2; false; }",
             b != NULL ? b : "build", url);
    return system(command) == 0;
}

struct vfs_loc *at(const char *path)
{
    static _Thread_local struct vfs_loc loc[4];
    static _Thread_local unsigned next;
    struct vfs_loc *l = &loc[next++ % 4];
    *l = (struct vfs_loc){.base = INO_ROOT, .path = path};
    return l;
}
