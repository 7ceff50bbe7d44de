/*
 * load_read.c - the shape of a dump: its parts, trees and entries; see load.h.
 */
#include "tools/load.h"

#include "core/format/percent.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 4000 /* directories one within the other: a stack frame each */

int load_fail(struct load *l, const char *fmt, ...)
{
    size_t line, column, n;
    va_list ap;

    if (l->error[0] != '\0' || l->rc < 0)
        return -1;
    json_place(&l->j, &line, &column);
    n = (size_t)snprintf(l->error, sizeof l->error,
                         "%s: line %zu, column %zu (byte %zu): ", l->shown, line, column,
                         (size_t)(l->j.at - l->j.start));
    va_start(ap, fmt);
    if (n < sizeof l->error)
        vsnprintf(l->error + n, sizeof l->error - n, fmt, ap);
    va_end(ap);
    return -1;
}

/* After a loop over members or elements. */
static int loop_ended(struct load *l)
{
    return l->j.wrong != NULL ? load_fail(l, "%s", l->j.wrong) : 0;
}

/* --- parts before the trees ------------------------------------------------------------------- */

static int read_setting(struct load *l)
{
    struct json copy = l->j;
    char name[256], value[16], err[256];

    buf_clear(&l->setting);
    if (!json_indent(&l->j, "", 0, &l->setting))
        return load_fail(l, "%s", l->j.wrong);
    if (buf_ok(&l->setting) < 0) {
        l->rc = -ENOMEM;
        return -1;
    }
    if (setting_parse((char *)l->setting.data, l->setting.len, &l->set, err, sizeof err) < 0)
        return load_fail(l, "Setting: %s", err);
    for (json_object(&copy); json_member(&copy, name, sizeof name);) {
        if (strcmp(name, "SecretKey") != 0 && strcmp(name, "SessionToken") != 0)
            json_skip(&copy);
        else if (json_string(&copy, value, sizeof value) == 0)
            l->has_removed_secret |= strcmp(value, "removed") == 0;
    }
    l->has_setting = true;
    return 0;
}

static int read_counters(struct load *l)
{
    static const char *const names[L_COUNTERS] = {"usedSpace", "usedInodes",  "nextInodes",
                                                  "nextChunk", "nextSession", "nextTrash"};
    char name[32];

    for (json_object(&l->j); json_member(&l->j, name, sizeof name);) {
        int i = 0;
        while (i < L_COUNTERS && strcmp(names[i], name) != 0)
            i++;
        if (i == L_COUNTERS)
            json_skip(&l->j);
        else if (json_integer(&l->j, &l->dumped[i]) < 0)
            return load_fail(l, "Counters: %s is not a number", name);
        else if (i >= L_NEXT_INODE && (l->dumped[i] < 0 || l->dumped[i] > INT64_MAX / 2))
            return load_fail(l, "Counters: %s is out of range", name);
    }
    return loop_ended(l);
}

static int read_removed(struct load *l)
{
    char name[16];

    for (json_array(&l->j); json_element(&l->j);) {
        struct l_removed r = {0}, *p;
        for (json_object(&l->j); json_member(&l->j, name, sizeof name);) {
            int rc = strcmp(name, "inode") == 0    ? json_unsigned(&l->j, &r.ino)
                     : strcmp(name, "length") == 0 ? json_unsigned(&l->j, &r.length)
                     : strcmp(name, "expire") == 0 ? json_integer(&l->j, &r.expire)
                                                   : json_skip(&l->j);
            if (rc < 0)
                return load_fail(l, "DelFiles: %s is not a number", name);
        }
        if (loop_ended(l) < 0)
            return -1;
        if (r.ino < 2 || r.length > INT64_MAX)
            return load_fail(l, "DelFiles: not an inode and its length");
        if ((p = vec_add(&l->removed)) == NULL) {
            l->rc = -ENOMEM;
            return -1;
        }
        *p = r;
    }
    return loop_ended(l);
}

static int read_sustained(struct load *l)
{
    char name[16];

    for (json_array(&l->j); json_element(&l->j);) {
        for (json_object(&l->j); json_member(&l->j, name, sizeof name);) {
            if (strcmp(name, "inodes") != 0 || json_type(&l->j) != JSON_ARRAY) {
                json_skip(&l->j);
                continue;
            }
            for (json_array(&l->j); json_element(&l->j); json_skip(&l->j))
                l->sustained++;
        }
    }
    return loop_ended(l);
}

static int read_quotas(struct load *l, enum l_quota_kind kind, const char *what)
{
    char id[24], name[16], *end;

    for (json_object(&l->j); json_member(&l->j, id, sizeof id);) {
        struct l_quota q = {.max_space = -1, .max_inodes = -1}, *p;
        errno = 0;
        q.id = strtoull(id, &end, 10);
        if (id[0] < '0' || id[0] > '9' || *end != '\0' || errno != 0)
            return load_fail(l, "%s: \"%s\" is not a number", what, id);
        for (json_object(&l->j); json_member(&l->j, name, sizeof name);) {
            int rc = strcmp(name, "maxSpace") == 0    ? json_integer(&l->j, &q.max_space)
                     : strcmp(name, "maxInodes") == 0 ? json_integer(&l->j, &q.max_inodes)
                                                      : json_skip(&l->j);
            if (rc < 0)
                return load_fail(l, "%s: %s is not a number", what, name);
        }
        if (loop_ended(l) < 0)
            return -1;
        if ((p = vec_add(&l->quotas[kind])) == NULL) {
            l->rc = -ENOMEM;
            return -1;
        }
        *p = q;
    }
    return loop_ended(l);
}

/* --- trees ------------------------------------------------------------------------------------ */

static int add_name(struct load *l, const struct l_node *n)
{
    struct l_name *p = vec_add(&l->names);

    if (p == NULL) {
        l->rc = -ENOMEM;
        return -1;
    }
    *p = (struct l_name){.ino = n->ino,
                         .parent = n->parent,
                         .hash = load_hash(l->name, l->name_len),
                         .type = n->a.type};
    return 0;
}

/* With the attributes the inode is known, and everything else may be told at once. */
static int begin_node(struct load *l, struct l_node *n, uint64_t root)
{
    size_t count;

    if (root != 0) {
        if (n->a.type != TYPE_DIRECTORY)
            return load_fail(l, "the root of a tree is no directory");
        n->ino = root; /* of a subtree's dump it is another one */
        n->is_first = true;
        return 0;
    }
    bool fits = n->parent == INO_TRASH ? load_is_hour(n->ino) && n->a.type == TYPE_DIRECTORY
                                       : n->ino > 1 && n->ino < UINT64_C(0x7FFFFFFF00000000);
    if (!fits || n->ino > INT64_MAX)
        return load_fail(l, "inode %" PRIu64 " cannot be here", n->ino);
    if (l->put == NULL)
        return add_name(l, n);
    struct l_name *names = load_names(l, n->ino, &count);
    if (names == NULL)
        return load_fail(l, "the file changed while it was read");
    n->is_first = !names->is_put;
    names->is_put = true;
    return put_entry(l, n);
}

static int check_name(struct load *l)
{
    const char *s = l->name;
    size_t len = l->name_len;

    if (len == 0 || len > NAME_LEN_MAX)
        return load_fail(l, "a name of %zu bytes, 1 to 255 are possible", len);
    if (memchr(s, '/', len) != NULL || memchr(s, '\0', len) != NULL ||
        (s[0] == '.' && (len == 1 || (len == 2 && s[1] == '.'))))
        return load_fail(l, "\"%.*s\" cannot be a name", (int)len, s);
    return 0;
}

static int read_entry(struct load *l, uint64_t parent, uint64_t root, int depth, struct l_node *n);

static void add_usage(struct usage *to, const struct usage *more)
{
    to->length += more->length;
    to->space += more->space;
    to->inodes += more->inodes;
}

static int read_entries(struct load *l, struct l_node *dir, int depth)
{
    if (dir->a.type != TYPE_DIRECTORY)
        return load_fail(l, "entries in what is no directory");
    if (depth == DEPTH_MAX)
        return load_fail(l, "more than %d directories one within the other", DEPTH_MAX);
    if (dir->has_entries)
        return load_fail(l, "entries twice");
    dir->has_entries = true;
    for (json_object(&l->j); json_member(&l->j, l->name, sizeof l->name);) {
        struct l_node n;
        l->name_len = percent_read(l->name, strlen(l->name));
        if (check_name(l) < 0 || read_entry(l, dir->ino, 0, depth + 1, &n) < 0)
            return -1;
        struct usage own = {n.a.type == TYPE_FILE ? (int64_t)n.a.length : 0,
                            (int64_t)usage_of_length(n.a.type == TYPE_FILE ? n.a.length : 0), 1};
        add_usage(&dir->entries, &own);
        add_usage(&dir->below, &own);
        add_usage(&dir->below, &n.below);
        dir->subdirs += n.a.type == TYPE_DIRECTORY;
    }
    return loop_ended(l);
}

static int read_member(struct load *l, struct l_node *n, const char *name, int depth)
{
    size_t len;

    if (strcmp(name, "symlink") == 0) {
        if (load_string(l, "symlink", &len) < 0)
            return -1;
        if (n->a.type != TYPE_SYMLINK || len == 0 || len > PATH_LEN_MAX)
            return load_fail(l, "not the target of a symlink");
        n->has_target = true;
        n->a.length = len;
        return n->is_first && l->put != NULL ? put_symlink(l, n->ino, len) : 0;
    }
    if (strcmp(name, "xattrs") == 0)
        return load_xattrs(l, n);
    if (strcmp(name, "posix_acl_access") == 0)
        return load_acl(l, &n->a.access_acl);
    if (strcmp(name, "posix_acl_default") == 0)
        return load_acl(l, &n->a.default_acl);
    if (strcmp(name, "chunks") == 0)
        return load_chunks(l, n);
    if (strcmp(name, "entries") == 0)
        return read_entries(l, n, depth);
    json_skip(&l->j);
    return 0;
}

/* root: 0, or the inode of the tree's root, which has no name. */
static int read_entry(struct load *l, uint64_t parent, uint64_t root, int depth, struct l_node *n)
{
    char name[24];

    *n = (struct l_node){.parent = parent};
    if (interrupted()) {
        l->rc = -EINTR;
        return -1;
    }
    progress_show(&l->progress, l->put == NULL ? "checking, bytes" : "loading, bytes",
                  (uint64_t)(l->j.at - l->j.start), (uint64_t)(l->j.end - l->j.start));
    for (json_object(&l->j); json_member(&l->j, name, sizeof name);) {
        if (strcmp(name, "attr") == 0) {
            if (n->has_attr)
                return load_fail(l, "attr twice");
            if (load_attr(l, n) < 0 || begin_node(l, n, root) < 0)
                return -1;
            n->has_attr = true;
        } else if (!n->has_attr) {
            return load_fail(l, "attr is expected before %s", name);
        } else if (read_member(l, n, name, depth) < 0) {
            return -1;
        }
    }
    if (loop_ended(l) < 0)
        return -1;
    if (!n->has_attr)
        return load_fail(l, "an entry without attr");
    if (n->a.type == TYPE_SYMLINK && !n->has_target)
        return load_fail(l, "a symlink without a target");
    return l->put != NULL && n->is_first ? put_inode(l, n) : 0;
}

static int read_tree(struct load *l, uint64_t root, bool *seen)
{
    struct l_node n;

    if (*seen)
        return load_fail(l, "the same tree twice");
    *seen = true;
    return read_entry(l, INO_ROOT, root, 0, &n);
}

/* --- the whole -------------------------------------------------------------------------------- */

static int read_part(struct load *l, const char *name)
{
    if (strcmp(name, "FSTree") == 0)
        return read_tree(l, INO_ROOT, &l->has_tree);
    if (strcmp(name, "Trash") == 0 && json_type(&l->j) != JSON_NULL)
        return read_tree(l, INO_TRASH, &l->has_trash);
    if (l->put == NULL && json_type(&l->j) != JSON_NULL) {
        if (strcmp(name, "Setting") == 0)
            return read_setting(l);
        if (strcmp(name, "Counters") == 0)
            return read_counters(l);
        if (strcmp(name, "Sustained") == 0)
            return read_sustained(l);
        if (strcmp(name, "DelFiles") == 0)
            return read_removed(l);
        if (strcmp(name, "Quotas") == 0)
            return read_quotas(l, L_DIR, name);
        if (strcmp(name, "UserQuotas") == 0)
            return read_quotas(l, L_USER, name);
        if (strcmp(name, "GroupQuotas") == 0)
            return read_quotas(l, L_GROUP, name);
    }
    json_skip(&l->j);
    return 0;
}

int load_read(struct load *l, const char *text, size_t len)
{
    char name[32];
    int rc = 0;

    json_init(&l->j, text, len);
    l->has_tree = l->has_trash = false;
    for (json_object(&l->j); rc == 0 && json_member(&l->j, name, sizeof name);)
        rc = read_part(l, name);
    if (rc == 0)
        rc = loop_ended(l);
    if (rc == 0 && !json_done(&l->j))
        rc = load_fail(l, "%s", l->j.wrong);
    if (rc == 0 && (!l->has_setting || !l->has_tree))
        rc = load_fail(l, "no %s: this is no dump of a volume",
                       l->has_setting ? "FSTree" : "Setting");
    progress_clear(&l->progress);
    return rc;
}
