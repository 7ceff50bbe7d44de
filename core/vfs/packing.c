/*
 * packing.c - small files in packs: what meta calls when their records are queued and sent
 * (meta.h, struct meta_hooks), and the buffer that such a file passes through.
 */
#include "core/vfs/vfs_internal.h"

#include "core/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void packing_open(struct vfs *v)
{
    char dir[PATH_MAX];
    struct packs *packs = NULL;

    if ((size_t)snprintf(dir, sizeof dir, "%s/k", staging_area(v->staging)) < sizeof dir) {
        int rc = packs_open(v->store, dir, &packs);
        if (rc < 0)
            log_once(LOG_WARN, "%s: %s: each file gets a block of its own", dir, strerror(-rc));
    }
    if (v->packs == NULL)
        v->packs = packs;
    else
        packs_close(packs);
}

int packing_add(void *ctx, uint64_t id, const void *bytes, uint32_t len, uint32_t *off)
{
    struct vfs *v = ctx;
    struct staging_owner owner;

    staging_enter(v->staging, &owner);
    int rc = packs_add(v->packs, id, bytes, len, off);
    staging_leave(&owner);
    return rc;
}

int packing_seal(void *ctx, uint64_t id, uint32_t *size)
{
    struct vfs *v = ctx;
    struct staging_owner owner;

    staging_enter(v->staging, &owner);
    int rc = packs_seal(v->packs, id, size);
    staging_leave(&owner);
    return rc;
}

int packing_discard(void *ctx, uint64_t id)
{
    struct vfs *v = ctx;
    struct staging_owner owner;

    staging_enter(v->staging, &owner);
    int rc = packs_discard(v->packs, id);
    staging_leave(&owner);
    return rc;
}

uint32_t packing_max(struct vfs *v)
{
    uint32_t most = v->packs != NULL ? meta_pack_max(v->meta) : 0;
    uint32_t block = store_block_bytes(v->store);
    return most < block ? most : block;
}

void *packing_buffer(struct vfs *v, uint32_t len)
{
    if (len > PACKING_KEPT || pthread_mutex_trylock(&v->packing_lock) != 0)
        return malloc(len);
    if (v->packing_buffer == NULL && (v->packing_buffer = malloc(PACKING_KEPT)) == NULL)
        pthread_mutex_unlock(&v->packing_lock);
    return v->packing_buffer;
}

void packing_buffer_put(struct vfs *v, void *buffer)
{
    if (buffer == NULL)
        return;
    if (buffer == v->packing_buffer)
        pthread_mutex_unlock(&v->packing_lock);
    else
        free(buffer);
}
