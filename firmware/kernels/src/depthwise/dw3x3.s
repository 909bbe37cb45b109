@ Depthwise 3x3, four channels, one row of outputs: expand, filter, store. See cortex_m.rs for the arguments.
@
@ An expanded column is six words, so that each channel finds its pair (rows 0 and 1) beside the word that holds its
@ value of row 2 in one half:
@
@   [r1|r0 of a] [r2 of c|r2 of a] [r1|r0 of c]   [r1|r0 of b] [r2 of d|r2 of b] [r1|r0 of d]

    .syntax unified
    .thumb

@ Loads a quad of packed values: at [row + r3], or at [row], which then moves on by its own step.
.macro dw_load bits, to, row, step
  .ifb \step
    .if \bits == 8
      ldr   \to, [\row, r3]
    .elseif \bits == 4
      ldrh  \to, [\row, r3]
    .else
      ldrb  \to, [\row, r3]
    .endif
  .else
    .if \bits == 8
      ldr   \to, [\row]
    .elseif \bits == 4
      ldrh  \to, [\row]
    .else
      ldrb  \to, [\row]
    .endif
    add     \row, \step
  .endif
.endm

@ One column to r6..r11, in the order above. Below 8 bits two rows lie in the halves of one word, and r12 has the
@ lowest field of either half set.
.macro dw_column_of bits, step0, step1, step2
    dw_load \bits, r9, r0, \step0
    dw_load \bits, r11, r1, \step1
  .if \bits == 8
    uxtb16  r7, r9, ror #8
    uxtb16  r9, r9
    uxtb16  r10, r11, ror #8
    uxtb16  r11, r11
    pkhbt   r6, r9, r11, lsl #16
    pkhtb   r8, r11, r9, asr #16
    pkhbt   r9, r7, r10, lsl #16
    pkhtb   r11, r10, r7, asr #16
    dw_load \bits, r7, r2, \step2
    uxtb16  r10, r7, ror #8
    uxtb16  r7, r7
  .else
    dw_load \bits, r7, r2, \step2
    orr     r11, r9, r11, lsl #16
    .if \bits == 4
      orr   r7, r7, r7, lsl #8
    .else
      orr   r7, r7, r7, lsl #12
    .endif
    and     r6, r12, r11
    and     r9, r12, r11, lsr #\bits
    and     r8, r12, r11, lsr #2 * \bits
    and     r11, r12, r11, lsr #3 * \bits
    and     r10, r12, r7, lsr #\bits
    and     r7, r12, r7
  .endif
.endm

.macro dw_mask bits
  .if \bits == 4
    mov     r12, #0x000F000F
  .elseif \bits == 2
    mov     r12, #0x00030003
  .endif
.endm

@ r0 = { three rows, three steps, destination, columns }: rows with a step each, which is zero for a row of padding.
.macro dw_expand_edge bits
    .section .text.bitrack_dw3_expand_edge_b\bits, "ax", %progbits
    .p2align 2
    .globl  bitrack_dw3_expand_edge_b\bits
    .type   bitrack_dw3_expand_edge_b\bits, %function
    .thumb_func
bitrack_dw3_expand_edge_b\bits:
    push    {r4-r11, lr}
    ldm     r0, {r0-r5, r12, lr}
  .if \bits == 8
    @ No mask is needed: r12 counts.
    mov     r11, r12
    mov     r12, lr
    mov     lr, r11
1:
    dw_column_of \bits, r3, r4, r5
    stm     lr!, {r6-r11}
    subs    r12, #1
    bne     1b
  .else
    push    {r11, lr}
    mov     lr, r12
    dw_mask \bits
1:
    dw_column_of \bits, r3, r4, r5
    stm     lr!, {r6-r11}
    ldr     r6, [sp, #4]
    subs    r6, #1
    str     r6, [sp, #4]
    bne     1b
    add     sp, #8
  .endif
    pop     {r4-r11, pc}
    .size   bitrack_dw3_expand_edge_b\bits, . - bitrack_dw3_expand_edge_b\bits
.endm

@ Called by `rows` only: r0 r1 r2 rows, r3 = 0, r4 step, r5 columns, r12 destination; clobbers all but r4.
.macro dw_expand bits
    .section .text.bitrack_dw3_expand_b\bits, "ax", %progbits
    .p2align 2
    .globl  bitrack_dw3_expand_b\bits
    .type   bitrack_dw3_expand_b\bits, %function
    .thumb_func
bitrack_dw3_expand_b\bits:
    push    {r4, lr}
    mov     lr, r12
    dw_mask \bits
    tst     r5, #1
    beq     1f
    dw_column_of \bits
    add     r3, r4
    stm     lr!, {r6-r11}
1:
    lsrs    r5, r5, #1
    beq     3f
2:
  .rept 2
    dw_column_of \bits
    add     r3, r4
    stm     lr!, {r6-r11}
  .endr
    subs    r5, #1
    bne     2b
3:
    pop     {r4, pc}
    .size   bitrack_dw3_expand_b\bits, . - bitrack_dw3_expand_b\bits
.endm

@ For a strip that is expanded already.
    .section .text.bitrack_dw3_expanded, "ax", %progbits
    .p2align 2
    .globl  bitrack_dw3_expanded
    .type   bitrack_dw3_expanded, %function
    .thumb_func
bitrack_dw3_expanded:
    bx      lr
    .size   bitrack_dw3_expanded, . - bitrack_dw3_expanded

@ Frame of `rows`, filled from `Rows` in cortex_m.rs.
    .equ DW_ROWS, 0
    .equ DW_COLUMNS, 20
    .equ DW_DESTINATION, 24
    .equ DW_EXPAND, 28
    .equ DW_BYTES, 32
    .equ DW_OUT, 36
    .equ DW_OUT_STEP, 40
    .equ DW_OUTPUTS, 44
    .equ DW_STORE, 48
    .equ DW_PARAMS, 52
    .equ DW_STRIP, 56
    .equ DW_FOURS, 60
    .equ DW_REST, 64
    .equ DW_ZERO, 68
    .equ DW_ROW_STEP, 72
    .equ DW_OUT_ROW_STEP, 76
    .equ DW_COUNT, 80
    .equ DW_FRAME, 88

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

@ Outputs first to last of a round, from column `first` on. A column is read once for all outputs that it is under.
.macro dw_outputs n, at, pair_first, h
    dw_column 0, \at, \pair_first
    dw_left r8, \h
    dw_column 1, \at, \pair_first
    dw_middle r8, \h
  .if \n == 1
    dw_column 2, \at, \pair_first
    dw_right r8, \h
    dw_finish r8
  .else
    dw_left r9, \h
    dw_column 2, \at, \pair_first
    dw_right r8, \h
    dw_finish r8
    dw_middle r9, \h
    .if \n == 4
      dw_left r8, \h
      dw_column 3, \at, \pair_first
      dw_right r9, \h
      dw_finish r9
      dw_middle r8, \h
      dw_left r9, \h
      dw_column 4, \at, \pair_first
      dw_right r8, \h
      dw_finish r8
      dw_middle r9, \h
      dw_column 5, \at, \pair_first
      dw_right r9, \h
      dw_finish r9
    .else
      dw_column 3, \at, \pair_first
      dw_right r9, \h
      dw_finish r9
    .endif
  .endif
.endm

@ Two channels of a row that lie alike in a column, twelve bytes apart: rounds of four outputs, then two, then one.
@ r8 weights, r10 strip, r11 outputs.
.macro dw_channels at, pair_first, h, index
5:
    ldr     r6, [sp, #DW_FOURS]
    ldm     r8, {r0-r5, r12}
    cmp     r10, r6
    bhs     2f
1:
    dw_outputs 4, \at, \pair_first, \h
    ldr     r6, [sp, #DW_FOURS]
    add     r10, #96
    cmp     r10, r6
    blo     1b
2:
    @ Carry: two outputs more; negative: one more.
    ldr     r6, [sp, #DW_REST]
    lsls    r6, r6, #31
    bcc     3f
    dw_outputs 2, \at, \pair_first, \h
    ldr     r6, [sp, #DW_REST]
    add     r10, #48
    lsls    r6, r6, #31
3:
    bpl     4f
    dw_outputs 1, \at, \pair_first, \h
4:
    @ Outputs begin at a word.
    lsls    r6, r11, #31
    bmi     6f
    ldrd    r8, r10, [sp, #DW_PARAMS]
    ldr     r11, [sp, #DW_BYTES]
    add     r8, #28 * (\index + 1)
    add     r10, #12
    add     r11, #\index + 1
    b       5b
6:
.endm

@ r0 = Rows: `count` rows of outputs, none of which needs a row of padding.
    .section .text.bitrack_dw3_rows, "ax", %progbits
    .p2align 2
    .globl  bitrack_dw3_rows
    .type   bitrack_dw3_rows, %function
    .thumb_func
bitrack_dw3_rows:
    push    {r4-r11, lr}
    sub     sp, #DW_FRAME
    mov     r12, sp
    ldm     r0!, {r1-r10}
    stm     r12!, {r1-r10}
    ldm     r0!, {r1-r11}
    stm     r12!, {r1-r11}
9:
    ldm     sp, {r0-r5}
    ldrd    r12, lr, [sp, #DW_DESTINATION]
    blx     lr
    ldr     lr, [sp, #DW_ZERO]
    ldrd    r8, r10, [sp, #DW_PARAMS]
    ldr     r11, [sp, #DW_BYTES]
    dw_channels 0, 1, b, 0
    ldrd    r8, r10, [sp, #DW_PARAMS]
    ldr     r11, [sp, #DW_BYTES]
    add     r8, #56
    add     r11, #2
    dw_channels 4, 0, t, 2
    add     r4, sp, #DW_BYTES
    ldm     r4, {r0-r4}
    blx     r4
    ldm     sp, {r0-r2}
    ldrd    r3, r4, [sp, #DW_ROW_STEP]
    ldr     r5, [sp, #DW_OUT]
    ldr     r6, [sp, #DW_COUNT]
    add     r0, r3
    add     r1, r3
    add     r2, r3
    add     r5, r4
    stm     sp, {r0-r2}
    str     r5, [sp, #DW_OUT]
    subs    r6, #1
    str     r6, [sp, #DW_COUNT]
    bne.w   9b
    add     sp, #DW_FRAME
    pop     {r4-r11, pc}
    .size   bitrack_dw3_rows, . - bitrack_dw3_rows

@ Outputs are bytes: saturates four to the width and packs them. What the register holds that saturates:
.macro dw_saturation bits, to
  .if \bits == 4
    mov     \to, #0xF0F0F0F0
  .elseif \bits == 2
    mov     \to, #0xFCFCFCFC
  .endif
.endm
.macro dw_pack bits, x, by
  .if \bits != 8
    uqadd8  \x, \x, \by
    usub8   \x, \x, \by
  .endif
  .if \bits == 4
    orr     \x, \x, \x, lsr #4
    uxtb16  \x, \x
    orr     \x, \x, \x, lsr #8
  .elseif \bits == 2
    orr     \x, \x, \x, lsr #6
    orr     \x, \x, \x, lsr #12
  .endif
.endm
.macro dw_put bits, x, at
  .if \bits == 8
    str     \x, \at
  .elseif \bits == 4
    strh    \x, \at
  .else
    strb    \x, \at
  .endif
.endm

@ Called by `rows` only: r0 outputs, four bytes a column; r1 destination; r2 its step; r3 columns; clobbers r5 to r7 and r12.
.macro dw_store bits
    .section .text.bitrack_dw_store_b\bits, "ax", %progbits
    .p2align 2
    .globl  bitrack_dw_store_b\bits
    .type   bitrack_dw_store_b\bits, %function
    .thumb_func
bitrack_dw_store_b\bits:
    dw_saturation \bits, r5
    lsrs    r3, r3, #1
    bcc     1f
    ldr     r6, [r0], #4
    dw_pack \bits, r6, r5
    dw_put  \bits, r6, "[r1]"
    add     r1, r2
    cbz     r3, 2f
1:
    ldm     r0!, {r6, r7}
    dw_pack \bits, r6, r5
    dw_put  \bits, r6, "[r1]"
    dw_pack \bits, r7, r5
    dw_put  \bits, r7, "[r1, r2]"
    add     r1, r1, r2, lsl #1
    subs    r3, #1
    bne     1b
2:
    bx      lr
    .size   bitrack_dw_store_b\bits, . - bitrack_dw_store_b\bits
.endm

@ r0 a quad's weights as layout.rs has them; r1 its channels' constants; r2 destination: seven words a channel.
.macro dw_params bits
    .section .text.bitrack_dw3_params_w\bits, "ax", %progbits
    .p2align 2
    .globl  bitrack_dw3_params_w\bits
    .type   bitrack_dw3_params_w\bits, %function
    .thumb_func
bitrack_dw3_params_w\bits:
    push    {r4-r11, lr}
    mov     r10, #4
  .if \bits == 8
    ldr     r12, [r0, #32]
  .elseif \bits == 4
    mov     r11, #0x08080808
    ldrh    r12, [r0, #16]
    orr     r12, r12, r12, lsl #8
    and     r12, r12, #0x00FF00FF
    orr     r12, r12, r12, lsl #4
    and     r12, r12, #0x0F0F0F0F
    usub8   r12, r12, r11
  .else
    mov     r11, #0x02020202
    mov     lr, #0
    ldrb    r12, [r0, #8]
    orr     r12, r12, r12, lsl #12
    and     r12, r12, #0x000F000F
    orr     r12, r12, r12, lsl #6
    and     r12, r12, #0x03030303
    usub8   r12, r12, r11
  .endif
1:
  .if \bits == 8
    ldrd    r4, r6, [r0], #8
  .elseif \bits == 4
    ldr     r4, [r0], #4
    and     r6, r4, #0xF0F0F0F0
    and     r4, r4, #0x0F0F0F0F
    lsr     r6, r6, #4
  .else
    @ Two channels share a word.
    ldr     r4, [r0]
    lsr     r4, r4, lr
    eors    lr, lr, #4
    it      eq
    addeq   r0, #4
    and     r6, r4, #0x0C0C0C0C
    and     r4, r4, #0x03030303
    lsr     r6, r6, #2
  .endif
  .if \bits != 8
    usub8   r4, r4, r11
    usub8   r6, r6, r11
  .endif
    sxtb16  r3, r4
    sxtb16  r4, r4, ror #8
    sxtb16  r5, r6
    sxtb16  r6, r6, ror #8
    sxtb    r7, r12
    ror     r12, r12, #8
    ldrd    r9, r8, [r1], #8
    subs    r10, #1
    stm     r2!, {r3-r9}
    bne     1b
    pop     {r4-r11, pc}
    .size   bitrack_dw3_params_w\bits, . - bitrack_dw3_params_w\bits
.endm

    dw_params 8
    dw_params 4
    dw_params 2
    dw_expand 8
    dw_expand 4
    dw_expand 2
    dw_expand_edge 8
    dw_expand_edge 4
    dw_expand_edge 2
    dw_store 8
    dw_store 4
    dw_store 2
