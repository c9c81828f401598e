/* Robust lists: a thread keeps a list of the futexes that it holds, and when it ends they are marked as owned by the dead. The list is
   the program's, so anything may be in it. Bit 0 of a pointer says that the futex is a PI futex. linux/futex.h: struct robust_list_head.

   A PI futex that others wait for is handed over at once, so no other thread can find it free before the first waiter has it. */
#include "futex_internal.h"
#include <kernel/futex.h>
#include <kernel/user.h>
#include <linux/futex.h>
#include <sched/thread.h>

/* False when the address cannot be right, which ends the walk. pending: being taken or released when the thread ended. */
static bool owner_died(int *address, bool pi, bool pending)
{
    struct futex_waiters taken = TAILQ_HEAD_INITIALIZER(taken);
    unsigned me = (unsigned)thread_id(thread_current());
    bool wake = false;
    if (((uint64_t)address & 3) || !user_range_ok(address, sizeof(*address)))
        return false;
    unsigned v = futex_load(address);
    if (!(v & FUTEX_TID_MASK) && pending && !pi) {
        futex_wake_address(address, 1); /* released, but perhaps nobody was woken for it */
        return true;
    }
    if ((v & FUTEX_TID_MASK) != me)
        return true;
    struct futex_bucket *b = futex_bucket(address);
    futex_lock_bucket(b);
    if (!futex_pi_died(b, address, &taken)) {
        while ((v & FUTEX_TID_MASK) == me && !futex_compare_exchange(address, &v, (v & FUTEX_WAITERS) | FUTEX_OWNER_DIED))
            ;
        wake = (v & FUTEX_TID_MASK) == me && (v & FUTEX_WAITERS) && !pi;
    }
    mutex_unlock(&b->lock);
    futex_wake_taken(&taken);
    if (wake)
        futex_wake_address(address, 1);
    return true;
}

static struct robust_list *entry_of(const struct robust_list *pointer) { return (void *)((uint64_t)pointer & ~1ul); }
static bool is_pi(const struct robust_list *pointer) { return (uint64_t)pointer & 1; }
static int *word_of(const struct robust_list_head *head, const struct robust_list *pointer)
{
    return (int *)((uint64_t)entry_of(pointer) + (uint64_t)head->futex_offset);
}

void futex_robust_exit(void *list, size_t size)
{
    struct robust_list_head *head = list;
    if (!head || size != sizeof(*head) || !user_range_ok(head, sizeof(*head)))
        return;
    struct robust_list *pointer = head->list.next, *pending = head->list_op_pending;
    for (int i = 0; i < ROBUST_LIST_LIMIT; i++) {
        struct robust_list *entry = entry_of(pointer);
        if (entry == &head->list || !user_range_ok(entry, sizeof(*entry)))
            break;
        struct robust_list *next = entry->next; /* before the futex becomes somebody else's */
        if (entry != entry_of(pending) && !owner_died(word_of(head, pointer), is_pi(pointer), false))
            break;
        pointer = next;
    }
    if (pending)
        owner_died(word_of(head, pending), is_pi(pending), true);
}

void futex_exit(void *robust_list, size_t size)
{
    futex_robust_exit(robust_list, size);
    futex_pi_exit();
}
