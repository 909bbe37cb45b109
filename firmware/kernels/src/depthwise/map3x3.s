@ Depthwise 3x3 on maps a few pixels wide: all outputs of a channel in a band of rows, one after the other. See map3x3.rs for the
@ arguments, dw3x3.s for columns and products, whose macros this goes on with.
@
@ Rows are expanded one behind the other, each with its padding; then a channel's weights are loaded once for all of them, and a row
@ of outputs is straight code without a question in it.

    .equ DM_PARAMS, 0
    .equ DM_STRIP, 4
    .equ DM_ZERO, 8
    .equ DM_END, 12
    .equ DM_BODY, 16
    .equ DM_EDGES, 20
    .equ DM_TOPS, 24
    .equ DM_INNERS, 28
    .equ DM_BOTTOMS, 32
    .equ DM_INNER, 36
    .equ DM_OFFSET, 48
    .equ DM_ROW_STEP, 52
    .equ DM_STEP, 56
    .equ DM_DESTINATION, 64
    .equ DM_EXPAND, 68
    .equ DM_EDGE, 72
    .equ DM_ROW, 76
    .equ DM_BYTES, 80
    .equ DM_ARGS, 100
    .equ DM_FRAME, 108

@ Behind what is in the frame as well:
    .equ DM_WEIGHTS, 100
    .equ DM_CHANNELS, 104
    .equ DM_QUADS, 108
    .equ DM_SPREAD, 112
    .equ DM_WEIGHT_BYTES, 116
    .equ DM_IN_BYTES, 120
    .equ DM_OUT_BYTES, 124

@ Expands as many rows at an edge as `count` says.
.macro dm_edges count
1:
    ldr     r4, [sp, #\count]
    subs    r4, #1
    bmi     2f
    ldr     r0, [sp, #DM_EDGES]
    str     r4, [sp, #\count]
    ldr     r3, [sp, #DM_EDGE]
    ldr     r1, [sp, #DM_DESTINATION]
    ldr     r2, [sp, #DM_ROW]
    str     r1, [r0, #24]
    add     r1, r2
    add     r2, r0, #32
    str     r1, [sp, #DM_DESTINATION]
    str     r2, [sp, #DM_EDGES]
    blx     r3
    b       1b
2:
.endm

@ r0 = Map: all its quads.
    .section .text.bitrack_dw3_map, "ax", %progbits
    .p2align 2
    .globl  bitrack_dw3_map
    .type   bitrack_dw3_map, %function
    .thumb_func
bitrack_dw3_map:
    push    {r4-r11, lr}
    sub     sp, #DM_FRAME
    str     r0, [sp, #DM_ARGS]
    mov     r4, r0
5:  @ r4 the arguments, as they are for the next quad
    ldrd    r0, r1, [r4, #DM_WEIGHTS]
    ldr     r2, [r4, #DM_PARAMS]
    ldr     r3, [r4, #DM_SPREAD]
    blx     r3
    @ r1 has passed the constants.
    ldr     r0, [r4, #DM_WEIGHTS]
    ldr     r2, [r4, #DM_WEIGHT_BYTES]
    add     r0, r2
    strd    r0, r1, [r4, #DM_WEIGHTS]
    mov     r0, r4
    mov     r12, sp
    ldm     r0!, {r1-r11}
    stm     r12!, {r1-r11}
    ldm     r0!, {r1-r11}
    stm     r12!, {r1-r11}
    ldm     r0, {r1-r3}
    stm     r12, {r1-r3}
    dm_edges DM_TOPS
3:  @ rows that lie on the input
    ldr     r6, [sp, #DM_INNERS]
    subs    r6, #1
    bmi     4f
    str     r6, [sp, #DM_INNERS]
    add     r6, sp, #DM_INNER
    ldm     r6, {r0-r3, r6}
    ldrd    r4, r5, [sp, #DM_STEP]
    ldrd    r12, lr, [sp, #DM_DESTINATION]
    ldr     r7, [sp, #DM_ROW]
    add     r6, r3
    add     r7, r12
    str     r6, [sp, #DM_OFFSET]
    str     r7, [sp, #DM_DESTINATION]
    blx     lr
    b       3b
4:
    dm_edges DM_BOTTOMS
    ldr     lr, [sp, #DM_ZERO]
    ldrd    r8, r10, [sp, #DM_PARAMS]
    ldr     r11, [sp, #DM_BYTES]
    ldr     pc, [sp, #DM_BODY]
    .globl  bitrack_dw3_mapped
    .thumb_func
bitrack_dw3_mapped:
    add     r4, sp, #DM_BYTES
    ldm     r4, {r0-r4}
    blx     r4
    ldr     r4, [sp, #DM_ARGS]
    ldrd    r8, r9, [r4, #DM_IN_BYTES]
    ldr     r0, [r4, #DM_OFFSET]
    ldr     r1, [r4, #DM_BYTES + 4]
    ldr     r10, [r4, #DM_TOPS]
    ldr     r11, [r4, #DM_BOTTOMS]
    add     r0, r8
    add     r1, r9
    str     r0, [r4, #DM_OFFSET]
    str     r1, [r4, #DM_BYTES + 4]
    ldr     r5, [r4, #DM_EDGES]
    adds    r10, r11
    beq     7f
6:  @ a row at an edge moves on where it is input
    ldm     r5, {r0-r3, r6, r7}
    cbz     r3, 1f
    add     r0, r8
1:
    cbz     r6, 2f
    add     r1, r8
2:
    cbz     r7, 3f
    add     r2, r8
3:
    stm     r5, {r0-r2}
    add     r5, #32
    subs    r10, #1
    bne     6b
7:
    ldr     r0, [r4, #DM_QUADS]
    subs    r0, #1
    str     r0, [r4, #DM_QUADS]
    bne     5b
    add     sp, #DM_FRAME
    pop     {r4-r11, pc}
    .size   bitrack_dw3_map, . - bitrack_dw3_map

@ A row of outputs of one channel. Outputs take turns with two accumulators.
.macro dm_row n, at, pair_first, h
    dw_column 0, \at, \pair_first
    dw_left r8, \h
    dw_column 1, \at, \pair_first
    dw_middle r8, \h
    dw_left r9, \h
    .set DM_I, 2
  .rept \n
    dw_column DM_I, \at, \pair_first
    .if DM_I % 2 == 0
      dm_next r8, r9, \n, \h
    .else
      dm_next r9, r8, \n, \h
    .endif
    .set DM_I, DM_I + 1
  .endr
.endm

@ A column that is the right one of an output, the middle of the next and the left of the one behind.
.macro dm_next first, second, n, h
    dw_right \first, \h
    dw_finish \first
  .if DM_I <= \n
    dw_middle \second, \h
  .endif
  .if DM_I < \n
    dw_left \first, \h
  .endif
.endm

@ Two channels that lie alike in a column, twelve bytes apart: r8 weights, r10 strip, r11 outputs.
.macro dm_channels n, at, pair_first, h, index
1:
    ldm     r8, {r0-r5, r12}
2:
    dm_row \n, \at, \pair_first, \h
    ldr     r6, [sp, #DM_END]
    add     r10, #24 * (\n + 2)
    cmp     r10, r6
    blo     2b
    lsls    r6, r11, #31
    ldrd    r8, r10, [sp, #DM_PARAMS]
    ldr     r11, [sp, #DM_BYTES]
    bmi     3f
    add     r8, #28 * (\index + 1)
    add     r10, #12
    add     r11, #\index + 1
    b       1b
3:
.endm

.macro dm_body n
    .section .text.bitrack_dw3_map_\n, "ax", %progbits
    .p2align 2
    .globl  bitrack_dw3_map_\n
    .type   bitrack_dw3_map_\n, %function
    .thumb_func
bitrack_dw3_map_\n:
    dm_channels \n, 0, 1, b, 0
    add     r8, #56
    add     r11, #2
    dm_channels \n, 4, 0, t, 2
    b.w     bitrack_dw3_mapped
    .size   bitrack_dw3_map_\n, . - bitrack_dw3_map_\n
.endm

    dm_body 3
    dm_body 5
    dm_body 6
