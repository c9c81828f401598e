/* Ends in the way that its argument names; each must be reported and end the machine with a status that is not 0. Built without optimisation, so
   that the wrong access is the one that is written here. */
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char constant[] = "constant";
static char data[64];

static int recurse(int n)
{
    volatile char frame[256];
    frame[0] = (char)n;
    return recurse(n + 1) + frame[0];
}

static void *recurse_thread(void *nothing)
{
    printf("%d\n", recurse(0));
    return nothing;
}

static void *exit_thread(void *nothing)
{
    exit(42);
    return nothing;
}

static void *fault_thread(void *nothing)
{
    *(volatile int *)16 = 1;
    return nothing;
}

static void on_thread(void *(*function)(void *))
{
    pthread_t t;
    if (pthread_create(&t, NULL, function, NULL))
        exit(0);
    pthread_join(t, NULL);
    for (;;)
        pause();
}

/* A CPU with interrupts off, which a program may do here, and a thread that waits for that CPU. */
static sem_t wanted;
static volatile int is_stuck, stop;

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static void *stuck_thread(void *nothing)
{
    pin(1);
    __asm__ volatile("cli");
    is_stuck = 1;
    while (!stop)
        __asm__ volatile("pause");
    __asm__ volatile("sti");
    return nothing;
}

static void *waiting_thread(void *nothing)
{
    pin(1);
    sem_wait(&wanted);
    return nothing;
}

static int stuck(int seconds)
{
    pthread_t waits, sticks;
    sem_init(&wanted, 0, 0);
    pin(0);
    if (pthread_create(&waits, NULL, waiting_thread, NULL) || sleep(1) || pthread_create(&sticks, NULL, stuck_thread, NULL))
        return 1;
    while (!is_stuck)
        usleep(10000);
    sem_post(&wanted);
    for (int i = 0; i < seconds * 10; i++)
        usleep(100000);
    stop = 1;
    pthread_join(sticks, NULL);
    pthread_join(waits, NULL);
    printf("both threads have ended\n");
    return 0;
}

static void call(void *address)
{
    void (*function)(void) = (void (*)(void))address;
    function();
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    volatile char *p = NULL;
    static const char ret = (char)0xc3;

    if (!strcmp(how, "null"))
        p[0] = 1;
    else if (!strcmp(how, "null-read"))
        data[0] = p[8];
    else if (!strcmp(how, "null-64k"))
        p[65535] = 1;
    else if (!strcmp(how, "null-call"))
        call(NULL);
    else if (!strcmp(how, "wild"))
        *(volatile char *)0x123456789000 = 1;
    else if (!strcmp(how, "non-canonical"))
        *(volatile char *)0x8000000000000000ul = 1;
    else if (!strcmp(how, "stack"))
        printf("%d\n", recurse(0));
    else if (!strcmp(how, "thread-stack"))
        on_thread(recurse_thread);
    else if (!strcmp(how, "thread"))
        on_thread(fault_thread);
    else if (!strcmp(how, "abort"))
        abort();
    else if (!strcmp(how, "assert"))
        assert(argc == 0);
    else if (!strcmp(how, "div"))
        printf("%d\n", argc / (argc - 2));
    else if (!strcmp(how, "ill"))
        __asm__ volatile("ud2");
    else if (!strcmp(how, "nx")) {
        memcpy(data, &ret, 1);
        call(data);
    } else if (!strcmp(how, "nx-stack")) {
        char code[16];
        memcpy(code, &ret, 1);
        call(code);
    } else if (!strcmp(how, "write-text"))
        *(volatile char *)main = ret;
    else if (!strcmp(how, "write-rodata"))
        *(volatile char *)constant = 'x';
    else if (!strcmp(how, "bad-pointer-to-kernel"))
        return write(1, (void *)0x10, 16) < 0 ? 41 : 0;
    else if (!strcmp(how, "terminate"))
        kill(getpid(), SIGTERM);
    else if (!strcmp(how, "thread-exit"))
        on_thread(exit_thread);
    else if (!strcmp(how, "stuck"))
        return stuck(22);
    else if (!strcmp(how, "stuck-briefly"))
        return stuck(5);
    else
        printf("usage: crash null|null-read|null-64k|null-call|wild|non-canonical|stack|thread-stack|thread|abort|assert|div|ill|"
               "nx|nx-stack|write-text|write-rodata|bad-pointer-to-kernel|terminate|thread-exit|stuck|stuck-briefly\n");
    printf("crash: %s did not end it\n", how);
    return 0;
}
