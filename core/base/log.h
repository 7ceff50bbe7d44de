/*
 * log - levelled messages to one sink, off until a program sets one.
 *
 * Core never prints: the preload sets a sink from JFSPRE_LOG, the command prints on stderr.
 * The format is checked only when the level is on.  Passwords must not be passed in.
 *
 * Layer: base.  Threads: any; the sink is set once, before others run.
 */
#ifndef JFSPRE_CORE_BASE_LOG_H
#define JFSPRE_CORE_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

typedef void (*log_sink)(enum log_level level, const char *line); /* line: no newline at its end */

void log_set(log_sink sink, enum log_level most);
void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Logs a line once for each call site. */
#define log_once(level, ...)                                                                       \
    do {                                                                                           \
        static char said_;                                                                         \
        if (!__atomic_exchange_n(&said_, 1, __ATOMIC_RELAXED))                                     \
            log_at(level, __VA_ARGS__);                                                            \
    } while (0)

#endif
