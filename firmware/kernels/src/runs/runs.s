@ Runs of quads, four channels a round, for operators without weights: see mod.rs. A quad is loaded to the bytes of a word and
@ stored from them by a routine that the caller names, so that one loop serves all widths.

    .syntax unified
    .thumb

.macro ru_begin name
    .section .text.bitrack_\name, "ax", %progbits
    .p2align 2
    .globl  bitrack_\name
    .type   bitrack_\name, %function
    .thumb_func
bitrack_\name:
.endm

.macro ru_end name
    .size   bitrack_\name, . - bitrack_\name
.endm

@ Four packed fields of `to` become its bytes. Crossed, channels 1 and 2 change places, which saves an instruction or two.
.macro ru_spread bits, crossed, to
  .if \bits == 4
    .if \crossed
      orr   \to, \to, \to, lsl #12
    .else
      orr   \to, \to, \to, lsl #8
      and   \to, \to, #0x00FF00FF
      orr   \to, \to, \to, lsl #4
    .endif
    and     \to, \to, #0x0F0F0F0F
  .elseif \bits == 2
    .if \crossed
      orr   \to, \to, \to, lsl #4
      orr   \to, \to, \to, lsl #14
    .else
      orr   \to, \to, \to, lsl #12
      and   \to, \to, #0x000F000F
      orr   \to, \to, \to, lsl #6
    .endif
    and     \to, \to, #0x03030303
  .endif
.endm

@ A quad of `from` to `to`; `from` moves on by `by`, a register or an immediate.
.macro ru_load bits, crossed, to, from, by
  .if \bits == 8
    ldr     \to, [\from]
  .elseif \bits == 4
    ldrh    \to, [\from]
  .else
    ldrb    \to, [\from]
  .endif
    add     \from, \by
    ru_spread \bits, \crossed, \to
    bx      lr
.endm

@ Loaders of `sum` and `max`: from r0, by r1, to r12.
.macro ru_strided bits
    ru_begin load_strided_b\bits
    ru_load \bits, 0, r12, r0, r1
    ru_end load_strided_b\bits
.endm

@ Loaders of `add`: quads side by side, from r0 to r10 and from r1 to r11.
.macro ru_dense name, bits, crossed
    ru_begin load_first_\name
    ru_load \bits, \crossed, r10, r0, #\bits / 2
    ru_end load_first_\name
    ru_begin load_second_\name
    ru_load \bits, \crossed, r11, r1, #\bits / 2
    ru_end load_second_\name
.endm

    ru_strided 8
    ru_strided 4
    ru_strided 2
    ru_dense b8, 8, 0
    ru_dense b4, 4, 0
    ru_dense b2, 2, 0
    ru_dense crossed_b4, 4, 1
    ru_dense crossed_b2, 2, 1

@ r0 first quad, r1 step, r2 count, r3 loader: sums of bytes 0 and 2 in the halves of r0, of bytes 1 and 3 in those of r1.
    ru_begin sum_quads
    push    {r4, r5, lr}
    movs    r4, #0
    movs    r5, #0
1:
    blx     r3
    uxtab16 r4, r4, r12
    uxtab16 r5, r5, r12, ror #8
    subs    r2, #1
    bne     1b
    mov     r0, r4
    mov     r1, r5
    pop     {r4, r5, pc}
    ru_end sum_quads

@ r0 first quad, r1 step, r2 count, r3 loader: the largest of each byte in r0.
    ru_begin max_quads
    push    {r4, r5, lr}
    movs    r4, #0
1:
    blx     r3
    usub8   r5, r4, r12
    sel     r4, r4, r12
    subs    r2, #1
    bne     1b
    mov     r0, r4
    pop     {r4, r5, pc}
    ru_end max_quads

@ Frame of `add_quads`, filled from `Frame` in cortex_m.rs. Behind what is held in registers:
    .equ RU_STORE, 0
    .equ RU_OUT_END, 4
    .equ RU_ABOVE, 8
    .equ RU_BELOW, 12
    .equ RU_MIN, 16
    .equ RU_FRAME, 24

@ One channel of r10 and r11, `at` bits up, to `to`.
.macro ru_channel at, to
    uxtb    lr, r10, ror #\at
    uxtb    r6, r11, ror #\at
    mla     lr, lr, r7, r9
    mla     lr, r6, r8, lr
    asr     lr, lr, r3
    usat    \to, #8, lr
.endm

@ r0 = Frame. Registers: r0 r1 inputs; r2 output; r3 shift; r4 r5 loaders; r7 r8 factors; r9 bias; r10 r11 a quad of either
@ input; r12 of the output; r6 lr scratch.
    ru_begin add_quads
    push    {r4-r11, lr}
    sub     sp, #RU_FRAME
    add     r12, r0, #36
    ldm     r12, {r6-r10}
    stm     sp, {r6-r10}
    ldm     r0, {r0-r5, r7-r9}
1:
    blx     r4
    blx     r5
    ru_channel 0, r12
    ru_channel 8, lr
    orr     r12, r12, lr, lsl #8
    ru_channel 16, lr
    orr     r12, r12, lr, lsl #16
    ru_channel 24, lr
    ldr     r6, [sp, #RU_STORE]
    orr     r12, r12, lr, lsl #24
    blx     r6
    ldr     r6, [sp, #RU_OUT_END]
    cmp     r2, r6
    bne     1b
    add     sp, #RU_FRAME
    pop     {r4-r11, pc}
    ru_end add_quads

@ Stores of `add`: the bytes of r12, clamped to a range, to r2.
.macro ru_store name, bits, crossed, from_zero
    ru_begin store_\name
  .if \from_zero
    ldr     r10, [sp, #RU_ABOVE]
    uqadd8  r12, r12, r10
    usub8   r12, r12, r10
  .else
    ldrd    r10, r11, [sp, #RU_ABOVE]
    ldr     r6, [sp, #RU_MIN]
    uqadd8  r12, r12, r10
    uqsub8  r12, r12, r11
    uadd8   r12, r12, r6
  .endif
  .if \bits == 8
    str     r12, [r2], #4
  .elseif \bits == 4
    .if \crossed
      orr   r12, r12, r12, lsr #12
    .else
      orr   r12, r12, r12, lsr #4
      uxtb16 r12, r12
      orr   r12, r12, r12, lsr #8
    .endif
    strh    r12, [r2], #2
  .else
    .if \crossed
      orr   r12, r12, r12, lsr #14
      orr   r12, r12, r12, lsr #4
    .else
      orr   r12, r12, r12, lsr #6
      orr   r12, r12, r12, lsr #12
    .endif
    strb    r12, [r2], #1
  .endif
    bx      lr
    ru_end store_\name
.endm

    ru_store b8, 8, 0, 0
    ru_store b4, 4, 0, 0
    ru_store b2, 2, 0, 0
    ru_store crossed_b4, 4, 1, 1
    ru_store crossed_b2, 2, 1, 1

@ The same where the range is all that a byte holds.
    ru_begin store_all_b8
    str     r12, [r2], #4
    bx      lr
    ru_end store_all_b8
