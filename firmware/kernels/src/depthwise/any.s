@ One channel of a strip of columns under a kernel of any size: see any.rs for the arguments.

    .syntax unified
    .thumb

    .equ DA_STEP, 0
    .equ DA_COLUMNS, 4
    .equ DA_PAIRS, 8
    .equ DA_BIAS, 12
    .equ DA_MULT, 16
    .equ DA_SHIFT, 20
    .equ DA_ZERO, 24
    .equ DA_MAX, 28

@ r0 = Filter. Registers: r0 pairs of values; r1 pairs of weights; r2 accumulator; r3 columns; r4 pairs left; r5 r6 a pair;
@ r7 the window; r8 outputs; r9 bytes to the next column; r10 output; r11 weights; lr arguments.
    .section .text.bitrack_dw_filter, "ax", %progbits
    .p2align 2
    .globl  bitrack_dw_filter
    .type   bitrack_dw_filter, %function
    .thumb_func
bitrack_dw_filter:
    push    {r4-r11, lr}
    add     lr, r0, #20
    ldm     r0, {r7-r11}
1:
    mov     r0, r7
    mov     r1, r11
    ldr     r2, [lr, #DA_BIAS]
    ldr     r3, [lr, #DA_COLUMNS]
2:
    ldr     r4, [lr, #DA_PAIRS]
3:
    ldr     r5, [r0], #4
    ldr     r6, [r1], #4
    subs    r4, #1
    smlad   r2, r5, r6, r2
    bne     3b
    add     r0, r9
    subs    r3, #1
    bne     2b
    ldrd    r4, r5, [lr, #DA_MULT]
    ldrd    r6, r3, [lr, #DA_ZERO]
    lsl     r2, r2, r5
    smmlar  r2, r2, r4, r6
    usat    r2, #8, r2
    cmp     r2, r3
    it      hi
    movhi   r2, r3
    strb    r2, [r10], #4
    ldr     r4, [lr, #DA_STEP]
    subs    r8, #1
    add     r7, r4
    bne     1b
    pop     {r4-r11, pc}
    .size   bitrack_dw_filter, . - bitrack_dw_filter
