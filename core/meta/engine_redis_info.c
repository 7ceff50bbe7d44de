/*
 * engine_redis_info.c - which server it is, and whether it keeps what it acknowledged.
 */
#include "core/meta/engine_redis.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* The value of a line `name:value` of INFO's answer; its length, 0: there is none. */
static size_t info_value(const char *text, size_t len, const char *name, const char **value)
{
    const char *at = memmem(text, len, name, strlen(name));

    if (at == NULL || (at > text && at[-1] != '\n'))
        return 0;
    at += strlen(name);
    *value = at;
    size_t left = len - (size_t)(at - text), n = 0;
    while (n < left && at[n] != '\r' && at[n] != '\n')
        n++;
    return n;
}

/* everysec, always, no; or nothing where CONFIG is not for this user */
static void add_fsync(struct rds *r, struct buf *out)
{
    const struct rds_arg argv[] = {RDS_STR("CONFIG"), RDS_STR("GET"), RDS_STR("appendfsync")};
    struct rds_reply *reply;
    const char *text;
    size_t n;

    if (rds_command(r, RDS_READS, argv, 3, &reply) < 0) {
        buf_printf(out, "on");
        return;
    }
    if (rds_reply_array(reply, &n) == 0 && n == 2 &&
        rds_reply_bytes(rds_reply_at(reply, 1), &text, &n) == 0)
        buf_printf(out, "%.*s", (int)n, text);
    rds_reply_free(reply);
}

int engine_redis_describe(struct engine *e, struct buf *out)
{
    const struct rds_arg argv[] = {RDS_STR("INFO")};
    struct rds *r = engine_rds(e);
    struct rds_reply *reply;
    const char *text, *value;
    size_t len, n;
    bool has_aof = false;

    int rc = rds_command(r, RDS_READS, argv, 1, &reply);
    if (rc < 0)
        return rc;
    if (rds_reply_bytes(reply, &text, &len) < 0)
        rc = rds_fail(r, -EIO, "malformed answer to INFO");
    if (rc == 0) {
        if ((n = info_value(text, len, "valkey_version:", &value)) > 0)
            buf_printf(out, "Valkey %.*s", (int)n, value);
        else if ((n = info_value(text, len, "redis_version:", &value)) > 0)
            buf_printf(out, "Redis %.*s", (int)n, value);
        else
            buf_printf(out, "Redis");
        n = info_value(text, len, "aof_enabled:", &value);
        has_aof = n == 1 && *value == '1';
        buf_printf(out, n == 0 ? ", AOF unknown" : has_aof ? ", AOF " : ", AOF off");
    }
    rds_reply_free(reply);
    if (rc == 0 && has_aof)
        add_fsync(r, out);
    return rc < 0 ? rc : buf_ok(out);
}
