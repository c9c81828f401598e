/* Grace periods of sched/rcu.c: CPUs that read, switch, compute, halt and come up late; a writer that replaces an object; the thread that waits for all CPUs and then frees.

   Stands for (function: here)
     rcu_read_lock, rcu_read_unlock: the section in proctype cpu      rcu_quiescent, rcu_report, rcu_interrupt: inline report
     rcu_idle_enter, rcu_idle_leave: the idle branch                  ask, grace_period, take_calls, run_calls: proctype rcu
     push (rcu_call): proctype writer                                 thread_wait_prepare, thread_wait, thread_wake: waiting, woken

   Objects have numbers; `object` is the one that readers find. The writer puts the next in its place and hands in the old one (calls, a set of bits). The thread takes the calls, asks, waits
   for `missing` to be 0, and frees them. A reader loads `object`, looks at it once more later, and it must not have been freed.

   A CPU that computes never switches by itself: only the nudge ends that. One atomic step has one access to what others see.

   Checked: no object is read after it was freed. When nothing can go on any more, all objects but the present one are freed: no grace period hangs.

   BROKEN=1: the thread looks whether a CPU is idle before it asks it.
   BROKEN=2: a CPU that goes idle does not look whether it is asked.
   BROKEN=3: a CPU that leaves idle reads before it says so.
   BROKEN=4: the interrupt counts down inside a read section, too.
   BROKEN=5: counting down is not atomic.
   BROKEN=6: the thread looks at `missing` before it says that it waits.
   BROKEN=7: the calls are taken after the CPUs were asked.
   BROKEN=8: who looks after an idle CPU and that CPU both count.
   BROKEN=9: a CPU that computes is not interrupted. */
#ifndef CPUS
#define CPUS 2
#endif
#ifndef OBJECTS /* that are replaced */
#define OBJECTS 2
#endif
#ifndef LATE /* of the CPUs, how many are off at first */
#define LATE 0
#endif
#ifndef ROUNDS /* what each CPU does */
#define ROUNDS 2
#endif
#ifndef BROKEN
#define BROKEN 0
#endif

#define BIT(n) (1 << (n))

byte object, calls, freed;
bit asked[CPUS], idle[CPUS], computes[CPUS], ipi[CPUS];
byte missing;
bit wanted, waiting, woken; /* of the thread "rcu" */

inline wake()
{
    atomic {
        if
        :: waiting -> waiting = 0; woken = 1
        :: else
        fi
    }
}

/* This CPU is quiescent. */
inline report()
{
    if
    :: asked[me] ->
        atomic { taken = asked[me]; asked[me] = 0 }
        if
        :: taken ->
#if BROKEN == 5
            left = missing;
            missing = left - 1;
            last = (left == 1);
            left = 0;
#else
            atomic { missing--; last = (missing == 0) }
#endif
            if
            :: last -> wake()
            :: else
            fi
        :: else
        fi
    :: else
    fi;
    atomic { taken = 0; last = 0 }
}

proctype cpu(byte me)
{
    byte seen, n, left;
    bit taken, last;
    if
    :: me >= CPUS - LATE -> idle[me] = 0 /* it has come */
    :: else
    fi;
end_cpu:
    do
    /* a read section; the interrupt may come within, and finds it so */
    :: atomic { n < ROUNDS -> n++; seen = object }
#if BROKEN == 4
        if
        :: atomic { ipi[me] -> ipi[me] = 0 }
            report()
        :: skip
        fi;
#endif
        atomic { assert(!(freed & BIT(seen))); seen = 0 }
    /* a switch */
    :: atomic { n < ROUNDS && asked[me] -> n++ }
        report()
    /* computes until it is interrupted, or for a while */
    :: atomic { n < ROUNDS -> n++; computes[me] = 1 }
end_computes:
        if
        :: atomic { ipi[me] -> ipi[me] = 0 }
            report();
            computes[me] = 0
        :: n < ROUNDS -> computes[me] = 0
        fi
    /* idle, for good or until it is woken */
    :: idle[me] = 1;
#if BROKEN != 2
        report();
#endif
        if
        :: atomic { n < ROUNDS -> n++ }
#if BROKEN == 3
            seen = object;
            idle[me] = 0;
            atomic { assert(!(freed & BIT(seen))); seen = 0 }
#else
            idle[me] = 0
#endif
        :: n == ROUNDS -> break
        fi
    od
}

proctype writer()
{
    byte old;
    do
    :: object < OBJECTS ->
        atomic { old = object; object = old + 1 }
        atomic { calls = calls | BIT(old); old = 0 }
        wanted = 1;
        wake()
    :: else -> break
    od
}

proctype rcu()
{
    byte mine, c;
    bit was, done;
end_rcu:
    do
    :: atomic { waiting = 1; woken = 0 }
        atomic { was = wanted; wanted = 0 }
        if
        :: !was -> goto asleep
        :: else -> waiting = 0; was = 0
        fi;
#if BROKEN != 7
        atomic { mine = calls; calls = 0 }
#endif
        missing = 1;
        c = 0;
        do
        :: c < CPUS ->
#if BROKEN == 1
            was = idle[c];
            missing++;
            asked[c] = 1;
#else
            missing++;
            asked[c] = 1;
            was = idle[c];
#endif
            if
            :: was ->
#if BROKEN == 8
                missing--
#else
                atomic { was = asked[c]; asked[c] = 0 }
                if
                :: was -> missing--
                :: else
                fi
#endif
            :: else
            fi;
            was = 0;
            c++
        :: else -> break
        od;
        c = 0;
        atomic { missing--; done = (missing == 0) }
        do
        :: done -> break
        :: else ->
#if BROKEN == 6
            done = (missing == 0);
            atomic { waiting = 1; woken = 0 }
#else
            atomic { waiting = 1; woken = 0 }
            done = (missing == 0);
#endif
            if
            :: done -> waiting = 0; break
            :: else
            fi;
            /* until it is woken, or time has passed */
            do
            :: atomic { woken -> woken = 0; break }
#if BROKEN != 9
            :: atomic { asked[0] && computes[0] && !ipi[0] -> ipi[0] = 1 }
#if CPUS > 1
            :: atomic { asked[CPUS - 1] && computes[CPUS - 1] && !ipi[CPUS - 1] -> ipi[CPUS - 1] = 1 }
#endif
#endif
            od
        od;
        done = 0;
#if BROKEN == 7
        atomic { mine = calls; calls = 0 }
#endif
        atomic { freed = freed | mine; mine = 0 }
        goto again;
asleep:
        was = 0;
end_asleep:
        atomic { woken -> woken = 0 }
again:
        skip
    od
}

init
{
    byte i;
    atomic {
        for (i : 0 .. CPUS - 1) {
            idle[i] = (i >= CPUS - LATE);
            run cpu(i)
        }
        run writer();
        run rcu();
        i = 0
    }
    timeout ->
        assert(object == OBJECTS && freed == BIT(OBJECTS) - 1 && calls == 0)
}
