/*
 * doctor_host.c - does this host allow it: the library, this process, the prefix, the cache
 * directory.
 */
#include "tools/doctor.h"
#include "tools/program.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
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

void check_library(struct doctor *d)
{
    char library[PATH_MAX], why[512];

    if (library_path(library, sizeof library) < 0)
        doctor_problem(d, "library: %s is not there, nor in ../lib: install it beside the command",
                       library);
    else if (strpbrk(library, ": ") != NULL)
        doctor_problem(d, "library: %s has a space or colon in its name, LD_PRELOAD cannot hold it",
                       library);
    else if (program_check_library(library, why, sizeof why) < 0)
        doctor_problem(d, "library: %s: %s", library, why);
    else {
        int rc = try_library(library, why, sizeof why);
        if (why[0] != '\0')
            doctor_problem(d, "library: %s", why);
        else if (rc != 0)
            doctor_problem(d, "library: /bin/true with %s preloaded ends with %d", library, rc);
        else
            doctor_ok(d, "library: %s loads", library);
    }
}

void check_process(struct doctor *d)
{
    char line[256];
    int seccomp = 0;
    FILE *f = fopen("/proc/self/status", "re");

    if (f == NULL) {
        doctor_problem(d, "/proc is not mounted: descriptors cannot be recognised");
        return;
    }
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "Seccomp: %d", &seccomp) == 1)
            break;
    fclose(f);
    if (getauxval(AT_SECURE) != 0)
        doctor_problem(d, "this process runs with raised privileges: the loader drops LD_PRELOAD");
    if (seccomp != 0)
        doctor_note(d, "a seccomp filter is active: system calls that it forbids fail here too");
}

/* --- prefix and cache directory --------------------------------------------------------------- */

void check_prefix(struct doctor *d)
{
    const char *prefix = d->c.prefix;
    const char *preload = getenv("LD_PRELOAD");
    struct stat sb;

    if (preload != NULL && strstr(preload, "/libjfspre.so") != NULL) {
        doctor_note(d,
                    "prefix: %s (preloaded here already, so the native tree below it is not seen)",
                    prefix);
        return;
    }
    if (lstat(prefix, &sb) < 0) {
        doctor_ok(d, "prefix: %s (not in the native tree, as it should be)", prefix);
        return;
    }
    DIR *dir = S_ISDIR(sb.st_mode) ? opendir(prefix) : NULL;
    int names = 0;
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        names += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (dir != NULL)
        closedir(dir);
    if (!S_ISDIR(sb.st_mode))
        doctor_problem(d, "prefix: %s exists natively and is not a directory", prefix);
    else if (names > 0)
        doctor_problem(d,
                       "prefix: %s exists natively and has %d names in it: programs without the "
                       "preload would work there instead",
                       prefix, names);
    else
        doctor_ok(d, "prefix: %s (an empty native directory)", prefix);
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
        doctor_problem(d, "cache: %s: the name is too long", dir);
        return;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        doctor_problem(d, "cache: no file can be made in %s: %s", dir, strerror(errno));
        return;
    }
    if (ftruncate(fd, 1 << 20) < 0)
        doctor_problem(d, "cache: %s: %s", dir, strerror(errno));
    else if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) < 0)
        doctor_problem(d, "cache: %s cannot punch holes, so large files would fill it: %s", dir,
                       strerror(errno));
    void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        doctor_problem(d, "cache: %s cannot map files shared: %s", dir, strerror(errno));
    else
        munmap(map, 4096);
    if (!lease_works(path, fd))
        doctor_problem(d, "cache: file leases (F_SETLEASE) do not work in %s", dir);
    unlink(path);
    if (statvfs(dir, &fs) < 0)
        return;
    if ((fs.f_flag & ST_NOEXEC) != 0)
        doctor_note(d, "cache: %s is mounted noexec: programs inside the volume cannot be executed",
                    dir);
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (room < (UINT64_C(256) << 20))
        doctor_note(d, "cache: %s has only %s left; open files need room there", dir,
                    text_bytes(room, bytes));
}

void check_cache(struct doctor *d)
{
    const char *dir = d->c.cache_dir;
    char up[PATH_MAX];
    struct stat sb;
    int before = d->problems;
    bool made = false;

    if (strlen(dir) >= sizeof up) {
        doctor_problem(d, "cache: the name of the directory is too long");
        return;
    }
    if (stat(dir, &sb) < 0 && errno == ENOENT) {
        made = mkdir(dir, 0700) == 0;
        if (!made && errno != ENOENT) {
            doctor_problem(d, "cache: %s cannot be made: %s", dir, strerror(errno));
            return;
        }
        if (!made) { /* directories above it are made when it is used */
            doctor_note(d, "cache: %s is not there yet", dir);
            return;
        }
    }
    if (stat(dir, &sb) < 0)
        doctor_problem(d, "cache: %s: %s", dir, strerror(errno));
    else if (!S_ISDIR(sb.st_mode))
        doctor_problem(d, "cache: %s is not a directory", dir);
    else {
        const char *fs = network_fs(dir);
        if (fs != NULL)
            doctor_problem(d, "cache: %s is on a network file system (%s), it has to be local", dir,
                           fs);
        probe_cache(d, dir);
    }
    if (made)
        rmdir(dir);
    if (d->problems == before)
        doctor_ok(d, "cache: %s", dir);
}
