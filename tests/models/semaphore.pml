/* The semaphore of sched/semaphore.c: threads that take its one unit and give it back; the first of them may give up waiting.

   Stands for (function: here)
     semaphore_down, down_slow, wait_for_unit: inline down    semaphore_up: inline up    serve, has_work: inline serve
     take_incoming, give_out, let_leavers_go, resign: inline serve_all
   Sleeping and waking is abstracted to blocking on the state (the wake-up protocol has its own model, wake.pml).

   One statement is one access to what other threads see. A thread's node is used again for its next wait, so what touches it too late is found.

   Checked: one thread at a time has the unit, one at a time serves; at the end the unit is back and nothing is left. A lost wake-up is a deadlock, as only the first thread can give up.

   BROKEN=1: who has served does not look again after it has taken its flag down.
   BROKEN=2: who gives up is let go though a unit is promised to it.
   BROKEN=3: a waiter does not look for grants after queueing.
   BROKEN=4: who finds somebody serving is not careful, and serves, too. */
#ifndef THREADS
#define THREADS 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef BROKEN
#define BROKEN 0
#endif

mtype = { idle, waiting, leaving, granted, gone };

short count = 1;
byte grants, leavers;
bit serving;
byte incoming, queue;      /* thread; 0: none */
byte next[THREADS + 1];
mtype state[THREADS + 1] = idle;
byte holders, servers;
byte running = THREADS;

inline serve_all()
{
    atomic { servers++; assert(servers == 1) }
    d_step { found = leavers; leavers = 0 }
    d_step { list = incoming; incoming = 0 }
    d_step { /* reverse, append: the store to queue is the one that others may see */
        first = 0;
        do
        :: list != 0 -> w = next[list]; next[list] = first; first = list; list = w
        :: else -> break
        od;
        if
        :: queue == 0 -> queue = first
        :: else ->
            w = queue;
            do
            :: next[w] != 0 -> w = next[w]
            :: else -> break
            od;
            next[w] = first
        fi;
        first = 0; w = 0
    }
    n = grants;
    do
    :: n > 0 && queue != 0 ->
        w = queue;
        grants--;
        queue = next[w];
        atomic { assert(state[w] == waiting || state[w] == leaving); state[w] = granted; n--; w = 0 }
    :: else -> break
    od;
    n = 0;
    if
    :: found ->
        w = queue;
        do
        :: w != 0 ->
            after = next[w];
            if
            :: state[w] == leaving ->
                if
#if BROKEN == 2
                :: d_step { true -> count++ }
#else
                :: d_step { count < 0 -> count++ }
#endif
                    if
                    :: before != 0 -> next[before] = after
                    :: else -> queue = after
                    fi;
                    state[w] = gone
                :: else -> before = w
                fi
            :: else -> before = w
            fi;
            atomic { w = after; after = 0 }
        :: else -> break
        od;
        before = 0
    :: else
    fi;
    atomic { found = 0; servers-- }
}

inline serve()
{
    do
    :: work = 0;
        if
        :: leavers != 0 -> work = 1
        :: else ->
            if
            :: grants != 0 ->
                if
                :: incoming != 0 -> work = 1
                :: else ->
                    if
                    :: queue != 0 -> work = 1
                    :: else
                    fi
                fi
            :: else
            fi
        fi;
        if
        :: work == 0 -> break
        :: else
        fi;
#if BROKEN != 4
        if
        :: d_step { serving == 0 -> serving = 1 }
        :: else -> break
        fi;
#endif
        serve_all();
        serving = 0;
#if BROKEN == 1
        break
#endif
    od;
    work = 0
}

inline up()
{
    d_step { got = (count >= 0); count++ }
    if
    :: got
    :: else -> grants++; serve()
    fi;
    got = 0
}

inline down()
{
    d_step { got = (count > 0); count-- }
    if
    :: got
    :: else ->
        d_step { state[me] = waiting; next[me] = incoming; incoming = me }
#if BROKEN != 3
        serve();
#endif
        do
        :: atomic { state[me] == granted -> state[me] = idle; got = 1; break }
        :: atomic { state[me] == gone -> state[me] = idle; break }
        :: d_step { me == 1 && state[me] == waiting -> state[me] = leaving }
            leavers++;
            serve()
        od
    fi
}

proctype thread(byte me)
{
    byte list, first, w, n, before, after, rounds, found;
    bit got, work;
    do
    :: rounds == ROUNDS -> break
    :: else ->
        rounds++;
        down();
        if
        :: got ->
            got = 0;
            atomic { holders++; assert(holders == 1) }
            atomic { holders-- }
            up()
        :: else
        fi
    od;
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
    assert(count == 1 && grants == 0 && leavers == 0 && incoming == 0 && queue == 0 && !serving)
}
