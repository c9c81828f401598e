/* The application's memory: areas of the low half, filled on demand. Calls may sleep. Errors are negative Linux errnos. */
#ifndef MM_VM_H
#define MM_VM_H

#include <fs/mapped_file.h>
#include <mm/page.h>

#define VM_LOW 0x10000ul              /* below: never mapped */
#define VM_TOP 0x00007ffffffff000ul

#define VM_READ 1u
#define VM_WRITE 2u
#define VM_EXEC 4u
#define VM_SHARED 8u
#define VM_NORESERVE 16u
#define VM_STACK 32u   /* 4 KiB pages only */
#define VM_POPULATE 64u
#define VM_FIXED 128u
#define VM_FIXED_NOREPLACE 256u
#define VM_NOHUGE 512u
#define VM_32BIT 1024u

/* Maps length bytes (whole pages) at address (a hint unless VM_FIXED...). file NULL: anonymous; else its ownership is taken over on success (kfree'd with
   file_put of its file at the end). Returns the address or a negative errno (ENOMEM, EEXIST, EINVAL). */
long vm_map(uint64_t address, uint64_t length, unsigned flags, struct mapped_file *file, uint64_t offset);
int vm_unmap(uint64_t address, uint64_t length);
int vm_protect(uint64_t address, uint64_t length, unsigned prot);
/* MADV_DONTNEED: pages are given back; the next touch finds zeros (or the file). */
int vm_discard(uint64_t address, uint64_t length);
int vm_set_huge(uint64_t address, uint64_t length, bool allowed);
#define VM_REMAP_MAYMOVE 1u
#define VM_REMAP_FIXED 2u
long vm_remap(uint64_t address, uint64_t old_length, uint64_t new_length, unsigned flags, uint64_t new_address);
/* Sets the end of the heap; returns the end that holds afterwards. */
uint64_t vm_brk(uint64_t end);
/* True when the range may be written: all of it in areas with VM_WRITE, or in the image's data. */
bool vm_writable(uint64_t address, uint64_t length);
/* True when every page of the range belongs to an area; vector (may be NULL) gets 1 for each resident page. */
bool vm_resident(uint64_t address, uint64_t length, uint8_t *vector);

/* A page fault of the low half. 0: mended; -EFAULT: no such area; -EACCES: the area does not allow it; -ENOMEM. */
int vm_fault(uint64_t address, bool write, bool exec);

/* Calls fn for each area in order, for /proc/self/maps. The lock is held: fn must not call back. */
struct vm_area_info {
    uint64_t start, end, offset;
    unsigned flags;
    struct mapped_file *file;
    const char *name; /* "[heap]", "[stack]" or "" */
};
void vm_foreach(void (*fn)(const struct vm_area_info *a, void *arg), void *arg);
/* Bytes of address space mapped, and bytes resident. */
void vm_usage(uint64_t *mapped, uint64_t *resident);

void vm_init(void);

#endif
