/*
 * three_run.c - a sequence in three worlds, and the shortest part of it that still disagrees.
 */
#include "tests/lib/three_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK_EVERY 100
#define SHRINK_RUNS 1500
#define SHRINK_MS   180000

struct failure {
    bool is;
    size_t at;     /* the step after which it was seen */
    char kind[80]; /* coarse: shrinking stays with it */
    char text[3000];
};

static void failed(struct failure *f, size_t at, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void failed(struct failure *f, size_t at, const char *kind, const char *fmt, ...)
{
    va_list ap;
    if (f->is)
        return;
    f->is = true;
    f->at = at;
    snprintf(f->kind, sizeof(f->kind), "%s", kind);
    va_start(ap, fmt);
    vsnprintf(f->text, sizeof(f->text), fmt, ap);
    va_end(ap);
}

static const char *code_name(int64_t code)
{
    static char text[4][40];
    static unsigned next;
    char *t = text[next++ % 4];
    if (code < 0)
        snprintf(t, sizeof(text[0]), "%s",
                 strerrorname_np((int)-code) != NULL ? strerrorname_np((int)-code) : "(no errno)");
    else
        snprintf(t, sizeof(text[0]), "%" PRId64, code);
    return t;
}

static bool is_known(const struct three *t, const struct step *s, int64_t ours, int64_t kernel)
{
    for (size_t i = 0; i < t->nknown; i++) {
        if (t->known[i].kind == s->kind && t->known[i].ours == ours && t->known[i].kernel == kernel)
            return true;
    }
    return false;
}

static bool is_removed(const struct worlds *w, uint8_t at)
{
    struct stat st;
    return at != 0 && fstat(w->kernel.handle[at - 1].fd, &st) == 0 && st.st_nlink == 0;
}

/* A name begins in a removed directory, which the volume does not know any more: which of two
 * things is wrong first cannot be said. */
static bool begins_in_removed(const struct worlds *w, const struct step *s)
{
    return (step_has_path(s->kind) && is_removed(w, s->at)) ||
           ((s->kind == STEP_RENAME || s->kind == STEP_LINK || s->kind == STEP_LINKFD) &&
            is_removed(w, s->at2));
}

static void differ(struct failure *f, size_t at, const struct step *s, const struct world *x,
                   const struct answer *a, const struct world *y, const struct answer *b)
{
    char kind[80];
    snprintf(kind, sizeof(kind), "%s %s-%s %s", step_name(s->kind), x->name, y->name,
             a->code != b->code ? "code" : "text");
    failed(f, at, kind, "%s: %s says %s %s%s\n%*s %s says %s %s%s", step_name(s->kind), x->name,
           code_name(a->code), a->text, a->exact, (int)strlen(step_name(s->kind)) + 1, "", y->name,
           code_name(b->code), b->text, b->exact);
}

/* What is in the trash keeps a link there; the kernel knows of no trash.  Blots out the links of
 * what is no directory, or (all) of everything. */
static size_t without_links(char *text, size_t len, bool all)
{
    size_t to = 0;
    for (size_t i = 0; i < len;) {
        bool links = i >= 7 && len - i > 6 && memcmp(text + i, "nlink ", 6) == 0 &&
                     (all || text[i - 7] != 'd');
        text[to++] = text[i++];
        if (!links)
            continue;
        i += 5;
        while (i < len && text[i] >= '0' && text[i] <= '9')
            i++;
    }
    return to;
}

static void without_links_in(struct answer *a, bool all)
{
    a->text[without_links(a->text, strlen(a->text), all)] = '\0';
}

static void one_step(struct three *t, const struct variant *v, struct worlds *w,
                     const struct step *s, size_t at, struct failure *f, int64_t *code)
{
    static struct answer r, l, k;
    three_vfs_step(&w->redis, s, &r);
    three_vfs_step(&w->lmdb, s, &l);
    *code = r.code;
    if (r.code != l.code || r.escaped != l.escaped || strcmp(r.text, l.text) != 0 ||
        strcmp(r.exact, l.exact) != 0) {
        differ(f, at, s, &w->redis, &r, &w->lmdb, &l);
        return;
    }
    if (v->no_kernel)
        return;
    if (r.escaped) {
        if (s->kind == STEP_OPEN && w->kernel.handle[s->h].fd >= 0) {
            close(w->kernel.handle[s->h].fd);
            w->kernel.handle[s->h].fd = -1;
        }
        return;
    }
    three_kernel_step(&w->kernel, s, &k);
    if (r.code != k.code &&
        (is_known(t, s, r.code, k.code) || (r.code < 0 && k.code < 0 && begins_in_removed(w, s))))
        return;
    if (v->trash) {
        bool removed = strstr(k.text, "nlink 0 ") != NULL;
        without_links_in(&r, removed);
        without_links_in(&k, removed);
    }
    if (r.code != k.code || strcmp(r.text, k.text) != 0) {
        r.exact[0] = '\0';
        differ(f, at, s, &w->redis, &r, &w->kernel, &k);
    }
}

/* The first line that differs. */
static void compare(struct failure *f, size_t at, const char *what, const struct world *x,
                    const struct buf *a, const struct world *y, const struct buf *b)
{
    const char *p = a->len > 0 ? (const char *)a->data : "",
               *q = b->len > 0 ? (const char *)b->data : "";
    char kind[80];
    size_t i = 0, line = 0;
    if (a->len == b->len && memcmp(p, q, a->len) == 0)
        return;
    while (i < a->len && i < b->len && p[i] == q[i]) {
        if (p[i++] == '\n')
            line = i;
    }
    int n = i < a->len || line < a->len ? (int)strcspn(p + line, "\n") : 0;
    int m = line < b->len ? (int)strcspn(q + line, "\n") : 0;
    snprintf(kind, sizeof(kind), "%s %s-%s", what, x->name, y->name);
    failed(f, at, kind, "%s\n  %s: %.*s\n  %s: %.*s", what, x->name, n < 1200 ? n : 1200, p + line,
           y->name, m < 1200 ? m : 1200, q + line);
}

/* When a step ran, by the fixed clock and by the kernel's. */
struct mark {
    struct moment fixed;
    bool truncate;
    bool quiet; /* it need not change a ctime */
    struct timespec before, after;
};

static int order(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? (a.tv_sec > b.tv_sec) - (a.tv_sec < b.tv_sec)
                                : (a.tv_nsec > b.tv_nsec) - (a.tv_nsec < b.tv_nsec);
}

/* Can both stamps be of the same step?  A stamp may be some ns above the clock: it never stays. */
static bool same_step(const struct mark *mark, size_t n, struct timespec ours,
                      struct timespec kernel, bool or_later)
{
    if (ours.tv_sec < THREE_CLOCK)
        return order(ours, kernel) == 0; /* given by utimensat() */
    for (size_t i = 0; i < n; i++) {
        if (mark[i].fixed.sec == ours.tv_sec &&
            mark[i].fixed.nsec / 1000000 == (uint32_t)ours.tv_nsec / 1000000 &&
            order(kernel, mark[i].after) <= 0 && (or_later || order(kernel, mark[i].before) >= 0))
            return true;
    }
    return false;
}

static long step_of(const struct mark *mark, size_t n, struct timespec kernel)
{
    for (size_t i = 0; i < n; i++) {
        if (order(kernel, mark[i].after) <= 0)
            return (long)i;
    }
    return -1;
}

/* As stock has it: extended attributes do not touch the inode, and what changes nothing writes
 * nothing. */
static bool leaves_ctime(enum step_kind kind)
{
    switch (kind) {
    case STEP_XSET:
    case STEP_XREMOVE:
    case STEP_CHMOD:
    case STEP_FCHMOD:
    case STEP_CHOWN:
    case STEP_FCHOWN:
    case STEP_UTIMENS:
    case STEP_FUTIMENS:
        return true;
    default:
        return false;
    }
}

static bool by_quiet(const struct mark *mark, size_t n, struct timespec kernel)
{
    for (size_t i = 0; i < n; i++) {
        if (mark[i].quiet && order(kernel, mark[i].before) >= 0 &&
            order(kernel, mark[i].after) <= 0)
            return true;
    }
    return false;
}

/* tmpfs stamps a truncate() to the length that the file has; others do not. */
static bool by_truncate(const struct mark *mark, size_t n, struct timespec kernel)
{
    for (size_t i = 0; i < n; i++) {
        if (mark[i].truncate && order(kernel, mark[i].before) >= 0 &&
            order(kernel, mark[i].after) <= 0)
            return true;
    }
    return false;
}

static void compare_stamps(struct failure *f, size_t at, const struct mark *mark,
                           const struct stamps *ours, const struct stamps *kernel)
{
    for (size_t i = 0; i < ours->n && i < kernel->n; i++) {
        const struct stamp *a = &ours->stamp[i], *b = &kernel->stamp[i];
        if (by_truncate(mark, at + 1, b->mtime))
            continue;
        if (!same_step(mark, at + 1, a->mtime, b->mtime, false))
            failed(f, at, "mtime", "mtime of %s: ours %lld.%09ld, kernel in step %ld", a->path,
                   (long long)a->mtime.tv_sec, a->mtime.tv_nsec, step_of(mark, at + 1, b->mtime));
        else if (!same_step(mark, at + 1, a->ctime, b->ctime, true) &&
                 !by_quiet(mark, at + 1, b->ctime))
            failed(f, at, "ctime", "ctime of %s: ours %lld.%09ld, kernel in step %ld", a->path,
                   (long long)a->ctime.tv_sec, a->ctime.tv_nsec, step_of(mark, at + 1, b->ctime));
    }
}

static void check(const struct variant *v, struct worlds *w, const struct mark *mark, size_t at,
                  struct failure *f)
{
    struct buf r = {0}, l = {0}, k = {0};
    struct stamps rs = {0}, ls = {0}, ks = {0};
    three_become(0);
    three_vfs_tree(&w->redis, &r, &rs);
    three_vfs_tree(&w->lmdb, &l, &ls);
    compare(f, at, "tree", &w->redis, &r, &w->lmdb, &l);
    if (!v->no_kernel) {
        three_kernel_tree(&w->kernel, &k, &ks);
        if (v->trash) {
            r.len = without_links((char *)r.data, r.len, false);
            k.len = without_links((char *)k.data, k.len, false);
        }
        compare(f, at, "tree", &w->redis, &r, &w->kernel, &k);
        compare_stamps(f, at, mark, &rs, &ks);
    }
    free(rs.stamp);
    free(ls.stamp);
    free(ks.stamp);
    buf_clear(&r);
    buf_clear(&l);
    int rr = three_dump(&w->redis, &r), rl = three_dump(&w->lmdb, &l);
    if (rr < 0 || rl < 0)
        failed(f, at, "dump", "dump: redis %s, lmdb %s", code_name(rr), code_name(rl));
    if (f->is == false)
        compare(f, at, "dump", &w->redis, &r, &w->lmdb, &l);
    buf_free(&r);
    buf_free(&l);
    buf_free(&k);
}

/* Runs the steps, or draws n of them with g and keeps them in *s. */
static int run(struct three *t, const struct variant *v, struct steps *s, struct gen *g, size_t n,
               struct failure *f)
{
    struct moment now = {.sec = THREE_CLOCK};
    struct mark *mark = calloc(n, sizeof(*mark));
    struct worlds w;
    memset(f, 0, sizeof(*f));
    clock_fix(&now);
    int rc = worlds_open(t, v, &w);
    for (size_t i = 0; rc == 0 && !f->is && i < n; i++) {
        struct step *step = &s->step[i];
        int64_t code;
        if (g != NULL) {
            do /* see `known` in test_threeway.c */
                gen_step(g, step);
            while (v->trash && step->kind == STEP_LINKFD);
            s->n = i + 1;
        }
        uint64_t nsec = now.nsec + step->dt_ms % 1000 * UINT64_C(1000000);
        now.sec += step->dt_ms / 1000 + (int64_t)(nsec / 1000000000);
        now.nsec = (uint32_t)(nsec % 1000000000);
        clock_fix(&now);
        mark[i].fixed = now;
        mark[i].truncate = step->kind == STEP_TRUNCATE;
        mark[i].quiet = leaves_ctime(step->kind);
        if (t->nap_ms > 0)
            usleep(t->nap_ms * 1000);
        clock_gettime(CLOCK_REALTIME_COARSE, &mark[i].before); /* the clock of inodes */
        one_step(t, v, &w, step, i, f, &code);
        clock_gettime(CLOCK_REALTIME, &mark[i].after);
        t->tried[step->kind]++;
        t->worked[step->kind] += code >= 0;
        if (g != NULL)
            gen_learn(g, step, code);
        if (!f->is && (i + 1 == n || (g != NULL && i % CHECK_EVERY == CHECK_EVERY - 1)))
            check(v, &w, mark, i, f);
    }
    worlds_close(t, &w);
    free(mark);
    clock_fix(NULL);
    return rc;
}

/* --- shrinking -----------------------------------------------------------------------------------
 */

/* Delta debugging: leaves out ever smaller parts as long as the same kind of failure stays. */
static void shrink(struct three *t, const struct variant *v, struct steps *s, struct failure *f)
{
    struct steps less = {.step = calloc(s->n, sizeof(*s->step))};
    uint64_t end = clock_mono_ms() + SHRINK_MS;
    int runs = 0;
    /* The kernel's stamps come in ticks: one tick a step tells them apart. */
    t->nap_ms = strcmp(f->kind, "mtime") == 0 || strcmp(f->kind, "ctime") == 0 ? 5 : 0;
    s->n = f->at + 1;
    for (size_t part = s->n / 2; part > 0 && runs < SHRINK_RUNS; part /= 2) {
        for (size_t from = 0; from < s->n && runs < SHRINK_RUNS && clock_mono_ms() < end;) {
            size_t take = from + part < s->n ? part : s->n - from;
            struct failure g;
            memcpy(less.step, s->step, from * sizeof(*s->step));
            memcpy(less.step + from, s->step + from + take,
                   (s->n - from - take) * sizeof(*s->step));
            less.n = s->n - take;
            runs++;
            if (less.n > 0 && run(t, v, &less, NULL, less.n, &g) == 0 && g.is &&
                strcmp(g.kind, f->kind) == 0) {
                memcpy(s->step, less.step, less.n * sizeof(*s->step));
                s->n = g.at + 1;
                *f = g;
            } else {
                from += take;
            }
        }
    }
    t->nap_ms = 0;
    free(less.step);
    fprintf(stderr, "shrunk in %d runs:\n", runs);
}

static void report(const struct variant *v, const struct steps *s, const struct failure *f)
{
    char line[4 * THREE_PATH];
    for (size_t i = 0; i < s->n && i <= f->at; i++) {
        step_print(&s->step[i], line, sizeof(line));
        fprintf(stderr, "    \"%s\",\n", line);
    }
    fprintf(stderr, "%s: %s\n", v->name, f->text);
}

int three_random(struct three *t, const struct variant *v, uint64_t seed, size_t n)
{
    static struct gen g;
    struct steps s = {.step = calloc(n, sizeof(*s.step))};
    struct failure f;
    gen_init(&g, seed, v->people && getuid() == 0, v->trash && v->no_kernel);
    int rc = run(t, v, &s, &g, n, &f);
    if (rc == 0 && f.is) {
        fprintf(stderr, "%s, seed %" PRIu64 ", step %zu of %zu: %s\n", v->name, seed, f.at, n,
                f.text);
        shrink(t, v, &s, &f);
        report(v, &s, &f);
        rc = 1;
    }
    free(s.step);
    return rc;
}

int three_fixed(struct three *t, const struct variant *v, const char *const *lines)
{
    struct steps s = {0};
    struct failure f;
    while (lines[s.n] != NULL)
        s.n++;
    s.step = calloc(s.n, sizeof(*s.step));
    for (size_t i = 0; i < s.n; i++) {
        if (!step_parse(lines[i], &s.step[i])) {
            fprintf(stderr, "not a step: %s\n", lines[i]);
            free(s.step);
            return -EINVAL;
        }
    }
    int rc = run(t, v, &s, NULL, s.n, &f);
    if (rc == 0 && f.is) {
        report(v, &s, &f);
        rc = 1;
    }
    free(s.step);
    return rc;
}

void three_counts(const struct three *t)
{
    for (int k = 0; k < STEP_KINDS; k++)
        printf("%s %u/%u%s", step_name((enum step_kind)k), t->worked[k], t->tried[k],
               k % 6 == 5 || k == STEP_KINDS - 1 ? "\n" : ", ");
}
