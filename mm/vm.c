/* Areas of the application's address space, in a tree ordered by address, and the pages in them.

   vm_lock protects the tree and all changes of the low half's page tables. A fault takes it too; since system calls of linked applications run on stacks whose
   pages come on demand, lock_areas() touches the stack deep enough before it takes the lock (mm/stack_probe.h).

   Anonymous memory comes at the first touch: a 2 MiB page where the area covers one and memory is plentiful, else 4 KiB. User pages never take the last reserve:
   the kernel must be able to answer. File pages are used in place where the file has them (PAGING_BORROWED: not ours to free), private writes copy.

   Placement is top-down from a base drawn at boot. Adjacent anonymous areas with equal rights become one. */
#include <arch/paging.h>
#include <asm/errno.h>
#include <fs/file.h>
#include <kernel/log.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <mm/kmem.h>
#include <mm/stack_probe.h>
#include <mm/vm.h>
#include <sched/mutex.h>
#include <stdatomic.h>
#include <sys/tree.h>

#define HUGE_MIN_FREE (64ull << 20)
#define KEEP_FLAGS (VM_READ | VM_WRITE | VM_EXEC | VM_SHARED | VM_NORESERVE | VM_STACK | VM_NOHUGE)
#define PROT_FLAGS (VM_READ | VM_WRITE | VM_EXEC)

struct area {
    RB_ENTRY(area) link;
    uint64_t start, end, offset;
    unsigned flags;
    struct area_file *file;
};
/* A mapped file shared by the areas that one mmap was split into. */
struct area_file {
    struct mapped_file *mapped;
    unsigned refs; /* vm_lock */
};

static int area_order(const struct area *a, const struct area *b) { return a->start < b->start ? -1 : a->start > b->start; }
RB_HEAD(area_tree, area);
RB_PROTOTYPE_STATIC(area_tree, area, link, area_order);
RB_GENERATE_STATIC(area_tree, area, link, area_order)

static struct mutex vm_lock = MUTEX_INIT; /* protects all below */
static struct area_tree areas = RB_INITIALIZER(&areas);
static uint64_t mmap_top, heap_start, heap_end;
static uint64_t mapped_bytes, resident_bytes;

static void lock_areas(void)
{
    stack_probe_deep();
    mutex_lock(&vm_lock);
}

/* The first area that ends above address. */
static struct area *area_above(uint64_t address)
{
    struct area *n = RB_ROOT(&areas), *best = NULL;
    while (n) {
        if (n->end > address) {
            best = n;
            n = RB_LEFT(n, link);
        } else {
            n = RB_RIGHT(n, link);
        }
    }
    return best;
}

static struct area *area_at(uint64_t address)
{
    struct area *a = area_above(address);
    return a && a->start <= address ? a : NULL;
}

static void area_file_put(struct area_file *f)
{
    if (!f || --f->refs)
        return;
    file_put(f->mapped->file);
    kfree(f->mapped);
    kfree(f);
}

static unsigned paging_flags(unsigned flags)
{
    unsigned p = (flags & VM_WRITE ? PAGING_WRITE : 0) | (flags & VM_EXEC ? PAGING_EXEC : 0);
    return flags & PROT_FLAGS ? p : PAGING_NONE;
}

/* Cuts the area that holds address so that an area starts there. 0 or -ENOMEM. */
static int cut(uint64_t address)
{
    struct area *a = area_at(address);
    if (!a || a->start == address)
        return 0;
    struct area *b = kmalloc(sizeof(*b));
    if (!b)
        return -ENOMEM;
    *b = *a;
    b->start = address;
    b->offset += address - a->start;
    a->end = address;
    if (b->file)
        b->file->refs++;
    RB_INSERT(area_tree, &areas, b);
    return IS_ALIGNED(address, HUGE_PAGE_SIZE) ? 0 : paging_split(address);
}

/* Joins a with what follows it where they are alike. */
static void join_next(struct area *a)
{
    struct area *b = RB_NEXT(area_tree, &areas, a);
    if (!b || a->end != b->start || a->flags != b->flags || a->file || b->file)
        return;
    if ((a->start < heap_end && a->end > heap_start) != (b->start < heap_end && b->end > heap_start))
        return;
    a->end = b->end;
    RB_REMOVE(area_tree, &areas, b);
    kfree(b);
}

/* Empties [start, end): pages are freed in batches, after the flush. */
static void drop_pages(uint64_t start, uint64_t end)
{
    struct {
        paddr_t page;
        unsigned order;
    } batch[64];
    uint64_t va = start, from = start;
    while (va < end) {
        unsigned n = 0;
        bool any = false;
        for (va = paging_next(va, end); va < end && n < ARRAY_SIZE(batch); va = paging_next(va, end)) {
            unsigned order = 0;
            bool borrowed;
            paddr_t page = paging_unmap_page(va, &order, &borrowed);
            any = true;
            if (page && !borrowed) {
                batch[n].page = page;
                batch[n++].order = order;
                resident_bytes -= PAGE_SIZE << order;
            }
            va += PAGE_SIZE << order;
        }
        if (va > end)
            va = end;
        if (any)
            paging_flush(from, va);
        while (n) {
            n--;
            page_free(batch[n].page, batch[n].order);
        }
        from = va;
    }
}

/* Removes all areas of [start, end), which must have been cut at both ends. */
static void remove_areas(uint64_t start, uint64_t end)
{
    struct area *a = area_above(start), *next;
    bool any = false;
    for (; a && a->start < end; a = next) {
        next = RB_NEXT(area_tree, &areas, a);
        drop_pages(a->start, a->end);
        mapped_bytes -= a->end - a->start;
        RB_REMOVE(area_tree, &areas, a);
        area_file_put(a->file);
        kfree(a);
        any = true;
    }
    if (any && end - start >= HUGE_PAGE_SIZE)
        paging_free_tables(start, end);
}

static int clear_range(uint64_t start, uint64_t end)
{
    int err = cut(start);
    if (!err)
        err = cut(end);
    if (!err)
        remove_areas(start, end);
    return err;
}

/* Highest free place of this length below top; aligned to 2 MiB where that makes huge pages possible. 0: none. */
static uint64_t find_place(uint64_t length, uint64_t top)
{
    uint64_t align = length >= HUGE_PAGE_SIZE ? HUGE_PAGE_SIZE : PAGE_SIZE, end = top;
    struct area *a = NULL, *n = RB_ROOT(&areas);
    while (n) { /* the last area that starts below top */
        if (n->start < top) {
            a = n;
            n = RB_RIGHT(n, link);
        } else {
            n = RB_LEFT(n, link);
        }
    }
    for (;; a = RB_PREV(area_tree, &areas, a)) {
        uint64_t floor = a ? a->end : VM_LOW;
        if (end > floor && end - floor >= length) {
            uint64_t start = ALIGN_DOWN(end - length, align);
            if (start >= floor)
                return start;
        }
        if (!a)
            return 0;
        end = MIN(end, a->start);
    }
}

static uint64_t user_reserve(void) { return MIN(page_total_bytes() / 64, 16ull << 20); }

static int fill(struct area *a, uint64_t address, bool write);

static int populate(uint64_t start, uint64_t end)
{
    int err = 0;
    for (uint64_t va = start; va < end && !err; va += PAGE_SIZE) {
        struct area *a = area_at(va);
        if (a && (a->flags & PROT_FLAGS) && !paging_lookup(va, NULL, NULL))
            err = fill(a, va, a->flags & VM_WRITE);
    }
    return err;
}

static struct area *insert_area(uint64_t start, uint64_t end, unsigned flags, struct area_file *file, uint64_t offset)
{
    struct area *a = kmalloc(sizeof(*a));
    if (!a)
        return NULL;
    *a = (struct area){.start = start, .end = end, .flags = flags & KEEP_FLAGS, .file = file, .offset = offset};
    RB_INSERT(area_tree, &areas, a);
    mapped_bytes += end - start;
    return a;
}

static long place(uint64_t address, uint64_t length, unsigned flags)
{
    uint64_t top = flags & VM_32BIT ? 0x80000000ull : mmap_top;
    if (flags & (VM_FIXED | VM_FIXED_NOREPLACE)) {
        if (!IS_ALIGNED(address, PAGE_SIZE))
            return -EINVAL;
        if (address < VM_LOW)
            return -EPERM;
        if (address >= VM_TOP || length > VM_TOP - address)
            return -ENOMEM;
        struct area *a = area_above(address);
        if ((flags & VM_FIXED_NOREPLACE) && a && a->start < address + length)
            return -EEXIST;
        int err = clear_range(address, address + length);
        return err ? err : (long)address;
    }
    if (address && !(flags & VM_32BIT)) {
        address = ALIGN_DOWN(address, PAGE_SIZE);
        struct area *a = area_above(address);
        if (address >= VM_LOW && address < VM_TOP && length <= VM_TOP - address && !(a && a->start < address + length))
            return (long)address;
    }
    address = find_place(length, top);
    return address ? (long)address : -ENOMEM;
}

long vm_map(uint64_t address, uint64_t length, unsigned flags, struct mapped_file *mapped, uint64_t offset)
{
    struct area_file *file = NULL;
    if (!length || length > VM_TOP)
        return length ? -ENOMEM : -EINVAL;
    length = ALIGN_UP(length, PAGE_SIZE);
    if (!mapped && (flags & VM_WRITE) && !(flags & VM_NORESERVE) && length > page_total_bytes())
        return -ENOMEM; /* as Linux's overcommit mode 0: only what can never be kept is refused */
    if (mapped) {
        file = kmalloc(sizeof(*file));
        if (!file)
            return -ENOMEM;
        *file = (struct area_file){mapped, 1};
    }
    lock_areas();
    long at = place(address, length, flags);
    if (at < 0)
        goto fail;
    struct area *a = insert_area((uint64_t)at, (uint64_t)at + length, flags, file, offset);
    if (!a) {
        at = -ENOMEM;
        goto fail;
    }
    struct area *prev = RB_PREV(area_tree, &areas, a);
    join_next(a);
    if (prev)
        join_next(prev);
    if (flags & VM_POPULATE)
        (void)populate((uint64_t)at, (uint64_t)at + length); /* as on Linux: no error when pages are short */
    mutex_unlock(&vm_lock);
    return at;
fail:
    mutex_unlock(&vm_lock);
    kfree(file);
    return at;
}

static bool bad_range(uint64_t address, uint64_t length)
{
    return !IS_ALIGNED(address, PAGE_SIZE) || address >= VM_TOP || length > VM_TOP - address;
}

int vm_unmap(uint64_t address, uint64_t length)
{
    if (!length || bad_range(address, length))
        return -EINVAL;
    lock_areas();
    int err = clear_range(address, address + ALIGN_UP(length, PAGE_SIZE));
    mutex_unlock(&vm_lock);
    return err;
}

/* The whole range belongs to areas. */
static bool covered(uint64_t start, uint64_t end)
{
    struct area *a = area_at(start);
    for (; a && a->end < end; a = RB_NEXT(area_tree, &areas, a)) {
        struct area *b = RB_NEXT(area_tree, &areas, a);
        if (!b || b->start != a->end)
            return false;
    }
    return a != NULL;
}

int vm_protect(uint64_t address, uint64_t length, unsigned prot)
{
    uint64_t end = address + ALIGN_UP(length, PAGE_SIZE);
    if (bad_range(address, length))
        return -EINVAL;
    if (!length)
        return 0;
    lock_areas();
    int err = covered(address, end) ? 0 : -ENOMEM;
    if (!err)
        err = cut(address);
    if (!err)
        err = cut(end);
    if (!err) {
        struct area *a = area_at(address), *first = a;
        bool changed = false;
        for (; a && a->start < end; a = RB_NEXT(area_tree, &areas, a)) {
            a->flags = (a->flags & ~PROT_FLAGS) | prot;
            unsigned p = paging_flags(a->flags);
            if (a->file && !(a->flags & VM_SHARED))
                p |= PAGING_KEEP_BORROWED_READONLY;
            changed |= paging_protect(a->start, a->end, p);
        }
        if (changed)
            paging_flush(address, end);
        struct area *prev = RB_PREV(area_tree, &areas, first);
        for (a = prev ? prev : first; a && a->start < end;) {
            uint64_t was = a->end;
            join_next(a);
            if (a->end == was)
                a = RB_NEXT(area_tree, &areas, a);
        }
    }
    mutex_unlock(&vm_lock);
    return err;
}

int vm_discard(uint64_t address, uint64_t length)
{
    uint64_t end = address + ALIGN_UP(length, PAGE_SIZE);
    if (bad_range(address, length))
        return -EINVAL;
    lock_areas();
    int err = paging_split(address);
    if (!err)
        err = paging_split(end);
    if (!err) {
        err = covered(address, end) || !length ? 0 : -ENOMEM;
        for (struct area *a = area_above(address); a && a->start < end; a = RB_NEXT(area_tree, &areas, a))
            drop_pages(MAX(a->start, address), MIN(a->end, end));
    }
    mutex_unlock(&vm_lock);
    return err;
}

int vm_set_huge(uint64_t address, uint64_t length, bool allowed)
{
    uint64_t end = address + ALIGN_UP(length, PAGE_SIZE);
    if (bad_range(address, length))
        return -EINVAL;
    lock_areas();
    int err = cut(address);
    if (!err)
        err = cut(end);
    for (struct area *a = area_above(address); !err && a && a->start < end; a = RB_NEXT(area_tree, &areas, a))
        a->flags = allowed ? a->flags & ~VM_NOHUGE : a->flags | VM_NOHUGE;
    mutex_unlock(&vm_lock);
    return err;
}

/* Moves the pages of [from, from+length) to [to, ...), which is empty. */
static int move_pages(uint64_t from, uint64_t to, uint64_t length)
{
    uint64_t end = from + length;
    bool same = ((from ^ to) & (HUGE_PAGE_SIZE - 1)) == 0;
    for (uint64_t va = paging_next(from, end); va < end; va = paging_next(va, end)) {
        unsigned order, flags;
        if (!same && paging_split(va))
            return -ENOMEM;
        if (!paging_lookup(va, &order, &flags)) {
            va += PAGE_SIZE;
            continue;
        }
        uint64_t target = to + (va - from);
        if (order && paging_has_table(target)) { /* smaller pages that were there left a table */
            if (paging_split(va))
                return -ENOMEM;
            order = 0;
        }
        if (paging_prepare(target, order))
            return -ENOMEM;
        bool borrowed;
        paddr_t page = paging_unmap_page(va, &order, &borrowed);
        (void)paging_map_prepared(target, page, order, flags | (borrowed ? PAGING_BORROWED : 0));
        va += PAGE_SIZE << order;
    }
    paging_flush(from, end);
    return 0;
}

static long remap_locked(uint64_t address, uint64_t old_length, uint64_t new_length, unsigned flags, uint64_t new_address)
{
    struct area *a = area_at(address);
    if (!a || a->end < address + old_length)
        return -EFAULT;
    int err;
    if (flags & VM_REMAP_FIXED) {
        if (!IS_ALIGNED(new_address, PAGE_SIZE) || new_address < VM_LOW || new_length > VM_TOP || new_address > VM_TOP - new_length ||
            (new_address < address + old_length && address < new_address + new_length))
            return -EINVAL;
        err = clear_range(new_address, new_address + new_length);
        if (err)
            return err;
        a = area_at(address);
    }
    if (new_length < old_length) {
        err = clear_range(address + new_length, address + old_length);
        if (err)
            return err;
        old_length = new_length;
        a = area_at(address);
    }
    if (new_length == old_length && !(flags & VM_REMAP_FIXED))
        return (long)address;
    if (new_length > page_total_bytes() && !(a->flags & VM_NORESERVE) && !a->file)
        return -ENOMEM;
    struct area *next = RB_NEXT(area_tree, &areas, a);
    uint64_t end = address + old_length, new_end = address + new_length;
    if (!(flags & VM_REMAP_FIXED) && a->end == end && new_end <= VM_TOP && (!next || next->start >= new_end)) {
        a->end = new_end; /* grows in place */
        mapped_bytes += new_length - old_length;
        join_next(a);
        return (long)address;
    }
    if (!(flags & VM_REMAP_MAYMOVE))
        return -ENOMEM;
    uint64_t to = flags & VM_REMAP_FIXED ? new_address : find_place(new_length, mmap_top);
    if (!to)
        return -ENOMEM;
    if ((err = cut(address)) || (err = cut(end)))
        return err;
    a = area_at(address);
    struct area *b = insert_area(to, to + new_length, a->flags, a->file, a->offset);
    if (!b)
        return -ENOMEM;
    if (b->file)
        b->file->refs++;
    err = move_pages(address, to, old_length);
    if (err) { /* what was moved goes back; its tables are there */
        (void)move_pages(to, address, old_length);
        remove_areas(to, to + new_length);
        return err;
    }
    remove_areas(address, end);
    return (long)to;
}

long vm_remap(uint64_t address, uint64_t old_length, uint64_t new_length, unsigned flags, uint64_t new_address)
{
    old_length = ALIGN_UP(old_length, PAGE_SIZE);
    new_length = ALIGN_UP(new_length, PAGE_SIZE);
    if (bad_range(address, old_length) || !new_length || !old_length || new_length > VM_TOP)
        return -EINVAL;
    lock_areas();
    long at = remap_locked(address, old_length, new_length, flags, new_address);
    mutex_unlock(&vm_lock);
    return at;
}

uint64_t vm_brk(uint64_t end)
{
    lock_areas();
    uint64_t old = ALIGN_UP(heap_end, PAGE_SIZE), new = ALIGN_UP(end, PAGE_SIZE);
    if (end < heap_start || end - heap_start > page_total_bytes()) {
        /* no change: the caller sees the old end */
    } else if (new < old) {
        if (!clear_range(new, old))
            heap_end = end;
    } else if (new > old) {
        struct area *next = area_above(old);
        if ((!next || next->start >= new) && insert_area(old, new, VM_READ | VM_WRITE, NULL, 0)) {
            heap_end = end;
            struct area *prev = area_at(old - 1);
            if (prev)
                join_next(prev);
        }
    } else {
        heap_end = end;
    }
    end = heap_end;
    mutex_unlock(&vm_lock);
    return end;
}

bool vm_writable(uint64_t address, uint64_t length)
{
    extern char __data_start[], __image_end[];
    if (address >= (uint64_t)__data_start)
        return address < (uint64_t)__image_end && length <= (uint64_t)__image_end - address;
    lock_areas();
    struct area *a = area_at(address);
    bool ok = covered(address, address + length);
    for (; ok && a && a->start < address + length; a = RB_NEXT(area_tree, &areas, a))
        ok = a->flags & VM_WRITE;
    mutex_unlock(&vm_lock);
    return ok;
}

bool vm_resident(uint64_t address, uint64_t length, uint8_t *vector)
{
    lock_areas();
    bool all = covered(address, address + length);
    for (uint64_t o = 0; all && vector && o < length; o += PAGE_SIZE)
        vector[o / PAGE_SIZE] = paging_lookup(address + o, NULL, NULL) != 0;
    mutex_unlock(&vm_lock);
    return all;
}

/* A page could not be had: says who holds the memory, once in a while. */
static void report_shortage(uint64_t address)
{
    static _Atomic unsigned reports;
    if (atomic_fetch_add_explicit(&reports, 1, memory_order_relaxed) < 8)
        log_error("out of memory at %#lx: %lu KiB in all, %lu KiB free, the program has %lu KiB, the kernel's heap %lu KiB", address,
                  page_total_bytes() >> 10, page_free_bytes() >> 10, resident_bytes >> 10, kmem_held_bytes() >> 10);
}

static int fill_anonymous(struct area *a, uint64_t address)
{
    uint64_t huge = ALIGN_DOWN(address, HUGE_PAGE_SIZE), free = page_free_bytes();
    if (a->start <= huge && huge + HUGE_PAGE_SIZE <= a->end && !(a->flags & (VM_STACK | VM_NOHUGE)) &&
        free > HUGE_MIN_FREE && free > page_total_bytes() / 4 && !paging_has_table(huge)) {
        paddr_t page = page_alloc(HUGE_PAGE_ORDER);
        if (page) {
            memset(phys_to_virt(page), 0, HUGE_PAGE_SIZE);
            if (!paging_map(huge, page, HUGE_PAGE_ORDER, paging_flags(a->flags))) {
                resident_bytes += HUGE_PAGE_SIZE;
                return 0;
            }
            page_free(page, HUGE_PAGE_ORDER);
        }
    }
    paddr_t page = free > user_reserve() ? page_alloc(0) : 0;
    if (!page) {
        report_shortage(address);
        return -ENOMEM;
    }
    memset(phys_to_virt(page), 0, PAGE_SIZE);
    int err = paging_map(ALIGN_DOWN(address, PAGE_SIZE), page, 0, paging_flags(a->flags));
    if (err) {
        page_free(page, 0);
        return err;
    }
    resident_bytes += PAGE_SIZE;
    return 0;
}

/* Reads a page of a file that has no pages of its own to lend. Beyond the end it stays zero. */
static int read_page(struct mapped_file *m, uint64_t offset, paddr_t page)
{
    struct iovec iov = {phys_to_virt(page), PAGE_SIZE};
    memset(iov.iov_base, 0, PAGE_SIZE);
    if (!m->file->ops->readv)
        return -EACCES;
    ssize_t n = m->file->ops->readv(m->file, &iov, 1, (off_t)offset);
    return n < 0 ? (int)n : 0;
}

static int fill_file(struct area *a, uint64_t address, bool write)
{
    struct mapped_file *m = a->file->mapped;
    uint64_t va = ALIGN_DOWN(address, PAGE_SIZE), offset = a->offset + (va - a->start);
    paddr_t own = m->page ? m->page(m, offset) : 0;
    if (m->page && !own)
        return -ENOMEM; /* beyond the end: SIGBUS */
    unsigned flags = paging_flags(a->flags);
    if (own && (!write || (a->flags & VM_SHARED))) {
        if (!(a->flags & VM_SHARED))
            flags &= ~PAGING_WRITE;
        return paging_map(va, own, 0, flags | PAGING_BORROWED);
    }
    unsigned have;
    if (own && paging_lookup(va, NULL, &have) && (have & PAGING_WRITE))
        return 0; /* another thread's fault made the copy meanwhile */
    paddr_t page = page_free_bytes() > user_reserve() ? page_alloc(0) : 0;
    if (!page)
        return -ENOMEM;
    int err = 0;
    if (own) {
        unsigned order;
        bool borrowed;
        memcpy(phys_to_virt(page), phys_to_virt(own), PAGE_SIZE);
        (void)paging_unmap_page(va, &order, &borrowed); /* the read-only mapping of the file's page */
        paging_flush(va, va + PAGE_SIZE);
    } else {
        err = read_page(m, offset, page);
    }
    if (!err)
        err = paging_map(va, page, 0, flags);
    if (err)
        page_free(page, 0);
    else
        resident_bytes += PAGE_SIZE;
    return err;
}

static int fill(struct area *a, uint64_t address, bool write)
{
    int err = a->file ? fill_file(a, address, write) : fill_anonymous(a, address);
    return err == -EEXIST ? 0 : err;
}

int vm_fault(uint64_t address, bool write, bool exec)
{
    if (mutex_held(&vm_lock))
        panic("vm: fault at %#lx under vm_lock", address);
    mutex_lock(&vm_lock); /* on a kernel stack: no probe needed */
    struct area *a = area_at(address);
    int err = !a ? -EFAULT : 0;
    if (a) {
        unsigned need = write ? VM_WRITE : exec ? VM_EXEC : VM_READ;
        bool allowed = (a->flags & need) || (need == VM_READ && (a->flags & PROT_FLAGS)); /* the CPU has no write-only page */
        err = allowed ? fill(a, address, write) : -EACCES;
    }
    mutex_unlock(&vm_lock);
    return err;
}

void vm_foreach(void (*fn)(const struct vm_area_info *a, void *arg), void *arg)
{
    struct area *a;
    lock_areas();
    RB_FOREACH(a, area_tree, &areas) {
        struct vm_area_info info = {a->start, a->end, a->offset, a->flags, a->file ? a->file->mapped : NULL, ""};
        if (a->start >= heap_start && a->end <= ALIGN_UP(heap_end, PAGE_SIZE) && heap_end > heap_start)
            info.name = "[heap]";
        else if (a->flags & VM_STACK)
            info.name = "[stack]";
        fn(&info, arg);
    }
    mutex_unlock(&vm_lock);
}

void vm_usage(uint64_t *mapped, uint64_t *resident)
{
    *mapped = mapped_bytes;
    *resident = resident_bytes;
}

void vm_init(void)
{
    mmap_top = ALIGN_DOWN(VM_TOP - (random_u64() & ((1ull << 40) - 1)), HUGE_PAGE_SIZE); /* 1 TiB: 28 bits of pages */
    heap_start = heap_end = 0x100000000000ull + ALIGN_DOWN(random_u64() & ((1ull << 40) - 1), PAGE_SIZE);
}
