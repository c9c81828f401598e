/* Ending the machine. The status goes to QEMU's isa-debug-exit device (port 0xf4; QEMU then exits with 2 * status + 1), and where there is none the write does
   nothing; then power-off by ACPI; then what is left is to halt. */
#include <arch/cpu.h>
#include <arch/io.h>
#include <drivers/acpi.h>
#include <drivers/driver.h>

#define DEBUG_EXIT_PORT 0xf4
#define KEYBOARD_PORT 0x64

static _Noreturn void halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

void machine_power_off(int status)
{
    irq_disable();
    outb(DEBUG_EXIT_PORT, (uint8_t)status);
    acpi_power_off();
    halt();
}

void machine_reboot(void)
{
    irq_disable();
    acpi_reset();
    outb(0xcf9, 0x06); /* reset control register of PC chip sets */
    outb(KEYBOARD_PORT, 0xfe);
    halt();
}
