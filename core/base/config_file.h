/*
 * config_file - one file of `name = value` lines (config.h has the rules).
 *
 * Layer: base, for config.c only.
 */
#ifndef JFSPRE_CORE_BASE_CONFIG_FILE_H
#define JFSPRE_CORE_BASE_CONFIG_FILE_H

#include "core/base/config.h"

/* Fills *out, which is zeroed by the caller and freed by it also after an error.  A file that is
 * not there is an empty one.  0, -EINVAL or -errno with one line in err. */
int config_file_read(const char *path, struct config *out, char *err, size_t errlen);

/* The field of that name, or NULL. */
char **config_field(struct config *c, const char *name, size_t len);

#endif
