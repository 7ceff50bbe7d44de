/*
 * cmd.c - options, messages and the open volume of a subcommand; see cmd.h.
 */
#include "tools/cmd.h"

#include "core/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void cmd_say(const struct cmd *self, const char *fmt, ...)
{
    va_list ap;

    fflush(stdout);
    fprintf(stderr, "jfspre: %s: ", self->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

int cmd_usage(const struct cmd *self, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "jfspre: %s: ", self->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, " (see jfspre %s --help)\n", self->name);
    return CMD_USAGE;
}

static void print_help(const struct cmd *self)
{
    printf("usage: jfspre %s %s\n\n%s\n", self->name, self->args, self->help);
    fputs("common options:\n"
          "      --meta URL       metadata of the volume (JFSPRE_META)\n"
          "      --prefix DIR     where programs see the volume, default /jfs (JFSPRE_PREFIX)\n"
          "      --cache-dir DIR  local files of open descriptors (JFSPRE_CACHE_DIR)\n"
          "      --log LEVEL[:FILE]  error, warn, info or debug (JFSPRE_LOG)\n"
          "  -h, --help           this text\n"
          "      --version        the version\n",
          stdout);
}

static int set_string(char **field, const char *value)
{
    free(*field);
    *field = strdup(value);
    return *field != NULL ? 0 : -ENOMEM;
}

/* 1: taken, 0: not a common option. */
static int common_option(const struct cmd *self, int opt, struct config *c)
{
    char **field = NULL;

    switch (opt) {
    case 'h':
        print_help(self);
        exit(fflush(stdout) == 0 ? CMD_OK : CMD_PROBLEM);
    case OPT_VERSION:
        puts("jfspre " JFSPRE_VERSION);
        exit(fflush(stdout) == 0 ? CMD_OK : CMD_PROBLEM);
    case OPT_META:
        field = &c->meta;
        break;
    case OPT_PREFIX:
        field = &c->prefix;
        break;
    case OPT_CACHE:
        field = &c->cache_dir;
        break;
    case OPT_LOG:
        field = &c->log;
        break;
    default:
        return 0;
    }
    if (set_string(field, optarg) < 0) {
        cmd_say(self, "%s", strerror(ENOMEM));
        exit(CMD_USAGE);
    }
    return 1;
}

int cmd_getopt(const struct cmd *self, int argc, char **argv, const char *spec,
               const struct option *longs, struct config *c)
{
    char all[64];

    /* ':' tells a missing argument from an unknown option; '+' has to stay in front of it. */
    const char *plus = spec[0] == '+' ? "+" : "";
    snprintf(all, sizeof all, "%s:h%s", plus, spec + strlen(plus));
    opterr = 0;
    for (;;) {
        int opt = getopt_long(argc, argv, all, longs, NULL);
        if (opt == ':') {
            cmd_usage(self, "option %s needs an argument", argv[optind - 1]);
            return '?';
        }
        if (opt == '?') {
            const char *given = argv[optind - 1];
            if (optopt != 0 && strncmp(given, "--", 2) == 0 && strchr(given, '=') != NULL)
                cmd_usage(self, "option %.*s takes no argument", (int)strcspn(given, "="), given);
            else if (optopt != 0)
                cmd_usage(self, "unknown option -%c", optopt);
            else
                cmd_usage(self, "unknown option %s", given);
            return '?';
        }
        if (opt == -1 || !common_option(self, opt, c))
            return opt;
    }
}

/* --- configuration ---------------------------------------------------------------------------- */

static FILE *log_file; /* NULL: stderr */

static void log_line(enum log_level level, const char *line)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};

    fflush(stdout);
    fprintf(log_file != NULL ? log_file : stderr, "jfspre: %s: %s\n", names[level], line);
    if (log_file != NULL)
        fflush(log_file);
}

static int set_log(const struct cmd *self, const char *text)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    const char *colon = text != NULL ? strchr(text, ':') : NULL;
    size_t len = colon != NULL ? (size_t)(colon - text) : text != NULL ? strlen(text) : 0;
    int level = LOG_ERROR;

    if (text == NULL)
        return CMD_OK; /* what fails is said by the command itself, in one line */
    while (level <= LOG_DEBUG &&
           (strlen(names[level]) != len || strncmp(text, names[level], len) != 0))
        level++;
    if (level > LOG_DEBUG)
        return cmd_usage(self, "log level %.*s is not error, warn, info or debug", (int)len, text);
    if (colon != NULL) {
        log_file = fopen(colon + 1, "ae");
        if (log_file == NULL)
            return cmd_usage(self, "log file %s: %s", colon + 1, strerror(errno));
    }
    log_set(log_line, (enum log_level)level);
    return CMD_OK;
}

int cmd_config(const struct cmd *self, struct config *c, const char *url)
{
    char err[512];

    if (url != NULL && set_string(&c->meta, url) < 0) {
        cmd_say(self, "%s", strerror(ENOMEM));
        return CMD_USAGE;
    }
    if (config_load(c, err, sizeof err) < 0) {
        cmd_say(self, "%s", err);
        return CMD_USAGE;
    }
    return set_log(self, c->log);
}

/* --- volume ----------------------------------------------------------------------------------- */

int volume_open(const struct cmd *self, const struct config *c, struct volume *v)
{
    struct buf json = {0};
    char err[512];

    memset(v, 0, sizeof *v);
    if (c->meta == NULL)
        return cmd_usage(self, "no metadata URL: give it, or set JFSPRE_META or `meta` in a "
                               "configuration file");
    int rc = engine_open(c->meta, &v->engine, err, sizeof err);
    if (rc < 0) {
        cmd_say(self, "%s", err);
        return CMD_USAGE;
    }
    rc = v->engine->ops->get_setting(v->engine, &json);
    if (rc == -ENODATA)
        cmd_say(self, "%s: not formatted (jfspre format makes a volume)",
                v->engine->ops->name(v->engine));
    else if (rc < 0)
        cmd_say(self, "%s", v->engine->ops->error(v->engine));
    else if ((rc = setting_parse((char *)json.data, json.len, &v->set, err, sizeof err)) < 0)
        cmd_say(self, "%s: setting: %s", v->engine->ops->name(v->engine), err);
    buf_free(&json);
    v->env = (struct op_env){
        .flags = (v->set.trash_days > 0 ? ENV_TRASH : 0) | (v->set.dir_stats ? ENV_DIR_STATS : 0),
        .capacity_bytes = v->set.capacity_bytes,
        .inodes = v->set.inodes,
        .skip_dir_mtime_ms = 100,
        .mount = c->prefix,
    };
    return rc < 0 ? CMD_USAGE : CMD_OK;
}

void volume_close(struct volume *v)
{
    if (v->engine != NULL)
        v->engine->ops->close(v->engine);
    v->engine = NULL;
}

int volume_call(struct volume *v, struct op *op, struct op_result *res)
{
    gid_t groups[OP_GROUPS_MAX];
    uint32_t list[OP_GROUPS_MAX];

    int n = getgroups(OP_GROUPS_MAX, groups);
    if (n < 0)
        n = 0; /* more than we send: the primary group still counts */
    for (int i = 0; i < n; i++)
        list[i] = groups[i];
    op->cred = (struct op_cred){geteuid(), getegid(), (uint16_t)n, list};
    op->now = clock_now();
    memset(res, 0, sizeof *res);
    int rc = v->engine->ops->call(v->engine, &v->env, op, 1, res);
    op->cred = (struct op_cred){0};
    return rc;
}
