/* First instructions. Both boot protocols enter in 32-bit protected mode without paging: PVH (QEMU
   -kernel, Xen, Firecracker) with the start info in %ebx, Multiboot2 (GRUB) with its magic in %eax
   and the information in %ebx. The page tables are ready in the image: one page directory of 2 MiB
   pages serves the identity map (until the jump to C), the start of the direct map and the image.
   paging_init() replaces them by the final tables, with rights.

   PVH: https://xenbits.xen.org/docs/unstable/misc/pvh.html. Multiboot2 2.0: sections 3.1 (header),
   3.3 (machine state). */

#include <arch/boot_asm.h>

#define MB2_MAGIC 0x36d76289

    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18              /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long PHYS(pvh_entry)

    .section .boot.header, "a"
    .balign 8
multiboot2_header:
    .long 0xe85250d6, 0, multiboot2_end - multiboot2_header
    .long -(0xe85250d6 + (multiboot2_end - multiboot2_header))
    .balign 8
    .short 1, 0                 /* information request: command line, memory map, ACPI old and new */
    .long 24
    .long 1, 6, 14, 15
    .balign 8
    .short 3, 0                 /* entry address */
    .long 12
    .long PHYS(multiboot2_entry)
    .balign 8
    .short 0, 0
    .long 8
multiboot2_end:

    .section .boot.text, "ax"
    .code32
    .global pvh_entry, multiboot2_entry
multiboot2_entry:
    movl %eax, %esi
    jmp 1f
pvh_entry:
    xorl %esi, %esi             /* protocol: 0 is PVH */
1:  cld
    movl %ebx, %edi             /* first argument of boot_main: the information's physical address */
    rdtsc
    movl %eax, %ebp
    movl %edx, %esp             /* no stack yet: keep the time of entry in %esp:%ebp */

    /* PVH: is there RAM up to the image's end? Without it nothing below would work, the stack
       first. (GRUB refuses by itself.) */
    testl %esi, %esi
    jnz memory_ok
    movl 40(%ebx), %ecx         /* memory map: entries of 64-bit address and size, 32-bit type, 32 bits reserved */
    movl 48(%ebx), %edx         /* their number */
    testl %ecx, %ecx
    jz memory_ok                /* version 0: no map; mm finds out */
1:  subl $1, %edx
    jb memory_short
    cmpl $1, 16(%ecx)
    jne 2f
    cmpl $0, 4(%ecx)
    jne 2f
    movl (%ecx), %eax
    cmpl $0x200000, %eax
    ja 2f
    addl 8(%ecx), %eax
    jc memory_ok
    cmpl $0, 12(%ecx)
    jne memory_ok
    cmpl $PHYS(__image_end), %eax
    jae memory_ok
2:  addl $24, %ecx
    jmp 1b

memory_short:
    movl $PHYS(memory_message), %esi
    movl $0x3f8, %edx
1:  lodsb
    testb %al, %al
    jz 2f
    outb %al, %dx
    jmp 1b
2:  movl $0xf4, %edx            /* isa-debug-exit: status 1 */
    movb $1, %al
    outb %al, %dx
3:  cli
    hlt
    jmp 3b
memory_message:
    .asciz "boot: not enough memory: the image does not fit\r\n"

memory_ok:
    movl $PHYS(boot_pml4), %eax
    movl %eax, %cr3
    movl $BOOT_CR4, %eax
    movl %eax, %cr4
    movl $0xc0000080, %ecx      /* EFER */
    rdmsr
    orl $0x901, %eax            /* NXE, LME, SCE */
    wrmsr
    movl $BOOT_CR0, %eax
    movl %eax, %cr0
    lgdtl PHYS(boot_gdt_pointer)
    ljmpl $0x08, $PHYS(long_mode)

    .code64
long_mode:
    movl %ebp, %edx
    movl %esp, %ecx
    shlq $32, %rcx
    orq %rcx, %rdx              /* third argument: TSC at entry */
    NULL_SEGMENTS
    movabsq $boot_stack_top, %rsp
    xorl %ebp, %ebp
    movabsq $boot_main, %rax
    call *%rax                  /* boot_main(info, magic, tsc) does not return */
    ud2

    .section .boot.data, "aw"
    .balign 8
boot_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_pointer:
    .short 23
    .long PHYS(boot_gdt)

    .balign 4096
    .global boot_pml4
boot_pml4:
    .quad PHYS(boot_pdpt) + 3           /* identity */
    .fill 255, 8, 0
    .quad PHYS(boot_pdpt) + 3           /* direct map */
    .fill 254, 8, 0
    .quad PHYS(boot_pdpt_image) + 3
boot_pdpt:
    .quad PHYS(boot_pd) + 3
    .fill 511, 8, 0
boot_pdpt_image:
    .fill 510, 8, 0
    .quad PHYS(boot_pd) + 3, 0
boot_pd:
    .set page, 0
    .rept 512
    .quad page + 0x83
    .set page, page + 0x200000
    .endr

    .section .bss.boot_stack, "aw", @nobits
    .balign 4096
    .global boot_stack, boot_stack_top
boot_stack:
    .skip 16384
boot_stack_top:
    .section .note.GNU-stack, "", @progbits
