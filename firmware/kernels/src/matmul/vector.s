@ All quads of output channels for one vector: pair.s with a single pixel, which leaves registers for longer loads.
@
@ A loop leaves the four channels a b c d in r3, r0 << p, r2 << q, r1 << p, without bias. r12 next weights, lr next activations,
@ r8..r11 activations.

    .syntax unified
    .thumb

@ Frame: `Layer`, then `Call`, of which the second pixel is not used.
    .equ VM_NEXT, 0
    .equ VM_ENTRY, 4
    .equ VM_AFTER, 8
    .equ VM_STORE, 12
    .equ VM_SHIFT, 16
    .equ VM_MASK, 20
    .equ VM_ZERO, 24
    .equ VM_CHANNELS, 28
    .equ VM_FIRST_END, 32
    .equ VM_COLUMNS, 36
    .equ VM_END, 40
    .equ VM_OUT, 44
    .equ VM_LAST, 52
    .equ VM_NEGATIVE, 56
    .equ VM_BLOCK_END, 64
@ Sums of the blocks before, in the order of r0 to r3.
    .equ VM_TOTALS, 68
    .equ VM_FRAME, 84

@ Bytes of activations in a whole block.
    .equ VM_BLOCK, 512

.macro vm_channel acc, position
    ldrd    r8, r9, [lr], #8
  .if \position
    add     \acc, r8, \acc, asr #\position
  .else
    add     \acc, r8
  .endif
    smmlar  \acc, \acc, r9, r10
.endm

.macro vm_scale position, c=0
    ldrd    r10, lr, [sp, #VM_ZERO]
    vm_channel r3, 0
    vm_channel r0, \position
    vm_channel r2, \c
    vm_channel r1, \position
    ldr     r8, [sp, #VM_OUT]
    ldr     pc, [sp, #VM_STORE]
.endm

.macro vm_label name
    .globl  bitrack_\name
    .type   bitrack_\name, %function
    .thumb_func
bitrack_\name\():
.endm

.macro vm_section name
    .section .text.bitrack_\name, "ax", %progbits
    .p2align 2
    vm_label \name
.endm

@ void bitrack_vector(const Layer *, const Call *)
    vm_section vector
    push    {r4-r11, lr}
    sub     sp, #VM_FRAME
    ldm     r0, {r2-r8}
    stm     sp, {r2-r8}
    add     r0, sp, #VM_CHANNELS
    ldm     r1, {r2-r10, r12}
    stm     r0, {r2-r10}
    str     r3, [sp, #VM_BLOCK_END]
    movs    r0, #0
    strd    r0, r0, [sp, #VM_TOTALS]
    strd    r9, r9, [sp, #VM_TOTALS + 8]
    ldr     pc, [sp, #VM_NEXT]

@ Clamps, packs and stores a quad of outputs; r8 where to. Then the next quad.
.macro vm_store o
    vm_section vector_store\o
    usat    r3, #\o, r3
    usat    r0, #\o, r0
    usat    r2, #\o, r2
    usat    r1, #\o, r1
    orr     r3, r3, r0, lsl #\o
    orr     r3, r3, r2, lsl #2 * \o
    orr     r3, r3, r1, lsl #3 * \o
  .if \o == 8
    str     r3, [r8], #4
  .elseif \o == 4
    strh    r3, [r8], #2
  .else
    strb    r3, [r8], #1
  .endif
    ldr     r0, [sp, #VM_LAST]
    str     lr, [sp, #VM_CHANNELS]
    str     r8, [sp, #VM_OUT]
    cmp     lr, r0
    beq     1f
    ldr     pc, [sp, #VM_NEXT]
1:
    add     sp, #VM_FRAME
    pop     {r4-r11, pc}
.endm

    vm_store 2
    vm_store 4
    vm_store 8

@ After the last of several blocks, or where there is a shift: r0 to r3 hold a block's sums, b and d unshifted.
    vm_section vector_totals
    ldr     r10, [sp, #VM_NEGATIVE]
    mov     r8, #0
    ldr     r9, [sp, #VM_FIRST_END]
    strd    r8, r8, [sp, #VM_TOTALS]
    strd    r10, r10, [sp, #VM_TOTALS + 8]
    str     r9, [sp, #VM_BLOCK_END]
    ldr     lr, [sp, #VM_CHANNELS]
    ldr     r10, [sp, #VM_ZERO]
    ldr     r11, [sp, #VM_SHIFT]
.macro vm_shifted acc, index
    ldrd    r8, r9, [lr, #8 * \index]
    add     \acc, r8
    lsl     \acc, \acc, r11
    smmlar  \acc, \acc, r9, r10
.endm
    vm_shifted r3, 0
    vm_shifted r0, 1
    vm_shifted r2, 2
    vm_shifted r1, 3
    add     lr, #32
    ldr     r8, [sp, #VM_OUT]
    ldr     pc, [sp, #VM_STORE]

@ At the end of a block: adds b and d to those of earlier blocks; then on to the next block, or to the totals.
.macro vm_end_of_block position
    ldrd    r8, r9, [sp, #VM_TOTALS]
    add     r0, r8, r0, asr #\position
    add     r1, r9, r1, asr #\position
    ldr     r8, [sp, #VM_END]
    cmp     lr, r8
    bne     1f
    b.w     bitrack_vector_totals
1:
    ldr     r8, [sp, #VM_BLOCK_END]
    strd    r0, r1, [sp, #VM_TOTALS]
    add     r8, #VM_BLOCK
    str     r8, [sp, #VM_BLOCK_END]
.endm

@ `units` of eight values, and the end of a block.
.macro vm_round name, units, unit
    ldr     lr, [sp, #VM_COLUMNS]
    ldr     pc, [sp, #VM_ENTRY]
    .p2align 2
    vm_label vector_\name\()_loop
5:
  .rept \units
    \unit
  .endr
    vm_label vector_\name\()_loop_end
.endm

.macro vm_round_end name
    ldr     r8, [sp, #VM_BLOCK_END]
    cmp     lr, r8
    bne.w   5b
    ldr     pc, [sp, #VM_AFTER]
    .p2align 2
    vm_label vector_\name\()_finish
.endm

@ ---- 8-bit weights: [b|a] and [d|c] in a half; r4..r7 weights.

.macro vm_step8 ba, dc, x
    smlad   r0, \ba, \x, r0
    uxtb16  \ba, \ba
    smlad   r3, \ba, \x, r3
    smlad   r1, \dc, \x, r1
    uxtb16  \dc, \dc
    smlad   r2, \dc, \x, r2
.endm

@ Two groups of four values: 27 instructions for 32 multiply-accumulates.
.macro vm_unit8
    ldm.w   r12!, {r4-r7}
    ldm.w   lr!, {r8-r11}
    vm_step8 r4, r5, r8
    vm_step8 r6, r7, r9
    ldm.w   r12!, {r4-r7}
    vm_step8 r4, r5, r10
    vm_step8 r6, r7, r11
.endm

.macro vm_separate8
    sub     r0, r0, r3
    sub     r1, r1, r2
.endm

    vm_section vector_w8
    ldr     r3, [sp, #VM_NEGATIVE]
    mov     r0, r3
    mov     r1, r3
    mov     r2, r3
    vm_round w8, 4 / MM_PARTS, vm_unit8
    vm_round_end w8
    vm_separate8
    vm_scale 8
    vm_section vector_w8_block
    vm_separate8
    vm_end_of_block 8
    mov     r0, r3
    mov     r1, r2
    b.w     bitrack_vector_w8_loop

@ ---- 4-bit weights: r0 a + 4096 b, r1 c + 4096 d, r2 a + 256 c; r3 mask, r4 r5 weights.

.macro vm_step4 w, x
    and     r6, r3, \w
    smlad   r0, r6, \x, r0
    and     r6, r3, \w, ror #8
    smlad   r1, r6, \x, r1
    and     \w, \w, #0x0F0F0F0F
    smlad   r2, \w, \x, r2
.endm

@ 27 instructions for 32 multiply-accumulates.
.macro vm_unit4
    ldm.w   r12!, {r4, r5}
    ldm.w   lr!, {r8-r11}
    vm_step4 r4, r8
    vm_step4 r5, r9
    ldm.w   r12!, {r4, r5}
    vm_step4 r4, r10
    vm_step4 r5, r11
.endm

@ As mm_decode4: a in r3, 256 c in r2; the offset of the stored weights in r9.
.macro vm_decode4
    sub     r8, r2, r1, lsl #8
    ldr     r9, [sp, #VM_NEGATIVE]
    ubfx    r3, r8, #0, #20
    sub     r2, r2, r3
    sub     r0, r0, r3
    sub     r1, r1, r2, lsr #8
.endm

.macro vm_start4
    movs    r0, #0
    movs    r1, #0
    movs    r2, #0
    ldr     r3, [sp, #VM_MASK]
.endm

    vm_section vector_w4
    vm_start4
    ldr     r7, [sp, #VM_FIRST_END]
    vm_round w4, 8 / MM_PARTS, vm_unit4
    cmp     lr, r7
    bne.w   5b
    ldr     pc, [sp, #VM_AFTER]
    .p2align 2
    vm_label vector_w4_finish
    vm_decode4
    add     r3, r9
    add     r2, r2, r9, lsl #8
    vm_scale 12, 8
    vm_section vector_w4_block
    vm_decode4
    ldrd    r10, r11, [sp, #VM_TOTALS + 8]
    add     r2, r10, r2, lsr #8
    add     r3, r11
    vm_end_of_block 12
    strd    r2, r3, [sp, #VM_TOTALS + 8]
    vm_start4
    ldr     r7, [sp, #VM_BLOCK_END]
    b.w     bitrack_vector_w4_loop

@ ---- Two sums in one accumulator: r0 a + 2^p b, r1 c + 2^p d; the lower ones go to r3 and r2 every sixteen values.
@ r4 mask, r6 r7 weights.

@ 19 instructions for 32 multiply-accumulates.
.macro vm_packed4
    ldm.w   r12!, {r6, r7}
    ldm.w   lr!, {r8-r11}
    and     r5, r4, r6
    smlad   r0, r5, r8, r0
    and     r6, r4, r6, ror #8
    smlad   r1, r6, r8, r1
    and     r5, r4, r7
    smlad   r0, r5, r9, r0
    and     r7, r4, r7, ror #8
    smlad   r1, r7, r9, r1
    ldm.w   r12!, {r6, r7}
    and     r5, r4, r6
    smlad   r0, r5, r10, r0
    and     r6, r4, r6, ror #8
    smlad   r1, r6, r10, r1
    and     r5, r4, r7
    smlad   r0, r5, r11, r0
    and     r7, r4, r7, ror #8
    smlad   r1, r7, r11, r1
.endm

.macro vm_step2 w, x0, x1
    and     r5, r4, \w
    smlad   r0, r5, \x0, r0
    and     r5, r4, \w, ror #4
    smlad   r1, r5, \x0, r1
    and     r5, r4, \w, ror #8
    smlad   r0, r5, \x1, r0
    and     r5, r4, \w, ror #12
    smlad   r1, r5, \x1, r1
.endm

@ 18 instructions for 32 multiply-accumulates.
.macro vm_packed2
    ldm.w   r12!, {r6, r7}
    ldm.w   lr!, {r8-r11}
    vm_step2 r6, r8, r9
    vm_step2 r7, r10, r11
.endm

.macro vm_lower acc, to, position
    ubfx    r5, \acc, #0, #\position
    add     \to, r5
    sub     \acc, r5
.endm

.macro vm_packed name, unit, position
    vm_section vector_\name
    movs    r0, #0
    movs    r1, #0
    ldr     r2, [sp, #VM_NEGATIVE]
    ldr     r4, [sp, #VM_MASK]
    mov     r3, r2
    vm_round \name, 2, \unit
    vm_lower r0, r3, \position
    vm_lower r1, r2, \position
    vm_round_end \name
    vm_scale \position
    vm_section vector_\name\()_block
    vm_end_of_block \position
    movs    r0, #0
    movs    r1, #0
    b.w     bitrack_vector_\name\()_loop
.endm

@ 4-bit weights, activations below 8 bits; 2-bit weights, any activations.
    vm_packed w4_narrow, vm_packed4, 12
    vm_packed w2, vm_packed2, 14
