/* SOURCES: tests/unit/host/host.c */
/* CFLAGS: -DHOST_DIRECT_MAP */
/* The application's memory on the real page tables and page allocator: random histories of map, unmap, protect, remap, discard, brk, accesses and faults, against a
   plain list of pages. Accesses go through a model of the CPU that walks the page tables and remembers translations until they are flushed: a missing flush, a page
   freed while the CPU still knows it, and too many rights are all seen. */
#include <arch/cpu.h>
#include <fs/file.h>
#include <kernel/boot.h>
#include <kernel/log.h>
#include <kernel/random.h>
#include <mm/page_init.h>
#include <mm/vm.h>

#include "../../mm/page.c"

/* What the code under test calls. */
static paddr_t scarce_page_alloc(unsigned order);
static void checked_page_free(paddr_t page, unsigned order);
#define page_alloc scarce_page_alloc
#define page_free checked_page_free
#include "../../mm/vm.c"
#include "../../arch/x86_64/paging.c"
#undef page_alloc
#undef page_free

#include "host/host.h"
#include "physical.h"
#include "tap.h"

static unsigned shortages;
void log_printf(enum log_level level, const char *fmt, ...) { shortages++; }

char __text_end[1], __rodata_start[1], __image_end[1]; /* __data_start is the host's */

#define PAGES 4096u /* the window in which everything happens: 16 MiB from VM_LOW on */
#define BASE VM_LOW
#define TOP (BASE + PAGES * PAGE_SIZE)
#define FILES 3
#define FILE_PAGES 700u

static struct page {
    bool mapped, own; /* own: has a content of its own */
    unsigned flags;
    int file;         /* -1: anonymous */
    unsigned file_page;
    uint64_t value;   /* of its own content */
} model[PAGES];

/* Files 0 and 1 lend their pages, file 2 is read. */
static paddr_t file_pages[2][FILE_PAGES];
static uint64_t file_content[FILES][FILE_PAGES];
static struct file files[FILES];
static unsigned long maps_made;

static struct tlb {
    uint64_t entry; /* as the CPU saw it; 0: not known */
    paddr_t frame;
    bool huge;
} tlb[PAGES];

static unsigned scarcity; /* one page allocation in this many fails; 0: none */
static bool stale_free;

static bool fail(const char *what, uint64_t va)
{
    printf("# %s at %#lx (page %lu)\n", what, va, (va - BASE) / PAGE_SIZE);
    return false;
}

static paddr_t scarce_page_alloc(unsigned order)
{
    return scarcity && rnd() % scarcity == 0 ? 0 : page_alloc(order);
}

static void checked_page_free(paddr_t page, unsigned order)
{
    for (unsigned i = 0; i < PAGES; i++)
        if (tlb[i].entry && tlb[i].frame >= page && tlb[i].frame < page + (PAGE_SIZE << order))
            stale_free = true;
    page_free(page, order);
}

static void flush_page(uint64_t va)
{
    if (va < BASE || va >= TOP)
        return;
    unsigned i = (unsigned)((va - BASE) / PAGE_SIZE);
    if (tlb[i].huge) { /* one invlpg drops all of a large page */
        uint64_t huge = ALIGN_DOWN(va, HUGE_PAGE_SIZE);
        for (unsigned k = 0; k < PAGES; k++)
            if (tlb[k].huge && ALIGN_DOWN(BASE + k * PAGE_SIZE, HUGE_PAGE_SIZE) == huge)
                tlb[k] = (struct tlb){0};
    }
    tlb[i] = (struct tlb){0};
}
static void flush_all(void) { memset(tlb, 0, sizeof(tlb)); }

void tlb_flush(uint64_t start, uint64_t end)
{
    if (end - start > 64 * PAGE_SIZE) {
        flush_all();
        return;
    }
    for (uint64_t va = start; va < end; va += PAGE_SIZE)
        flush_page(va);
}

static paddr_t walk_page(uint64_t va, uint64_t *entry, bool *huge)
{
    int level = 0;
    pte_t *e = walk(va, &level, false);
    uint64_t v = e ? get(e) : 0;
    if (!(v & P) || !is_leaf(v, level))
        return 0;
    *entry = v;
    *huge = level == 1;
    return (v & FRAME & ~((PAGE_SIZE << (9 * level)) - 1)) + (va & ((PAGE_SIZE << (9 * level)) - 1) & ~(PAGE_SIZE - 1));
}

enum access { READ, WRITE, EXEC };
static bool permits(uint64_t entry, enum access a) { return a == WRITE ? (entry & W) != 0 : a == EXEC ? !(entry & NX) : true; }

/* The CPU's way to a page: the frame, or 0 for a fault. */
static paddr_t cpu_access(uint64_t va, enum access a)
{
    struct tlb *t = &tlb[(va - BASE) / PAGE_SIZE];
    if (t->entry && permits(t->entry, a))
        return t->frame;
    *t = (struct tlb){0};
    uint64_t entry;
    bool huge;
    paddr_t frame = walk_page(va, &entry, &huge);
    if (!frame || !permits(entry, a))
        return 0;
    *t = (struct tlb){entry, frame, huge};
    return frame;
}

/* ---- files ---- */

static paddr_t lend(struct mapped_file *m, uint64_t offset)
{
    uint64_t i = offset / PAGE_SIZE;
    return i < FILE_PAGES ? file_pages[m->file - files][i] : 0;
}

static ssize_t file_readv(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    uint64_t i = (uint64_t)pos / PAGE_SIZE;
    if (i >= FILE_PAGES)
        return 0;
    memcpy(iov->iov_base, &file_content[f - files][i], 8);
    return PAGE_SIZE;
}
static const struct file_ops file_ops = {.readv = file_readv};

void file_release(struct file *f) { fail("the last reference of a file went", 0); }

static struct mapped_file *file_map(int i)
{
    struct mapped_file *m = kmalloc(sizeof(*m));
    if (!m)
        return NULL;
    file_get(&files[i]);
    maps_made++;
    *m = (struct mapped_file){.file = &files[i], .page = i < 2 ? lend : NULL, .shared_writable = true};
    return m;
}

static void file_unmap(struct mapped_file *m)
{
    file_put(m->file);
    maps_made--;
    kfree(m);
}

/* ---- the model ---- */

static uint64_t expected(const struct page *p)
{
    return p->own ? p->value : p->file < 0 ? 0 : p->file_page < FILE_PAGES ? file_content[p->file][p->file_page] : 0;
}

static bool free_range(unsigned first, unsigned n)
{
    if (first + n > PAGES)
        return false;
    for (unsigned i = first; i < first + n; i++)
        if (model[i].mapped)
            return false;
    return true;
}

static bool all_mapped(unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n; i++)
        if (!model[i].mapped)
            return false;
    return true;
}

static void model_unmap(unsigned first, unsigned n) { memset(&model[first], 0, n * sizeof(model[0])); }

/* One access: faults until it works, as the CPU would. */
static bool access(unsigned i, enum access a, bool may_lack)
{
    uint64_t va = BASE + i * PAGE_SIZE + (rnd() % 500) * 8, *word;
    struct page *p = &model[i];
    unsigned need = a == WRITE ? VM_WRITE : a == EXEC ? VM_EXEC : PROT_FLAGS;
    int want = !p->mapped ? -EFAULT : !(p->flags & need) ? -EACCES : p->file >= 0 && p->file < 2 && p->file_page >= FILE_PAGES ? -ENOMEM : 0;
    paddr_t frame = 0;
    int err = 0;
    for (int tries = 0; tries < 3 && !err && !(frame = cpu_access(va, a)); tries++)
        err = vm_fault(va, a == WRITE, a == EXEC);
    if (err == -ENOMEM && want == 0 && may_lack)
        return true;
    if (err != want || (!err && !frame)) {
        printf("# access %d: %d, not %d\n", a, err, want);
        return fail("access", va);
    }
    if (err)
        return true;
    word = phys_to_virt(frame);
    if (*word != expected(p)) {
        printf("# found %#lx, not %#lx (file %d page %u own %d flags %#x)\n", *word, expected(p), p->file, p->file_page, p->own, p->flags);
        return fail("content", va);
    }
    if (a == WRITE) {
        *word = rnd();
        if (p->file >= 0 && (p->flags & VM_SHARED) && p->file < 2) {
            file_content[p->file][p->file_page] = *word;
        } else {
            p->own = true;
            p->value = *word;
        }
    }
    return true;
}

/* A fault that was not followed by a write may have made the private copy of a file's page: from then on the file's changes are not seen. */
static void notice_copy(unsigned i)
{
    int level = 0;
    pte_t *e = walk(BASE + i * PAGE_SIZE, &level, false);
    uint64_t v = e ? get(e) : 0;
    if (!model[i].own && model[i].file >= 0 && !(model[i].flags & VM_SHARED) && e && is_leaf(v, level) && !(v & BORROWED)) {
        model[i].own = true;
        model[i].value = *(uint64_t *)phys_to_virt(v & FRAME);
    }
}

/* What the areas say is what the model says. */
struct listing {
    unsigned next;
    bool right;
};
static void check_area(const struct vm_area_info *a, void *arg)
{
    struct listing *l = arg;
    if (a->start >= TOP)
        return;
    unsigned i = (unsigned)((a->start - BASE) / PAGE_SIZE), end = (unsigned)((a->end - BASE) / PAGE_SIZE);
    l->right &= i >= l->next && end > i && end <= PAGES;
    for (unsigned k = l->next; k < i; k++)
        l->right &= !model[k].mapped;
    for (unsigned k = i; k < end && l->right; k++) {
        const struct page *p = &model[k];
        l->right &= p->mapped && p->flags == a->flags && (p->file >= 0) == (a->file != NULL);
        if (p->file >= 0 && a->file)
            l->right &= a->file->file == &files[p->file] && a->offset / PAGE_SIZE + k - i == p->file_page;
    }
    l->next = end;
}

static bool check(void)
{
    struct listing l = {0, true};
    vm_foreach(check_area, &l);
    for (unsigned k = l.next; k < PAGES; k++)
        l.right &= !model[k].mapped;
    if (!l.right)
        return fail("areas", BASE + l.next * PAGE_SIZE);
    uint64_t mapped = 0, resident = 0, own = 0, have;
    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t va = BASE + i * PAGE_SIZE, entry;
        bool huge;
        mapped += model[i].mapped;
        paddr_t frame = walk_page(va, &entry, &huge);
        if (tlb[i].entry && (!frame || tlb[i].frame != frame || ((tlb[i].entry & ~entry) & W) || ((entry & ~tlb[i].entry) & NX)))
            return fail("a translation that should have been flushed", va);
        unsigned prot = model[i].flags & PROT_FLAGS;
        if (frame && (!model[i].mapped || !prot || ((entry & W) && !(prot & VM_WRITE)) || (!(entry & NX) && !(prot & VM_EXEC))))
            return fail("a page with too many rights", va);
        int level = 0;
        pte_t *e = walk(va, &level, false);
        uint64_t v = e ? get(e) : 0;
        if (e && is_leaf(v, level)) {
            own += !(v & BORROWED);
            if (!model[i].mapped)
                return fail("a page without an area", va);
        }
    }
    vm_usage(&have, &resident);
    if (have != (mapped + 1) * PAGE_SIZE || resident != own * PAGE_SIZE) { /* and the guard */
        printf("# mapped %lu for %lu, resident %lu for %lu\n", have, (mapped + 1) * PAGE_SIZE, resident, own * PAGE_SIZE);
        return fail("usage", 0);
    }
    return !stale_free || fail("a page freed while the CPU knows it", 0);
}

/* ---- operations ---- */

static unsigned some_length(void)
{
    switch (rnd() % 4) {
    case 0: return 1 + (unsigned)(rnd() % 4);
    case 1: return 1 + (unsigned)(rnd() % 100);
    case 2: return 512 * (1 + (unsigned)(rnd() % 3));
    default: return 1 + (unsigned)(rnd() % 1300);
    }
}

static unsigned some_first(unsigned n)
{
    unsigned room = PAGES - n, first = (unsigned)(rnd() % (room + 1));
    unsigned aligned = ALIGN_UP(first + 16, 512u) - 16; /* VM_LOW is 16 pages: this is where 2 MiB begin */
    return rnd() % 3 || aligned > room ? first : aligned;
}

/* After an operation that removes first and then may fail: what is gone is gone. */
static void forget_unmapped(unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n; i++) {
        lock_areas();
        bool there = area_at(BASE + i * PAGE_SIZE) != NULL;
        mutex_unlock(&vm_lock);
        if (!there)
            model[i] = (struct page){0};
    }
}

static bool no_gap(unsigned n)
{
    unsigned run = 0, need = n >= 512 ? n + 511 : n;
    for (unsigned i = 0; i < PAGES; i++) {
        run = model[i].mapped ? 0 : run + 1;
        if (run >= need)
            return false;
    }
    return true;
}

static bool op_map(bool may_lack)
{
    unsigned n = some_length(), first = some_first(n), offset = (unsigned)(rnd() % FILE_PAGES);
    int file = rnd() % 2 ? -1 : (int)(rnd() % FILES);
    unsigned flags = (unsigned)(rnd() % 8), how = (unsigned)(rnd() % 5);
    if (rnd() % 4 == 0)
        flags |= VM_STACK;
    if (rnd() % 4 == 0)
        flags |= VM_NORESERVE;
    if (file != 2 && rnd() % 3 == 0)
        flags |= VM_SHARED;
    unsigned ask = flags | (how < 2 ? VM_FIXED : how == 2 ? VM_FIXED_NOREPLACE : 0) | (rnd() % 8 == 0 ? VM_POPULATE : 0);
    bool was_free = free_range(first, n);
    struct mapped_file *m = file >= 0 ? file_map(file) : NULL;
    if (file >= 0 && !m)
        return may_lack;
    long at = vm_map(how == 4 ? 0 : BASE + first * PAGE_SIZE, n * PAGE_SIZE - rnd() % 4096, ask, m, offset * PAGE_SIZE);
    if (at < 0) {
        if (m)
            file_unmap(m);
        if (at == -EEXIST && how == 2 && !was_free)
            return true;
        if (at == -ENOMEM && how >= 3 && no_gap(n))
            return true;
        if (at == -ENOMEM && may_lack) {
            if (how < 2)
                forget_unmapped(first, n);
            return true;
        }
        printf("# map %u+%u how %u: %ld\n", first, n, how, at);
        return fail("map", BASE + first * PAGE_SIZE);
    }
    unsigned got = (unsigned)(((uint64_t)at - BASE) / PAGE_SIZE);
    if ((how < 3 && got != first) || (how == 2 && !was_free) || (how == 3 && was_free && got != first) || got + n > PAGES || (how >= 2 && !free_range(got, n)))
        return fail("placement", (uint64_t)at);
    model_unmap(got, n);
    for (unsigned i = 0; i < n; i++)
        model[got + i] = (struct page){.mapped = true, .flags = flags, .file = file, .file_page = offset + i};
    for (unsigned i = 0; i < n && (ask & VM_POPULATE); i++)
        notice_copy(got + i);
    return true;
}

static bool op_unmap(bool may_lack)
{
    unsigned n = some_length(), first = some_first(n);
    int err = vm_unmap(BASE + first * PAGE_SIZE, n * PAGE_SIZE);
    if (!err)
        model_unmap(first, n);
    return !err || (err == -ENOMEM && may_lack) || fail("unmap", BASE + first * PAGE_SIZE);
}

static bool op_protect(bool may_lack)
{
    unsigned n = some_length(), first = some_first(n), prot = (unsigned)(rnd() % 8);
    bool whole = all_mapped(first, n);
    int err = vm_protect(BASE + first * PAGE_SIZE, n * PAGE_SIZE, prot);
    for (unsigned i = first; !err && i < first + n; i++)
        model[i].flags = (model[i].flags & ~PROT_FLAGS) | prot;
    return (!err && whole) || (err == -ENOMEM && (may_lack || !whole)) || fail("protect", BASE + first * PAGE_SIZE);
}

static bool op_discard(bool may_lack)
{
    unsigned n = some_length(), first = some_first(n);
    bool whole = all_mapped(first, n);
    int err = vm_discard(BASE + first * PAGE_SIZE, n * PAGE_SIZE);
    if (err == -ENOMEM && whole && may_lack)
        return true; /* before anything was dropped */
    for (unsigned i = first; i < first + n; i++)
        model[i].own = (err == -ENOMEM && may_lack && walk_page(BASE + i * PAGE_SIZE, &(uint64_t){0}, &(bool){0})) ? model[i].own : false;
    return err == (whole ? 0 : -ENOMEM) || fail("discard", BASE + first * PAGE_SIZE);
}

static bool op_huge(bool may_lack)
{
    unsigned n = some_length(), first = some_first(n);
    bool allowed = rnd() % 2;
    int err = vm_set_huge(BASE + first * PAGE_SIZE, n * PAGE_SIZE, allowed);
    for (unsigned i = first; !err && i < first + n; i++)
        if (model[i].mapped)
            model[i].flags = allowed ? model[i].flags & ~VM_NOHUGE : model[i].flags | VM_NOHUGE;
    return !err || (err == -ENOMEM && may_lack) || fail("set_huge", BASE + first * PAGE_SIZE);
}

/* The pages [first, +n) belong to one area. */
static bool one_area(unsigned first, unsigned n)
{
    struct area *a = area_at(BASE + first * PAGE_SIZE);
    return a && a->end >= BASE + (first + n) * PAGE_SIZE;
}

static bool op_remap(bool may_lack)
{
    static struct page saved[PAGES];
    unsigned n = some_length(), first = some_first(n), new_n = rnd() % 4 ? some_length() : n;
    unsigned flags = rnd() % 3 ? VM_REMAP_MAYMOVE : 0, to = some_first(MIN(new_n, PAGES));
    if (rnd() % 3 == 0)
        flags = VM_REMAP_MAYMOVE | VM_REMAP_FIXED;
    if (rnd() % 2) { /* of a whole area, or its end, so that it may work */
        struct area *a = area_above(BASE + first * PAGE_SIZE);
        if (!a || a->end > TOP)
            return true;
        n = MIN((unsigned)((a->end - a->start) / PAGE_SIZE), 1300u);
        first = (unsigned)((a->end - BASE) / PAGE_SIZE) - n;
    }
    bool valid = one_area(first, n), overlap = (flags & VM_REMAP_FIXED) && to < first + n && first < to + new_n;
    memcpy(saved, &model[first], n * sizeof(saved[0]));
    long at = vm_remap(BASE + first * PAGE_SIZE, n * PAGE_SIZE, new_n * PAGE_SIZE, flags, BASE + to * PAGE_SIZE);
    if (at < 0) {
        if (at == -EFAULT && !valid)
            return true;
        if (at == -EINVAL && overlap)
            return true;
        if (at == -ENOMEM && !(flags & VM_REMAP_FIXED) && new_n > n && (!(flags & VM_REMAP_MAYMOVE) || no_gap(new_n)))
            return true;
        if (at == -ENOMEM && may_lack) {
            if (flags & VM_REMAP_FIXED)
                forget_unmapped(to, new_n);
            forget_unmapped(first, n);
            return true;
        }
        printf("# remap %u+%u to %u+%u flags %u: %ld\n", first, n, to, new_n, flags, at);
        return fail("remap", BASE + first * PAGE_SIZE);
    }
    unsigned got = (unsigned)(((uint64_t)at - BASE) / PAGE_SIZE);
    if (!valid || overlap || got + new_n > PAGES || ((flags & VM_REMAP_FIXED) && got != to) || (!(flags & VM_REMAP_MAYMOVE) && got != first) ||
        (got != first && !(flags & VM_REMAP_FIXED) && !free_range(got, new_n)) || (got == first && new_n > n && !free_range(first + n, new_n - n)))
        return fail("remap's place", (uint64_t)at);
    model_unmap(first, n);
    model_unmap(got, new_n);
    for (unsigned i = 0; i < new_n; i++) {
        if (i < n) {
            model[got + i] = saved[i];
        } else {
            model[got + i] = saved[n - 1];
            model[got + i].own = false;
            model[got + i].file_page = saved[n - 1].file_page + i - (n - 1);
        }
    }
    return true;
}

static unsigned brk_first;
static uint64_t brk_now;

static bool op_brk(bool may_lack)
{
    uint64_t end = BASE + brk_first * PAGE_SIZE + rnd() % (600 * PAGE_SIZE), old = ALIGN_UP(brk_now, PAGE_SIZE), new = ALIGN_UP(end, PAGE_SIZE);
    uint64_t got = vm_brk(end);
    if (got != end) {
        unsigned first = (unsigned)((old - BASE) / PAGE_SIZE);
        return (got == brk_now && (may_lack || (new > old && !free_range(first, (unsigned)((new - old) / PAGE_SIZE))))) || fail("brk", end);
    }
    for (uint64_t va = MIN(old, new); va < MAX(old, new); va += PAGE_SIZE)
        model[(va - BASE) / PAGE_SIZE] = new > old ? (struct page){.mapped = true, .flags = VM_READ | VM_WRITE, .file = -1} : (struct page){0};
    brk_now = end;
    return true;
}

static bool op_resident(void)
{
    static uint8_t vector[PAGES];
    unsigned n = some_length(), first = some_first(n);
    bool whole = all_mapped(first, n);
    if (vm_resident(BASE + first * PAGE_SIZE, n * PAGE_SIZE, vector) != whole)
        return fail("resident", BASE + first * PAGE_SIZE);
    bool writable = whole;
    for (unsigned i = first; i < first + n; i++)
        writable &= (model[i].flags & VM_WRITE) != 0;
    if (vm_writable(BASE + first * PAGE_SIZE, n * PAGE_SIZE) != writable)
        return fail("writable", BASE + first * PAGE_SIZE);
    for (unsigned i = 0; whole && i < n; i++)
        if (vector[i] != (paging_lookup(BASE + (first + i) * PAGE_SIZE, NULL, NULL) != 0))
            return fail("resident's vector", BASE + (first + i) * PAGE_SIZE);
    return true;
}

/* Accesses in a row, so that there is something to lose. */
static bool op_touch(bool may_lack)
{
    unsigned n = 1 + (unsigned)(rnd() % 40), first = some_first(n), stride = rnd() % 3 ? 1 : 37;
    bool right = true;
    for (unsigned i = 0; i < n && right; i++)
        right = access((first + i * stride) % PAGES, (enum access)(rnd() % 8 < 5 ? WRITE : rnd() % 3 ? READ : EXEC), may_lack);
    return right;
}

/* A fault for what is there already: another CPU was faster, or the CPU's knowledge was old. */
static bool op_spurious(bool may_lack)
{
    unsigned i = (unsigned)(rnd() % PAGES);
    if (!access(i, WRITE, may_lack))
        return false;
    if (model[i].mapped && (model[i].flags & VM_WRITE) && !(model[i].file >= 0 && model[i].file_page >= FILE_PAGES)) {
        int err = vm_fault(BASE + i * PAGE_SIZE, true, false);
        if (err && !(err == -ENOMEM && may_lack))
            return fail("spurious fault", BASE + i * PAGE_SIZE);
        notice_copy(i);
    }
    return access(i, READ, may_lack);
}

static bool step(bool may_lack)
{
    switch (rnd() % 32) {
    case 0: case 1: case 2: case 3: return op_map(may_lack);
    case 4: case 5: return op_unmap(may_lack);
    case 6: case 7: case 8: return op_protect(may_lack);
    case 9: return op_discard(may_lack);
    case 10: return op_huge(may_lack);
    case 11: case 12: case 13: return op_remap(may_lack);
    case 14: return op_brk(may_lack);
    case 15: return op_resident();
    case 16: return op_spurious(may_lack);
    default: return op_touch(may_lack);
    }
}

static void begin(uint64_t ram)
{
    static struct boot_info info;
    info = (struct boot_info){.range_count = 1, .ranges = {{1 << 20, ram}}, .image_start = 2 << 20, .image_end = 3 << 20};
    block_count = whole_hint = 0;
    total_pages = free_pages = 0;
    boot_cache.count = 0;
    for (unsigned i = 0; i < HUGE_PAGE_ORDER; i++)
        partial[i] = NULL;
    physical_map(ram);
    cpu_zero();
    if (page_init(&info))
        abort();
    root = pages_alloc_zeroed(0);
    for (int f = 0; f < FILES; f++) {
        files[f] = (struct file){.ops = &file_ops, .refs = 1};
        for (unsigned i = 0; i < FILE_PAGES; i++) {
            file_content[f][i] = (uint64_t)(f + 1) << 32 | i;
            if (f < 2) {
                uint64_t *p = pages_alloc_zeroed(0);
                *p = file_content[f][i];
                file_pages[f][i] = virt_to_phys(p);
            }
        }
    }
    memset(model, 0, sizeof(model));
    memset(tlb, 0, sizeof(tlb));
    mmap_top = TOP;
    brk_first = 2000;
    heap_start = heap_end = brk_now = BASE + brk_first * PAGE_SIZE;
    mapped_bytes = resident_bytes = 0;
    (void)vm_map(TOP, PAGE_SIZE, VM_FIXED, file_map(0), 0); /* a guard: nothing grows out of the window (and files' areas do not join) */
}

static bool end(uint64_t ram, uint64_t free_before)
{
    scarcity = 0;
    bool right = vm_unmap(BASE, (PAGES + 1) * PAGE_SIZE) == 0 && RB_EMPTY(&areas) && mapped_bytes == 0 && resident_bytes == 0;
    for (int f = 0; f < FILES; f++)
        right &= files[f].refs == 1;
    uint64_t after = page_free_bytes();
    if (after + 2 * PAGE_SIZE < free_before || !right) { /* a directory or two may stay */
        printf("# %lu bytes of pages lost, mapped %lu, resident %lu\n", free_before - after, mapped_bytes, resident_bytes);
        right = false;
    }
    physical_unmap(ram);
    return right;
}

static void history(const char *name, uint64_t ram, unsigned steps, unsigned scarce)
{
    begin(ram);
    uint64_t free_before = page_free_bytes();
    bool right = true, small = ram < 64 << 20;
    scarcity = scarce;
    for (unsigned i = 0; i < steps && right; i++) {
        if (scarce && rnd() % 4 == 0)
            host_fail_allocation(1 + rnd() % 6);
        right = step(scarce || small) && (i % 4 || check());
        if (scarce)
            host_fail_allocation(0);
        if (!right)
            printf("# in step %u\n", i);
    }
    for (unsigned i = 0; i < PAGES && right; i++)
        right = access(i, READ, scarce || small);
    right = right && check();
    ok(right, name);
    ok(right && end(ram, free_before), "all pages, areas and files come back");
}

static void test_edges(void)
{
    begin(128 << 20);
    uint64_t free_before = page_free_bytes();
    ok(vm_map(0, 0, VM_READ, NULL, 0) == -EINVAL && vm_map(0, UINT64_MAX, VM_READ, NULL, 0) == -ENOMEM, "lengths that cannot be");
    ok(vm_map(0x1000, 4096, VM_FIXED, NULL, 0) == -EPERM && vm_map(BASE + 1, 4096, VM_FIXED, NULL, 0) == -EINVAL, "addresses that cannot be");
    ok(vm_map(VM_TOP - 4096, 8192, VM_FIXED, NULL, 0) == -ENOMEM && vm_map(UINT64_MAX - 4095, 4096, VM_FIXED, NULL, 0) == -ENOMEM, "beyond the top");
    ok(vm_map(0, 1ull << 40, VM_READ | VM_WRITE, NULL, 0) == -ENOMEM, "more than there can ever be");
    ok(vm_unmap(BASE + 1, 4096) == -EINVAL && vm_unmap(BASE, 0) == -EINVAL && vm_unmap(VM_TOP - 4096, 8192) == -EINVAL && vm_unmap(BASE, UINT64_MAX) == -EINVAL, "unmap's arguments");
    ok(vm_protect(BASE, 0, 0) == 0 && vm_protect(BASE, 4096, 0) == -ENOMEM && vm_protect(UINT64_MAX - 4095, 4096, 0) == -EINVAL, "protect's arguments");
    ok(vm_remap(BASE, 0, 4096, 0, 0) == -EINVAL && vm_remap(BASE, 4096, 4096, 0, 0) == -EFAULT && vm_remap(BASE, 4096, UINT64_MAX - 8191, 1, 0) == -EINVAL, "remap's arguments");
    ok(vm_fault(0, false, false) == -EFAULT && vm_fault(VM_LOW - 1, true, false) == -EFAULT && vm_fault(1ull << 46, false, true) == -EFAULT, "faults where nothing is");
    /* A large page meets a table that an earlier mapping left behind. */
    uint64_t a = ALIGN_UP(BASE, HUGE_PAGE_SIZE), b = a + 2 * HUGE_PAGE_SIZE;
    bool right = vm_map((uint64_t)b, PAGE_SIZE, VM_FIXED | 3, NULL, 0) == (long)b && vm_fault(b, true, false) == 0 && vm_unmap(b, PAGE_SIZE) == 0;
    right &= vm_map(a, HUGE_PAGE_SIZE, VM_FIXED | 3, NULL, 0) == (long)a && vm_fault(a, true, false) == 0;
    unsigned order = 0;
    paddr_t p = paging_lookup(a, &order, NULL);
    ok(right && p && order == HUGE_PAGE_ORDER, "a large page");
    *(uint64_t *)phys_to_virt(p) = 0x1234;
    right = vm_remap(a, HUGE_PAGE_SIZE, HUGE_PAGE_SIZE, VM_REMAP_MAYMOVE | VM_REMAP_FIXED, b) == (long)b;
    p = paging_lookup(b, &order, NULL);
    ok(right && p && *(uint64_t *)phys_to_virt(p) == 0x1234, "it moves, with its content, to where a table was left behind");
    ok(end(128 << 20, free_before), "all comes back");
}

int main(void)
{
    alarm(900);
    rng = host_seed();
    test_edges();
    history("random histories with plenty of memory", 128ul << 20, 12000, 0);
    history("random histories, short of memory", 11ul << 20, 12000, 0);
    history("random histories, allocations fail at random", 128ul << 20, 8000, 20);
    ok(shortages > 0, "shortage was met, and reported");
    return done();
}
