/*
 * import_redis.c - a new volume into an empty Redis database: pipelines of plain commands, the
 * setting last.
 */
#include "core/meta/import.h"
#include "core/redis/rds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_ITEMS 1000    /* a round trip */
#define BATCH_BYTES 1000000 /* of keys and values */

struct sink {
    struct rds *rds;
    struct import_batch batch;
    struct buf setting;
    bool has_setting;
    struct rds_cmd cmds[BATCH_ITEMS];
    struct rds_arg args[BATCH_ITEMS][4];
    struct rds_reply *replies[BATCH_ITEMS];
};

/* The command of an item; how many arguments. */
static size_t command(const struct engine_item *it, struct rds_arg argv[4])
{
    struct rds_arg field = {it->field, it->field_len}, value = {it->value, it->value_len};

    argv[1] = (struct rds_arg){it->key, it->key_len};
    switch (it->type) {
    case 's':
        argv[0] = RDS_STR("SET");
        argv[2] = value;
        return 3;
    case 'l':
        argv[0] = RDS_STR("RPUSH");
        argv[2] = value;
        return 3;
    case 'S':
        argv[0] = RDS_STR("SADD");
        argv[2] = field;
        return 3;
    case 'z':
        argv[0] = RDS_STR("ZADD");
        argv[2] = value; /* the score */
        argv[3] = field;
        return 4;
    default:
        argv[0] = RDS_STR("HSET");
        argv[2] = field;
        argv[3] = value;
        return 4;
    }
}

static int flush(struct sink *s)
{
    size_t n = s->batch.places.len;

    for (size_t i = 0; i < n; i++) {
        struct engine_item it = import_batch_at(&s->batch, i);
        s->cmds[i] = (struct rds_cmd){s->args[i], command(&it, s->args[i])};
    }
    int rc = rds_pipeline(s->rds, RDS_CHANGES, s->cmds, n, s->replies);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = rds_reply_error(s->rds, s->replies[i]);
    for (size_t i = 0; i < n; i++) {
        rds_reply_free(s->replies[i]);
        s->replies[i] = NULL;
    }
    import_batch_clear(&s->batch);
    return rc;
}

static int put(void *sink, const struct engine_item *item)
{
    const char *prefix;
    struct sink *s = sink;
    struct engine_item it = *item;
    struct buf key = {0};

    if (item->key_len == strlen("setting") && memcmp(item->key, "setting", item->key_len) == 0) {
        buf_clear(&s->setting);
        buf_add(&s->setting, item->value, item->value_len);
        s->has_setting = true;
        return buf_ok(&s->setting);
    }
    prefix = rds_keys(s->rds)->prefix;
    buf_add(&key, prefix, strlen(prefix));
    buf_add(&key, item->key, item->key_len);
    it.key = (const char *)key.data;
    it.key_len = key.len;
    int rc = buf_ok(&key);
    if (rc == 0)
        rc = import_batch_add(&s->batch, &it);
    buf_free(&key);
    if (rc == 0 && (s->batch.places.len == BATCH_ITEMS || s->batch.bytes.len >= BATCH_BYTES))
        rc = flush(s);
    return rc;
}

static int must_be_empty(struct rds *rds)
{
    struct rds_reply *reply;
    int64_t keys;

    int rc = rds_command(rds, RDS_READS, (struct rds_arg[]){RDS_STR("DBSIZE")}, 1, &reply);
    if (rc < 0)
        return rc;
    rc = rds_reply_int(reply, &keys);
    rds_reply_free(reply);
    if (rc < 0)
        return rds_fail(rds, -EIO, "malformed answer to DBSIZE");
    if (keys != 0)
        return rds_fail(rds, -EEXIST, "the database is not empty: it has %lld keys",
                        (long long)keys);
    return 0;
}

static int put_setting(struct sink *s)
{
    struct rds_reply *reply;
    char key[KEY_MAX];
    size_t len = key_plain(rds_keys(s->rds), "setting", key);

    if (!s->has_setting)
        return rds_fail(s->rds, -EINVAL, "a volume without a setting");
    const struct rds_arg argv[] = {
        RDS_STR("SET"), {key, len}, {s->setting.data, s->setting.len}, RDS_STR("NX")};
    int rc = rds_command(s->rds, RDS_CHANGES, argv, 4, &reply);
    if (rc < 0)
        return rc;
    if (rds_reply_is_nil(reply))
        rc = rds_fail(s->rds, -EEXIST, "another volume was made there meanwhile");
    rds_reply_free(reply);
    return rc;
}

int import_redis(struct rds *rds, engine_fill fill, void *ctx)
{
    int rc = must_be_empty(rds);

    if (rc < 0)
        return rc;
    struct sink *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return rds_fail(rds, -ENOMEM, "no memory");
    s->rds = rds;
    import_batch_init(&s->batch);
    rc = fill(ctx, put, s);
    if (rc == 0)
        rc = flush(s);
    if (rc == 0)
        rc = put_setting(s);
    import_batch_free(&s->batch);
    buf_free(&s->setting);
    free(s);
    return rc;
}
