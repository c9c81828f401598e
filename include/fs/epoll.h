/* The core of epoll, apart from the system calls. */
#ifndef FS_EPOLL_H
#define FS_EPOLL_H

#include <fs/file.h>

extern const struct file_ops epoll_ops;
/* A new epoll file, NULL when there is no memory. */
struct file *epoll_new(void) WARN_UNUSED;
/* EPOLL_CTL_* with descriptor fd that stands for target; event may be NULL for DEL. 0 or a negative errno. */
int epoll_control(struct file *epfile, int op, struct file *target, int fd,
                  const struct epoll_event *event);
/* Up to max events; 0 after deadline_ns (0: does not wait), -EINTR. */
int epoll_collect(struct file *epfile, struct epoll_event *out, int max, uint64_t deadline_ns);

#endif
