/* The wake-up protocol of sched/wake.c and sched/thread.c: CPUs with run queues that only they touch, incoming lists, the placing token, migration, idle and halt, exit
   and recycling.

   Stands for (function: here)
     thread_wake, wake_place: proctype waker      wake_take_incoming, receive: inline take      switch_away, thread_switched: inline switch_away, leave
     thread_wait_prepare, thread_wait, thread_wait_cancel: the steps 0, 1, 2 of the thread in proctype cpu
     migrate (give, share_with_idle): inline migrate        sched_idle: the idle branch of proctype cpu
     thread_exit, thread_recycle, thread_start: the end in step 0, inline leave, proctype maker

   The protocol. A thread has a state, the CPU it belongs to, `placed` (a token: who has it places the thread), and `active` (here on_cpu: it is current on, or in
   the run queue of, its CPU). Who wakes changes WAITING to RUNNABLE and, if it gets the token, pushes the thread on a CPU's list: any CPU's if the thread is not
   active, else its own. The token travels with the thread on the list. Only with the token a thread becomes active, and only its own CPU ends that.

   One atomic step has one access to what other CPUs see; what only the CPU itself touches is folded into it. Interrupts are taken only where the
   model reads `ipi`, because everything else that a CPU does here runs with interrupts off or is the thread's own code. A list is a set of bits: the
   exchange of its head is one step, and so is a successful push. linked says that the thread's link is in use.

   Checked in each state: a thread is on one list, in one run queue, on one CPU; a link is not used twice. Checked when nothing can go on any more: no
   thread is runnable, no condition unconsumed, all lists and run queues are empty: no wake-up was lost.

   BROKEN=1: the target releases the token first and looks at the state afterwards: a second waker may place the thread elsewhere in between.
   BROKEN=2: a thread that was preempted between thread_wait_prepare and thread_wait is migrated, and its new CPU finds it WAITING.
   BROKEN=3: a CPU looks at its list before it announces that it halts, not after.
   BROKEN=4: active becomes false before the switch.
   BROKEN=5: a thread that ended is recycled though a waker still has the token.
   BROKEN=6: no second look at the state after the token of a waiting thread was released.
   BROKEN=7: a target that took the token anew does not see that the thread is active elsewhere. */
#ifndef THREADS
#define THREADS 1
#endif
#ifndef WAKERS
#define WAKERS 2
#endif
#ifndef WAKES /* of each waker */
#define WAKES 1
#endif
#ifndef POLLS /* an idle CPU polls before it halts */
#define POLLS 0
#endif
#ifndef ENDS /* how many times a thread ends and is made anew */
#define ENDS 0
#endif
#ifndef BROKEN
#define BROKEN 0
#endif

#define CPUS 2
#define OTHER (1 - me)
#define IDLE THREADS /* the current thread of an idle CPU */
#define LAST (THREADS - 1)
#define BIT(t) (1 << (t))

#define RUNNABLE 0
#define WAITING 1
#define DEAD 2

#define RUN 0 /* idle states of a CPU */
#define POLL 1
#define HALT 2

/* Of a thread. */
byte state[THREADS], cpu_of[THREADS], step[THREADS];
bit placed[THREADS], on_cpu[THREADS], cond[THREADS];
bit linked[THREADS];   /* the link (wake_next) is in use */
bit on_stack[THREADS]; /* a CPU executes on its stack */
bit is_free[THREADS];
byte ends = ENDS;

/* Of a CPU. */
byte incoming[CPUS], tree[CPUS], idle_state[CPUS], current[CPUS];
bit ipi[CPUS];
byte wakers = WAKERS, started;

/* With the token of t. */
inline push(t, c)
{
    d_step {
        assert(!linked[t]);
        linked[t] = 1;
        incoming[c] = incoming[c] | BIT(t)
    }
    if
    :: idle_state[c] != POLL -> ipi[c] = 1
    :: else
    fi
}

inline place(t, c)
{
    if
    :: atomic { !on_cpu[t] -> c = 0; cpu_of[t] = c }
    :: atomic { !on_cpu[t] -> c = 1; cpu_of[t] = c }
    :: atomic { on_cpu[t] -> c = cpu_of[t] }
    fi;
    push(t, c)
}

/* Wakers are alike: that they start in one order is enough. */
#define MAY_START (n > 0 || started == k)
#define START started = (n == 0 -> started + 1 : started)

proctype waker(byte k)
{
    byte t, c, n;
    bit old;
    do
    :: atomic { n < WAKES && MAY_START -> START; n++; t = 0; cond[t] = 1 }
        goto wake
#if THREADS > 1
    :: atomic { n < WAKES && MAY_START -> START; n++; t = LAST; cond[t] = 1 }
        goto wake
#endif
    :: n == WAKES -> break;
wake:
        if
        :: atomic { state[t] == WAITING -> state[t] = RUNNABLE }
            d_step { old = placed[t]; placed[t] = 1 }
            if
            :: !old -> place(t, c)
            :: else
            fi
        :: atomic { state[t] != WAITING -> skip }
        fi;
        atomic { t = 0; c = 0; old = 0 }
    od;
    wakers--
}

inline enqueue(t)
{
    assert(!((tree[0] | tree[1]) & BIT(t)) && !on_stack[t]);
    tree[me] = tree[me] | BIT(t)
}

inline to_free(t)
{
    atomic {
        assert(!is_free[t] && !linked[t] && !on_stack[t]);
        is_free[t] = 1
    }
}

/* The list as a whole, then each thread. The token of the one in hand is ours. */
inline take()
{
    d_step { mine = incoming[me]; incoming[me] = 0 }
    do
    :: atomic {
            mine != 0 ->
            x = (mine & BIT(0) -> 0 : LAST);
            mine = mine & ~BIT(x);
            linked[x] = 0 /* the next one was read */
        }
#if BROKEN == 1
        placed[x] = 0;
        if
        :: atomic { state[x] == RUNNABLE && current[me] != x && !(tree[me] & BIT(x)) -> on_cpu[x] = 1; enqueue(x) }
        :: else
        fi
#else
        do
#if BROKEN == 7
        :: atomic { on_cpu[x] && (current[me] == x || (tree[me] & BIT(x))) -> placed[x] = 0; break }
        :: atomic { state[x] == RUNNABLE && current[me] != x && !(tree[me] & BIT(x)) -> on_cpu[x] = 1; cpu_of[x] = me; enqueue(x) }
#else
        :: atomic { on_cpu[x] && cpu_of[x] == me -> placed[x] = 0; break } /* current or queued here: looks at its state before it sleeps */
        :: atomic { on_cpu[x] && cpu_of[x] != me -> skip }                 /* only after the token was taken anew */
            push(x, OTHER);
            break
        :: atomic { !on_cpu[x] && state[x] == RUNNABLE -> on_cpu[x] = 1; cpu_of[x] = me; enqueue(x) }
#endif
            placed[x] = 0;
            break
        :: atomic { !on_cpu[x] && state[x] == DEAD -> skip }
            to_free(x); /* keeps the token until it is made anew */
            break
        :: atomic { !on_cpu[x] && state[x] == WAITING -> skip }
            placed[x] = 0;
#if BROKEN == 6
            break
#else
            if
            :: atomic { state[x] == WAITING -> break }
            :: else ->
                d_step { old = placed[x]; placed[x] = 1 } /* a waker may have found the token taken */
                if
                :: atomic { old -> break }
                :: else
                fi
            fi
#endif
        od
#endif
    :: else -> break
    od;
    atomic { x = 0; old = 0 }
}

/* Interrupts are off, the next thread is chosen and current: after the switch away from a thread that waits or ended, on the next one's stack. As soon as
   active is false the thread may run elsewhere and even end there, so what is read of it is read before. A thread that ended is recycled by whoever has its
   token: we, or the CPU to whose list it goes. */
inline leave(t)
{
#if BROKEN != 4
    on_stack[t] = 0;
#endif
    if
    :: state[t] == DEAD ->
#if BROKEN == 5
        old = 0;
#else
        d_step { old = placed[t]; placed[t] = 1 }
#endif
        on_cpu[t] = 0;
        if
        :: !old -> to_free(t)
        :: else
        fi
    :: else ->
        on_cpu[t] = 0
#if BROKEN == 4
        ;
        on_stack[t] = 0
#endif
    fi
}

/* Only what this CPU touches. */
inline pick()
{
    next = (tree[me] == 0 -> IDLE : (tree[me] & BIT(0) -> 0 : LAST));
    if
    :: next != IDLE ->
        tree[me] = tree[me] & ~BIT(next);
        assert(!on_stack[next] && on_cpu[next] && cpu_of[next] == me);
        on_stack[next] = 1
    :: else
    fi;
    current[me] = next;
    next = 0
}

/* A queued thread goes to the other CPU. */
inline migrate(t)
{
    d_step { old = placed[t]; placed[t] = 1 }
    if
    :: old
    :: else ->
        if
#if BROKEN == 2
        :: atomic { true ->
#else
        :: atomic { state[t] == RUNNABLE ->
#endif
                tree[me] = tree[me] & ~BIT(t);
                cpu_of[t] = OTHER
            }
            on_cpu[t] = 0;
            push(t, OTHER)
#if BROKEN != 2
        :: else -> placed[t] = 0 /* between prepare and wait: only the thread itself may leave the queue */
#endif
        fi
    fi;
    old = 0
}

proctype cpu(byte me)
{
    byte mine, x, next, t;
    bit old;
    do
    :: atomic { ipi[me] -> ipi[me] = 0 }
        take()
    /* the current thread */
    :: atomic { current[me] != IDLE && step[current[me]] == 0 -> state[current[me]] = WAITING; step[current[me]] = 1 }
    :: atomic { current[me] != IDLE && step[current[me]] == 1 && !cond[current[me]] -> step[current[me]] = 2 }
    :: atomic { current[me] != IDLE && step[current[me]] == 1 && cond[current[me]] -> t = current[me]; step[t] = 0; state[t] = RUNNABLE }
        atomic { cond[t] = 0; t = 0 }
    :: atomic { current[me] != IDLE && step[current[me]] == 2 -> t = current[me]; step[t] = 0 }
        take();
        if
        :: atomic { state[t] == WAITING -> pick() }
            leave(t)
        :: else
        fi;
        atomic { t = 0; old = 0 }
#if ENDS > 0
    :: atomic { current[me] != IDLE && step[current[me]] == 0 && ends > 0 -> ends--; t = current[me] }
        take();
        atomic { state[t] = DEAD; pick() }
        leave(t);
        atomic { t = 0; old = 0 }
#endif
    /* preempted, or yields */
    :: atomic { current[me] != IDLE && (tree[me] | (THREADS > 1 -> incoming[me] : 0)) != 0 -> skip }
        take();
        atomic {
            if
            :: tree[me] != 0 -> t = current[me]; on_stack[t] = 0; pick(); enqueue(t); t = 0
            :: else
            fi
        }
    :: tree[me] & BIT(0) -> migrate(0)
#if THREADS > 1
    :: tree[me] & BIT(LAST) -> migrate(LAST)
#endif
    /* the idle thread */
    :: atomic { current[me] == IDLE && tree[me] != 0 -> pick() }
    :: atomic { current[me] == IDLE && tree[me] == 0 && incoming[me] != 0 -> skip }
        take()
#if BROKEN == 3
    :: atomic { current[me] == IDLE && tree[me] == 0 -> idle_state[me] = POLL }
        if
        :: incoming[me] == 0 ->
            idle_state[me] = HALT;
#else
#if POLLS
    :: atomic { current[me] == IDLE && tree[me] == 0 -> idle_state[me] = POLL }
        idle_state[me] = HALT;
#else
    :: atomic { current[me] == IDLE && tree[me] == 0 -> idle_state[me] = HALT }
#endif
        if
        :: incoming[me] == 0 ->
#endif
end_halted: atomic { ipi[me] -> idle_state[me] = RUN }
        :: atomic { incoming[me] != 0 -> idle_state[me] = RUN }
        fi
    od
}

#if ENDS > 0
/* Makes a thread of what was freed. The token is its: it was kept since then. */
proctype maker()
{
    byte t, c;
end_maker:
    do
    :: atomic { is_free[0] -> is_free[0] = 0; t = 0 }
        goto make
    :: atomic { THREADS > 1 && is_free[LAST] -> is_free[LAST] = 0; t = LAST }
make:
        atomic { assert(!linked[t] && placed[t]); step[t] = 0; state[t] = RUNNABLE }
        place(t, c);
        atomic { t = 0; c = 0 }
    od
}
#endif

init
{
    byte i;
    atomic {
        for (i : 0 .. LAST) {
            state[i] = WAITING
        }
        for (i : 0 .. CPUS - 1) {
            current[i] = IDLE;
            run cpu(i)
        }
        for (i : 0 .. WAKERS - 1) {
            run waker(i)
        }
#if ENDS > 0
        run maker();
#endif
        i = 0
    }
    timeout ->
        assert(wakers == 0);
        for (i : 0 .. LAST) {
            assert(state[i] == WAITING && !on_cpu[i] && !placed[i] && !cond[i] && !linked[i])
        }
        for (i : 0 .. CPUS - 1) {
            assert(incoming[i] == 0 && tree[i] == 0)
        }
}
