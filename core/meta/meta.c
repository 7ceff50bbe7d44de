/*
 * meta.c - the engine of one volume behind one lock: setting, ids, and what rides along.
 *
 * The lock is held over the round trip, so calls of several threads follow each other on one
 * connection.  It is the only lock here and nothing is called back under it.
 *
 * A child that got here without meta_after_fork() (clone(2) called by hand) is noticed by its
 * process id: the parent's connection and, above all, its ids are not used twice.
 */
#include "core/meta/meta_internal.h"

#include "core/base/clock.h"
#include "core/base/line.h"
#include "core/base/log.h"
#include "core/base/process.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SKIP_DIR_MTIME_MS 100 /* a stock mount's default */

void meta_lock(struct meta *m)
{
    if (m->owner != process_id())
        meta_after_fork(m);
    pthread_mutex_lock(&m->lock);
}

static void count_traffic(struct meta *m)
{
    struct engine_traffic t = m->engine->ops->traffic(m->engine);

    metrics_round_trips(m->metrics, t.round_trips - m->counted.round_trips);
    metrics_retries(m->metrics, t.retries - m->counted.retries);
    m->counted = t;
}

void meta_unlock(struct meta *m)
{
    if (m->metrics)
        count_traffic(m);
    pthread_mutex_unlock(&m->lock);
}

int meta_fail(struct meta *m, int rc, const char *fmt, ...)
{
    va_list ap;
    int n = snprintf(m->error, sizeof(m->error), "%s: ", m->engine->ops->name(m->engine));

    va_start(ap, fmt);
    if (n >= 0 && (size_t)n < sizeof(m->error))
        line_vset(m->error + n, sizeof(m->error) - (size_t)n, fmt, ap);
    va_end(ap);
    return rc;
}

int meta_engine_failed(struct meta *m, int rc)
{
    snprintf(m->error, sizeof(m->error), "%s", m->engine->ops->error(m->engine));
    return rc;
}

/* --- open, close, fork ------------------------------------------------------------------------ */

int meta_open(const char *url, const char *mount, struct meta **out, char *err, size_t errlen)
{
    struct meta *m;

    *out = NULL;
    m = calloc(1, sizeof(*m));
    if (m)
        m->mount = strdup(mount);
    if (!m || !m->mount) {
        free(m);
        snprintf(err, errlen, "no memory");
        return -ENOMEM;
    }
    int rc = engine_open(url, &m->engine, err, errlen);
    if (rc < 0) {
        free(m->mount);
        free(m);
        return rc;
    }
    pthread_mutex_init(&m->lock, NULL);
    m->owner = process_id();
    *out = m;
    return 0;
}

void meta_set_metrics(struct meta *m, struct metrics *metrics)
{
    meta_lock(m);
    m->metrics = metrics;
    meta_unlock(m);
}

void meta_before_fork(struct meta *m)
{
    meta_lock(m);
    m->is_forking = true;
}

void meta_after_fork_parent(struct meta *m)
{
    m->is_forking = false;
    meta_unlock(m);
}

/* Ids and forgotten slices stay the parent's. */
void meta_after_fork(struct meta *m)
{
    /* Held by the thread that forked, which is this one, or by one that does not exist here. */
    if (m->is_forking)
        meta_after_fork_parent(m);
    else
        pthread_mutex_init(&m->lock, NULL);
    m->owner = process_id();
    m->engine->ops->after_fork(m->engine);
    memset(m->ids, 0, sizeof(m->ids));
    m->nforget = 0;
}

/* --- calls ------------------------------------------------------------------------------------ */

static struct op_env make_env(const struct meta *m)
{
    const struct setting *s = &m->setting->s;

    return (struct op_env){.flags = (s->trash_days > 0 ? ENV_TRASH : 0) |
                                    (s->dir_stats ? ENV_DIR_STATS : 0),
                           .capacity_bytes = s->capacity_bytes,
                           .inodes = s->inodes,
                           .skip_dir_mtime_ms = SKIP_DIR_MTIME_MS,
                           .mount = m->mount};
}

static struct op forget_op(const struct meta *m, struct moment now)
{
    return (struct op){.kind = OP_FORGET,
                       .now = now,
                       .data = m->forget,
                       .data_len = (uint32_t)(m->nforget * FORGET_BYTES)};
}

/* The ops with the forgotten slices behind them.  Those stay listed unless the call worked, and are
 * given up when the script does not take them: stock's gc removes what they were about too. */
static int call_with_forget(struct meta *m, const struct op_env *env, const struct op *ops,
                            size_t n, struct op_result *res)
{
    struct op *all = malloc((n + 1) * sizeof(*all));
    struct op_result *answers = malloc((n + 1) * sizeof(*answers));
    int rc = -ENOMEM;

    if (all && answers) {
        if (n > 0)
            memcpy(all, ops, n * sizeof(*ops));
        all[n] = forget_op(m, clock_now());
        rc = m->engine->ops->call(m->engine, env, all, n + 1, answers);
        if (rc < 0) {
            meta_engine_failed(m, rc);
        } else {
            if (answers[n].code < 0)
                log_at(LOG_WARN, "forgetting %zu slices: %s", m->nforget,
                       strerror(-answers[n].code));
            op_result_free(&answers[n]);
            if (n > 0)
                memcpy(res, answers, n * sizeof(*res));
            m->nforget = 0;
        }
    } else {
        meta_fail(m, rc, "no memory");
    }
    free(all);
    free(answers);
    return rc;
}

/* What the script itself met (a wrong type, no memory) comes as the op's own answer with the
 * server's words. */
static void note_script_errors(struct meta *m, const struct op *ops, size_t n,
                               const struct op_result *res)
{
    for (size_t i = 0; i < n; i++) {
        if (res[i].code >= 0 || res[i].extra.len == 0)
            continue;
        meta_fail(m, res[i].code, "%s: %s", op_kind_name(ops[i].kind),
                  (const char *)res[i].extra.data);
        log_at(LOG_WARN, "%s", m->error);
    }
}

int meta_call(struct meta *m, struct op *ops, size_t n, struct op_result *res)
{
    struct moment now = {0, 0};

    memset(res, 0, n * sizeof(*res));
    meta_lock(m);
    int rc = meta_ready(m);
    if (rc == 0) {
        const struct op_env env = make_env(m);

        for (size_t i = 0; i < n; i++) {
            if (ops[i].now.sec != 0)
                continue;
            if (now.sec == 0)
                now = clock_now();
            ops[i].now = now;
        }
        if (m->nforget > 0) {
            rc = call_with_forget(m, &env, ops, n, res);
        } else {
            rc = m->engine->ops->call(m->engine, &env, ops, n, res);
            if (rc < 0)
                meta_engine_failed(m, rc);
        }
    }
    if (rc < 0)
        memset(res, 0, n * sizeof(*res));
    else
        note_script_errors(m, ops, n, res);
    for (size_t i = 0; rc == 0 && i < n; i++)
        metrics_direct(m->metrics, ops[i].kind, 1);
    meta_unlock(m);
    return rc;
}

static void send_forgotten(struct meta *m)
{
    if (m->nforget == 0 || meta_ready(m) < 0)
        return;
    const struct op_env env = make_env(m);
    call_with_forget(m, &env, NULL, 0, NULL);
}

void meta_forget_later(struct meta *m, uint64_t id, uint32_t size)
{
    meta_lock(m);
    if (m->nforget == FORGET_MAX)
        send_forgotten(m);
    if (m->nforget < FORGET_MAX) {
        uint8_t *p = m->forget + m->nforget++ * FORGET_BYTES;

        put_be64(p, id);
        put_be32(p + 8, size);
    } else {
        log_once(LOG_WARN, "%s: slices to forget are dropped, gc will find them", m->error);
    }
    meta_unlock(m);
}

static int new_id(struct meta *m, enum id_kind kind, uint64_t *out)
{
    struct id_range *r = &m->ids[kind];
    int rc;

    meta_lock(m);
    /* The setting first: it drops a range that the server may have forgotten, and an id taken from
     * an unformatted database would leave a counter there. */
    rc = meta_ready(m);
    if (r->left == 0 && rc == 0) {
        uint32_t n = m->engine->id_batch[kind];

        rc = m->engine->ops->take_ids(m->engine, kind, n, &r->next);
        if (rc == 0)
            r->left = n;
        else
            meta_engine_failed(m, rc);
    }
    if (rc == 0) {
        *out = r->next++;
        r->left--;
    }
    meta_unlock(m);
    return rc;
}

int meta_new_inode(struct meta *m, uint64_t *ino)
{
    return new_id(m, ID_INODE, ino);
}

int meta_new_slice(struct meta *m, uint64_t *id)
{
    return new_id(m, ID_SLICE, id);
}

void meta_close(struct meta *m)
{
    struct kept_setting *s;

    if (!m)
        return;
    meta_lock(m);
    /* A server that is down is not waited for at the end of a program. */
    if (meta_fd(m) >= 0)
        send_forgotten(m);
    meta_unlock(m);
    m->engine->ops->close(m->engine);
    while ((s = m->setting)) {
        m->setting = s->older;
        free(s);
    }
    buf_free(&m->json);
    pthread_mutex_destroy(&m->lock);
    free(m->mount);
    free(m);
}

/* --- what others look at ---------------------------------------------------------------------- */

int meta_fd(const struct meta *m)
{
    int fd;
    return m->engine->ops->fds(m->engine, &fd, 1) > 0 ? fd : -1;
}

size_t meta_fds(const struct meta *m, int *fds, size_t n)
{
    return m->engine->ops->fds(m->engine, fds, n);
}

void meta_fd_moved(struct meta *m, int fresh)
{
    meta_lock(m);
    m->engine->ops->fd_moved(m->engine, fresh);
    meta_unlock(m);
}

const char *meta_error(struct meta *m)
{
    static __thread char copy[META_ERROR_BYTES];

    meta_lock(m);
    snprintf(copy, sizeof(copy), "%s", m->error[0] ? m->error : "no error");
    meta_unlock(m);
    return copy;
}

struct engine *meta_engine(struct meta *m)
{
    return m->engine;
}
