/*
 * test_vfs.c - the vfs without a preload, on a real redis-server and a real store: data through
 * staging into blocks and back, seen from a second vfs with staging of its own (another user or
 * host), files open while they vanish, sizes at the borders of blocks and chunks.
 */
#include "core/vfs/vfs.h"

#include "core/base/log.h"
#include "core/op/op.h"
#include "core/store/store.h"
#include "tests/lib/host.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK (64 << 10) /* the smallest block size, so that borders are near */

static struct server *server;
static struct vfs *here, *there; /* two hosts: own staging areas, one volume */
static char text[8192];

static void to_stderr(enum log_level level, const char *line)
{
    (void)level;
    fprintf(stderr, "log: %s\n", line);
}

static int setup(void)
{
    log_set(to_stderr, LOG_ERROR);
    server = server_start();
    struct setting s = host_setting(server_dir(server));
    if (host_format(server_url(server, 0), &s) != 0)
        return 1;
    here = host_mount(server_url(server, 0), server_dir(server), "cache-a");
    there = host_mount(server_url(server, 0), server_dir(server), "cache-b");
    return here == NULL || there == NULL;
}

static int teardown(void)
{
    vfs_unmount(here);
    vfs_unmount(there);
    server_free(server);
    return 0;
}

/* The other host, after it was told. */
static struct vfs *other(void)
{
    CU_ASSERT_EQUAL(vfs_flush(here), 0);
    return there;
}

static ssize_t put(struct vfs *v, int fd, const struct vfs_fd *f, const void *data, size_t n,
                   off_t off)
{
    struct iovec iov = {.iov_base = (void *)data, .iov_len = n};
    return vfs_writev(v, fd, f, &iov, 1, off, 0);
}

static ssize_t get(struct vfs *v, int fd, const struct vfs_fd *f, void *data, size_t n, off_t off)
{
    struct iovec iov = {.iov_base = data, .iov_len = n};
    return vfs_readv(v, fd, f, &iov, 1, off, 0);
}

static void write_file(struct vfs *v, const char *path, int flags, const void *data, size_t n)
{
    struct vfs_fd f;
    int fd = vfs_open(v, at(path), flags, 0644, &f);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(put(v, fd, &f, data, n, -1), (ssize_t)n);
    CU_ASSERT_EQUAL(vfs_close(v, fd, &f), 0);
}

/* The whole file equals data[0..n). */
static bool holds(struct vfs *v, const char *path, const void *data, size_t n)
{
    struct vfs_fd f;
    struct vfs_stat st;
    int fd = vfs_open(v, at(path), O_RDONLY, 0, &f);
    if (fd < 0)
        return false;
    uint8_t *got = malloc(n + 1);
    size_t have = 0;
    ssize_t r = 1;
    while (r > 0 && have <= n) {
        r = get(v, fd, &f, got + have, n + 1 - have, -1);
        have += r > 0 ? (size_t)r : 0;
    }
    bool same = have == n && memcmp(got, data, n) == 0 && vfs_fstat(v, fd, &f, &st) == 0 &&
                st.attr.length == n;
    free(got);
    vfs_close(v, fd, &f);
    return same;
}

static uint8_t *pattern(size_t n, unsigned seed)
{
    uint8_t *p = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)((i * 31 + i / 251 + seed) & 0xff);
    return p;
}

static void test_small(void)
{
    write_file(here, "small", O_CREAT | O_EXCL | O_WRONLY, "hello\n", 6);
    CU_ASSERT(holds(here, "small", "hello\n", 6));
    CU_ASSERT(holds(other(), "small", "hello\n", 6));
    write_file(other(), "small", O_WRONLY | O_APPEND, "more\n", 5);
    CU_ASSERT(holds(here, "small", "hello\nmore\n", 11));
    write_file(here, "small", O_WRONLY | O_TRUNC, "new", 3);
    CU_ASSERT(holds(other(), "small", "new", 3));
    write_file(here, "small", O_RDWR, "N", 1);
    CU_ASSERT(holds(other(), "small", "New", 3));
    write_file(here, "empty", O_CREAT | O_WRONLY, "", 0);
    CU_ASSERT(holds(other(), "empty", "", 0));
}

static void test_errnos(void)
{
    struct vfs_fd f;
    CU_ASSERT_EQUAL(vfs_open(here, at("none"), O_RDONLY, 0, &f), -ENOENT);
    CU_ASSERT_EQUAL(vfs_open(here, at("small"), O_CREAT | O_EXCL | O_WRONLY, 0, &f), -EEXIST);
    CU_ASSERT_EQUAL(vfs_open(here, at("small/x"), O_RDONLY, 0, &f), -ENOTDIR);
    CU_ASSERT_EQUAL(vfs_open(here, at(""), O_WRONLY, 0, &f), -EISDIR);
    memset(text, 'n', 256);
    text[256] = '\0';
    CU_ASSERT_EQUAL(vfs_open(here, at(text), O_CREAT | O_WRONLY, 0644, &f), -ENAMETOOLONG);
    CU_ASSERT_EQUAL(vfs_mkdir(here, at("small"), 0755), -EEXIST);
    CU_ASSERT_EQUAL(vfs_rmdir(here, at("small")), -ENOTDIR);
    CU_ASSERT_EQUAL(vfs_unlink(here, at("none")), -ENOENT);
}

static void test_borders(void)
{
    static const size_t sizes[] = {
        1,         4095,          4096,    BLOCK - 1,       BLOCK,       BLOCK + 1,
        3 * BLOCK, 3 * BLOCK + 7, 1 << 20, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *p = pattern(sizes[i], (unsigned)i);
        write_file(here, "border", O_CREAT | O_TRUNC | O_WRONLY, p, sizes[i]);
        CU_ASSERT(holds(other(), "border", p, sizes[i]));
        CU_ASSERT(holds(here, "border", p, sizes[i]));
        free(p);
    }
}

/* Larger than what staging keeps: published as it grows, read back in the middle of it. */
static void test_growing(void)
{
    size_t n = 3 * CHUNK_BYTES + 12345, step = 1 << 20;
    uint8_t *p = pattern(n, 9);
    struct vfs_fd f;
    struct stat sb;
    char some[1000];
    int fd = vfs_open(here, at("grow"), O_CREAT | O_TRUNC | O_RDWR, 0644, &f);
    CU_ASSERT_FATAL(fd >= 0);
    for (size_t done = 0; done < n; done += step) {
        size_t part = n - done < step ? n - done : step;
        CU_ASSERT_EQUAL_FATAL(put(here, fd, &f, p + done, part, -1), (ssize_t)part);
    }
    CU_ASSERT(fstat(fd, &sb) == 0 && (size_t)sb.st_size == n);
    CU_ASSERT((size_t)sb.st_blocks * 512 < 2 * CHUNK_BYTES); /* not all of it is kept here */
    CU_ASSERT_EQUAL(get(here, fd, &f, some, sizeof some, 1000), (ssize_t)sizeof some);
    CU_ASSERT(memcmp(some, p + 1000, sizeof some) == 0);
    CU_ASSERT_EQUAL(get(here, fd, &f, some, sizeof some, CHUNK_BYTES * 2 - 500),
                    (ssize_t)sizeof some);
    CU_ASSERT(memcmp(some, p + CHUNK_BYTES * 2 - 500, sizeof some) == 0);
    memset(p + 77, 'z', 10); /* a write far below what is kept */
    CU_ASSERT_EQUAL(put(here, fd, &f, p + 77, 10, 77), 10);
    CU_ASSERT_EQUAL(vfs_close(here, fd, &f), 0);
    CU_ASSERT(holds(other(), "grow", p, n));
    free(p);
    CU_ASSERT_EQUAL(vfs_unlink(here, at("grow")), 0);
}

static void test_random_writes(void)
{
    size_t n = 5 * BLOCK;
    uint8_t *model = calloc(1, n);
    struct vfs_fd f;
    srand(7);
    int fd = vfs_open(here, at("random"), O_CREAT | O_RDWR, 0644, &f);
    CU_ASSERT_FATAL(fd >= 0);
    size_t size = 0;
    for (int i = 0; i < 300; i++) {
        size_t off = (size_t)rand() % n, len = (size_t)rand() % (n - off);
        if (i % 7 == 0)
            len %= 100;
        uint8_t *p = pattern(len, (unsigned)i);
        if (i % 11 == 10) {
            CU_ASSERT_EQUAL(vfs_ftruncate(here, fd, &f, (off_t)off), 0);
            if (off < size)
                memset(model + off, 0, size - off);
            size = off;
        } else if (len > 0) {
            CU_ASSERT_EQUAL(put(here, fd, &f, p, len, (off_t)off), (ssize_t)len);
            memcpy(model + off, p, len);
            size = off + len > size ? off + len : size;
        }
        free(p);
        if (i % 13 == 12)
            CU_ASSERT_EQUAL(vfs_fsync(here, fd, &f), 0);
        if (i % 50 == 49) {
            CU_ASSERT_EQUAL(vfs_close(here, fd, &f), 0);
            CU_ASSERT(holds(other(), "random", model, size));
            fd = vfs_open(here, at("random"), O_RDWR, 0, &f);
            CU_ASSERT_FATAL(fd >= 0);
        }
    }
    vfs_close(here, fd, &f);
    CU_ASSERT(holds(other(), "random", model, size));
    free(model);
}

static void test_unseen_writes(void)
{
    struct vfs_fd f;
    uint8_t *p = pattern(3 * BLOCK, 3);
    write_file(here, "direct", O_CREAT | O_WRONLY, p, 3 * BLOCK);
    int fd = vfs_open(here, at("direct"), O_RDWR, 0, &f);
    CU_ASSERT_EQUAL(vfs_direct(here, fd, &f, VFS_USE_DIRECT), 0);
    memcpy(p + 100, "kernel", 6);
    CU_ASSERT_EQUAL(pwrite(fd, "kernel", 6, 100), 6); /* as stdio or a static program would */
    CU_ASSERT_EQUAL(vfs_close(here, fd, &f), 0);
    CU_ASSERT(holds(other(), "direct", p, 3 * BLOCK));

    fd = vfs_open(here, at("direct"), O_RDWR, 0, &f);
    CU_ASSERT_EQUAL(vfs_direct(here, fd, &f, VFS_USE_MAP_WRITE), 0);
    uint8_t *map = mmap(NULL, 3 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CU_ASSERT_FATAL(map != MAP_FAILED);
    CU_ASSERT(memcmp(map, p, 3 * BLOCK) == 0);
    memcpy(map + BLOCK, "mapped", 6);
    memcpy(p + BLOCK, "mapped", 6);
    munmap(map, 3 * BLOCK);
    CU_ASSERT_EQUAL(vfs_close(here, fd, &f), 0);
    CU_ASSERT(holds(other(), "direct", p, 3 * BLOCK));
    free(p);
}

static void test_unlinked_open(void)
{
    struct vfs_fd f;
    struct vfs_stat st;
    char got[16] = "";
    write_file(here, "gone", O_CREAT | O_WRONLY, "still here", 10);
    int fd = vfs_open(here, at("gone"), O_RDWR, 0, &f);
    CU_ASSERT_EQUAL(vfs_unlink(here, at("gone")), 0);
    CU_ASSERT_EQUAL(vfs_stat(here, at("gone"), false, &st), -ENOENT);
    CU_ASSERT_EQUAL(get(here, fd, &f, got, 16, 0), 10);
    CU_ASSERT_STRING_EQUAL(got, "still here");
    CU_ASSERT_EQUAL(put(here, fd, &f, "yes", 3, 10), 3);
    CU_ASSERT(vfs_fstat(here, fd, &f, &st) == 0 && st.attr.nlink == 0 && st.attr.length == 13);
    CU_ASSERT_EQUAL(vfs_close(here, fd, &f), 0);
    CU_ASSERT_EQUAL(server_int(server, "ZCARD delfiles"), 0);
    CU_ASSERT_EQUAL(server_int(server, "EXISTS sliceRef"), 0);
}

static void test_tmpfile(void)
{
    struct vfs_fd f;
    struct vfs_stat st;
    CU_ASSERT_EQUAL(vfs_mkdir(here, at("tmp"), 0755), 0);
    int fd = vfs_open(here, at("tmp"), O_TMPFILE | O_RDWR, 0640, &f);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(put(here, fd, &f, "unnamed", 7, -1), 7);
    CU_ASSERT(vfs_fstat(here, fd, &f, &st) == 0 && st.attr.nlink == 0);
    CU_ASSERT_EQUAL(vfs_link_fd(here, fd, &f, at("small")), -EEXIST);
    CU_ASSERT_EQUAL(vfs_link_fd(here, fd, &f, at("tmp/named")), 0);
    CU_ASSERT(holds(other(), "tmp/named", "unnamed", 7));
    CU_ASSERT_EQUAL(put(here, fd, &f, "!", 1, -1), 1);
    CU_ASSERT_EQUAL(vfs_close(here, fd, &f), 0);
    CU_ASSERT(holds(other(), "tmp/named", "unnamed!", 8));
    /* one that nothing was written to keeps its times */
    struct moment made;
    fd = vfs_open(here, at("tmp"), O_TMPFILE | O_RDWR, 0640, &f);
    CU_ASSERT_EQUAL(vfs_fstat(here, fd, &f, &st), 0);
    made = st.attr.mtime;
    CU_ASSERT_EQUAL(vfs_link_fd(here, fd, &f, at("tmp/empty")), 0);
    CU_ASSERT_EQUAL(vfs_close(here, fd, &f), 0);
    CU_ASSERT_EQUAL(vfs_stat(other(), at("tmp/empty"), false, &st), 0);
    CU_ASSERT(st.attr.mtime.sec == made.sec && st.attr.mtime.nsec == made.nsec);
}

static void test_times_after_data(void)
{
    struct vfs_fd f;
    struct vfs_stat st;
    struct vfs_setattr s = {
        .set = SET_MTIME | SET_MODE, .mode = 0600, .mtime = {.sec = 1234567890, .nsec = 42}};
    int fd = vfs_open(here, at("times"), O_CREAT | O_WRONLY, 0644, &f);
    CU_ASSERT_EQUAL(put(here, fd, &f, "data", 4, -1), 4);
    CU_ASSERT_EQUAL(vfs_fsetattr(here, fd, &f, &s), 0);
    CU_ASSERT_EQUAL(vfs_close(here, fd, &f), 0);
    CU_ASSERT_EQUAL(vfs_stat(other(), at("times"), false, &st), 0);
    CU_ASSERT(st.attr.mtime.sec == 1234567890 && st.attr.mtime.nsec == 42);
    CU_ASSERT(st.attr.mode == 0600 && st.attr.length == 4);
    /* by path, while another descriptor has unwritten data */
    fd = vfs_open(here, at("times"), O_WRONLY | O_APPEND, 0, &f);
    CU_ASSERT_EQUAL(put(here, fd, &f, "more", 4, -1), 4);
    CU_ASSERT_EQUAL(vfs_setattr(here, at("times"), false, &s), 0);
    CU_ASSERT_EQUAL(vfs_close(here, fd, &f), 0);
    CU_ASSERT_EQUAL(vfs_stat(other(), at("times"), false, &st), 0);
    CU_ASSERT(st.attr.mtime.sec == 1234567890 && st.attr.length == 8);
}

static void test_shared_on_host(void)
{
    struct vfs_fd f, g;
    struct vfs_stat st;
    char got[32] = "";
    int fd = vfs_open(here, at("shared"), O_CREAT | O_WRONLY | O_APPEND, 0644, &f);
    CU_ASSERT_EQUAL(put(here, fd, &f, "first ", 6, -1), 6);
    CU_ASSERT(vfs_stat(here, at("shared"), false, &st) == 0 && st.attr.length == 6);
    CU_ASSERT(vfs_stat(other(), at("shared"), false, &st) == 0 && st.attr.length == 0);
    int fd2 = vfs_open(here, at("shared"), O_RDWR | O_APPEND, 0, &g);
    CU_ASSERT_EQUAL(g.slot, f.slot);
    CU_ASSERT_EQUAL(put(here, fd2, &g, "second", 6, -1), 6);
    CU_ASSERT_EQUAL(get(here, fd2, &g, got, 32, 0), 12);
    CU_ASSERT_STRING_EQUAL(got, "first second");
    CU_ASSERT_EQUAL(vfs_close(here, fd, &f), 0);
    CU_ASSERT(holds(other(), "shared", "first second", 12));
    CU_ASSERT_EQUAL(vfs_close(here, fd2, &g), 0);
}

static void test_identify(void)
{
    struct vfs_fd f, g;
    int fd = vfs_open(here, at("small"), O_RDWR | O_APPEND, 0, &f);
    int copy = dup(fd);
    CU_ASSERT_EQUAL(vfs_identify(here, copy, &g), 1);
    CU_ASSERT(g.ino == f.ino && g.slot == f.slot && g.gen == f.gen && g.writable && g.append);
    CU_ASSERT_EQUAL(vfs_identify(here, 0, &g), 0);
    close(copy);
    vfs_close(here, fd, &f);
    fd = vfs_open(here, at("tmp"), O_RDONLY | O_DIRECTORY, 0, &f);
    CU_ASSERT(vfs_identify(here, fd, &g) == 1 && g.kind == VFS_DIR && g.ino == f.ino);
    vfs_close(here, fd, &f);
    fd = vfs_open(here, at("small"), O_PATH, 0, &f);
    CU_ASSERT(vfs_identify(here, fd, &g) == 1 && g.kind == VFS_PATH && g.ino == f.ino);
    vfs_close(here, fd, &f);
}

static void test_listing(void)
{
    struct vfs_dir *d;
    struct vfs_dirent e;
    struct vfs_stat st;
    char name[64];
    bool seen[1500] = {false};
    CU_ASSERT_EQUAL(vfs_mkdir(here, at("many"), 0755), 0);
    for (int i = 0; i < 1500; i++) {
        snprintf(name, sizeof name, "many/f%d", i);
        CU_ASSERT_EQUAL(vfs_mknod(here, at(name), S_IFREG | 0644, 0), 0);
    }
    CU_ASSERT_EQUAL(vfs_stat(here, at("many"), false, &st), 0);
    CU_ASSERT_EQUAL(vfs_dir_open(here, st.ino, &d), 0);
    size_t n = 0;
    for (; vfs_dir_at(d, n, &e) == 1; n++) {
        if (n >= 2)
            seen[atoi(e.name + 1)] = true;
    }
    CU_ASSERT_EQUAL(n, 1502);
    for (int i = 0; i < 1500; i++)
        CU_ASSERT(seen[i]);
    CU_ASSERT_EQUAL(vfs_unlink(here, at("many/f7")), 0);
    CU_ASSERT(vfs_dir_at(d, 1501, &e) == 1);
    vfs_dir_rewind(d);
    CU_ASSERT(vfs_dir_at(d, 1501, &e) == 0);
    vfs_dir_close(d);
}

static void test_paths(void)
{
    char out[PATH_MAX];
    struct vfs_loc loc;
    CU_ASSERT_EQUAL(vfs_mkdir(here, at("a"), 0755), 0);
    CU_ASSERT_EQUAL(vfs_mkdir(here, at("a/b"), 0755), 0);
    CU_ASSERT_EQUAL(vfs_symlink(here, "/jfs/a/b", at("abs")), 0);
    CU_ASSERT_EQUAL(vfs_symlink(here, "b/../b", at("a/rel")), 0);
    CU_ASSERT_EQUAL(vfs_symlink(here, "/etc/hosts", at("out")), 0);
    CU_ASSERT_EQUAL(vfs_symlink(here, "loop", at("loop")), 0);
    CU_ASSERT_EQUAL(vfs_realpath(here, at("abs/../rel"), out, sizeof out), 0);
    CU_ASSERT_STRING_EQUAL(out, "/jfs/a/b");
    CU_ASSERT_EQUAL(vfs_realpath(here, at("loop"), out, sizeof out), -ELOOP);
    loc = (struct vfs_loc){.base = INO_ROOT, .path = "out"};
    CU_ASSERT_EQUAL(vfs_realpath(here, &loc, out, sizeof out), VFS_ESCAPE);
    struct vfs_stat st;
    loc = (struct vfs_loc){.base = INO_ROOT, .path = "out"};
    CU_ASSERT_EQUAL(vfs_stat(here, &loc, false, &st), VFS_ESCAPE);
    CU_ASSERT_STRING_EQUAL(loc.native, "/etc/hosts");
    CU_ASSERT_EQUAL(vfs_stat(here, at("a/b"), false, &st), 0);
    CU_ASSERT_EQUAL(vfs_dir_path(here, st.ino, out, sizeof out), 0);
    CU_ASSERT_STRING_EQUAL(out, "/a/b");
}

static void test_store_gone(void)
{
    struct vfs_fd f;
    char cmd[600], got[8];
    write_file(here, "lost", O_CREAT | O_WRONLY, "lost", 4);
    CU_ASSERT_EQUAL(vfs_flush(here), 0); /* its block is there */
    snprintf(cmd, sizeof cmd, "mv %s/bucket/testvol/chunks %s/away", server_dir(server),
             server_dir(server));
    CU_ASSERT_EQUAL(system(cmd), 0);
    int fd = vfs_open(other(), at("lost"), O_RDONLY, 0, &f);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(get(other(), fd, &f, got, 4, 0), -EIO);
    snprintf(cmd, sizeof cmd,
             "rm -rf %s/bucket/testvol/chunks; mv %s/away %s/bucket/testvol/chunks",
             server_dir(server), server_dir(server), server_dir(server));
    CU_ASSERT_EQUAL(system(cmd), 0);
    CU_ASSERT_EQUAL(get(other(), fd, &f, got, 4, 0), 4);
    vfs_close(other(), fd, &f);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"small files", test_small},
        {"errnos", test_errnos},
        {"borders", test_borders},
        {"growing", test_growing},
        {"random writes", test_random_writes},
        {"unseen writes", test_unseen_writes},
        {"unlinked while open", test_unlinked_open},
        {"O_TMPFILE", test_tmpfile},
        {"times after data", test_times_after_data},
        {"shared on a host", test_shared_on_host},
        {"identify", test_identify},
        {"listing", test_listing},
        {"paths", test_paths},
        {"missing blocks", test_store_gone},
        CU_TEST_INFO_NULL,
    };
    return suite_run_with("vfs", setup, teardown, tests);
}
