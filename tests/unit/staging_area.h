/*
 * staging_area.h - what the tests of staging share: an area of their own in shared memory, and
 * files in it.
 */
#ifndef JFSPRE_TESTS_UNIT_STAGING_AREA_H
#define JFSPRE_TESTS_UNIT_STAGING_AREA_H

#include "core/vfs/staging.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[256];
static struct staging *st;

static inline int setup(void)
{
    char err[400];
    snprintf(dir, sizeof dir, "/dev/shm/jfspre-test-XXXXXX");
    return mkdtemp(dir) == NULL || staging_open(dir, "volume", &st, err, sizeof err) != 0;
}

static inline int teardown(void)
{
    char cmd[300];
    staging_close(st);
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
    return system(cmd) != 0;
}

static inline int hold(uint64_t ino, int flags, uint32_t *number, enum staging_how *how)
{
    return staging_hold(st, ino, flags | O_CLOEXEC, number, how);
}

static inline void seen(uint32_t number)
{
    struct attr a = {.type = TYPE_FILE, .nlink = 1};
    slot_seen_set(staging_slot(st, number), &a);
}

/* Written, published and closed.  The number of its slot. */
static inline uint32_t one_file(uint64_t ino)
{
    uint32_t n;
    enum staging_how how;
    int fd = hold(ino, O_WRONLY, &n, &how);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(how, STAGING_NEW);
    seen(n);
    CU_ASSERT_EQUAL(write(fd, "data", 4), 4);
    staging_set_clean(staging_slot(st, n), fd);
    close(fd);
    staging_release(st, n, staging_slot(st, n)->gen);
    CU_ASSERT_EQUAL(staging_find(st, ino), 0);
    return n;
}

#endif
