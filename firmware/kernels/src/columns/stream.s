@ Rows of narrow values that are no whole groups of eight, or whose pixels have pad bits, to one lane of a column buffer in groups of four:
@ see stream.rs. Pixels come in pieces of two bytes or one, which are put behind what is left of those before; a group is written as soon
@ as it is there.
@
@ Registers: r0 source; r1 target; r2 bytes to the lane's next word; r3 pixels; r4 bits that wait; r5 bits of a pixel; r6 their number;
@ r7 mask of a pixel's last byte; r8 bits of the pixel that are left; r9 r10 r11 scratch; r12 mask; lr sum, by halves.

    .syntax unified
    .thumb

    .equ ST_PIXELS, 0
    .equ ST_ROWS, 4
    .equ ST_FRAME, 16

@ r0 = Rows in stream.rs; returns the sum of the values.
.macro st_rows bits
    .section .text.bitrack_stream_b\bits, "ax", %progbits
    .p2align 2
    .globl  bitrack_stream_b\bits
    .type   bitrack_stream_b\bits, %function
    .thumb_func
bitrack_stream_b\bits:
    push    {r4-r11, lr}
    sub     sp, #ST_FRAME
    ldm     r0, {r0-r7}
    str     r3, [sp, #ST_PIXELS]
    strd    r4, r6, [sp, #ST_ROWS]
    movs    r4, #0
    movs    r6, #0
    mov     lr, #0
  .if \bits == 4
    mov     r12, #0x000F000F
  .else
    mov     r12, #0x00030003
  .endif
1:  @ a row
    ldr     r3, [sp, #ST_PIXELS]
2:  @ a pixel
    mov     r8, r5
3:  @ a piece of it
    subs    r8, #16
    blt     4f
    ldrh    r9, [r0], #2
    mov     r11, #16
    b       5f
4:
    adds    r8, #16
    beq     7f
    ldrb    r9, [r0], #1
    mov     r11, #8
    subs    r8, #8
    bgt     5f
    @ The last byte, of which some bits may be none of the pixel's.
    and     r9, r7
    add     r11, r8
    mov     r8, #0
5:
    lsl     r9, r6
    orr     r4, r9
    add     r6, r11
6:
    cmp     r6, #4 * \bits
    blo     3b
    @ The four values at the bottom of r4: 0 and 2, 1 and 3.
  .if \bits == 4
    uxth    r9, r4
    orr     r9, r9, r9, lsl #8
  .else
    uxtb    r9, r4
    orr     r9, r9, r9, lsl #12
  .endif
    and     r10, r12, r9
    and     r11, r12, r9, lsr #\bits
    add     lr, r10
    add     lr, r11
    str     r10, [r1]
    str     r11, [r1, r2]
    add     r1, r1, r2, lsl #1
    lsr     r4, r4, #4 * \bits
    sub     r6, #4 * \bits
    b       6b
7:
    subs    r3, #1
    bgt     2b
    @ What is left is a group too; then it comes here again, with nothing left.
    cbz     r6, 8f
    mov     r6, #4 * \bits
    b       6b
8:
    ldrd    r9, r10, [sp, #ST_ROWS]
    add     r0, r10
    subs    r9, #1
    str     r9, [sp, #ST_ROWS]
    bne     1b
    uxth    r0, lr
    add     r0, r0, lr, lsr #16
    add     sp, #ST_FRAME
    pop     {r4-r11, pc}
    .size   bitrack_stream_b\bits, . - bitrack_stream_b\bits
.endm

    st_rows 4
    st_rows 2
