/*
 * kv_lib.c - see kv_lib.h.  The library is never closed again: threads may be inside it.
 */
#include "core/lmdb/kv_lib.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#define SONAME "liblmdb.so.0"

static struct kv_lib lib;
static const char *missing = SONAME;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    /* DEEPBIND lets its calls pass by a preload; a sanitizer's runtime forbids it. */
    int deep = dlsym(RTLD_DEFAULT, "__sanitizer_print_stack_trace") == NULL ? RTLD_DEEPBIND : 0;
    void *so = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL | deep);
    if (so == NULL)
        return;
#define X(name)                                                                                    \
    lib.name = (__typeof__(lib.name))dlsym(so, #name);                                             \
    if (lib.name == NULL) {                                                                        \
        missing = #name;                                                                           \
        return;                                                                                    \
    }
    KV_LIB_FUNCTIONS(X)
#undef X
    missing = NULL;
}

const struct kv_lib *kv_lib(char *why, size_t len)
{
    pthread_once(&once, load);
    if (missing == NULL)
        return &lib;
    snprintf(why, len, "%s is not to be had: install liblmdb0", missing);
    return NULL;
}
