/*
 * meta_setting.c - the volume's `setting`: read at first use, again when it is old, and what ends
 * the use of a volume.
 */
#include "core/meta/meta_internal.h"

#include "core/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SETTING_FRESH_MS 12000 /* stock's heartbeat (format 1.1) */

static int adopt_setting(struct meta *m, const struct buf *json)
{
    struct kept_setting *fresh;
    char why[512] = "";
    struct buf copy = {0};

    if (m->setting && m->json.len == json->len && !memcmp(m->json.data, json->data, json->len))
        return 0;
    fresh = malloc(sizeof(*fresh));
    buf_add(&copy, json->data, json->len);
    if (!fresh || buf_ok(&copy) < 0) {
        free(fresh);
        buf_free(&copy);
        return meta_fail(m, -ENOMEM, "no memory");
    }
    int rc = setting_parse((const char *)json->data, json->len, &fresh->s, why, sizeof(why));
    if (rc < 0)
        rc = meta_fail(m, -EIO, "`setting` is not that of a JuiceFS volume: %s", why);
    else if (m->setting && strcmp(m->setting->s.uuid, fresh->s.uuid))
        m->dead = rc = meta_fail(m, -EIO, "another volume was formatted here: UUID was %s, is %s",
                                 m->setting->s.uuid, fresh->s.uuid);
    else if ((rc = setting_supported(&fresh->s, why, sizeof(why))) < 0)
        meta_fail(m, rc, "this volume cannot be used: %s", why);
    if (rc < 0) {
        free(fresh);
        buf_free(&copy);
        return rc;
    }
    fresh->older = m->setting;
    m->setting = fresh;
    buf_free(&m->json);
    m->json = copy;
    return 0;
}

/* What it is asked for: *first inodes may come with it, 0: none. */
static int get_setting(struct meta *m, struct buf *json, uint64_t *first)
{
    const struct engine_ops *ops = m->engine->ops;
    int fd, rc = -EIO;

    *first = 0;
    bool both = m->will_make && ops->get_setting_and_inodes != NULL;
    if (both)
        rc = ops->get_setting_and_inodes(m->engine, json, m->engine->id_batch[ID_INODE], first);
    m->will_make = false;
    /* A server that is not there is not asked twice. */
    if (!both || (rc < 0 && ops->fds(m->engine, &fd, 1) > 0))
        rc = ops->get_setting(m->engine, json);
    return rc;
}

static int read_setting(struct meta *m, uint64_t *inodes)
{
    struct buf json = {0};
    int rc = get_setting(m, &json, inodes);

    if (rc == 0) {
        rc = adopt_setting(m, &json);
    } else {
        meta_engine_failed(m, rc);
        if (rc == -ENODATA && m->setting)
            m->dead = meta_fail(m, rc, "the volume was destroyed: `setting` is gone");
    }
    buf_free(&json);
    if (rc == 0)
        m->read_at_ms = clock_mono_ms();
    return rc;
}

/* A server that restarted may have lost the last second: ids of ours that it does not know to be
 * taken would be given to someone else too. */
static void note_reconnect(struct meta *m)
{
    uint32_t epoch = m->engine->ops->epoch(m->engine);

    if (epoch != m->epoch) {
        meta_drop_ids(m);
        m->is_stale = true;
    }
    m->epoch = epoch;
}

int meta_ready(struct meta *m)
{
    if (m->dead) {
        meta_drop_ids(m);
        return m->dead;
    }
    note_reconnect(m);
    if (m->setting && !m->is_stale && clock_mono_ms() - m->read_at_ms < SETTING_FRESH_MS)
        return 0;
    uint64_t inodes;
    int rc = read_setting(m, &inodes);
    note_reconnect(m); /* it may have been the one who connected */
    if (rc == 0 && inodes != 0)
        meta_add_inodes(m, inodes, m->engine->id_batch[ID_INODE]);
    m->is_stale = rc != 0;
    return rc;
}

int meta_setting(struct meta *m, const struct setting **out)
{
    meta_lock(m);
    int rc = meta_ready(m);
    *out = rc == 0 ? &m->setting->s : NULL;
    meta_unlock(m);
    return rc;
}

void meta_setting_stale(struct meta *m)
{
    meta_lock(m);
    m->is_stale = true;
    meta_unlock(m);
}
