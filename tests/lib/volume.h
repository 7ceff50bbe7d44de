/*
 * volume - a volume's metadata for core tests, made without a command: formatted by the engine, its
 * setting changed as an administrator would.
 */
#ifndef JFSPRE_TESTS_LIB_VOLUME_H
#define JFSPRE_TESTS_LIB_VOLUME_H

#include "core/meta/meta.h"
#include "tests/lib/server.h"

#define VOLUME_NAME "testvol"
#define VOLUME_UUID "3f0c5d3a-6c5e-4a4e-9d4e-2b1f6a7c8d90"

/* A setting that this build takes: storage file, 4 MiB blocks, dir stats, trash as given. */
struct setting volume_setting(const char *bucket, int trash_days);
/* Formats the metadata at a URL of either engine.  0, or -errno with one line in err. */
int volume_format_at(const char *url, const struct setting *v, char *err, size_t errlen);
/* Formats database db of the server.  Ends the program when that fails. */
void volume_format(struct server *s, int db, const struct setting *v);
/* Replaces `setting` whatever it was.  more: a further member, "\"ChangeLog\": true", or NULL. */
void volume_set(struct server *s, int db, const struct setting *v, const char *more);
/* meta_open() of it; ends the program when that fails.  options: "" or "&name=value...". */
struct meta *volume_open(struct server *s, int db, const char *options);

#endif
