/*
 * board - what the processes of one user and host share about one volume's pending changes.
 *
 * In DIR/b/ (DIR is the staging area, CACHE/UUID.UID): `board`, a page of flags and stamps, and
 * `0`, `1`, ...: the queues (queue.h).  Mapped shared; nothing in it must be believed to be more
 * than a hint but the queues themselves, so a process may be killed anywhere.
 *
 * Stamps.  Who changes a directory or an inode marks it; who keeps what it learned of it asks
 * whether another process marked it since.  Inodes share marks by hash: a false "yes" costs a
 * round trip.
 *
 * Layer:   meta; uses base.
 * Threads: every call.
 */
#ifndef JFSPRE_CORE_META_BOARD_H
#define JFSPRE_CORE_META_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOARD_QUEUES 256

struct board;

/* Makes or maps it; dir stays the caller's.  -errno, with one line in err. */
int board_open(const char *dir, struct board **out, char *err, size_t errlen);
void board_close(struct board *b); /* NULL is fine */
const char *board_dir(const struct board *b);
/* How to act as the user whose directory it is, around opening files there: a process that switched
 * its effective ids could not. */
void board_set_owner(struct board *b, void (*act)(void *ctx, bool begin), void *ctx);
void board_act(struct board *b, bool begin);

void board_after_fork(struct board *b); /* in the child: its marks are its own */

/* A queue with something pending.  Set before it is published, and cleared, under its lock. */
void board_set_pending(struct board *b, uint32_t queue);
void board_clear_pending(struct board *b, uint32_t queue);
bool board_is_pending(const struct board *b, uint32_t queue);
/* Does another queue than `own` have something pending?  A few loads. */
bool board_others_pending(const struct board *b, uint32_t own);

/* Marks an inode as changed by this process, and answers what board_foreign() would have. */
bool board_mark(struct board *b, uint64_t ino, uint64_t since);
/* Did another process mark it after `since` (a board_now())? */
bool board_foreign(struct board *b, uint64_t ino, uint64_t since);
uint64_t board_now(struct board *b);
/* Something changed and it is not known what: everybody's knowledge ends. */
void board_mark_all(struct board *b);

/* A change that the store decides and that may make `name` somewhere (NULL: any name) is announced
 * before its caller looks at what is pending, and until it is answered and marked.  Who
 * acknowledges a new name early looks after it was published (Dekker's order: one sees the other).
 * Answers what board_end_asking() wants; waits a second at most while BOARD_ASKING others ask. */
#define BOARD_ASKING 32
uint32_t board_begin_asking(struct board *b, const char *name, size_t len);
void board_end_asking(struct board *b, uint32_t ticket);
/* Does a living process, this one included, ask for that name now?  Names are compared by hash. */
bool board_is_asked(struct board *b, const char *name, size_t len);

/* The highest id of a kind (engine.h) that a process here was given is now `last`, if it is not
 * higher.  Answers what it was: a store that gives such numbers again has lost its end. */
uint64_t board_note_id(struct board *b, unsigned kind, uint64_t last);

/* Held while a queue is claimed. */
int board_lock(struct board *b);
void board_unlock(struct board *b);

#endif
