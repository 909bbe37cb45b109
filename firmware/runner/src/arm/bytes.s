@ Copying and filling memory, as the compiler asks for it. Its own library has these in a kilobyte and a half of flash.

    .syntax unified
    .thumb

.macro by_begin name
    .section .text.\name, "ax", %progbits
    .p2align 2
    .globl  \name
    .type   \name, %function
    .thumb_func
\name:
.endm

.macro by_alias name, target
    .globl  \name
    .type   \name, %function
    .thumb_set \name, \target
.endm

@ r0 destination, r1 source, r2 bytes; returns the destination. The core reads and writes unaligned words, only not several at once.
    by_begin memcpy
    mov     r12, r0
    orr     r3, r0, r1
    lsls    r3, r3, #30
    bne     2f
    subs    r2, #16
    blo     1f
    push    {r4-r6, lr}
0:
    ldm     r1!, {r3-r6}
    subs    r2, #16
    stm     r12!, {r3-r6}
    bhs     0b
    pop     {r4-r6, lr}
1:
    adds    r2, #16
2:
    subs    r2, #4
    blo     4f
3:
    ldr     r3, [r1], #4
    subs    r2, #4
    str     r3, [r12], #4
    bhs     3b
4:
    adds    r2, #4
    beq     6f
5:
    ldrb    r3, [r1], #1
    subs    r2, #1
    strb    r3, [r12], #1
    bne     5b
6:
    bx      lr
    .size   memcpy, . - memcpy
    by_alias __aeabi_memcpy, memcpy
    by_alias __aeabi_memcpy4, memcpy
    by_alias __aeabi_memcpy8, memcpy

@ r0 destination, r1 byte, r2 bytes; returns the destination. The names of the ABI take byte and length the other way round.
    by_begin __aeabi_memclr
    movs    r2, #0
    by_alias __aeabi_memclr4, __aeabi_memclr
    by_alias __aeabi_memclr8, __aeabi_memclr
    .globl  __aeabi_memset
    .type   __aeabi_memset, %function
    .thumb_func
__aeabi_memset:
    mov     r3, r1
    mov     r1, r2
    mov     r2, r3
    by_alias __aeabi_memset4, __aeabi_memset
    by_alias __aeabi_memset8, __aeabi_memset
    .globl  memset
    .type   memset, %function
    .thumb_func
memset:
    mov     r12, r0
    uxtb    r1, r1
    orr     r1, r1, r1, lsl #8
    orr     r1, r1, r1, lsl #16
    subs    r2, #8
    blo     2f
1:
    str     r1, [r12], #4
    subs    r2, #8
    str     r1, [r12], #4
    bhs     1b
2:
    adds    r2, #8
    beq     4f
3:
    strb    r1, [r12], #1
    subs    r2, #1
    bne     3b
4:
    bx      lr
    .size   __aeabi_memclr, . - __aeabi_memclr
