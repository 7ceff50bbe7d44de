/*
 * reply.c - answers of the server: type-checked access, and the one table from its errors to errno.
 *
 * A struct rds_reply is a redisReply under another name, so that hiredis stays in this folder.
 */
#include "core/redis/rds_internal.h"

#include <errno.h>
#include <string.h>

/* The first row whose text begins the message wins.  Rows are also looked for inside an "ERR ..."
 * text, where servers before 7 wrap what a command said to a script.  No ENOENT or the like: a
 * program would take it for a fact about its file. */
static const struct {
    const char *text;
    int rc;
    bool retry;
} table[] = {
    {"LOADING ", -EAGAIN, true},
    {"BUSY ", -EAGAIN, true},
    {"MASTERDOWN ", -EAGAIN, true},
    {"ERR max number of clients", -EAGAIN, true},
    {"OOM ", -ENOSPC, false},
    {"READONLY ", -EROFS, false},
    {"MISCONF ", -EROFS, false}, /* it cannot save, and refuses writes until it can */
    {"NOREPLICAS ", -EROFS, false},
    {"NOAUTH ", -EACCES, false},
    {"WRONGPASS ", -EACCES, false},
    {"NOPERM ", -EACCES, false},
    {"ERR invalid password", -EACCES, false}, /* before 6.0 */
    {"MOVED ", -ENOTSUP, false},
    {"ASK ", -ENOTSUP, false},
    {"TRYAGAIN ", -ENOTSUP, false},
    {"CROSSSLOT ", -ENOTSUP, false},
    {"CLUSTERDOWN ", -ENOTSUP, false},
    {"ERR SELECT is not allowed in cluster mode", -ENOTSUP, false},
    {"ERR Script attempted to access a non local key in a cluster", -ENOTSUP, false},
    {"ERR Script attempted to access keys that do not hash to the same slot", -ENOTSUP, false},
    {"ERR DB index is out of range", -EINVAL, false},
    {"WRONGTYPE ", -EIO, false},
    {"NOVOLUME ", -ENODATA, false}, /* our own: lua/op_batch.lua */
};

static const redisReply *inner(const struct rds_reply *r)
{
    return (const redisReply *)r;
}

/* Only one-word codes are looked for inside a text: they are followed by their own space. */
static bool has_code(const char *text, const char *code)
{
    const char *at = strncmp(code, "ERR ", 4) ? strstr(text, code) : NULL;

    return at && at > text && (at[-1] == ' ' || at[-1] == '-');
}

int rds_text_errno(const char *text, bool *retry)
{
    size_t n = sizeof(table) / sizeof(table[0]);

    *retry = false;
    for (size_t i = 0; i < n; i++) {
        if (!strncmp(text, table[i].text, strlen(table[i].text))) {
            *retry = table[i].retry;
            return table[i].rc;
        }
    }
    /* Inside a script something may have been done before: never "retry". */
    for (size_t i = 0; i < n && !strncmp(text, "ERR ", 4); i++) {
        if (has_code(text, table[i].text))
            return table[i].rc;
    }
    return -EIO;
}

const char *rds_reply_text(const struct rds_reply *r)
{
    return inner(r)->type == REDIS_REPLY_ERROR ? inner(r)->str : NULL;
}

int rds_reply_error(struct rds *r, const struct rds_reply *reply)
{
    const char *text = rds_reply_text(reply);
    bool retry;

    if (!text)
        return 0;
    int rc = rds_text_errno(text, &retry);
    if (rc == -ENOTSUP)
        return rds_fail(r, rc, "the server is part of a Redis Cluster, which is not built in yet");
    return rds_fail(r, rc, "%s", text);
}

void rds_reply_free(struct rds_reply *r)
{
    if (r)
        freeReplyObject(r);
}

bool rds_reply_is_nil(const struct rds_reply *r)
{
    return inner(r)->type == REDIS_REPLY_NIL;
}

int rds_reply_int(const struct rds_reply *r, int64_t *out)
{
    if (inner(r)->type != REDIS_REPLY_INTEGER)
        return -EIO;
    *out = inner(r)->integer;
    return 0;
}

int rds_reply_bytes(const struct rds_reply *r, const char **data, size_t *len)
{
    int type = inner(r)->type;

    if (type != REDIS_REPLY_STRING && type != REDIS_REPLY_STATUS)
        return -EIO;
    *data = inner(r)->str;
    *len = inner(r)->len;
    return 0;
}

int rds_reply_array(const struct rds_reply *r, size_t *count)
{
    if (inner(r)->type != REDIS_REPLY_ARRAY)
        return -EIO;
    *count = inner(r)->elements;
    return 0;
}

const struct rds_reply *rds_reply_at(const struct rds_reply *r, size_t i)
{
    return (const struct rds_reply *)inner(r)->element[i];
}
