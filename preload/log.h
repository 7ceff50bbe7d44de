/*
 * log - where lines of ours go: standard error, or the file that JFSPRE_LOG names ("LEVEL" or
 * "LEVEL:FILE").  Without JFSPRE_LOG only errors are told.
 */
#ifndef JFSPRE_PRELOAD_LOG_H
#define JFSPRE_PRELOAD_LOG_H

/* Sets core's sink.  spec: JFSPRE_LOG or NULL. */
void log_start(const char *spec);

/* One line that the user must see, before or without log_start(). */
void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
