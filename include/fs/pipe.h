/* Pipes. */
#ifndef FS_PIPE_H
#define FS_PIPE_H

struct file;

/* The two ends of a new pipe, each with one reference. 0 or -ENOMEM. flags: O_NONBLOCK. */
int pipe_new(struct file **reader, struct file **writer, int flags);
/* Bytes that fit, -EBADF when f is no pipe. */
int pipe_capacity(struct file *f);
/* 64 KiB is all there is: more answers EPERM, less is rounded up. The capacity or a negative errno. */
int pipe_set_capacity(struct file *f, unsigned long bytes);

#endif
