@ All quads of output channels for two pixels: see layout.rs for the weights and cortex_m.rs for the frame.
@
@ Registers in the inner loop:
@   r0 r1  accumulators of channel a, pixel 0 and 1      r8 r9    weights
@   r2 r3  channel b                                     r10 r11  activations of pixel 0 and 1
@   r4 r5  channel c                                     r12      next weights
@   r6 r7  channel d                                     lr       next activations
@ No register is left for a counter, so the loop ends where the activations do.

    .syntax unified
    .thumb

@ Frame, filled from `Frame` in cortex_m.rs.
    .equ MM_COLUMNS, 0
    .equ MM_CHUNK_END, 4
    .equ MM_ENTRY, 8
    .equ MM_SUMS, 12
    .equ MM_OUT, 20
    .equ MM_CHANNELS, 28
    .equ MM_QUADS, 32
    .equ MM_RARE, 36
    .equ MM_ZERO, 40
    .equ MM_END, 44
    .equ MM_FIRST_END, 48
    .equ MM_SHIFT, 52
    .equ MM_PARTIAL, 56
@ Where a quad is stored: the epilogue for the output's bits.
    .equ MM_STORE, 80
    .equ MM_FRAME, 88

@ Both pixels' products of one channel with the weight word w.
.macro mm_mac acc0, acc1, w
    smlad   \acc0, \w, r10, \acc0
    smlad   \acc1, \w, r11, \acc1
.endm

@ One group of four values, 8-bit weights: 24 instructions for 32 multiply-accumulates.
.macro mm_group8
  .rept 2
    ldm.w   r12!, {r8, r9}
    ldm.w   lr!, {r10, r11}
    mm_mac     r2, r3, r8
    uxtb16 r8, r8
    mm_mac     r0, r1, r8
    mm_mac     r6, r7, r9
    uxtb16 r9, r9
    mm_mac     r4, r5, r9
  .endr
.endm

@ One step of 4-bit weights: the fields above a channel's are masked off one after the other.
.macro mm_step4 w
    ldm.w   lr!, {r10, r11}
    mm_mac     r6, r7, \w
    bic     \w, \w, #0xF000F000
    mm_mac     r4, r5, \w
    uxtb16 \w, \w
    mm_mac     r2, r3, \w
    and     \w, \w, #0x000F000F
    mm_mac     r0, r1, \w
.endm

@ One group, 4-bit weights: 25 instructions.
.macro mm_group4
    ldm.w   r12!, {r8, r9}
    mm_step4   r8
    mm_step4   r9
.endm

.macro mm_step2
    ldm.w   lr!, {r10, r11}
    mm_mac     r6, r7, r9
    bic     r9, r9, #0x00C000C0
    mm_mac     r4, r5, r9
    bic     r9, r9, #0x00300030
    mm_mac     r2, r3, r9
    bic     r9, r9, #0x000C000C
    mm_mac     r0, r1, r9
.endm

@ One group, 2-bit weights: 27 instructions.
.macro mm_group2
    ldr.w   r8, [r12], #4
    uxtb16 r9, r8
    mm_step2
    uxtb16 r9, r8, ror #8
    mm_step2
.endm

@ Biases of a quad into the accumulators, less the offset of the stored weights. An accumulator that holds
@ the fields below its own as well starts like the lowest, so that their difference starts at zero.
.macro mm_start w
    ldr     r8, [sp, #MM_CHANNELS]
    ldrd    r10, r11, [sp, #MM_SUMS]
    ldr     r9, [r8]
    sub     r0, r9, r10
    sub     r1, r9, r11
    mov     r2, r0
    mov     r3, r1
  .if \w == 8
    ldr     r9, [r8, #16]
    sub     r4, r9, r10
    sub     r5, r9, r11
  .else
    mov     r4, r0
    mov     r5, r1
  .endif
  .if \w == 8
    mov     r6, r4
    mov     r7, r5
  .else
    mov     r6, r0
    mov     r7, r1
  .endif
.endm

@ The upper of two accumulators less the lower, for both pixels.
.macro mm_less hi0, hi1, lo0, lo1
    sub     \hi0, \hi0, \lo0
    sub     \hi1, \hi1, \lo1
.endm

.macro mm_separate w
  .if \w == 8
    mm_less    r2, r3, r0, r1
    mm_less    r6, r7, r4, r5
  .else
    mm_less    r6, r7, r4, r5
    mm_less    r4, r5, r2, r3
    mm_less    r2, r3, r0, r1
  .endif
.endm

@ acc = bias + (acc >> position); `offset` says whether the field was stored with an offset.
.macro mm_place acc0, acc1, bias, position, offset
    ldr     r8, [lr, #\bias]
  .if \offset
    sub     r9, r8, r10
    sub     r8, r8, r11
    add     \acc0, r9, \acc0, asr #\position
    add     \acc1, r8, \acc1, asr #\position
  .else
    add     \acc0, r8, \acc0, asr #\position
    add     \acc1, r8, \acc1, asr #\position
  .endif
.endm

@ Separated accumulators to sums with bias; lr points to the channels' constants.
.macro mm_finish w
    ldr     lr, [sp, #MM_CHANNELS]
  .if \w == 8
    mm_place   r2, r3, 8, 8, 0
    mm_place   r6, r7, 24, 8, 0
  .else
    ldrd    r10, r11, [sp, #MM_SUMS]
    .if \w == 4
      mm_place r2, r3, 8, 4, 1
      mm_place r4, r5, 16, 8, 1
      mm_place r6, r7, 24, 12, 0
    .else
      mm_place r2, r3, 8, 2, 1
      mm_place r4, r5, 16, 4, 1
      mm_place r6, r7, 24, 6, 1
    .endif
  .endif
.endm

@ Adds what earlier chunks left for a channel, and forgets it.
.macro mm_recall acc0, acc1, slot
    ldrd    r8, r9, [sp, #MM_PARTIAL + \slot]
    add     \acc0, \acc0, r8
    add     \acc1, \acc1, r9
    strd    r10, r10, [sp, #MM_PARTIAL + \slot]
.endm

@ Adds a channel's chunk to what earlier chunks left.
.macro mm_leave acc0, acc1, slot, position
    ldrd    r8, r9, [sp, #MM_PARTIAL + \slot]
    add     r8, r8, \acc0, asr #\position
    add     r9, r9, \acc1, asr #\position
    strd    r8, r9, [sp, #MM_PARTIAL + \slot]
.endm

@ Requantizes both pixels of one channel.
.macro mm_scale acc0, acc1, mult
    smmlar  \acc0, \acc0, \mult, r8
    smmlar  \acc1, \acc1, \mult, r8
.endm

@ Clamps, packs and stores both pixels' quad of outputs.
.macro mm_store o
    usat    r0, #\o, r0
    usat    r1, #\o, r1
    usat    r2, #\o, r2
    usat    r3, #\o, r3
    usat    r4, #\o, r4
    usat    r5, #\o, r5
    usat    r6, #\o, r6
    usat    r7, #\o, r7
    orr     r0, r0, r2, lsl #\o
    orr     r1, r1, r3, lsl #\o
    orr     r0, r0, r4, lsl #2 * \o
    orr     r1, r1, r5, lsl #2 * \o
    orr     r0, r0, r6, lsl #3 * \o
    orr     r1, r1, r7, lsl #3 * \o
  .if \o == 8
    str     r0, [r8], #4
    str     r1, [r9], #4
  .elseif \o == 4
    strh    r0, [r8], #2
    strh    r1, [r9], #2
  .else
    strb    r0, [r8], #1
    strb    r1, [r9], #1
  .endif
.endm

.macro mm_kernel w
    .section .text.bitrack_quads_w\w\(), "ax", %progbits
    .p2align 2
    .globl  bitrack_quads_w\w
    .type   bitrack_quads_w\w\(), %function
    .thumb_func
bitrack_quads_w\w\():
    push    {r4-r11, lr}
    sub     sp, #MM_FRAME
    ldm     r0!, {r1-r12}
    stm     sp, {r1-r12}
    ldm     r0, {r1, r2, r12}
    strd    r1, r2, [sp, #MM_FIRST_END]
    ldr     r3, [r0, #12]
    adr.w   r1, 8f
    cmp     r3, #4
    it      eq
    adreq.w r1, 9f
    it      lt
    adrlt.w r1, 10f
    orr     r1, r1, #1
    str     r1, [sp, #MM_STORE]
    movs    r4, #0
    strd    r4, r4, [sp, #MM_PARTIAL]
    strd    r4, r4, [sp, #MM_PARTIAL + 8]
    strd    r4, r4, [sp, #MM_PARTIAL + 16]
    ldr     r1, [sp, #MM_ENTRY]
    ldr     r2, 7f
    lsr     r2, r2, #3
    adr.w   r3, 1f
    mla     r1, r1, r2, r3
    orr     r1, r1, #1
    str     r1, [sp, #MM_ENTRY]
2:  @ a quad
    mm_start   \w
    ldr     lr, [sp, #MM_COLUMNS]
    ldr     pc, [sp, #MM_ENTRY]
    .p2align 2
1:  @ eight groups
  .rept 8
    mm_group\w
  .endr
3:
    ldr     r8, [sp, #MM_CHUNK_END]
    cmp     lr, r8
    bne     1b
    ldr     r8, [sp, #MM_RARE]
    cmp     r8, #0
    bne.w   5f
    mm_separate \w
    mm_finish  \w
4:  @ requantize
    ldr     r8, [sp, #MM_ZERO]
    ldr     r9, [lr, #4]
    ldr     r10, [lr, #12]
    ldr     r11, [lr, #20]
    mm_scale   r0, r1, r9
    ldr     r9, [lr, #28]
    add     lr, #32
    str     lr, [sp, #MM_CHANNELS]
    mm_scale   r2, r3, r10
    mm_scale   r4, r5, r11
    mm_scale   r6, r7, r9
    ldrd    r8, r9, [sp, #MM_OUT]
    ldr     pc, [sp, #MM_STORE]
    .p2align 2
9:
    mm_store 4
    b       11f
    .p2align 2
10:
    mm_store 2
    b       11f
    .p2align 2
8:
    mm_store 8
11: @ the next quad
    ldr     r0, [sp, #MM_QUADS]
    strd    r8, r9, [sp, #MM_OUT]
    subs    r0, #1
    str     r0, [sp, #MM_QUADS]
    bne.w   2b
    add     sp, #MM_FRAME
    pop     {r4-r11, pc}
5:  @ more than one chunk, or a shift
    mm_separate \w
    ldr     r8, [sp, #MM_END]
    cmp     lr, r8
    beq     6f
  .if \w == 8
    mm_leave   r2, r3, 0, 8
    mm_leave   r6, r7, 16, 8
    mov     r6, r4
    mov     r7, r5
  .else
    .if \w == 4
      mm_leave r2, r3, 0, 4
      mm_leave r4, r5, 8, 8
      mm_leave r6, r7, 16, 12
    .else
      mm_leave r2, r3, 0, 2
      mm_leave r4, r5, 8, 4
      mm_leave r6, r7, 16, 6
    .endif
    mov     r4, r0
    mov     r5, r1
    mov     r6, r0
    mov     r7, r1
  .endif
    mov     r2, r0
    mov     r3, r1
    add     r8, lr, #1024
    str     r8, [sp, #MM_CHUNK_END]
    b.w     1b
6:  @ the last chunk
    ldr     r8, [sp, #MM_FIRST_END]
    str     r8, [sp, #MM_CHUNK_END]
    mm_finish  \w
    mov     r10, #0
    mm_recall  r2, r3, 0
  .if \w != 8
    mm_recall  r4, r5, 8
  .endif
    mm_recall  r6, r7, 16
    ldr     r8, [sp, #MM_SHIFT]
    lsl     r0, r0, r8
    lsl     r1, r1, r8
    lsl     r2, r2, r8
    lsl     r3, r3, r8
    lsl     r4, r4, r8
    lsl     r5, r5, r8
    lsl     r6, r6, r8
    lsl     r7, r7, r8
    b.w     4b
    .p2align 2
7:  @ bytes of eight groups
    .word   3b - 1b
    .size   bitrack_quads_w\w\(), . - bitrack_quads_w\w
.endm

    mm_kernel  8
    mm_kernel  4
    mm_kernel  2
