/*
 * meta.c - the engine of one volume behind one lock: made, forked, closed.
 *
 * The lock is held over the round trip, so calls of several threads follow each other on one
 * connection.  It is the only lock here and nothing is called back under it.
 *
 * A child that got here without meta_after_fork() (clone(2) called by hand) is noticed by its
 * process id: the parent's connection and, above all, its ids are not used twice.
 */
#include "core/meta/batch.h"

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
    pthread_mutex_init(&m->id_lock, NULL);
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
    if (m->batch != NULL)
        pthread_mutex_lock(&m->batch->known);
    pthread_mutex_lock(&m->id_lock);
    m->is_forking = true;
}

void meta_after_fork_parent(struct meta *m)
{
    m->is_forking = false;
    pthread_mutex_unlock(&m->id_lock);
    if (m->batch != NULL)
        pthread_mutex_unlock(&m->batch->known);
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
    pthread_mutex_init(&m->id_lock, NULL);
    m->owner = process_id();
    m->engine->ops->after_fork(m->engine);
    batch_after_fork(m->batch);
    memset(m->ids, 0, sizeof(m->ids));
    memset(m->ahead, 0, sizeof(m->ahead));
    m->nforget = 0;
}

/* --- close --------------------------------------------------------------------------------------
 */

void meta_close(struct meta *m)
{
    struct kept_setting *s;

    if (!m)
        return;
    if (m->batch != NULL) {
        flusher_stop(m->batch);
        meta_flush(m);
    }
    meta_lock(m);
    /* A server that is down is not waited for at the end of a program. */
    if (meta_fd(m) >= 0)
        meta_send_forgotten(m);
    meta_unlock(m);
    batch_free(m->batch);
    m->engine->ops->close(m->engine);
    while ((s = m->setting)) {
        m->setting = s->older;
        free(s);
    }
    buf_free(&m->json);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->id_lock);
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
