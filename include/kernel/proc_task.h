/* What the files of /proc about threads and about the process share. */
#ifndef KERNEL_PROC_TASK_H
#define KERNEL_PROC_TASK_H

#include <fs/textbuf.h>
#include <sched/report.h>

/* The lines of a status file about affinity and switches. */
void proc_show_schedule(struct textbuf *t, const struct thread_info *i);

#endif
