/* As much AML (ACPI 6.4, chapter 20) as static data needs: names are found by their four letters, and what follows must be a well-formed
   package or buffer of constants. Nothing is executed. A name may also turn up inside other data, so callers go on to the next
   occurrence when the shape is wrong. Every read is bounded by the piece it is made from. */
#include "internal.h"

#define AML_ZERO 0x00
#define AML_ONE 0x01
#define AML_BYTE 0x0a
#define AML_WORD 0x0b
#define AML_DWORD 0x0c
#define AML_QWORD 0x0e
#define AML_ONES 0xff
#define AML_BUFFER 0x11
#define AML_PACKAGE 0x12

static size_t left(struct aml a)
{
    return (size_t)(a.end - a.p);
}

bool aml_block(unsigned index, struct aml *block)
{
    const struct acpi_header *h = index == 0 ? acpi_table("DSDT", 0) : acpi_table("SSDT", index - 1);
    if (h == NULL)
        return false;
    block->p = (const uint8_t *)(h + 1);
    block->end = (const uint8_t *)h + h->length;
    return true;
}

/* Looks at every fourth byte only: four bytes in a row always contain one of those. */
const uint8_t *aml_find(struct aml where, const char tag[4])
{
    const uint32_t wanted = get32((const uint8_t *)tag);
    for (size_t at = 3; at < left(where); at += 4)
        for (size_t back = 4; back-- > 0;)
            if (where.p[at] == (uint8_t)tag[back] && left(where) - (at - back) >= 4 && get32(where.p + at - back) == wanted)
                return where.p + at - back;
    return NULL;
}

/* 20.2.4: the length counts its own bytes. On success where->p is behind them and where->end is the end of the package. */
static bool package_length(struct aml *where)
{
    if (left(*where) < 1)
        return false;
    const uint8_t *start = where->p;
    unsigned more = start[0] >> 6;
    if (left(*where) < 1 + more)
        return false;
    size_t length = more == 0 ? start[0] & 0x3fu : start[0] & 0x0fu;
    for (unsigned i = 0; i < more; i++)
        length |= (size_t)start[1 + i] << (4 + 8 * i);
    if (length < 1 + more || length > left(*where))
        return false;
    where->p = start + 1 + more;
    where->end = start + length;
    return true;
}

bool aml_package(struct aml where, struct aml *elements, unsigned *count)
{
    if (left(where) < 1 || *where.p++ != AML_PACKAGE || !package_length(&where) || left(where) < 1)
        return false;
    *count = *where.p++;
    *elements = where;
    return true;
}

bool aml_buffer(struct aml where, struct aml *bytes)
{
    uint64_t size;
    if (left(where) < 1 || *where.p++ != AML_BUFFER || !package_length(&where) || !aml_integer(&where, &size))
        return false;
    *bytes = where;
    if (size < left(where))
        bytes->end = where.p + size;
    return true;
}

static unsigned constant_size(uint8_t op)
{
    switch (op) {
    case AML_BYTE: return 1;
    case AML_WORD: return 2;
    case AML_DWORD: return 4;
    case AML_QWORD: return 8;
    default: return 0;
    }
}

bool aml_integer(struct aml *where, uint64_t *value)
{
    if (left(*where) < 1)
        return false;
    uint8_t op = *where->p;
    unsigned size = constant_size(op);
    if (left(*where) < 1 + size || (size == 0 && op != AML_ZERO && op != AML_ONE && op != AML_ONES))
        return false;
    *value = op == AML_ONES ? UINT64_MAX : op == AML_ONE;
    if (size != 0)
        *value = 0;
    for (unsigned i = 0; i < size; i++)
        *value |= (uint64_t)where->p[1 + i] << (8 * i);
    where->p += 1 + size;
    return true;
}

/* ACPI 6.4, 6.4.2 and 6.4.3: small items carry their length in the type byte, large ones in two bytes behind it. */
bool aml_resource(struct aml *where, uint8_t *type, struct aml *body)
{
    if (left(*where) < 1)
        return false;
    uint8_t tag = where->p[0];
    size_t head = tag & 0x80 ? 3 : 1;
    if (left(*where) < head)
        return false;
    size_t length = tag & 0x80 ? get16(where->p + 1) : tag & 7u;
    *type = tag & 0x80 ? tag : tag & 0x78;
    if (*type == 0x78 || left(*where) < head + length)
        return false;
    body->p = where->p + head;
    body->end = body->p + length;
    where->p = body->end;
    return true;
}
