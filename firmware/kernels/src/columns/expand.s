@ Two windows at once from packed activations to columns: see mod.rs for the order of values.
@
@ r0 = { pixel 0, pixel 1, destination, units in a row, bytes to skip behind a row, rows }; returns both sums of values.
@ Registers: r0 r1 sources; r2 destination; r3 units; r4 r5 sums; r6..r11 values; r12 mask or zero.

    .syntax unified
    .thumb

    .equ EX_UNITS, 0
    .equ EX_SKIP, 4
    .equ EX_ROWS, 8
    .equ EX_FRAME, 16

@ Four bytes of either pixel: even values, then odd values.
.macro ex_expand8
    ldr     r6, [r0], #4
    ldr     r7, [r1], #4
    usada8  r4, r6, r12, r4
    usada8  r5, r7, r12, r5
    uxtb16  r8, r6, ror #8
    uxtb16  r9, r7, ror #8
    uxtb16  r6, r6
    uxtb16  r7, r7
    stm     r2!, {r6-r9}
.endm

@ Values i and i + 4 of eight that start at bit 0 and bit 16 of r6 and r7, `shift` bits up; sums by halves.
.macro ex_step shift
    and     r8, r12, r6, lsr #\shift
    and     r9, r12, r7, lsr #\shift
    and     r10, r12, r6, lsr #\shift + EX_WIDTH
    and     r11, r12, r7, lsr #\shift + EX_WIDTH
    add     r4, r8
    add     r5, r9
    add     r4, r10
    add     r5, r11
    stm     r2!, {r8-r11}
.endm

@ Eight nibbles of either pixel.
.macro ex_expand4
    .set EX_WIDTH, 4
    ldr     r6, [r0], #4
    ldr     r7, [r1], #4
    and     r8, r12, r6
    and     r9, r12, r7
    and     r10, r12, r6, lsr #4
    and     r11, r12, r7, lsr #4
    add     r4, r8
    add     r5, r9
    add     r4, r10
    add     r5, r11
    stm     r2!, {r8-r11}
    ex_step 8
.endm

@ Eight crumbs of either pixel.
.macro ex_expand2
    .set EX_WIDTH, 2
    ldrh    r6, [r0], #2
    ldrh    r7, [r1], #2
    orr     r6, r6, r6, lsl #8
    orr     r7, r7, r7, lsl #8
    and     r8, r12, r6
    and     r9, r12, r7
    and     r10, r12, r6, lsr #2
    and     r11, r12, r7, lsr #2
    add     r4, r8
    add     r5, r9
    add     r4, r10
    add     r5, r11
    stm     r2!, {r8-r11}
    ex_step 4
.endm

.macro ex_mask bits
  .if \bits == 8
    mov     r12, #0
  .elseif \bits == 4
    mov     r12, #0x000F000F
  .else
    mov     r12, #0x00030003
  .endif
.endm

.macro ex_kernel bits
    .section .text.bitrack_expand_b\bits, "ax", %progbits
    .p2align 2
    .globl  bitrack_expand_b\bits
    .type   bitrack_expand_b\bits, %function
    .thumb_func
bitrack_expand_b\bits:
    push    {r4-r11, lr}
    sub     sp, #EX_FRAME
    ldm     r0, {r0-r5}
    strd    r3, r4, [sp, #EX_UNITS]
    str     r5, [sp, #EX_ROWS]
    mov     r4, #0
    mov     r5, #0
    ex_mask \bits
1:  @ a row
    lsrs    r3, r3, #1
    bcc     2f
    ex_expand\bits
    cmp     r3, #0
2:
    beq     4f
3:  @ two units
    ex_expand\bits
    ex_expand\bits
    subs    r3, #1
    bne     3b
4:
    ldr     r6, [sp, #EX_ROWS]
    subs    r6, #1
    beq     5f
    str     r6, [sp, #EX_ROWS]
    ldrd    r3, r6, [sp, #EX_UNITS]
    add     r0, r6
    add     r1, r6
    b       1b
5:
  .if \bits == 8
    mov     r0, r4
    mov     r1, r5
  .else
    uxth    r0, r4
    uxth    r1, r5
    add     r0, r0, r4, lsr #16
    add     r1, r1, r5, lsr #16
  .endif
    add     sp, #EX_FRAME
    pop     {r4-r11, pc}
    .size   bitrack_expand_b\bits, . - bitrack_expand_b\bits
.endm

@ One row of either pixel, for bitrack_pixels only: r0 r1 sources, r2 destination, r3 units; sums to r4 and r5; lr is kept.
.macro ex_row bits
    .section .text.bitrack_expand_row_b\bits, "ax", %progbits
    .p2align 2
    .globl  bitrack_expand_row_b\bits
    .type   bitrack_expand_row_b\bits, %function
    .thumb_func
bitrack_expand_row_b\bits:
    movs    r4, #0
    movs    r5, #0
    ex_mask \bits
    lsrs    r3, r3, #1
    bcc     2f
    ex_expand\bits
    cmp     r3, #0
2:
    beq     4f
3:
    ex_expand\bits
    ex_expand\bits
    subs    r3, #1
    bne     3b
4:
  .if \bits != 8
    uxth    r6, r4
    uxth    r7, r5
    add     r4, r6, r4, lsr #16
    add     r5, r7, r5, lsr #16
  .endif
    bx      lr
    .size   bitrack_expand_row_b\bits, . - bitrack_expand_row_b\bits
.endm

    ex_kernel 8
    ex_kernel 4
    ex_kernel 2
    ex_row 8
    ex_row 4
    ex_row 2
