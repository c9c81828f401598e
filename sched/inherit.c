/* Priority inheritance, as the scheduler sees it. There is one class of threads, whose priority is 0, so there is nothing to inherit. */
#include <sched/thread.h>

int thread_priority(const struct thread *t) { return 0; }
void thread_inherit(struct thread *owner, int prio) {}
