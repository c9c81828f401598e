/* Pipes: a ring of 16 pages, each allocated when data first reaches it and freed when the pipe runs empty.

   pipe(7): writes of at most PIPE_BUF (4096) bytes go in as a whole or not at all; a read without data sleeps while there is a writer,
   then returns 0; a write without a reader raises SIGPIPE and answers EPIPE. One mutex protects everything; waiters sleep on it. */
#include <asm/errno.h>
#include <asm/fcntl.h>
#include <asm/ioctls.h>
#include <asm/signal.h>
#include <asm/stat.h>
#include <fs/file.h>
#include <fs/iov.h>
#include <fs/pipe.h>
#include <kernel/clock.h>
#include <kernel/signal.h>
#include <kernel/user.h>
#include <linux/stat.h>
#include <mm/kmem.h>
#include <mm/page.h>
#include <sched/waitq.h>

#define PAGES 16u
#define CAPACITY (PAGES * PAGE_SIZE)
#define ATOMIC_BYTES 4096u /* PIPE_BUF */

struct pipe {
    struct mutex lock;
    struct waitq can_read, can_write;
    struct file *reader, *writer; /* no references; NULL: closed */
    uint64_t head, tail;          /* bytes ever written and read */
    char *page[PAGES];            /* NULL: none */
};

static bool nonblocking(struct file *f)
{
    return atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK;
}

static void free_pages(struct pipe *p, unsigned keep)
{
    for (unsigned i = 0; i < PAGES; i++) {
        if (p->page[i] && i != keep) {
            pages_free(p->page[i], 0);
            p->page[i] = NULL;
        }
    }
}

static size_t take(struct pipe *p, const struct iovec *iov, int count)
{
    struct iov_iter it = iov_iter_of(iov, count);
    size_t done = 0;
    while (p->tail != p->head) {
        size_t at = p->tail % PAGE_SIZE, n = MIN(PAGE_SIZE - at, p->head - p->tail);
        size_t k = iov_iter_put(&it, p->page[p->tail / PAGE_SIZE % PAGES] + at, n);
        p->tail += k;
        done += k;
        if (k < n)
            break;
    }
    if (p->tail == p->head) /* keep one page: a pipe that is used as a bell needs it again */
        free_pages(p, p->head / PAGE_SIZE % PAGES);
    return done;
}

static ssize_t pipe_readv(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    struct pipe *p = f->priv;
    ssize_t r = 0;
    if (iov_total(iov, count) == 0)
        return 0;
    mutex_lock(&p->lock);
    while (p->head == p->tail && p->writer && r == 0)
        r = nonblocking(f) ? -EAGAIN : waitq_wait(&p->can_read, &p->lock, TIME_NEVER, true);
    if (p->head != p->tail) {
        r = (ssize_t)take(p, iov, count);
        waitq_wake_all(&p->can_write);
        if (p->writer)
            poll_source_notify(&p->writer->poll_source, EPOLLOUT | EPOLLWRNORM);
    }
    mutex_unlock(&p->lock);
    return r;
}

/* Puts in what fits; stops early, with the bytes so far, when there is no memory. */
static size_t put(struct pipe *p, struct iov_iter *it, size_t want)
{
    size_t done = 0;
    want = MIN(want, CAPACITY - (p->head - p->tail));
    while (done < want) {
        char **page = &p->page[p->head / PAGE_SIZE % PAGES];
        if (!*page && !(*page = pages_alloc(0)))
            break;
        size_t at = p->head % PAGE_SIZE, n = MIN(PAGE_SIZE - at, want - done);
        n = iov_iter_take(it, *page + at, n);
        p->head += n;
        done += n;
    }
    return done;
}

/* Pages for the next n bytes, so that a small write is not cut in two by lack of memory. */
static bool prepare(struct pipe *p, size_t n)
{
    for (uint64_t at = p->head; n && at < p->head + n; at = (at / PAGE_SIZE + 1) * PAGE_SIZE) {
        char **page = &p->page[at / PAGE_SIZE % PAGES];
        if (!*page && !(*page = pages_alloc(0)))
            return false;
    }
    return true;
}

/* Room that lets a write of `left` bytes go on. */
static bool has_room(struct pipe *p, size_t left, bool atomic)
{
    return CAPACITY - (p->head - p->tail) >= (atomic ? left : 1);
}

static ssize_t write_locked(struct pipe *p, struct file *f, const struct iovec *iov, int count)
{
    struct iov_iter it = iov_iter_of(iov, count);
    size_t want = iov_total(iov, count), done = 0;
    bool atomic = want <= ATOMIC_BYTES;
    ssize_t r = 0;
    while (done < want && r == 0) {
        if (!p->reader) {
            r = -EPIPE;
        } else if (!has_room(p, want - done, atomic)) {
            r = nonblocking(f) ? -EAGAIN : waitq_wait(&p->can_write, &p->lock, TIME_NEVER, true);
        } else if (atomic && !prepare(p, want)) {
            r = -ENOMEM;
        } else {
            size_t n = put(p, &it, want - done);
            if (n == 0)
                r = -ENOMEM;
            done += n;
            waitq_wake_all(&p->can_read);
            poll_source_notify(&p->reader->poll_source, EPOLLIN | EPOLLRDNORM);
        }
    }
    return done ? (ssize_t)done : r;
}

static ssize_t pipe_writev(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    struct pipe *p = f->priv;
    mutex_lock(&p->lock);
    ssize_t r = write_locked(p, f, iov, count);
    bool broken = r != 0 && !p->reader;
    mutex_unlock(&p->lock);
    if (broken)
        signal_send_self(SIGPIPE);
    return r;
}

static uint32_t pipe_poll(struct file *f)
{
    struct pipe *p = f->priv;
    uint32_t events = 0;
    mutex_lock(&p->lock);
    if (f == p->reader) {
        events |= p->head != p->tail ? EPOLLIN | EPOLLRDNORM : 0;
        events |= p->writer ? 0 : EPOLLHUP;
    } else {
        events |= has_room(p, ATOMIC_BYTES, true) ? EPOLLOUT | EPOLLWRNORM : 0;
        events |= p->reader ? 0 : EPOLLERR;
    }
    mutex_unlock(&p->lock);
    return events;
}

static int pipe_ioctl(struct file *f, unsigned long request, unsigned long arg)
{
    struct pipe *p = f->priv;
    if (request != FIONREAD)
        return -ENOTTY;
    if (!user_range_ok((void *)arg, sizeof(int)))
        return -EFAULT;
    mutex_lock(&p->lock);
    *(int *)arg = (int)(p->head - p->tail);
    mutex_unlock(&p->lock);
    return 0;
}

static int pipe_stat(struct file *f, void *st)
{
    *(struct stat *)st = (struct stat){.st_mode = S_IFIFO | 0600, .st_nlink = 1, .st_blksize = 4096,
                                       .st_ino = (uintptr_t)f->priv >> 4 & 0xffffffff};
    return 0;
}

static void pipe_release(struct file *f)
{
    struct pipe *p = f->priv;
    mutex_lock(&p->lock);
    if (f == p->reader)
        p->reader = NULL;
    else
        p->writer = NULL;
    waitq_wake_all(&p->can_read);
    waitq_wake_all(&p->can_write);
    if (p->reader)
        poll_source_notify(&p->reader->poll_source, EPOLLIN | EPOLLHUP);
    if (p->writer)
        poll_source_notify(&p->writer->poll_source, EPOLLOUT | EPOLLERR);
    bool last = !p->reader && !p->writer;
    mutex_unlock(&p->lock);
    if (last) {
        free_pages(p, PAGES);
        kfree(p);
    }
}

static const struct file_ops read_ops = {.readv = pipe_readv, .poll = pipe_poll, .ioctl = pipe_ioctl,
                                         .stat = pipe_stat, .release = pipe_release};
static const struct file_ops write_ops = {.writev = pipe_writev, .poll = pipe_poll, .ioctl = pipe_ioctl,
                                          .stat = pipe_stat, .release = pipe_release};

int pipe_new(struct file **reader, struct file **writer, int flags)
{
    struct pipe *p = kzalloc(sizeof(*p));
    struct file *r = p ? file_new(&read_ops, O_RDONLY | (flags & O_NONBLOCK), p) : NULL;
    struct file *w = r ? file_new(&write_ops, O_WRONLY | (flags & O_NONBLOCK), p) : NULL;
    if (!w) {
        kfree(r);
        kfree(p);
        return -ENOMEM;
    }
    mutex_init(&p->lock);
    waitq_init(&p->can_read);
    waitq_init(&p->can_write);
    p->reader = *reader = r;
    p->writer = *writer = w;
    return 0;
}

int pipe_capacity(struct file *f)
{
    return f->ops == &read_ops || f->ops == &write_ops ? (int)CAPACITY : -EBADF;
}

int pipe_set_capacity(struct file *f, unsigned long bytes)
{
    int r = pipe_capacity(f);
    return r < 0 || bytes <= CAPACITY ? r : -EPERM;
}
