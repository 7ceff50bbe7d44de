/*
 * cmd_sync.c - `jfspre sync`: everything that this user's programs were told has happened is in the
 * store afterwards.
 */
#include "tools/cmd.h"

#include "core/vfs/vfs.h"

#include <stdio.h>
#include <string.h>

static const struct option options[] = {CMD_COMMON_OPTIONS};

static int sync_volume(const struct cmd *self, const struct config *c)
{
    struct vfs *v = NULL;
    struct vfs_synced done;
    char err[512] = "";

    int rc = vfs_mount(c, &v, err, sizeof(err));
    if (rc < 0) {
        cmd_say(self, "%s", err);
        return CMD_USAGE;
    }
    if (vfs_ready(v) < 0) {
        cmd_say(self, "%s", vfs_error(v));
        vfs_unmount(v);
        return CMD_USAGE;
    }
    rc = vfs_sync(v, &done);
    if (rc < 0)
        cmd_say(self, "%s (%s)", vfs_error(v), strerror(-rc));
    else
        printf("%llu change%s sent, %llu file%s left by killed programs dealt with\n",
               (unsigned long long)done.changes, text_s(done.changes),
               (unsigned long long)done.files, text_s(done.files));
    vfs_unmount(v);
    return rc < 0 ? CMD_PROBLEM : CMD_OK;
}

static int sync_main(const struct cmd *self, int argc, char **argv)
{
    struct config c = {0};
    int opt, rc = CMD_OK;

    while ((opt = cmd_getopt(self, argc, argv, "", options, &c)) != -1)
        if (opt == '?')
            rc = CMD_USAGE;
    if (rc == CMD_OK && argc - optind > 1)
        rc = cmd_usage(self, "one META-URL only");
    if (rc == CMD_OK)
        rc = cmd_config(self, &c, optind < argc ? argv[optind] : NULL);
    if (rc == CMD_OK)
        rc = sync_volume(self, &c);
    config_free(&c);
    return rc;
}

const struct cmd cmd_sync = {
    "sync", "[META-URL] [OPTIONS]", "Send what this user's programs still have pending.",
    "Without META-URL: the configured volume.  Changes that were acknowledged and not sent,\n"
    "also those of killed programs, go to the store; contents of files that a killed program\n"
    "did not close are published or set aside as the next program to open them would.\n"
    "\n"
    "exit codes: 0 nothing is pending any more, 1 something could not be sent (it stays\n"
    "pending), 2 usage or no connection\n",
    sync_main};
