/* The reader-writer lock of sched/rwlock.c: readers that may leave on another CPU than they came on, and writers.

   Stands for (function: here)
     rwlock_read_lock, read_slow: inline read_lock      rwlock_read_unlock, leave: inline leave      has_readers, drain, rwlock_write_lock: inline write_lock
   The mutex is abstracted to one bit (it has its own model, mutex.pml); sleeping and waking to blocking on a flag that is cleared before the counts are summed.

   One statement is one access to what other threads see.

   Checked: no reader beside a writer, one writer at a time; at the end the counts add up to 0. A lost wake-up of a writer is a deadlock.

   BROKEN=1: a reader that meets a writer takes its one back on whatever CPU it is on then.
   BROKEN=2: who leaves looks for a writer before it subtracts.
   BROKEN=3: a reader looks for a writer before it adds.
   BROKEN=4: a reader that met a writer counts itself after it has let the mutex go. */
#ifndef READERS
#define READERS 2
#endif
#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef BROKEN
#define BROKEN 0
#endif

short count[2];            /* two CPUs */
bit writer, draining, woken, mutex;
byte readers_in, writers_in;
byte running = READERS + WRITERS;

inline any_cpu() { if :: cpu = 0 :: cpu = 1 fi }

inline leave(at)
{
#if BROKEN == 2
    seen = writer;
    count[at]--;
#else
    count[at]--;
    seen = writer;
#endif
    if
    :: seen ->
        if
        :: draining -> woken = 1
        :: else
        fi
    :: else
    fi;
    seen = 0
}

inline read_lock()
{
    any_cpu();
#if BROKEN == 3
    seen = writer;
    count[cpu]++;
#else
    count[cpu]++;
    seen = writer;
#endif
    if
    :: seen ->
#if BROKEN == 1
        any_cpu();
#endif
        leave(cpu);
        atomic { mutex == 0 -> mutex = 1 }
        any_cpu();
#if BROKEN != 4
        count[cpu]++;
#endif
        mutex = 0;
#if BROKEN == 4
        count[cpu]++;
#endif
    :: else
    fi;
    seen = 0
}

inline write_lock()
{
    atomic { mutex == 0 -> mutex = 1 }
    draining = 1;
    writer = 1;
    do
    :: woken = 0; /* thread_wait_prepare */
        sum = count[0];
        sum = sum + count[1];
        if
        :: sum == 0 -> break
        :: else -> woken == 1
        fi
    od;
    draining = 0
}

proctype reader()
{
    byte cpu, n;
    bit seen;
    do
    :: n == ROUNDS -> break
    :: else ->
        n++;
        read_lock();
        atomic { readers_in++; assert(writers_in == 0) }
        atomic { readers_in-- }
        any_cpu();
        leave(cpu)
    od;
    running--
}

proctype writing()
{
    byte n;
    short sum;
    do
    :: n == ROUNDS -> break
    :: else ->
        n++;
        write_lock();
        atomic { writers_in++; assert(writers_in == 1 && readers_in == 0) }
        atomic { writers_in--; sum = 0 }
        writer = 0;
        mutex = 0
    od;
    running--
}

init
{
    byte i;
    atomic {
        for (i : 1 .. READERS) {
            run reader()
        }
        for (i : 1 .. WRITERS) {
            run writing()
        }
    }
    running == 0;
    assert(count[0] + count[1] == 0 && !writer && !mutex)
}
