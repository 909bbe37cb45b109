@ Depthwise 3x3 at stride 2: bands of three rows of outputs, up to eight a row, all quads. See pairs3x3.rs for the arguments,
@ dw3x3.s for weights and packed values, whose macros this goes on with.
@
@ At stride 2 two pixels side by side are a pair of one row for one output only, and an input row is two outputs' at most. So rows are
@ expanded once for a band, two pixels to a word of each channel, and filtered down a column of outputs: the window of an output is a
@ pair and the lower half of the next one, in each of three rows. What padding fills is never written: the strip begins as padding.

    .equ DP_ROW, 36
    .equ DP_CHANNEL, 7 * DP_ROW

@ Frame, filled from `Bands`.
    .equ DP_MOVING, 0
    .equ DP_OUT, 12
    .equ DP_TO, 16
    .equ DP_PAIRS, 24
    .equ DP_IN_SKIP, 28
    .equ DP_ROWS_END, 36
    .equ DP_EXPAND, 40
    .equ DP_END, 44
    .equ DP_BYTES, 52
    .equ DP_BODY, 60
    .equ DP_NEXT, 64
    .equ DP_STORE, 72
    .equ DP_WEIGHTS, 92
    .equ DP_SPREAD, 100
    .equ DP_LANE, 108
    .equ DP_ROW_STEP, 112
    .equ DP_HEAD, 120
    .equ DP_TAIL, 124
    .equ DP_TO_BAND, 128
    .equ DP_TO_QUAD, 136
    .equ DP_BANDS, 144
    .equ DP_LEFT, 148
    .equ DP_QUADS, 152
    .equ DP_SHIFT, 156
    .equ DP_PARAMS, 164
    .equ DP_PARAMS_END, DP_PARAMS + 112
    .equ DP_FRAME, DP_PARAMS_END + 8

@ One column of pixels that has half a pair to itself: its pixel is the moving pointer `at`.
.macro dp_lane to, at
    ldr     r2, [sp, #\to]
    cbz     r2, 1f
    ldr     r12, [sp, #DP_LANE]
    ldrd    r1, r3, [sp, #DP_ROW_STEP]
    ldr     r0, [sp, #DP_MOVING + 4 * \at]
    blx     r12
1:
.endm

@ Products of the kernel's first, second and third row.
.macro dp_first at
    ldrd    r6, r7, [r10, #\at]
    dp_start
.endm
.macro dp_start
    smlad   r8, r0, r6, r12
    smlabb  r8, r2, r7, r8
.endm
.macro dp_second at
    ldrd    r6, r7, [r10, #\at]
    smlad   r8, r1, r6, r8
    smlatb  r8, r2, r7, r8
.endm
.macro dp_third at, step
    ldrd    r6, r7, [r10, #\at]
    smlad   r8, r3, r6, r8
    smlabb  r8, r4, r7, r8
    smmlar  r8, r8, r5, lr
    usat    r8, #8, r8
    strb    r8, [r11], #\step
.endm

@ r0 = Bands.
    .section .text.bitrack_dw3_pairs, "ax", %progbits
    .p2align 2
    .globl  bitrack_dw3_pairs
    .type   bitrack_dw3_pairs, %function
    .thumb_func
bitrack_dw3_pairs:
    push    {r4-r11, lr}
    sub     sp, #DP_FRAME
    mov     r12, sp
  .rept 3
    ldm     r0!, {r1-r11}
    stm     r12!, {r1-r11}
  .endr
    ldm     r0, {r1-r8}
    stm     r12, {r1-r8}
5:
    ldrd    r0, r1, [sp, #DP_WEIGHTS]
    ldrd    r3, r4, [sp, #DP_SPREAD]
    add     r2, sp, #DP_PARAMS
    add     r4, r0
    blx     r3
    @ r1 has passed the constants.
    ldrd    r2, r3, [sp, #DP_SHIFT]
    strd    r4, r1, [sp, #DP_WEIGHTS]
    cbz     r3, 2f
    add     r0, sp, #DP_PARAMS
    mov     r1, r2
    blx     r3
2:
    dp_lane DP_HEAD, 1
    dp_lane DP_TAIL, 2
    ldr     r0, [sp, #DP_MOVING]
    ldrd    r1, r2, [sp, #DP_TO]
    ldr     r12, [sp, #DP_EXPAND]
    blx     r12
    add     r8, sp, #DP_END
    ldm     r8, {r9-r11, lr}
    add     r8, sp, #DP_PARAMS
3:  @ a channel: r0 r1 r3 pairs of the kernel's rows; r2 r4 their third values; r5 multiplier; r12 bias; r10 the strip, to r9
    ldrd    r6, r7, [r8], #8
    ldm     r8!, {r2-r5, r12}
    pkhbt   r0, r6, r7, lsl #16
    pkhtb   r1, r7, r6, asr #16
    str     r8, [sp, #DP_PARAMS_END]
    ldr     pc, [sp, #DP_BODY]
    .globl  bitrack_dw3_pairs_r3
    .thumb_func
bitrack_dw3_pairs_r3:
    ldrd    r6, r7, [r10, #4]!
    dp_start
    dp_second 1 * DP_ROW
    dp_third 2 * DP_ROW, 4
    dp_start
    dp_second 3 * DP_ROW
    dp_third 4 * DP_ROW, 4
    dp_start
    dp_second 5 * DP_ROW
    dp_third 6 * DP_ROW, 4
    cmp     r10, r9
    bne     bitrack_dw3_pairs_r3
4:
    ldr     r8, [sp, #DP_PARAMS_END]
    ldrd    r6, r7, [sp, #DP_NEXT]
    add     r9, #DP_CHANNEL
    add     r10, r6
    add     r11, r7
    @ Outputs begin at a word.
    tst     r11, #3
    bne     3b
    add     r1, sp, #DP_STORE
    ldm     r1, {r1-r5}
    mov     r12, r1
    ldr     r0, [sp, #DP_BYTES]
    ldr     r1, [sp, #DP_OUT]
    blx     r12
    ldrd    r6, r7, [sp, #DP_BANDS]
    ldrd    r4, r5, [sp, #DP_TO_BAND]
    subs    r7, #1
    bne     6f
    ldrd    r4, r5, [sp, #DP_TO_QUAD]
6:
    ldm     sp, {r0-r3}
    add     r0, r4
    add     r1, r4
    add     r2, r4
    add     r3, r5
    stm     sp, {r0-r3}
    str     r7, [sp, #DP_LEFT]
    bne     2b
    ldr     r0, [sp, #DP_QUADS]
    str     r6, [sp, #DP_LEFT]
    subs    r0, #1
    str     r0, [sp, #DP_QUADS]
    bne     5b
    add     sp, #DP_FRAME
    pop     {r4-r11, pc}
    @ A band of one row.
    .globl  bitrack_dw3_pairs_r1
    .thumb_func
bitrack_dw3_pairs_r1:
    ldrd    r6, r7, [r10, #4]!
    dp_start
    dp_second 1 * DP_ROW
    dp_third 2 * DP_ROW, 12
    cmp     r10, r9
    bne     bitrack_dw3_pairs_r1
    b       4b
    .size   bitrack_dw3_pairs, . - bitrack_dw3_pairs

@ Two pixels, at [r0] and the next, to a word of each channel; scratch r12 lr, of the second pair of two r8 to r11. Below 8 bits r8
@ has the lowest field of either half set.
.macro dp_load bits
  .if \bits == 8
    ldr     r12, [r0]
    ldr     lr, [r0, r1]
  .elseif \bits == 4
    ldrh    r12, [r0]
    ldrh    lr, [r0, r1]
  .else
    ldrb    r12, [r0]
    ldrb    lr, [r0, r1]
  .endif
    add     r0, r0, r1, lsl #1
  .if \bits != 8
    orr     r12, r12, lr, lsl #16
  .endif
.endm

@ The first: channels to r4 r5 r6 r7.
.macro dp_pair bits
    dp_load \bits
  .if \bits == 8
    uxtb16  r6, r12
    uxtb16  r7, lr
    uxtb16  r12, r12, ror #8
    uxtb16  lr, lr, ror #8
    pkhbt   r4, r6, r7, lsl #16
    pkhtb   r6, r7, r6, asr #16
    pkhbt   r5, r12, lr, lsl #16
    pkhtb   r7, lr, r12, asr #16
  .else
    and     r4, r8, r12
    and     r5, r8, r12, lsr #\bits
    and     r6, r8, r12, lsr #2 * \bits
    and     r7, r8, r12, lsr #3 * \bits
  .endif
.endm

@ The second, stored with the first.
.macro dp_pair_beside bits
    dp_load \bits
  .if \bits == 8
    uxtb16  r8, r12
    uxtb16  r9, lr
    uxtb16  r12, r12, ror #8
    uxtb16  lr, lr, ror #8
    pkhtb   r10, r9, r8, asr #16
    pkhbt   r8, r8, r9, lsl #16
    pkhtb   r11, lr, r12, asr #16
    pkhbt   r9, r12, lr, lsl #16
    strd    r6, r10, [r2, #2 * DP_CHANNEL]
    strd    r7, r11, [r2, #3 * DP_CHANNEL]
    strd    r5, r9, [r2, #DP_CHANNEL]
    strd    r4, r8, [r2], #8
  .else
    and     r9, r8, r12, lsr #\bits
    and     r10, r8, r12, lsr #2 * \bits
    and     r11, r8, r12, lsr #3 * \bits
    strd    r5, r9, [r2, #DP_CHANNEL]
    and     r9, r8, r12
    strd    r6, r10, [r2, #2 * DP_CHANNEL]
    strd    r7, r11, [r2, #3 * DP_CHANNEL]
    strd    r4, r9, [r2], #8
  .endif
.endm

@ Called by `pairs` only: r0 the first pixel of rows, r1 from pixel to pixel, r2 the strip.
.macro dp_expand bits
    .section .text.bitrack_dw3_pairs_expand_b\bits, "ax", %progbits
    .p2align 2
    .globl  bitrack_dw3_pairs_expand_b\bits
    .type   bitrack_dw3_pairs_expand_b\bits, %function
    .thumb_func
bitrack_dw3_pairs_expand_b\bits:
    push    {r3, lr}
  .if \bits == 4
    mov     r8, #0x000F000F
  .elseif \bits == 2
    mov     r8, #0x00030003
  .endif
1:
    ldr     r3, [sp, #DP_PAIRS + 8]
    lsrs    r3, r3, #1
    bcc     2f
    dp_pair \bits
    str     r5, [r2, #DP_CHANNEL]
    str     r6, [r2, #2 * DP_CHANNEL]
    str     r7, [r2, #3 * DP_CHANNEL]
    str     r4, [r2], #4
    cbz     r3, 3f
2:
    dp_pair \bits
    dp_pair_beside \bits
    subs    r3, #1
    bne     2b
3:
    ldrd    r4, r5, [sp, #DP_IN_SKIP + 8]
    ldr     r6, [sp, #DP_ROWS_END + 8]
    add     r0, r4
    add     r2, r5
    cmp     r2, r6
    bne     1b
    pop     {r3, pc}
    .size   bitrack_dw3_pairs_expand_b\bits, . - bitrack_dw3_pairs_expand_b\bits
.endm

@ Called by `pairs` only: r0 the first of a column of pixels, r1 from row to row, r2 a half of the strip, r3 rows.
.macro dp_expand_lane bits
    .section .text.bitrack_dw3_pairs_lane_b\bits, "ax", %progbits
    .p2align 2
    .globl  bitrack_dw3_pairs_lane_b\bits
    .type   bitrack_dw3_pairs_lane_b\bits, %function
    .thumb_func
bitrack_dw3_pairs_lane_b\bits:
    dw_load \bits, r4, r0, r1
    ubfx    r5, r4, #\bits, #\bits
    ubfx    r6, r4, #2 * \bits, #\bits
    ubfx    r7, r4, #3 * \bits, #\bits
    ubfx    r4, r4, #0, #\bits
    strh    r5, [r2, #DP_CHANNEL]
    strh    r6, [r2, #2 * DP_CHANNEL]
    strh    r7, [r2, #3 * DP_CHANNEL]
    strh    r4, [r2], #DP_ROW
    subs    r3, #1
    bne     bitrack_dw3_pairs_lane_b\bits
    bx      lr
    .size   bitrack_dw3_pairs_lane_b\bits, . - bitrack_dw3_pairs_lane_b\bits
.endm

@ Called by `pairs` only: r0 columns of three outputs, r1 where the upper goes, r4 and r5 how far behind it the others go, r2 from column
@ to column, r3 columns. An output that is none goes where the upper one goes after it.
.macro dp_store bits
    .section .text.bitrack_dw3_pairs_store_b\bits, "ax", %progbits
    .p2align 2
    .globl  bitrack_dw3_pairs_store_b\bits
    .type   bitrack_dw3_pairs_store_b\bits, %function
    .thumb_func
bitrack_dw3_pairs_store_b\bits:
    dw_saturation \bits, r9
1:
    ldm     r0!, {r6-r8}
    dw_pack \bits, r8, r9
    dw_put  \bits, r8, "[r1, r5]"
    dw_pack \bits, r7, r9
    dw_put  \bits, r7, "[r1, r4]"
    dw_pack \bits, r6, r9
    dw_put  \bits, r6, "[r1]"
    add     r1, r2
    subs    r3, #1
    bne     1b
    bx      lr
    .size   bitrack_dw3_pairs_store_b\bits, . - bitrack_dw3_pairs_store_b\bits
.endm

    dp_expand 8
    dp_expand 4
    dp_expand 2
    dp_expand_lane 8
    dp_expand_lane 4
    dp_expand_lane 2
    dp_store 8
    dp_store 4
    dp_store 2
