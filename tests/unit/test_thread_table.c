/* SOURCES: sched/mutex.c sched/lockstat.c tests/unit/host/host.c */
/* SANITIZE: thread */
/* The table of threads, with delays before every atomic operation, under ThreadSanitizer: threads that make and end "threads" and recycle their structures, while others hold them by id and go
   through all. Who holds one finds it as it was listed; no structure is two threads' at a time; ids differ. */
#include <asm/errno.h>
#include <mm/kmem.h>
#include <sched/internal.h>
#include <sched/thread_table.h>
#include "delays.h"

#include "../../sched/thread_table.c"

#include "host/host.h"
#include "tap.h"

unsigned alarm(unsigned seconds);

#define MAKERS 4
#define LOOKERS 3
#define ROUNDS 4000
#define ALIVE 6 /* of each maker at a time */
#define STACKS 2

static thread_stack ended[STACKS];
static _Atomic bool wrong, over;
static _Atomic int ids[MAKERS * ALIVE]; /* of those that live, for the lookers; some are old */
static _Atomic long held, gone, seen;

static struct thread *structure(void)
{
    struct thread *t = NULL;
    unsigned first = (unsigned)delay_random();
    for (unsigned i = 0; i < STACKS && !t; i++)
        t = thread_stack_pop(&ended[(first + i) % STACKS]);
    if (t) {
        if (atomic_exchange(&t->placed, true))
            wrong = true; /* somebody else has it */
        return t;
    }
    t = kzalloc(sizeof(*t));
    t->placed = true;
    if (thread_table_add(t))
        wrong = true;
    return t;
}

/* `switches` stands for what the thread's maker sets before it is listed. */
static struct thread *make_thread(int *last)
{
    struct thread *t = structure();
    t->switches = 1;
    t->preemptions = delay_random();
    t->migrations = ~t->preemptions;
    thread_list(t);
    if (t->tid == *last)
        wrong = true;
    *last = t->tid;
    return t;
}

static void end_thread(struct thread *t)
{
    thread_unlist(t);
    t->switches = 0; /* nobody holds it any more: TSan sees who does */
    atomic_store(&t->placed, false);
    thread_stack_push(&ended[delay_random() % STACKS], t);
}

static void maker(void *arg)
{
    struct thread *mine[ALIVE] = {NULL};
    int last = -1;
    for (int i = 0; i < ROUNDS; i++) {
        unsigned k = (unsigned)(delay_random() % ALIVE);
        if (mine[k])
            end_thread(mine[k]);
        mine[k] = make_thread(&last);
        atomic_store(&ids[(long)arg * ALIVE + k], mine[k]->tid);
    }
    for (int k = 0; k < ALIVE; k++)
        if (mine[k])
            end_thread(mine[k]);
}

static void check_held(struct thread *t, int id)
{
    if (t->tid != id || t->switches != 1 || t->preemptions != ~t->migrations || !t->placed)
        wrong = true;
    atomic_fetch_add(&held, 1);
}

static void looker(void *arg)
{
    while (!over) {
        int id = atomic_load(&ids[delay_random() % (MAKERS * ALIVE)]);
        struct thread *t = thread_hold(id);
        if (t) {
            check_held(t, id);
            delay();
            check_held(t, id);
            thread_release(t);
        } else {
            atomic_fetch_add(&gone, 1);
        }
        if (delay_random() % 16)
            continue;
        for (unsigned slot = 0; (t = thread_hold_after(&slot)); thread_release(t))
            check_held(t, t->tid);
        for (unsigned slot = 0; thread_after(&slot);)
            atomic_fetch_add(&seen, 1);
    }
}

static void test_many(void)
{
    struct host_thread *m[MAKERS], *l[LOOKERS];
    for (int i = 0; i < MAKERS * ALIVE; i++)
        ids[i] = -1;
    for (long i = 0; i < MAKERS; i++)
        m[i] = host_spawn(maker, (void *)i);
    for (long i = 0; i < LOOKERS; i++)
        l[i] = host_spawn(looker, NULL);
    for (int i = 0; i < MAKERS; i++)
        host_join(m[i]);
    over = true;
    for (int i = 0; i < LOOKERS; i++)
        host_join(l[i]);
    printf("# held %ld times, gone %ld times, seen %ld; %u structures\n", (long)held, (long)gone, (long)seen, thread_slots());
    ok(!wrong, "a thread that is held is whole, and no structure has two owners");
    ok(held > 100 && gone > 10, "both were met");
    /* one more for each that found a stack empty just before something came onto it */
    ok(thread_slots() <= 2 * MAKERS * ALIVE, "structures are recycled");
    unsigned slot = 0;
    ok(!thread_after(&slot), "none is left");
}

/* Few structures that go off the stack and back in another order: what a pop without the count would stumble over. */
#define SHUFFLED 5
static thread_stack shuffled;

static void shuffler(void *arg)
{
    for (int i = 0; i < 4 * ROUNDS && !wrong; i++) {
        struct thread *two[2];
        for (int k = 0; k < 2; k++) {
            two[k] = thread_stack_pop(&shuffled);
            if (two[k] && atomic_exchange(&two[k]->placed, true))
                wrong = true;
        }
        for (int k = 0; k < 2; k++) {
            if (!two[k])
                continue;
            atomic_store(&two[k]->placed, false);
            thread_stack_push(&shuffled, two[k]);
        }
    }
}

static void test_stack(void)
{
    struct host_thread *h[MAKERS];
    struct thread *t;
    int n = 0;
    for (int i = 0; i < SHUFFLED; i++) {
        t = kzalloc(sizeof(*t));
        if (thread_table_add(t))
            wrong = true;
        thread_stack_push(&shuffled, t);
    }
    for (int i = 0; i < MAKERS; i++)
        h[i] = host_spawn(shuffler, NULL);
    for (int i = 0; i < MAKERS; i++)
        host_join(h[i]);
    while (n <= SHUFFLED && thread_stack_pop(&shuffled))
        n++;
    ok(!wrong && n == SHUFFLED, "a stack loses nothing and gives nothing twice");
}

static void test_ids(void)
{
    int last = -1;
    struct thread *t = make_thread(&last);
    unsigned slot = thread_slot_of(last);
    ok(thread_slot(slot) == t && thread_hold(last) == t, "an id leads to its slot");
    thread_release(t);
    ok(!thread_hold(last + (int)THREAD_SLOTS) && !thread_hold(-1) && !thread_hold(0x3fffffff) && !thread_hold(INT32_MIN), "ids of nobody");
    bool fits = true;
    for (int i = 0; i < 10000; i++) { /* more than there are generations */
        end_thread(t);
        t = make_thread(&last);
        fits = fits && t->tid >= 0 && t->tid < 1 << 30;
    }
    ok(fits && !wrong, "ids fit into a futex word when a slot's ids come again");
    end_thread(t);
}

static void test_full(void)
{
    static struct thread filler;
    int err;
    unsigned before = thread_slots();
    host_fail_allocation(1);
    while (!(err = thread_table_add(&filler)))
        ;
    ok(err == -ENOMEM && thread_slots() % CHUNK_SLOTS == 0 && thread_slots() > before, "no memory for a chunk");
    while (!(err = thread_table_add(&filler)))
        ;
    ok(err == -EAGAIN && thread_slots() == THREAD_SLOTS, "the table is full");
}

int main(void)
{
    alarm(900);
    test_many();
    test_stack();
    test_ids();
    test_full();
    return done();
}
