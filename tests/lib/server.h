/*
 * server - a real redis-server of a test's own: unix socket in a fresh temporary directory, no
 * persistence unless asked for.
 *
 * Everything is removed at exit of the process that started it, also after a failed assertion; the
 * server dies with the thread that started it, however that ends.  A forked child that exits cleans
 * nothing.
 * A server that cannot be started ends the test program with a line that says why: there is
 * nothing left to test.
 */
#ifndef JFSPRE_TESTS_LIB_SERVER_H
#define JFSPRE_TESTS_LIB_SERVER_H

#include <stddef.h>
#include <sys/types.h>

struct server;

/* Starts one and waits until it answers PING; _with: with further redis-server arguments. */
struct server *server_start(void);
#define server_start_with(...) server_start_args((const char *const[]){__VA_ARGS__, NULL})
struct server *server_start_args(const char *const *args); /* ended by NULL */
void server_free(struct server *s); /* stops it, removes its directory; NULL is fine */

void server_stop(struct server *s);   /* SIGTERM, waited for */
void server_kill(struct server *s);   /* SIGKILL, waited for */
void server_again(struct server *s);  /* starts it again: same directory, socket and arguments */
void server_freeze(struct server *s); /* SIGSTOP: accepts connections, answers nothing */
void server_unfreeze(struct server *s);

/* The append-only file of one that was killed: bytes, and what a power cut leaves of it. */
long server_log_bytes(const struct server *s);
void server_log_cut(const struct server *s, long bytes);
/* Where the last script's or transaction's changes begin that are not behind `bytes`.  Redis 7.0
 * does not get over another cut within such: it drops the half, but leaves its MULTI in the file,
 * so that the half is done at the next start. */
long server_log_whole(const struct server *s, long bytes);
/* The same of a server that was killed in the middle of writing one: that half goes. */
void server_log_mend(const struct server *s);

const char *server_dir(const struct server *s);
const char *server_socket(const struct server *s);
pid_t server_pid(const struct server *s); /* 0: not running */
/* "unix://SOCKET?db=N"; one buffer a server, overwritten by the next call. */
const char *server_url(struct server *s, int db);

/* One command over a connection of the test's own, fmt as redisCommand() has it.  The connection is
 * in database 0 unless a SELECT was sent, and is made anew after a restart.
 * The integer, 0 for a status, -1 for nil or an error, else the length of a string or array. */
long long server_int(struct server *s, const char *fmt, ...);
/* The bytes of a string, status or error, ended by NUL and cut to fit; their number, -1 for nil and
 * other answers. */
long long server_text(struct server *s, char *out, size_t cap, const char *fmt, ...);

#endif
