#!/bin/sh
# No spin locks: scripts/check-spin finds nothing in the kernel, and it does find what it is for.
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0
ok() { # command's status, name
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}
finds() { # source, name
    printf '%s\n' "$1" > "$dir/a.c"
    if scripts/check-spin --allow /dev/null "$dir/a.c" > "$dir/out"; then ok 1 "found: $2"; else ok 0 "found: $2"; fi
}
passes() {
    printf '%s\n' "$1" > "$dir/a.c"
    scripts/check-spin --allow /dev/null "$dir/a.c" > "$dir/out"
    ok $? "not found: $2"
}

scripts/check-spin > "$dir/out"
ok $? "the kernel waits for no CPU without sleeping"
sed 's/^/# /' "$dir/out"

finds 'void f(void) { while (atomic_load(&x)) ; }' "an empty body"
finds 'void f(void) { while (atomic_load_explicit(&x, memory_order_acquire)) { /* nothing */ } }' "an empty block with a comment"
finds 'void f(void) { while (flag) cpu_relax(); }' "a pause"
finds 'void f(void) { while (other->busy) thread_yield(); }' "yielding until somebody else got on"
finds 'void f(void) { do { n++; } while (atomic_load(&x)); }' "do-while on an atomic"
finds 'void f(void) { for (;;) ; }' "an endless loop"
finds 'void f(void) { for (; !atomic_load(&x);) count(); }' "a for loop on an atomic"
finds 'void f(void) { while (atomic_exchange(&lock, 1)) ; }' "a test-and-set lock"
finds 'void f(void) { while (atomic_flag_test_and_set(&lock)) n++; }' "atomic_flag"
finds 'void f(void) { spin_lock(&l); }' "a spin lock by name"
finds 'void f(void) { __asm__ volatile("pause"); }' "a pause in assembly"
finds 'void f(void) { while (!mutex_trylock(&m)) n++; }' "trylock until it works"
passes 'void f(void) { while (atomic_load(&x)) thread_wait(); }' "a loop that sleeps"
passes 'void f(void) { while (!atomic_compare_exchange_weak(&x, &a, b)) ; }' "compare-and-swap"
passes 'void f(void) { do next = head; while (!atomic_compare_exchange_weak(&x, &head, next)); }' "do with compare-and-swap"
passes 'void f(void) { for (i = 0; s[i]; i++) ; }' "a loop that counts"
passes 'void f(void) { while (*s++) ; }' "a loop that steps in its condition"
passes '/* while (atomic_load(&x)) ; */' "a comment"
passes 'void f(void) { for (;;) { if (atomic_load(&x)) break; thread_wait(); } }' "an endless loop that sleeps and leaves"
echo "1..$n"
