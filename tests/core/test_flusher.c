/*
 * test_flusher.c - what is pending reaches the store without another call: by its age, and when the
 * store was away meanwhile.
 */
#include "core/vfs/vfs.h"

#include "core/base/log.h"
#include "core/store/store.h"
#include "tests/lib/host.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES    20
#define MANY     2000 /* files, SIZE of them a batch */
#define SIZE     100
#define PATIENCE 600 /* times 100 ms: only a broken one waits that long */

static struct server *server;
static struct vfs *here, *there; /* two hosts */
static char url[400];

static void to_nobody(enum log_level level, const char *line)
{
}

static void begin(const char *options)
{
    server = server_start_with("--appendonly", "yes", "--appendfsync", "always");
    struct setting s = host_setting(server_dir(server));
    CU_ASSERT_EQUAL_FATAL(host_format(server_url(server, 0), &s), 0);
    snprintf(url, sizeof url, "%s&max-retry-backoff=50ms%s", server_url(server, 0), options);
    here = host_mount(url, server_dir(server), "cache-a");
    there = host_mount(url, server_dir(server), "cache-b");
    CU_ASSERT_FATAL(here != NULL && there != NULL);
    log_set(to_nobody, LOG_ERROR);
    CU_ASSERT_EQUAL(vfs_mkdir(here, at("/first"), 0755), 0);
    CU_ASSERT_EQUAL(vfs_mkdir(here, at("/d"), 0755), 0);
    CU_ASSERT_EQUAL(vfs_mkdir(here, at("/d/known"), 0755), 0);
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
}

static void end(void)
{
    vfs_unmount(here);
    vfs_unmount(there);
    server_free(server);
}

static void make_files(int n)
{
    struct vfs_fd f;
    char path[40];
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "/d/f%d", i);
        int fd = vfs_open(here, at(path), O_WRONLY | O_CREAT | O_EXCL, 0644, &f);
        CU_ASSERT_FATAL(fd >= 0);
        vfs_close(here, fd, &f);
    }
}

/* Another host sees the last one, without this one doing anything. */
static bool arrives(void)
{
    struct vfs_stat st;
    char path[40];
    snprintf(path, sizeof path, "/d/f%d", FILES - 1);
    for (int i = 0; i < PATIENCE; i++) {
        if (vfs_stat(there, at(path), true, &st) == 0)
            return true;
        usleep(100 * 1000);
    }
    return false;
}

static void test_age(void)
{
    begin("");
    make_files(FILES);
    CU_ASSERT(arrives());
    end();
}

static void test_store_away(void)
{
    begin("");
    server_stop(server);
    make_files(FILES);
    usleep(500 * 1000); /* the flusher has given up once; if it has not, this tests less */
    CU_ASSERT(vfs_is_pending(here));
    server_again(server);
    CU_ASSERT(arrives());
    CU_ASSERT(!vfs_is_pending(here));
    end();
}

/* Batches of one queue so far. */
static long long batches(void)
{
    return server_int(server, "EVAL %s 0",
                      "local v = redis.call('HVALS', '~seq') return struct.unpack('>I8', v[1])");
}

/* Nothing gets old: only what fills a batch is sent, and none takes along what was just begun. */
static void test_full_ones(void)
{
    begin("&batch_interval=60s&batch_size=100&batch_size_max=100");
    long long before = batches();
    make_files(MANY);
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
    CU_ASSERT_EQUAL(batches() - before, MANY / SIZE);
    end();
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"age", test_age},
        {"full ones", test_full_ones},
        {"store away", test_store_away},
        CU_TEST_INFO_NULL,
    };
    return suite_run("flusher", tests);
}
