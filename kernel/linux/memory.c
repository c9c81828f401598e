/* mmap and its family: arguments checked as on Linux, the work is in mm/vm.c. */
#include <asm/errno.h>
#include <asm/mman.h>
#include <fs/file.h>
#include <kernel/syscall.h>
#include <kernel/user.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <mm/kmem.h>
#include <mm/vm.h>

#define PROT_KNOWN (PROT_READ | PROT_WRITE | PROT_EXEC)

static unsigned vm_prot(int prot)
{
    return (prot & PROT_READ ? VM_READ : 0) | (prot & PROT_WRITE ? VM_WRITE : 0) | (prot & PROT_EXEC ? VM_EXEC : 0);
}

static long map_file(unsigned long address, unsigned long length, unsigned vm_flags, int prot, int flags, int fd, off_t offset)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    long err = -ENODEV;
    struct mapped_file *m = NULL;
    if (!f->ops->mmap)
        goto put;
    err = -EACCES;
    if ((f->flags & O_ACCMODE) == O_WRONLY || ((vm_flags & VM_SHARED) && (prot & PROT_WRITE) && (f->flags & O_ACCMODE) != O_RDWR))
        goto put;
    err = -ENOMEM;
    m = kzalloc(sizeof(*m));
    if (!m)
        goto put;
    err = f->ops->mmap(f, offset, length, prot, flags, m);
    if (err)
        goto free;
    err = -EACCES;
    if (!(vm_flags & VM_SHARED) || !(prot & PROT_WRITE) || m->shared_writable)
        err = vm_map(address, length, vm_flags, m, (uint64_t)offset);
    if (err >= 0)
        goto put; /* the mapping has a reference of its own */
    file_put(m->file);
free:
    kfree(m);
put:
    file_put(f);
    return err;
}

SYSCALL(mmap, 6, "addr, length, prot, flags, fd, offset", SYSCALL_PARTIAL) /* no MAP_HUGETLB, no MAP_SYNC */
long sys_mmap(unsigned long address, unsigned long length, int prot, int flags, int fd, off_t offset)
{
    int type = flags & MAP_TYPE;
    if ((prot & ~(PROT_KNOWN | PROT_GROWSDOWN | PROT_GROWSUP)) || (offset & (long long)(PAGE_SIZE - 1)) || offset < 0)
        return -EINVAL;
    if (type != MAP_PRIVATE && type != MAP_SHARED && type != MAP_SHARED_VALIDATE)
        return -EINVAL;
    if (flags & (MAP_HUGETLB | MAP_SYNC))
        return -EOPNOTSUPP;
    unsigned v = vm_prot(prot);
    v |= flags & MAP_FIXED ? VM_FIXED : 0;
    v |= flags & MAP_FIXED_NOREPLACE ? VM_FIXED_NOREPLACE : 0;
    v |= flags & MAP_NORESERVE ? VM_NORESERVE : 0;
    v |= flags & (MAP_STACK | MAP_GROWSDOWN) ? VM_STACK : 0;
    v |= flags & (MAP_POPULATE | MAP_LOCKED) ? VM_POPULATE : 0;
    v |= flags & MAP_32BIT ? VM_32BIT : 0;
    v |= type != MAP_PRIVATE ? VM_SHARED : 0;
    if (flags & MAP_ANONYMOUS)
        return vm_map(address, length, v, NULL, 0);
    if (!length)
        return -EINVAL;
    return map_file(address, length, v, prot, flags, fd, offset);
}

SYSCALL(munmap, 2, "addr, length", SYSCALL_COMPLETE)
long sys_munmap(unsigned long address, unsigned long length) { return vm_unmap(address, length); }

SYSCALL(mprotect, 3, "addr, length, prot", SYSCALL_COMPLETE)
long sys_mprotect(unsigned long address, unsigned long length, int prot)
{
    if ((prot & ~PROT_KNOWN) || (address & (PAGE_SIZE - 1)))
        return -EINVAL;
    if (address >= USER_IMAGE_START) /* a linked program's RELRO and the like: the image's rights are the kernel's business */
        return prot & PROT_EXEC ? -EACCES : 0;
    return vm_protect(address, length, vm_prot(prot));
}

SYSCALL(mremap, 5, "old_addr, old_size, new_size, flags, new_addr", SYSCALL_PARTIAL) /* no MREMAP_DONTUNMAP */
long sys_mremap(unsigned long address, unsigned long old_length, unsigned long new_length, int flags, unsigned long new_address)
{
    if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED)) || ((flags & MREMAP_FIXED) && !(flags & MREMAP_MAYMOVE)))
        return -EINVAL;
    unsigned f = (flags & MREMAP_MAYMOVE ? VM_REMAP_MAYMOVE : 0) | (flags & MREMAP_FIXED ? VM_REMAP_FIXED : 0);
    return vm_remap(address, old_length, new_length, f, new_address);
}

SYSCALL(brk, 1, "addr", SYSCALL_COMPLETE)
long sys_brk(unsigned long end) { return (long)vm_brk(end); }

SYSCALL(madvise, 3, "addr, length, advice", SYSCALL_PARTIAL) /* MADV_REMOVE, HWPOISON, ...: EINVAL */
long sys_madvise(unsigned long address, unsigned long length, int advice)
{
    if (address & (PAGE_SIZE - 1))
        return -EINVAL;
    switch (advice) {
    case MADV_DONTNEED: case MADV_FREE: return vm_discard(address, length);
    case MADV_HUGEPAGE: return vm_set_huge(address, length, true);
    case MADV_NOHUGEPAGE: return vm_set_huge(address, length, false);
    case MADV_NORMAL: case MADV_RANDOM: case MADV_SEQUENTIAL: case MADV_WILLNEED: case MADV_DONTFORK: case MADV_DOFORK:
    case MADV_DONTDUMP: case MADV_DODUMP: case MADV_COLD: case MADV_PAGEOUT: case MADV_WIPEONFORK: case MADV_KEEPONFORK: return 0;
    default: return -EINVAL;
    }
}

SYSCALL(mincore, 3, "addr, length, vector", SYSCALL_COMPLETE)
long sys_mincore(unsigned long address, unsigned long length, unsigned char *vector)
{
    if (address & (PAGE_SIZE - 1))
        return -EINVAL;
    if (!user_range_ok(vector, ALIGN_UP(length, PAGE_SIZE) / PAGE_SIZE))
        return -EFAULT;
    return vm_resident(address, ALIGN_UP(length, PAGE_SIZE), vector) ? 0 : -ENOMEM;
}

SYSCALL(msync, 3, "addr, length, flags", SYSCALL_COMPLETE) /* file pages in memory are the file: nothing to write */
long sys_msync(unsigned long address, unsigned long length, int flags)
{
    if ((address & (PAGE_SIZE - 1)) || (flags & ~(MS_ASYNC | MS_SYNC | MS_INVALIDATE)))
        return -EINVAL;
    return vm_resident(address, ALIGN_UP(length, PAGE_SIZE), NULL) ? 0 : -ENOMEM;
}

/* Nothing is ever paged out: locked is what memory always is. */
SYSCALL(mlock, 2, "addr, length", SYSCALL_COMPLETE)
long sys_mlock(unsigned long address, unsigned long length) { return 0; }
SYSCALL(munlock, 2, "addr, length", SYSCALL_COMPLETE)
long sys_munlock(unsigned long address, unsigned long length) { return 0; }
SYSCALL(mlockall, 1, "flags", SYSCALL_COMPLETE)
long sys_mlockall(int flags) { return flags & ~7 ? -EINVAL : 0; }
SYSCALL(munlockall, 0, "", SYSCALL_COMPLETE)
long sys_munlockall(void) { return 0; }
