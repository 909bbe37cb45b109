@ All quads of output channels for one vector: quads.s with a single pixel, which leaves registers for longer loads.
@
@ Registers in the inner loop: r0 r1 r2 r3 accumulators of channels a b c d; r4..r7 weights; r8..r11 activations;
@ r12 next weights; lr next activations.

    .syntax unified
    .thumb

@ Frame, filled from `Frame` in cortex_m.rs.
    .equ VM_COLUMNS, 0
    .equ VM_CHUNK_END, 4
    .equ VM_ENTRY, 8
    .equ VM_SUM, 12
    .equ VM_OUT, 20
    .equ VM_CHANNELS, 28
    .equ VM_QUADS, 32
    .equ VM_RARE, 36
    .equ VM_ZERO, 40
    .equ VM_END, 44
    .equ VM_FIRST_END, 48
    .equ VM_SHIFT, 52
    .equ VM_PARTIAL, 56
@ Where a quad is stored: the epilogue for the output's bits.
    .equ VM_STORE, 72
    .equ VM_FRAME, 80

@ A step of 8-bit weights: words [b|a] and [d|c].
.macro vm_step8 ba, dc, x
    smlad   r1, \ba, \x, r1
    uxtb16  \ba, \ba
    smlad   r0, \ba, \x, r0
    smlad   r3, \dc, \x, r3
    uxtb16  \dc, \dc
    smlad   r2, \dc, \x, r2
.endm

@ Two groups of four values, 8-bit weights: 27 instructions for 32 multiply-accumulates.
.macro vm_unit8
    ldm.w   r12!, {r4-r7}
    ldm.w   lr!, {r8-r11}
    vm_step8 r4, r5, r8
    vm_step8 r6, r7, r9
    ldm.w   r12!, {r4-r7}
    vm_step8 r4, r5, r10
    vm_step8 r6, r7, r11
.endm

.macro vm_step4 w, x
    smlad   r3, \w, \x, r3
    bic     \w, \w, #0xF000F000
    smlad   r2, \w, \x, r2
    uxtb16  \w, \w
    smlad   r1, \w, \x, r1
    and     \w, \w, #0x000F000F
    smlad   r0, \w, \x, r0
.endm

@ 4-bit weights: 30 instructions.
.macro vm_unit4
    ldm.w   r12!, {r4-r7}
    ldm.w   lr!, {r8-r11}
    vm_step4 r4, r8
    vm_step4 r5, r9
    vm_step4 r6, r10
    vm_step4 r7, r11
.endm

.macro vm_step2 x
    smlad   r3, r6, \x, r3
    bic     r6, r6, #0x00C000C0
    smlad   r2, r6, \x, r2
    bic     r6, r6, #0x00300030
    smlad   r1, r6, \x, r1
    bic     r6, r6, #0x000C000C
    smlad   r0, r6, \x, r0
.endm

@ 2-bit weights: 34 instructions.
.macro vm_unit2
    ldm.w   r12!, {r4, r5}
    ldm.w   lr!, {r8-r11}
    uxtb16  r6, r4
    vm_step2 r8
    uxtb16  r6, r4, ror #8
    vm_step2 r9
    uxtb16  r6, r5
    vm_step2 r10
    uxtb16  r6, r5, ror #8
    vm_step2 r11
.endm

.macro vm_start w
    ldr     r8, [sp, #VM_CHANNELS]
    ldr     r9, [sp, #VM_SUM]
    ldr     r10, [r8]
    sub     r0, r10, r9
    mov     r1, r0
  .if \w == 8
    ldr     r10, [r8, #16]
    sub     r2, r10, r9
    mov     r3, r2
  .else
    mov     r2, r0
    mov     r3, r0
  .endif
.endm

.macro vm_separate w
  .if \w == 8
    sub     r1, r1, r0
    sub     r3, r3, r2
  .else
    sub     r3, r3, r2
    sub     r2, r2, r1
    sub     r1, r1, r0
  .endif
.endm

@ acc = bias + (acc >> position), less the stored offset if there is one (in r9).
.macro vm_place acc, bias, position, offset
    ldr     r8, [lr, #\bias]
  .if \offset
    sub     r8, r8, r9
  .endif
    add     \acc, r8, \acc, asr #\position
.endm

.macro vm_finish w
    ldr     lr, [sp, #VM_CHANNELS]
  .if \w == 8
    vm_place r1, 8, 8, 0
    vm_place r3, 24, 8, 0
  .else
    ldr     r9, [sp, #VM_SUM]
    .if \w == 4
      vm_place r1, 8, 4, 1
      vm_place r2, 16, 8, 1
      vm_place r3, 24, 12, 0
    .else
      vm_place r1, 8, 2, 1
      vm_place r2, 16, 4, 1
      vm_place r3, 24, 6, 1
    .endif
  .endif
.endm

.macro vm_leave acc, slot, position
    ldr     r8, [sp, #VM_PARTIAL + \slot]
    add     r8, r8, \acc, asr #\position
    str     r8, [sp, #VM_PARTIAL + \slot]
.endm

@ r9 = 0
.macro vm_recall acc, slot
    ldr     r8, [sp, #VM_PARTIAL + \slot]
    add     \acc, \acc, r8
    str     r9, [sp, #VM_PARTIAL + \slot]
.endm

@ Clamps, packs and stores a quad of outputs.
.macro vm_store o
    usat    r0, #\o, r0
    usat    r1, #\o, r1
    usat    r2, #\o, r2
    usat    r3, #\o, r3
    orr     r0, r0, r1, lsl #\o
    orr     r0, r0, r2, lsl #2 * \o
    orr     r0, r0, r3, lsl #3 * \o
  .if \o == 8
    str     r0, [r8], #4
  .elseif \o == 4
    strh    r0, [r8], #2
  .else
    strb    r0, [r8], #1
  .endif
.endm

.macro vm_kernel w
    .section .text.bitrack_vector_w\w\(), "ax", %progbits
    .p2align 2
    .globl  bitrack_vector_w\w
    .type   bitrack_vector_w\w\(), %function
    .thumb_func
bitrack_vector_w\w\():
    push    {r4-r11, lr}
    sub     sp, #VM_FRAME
    ldm     r0!, {r1-r12}
    stm     sp, {r1-r12}
    ldm     r0, {r1, r2, r12}
    strd    r1, r2, [sp, #VM_FIRST_END]
    ldr     r3, [r0, #12]
    adr.w   r1, 8f
    cmp     r3, #4
    it      eq
    adreq.w r1, 9f
    it      lt
    adrlt.w r1, 10f
    orr     r1, r1, #1
    str     r1, [sp, #VM_STORE]
    movs    r4, #0
    strd    r4, r4, [sp, #VM_PARTIAL]
    strd    r4, r4, [sp, #VM_PARTIAL + 8]
    ldr     r1, [sp, #VM_ENTRY]
    ldr     r2, 7f
    lsr     r2, r2, #2
    adr.w   r3, 1f
    mla     r1, r1, r2, r3
    orr     r1, r1, #1
    str     r1, [sp, #VM_ENTRY]
2:  @ a quad
    vm_start \w
    ldr     lr, [sp, #VM_COLUMNS]
    ldr     pc, [sp, #VM_ENTRY]
    .p2align 2
1:  @ four units of two groups
  .rept 4
    vm_unit\w
  .endr
3:
    ldr     r8, [sp, #VM_CHUNK_END]
    cmp     lr, r8
    bne     1b
    ldr     r8, [sp, #VM_RARE]
    vm_separate \w
    cmp     r8, #0
    bne     5f
    vm_finish \w
4:  @ requantize
    ldr     r8, [sp, #VM_ZERO]
    ldr     r4, [lr, #4]
    ldr     r5, [lr, #12]
    ldr     r6, [lr, #20]
    ldr     r7, [lr, #28]
    add     lr, #32
    str     lr, [sp, #VM_CHANNELS]
    smmlar  r0, r0, r4, r8
    smmlar  r1, r1, r5, r8
    smmlar  r2, r2, r6, r8
    smmlar  r3, r3, r7, r8
    ldr     r8, [sp, #VM_OUT]
    ldr     pc, [sp, #VM_STORE]
    .p2align 2
9:
    vm_store 4
    b       11f
    .p2align 2
10:
    vm_store 2
    b       11f
    .p2align 2
8:
    vm_store 8
11: @ the next quad
    ldr     r0, [sp, #VM_QUADS]
    str     r8, [sp, #VM_OUT]
    subs    r0, #1
    str     r0, [sp, #VM_QUADS]
    bne.w   2b
    add     sp, #VM_FRAME
    pop     {r4-r11, pc}
5:  @ more than one chunk, or a shift
    ldr     r8, [sp, #VM_END]
    cmp     lr, r8
    beq     6f
  .if \w == 8
    vm_leave r1, 0, 8
    vm_leave r3, 8, 8
    mov     r3, r2
  .else
    .if \w == 4
      vm_leave r1, 0, 4
      vm_leave r2, 4, 8
      vm_leave r3, 8, 12
    .else
      vm_leave r1, 0, 2
      vm_leave r2, 4, 4
      vm_leave r3, 8, 6
    .endif
    mov     r2, r0
    mov     r3, r0
  .endif
    mov     r1, r0
    add     r8, lr, #512
    str     r8, [sp, #VM_CHUNK_END]
    b.w     1b
6:  @ the last chunk
    ldr     r8, [sp, #VM_FIRST_END]
    str     r8, [sp, #VM_CHUNK_END]
    vm_finish \w
    mov     r9, #0
    vm_recall r1, 0
  .if \w != 8
    vm_recall r2, 4
  .endif
    vm_recall r3, 8
    ldr     r8, [sp, #VM_SHIFT]
    lsl     r0, r0, r8
    lsl     r1, r1, r8
    lsl     r2, r2, r8
    lsl     r3, r3, r8
    b       4b
    .p2align 2
7:  @ bytes of four units
    .word   3b - 1b
    .size   bitrack_vector_w\w\(), . - bitrack_vector_w\w
.endm

    vm_kernel 8
    vm_kernel 4
    vm_kernel 2
