/* The jobs of the stress program and what they share. */
#ifndef STRESS_H
#define STRESS_H

#include <stdbool.h>
#include <stdint.h>

struct job {
    const char *name;
    bool (*run)(unsigned *seed); /* one operation; false: what it checks does not hold */
};
extern const struct job jobs[];
extern const int job_count;

/* Pseudo-random, each worker with a seed of its own: a run is not repeatable anyway. */
static inline unsigned dice(unsigned *seed, unsigned sides)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % sides;
}

#endif
