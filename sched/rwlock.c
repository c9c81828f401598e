/* A reader-writer lock with a count of readers for each CPU.

   A reader adds one to its CPU's count, then looks for a writer; a writer announces itself, then sums the counts. All four accesses are sequentially consistent (Dekker's
   pattern), so at least one of the two sees the other. A reader that sees a writer takes its one back and queues for the writers' mutex; with that held there is no writer, so it counts
   itself and lets the mutex go. A writer holds the mutex from its announcement to its end, and sleeps in between until the sum is 0. The reader's addition is a locked instruction because
   of Dekker's pattern, which also makes it right if the thread is moved to another CPU in the middle: the count is no more than likely to be its own.

   The sum is no snapshot, and one count may fall below 0, as a reader may leave on another CPU than it came on. Yet the sum is 0 only if no reader is inside. Of all that the writer may see of
   a thread that is inside, the +1 came before the announcement, so it is seen, and no -1 has come. Who leaves during the summing had its +1 before the announcement, too: it adds 1 or 0. Who comes after it
   takes its one back from the very count that it added it to, and adds 1 or 0. Nobody adds -1.

   No wake-up is lost: the writer is WAITING (thread_wait_prepare) before it sums; who leaves subtracts, then looks for a writer and wakes it, again Dekker's pattern. That a
   reader's accesses come before those of the writer follows from the counts: subtractions release, the sum acquires, and all that follows in a count is an atomic
   addition or subtraction. */
#include <mm/stack_probe.h>
#include <sched/rwlock.h>
#include <sched/thread.h>
#include <stdatomic.h>

static inline _Atomic unsigned *own_count(struct rwlock *l) { return &l->counts[percpu()->id].readers; }

static __attribute__((noinline)) void wake_writer(struct rwlock *l)
{
    struct thread *t = atomic_load_explicit(&l->draining, memory_order_relaxed);
    if (t)
        thread_wake(t); /* the structure lasts, so late is harmless */
}

static inline void leave(struct rwlock *l, _Atomic unsigned *count)
{
    atomic_fetch_sub_explicit(count, 1, memory_order_seq_cst);
    /* acquire, as part of seq_cst: who sees the announcement sees who is draining */
    if (unlikely(atomic_load_explicit(&l->writer, memory_order_seq_cst)))
        wake_writer(l);
}

static __attribute__((noinline)) void read_slow(struct rwlock *l, _Atomic unsigned *count)
{
    leave(l, count);
    mutex_lock(&l->mutex);
    atomic_fetch_add_explicit(own_count(l), 1, memory_order_relaxed); /* the mutex orders it before the next writer's sum */
    mutex_unlock(&l->mutex);
}

void rwlock_read_lock(struct rwlock *l)
{
    stack_probe();
    _Atomic unsigned *count = own_count(l);
    atomic_fetch_add_explicit(count, 1, memory_order_seq_cst);
    if (unlikely(atomic_load_explicit(&l->writer, memory_order_seq_cst)))
        read_slow(l, count);
}

void rwlock_read_unlock(struct rwlock *l) { leave(l, own_count(l)); }

static bool has_readers(const struct rwlock *l)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < percpu_count; i++)
        sum += atomic_load_explicit(&l->counts[i].readers, memory_order_seq_cst);
    return sum != 0;
}

static void drain(struct rwlock *l)
{
    const char *outer = thread_wait_reason("readers");
    for (;;) {
        thread_wait_prepare();
        if (!has_readers(l))
            break;
        thread_wait();
    }
    thread_wait_cancel();
    thread_wait_reason(outer);
}

void rwlock_write_lock(struct rwlock *l)
{
    mutex_lock(&l->mutex);
    atomic_store_explicit(&l->draining, thread_current(), memory_order_relaxed);
    atomic_store_explicit(&l->writer, true, memory_order_seq_cst);
    if (has_readers(l))
        drain(l);
    atomic_store_explicit(&l->draining, NULL, memory_order_relaxed);
}

void rwlock_write_unlock(struct rwlock *l)
{
    /* release: the readers that see this see what was written */
    atomic_store_explicit(&l->writer, false, memory_order_release);
    mutex_unlock(&l->mutex);
}
