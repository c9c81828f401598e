/*
 * musl's file, with two differences. The handler of SIGCANCEL is installed without SA_RESTART, so
 * that a call which it interrupts returns -EINTR and its cancellation point sees the request; musl
 * lets the handler move the program counter out of a `syscall` instruction, which we do not have.
 * And a thread that has disabled cancellation is not sent the signal, so that it sees no EINTR; see
 * pthread_setcancelstate.c.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <pthread.h>

#undef SA_RESTART
#define SA_RESTART 0
#define pthread_cancel cancel_and_signal
int cancel_and_signal(pthread_t);
#include "src/thread/pthread_cancel.c"
#undef pthread_cancel

int pthread_cancel(pthread_t t)
{
    /* a_store is a full barrier, as is the change of state: one of the two sides sees the other. */
    a_store(&t->cancel, 1);
    if (t->canceldisable == PTHREAD_CANCEL_DISABLE)
        return 0;
    return cancel_and_signal(t);
}
