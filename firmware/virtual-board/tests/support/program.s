@ The program that the tests flash: it does what a byte on the UART tells it to.
@
@ `program.rs` holds what this assembles to; a test compares the two. To regenerate it:
@
@   arm-none-eabi-as -o program.o program.s && arm-none-eabi-objcopy -O binary -j .text program.o program.bin
@   od -An -v -tx2 -w16 program.bin

    .syntax unified
    .arch   armv7-m
    .thumb
    .text

    .equ UART0,    0x40004000   @ DATA +0, STATE +4 (bit 0 TX full, bit 1 RX full), CTRL +8, BAUDDIV +16
    .equ SYSTICK,  0xE000E010   @ CSR +0, RVR +4, CVR +8
    .equ AIRCR,    0xE000ED0C
    .equ FLOOD_BYTES,   360000
    .equ LISTEN_BYTES,  50000
    .equ LOOPS,         200000

    .word   0x20400000          @ initial stack pointer
    .word   start + 1
    .word   hang + 1            @ NMI
    .word   fault + 1           @ HardFault

start:
    ldr     r7, =UART0
    movs    r0, #16
    str     r0, [r7, #16]
    movs    r0, #3
    str     r0, [r7, #8]
    movs    r0, #'>'            @ ready
    bl      put
next:
    bl      get
    cmp     r0, #'c'
    beq     count
    cmp     r0, #'f'
    beq     flood
    cmp     r0, #'l'
    beq     listen
    cmp     r0, #'b'
    beq     breakpoint
    cmp     r0, #'p'
    beq     breakpoint_on_psp
    cmp     r0, #'s'
    beq     sleep
    cmp     r0, #'r'
    beq     reset
    cmp     r0, #'u'
    beq     lock_up
    b       next

@ Prints the SysTick ticks that 3 + 3 * LOOPS instructions take, and the loop's result.
count:
    ldr     r4, =SYSTICK
    ldr     r5, =LOOPS
    movs    r6, #0
    mvn     r0, #0xFF000000
    str     r0, [r4, #4]
    str     r6, [r4, #8]
    movs    r1, #5
    str     r1, [r4]
0:  ldr     r2, [r4, #8]        @ start
    cmp     r2, #0              @ it reads 0 until its first tick
    beq     0b
1:  add     r6, r6, r5
    subs    r5, r5, #1
    bne     1b
    ldr     r3, [r4, #8]        @ end
    subs    r0, r2, r3
    bl      put_word
    mov     r0, r6
    bl      put_word
    b       next

@ Says FLOOD_BYTES bytes: the low byte of (index * 7 + index >> 8).
flood:
    movs    r4, #0
    ldr     r5, =FLOOD_BYTES
1:  lsl     r0, r4, #3
    subs    r0, r0, r4
    add     r0, r0, r4, lsr #8
    uxtb    r0, r0
    bl      put
    adds    r4, r4, #1
    cmp     r4, r5
    bne     1b
    b       next

@ Takes LISTEN_BYTES bytes, then prints their hash: h = h * 31 + byte.
listen:
    movs    r4, #0
    ldr     r5, =LISTEN_BYTES
1:  bl      get
    lsl     r1, r4, #5
    subs    r1, r1, r4
    adds    r4, r1, r0
    subs    r5, r5, #1
    bne     1b
    mov     r0, r4
    bl      put_word
    b       next

breakpoint:
    bkpt    #1
    movs    r0, #'B'            @ the debugger has let us go on
    bl      put
    b       next

@ As a thread of an operating system would.
breakpoint_on_psp:
    ldr     r0, =0x20010000
    msr     psp, r0
    movs    r0, #2
    msr     control, r0
    isb
    b       breakpoint

sleep:
    movs    r0, #'S'
    bl      put
    wfi
    b       sleep

reset:
    ldr     r0, =AIRCR
    ldr     r1, =0x05FA0004
    str     r1, [r0]
hang:
    b       hang

@ Says so from the HardFault handler, where `lock_up` then faults again.
fault:
    movs    r0, #'!'
    bl      put
lock_up:
    udf     #0

@ r0: a byte to say. Changes r1.
put:
    ldr     r1, [r7, #4]
    lsls    r1, r1, #31
    bne     put
    str     r0, [r7]
    bx      lr

@ r0: the byte heard.
get:
    ldr     r0, [r7, #4]
    lsls    r0, r0, #30
    bpl     get
    ldr     r0, [r7]
    bx      lr

@ r0: a word to say, least significant byte first. Changes r1, r2, r3.
put_word:
    mov     r3, lr
    movs    r2, #4
1:  bl      put
    lsrs    r0, r0, #8
    subs    r2, r2, #1
    bne     1b
    bx      r3

    .ltorg
