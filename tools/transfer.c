/*
 * transfer.c - see transfer.h.
 */
#include "tools/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHOW_EACH_MS 200
#define BUFFER_BYTES (1 << 20)

void progress_init(struct progress *p)
{
    *p = (struct progress){.shown = isatty(STDERR_FILENO)};
}

void progress_show(struct progress *p, const char *what, uint64_t done, uint64_t of)
{
    if (!p->shown)
        return;
    uint64_t ms = clock_mono_ms();
    if (ms < p->next_ms)
        return;
    p->next_ms = ms + SHOW_EACH_MS;
    fprintf(stderr, "\r\033[K%s: %" PRIu64, what, done);
    if (of > 0)
        fprintf(stderr, " of %" PRIu64 " (%" PRIu64 " %%)", of, done * 100 / of);
    fflush(stderr);
}

void progress_clear(struct progress *p)
{
    if (p->shown && p->next_ms > 0)
        fputs("\r\033[K", stderr);
}

/* --- interruption ----------------------------------------------------------------------------- */

static volatile sig_atomic_t signal_noted;

static void note(int sig)
{
    signal_noted = sig;
}

void interrupt_catch(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction sa = {.sa_handler = note}, old;

    /* no SA_RESTART: a write that waits ends; SA_RESETHAND: who presses twice means it */
    sa.sa_flags = (int)SA_RESETHAND;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &sa, NULL);
    }
}

bool interrupted(void)
{
    return signal_noted != 0;
}

void interrupt_end(void)
{
    if (signal_noted == 0)
        return;
    signal(signal_noted, SIG_DFL);
    raise(signal_noted);
}

/* --- output ----------------------------------------------------------------------------------- */

static int open_temporary(struct output *o)
{
    mode_t mask = umask(0);

    umask(mask);
    snprintf(o->temporary, sizeof o->temporary, "%s.tmp.XXXXXX", o->target);
    int fd = mkostemp(o->temporary, O_CLOEXEC);
    if (fd < 0) {
        int err = errno;
        o->temporary[0] = '\0';
        return -err;
    }
    /* names and settings of a volume are for its owner */
    fchmod(fd, 0600 & ~mask);
    return fd;
}

int output_open(struct output *o, const char *path)
{
    struct stat sb;
    int fd;

    *o = (struct output){.shown = path};
    if (path == NULL || strcmp(path, "-") == 0) {
        o->shown = "standard output";
        o->f = stdout;
        return 0;
    }
    if (strlen(path) >= sizeof o->target)
        return -ENAMETOOLONG;
    bool exists = stat(path, &sb) == 0;
    if (exists && S_ISDIR(sb.st_mode))
        return -EISDIR;
    if (exists && !S_ISREG(sb.st_mode)) { /* a device or pipe is not to be replaced by a file */
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            return -errno;
    } else {
        char *real = exists ? realpath(path, NULL) : NULL; /* a link stays and gets a new target */
        if (real != NULL && strlen(real) < sizeof o->target)
            strcpy(o->target, real);
        else
            strcpy(o->target, path);
        free(real);
        fd = open_temporary(o);
        if (fd < 0)
            return fd;
    }
    o->f = fdopen(fd, "w");
    if (o->f == NULL) {
        int err = errno;
        close(fd);
        if (o->temporary[0] != '\0')
            unlink(o->temporary);
        return -err;
    }
    setvbuf(o->f, NULL, _IOFBF, BUFFER_BYTES);
    return 0;
}

/* The directory keeps the new name over a power cut. */
static void sync_directory(const char *path)
{
    char dir[4096];
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        strcpy(dir, ".");
    else
        snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

int output_close(struct output *o, int rc)
{
    FILE *f = o->f;

    o->f = NULL;
    if (f == NULL)
        return rc;
    errno = 0;
    if (rc == 0 && (fflush(f) != 0 || ferror(f)))
        rc = errno != 0 ? -errno : -EIO;
    if (rc == 0 && o->temporary[0] != '\0' && fsync(fileno(f)) != 0)
        rc = -errno;
    if (f != stdout && fclose(f) != 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && o->temporary[0] != '\0' && rename(o->temporary, o->target) != 0)
        rc = -errno;
    if (o->temporary[0] != '\0') {
        if (rc != 0)
            unlink(o->temporary);
        else
            sync_directory(o->target);
    }
    return rc;
}
