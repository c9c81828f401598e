/* musl's, with a barrier: pthread_cancel must see the new state, or we its request. */
#include "pthread_impl.h"

int __pthread_setcancelstate(int new, int *old)
{
    struct pthread *self = __pthread_self();

    if (new > 2U)
        return EINVAL;
    if (old)
        *old = self->canceldisable;
    self->canceldisable = new;
    if (new != PTHREAD_CANCEL_DISABLE)
        a_barrier();
    return 0;
}

weak_alias(__pthread_setcancelstate, pthread_setcancelstate);
