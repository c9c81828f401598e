/* 16550 UART, 115200 8N1, FIFO on. Output polls the line status; a port that never becomes ready is
   given up on, so that a broken one cannot hang us. */
#include <arch/io.h>
#include <arch/irq.h>
#include <arch/serial.h>

#define PORT 0x3f8
#define LSR_RX 0x01u
#define LSR_TX_EMPTY 0x20u
#define FIFO_SIZE 16

static bool present;

void serial_init(void)
{
    outb(PORT + 1, 0);    /* no interrupts */
    outb(PORT + 3, 0x80); /* divisor 1 */
    outb(PORT + 0, 1);
    outb(PORT + 1, 0);
    outb(PORT + 3, 0x03);
    outb(PORT + 2, 0x07);
    outb(PORT + 4, 0x0b); /* DTR, RTS, OUT2: the interrupt line */
    present = inb(PORT + 5) != 0xff;
}

static bool wait_empty(void)
{
    for (unsigned i = 0; i < 1000000; i++) /* bounded: about a second on hardware */
        if (inb(PORT + 5) & LSR_TX_EMPTY)
            return true;
    present = false;
    return false;
}

void serial_write(const char *s, size_t n)
{
    unsigned room = 0;
    for (size_t i = 0; present && i < n; i++) {
        for (int cr = s[i] == '\n'; cr >= 0; cr--) {
            if (!room) {
                if (!wait_empty())
                    return;
                room = FIFO_SIZE;
            }
            outb(PORT, cr ? '\r' : (uint8_t)s[i]);
            room--;
        }
    }
}

int serial_read(void)
{
    return present && (inb(PORT + 5) & LSR_RX) ? inb(PORT) : -1;
}

int serial_irq_enable(void (*handler)(void *arg))
{
    bool level, low;
    if (!present)
        return -19; /* ENODEV */
    unsigned gsi = irq_isa_gsi(4, &level, &low);
    int err = irq_gsi_route(gsi, level, low, "ttyS0", handler, NULL);
    if (err)
        return err;
    outb(PORT + 1, 0x01); /* received data */
    return 0;
}
