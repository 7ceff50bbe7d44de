/*
 * overlay.c - see overlay.h.  Two hash tables: inodes, and entries by (listing, name).
 */
#include "core/meta/overlay.h"

#include "core/base/clock.h"
#include "core/meta/order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 1024u
#define GROWTH        4u
#define NODES_AT_ONCE 64u
#define NODES_MAX     100000u  /* beyond it only directories stay known */
#define ENTRIES_MAX   2000000u /* names, also of listings that are not; beyond it nothing stays */

struct dentry {
    struct dentry *next;
    uint32_t hash;
    uint8_t type, len;
    uint64_t listing, ino, told_ns;
    char name[];
};

struct nodes {
    struct nodes *next;
    struct node node[NODES_AT_ONCE];
};

struct overlay {
    struct board *board;
    struct node **nodes;
    struct dentry **entries;
    size_t node_buckets, entry_buckets, n_nodes, n_entries;
    uint64_t last_listing;
    bool in_call;
    uint64_t now_ns;    /* of the call; 0: not asked for yet */
    struct node *free;  /* to be used again, by `next` */
    struct nodes *made; /* what all of them are in */
};

int overlay_new(struct board *b, struct overlay **out)
{
    struct overlay *o = calloc(1, sizeof(*o));
    if (o != NULL) {
        o->nodes = calloc(FIRST_BUCKETS, sizeof(*o->nodes));
        o->entries = calloc(FIRST_BUCKETS, sizeof(*o->entries));
    }
    if (o == NULL || o->nodes == NULL || o->entries == NULL) {
        if (o != NULL) {
            free(o->nodes);
            free(o->entries);
        }
        free(o);
        return -ENOMEM;
    }
    o->board = b;
    o->node_buckets = o->entry_buckets = FIRST_BUCKETS;
    *out = o;
    return 0;
}

static struct node *new_node(struct overlay *o)
{
    if (o->free == NULL) {
        struct nodes *more = malloc(sizeof(*more));
        if (more == NULL)
            return NULL;
        more->next = o->made;
        o->made = more;
        for (size_t i = NODES_AT_ONCE; i-- > 0; o->free = &more->node[i])
            more->node[i].next = o->free;
    }
    struct node *n = o->free;
    o->free = n->next;
    *n = (struct node){0};
    return n;
}

static void free_node(struct overlay *o, struct node *n)
{
    order_free(n->order);
    free(n->records);
    free(n->target);
    n->next = o->free;
    o->free = n;
}

void overlay_clear(struct overlay *o)
{
    for (size_t i = 0; i < o->node_buckets; i++) {
        for (struct node *n = o->nodes[i], *next; n != NULL; n = next) {
            next = n->next;
            free_node(o, n);
        }
        o->nodes[i] = NULL;
    }
    for (size_t i = 0; i < o->entry_buckets; i++) {
        for (struct dentry *d = o->entries[i], *next; d != NULL; d = next) {
            next = d->next;
            free(d);
        }
        o->entries[i] = NULL;
    }
    o->n_nodes = o->n_entries = 0;
}

void overlay_free(struct overlay *o)
{
    if (o == NULL)
        return;
    overlay_clear(o);
    for (struct nodes *next; o->made != NULL; o->made = next) {
        next = o->made->next;
        free(o->made);
    }
    free(o->nodes);
    free(o->entries);
    free(o);
}

uint64_t overlay_now(struct overlay *o)
{
    if (!o->in_call)
        return clock_mono_ns();
    if (o->now_ns == 0)
        o->now_ns = clock_mono_ns();
    return o->now_ns;
}

void overlay_begin_call(struct overlay *o)
{
    o->in_call = true;
    o->now_ns = 0;
}

void overlay_end_call(struct overlay *o)
{
    o->in_call = false;
}

/* --- nodes ------------------------------------------------------------------------------------ */

/* Inodes are given one after another, so neighbours are also those that are made together. */
static size_t slot_of(uint64_t ino, size_t buckets)
{
    return (size_t)ino & (buckets - 1);
}

static struct node **find_node(struct overlay *o, uint64_t ino)
{
    struct node **at = &o->nodes[slot_of(ino, o->node_buckets)];
    while (*at != NULL && (*at)->ino != ino)
        at = &(*at)->next;
    return at;
}

static void drop_node(struct overlay *o, struct node **at)
{
    struct node *n = *at;
    *at = n->next;
    o->n_nodes--;
    free_node(o, n);
}

struct node *overlay_node(struct overlay *o, uint64_t ino)
{
    struct node **at = find_node(o, ino);
    if (*at != NULL && board_foreign(o->board, ino, (*at)->since))
        drop_node(o, at);
    return *at != NULL && (*at)->ino == ino ? *at : NULL;
}

static void grow_nodes(struct overlay *o)
{
    size_t buckets = o->node_buckets * GROWTH;
    struct node **bigger = calloc(buckets, sizeof(*bigger));
    if (bigger == NULL)
        return; /* slower, not wrong */
    for (size_t i = 0; i < o->node_buckets; i++) {
        for (struct node *n = o->nodes[i], *next; n != NULL; n = next) {
            next = n->next;
            struct node **head = &bigger[slot_of(n->ino, buckets)];
            n->next = *head;
            *head = n;
        }
    }
    free(o->nodes);
    o->nodes = bigger;
    o->node_buckets = buckets;
}

/* A stream of files needs each for a moment only. */
static void forget_files(struct overlay *o)
{
    for (size_t i = 0; i < o->node_buckets; i++) {
        struct node **at = &o->nodes[i];
        while (*at != NULL) {
            if ((*at)->a.type == TYPE_DIRECTORY)
                at = &(*at)->next;
            else
                drop_node(o, at);
        }
    }
}

static void keep_bounded(struct overlay *o)
{
    if (o->n_nodes >= NODES_MAX)
        forget_files(o);
    if (o->n_nodes >= NODES_MAX / 2 + NODES_MAX / 4 || o->n_entries >= ENTRIES_MAX)
        overlay_clear(o);
}

static bool has_same_content(const struct attr *a, const struct attr *b)
{
    return a->mtime.sec == b->mtime.sec && a->mtime.nsec == b->mtime.nsec && a->length == b->length;
}

struct node *overlay_learn(struct overlay *o, uint64_t ino, const struct attr *a, uint64_t since)
{
    struct node *n = overlay_node(o, ino);
    if (n == NULL) {
        if (o->n_nodes >= NODES_MAX || o->n_entries >= ENTRIES_MAX)
            keep_bounded(o);
        if (o->n_nodes >= o->node_buckets)
            grow_nodes(o);
        n = new_node(o);
        if (n == NULL)
            return NULL;
        n->ino = ino;
        n->since = since;
        *find_node(o, ino) = n; /* behind older ones: directories are looked up most */
        o->n_nodes++;
    }
    if (n->records_ns != 0 && !has_same_content(&n->a, a))
        n->records_ns = 0;
    n->a = *a;
    n->told_ns = overlay_now(o);
    return n;
}

void overlay_forget(struct overlay *o, uint64_t ino)
{
    struct node **at = find_node(o, ino);
    if (*at != NULL)
        drop_node(o, at);
}

void overlay_doubt(struct overlay *o, uint64_t dir)
{
    struct node *n = *find_node(o, dir);
    if (n == NULL)
        return;
    n->is_mine = n->is_complete = false;
    n->listing = n->count = n->told_ns = n->listed_ns = 0;
}

void overlay_set_records(struct node *n, const void *records, size_t len)
{
    free(n->records);
    n->records = len > 0 ? malloc(len) : NULL;
    if (n->records != NULL)
        memcpy(n->records, records, len);
    n->records_len = (uint32_t)len;
    n->records_ns = len == 0 || n->records != NULL ? n->told_ns : 0;
}

void overlay_set_target(struct node *n, const char *target, size_t len)
{
    free(n->target);
    n->target = malloc(len + 1);
    if (n->target != NULL) {
        memcpy(n->target, target, len);
        n->target[len] = '\0';
    }
}

/* --- entries ---------------------------------------------------------------------------------- */

/* The last byte is only added, so that numbered names lie side by side. */
static uint32_t hash_name(uint64_t listing, const char *name, size_t len)
{
    uint64_t h = listing * UINT64_C(0x9e3779b97f4a7c15) + len;
    uint8_t last = len > 0 ? (uint8_t)name[--len] : 0;
    for (; len >= 8; name += 8, len -= 8) {
        uint64_t w;
        memcpy(&w, name, 8);
        h = (h ^ w) * UINT64_C(0xff51afd7ed558ccd);
        h ^= h >> 32;
    }
    for (; len > 0; name++, len--)
        h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
    h *= UINT64_C(0xc4ceb9fe1a85ec53);
    return (uint32_t)(h >> 32) + last;
}

static struct dentry **find_entry(struct overlay *o, uint64_t listing, uint32_t hash,
                                  const char *name, size_t len)
{
    struct dentry **at = &o->entries[hash & (o->entry_buckets - 1)];
    while (*at != NULL && ((*at)->hash != hash || (*at)->listing != listing || (*at)->len != len ||
                           memcmp((*at)->name, name, len) != 0))
        at = &(*at)->next;
    return at;
}

enum known overlay_entry(struct overlay *o, const struct node *dir, const char *name, size_t len,
                         uint8_t *type, uint64_t *ino)
{
    struct dentry *d = NULL;
    if (dir->listing != 0 && len <= NAME_LEN_MAX)
        d = *find_entry(o, dir->listing, hash_name(dir->listing, name, len), name, len);
    if (d == NULL)
        return dir->is_complete ? ABSENT : NOT_KNOWN;
    *type = d->type;
    *ino = d->ino;
    return PRESENT;
}

uint64_t overlay_entry_told(struct overlay *o, const struct node *dir, const char *name, size_t len)
{
    if (dir->listing == 0 || len > NAME_LEN_MAX)
        return 0;
    const struct dentry *d =
        *find_entry(o, dir->listing, hash_name(dir->listing, name, len), name, len);
    return d != NULL ? d->told_ns : 0;
}

static void grow_entries(struct overlay *o)
{
    size_t buckets = o->entry_buckets * GROWTH;
    struct dentry **bigger = calloc(buckets, sizeof(*bigger));
    if (bigger == NULL)
        return;
    for (size_t i = 0; i < o->entry_buckets; i++) {
        for (struct dentry *d = o->entries[i], *next; d != NULL; d = next) {
            next = d->next;
            struct dentry **head = &bigger[d->hash & (buckets - 1)];
            d->next = *head;
            *head = d;
        }
    }
    free(o->entries);
    o->entries = bigger;
    o->entry_buckets = buckets;
}

void overlay_start_listing(struct overlay *o, struct node *dir)
{
    dir->listing = ++o->last_listing; /* what was known under the old number is never found again */
    dir->is_complete = false;
    dir->count = 0;
}

void overlay_set_complete(struct overlay *o, struct node *dir)
{
    if (dir->listing == 0)
        overlay_start_listing(o, dir);
    dir->is_complete = true;
    dir->listed_ns = overlay_now(o);
}

bool overlay_add(struct overlay *o, struct node *dir, const char *name, size_t len, uint8_t type,
                 uint64_t ino)
{
    if (dir->listing == 0)
        overlay_start_listing(o, dir);
    uint32_t hash = hash_name(dir->listing, name, len);
    if (o->n_entries >= o->entry_buckets)
        grow_entries(o);
    struct dentry **at = find_entry(o, dir->listing, hash, name, len), *d = *at;
    if (d != NULL) {
        dir->changes += d->type != type || d->ino != ino;
        d->type = type;
        d->ino = ino;
        d->told_ns = overlay_now(o);
        return true;
    }
    d = malloc(sizeof(*d) + len);
    if (d == NULL) {
        dir->is_complete = false;
        return false;
    }
    *d = (struct dentry){
        .listing = dir->listing, .ino = ino, .hash = hash, .type = type, .len = (uint8_t)len};
    d->told_ns = overlay_now(o);
    memcpy(d->name, name, len);
    *at = d;
    o->n_entries++;
    dir->count++;
    dir->changes++;
    return true;
}

void overlay_remove(struct overlay *o, struct node *dir, const char *name, size_t len)
{
    if (dir->listing == 0)
        return;
    struct dentry **at = find_entry(o, dir->listing, hash_name(dir->listing, name, len), name, len);
    struct dentry *d = *at;
    if (d == NULL)
        return;
    *at = d->next;
    o->n_entries--;
    dir->count--;
    dir->changes++;
    free(d);
}
