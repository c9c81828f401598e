/* The hand-off mutex of sched/mutex.c: threads that lock, try to lock and unlock it, and with MORPH one that waits for a condition (sched/waitq.c) and is moved onto the
   mutex's queue by another, or gives up by itself.

   Stands for (function: here)
     mutex_lock, lock_slow: inline lock     mutex_trylock: in proctype thread      mutex_unlock, unlock_slow: inline unlock
     pop: inline pop                        hand_over: inline hand_over            mutex_lock_for: inline lock_for
     let_go: in inline unlock               waitq_wake: inline signal              waitq_wait, mutex_lock_wait: in proctype thread
   Sleeping and waking is abstracted to blocking on woken (the wake-up protocol has its own model, wake.pml).

   One statement is one access to what other threads see. A successful push is one step; the reversal in pop is one, because only the one with the right to pop
   touches queue and the nodes that it took.

   Checked: one thread at a time holds the mutex and one at a time pops; a node that was popped is there; at the end the mutex is free, its queue empty and no token is left. A
   state in which all sleep and nobody holds the mutex is a deadlock, which the checker reports.

   BROKEN=1: unlock does not look at the queue again after publishing the token.
   BROKEN=2: a locker does not look at the token after queueing.
   BROKEN=3: unlock does not take the token back before it pops again: two may pop.
   BROKEN=4: who wins the token does not see that the first in the queue is itself, and leaves without giving the mutex to anybody.
   BROKEN=5 (with MORPH): lock_for is called by a thread that does not hold the mutex.
   BROKEN=6 (with MORPH): unlock lets a moved thread take the mutex by itself without looking whether others want it.
   BROKEN=7 (with MORPH): the waker does not see that the thread gives up, and moves it. */
#ifndef THREADS
#define THREADS 3
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef BROKEN
#define BROKEN 0
#endif

byte count, handoff, sequence;
byte incoming, queue;      /* thread + 1; 0: none */
byte next[THREADS + 1];
bit woken[THREADS + 1];
byte holders, poppers;
byte running = THREADS;
#ifdef MORPH
byte sleeper;              /* thread + 1 that waits for a condition; protected by the mutex */
mtype = { waiting, leaving, moved_on };
mtype entry;               /* its state */
bit moved[THREADS + 1], retry[THREADS + 1];
#endif

inline push(w)
{
    d_step { next[w] = incoming; incoming = w }
}

/* first: 0 when nobody is in the queue */
inline pop(first)
{
    atomic { poppers++; assert(poppers == 1) }
    if
    :: queue == 0 ->
        d_step { list = incoming; incoming = 0 }
        d_step {
            do
            :: list != 0 -> first = next[list]; next[list] = queue; queue = list; list = first
            :: else -> break
            od;
            list = 0
        }
        skip
    :: else
    fi;
    atomic {
        first = queue;
        if
        :: first != 0 -> queue = next[first]
        :: else
        fi;
        poppers--
    }
}

inline hand_over(w)
{
    atomic { assert(w != 0 && !woken[w]); woken[w] = 1; w = 0 }
}

#ifdef MORPH
/* let_go, or else hand_over. */
inline serve(w)
{
    if
#if BROKEN != 6
    :: d_step { moved[w] && count == 1 -> count = 0 }
#else
    :: d_step { moved[w] -> count-- }
#endif
        atomic { assert(!woken[w]); retry[w] = 1; woken[w] = 1; w = 0 }
    :: else -> hand_over(w)
    fi
}
#else
#define serve(w) hand_over(w)
#endif

inline sleep_until_woken()
{
    atomic { woken[me] -> woken[me] = 0 }
}

inline lock()
{
    d_step { got = (count == 0); count++ }
    if
    :: got
    :: else ->
        push(me);
#if BROKEN != 2
        token = handoff;
        if
        :: d_step { token != 0 && handoff == token -> handoff = 0 }
            pop(first);
            if
            :: first == me ->
                first = 0;
#if BROKEN == 4
                sleep_until_woken()
#endif
            :: else -> hand_over(first); sleep_until_woken()
            fi
        :: else -> sleep_until_woken()
        fi
#else
        sleep_until_woken()
#endif
    fi;
    atomic { got = 0; token = 0 }
}

/* By the holder, so nobody else may pop, and there is no token. */
inline lock_for(w)
{
    moved[w] = 1;
    count++;
    if
    :: queue == 0 && incoming == 0 -> d_step { next[w] = 0; queue = w }
    :: else -> push(w)
    fi
}

inline unlock()
{
    d_step { assert(count > 0); got = (count == 1); count-- }
    if
    :: got
    :: else ->
        do
        :: pop(first);
            if
            :: first != 0 -> serve(first); break
            :: else
            fi;
            atomic { sequence++; token = sequence }
            handoff = token;
#if BROKEN == 1
            break
#else
            if
            :: incoming == 0 -> break
            :: else
            fi;
#if BROKEN != 3
            if
            :: d_step { handoff == token -> handoff = 0 }
            :: else -> break
            fi
#endif
#endif
        od
    fi;
    atomic { got = 0; token = 0 }
}

inline critical()
{
    atomic { holders++; assert(holders == 1) }
    atomic { holders-- }
}

#ifdef MORPH
inline signal()
{
    lock();
    atomic { holders++; assert(holders == 1); found = sleeper; sleeper = 0 }
    atomic { holders-- }
#if BROKEN == 5
    unlock();
#endif
    if
#if BROKEN != 7
    :: d_step { found != 0 && entry == leaving -> entry = moved_on } found = 0
#endif
    :: d_step { found != 0 && (entry == waiting || BROKEN == 7) -> entry = moved_on } lock_for(found); found = 0
    :: else
    fi
#if BROKEN != 5
    ;
    unlock()
#endif
}
#endif

proctype thread(byte me)
{
    byte first, list, token, n, found;
    bit got;
    do
    :: n == ROUNDS -> break
    :: n < ROUNDS ->
        n++;
        lock();
        critical();
        unlock()
    :: d_step { n < ROUNDS && count == 0 -> count = 1; n++ } /* mutex_trylock */
        critical();
        unlock()
#ifdef MORPH
    :: n < ROUNDS && me == 1 -> /* waits for a condition, is moved onto the queue by another */
        n++;
        lock();
        atomic { sleeper = me; entry = waiting; moved[me] = 0 }
        unlock();
        if
        :: atomic { woken[me] -> woken[me] = 0 }
            if
            :: d_step { retry[me] -> retry[me] = 0 } moved[me] = 0; lock()
            :: else
            fi
        :: d_step { entry == waiting -> entry = leaving } /* a time-out or a signal */
            lock();
            if
            :: entry == leaving -> assert(sleeper == me); sleeper = 0
            :: else -> assert(sleeper != me)
            fi
        fi;
        moved[me] = 0;
        critical();
        unlock()
    :: n < ROUNDS && me != 1 -> n++; signal()
#endif
    od;
#ifdef MORPH
    if
    :: me == THREADS -> /* whoever still waits is signalled */
        do
        :: sleeper != 0 -> signal()
        :: sleeper == 0 && running == 1 -> break
        od
    :: else
    fi;
#endif
    running--
}

init
{
    byte i;
    atomic {
        for (i : 1 .. THREADS) {
            run thread(i)
        }
    }
    running == 0;
    assert(count == 0 && incoming == 0 && queue == 0 && handoff == 0)
}
