/*
 * writer_internal - what model.c and writer.c share.
 */
#ifndef JFSPRE_TESTS_LIB_WRITER_INTERNAL_H
#define JFSPRE_TESTS_LIB_WRITER_INTERNAL_H

#include "tests/lib/writer.h"

#include <sys/types.h>

void model_fill(uint8_t *p, size_t n, uint32_t seed);             /* the bytes of a deed */
struct model_name *model_find(struct model *m, const char *name); /* "": an unused one; or NULL */

/* A path of the model; one of two. */
struct vfs_loc *writer_at(const char *path);
ssize_t writer_transfer(struct vfs *v, int fd, const struct vfs_fd *f, void *data, size_t n,
                        off_t off, bool write);

#endif
