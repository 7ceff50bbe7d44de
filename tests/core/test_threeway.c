/*
 * test_threeway.c - the same random calls to a volume on Redis, to one on LMDB and to the kernel:
 * answers, errnos, trees and bytes agree, and the dumps of both stores are the same text.
 *
 * THREEWAY_SEED (1) and THREEWAY_OPS (30000) choose what is drawn.  A disagreement prints the
 * shortest sequence that shows it, as lines for a regression below.
 */
#include "tests/lib/suite.h"
#include "tests/lib/three.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUND 500 /* steps on one fresh set of worlds */

/* Every errno that is not the kernel's, and why.  Beside them:
 * - With a trash, what was removed keeps a link there, so that its nlink is not compared; and a
 *   file of several names, all of them removed, can be given one by linkat(/proc/self/fd/N), which
 *   is not drawn then.
 * - A ctime need not change by extended attributes, nor by what changes nothing, as stock has it.
 * - chown() by others than root takes setgid away also where the kernel lets a member of the group
 *   keep it, as stock has it: the kernel's file is made to follow.
 * - tmpfs stamps a truncate() that changes nothing.
 * - Directories' stamps: a change within 100 ms of another does not set them, as stock has it. */
static const struct difference known[] = {
    {STEP_OPEN, -ENXIO, -EACCES,
     "O_CREAT of somebody's socket in a sticky directory: fails anyhow, the kernel looks at "
     "fs.protected_regular first"},
    {STEP_OPEN, -ELOOP, -EACCES, "the same of somebody's symlink, with O_NOFOLLOW"},
    {STEP_RENAME, -ENAMETOOLONG, -ENOENT, "two wrong names: which one is said"},
    {STEP_RENAME, -ENAMETOOLONG, -ENOTDIR, "the same"},
    {STEP_RENAME, -ENAMETOOLONG, -EACCES, "the same"},
    {STEP_RENAME, -ENAMETOOLONG, -ELOOP, "the same"},
    {STEP_RENAME, -ENAMETOOLONG, -EBUSY, "the same"},
    {STEP_LINKFD, -ENOENT, -EPERM,
     "an unlinked file gets no name anyhow; the kernel says first "
     "whose it is"},
    {STEP_LINKFD, -EPERM, -ENOENT, "the same of O_TMPFILE"},
    {STEP_LINKFD, -ENOENT, -EACCES, "the same, and whether the directory may be written"},
};

static const struct variant variants[] = {
    {.name = "plain"},
    {.name = "people", .people = true},
    {.name = "trash", .trash = true},
    {.name = "trash and people", .trash = true, .people = true},
    {.name = "quota", .no_kernel = true, .quota_space = 200 << 10, .quota_inodes = 10},
    {.name = "limits", .no_kernel = true, .trash = true, .capacity = 1 << 20, .inodes = 25},
    {.name = "below .trash", .no_kernel = true, .trash = true, .people = true},
};
#define VARIANTS (sizeof(variants) / sizeof(*variants))
enum { PLAIN, PEOPLE, TRASH }; /* the first of them */

/* What random sequences have shown, each fixed where it was wrong. */
static const struct {
    const char *what;
    int variant;
    const char *line[8];
} shown[] = {
    {"an unlinked file gets no second name",
     PLAIN,
     {"mkdir p=i m=02154", "open h=0 p=g f=0x42 m=03777", "unlink p=g", "linkfd h=0 q=i",
      "linkfd h=0 q=../a"}},
    {"a name space that does not exist, without permission",
     PEOPLE,
     {"open who=3 h=5 p=g f=0x42 m=07", "setxattr who=2 p=g q=other.x f=0x100 l=2 s=387"}},
    {"fallocate: what is refused first",
     PLAIN,
     {"open h=1 p=i f=0x440 m=01777", "fallocate h=1 f=0x1 o=-1 l=48",
      "fallocate h=1 f=0x2 o=65535 l=124", "fallocate h=1 f=0x0 o=0 l=1"}},
    {"owner of a removed file that is open",
     TRASH,
     {"open h=3 p=c f=0x41 m=0600", "unlink p=c", "fchown h=3 u=-1 g=1001", "linkfd h=3 q=d"}},
    {"length of an open file, asked by somebody else",
     PEOPLE,
     {"open h=1 p=f f=0x41 m=0777", "write who=3 h=1 o=-1 l=17157 s=377", "fstat who=3 h=1"}},
    {"setuid goes at the write, not at the commit, and by who wrote",
     PEOPLE,
     {"open h=0 p=b f=0x241 m=06777", "write who=1 h=0 o=-1 l=69 s=270", "fstat h=0"}},
    {"setgid goes when the writer is not in the group",
     PEOPLE,
     {"open h=0 p=f f=0x642 m=06620", "write who=3 h=0 o=720 l=69 s=148", "fstat who=1 h=0"}},
    {"the same, and the bytes are cut off again",
     PEOPLE,
     {"open who=2 h=4 p=g f=0x42 m=02221", "write who=3 h=4 o=3022 l=51988 s=38",
      "truncate who=2 p=g l=1059", "close who=3 h=4"}},
    {"setuid and fallocate",
     PEOPLE,
     {"open who=2 h=2 p=j f=0x242 m=06541", "fallocate who=2 h=2 f=0x3 o=900 l=195"}},
    {"setgid of an unlinked file",
     PEOPLE,
     {"open who=2 h=3 p=h f=0x20641 m=03777", "unlink p=h", "ftruncate who=3 h=3 l=224569",
      "fstat h=3"}},
    {"chown that names nobody drops setuid",
     PEOPLE,
     {"open who=1 h=5 p=d f=0x242 m=02755", "chown who=1 p=d f=0x0 u=-1 g=-1",
      "chown who=2 p=d f=0x0 u=-1 g=-1", "mknod who=1 p=c m=0147277",
      "chown who=3 p=c f=0x100 u=-1 g=-1"}},
    {"a slash behind a new name", PLAIN, {"symlink p=j q=@/j", "open h=3 p=j/ f=0xc2 m=01777"}},
    {"a FIFO, by somebody else",
     PEOPLE,
     {"mknod p=c m=010755", "open who=3 h=3 p=c f=0x40 m=0444"}},
    {"O_TRUNC of an empty file sets its time",
     PEOPLE,
     {"open who=1 dt=110 h=4 p=i f=0x42 m=0777", "open dt=1000 h=1 p=i f=0x241 m=0152"}},
    {"a refused fchmod leaves the file unchanged",
     PEOPLE,
     {"open dt=1000 h=1 p=i f=0x240 m=0600", "fchmod who=2 dt=110 h=1 m=04755",
      "close dt=1000 h=1"}},
    {"owner and mode of a removed directory that is open",
     PEOPLE,
     {"mkdir who=2 p=i m=0755", "open who=2 h=0 p=i f=0x30000 m=0755", "rmdir p=i",
      "fchown h=0 u=1002 g=-1", "chmod who=3 at=1 p=e f=0x0 m=0755"}},
    {"O_TMPFILE with O_EXCL never gets a name",
     PLAIN,
     {"open h=0 p=. f=0x410082 m=0755", "linkfd h=0 q=e", "open h=1 p=. f=0x410002 m=0755",
      "linkfd h=1 q=e"}},
    {"a directory that is open is replaced",
     PEOPLE,
     {"mkdir p=d m=07544", "open h=3 p=d f=0x10000 m=0", "mkdir p=c m=0755", "rename p=c q=d f=0x0",
      "fchown h=3 u=1001 g=1001", "fstat h=3"}},
    {"somebody else's O_TMPFILE file gets no name",
     PEOPLE,
     {"mkdir who=1 p=a m=02777", "open who=1 h=5 p=a f=0x410002 m=0600", "linkfd who=3 h=5 q=b"}},
    {"times of a removed file that has changes",
     PLAIN,
     {"open h=0 p=e f=0x42 m=0755", "write h=0 o=0 l=10 s=1", "unlink p=e",
      "futimens h=0 f=0xa t=1199721020.000000001,1100095382.000000000", "fstat h=0"}},
    {"O_TRUNC of a file whose writer lost setuid for it",
     PEOPLE,
     {"open h=5 p=f f=0xc2 m=06770", "write who=2 h=5 o=1 l=130947 s=802",
      "open h=4 p=f f=0x242 m=0", "fstat h=4"}},
    {"setgid of a new file: looked at before the umask",
     PEOPLE,
     {"mkdir who=1 p=a m=0777", "chmod who=1 p=a f=0x0 m=02777", "mknod who=2 p=a/b m=0102775",
      "open who=2 h=3 p=a/c f=0xc1 m=02151", "fstat h=3"}},
    {"O_TMPFILE by an absolute link",
     PLAIN,
     {"mkdir p=j m=0755", "symlink p=h q=@/j", "open h=3 p=h f=0x410002 m=04755",
      "fchown h=3 u=-1 g=2000", "linkfd h=3 q=h/h"}},
    {"a name made through a symlink is not the symlink's",
     PLAIN,
     {"mkdir p=i m=0755", "mkdir p=e m=0755", "symlink p=i/e q=@/h", "open h=1 p=i/e f=0x42 m=0755",
      "close h=1", "unlink p=e"}},
    {"no name for an unlinked file where a symlink is",
     PLAIN,
     {"open h=1 p=c f=0x40 m=0755", "unlink p=c", "symlink p=e q=e/b", "linkfd h=1 q=e/"}},
    {"a link to what has lost setuid",
     PEOPLE,
     {"open h=1 p=c f=0xc2 m=06077", "chmod p=c f=0x0 m=06077",
      "write who=3 h=1 o=1726 l=5960 s=440", "link who=1 dt=30 p=c q=h f=0x100"}},
    {"no bytes written among published ones",
     PEOPLE,
     {"open who=1 h=5 p=g f=0x41 m=06777", "truncate dt=30 p=g l=251974",
      "write who=3 dt=1 h=5 o=-1 l=2252 s=43", "open dt=30 h=5 p=g f=0x42 m=00",
      "write dt=30 who=1 h=5 o=4096 l=0 s=435"}},
};

static struct three *t;
static uint64_t seed = 1; /* of the first round */
static size_t ops = 30000;

static int setup(void)
{
    t = three_start(known, sizeof(known) / sizeof(*known));
    return t == NULL;
}

static int teardown(void)
{
    three_counts(t);
    three_end(t);
    return 0;
}

static void test_shown(void)
{
    for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++) {
        int rc = three_fixed(t, &variants[shown[i].variant], shown[i].line);
        if (rc != 0)
            fprintf(stderr, "%s: wrong again\n", shown[i].what);
        CU_ASSERT_EQUAL(rc, 0);
    }
}

static void test_random(void)
{
    size_t rounds = (ops + ROUND - 1) / ROUND;
    for (size_t i = 0; i < rounds; i++) {
        const struct variant *v = &variants[i % VARIANTS];
        CU_ASSERT_EQUAL(three_random(t, v, seed + i, ops < ROUND ? ops : ROUND), 0);
    }
}

int main(void)
{
    const char *text = getenv("THREEWAY_SEED");
    if (text != NULL)
        seed = strtoull(text, NULL, 0);
    text = getenv("THREEWAY_OPS");
    if (text != NULL)
        ops = strtoull(text, NULL, 0);
    printf("%zu steps, seeds from %llu; THREEWAY_OPS and THREEWAY_SEED choose others\n", ops,
           (unsigned long long)seed);
    CU_TestInfo tests[] = {
        {"shown before", test_shown},
        {"random", test_random},
        CU_TEST_INFO_NULL,
    };
    return suite_run_with("threeway", setup, teardown, tests);
}
