/* All threads: by id, and one after the other. Algorithm: sched/thread_table.c. */
#ifndef SCHED_THREAD_TABLE_H
#define SCHED_THREAD_TABLE_H

#include <kernel/compiler.h>
#include <stdatomic.h>

struct thread;

#define THREAD_SLOT_BITS 17u /* 131,072 threads at a time */
#define THREAD_SLOTS (1u << THREAD_SLOT_BITS)
#define THREAD_NOT_LISTED (-1)

/* A stack of structures of threads that have ended, one for each CPU. */
typedef _Atomic uint64_t thread_stack;
/* Any context. */
void thread_stack_push(thread_stack *s, struct thread *t);
/* NULL: it is empty. */
struct thread *thread_stack_pop(thread_stack *s);

/* Gives a new structure its slot, for ever. 0, -ENOMEM, or -EAGAIN when all slots are taken. */
int thread_table_add(struct thread *t) WARN_UNUSED;
/* Gives t its id, by which it is found from now on, until thread_unlist. */
void thread_list(struct thread *t);
/* The current thread's end: from here on nobody holds it, and its id finds nothing. Sleeps while somebody holds it. */
void thread_unlist(struct thread *t);
/* The same for the current thread, which is held. */
void thread_unlist_held(struct thread *t);

/* The thread of this id, held: it does not end until thread_release. NULL: there is none. Sleeps. Holding one, do not hold another. */
struct thread *thread_hold(int id);
void thread_release(struct thread *t);

/* The first thread in slot *slot or after it, NULL: none; *slot becomes the one to go on with. Takes no lock: it may end, and its structure become another thread's, at any
   time; but a structure it stays. */
struct thread *thread_after(unsigned *slot);
/* The same, held. */
struct thread *thread_hold_after(unsigned *slot);
static inline unsigned thread_slot_of(int id) { return (unsigned)id % THREAD_SLOTS; }
/* The structure in this slot, whether it has a thread or not; NULL: none yet. */
struct thread *thread_slot(unsigned slot);
/* Slots from here on are empty. */
unsigned thread_slots(void);
/* The id that was given last. */
int thread_newest_id(void);

#endif
