/* A radix tree of pages with 64 children a node (512 bytes). It is as high as its highest index needs: a file of one page has no node at
   all. Empty nodes are freed on the way out of a removal. Recursion is at most six deep (36 bits of index). */
#include <asm/errno.h>
#include <fs/pagetree.h>
#include <kernel/string.h>
#include <mm/kmem.h>

#define SHIFT 6
#define FANOUT (1u << SHIFT)

struct node {
    void *child[FANOUT];
};

static bool fits(unsigned height, uint64_t index)
{
    return index >> (SHIFT * height) == 0;
}

static unsigned child_index(unsigned level, uint64_t index)
{
    return index >> (SHIFT * (level - 1)) & (FANOUT - 1);
}

void *pagetree_get(const struct pagetree *t, uint64_t index)
{
    if (!fits(t->height, index))
        return NULL;
    void *p = t->root;
    for (unsigned level = t->height; p && level > 0; level--)
        p = ((struct node *)p)->child[child_index(level, index)];
    return p;
}

int pagetree_set(struct pagetree *t, uint64_t index, void *page)
{
    while (!fits(t->height, index)) {
        if (t->root) {
            struct node *top = kzalloc(sizeof(*top));
            if (!top)
                return -ENOMEM;
            top->child[0] = t->root;
            t->root = top;
        }
        t->height++;
    }
    void **at = &t->root;
    for (unsigned level = t->height; level > 0; level--) {
        /* A node that stays empty because a later one can not be had does no harm: it is used, or freed with the tree. */
        if (!*at && !(*at = kzalloc(sizeof(struct node))))
            return -ENOMEM;
        at = &((struct node *)*at)->child[child_index(level, index)];
    }
    *at = page;
    t->count++;
    return 0;
}

struct removal {
    struct pagetree *tree;
    uint64_t first, last;
    void (*drop)(void *page, void *arg);
    void *arg;
};

/* Removes below p, which stands for the indices from base on; returns p, or NULL when it is empty now. */
static void *remove_below(struct removal *r, void *p, unsigned level, uint64_t base)
{
    if (!p)
        return NULL;
    if (level == 0) {
        r->tree->count--;
        r->drop(p, r->arg);
        return NULL;
    }
    struct node *n = p;
    bool empty = true;
    uint64_t span = 1ull << (SHIFT * (level - 1));
    for (unsigned i = 0; i < FANOUT; i++, base += span) {
        if (n->child[i] && base <= r->last && base + span - 1 >= r->first)
            n->child[i] = remove_below(r, n->child[i], level - 1, base);
        empty &= !n->child[i];
    }
    if (!empty)
        return n;
    kfree(n);
    return NULL;
}

void pagetree_remove(struct pagetree *t, uint64_t first, uint64_t last,
                     void (*drop)(void *page, void *arg), void *arg)
{
    struct removal r = {t, first, last, drop, arg};
    if (t->height == 0 && first > 0)
        return;
    t->root = remove_below(&r, t->root, t->height, 0);
    if (!t->root)
        t->height = 0;
}
