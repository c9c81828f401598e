/* As many threads as memory is meant to hold: 20,000 on 1 GiB, all alive at the same time. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/sysinfo.h>

#include "check.h"

#define BYTES_EACH 50000ul
#define MOST 20000
#define MOST_ELSEWHERE 500 /* other systems have limits of their own */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_there = PTHREAD_COND_INITIALIZER, leave = PTHREAD_COND_INITIALIZER;
static int there, wanted, leaving;

static void *stay(void *number)
{
    pthread_mutex_lock(&lock);
    if (++there == wanted)
        pthread_cond_signal(&all_there);
    while (!leaving)
        pthread_cond_wait(&leave, &lock);
    pthread_mutex_unlock(&lock);
    return number;
}

static int how_many(void)
{
    struct sysinfo info;
    sysinfo(&info);
    unsigned long n = info.freeram * info.mem_unit / BYTES_EACH;
    int most = on_singlet() ? MOST : MOST_ELSEWHERE;
    return n < (unsigned long)most ? (int)n : most;
}

static void alive_together(void)
{
    int made = 0, good = 0;
    void *result;

    wanted = how_many();
    pthread_t *t = calloc((size_t)wanted, sizeof(*t));
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, on_singlet() ? 16384 : 65536);
    while (made < wanted && pthread_create(&t[made], &attr, stay, (void *)(long)made) == 0)
        made++;
    equal(made, wanted, "%d threads", wanted);
    pthread_mutex_lock(&lock);
    wanted = made;
    while (there < wanted)
        pthread_cond_wait(&all_there, &lock);
    leaving = 1;
    pthread_cond_broadcast(&leave);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < made; i++)
        good += pthread_join(t[i], &result) == 0 && result == (void *)(long)i;
    equal(good, made, "all alive together, all joined");
    free(t);
}

int main(void)
{
    run(alive_together);
    return 0;
}
