@ Depthwise 3x3, four channels, one row of outputs: expand, filter, store. See cortex_m.rs for the arguments.
@
@ An expanded column is six words, so that each channel finds its pair (rows 0 and 1) beside the word that holds its
@ value of row 2 in one half:
@
@   [r1|r0 of a] [r2 of c|r2 of a] [r1|r0 of c]   [r1|r0 of b] [r2 of d|r2 of b] [r1|r0 of d]

    .syntax unified
    .thumb

@ Four packed values at [row] as even and odd 16-bit pairs; moves on to the next pixel.
.macro dw_fetch bits, even, odd, row, step
  .if \bits == 8
    ldr     \even, [\row]
    add     \row, \step
    uxtb16  \odd, \even, ror #8
    uxtb16  \even, \even
  .elseif \bits == 4
    ldrh    \even, [\row]
    add     \row, \step
    orr     \even, \even, \even, lsl #8
    and     \odd, \even, #0x00F000F0
    and     \even, \even, #0x000F000F
    lsr     \odd, \odd, #4
  .else
    ldrb    \even, [\row]
    add     \row, \step
    orr     \even, \even, \even, lsl #12
    and     \odd, \even, #0x000C000C
    and     \even, \even, #0x00030003
    lsr     \odd, \odd, #2
  .endif
.endm

@ r0 = { three rows, three steps, destination, columns }
.macro dw_expand bits
    .section .text.bitrack_dw3_expand_b\bits, "ax", %progbits
    .p2align 2
    .globl  bitrack_dw3_expand_b\bits
    .type   bitrack_dw3_expand_b\bits, %function
    .thumb_func
bitrack_dw3_expand_b\bits:
    push    {r4-r11, lr}
    ldm     r0, {r0-r5, r12, lr}
1:
    dw_fetch   \bits, r9, r7, r0, r3
    dw_fetch   \bits, r11, r10, r1, r4
    pkhbt   r6, r9, r11, lsl #16
    pkhtb   r8, r11, r9, asr #16
    pkhbt   r9, r7, r10, lsl #16
    pkhtb   r11, r10, r7, asr #16
    dw_fetch   \bits, r7, r10, r2, r5
    stm     r12!, {r6-r11}
    subs    lr, #1
    bne     1b
    pop     {r4-r11, pc}
    .size   bitrack_dw3_expand_b\bits, . - bitrack_dw3_expand_b\bits
.endm

    .equ DW_PARAMS, 0
    .equ DW_STRIP, 4
    .equ DW_BYTES, 8
    .equ DW_PAIRS_END, 12
    .equ DW_ODD, 16
    .equ DW_ZERO, 20
    .equ DW_FRAME, 24

@ Registers: r0 r1 r2 the kernel's columns, rows 0 and 1; r3 r4 row 2; r5 multiplier; r12 bias; r6 r7 a column;
@ r8 r9 accumulators; r10 the strip; r11 the outputs; lr zero point.

@ Column n of the strip: the channel's pair to r6, the word with its third row to r7.
.macro dw_column n, at, pair_first
  .if \pair_first
    ldrd    r6, r7, [r10, #\n * 24 + \at]
  .else
    ldrd    r7, r6, [r10, #\n * 24 + \at]
  .endif
.endm

@ A kernel column's products, third row in half `h`.
.macro dw_left acc, h
    smlad   \acc, r0, r6, r12
    smlab\h \acc, r3, r7, \acc
.endm
.macro dw_middle acc, h
    smlad   \acc, r1, r6, \acc
    smlat\h \acc, r3, r7, \acc
.endm
.macro dw_right acc, h
    smlad   \acc, r2, r6, \acc
    smlab\h \acc, r4, r7, \acc
.endm

.macro dw_finish acc
    smmlar  \acc, \acc, r5, lr
    usat    \acc, #8, \acc
    strb    \acc, [r11], #4
.endm

.macro dw_channel stride, index, at, pair_first, h
    ldr     r8, [sp, #DW_PARAMS]
    ldrd    r10, r11, [sp, #DW_STRIP]
    ldm     r8!, {r0-r5, r12}
    str     r8, [sp, #DW_PARAMS]
  .if \index
    add     r11, #\index
  .endif
    ldr     r6, [sp, #DW_PAIRS_END]
    cmp     r10, r6
    beq     2f
1:
  .if \stride == 1
    dw_column  0, \at, \pair_first
    dw_left    r8, \h
    dw_column  1, \at, \pair_first
    dw_middle  r8, \h
    dw_left    r9, \h
    dw_column  2, \at, \pair_first
    dw_right   r8, \h
    dw_middle  r9, \h
    dw_column  3, \at, \pair_first
    dw_right   r9, \h
  .else
    dw_column  0, \at, \pair_first
    dw_left    r8, \h
    dw_column  1, \at, \pair_first
    dw_middle  r8, \h
    dw_column  2, \at, \pair_first
    dw_right   r8, \h
    dw_left    r9, \h
    dw_column  3, \at, \pair_first
    dw_middle  r9, \h
    dw_column  4, \at, \pair_first
    dw_right   r9, \h
  .endif
    dw_finish  r8
    dw_finish  r9
    ldr     r6, [sp, #DW_PAIRS_END]
    add     r10, #48 * \stride
    cmp     r10, r6
    bne     1b
2:
    ldr     r6, [sp, #DW_ODD]
    cbz     r6, 3f
    dw_column  0, \at, \pair_first
    dw_left    r8, \h
    dw_column  1, \at, \pair_first
    dw_middle  r8, \h
    dw_column  2, \at, \pair_first
    dw_right   r8, \h
    dw_finish  r8
3:
.endm

@ r0 = { params, strip, outputs, end of the strip's pairs of outputs, whether one output more, zero point }
.macro dw_filter stride
    .section .text.bitrack_dw3_filter_s\stride, "ax", %progbits
    .p2align 2
    .globl  bitrack_dw3_filter_s\stride
    .type   bitrack_dw3_filter_s\stride, %function
    .thumb_func
bitrack_dw3_filter_s\stride:
    push    {r4-r11, lr}
    sub     sp, #DW_FRAME
    ldm     r0, {r1-r5, lr}
    stm     sp, {r1-r5}
    dw_channel \stride, 0, 0, 1, b
    dw_channel \stride, 1, 12, 1, b
    dw_channel \stride, 2, 4, 0, t
    dw_channel \stride, 3, 16, 0, t
    add     sp, #DW_FRAME
    pop     {r4-r11, pc}
    .size   bitrack_dw3_filter_s\stride, . - bitrack_dw3_filter_s\stride
.endm

@ r0 outputs, four bytes a column; r1 destination; r2 its step; r3 columns.
.macro dw_store bits
    .section .text.bitrack_dw_store_b\bits, "ax", %progbits
    .p2align 2
    .globl  bitrack_dw_store_b\bits
    .type   bitrack_dw_store_b\bits, %function
    .thumb_func
bitrack_dw_store_b\bits:
  .if \bits == 4
    push    {r4, lr}
    mov     r4, #0xF0F0F0F0
  .elseif \bits == 2
    push    {r4, lr}
    mov     r4, #0xFCFCFCFC
  .endif
1:
    ldr     r12, [r0], #4
  .if \bits == 8
    str     r12, [r1]
  .else
    @ Saturate the bytes to the width.
    uqadd8  r12, r12, r4
    usub8   r12, r12, r4
    .if \bits == 4
      orr   r12, r12, r12, lsr #4
      uxtb16 r12, r12
      orr   r12, r12, r12, lsr #8
      strh  r12, [r1]
    .else
      orr   r12, r12, r12, lsr #6
      orr   r12, r12, r12, lsr #12
      strb  r12, [r1]
    .endif
  .endif
    add     r1, r2
    subs    r3, #1
    bne     1b
  .if \bits == 8
    bx      lr
  .else
    pop     {r4, pc}
  .endif
    .size   bitrack_dw_store_b\bits, . - bitrack_dw_store_b\bits
.endm

    dw_expand  8
    dw_expand  4
    dw_expand  2
    dw_filter  1
    dw_filter  2
    dw_store   8
    dw_store   4
    dw_store   2
