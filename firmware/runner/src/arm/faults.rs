//! How firmware dies: it says so and restarts. It never hangs in silence.

use core::mem::size_of;

use bitrack_wire::{BoardError, FaultKind, MAX_FRAME, Response, UNSOLICITED, encode};
use cortex_m::peripheral::SCB;

use super::Firmware;
use super::memory::is_on_stack;
use crate::current_op;

/// What the core pushes when an exception begins, as far as it is of interest.
#[repr(C)]
pub struct ExceptionFrame {
    _r0_to_r3: [u32; 4],
    _r12: u32,
    _lr: u32,
    /// The instruction that faulted.
    pc: u32,
    _xpsr: u32,
}

/// Says what happened, and restarts.
pub fn die<B: Firmware>(kind: FaultKind, pc: u32) -> ! {
    let last_words = Response::Error(BoardError::Fault { kind, pc, op: current_op() });
    let mut buf = [0; MAX_FRAME];
    if let Ok(frame) = encode(&last_words, UNSOLICITED, &mut buf) {
        B::write_last_words(frame);
    }
    SCB::sys_reset()
}

/// The hard fault handler, on a fresh stack.
///
/// # Safety
/// `frame` is the stack pointer that the exception found; it need not point at memory.
pub unsafe fn hard_fault<B: Firmware>(frame: *const ExceptionFrame) -> ! {
    if !is_on_stack(frame.addr(), size_of::<ExceptionFrame>()) {
        die::<B>(FaultKind::StackOverflow, 0)
    }
    // SAFETY: on the stack, and pushed by the core. The fresh stack may overwrite it only after this read.
    let pc = unsafe { (*frame).pc };
    die::<B>(FaultKind::HardFault, pc)
}
