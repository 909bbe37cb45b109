@ Flash algorithm for the code RAM of the MPS2 boards, which the virtual board treats as NOR flash:
@ an erase sets every bit of a 64 KB sector, programming can only clear bits.
@
@ CMSIS-Pack calling convention: arguments in r0-r2, result in r0, 0 means success.
@ Position independent, no data, eight bytes of stack. Regenerate the base64 in ../mps2.yaml with
@
@   arm-none-eabi-as -o mps2.o mps2.s && arm-none-eabi-objcopy -O binary -j .text mps2.o mps2.bin
@   base64 -w0 mps2.bin; arm-none-eabi-nm mps2.o
@
@ `tests/flash_algorithm.rs` compares the two and the symbols' offsets with the `pc_*` fields.

    .syntax unified
    .arch   armv7-m
    .thumb
    .text

    .equ FLASH_BYTES,  0x00400000
    .equ SECTOR_BYTES, 0x00010000
    @ The journal tells the server which bytes of flash have just changed: three words, the first
    @ being JOURNAL_MAGIC. Without it the server would have to compare 4 MB after every call.
    .equ JOURNAL,       0x203FFFE0
    .equ JOURNAL_MAGIC, 0x4A4F5552

    .equ ERROR_RANGE,     1     @ outside the flash, or not aligned to a word
    .equ ERROR_NOT_BLANK, 2     @ a bit would have to go from 0 to 1: erase first

    .global Init, UnInit, EraseSector, EraseAll, ProgramPage

@ int Init(uint32_t address, uint32_t clock_hz, uint32_t operation)
    .thumb_func
Init:
@ int UnInit(uint32_t operation)
    .thumb_func
UnInit:
    movs    r0, #0
    bx      lr

@ int EraseSector(uint32_t address)
    .thumb_func
EraseSector:
    movw    r1, #(SECTOR_BYTES - 1)
    bics    r0, r0, r1
    adds    r1, r1, #1
    b       erase

@ int EraseAll(void)
    .thumb_func
EraseAll:
    movs    r0, #0
    mov     r1, #FLASH_BYTES

@ r0: first byte, r1: byte count, a multiple of 8
erase:
    cmp     r0, #FLASH_BYTES
    bhs     out_of_range
    adds    r1, r0, r1
    mov     r12, r0
    mov     r2, #-1
    mov     r3, #-1
1:  strd    r2, r3, [r0], #8
    cmp     r0, r1
    blo     1b
    movs    r0, #0
    b       journal

@ int ProgramPage(uint32_t address, uint32_t byte_count, const uint32_t *data)
    .thumb_func
ProgramPage:
    orr     r3, r0, r1
    lsls    r3, r3, #30
    bne     out_of_range
    cmp     r0, #FLASH_BYTES
    bhi     out_of_range
    cmp     r1, #FLASH_BYTES
    bhi     out_of_range
    adds    r1, r0, r1
    cmp     r1, #FLASH_BYTES
    bhi     out_of_range
    push    {r4, r5}
    mov     r12, r0
    b       3f
2:  ldr     r3, [r2], #4
    ldr     r4, [r0]
    bics    r5, r3, r4
    bne     not_blank
    str     r3, [r0], #4
3:  cmp     r0, r1
    blo     2b
    movs    r0, #0
    pop     {r4, r5}

@ r0: the result, r12: first byte changed, r1: one past the last
journal:
    ldr     r3, =JOURNAL
    str     r12, [r3, #4]
    str     r1, [r3, #8]
    ldr     r2, =JOURNAL_MAGIC
    str     r2, [r3]
    bx      lr

not_blank:
    movs    r0, #ERROR_NOT_BLANK
    pop     {r4, r5}
    b       journal

out_of_range:
    movs    r0, #ERROR_RANGE
    bx      lr

    .ltorg
