/*
 * fake - a server that does what a real one rarely can be made to do at the right moment: closes
 * after the request, answers half, answers byte by byte, never answers.
 *
 * A list of steps, one for each connection or request, is played by a thread.  A request is read
 * until its bytes end with FAKE_END, so a test's last argument is "END".
 */
#ifndef JFSPRE_TESTS_LIB_FAKE_H
#define JFSPRE_TESTS_LIB_FAKE_H

#include <stddef.h>

#define FAKE_END "END\r\n"

enum fake_do {
    FAKE_STOP,   /* end of the list: no more connections */
    FAKE_ACCEPT, /* waits for a connection, then closes the one before */
    FAKE_READ,   /* waits for a whole request */
    FAKE_PART,   /* reads at most n bytes */
    FAKE_SAY,    /* sends text */
    FAKE_DRIP,   /* sends text one byte at a time */
    FAKE_CLOSE,
};

struct fake_step {
    enum fake_do what;
    const char *text;
    size_t n;
};

struct fake;
struct fake *fake_start(const struct fake_step *steps); /* steps are borrowed until fake_end() */
const char *fake_url(const struct fake *f);             /* unix://... without options */
/* Waits until the list was played to its end, or with force just stops; removes everything.
 * Returns how many whole requests were read. */
size_t fake_end(struct fake *f, int force);

#endif
