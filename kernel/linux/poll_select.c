/* poll, ppoll, select, pselect6. select is poll with its sets turned into entries and back. As Linux does, ppoll, select and pselect6 write the
   time that is left over the caller's timeout. */
#include <asm/poll.h>
#include <fs/file.h>
#include <fs/poll_wait.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <mm/kmem.h>
#include <mm/page.h>
#include <sched/waitq.h>

#define WORD_BITS 64u
/* What the sets of select stand for, as Linux has it. */
#define IN_SET (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)
#define OUT_SET (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)
#define EX_SET POLLPRI

static long checked_poll(struct pollfd *fds, unsigned count, uint64_t deadline_ns)
{
    if (count > fd_limit_get())
        return -EINVAL;
    if (!user_range_ok(fds, count * sizeof(*fds)))
        return -EFAULT;
    return poll_wait(fds, count, deadline_ns);
}

/* An absolute deadline of a relative time: 0 does not wait, NULL waits for ever. 0 or a negative errno. */
static int deadline_of(const struct timespec64 *t, uint64_t *deadline_ns)
{
    *deadline_ns = TIME_NEVER;
    if (!t)
        return 0;
    if (!timespec_valid(t))
        return -EINVAL;
    uint64_t ns = timespec_ns(t);
    *deadline_ns = ns ? deadline_after(ns) : 0;
    return 0;
}

static uint64_t time_left(uint64_t deadline_ns)
{
    uint64_t now = clock_monotonic_ns();
    return deadline_ns > now ? deadline_ns - now : 0;
}

SYSCALL(poll, 3, "fds, count, timeout_ms", SYSCALL_COMPLETE)
long sys_poll(struct pollfd *fds, unsigned count, int timeout_ms)
{
    uint64_t deadline = timeout_ms < 0    ? TIME_NEVER
                        : timeout_ms == 0 ? 0
                                          : deadline_after((uint64_t)timeout_ms * NS_PER_MS);
    return checked_poll(fds, count, deadline);
}

SYSCALL(ppoll, 5, "fds, count, timeout, mask, mask_size", SYSCALL_COMPLETE)
long sys_ppoll(struct pollfd *fds, unsigned count, struct timespec64 *timeout, const uint64_t *mask,
               size_t mask_size)
{
    uint64_t deadline, old = 0;
    if ((timeout && !user_range_ok(timeout, sizeof(*timeout))) ||
        (mask && !user_range_ok(mask, sizeof(*mask))))
        return -EFAULT;
    if (mask && mask_size != sizeof(*mask))
        return -EINVAL;
    int r = deadline_of(timeout, &deadline);
    if (r < 0)
        return r;
    if (mask)
        old = signal_mask_swap(*mask);
    long n = checked_poll(fds, count, deadline);
    if (mask)
        signal_mask_restore(old, n);
    if (timeout)
        *timeout = timespec_of_ns(time_left(deadline));
    return n;
}

struct select_sets {
    uint64_t *in, *out, *ex; /* may be NULL */
};

static bool set_has(const uint64_t *set, unsigned fd)
{
    return set && set[fd / WORD_BITS] >> (fd % WORD_BITS) & 1;
}

/* Entries for all descriptors that are in a set; returns how many. With fds NULL it only counts. */
static unsigned sets_to_entries(const struct select_sets *s, unsigned n, struct pollfd *fds)
{
    unsigned count = 0;
    for (unsigned fd = 0; fd < n; fd++) {
        unsigned events = (set_has(s->in, fd) ? IN_SET : 0) | (set_has(s->out, fd) ? OUT_SET : 0) |
                          (set_has(s->ex, fd) ? EX_SET : 0);
        if (events && fds)
            fds[count] = (struct pollfd){.fd = (int)fd, .events = (short)events};
        count += events != 0;
    }
    return count;
}

static unsigned set_result(uint64_t *set, unsigned fd, bool was_in, bool ready)
{
    if (set && was_in && ready)
        set[fd / WORD_BITS] |= 1ull << (fd % WORD_BITS);
    return set && was_in && ready;
}

static void clear_set(uint64_t *set, unsigned n)
{
    if (set)
        memset(set, 0, ALIGN_UP(n, WORD_BITS) / 8);
}

/* Writes the sets; returns the number of bits, or -EBADF when a descriptor was not open (the sets are unchanged then). */
static long entries_to_sets(const struct select_sets *s, unsigned n, const struct pollfd *fds,
                            unsigned count)
{
    long bits = 0;
    for (unsigned i = 0; i < count; i++)
        if (fds[i].revents & POLLNVAL)
            return -EBADF;
    clear_set(s->in, n);
    clear_set(s->out, n);
    clear_set(s->ex, n);
    for (unsigned i = 0; i < count; i++) {
        unsigned fd = (unsigned)fds[i].fd, events = (uint16_t)fds[i].events, got = (uint16_t)fds[i].revents;
        bits += set_result(s->in, fd, events & POLLIN, got & IN_SET);
        bits += set_result(s->out, fd, events & POLLOUT, got & OUT_SET);
        bits += set_result(s->ex, fd, events & POLLPRI, got & EX_SET);
    }
    return bits;
}

static long do_select(int n, const struct select_sets *s, uint64_t deadline_ns)
{
    if (n < 0)
        return -EINVAL;
    unsigned limit = MIN((unsigned)n, fd_limit_get());
    size_t bytes = ALIGN_UP(limit, WORD_BITS) / 8;
    if ((s->in && !user_range_ok(s->in, bytes)) || (s->out && !user_range_ok(s->out, bytes)) ||
        (s->ex && !user_range_ok(s->ex, bytes)))
        return -EFAULT;
    unsigned count = sets_to_entries(s, limit, NULL), order = 0;
    while (PAGE_SIZE << order < count * sizeof(struct pollfd))
        order++;
    struct pollfd *fds = pages_alloc(order);
    if (!fds)
        return -ENOMEM;
    count = MIN(sets_to_entries(s, limit, fds), count);
    long r = poll_wait(fds, count, deadline_ns);
    if (r >= 0)
        r = entries_to_sets(s, limit, fds, count);
    pages_free(fds, order);
    return r;
}

SYSCALL(select, 5, "n, in, out, ex, timeout", SYSCALL_COMPLETE)
long sys_select(int n, uint64_t *in, uint64_t *out, uint64_t *ex, struct timeval64 *timeout)
{
    struct timespec64 t;
    uint64_t deadline;
    if (timeout) {
        if (!user_range_ok(timeout, sizeof(*timeout)))
            return -EFAULT;
        if (timeout->sec < 0 || timeout->usec < 0)
            return -EINVAL;
        t = (struct timespec64){timeout->sec + timeout->usec / 1000000, timeout->usec % 1000000 * 1000};
    }
    int e = deadline_of(timeout ? &t : NULL, &deadline);
    if (e < 0)
        return e;
    long r = do_select(n, &(struct select_sets){in, out, ex}, deadline);
    if (timeout) {
        uint64_t left = time_left(deadline);
        *timeout = (struct timeval64){(int64_t)(left / NS_PER_SEC),
                                      (int64_t)(left % NS_PER_SEC / NS_PER_US)};
    }
    return r;
}

struct mask_argument {
    const uint64_t *mask;
    size_t size;
};

SYSCALL(pselect6, 6, "n, in, out, ex, timeout, mask", SYSCALL_COMPLETE)
long sys_pselect6(int n, uint64_t *in, uint64_t *out, uint64_t *ex, struct timespec64 *timeout,
                  const struct mask_argument *arg)
{
    uint64_t deadline, old = 0;
    if ((timeout && !user_range_ok(timeout, sizeof(*timeout))) || (arg && !user_range_ok(arg, sizeof(*arg))))
        return -EFAULT;
    const uint64_t *mask = arg ? arg->mask : NULL;
    if (mask && arg->size != sizeof(*mask))
        return -EINVAL;
    if (mask && !user_range_ok(mask, sizeof(*mask)))
        return -EFAULT;
    int e = deadline_of(timeout, &deadline);
    if (e < 0)
        return e;
    if (mask)
        old = signal_mask_swap(*mask);
    long r = do_select(n, &(struct select_sets){in, out, ex}, deadline);
    if (mask)
        signal_mask_restore(old, r);
    if (timeout)
        *timeout = timespec_of_ns(time_left(deadline));
    return r;
}
