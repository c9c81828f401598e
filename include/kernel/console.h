/* The console as a stream of bytes. Line discipline (echo, erase, line buffering, newline conversion) lies below this. */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <kernel/compiler.h>

struct poll_source;

/* Any context; does not fail. */
void console_write(const char *data, size_t n);
/* Up to n bytes of what was typed; 0: end of file. May sleep unless nonblock: then -EAGAIN. -EINTR when a signal came. */
ssize_t console_read(char *data, size_t n, bool nonblock);
/* console_read would not sleep. */
bool console_readable(void);
/* Notified with EPOLLIN when input arrives. */
struct poll_source *console_poll_source(void);

/* Opens /dev/console as descriptors 0, 1 and 2. 0 or a negative errno. (fs/console.c) */
int console_install_stdio(void);

#endif
