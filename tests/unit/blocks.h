/*
 * blocks - what the tests of core/store share: a volume's directory in a temporary place, and bytes
 * that tell where they belong.
 */
#ifndef JFSPRE_TESTS_UNIT_BLOCKS_H
#define JFSPRE_TESTS_UNIT_BLOCKS_H

#include "core/base/log.h"
#include "core/store/store.h"
#include "tests/lib/scratch.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK (64 << 10) /* the smallest there is */

static char top[] = "/tmp/jfspre-store-XXXXXX";
static char err[512];
static struct setting base; /* a volume below top */

static char logged[2048];
static int log_lines;

static inline void sink(enum log_level level, const char *line)
{
    log_lines++;
    snprintf(logged, sizeof logged, "%s", line);
}

static int files_seen;

static inline int count_one(const char *path, const struct stat *sb, int flag, struct FTW *ftw)
{
    files_seen += flag == FTW_F;
    return 0;
}

static inline int files_below(const char *path)
{
    files_seen = 0;
    nftw(path, count_one, 16, FTW_PHYS);
    return files_seen;
}

/* An empty volume, and its store. */
static inline struct store *fresh(bool hash_prefix)
{
    char dir[PATH_MAX];
    struct store *st;

    snprintf(dir, sizeof dir, "%s/bucket", top);
    scratch_remove(dir);
    mkdir(dir, 0755);
    strcat(dir, "/vol");
    mkdir(dir, 0755);
    base.hash_prefix = hash_prefix;
    CU_ASSERT_EQUAL_FATAL(store_open(&base, &st, err, sizeof err), 0);
    logged[0] = 0;
    log_lines = 0;
    return st;
}

static inline void path_of(const char *below, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/bucket/%s", top, below);
}

static inline off_t size_of(const char *below)
{
    char path[PATH_MAX];
    struct stat sb;

    path_of(below, path);
    return stat(path, &sb) == 0 ? sb.st_size : -1;
}

/* Bytes that differ between blocks and within one. */
static inline unsigned char byte_at(uint64_t i)
{
    return (unsigned char)((i * 2654435761U) >> 13) | 1;
}

static inline int source_file(size_t len)
{
    char path[PATH_MAX], *data = malloc(len + 1);
    int fd;

    CU_ASSERT_PTR_NOT_NULL_FATAL(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)byte_at(i);
    snprintf(path, sizeof path, "%s/source", top);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL_FATAL(pwrite(fd, data, len, 0), (ssize_t)len);
    free(data);
    return fd;
}

/* Runs one suite in a directory of its own; what main() returns. */
static inline int run_store_tests(const char *name, CU_TestInfo *tests)
{
    if (mkdtemp(top) == NULL)
        return 2;
    base = (struct setting){.name = "vol", .uuid = "u", .storage = "file", .block_kib = 64};
    snprintf(base.bucket, sizeof base.bucket, "%s/bucket/", top);
    log_set(sink, LOG_ERROR);
    int rc = suite_run(name, tests);
    scratch_remove(top);
    return rc;
}

#endif
