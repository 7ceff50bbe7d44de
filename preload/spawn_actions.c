/*
 * spawn_actions.c - see spawn_actions.h, and the wrappers that fill it.
 */
#include "preload/spawn_actions.h"

#include "preload/preload.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct list {
    const posix_spawn_file_actions_t *of;
    struct list *next;
    struct spawn_action *a;
    size_t count, room;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list *lists;

static struct list *find(const posix_spawn_file_actions_t *fa)
{
    struct list *l = lists;

    while (l != NULL && l->of != fa)
        l = l->next;
    return l;
}

static struct list *make(const posix_spawn_file_actions_t *fa)
{
    struct list *l = find(fa);

    if (l == NULL && (l = calloc(1, sizeof(*l))) != NULL) {
        l->of = fa;
        l->next = lists;
        lists = l;
    }
    return l;
}

static int append(struct list *l, const struct spawn_action *a)
{
    char *path = NULL;

    if (l->count == l->room) {
        size_t want = l->room * 2 + 4;
        struct spawn_action *more = realloc(l->a, want * sizeof(*more));
        if (more == NULL)
            return ENOMEM;
        l->a = more;
        l->room = want;
    }
    if (a->path != NULL && (path = strdup(a->path)) == NULL)
        return ENOMEM;
    l->a[l->count] = *a;
    l->a[l->count++].path = path;
    return 0;
}

int spawn_actions_add(const posix_spawn_file_actions_t *fa, const struct spawn_action *a)
{
    struct guard g;

    guard_enter(&g);
    pthread_mutex_lock(&lock);
    struct list *l = make(fa);
    int rc = l != NULL ? append(l, a) : ENOMEM;
    pthread_mutex_unlock(&lock);
    guard_leave(&g);
    return rc;
}

void spawn_actions_drop(const posix_spawn_file_actions_t *fa)
{
    struct guard g;

    guard_enter(&g);
    pthread_mutex_lock(&lock);
    struct list *l = find(fa), **at = &lists;
    while (*at != NULL && *at != l)
        at = &(*at)->next;
    if (l != NULL)
        *at = l->next;
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; l != NULL && i < l->count; i++)
        free(l->a[i].path);
    if (l != NULL)
        free(l->a);
    free(l);
    guard_leave(&g);
}

const struct spawn_action *spawn_actions_get(const posix_spawn_file_actions_t *fa, size_t *n)
{
    struct guard g;

    *n = 0;
    if (fa == NULL)
        return NULL;
    guard_enter(&g);
    pthread_mutex_lock(&lock);
    const struct list *l = find(fa);
    pthread_mutex_unlock(&lock);
    guard_leave(&g);
    *n = l != NULL ? l->count : 0;
    return l != NULL ? l->a : NULL;
}

/* A list that another thread was just changing is given up with the rest. */
void spawn_actions_after_fork(void)
{
    if (pthread_mutex_trylock(&lock) != 0)
        lists = NULL;
    pthread_mutex_init(&lock, NULL);
}

/* --- the wrappers ----------------------------------------------------------------------------- */

/* libc's object first: it checks the arguments. */
#define ADD(fa, call, ...)                                                                         \
    do {                                                                                           \
        int rc_ = (call);                                                                          \
        return rc_ != 0 ? rc_ : spawn_actions_add(fa, &(struct spawn_action){__VA_ARGS__});        \
    } while (0)

EXPORT int posix_spawn_file_actions_init(posix_spawn_file_actions_t *fa)
{
    spawn_actions_drop(fa);
    return REAL(posix_spawn_file_actions_init)(fa);
}

EXPORT int posix_spawn_file_actions_destroy(posix_spawn_file_actions_t *fa)
{
    spawn_actions_drop(fa);
    return REAL(posix_spawn_file_actions_destroy)(fa);
}

EXPORT int posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *fa, int fd,
                                            const char *path, int flags, mode_t mode)
{
    ADD(fa, REAL(posix_spawn_file_actions_addopen)(fa, fd, path, flags, mode), .kind = SPAWN_OPEN,
        .fd = fd, .path = (char *)(uintptr_t)path, .flags = flags, .mode = mode);
}

EXPORT int posix_spawn_file_actions_addclose(posix_spawn_file_actions_t *fa, int fd)
{
    ADD(fa, REAL(posix_spawn_file_actions_addclose)(fa, fd), .kind = SPAWN_CLOSE, .fd = fd);
}

EXPORT int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *fa, int fd, int to)
{
    ADD(fa, REAL(posix_spawn_file_actions_adddup2)(fa, fd, to), .kind = SPAWN_DUP2, .fd = fd,
        .to = to);
}

EXPORT int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *fa, const char *path)
{
    ADD(fa, REAL(posix_spawn_file_actions_addchdir_np)(fa, path), .kind = SPAWN_CHDIR,
        .path = (char *)(uintptr_t)path);
}

EXPORT int posix_spawn_file_actions_addfchdir_np(posix_spawn_file_actions_t *fa, int fd)
{
    ADD(fa, REAL(posix_spawn_file_actions_addfchdir_np)(fa, fd), .kind = SPAWN_FCHDIR, .fd = fd);
}

EXPORT int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *fa, int from)
{
    ADD(fa, REAL(posix_spawn_file_actions_addclosefrom_np)(fa, from), .kind = SPAWN_CLOSEFROM,
        .fd = from);
}

EXPORT int posix_spawn_file_actions_addtcsetpgrp_np(posix_spawn_file_actions_t *fa, int fd)
{
    ADD(fa, REAL(posix_spawn_file_actions_addtcsetpgrp_np)(fa, fd), .kind = SPAWN_TCSETPGRP,
        .fd = fd);
}
