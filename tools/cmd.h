/*
 * cmd - what the subcommands of `jfspre` share: the table's row, options, messages, the volume.
 *
 * A subcommand is one file with one `const struct cmd`, and one row in jfspre.c.  Results go to
 * stdout, everything about failures to stderr as one line `jfspre: COMMAND: what`.
 */
#ifndef JFSPRE_TOOLS_CMD_H
#define JFSPRE_TOOLS_CMD_H

#include "core/base/config.h"
#include "core/format/setting.h"
#include "core/meta/engine.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#define JFSPRE_VERSION "0.1.0"

/* Exit codes, the same for all commands; `run` has the program's (and 125 to 127 as env(1)). */
enum cmd_exit {
    CMD_OK = 0,
    CMD_PROBLEM = 1, /* a problem was found, or the command failed */
    CMD_USAGE = 2,   /* wrong usage or configuration, or no connection: nothing was done */
};

struct cmd {
    const char *name;
    const char *args;  /* after the name in the usage line */
    const char *brief; /* one line for the list */
    const char *help;  /* what --help says between usage and common options */
    int (*main)(const struct cmd *self, int argc, char **argv); /* returns the exit code */
};

extern const struct cmd cmd_run, cmd_format, cmd_status, cmd_info, cmd_fsck, cmd_doctor, cmd_dump,
    cmd_load, cmd_stats, cmd_gc, cmd_sync, cmd_bench;

/* --- options ---------------------------------------------------------------------------------- */

/* Rows of the long options that every command takes; own options have values below 256. */
enum { OPT_META = 256, OPT_PREFIX, OPT_CACHE, OPT_LOG, OPT_VERSION };
/* clang-format off */
#define CMD_COMMON_OPTIONS                            \
    {"help",      no_argument,       NULL, 'h'},         \
    {"version",   no_argument,       NULL, OPT_VERSION}, \
    {"meta",      required_argument, NULL, OPT_META},    \
    {"prefix",    required_argument, NULL, OPT_PREFIX},  \
    {"cache-dir", required_argument, NULL, OPT_CACHE},   \
    {"log",       required_argument, NULL, OPT_LOG},     \
    {NULL,        0,                 NULL, 0}
/* clang-format on */

/* getopt_long(3) that takes care of the common options (into *c; --help and --version end the
 * process with 0) and of errors, which are said: '?'.  spec as for getopt, without 'h'. */
int cmd_getopt(const struct cmd *self, int argc, char **argv, const char *spec,
               const struct option *longs, struct config *c);
/* A usage error: says it and how to get help.  Returns CMD_USAGE. */
int cmd_usage(const struct cmd *self, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Says one line on stderr. */
void cmd_say(const struct cmd *self, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Takes the rest of the configuration from environment and files and sets the log up.  url, when
 * not NULL, is the metadata URL given as an argument.  CMD_OK or CMD_USAGE, said. */
int cmd_config(const struct cmd *self, struct config *c, const char *url);

/* --- the volume ------------------------------------------------------------------------------- */

struct volume {
    struct engine *engine;
    struct setting set;
    struct op_env env;
};

/* Connects and reads `setting`.  Refused features are the caller's business (setting_supported()).
 * CMD_OK; CMD_USAGE, said; volume_close() in both cases. */
int volume_open(const struct cmd *self, const struct config *c, struct volume *v);
void volume_close(struct volume *v);
/* One request of the calling user; now and credentials are filled in.  0 or -errno; after 0 the
 * result is the caller's: op_result_free(). */
int volume_call(struct volume *v, struct op *op, struct op_result *res);

/* --- text ------------------------------------------------------------------------------------- */

/* A name for people and scripts: bytes that are not printable ASCII or valid UTF-8 as \ooo, the
 * backslash doubled.  Cut with "..." when out is too small.  Returns out. */
char *text_name(const void *name, size_t len, char *out, size_t cap);
/* 1536 -> "1.5 KiB" */
char *text_bytes(uint64_t n, char out[32]);
/* For words that take an s: printf("%u file%s", n, text_s(n)). */
static inline const char *text_s(uint64_t n)
{
    return n == 1 ? "" : "s";
}
const char *text_type(uint8_t type); /* "file", "directory"...; "unknown" */

/* libjfspre.so of this installation: beside the executable or in ../lib.  0 or -ENOENT (out has
 * the place where it was looked for first). */
int library_path(char *out, size_t cap);

#endif
