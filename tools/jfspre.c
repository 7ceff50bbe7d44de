/*
 * jfspre.c - the command `jfspre`: finds the subcommand in the table below and runs it.
 */
#include "tools/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cmd *const commands[] = {
    &cmd_run,  &cmd_format, &cmd_status, &cmd_sync, &cmd_stats, &cmd_info,
    &cmd_fsck, &cmd_gc,     &cmd_doctor, &cmd_dump, &cmd_load,  &cmd_bench,
};
#define COMMANDS (sizeof commands / sizeof *commands)

static void help(FILE *f)
{
    fputs("usage: jfspre COMMAND [ARGUMENTS]\n\n"
          "Files of a JuiceFS volume without a mount: run programs with libjfspre.so preloaded,\n"
          "and look after the volume.\n\ncommands:\n",
          f);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(f, "  %-8s %s\n", commands[i]->name, commands[i]->brief);
    fputs(
        "\n`jfspre COMMAND --help` tells more, `jfspre --version` the version.\n\n"
        "exit codes:\n"
        "  0  done, nothing wrong\n"
        "  1  a problem was found, or the command failed\n"
        "  2  wrong usage or configuration, or no connection to the metadata\n"
        "  `run` ends with the program's own code, 126 when it cannot be started, 127 when it is\n"
        "  not found, 125 when run itself fails\n",
        f);
}

/* Passwords in URLs disappear from `ps`: each argument is overwritten in place once it was copied.
 */
static void hide_passwords(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *url = strstr(argv[i], "://");
        char *at = url != NULL ? strrchr(url, '@') : NULL;
        if (at == NULL)
            continue;
        char *colon = memchr(url + 3, ':', (size_t)(at - url - 3));
        if (colon != NULL)
            memset(colon + 1, '*', (size_t)(at - colon - 1));
    }
}

static char **copy_arguments(int argc, char **argv)
{
    char **copy = calloc((size_t)argc + 1, sizeof *copy);

    for (int i = 0; copy != NULL && i < argc; i++) {
        copy[i] = strdup(argv[i]);
        if (copy[i] == NULL)
            return NULL;
    }
    return copy;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return CMD_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        help(stdout);
        return fflush(stdout) == 0 ? CMD_OK : CMD_PROBLEM;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts("jfspre " JFSPRE_VERSION " (volume rules of JuiceFS " EMULATED_VERSION ")");
        return fflush(stdout) == 0 ? CMD_OK : CMD_PROBLEM;
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i]->name) != 0)
            continue;
        char **copy = copy_arguments(argc, argv);
        if (copy == NULL) {
            fprintf(stderr, "jfspre: %s\n", strerror(ENOMEM));
            return CMD_USAGE;
        }
        hide_passwords(argc, argv);
        int rc = commands[i]->main(commands[i], argc - 1, copy + 1);
        if (fflush(stdout) != 0) {
            fprintf(stderr, "jfspre: %s: writing the output: %s\n", argv[1], strerror(errno));
            rc = rc == CMD_OK ? CMD_PROBLEM : rc;
        }
        for (int a = 0; a < argc; a++)
            free(copy[a]);
        free(copy);
        return rc;
    }
    if (argv[1][0] == '-')
        fprintf(stderr, "jfspre: unknown option %s (see jfspre --help)\n", argv[1]);
    else
        fprintf(stderr, "jfspre: unknown command %s (see jfspre --help)\n", argv[1]);
    return CMD_USAGE;
}
