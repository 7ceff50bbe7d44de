/*
 * test_deferred.c - changes that were acknowledged and are refused afterwards, since another host
 * was faster or the volume is full: told once to fsync() of the file and of its directory, in one
 * line of the log and in a count; what was written stays, beside the winner.
 */
#include "core/vfs/vfs.h"

#include "core/base/log.h"
#include "core/metrics/metrics.h"
#include "core/op/op.h"
#include "tests/lib/host.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES 40

static struct server *server;
static struct vfs *here, *there; /* two hosts: own staging areas, one volume */
static char url[400];
static unsigned lines; /* of the log */
static char last_line[600];

static void to_memory(enum log_level level, const char *line)
{
    lines++;
    snprintf(last_line, sizeof last_line, "%s", line);
}

/* What is not sent by the timer: a minute's worth of changes waits for a barrier. */
static void begin(void)
{
    log_set(to_memory, LOG_ERROR);
    server = server_start();
    struct setting s = host_setting(server_dir(server));
    CU_ASSERT_EQUAL_FATAL(host_format(server_url(server, 0), &s), 0);
    snprintf(url, sizeof url, "%s&batch_interval=10s", server_url(server, 0));
    here = host_mount(url, server_dir(server), "cache-a");
    there = host_mount(url, server_dir(server), "cache-b");
    CU_ASSERT_FATAL(here != NULL && there != NULL);
    vfs_set_umask(here, 0);
    CU_ASSERT_EQUAL(vfs_mkdir(here, at("/first"), 0755), 0);
    CU_ASSERT_EQUAL(vfs_mkdir(here, at("/d"), 0777), 0);
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
    lines = 0;
}

static void end(void)
{
    vfs_unmount(here);
    vfs_unmount(there);
    CU_ASSERT(host_is_clean(server_url(server, 0)));
    server_free(server);
}

static unsigned long long conflicts(void)
{
    struct metrics_counts c;
    return host_counts(server_dir(server), "cache-a", &c) == 0 ? c.conflicts : 9999;
}

static int made(struct vfs *v, const char *path, const char *text, struct vfs_fd *f)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    int fd = vfs_open(v, at(path), O_RDWR | O_CREAT, 0644, f);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(vfs_writev(v, fd, f, &iov, 1, -1, 0), (ssize_t)iov.iov_len);
    CU_ASSERT_EQUAL(vfs_commit(v, fd, f), 0);
    return fd;
}

static void write_elsewhere(const char *path, const char *text)
{
    struct vfs_fd f;
    int fd = made(there, path, text, &f);
    CU_ASSERT_EQUAL(vfs_close(there, fd, &f), 0);
    CU_ASSERT_EQUAL(vfs_flush(there), 0);
}

/* What another host reads there, "" when it cannot. */
static const char *content(const char *path)
{
    static char text[8192];
    struct iovec iov = {.iov_base = text, .iov_len = sizeof text - 1};
    struct vfs_fd f;
    text[0] = '\0';
    int fd = vfs_open(there, at(path), O_RDONLY, 0, &f);
    if (fd < 0)
        return text;
    ssize_t n = vfs_readv(there, fd, &f, &iov, 1, 0, 0);
    text[n > 0 ? n : 0] = '\0';
    vfs_close(there, fd, &f);
    return text;
}

/* How many names of the directory begin so; the last one, as a path. */
static unsigned names(const char *dir, const char *prefix, char out[600])
{
    struct vfs_stat st;
    struct vfs_dir *d;
    struct vfs_dirent e;
    unsigned n = 0;
    out[0] = '\0';
    vfs_input(there); /* nothing from before is believed */
    if (vfs_stat(there, at(dir), false, &st) != 0 || vfs_dir_open(there, st.ino, &d) != 0)
        return 9999;
    for (size_t i = 0; vfs_dir_at(d, i, &e) == 1; i++) {
        if (strncmp(e.name, prefix, strlen(prefix)) != 0)
            continue;
        snprintf(out, 600, "%s/%s", dir, e.name);
        n++;
    }
    vfs_dir_close(d);
    return n;
}

static int fsync_dir(const char *path)
{
    struct vfs_fd f;
    int fd = vfs_open(here, at(path), O_RDONLY | O_DIRECTORY, 0, &f);
    if (fd < 0)
        return fd;
    int rc = vfs_fsync(here, fd, &f);
    vfs_close(here, fd, &f);
    return rc;
}

/* After vfs_flush(): the file and the directory each tell once. */
static void told_once(int fd, struct vfs_fd *f, const char *dir, int code)
{
    CU_ASSERT_EQUAL(vfs_fsync(here, fd, f), code);
    CU_ASSERT_EQUAL(vfs_fsync(here, fd, f), 0);
    if (dir != NULL) {
        CU_ASSERT_EQUAL(fsync_dir(dir), code);
        CU_ASSERT_EQUAL(fsync_dir(dir), 0);
    }
}

static void test_name_taken(void)
{
    char name[600];
    struct vfs_fd f;

    begin();
    int fd = made(here, "/d/x", "ours", &f);
    CU_ASSERT(names("/d", "x", name) == 0); /* it was acknowledged early */
    write_elsewhere("/d/x", "theirs");
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
    told_once(fd, &f, "/d", -EEXIST);
    CU_ASSERT_EQUAL(lines, 1);
    CU_ASSERT(strstr(last_line, "x.conflict-") != NULL);
    CU_ASSERT_EQUAL(conflicts(), 1);
    CU_ASSERT_STRING_EQUAL(content("/d/x"), "theirs");
    CU_ASSERT_EQUAL(names("/d", "x.conflict-", name), 1);
    CU_ASSERT_STRING_EQUAL(content(name), "ours");
    vfs_close(here, fd, &f);
    end();
}

static void test_taken_by_directory(void)
{
    char name[600];
    struct vfs_fd f;

    begin();
    int fd = made(here, "/d/x", "ours", &f);
    CU_ASSERT_EQUAL(vfs_mkdir(there, at("/d/x"), 0755), 0);
    CU_ASSERT_EQUAL(vfs_flush(there), 0);
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
    told_once(fd, &f, "/d", -EEXIST);
    CU_ASSERT_EQUAL(lines, 1);
    CU_ASSERT_EQUAL(names("/d", "x.conflict-", name), 1);
    CU_ASSERT_STRING_EQUAL(content(name), "ours");
    vfs_close(here, fd, &f);
    end();
}

static void test_parent_removed(void)
{
    char name[600];
    struct vfs_fd f;

    begin();
    int fd = made(here, "/d/x", "ours", &f);
    CU_ASSERT_EQUAL(vfs_rmdir(there, at("/d")), 0);
    CU_ASSERT_EQUAL(vfs_flush(there), 0);
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
    told_once(fd, &f, NULL, -ENOENT);
    CU_ASSERT_EQUAL(lines, 1);
    CU_ASSERT_EQUAL(conflicts(), 1);
    CU_ASSERT_EQUAL(names("/", "x.conflict-", name), 1);
    CU_ASSERT_STRING_EQUAL(content(name), "ours");
    vfs_close(here, fd, &f);
    end();
}

/* A quota that another host sets on the directory. */
static void test_quota(void)
{
    static const uint8_t quota[16] = {[7] = 1}; /* bytes, then inodes: no limit */
    char name[600];
    struct vfs_fd f;
    struct vfs_stat st;

    begin();
    int fd = made(here, "/d/x", "ours", &f);
    CU_ASSERT_EQUAL(vfs_stat(there, at("/d"), true, &st), 0);
    unsigned long long ino = st.ino;
    server_int(server, "HSET dirQuota %llu %b", ino, quota, sizeof quota);
    server_int(server, "HSET dirQuotaUsedSpace %llu 0", ino);
    server_int(server, "HSET dirQuotaUsedInodes %llu 0", ino);
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
    told_once(fd, &f, "/d", -EDQUOT);
    CU_ASSERT_EQUAL(lines, 1);
    CU_ASSERT_EQUAL(conflicts(), 1);
    CU_ASSERT_EQUAL(names("/d", "x", name), 0);
    CU_ASSERT_EQUAL(names("/", "x.conflict-", name), 1);
    CU_ASSERT_STRING_EQUAL(content(name), "ours");
    vfs_close(here, fd, &f);
    end();
}

/* Another host takes the right to write in the directory away. */
static void test_unwritable(void)
{
    char name[600], open_all[400];
    int status;

    begin();
    snprintf(open_all, sizeof open_all, "chmod -R a+rwX %s", server_dir(server));
    if (geteuid() != 0 || system(open_all) != 0) {
        suite_skip("not root");
        end();
        return;
    }
    vfs_before_fork(here);
    pid_t pid = fork();
    vfs_after_fork(here, pid == 0);
    if (pid == 0) { /* a user of its own, with a cache of its own */
        struct vfs_setattr mode = {.set = SET_MODE, .mode = 0555};
        struct vfs_fd f;
        if (seteuid(1000) != 0)
            _exit(5);
        struct vfs *user = host_mount(url, server_dir(server), "cache-u");
        if (vfs_mkdir(user, at("/first-own"), 0777) != 0 || vfs_mkdir(user, at("/own"), 0777) != 0)
            _exit(1);
        int fd = vfs_open(user, at("/own/x"), O_RDWR | O_CREAT, 0644, &f);
        struct iovec iov = {.iov_base = (void *)(uintptr_t) "ours", .iov_len = 4};
        if (fd < 0 || vfs_writev(user, fd, &f, &iov, 1, -1, 0) != 4 ||
            vfs_commit(user, fd, &f) != 0)
            _exit(2);
        seteuid(0);
        if (vfs_setattr(there, at("/own"), false, &mode) != 0 || vfs_flush(there) != 0)
            _exit(3);
        seteuid(1000);
        int rc = vfs_fsync(user, fd, &f);
        _exit(rc == -EACCES ? 0 : 4);
    }
    waitpid(pid, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(names("/", "x.conflict-", name), 1);
    CU_ASSERT_STRING_EQUAL(content(name), "ours");
    end();
}

static void test_removed(void)
{
    struct vfs_fd f;

    begin();
    int fd = made(here, "/d/x", "ours", &f);
    vfs_close(here, fd, &f);
    fd = made(here, "/d/y", "ours", &f);
    vfs_close(here, fd, &f);
    CU_ASSERT_EQUAL(vfs_unlink(here, at("/d/x")), 0);
    CU_ASSERT_EQUAL(vfs_rename(here, at("/d/y"), at("/d/z"), 0), 0);
    write_elsewhere("/d/x", "theirs");
    write_elsewhere("/d/y", "theirs");
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
    CU_ASSERT_STRING_EQUAL(content("/d/x"), "theirs");
    CU_ASSERT_STRING_EQUAL(content("/d/y"), "theirs");
    end();
}

/* --- drainers --------------------------------------------------------------------------------- */

/* One is stopped while its batch is on its way; another process gets through, and what the stopped
 * one still does when it goes on changes nothing. */
static void test_stopped_drainer(void)
{
    char name[600], path[40];
    struct vfs_fd f;
    int status, ends[2];
    char c;

    begin();
    CU_ASSERT_EQUAL(pipe(ends), 0);
    vfs_before_fork(here);
    pid_t pid = fork();
    vfs_after_fork(here, pid == 0);
    if (pid == 0) {
        if (vfs_mkdir(here, at("/second"), 0755) != 0 || vfs_mkdir(here, at("/e"), 0755) != 0)
            _exit(1);
        for (int i = 0; i < FILES; i++) {
            snprintf(path, sizeof path, "/e/f%d", i);
            int fd = made(here, path, path, &f);
            if (vfs_close(here, fd, &f) != 0)
                _exit(2);
        }
        write_elsewhere("/e/f3", "theirs");
        server_freeze(server);
        if (write(ends[1], "x", 1) != 1)
            _exit(3);
        _exit(vfs_flush(here) == 0 ? 0 : 4);
    }
    CU_ASSERT_EQUAL(read(ends[0], &c, 1), 1);
    usleep(200000); /* it waits for the server */
    kill(pid, SIGSTOP);
    waitpid(pid, &status, WUNTRACED);
    server_unfreeze(server);
    alarm(60);
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
    alarm(0);
    CU_ASSERT_EQUAL(names("/e", "f", name), FILES + 1);
    kill(pid, SIGCONT);
    waitpid(pid, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(names("/e", "f", name), FILES + 1);
    CU_ASSERT_EQUAL(names("/", "f", name), 1); /* no more than "first" */
    CU_ASSERT_EQUAL(names("/e", "f3.conflict-", name), 1);
    CU_ASSERT_STRING_EQUAL(content(name), "/e/f3");
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "/e/f%d", i);
        CU_ASSERT_STRING_EQUAL(content(path), i == 3 ? "theirs" : path);
    }
    close(ends[0]);
    close(ends[1]);
    end();
}

/* --- limits ----------------------------------------------------------------------------------- */

#define MANY 110000 /* more than may be pending */

static void test_many(void)
{
    char path[40];
    struct vfs_fd f;
    struct vfs_stat st;

    begin();
    for (int i = 0; i < MANY; i++) {
        snprintf(path, sizeof path, "/d/f%d", i);
        int fd = vfs_open(here, at(path), O_WRONLY | O_CREAT, 0644, &f);
        CU_ASSERT_FATAL(fd >= 0);
        CU_ASSERT_EQUAL(vfs_close(here, fd, &f), 0);
    }
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
    CU_ASSERT(!vfs_is_pending(here));
    CU_ASSERT_EQUAL(vfs_stat(there, at("/d"), true, &st), 0);
    CU_ASSERT_EQUAL(server_int(server, "HLEN d%llu", (unsigned long long)st.ino), MANY);
    CU_ASSERT_EQUAL(lines, 0);
    end();
}

/* No room for queues, packs or staging files: what was acknowledged all the same is there. */
static void test_full_cache(void)
{
    static char text[3000];
    struct iovec iov = {.iov_base = text, .iov_len = sizeof text - 1};
    char dir[300], path[40];
    struct vfs_fd f;
    int good[400], n = 0, rc;

    begin();
    memset(text, 't', sizeof text - 1);
    snprintf(dir, sizeof dir, "%s/cache-s", server_dir(server));
    mkdir(dir, 0700);
    if (mount("none", dir, "tmpfs", 0, "size=900k") != 0) {
        suite_skip("no tmpfs of its own");
        end();
        return;
    }
    struct vfs *small = host_mount(url, server_dir(server), "cache-s");
    rc = vfs_mkdir(small, at("/s"), 0755);
    for (int i = 0; rc == 0 && i < 400; i++) {
        snprintf(path, sizeof path, "/s/f%d", i);
        int fd = vfs_open(small, at(path), O_WRONLY | O_CREAT, 0644, &f);
        CU_ASSERT(fd >= 0 || fd == -ENOSPC);
        if (fd < 0)
            continue;
        bool whole = vfs_writev(small, fd, &f, &iov, 1, -1, 0) == (ssize_t)iov.iov_len;
        int closed = vfs_close(small, fd, &f);
        CU_ASSERT(closed == 0 || closed == -ENOSPC);
        if (whole && closed == 0)
            good[n++] = i;
    }
    CU_ASSERT(rc == 0 || rc == -ENOSPC);
    CU_ASSERT_EQUAL(vfs_flush(small), 0);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "/s/f%d", good[i]);
        CU_ASSERT_STRING_EQUAL(content(path), text);
    }
    printf("(%d of 400) ", n);
    vfs_unmount(small);
    umount2(dir, MNT_DETACH);
    end();
}

/* Among others in one batch and one pack: the references of the pack stay exact. */
static void test_one_of_many(void)
{
    char name[600], path[40];
    struct vfs_fd f;

    begin();
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "/d/f%d", i);
        int fd = made(here, path, path, &f);
        CU_ASSERT_EQUAL(vfs_close(here, fd, &f), 0);
    }
    CU_ASSERT(names("/d", "f", name) == 0);
    write_elsewhere("/d/f7", "theirs");
    write_elsewhere("/d/f11", "theirs");
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
    CU_ASSERT_EQUAL(fsync_dir("/d"), -EEXIST);
    CU_ASSERT_EQUAL(fsync_dir("/d"), -EEXIST); /* there were two */
    CU_ASSERT_EQUAL(fsync_dir("/d"), 0);
    CU_ASSERT_EQUAL(lines, 2);
    CU_ASSERT_EQUAL(conflicts(), 2);
    CU_ASSERT_EQUAL(names("/d", "f7.conflict-", name), 1);
    CU_ASSERT_STRING_EQUAL(content(name), "/d/f7");
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "/d/f%d", i);
        CU_ASSERT_STRING_EQUAL(content(path), i == 7 || i == 11 ? "theirs" : path);
        if (i != 7)
            CU_ASSERT_EQUAL(vfs_unlink(there, at(path)), 0);
    }
    CU_ASSERT_EQUAL(vfs_flush(there), 0);
    CU_ASSERT_STRING_EQUAL(content(name), "/d/f7"); /* the block stays as long as it is named */
    end();
}

static int remove_packs(const char *path, const struct stat *sb, int type, struct FTW *ftw)
{
    return type == FTW_F && strstr(path, "/k/") != NULL ? remove(path) : 0;
}

/* The same of bytes for a file that the store has already. */
static void test_lost_write(void)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t) "late", .iov_len = 4};
    char dir[300];
    struct vfs_fd f;
    struct vfs_stat st;

    begin();
    int fd = vfs_open(here, at("/d/sent"), O_WRONLY | O_CREAT, 0644, &f);
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
    CU_ASSERT_EQUAL(vfs_writev(here, fd, &f, &iov, 1, -1, 0), 4);
    CU_ASSERT_EQUAL(vfs_commit(here, fd, &f), 0);
    snprintf(dir, sizeof dir, "%s/cache-a", server_dir(server));
    CU_ASSERT_EQUAL(nftw(dir, remove_packs, 20, FTW_PHYS), 0);
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
    CU_ASSERT_EQUAL(vfs_fsync(here, fd, &f), -EIO);
    CU_ASSERT_EQUAL(vfs_fsync(here, fd, &f), 0);
    CU_ASSERT_EQUAL(lines, 1);
    CU_ASSERT_EQUAL(vfs_stat(there, at("/d/sent"), true, &st), 0);
    CU_ASSERT_EQUAL(st.attr.length, 0);
    vfs_close(here, fd, &f);
    end();
}

/* Somebody cleaned the cache: whose bytes were there is told, the others are as they were. */
static void test_lost_pack(void)
{
    char dir[300];
    struct vfs_fd f, g;
    struct vfs_stat st;

    begin();
    int fd = made(here, "/d/lost", "bytes", &f);
    int fd2 = vfs_open(here, at("/d/empty"), O_WRONLY | O_CREAT, 0644, &g);
    CU_ASSERT(fd2 >= 0);
    snprintf(dir, sizeof dir, "%s/cache-a", server_dir(server));
    CU_ASSERT_EQUAL(nftw(dir, remove_packs, 20, FTW_PHYS), 0);
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
    told_once(fd, &f, "/d", -EIO);
    CU_ASSERT_EQUAL(lines, 1);
    CU_ASSERT(strstr(last_line, "lost") != NULL);
    CU_ASSERT_EQUAL(conflicts(), 1);
    CU_ASSERT_EQUAL(vfs_stat(there, at("/d/lost"), true, &st), -ENOENT);
    CU_ASSERT_EQUAL(vfs_stat(there, at("/d/empty"), true, &st), 0);
    vfs_close(here, fd, &f);
    vfs_close(here, fd2, &g);
    CU_ASSERT_EQUAL(vfs_mkdir(here, at("/d/later"), 0755), 0);
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
    CU_ASSERT_EQUAL(vfs_stat(there, at("/d/later"), true, &st), 0);
    end();
}

/* What came behind the refused op belongs to the file that was kept. */
static void test_chained(void)
{
    char name[600];
    struct vfs_fd f;
    struct vfs_stat st;
    struct iovec more = {.iov_base = (void *)(uintptr_t) " and more", .iov_len = 9};
    struct vfs_setattr mode = {.set = SET_MODE, .mode = 0600};

    begin();
    int fd = made(here, "/d/x", "ours", &f);
    CU_ASSERT_EQUAL(vfs_writev(here, fd, &f, &more, 1, -1, 0), 9);
    CU_ASSERT_EQUAL(vfs_commit(here, fd, &f), 0);
    CU_ASSERT_EQUAL(vfs_fsetattr(here, fd, &f, &mode), 0);
    CU_ASSERT(names("/d", "x", name) == 0);
    write_elsewhere("/d/x", "theirs");
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
    told_once(fd, &f, "/d", -EEXIST);
    CU_ASSERT_EQUAL(lines, 1);
    CU_ASSERT_STRING_EQUAL(content("/d/x"), "theirs");
    CU_ASSERT_EQUAL(names("/d", "x.conflict-", name), 1);
    CU_ASSERT_STRING_EQUAL(content(name), "ours and more");
    CU_ASSERT_EQUAL(vfs_stat(there, at(name), true, &st), 0);
    CU_ASSERT_EQUAL(st.attr.mode & 07777, 0600);
    vfs_close(here, fd, &f);
    end();
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"name taken", test_name_taken},
        {"name taken by a directory", test_taken_by_directory},
        {"parent removed", test_parent_removed},
        {"quota", test_quota},
        {"unwritable", test_unwritable},
        {"one of many", test_one_of_many},
        {"stopped drainer", test_stopped_drainer},
        {"many", test_many},
        {"full cache", test_full_cache},
        {"lost pack", test_lost_pack},
        {"lost write", test_lost_write},
        {"chained", test_chained},
        {"removed", test_removed},
        CU_TEST_INFO_NULL,
    };
    return suite_run("deferred", tests);
}
