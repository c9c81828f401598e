/*
 * The image's allocator: mimalloc, as malloc() and all of its relatives.
 *
 * Chosen by measurement (libc/README.md): fewer instructions than musl's mallocng and than
 * jemalloc, smaller than jemalloc, and memory is taken from the kernel lazily and given back by
 * madvise(MADV_DONTNEED).
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>

#define MI_MALLOC_OVERRIDE 1
#define __USE_ISOC11 1
#define malloc_usable_size mi_malloc_usable_size_alias
#include "src/static.c"
#undef malloc_usable_size

/* Memory of the kernel is lazy already: asking for it piece by piece would only cost calls. */
__attribute__((constructor(101))) static void set_options(void)
{
    mi_option_set_default(mi_option_eager_commit_delay, 0);
}

/* musl's own names for the allocator, which its inner parts use. */
void *__libc_malloc(size_t n) { return mi_malloc(n); }
void *__libc_calloc(size_t n, size_t m) { return mi_calloc(n, m); }
void *__libc_realloc(void *p, size_t n) { return mi_realloc(p, n); }
void __libc_free(void *p) { mi_free(p); }

/*
 * Redis asks for the size of each block that it allocates or frees: the common case, and no check.
 */
size_t malloc_usable_size(void *p)
{
    if (!p)
        return 0;
    mi_page_t *page = _mi_segment_page_of(_mi_ptr_segment(p), p);
    if (mi_unlikely(mi_page_has_aligned(page) || page->xblock_size >= MI_HUGE_BLOCK_SIZE))
        return mi_usable_size(p);
    return page->xblock_size;
}

static bool give_back(mi_heap_t *heap, mi_page_queue_t *queue, mi_page_t *page, void *a, void *b)
{
    (void)queue, (void)a, (void)b;
    mi_segment_delayed_decommit(_mi_page_segment(page), true, heap->tld->segments.stats);
    return true;
}

/*
 * A thread has nothing to do. mimalloc returns free memory to the kernel only as it is asked for
 * more, so after a burst what it kept would stay. Does nothing if no page of this thread's heap has
 * come or gone since last time.
 */
void __malloc_idle(void)
{
    static __thread size_t seen;
    mi_heap_t *heap = mi_get_default_heap();

    if (!mi_heap_is_initialized(heap) || heap->page_count == seen)
        return;
    mi_heap_collect_ex(heap, MI_NORMAL);
    _mi_heap_collect_retired(heap, true);
    mi_heap_visit_pages(heap, give_back, NULL, NULL);
    _mi_segment_cache_collect(true, &heap->tld->os);
    seen = heap->page_count;
}
