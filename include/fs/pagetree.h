/* The pages of a file in memory, by index; sparse. The owner's lock protects it. */
#ifndef FS_PAGETREE_H
#define FS_PAGETREE_H

#include <kernel/compiler.h>

#define PAGETREE_INDEX_MAX ((1ull << 36) - 1)

struct pagetree {
    void *root;      /* height 0: page 0 itself; else a node */
    unsigned height;
    uint64_t count;  /* pages in it */
};

/* The page at index, NULL for none. */
void *pagetree_get(const struct pagetree *t, uint64_t index);
/* Puts page at an empty index. 0 or -ENOMEM. */
int pagetree_set(struct pagetree *t, uint64_t index, void *page) WARN_UNUSED;
/* Takes out every page of [first, last] and gives it to drop. */
void pagetree_remove(struct pagetree *t, uint64_t first, uint64_t last,
                     void (*drop)(void *page, void *arg), void *arg);

#endif
