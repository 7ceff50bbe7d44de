/*
 * script.c - runs the dispatcher by its SHA1, loading it into a server that lacks it.
 *
 * The text is part of the library, so its SHA1 is its version: scripts of other versions may lie in
 * the same server and are never met.
 */
#include "core/redis/rds_internal.h"

#include "core/redis/lua_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_BEFORE 4 /* EVALSHA sha 1 key */

int rds_script_load(struct rds *r)
{
    const struct rds_arg argv[] = {RDS_STR("SCRIPT"), RDS_STR("LOAD"), RDS_STR(lua_dispatch_text)};
    struct rds_reply *reply;
    const char *sha;
    size_t len;

    /* Loading twice does no harm, so it may be repeated like a read. */
    r->is_loading = true;
    int rc = rds_command(r, RDS_READS, argv, 3, &reply);
    r->is_loading = false;
    if (rc < 0)
        return rc;
    rc = rds_reply_bytes(reply, &sha, &len);
    if (rc == 0 && (len != strlen(lua_dispatch_sha1) || memcmp(sha, lua_dispatch_sha1, len)))
        rc = rds_fail(r, -EIO, "the server stored another script than was sent");
    rds_reply_free(reply);
    r->has_script = rc == 0;
    return rc;
}

bool rds_is_unknown_script(const struct rds_reply *reply)
{
    const char *text = rds_reply_text(reply);

    return text && !strncmp(text, "NOSCRIPT", 8);
}

void rds_script_format(struct rds *r, struct buf *out, const struct rds_arg *argv, size_t argc)
{
    char key[KEY_MAX];
    size_t len = key_plain(&r->keys, "setting", key), all = strlen(lua_dispatch_sha1) + 2 * KEY_MAX;

    for (size_t i = 0; i < argc; i++)
        all += argv[i].len + 32; /* its length in decimal, and line ends */
    buf_room(out, all);
    buf_printf(out, "*%zu\r\n", argc + ARGS_BEFORE);
    rds_format_args(out,
                    (struct rds_arg[]){
                        RDS_STR("EVALSHA"), RDS_STR(lua_dispatch_sha1), RDS_STR("1"), {key, len}},
                    ARGS_BEFORE);
    rds_format_args(out, argv, argc);
}

int rds_script(struct rds *r, enum rds_effect effect, const struct rds_arg *argv, size_t argc,
               struct rds_reply **out)
{
    struct rds_arg few[16], *all = few;
    struct rds_reply *reply = NULL;
    char key[KEY_MAX];
    int rc;

    *out = NULL;
    if (argc + ARGS_BEFORE > sizeof(few) / sizeof(few[0]))
        all = malloc((argc + ARGS_BEFORE) * sizeof(*all));
    if (!all)
        return rds_fail(r, -ENOMEM, "no memory for the request");
    all[0] = RDS_STR("EVALSHA");
    all[1] = RDS_STR(lua_dispatch_sha1);
    all[2] = RDS_STR("1");
    all[3] = (struct rds_arg){key, key_plain(&r->keys, "setting", key)};
    memcpy(all + ARGS_BEFORE, argv, argc * sizeof(*argv));

    const struct rds_cmd cmd = {all, argc + ARGS_BEFORE};
    rc = rds_pipeline(r, effect, &cmd, 1, &reply);
    if (rc == 0 && rds_is_unknown_script(reply)) {
        rds_reply_free(reply);
        reply = NULL;
        rc = rds_script_load(r);
        if (rc == 0)
            rc = rds_pipeline(r, effect, &cmd, 1, &reply);
    }
    if (rc == 0)
        rc = rds_reply_error(r, reply);
    if (rc == 0) {
        r->has_script = true;
        *out = reply;
    } else {
        rds_reply_free(reply);
    }
    if (all != few)
        free(all);
    return rc;
}
