//! Arena and stack, where `memory.x` puts them.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::board::Stack;

unsafe extern "C" {
    static mut _stack_start: u8;
    static mut _stack_end: u8;
    static mut _arena_start: u8;
    static mut _arena_end: u8;
}

/// The arena, to whoever asks first.
pub fn take_arena() -> Option<&'static mut [u8]> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    let (start, end) = (&raw mut _arena_start, &raw mut _arena_end);
    // SAFETY: memory.x reserves this range for nothing else, any bytes are valid, and TAKEN lets one caller through.
    Some(unsafe { core::slice::from_raw_parts_mut(start, end.addr() - start.addr()) })
}

/// The stack that the linker laid out; it grows down from `_stack_start` to `_stack_end`.
pub struct LinkedStack;

const PAINT: u32 = 0x5AC3_5AC3;

/// Bytes below the stack pointer that painting leaves alone: its own frame, if it needs one.
const SLACK: usize = 64;

impl Stack for LinkedStack {
    fn bytes(&self) -> u32 {
        ((&raw const _stack_start).addr() - bottom().addr()) as u32
    }

    #[inline(never)]
    fn paint(&mut self) {
        let end = cortex_m::register::msp::read() as usize - SLACK;
        let mut word = bottom();
        while word.addr() < end {
            // SAFETY: between the stack's end and the stack pointer nothing lives; interrupts use no stack here.
            unsafe {
                word.write_volatile(PAINT);
                word = word.add(1);
            }
        }
    }

    fn high_water(&self) -> u32 {
        let top = (&raw const _stack_start).addr();
        let mut word = bottom();
        // SAFETY: reads stay within the stack.
        while word.addr() < top && unsafe { word.read_volatile() } == PAINT {
            word = word.wrapping_add(1);
        }
        (top - word.addr()) as u32
    }
}

/// Whether `len` bytes at `address` lie on the stack.
pub fn is_on_stack(address: usize, len: usize) -> bool {
    let range = bottom().addr()..(&raw const _stack_start).addr();
    range.contains(&address) && address + len <= range.end
}

fn bottom() -> *mut u32 {
    (&raw mut _stack_end).cast()
}
