/* Power-off and reset (ACPI 6.4, 4.8.3.2, 4.8.3.6, 7.4.2, 16.1). Registers are mapped when the tables are read, so that both work in any
   context, a panic included. \_S5 is looked up only when the machine ends. On hardware-reduced ACPI (microvm) the sleep control register
   takes the type; elsewhere the PM1 control registers do, after the firmware handed the registers over (SMI_CMD). */
#include "internal.h"
#include <arch/io.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <mm/mapping.h>

#define FADT_SMI_CMD 48u
#define FADT_ACPI_ENABLE 52u
#define FADT_PM1A_CNT 64u
#define FADT_PM1B_CNT 68u
#define FADT_FLAGS 112u
#define FADT_RESET_REG 116u
#define FADT_RESET_VALUE 128u
#define FADT_SLEEP_CONTROL 244u
#define FADT_SLEEP_STATUS 256u
#define FLAG_RESET_REG (1u << 10)

#define GAS_SIZE 12u
#define SPACE_MEMORY 0
#define SPACE_IO 1

#define PM1_SCI_ENABLE (1u << 0)
#define PM1_SLEEP_TYPE_SHIFT 10
#define PM1_SLEEP_ENABLE (1u << 13)
#define SLEEP_TYPE_SHIFT 2
#define SLEEP_ENABLE (1u << 5)
#define SLEEP_WAKE_STATUS (1u << 7)

/* A register: a port, or a mapped address; neither: it is not there. */
struct reg {
    uint16_t port;
    volatile void *mmio;
};

static struct {
    uint16_t pm1a, pm1b, smi_cmd; /* ports, 0: absent */
    uint8_t acpi_enable, reset_value;
    struct reg sleep_control, sleep_status, reset;
} power;

static uint16_t port_read(const uint8_t *fadt, uint32_t length, unsigned offset)
{
    uint32_t port = length >= offset + 4 ? get32(fadt + offset) : 0;
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* 5.2.3.2: space, width, offset, access size, address. */
static struct reg reg_read(const uint8_t *fadt, uint32_t length, unsigned offset)
{
    struct reg r = {0, NULL};
    if (length < offset + GAS_SIZE)
        return r;
    uint64_t address = get64(fadt + offset + 4);
    if (address == 0)
        return r;
    if (fadt[offset] == SPACE_IO && address <= UINT16_MAX)
        r.port = (uint16_t)address;
    if (fadt[offset] == SPACE_MEMORY && address < 1ull << 46)
        r.mmio = mapping_mmio(address, 1);
    return r;
}

static bool reg_write(struct reg r, uint8_t value)
{
    if (r.mmio != NULL)
        mmio_write8(r.mmio, value);
    else if (r.port != 0)
        outb(r.port, value);
    else
        return false;
    return true;
}

void acpi_power_init(const struct acpi_header *fadt)
{
    const uint8_t *p = (const uint8_t *)fadt;
    uint32_t length = fadt->length;
    power.pm1a = port_read(p, length, FADT_PM1A_CNT);
    power.pm1b = port_read(p, length, FADT_PM1B_CNT);
    power.smi_cmd = port_read(p, length, FADT_SMI_CMD);
    power.acpi_enable = length > FADT_ACPI_ENABLE ? p[FADT_ACPI_ENABLE] : 0;
    power.sleep_control = reg_read(p, length, FADT_SLEEP_CONTROL);
    power.sleep_status = reg_read(p, length, FADT_SLEEP_STATUS);
    if (length > FADT_RESET_VALUE && get32(p + FADT_FLAGS) & FLAG_RESET_REG) {
        power.reset = reg_read(p, length, FADT_RESET_REG);
        power.reset_value = p[FADT_RESET_VALUE];
    }
}

/* The sleep types of \_S5 for PM1a and PM1b. */
static bool s5_in(struct aml block, uint8_t type[2])
{
    const uint8_t *name;
    while ((name = aml_find(block, "_S5_")) != NULL) {
        block.p = name + 4;
        struct aml elements;
        unsigned count;
        uint64_t a, b;
        if (!aml_package(block, &elements, &count) || count < 1 || !aml_integer(&elements, &a))
            continue;
        if (count < 2 || !aml_integer(&elements, &b))
            b = a;
        type[0] = a & 7;
        type[1] = b & 7;
        return true;
    }
    return false;
}

static bool s5_find(uint8_t type[2])
{
    struct aml block;
    for (unsigned i = 0; aml_block(i, &block); i++)
        if (s5_in(block, type))
            return true;
    return false;
}

/* 4.8.2.5: while SCI_EN is clear the firmware owns the PM1 registers; give it 300 ms to let go. */
static void acpi_mode_enter(void)
{
    if (power.smi_cmd == 0 || power.acpi_enable == 0 || inw(power.pm1a) & PM1_SCI_ENABLE)
        return;
    outb(power.smi_cmd, power.acpi_enable);
    for (unsigned i = 0; i < 300 && !(inw(power.pm1a) & PM1_SCI_ENABLE); i++)
        clock_delay_us(1000);
}

static void pm1_sleep(uint16_t port, uint8_t type)
{
    uint32_t value = inw(port) & ~(7u << PM1_SLEEP_TYPE_SHIFT);
    value |= (uint32_t)type << PM1_SLEEP_TYPE_SHIFT;
    outw(port, (uint16_t)value);
    outw(port, (uint16_t)(value | PM1_SLEEP_ENABLE));
}

void acpi_power_off(void)
{
    uint8_t type[2];
    if (!s5_find(type)) {
        log_warn("acpi: no \\_S5: cannot power off");
        return;
    }
    reg_write(power.sleep_status, SLEEP_WAKE_STATUS);
    reg_write(power.sleep_control, (uint8_t)(type[0] << SLEEP_TYPE_SHIFT | SLEEP_ENABLE));
    if (power.pm1a == 0)
        return;
    acpi_mode_enter();
    pm1_sleep(power.pm1a, type[0]);
    if (power.pm1b != 0)
        pm1_sleep(power.pm1b, type[1]);
}

void acpi_reset(void)
{
    reg_write(power.reset, power.reset_value);
}
