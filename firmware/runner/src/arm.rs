//! What all boards share because they are Cortex-M: memory by linker symbols, the painted stack, the end of things.

mod faults;
mod memory;

pub use faults::{ExceptionFrame, die, hard_fault};
pub use memory::{LinkedStack, take_arena};

use bitrack_wire::{MAX_SLOTS, Slot};
use cortex_m::peripheral::SCB;

use crate::board::Board;
use crate::session::Session;

core::arch::global_asm!(include_str!("arm/bytes.s"), options(raw));

/// A board that can be brought up, and that can still speak when everything else is broken.
pub trait Firmware: Board + Sized {
    /// Clocks, timer, UART. Called once, before anything else.
    fn init() -> Self;

    /// Sends bytes from any state whatsoever, by the UART's registers alone, and returns when they are on the line.
    fn write_last_words(bytes: &[u8]);
}

/// The bytes of slot `index`, where they lie.
///
/// # Safety
/// The slots must be readable memory that nothing writes while the core runs.
pub unsafe fn slot_bytes(slots: &[Option<Slot>; MAX_SLOTS], index: u8) -> Option<&'static [u8]> {
    let slot = (*slots.get(usize::from(index))?)?;
    let base = core::ptr::with_exposed_provenance(slot.base as usize);
    // SAFETY: the caller's promise.
    Some(unsafe { core::slice::from_raw_parts(base, slot.len as usize) })
}

/// The whole program of a board.
pub fn main<B: Firmware>() -> ! {
    let board = B::init();
    let Some(arena) = take_arena() else { crate::session::bug() };
    Session::new(board, LinkedStack, arena).serve();
    SCB::sys_reset()
}

/// The entry point and the handlers of a board's binary.
#[macro_export]
macro_rules! firmware {
    ($board:ty) => {
        #[cortex_m_rt::entry]
        fn main() -> ! {
            $crate::arm::main::<$board>()
        }

        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            $crate::arm::die::<$board>(bitrack_wire::FaultKind::Panic, 0)
        }

        // The stack may be what is broken: start a fresh one before Rust code pushes anything.
        core::arch::global_asm!(
            ".section .HardFault.bitrack, \"ax\"",
            ".global HardFault",
            ".type HardFault, %function",
            ".thumb_func",
            "HardFault:",
            "mrs r0, msp",
            "ldr r1, =_stack_start",
            "msr msp, r1",
            "b {handler}",
            ".ltorg",
            handler = sym hard_fault,
        );

        unsafe extern "C" fn hard_fault(frame: *const $crate::arm::ExceptionFrame) -> ! {
            // SAFETY: the assembly above hands over the stack pointer that the exception found.
            unsafe { $crate::arm::hard_fault::<$board>(frame) }
        }

        #[cortex_m_rt::exception]
        unsafe fn DefaultHandler(_number: i16) -> ! {
            $crate::arm::die::<$board>(bitrack_wire::FaultKind::Exception, 0)
        }
    };
}
