/* Waiting for files in calls that name them anew each time: poll, select. */
#ifndef FS_POLL_WAIT_H
#define FS_POLL_WAIT_H

#include <asm/poll.h>
#include <kernel/compiler.h>

/* Fills revents of each entry; returns how many have any, 0 after deadline_ns, -EINTR, -ENOMEM. */
int poll_wait(struct pollfd *fds, unsigned count, uint64_t deadline_ns) WARN_UNUSED;

#endif
