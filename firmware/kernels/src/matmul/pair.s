@ All quads of output channels for two pixels: see layout.rs for the weights, cortex_m.rs for the arguments.
@
@ Four inner loops, one prologue, one way to scale and store. A loop leaves the four channels a b c d of both pixels in
@   r6 r7  a        r4 r5  c << q
@   r0 r1  b << p   r2 r3  d << p      for positions p and q that depend on the loop,
@ without bias. No register is left for a counter, so loops end where the activations do. Everywhere r12 points to the next
@ weights and lr to the next activations; what else is needed lies in the frame.

    .syntax unified
    .thumb

@ Frame: `Layer`, then `Call`.
    .equ MM_NEXT, 0
    .equ MM_ENTRY, 4
    .equ MM_AFTER, 8
    .equ MM_STORE, 12
    .equ MM_SHIFT, 16
    .equ MM_MASK, 20
    .equ MM_ZERO, 24
    .equ MM_CHANNELS, 28
    .equ MM_FIRST_END, 32
    .equ MM_COLUMNS, 36
    .equ MM_END, 40
    .equ MM_OUT, 44
    .equ MM_LAST, 52
    .equ MM_NEGATIVE, 56
@ Where the current block of values ends.
    .equ MM_BLOCK_END, 64
@ Sums of the blocks before, in the order of r0 to r7.
    .equ MM_TOTALS, 68
    .equ MM_B, MM_TOTALS
    .equ MM_D, MM_TOTALS + 8
    .equ MM_C, MM_TOTALS + 16
    .equ MM_A, MM_TOTALS + 24
@ Pairs of pixels to come, and where they come from: `Pixels`.
    .equ MM_PAIRS, 100
    .equ MM_SOURCE, 104
    .equ MM_UNITS, 112
    .equ MM_OFFSET, 120
@ Where `Call` begins, for each pair anew.
    .equ MM_FIRST_CHANNEL, 124
    .equ MM_WEIGHTS, 128
    .equ MM_FRAME, 132

@ Bytes of columns in a whole block.
    .equ MM_BLOCK, 1024

@ Both pixels' products of one weight word.
.macro mm_mac acc0, acc1, w, x0, x1
    smlad   \acc0, \w, \x0, \acc0
    smlad   \acc1, \w, \x1, \acc1
.endm

@ The first of them.
.macro mm_first acc0, acc1, w, x0, x1
    smuad   \acc0, \w, \x0
    smuad   \acc1, \w, \x1
.endm

@ Adds both pixels' sums, `position` bits up, to those of earlier blocks.
.macro mm_leave acc0, acc1, slot, position
    ldrd    r8, r9, [sp, #\slot]
  .if \position
    add     r8, r8, \acc0, asr #\position
    add     r9, r9, \acc1, asr #\position
  .else
    add     r8, \acc0
    add     r9, \acc1
  .endif
    strd    r8, r9, [sp, #\slot]
.endm

@ Takes the offset of the stored weights off the channels that have one.
.macro mm_offset c
    ldrd    r10, r11, [sp, #MM_NEGATIVE]
    add     r6, r10
    add     r7, r11
    add     r4, r4, r10, lsl #\c
    add     r5, r5, r11, lsl #\c
.endm

@ One channel of both pixels to outputs that are not clamped yet. r10 zero point, lr constants.
.macro mm_channel acc0, acc1, position
    ldrd    r8, r9, [lr], #8
  .if \position
    add     \acc0, r8, \acc0, asr #\position
    add     \acc1, r8, \acc1, asr #\position
  .else
    add     \acc0, r8
    add     \acc1, r8
  .endif
    smmlar  \acc0, \acc0, r9, r10
    smmlar  \acc1, \acc1, r9, r10
.endm

.macro mm_scale position, c=0
    ldrd    r10, lr, [sp, #MM_ZERO]
    mm_channel r6, r7, 0
    mm_channel r0, r1, \position
    mm_channel r4, r5, \c
    mm_channel r2, r3, \position
    ldrd    r8, r9, [sp, #MM_OUT]
    ldr     pc, [sp, #MM_STORE]
.endm

@ A place that others jump to.
.macro mm_label name
    .globl  bitrack_\name
    .type   bitrack_\name, %function
    .thumb_func
bitrack_\name\():
.endm

.macro mm_section name
    .section .text.bitrack_\name, "ax", %progbits
    .p2align 2
    mm_label \name
.endm

@ void bitrack_pair(const Layer *, const Call *)
    mm_section pair
    push    {r4-r11, lr}
    sub     sp, #MM_FRAME
    ldm     r0, {r2-r8}
    stm     sp, {r2-r8}
    add     r0, sp, #MM_CHANNELS
    ldm     r1, {r2-r10, r12}
    stm     r0, {r2-r10}
    str     r3, [sp, #MM_BLOCK_END]
    movs    r0, #0
    str     r0, [sp, #MM_PAIRS]
    strd    r0, r0, [sp, #MM_B]
    strd    r0, r0, [sp, #MM_D]
    strd    r9, r10, [sp, #MM_C]
    strd    r9, r10, [sp, #MM_A]
    ldr     pc, [sp, #MM_NEXT]

@ Clamps, packs and stores both pixels' quad of outputs; r8 r9 where to. Then the next quad.
.macro mm_store o
    mm_section pair_store\o
    usat    r6, #\o, r6
    usat    r7, #\o, r7
    usat    r0, #\o, r0
    usat    r1, #\o, r1
    usat    r4, #\o, r4
    usat    r5, #\o, r5
    usat    r2, #\o, r2
    usat    r3, #\o, r3
    orr     r6, r6, r0, lsl #\o
    orr     r7, r7, r1, lsl #\o
    orr     r6, r6, r4, lsl #2 * \o
    orr     r7, r7, r5, lsl #2 * \o
    orr     r6, r6, r2, lsl #3 * \o
    orr     r7, r7, r3, lsl #3 * \o
  .if \o == 8
    str     r6, [r8], #4
    str     r7, [r9], #4
  .elseif \o == 4
    strh    r6, [r8], #2
    strh    r7, [r9], #2
  .else
    strb    r6, [r8], #1
    strb    r7, [r9], #1
  .endif
    ldr     r0, [sp, #MM_LAST]
    str     lr, [sp, #MM_CHANNELS]
    strd    r8, r9, [sp, #MM_OUT]
    cmp     lr, r0
    beq.w   bitrack_pair_end
    ldr     pc, [sp, #MM_NEXT]
.endm

    mm_store 2
    mm_store 4
    mm_store 8
    mm_section pair_end
    ldr     r0, [sp, #MM_PAIRS]
    subs    r0, #1
    bmi     3f
    str     r0, [sp, #MM_PAIRS]
2:  @ The next two pixels, side by side behind the last ones, as their outputs: r8 r9 ends of the outputs.
    sub     r8, r9, r8
    add     r8, r9
    strd    r9, r8, [sp, #MM_OUT]
    ldrd    r0, r6, [sp, #MM_SOURCE]
    ldrd    r3, lr, [sp, #MM_UNITS]
    add     r1, r0, r6
    ldr     r2, [sp, #MM_COLUMNS]
    add     r6, r1
    str     r6, [sp, #MM_SOURCE]
    blx     lr
    ldrd    r6, r7, [sp, #MM_OFFSET]
    ldr     r12, [sp, #MM_WEIGHTS]
    lsl     r4, r4, r6
    lsl     r5, r5, r6
    str     r7, [sp, #MM_CHANNELS]
    rsbs    r4, #0
    rsbs    r5, #0
    strd    r4, r5, [sp, #MM_NEGATIVE]
    strd    r4, r5, [sp, #MM_C]
    strd    r4, r5, [sp, #MM_A]
    ldr     pc, [sp, #MM_NEXT]
3:
    add     sp, #MM_FRAME
    pop     {r4-r11, pc}

@ void bitrack_pixels(const Layer *, const Call *, const Pixels *): pairs of pixels side by side, expanded here.
    mm_label pixels
    push    {r4-r11, lr}
    sub     sp, #MM_FRAME
    ldm     r0, {r3-r9}
    stm     sp, {r3-r9}
    add     r0, sp, #MM_CHANNELS
    ldm     r1, {r3-r12}
    stm     r0, {r3-r11}
    str     r4, [sp, #MM_BLOCK_END]
    strd    r3, r12, [sp, #MM_FIRST_CHANNEL]
    ldrd    r8, r9, [sp, #MM_OUT]
    add     r0, sp, #MM_PAIRS
    ldm     r2, {r2-r7}
    stm     r0, {r2-r7}
    movs    r0, #0
    strd    r0, r0, [sp, #MM_B]
    strd    r0, r0, [sp, #MM_D]
    b       2b

@ After the last of several blocks, or where there is a shift: totals to outputs.
    mm_section pair_totals
    ldrd    r10, r11, [sp, #MM_NEGATIVE]
    add     r8, sp, #MM_TOTALS
    ldm     r8, {r0-r7}
    strd    r10, r11, [sp, #MM_C]
    strd    r10, r11, [sp, #MM_A]
    mov     r8, #0
    ldr     r9, [sp, #MM_FIRST_END]
    strd    r8, r8, [sp, #MM_B]
    strd    r8, r8, [sp, #MM_D]
    str     r9, [sp, #MM_BLOCK_END]
    ldr     lr, [sp, #MM_CHANNELS]
    ldr     r10, [sp, #MM_ZERO]
    ldr     r11, [sp, #MM_SHIFT]
.macro mm_shifted acc0, acc1, index
    ldrd    r8, r9, [lr, #8 * \index]
    add     \acc0, r8
    add     \acc1, r8
    lsl     \acc0, \acc0, r11
    lsl     \acc1, \acc1, r11
    smmlar  \acc0, \acc0, r9, r10
    smmlar  \acc1, \acc1, r9, r10
.endm
    mm_shifted r6, r7, 0
    mm_shifted r0, r1, 1
    mm_shifted r4, r5, 2
    mm_shifted r2, r3, 3
    add     lr, #32
    ldrd    r8, r9, [sp, #MM_OUT]
    ldr     pc, [sp, #MM_STORE]

@ At the end of a block: on to the next, or to the totals.
.macro mm_end_of_block
    ldr     r8, [sp, #MM_END]
    cmp     lr, r8
    bne     1f
    b.w     bitrack_pair_totals
1:
    ldr     r8, [sp, #MM_BLOCK_END]
    add     r8, #MM_BLOCK
    str     r8, [sp, #MM_BLOCK_END]
.endm

@ ---- 8-bit weights: [b|a] and [d|c] in a half. One accumulator gets 256 b + a, another a.

@ Half of a group of four values: 12 instructions for 16 multiply-accumulates.
.macro mm_half8
    ldm.w   r12!, {r8, r9}
    ldm.w   lr!, {r10, r11}
    mm_mac  r0, r1, r8, r10, r11
    uxtb16  r8, r8
    mm_mac  r6, r7, r8, r10, r11
    mm_mac  r2, r3, r9, r10, r11
    uxtb16  r9, r9
    mm_mac  r4, r5, r9, r10, r11
.endm

@ 256 b + a to 256 b. An accumulator that holds the field below its own starts like that one, so that this starts at zero.
.macro mm_separate8
    sub     r0, r0, r6
    sub     r1, r1, r7
    sub     r2, r2, r4
    sub     r3, r3, r5
.endm

    mm_section pair_w8
    @ The first half of a group starts all sums.
    ldr     lr, [sp, #MM_COLUMNS]
    ldm     r12!, {r8, r9}
    ldrd    r6, r7, [sp, #MM_NEGATIVE]
    ldm     lr!, {r10, r11}
    smlad   r0, r8, r10, r6
    smlad   r1, r8, r11, r7
    smlad   r2, r9, r10, r6
    smlad   r3, r9, r11, r7
    uxtb16  r9, r9
    uxtb16  r8, r8
    smlad   r4, r9, r10, r6
    smlad   r5, r9, r11, r7
    mm_mac  r6, r7, r8, r10, r11
    ldr     pc, [sp, #MM_ENTRY]
    .p2align 2
    mm_label pair_w8_loop
5:
  .rept 16 / MM_PARTS
    mm_half8
  .endr
    mm_label pair_w8_loop_end
    ldr     r8, [sp, #MM_BLOCK_END]
    cmp     lr, r8
    bne.w   5b
    ldr     pc, [sp, #MM_AFTER]
    .p2align 2
    @ Up to four groups, half of one taken, need not ask whether they were all.
  .rept 7
    mm_half8
  .endr
    mm_label pair_w8_finish
    mm_separate8
    mm_scale 8
    mm_section pair_w8_block
    mm_separate8
    mm_leave r0, r1, MM_B, 8
    mm_leave r2, r3, MM_D, 8
    strd    r4, r5, [sp, #MM_C]
    strd    r6, r7, [sp, #MM_A]
    mm_end_of_block
    mov     r0, r6
    mov     r1, r7
    mov     r2, r4
    mov     r3, r5
    b.w     bitrack_pair_w8_loop

@ ---- 4-bit weights: masked to (a, b), twelve bits apart, (c, d) likewise, and (a, c), eight bits apart.

@ One step: three sums for four channels.
.macro mm_step4 w
    ldm.w   lr!, {r10, r11}
    and     r7, r6, \w
    mm_mac  r0, r1, r7, r10, r11
    and     r7, r6, \w, ror #8
    mm_mac  r2, r3, r7, r10, r11
    and     \w, \w, #0x0F0F0F0F
    mm_mac  r4, r5, \w, r10, r11
.endm

@ A group of four values: 21 instructions for 32 multiply-accumulates.
.macro mm_group4
    ldm.w   r12!, {r8, r9}
    mm_step4 r8
    mm_step4 r9
.endm

@ `ab` = a + 4096 b, `cd` = c + 4096 d, `ac` = a + 256 c, with a and c in twenty bits, to a in `to`, 256 c in `ac`, 4096 b in
@ `ab` and 4096 d in `cd`: `ac` less 256 times `cd` is a below bit 20.
.macro mm_decode4 ab, cd, ac, to
    sub     r8, \ac, \cd, lsl #8
    ubfx    \to, r8, #0, #20
    sub     \ac, \ac, \to
    sub     \ab, \ab, \to
    sub     \cd, \cd, \ac, lsr #8
.endm

.macro mm_start4
    movs    r0, #0
    movs    r1, #0
    movs    r2, #0
    movs    r3, #0
    movs    r4, #0
    movs    r5, #0
    ldr     r6, [sp, #MM_MASK]
.endm

    mm_section pair_w4
    @ The first group starts all sums.
    ldr     lr, [sp, #MM_COLUMNS]
    ldr     r6, [sp, #MM_MASK]
    ldm     r12!, {r8, r9}
    ldm     lr!, {r10, r11}
    and     r7, r6, r8
    mm_first r0, r1, r7, r10, r11
    and     r7, r6, r8, ror #8
    mm_first r2, r3, r7, r10, r11
    and     r8, r8, #0x0F0F0F0F
    mm_first r4, r5, r8, r10, r11
    mm_step4 r9
    ldr     pc, [sp, #MM_ENTRY]
    .p2align 2
    mm_label pair_w4_loop
5:
  .rept 8 / MM_PARTS
    mm_group4
  .endr
    mm_label pair_w4_loop_end
    ldr     r8, [sp, #MM_BLOCK_END]
    cmp     lr, r8
    bne.w   5b
    ldr     pc, [sp, #MM_AFTER]
    .p2align 2
    mm_label pair_w4_finish
    mm_decode4 r0, r2, r4, r6
    mm_decode4 r1, r3, r5, r7
    mm_offset 8
    mm_scale 12, 8
    mm_section pair_w4_block
    mm_decode4 r0, r2, r4, r6
    mm_decode4 r1, r3, r5, r7
    mm_leave r0, r1, MM_B, 12
    mm_leave r2, r3, MM_D, 12
    mm_leave r4, r5, MM_C, 8
    mm_leave r6, r7, MM_A, 0
    mm_end_of_block
    mm_start4
    b.w     bitrack_pair_w4_loop

@ ---- Two sums in one accumulator: a + 2^p b and c + 2^p d, as long as the lower one fits p bits.

@ Two steps of 4-bit weights, p = 12: 14 instructions for 32 multiply-accumulates. r4 mask, r5 r6 weights.
.macro mm_packed4
    ldm.w   r12!, {r5, r6}
    ldm.w   lr!, {r8-r11}
    and     r7, r4, r5
    mm_mac  r0, r1, r7, r8, r9
    and     r5, r4, r5, ror #8
    mm_mac  r2, r3, r5, r8, r9
    and     r7, r4, r6
    mm_mac  r0, r1, r7, r10, r11
    and     r6, r4, r6, ror #8
    mm_mac  r2, r3, r6, r10, r11
.endm

@ The same for 2-bit weights, p = 14: both steps in one word.
.macro mm_packed2
    ldr.w   r5, [r12], #4
    ldm.w   lr!, {r8-r11}
    and     r6, r4, r5
    mm_mac  r0, r1, r6, r8, r9
    and     r6, r4, r5, ror #4
    mm_mac  r2, r3, r6, r8, r9
    and     r6, r4, r5, ror #8
    mm_mac  r0, r1, r6, r10, r11
    and     r6, r4, r5, ror #12
    mm_mac  r2, r3, r6, r10, r11
.endm

@ The lower sums of two accumulators to memory.
.macro mm_lower acc0, acc1, slot, position
    ldrd    r8, r9, [sp, #\slot]
    ubfx    r10, \acc0, #0, #\position
    ubfx    r11, \acc1, #0, #\position
    add     r8, r10
    add     r9, r11
    sub     \acc0, r10
    sub     \acc1, r11
    strd    r8, r9, [sp, #\slot]
.endm

.macro mm_lowers position
    mm_lower r0, r1, MM_A, \position
    mm_lower r2, r3, MM_C, \position
.endm

@ The first group starts all sums: two steps, as in the loop.
.macro mm_start_packed4
    ldr     lr, [sp, #MM_COLUMNS]
    ldr     r4, [sp, #MM_MASK]
    ldm     r12!, {r5, r6}
    ldm     lr!, {r8-r11}
    and     r7, r4, r5
    mm_first r0, r1, r7, r8, r9
    and     r5, r4, r5, ror #8
    mm_first r2, r3, r5, r8, r9
    and     r7, r4, r6
    mm_mac  r0, r1, r7, r10, r11
    and     r6, r4, r6, ror #8
    mm_mac  r2, r3, r6, r10, r11
    ldr     pc, [sp, #MM_ENTRY]
.endm

.macro mm_start_packed2
    ldr     lr, [sp, #MM_COLUMNS]
    ldr     r4, [sp, #MM_MASK]
    ldr     r5, [r12], #4
    ldm     lr!, {r8-r11}
    and     r6, r4, r5
    mm_first r0, r1, r6, r8, r9
    and     r6, r4, r5, ror #4
    mm_first r2, r3, r6, r8, r9
    and     r6, r4, r5, ror #8
    mm_mac  r0, r1, r6, r10, r11
    and     r6, r4, r5, ror #12
    mm_mac  r2, r3, r6, r10, r11
    ldr     pc, [sp, #MM_ENTRY]
.endm

.macro mm_start_packed
    movs    r0, #0
    movs    r1, #0
    movs    r2, #0
    movs    r3, #0
    ldr     r4, [sp, #MM_MASK]
.endm

@ A kernel that takes the lower sums out every sixteen values.
.macro mm_short name, w, position
    mm_section \name
    mm_start_packed\w
    .p2align 2
    mm_label \name\()_loop
5:
  .rept 4
    mm_packed\w
  .endr
    mm_label \name\()_loop_end
    mm_lowers \position
    ldr     r8, [sp, #MM_BLOCK_END]
    cmp     lr, r8
    bne.w   5b
    ldr     pc, [sp, #MM_AFTER]
    .p2align 2
    mm_label \name\()_finish
    ldrd    r8, r9, [sp, #MM_NEGATIVE]
    ldrd    r6, r7, [sp, #MM_A]
    ldrd    r4, r5, [sp, #MM_C]
    strd    r8, r9, [sp, #MM_A]
    strd    r8, r9, [sp, #MM_C]
    mm_scale \position
    mm_section \name\()_block
    mm_leave r0, r1, MM_B, \position
    mm_leave r2, r3, MM_D, \position
    mm_end_of_block
    mm_start_packed
    b.w     bitrack_\name\()_loop
.endm

@ 4-bit weights, activations below 8 bits; 2-bit weights, 8-bit activations.
    mm_short pair_w4_narrow, 4, 12
    mm_short pair_w2, 2, 14

@ 2-bit weights, activations below 8 bits: the lower sums of a whole block fit.
    mm_section pair_w2_narrow
    mm_start_packed2
    .p2align 2
    mm_label pair_w2_narrow_loop
5:
  .rept 8
    mm_packed2
  .endr
    mm_label pair_w2_narrow_loop_end
    ldr     r8, [sp, #MM_BLOCK_END]
    cmp     lr, r8
    bne.w   5b
    ldr     pc, [sp, #MM_AFTER]
    .p2align 2
    mm_label pair_w2_narrow_finish
    ubfx    r6, r0, #0, #14
    ubfx    r7, r1, #0, #14
    ubfx    r4, r2, #0, #14
    ubfx    r5, r3, #0, #14
    mm_offset 0
    mm_scale 14
    mm_section pair_w2_narrow_block
    mm_lowers 14
    mm_leave r0, r1, MM_B, 14
    mm_leave r2, r3, MM_D, 14
    mm_end_of_block
    mm_start_packed
    b.w     bitrack_pair_w2_narrow_loop
