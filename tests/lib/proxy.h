/*
 * proxy - a relay in front of a server that makes the network what it may be: far away, cut at a
 * byte, silent, frozen.
 *
 * It is a process of its own, told what to do by lines of text, each answered when it is in force:
 *
 *   delay UP_US DOWN_US     how long each piece is held back in a direction
 *   cut up|down N [each] [always]
 *                           closes the connection when exactly N more bytes passed in that
 *                           direction, on all connections together, or on each from its start; the
 *                           other direction passes nothing more.  Once, or from anew after each
 *   drop up|down N          what follows after N more bytes is swallowed, the connection stays
 *   hold up|down N          after N more bytes its connection passes nothing more in that
 * direction, also when its client is gone, until `release`; others do.  Once freeze up|down|both
 * nothing passes; thaw: it all does reset                   closes all connections heal no cut,
 * drop, hold, freeze stats                   "ok UP DOWN CONNECTIONS CUTS OPEN": bytes that passed,
 * connections made and cut since the last zero, those that are open zero                    stats
 * begin again
 *
 * Up is from the client to the server.  `fault_proxy` is the same as a program, for scripts.
 */
#ifndef JFSPRE_TESTS_LIB_PROXY_H
#define JFSPRE_TESTS_LIB_PROXY_H

#include <stdbool.h>
#include <stdint.h>

struct proxy;
struct proxy_stats {
    uint64_t up, down;
    unsigned connections, cuts, open;
};

/* Starts one in front of a unix socket; it ends with this process.  Ends the program when that
 * fails.  proxy_free() stops it; NULL is fine. */
struct proxy *proxy_start(const char *server_socket);
void proxy_free(struct proxy *p);
const char *proxy_url(const struct proxy *p); /* unix://...?db=0 */

/* One line as above, printf-like; ends the program when it is refused.  Also waits until it is in
 * force. */
void proxy_tell(struct proxy *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct proxy_stats proxy_stats(struct proxy *p);

/* The relay itself: accepts from listener until its parent ends.  control: connected, or -1;
 * control_listener: accepts such, or -1. */
void proxy_run(int listener, const char *server_socket, int control, int control_listener)
    __attribute__((noreturn));
/* Of the program: a command before the relay runs.  false: not understood. */
bool proxy_command(const char *line, char *answer, unsigned long len);

#endif
