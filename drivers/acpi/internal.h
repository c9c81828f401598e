/* Between the files of this folder. */
#ifndef DRIVERS_ACPI_INTERNAL_H
#define DRIVERS_ACPI_INTERNAL_H

#include <drivers/acpi.h>
#include <mm/page.h>

#define ACPI_TABLE_MAX (4u << 20) /* bytes; real ones are below 1 MiB */

/* Little-endian fields at any alignment. */
struct unaligned16 { uint16_t v; } __attribute__((packed));
struct unaligned32 { uint32_t v; } __attribute__((packed));
struct unaligned64 { uint64_t v; } __attribute__((packed));
static inline uint16_t get16(const uint8_t *p) { return ((const struct unaligned16 *)p)->v; }
static inline uint32_t get32(const uint8_t *p) { return ((const struct unaligned32 *)p)->v; }
static inline uint64_t get64(const uint8_t *p) { return ((const struct unaligned64 *)p)->v; }

/* Readable address of [phys, phys + size), or NULL. */
const uint8_t *acpi_map(paddr_t phys, size_t size);

/* Reads what power-off and reset need, so that they work in any context later. Once. */
void acpi_power_init(const struct acpi_header *fadt);

/* A piece of AML: [p, end). */
struct aml {
    const uint8_t *p, *end;
};

/* Body of the index-th definition block (the DSDT, then the SSDTs); false when there is none. */
bool aml_block(unsigned index, struct aml *block);
/* First occurrence of four bytes; NULL when there is none. */
const uint8_t *aml_find(struct aml where, const char tag[4]);
/* Contents of the package (AML byte 0x12) or buffer (0x11) that begins at where.p. False when it is not a well-formed one. */
bool aml_package(struct aml where, struct aml *elements, unsigned *count);
bool aml_buffer(struct aml where, struct aml *bytes);
/* Takes an integer constant from the front. */
bool aml_integer(struct aml *where, uint64_t *value);
/* Takes one resource descriptor from the front of a _CRS buffer: its type byte (small items: with the length bits cleared)
   and its body. False at the end tag, at the end, and where the buffer is malformed. */
bool aml_resource(struct aml *where, uint8_t *type, struct aml *body);

#endif
