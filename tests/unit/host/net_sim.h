/* What tests/unit/host/net.c and a network test share. */
#ifndef TESTS_UNIT_HOST_NET_SIM_H
#define TESTS_UNIT_HOST_NET_SIM_H

#include <kernel/compiler.h>

extern uint64_t sim_now;      /* nanoseconds */
extern unsigned sim_alloc_fail, sim_signals;
extern long sim_allocated;
extern bool sim_verbose;
void sim_seed(uint64_t seed);
void sim_idle(void);          /* the test's: somebody would sleep */

#endif
