@ All quads of output channels for four pixels at once, 2-bit weights and activations below 8 bits: quads.s with two pixels
@ in every activation, `x + y << 11`. Products of narrow numbers are small enough for both sums to lie in one accumulator.
@ See wide.rs for the frame and for when the sums fit.

    .syntax unified
    .thumb

@ Frame, filled from `Frame` in wide.rs.
    .equ WD_COLUMNS, 0
    .equ WD_CHUNK_END, 4
    .equ WD_ENTRY, 8
    .equ WD_OUT, 12
    .equ WD_CHANNELS, 28
    .equ WD_QUADS, 32
    .equ WD_CHUNKED, 36
    .equ WD_ZERO, 40
    .equ WD_END, 44
    .equ WD_FIRST_END, 48
    .equ WD_CHUNK_BYTES, 52
    .equ WD_OUT_BITS, 56
    .equ WD_WEIGHTS, 60
    .equ WD_START, 64
    .equ WD_OFFSETS, 96
    .equ WD_SUMS, 112
    .equ WD_FRAME, 176

    .equ WD_FIELD, 11

@ One step: the fields of r9 above a channel's are masked off one after the other; r10 two pixels, r11 two more.
.macro wd_step
    ldm.w   lr!, {r10, r11}
    smlad   r6, r9, r10, r6
    smlad   r7, r9, r11, r7
    bic     r9, r9, #0x00C000C0
    smlad   r4, r9, r10, r4
    smlad   r5, r9, r11, r5
    bic     r9, r9, #0x00300030
    smlad   r2, r9, r10, r2
    smlad   r3, r9, r11, r3
    bic     r9, r9, #0x000C000C
    smlad   r0, r9, r10, r0
    smlad   r1, r9, r11, r1
.endm

@ One group of four values: 27 instructions for 64 multiply-accumulates.
.macro wd_group
    ldr.w   r8, [r12], #4
    uxtb16  r9, r8
    wd_step
    uxtb16  r9, r8, ror #8
    wd_step
.endm

@ The two sums in `acc` from bit `position` on: the lower, which is signed, to r12, the upper to `acc`.
.macro wd_split acc, position
    sbfx    r12, \acc, #\position, #WD_FIELD
    add     \acc, \acc, #1 << (\position + WD_FIELD - 1)
    asr     \acc, \acc, #\position + WD_FIELD
.endm

@ Adds both sums of an unsigned accumulator to memory.
.macro wd_leave acc, position, slot
    ldrd    r8, r9, [sp, #WD_SUMS + \slot]
    ubfx    r10, \acc, #\position, #WD_FIELD
    add     r9, r9, \acc, lsr #\position + WD_FIELD
    add     r8, r8, r10
    strd    r8, r9, [sp, #WD_SUMS + \slot]
.endm

@ Requantizes one channel of two pixels: the first to `first`, the second in place. r10 zero point, lr constants.
.macro wd_channel acc, index, slot, chunked, first
  .if \chunked
    ldrd    r12, \acc, [sp, #WD_SUMS + \slot]
  .else
    wd_split \acc, 2 * \index
  .endif
    ldrd    r8, r9, [lr, #8 * \index]
    add     r12, r12, r8
    add     \acc, \acc, r8
    smmlar  r12, r12, r9, r10
    smmlar  \acc, \acc, r9, r10
    usat    \first, #8, r12
    usat    \acc, #8, \acc
.endm

@ Four channels of two pixels to the words r11 and \a.
.macro wd_pixels a, b, c, d, slot, chunked
    wd_channel \a, 0, \slot, \chunked, r11
    wd_channel \b, 1, \slot + 8, \chunked, r12
    orr     r11, r11, r12, lsl #8
    wd_channel \c, 2, \slot + 16, \chunked, r12
    orr     r11, r11, r12, lsl #16
    wd_channel \d, 3, \slot + 24, \chunked, r12
    orr     r11, r11, r12, lsl #24
    orr     \a, \a, \b, lsl #8
    orr     \a, \a, \c, lsl #16
    orr     \a, \a, \d, lsl #24
.endm

@ Four outputs of one pixel, saturated to the output's width; r8 the width, r9 its mask's complement.
.macro wd_store word, out
    ldr     r12, [sp, #WD_OUT + \out]
    cmp     r8, #8
    beq     1f
    uqadd8  \word, \word, r9
    usub8   \word, \word, r9
    cmp     r8, #4
    bne     2f
    orr     \word, \word, \word, lsr #4
    uxtb16  \word, \word
    orr     \word, \word, \word, lsr #8
    strh    \word, [r12], #2
    b       3f
1:
    str     \word, [r12], #4
    b       3f
2:
    orr     \word, \word, \word, lsr #6
    orr     \word, \word, \word, lsr #12
    strb    \word, [r12], #1
3:
    str     r12, [sp, #WD_OUT + \out]
.endm

@ All outputs of a quad.
.macro wd_outputs chunked
    ldr     lr, [sp, #WD_CHANNELS]
    ldr     r10, [sp, #WD_ZERO]
    wd_pixels r0, r2, r4, r6, 0, \chunked
    mov     r2, r11
    wd_pixels r1, r3, r5, r7, 32, \chunked
.endm

    .section .text.bitrack_wide_w2, "ax", %progbits
    .p2align 2
    .globl  bitrack_wide_w2
    .type   bitrack_wide_w2, %function
    .thumb_func
bitrack_wide_w2:
    push    {r4-r11, lr}
    sub     sp, #WD_FRAME
    mov     r12, sp
    ldm     r0!, {r1-r10}
    stm     r12!, {r1-r10}
    ldm     r0!, {r1-r10}
    stm     r12!, {r1-r10}
    ldm     r0!, {r1-r8}
    stm     r12!, {r1-r8}
    ldr     r1, [sp, #WD_ENTRY]
    ldr     r2, .Lwide_round
    lsr     r2, r2, #3
    adr.w   r3, .Lwide_loop
    mla     r1, r1, r2, r3
    orr     r1, r1, #1
    str     r1, [sp, #WD_ENTRY]
.Lwide_next:  @ a quad
    ldr     r8, [sp, #WD_CHUNKED]
    cmp     r8, #0
    beq     .Lwide_quad
    @ Sums start at minus the offset of the stored weights.
    add     r8, sp, #WD_OFFSETS
    ldm     r8, {r0-r3}
    strd    r0, r1, [sp, #WD_SUMS]
    strd    r0, r1, [sp, #WD_SUMS + 8]
    strd    r0, r1, [sp, #WD_SUMS + 16]
    strd    r0, r1, [sp, #WD_SUMS + 24]
    strd    r2, r3, [sp, #WD_SUMS + 32]
    strd    r2, r3, [sp, #WD_SUMS + 40]
    strd    r2, r3, [sp, #WD_SUMS + 48]
    strd    r2, r3, [sp, #WD_SUMS + 56]
.Lwide_quad:
    add     r8, sp, #WD_START
    ldr     r12, [sp, #WD_WEIGHTS]
    ldm     r8, {r0-r7}
    ldr     lr, [sp, #WD_COLUMNS]
    ldr     pc, [sp, #WD_ENTRY]
    .p2align 2
.Lwide_loop:  @ eight groups
  .rept 8
    wd_group
  .endr
.Lwide_loop_end:
    ldr     r8, [sp, #WD_CHUNK_END]
    cmp     lr, r8
    bne     .Lwide_loop
    str     r12, [sp, #WD_WEIGHTS]
    sub     r6, r6, r4
    sub     r7, r7, r5
    sub     r4, r4, r2
    sub     r5, r5, r3
    ldr     r8, [sp, #WD_CHUNKED]
    sub     r2, r2, r0
    sub     r3, r3, r1
    cmp     r8, #0
    bne.w   .Lwide_chunk
    wd_outputs 0
.Lwide_store:  @ r2 r0 r11 r1 are the words of pixels 0 1 2 3
    ldr     r8, [sp, #WD_OUT_BITS]
    mov     r9, #0xF0F0F0F0
    cmp     r8, #2
    it      eq
    moveq   r9, #0xFCFCFCFC
    wd_store r2, 0
    wd_store r0, 4
    wd_store r11, 8
    wd_store r1, 12
    ldr     r0, [sp, #WD_QUADS]
    add     lr, #32
    str     lr, [sp, #WD_CHANNELS]
    subs    r0, #1
    str     r0, [sp, #WD_QUADS]
    bne.w   .Lwide_next
    add     sp, #WD_FRAME
    pop     {r4-r11, pc}
.Lwide_chunk:  @ one of several chunks
    wd_leave r0, 0, 0
    wd_leave r2, 2, 8
    wd_leave r4, 4, 16
    wd_leave r6, 6, 24
    wd_leave r1, 0, 32
    wd_leave r3, 2, 40
    wd_leave r5, 4, 48
    wd_leave r7, 6, 56
    ldr     r8, [sp, #WD_END]
    cmp     lr, r8
    beq     .Lwide_last
    ldr     r8, [sp, #WD_CHUNK_BYTES]
    mov     r0, #0
    add     r8, r8, lr
    str     r8, [sp, #WD_CHUNK_END]
    mov     r1, r0
    mov     r2, r0
    mov     r3, r0
    mov     r4, r0
    mov     r5, r0
    mov     r6, r0
    mov     r7, r0
    b.w     .Lwide_loop
.Lwide_last:
    ldr     r8, [sp, #WD_FIRST_END]
    str     r8, [sp, #WD_CHUNK_END]
    wd_outputs 1
    b.w     .Lwide_store
    .p2align 2
.Lwide_round:  @ bytes of eight groups
    .word   .Lwide_loop_end - .Lwide_loop
    .size   bitrack_wide_w2, . - bitrack_wide_w2
