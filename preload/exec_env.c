/*
 * exec_env.c - see exec_env.h.
 */
#include "preload/exec_env.h"

#include "preload/raw.h"

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define KEPT_MAX   16
#define KEPT_BYTES 8192

/* NAME=VALUE strings of the first environment; programs overwrite the original for their title. */
static char kept_text[KEPT_BYTES];
static const char *kept[KEPT_MAX];
static int kept_count;
static char library[PATH_MAX];

void *exec_alloc(size_t bytes)
{
    long at = raw_syscall6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return at < 0 && at > -4096 ? NULL : (void *)at;
}

void exec_free(void *mem, size_t bytes)
{
    if (mem != NULL)
        raw_syscall3(SYS_munmap, mem, bytes, 0);
}

static bool is_named(const char *entry, const char *name)
{
    size_t n = strlen(name);

    return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

static bool is_hint(const char *entry)
{
    return is_named(entry, "JFSPRE_FDS") || is_named(entry, "JFSPRE_CWD");
}

static bool is_kept(const char *entry)
{
    return (strncmp(entry, "JFSPRE_", 7) == 0 && !is_hint(entry)) ||
           is_named(entry, "META_PASSWORD");
}

/* Our own path as the loader has it, made absolute: the directory may change later. */
static void find_library(void)
{
    const struct link_map *map = _r_debug.r_map;
    size_t n = 0;

    while (map != NULL && map->l_ld != _DYNAMIC)
        map = map->l_next;
    if (map == NULL)
        return;
    if (map->l_name[0] != '/') {
        long got = raw_syscall3(SYS_getcwd, library, sizeof(library), 0);
        if (got <= 0 || library[0] != '/')
            return;
        n = strlen(library);
        library[n++] = '/';
    }
    if (n + strlen(map->l_name) < sizeof(library))
        strcpy(library + n, map->l_name);
    else
        library[0] = '\0';
}

void exec_env_start(char **env)
{
    size_t used = 0;

    find_library();
    for (; env != NULL && *env != NULL && kept_count < KEPT_MAX; env++) {
        size_t n = strlen(*env) + 1;
        if (!is_kept(*env) || used + n > sizeof(kept_text))
            continue;
        kept[kept_count++] = memcpy(kept_text + used, *env, n);
        used += n;
    }
}

static const char *last_part(const char *path, size_t len)
{
    const char *slash = memrchr(path, '/', len);

    return slash != NULL ? slash + 1 : path;
}

/* Does the list name us, by our path? */
static bool has_library(const char *list)
{
    size_t want = strlen(library);

    for (; *list != '\0'; list++) {
        size_t n = strcspn(list, ": ");
        if (n == want && memcmp(list, library, n) == 0)
            return true;
        list += n;
        if (*list == '\0')
            break;
    }
    return false;
}

static bool is_library(const char *name, size_t len)
{
    const char *base = last_part(library, strlen(library));
    const char *last = last_part(name, len);
    size_t n = (size_t)(name + len - last);

    return n == strlen(base) && memcmp(last, base, n) == 0;
}

static bool lists_library(const char *list)
{
    for (size_t n; *list != '\0'; list += strspn(list, ": ")) {
        n = strcspn(list, ": ");
        if (is_library(list, n))
            return true;
        list += n;
    }
    return false;
}

/* Another spelling of us (a relative one) would load a second copy: ours stands in its place, else
 * in front. */
static void preload_entry(char *out, const char *list)
{
    bool placed = !lists_library(list);

    out = stpcpy(out, "LD_PRELOAD=");
    if (placed)
        out = stpcpy(stpcpy(out, library), ":");
    for (; *list != '\0'; list += strspn(list, ": ")) {
        size_t n = strcspn(list, ": ");
        bool us = is_library(list, n);
        if (us && !placed)
            out = stpcpy(stpcpy(out, library), ":");
        else if (n > 0 && !us)
            out = stpcpy(mempcpy(out, list, n), ":");
        placed = placed || us;
        list += n;
    }
    out[-1] = '\0'; /* the last colon */
}

static bool is_in(char *const envp[], const char *entry)
{
    size_t n = strcspn(entry, "=") + 1;

    for (; envp != NULL && *envp != NULL; envp++)
        if (strncmp(*envp, entry, n) == 0)
            return true;
    return false;
}

/* What envp has, and whether it can stay as it is. */
struct look {
    size_t count;
    const char *list; /* value of LD_PRELOAD */
    bool complete;
};

static struct look look_at(char *const envp[], bool fds, bool cwd)
{
    struct look l = {.list = ""};
    bool has_fds = false, has_cwd = false;

    for (; envp != NULL && envp[l.count] != NULL; l.count++) {
        const char *entry = envp[l.count];
        if (entry[0] == 'L' && is_named(entry, "LD_PRELOAD"))
            l.list = entry + 11;
        else if (entry[0] == 'J' && is_named(entry, "JFSPRE_FDS"))
            has_fds = true;
        else if (entry[0] == 'J' && is_named(entry, "JFSPRE_CWD"))
            has_cwd = true;
    }
    l.complete = has_fds == fds && has_cwd == cwd && has_library(l.list);
    for (int i = 0; i < kept_count && l.complete; i++)
        l.complete = is_in(envp, kept[i]);
    return l;
}

int exec_env_make(struct exec_env *e, char *const envp[], bool fds, bool cwd)
{
    *e = (struct exec_env){.envp = envp, .ours = fds || cwd};
    if (library[0] == '\0')
        return 0;
    struct look l = look_at(envp, fds, cwd);
    if (l.complete)
        return 0;
    size_t rows = l.count + (size_t)kept_count + 4;
    e->bytes = rows * sizeof(char *) + sizeof("LD_PRELOAD=::") + strlen(library) + strlen(l.list);
    e->mem = exec_alloc(e->bytes);
    if (e->mem == NULL)
        return -ENOMEM;
    char **out = e->mem;
    char *text = (char *)(out + rows);
    e->envp = out;
    *out++ = text;
    preload_entry(text, l.list);
    for (size_t i = 0; i < l.count; i++)
        if (!is_named(envp[i], "LD_PRELOAD") && !is_hint(envp[i]))
            *out++ = envp[i];
    for (int i = 0; i < kept_count; i++)
        if (!is_in(envp, kept[i]))
            *out++ = (char *)(uintptr_t)kept[i];
    if (fds)
        *out++ = (char *)(uintptr_t) "JFSPRE_FDS=1";
    if (cwd)
        *out++ = (char *)(uintptr_t) "JFSPRE_CWD=1";
    *out = NULL;
    return 0;
}

void exec_env_free(struct exec_env *e)
{
    exec_free(e->mem, e->bytes);
}
