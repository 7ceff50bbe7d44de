/*
 * test_route.c - which paths are the volume's, by their text, the current directory and
 * descriptors; with fakes for the descriptor table and the volume.
 */
#include "preload/route.c"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <stdlib.h>

/* --- fakes: descriptor 7 is a directory of ours, inode 70
 * ------------------------------------------ */

_Atomic bool fdtab_any;
struct fdtab_entry *_Atomic fdtab_chunks[FDTAB_CHUNKS];
__thread int guard_depth;

void guard_enter(struct guard *g)
{
    guard_depth++;
}

void guard_leave(struct guard *g)
{
    guard_depth--;
}

struct vfs *volume(int *err)
{
    *err = -EIO;
    return NULL;
}

bool fdtab_get(int fd, struct vfs_fd *out)
{
    *out = (struct vfs_fd){.ino = 70, .kind = VFS_DIR};
    return fd == 7;
}

static void have_descriptor(void)
{
    static struct fdtab_entry chunk[FDTAB_CHUNK];

    chunk[7].used = true;
    fdtab_chunks[0] = chunk;
    fdtab_any = true;
}

static void prefix_is(const char *path)
{
    memset(prefix, 0, sizeof(prefix));
    parts = 0;
    route_set_prefix(path);
}

/* "BASE:REST" or "native". */
static const char *answer(int dir, const char *path)
{
    static char out[PATH_MAX + 32];
    struct vfs_loc loc;

    if (!route_find(dir, path, &loc))
        return "native";
    snprintf(out, sizeof(out), "%lu:%s", (unsigned long)loc.base, loc.path);
    return out;
}

struct row {
    const char *path, *want;
};

static void check(int dir, const struct row *row, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = answer(dir, row[i].path);
        if (strcmp(got, row[i].want) != 0)
            printf("\n    %s: %s, not %s ", row[i].path, got, row[i].want);
        CU_ASSERT_STRING_EQUAL(got, row[i].want);
    }
}
#define CHECK(dir, rows) check(dir, rows, sizeof(rows) / sizeof((rows)[0]))

/* --- cases
 * ----------------------------------------------------------------------------------------- */

static void test_prefix(void)
{
    static const char *const bad[] = {"", "jfs", "/", "//", "/./", "/a/../b", ".."};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CU_ASSERT_FALSE(route_set_prefix(bad[i]));
        CU_ASSERT_STRING_EQUAL(route_prefix(), "");
        CU_ASSERT(route_native(AT_FDCWD, "/jfs/a"));
    }
    prefix_is("//mnt/./vol//");
    CU_ASSERT_STRING_EQUAL(route_prefix(), "/mnt/vol");
}

static void test_absolute(void)
{
    static const struct row one[] = {
        {"/jfs", "1:"},
        {"/jfs/", "1:/"},
        {"/jfs/a/b", "1:/a/b"},
        {"//jfs///a", "1:///a"},
        {"/./jfs/./a", "1:/./a"},
        {"/tmp/../jfs/a", "1:/a"},
        {"/../../jfs/a", "1:/a"},
        {"/x/y/../../jfs", "1:"},
        {"/jfs/../etc", "1:/../etc"},
        {"/jf", "native"},
        {"/jfsx/a", "native"},
        {"/x/jfs", "native"},
        {"/x/jfs/../../y", "native"},
        {"/", "native"},
        {"", "native"},
        {"jfs.", "native"},
    };
    static const struct row deep[] = {
        {"/mnt/data/vol/a", "1:/a"},
        {"/mnt/data/x/../vol", "1:"},
        {"/mnt/x/../data/./vol//a", "1://a"},
        {"/mnt/vol", "native"},
        {"/data/vol", "native"},
        {"/mnt/data/vo", "native"},
        {"/mnt/data/../vol/data/vol", "native"},
        {"/vol/mnt/data/vol", "native"},
    };

    prefix_is("/jfs");
    CHECK(AT_FDCWD, one);
    CHECK(7, one); /* the descriptor does not matter for them */
    prefix_is("/mnt/data/vol");
    CHECK(AT_FDCWD, deep);
}

static void test_relative(void)
{
    static const struct row in_root[] = {{"jfs/a", "1:/a"},      {"./jfs", "1:"},
                                         {"x/../jfs/a", "1:/a"}, {"../../jfs", "1:"},
                                         {"usr/jfs", "native"},  {"jfsx", "native"},
                                         {"x/jfs/..", "native"}, {"x/../../jfs/b", "1:/b"}};
    static const struct row in_usr[] = {
        {"../jfs/a", "1:/a"}, {"jfs", "native"}, {"lib/../../jfs", "1:"}, {"../usr/jfs", "native"}};
    static const struct row in_ours[] = {
        {"a", "42:a"}, {"..", "42:.."}, {"jfs", "42:jfs"}, {"/jfs/a", "1:/a"}, {"/etc", "native"}};

    prefix_is("/jfs");
    CU_ASSERT_EQUAL_FATAL(chdir("/"), 0);
    CHECK(AT_FDCWD, in_root);
    CU_ASSERT_EQUAL_FATAL(chdir("/usr"), 0);
    CHECK(AT_FDCWD, in_usr);
    int usr = open("/usr", O_RDONLY | O_DIRECTORY);
    CU_ASSERT_EQUAL_FATAL(chdir("/"), 0);
    CHECK(usr, in_usr);
    close(usr);
    route_cwd = 42;
    CHECK(AT_FDCWD, in_ours);
    route_cwd = 0;
}

static void test_descriptors(void)
{
    static const struct row below[] = {{"a", "70:a"}, {"../x", "70:../x"}, {"/etc", "native"}};
    static const struct row magic_rows[] = {
        {"/proc/self/fd/7/a", "70:/a"},        {"/dev/fd/7/a", "70:/a"},
        {"/proc/thread-self/fd/7/a", "70:/a"}, {"/proc/self/fd/8/a", "native"},
        {"/proc/self/fd/7", "native"},         {"/proc/self/fd/7x/a", "native"},
        {"/proc/1/fd/7/a", "native"},          {"/dev/fd/", "native"},
    };
    char path[64];
    struct vfs_loc loc;

    prefix_is("/jfs");
    CU_ASSERT_STRING_EQUAL(answer(7, "a"), "native");
    have_descriptor();
    CHECK(7, below);
    CHECK(AT_FDCWD, magic_rows);
    snprintf(path, sizeof(path), "/proc/%d/fd/7/a", (int)getpid());
    CU_ASSERT_STRING_EQUAL(answer(AT_FDCWD, path), "70:/a");
    CU_ASSERT(find(AT_FDCWD, "/proc/self/fd/7", true, &loc) && loc.base == 70);
    CU_ASSERT(find(AT_FDCWD, "/dev/fd/7", true, &loc) && loc.base == 70);
    CU_ASSERT_EQUAL(route_magic_fd("/proc/self/fd/7"), 7);
    CU_ASSERT_EQUAL(route_magic_fd("/dev/stderr"), 2);
    CU_ASSERT_EQUAL(route_magic_fd("/proc/self/fd/7/a"), -1);
    CU_ASSERT_EQUAL(route_magic_fd("/proc/self/fd/99999999999"), -1);
    route_cwd = 42;
    CU_ASSERT_STRING_EQUAL(answer(AT_FDCWD, "/proc/self/cwd/a"), "42:/a");
    route_cwd = 0;
    fdtab_any = false;
}

static void test_long(void)
{
    static char path[2 * PATH_MAX];

    prefix_is("/jfs");
    memset(path, '/', PATH_MAX);
    memcpy(path + PATH_MAX - 5, "jfs/a", 6);
    CU_ASSERT_STRING_EQUAL(answer(AT_FDCWD, path + 1), "1:/a");
    CU_ASSERT_EQUAL(strlen(answer(AT_FDCWD, path)), PATH_MAX + 2); /* the volume refuses it */
}

static void test_inside(void)
{
    struct route r;

    prefix_is("/jfs");
    CU_ASSERT_FATAL(route_at(&r, AT_FDCWD, "/jfs/a"));
    CU_ASSERT_EQUAL(r.err, -EIO);
    CU_ASSERT(route_native(AT_FDCWD, "/jfs/a")); /* resolvers and allocators, called by us */
    CU_ASSERT_FALSE(route_put(&r, -EIO));
    CU_ASSERT_FALSE(route_native(AT_FDCWD, "/jfs/a"));
    CU_ASSERT(route_native(AT_FDCWD, NULL));
    CU_ASSERT(route_native(AT_FDCWD, (const char *)-1));
    CU_ASSERT(route_native(AT_FDCWD, (const char *)1));
}

static void test_climbing(void)
{
    static const struct row rows[] = {
        {"/mnt/vol/..", "/mnt"},
        {"/mnt/vol/../..", "/"},
        {"/mnt/vol/../../etc", "/etc"},
        {"/mnt/vol/./.././x", "/mnt/x"},
        {"/mnt/vol/../../../etc", "/etc"},
        {"/etc/../x", "/etc/../x"},
        {"/mnt/volume/../x", "/mnt/volume/../x"},
    };
    static struct vfs_loc loc;

    prefix_is("/mnt/vol");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        strcpy(loc.native, rows[i].path);
        CU_ASSERT_STRING_EQUAL(route_climb(&loc), rows[i].want);
    }
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"prefix", test_prefix},           {"absolute", test_absolute}, {"relative", test_relative},
        {"descriptors", test_descriptors}, {"long", test_long},         {"inside", test_inside},
        {"climbing", test_climbing},       CU_TEST_INFO_NULL,
    };

    return suite_run("route", tests);
}
