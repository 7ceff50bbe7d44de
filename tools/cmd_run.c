/*
 * cmd_run.c - `jfspre run`: starts a program with the volume at the prefix.
 *
 * It only sets the environment and executes: what it adds is finding the library, checking the
 * configuration before the program starts, and naming a program that cannot be served.
 */
#include "tools/cmd.h"
#include "tools/program.h"

#include "core/vfs/vfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of env(1) and its kin. */
enum { RUN_FAILED = 125, RUN_NOT_EXECUTABLE = 126, RUN_NOT_FOUND = 127 };

/* clang-format off */
static const struct option options[] = {
    CMD_COMMON_OPTIONS,
};
/* clang-format on */

/* Ours first, then what was there, without an older mention of ours. */
static int set_preload(const char *library)
{
    const char *old = getenv("LD_PRELOAD");
    struct buf b = {0};

    buf_printf(&b, "%s", library);
    while (old != NULL && *old != '\0') {
        size_t n = strcspn(old, ": ");
        if (n > 0 && !(strlen(library) == n && memcmp(library, old, n) == 0))
            buf_printf(&b, ":%.*s", (int)n, old);
        old += n + (old[n] != '\0');
    }
    int rc = buf_ok(&b);
    if (rc == 0 && setenv("LD_PRELOAD", (char *)b.data, 1) < 0)
        rc = -errno;
    buf_free(&b);
    return rc;
}

static int set_environment(const struct config *c)
{
    struct {
        const char *name, *value;
    } const rows[] = {
        {"JFSPRE_META", c->meta},
        {"JFSPRE_PREFIX", c->prefix},
        {"JFSPRE_CACHE_DIR", c->cache_dir},
        {"JFSPRE_LOG", c->log},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].value != NULL && setenv(rows[i].name, rows[i].value, 1) < 0)
            return -errno;
    return 0;
}

static bool below(const char *path, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(path, prefix, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* Might the program be one in the volume?  Only a process with the preload can tell. */
static bool may_be_inside(const char *name, const char *prefix, const char *cache_dir)
{
    char cwd[PATH_MAX] = "", cache[PATH_MAX];
    const char *path = getenv("PATH");

    if (name[0] == '/')
        return below(name, prefix);
    ssize_t n = readlink("/proc/self/cwd", cwd, sizeof cwd - 1);
    if (n > 0 && realpath(cache_dir, cache) != NULL && below(cwd, cache))
        return true; /* in a directory of the volume */
    for (; strchr(name, '/') == NULL && path != NULL && *path != '\0';
         path += strcspn(path, ":"), path += *path == ':')
        if (strncmp(path, prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

/* By a preloaded shell, whose exec looks into the volume. */
static void exec_by_shell(int argc, char **argv)
{
    static char sh[] = "sh", option[] = "-c", script[] = "exec \"$0\" \"$@\"";
    char **all = calloc((size_t)argc + 4, sizeof *all);

    if (all == NULL)
        return;
    all[0] = sh;
    all[1] = option;
    all[2] = script;
    memcpy(all + 3, argv, (size_t)argc * sizeof *all);
    execv("/bin/sh", all);
    free(all);
}

static int exec_program(const struct cmd *self, const struct config *c, int argc, char **argv)
{
    struct program_verdict v;
    char path[PATH_MAX];

    int rc = program_find(argv[0], path, sizeof path);
    if (rc < 0 && may_be_inside(argv[0], c->prefix, c->cache_dir)) {
        exec_by_shell(argc, argv);
        rc = -errno;
    } else if (rc == 0) {
        if (program_check(path, &v) == 0 && !v.served)
            cmd_say(self, "%s will not see %s: %s%s%s%s", path, c->prefix, v.why,
                    strcmp(v.path, path) != 0 ? " (" : "", strcmp(v.path, path) != 0 ? v.path : "",
                    strcmp(v.path, path) != 0 ? ")" : "");
        execvp(argv[0], argv);
        rc = -errno;
    }
    cmd_say(self, "%s: %s", argv[0], strerror(-rc));
    return rc == -ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE;
}

static int run_main(const struct cmd *self, int argc, char **argv)
{
    struct config c = {0};
    struct vfs *v = NULL;
    char library[PATH_MAX], err[512];
    int opt, rc = RUN_FAILED;

    while ((opt = cmd_getopt(self, argc, argv, "+", options, &c)) != -1)
        if (opt == '?')
            goto out;
    if (optind == argc) {
        cmd_usage(self, "no program given");
        goto out;
    }
    if (cmd_config(self, &c, NULL) != CMD_OK)
        goto out;
    if (vfs_mount(&c, &v, err, sizeof err) < 0) {
        cmd_say(self, "%s", err);
        goto out;
    }
    if (library_path(library, sizeof library) < 0) {
        cmd_say(self, "%s is not there (nor in ../lib)", library);
        goto out;
    }
    if (strpbrk(library, ": ") != NULL) {
        cmd_say(self, "%s: LD_PRELOAD cannot hold a name with a colon or a space", library);
        goto out;
    }
    if (set_preload(library) < 0 || set_environment(&c) < 0) {
        cmd_say(self, "%s", strerror(ENOMEM));
        goto out;
    }
    rc = exec_program(self, &c, argc - optind, argv + optind);
out:
    vfs_unmount(v);
    config_free(&c);
    return rc;
}

const struct cmd cmd_run = {
    .name = "run",
    .args = "[OPTIONS] [--] PROGRAM [ARGUMENTS]",
    .brief = "run a program that sees the volume at the prefix",
    .help =
        "Sets LD_PRELOAD, JFSPRE_META, JFSPRE_PREFIX and JFSPRE_CACHE_DIR and executes PROGRAM.  "
        "The\n"
        "library is looked for beside this command and in ../lib.  A program that it cannot serve\n"
        "(static, Go, setuid, another libc) is named on stderr before it runs.\n\n"
        "exit codes: the program's; 125 run itself failed, 126 the program cannot be executed,\n"
        "127 it is not found\n",
    .main = run_main,
};
