/*
 * test_store.c - making blocks: names, sizes around a block's edge, many writers at once, and every
 * way in which a directory can be wrong.
 */
#include "core/store/store_internal.h"
#include "tests/unit/blocks.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* --- names ------------------------------------------------------------------------------------ */

static void test_names(void)
{
    static const struct {
        uint64_t id;
        uint32_t index, len;
        const char *plain, *hashed;
    } rows[] = {
        {1, 0, 6, "chunks/0/0/1_0_6", "chunks/01/0/1_0_6"},
        {4097, 1, 805696, "chunks/0/4/4097_1_805696", "chunks/01/0/4097_1_805696"},
        {999999, 0, 1, "chunks/0/999/999999_0_1", "chunks/3F/0/999999_0_1"},
        {1000000, 15, 4194304, "chunks/1/1000/1000000_15_4194304",
         "chunks/40/1/1000000_15_4194304"},
        {UINT64_MAX, UINT32_MAX, UINT32_MAX,
         "chunks/18446744073709/18446744073709551/18446744073709551615_4294967295_4294967295",
         "chunks/FF/18446744073709/18446744073709551615_4294967295_4294967295"},
    };
    char path[PATH_MAX], want[PATH_MAX];

    for (int hashed = 0; hashed < 2; hashed++) {
        struct store *st = fresh(hashed);

        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            int len =
                store_block_path(st, rows[i].id, rows[i].index, rows[i].len, path, sizeof path);

            snprintf(want, sizeof want, "%s/bucket/vol/%s", top,
                     hashed ? rows[i].hashed : rows[i].plain);
            CU_ASSERT_STRING_EQUAL(path, want);
            CU_ASSERT_EQUAL(len, (int)strlen(want));
            CU_ASSERT_EQUAL(
                store_block_path(st, rows[i].id, rows[i].index, rows[i].len, path, strlen(want)),
                -ENAMETOOLONG);
        }
        store_close(st);
    }
    store_close(NULL);
}

/* A Bucket without a slash at its end is put together with Name as it is. */
static void test_bucket_without_slash(void)
{
    struct store *st = fresh(false);
    struct setting s = base;
    char path[PATH_MAX];

    store_close(st);
    snprintf(s.bucket, sizeof s.bucket, "%s/bucket/x-", top);
    CU_ASSERT_EQUAL(store_open(&s, &st, err, sizeof err), -ENOENT);
    path_of("x-vol", path);
    mkdir(path, 0755);
    CU_ASSERT_EQUAL_FATAL(store_open(&s, &st, err, sizeof err), 0);
    CU_ASSERT_EQUAL(store_put_block(st, 7, 0, "abc", 3), 0);
    CU_ASSERT_EQUAL(size_of("x-vol/chunks/0/0/7_0_3"), 3);
    store_close(st);
}

static void test_open_refused(void)
{
    static const struct {
        const char *storage, *compression;
        uint32_t shards, block_kib;
        bool encrypted;
        const char *names;
    } rows[] = {
        {"s3", "", 0, 64, false, "Storage"},      {"file", "lz4", 0, 64, false, "Compression"},
        {"file", "none", 2, 64, false, "Shards"}, {"file", "", 0, 63, false, "BlockSize"},
        {"file", "", 0, 64, true, "EncryptKey"},
    };
    struct store *st = fresh(false);
    char path[PATH_MAX];

    store_close(st);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct setting s = base;

        strcpy(s.storage, rows[i].storage);
        strcpy(s.compression, rows[i].compression);
        s.shards = rows[i].shards;
        s.block_kib = rows[i].block_kib;
        s.encrypted = rows[i].encrypted;
        CU_ASSERT_EQUAL(store_open(&s, &st, err, sizeof err), -ENOTSUP);
        CU_ASSERT_PTR_NOT_NULL(strstr(err, rows[i].names));
        CU_ASSERT_PTR_NULL(st);
    }
    path_of("vol", path);
    rmdir(path);
    CU_ASSERT_EQUAL(store_open(&base, &st, err, sizeof err), -ENOENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, path));
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    CU_ASSERT_EQUAL(store_open(&base, &st, err, sizeof err), -ENOTDIR);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, path));
    struct setting s = base;
    memset(s.bucket, 'b', 4095);
    s.bucket[0] = '/';
    s.bucket[4095] = 0;
    CU_ASSERT_EQUAL(store_open(&s, &st, err, sizeof err), -ENAMETOOLONG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, "too long"));
}

/* --- writing ---------------------------------------------------------------------------------- */

static void test_put_block(void)
{
    struct store *st = fresh(true);
    char path[PATH_MAX];
    struct stat sb;
    mode_t before = umask(027);
    off_t have;

    CU_ASSERT_EQUAL(store_block_bytes(st), BLOCK);
    CU_ASSERT_EQUAL(store_put_block(st, 300, 0, "hello", 5), 0);
    umask(before);
    path_of("vol/chunks/2C/0/300_0_5", path);
    CU_ASSERT_EQUAL_FATAL(stat(path, &sb), 0);
    CU_ASSERT_EQUAL(sb.st_mode & 07777, 0640);
    CU_ASSERT_EQUAL(sb.st_size, 5);
    path_of("vol/chunks/2C", path);
    CU_ASSERT_EQUAL_FATAL(stat(path, &sb), 0);
    CU_ASSERT_EQUAL(sb.st_mode & 07777, 0750);
    CU_ASSERT_EQUAL(store_put_block(st, 300, 0, "world", 5), 0); /* replaces */
    char got[5];
    CU_ASSERT_EQUAL(store_get(st, 300, 5, 0, got, 5), 0);
    CU_ASSERT(memcmp(got, "world", 5) == 0);
    path_of("vol", path);
    CU_ASSERT_EQUAL(files_below(path), 1); /* no temporary one */
    CU_ASSERT_EQUAL(store_check_block(st, 300, 0, 5, &have), 0);
    CU_ASSERT_EQUAL(store_put_block(st, 300, 0, "x", 0), -EINVAL);
    CU_ASSERT_EQUAL(store_put_block(st, 0, 0, "x", 1), -EINVAL);
    CU_ASSERT_EQUAL(store_put_block(st, 1, 0, path, BLOCK + 1), -EINVAL);
    store_close(st);
}

/* What lies in the way of the rename; the temporary file goes. */
static void test_put_blocked(void)
{
    struct store *st = fresh(false);
    char path[PATH_MAX];

    CU_ASSERT_EQUAL(store_put_block(st, 1, 0, "a", 1), 0);
    path_of("vol/chunks/0/0/2_0_1", path);
    mkdir(path, 0755);
    CU_ASSERT_EQUAL(store_put_block(st, 2, 0, "a", 1), -EIO);
    CU_ASSERT_PTR_NOT_NULL(strstr(logged, "2_0_1"));
    path_of("vol", path);
    CU_ASSERT_EQUAL(files_below(path), 1);
    /* a file where a directory should be */
    path_of("vol/chunks/9", path);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    CU_ASSERT_EQUAL(store_put_block(st, 9000000, 0, "a", 1), -EIO);
    /* the volume's directory is gone (its disk is not mounted): it is not made anew */
    path_of("vol", path);
    scratch_remove(path);
    CU_ASSERT_EQUAL(store_put_block(st, 3, 0, "a", 1), -EIO);
    CU_ASSERT_EQUAL(access(path, F_OK), -1);
    store_close(st);
}

static void test_temporary_name(void)
{
    struct store *st = fresh(false);
    char path[PATH_MAX], name[300], *base_name;
    struct atomic_file f, other;
    char *number;

    path_of("vol/chunks/0/0/1_0_4194304", path);
    CU_ASSERT_EQUAL_FATAL(atomic_open(&f, path, st->root_len), 0);
    CU_ASSERT(fcntl(f.fd, F_GETFD) & FD_CLOEXEC);
    base_name = strrchr(f.temporary, '/') + 1;
    CU_ASSERT_EQUAL(strncmp(base_name, ".jfs.1_0_4194304.tmp.", 21), 0);
    number = base_name + 21;
    CU_ASSERT(strlen(number) > 0 && strspn(number, "0123456789") == strlen(number));
    CU_ASSERT_EQUAL(strncmp(f.temporary, path, strlen(path) - strlen("1_0_4194304")), 0);
    CU_ASSERT_EQUAL_FATAL(atomic_open(&other, path, st->root_len), 0); /* another writer */
    CU_ASSERT_STRING_NOT_EQUAL(f.temporary, other.temporary);
    CU_ASSERT_EQUAL(atomic_write(&f, "x", 1), 0);
    CU_ASSERT_EQUAL(access(path, F_OK), -1); /* not before it is whole */
    CU_ASSERT_EQUAL(atomic_close(&f, -EINTR), -EINTR);
    CU_ASSERT_EQUAL(atomic_close(&other, 0), 0);
    CU_ASSERT_EQUAL(size_of("vol/chunks/0/0/1_0_4194304"), 0);
    /* a name is cut to 200 bytes, so that the temporary one fits where it fits */
    memset(name, 'n', 240);
    name[240] = 0;
    path_of(name, path);
    CU_ASSERT_EQUAL(atomic_put(path, 1, "x", 1), 0);
    CU_ASSERT_EQUAL(size_of(name), 1);
    store_close(st);
}

static void check_slice(struct store *st, uint64_t id, uint32_t len, uint64_t shift)
{
    char *got = malloc(len);

    CU_ASSERT_PTR_NOT_NULL_FATAL(got);
    CU_ASSERT_EQUAL_FATAL(store_get(st, id, len, 0, got, len), 0);
    for (uint32_t i = 0; i < len; i++)
        CU_ASSERT_EQUAL_FATAL((unsigned char)got[i], byte_at(i + shift));
    free(got);
}

static void test_slice_sizes(void)
{
    static const uint32_t sizes[] = {1,         BLOCK - 1,     BLOCK,         BLOCK + 1,
                                     2 * BLOCK, 5 * BLOCK - 1, 5 * BLOCK + 1, COPY_BYTES + 1};
    struct store *st = fresh(false);
    int fd = source_file(6 * BLOCK);

    for (uint64_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t id = i + 1;
        char name[64];
        uint32_t last = (sizes[i] - 1) / BLOCK;

        CU_ASSERT_EQUAL_FATAL(store_put_slice(st, id, fd, (off_t)i, sizes[i]), 0);
        check_slice(st, id, sizes[i], i);
        snprintf(name, sizeof name, "vol/chunks/0/0/%d_%u_%u", (int)id, last,
                 sizes[i] - last * BLOCK);
        CU_ASSERT_EQUAL(size_of(name), (off_t)(sizes[i] - last * BLOCK));
        CU_ASSERT_EQUAL(files_below(top), (int)last + 2); /* no block too many; and the source */
        CU_ASSERT_EQUAL(store_delete_slice(st, id, sizes[i]), 0);
        CU_ASSERT_EQUAL(size_of(name), -1);
    }
    CU_ASSERT_EQUAL(files_below(top), 1);       /* the source */
    CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_CUR), 0); /* its offset is the program's */
    close(fd);
    store_close(st);
}

/* A block larger than the buffer. */
static void test_large_blocks(void)
{
    struct store *st = fresh(false);
    struct setting s = base;
    uint32_t block = 1 << 20, len = 2 * block + 12345;
    int fd = source_file(len);

    store_close(st);
    s.block_kib = 1024;
    CU_ASSERT_EQUAL_FATAL(store_open(&s, &st, err, sizeof err), 0);
    CU_ASSERT_EQUAL_FATAL(store_put_slice(st, 1, fd, 0, len), 0);
    CU_ASSERT_EQUAL(size_of("vol/chunks/0/0/1_0_1048576"), block);
    CU_ASSERT_EQUAL(size_of("vol/chunks/0/0/1_2_12345"), 12345);
    check_slice(st, 1, len, 0);
    close(fd);
    store_close(st);
}

/* The file became shorter after its length was taken. */
static void test_slice_of_shorter_file(void)
{
    struct store *st = fresh(false);
    uint32_t len = 3 * BLOCK, real = BLOCK + 100;
    int fd = source_file(real);
    char *got = malloc(len);

    CU_ASSERT_PTR_NOT_NULL_FATAL(got);
    CU_ASSERT_EQUAL_FATAL(store_put_slice(st, 5, fd, 0, len), 0);
    CU_ASSERT_EQUAL_FATAL(store_get(st, 5, len, 0, got, len), 0);
    for (uint32_t i = 0; i < len; i++)
        CU_ASSERT_EQUAL_FATAL((unsigned char)got[i], i < real ? byte_at(i) : 0);
    free(got);
    close(fd);
    store_close(st);
}

static void test_slice_bad(void)
{
    struct store *st = fresh(false);
    int fd = source_file(10), dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char path[PATH_MAX];

    CU_ASSERT_EQUAL(store_put_slice(st, 0, fd, 0, 1), -EINVAL);
    CU_ASSERT_EQUAL(store_put_slice(st, 1, fd, 0, 0), -EINVAL);
    CU_ASSERT_EQUAL(store_put_slice(st, 1, fd, -1, 1), -EINVAL);
    CU_ASSERT_EQUAL(store_put_slice(st, 1, fd, 0, (64 << 20) + 1), -EINVAL);
    CU_ASSERT_EQUAL(store_put_slice(st, 1, -1, 0, 10), -EBADF);
    CU_ASSERT_EQUAL(store_put_slice(st, 1, dir, 0, 10), -EISDIR);
    /* the third block cannot be made: the first two go */
    CU_ASSERT_EQUAL(ftruncate(fd, 4 * BLOCK), 0);
    CU_ASSERT_EQUAL(store_put_block(st, 9, 0, "x", 1), 0);
    path_of("vol/chunks/0/0/2_2_65536", path);
    mkdir(path, 0755);
    CU_ASSERT_EQUAL(store_put_slice(st, 2, fd, 0, 4 * BLOCK), -EIO);
    path_of("vol", path);
    CU_ASSERT_EQUAL(files_below(path), 1);
    close(fd);
    close(dir);
    store_close(st);
}

/* --- many writers ----------------------------------------------------------------------------- */

static void *writer(void *arg)
{
    struct store *st = arg;

    for (uint64_t id = 1; id <= 200; id++)
        if (store_put_block(st, id * 1000000, 0, "same", 4) != 0)
            return st;
    return NULL;
}

/* All make the same directories and blocks at once. */
static void test_threads(void)
{
    struct store *st = fresh(false);
    pthread_t threads[4];
    char path[PATH_MAX];
    void *failed;

    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, writer, st), 0);
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL_FATAL(pthread_join(threads[i], &failed), 0);
        CU_ASSERT_PTR_NULL(failed);
    }
    path_of("vol", path);
    CU_ASSERT_EQUAL(files_below(path), 200);
    store_close(st);
}

/* --- a store that refuses --------------------------------------------------------------------- */

/* Runs body in a child and gives its exit code: 77 where the host does not allow the set-up. */
static int in_child(int (*body)(struct store *), struct store *st)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(body(st));
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

static int on_tmpfs(struct store *st)
{
    static char data[BLOCK];
    char path[PATH_MAX];
    int rc = 0;

    path_of("vol", path);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, "") != 0 ||
        mount("none", path, "tmpfs", 0, "size=512k") != 0)
        return 77;
    uint64_t id = 1;
    while (rc == 0 && id < 100)
        rc = store_put_block(st, id++, 0, data, BLOCK);
    if (rc != -ENOSPC)
        return 1;
    if (files_below(path) != (int)id - 2) /* the one that failed left nothing */
        return 2;
    if (mount("none", path, "tmpfs", MS_REMOUNT | MS_RDONLY, "") != 0)
        return 77;
    if (store_put_block(st, 1, 1, "x", 1) != -EROFS || store_delete_slice(st, 1, BLOCK) != -EROFS)
        return 3;
    return store_get(st, 1, BLOCK, 0, data, BLOCK) == 0 ? 0 : 4;
}

/* Root becomes somebody else, others take their own rights away. */
static int give_up_rights(const char *path, bool root)
{
    if (root)
        return chmod(path, 0700) == 0 && setegid(65534) == 0 && seteuid(65534) == 0 ? 0 : -1;
    return chmod(path, 0);
}

static int without_rights(struct store *st)
{
    bool root = geteuid() == 0;
    char chunks[PATH_MAX], bucket[PATH_MAX], c;
    struct store *other;

    path_of("vol/chunks", chunks);
    path_of("", bucket);
    if (store_put_block(st, 1, 0, "x", 1) != 0)
        return 1;
    if (give_up_rights(chunks, root) != 0)
        return 77;
    if (store_put_block(st, 2, 0, "x", 1) != -EACCES)
        return 2;
    if (store_get(st, 1, 1, 0, &c, 1) != -EACCES)
        return 3;
    if (store_delete_slice(st, 1, 1) != -EACCES)
        return 4;
    if ((root && seteuid(0) != 0) || chmod(chunks, 0700) != 0 || give_up_rights(bucket, root) != 0)
        return 77;
    if (store_open(&base, &other, err, sizeof err) != -EACCES || strstr(err, bucket) == NULL)
        return 5;
    if ((root && seteuid(0) != 0) || chmod(bucket, 0700) != 0)
        return 6;
    return 0;
}

static int over_the_limit(struct store *st)
{
    static char data[BLOCK];
    struct rlimit limit = {BLOCK / 2, RLIM_INFINITY};
    char path[PATH_MAX];

    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 77;
    if (store_put_block(st, 1, 0, data, BLOCK) != -EFBIG)
        return 1;
    path_of("vol", path);
    return files_below(path) == 0 ? 0 : 2;
}

static void refused_in(int (*body)(struct store *), const char *needs)
{
    chmod(top, 0755); /* others must get as far as the bucket */
    struct store *st = fresh(false);
    int rc = in_child(body, st);

    if (rc == 77)
        suite_skip("%s", needs);
    else
        CU_ASSERT_EQUAL(rc, 0);
    store_close(st);
}

static void test_full_or_read_only(void)
{
    refused_in(on_tmpfs, "no tmpfs of its own");
}

static void test_without_rights(void)
{
    refused_in(without_rights, "no rights to give up");
}

static void test_over_the_limit(void)
{
    refused_in(over_the_limit, "no limit can be set");
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"names of blocks", test_names},
        {"a bucket without a slash", test_bucket_without_slash},
        {"refused or missing at open", test_open_refused},
        {"a block", test_put_block},
        {"something in the way", test_put_blocked},
        {"temporary names", test_temporary_name},
        {"sizes around blocks", test_slice_sizes},
        {"blocks larger than the buffer", test_large_blocks},
        {"a source that became shorter", test_slice_of_shorter_file},
        {"bad slices", test_slice_bad},
        {"threads", test_threads},
        {"full, read-only", test_full_or_read_only},
        {"without rights", test_without_rights},
        {"over the limit of a file", test_over_the_limit},
        CU_TEST_INFO_NULL,
    };

    return run_store_tests("store: writing", tests);
}
