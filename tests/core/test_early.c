/*
 * test_early.c - what a process answers from what it knows, and asks ahead: how many round trips
 * that saves, and that it never answers what is not so: with another process of the host
 * and another host (there) changing the same files.
 */
#include "core/vfs/vfs.h"

#include "core/meta/board.h"
#include "core/metrics/metrics.h"
#include "core/op/op.h"
#include "tests/lib/host.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static struct server *server;
static struct vfs *here, *there;

static struct vfs_loc *at_n(const char *fmt, int n)
{
    static char text[4][64];
    static unsigned next;
    char *t = text[next++ % 4];
    snprintf(t, sizeof text[0], fmt, n);
    return at(t);
}

static struct vfs *mount_at(const char *cache)
{
    struct vfs *v = host_mount(server_url(server, 0), server_dir(server), cache);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    return v;
}

/* Behind what a process sends at once. */
static void begin(void)
{
    server = server_start();
    struct setting s = host_setting(server_dir(server));
    CU_ASSERT_EQUAL_FATAL(host_format(server_url(server, 0), &s), 0);
    here = mount_at("cache-a");
    there = mount_at("cache-b");
    vfs_set_umask(here, 0);
    CU_ASSERT_EQUAL(vfs_mkdir(here, at("/first"), 0755), 0);
    CU_ASSERT_EQUAL(vfs_mkdir(here, at("/own"), 0755), 0);
    CU_ASSERT_EQUAL(vfs_mkdir(there, at("/d"), 0755), 0);
}

static void end(void)
{
    vfs_unmount(here);
    vfs_unmount(there);
    server_free(server);
}

/* Of the host of `here`. */
static unsigned long long trips(void)
{
    struct metrics_counts c;
    CU_ASSERT_EQUAL_FATAL(host_counts(server_dir(server), "cache-a", &c), 0);
    return c.round_trips;
}

/* Another process of this host: what it does is in the store when it ends. */
static void beside(void (*what)(struct vfs *v, int n), int n)
{
    int status;
    unsigned failed = CU_get_number_of_failures();
    vfs_before_fork(here);
    pid_t pid = fork();
    vfs_after_fork(here, pid == 0);
    if (pid == 0) {
        what(here, n);
        _exit(vfs_flush(here) == 0 && CU_get_number_of_failures() == failed ? 0 : 1);
    }
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT_EQUAL(status, 0);
}

static void put_file(struct vfs *v, struct vfs_loc *loc, const char *text)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    struct vfs_fd f;
    int fd = vfs_open(v, loc, O_WRONLY | O_CREAT | O_TRUNC, 0644, &f);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(vfs_writev(v, fd, &f, &iov, 1, -1, 0), (ssize_t)iov.iov_len);
    CU_ASSERT_EQUAL(vfs_close(v, fd, &f), 0);
    CU_ASSERT_EQUAL(vfs_flush(v), 0);
}

/* The content, or an errno's name. */
static const char *content(struct vfs *v, struct vfs_loc *loc)
{
    static char text[100];
    struct iovec iov = {.iov_base = text, .iov_len = sizeof text - 1};
    struct vfs_fd f;
    int fd = vfs_open(v, loc, O_RDONLY, 0, &f);
    if (fd < 0)
        return strerrorname_np(-fd);
    ssize_t n = vfs_readv(v, fd, &f, &iov, 1, -1, 0);
    text[n > 0 ? n : 0] = '\0';
    CU_ASSERT_EQUAL(vfs_close(v, fd, &f), 0);
    return text;
}

static int names_in(struct vfs *v, const char *dir)
{
    struct vfs_stat st;
    struct vfs_dir *d;
    struct vfs_dirent e;
    size_t n = 0;
    CU_ASSERT_EQUAL_FATAL(vfs_stat(v, at(dir), true, &st), 0);
    CU_ASSERT_EQUAL_FATAL(vfs_dir_open(v, st.ino, &d), 0);
    while (vfs_dir_at(d, n, &e) == 1)
        n++;
    vfs_dir_close(d);
    return (int)n - 2;
}

/* --- extended attributes ---------------------------------------------------------------------- */

static ssize_t list_of(struct vfs *v, const char *path)
{
    char names[100];
    return vfs_listxattr(v, at(path), false, names, sizeof names);
}

static void test_xattrs_of_own(void)
{
    char value[10], url[400];
    begin();
    /* nothing is sent by the timer meanwhile */
    snprintf(url, sizeof url, "%s&batch_interval=60s", server_url(server, 0));
    struct vfs *own = host_mount(url, server_dir(server), "cache-a");
    CU_ASSERT_PTR_NOT_NULL_FATAL(own);
    vfs_set_umask(own, 0);
    CU_ASSERT_EQUAL(vfs_mkdir(own, at("/a"), 0755), 0);
    CU_ASSERT_EQUAL(vfs_mkdir(own, at("/own/own"), 0755), 0);
    put_file(own, at("/own/own/one"), "1");
    struct vfs_fd f;
    int fd = vfs_open(own, at("/own/own/f"), O_WRONLY | O_CREAT, 0644, &f);
    CU_ASSERT_FATAL(fd >= 0);
    unsigned long long before = trips();
    struct vfs_loc self = {.base = f.ino, .path = ""};
    for (int i = 0; i < 2; i++) { /* by name, by descriptor */
        struct vfs_loc *l = i == 0 ? at("/own/own/f") : &self;
        CU_ASSERT_EQUAL(vfs_listxattr(own, l, false, NULL, 0), 0);
        CU_ASSERT_EQUAL(vfs_getxattr(own, l, false, "user.a", value, 10), -ENODATA);
        CU_ASSERT_EQUAL(vfs_getxattr(own, l, false, "security.selinux", value, 10), -ENODATA);
        CU_ASSERT_EQUAL(vfs_getxattr(own, l, false, "odd.a", value, 10), -EOPNOTSUPP);
        CU_ASSERT_EQUAL(vfs_removexattr(own, l, false, "user.a"), -ENODATA);
        CU_ASSERT_EQUAL(vfs_setxattr(own, l, false, "user.a", "v", 1, XATTR_REPLACE), -ENODATA);
        CU_ASSERT_EQUAL(vfs_setxattr(own, l, false, "system.posix_acl_access", "v", 1, 0),
                        -EOPNOTSUPP);
    }
    CU_ASSERT_EQUAL(trips(), before);
    CU_ASSERT_EQUAL(vfs_setxattr(own, &self, false, "user.a", "v", 1, 0), 0);
    CU_ASSERT_EQUAL(list_of(own, "/own/own/f"), 7);
    CU_ASSERT_EQUAL(vfs_getxattr(own, at("/own/own/f"), false, "user.a", value, 10), 1);
    CU_ASSERT_EQUAL(vfs_setxattr(own, &self, false, "user.a", "v", 1, XATTR_CREATE), -EEXIST);
    CU_ASSERT_EQUAL(vfs_removexattr(own, &self, false, "user.a"), 0);
    CU_ASSERT_EQUAL(list_of(own, "/own/own/f"), 0);
    vfs_close(own, fd, &f);
    vfs_unmount(own);
    end();
}

static void set_xattr(struct vfs *v, int n)
{
    (void)n;
    CU_ASSERT_EQUAL(vfs_setxattr(v, at("/d/f"), false, "user.b", "v", 1, 0), 0);
}

static void test_xattrs_of_others(void)
{
    begin();
    put_file(there, at("/d/f"), "x");
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(list_of(here, "/d/f"), 0);
    unsigned long long before = trips();
    CU_ASSERT_EQUAL(list_of(here, "/d/f"), 0);
    CU_ASSERT_EQUAL(trips(), before); /* told a moment ago */
    beside(set_xattr, 0);
    CU_ASSERT_EQUAL(list_of(here, "/d/f"), 7);
    CU_ASSERT_EQUAL(vfs_removexattr(here, at("/d/f"), false, "user.b"), 0);
    CU_ASSERT_EQUAL(list_of(here, "/d/f"), 0);
    CU_ASSERT_EQUAL(list_of(here, "/d/f"), 0);
    CU_ASSERT_EQUAL(vfs_setxattr(there, at("/d/f"), false, "user.c", "v", 1, 0), 0);
    vfs_input(here); /* somebody told us */
    CU_ASSERT_EQUAL(list_of(here, "/d/f"), 7);
    end();
}

/* --- files ahead ------------------------------------------------------------------------------ */

#define FILES 100
#define LARGE 1500

static void make_files(void)
{
    char text[20];
    for (int i = 0; i < FILES; i++) {
        snprintf(text, sizeof text, "text %d", i);
        put_file(there, at_n("/d/f%d", i), text);
    }
}

/* Lists the directory and reads so many of its files, as cp -a does. */
static void read_files(int from, int to)
{
    char text[20];
    struct vfs_stat st;
    CU_ASSERT_EQUAL(names_in(here, "/d"), FILES);
    for (int i = from; i < to; i++) {
        snprintf(text, sizeof text, "text %d", i);
        CU_ASSERT_EQUAL(vfs_stat(here, at_n("/d/f%d", i), true, &st), 0);
        CU_ASSERT_STRING_EQUAL(content(here, at_n("/d/f%d", i)), text);
        CU_ASSERT_EQUAL(vfs_listxattr(here, at_n("/d/f%d", i), false, NULL, 0), 0);
    }
}

static void test_files_ahead(void)
{
    begin();
    make_files();
    unsigned long long before = trips();
    read_files(0, FILES);
    /* Each time may be late on a busy machine, so far from one a file is enough. */
    CU_ASSERT(trips() - before < FILES / 2);
    end();
}

static void change_files(struct vfs *v, int n)
{
    (void)n;
    put_file(v, at("/d/f70"), "news");
    CU_ASSERT_EQUAL(vfs_unlink(v, at("/d/f71")), 0);
    CU_ASSERT_EQUAL(vfs_rename(v, at("/d/f72"), at("/d/f73"), 0), 0);
}

/* What came ahead is not believed once somebody of the host changed it, and serves one open only.
 */
static void test_changed_files(void)
{
    begin();
    make_files();
    read_files(0, FILES / 2);
    beside(change_files, 0);
    CU_ASSERT_STRING_EQUAL(content(here, at("/d/f70")), "news");
    CU_ASSERT_STRING_EQUAL(content(here, at("/d/f71")), "ENOENT");
    CU_ASSERT_STRING_EQUAL(content(here, at("/d/f72")), "ENOENT");
    CU_ASSERT_STRING_EQUAL(content(here, at("/d/f73")), "text 72");
    for (int i = 0; i < 10; i++) { /* of another host: close-to-open */
        const char *text = i % 2 == 0 ? "even" : "odd";
        put_file(there, at("/d/f90"), text);
        if (i > 0)
            CU_ASSERT_STRING_EQUAL(content(here, at("/d/f90")), text);
        content(here, at("/d/f90"));
    }
    put_file(there, at("/d/late"), "late"); /* nobody listed the directory since */
    vfs_input(here);
    CU_ASSERT_STRING_EQUAL(content(here, at("/d/late")), "late");
    end();
}

static void put_own(struct vfs *v, int n)
{
    put_file(v, at_n("/own/e%d", n), "news");
}

/* Own files that were empty when they came ahead, and open. */
static void test_written_files(void)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t) "text", .iov_len = 4};
    struct vfs_fd f[10];
    int fd[10];
    begin();
    for (int i = 0; i < 10; i++) {
        put_file(here, at_n("/own/e%d", i), "");
        fd[i] = vfs_open(here, at_n("/own/e%d", i), O_WRONLY, 0, &f[i]);
        CU_ASSERT_FATAL(fd[i] >= 0);
    }
    usleep(60000); /* so that they are asked for again */
    for (int i = 0; i < 4; i++)
        CU_ASSERT_STRING_EQUAL(content(here, at_n("/own/e%d", i)), "");
    for (int i = 4; i < 10; i++) {
        CU_ASSERT_EQUAL(vfs_writev(here, fd[i], &f[i], &iov, 1, -1, 0), 4);
        CU_ASSERT_EQUAL(vfs_close(here, fd[i], &f[i]), 0);
        CU_ASSERT_STRING_EQUAL(content(here, at_n("/own/e%d", i)), "text");
    }
    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(vfs_close(here, fd[i], &f[i]), 0);
    beside(put_own, 5); /* what an own file is known to hold ends with another's change, too */
    CU_ASSERT_STRING_EQUAL(content(here, at("/own/e5")), "news");
    end();
}

/* Names are looked for in their own order, of more than come at once, and nobody lists them. */
static void test_large_directory(void)
{
    static struct vfs_name names[LARGE];
    static char text[LARGE][20];
    struct vfs_stat st;
    begin();
    for (int i = 0; i < LARGE; i++) {
        snprintf(text[i], sizeof text[i], "/d/n%04d", i);
        names[i] = (struct vfs_name){.base = INO_ROOT, .path = text[i]};
    }
    CU_ASSERT_EQUAL(vfs_create_many(there, names, LARGE, 0644), 0);
    CU_ASSERT_EQUAL(vfs_flush(there), 0);
    unsigned long long before = trips();
    for (int i = 0; i < LARGE; i++)
        CU_ASSERT_EQUAL(vfs_stat(here, at(text[i]), true, &st), 0);
    CU_ASSERT(trips() - before < LARGE / 4);
    CU_ASSERT_STRING_EQUAL(content(here, at("/d/new")), "ENOENT");
    put_file(there, at("/d/new"), "new");
    CU_ASSERT_STRING_EQUAL(content(here, at("/d/new")), "new");
    end();
}

/* Reading single files says nothing of names that are not there. */
static void test_absent_names(void)
{
    begin();
    make_files();
    for (int i = 0; i < 20; i++)
        content(here, at_n("/d/f%d", i));
    CU_ASSERT_STRING_EQUAL(content(here, at("/d/new")), "ENOENT");
    put_file(there, at("/d/new"), "new");
    CU_ASSERT_STRING_EQUAL(content(here, at("/d/new")), "new");
    end();
}

/* --- listings ahead --------------------------------------------------------------------------- */

#define DIRS 30

static void test_walk(void)
{
    begin();
    for (int i = 0; i < DIRS; i++) {
        CU_ASSERT_EQUAL(vfs_mkdir(there, at_n("/d/s%d", i), 0755), 0);
        put_file(there, at_n("/d/s%d/f", i), "x");
    }
    unsigned long long before = trips();
    CU_ASSERT_EQUAL(names_in(here, "/d"), DIRS);
    for (int i = 0; i < DIRS; i++)
        CU_ASSERT_EQUAL(names_in(here, at_n("/d/s%d", i)->path), 1);
    CU_ASSERT(trips() - before < DIRS - 5);
    end();
}

static void put_another(struct vfs *v, int n)
{
    put_file(v, at_n("/d/s%d/g", n), "x");
}

/* Listings that came ahead and are out of date when they are asked for. */
static void test_changed_directories(void)
{
    begin();
    for (int i = 0; i < DIRS; i++) {
        CU_ASSERT_EQUAL(vfs_mkdir(there, at_n("/d/s%d", i), 0755), 0);
        put_file(there, at_n("/d/s%d/f", i), "x");
    }
    CU_ASSERT_EQUAL(names_in(here, "/d"), DIRS);
    for (int i = 0; i < DIRS / 2; i++)
        CU_ASSERT_EQUAL(names_in(here, at_n("/d/s%d", i)->path), 1);
    for (int i = DIRS / 2; i < DIRS; i += 3) {
        beside(put_another, i);
        CU_ASSERT_EQUAL(vfs_unlink(here, at_n("/d/s%d/f", i + 1)), 0);
        put_file(here, at_n("/d/s%d/g", i + 2), "x");
    }
    for (int i = DIRS / 2; i < DIRS; i++)
        CU_ASSERT_EQUAL(names_in(here, at_n("/d/s%d", i)->path), (i - DIRS / 2) % 3 == 1 ? 0 : 2);
    end();
}

/* --- the first call --------------------------------------------------------------------------- */

static void test_first_call(void)
{
    struct vfs_fd f;
    begin();
    struct vfs *fresh = mount_at("cache-a");
    unsigned long long before = trips();
    int fd = vfs_open(fresh, at("/own/touched"), O_WRONLY | O_CREAT, 0644, &f);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(vfs_close(fresh, fd, &f), 0);
    CU_ASSERT_EQUAL(trips() - before, 2); /* the setting with inodes, the file */
    vfs_unmount(fresh);
    end();
}

static long long scans(void)
{
    char text[16384], *at;
    server_text(server, text, sizeof text, "INFO commandstats");
    at = strstr(text, "cmdstat_hscan:calls=");
    return at != NULL ? atoll(at + strlen("cmdstat_hscan:calls=")) : 0;
}

/* A directory of others that is too large to be streamed into is listed once, not for each name
 * that is made there. */
static void test_long_directory(void)
{
    enum { THERE = 6000, MADE = 60 };
    struct vfs_fd f;
    begin();
    for (int i = 0; i < THERE; i++) {
        int fd = vfs_open(there, at_n("/d/their-file-%d", i), O_WRONLY | O_CREAT, 0644, &f);
        CU_ASSERT_FATAL(fd >= 0);
        CU_ASSERT_EQUAL(vfs_close(there, fd, &f), 0);
    }
    CU_ASSERT_EQUAL(vfs_flush(there), 0);
    long long before = scans();
    for (int i = 0; i < MADE; i++) {
        int fd = vfs_open(here, at_n("/d/our-file-%d", i), O_WRONLY | O_CREAT | O_EXCL, 0644, &f);
        CU_ASSERT_FATAL(fd >= 0);
        CU_ASSERT_EQUAL(vfs_close(here, fd, &f), 0);
    }
    CU_ASSERT(scans() - before < MADE / 2);
    CU_ASSERT_EQUAL(vfs_mkdir(here, at("/d/their-file-0"), 0755), -EEXIST);
    end();
}

/* What nobody else can have seen is changed without a mark, and the last change counts. */
static void test_folded(void)
{
    char url[400], dir[400], err[400];
    struct vfs_fd f;
    struct vfs_stat st;
    struct board *b;
    begin();
    snprintf(url, sizeof url, "%s&batch_interval=60s", server_url(server, 0));
    struct vfs *v = host_mount(url, server_dir(server), "cache-c");
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    vfs_set_umask(v, 0);
    CU_ASSERT_EQUAL(vfs_mkdir(v, at("/one"), 0755), 0);
    CU_ASSERT_EQUAL(vfs_mkdir(v, at("/two"), 0755), 0);
    int fd = vfs_open(v, at("/two/f"), O_WRONLY | O_CREAT, 0600, &f);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(vfs_close(v, fd, &f), 0);
    snprintf(dir, sizeof dir, "%s/cache-c/" VOLUME_UUID ".%u", server_dir(server),
             (unsigned)geteuid());
    CU_ASSERT_EQUAL_FATAL(board_open(dir, &b, err, sizeof err), 0);
    uint64_t before = board_now(b);
    for (unsigned i = 0; i < 20; i++) { /* every second one changes nothing */
        struct vfs_setattr s = {.set = SET_MODE, .mode = 0600 + i / 2};
        CU_ASSERT_EQUAL(vfs_setattr(v, at("/two/f"), false, &s), 0);
    }
    CU_ASSERT_EQUAL(board_now(b), before);
    CU_ASSERT_EQUAL(vfs_flush(v), 0);
    CU_ASSERT_EQUAL(vfs_stat(there, at("/two/f"), 0, &st), 0);
    CU_ASSERT_EQUAL(st.attr.mode & 07777, 0611);
    struct vfs_setattr s = {.set = SET_MODE, .mode = 0640};
    CU_ASSERT_EQUAL(vfs_setattr(v, at("/two/f"), false, &s), 0);
    CU_ASSERT(board_now(b) > before); /* others know it now */
    board_close(b);
    vfs_unmount(v);
    end();
}

static uint64_t ino_of(struct vfs *v, const char *path)
{
    struct vfs_stat st;
    int rc = vfs_stat(v, at(path), true, &st);
    return rc < 0 ? (uint64_t)rc : st.ino;
}

/* An inode that was just told of by its new name says nothing of the old one. */
static void test_names_moved(void)
{
    begin();
    put_file(there, at("/d/a"), "1");
    put_file(there, at("/d/b"), "2");
    CU_ASSERT_EQUAL(vfs_flush(there), 0);
    uint64_t a = ino_of(here, "/d/a"), b = ino_of(here, "/d/b");
    CU_ASSERT_EQUAL(vfs_rename(there, at("/d/a"), at("/d/b"), RENAME_EXCHANGE), 0);
    CU_ASSERT_EQUAL(vfs_flush(there), 0);
    vfs_input(here);
    CU_ASSERT_EQUAL(ino_of(here, "/d/b"), a);
    CU_ASSERT_EQUAL(ino_of(here, "/d/a"), b);
    CU_ASSERT_EQUAL(vfs_rename(there, at("/d/a"), at("/d/c"), 0), 0);
    CU_ASSERT_EQUAL(vfs_flush(there), 0);
    vfs_input(here);
    CU_ASSERT_EQUAL(ino_of(here, "/d/c"), b);
    CU_ASSERT_EQUAL(ino_of(here, "/d/a"), (uint64_t)-ENOENT);
    end();
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"names that moved", test_names_moved},
        {"changes of what nobody has seen", test_folded},
        {"extended attributes of own files", test_xattrs_of_own},
        {"extended attributes of others' files", test_xattrs_of_others},
        {"files ahead", test_files_ahead},
        {"files that changed", test_changed_files},
        {"files that were written", test_written_files},
        {"a large directory", test_large_directory},
        {"a directory too large for a stream", test_long_directory},
        {"absent names", test_absent_names},
        {"a walk", test_walk},
        {"directories that changed", test_changed_directories},
        {"the first call", test_first_call},
        CU_TEST_INFO_NULL,
    };
    return suite_run("early", tests);
}
