/* What the first instructions of the boot CPU (entry.S) and of the others (ap.S) share. Assembly
   only. */
#ifndef ARCH_BOOT_ASM_H
#define ARCH_BOOT_ASM_H

#define IMAGE_BASE 0xffffffff80000000
#define PHYS(sym) ((sym) - IMAGE_BASE)

#define BOOT_CR0 0x80010033 /* PG, WP, NE, ET, MP, PE */
#define BOOT_CR4 0x6a0      /* PAE, PGE, OSFXSR, OSXMMEXCPT */

/* 64-bit code needs no data segments. Clobbers %eax. */
    .macro NULL_SEGMENTS
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    .endm

#endif
