/*
 * cmd_doctor.c - `jfspre doctor`: says in plain words why programs would not see the volume here.
 *
 * Each check is one function and one row of the table; it prints what it found and the rest go on,
 * so that one run names everything.
 */
#include "tools/cmd.h"
#include "tools/program.h"

#include "core/base/clock.h"
#include "core/store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* clang-format off */
static const struct option options[] = {
    CMD_COMMON_OPTIONS,
};
/* clang-format on */

struct doctor {
    const struct cmd *self;
    struct config c;
    struct volume vol;
    bool has_volume;
    const char *program; /* NULL: none asked for */
    int problems;
};

static void say(const char *word, const char *fmt, va_list ap)
{
    printf("%-8s ", word);
    vprintf(fmt, ap);
    putchar('\n');
}

#define SAYS(name, word, count)                                                                    \
    __attribute__((format(printf, 2, 3))) static void name(struct doctor *d, const char *fmt, ...) \
    {                                                                                              \
        va_list ap;                                                                                \
        va_start(ap, fmt);                                                                         \
        say(word, fmt, ap);                                                                        \
        va_end(ap);                                                                                \
        d->problems += count;                                                                      \
    }
SAYS(good, "ok", 0)
SAYS(note, "note", 0)
SAYS(problem, "PROBLEM", 1)

/* --- the library and the process -------------------------------------------------------------- */

/* Starts /bin/true with the library; the loader complains on stderr. */
static int try_library(const char *library, char *said, size_t cap)
{
    int out[2], status = -1;
    size_t have = 0;

    said[0] = '\0';
    if (pipe2(out, O_CLOEXEC) < 0)
        return -errno;
    pid_t child = fork();
    if (child < 0) {
        int rc = -errno;
        close(out[0]);
        close(out[1]);
        return rc;
    }
    if (child == 0) {
        dup2(out[1], STDERR_FILENO);
        setenv("LD_PRELOAD", library, 1);
        execl("/bin/true", "true", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    for (ssize_t n; have + 1 < cap && (n = read(out[0], said + have, cap - 1 - have)) > 0;)
        have += (size_t)n;
    said[have] = '\0';
    said[strcspn(said, "\n")] = '\0';
    close(out[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void check_library(struct doctor *d)
{
    char library[PATH_MAX], why[512];

    if (library_path(library, sizeof library) < 0)
        problem(d, "library: %s is not there, nor in ../lib: install it beside the command",
                library);
    else if (strpbrk(library, ": ") != NULL)
        problem(d, "library: %s has a space or colon in its name, LD_PRELOAD cannot hold it",
                library);
    else if (program_check_library(library, why, sizeof why) < 0)
        problem(d, "library: %s: %s", library, why);
    else {
        int rc = try_library(library, why, sizeof why);
        if (why[0] != '\0')
            problem(d, "library: %s", why);
        else if (rc != 0)
            problem(d, "library: /bin/true with %s preloaded ends with %d", library, rc);
        else
            good(d, "library: %s loads", library);
    }
}

static void check_process(struct doctor *d)
{
    char line[256];
    int seccomp = 0;
    FILE *f = fopen("/proc/self/status", "re");

    if (f == NULL) {
        problem(d, "/proc is not mounted: descriptors cannot be recognised");
        return;
    }
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "Seccomp: %d", &seccomp) == 1)
            break;
    fclose(f);
    if (getauxval(AT_SECURE) != 0)
        problem(d, "this process runs with raised privileges: the loader drops LD_PRELOAD");
    if (seccomp != 0)
        note(d, "a seccomp filter is active: system calls that it forbids fail here too");
}

/* --- prefix and cache directory --------------------------------------------------------------- */

static void check_prefix(struct doctor *d)
{
    const char *prefix = d->c.prefix;
    const char *preload = getenv("LD_PRELOAD");
    struct stat sb;

    if (preload != NULL && strstr(preload, "/libjfspre.so") != NULL) {
        note(d, "prefix: %s (preloaded here already, so the native tree below it is not seen)",
             prefix);
        return;
    }
    if (lstat(prefix, &sb) < 0) {
        good(d, "prefix: %s (not in the native tree, as it should be)", prefix);
        return;
    }
    DIR *dir = S_ISDIR(sb.st_mode) ? opendir(prefix) : NULL;
    int names = 0;
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        names += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (dir != NULL)
        closedir(dir);
    if (!S_ISDIR(sb.st_mode))
        problem(d, "prefix: %s exists natively and is not a directory", prefix);
    else if (names > 0)
        problem(d,
                "prefix: %s exists natively and has %d names in it: programs without the "
                "preload would work there instead",
                prefix, names);
    else
        good(d, "prefix: %s (an empty native directory)", prefix);
}

static const char *network_fs(const char *path)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } rows[] = {
        {NFS_SUPER_MAGIC, "NFS"}, {SMB_SUPER_MAGIC, "SMB"}, {0xFF534D42, "CIFS"},
        {0xFE534D42, "SMB2"},     {V9FS_MAGIC, "9P"},       {0x00C36400, "Ceph"},
        {0x0BD00BD0, "Lustre"},   {0x65735546, "FUSE"},     {0x47504653, "GPFS"},
        {AFS_SUPER_MAGIC, "AFS"}, {0x19830326, "BeeGFS"},   {CODA_SUPER_MAGIC, "Coda"},
    };
    struct statfs fs;

    if (statfs(path, &fs) < 0)
        return NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (((unsigned long)fs.f_type & 0xffffffffUL) == rows[i].magic)
            return rows[i].name;
    return NULL;
}

/* Who would know that a file of ours is still open?  The kernel, by refusing this lease. */
static bool lease_works(const char *path, int held)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool refused = fcntl(fd, F_SETLEASE, F_WRLCK) < 0 && errno == EAGAIN;
    close(held);
    bool granted = fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
    close(fd);
    return refused && granted;
}

static void probe_cache(struct doctor *d, const char *dir)
{
    char path[PATH_MAX];
    struct statvfs fs;
    char bytes[32];

    if ((size_t)snprintf(path, sizeof path, "%s/.doctor-%d", dir, (int)getpid()) >= sizeof path) {
        problem(d, "cache: %s: the name is too long", dir);
        return;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        problem(d, "cache: no file can be made in %s: %s", dir, strerror(errno));
        return;
    }
    if (ftruncate(fd, 1 << 20) < 0)
        problem(d, "cache: %s: %s", dir, strerror(errno));
    else if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) < 0)
        problem(d, "cache: %s cannot punch holes, so large files would fill it: %s", dir,
                strerror(errno));
    void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        problem(d, "cache: %s cannot map files shared: %s", dir, strerror(errno));
    else
        munmap(map, 4096);
    if (!lease_works(path, fd))
        problem(d, "cache: file leases (F_SETLEASE) do not work in %s", dir);
    unlink(path);
    if (statvfs(dir, &fs) < 0)
        return;
    if ((fs.f_flag & ST_NOEXEC) != 0)
        note(d, "cache: %s is mounted noexec: programs inside the volume cannot be executed", dir);
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (room < (UINT64_C(256) << 20))
        note(d, "cache: %s has only %s left; open files need room there", dir,
             text_bytes(room, bytes));
}

static void check_cache(struct doctor *d)
{
    const char *dir = d->c.cache_dir;
    char up[PATH_MAX];
    struct stat sb;
    int before = d->problems;
    bool made = false;

    if (strlen(dir) >= sizeof up) {
        problem(d, "cache: the name of the directory is too long");
        return;
    }
    if (stat(dir, &sb) < 0 && errno == ENOENT) {
        made = mkdir(dir, 0700) == 0;
        if (!made && errno != ENOENT) {
            problem(d, "cache: %s cannot be made: %s", dir, strerror(errno));
            return;
        }
        if (!made) { /* directories above it are made when it is used */
            note(d, "cache: %s is not there yet", dir);
            return;
        }
    }
    if (stat(dir, &sb) < 0)
        problem(d, "cache: %s: %s", dir, strerror(errno));
    else if (!S_ISDIR(sb.st_mode))
        problem(d, "cache: %s is not a directory", dir);
    else {
        const char *fs = network_fs(dir);
        if (fs != NULL)
            problem(d, "cache: %s is on a network file system (%s), it has to be local", dir, fs);
        probe_cache(d, dir);
    }
    if (made)
        rmdir(dir);
    if (d->problems == before)
        good(d, "cache: %s", dir);
}

/* --- the volume ------------------------------------------------------------------------------- */

static void check_volume(struct doctor *d)
{
    char err[512];

    if (d->c.meta == NULL) {
        problem(d, "metadata: no URL: set JFSPRE_META, or `meta` in ~/.config/jfspre/config");
        return;
    }
    struct volume *v = &d->vol;
    int rc = engine_open(d->c.meta, &v->engine, err, sizeof err);
    if (rc < 0) {
        problem(d, "metadata: %s", err);
        return;
    }
    const char *name = v->engine->ops->name(v->engine);
    struct buf json = {0};
    rc = v->engine->ops->get_setting(v->engine, &json);
    uint64_t start = clock_mono_ms(), calls = 0;
    if (rc == -ENODATA) {
        problem(d, "metadata: %s is not formatted: jfspre format makes a volume", name);
    } else if (rc < 0) {
        problem(d, "metadata: %s", v->engine->ops->error(v->engine));
    } else if (setting_parse((char *)json.data, json.len, &v->set, err, sizeof err) < 0) {
        problem(d, "metadata: %s: setting: %s", name, err);
    } else {
        for (; rc == 0 && calls < 10; calls++) {
            buf_clear(&json);
            rc = v->engine->ops->get_setting(v->engine, &json);
        }
        good(d, "metadata: %s answers, %.1f ms a round trip", name,
             (double)(clock_mono_ms() - start) / 10);
        if (setting_supported(&v->set, err, sizeof err) < 0)
            problem(d, "volume: %s: %s", v->set.name, err);
        else
            good(d, "volume: %s, all its features are known", v->set.name);
        d->has_volume = true;
    }
    buf_free(&json);
}

/* The place carries the volume's UUID: another directory of the same name is noticed. */
static void check_uuid(struct doctor *d, const char *place)
{
    char path[sizeof d->vol.set.bucket + 128], text[64] = "";

    snprintf(path, sizeof path, "%s/juicefs_uuid", place);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return; /* nothing needs it */
    if (fgets(text, sizeof text, f) != NULL)
        text[strcspn(text, "\n")] = '\0';
    fclose(f);
    if (strcmp(text, d->vol.set.uuid) != 0)
        problem(d, "store: %s belongs to another volume (%s)", place, text);
}

static void check_store(struct doctor *d)
{
    struct store *store = NULL;
    char err[512], place[sizeof d->vol.set.bucket + sizeof d->vol.set.name + 16];
    char chunks[sizeof place + 8];
    int before = d->problems;

    if (!d->has_volume)
        return;
    int rc = store_open(&d->vol.set, &store, err, sizeof err);
    store_close(store);
    if (rc < 0) {
        problem(d, "store: %s", err);
        return;
    }
    snprintf(place, sizeof place, "%s%s", d->vol.set.bucket, d->vol.set.name);
    snprintf(chunks, sizeof chunks, "%s/chunks", place);
    const char *dir = access(chunks, F_OK) == 0 ? chunks : place;
    if (faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) < 0)
        problem(d, "store: %s cannot be written by you: %s", dir, strerror(errno));
    check_uuid(d, place);
    if (d->problems == before)
        good(d, "store: %s", place);
}

/* --- the program ------------------------------------------------------------------------------ */

static void check_program(struct doctor *d)
{
    struct program_verdict v;
    char path[PATH_MAX];

    if (d->program == NULL)
        return;
    int rc = program_find(d->program, path, sizeof path);
    if (rc == 0)
        rc = program_check(path, &v);
    if (rc < 0)
        problem(d, "program: %s: %s", d->program, strerror(-rc));
    else if (v.served)
        good(d, "program: %s can be served", path);
    else if (strcmp(v.path, path) == 0)
        problem(d, "program: %s cannot be served: %s", path, v.why);
    else
        problem(d, "program: %s cannot be served: it is run by %s, and %s", path, v.path, v.why);
}

static void (*const checks[])(struct doctor *) = {
    check_library, check_process, check_prefix,  check_cache,
    check_volume,  check_store,   check_program,
};

static int doctor_main(const struct cmd *self, int argc, char **argv)
{
    struct doctor d = {.self = self};
    int opt, rc = CMD_USAGE;

    while ((opt = cmd_getopt(self, argc, argv, "+", options, &d.c)) != -1)
        if (opt == '?')
            goto out;
    if (optind < argc)
        d.program = argv[optind];
    rc = cmd_config(self, &d.c, NULL);
    if (rc != CMD_OK)
        goto out;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        checks[i](&d);
    rc = d.problems > 0 ? CMD_PROBLEM : CMD_OK;
out:
    volume_close(&d.vol);
    config_free(&d.c);
    return rc;
}

const struct cmd cmd_doctor = {
    .name = "doctor",
    .args = "[OPTIONS] [PROGRAM]",
    .brief = "say why the volume would not work here",
    .help = "Looks at the library, the prefix, the cache directory, the metadata, the volume's "
            "features\n"
            "and its store, and at PROGRAM (static, Go, setuid, another libc).  One line each.\n\n"
            "exit codes: 0 nothing stands in the way, 1 a problem was found, 2 usage\n",
    .main = doctor_main,
};
