@ Depthwise kernels of any size, four channels of a strip of columns: expand, filter, store. See any/cortex_m.rs for the arguments.
@
@ A strip holds one channel behind the other, and the words under a window side by side: the window of an output is a list of
@ words as long as the list of weights, and the next one begins a fixed number of words behind it, whatever the kernel and the stride.

    .syntax unified
    .thumb

.macro da_begin name
    .section .text.bitrack_dwa_\name, "ax", %progbits
    .p2align 2
    .globl  bitrack_dwa_\name
    .type   bitrack_dwa_\name, %function
    .thumb_func
bitrack_dwa_\name:
.endm

.macro da_end name
    .size   bitrack_dwa_\name, . - bitrack_dwa_\name
.endm

@ r0 = Pair: two pixels after the other to one word of each channel. r0 r1 pixels; r2 r3 their steps; r4 lr bytes to the next channel
@ and to the last one; r5 bytes to the next column; r6 destination; r7 columns.
.macro da_expand bits
    da_begin expand_b\bits
    push    {r4-r11, lr}
    ldm     r0, {r0-r7}
    add     lr, r4, r4, lsl #1
  .if \bits == 4
    mov     r12, #0x000F000F
  .elseif \bits == 2
    mov     r12, #0x00030003
  .endif
1:
  .if \bits == 8
    ldr     r8, [r0]
    ldr     r10, [r1]
    add     r0, r2
    add     r1, r3
    uxtb16  r9, r8, ror #8
    uxtb16  r8, r8
    uxtb16  r11, r10, ror #8
    uxtb16  r10, r10
    pkhbt   r12, r8, r10, lsl #16
    pkhtb   r8, r10, r8, asr #16
    str     r12, [r6]
    str     r8, [r6, r4, lsl #1]
    pkhbt   r12, r9, r11, lsl #16
    pkhtb   r9, r11, r9, asr #16
    str     r12, [r6, r4]
    str     r9, [r6, lr]
  .else
    .if \bits == 4
    ldrh    r8, [r0]
    ldrh    r9, [r1]
    .else
    ldrb    r8, [r0]
    ldrb    r9, [r1]
    .endif
    add     r0, r2
    add     r1, r3
    orr     r8, r8, r9, lsl #16
    and     r9, r12, r8
    and     r10, r12, r8, lsr #\bits
    and     r11, r12, r8, lsr #2 * \bits
    and     r8, r12, r8, lsr #3 * \bits
    str     r9, [r6]
    str     r10, [r6, r4]
    str     r11, [r6, r4, lsl #1]
    str     r8, [r6, lr]
  .endif
    add     r6, r5
    subs    r7, #1
    bne     1b
    pop     {r4-r11, pc}
    da_end  expand_b\bits
.endm

    da_expand 8
    da_expand 4
    da_expand 2

@ r0 r1 two taps of four channels, signed; r2 where they go for the first channel; r3 bytes to the next one: a pair of each.
    da_begin weights
    push    {r4, lr}
    sxtb16  r4, r0, ror #8
    sxtb16  r0, r0
    sxtb16  lr, r1, ror #8
    sxtb16  r1, r1
    pkhbt   r12, r0, r1, lsl #16
    pkhtb   r1, r1, r0, asr #16
    str     r12, [r2]
    str     r1, [r2, r3, lsl #1]
    pkhbt   r12, r4, lr, lsl #16
    pkhtb   lr, lr, r4, asr #16
    add     r2, r3
    str     r12, [r2]
    str     lr, [r2, r3, lsl #1]
    pop     {r4, pc}
    da_end  weights

@ r0 words; r1 their number; r2 what becomes of them.
    da_begin fill
    cbz     r1, 2f
1:
    str     r2, [r0], #4
    subs    r1, #1
    bne     1b
2:
    bx      lr
    da_end  fill

@ r0 words of two weights; r1 their number; r2 where the same go a weight further up.
    da_begin second
    movs    r3, #0
1:
    ldr     r12, [r0], #4
    lsrs    r3, r3, #16
    orr     r3, r3, r12, lsl #16
    str     r3, [r2], #4
    mov     r3, r12
    subs    r1, #1
    bne     1b
    bx      lr
    da_end  second

@ Frame of `pass`, filled from `Pass`.
    .equ DA_WINDOW, 0
    .equ DA_PARAMS, 8
    .equ DA_MULT, 16
    .equ DA_ADVANCE, 24
    .equ DA_AT, 28
    .equ DA_WEIGHTS, 32
    .equ DA_MORE, 40
    .equ DA_NEXT, 44
    .equ DA_CHANNEL, 52
    .equ DA_START, 60
    .equ DA_FOURS, 64
    .equ DA_END, 68
    .equ DA_BYTES, 76
    .equ DA_FRAME, 104

@ Two words of an output's window by those of weights in r8 and r9.
.macro da_two acc, window, start
    ldm     \window!, {r10, r11}
    smlad   \acc, r10, r8, \start
    smlad   \acc, r11, r9, \acc
.endm

@ r0 = Pass: all channels of a row of outputs. Four outputs at a time: r0 to r3 accumulators; r4 to r7 windows; r8 r9 weights;
@ r10 r11 values; r12 the weights' place; lr the bias, then pairs of words left.
    da_begin pass
    push    {r4-r11, lr}
    sub     sp, #DA_FRAME
    mov     r12, sp
    ldm     r0!, {r1-r11}
    stm     r12!, {r1-r11}
    ldm     r0!, {r1-r11}
    stm     r12!, {r1-r11}
    ldm     r0, {r1-r4}
    stm     r12, {r1-r4}
1:  @ a channel
    ldm     sp, {r4-r7}
    ldr     r11, [sp, #DA_START]
    ldrd    r8, r9, [r6]
    add     r6, r7
    str     r9, [sp, #DA_MULT]
    strd    r6, r8, [sp, #DA_WEIGHTS]
    ldr     r8, [sp, #DA_FOURS]
    add     r6, r4, r5, lsl #1
    add     r7, r6, r5
    add     r5, r4
    str     r11, [sp, #DA_AT]
    cmp     r11, r8
    beq     5f
2:  @ four outputs
    ldrd    r12, lr, [sp, #DA_WEIGHTS]
    ldm     r12!, {r8, r9}
    da_two  r0, r4, lr
    da_two  r1, r5, lr
    da_two  r2, r6, lr
    da_two  r3, r7, lr
    ldr     lr, [sp, #DA_MORE]
    cmp     lr, #0
    beq     4f
3:
    ldm     r12!, {r8, r9}
    da_two  r0, r4, r0
    da_two  r1, r5, r1
    da_two  r2, r6, r2
    da_two  r3, r7, r3
    subs    lr, #1
    bne     3b
4:
    ldrd    r8, r9, [sp, #DA_MULT]
    ldrd    r10, r11, [sp, #DA_ADVANCE]
    smmlar  r0, r0, r8, r9
    smmlar  r1, r1, r8, r9
    smmlar  r2, r2, r8, r9
    smmlar  r3, r3, r8, r9
    usat    r0, #8, r0
    usat    r1, #8, r1
    usat    r2, #8, r2
    usat    r3, #8, r3
    strb    r0, [r11], #4
    strb    r1, [r11], #4
    strb    r2, [r11], #4
    strb    r3, [r11], #4
    ldr     r8, [sp, #DA_FOURS]
    str     r11, [sp, #DA_AT]
    add     r4, r10
    add     r5, r10
    add     r6, r10
    add     r7, r10
    cmp     r11, r8
    bne     2b
5:  @ one output at a time, with the shift that few layers have: r1 pairs of words left; r2 r3 values; r5 to the next window; r6 shift
    ldrd    r5, r6, [sp, #DA_NEXT]
    ldr     r7, [sp, #DA_END]
    ldrd    r10, lr, [sp, #DA_MULT]
    cmp     r11, r7
    bhs     8f
6:
    ldrd    r12, r0, [sp, #DA_WEIGHTS]
    ldr     r1, [sp, #DA_MORE]
7:
    ldm     r12!, {r8, r9}
    ldm     r4!, {r2, r3}
    smlad   r0, r2, r8, r0
    smlad   r0, r3, r9, r0
    subs    r1, #1
    bpl     7b
    lsl     r0, r0, r6
    smmlar  r0, r0, r10, lr
    usat    r0, #8, r0
    strb    r0, [r11], #4
    add     r4, r5
    cmp     r11, r7
    blo     6b
8:
    ldrd    r8, r9, [sp, #DA_CHANNEL]
    ldr     r4, [sp, #DA_WINDOW]
    ldr     r5, [sp, #DA_PARAMS]
    add     r12, sp, #DA_START
    add     r4, r8
    add     r5, r9
    str     r4, [sp, #DA_WINDOW]
    str     r5, [sp, #DA_PARAMS]
    ldm     r12, {r0-r3}
    adds    r0, #1
    adds    r1, #1
    adds    r2, #1
    subs    r3, #1
    stm     r12, {r0-r3}
    bne     1b
    add     r12, sp, #DA_BYTES
    ldm     r12, {r0-r4, r6, r7}
    blx     r7
    add     sp, #DA_FRAME
    pop     {r4-r11, pc}
    da_end  pass

@ As `dw_store` for a quad that is not whole: r4 a mask of the channels that there are, r6 their bytes, fewer than four; clobbers r7 r8.
.macro da_store bits
    da_begin store_b\bits
  .if \bits == 4
    mov     r5, #0xF0F0F0F0
  .elseif \bits == 2
    mov     r5, #0xFCFCFCFC
  .endif
    and     r8, r6, #2
1:
    ldr     r12, [r0], #4
  .if \bits != 8
    uqadd8  r12, r12, r5
    usub8   r12, r12, r5
  .endif
    and     r12, r4
  .if \bits == 4
    orr     r12, r12, r12, lsr #4
    uxtb16  r12, r12
    orr     r12, r12, r12, lsr #8
  .elseif \bits == 2
    orr     r12, r12, r12, lsr #6
    orr     r12, r12, r12, lsr #12
  .endif
  .if \bits == 2
    strb    r12, [r1]
  .else
    @ Carry: two bytes; negative: one more.
    lsls    r7, r6, #31
    itt     cs
    strhcs  r12, [r1]
    lsrcs   r12, r12, #16
    it      mi
    strbmi  r12, [r1, r8]
  .endif
    add     r1, r2
    subs    r3, #1
    bne     1b
    bx      lr
    da_end  store_b\bits
.endm

    da_store 8
    da_store 4
    da_store 2
