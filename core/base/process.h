/*
 * process - what the kernel would say of this process's identity, without asking it each time.
 *
 * A page that the kernel empties in every child (MADV_WIPEONFORK) tells that what is kept is the
 * parent's, also behind a clone() that nobody saw.  Ids are a thread's own for the kernel; they are
 * kept only while somebody watches all calls that change them.
 *
 * Layer: base.  Threads: any.
 */
#ifndef JFSPRE_CORE_BASE_PROCESS_H
#define JFSPRE_CORE_BASE_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#define PROCESS_GROUPS_MAX 64 /* supplementary groups that are told */

struct process_ids {
    uid_t uid; /* effective */
    gid_t gid;
    uint16_t ngroups; /* 0 for root, who passes every check that groups decide */
    uint32_t groups[PROCESS_GROUPS_MAX];
    unsigned left_out; /* groups that did not fit */
};

pid_t process_id(void);
/* Those of the calling thread; valid until its next call of anything here. */
const struct process_ids *process_ids(void);

/* From now on process_ids_changed() is called after everything that changes the ids of a thread. */
void process_ids_are_watched(void);
void process_ids_changed(void);

#endif
