/* Lock statistics on the console. */
#ifndef KERNEL_LOCK_REPORT_H
#define KERNEL_LOCK_REPORT_H

/* When the machine ends; prints nothing unless --lock-stats was given. */
void lock_report_at_end(void);

#endif
