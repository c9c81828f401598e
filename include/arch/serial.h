/* The first serial port (16550 at 0x3f8), by polling. Any context. Nothing happens where there is none. */
#ifndef ARCH_SERIAL_H
#define ARCH_SERIAL_H

#include <kernel/compiler.h>

void serial_init(void);
void serial_write(const char *s, size_t n); /* a newline is sent as CR LF */
int serial_read(void);                      /* a received byte, or -1 */
/* Calls handler (interrupt context) when bytes have come in. 0 or a negative errno. */
int serial_irq_enable(void (*handler)(void *arg));

#endif
