#!/bin/sh
# Each model is verified exhaustively, and each of its broken variants must be found: models.t [long] also runs the larger ones (minutes, 5 GB).
set -u
cd "$(dirname "$0")" || exit 1
models=$PWD
out=${BUILD:-../../build}/models
mkdir -p "$out"
cd "$out" || exit 1
n=0

# model, "pass" or "fail", what it is, its flags
check() {
    model=$1 expected=$2 name=$3
    shift 3
    n=$((n + 1))
    dir=$model.$n
    mkdir -p "$dir"
    result=$(
        cd "$dir" || exit 1
        rm -f ./*.trail
        cp "$models/$model.pml" . # a counterexample is written beside it
        spin -a "$@" "$model.pml" > spin.log 2>&1 || { echo "spin failed"; exit; }
        gcc -O2 -w -DSAFETY -DNOCLAIM -DCOLLAPSE -o pan pan.c || { echo "gcc failed"; exit; }
        timeout 500 ./pan -m4000000 > pan.log 2>&1
        status=$?
        if [ $status -ne 0 ] || grep -q 'max search depth too small\|out of memory\|search was not completed' pan.log; then
            grep -q 'errors: [1-9]' pan.log && echo fail || echo "pan stopped with status $status"
        else
            grep -q 'errors: 0' pan.log && echo pass || echo fail
fi
    )
    states=$(sed -n 's/^ *\([0-9e.+]*\) states, stored.*/\1/p' "$dir/pan.log" 2> /dev/null)
    if [ "$result" = "$expected" ]; then
        echo "ok $n - $model: $name ($states states)"
    else
        echo "not ok $n - $model: $name: $result"
        sed 's/^/# /' "$dir/pan.log" | head -5
    fi
}

check wake pass "one thread, two wakers, an idle CPU polls" -DPOLLS=1
check wake pass "two threads, one waker that wakes twice" -DTHREADS=2 -DWAKERS=1 -DWAKES=2
check wake pass "a thread that ends and is made anew" -DENDS=1
check wake fail "broken: the token is released before the look at the state" -DBROKEN=1 -DWAKERS=3
check wake fail "broken: a thread about to wait is migrated" -DBROKEN=2 -DTHREADS=2
check wake fail "broken: the list is looked at before the halt is announced" -DBROKEN=3 -DPOLLS=1
check wake fail "broken: inactive before the switch" -DBROKEN=4
check wake fail "broken: recycled while a waker has the token" -DBROKEN=5 -DENDS=1
check wake fail "broken: no second look at the state" -DBROKEN=6 -DWAKERS=3
check wake fail "broken: active elsewhere is not seen" -DBROKEN=7 -DWAKERS=3
check mutex pass "three threads, twice each"
check mutex pass "four threads, once each" -DTHREADS=4 -DROUNDS=1
check mutex pass "a sleeper is moved onto the queue, or gives up" -DMORPH -DROUNDS=1
check mutex fail "broken: unlock does not look again" -DBROKEN=1
check mutex fail "broken: a locker does not look at the token" -DBROKEN=2
check mutex fail "broken: two may pop" -DBROKEN=3
check mutex fail "broken: the mutex was handed to nobody" -DBROKEN=4
check mutex fail "broken: moved by a thread that does not hold the mutex" -DMORPH -DBROKEN=5
check mutex fail "broken: a moved thread takes the mutex by itself though others want it" -DMORPH -DBROKEN=6
check mutex fail "broken: a thread that gives up is moved" -DMORPH -DBROKEN=7
check semaphore pass "three threads, one of which may give up"
check semaphore pass "two threads, twice each" -DTHREADS=2 -DROUNDS=2
check semaphore fail "broken: who has served does not look again" -DBROKEN=1
check semaphore fail "broken: who gives up goes though a unit is promised to it" -DBROKEN=2
check semaphore fail "broken: a waiter does not look for grants" -DBROKEN=3
check semaphore fail "broken: two serve" -DBROKEN=4
check rwlock pass "two readers and a writer, twice each"
check rwlock pass "three readers and a writer" -DREADERS=3 -DROUNDS=1
check rwlock fail "broken: a reader takes its one back from another count" -DREADERS=3 -DBROKEN=1
check rwlock fail "broken: who leaves looks for a writer too early" -DBROKEN=2
check rwlock fail "broken: who comes looks for a writer too early" -DBROKEN=3
check rwlock fail "broken: a reader counts itself without the mutex" -DBROKEN=4
check rcu pass "two CPUs, two objects"
check rcu pass "a CPU that comes late" -DLATE=1
check rcu fail "broken: idle is looked at before the CPU is asked" -DBROKEN=1
check rcu fail "broken: a CPU that goes idle does not look" -DBROKEN=2
check rcu fail "broken: a CPU reads before it leaves idle" -DBROKEN=3
check rcu fail "broken: quiescent inside a read section" -DBROKEN=4
check rcu fail "broken: counting down is not atomic" -DBROKEN=5
check rcu fail "broken: looks before it says that it waits" -DBROKEN=6
check rcu fail "broken: calls are taken after the CPUs were asked" -DBROKEN=7
check rcu fail "broken: an idle CPU is counted twice" -DBROKEN=8
check rcu fail "broken: a CPU that computes is not interrupted" -DBROKEN=9
if [ "${1:-}" = long ]; then
    check mutex pass "a sleeper that waits twice" -DMORPH
    check semaphore pass "three threads, twice each" -DROUNDS=2
    check rwlock pass "two readers and two writers, twice each" -DWRITERS=2
    check wake pass "one thread, three wakers" -DWAKERS=3
    check wake pass "two threads, two wakers" -DTHREADS=2
    check rcu pass "two CPUs that do more" -DROUNDS=4
    check rcu pass "three objects" -DOBJECTS=3 -DROUNDS=3
fi
echo "1..$n"
