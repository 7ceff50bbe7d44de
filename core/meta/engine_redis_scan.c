/*
 * engine_redis_scan.c - visits every key of a pattern with its content.
 *
 * SCAN gives a page of names, one pipeline their types, one more the first page of each one's
 * content; what is longer than that is fetched page by page.  So small keys, which are nearly all,
 * cost three round trips a page, and a huge one never comes as a single answer.  A pattern without
 * a wildcard is a name and needs no SCAN.
 */
#include "core/meta/engine_redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE      1000
#define PAGE_TEXT "1000"

struct scan {
    struct rds *rds;
    engine_visit visit;
    void *ctx;
    size_t prefix_len;
};

/* How each type is read: COMMAND key [CURSOR COUNT n], or LRANGE by index. */
static const struct type {
    const char *name; /* as TYPE says */
    char letter;
    const char *command;
    bool has_cursor;
    bool has_value; /* elements come in pairs */
} types[] = {
    {"string", 's', "GET", false, false},  {"hash", 'h', "HSCAN", true, true},
    {"list", 'l', "LRANGE", false, false}, {"set", 'S', "SSCAN", true, false},
    {"zset", 'z', "ZSCAN", true, true},
};

struct job {
    const struct type *type;
    const char *key;
    size_t key_len;
    char at[24]; /* cursor or index that the command asks for */
    char to[24]; /* LRANGE: last index */
    struct rds_arg argv[5];
};

static int malformed(const struct scan *s)
{
    return rds_fail(s->rds, -EIO, "malformed answer to a scan");
}

static void ask_from(struct job *j, const char *at)
{
    snprintf(j->at, sizeof(j->at), "%s", at);
    j->argv[0] = RDS_STR(j->type->command);
    j->argv[1] = (struct rds_arg){j->key, j->key_len};
    j->argv[2] = RDS_STR(j->at);
    if (j->type->has_cursor) {
        j->argv[3] = RDS_STR("COUNT");
        j->argv[4] = RDS_STR(PAGE_TEXT);
    } else if (j->type->letter == 'l') {
        snprintf(j->to, sizeof(j->to), "%llu", strtoull(at, NULL, 10) + PAGE - 1);
        j->argv[3] = RDS_STR(j->to);
    }
}

static size_t job_argc(const struct job *j)
{
    return j->type->has_cursor ? 5 : j->type->letter == 'l' ? 4 : 2;
}

static int deliver(const struct scan *s, const struct job *j, const struct rds_reply *field,
                   const struct rds_reply *value)
{
    struct engine_item item = {.key = j->key + s->prefix_len,
                               .key_len = j->key_len - s->prefix_len,
                               .type = j->type->letter,
                               .value = ""};
    const char *data;

    if (field) {
        if (rds_reply_bytes(field, &data, &item.field_len) < 0)
            return malformed(s);
        item.field = data;
    }
    if (value) {
        if (rds_reply_bytes(value, &data, &item.value_len) < 0)
            return malformed(s);
        item.value = data;
    }
    return s->visit(s->ctx, &item);
}

/* Visits the elements of an answer; next[0] is 0 when it was the last page. */
static int take_page(const struct scan *s, const struct job *j, const struct rds_reply *reply,
                     char next[24])
{
    const struct rds_reply *list = reply;
    size_t n, step = j->type->has_value ? 2 : 1, len;
    const char *cursor;
    int rc = 0;

    next[0] = 0;
    if (j->type->letter == 's')
        return rds_reply_is_nil(reply) ? 0 : deliver(s, j, NULL, reply);
    if (rds_reply_array(reply, &n) < 0)
        return malformed(s);
    if (j->type->has_cursor) {
        if (n != 2 || rds_reply_bytes(rds_reply_at(reply, 0), &cursor, &len) < 0 || len >= 24)
            return malformed(s);
        if (len != 1 || *cursor != '0')
            memcpy(next, cursor, len + 1);
        list = rds_reply_at(reply, 1);
        if (rds_reply_array(list, &n) < 0 || n % step)
            return malformed(s);
    } else if (n == PAGE) {
        snprintf(next, 24, "%llu", strtoull(j->at, NULL, 10) + PAGE);
    }
    for (size_t i = 0; i < n && rc >= 0; i += step) {
        const struct rds_reply *first = rds_reply_at(list, i);

        if (j->type->letter == 'l')
            rc = deliver(s, j, NULL, first);
        else
            rc = deliver(s, j, first, step == 2 ? rds_reply_at(list, i + 1) : NULL);
    }
    return rc < 0 ? rc : 0;
}

static int take_rest(const struct scan *s, struct job *j, const char *from)
{
    char next[24];
    int rc = 0;

    snprintf(next, sizeof(next), "%s", from);
    while (rc == 0 && next[0]) {
        struct rds_reply *reply;

        ask_from(j, next);
        rc = rds_command(s->rds, RDS_READS, j->argv, job_argc(j), &reply);
        if (rc == 0) {
            rc = take_page(s, j, reply, next);
            rds_reply_free(reply);
        }
    }
    return rc;
}

/* A key that became another type between two round trips is as good as gone: the next scan sees
 * it.  Everything else is an error. */
static int answer_error(const struct scan *s, const struct rds_reply *reply, bool *is_other_type)
{
    int rc = rds_reply_error(s->rds, reply);

    *is_other_type = rc == -EIO && strstr(rds_error(s->rds), ": WRONGTYPE ");
    return *is_other_type ? 0 : rc;
}

static const struct type *type_of(const struct rds_reply *reply)
{
    const char *name;
    size_t len;

    if (rds_reply_bytes(reply, &name, &len) < 0)
        return NULL;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strlen(types[i].name) == len && !memcmp(types[i].name, name, len))
            return &types[i];
    }
    return NULL; /* "none": gone since; a stream: nothing of a volume */
}

/* Leaves in jobs the keys whose type we know. */
static int ask_types(const struct scan *s, size_t n, struct job *jobs, struct rds_cmd *cmds,
                     struct rds_reply **replies, size_t *count)
{
    int rc = 0;

    *count = 0;
    for (size_t i = 0; i < n; i++) {
        jobs[i].argv[0] = RDS_STR("TYPE");
        jobs[i].argv[1] = (struct rds_arg){jobs[i].key, jobs[i].key_len};
        cmds[i] = (struct rds_cmd){jobs[i].argv, 2};
    }
    rc = rds_pipeline(s->rds, RDS_READS, cmds, n, replies);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++) {
        if (rc == 0)
            rc = rds_reply_error(s->rds, replies[i]);
        jobs[*count].type = rc == 0 ? type_of(replies[i]) : NULL;
        jobs[*count].key = jobs[i].key;
        jobs[*count].key_len = jobs[i].key_len;
        *count += jobs[*count].type != NULL;
        rds_reply_free(replies[i]);
    }
    return rc;
}

/* jobs have the names of n keys. */
static int visit_jobs(const struct scan *s, struct job *jobs, size_t n)
{
    struct rds_cmd *cmds = calloc(n + 1, sizeof(*cmds));
    struct rds_reply **replies = calloc(n + 1, sizeof(*replies));
    size_t count = 0;
    int rc = 0;

    if (!cmds || !replies)
        rc = rds_fail(s->rds, -ENOMEM, "no memory");
    if (rc == 0)
        rc = ask_types(s, n, jobs, cmds, replies, &count);
    if (rc == 0) {
        for (size_t i = 0; i < count; i++) {
            ask_from(&jobs[i], "0");
            cmds[i] = (struct rds_cmd){jobs[i].argv, job_argc(&jobs[i])};
        }
        rc = rds_pipeline(s->rds, RDS_READS, cmds, count, replies);
        if (rc < 0)
            count = 0;
    } else {
        count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        bool is_other_type = false;
        char next[24];

        if (rc == 0)
            rc = answer_error(s, replies[i], &is_other_type);
        if (rc == 0 && !is_other_type) {
            rc = take_page(s, &jobs[i], replies[i], next);
            if (rc == 0 && next[0])
                rc = take_rest(s, &jobs[i], next);
        }
        rds_reply_free(replies[i]);
    }
    free(cmds);
    free(replies);
    return rc;
}

static int visit_names(const struct scan *s, const struct rds_reply *names, size_t n)
{
    struct job *jobs = calloc(n + 1, sizeof(*jobs));
    int rc = jobs ? 0 : rds_fail(s->rds, -ENOMEM, "no memory");

    for (size_t i = 0; i < n && rc == 0; i++) {
        if (rds_reply_bytes(rds_reply_at(names, i), &jobs[i].key, &jobs[i].key_len) < 0 ||
            jobs[i].key_len < s->prefix_len)
            rc = malformed(s);
    }
    if (rc == 0)
        rc = visit_jobs(s, jobs, n);
    free(jobs);
    return rc;
}

static int visit_one(const struct scan *s, const char *prefix, const char *name)
{
    struct buf key = {0};
    struct job job = {0};

    buf_printf(&key, "%s%s", prefix, name);
    int rc = buf_ok(&key);
    if (rc == 0) {
        job.key = (char *)key.data;
        job.key_len = key.len;
        rc = visit_jobs(s, &job, 1);
    }
    buf_free(&key);
    return rc;
}

/* prefix + pattern, the prefix taken literally. */
static void make_pattern(const char *prefix, const char *pattern, struct buf *out)
{
    for (; *prefix; prefix++) {
        if (strchr("*?[]\\^", *prefix))
            buf_add(out, "\\", 1);
        buf_add(out, prefix, 1);
    }
    buf_add(out, pattern, strlen(pattern));
}

int engine_redis_scan(struct engine *e, const char *pattern, engine_visit visit, void *ctx)
{
    const char *prefix = rds_keys(engine_rds(e))->prefix;
    struct scan s = {engine_rds(e), visit, ctx, strlen(prefix)};
    struct buf match = {0};
    char cursor[24] = "0";
    int rc;

    if (!strpbrk(pattern, "*?[]\\^"))
        return visit_one(&s, prefix, pattern);
    make_pattern(prefix, pattern, &match);
    rc = buf_ok(&match);
    while (rc == 0) {
        const struct rds_arg argv[] = {RDS_STR("SCAN"),  RDS_STR(cursor),
                                       RDS_STR("MATCH"), {match.data, match.len},
                                       RDS_STR("COUNT"), RDS_STR(PAGE_TEXT)};
        struct rds_reply *reply;
        const char *next;
        size_t n, len;

        rc = rds_command(s.rds, RDS_READS, argv, 6, &reply);
        if (rc < 0)
            break;
        if (rds_reply_array(reply, &n) < 0 || n != 2 ||
            rds_reply_bytes(rds_reply_at(reply, 0), &next, &len) < 0 || len >= sizeof(cursor) ||
            rds_reply_array(rds_reply_at(reply, 1), &n) < 0) {
            rc = malformed(&s);
        } else {
            memcpy(cursor, next, len + 1);
            rc = n ? visit_names(&s, rds_reply_at(reply, 1), n) : 0;
        }
        rds_reply_free(reply);
        if (!strcmp(cursor, "0"))
            break;
    }
    buf_free(&match);
    return rc;
}
