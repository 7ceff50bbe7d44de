/*
 * host - a volume with its blocks, and hosts that mount it, without a preload.  A cache directory
 * is a host (or user) of its own: what is pending in one, another does not see.
 */
#ifndef JFSPRE_TESTS_LIB_HOST_H
#define JFSPRE_TESTS_LIB_HOST_H

#include "core/metrics/metrics.h"
#include "core/vfs/vfs.h"
#include "tests/lib/volume.h"

/* volume_setting() with the smallest blocks, 64 KiB, in DIR/bucket/; no trash. */
struct setting host_setting(const char *dir);
/* Formats metadata, of either engine, and store.  0, or -1: said on stderr. */
int host_format(const char *url, const struct setting *s);
/* At /jfs, with the cache directory DIR/CACHE.  NULL: said on stderr. */
struct vfs *host_mount(const char *url, const char *dir, const char *cache);
/* What a host of such a mount counted; as vfs_counts(). */
int host_counts(const char *dir, const char *cache, struct metrics_counts *out);
/* Does `jfspre fsck` find nothing?  What it finds is said on stderr. */
bool host_is_clean(const char *url);

/* From the volume's root.  One of four a thread, taken again in turn. */
struct vfs_loc *at(const char *path);

#endif
