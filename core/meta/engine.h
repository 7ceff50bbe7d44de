/*
 * engine - the contract of a metadata store: where names and inodes are kept.
 *
 * One engine per open volume and process.  Redis applies ops in a script, LMDB in C; nothing above
 * knows which.  An op is applied whole or not at all, with every counter it touches.
 *
 * Layer:   meta; implementations use redis or lmdb.  Used by meta.c and the tools.
 * Threads: the caller serialises (meta.c holds its lock).
 */
#ifndef JFSPRE_CORE_META_ENGINE_H
#define JFSPRE_CORE_META_ENGINE_H

#include "core/meta/params.h"
#include "core/op/op.h"

#include <stddef.h>
#include <stdint.h>

enum id_kind { ID_INODE, ID_SLICE }; /* counters nextinode, nextchunk (format 4) */

/* One (key, field, value) of the volume for scans.  String: field is NULL.  Hash: field is its
 * name.  List: field is NULL, called once an element in order.  Set and zset: field is the member,
 * value the score or empty.  Borrowed during the call. */
struct engine_item {
    const char *key;
    size_t key_len; /* without the cluster prefix */
    char type;      /* 's' string 'h' hash 'l' list 'S' set 'z' zset */
    const void *field;
    size_t field_len;
    const void *value;
    size_t value_len;
};
typedef int (*engine_visit)(void *ctx, const struct engine_item *item); /* <0 stops the scan */
/* Gives the items of a new volume to put(): elements of a list in order, everything else in any,
 * nothing twice.  What put() answers below 0 is to be returned at once. */
typedef int (*engine_put)(void *sink, const struct engine_item *item);
typedef int (*engine_fill)(void *ctx, engine_put put, void *sink);

/* A slice that several records of one request name: the request publishes all of its records, so
 * its references become exact in the same step (format 6.8). */
struct engine_pack {
    uint64_t id;
    uint32_t size;
    uint32_t applied; /* out: records of it that were published; 0: nothing names it */
};

/* What became of a batch. */
enum engine_outcome {                 /* the scripts say these numbers too */
                      BATCH_APPLIED,  /* now */
                      BATCH_REPEATED, /* it had been before; the codes are those of then, other
                                         results are empty */
                      BATCH_GAP,      /* refused, nothing was done: `last` is not seq - 1 */
};

/* One round trip.  A batch (board != NULL) is applied exactly once: the store keeps, in the step
 * that applies it, the board's last sequence number with the codes that were not 0 (`~seq`, a hash:
 * field = board).  Everything pointed to stays the caller's and in place until complete(). */
struct engine_request {
    const struct op_env *env;
    const struct op *ops;
    size_t n;
    struct op_result *res; /* out: as call() */
    struct engine_pack *packs;
    size_t npacks;
    const char *board;           /* hex, at most 32 characters; NULL: a plain call */
    uint64_t seq;                /* of the board: 1, 2, 3... */
    bool force;                  /* apply it whatever came before (never when seq <= last) */
    int rc;                      /* out: 0, or -errno and the outcome is unknown */
    enum engine_outcome outcome; /* out */
    uint64_t last;               /* out: the board's number before this batch, 0: none known */
    struct engine_request *next; /* the engine's own, like what follows */
    void *way;
};
#define ENGINE_REQUEST_OPS 65535 /* most ops of a request: -E2BIG */
#define ENGINE_BATCH_KEPT  16    /* batches of a board whose codes are kept; older ones: -EIO */

struct engine_traffic {
    uint64_t round_trips; /* LMDB: transactions */
    uint64_t retries;     /* what was sent again */
};

struct engine;
struct engine_ops {
    /* Runs n ops in order, in one round trip; res[i] are the answers, each op_result_free()d by the
     * caller.  0 when every op was answered (its own code may be an error); else -errno and no op's
     * outcome is known. */
    int (*call)(struct engine *e, const struct op_env *env, const struct op *ops, size_t n,
                struct op_result *res);
    /* Sends a request without waiting for its answer; several may be on their way, and the store
     * applies them in this order.  What cannot be sent is told by complete(). */
    void (*submit)(struct engine *e, struct engine_request *rq);
    /* Waits for the answer of the oldest one on its way and returns it (rc, outcome and results
     * set), or NULL: there is none.  A connection that breaks completes all of them with -errno.
     * call(), take_ids() and the like may be used in between: theirs come after. */
    struct engine_request *(*complete)(struct engine *e);
    /* Takes n ids; *first is the lowest (inodes 0 and 1 are never given). */
    int (*take_ids)(struct engine *e, enum id_kind kind, uint32_t n, uint64_t *first);
    /* The text of `setting`; -ENODATA: database not formatted. */
    int (*get_setting)(struct engine *e, struct buf *json);
    /* Both at once, for a process whose first call makes something; NULL: the engine has no cheaper
     * way.  *first is 0 where no inodes came with it.  -errno: to be asked for one by one. */
    int (*get_setting_and_inodes)(struct engine *e, struct buf *json, uint32_t n, uint64_t *first);
    /* What `juicefs format` creates (format 1.2).  -EEXIST: a volume is there. */
    int (*format)(struct engine *e, const struct buf *json, bool trash);
    /* Visits each key whose name matches a glob (without a wildcard: that one), in no order; a key
     * or field may come twice when others change the volume meanwhile. */
    int (*scan)(struct engine *e, const char *pattern, engine_visit visit, void *ctx);
    /* Fills a database that holds nothing: calls fill(ctx, ...) once.  0: the volume is there and
     * synced to disk as far as the store does that.  -EEXIST: the database holds something.  What
     * fill() returned, or -errno: LMDB is left as it was; in Redis what was written stays, but
     * without `setting`, which comes last, so nobody takes it for a volume.  Nobody else may write
     * there meanwhile. */
    int (*import)(struct engine *e, engine_fill fill, void *ctx);
    const char *(*name)(const struct engine *e);  /* the URL without its password */
    const char *(*error)(const struct engine *e); /* "NAME: what failed last", never NULL */
    /* Adds a few words to out: which server and version, and how durable ("Redis 7.0.15, AOF
     * everysec").  0 or -errno. */
    int (*describe)(struct engine *e, struct buf *out);
    /* Descriptors in use, to be kept out of the program's reach: fills up to n, returns how many.
     */
    size_t (*fds)(const struct engine *e, int *fds, size_t n);
    /* Changes when what the store answered before may be lost since: a new connection. */
    uint32_t (*epoch)(const struct engine *e);
    /* What it cost since it was opened. */
    struct engine_traffic (*traffic)(const struct engine *e);
    void (*fd_moved)(struct engine *e, int fresh); /* it was dup'ed there: rds_fd_moved() */
    void (*after_fork)(struct engine *e);
    void (*close)(struct engine *e);
};

struct engine {
    const struct engine_ops *ops;
    uint32_t id_batch[2];       /* ids to take at a time by enum id_kind */
    struct batch_params params; /* from the URL, by engine_open() */
};

/* Picks by the URL's scheme and takes the batching parameters from its query.  -EINVAL or -ENOTSUP
 * with one line in err. */
int engine_open(const char *url, struct engine **out, char *err, size_t errlen);

/* For engine_open(): of a URL without those parameters. */
int engine_redis_open(const char *url, struct engine **out, char *err, size_t errlen);
int engine_lmdb_open(const char *url, struct engine **out, char *err, size_t errlen);

#endif
