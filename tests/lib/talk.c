/*
 * talk.c - a conversation of batches, told as often as it takes; see talk.h.
 */
#include "tests/lib/talk.h"

#include "core/base/vec.h"
#include "core/format/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 100 /* failures in a row: then it is not the fault that a test made */

struct line { /* an op with everything that it points to */
    struct op op;
    char path[24], path2[24];
    uint8_t data[ATTR_BYTES + 28];
    bool is_known; /* the answer of the first telling: */
    int code;
    uint64_t ino;
    struct buf extra;
};

struct batch {
    struct line line[TALK_OPS];
    struct op ops[TALK_OPS];
    struct op_result res[TALK_OPS];
    struct engine_pack pack;
    uint32_t applied; /* of the first telling */
    struct engine_request rq;
};

struct talk {
    size_t n;
    struct op_env env;
    struct talk_count count;
    struct batch batch[];
};

/* --- what is said ----------------------------------------------------------------------------- */

static size_t item(uint8_t *out, const struct record *r)
{
    put_be32(out, 0);
    record_encode(r, out + 4);
    return 28;
}

static void make_file(struct line *l, const char *stem, size_t k, uint64_t ino, struct record r)
{
    struct attr a = {.type = TYPE_FILE,
                     .mode = 0644,
                     .nlink = 1,
                     .length = r.len,
                     .parent = INO_ROOT,
                     .atime = l->op.now,
                     .mtime = l->op.now,
                     .ctime = l->op.now};

    l->op.kind = OP_MAKE;
    l->op.ino = ino;
    snprintf(l->path, sizeof l->path, "%s%zu", stem, k);
    attr_encode(&a, l->data);
    l->op.data_len = (uint32_t)(ATTR_BYTES + item(l->data + ATTR_BYTES, &r));
}

/* Two files that share a slice; a directory, whose name is taken after the first; a record more for
 * the first file of the batch before; its second file removed; the own first one renamed. */
static void draw(struct batch *b, size_t k)
{
    struct line *l = b->line;
    uint64_t slice = 5000 + k, ino = 1000 + 2 * k;

    for (size_t i = 0; i < TALK_OPS; i++)
        l[i].op = (struct op){.base = INO_ROOT, .now = {1754000000 + (int64_t)k, 7}};
    make_file(&l[0], "f", k, ino, (struct record){.id = slice, .size = 300, .len = 100});
    make_file(&l[1], "g", k, ino + 1,
              (struct record){.id = slice, .size = 300, .off = 100, .len = 200});
    l[2].op.kind = OP_MKDIR;
    l[2].op.ino = 3000 + k;
    l[2].op.mode = 0755;
    strcpy(l[2].path, "dir");
    l[3].op.kind = OP_WRITE;
    l[3].op.base = k > 0 ? ino - 2 : ino;
    l[3].op.mtime = l[3].op.now;
    l[3].op.data_len = (uint32_t)item(
        l[3].data, &(struct record){.pos = 50, .id = 9000 + k, .size = 5000, .len = 5000});
    l[4].op.kind = OP_UNLINK;
    snprintf(l[4].path, sizeof l[4].path, "g%zu", k - 1);
    l[5].op.kind = OP_RENAME;
    l[5].op.base2 = INO_ROOT;
    snprintf(l[5].path, sizeof l[5].path, "f%zu", k);
    snprintf(l[5].path2, sizeof l[5].path2, "h%zu", k);
    for (size_t i = 0; i < TALK_OPS; i++) {
        b->ops[i] = l[i].op;
        b->ops[i].path = l[i].path;
        b->ops[i].path2 = l[i].path2;
        b->ops[i].data = l[i].data;
    }
    b->pack = (struct engine_pack){.id = slice, .size = 300};
}

struct talk *talk_new(size_t batches)
{
    struct talk *t = calloc(1, sizeof *t + batches * sizeof *t->batch);

    if (t == NULL)
        exit(99);
    t->n = batches;
    t->env = (struct op_env){.flags = ENV_DIR_STATS, .skip_dir_mtime_ms = 100, .mount = "/jfs"};
    for (size_t k = 0; k < batches; k++) {
        draw(&t->batch[k], k);
        t->batch[k].rq.board = NULL;
    }
    return t;
}

void talk_free(struct talk *t)
{
    for (size_t k = 0; t != NULL && k < t->n; k++)
        for (size_t i = 0; i < TALK_OPS; i++)
            buf_free(&t->batch[k].line[i].extra);
    free(t);
}

size_t talk_batches(const struct talk *t)
{
    return t->n;
}

/* --- how it is answered ----------------------------------------------------------------------- */

static bool wrong(size_t k, size_t i, const char *what, long long is, long long was)
{
    printf("batch %zu, op %zu: %s is %lld, was %lld\n", k, i, what, is, was);
    return false;
}

static bool judge(struct talk *t, size_t k)
{
    struct batch *b = &t->batch[k];
    bool is_first = b->rq.outcome == BATCH_APPLIED;

    for (size_t i = 0; i < TALK_OPS; i++) {
        struct line *l = &b->line[i];
        const struct op_result *r = &b->res[i];
        if (!l->is_known) {
            if (!is_first)
                return wrong(k, i, "outcome", b->rq.outcome, BATCH_APPLIED);
            l->is_known = true;
            l->code = r->code;
            l->ino = r->ino;
            buf_add(&l->extra, r->extra.data, r->extra.len);
            b->applied = b->pack.applied;
        }
        if (r->code != l->code)
            return wrong(k, i, "code", r->code, l->code);
        if (is_first && r->ino != l->ino)
            return wrong(k, i, "ino", (long long)r->ino, (long long)l->ino);
        if (is_first &&
            (r->extra.len != l->extra.len ||
             (r->extra.len > 0 && memcmp(r->extra.data, l->extra.data, r->extra.len) != 0)))
            return wrong(k, i, "extra", (long long)r->extra.len, (long long)l->extra.len);
    }
    if (is_first && b->pack.applied != b->applied)
        return wrong(k, 0, "applied", b->pack.applied, b->applied);
    return true;
}

static void submit(struct talk *t, struct engine *e, size_t k)
{
    struct batch *b = &t->batch[k];

    b->rq = (struct engine_request){.env = &t->env,
                                    .ops = b->ops,
                                    .n = TALK_OPS,
                                    .res = b->res,
                                    .packs = &b->pack,
                                    .npacks = 1,
                                    .board = TALK_BOARD,
                                    .seq = k + 1};
    e->ops->submit(e, &b->rq);
}

static void forget_answers(struct batch *b)
{
    for (size_t i = 0; i < TALK_OPS; i++)
        op_result_free(&b->res[i]);
}

/* One round: what is on its way, until all is answered or one is not.  *next: the first batch that
 * is not acknowledged. */
static bool round_of(struct talk *t, struct engine *e, const struct talk_way *way, size_t *next,
                     bool *troubled)
{
    size_t sent = *next, most = way->in_flight != 0 ? way->in_flight : 4;
    bool ok = true;
    int rc = 0;

    *troubled = false;
    for (;;) {
        while (!*troubled && ok && sent < t->n && sent < *next + most)
            submit(t, e, sent++);
        struct engine_request *rq = e->ops->complete(e);
        if (rq == NULL)
            break;
        size_t k = (size_t)rq->seq - 1;
        if (rq->rc < 0) {
            t->count.failed++;
            rc = *troubled ? rc : rq->rc;
            *troubled = true;
        } else if (rq->outcome == BATCH_GAP) {
            /* behind a failure it may have gone out on a new connection: then it says nothing */
            if (!*troubled) {
                t->count.gaps++;
                *next = rq->last;
                if (!way->may_lose)
                    ok = wrong(k, 0, "gap, last", (long long)rq->last, (long long)k);
            }
            *troubled = true;
        } else {
            *(rq->outcome == BATCH_APPLIED ? &t->count.applied : &t->count.repeated) += 1;
            ok = ok && judge(t, k);
            if (!*troubled && k == *next) {
                ++*next;
                if (way->acknowledged != NULL)
                    way->acknowledged(way->ctx, k);
            }
        }
        forget_answers(&t->batch[k]);
    }
    if (*troubled && way->trouble != NULL)
        way->trouble(way->ctx, rc);
    return ok;
}

bool talk_deliver(struct talk *t, struct engine *e, const struct talk_way *way)
{
    size_t next = way->from;
    bool troubled;

    for (int tries = 0; tries < TRIES; tries++) {
        size_t was = next;
        if (!round_of(t, e, way, &next, &troubled))
            return false;
        if (!troubled && next == t->n)
            return true;
        tries = next > was ? 0 : tries;
    }
    printf("no progress at batch %zu: %s\n", next, e->ops->error(e));
    return false;
}

struct talk_count talk_count(struct talk *t)
{
    struct talk_count c = t->count;
    t->count = (struct talk_count){0};
    return c;
}

/* --- what is left ----------------------------------------------------------------------------- */

struct keys {
    struct vec lines; /* char * */
    char list[64];
    unsigned index; /* in it */
    uint64_t last;
};

static int keep_key(void *ctx, const struct engine_item *it)
{
    struct keys *k = ctx;
    struct buf b = {0};
    char **line;

    buf_printf(&b, "%.*s %c ", (int)it->key_len, it->key, it->type);
    if (it->type == 'l') {
        k->index = strcmp(k->list, (char *)b.data) == 0 ? k->index + 1 : 0;
        snprintf(k->list, sizeof k->list, "%s", (char *)b.data);
        buf_printf(&b, "%u ", k->index);
    }
    for (size_t i = 0; i < it->field_len; i++)
        buf_printf(&b, "%02x", ((const uint8_t *)it->field)[i]);
    buf_printf(&b, " ");
    for (size_t i = 0; i < it->value_len; i++) {
        bool is_time = it->key_len == 4 && memcmp(it->key, "~seq", 4) == 0 && i >= 8 && i < 16;
        buf_printf(&b, "%02x", is_time ? 0 : ((const uint8_t *)it->value)[i]);
    }
    if (it->key_len == 4 && memcmp(it->key, "~seq", 4) == 0 && it->value_len >= 8)
        k->last = get_be64(it->value);
    line = vec_add(&k->lines);
    if (line == NULL || buf_ok(&b) < 0)
        return -ENOMEM;
    *line = (char *)b.data;
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char *talk_keys(struct engine *e, uint64_t *last)
{
    struct keys k = {.lines = VEC_OF(char *)};
    struct buf all = {0};

    if (e->ops->scan(e, "*", keep_key, &k) < 0) {
        printf("scan: %s\n", e->ops->error(e));
        exit(99);
    }
    vec_sort(&k.lines, by_text);
    for (size_t i = 0; i < k.lines.len; i++) {
        char **line = vec_at(&k.lines, i);
        buf_printf(&all, "%s\n", *line);
        free(*line);
    }
    vec_free(&k.lines);
    *last = k.last;
    return (char *)all.data;
}
