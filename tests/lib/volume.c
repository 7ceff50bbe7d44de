/*
 * volume.c - metadata of a volume for core tests.
 */
#include "tests/lib/volume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fatal(const char *what, const char *why)
{
    fprintf(stderr, "test volume: %s: %s\n", what, why);
    exit(99);
}

struct setting volume_setting(const char *bucket, int trash_days)
{
    struct setting v = {.name = VOLUME_NAME,
                        .uuid = VOLUME_UUID,
                        .storage = "file",
                        .compression = "none",
                        .block_kib = 4096,
                        .dir_stats = true,
                        .trash_days = trash_days,
                        .meta_version = 1,
                        .min_client = "1.1.0-A"};

    snprintf(v.bucket, sizeof(v.bucket), "%s", bucket);
    return v;
}

static struct buf json_of(const struct setting *v)
{
    struct buf json = {0};

    if (setting_print(v, &json) < 0)
        fatal("setting", "cannot be printed");
    return json;
}

int volume_format_at(const char *url, const struct setting *v, char *err, size_t errlen)
{
    struct buf json = json_of(v);
    struct engine *e = NULL;
    int rc = engine_open(url, &e, err, errlen);

    if (rc == 0)
        rc = e->ops->format(e, &json, v->trash_days > 0);
    if (rc < 0 && e != NULL)
        snprintf(err, errlen, "%s", e->ops->error(e));
    if (e != NULL)
        e->ops->close(e);
    buf_free(&json);
    return rc;
}

void volume_format(struct server *s, int db, const struct setting *v)
{
    char err[512];

    if (volume_format_at(server_url(s, db), v, err, sizeof(err)) < 0)
        fatal("format", err);
}

void volume_set(struct server *s, int db, const struct setting *v, const char *more)
{
    struct buf json = json_of(v);

    if (more) { /* a later member of the same name wins, as in Go */
        while (json.data[json.len - 1] == '\n' || json.data[json.len - 1] == '}')
            json.len--;
        buf_printf(&json, ",\n%s\n}", more);
    }

    server_int(s, "SELECT %d", db);
    server_int(s, "SET setting %b", json.data, json.len);
    server_int(s, "SELECT 0");
    buf_free(&json);
}

struct meta *volume_open(struct server *s, int db, const char *options)
{
    struct meta *m;
    char url[256], err[512];

    snprintf(url, sizeof(url), "%s%s", server_url(s, db), options);
    if (meta_open(url, "/jfs", &m, err, sizeof(err)) < 0)
        fatal("open", err);
    return m;
}
