/* What a unit test may ask of the host beside the kernel's own interfaces. Safe to include together with kernel headers. */
#ifndef TESTS_UNIT_HOST_H
#define TESTS_UNIT_HOST_H

#include <stddef.h>
#include <stdint.h>

/* Threads of tests: thread_create of the kernel's interface works too; these can be joined. */
struct host_thread;
struct host_thread *host_spawn(void (*fn)(void *), void *arg);
void host_join(struct host_thread *t);

/* From now on the n-th allocation (pages or heap) fails; 0: none. */
void host_fail_allocation(unsigned long n);
/* Bytes allocated now by kmalloc and pages_alloc. */
uint64_t host_allocated(void);
/* What page_free_bytes answers; UINT64_MAX: plenty. */
void host_set_free_bytes(uint64_t n);
/* Signals that code under test sent to itself. */
extern int host_signals_sent;

/* Files of the host. */
void *host_read_file(const char *path, size_t *size); /* malloc'ed; NULL on error */
int host_run(const char *command);                    /* its exit status */
uint64_t host_seed(void);                             /* SEED from the environment, or 1 */
void *host_malloc(size_t n);
void host_free(void *p);
void host_yield(void);

#endif
