/* Memory functions of the kernel. Kernel code has no vector registers, so long copies use the microcode's (ERMS) string instructions and short ones
   overlapping words; the crossover of 64 bytes is where REP's start-up cost is repaid. */
    .macro FUNC name
    .section .text.\name, "ax"
    .global \name
    .hidden \name
    .type \name, @function
    .balign 16
\name:
    .endm

FUNC memcpy
    movq %rdi, %rax
    cmpq $16, %rdx
    jb 3f
    cmpq $64, %rdx
    ja 2f
    cmpq $32, %rdx
    ja 1f
    movq (%rsi), %rcx                   /* 16..32: two words from each end */
    movq 8(%rsi), %r8
    movq -16(%rsi,%rdx), %r9
    movq -8(%rsi,%rdx), %r10
    movq %rcx, (%rdi)
    movq %r8, 8(%rdi)
    movq %r9, -16(%rdi,%rdx)
    movq %r10, -8(%rdi,%rdx)
    ret
1:  leaq -32(%rsi,%rdx), %r11           /* 33..64: the first and the last 32 bytes */
    movq (%rsi), %rcx
    movq 8(%rsi), %r8
    movq 16(%rsi), %r9
    movq 24(%rsi), %r10
    movq %rcx, (%rdi)
    movq %r8, 8(%rdi)
    movq %r9, 16(%rdi)
    movq %r10, 24(%rdi)
    movq (%r11), %rcx
    movq 8(%r11), %r8
    movq 16(%r11), %r9
    movq 24(%r11), %r10
    movq %rcx, -32(%rdi,%rdx)
    movq %r8, -24(%rdi,%rdx)
    movq %r9, -16(%rdi,%rdx)
    movq %r10, -8(%rdi,%rdx)
    ret
2:  movq %rdx, %rcx                     /* words, then a last word that may overlap */
    movq -8(%rsi,%rdx), %r8
    leaq -8(%rdi,%rdx), %r9
    shrq $3, %rcx
    rep movsq
    movq %r8, (%r9)
    ret
3:  cmpq $8, %rdx
    jb 4f
    movq (%rsi), %rcx
    movq -8(%rsi,%rdx), %r8
    movq %rcx, (%rdi)
    movq %r8, -8(%rdi,%rdx)
    ret
4:  cmpq $4, %rdx
    jb 5f
    movl (%rsi), %ecx
    movl -4(%rsi,%rdx), %r8d
    movl %ecx, (%rdi)
    movl %r8d, -4(%rdi,%rdx)
    ret
5:  testq %rdx, %rdx
    jz 6f
    movzbl (%rsi), %ecx
    movzbl -1(%rsi,%rdx), %r8d
    shrq $1, %rdx
    movzbl (%rsi,%rdx), %r9d
    movb %cl, (%rdi)
    movb %r9b, (%rdi,%rdx)
    /* the last byte: length 1..3, middle index length/2, last index from the flag that shr left */
    jc 7f
    movb %r8b, 1(%rdi)                  /* length 2 */
    ret
7:  addq %rdx, %rdx
    movb %r8b, (%rdi,%rdx)              /* length 1 or 3 */
6:  ret
    .size memcpy, . - memcpy

FUNC memmove
    movq %rdi, %rax
    movq %rdi, %rcx
    subq %rsi, %rcx
    cmpq %rdx, %rcx                     /* unsigned: source below destination within n bytes? */
    jae memcpy_forward
    leaq -1(%rsi,%rdx), %rsi
    leaq -1(%rdi,%rdx), %rdi
    movq %rdx, %rcx
    std
    rep movsb
    cld
    ret
memcpy_forward:
    movq %rdx, %rcx
    rep movsb
    ret
    .size memmove, . - memmove

FUNC memset
    movq %rdi, %r9
    movzbl %sil, %eax
    movabsq $0x0101010101010101, %r8
    imulq %r8, %rax
    cmpq $16, %rdx
    jb 2f
    cmpq $64, %rdx
    ja 1f
    movq %rax, (%rdi)
    movq %rax, 8(%rdi)
    movq %rax, -16(%rdi,%rdx)
    movq %rax, -8(%rdi,%rdx)
    cmpq $32, %rdx
    jbe 4f
    movq %rax, 16(%rdi)
    movq %rax, 24(%rdi)
    movq %rax, -32(%rdi,%rdx)
    movq %rax, -24(%rdi,%rdx)
4:  movq %r9, %rax
    ret
1:  movq %rax, -8(%rdi,%rdx)
    movq %rdx, %rcx
    shrq $3, %rcx
    rep stosq
    movq %r9, %rax
    ret
2:  movq %rdx, %rcx
    rep stosb
    movq %r9, %rax
    ret
    .size memset, . - memset
    .section .note.GNU-stack, "", @progbits
