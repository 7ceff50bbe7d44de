/*
 * meta_call.c - a request: decided here when that is certain, else asked, with whatever is pending
 * before it and whatever rides along behind it in one round trip.
 */
#include "core/meta/batch.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SKIP_DIR_MTIME_MS 100 /* a stock mount's default */
#define USAGE_MS          1000
#define TROUBLE_MS        200
#define RIDERS            (LEARN_MORE + 2)

struct op_env meta_env(const struct meta *m)
{
    const struct setting *s = &m->setting->s;

    return (struct op_env){.flags = (s->trash_days > 0 ? ENV_TRASH : 0) |
                                    (s->dir_stats ? ENV_DIR_STATS : 0),
                           .capacity_bytes = s->capacity_bytes,
                           .inodes = s->inodes,
                           .skip_dir_mtime_ms = SKIP_DIR_MTIME_MS,
                           .mount = m->mount};
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

/* --- what rides along ---------------------------------------------------------------------------
 */

struct ride {
    struct op *ops;
    struct op_result *res;
    size_t n;                           /* the caller's and the riders */
    size_t more, n_more, usage, forget; /* their places; 0: not aboard */
    char *paths;                        /* of `more` */
};

/* When directory quotas are set or limits are near, is found out about once a second, and before
 * the first early change. */
static bool wants_usage(const struct batch *b)
{
    return b != NULL && b->params->batchwrite &&
           (b->usage_at_ms == 0 || clock_mono_ms() - b->usage_at_ms > USAGE_MS);
}

static int board_riders(struct meta *m, const struct op *ops, size_t n, struct ride *r)
{
    struct batch *b = m->batch;
    bool usage = n > 0 && wants_usage(b) && op_changes(&ops[0]);

    *r = (struct ride){.n = n};
    r->ops = malloc((n + RIDERS) * sizeof(*r->ops));
    r->res = calloc(n + RIDERS, sizeof(*r->res));
    if (r->ops == NULL || r->res == NULL)
        return meta_fail(m, -ENOMEM, "no memory");
    memcpy(r->ops, ops, n * sizeof(*ops));
    r->more = r->n;
    if (b != NULL && b->params->batchwrite)
        r->n_more = learn_more(b, ops, n, r->ops + n, &r->paths);
    r->n += r->n_more;
    if (usage) {
        r->usage = r->n;
        r->ops[r->n++] = (struct op){.kind = OP_STATFS, .base = INO_ROOT, .now = ops[0].now};
    }
    if (m->nforget > 0) {
        r->forget = r->n;
        r->ops[r->n++] = (struct op){.kind = OP_FORGET,
                                     .now = clock_now(),
                                     .data = m->forget,
                                     .data_len = (uint32_t)(m->nforget * FORGET_BYTES)};
    }
    return 0;
}

static void leave_riders(struct meta *m, struct ride *r)
{
    if (r->forget != 0)
        meta_forgotten(m, &r->res[r->forget]);
    if (r->usage != 0)
        op_result_free(&r->res[r->usage]);
    for (size_t i = 0; i < r->n_more; i++)
        op_result_free(&r->res[r->more + i]);
}

/* --- asking -------------------------------------------------------------------------------------
 */

static bool all_read(const struct op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (op_changes(&ops[i]))
            return false;
    return true;
}

/* The store refused what is pending a moment ago. */
static bool is_hopeless(const struct batch *b)
{
    return b->trouble < 0 && clock_mono_ms() - b->trouble_ms < TROUBLE_MS;
}

/* The request, behind what is pending.  A read travels with it; a change waits until it is known
 * that it follows. */
static int send(struct meta *m, const struct op_env *env, const struct op *ops, size_t n,
                struct op_result *res)
{
    struct engine_request rq = {.env = env, .ops = ops, .n = n, .res = res};
    struct batch *b = m->batch;
    int rc = 0;

    bool reads = all_read(ops, n), waits = b != NULL && drain_needed(b, true);
    if (waits && reads && !is_hopeless(b)) {
        rc = drain(b, true, &rq);
        if (rc == 0 || b->trouble == 0)
            return rc;
    } else if (waits && !reads) {
        rc = drain(b, true, NULL);
        if (rc < 0)
            return rc;
    }
    rc = m->engine->ops->call(m->engine, env, ops, n, res);
    if (rc < 0)
        return meta_engine_failed(m, rc);
    /* The store takes no changes, but it answers; what it does not know may be pending. */
    for (size_t i = 0; waits && reads && i < n; i++)
        if (res[i].code == -ENOENT)
            res[i].code = b->trouble;
    return 0;
}

static int ask(struct meta *m, const struct op *ops, size_t n, struct op_result *res)
{
    struct batch *b = m->batch;
    uint64_t since = 0, early = 0;
    struct ride r;

    const struct op_env env = meta_env(m);
    int rc = board_riders(m, ops, n, &r);
    uint32_t ticket = rc == 0 && b != NULL ? learn_before(b, ops, n) : NOT_ASKING;
    if (rc == 0 && b != NULL) {
        pthread_mutex_lock(&b->known);
        early = b->early;
        pthread_mutex_unlock(&b->known);
        since = board_now(b->board);
    }
    if (rc == 0)
        rc = send(m, &env, r.ops, r.n, r.res);
    if (rc == 0) {
        memcpy(res, r.res, n * sizeof(*res));
        if (b != NULL) {
            batch_refresh(b, &env, r.usage != 0 ? &r.res[r.usage] : NULL);
            /* The directory first, since what is learned of the change belongs into it; and again,
             * since it was asked for behind the change.  What comes ahead belongs to a listing. */
            if (ops[0].kind != OP_READDIR)
                learn_after(b, &r.ops[r.more], r.n_more, &r.res[r.more], since, early);
            learn_after(b, ops, n, res, since, early);
            learn_after(b, &r.ops[r.more], r.n_more, &r.res[r.more], since, early);
            learn_opened(b, ops, res);
        }
        leave_riders(m, &r);
    } else if (b != NULL && !all_read(ops, n)) {
        board_mark_all(b->board); /* it may have happened */
    }
    if (ticket != NOT_ASKING)
        board_end_asking(b->board, ticket);
    free(r.ops);
    free(r.res);
    free(r.paths);
    return rc;
}

/* --- the call -----------------------------------------------------------------------------------
 */

static void fill_in_now(struct op *ops, size_t n)
{
    struct moment now = {0, 0};
    for (size_t i = 0; i < n; i++) {
        if (ops[i].now.sec != 0)
            continue;
        if (now.sec == 0)
            now = clock_now();
        ops[i].now = now;
    }
}

/* A new name was queued while another process may have been making it: the store says who was
 * first.  1: we were; 0: the op was refused, and is to be asked for, with an inode that no other op
 * has named. */
static int confirm(struct meta *m, struct op *op)
{
    struct batch *b = m->batch;
    meta_lock(m);
    int rc = meta_ready(m);
    if (rc == 0)
        rc = drain(b, true, NULL);
    pthread_mutex_lock(&b->known);
    if (rc == 0)
        rc = queue_acknowledge(b->queue, b->confirming);
    if (rc != 1)
        overlay_clear(b->overlay);
    b->confirming = 0;
    pthread_mutex_unlock(&b->known);
    meta_unlock(m);
    return rc == 0 && op->ino != 0 ? meta_new_inode(m, &op->ino) : rc;
}

/* A pack that begins with one of these ops needs a number. */
static bool have_slice(struct meta *m, const struct op *ops, size_t n)
{
    struct batch *b = m->batch;
    uint64_t id;
    for (size_t i = 0; b != NULL && i < n; i++) {
        if (ops[i].content == NULL || b->fresh_slice != 0)
            continue;
        if (meta_new_slice(m, &id) < 0)
            return false;
        pthread_mutex_lock(&b->known);
        b->fresh_slice = id;
        pthread_mutex_unlock(&b->known);
    }
    return true;
}

/* How many of the first ops were decided here; -errno. */
static int call_early(struct meta *m, struct op *ops, size_t n, struct op_result *res)
{
    struct batch *b = m->batch;
    size_t done = 0;
    if (m->owner != process_id() || !have_slice(m, ops, n) || !batch_enter(b))
        return 0;
    bool doubtful = false;
    while (done < n && !doubtful) {
        uint64_t before = b->confirming; /* another thread's */
        if (!early_call(b, &ops[done], &res[done]))
            break;
        doubtful = b->confirming != before;
        done++;
    }
    batch_leave(b);
    int rc = doubtful ? confirm(m, &ops[done - 1]) : 1;
    if (rc == 0)
        op_result_free(&res[--done]);
    return rc < 0 ? rc : (int)done;
}

/* A content that cannot be packed is refused before anything is asked: it comes alone or first. */
int meta_call(struct meta *m, struct op *ops, size_t n, struct op_result *res)
{
    memset(res, 0, n * sizeof(*res));
    fill_in_now(ops, n);
    int done = call_early(m, ops, n, res);
    if (done == (int)n)
        return 0;
    for (size_t i = (size_t)(done > 0 ? done : 0); i < n; i++)
        if (ops[i].content != NULL)
            done = -EAGAIN;
    meta_lock(m);
    int rc = done < 0 ? done : meta_ready(m);
    if (rc == 0)
        rc = ask(m, ops + done, n - (size_t)done, res + done);
    if (rc < 0) {
        for (int i = 0; i < done; i++)
            op_result_free(&res[i]);
        memset(res, 0, n * sizeof(*res));
    } else {
        note_script_errors(m, ops + done, n - (size_t)done, res + done);
    }
    for (size_t i = (size_t)(done > 0 ? done : 0); rc == 0 && i < n; i++)
        metrics_direct(m->metrics, ops[i].kind, 1);
    meta_unlock(m);
    return rc;
}

/* --- barriers -----------------------------------------------------------------------------------
 */

enum what { ALL, OWN, OWN_CLOSED };

static int flush(struct meta *m, enum what what)
{
    struct batch *b = m->batch;
    int rc = 0;
    if (b == NULL)
        return 0;
    meta_lock(m);
    if (drain_needed(b, what == ALL)) {
        rc = meta_ready(m);
        if (rc == 0) {
            const struct op_env env = meta_env(m);
            rc = what == OWN_CLOSED ? drain_closed(b) : drain(b, what == ALL, NULL);
            if (rc == 0)
                batch_refresh(b, &env, NULL);
        }
    }
    if (rc == 0 && what != ALL)
        meta_prime_ids(m);
    meta_unlock(m);
    return rc;
}

int meta_flush(struct meta *m)
{
    return flush(m, ALL);
}

int meta_flush_own(struct meta *m, bool closed)
{
    return flush(m, closed ? OWN_CLOSED : OWN);
}

bool meta_is_pending(const struct meta *m)
{
    const struct batch *b = m->batch;
    return b != NULL && m->owner == process_id() && b->queue != NULL && !queue_is_empty(b->queue);
}
