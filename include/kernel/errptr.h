/* A pointer that carries a negative Linux errno. An interface returns either these or NULL on error, never both. */
#ifndef KERNEL_ERRPTR_H
#define KERNEL_ERRPTR_H

#include <asm/errno.h>
#include <stdbool.h>

static inline void *ERR_PTR(long err) { return (void *)err; }
static inline long PTR_ERR(const void *p) { return (long)p; }
static inline bool IS_ERR(const void *p) { return (unsigned long)p >= (unsigned long)-4095L; }

#endif
