/*
 * cmd_load.c - `jfspre load`: makes a volume's metadata from a dump of `juicefs dump` or
 * `jfspre dump`, in either kind of database.
 */
#include "tools/load.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* clang-format off */
static const struct option options[] = {
    CMD_COMMON_OPTIONS,
};
/* clang-format on */

/* --- the text --------------------------------------------------------------------------------- */

struct text {
    char *data;
    size_t len;
};

/* What comes through a pipe is read twice too, so it goes to a file without a name. */
static int spool(int in)
{
    static char piece[1 << 16];
    const char *dir = getenv("TMPDIR");
    char path[4096];
    ssize_t n = 0;

    if ((size_t)snprintf(path, sizeof path, "%s/jfspre-load.XXXXXX", dir != NULL ? dir : "/tmp") >=
        sizeof path)
        return -ENAMETOOLONG;
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    unlink(path);
    while ((n = read(in, piece, sizeof piece)) != 0) {
        if (n < 0 && errno == EINTR && !interrupted())
            continue;
        ssize_t done = 0, w = 0;
        while (n > 0 && done < n && (w = write(fd, piece + done, (size_t)(n - done))) >= 0)
            done += w;
        if (n < 0 || w < 0) {
            int err = errno;
            close(fd);
            return -err;
        }
    }
    return fd;
}

static int map_text(const char *path, struct text *out)
{
    bool from_stdin = path == NULL || strcmp(path, "-") == 0;
    struct stat sb;

    int fd = from_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &sb) < 0)
        goto failed;
    if (S_ISDIR(sb.st_mode)) {
        errno = EISDIR;
        goto failed;
    }
    if (!S_ISREG(sb.st_mode) || lseek(fd, 0, SEEK_CUR) != 0) {
        int copy = spool(fd);
        close(fd);
        fd = copy;
        if (fd < 0)
            return fd;
        if (fstat(fd, &sb) < 0)
            goto failed;
    }
    *out = (struct text){.data = "", .len = (size_t)sb.st_size};
    if (out->len > 0) {
        out->data = mmap(NULL, out->len, PROT_READ, MAP_PRIVATE, fd, 0);
        if (out->data == MAP_FAILED)
            goto failed;
        madvise(out->data, out->len, MADV_SEQUENTIAL);
    }
    close(fd);
    return 0;
failed:;
    int err = errno;
    if (fd >= 0)
        close(fd);
    return -err;
}

static int check_kind(struct load *l, const struct text *t)
{
    if (t->len == 0)
        cmd_say(l->self, "%s is empty", l->shown);
    else if (t->len > 2 && memcmp(t->data, "\x1f\x8b", 2) == 0)
        cmd_say(l->self, "%s is compressed: gzip -dc FILE | jfspre load META-URL -", l->shown);
    else
        return CMD_OK;
    return CMD_USAGE;
}

/* --- loading ---------------------------------------------------------------------------------- */

struct source {
    struct load *l;
    const struct text *text;
};

static int fill(void *ctx, engine_put put, void *sink)
{
    struct source *s = ctx;
    struct load *l = s->l;

    l->put = put;
    l->sink = sink;
    if (load_read(l, s->text->data, s->text->len) == 0 && put_rest(l) == 0)
        return 0;
    return l->rc < 0 ? l->rc : -EINVAL;
}

static int store(struct load *l, struct engine *e, const struct text *t)
{
    struct source s = {l, t};

    int rc = e->ops->import(e, fill, &s);
    progress_clear(&l->progress);
    if (rc == 0)
        return CMD_OK;
    if (l->error[0] != '\0')
        cmd_say(l->self, "%s", l->error);
    else if (rc == -ENOMEM)
        cmd_say(l->self, "%s", strerror(ENOMEM));
    else if (rc != -EINTR)
        cmd_say(l->self, "%s", e->ops->error(e));
    return CMD_PROBLEM;
}

static void report(const struct load *l, const struct engine *e)
{
    char bytes[32], err[256];

    if (l->sustained > 0)
        cmd_say(l->self,
                "note: %" PRIu64 " files were open without a name; a dump does not have them",
                l->sustained);
    if (l->kept_alive > 0)
        cmd_say(l->self, "note: %" PRIu64 " files of DelFiles have names and are kept",
                l->kept_alive);
    if (l->has_removed_secret)
        cmd_say(l->self, "note: the dump has no secret keys: set them with `juicefs config`");
    if (setting_supported(&l->set, err, sizeof err) < 0)
        cmd_say(l->self, "note: libjfspre.so will not serve this volume: %s", err);
    printf("volume %s loaded: metadata %s, %" PRId64 " inodes, %s used\n", l->set.name,
           e->ops->name(e), l->counters[L_INODES],
           text_bytes((uint64_t)l->counters[L_SPACE], bytes));
}

/* A volume that is there is found before a long text is checked; what else is there later. */
static int refuse_existing(struct load *l, struct engine *e)
{
    struct buf json = {0};

    int rc = e->ops->get_setting(e, &json);
    buf_free(&json);
    if (rc == 0)
        cmd_say(l->self, "%s: a volume is there already", e->ops->name(e));
    else if (rc != -ENODATA)
        cmd_say(l->self, "%s", e->ops->error(e));
    return rc == 0 ? CMD_PROBLEM : rc == -ENODATA ? CMD_OK : CMD_USAGE;
}

static int load(struct load *l, struct engine *e, const struct text *t)
{
    if (check_kind(l, t) != CMD_OK)
        return CMD_USAGE;
    int code = refuse_existing(l, e);
    if (code != CMD_OK)
        return code;
    if (load_read(l, t->data, t->len) < 0 || load_plan(l) < 0) {
        if (l->rc != -EINTR)
            cmd_say(l->self, "%s", l->error[0] != '\0' ? l->error : strerror(-l->rc));
        return CMD_PROBLEM;
    }
    int rc = store(l, e, t);
    if (rc == CMD_OK)
        report(l, e);
    return rc;
}

static void load_free(struct load *l)
{
    struct vec *const all[] = {&l->names,     &l->removed,   &l->slices,   &l->rules,
                               &l->quotas[0], &l->quotas[1], &l->quotas[2]};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        vec_free(all[i]);
    buf_free(&l->setting);
    buf_free(&l->rule_bytes);
    free(l->text);
}

static int load_main(const struct cmd *self, int argc, char **argv)
{
    struct config c = {0};
    struct load l = {.self = self,
                     .names = VEC_OF(struct l_name),
                     .removed = VEC_OF(struct l_removed),
                     .slices = VEC_OF(struct l_slice),
                     .rules = VEC_OF(struct l_rule)};
    struct engine *e = NULL;
    struct text text = {0};
    char err[512];
    int opt, rc = CMD_USAGE;

    for (int k = 0; k < L_QUOTAS; k++)
        l.quotas[k] = VEC_OF(struct l_quota);
    while ((opt = cmd_getopt(self, argc, argv, "", options, &c)) != -1)
        if (opt == '?')
            goto out;
    if (argc - optind < 1 || argc - optind > 2) {
        cmd_usage(self, "META-URL and FILE are wanted");
        goto out;
    }
    const char *path = argv[optind + 1];
    if (path == NULL && isatty(STDIN_FILENO)) {
        cmd_usage(self, "name a FILE, or send one to standard input");
        goto out;
    }
    l.shown = path != NULL && strcmp(path, "-") != 0 ? path : "standard input";
    if (cmd_config(self, &c, argv[optind]) != CMD_OK)
        goto out;
    l.text = malloc(LOAD_TEXT);
    if (l.text == NULL) {
        cmd_say(self, "%s", strerror(ENOMEM));
        goto out;
    }
    if (engine_open(c.meta, &e, err, sizeof err) < 0) {
        cmd_say(self, "%s", err);
        goto out;
    }
    interrupt_catch();
    progress_init(&l.progress);
    int bad = map_text(path, &text);
    if (bad < 0)
        cmd_say(self, "%s: %s", l.shown, strerror(-bad));
    else
        rc = load(&l, e, &text);
out:
    if (text.len > 0)
        munmap(text.data, text.len);
    if (e != NULL)
        e->ops->close(e);
    load_free(&l);
    config_free(&c);
    interrupt_end();
    return rc;
}

const struct cmd cmd_load = {
    .name = "load",
    .args = "META-URL [FILE] [OPTIONS]",
    .brief = "make a volume's metadata from a dump",
    .help =
        "Reads the JSON that `juicefs dump` or `jfspre dump` wrote, from FILE or standard input,\n"
        "into a database that holds nothing, by redis://, unix:// or lmdb://.  The blocks are not\n"
        "part of a dump: the volume uses those of the volume that was dumped, so never both.  All\n"
        "of the text is checked before anything is written.  An lmdb:// volume appears whole or\n"
        "not at all; in Redis `setting` comes last, so what an interruption left is no volume.\n\n"
        "exit codes: 0 loaded, 1 refused, malformed or failed, 2 usage or the file cannot be "
        "read\n",
    .main = load_main,
};
