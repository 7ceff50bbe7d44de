/*
 * crash.c - see crash.h.
 */
#include "tests/lib/crash.h"

#include "core/meta/board.h"
#include "core/meta/engine.h"
#include "tests/lib/host.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t seed;

static uint32_t draw(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % n;
}

void crash_volume_at(struct crash_volume *vol, const char *url, const char *dir)
{
    snprintf(vol->url, sizeof(vol->url), "%s", url);
    snprintf(vol->dir, sizeof(vol->dir), "%s", dir);
}

struct vfs *crash_volume_mount(const struct crash_volume *vol)
{
    return host_mount(vol->url, vol->dir, "cache");
}

struct vfs *crash_volume_new(const struct crash_volume *vol)
{
    struct setting s = host_setting(vol->dir);
    return host_format(vol->url, &s) == 0 ? crash_volume_mount(vol) : NULL;
}

/* What `jfspre fsck` says: nothing but blocks that a killed writer stored and never named. */
bool crash_is_clean(const struct crash_volume *vol)
{
    const char *b = getenv("B");
    char cmd[1500], line[500];
    bool clean = true;
    snprintf(cmd, sizeof(cmd), "'%s/jfspre' fsck '%s' --all 2>&1", b != NULL ? b : "build",
             vol->url);
    FILE *f = popen(cmd, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, "warning: leak", 13) == 0 ||
            strncmp(line, VOLUME_NAME ": ", strlen(VOLUME_NAME ": ")) == 0)
            continue;
        fprintf(stderr, "fsck: %s", line);
        clean = false;
    }
    return f != NULL && pclose(f) == 0 && clean;
}

/* --- kill -9
 * --------------------------------------------------------------------------------------- */

struct writer {
    pid_t pid;
    int pipe;
    struct model model;
    struct deed last; /* heard */
    bool heard;
};

static bool start(struct vfs *v, struct writer *w)
{
    int p[2];
    if (pipe(p) != 0)
        return false;
    uint64_t mine = seed + draw(1 << 30);
    vfs_before_fork(v);
    w->pid = fork();
    vfs_after_fork(v, w->pid == 0);
    if (w->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_DFL);
        close(p[0]);
        writer_run(v, &w->model, mine, p[1]);
        _exit(3);
    }
    close(p[1]);
    w->pipe = p[0];
    w->heard = false;
    return w->pid > 0;
}

static void show(const struct writer *w, const char *what, const struct deed *d)
{
    if (getenv("CRASH_LOG") != NULL)
        fprintf(stderr, "%u: %sdeed %d %s %s off %u len %u seed %u\n", w->model.writer, what,
                d->kind, d->a, d->b, d->off, d->len, d->seed);
}

/* Takes what it says; false at the end of it. */
static bool hear(struct writer *w, int *failed)
{
    struct deed d[64];
    ssize_t n = read(w->pipe, d, sizeof(d));
    for (ssize_t i = 0; i < n / (ssize_t)sizeof(*d); i++) {
        if (d[i].done && d[i].code < 0) {
            fprintf(stderr, "writer %u: deed %d (%s %s): %s\n", w->model.writer, d[i].kind, d[i].a,
                    d[i].b, strerror(-d[i].code));
            ++*failed;
        } else if (d[i].done) {
            show(w, "", &d[i]);
            model_apply(&w->model, &d[i]);
        }
        w->last = d[i];
        w->heard = true;
    }
    return n > 0;
}

static void hear_all(struct writer *w, int ms, int *failed)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t end = t.tv_sec * 1000 + t.tv_nsec / 1000000 + ms;
    for (int left = ms; left >= 0;) {
        struct pollfd p[CRASH_WRITERS];
        for (int i = 0; i < CRASH_WRITERS; i++)
            p[i] = (struct pollfd){.fd = w[i].pid > 0 ? w[i].pipe : -1, .events = POLLIN};
        poll(p, CRASH_WRITERS, left);
        for (int i = 0; i < CRASH_WRITERS; i++) {
            if ((p[i].revents & POLLIN) != 0)
                hear(&w[i], failed);
        }
        clock_gettime(CLOCK_MONOTONIC, &t);
        left = (int)(end - (t.tv_sec * 1000 + t.tv_nsec / 1000000));
    }
}

/* Did anybody acknowledge what was not sent? */
static bool any_pending(const struct crash_volume *vol)
{
    char dir[500], err[300];
    struct board *b;
    bool found = false;

    snprintf(dir, sizeof(dir), "%s/cache/" VOLUME_UUID ".%u", vol->dir, (unsigned)geteuid());
    if (board_open(dir, &b, err, sizeof(err)) < 0)
        return false;
    for (uint32_t n = 0; n < BOARD_QUEUES; n++)
        found |= board_is_pending(b, n);
    board_close(b);
    return found;
}

/* Kills it and takes the rest of what it said. */
static bool stop(struct writer *w, int *failed)
{
    int status;
    kill(w->pid, SIGKILL);
    waitpid(w->pid, &status, 0);
    w->pid = 0;
    while (hear(w, failed))
        continue;
    close(w->pipe);
    show(w, w->last.done ? "killed after " : "killed in ", &w->last);
    return WIFSIGNALED(status);
}

/* Asks the volume for all that it was told. */
static bool holds(struct vfs *v, struct writer *w)
{
    char why[900] = "";
    bool held = w->heard && !w->last.done ? model_settle(&w->model, &w->last, v, why, sizeof(why))
                                          : model_holds(&w->model, v, why, sizeof(why));
    if (!held)
        fprintf(stderr, "writer %u: %s\n", w->model.writer, why);
    return held;
}

/* The same asked by a process that was not there before, which so finds what is pending. */
static bool fresh_process_holds(const struct crash_volume *vol, struct vfs *v, struct writer *w,
                                unsigned n)
{
    int status = -1;
    vfs_before_fork(v);
    pid_t pid = fork();
    vfs_after_fork(v, pid == 0);
    if (pid == 0) {
        struct vfs *fresh = crash_volume_mount(vol);
        bool held = fresh != NULL;
        for (unsigned i = 0; held && i < n; i++)
            held = holds(fresh, &w[i]);
        _exit(!held);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* What a killed process had sent may take effect a moment after its end: Redis has yet to read it;
 * LMDB shows a commit whose writer was killed at its end to readers when somebody else writes. */
static bool settle(struct engine *e)
{
    uint64_t id;
    int rc = 0;
    for (int i = 0; i < 8 && rc == 0; i++)
        rc = e->ops->take_ids(e, ID_SLICE, 1, &id);
    if (rc < 0)
        fprintf(stderr, "a change after a kill: %s\n", e->ops->error(e));
    return rc == 0;
}

bool crash_run(const struct crash_volume *vol, struct vfs *v, const struct crash_plan *plan,
               struct crash_count *count)
{
    static struct writer w[CRASH_WRITERS];
    struct vfs_loc shared = {.base = INO_ROOT, .path = "shared"};
    struct engine *e = NULL;
    char err[400];
    int failed =
        vfs_mkdir(v, &shared, 0777) != 0 || engine_open(vol->url, &e, err, sizeof(err)) < 0;

    *count = (struct crash_count){0};
    memset(w, 0, sizeof(w));
    for (unsigned i = 0; i < plan->writers && failed == 0; i++) {
        char name[16];
        struct vfs_loc dir = {.base = INO_ROOT, .path = name};
        snprintf(name, sizeof(name), "w%u", i);
        w[i].model.writer = i;
        w[i].model.is_quick = plan->is_quick;
        failed += vfs_mkdir(v, &dir, 0777) != 0 || !start(v, &w[i]);
    }
    while (count->kills < plan->kills && failed == 0) {
        hear_all(w, (int)draw(12), &failed);
        /* mostly one, now and then all at once */
        uint32_t first = draw(plan->writers), n = draw(3) == 0 ? plan->writers : 1;
        for (uint32_t i = 0; i < n; i++)
            kill(w[(first + i) % plan->writers].pid, SIGKILL);
        for (uint32_t i = 0; i < n; i++)
            failed += !stop(&w[(first + i) % plan->writers], &failed);
        count->kills += (int)n;
        count->all += n == plan->writers;
        count->pending += n == plan->writers && any_pending(vol);
        failed += !settle(e);
        if (n == plan->writers && draw(4) == 0)
            failed += !fresh_process_holds(vol, v, w, n);
        vfs_input(v); /* pipes told of what others did */
        for (uint32_t i = 0; i < n; i++)
            failed += !holds(v, &w[(first + i) % plan->writers]);
        if (n == plan->writers && draw(20) == 0)
            failed += !crash_is_clean(vol);
        for (uint32_t i = 0; i < n; i++)
            failed += !start(v, &w[(first + i) % plan->writers]);
    }
    for (unsigned i = 0; i < plan->writers; i++) {
        if (w[i].pid > 0) {
            failed += !stop(&w[i], &failed) || !settle(e);
            vfs_input(v);
            failed += !holds(v, &w[i]);
        }
        model_free(&w[i].model);
    }
    if (e != NULL)
        e->ops->close(e);
    return failed == 0 && crash_is_clean(vol);
}

uint64_t crash_seed(void)
{
    const char *text = getenv("CRASH_SEED");
    seed = text != NULL ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) / 86400;
    return seed;
}

int crash_kills(int usual)
{
    const char *text = getenv("CRASH_KILLS");
    return text != NULL ? atoi(text) : usual;
}
