/*
 * fsck_count.c - the volume's counters and the statistics of directories against a full count.
 */
#include "tools/fsck.h"

#include <stdio.h>

static uint64_t usage(const struct f_inode *i)
{
    return usage_of_length(i->type == TYPE_FILE ? i->length : 0);
}

static void compare(struct fsck *f, enum counter_id which, const char *name, int64_t want)
{
    int64_t have = f->has_counter[which] ? f->counter[which] : 0;
    if (have != want)
        fsck_find(f, FIND_COUNTER, "%s is %lld, counted: %lld", name, (long long)have,
                  (long long)want);
}

/* Ids at or below a counter were handed out; one above it will be given to two. */
static void not_below(struct fsck *f, enum counter_id which, const char *name, uint64_t highest)
{
    int64_t have = f->has_counter[which] ? f->counter[which] : 0;
    if (have < 0 || (uint64_t)have < highest)
        fsck_find(f, FIND_COUNTER, "%s is %lld, but %llu is in use: it would be given again", name,
                  (long long)have, (unsigned long long)highest);
}

void fsck_counters(struct fsck *f)
{
    uint64_t space = 0, count = 0, inode = 0, trash = 0, slice = 0;

    for (size_t n = 0; n < f->inodes.len; n++) {
        const struct f_inode *i = vec_at(&f->inodes, n);
        if (i->ino < INO_TRASH && i->ino > inode && i->ino > INO_ROOT)
            inode = i->ino;
        if (i->ino > INO_TRASH && i->ino - INO_TRASH > trash)
            trash = i->ino - INO_TRASH;
        if (i->ino == INO_ROOT || i->ino == INO_TRASH)
            continue;
        count++;
        space += usage(i);
    }
    for (size_t n = 0; n < f->refs.len; n++) {
        const struct f_ref *r = vec_at(&f->refs, n);
        if (r->id > slice)
            slice = r->id;
    }
    compare(f, TOTAL_INODES, "totalInodes", (int64_t)count);
    if (!f->incomplete_attrs)
        compare(f, USED_SPACE, "usedSpace", (int64_t)space);
    not_below(f, NEXT_INODE, "nextinode", inode);
    not_below(f, NEXT_CHUNK, "nextchunk", slice);
    not_below(f, NEXT_TRASH, "nextTrash", trash);
}

/* --- directories ------------------------------------------------------------------------------ */

static void compare_stats(struct fsck *f, uint64_t dir, const int64_t sum[3])
{
    static const char *const names[] = {"dirDataLength", "dirUsedSpace", "dirUsedInodes"};

    for (uint64_t which = 0; which < 3; which++) {
        struct f_pair key = {.ino = dir, .other = which};
        const struct f_pair *have = vec_find(&f->stats, &key, by_pair);
        /* An absent one is counted by stock when it is needed. */
        if (have != NULL && have->value != sum[which])
            fsck_find(f, FIND_DIR_STATS, "%s: %s is %lld, counted: %lld", fsck_label(f, dir),
                      names[which], (long long)have->value, (long long)sum[which]);
    }
}

void fsck_dir_stats(struct fsck *f)
{
    size_t at = 0;

    if (!f->vol->set.dir_stats)
        return;
    /* Both are sorted by the directory's inode. */
    for (size_t n = 0; n < f->inodes.len; n++) {
        const struct f_inode *dir = vec_at(&f->inodes, n);
        int64_t sum[3] = {0};
        for (; at < f->entries.len; at++) {
            const struct f_entry *e = vec_at(&f->entries, at);
            if (e->parent > dir->ino)
                break;
            const struct f_inode *i = e->parent == dir->ino ? fsck_inode(f, e->ino) : NULL;
            if (i == NULL)
                continue;
            sum[0] += i->type == TYPE_FILE ? (int64_t)i->length : 0;
            sum[1] += (int64_t)usage(i);
            sum[2]++;
        }
        if (dir->type == TYPE_DIRECTORY && dir->ino != INO_TRASH)
            compare_stats(f, dir->ino, sum);
    }
}
