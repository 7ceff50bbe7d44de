/*
 * real.c - finds the next definition of each name by walking the objects after us in load order,
 * with their GNU hash tables: what the program itself would be linked to, in a tenth of
 * dlsym(RTLD_NEXT)'s time (a process that never touches the prefix pays for it) and without its
 * lock and allocations.
 */
#include "preload/real.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VERSION_HIDDEN 0x8000

struct object {
    ElfW(Addr) base;
    const ElfW(Sym) * sym;
    const char *str;
    const ElfW(Half) * version;
    uint32_t buckets, first, shift;
    uint32_t bloom_words;
    const ElfW(Addr) * bloom;
    const uint32_t *bucket, *chain;
};

void *jfspre_real_table[REAL_COUNT];

static const char *const names[REAL_COUNT] = {
#define SYM(family, name)               #name,
#define REFUSE(family, name, kind, err) #name,
#define ALIAS(family, name, target)
#define OWN(family, name)
#include "preload/symbols.def"
#undef SYM
#undef REFUSE
#undef ALIAS
#undef OWN
};

static long missing(void)
{
    errno = ENOSYS;
    return -1;
}

/* false: nothing to search in it (the vdso, or an object without a GNU hash table). */
static bool object_open(const struct link_map *map, struct object *o)
{
    const uint32_t *hash = NULL;

    *o = (struct object){.base = map->l_addr};
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SYMTAB)
            o->sym = (const void *)d->d_un.d_ptr;
        else if (d->d_tag == DT_STRTAB)
            o->str = (const void *)d->d_un.d_ptr;
        else if (d->d_tag == DT_VERSYM)
            o->version = (const void *)d->d_un.d_ptr;
        else if (d->d_tag == DT_GNU_HASH)
            hash = (const void *)d->d_un.d_ptr;
    }
    /* The loader leaves the vdso's pointers unrelocated. */
    if (hash == NULL || o->sym == NULL || o->str == NULL || (ElfW(Addr))hash < map->l_addr)
        return false;
    o->buckets = hash[0];
    o->first = hash[1];
    o->bloom_words = hash[2];
    o->shift = hash[3];
    o->bloom = (const void *)(hash + 4);
    o->bucket = (const void *)(o->bloom + o->bloom_words);
    o->chain = o->bucket + o->buckets;
    return o->buckets > 0 && o->bloom_words > 0;
}

static bool same(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b)
        a++, b++;
    return *a == *b;
}

/* The default version of name, or NULL; *hidden gets another one, of a name that the object only
 * keeps for old programs. */
static void *object_find(const struct object *o, const char *name, uint32_t h, void **hidden)
{
    const unsigned bits = 8 * sizeof(ElfW(Addr));
    ElfW(Addr) word = o->bloom[(h / bits) % o->bloom_words];

    if (((word >> (h % bits)) & (word >> ((h >> o->shift) % bits)) & 1) == 0)
        return NULL;
    uint32_t i = o->bucket[h % o->buckets];
    if (i < o->first)
        return NULL;
    for (;; i++) {
        uint32_t link = o->chain[i - o->first];
        const ElfW(Sym) *s = &o->sym[i];
        if ((link | 1) == (h | 1) && s->st_shndx != SHN_UNDEF && same(o->str + s->st_name, name)) {
            void *at = (void *)(o->base + s->st_value);
            if (ELF64_ST_TYPE(s->st_info) == STT_GNU_IFUNC)
                return dlsym(RTLD_NEXT, name);
            if (o->version == NULL || (o->version[i] & VERSION_HIDDEN) == 0)
                return at;
            *hidden = at;
        }
        if (link & 1)
            return NULL;
    }
}

static uint32_t gnu_hash(const char *name)
{
    uint32_t h = 5381;

    for (; *name != '\0'; name++)
        h = h * 33 + (uint8_t)*name;
    return h;
}

void real_bind(void)
{
    const struct link_map *map = _r_debug.r_map;
    uint32_t hash[REAL_COUNT];
    void *found[REAL_COUNT] = {NULL}, *hidden[REAL_COUNT] = {NULL};
    struct object o;

    for (int i = 0; i < REAL_COUNT; i++)
        hash[i] = gnu_hash(names[i]);
    while (map != NULL && map->l_ld != _DYNAMIC)
        map = map->l_next;
    while (map != NULL && (map = map->l_next) != NULL) {
        if (!object_open(map, &o))
            continue;
        for (int i = 0; i < REAL_COUNT; i++)
            if (found[i] == NULL)
                found[i] = object_find(&o, names[i], hash[i], &hidden[i]);
    }
    /* Hidden versions last: libattr keeps the xattr calls so, which go through syscall(). */
    for (int i = 0; i < REAL_COUNT; i++)
        jfspre_real_table[i] = found[i] != NULL    ? found[i]
                               : hidden[i] != NULL ? hidden[i]
                                                   : (void *)missing;
}

/* Called before our constructor ran: by an allocator, or by a resolver of an IFUNC. */
void *real_bind_late(enum real_index i)
{
    real_bind();
    return jfspre_real_table[i];
}
