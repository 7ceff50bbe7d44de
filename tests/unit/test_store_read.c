/*
 * test_store_read.c - reading and removing blocks, views with holes, and the place of a new volume.
 */
#include "core/store/store_internal.h"
#include "tests/unit/blocks.h"

#include <errno.h>
#include <fcntl.h>

/* --- reading ---------------------------------------------------------------------------------- */

static void test_get_ranges(void)
{
    struct store *st = fresh(false);
    uint32_t size = 3 * BLOCK + 77;
    int fd = source_file(size);
    char *got = malloc(size);

    CU_ASSERT_PTR_NOT_NULL_FATAL(got);
    CU_ASSERT_EQUAL_FATAL(store_put_slice(st, 1, fd, 0, size), 0);
    srand(5);
    for (int round = 0; round < 300; round++) {
        /* edges of blocks more often than the rest */
        uint32_t off = (uint32_t)(rand() % 4) * BLOCK + (uint32_t)rand() % 3, len;

        if (round % 3 == 0)
            off = (uint32_t)rand() % size;
        if (off >= size)
            off = size - 1;
        len = (uint32_t)rand() % (size - off) + 1;
        got[0] = 0;
        CU_ASSERT_EQUAL_FATAL(store_get(st, 1, size, off, got, len), 0);
        CU_ASSERT_EQUAL((unsigned char)got[0], byte_at(off));
        for (uint32_t i = 0; i < len; i++)
            CU_ASSERT_EQUAL_FATAL((unsigned char)got[i], byte_at(off + i));
    }
    CU_ASSERT_EQUAL(store_get(st, 1, size, size, got, 0), 0);
    CU_ASSERT_EQUAL(store_get(st, 1, size, size, got, 1), -EINVAL);
    CU_ASSERT_EQUAL(store_get(st, 1, size, UINT32_MAX, got, 2), -EINVAL);
    CU_ASSERT_EQUAL(store_get(st, 0, size, 0, got, 1), -EINVAL);
    free(got);
    close(fd);
    store_close(st);
}

static void test_missing_and_short(void)
{
    struct store *st = fresh(false);
    uint32_t size = 3 * BLOCK;
    int fd = source_file(size);
    char path[PATH_MAX], *got = malloc(size);
    off_t have;

    CU_ASSERT_PTR_NOT_NULL_FATAL(got);
    CU_ASSERT_EQUAL_FATAL(store_put_slice(st, 1, fd, 0, size), 0);
    path_of("vol/chunks/0/0/1_1_65536", path);
    CU_ASSERT_EQUAL(truncate(path, 100), 0);
    CU_ASSERT_EQUAL(store_get(st, 1, size, 0, got, size), -EIO);
    CU_ASSERT_PTR_NOT_NULL(strstr(logged, "1_1_65536"));
    CU_ASSERT_PTR_NOT_NULL(strstr(logged, "byte 100"));
    CU_ASSERT_EQUAL(store_get(st, 1, size, BLOCK, got, 100), 0); /* what is there is good */
    CU_ASSERT_EQUAL(store_get(st, 1, size, BLOCK, got, 101), -EIO);
    CU_ASSERT_EQUAL(store_check_block(st, 1, 1, BLOCK, &have), -EIO);
    CU_ASSERT_EQUAL(have, 100);
    CU_ASSERT_EQUAL(truncate(path, BLOCK + 5), 0); /* longer than its name says: ignored */
    CU_ASSERT_EQUAL(store_get(st, 1, size, 0, got, size), 0);
    CU_ASSERT_EQUAL(store_check_block(st, 1, 1, BLOCK, &have), 0);
    unlink(path);
    log_lines = 0;
    CU_ASSERT_EQUAL(store_get(st, 1, size, 0, got, size), -ENOENT);
    CU_ASSERT_EQUAL(log_lines, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(logged, "1_1_65536 is missing"));
    CU_ASSERT_EQUAL(store_get(st, 1, size, 0, got, size), -ENOENT); /* a retry */
    CU_ASSERT_EQUAL(log_lines, 1);
    CU_ASSERT_EQUAL(store_check_block(st, 1, 1, BLOCK, &have), -ENOENT);
    CU_ASSERT_EQUAL(have, 0);
    mkdir(path, 0755);
    CU_ASSERT_EQUAL(store_get(st, 1, size, 0, got, size), -EIO);
    CU_ASSERT_EQUAL(store_check_block(st, 1, 1, BLOCK, &have), -EIO);
    free(got);
    close(fd);
    store_close(st);
}

/* What is read twice in a row stays open, and that only. */
static void test_kept(void)
{
    struct store *st = fresh(false);
    int fd = source_file(2 * BLOCK);
    char path[PATH_MAX], got[8];

    CU_ASSERT_EQUAL_FATAL(store_put_slice(st, 1, fd, 0, 2 * BLOCK), 0);
    CU_ASSERT_EQUAL(store_get(st, 1, 2 * BLOCK, 0, got, 8), 0);
    CU_ASSERT_EQUAL(store_fd(st), -1);
    CU_ASSERT_EQUAL(store_get(st, 1, 2 * BLOCK, 8, got, 8), 0);
    int kept = store_fd(st);
    CU_ASSERT(kept >= 0 && fcntl(kept, F_GETFD) == FD_CLOEXEC);
    path_of("vol/chunks/0/0/1_0_65536", path);
    CU_ASSERT_EQUAL(unlink(path), 0);
    memset(got, 0, sizeof got);
    CU_ASSERT_EQUAL(store_get(st, 1, 2 * BLOCK, 100, got, 8), 0); /* it is still what it was */
    CU_ASSERT_EQUAL((unsigned char)got[7], byte_at(107));
    CU_ASSERT_EQUAL(store_fd(st), kept);
    CU_ASSERT_EQUAL(store_get(st, 1, 2 * BLOCK, BLOCK, got, 8), 0);
    CU_ASSERT_EQUAL((unsigned char)got[0], byte_at(BLOCK));
    CU_ASSERT(store_fd(st) == -1 && fcntl(kept, F_GETFD) < 0);
    CU_ASSERT_EQUAL(store_get(st, 1, 2 * BLOCK, 0, got, 8), -ENOENT);
    CU_ASSERT_EQUAL(store_get(st, 1, 2 * BLOCK, BLOCK, got, 8), 0);
    kept = store_fd(st);
    store_close(st);
    CU_ASSERT(kept >= 0 && fcntl(kept, F_GETFD) < 0);
    close(fd);
}

static void test_views(void)
{
    enum { LEN = 6 * BLOCK };
    struct store *st = fresh(true);
    uint32_t size = 2 * BLOCK + 10;
    int fd = source_file(size), target;
    struct record view[] = {
        {0, 0, 0, 0, 1000},
        {1000, 1, size, 5, BLOCK},
        {1000 + BLOCK, 2, size, 0, size},
        {1000 + BLOCK + size, 0, 0, 0, 3000},
        {4000 + BLOCK + size, 1, size, size - 1, 1},
    };
    size_t pieces = sizeof view / sizeof view[0];
    unsigned char *want = calloc(1, LEN), *got = malloc(LEN), old[16];
    char path[PATH_MAX];

    CU_ASSERT_FATAL(want != NULL && got != NULL);
    CU_ASSERT_EQUAL_FATAL(store_put_slice(st, 1, fd, 0, size), 0);
    CU_ASSERT_EQUAL_FATAL(store_put_slice(st, 2, fd, 0, size), 0);
    for (size_t i = 0; i < pieces; i++)
        for (uint32_t b = 0; view[i].id != 0 && b < view[i].len; b++)
            want[view[i].pos + b] = byte_at(view[i].off + b);
    srand(9);
    for (int round = 0; round < 300; round++) {
        uint32_t pos = (uint32_t)rand() % LEN, len = (uint32_t)rand() % (LEN - pos) + 1;

        if (round == 0)
            pos = 0, len = LEN;
        memset(got, 0xAA, LEN);
        CU_ASSERT_EQUAL_FATAL(store_read_view(st, view, pieces, pos, got, len), 0);
        CU_ASSERT_FATAL(memcmp(got, want + pos, len) == 0);
    }
    memset(got, 0xAA, LEN);
    CU_ASSERT_EQUAL(store_read_view(st, NULL, 0, 64 << 20, got, 0), 0);
    CU_ASSERT_EQUAL(store_read_view(st, NULL, 0, (64 << 20) - 5, got, 5), 0);
    CU_ASSERT(got[0] == 0 && got[4] == 0 && got[5] == 0xAA);
    CU_ASSERT_EQUAL(store_read_view(st, NULL, 0, (64 << 20) - 5, got, 6), -EINVAL);

    /* into a file: what the view leaves open keeps what was there */
    snprintf(path, sizeof path, "%s/target", top);
    target = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(target >= 0);
    memset(old, 0x55, sizeof old);
    CU_ASSERT_EQUAL(pwrite(target, old, sizeof old, 7), (ssize_t)sizeof old);
    CU_ASSERT_EQUAL_FATAL(store_copy_view(st, view, pieces, 0, LEN, target, 3), 0);
    memset(got, 0, LEN);
    CU_ASSERT_EQUAL(lseek(target, 0, SEEK_END), 3 + 4000 + BLOCK + (off_t)size + 1);
    CU_ASSERT_EQUAL(pread(target, got, LEN, 3), 4000 + BLOCK + (ssize_t)size + 1);
    CU_ASSERT(got[4] == 0x55 && got[19] == 0x55);
    memset(got + 4, 0, sizeof old);
    CU_ASSERT(memcmp(got, want, LEN) == 0);
    /* a part of it, and a descriptor that cannot be written */
    CU_ASSERT_EQUAL(ftruncate(target, 0), 0);
    CU_ASSERT_EQUAL(store_copy_view(st, view, pieces, 999, 3, target, 100), 0);
    CU_ASSERT_EQUAL(pread(target, got, LEN, 100), 3);
    CU_ASSERT(memcmp(got, want + 999, 3) == 0);
    CU_ASSERT_EQUAL(store_copy_view(st, view, pieces, 0, 0, target, 0), 0);
    CU_ASSERT_EQUAL(store_copy_view(st, view, pieces, 0, LEN, -1, 0), -EBADF);
    CU_ASSERT_EQUAL(store_copy_view(st, view, pieces, 64 << 20, 1, target, 0), -EINVAL);
    CU_ASSERT_EQUAL(store_delete_slice(st, 2, size), 0);
    CU_ASSERT_EQUAL(store_copy_view(st, view, pieces, 0, LEN, target, 0), -ENOENT);
    free(want);
    free(got);
    close(fd);
    close(target);
    store_close(st);
}

static void test_delete(void)
{
    struct store *st = fresh(false);
    int fd = source_file(3 * BLOCK);
    char path[PATH_MAX];

    CU_ASSERT_EQUAL(store_delete_slice(st, 1, 3 * BLOCK), 0); /* never there */
    CU_ASSERT_EQUAL(store_delete_slice(st, 1, 0), 0);
    CU_ASSERT_EQUAL_FATAL(store_put_slice(st, 1, fd, 0, 3 * BLOCK), 0);
    CU_ASSERT_EQUAL_FATAL(store_put_slice(st, 1, fd, 0, 3 * BLOCK - 1), 0); /* other last block */
    path_of("vol/chunks/0/0/1_0_65536", path);
    unlink(path);
    mkdir(path, 0755); /* in the way: told, and the others are removed */
    CU_ASSERT_EQUAL(store_delete_slice(st, 1, 3 * BLOCK), -EISDIR);
    path_of("vol", path);
    CU_ASSERT_EQUAL(files_below(path), 1);
    CU_ASSERT_EQUAL(size_of("vol/chunks/0/0/1_2_65535"), BLOCK - 1);
    close(fd);
    store_close(st);
}

/* --- format ----------------------------------------------------------------------------------- */

static void test_format(void)
{
    struct setting s = base;
    char path[PATH_MAX], text[64] = {0};
    struct store *st;
    int fd;

    snprintf(s.bucket, sizeof s.bucket, "%s/new/deep/", top);
    strcpy(s.uuid, "3ff7bc4b-2675-42e9-8d00-4e408155484a");
    CU_ASSERT_EQUAL_FATAL(store_format(&s, err, sizeof err), 0);
    snprintf(path, sizeof path, "%s/new/deep/vol/juicefs_uuid", top);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    CU_ASSERT_EQUAL(read(fd, text, sizeof text - 1), 36);
    close(fd);
    CU_ASSERT_STRING_EQUAL(text, s.uuid);
    snprintf(path, sizeof path, "%s/new", top);
    CU_ASSERT_EQUAL(files_below(path), 1); /* nothing of the trial is left */
    strcat(path, "/deep/vol/testing");
    CU_ASSERT_EQUAL(access(path, F_OK), -1);
    CU_ASSERT_EQUAL_FATAL(store_open(&s, &st, err, sizeof err), 0);
    store_close(st);
    /* again: there is a volume */
    CU_ASSERT_EQUAL(store_format(&s, err, sizeof err), -ENOTEMPTY);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, "/new/deep/vol/"));
    CU_ASSERT_PTR_NOT_NULL(strstr(err, "not empty"));
}

static void test_format_places(void)
{
    struct setting s = base;
    char path[PATH_MAX];

    /* what a destroyed volume and a failed trial leave is empty */
    snprintf(s.bucket, sizeof s.bucket, "%s/places/", top);
    snprintf(path, sizeof path, "%s/places/vol/chunks/0/0/e", top);
    CU_ASSERT_EQUAL(atomic_put(path, 1, "", 0), 0);
    snprintf(path, sizeof path, "%s/places/vol/testing/left", top);
    CU_ASSERT_EQUAL(atomic_put(path, 1, "x", 1), 0);
    CU_ASSERT_EQUAL(store_format(&s, err, sizeof err), 0);
    snprintf(path, sizeof path, "%s/places/vol/juicefs_uuid", top);
    CU_ASSERT_EQUAL(unlink(path), 0);
    /* deep down there is a block */
    snprintf(path, sizeof path, "%s/places/vol/chunks/0/0/1_0_1", top);
    CU_ASSERT_EQUAL(atomic_put(path, 1, "x", 1), 0);
    CU_ASSERT_EQUAL(store_format(&s, err, sizeof err), -ENOTEMPTY);
    CU_ASSERT_EQUAL(access(path, F_OK), 0);
    /* "testing" counts for nothing only at the top */
    CU_ASSERT_EQUAL(unlink(path), 0);
    snprintf(path, sizeof path, "%s/places/vol/chunks/testing", top);
    CU_ASSERT_EQUAL(atomic_put(path, 1, "x", 1), 0);
    CU_ASSERT_EQUAL(store_format(&s, err, sizeof err), -ENOTEMPTY);
    /* a file is in the way */
    snprintf(s.bucket, sizeof s.bucket, "%s/places/vol/chunks/testing/", top);
    CU_ASSERT_EQUAL(store_format(&s, err, sizeof err), -ENOTDIR);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, s.bucket));
    memset(s.bucket, '/', 4000);
    s.bucket[4000] = 0;
    CU_ASSERT_EQUAL(store_format(&s, err, sizeof err), -ENAMETOOLONG);
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"ranges", test_get_ranges},
        {"missing and short blocks", test_missing_and_short},
        {"a block that stays open", test_kept},
        {"views", test_views},
        {"delete", test_delete},
        {"a new volume", test_format},
        {"places", test_format_places},
        CU_TEST_INFO_NULL,
    };

    return run_store_tests("store: reading and format", tests);
}
