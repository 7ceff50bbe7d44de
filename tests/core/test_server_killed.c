/*
 * test_server_killed.c - a process streams files into a volume whose server is killed under it,
 * again and again, and comes back: with all that it had, without the end of it, with nothing.
 *
 * The writer goes through the vfs, as a preloaded program does, and notes in shared memory what
 * each call told it.  After the last kill another process looks: what was acknowledged is there
 * once, what was refused may be either way, and fsck finds nothing.
 *
 * CRASH_KILLS (12, of each kind) and CRASH_SEED (the date) choose how long and which.
 */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/meta/engine.h"
#include "core/vfs/vfs_internal.h"
#include "tests/lib/crash.h"
#include "tests/lib/scratch.h"
#include "tests/lib/server.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OPTIONS                                                                                    \
    "&min-retry-backoff=1ms&max-retry-backoff=50ms&batch_size=40&pack_max=32k"                     \
    "&inode_batch=64&chunk_batch=64"
#define FILES_MAX   200000
#define BYTES_MAX   150000
#define BETWEEN     400 /* files at least from one kill to the next */
#define PATIENCE_MS 60000
#define SECOND_MS   1000

enum fate { NEVER, EITHER, THERE, RENAMED, REMOVED };

struct shared {
    atomic_bool stop, down;      /* down: the server is dead and not being started */
    atomic_uint files;           /* tried so far: fate[0..files) is decided */
    atomic_uint made, refused;   /* calls */
    atomic_uint synced, lies;    /* fsync(): said yes; said yes to what no server can have */
    atomic_uint forgot, unknown; /* lines of the log */
    bool loses;                  /* the end of its log */
    int last;                    /* of the flush at the end */
    uint8_t fate[FILES_MAX];     /* enum fate */
    bool is_synced[FILES_MAX];
};

static struct shared *shared;
static uint8_t *bytes;
static char top[300];
static uint64_t state;
static int kills;

static uint32_t draw(uint32_t n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % n;
}

static void nap_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* Mostly packed ones; slices of their own, of one block and of three. */
static size_t size_of(unsigned i)
{
    static const uint32_t sizes[] = {1, 0, 300, 5000, 0, 31000, 17, 40000, 900, 0, 4096, BYTES_MAX};
    return sizes[i % 12] > 1000 ? sizes[i % 12] - i % 700 : sizes[i % 12];
}

static const uint8_t *content(unsigned i)
{
    return bytes + i % 5000;
}

static void name_of(unsigned i, bool renamed, char out[32])
{
    snprintf(out, 32, "%c%u", renamed ? 'r' : 'f', i);
}

/* --- the writer ----------------------------------------------------------------------------------
 */

static void hear(enum log_level level, const char *line)
{
    shared->forgot += strstr(line, "forgot changes it had confirmed") != NULL;
    shared->unknown += strstr(line, "does not know this host's earlier changes") != NULL;
    if (getenv("CRASH_LOG") != NULL)
        fprintf(stderr, "log %d: %s\n", (int)level, line);
}

/* Ops that this process asked of the store itself: such a server may lose them, also when it was
 * not down (Redis puts off writing its log for up to 2 s), and they are not sent again. */
static uint64_t asked(struct vfs *v)
{
    struct metrics *m = v->metrics;
    uint64_t sum = 0;
    for (size_t i = 0; m != NULL && i < METRICS_KINDS; i++)
        sum += m->c.direct[i];
    return sum;
}

static enum fate kept(struct vfs *v, uint64_t before, enum fate fate)
{
    return shared->loses && asked(v) != before ? EITHER : fate;
}

static bool went(int rc)
{
    if (rc >= 0)
        return true;
    shared->refused++;
    if (getenv("CRASH_LOG") != NULL)
        fprintf(stderr, "file %u: %s\n", shared->files, strerror(-rc));
    nap_ms(1);
    return false;
}

/* An answer of "yes" while there is no server, before and after, is a lie. */
static void sync_file(struct vfs *v, int fd, const struct vfs_fd *f, unsigned i)
{
    bool was_down = shared->down;
    bool said_yes = went(vfs_fsync(v, fd, f));

    shared->synced += said_yes;
    shared->is_synced[i] = said_yes;
    if (said_yes && was_down && shared->down && size_of(i) > 0)
        shared->lies++;
}

static enum fate make(struct vfs *v, uint64_t dir, unsigned i)
{
    struct vfs_loc loc = {.base = dir};
    struct iovec iov = {(void *)(uintptr_t)content(i), size_of(i)};
    struct vfs_fd f;
    char name[32];
    uint64_t before = asked(v);

    name_of(i, false, name);
    loc.path = name;
    int fd = vfs_open(v, &loc, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644, &f);
    if (!went(fd))
        return EITHER;
    ssize_t n = iov.iov_len > 0 ? vfs_writev(v, fd, &f, &iov, 1, -1, 0) : 0;
    if (i % 7 == 0)
        sync_file(v, fd, &f, i);
    bool closed = went(vfs_close(v, fd, &f));
    return n == (ssize_t)iov.iov_len && closed ? kept(v, before, THERE) : EITHER;
}

static void rename_or_remove(struct vfs *v, uint64_t dir, unsigned i, bool remove)
{
    char name[32], renamed[32];
    struct vfs_loc from = {.base = dir, .path = name}, to = {.base = dir, .path = renamed};

    if (shared->fate[i] != THERE)
        return;
    name_of(i, false, name);
    name_of(i, true, renamed);
    uint64_t before = asked(v);
    int rc = remove ? vfs_unlink(v, &from) : vfs_rename(v, &from, &to, 0);
    shared->fate[i] = went(rc) ? kept(v, before, remove ? REMOVED : RENAMED) : EITHER;
}

static void __attribute__((noreturn)) writer(const struct crash_volume *vol)
{
    struct vfs_loc loc = {.base = INO_ROOT, .path = "d"};
    struct vfs_stat st;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    log_set(hear, LOG_WARN);
    struct vfs *v = crash_volume_mount(vol);
    if (v == NULL || vfs_mkdir(v, &loc, 0777) < 0 || vfs_stat(v, &loc, true, &st) < 0)
        _exit(3);
    for (unsigned i = 0; i < FILES_MAX && !shared->stop; i++) {
        shared->fate[i] = EITHER;
        shared->fate[i] = (uint8_t)make(v, st.ino, i);
        shared->made += shared->fate[i] == THERE;
        if (i % 5 == 3)
            rename_or_remove(v, st.ino, i - 2, false);
        if (i % 5 == 4)
            rename_or_remove(v, st.ino, i - 1, true);
        shared->files = i + 1;
        if (i > FILES_MAX / 10) /* who kills may not get to it for a while */
            nap_ms(1);
    }
    shared->last = vfs_flush(v);
    vfs_unmount(v);
    _exit(0);
}

/* --- what is there afterwards --------------------------------------------------------------------
 */

/* Bytes of a name that must be whole; -errno; -EILSEQ: others. */
static ssize_t read_one(struct vfs *v, uint64_t dir, unsigned i, bool renamed)
{
    static uint8_t got[BYTES_MAX + 1];
    char name[32];
    struct vfs_loc loc = {.base = dir, .path = name};
    struct iovec iov = {got, sizeof(got)};
    struct vfs_fd f;

    name_of(i, renamed, name);
    int fd = vfs_open(v, &loc, O_RDONLY | O_CLOEXEC, 0, &f);
    if (fd < 0)
        return fd;
    ssize_t n = vfs_readv(v, fd, &f, &iov, 1, 0, 0);
    vfs_close(v, fd, &f);
    return n > 0 && memcmp(got, content(i), (size_t)n) != 0 ? -EILSEQ : n;
}

static bool is_fine(struct vfs *v, uint64_t dir, unsigned i)
{
    ssize_t size = (ssize_t)size_of(i), f = read_one(v, dir, i, false),
            r = read_one(v, dir, i, true);

    switch (shared->fate[i]) {
    case THERE:
        return f == size && r == -ENOENT;
    case RENAMED:
        return f == -ENOENT && r == size;
    case REMOVED:
        return f == -ENOENT && r == -ENOENT;
    default: /* what failed may have happened, or be half of it: an empty file */
        return (f == -ENOENT || r == -ENOENT) && (f == -ENOENT || f == 0 || f == size) &&
               (r == -ENOENT || r == 0 || r == size);
    }
}

/* Nothing is there that was not made: no copies put aside. */
static unsigned strangers(struct vfs *v, uint64_t dir)
{
    struct vfs_dirent e;
    struct vfs_dir *d;
    unsigned n = 0, i;
    char rest;

    if (vfs_dir_open(v, dir, &d) < 0)
        return 1;
    for (size_t pos = 2; vfs_dir_at(d, pos, &e) == 1; pos++) {
        bool known = sscanf(e.name + 1, "%u%c", &i, &rest) == 1 && i < shared->files;
        if (!known)
            printf("stranger: %s\n", e.name);
        n += !known;
    }
    vfs_dir_close(d);
    return n;
}

/* How many are not as they must be; prints the first few. */
static unsigned look(const struct crash_volume *vol)
{
    struct vfs_loc loc = {.base = INO_ROOT, .path = "d"};
    struct vfs_stat st;
    unsigned bad = 0;

    struct vfs *v = crash_volume_mount(vol);
    if (v == NULL || vfs_stat(v, &loc, true, &st) < 0)
        return 1;
    for (unsigned i = 0; i < shared->files; i++) {
        if (is_fine(v, st.ino, i))
            continue;
        if (bad++ < 5)
            printf("file %u: fate %d%s, f %zd, r %zd, of %zu bytes\n", i, shared->fate[i],
                   shared->is_synced[i] ? ", synced" : "", read_one(v, st.ino, i, false),
                   read_one(v, st.ino, i, true), size_of(i));
    }
    bad += strangers(v, st.ino);
    vfs_unmount(v);
    return bad;
}

/* --- kills ---------------------------------------------------------------------------------------
 */

struct run {
    struct server *s;
    struct crash_volume vol;
    pid_t pid;
    bool logs;
    long cut; /* bytes that its log loses, at most */
};

static void begin(struct run *r, const char *const *args)
{
    char url[400], dir[400];

    memset(shared, 0, sizeof(*shared));
    shared->loses = r->cut > 0;
    r->s = server_start_args(args);
    snprintf(url, sizeof(url), "%s%s", server_url(r->s, 0), OPTIONS);
    snprintf(dir, sizeof(dir), "%s/XXXXXX", top);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    crash_volume_at(&r->vol, url, dir);
    struct vfs *v = crash_volume_new(&r->vol);
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    vfs_unmount(v);
    fflush(stdout);
    r->pid = fork();
    if (r->pid == 0)
        writer(&r->vol);
}

/* What the log had a while ago: of appendfsync everysec the kernel has written that, however slow
 * the machine is. */
struct written {
    uint64_t from_ms;
    long before, now; /* bytes a quarter of a second ago or more, and then */
};

static void look_at_log(const struct run *r, struct written *w)
{
    uint64_t ms = clock_mono_ms();
    if (r->cut == 0 || (w->from_ms != 0 && ms - w->from_ms < SECOND_MS / 4))
        return;
    w->before = w->now;
    w->now = server_log_bytes(r->s);
    w->from_ms = ms;
}

/* Waits for what must come sooner or later. */
static bool reaches_watching(atomic_uint *count, unsigned goal, const struct run *r,
                             struct written *w)
{
    for (int ms = 0; atomic_load(count) < goal; ms++) {
        if (ms > PATIENCE_MS)
            return false;
        if (r != NULL)
            look_at_log(r, w);
        nap_ms(1);
    }
    return true;
}

static bool reaches(atomic_uint *count, unsigned goal)
{
    return reaches_watching(count, goal, NULL, NULL);
}

/* Somewhere in the stream.  false: the writer did not get there. */
static bool kill_server(struct run *r)
{
    /* What the store was asked for while it came back is not sent again: that much it keeps. */
    bool came = reaches(&shared->made, shared->made + BETWEEN / 2);
    long sure = r->cut > 0 ? server_log_bytes(r->s) : 0;

    struct written w = {.now = sure};
    came = came && reaches_watching(&shared->made, shared->made + BETWEEN / 2 + draw(300), r, &w);
    if (w.before > sure)
        sure = w.before;
    server_kill(r->s);
    shared->down = true;
    if (r->cut > 0) {
        long left = server_log_bytes(r->s) - (long)draw((uint32_t)r->cut);
        left = server_log_whole(r->s, left);
        if (left > sure)
            server_log_cut(r->s, left);
    }
    if (r->logs)
        server_log_mend(r->s);
    return came;
}

static void start_again(struct run *r)
{
    shared->down = false;
    server_again(r->s);
}

static void end(struct run *r)
{
    int status = -1;

    shared->stop = true;
    CU_ASSERT(waitpid(r->pid, &status, 0) == r->pid && status == 0);
    printf("%u files, %u synced, %u calls refused, %u tails sent again ... ", shared->files,
           shared->synced, shared->refused, shared->forgot);
    CU_ASSERT_EQUAL(shared->lies, 0);
    CU_ASSERT(shared->synced > 0);
}

static void finish(struct run *r)
{
    scratch_remove(r->vol.dir);
    server_free(r->s);
}

/* A server that comes back, with all or most of what it knew. */
static void come_back(struct run *r, const char *const *args)
{
    begin(r, args);
    CU_ASSERT(reaches(&shared->made, 100));
    for (int i = 0; i < kills && !CU_get_number_of_failures(); i++) {
        CU_ASSERT(kill_server(r));
        if (i % 3 == 2) /* it stays away until the writer was told */
            CU_ASSERT(reaches(&shared->refused, shared->refused + 3));
        start_again(r);
    }
    CU_ASSERT(reaches(&shared->made, shared->made + BETWEEN)); /* it goes on */
    end(r);
    CU_ASSERT(shared->refused > 0 || kills < 3);
    CU_ASSERT_EQUAL(shared->last, 0);
    CU_ASSERT_EQUAL(look(&r->vol), 0);
    CU_ASSERT(crash_is_clean(&r->vol));
    finish(r);
}

static void test_always(void)
{
    static const char *const args[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};
    struct run r = {.logs = true};

    come_back(&r, args);
    CU_ASSERT_EQUAL(shared->forgot + shared->unknown, 0);
}

/* The kernel had not written the end of the log. */
static void test_everysec(void)
{
    static const char *const args[] = {
        "--appendonly", "yes", "--appendfsync", "everysec", "--aof-load-truncated", "yes", NULL};
    struct run r = {.logs = true, .cut = 25000};

    come_back(&r, args);
    CU_ASSERT(shared->forgot > 0 || kills < 3);
    CU_ASSERT_EQUAL(shared->unknown, 0);
}

/* Nothing is left: neither the volume nor anything like one may come into being. */
static void test_nothing(void)
{
    static const char *const args[] = {"--appendonly", "no", NULL};
    struct run r = {0};
    char err[300];
    struct buf json = {0};
    struct engine *e;

    begin(&r, args);
    CU_ASSERT(kill_server(&r));
    start_again(&r);
    CU_ASSERT(reaches(&shared->refused, shared->refused + 2)); /* what comes now began with it up */
    unsigned synced = shared->synced;
    CU_ASSERT(reaches(&shared->refused, shared->refused + 50));
    unsigned made = shared->made;
    CU_ASSERT(reaches(&shared->refused, shared->refused + 50));
    CU_ASSERT_EQUAL(shared->made, made); /* nothing is acknowledged any more */
    CU_ASSERT_EQUAL(shared->synced, synced);
    end(&r);
    CU_ASSERT(shared->last < 0);
    CU_ASSERT_EQUAL(
        server_int(r.s, "EXISTS setting i1 d1 nextinode nextchunk usedSpace totalInodes"), 0);
    CU_ASSERT_EQUAL(server_int(r.s, "KEYS i*"), 0);
    CU_ASSERT_EQUAL(server_int(r.s, "KEYS [cdsp]*"), 0);
    CU_ASSERT_EQUAL_FATAL(engine_open(r.vol.url, &e, err, sizeof(err)), 0);
    CU_ASSERT_EQUAL(e->ops->get_setting(e, &json), -ENODATA);
    e->ops->close(e);
    buf_free(&json);
    finish(&r);
}

static int setup(void)
{
    const char *shm = getenv("TEST_SHM");

    snprintf(top, sizeof(top), "%s/killed.XXXXXX", shm != NULL ? shm : "/dev/shm");
    bytes = malloc(BYTES_MAX + 5000);
    for (size_t i = 0; bytes != NULL && i < BYTES_MAX + 5000; i++)
        bytes[i] = (uint8_t)(1 + (i * 31 + i / 251) % 255);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return bytes == NULL || shared == MAP_FAILED || mkdtemp(top) == NULL;
}

static int teardown(void)
{
    scratch_remove(top);
    free(bytes);
    return 0;
}

int main(void)
{
    state = crash_seed();
    kills = crash_kills(12);
    printf("%d kills, seed %llu; CRASH_KILLS and CRASH_SEED choose others\n", kills,
           (unsigned long long)state);
    CU_TestInfo tests[] = {
        {"log always written", test_always},
        {"its log loses its end", test_everysec},
        {"it forgets everything", test_nothing},
        CU_TEST_INFO_NULL,
    };
    return suite_run_with("server killed", setup, teardown, tests);
}
