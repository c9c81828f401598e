/* Work for whoever holds net_lock (after "flat combining": D. Hendler, I. Incze, N. Shavit, M. Tzafrir, 2010).

   The mutex hands itself over in order, and with many threads that each need it for a moment, that means a sleep and a switch for each of them: with four
   memcached workers 2.5 of them a request. So a thread that finds the mutex taken, and needs no answer, leaves its work on a stack and goes on.

   Nothing is left lying: who posts pushes, then tries to take the mutex, and runs the work himself if that succeeds. Who releases looks at the stack after the release, and if
   there is something tries to take the mutex again. Push, try and release are locked instructions, so on x86 of the two one sees the other (push, then try; release, then look); and where
   the try fails, another holder has come between, who will look after his own release.

   The stack is taken as a whole, by the holder only, so there is no ABA; it is turned round, so work runs in the order in which it was pushed. */
#include "posted.h"

struct mutex net_lock = MUTEX_INIT;
struct net_work *_Atomic net_posted;

void net_post(struct net_work *w)
{
    struct net_work *head = atomic_load_explicit(&net_posted, memory_order_relaxed);

    do
        w->next = head;
    while (!atomic_compare_exchange_weak_explicit(&net_posted, &head, w, memory_order_seq_cst, memory_order_relaxed));
    net_unlocked();
}

void net_run_posted(void)
{
    struct net_work *w = atomic_exchange_explicit(&net_posted, NULL, memory_order_acquire), *list = NULL;

    while (w != NULL) {
        struct net_work *next = w->next;
        w->next = list;
        list = w;
        w = next;
    }
    while (list != NULL) {
        struct net_work *next = list->next;
        list->fn(list);
        list = next;
    }
}

void net_unlocked(void)
{
    while (unlikely(atomic_load_explicit(&net_posted, memory_order_seq_cst) != NULL) && mutex_trylock(&net_lock)) {
        net_run_posted();
        net_before_release();
        mutex_unlock(&net_lock);
    }
}
