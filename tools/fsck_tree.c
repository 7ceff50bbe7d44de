/*
 * fsck_tree.c - names against inodes: every entry leads to an inode, every inode has as many names
 * as it says, under the parents that it says, and every directory leads up to the root.
 *
 * Trash directories (inodes above the trash root) keep nlink 2 and take names of files whose nlink
 * is not lowered, so both count alike (juicefs-format.md 5.9).
 */
#include "tools/fsck.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ULL(x) ((unsigned long long)(x))

static struct f_entry *entry_at(const struct fsck *f, size_t i)
{
    return vec_at(&f->entries, i);
}

static struct f_inode *inode_at(const struct fsck *f, size_t i)
{
    return vec_at(&f->inodes, i);
}

/* --- labels ----------------------------------------------------------------------------------- */

#define LABEL_BYTES 5000

const char *fsck_label(const struct fsck *f, uint64_t ino)
{
    static char text[2][LABEL_BYTES];
    static unsigned turn;
    char *out = text[turn++ % 2];
    char name[4 * NAME_LEN_MAX + 1];
    char tail[40];
    size_t at = LABEL_BYTES - sizeof tail;

    int n = snprintf(tail, sizeof tail, " (inode %llu)", ULL(ino));
    memcpy(out + at, tail, (size_t)n + 1);
    if (ino == INO_ROOT) {
        out[--at] = '/';
        return out + at;
    }
    for (uint64_t up = ino; up != INO_ROOT;) {
        const struct f_inode *i = fsck_inode(f, up);
        if (up == INO_TRASH) {
            memcpy(out + (at -= 7), "/.trash", 7);
            break;
        }
        if (i == NULL || i->names == 0 || i->entry >= f->entries.len) {
            if (up == ino)
                return out + at + 1; /* nothing but the number */
            memcpy(out + (at -= 3), "...", 3);
            break;
        }
        const struct f_entry *e = entry_at(f, i->entry);
        text_name(f->names.data + e->name, e->name_len, name, sizeof name);
        size_t len = strlen(name);
        if (at < len + 5) {
            memcpy(out + (at -= 3), "...", 3);
            break;
        }
        memcpy(out + (at -= len), name, len);
        out[--at] = '/';
        up = e->parent;
    }
    return out + at;
}

/* --- counting --------------------------------------------------------------------------------- */

/* An inode's first entry names it. */
static void name_inode(struct f_inode *i, size_t index)
{
    if (i->names++ == 0)
        i->entry = (uint32_t)index;
}

void fsck_name_inodes(struct fsck *f)
{
    for (size_t n = 0; n < f->entries.len; n++) {
        struct f_inode *i = fsck_inode(f, entry_at(f, n)->ino);
        if (i != NULL)
            name_inode(i, n);
    }
}

static void check_entry(struct fsck *f, size_t index)
{
    struct f_entry *e = entry_at(f, index);
    struct f_inode *i = fsck_inode(f, e->ino), *dir = fsck_inode(f, e->parent);
    char name[600];

    text_name(f->names.data + e->name, e->name_len, name, sizeof name);
    if (dir != NULL && e->type == TYPE_DIRECTORY)
        dir->subdirs++;
    if (i == NULL) {
        fsck_find(f, FIND_DANGLING, "%s: %s leads to inode %llu, which is not there",
                  fsck_label(f, e->parent), name, ULL(e->ino));
        return;
    }
    name_inode(i, index);
    if (i->type != 0 && i->type != e->type)
        fsck_find(f, FIND_TYPE, "%s: %s is a %s by its entry and a %s by its inode %llu",
                  fsck_label(f, e->parent), name, text_type(e->type), text_type(i->type),
                  ULL(e->ino));
}

/* Names in a directory that is none; said once a directory (entries are sorted by it). */
static void check_directories_of_entries(struct fsck *f)
{
    uint64_t last = 0;

    for (size_t n = 0; n < f->entries.len; n++) {
        uint64_t dir = entry_at(f, n)->parent;
        if (dir == last)
            continue;
        last = dir;
        const struct f_inode *i = fsck_inode(f, dir);
        if (i == NULL)
            fsck_find(f, FIND_DANGLING, "d%llu has names, but there is no inode %llu", ULL(dir),
                      ULL(dir));
        else if (i->type != 0 && i->type != TYPE_DIRECTORY)
            fsck_find(f, FIND_TYPE, "%s is a %s and has names in it", fsck_label(f, dir),
                      text_type(i->type));
    }
}

/* --- inodes ----------------------------------------------------------------------------------- */

static bool in_trash(uint64_t ino)
{
    return ino >= INO_TRASH;
}

static void check_directory(struct fsck *f, const struct f_inode *i)
{
    if (i->length != 4096)
        fsck_find(f, FIND_DIR_LENGTH, "%s: a directory of length %llu (4096 expected)",
                  fsck_label(f, i->ino), ULL(i->length));
    if (!in_trash(i->ino) && !i->detached && i->nlink != 2 + i->subdirs)
        fsck_find(f, FIND_NLINK, "%s: nlink is %u, with %u subdirectories it should be %u",
                  fsck_label(f, i->ino), i->nlink, i->subdirs, 2 + i->subdirs);
    if (i->ino == INO_ROOT || i->ino == INO_TRASH) {
        if (i->parent != INO_ROOT)
            fsck_find(f, FIND_PARENT, "%s: parent is %llu, not 1", fsck_label(f, i->ino),
                      ULL(i->parent));
        if (i->names > 0)
            fsck_find(f, FIND_LOOP, "%s has a name in %s", fsck_label(f, i->ino),
                      fsck_label(f, entry_at(f, i->entry)->parent));
        return;
    }
    if (i->names > 1)
        fsck_find(f, FIND_NLINK, "%s: a directory with %u names", fsck_label(f, i->ino), i->names);
    if (i->names > 0 && entry_at(f, i->entry)->parent != i->parent)
        fsck_find(f, FIND_PARENT, "%s: parent is %llu, but its name is in %llu",
                  fsck_label(f, i->ino), ULL(i->parent), ULL(entry_at(f, i->entry)->parent));
}

static void check_other(struct fsck *f, const struct f_inode *i)
{
    if (i->names > 0 && i->nlink != i->names)
        fsck_find(f, FIND_NLINK, "%s: nlink is %u, names found: %u", fsck_label(f, i->ino),
                  i->nlink, i->names);
    if (i->names == 1 && i->parent != 0 && entry_at(f, i->entry)->parent != i->parent)
        fsck_find(f, FIND_PARENT, "%s: parent is %llu, but its name is in %llu",
                  fsck_label(f, i->ino), ULL(i->parent), ULL(entry_at(f, i->entry)->parent));
    if (i->names > 1 && i->parent != 0)
        fsck_find(f, FIND_PARENT, "%s: %u names, but one parent (%llu) and no list of parents",
                  fsck_label(f, i->ino), i->names, ULL(i->parent));
    if (i->type != TYPE_SYMLINK)
        return;
    struct f_pair key = {.ino = i->ino};
    const struct f_pair *target = vec_find(&f->symlinks, &key, by_first);
    if (target == NULL)
        fsck_find(f, FIND_SYMLINK, "%s: a symlink without a target", fsck_label(f, i->ino));
    else if (target->other != i->length)
        fsck_find(f, FIND_SYMLINK, "%s: length is %llu, the target has %llu bytes",
                  fsck_label(f, i->ino), ULL(i->length), ULL(target->other));
}

static void check_inode(struct fsck *f, const struct f_inode *i)
{
    if (i->names == 0 && !i->detached && i->ino != INO_ROOT && i->ino != INO_TRASH &&
        !(i->sustained && i->nlink == 0))
        fsck_find(f, FIND_ORPHAN, "inode %llu: a %s that no name leads to (nlink %u)", ULL(i->ino),
                  text_type(i->type), i->nlink);
    if (i->sustained && (i->nlink > 0 || i->names > 0))
        fsck_find(f, FIND_SUSTAINED,
                  "%s: has names and is listed as removed but open: it goes with the session",
                  fsck_label(f, i->ino));
    struct f_pair key = {.ino = i->ino};
    if (vec_find(&f->removed, &key, by_first) != NULL)
        fsck_find(f, FIND_DELFILES, "%s: is there and its data is listed for deletion",
                  fsck_label(f, i->ino));
    if (i->type == TYPE_DIRECTORY)
        check_directory(f, i);
    else if (i->type != 0)
        check_other(f, i);
}

/* --- the hashes of parents -------------------------------------------------------------------- */

/* For inodes with Parent 0: names by directory, counted. */
static void count_parents(struct fsck *f, struct vec *out)
{
    for (size_t n = 0; n < f->entries.len; n++) {
        const struct f_entry *e = entry_at(f, n);
        const struct f_inode *i = fsck_inode(f, e->ino);
        if (i == NULL || i->type == 0 || i->type == TYPE_DIRECTORY || i->parent != 0)
            continue;
        struct f_pair *p = vec_add(out);
        if (p == NULL) {
            f->no_memory = true;
            return;
        }
        *p = (struct f_pair){e->ino, e->parent, 1};
    }
    vec_sort(out, by_pair);
    size_t kept = 0;
    for (size_t n = 0; n < out->len; n++) {
        struct f_pair p = *(struct f_pair *)vec_at(out, n);
        struct f_pair *last = kept > 0 ? vec_at(out, kept - 1) : NULL;
        if (last != NULL && by_pair(last, &p) == 0)
            last->value++;
        else
            *(struct f_pair *)vec_at(out, kept++) = p;
    }
    out->len = kept;
}

static void check_parents(struct fsck *f)
{
    struct vec real = VEC_OF(struct f_pair);

    count_parents(f, &real);
    for (size_t n = 0; n < real.len; n++) {
        const struct f_pair *want = vec_at(&real, n), *have = vec_find(&f->parents, want, by_pair);
        if (have == NULL || have->value != want->value)
            fsck_find(f, FIND_PARENT, "%s: %lld names in inode %llu, p%llu says %lld",
                      fsck_label(f, want->ino), (long long)want->value, ULL(want->other),
                      ULL(want->ino), have != NULL ? (long long)have->value : 0);
    }
    for (size_t n = 0; n < f->parents.len; n++) {
        const struct f_pair *have = vec_at(&f->parents, n);
        const struct f_inode *i = fsck_inode(f, have->ino);
        if (i == NULL)
            fsck_find(f, FIND_LEAK, "p%llu: parents of an inode that is not there", ULL(have->ino));
        else if (i->parent == 0 && have->value > 0 && vec_find(&real, have, by_pair) == NULL)
            fsck_find(f, FIND_PARENT, "%s: p%llu says %lld names in inode %llu, there are none",
                      fsck_label(f, have->ino), ULL(have->ino), (long long)have->value,
                      ULL(have->other));
    }
    vec_free(&real);
}

/* --- ways up ---------------------------------------------------------------------------------- */

enum { ON_THE_WAY = 1, REACHED = 2 };

static void check_way_up(struct fsck *f, struct f_inode *start)
{
    struct f_inode *i = start;

    while (i != NULL && i->reached == 0 && i->names > 0) {
        i->reached = ON_THE_WAY;
        i = fsck_inode(f, entry_at(f, i->entry)->parent);
    }
    if (i != NULL && i->reached == ON_THE_WAY)
        fsck_find(f, FIND_LOOP, "%s: a directory below itself, out of reach",
                  fsck_label(f, i->ino));
    /* What ends elsewhere is said there: an orphan, or names in no directory. */
    for (i = start; i != NULL && i->reached == ON_THE_WAY;
         i = fsck_inode(f, entry_at(f, i->entry)->parent))
        i->reached = REACHED;
}

/* --- things that belong to no inode ----------------------------------------------------------- */

static void check_leaks(struct fsck *f)
{
    for (size_t n = 0; n < f->symlinks.len; n++) {
        const struct f_pair *p = vec_at(&f->symlinks, n);
        if (fsck_inode(f, p->ino) == NULL)
            fsck_find(f, FIND_LEAK, "s%llu: target of a symlink that is not there", ULL(p->ino));
    }
    for (size_t n = 0; n < f->xattrs.len; n++) {
        const struct f_pair *p = vec_at(&f->xattrs, n);
        if (fsck_inode(f, p->ino) == NULL)
            fsck_find(f, FIND_LEAK, "x%llu: attributes of an inode that is not there", ULL(p->ino));
    }
    for (size_t n = 0; n < f->sustained.len; n++) {
        const struct f_pair *p = vec_at(&f->sustained, n);
        struct f_pair key = {.ino = p->other};
        if (vec_find(&f->sessions, &key, by_first) == NULL)
            fsck_find(f, FIND_LEAK, "session%llu: holds inode %llu, but there is no such session",
                      ULL(p->other), ULL(p->ino));
    }
}

static void mark(struct fsck *f)
{
    struct f_inode *i;

    for (size_t n = 0; n < f->sustained.len; n++)
        if ((i = fsck_inode(f, ((struct f_pair *)vec_at(&f->sustained, n))->ino)) != NULL)
            i->sustained = 1;
    for (size_t n = 0; n < f->detached.len; n++)
        if ((i = fsck_inode(f, ((struct f_pair *)vec_at(&f->detached, n))->ino)) != NULL)
            i->detached = 1;
}

void fsck_tree(struct fsck *f)
{
    mark(f);
    for (size_t n = 0; n < f->entries.len; n++)
        check_entry(f, n);
    check_directories_of_entries(f);
    for (size_t n = 0; n < f->inodes.len; n++) {
        struct f_inode *i = inode_at(f, n);
        check_inode(f, i);
        f->files += i->type == TYPE_FILE;
        f->dirs += i->type == TYPE_DIRECTORY;
        f->others += i->type != TYPE_FILE && i->type != TYPE_DIRECTORY;
        if (i->type == TYPE_DIRECTORY)
            check_way_up(f, i);
    }
    const struct f_inode *root = fsck_inode(f, INO_ROOT), *trash = fsck_inode(f, INO_TRASH);
    if (root == NULL || (root->type != 0 && root->type != TYPE_DIRECTORY))
        fsck_find(f, FIND_DANGLING, "there is no root directory (inode 1)");
    if (trash == NULL && f->vol->set.trash_days > 0)
        fsck_find(f, FIND_TRASH, "TrashDays is %d, but there is no trash directory: unlink fails",
                  f->vol->set.trash_days);
    check_parents(f);
    check_leaks(f);
}
