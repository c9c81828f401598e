/* Open files and the descriptor table. A struct file is shared by the descriptors that dup made; the last file_put releases it.
   Operations work on an iovec, so read, readv, pread and recv meet in one place. Buffers are the caller's own memory (one address
   space: no copy across a boundary).

   References are counted in two places (split reference counts), so that fd_file is one atomic instruction and needs neither a
   lock nor deferred freeing: a descriptor's slot holds the file's address in its low 48 bits and, above, how many references were
   taken through the slot. While a slot points to a file, file->refs carries FILE_SLOT_BIAS for it, so file_put can not reach
   zero; when the slot is emptied (one exchange), its count moves into refs and the bias goes. References are thus never lost,
   whatever the order, and the file is released exactly when refs reaches zero.

   file_put may sleep, and must not be called with a lock held that an operation of the file takes. */
#ifndef FS_FILE_H
#define FS_FILE_H

#include <fs/mapped_file.h>
#include <fs/poll.h>
#include <kernel/compiler.h>
#include <sched/mutex.h>
#include <stdatomic.h>

struct file;
struct vnode;
struct iovec {
    void *iov_base;
    size_t iov_len;
};

#define FILE_POS_CURRENT ((off_t)-1)

struct file_ops {
    /* pos: FILE_POS_CURRENT means the file's own position, which is advanced. Return bytes, 0 at the end, or a negative errno. May
       sleep unless O_NONBLOCK is in file->flags. NULL operations answer EINVAL (ESPIPE for seek, ENOTTY for ioctl). */
    ssize_t (*readv)(struct file *f, const struct iovec *iov, int count, off_t pos);
    ssize_t (*writev)(struct file *f, const struct iovec *iov, int count, off_t pos);
    /* NULL also means that the file has no position: pread and pwrite answer ESPIPE. */
    off_t (*seek)(struct file *f, off_t offset, int whence);
    int (*ioctl)(struct file *f, unsigned long request, unsigned long arg);
    /* Ready events now (EPOLLIN, ...). A file with poll calls poll_source_notify(&f->poll_source, events) when that may have
       changed. NULL: always ready. */
    uint32_t (*poll)(struct file *f);
    /* Linux struct stat (asm/stat.h). Files with a vnode need none. */
    int (*stat)(struct file *f, void *st);
    /* Fills out for a mapping of [offset, offset+length): either pages in place or -ENODEV. See fs/mapped_file.h. */
    int (*mmap)(struct file *f, off_t offset, size_t length, int prot, int flags,
                struct mapped_file *out);
    void (*release)(struct file *f); /* last reference gone; NULL: nothing to do */
};

struct file {
    const struct file_ops *ops;
    _Atomic long refs;       /* see above */
    _Atomic int flags;       /* O_ACCMODE | O_NONBLOCK | O_APPEND | ... */
    struct mutex pos_lock;   /* protects pos */
    off_t pos;
    struct vnode *vnode;     /* reference; NULL for sockets, pipes, eventfd, ... */
    void *priv;
    struct poll_source poll_source;
};

/* A file with one reference, owned by the caller; NULL when there is no memory. */
struct file *file_new(const struct file_ops *ops, int flags, void *priv) WARN_UNUSED;
void file_release(struct file *f); /* for file_put only */

static inline struct file *file_get(struct file *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

static inline void file_put(struct file *f)
{
    /* Release: what this thread did with the file comes before its end; acquire: the end comes after. */
    if (unlikely(atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1))
        file_release(f);
}

/* Ready events now. */
static inline uint32_t file_poll(struct file *f)
{
    return f->ops->poll ? f->ops->poll(f) : EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM;
}

/* The descriptor table: one for the whole machine, chunks that never move or go away. */
#define FD_CHUNK_SHIFT 10
#define FD_CHUNK_SLOTS (1u << FD_CHUNK_SHIFT)
#define FD_CHUNKS 1024u
#define FD_MAX (FD_CHUNKS * FD_CHUNK_SLOTS) /* 1048576 */
#define FD_SLOT_ONE (1ull << 48)            /* one reference taken through a slot */
#define FD_SLOT_SETTLE 0x1000u              /* from here on a slot's count is moved into file->refs */
#define FILE_SLOT_BIAS (1l << 32)

typedef _Atomic uint64_t fd_slot;
extern fd_slot *_Atomic fd_chunk_slots[FD_CHUNKS];
void fd_settle(fd_slot *slot);

static inline struct file *fd_slot_file(uint64_t value)
{
    return (struct file *)((int64_t)(value << 16) >> 16);
}

/* The file with a reference taken, or NULL: then the call answers -EBADF. Never waits. */
static inline struct file *fd_file(int fd)
{
    if (unlikely((unsigned)fd >= FD_MAX))
        return NULL;
    /* Consume is enough: the chunk is reached through the pointer. */
    fd_slot *slots = atomic_load_explicit(&fd_chunk_slots[(unsigned)fd >> FD_CHUNK_SHIFT],
                                          memory_order_acquire);
    if (unlikely(!slots))
        return NULL;
    fd_slot *slot = &slots[(unsigned)fd & (FD_CHUNK_SLOTS - 1)];
    /* An empty slot counts too; nobody reads that count, and fd_install overwrites it. */
    uint64_t value = atomic_fetch_add_explicit(slot, FD_SLOT_ONE, memory_order_acquire);
    if (unlikely(value >= FD_SLOT_SETTLE * FD_SLOT_ONE))
        fd_settle(slot);
    return fd_slot_file(value);
}

/* fd_install takes over the caller's reference; returns the lowest free descriptor >= min_fd, or -EMFILE / -ENOMEM (then the
   reference stays with the caller). */
int fd_install(struct file *f, int min_fd, bool cloexec) WARN_UNUSED;
/* The same at a given descriptor, closing what was there. Returns fd, -EBADF when it is out of range, -ENOMEM. */
int fd_install_at(struct file *f, int fd, bool cloexec) WARN_UNUSED;
/* 0 or -EBADF. */
int fd_close(int fd);
/* Closes the open ones of [first, last]. */
void fd_close_range(unsigned first, unsigned last);
/* FD_CLOEXEC of an open descriptor: 0, 1 or -EBADF. */
int fd_get_cloexec(int fd);
int fd_set_cloexec(int fd, bool cloexec);
/* The lowest open descriptor >= fd, or -1. */
int fd_next_open(int fd);
/* RLIMIT_NOFILE: one more than the highest descriptor that may be given out; at most FD_MAX. */
unsigned fd_limit_get(void);
void fd_limit_set(unsigned limit);

#endif
