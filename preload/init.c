/*
 * init.c - see init.h.  Order at start: libc is bound, the environment read, the prefix known; with
 * -z initfirst all that is before other libraries' constructors, and before libc has set environ.
 */
#include "preload/init.h"

#include "core/base/config.h"
#include "core/base/process.h"
#include "preload/cwd.h"
#include "preload/exec_env.h"
#include "preload/fdtab.h"
#include "preload/guard.h"
#include "preload/heap.h"
#include "preload/listing.h"
#include "preload/log.h"
#include "preload/raw.h"
#include "preload/real.h"
#include "preload/route.h"
#include "preload/streams.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define DEFAULT_PREFIX "/jfs" /* as core/base/config.h */

static struct vfs *_Atomic mounted;
static _Atomic int failed;  /* -errno for the rest of the process */
static _Atomic bool unseen; /* volume_unseen() */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* From before to after a fork, of the thread that forks. */
static __thread struct guard fork_guard;
static __thread struct vfs *fork_volume;
static struct config config; /* what the constructor had to read already, then the volume's */

static const char *variable(char **env, const char *name)
{
    size_t n = strlen(name);

    for (; env != NULL && *env != NULL; env++)
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=' && (*env)[n + 1] != '\0')
            return *env + n + 1;
    return NULL;
}

/* --- the volume ------------------------------------------------------------------------------- */

struct vfs *volume_if_any(void)
{
    return atomic_load_explicit(&mounted, memory_order_acquire);
}

/* Everything of ours that may be locked is locked here, so that the child finds it in order.
 * Guarded from before to after: a handler that ran in between would find the locks taken.  Without
 * a volume nothing is done before: the child starts afresh. */
void volume_before_fork(void)
{
    struct vfs *v = volume_if_any();
    struct guard g;

    if (v == NULL)
        return;
    guard_enter(&g);
    pthread_mutex_lock(&lock);
    fork_guard = g;
    fork_volume = v;
    listing_before_fork();
    vfs_before_fork(v);
    heap_before_fork();
}

/* Another thread may have been making the volume when the process was copied. */
static void start_afresh(void)
{
    pthread_mutex_init(&lock, NULL);
    heap_start_afresh();
    config = (struct config){0};
    atomic_store(&failed, 0);
    atomic_store(&mounted, NULL);
}

void volume_after_fork(bool in_child)
{
    struct vfs *v = fork_volume;
    struct guard g = fork_guard;

    if (v == NULL) {
        if (in_child)
            start_afresh();
        return;
    }
    heap_after_fork();
    vfs_after_fork(v, in_child);
    if (in_child)
        fdtab_after_fork(v);
    listing_after_fork();
    fork_volume = NULL;
    pthread_mutex_unlock(&lock);
    guard_leave(&g);
}

static void fork_parent(void)
{
    volume_after_fork(false);
}

static void fork_child(void)
{
    volume_after_fork(true);
}

static int mount_volume(void)
{
    char err[512] = "";
    struct vfs *v = NULL;
    int rc = 0;

    if (config.prefix == NULL && (config.prefix = jfspre_heap_strdup(route_prefix())) == NULL)
        rc = -ENOMEM;
    if (rc == 0)
        rc = config_load(&config, err, sizeof(err));
    if (rc == 0) {
        log_start(config.log);
        rc = vfs_mount(&config, &v, err, sizeof(err));
    }
    if (rc < 0) {
        log_line("%s: %s", route_prefix(), err[0] != '\0' ? err : strerror(-rc));
        return rc;
    }
    FILE *standard[] = {stdout, stdin, stderr}; /* a program may have put one of its own there */
    for (size_t i = 0; i < sizeof(standard) / sizeof(*standard); i++)
        streams_watch(standard[i]);
    atomic_store(&mounted, v);
    if (atomic_load(&unseen)) /* behind that: volume_unseen() looks the other way round */
        vfs_unseen(v);
    return 0;
}

void volume_unseen(void)
{
    struct vfs *v;

    atomic_store(&unseen, true);
    if ((v = atomic_load(&mounted)) != NULL)
        vfs_unseen(v);
}

struct vfs *volume(int *err)
{
    struct vfs *v = volume_if_any();
    int rc = atomic_load(&failed);

    if (v != NULL)
        return v;
    pthread_mutex_lock(&lock);
    if ((v = volume_if_any()) == NULL && rc == 0 && (rc = atomic_load(&failed)) == 0) {
        rc = mount_volume();
        atomic_store(&failed, rc);
        v = volume_if_any();
    }
    pthread_mutex_unlock(&lock);
    if (v == NULL)
        *err = rc;
    return v;
}

/* --- start ------------------------------------------------------------------------------------ */

static bool readable(const char *path)
{
    return raw_syscall3(SYS_faccessat, AT_FDCWD, path, R_OK) == 0;
}

/* The prefix without reading a file where that can be helped.  NULL: nothing is to be served. */
static const char *find_prefix(char **env)
{
    const char *prefix = variable(env, "JFSPRE_PREFIX");
    const char *base = variable(env, "XDG_CONFIG_HOME"), *middle = "";
    char path[PATH_MAX], err[512];

    if (prefix != NULL)
        return prefix;
    if (variable(env, "JFSPRE_META") != NULL)
        return DEFAULT_PREFIX; /* files are not read when the URL is in the environment */
    if (base == NULL || *base != '/') {
        base = variable(env, "HOME");
        middle = "/.config";
    }
    snprintf(path, sizeof(path), "%s%s/jfspre/config", base != NULL ? base : "", middle);
    if (!readable(path) && !readable("/etc/jfspre.conf"))
        return DEFAULT_PREFIX;
    if (config_load(&config, err, sizeof(err)) == 0)
        return config.prefix;
    log_line("%s", err);
    return NULL;
}

/* A parent of ours passed descriptors on: ask the kernel what each number is. */
static void inherit_fds(struct vfs *v)
{
    char buf[2048];
    long fd = raw_syscall4(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY, 0);
    long n;

    if (fd < 0)
        return;
    while ((n = raw_syscall3(SYS_getdents64, fd, buf, sizeof(buf))) > 0)
        for (long at = 0; at < n;) {
            struct dirent64 *e = (struct dirent64 *)(buf + at);
            at += e->d_reclen;
            int number = atoi(e->d_name);
            struct vfs_fd f;
            if (e->d_name[0] == '.' || number == fd || !fdtab_identify(v, number, &f))
                continue;
            f.borrowed = true;
            fdtab_set(number, &f);
        }
    raw_syscall3(SYS_close, fd, 0, 0);
}

static void inherit(char **env)
{
    bool fds = variable(env, "JFSPRE_FDS") != NULL;
    const char *pwd = variable(env, "PWD");
    /* The second: started natively in a directory that is there below the volume, the mount point.
     */
    bool cwd = variable(env, "JFSPRE_CWD") != NULL || (pwd != NULL && route_is_ours(AT_FDCWD, pwd));
    struct call c;

    if (!fds && !cwd)
        return;
    call_begin(&c);
    if (c.v != NULL && fds)
        inherit_fds(c.v);
    if (c.v != NULL && cwd)
        cwd_inherit(c.v);
    call_end(&c);
}

__attribute__((constructor)) static void start(int argc, char **argv, char **env)
{
    const char *prefix;

    real_bind();
    if (getauxval(AT_SECURE) != 0)
        return;
    if (environ == NULL)
        environ = env;
    prefix = find_prefix(env);
    if (prefix == NULL)
        return;
    process_ids_are_watched(); /* wrap_ids.c */
    exec_env_start(env);
    if (!route_set_prefix(prefix)) {
        log_line("JFSPRE_PREFIX \"%s\": not an absolute path of some directory", prefix);
        return;
    }
    pthread_atfork(volume_before_fork, fork_parent, fork_child);
    inherit(env);
}
