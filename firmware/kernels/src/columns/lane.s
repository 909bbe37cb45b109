@ Groups of values to one lane of a column buffer: see lane.rs.
@
@ r0 values; r1 the lane's first word; r2 groups; r3 bytes from a lane's word to its next. Returns the sum of the values.
@ Registers: r4 r7 values; r5 r6 r8 a word; r12 sum; lr mask.

    .syntax unified
    .thumb

@ Writes r5.
.macro ln_put
    str     r5, [r1]
    add     r1, r3
.endm

@ Eight narrow values: `i` and `i + 4`.
.macro ln_narrow shift
    .if \shift
    and     r5, lr, r4, lsr #\shift
  .else
    and     r5, lr, r4
  .endif
    add     r12, r5
    ln_put
.endm

@ Eight bytes: `i` and `i + 4`.
.macro ln_bytes at
    uxtb    r5, r4, ror #\at
    uxtb    r8, r7, ror #\at
    orr     r5, r5, r8, lsl #16
    add     r12, r5
    ln_put
.endm

.macro ln_begin name
    .section .text.bitrack_lane_\name, "ax", %progbits
    .p2align 2
    .globl  bitrack_lane_\name
    .type   bitrack_lane_\name, %function
    .thumb_func
bitrack_lane_\name:
    push    {r4-r8, lr}
    mov     r12, #0
.endm

.macro ln_end name, halves
    subs    r2, #1
    bne     1b
  .if \halves
    uxth    r0, r12
    add     r0, r0, r12, lsr #16
  .else
    mov     r0, r12
  .endif
    pop     {r4-r8, pc}
    .size   bitrack_lane_\name, . - bitrack_lane_\name
.endm

    ln_begin bytes_fours
    mov     lr, #0
1:
    ldr     r4, [r0], #4
    usada8  r12, r4, lr, r12
    uxtb16  r5, r4
    uxtb16  r6, r4, ror #8
    str     r5, [r1]
    str     r6, [r1, r3]
    add     r1, r1, r3, lsl #1
    ln_end bytes_fours, 0

    ln_begin bytes_eights
1:
    ldr     r4, [r0], #4
    ldr     r7, [r0], #4
    ln_bytes 0
    ln_bytes 8
    ln_bytes 16
    ln_bytes 24
    ln_end bytes_eights, 1

    ln_begin nibbles
    mov     lr, #0x000F000F
1:
    ldr     r4, [r0], #4
    ln_narrow 0
    ln_narrow 4
    ln_narrow 8
    ln_narrow 12
    ln_end nibbles, 1

    ln_begin crumbs
    mov     lr, #0x00030003
1:
    ldrh    r4, [r0], #2
    orr     r4, r4, r4, lsl #8
    ln_narrow 0
    ln_narrow 2
    ln_narrow 4
    ln_narrow 6
    ln_end crumbs, 1

@ One value, the low byte of r12, to a group of four; a group is written when it is full.
@ r4 target; r5 bytes to the lane's next word; r6 the group's values so far, at its top; r7 their number, 30 bits up; r8 sum; r9 zero.
.macro ln_take
    lsrs    r6, r6, #8
    orr     r6, r6, r12, lsl #24
    adds    r7, r7, #0x40000000
    bcc     8f
    usada8  r8, r6, r9, r8
    uxtb16  r12, r6
    str     r12, [r4]
    uxtb16  r12, r6, ror #8
    str     r12, [r4, r5]
    add     r4, r4, r5, lsl #1
8:
.endm

@ r0 = Fours in lane.rs; r1 values in bytes; r2 bytes from one to the next; r3 their number.
    .section .text.bitrack_lane_fours, "ax", %progbits
    .p2align 2
    .globl  bitrack_lane_fours
    .type   bitrack_lane_fours, %function
    .thumb_func
bitrack_lane_fours:
    push    {r4-r9, lr}
    ldm     r0, {r4-r8}
    mov     r9, #0
1:
    ldrb    r12, [r1]
    add     r1, r2
    ln_take
    subs    r3, #1
    bne     1b
    stm     r0, {r4-r8}
    pop     {r4-r9, pc}
    .size   bitrack_lane_fours, . - bitrack_lane_fours

@ The same for packed values: r1 bytes; r2 bits of a value; r3 their number. r10 mask; r11 a byte's fields below a one.
    .section .text.bitrack_lane_fields, "ax", %progbits
    .p2align 2
    .globl  bitrack_lane_fields
    .type   bitrack_lane_fields, %function
    .thumb_func
bitrack_lane_fields:
    push    {r4-r11, lr}
    ldm     r0, {r4-r8}
    mov     r9, #0
    mov     r11, #1
    lsl     r10, r11, r2
    sub     r10, #1
1:
    cmp     r11, #1
    bne     2f
    ldrb    r11, [r1], #1
    orr     r11, #0x100
2:
    and     r12, r11, r10
    lsr     r11, r11, r2
    ln_take
    subs    r3, #1
    bne     1b
    stm     r0, {r4-r8}
    pop     {r4-r11, pc}
    .size   bitrack_lane_fields, . - bitrack_lane_fields
