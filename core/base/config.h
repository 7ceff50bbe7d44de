/*
 * config - what the user set, from (first wins): flags of the command, environment, the user's
 * file ~/.config/jfspre/config, the host's file /etc/jfspre.conf.  DESIGN 13.
 *
 * Files hold `name = value` lines; names: meta prefix cache-dir log; # begins a comment at the
 * start of a line or after a blank.  An unknown name is an error that says the file, the line and
 * the name.  The files are read only when neither a flag nor the environment names a volume
 * (`meta`), so a process that has JFSPRE_META opens none; an empty variable counts as unset.
 *
 * Layer: base.  Threads: none; read once at start.
 */
#ifndef JFSPRE_CORE_BASE_CONFIG_H
#define JFSPRE_CORE_BASE_CONFIG_H

#include <stddef.h>

struct config {
    char *meta;      /* metadata URL, JFSPRE_META; NULL: not configured */
    char *prefix;    /* absolute, normalised, no trailing slash, JFSPRE_PREFIX; default "/jfs" */
    char *cache_dir; /* JFSPRE_CACHE_DIR; default $XDG_RUNTIME_DIR/jfspre, else /dev/shm/jfspre-UID,
                        else /tmp/jfspre-UID */
    char *log;       /* JFSPRE_LOG: "LEVEL" or "LEVEL:FILE"; NULL: errors only, on stderr */
};

/* Reads environment and files.  0, or -EINVAL / -ENOMEM / -errno of a file with one line of text
 * in err.  Fields already set (flags of the command) are kept; all strings are malloc'ed. */
int config_load(struct config *c, char *err, size_t errlen);
void config_free(struct config *c);

#endif
