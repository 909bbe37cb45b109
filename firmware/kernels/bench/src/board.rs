//! The emulated board: text out, an instruction counter, a heap, the way out.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::fmt::{self, Write};

/// Text to the host through UART 0.
pub struct Uart;

impl Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const UART0: *mut u32 = 0x4000_4000 as *mut u32;
        // SAFETY: the CMSDK UART's registers, used by nobody else.
        unsafe {
            UART0.add(2).write_volatile(1);
            for byte in text.bytes() {
                while UART0.add(1).read_volatile() & 1 != 0 {}
                UART0.write_volatile(u32::from(byte));
            }
        }
        Ok(())
    }
}

const SYSTICK: *mut u32 = 0xE000_E010 as *mut u32;

/// The CMSDK timer 0: 32 bits, 25 MHz, counts down.
const TIMER0: *mut u32 = 0x4000_0000 as *mut u32;

/// Starts the counter. SysTick is too short (24 bits) for whole layers.
pub fn start_counter() {
    // SAFETY: the timer's registers, used by nobody else.
    unsafe {
        SYSTICK.write_volatile(0);
        TIMER0.add(2).write_volatile(u32::MAX);
        TIMER0.add(1).write_volatile(u32::MAX);
        TIMER0.write_volatile(1);
    }
}

/// Tells `firmware/kernels/cycles`, where it watches, that counting starts or ends: a hint that no processor acts on.
fn mark() {
    // SAFETY: a hint that is not assigned executes as NOP.
    unsafe { core::arch::asm!(".hword 0xBF50", options(nomem, nostack, preserves_flags)) };
}

/// Instructions executed by `work`. With `-icount shift=8` an instruction takes 256 ns: 6.4 ticks of 25 MHz.
pub fn count(work: impl FnOnce()) -> u32 {
    // SAFETY: reads the timer's value register.
    let now = || unsafe { TIMER0.add(1).read_volatile() };
    mark();
    let start = now();
    work();
    let ticks = start.wrapping_sub(now());
    mark();
    (u64::from(ticks) * 40 / 256) as u32
}

/// Ends the emulation by semihosting.
pub fn exit(success: bool) -> ! {
    let reason = if success { 0x20026 } else { 0x20023 };
    // SAFETY: SYS_EXIT does not return.
    unsafe { core::arch::asm!("bkpt #0xAB", in("r0") 0x18, in("r1") reason, options(noreturn)) }
}

/// A heap that is emptied by hand between cases.
pub struct Bump {
    next: UnsafeCell<usize>,
}

// SAFETY: one core, no interrupts.
unsafe impl Sync for Bump {}

const HEAP_START: usize = 0x2004_0000;
const HEAP_END: usize = 0x2030_0000;

impl Bump {
    pub const fn new() -> Self {
        Bump { next: UnsafeCell::new(HEAP_START) }
    }

    /// Forgets all allocations.
    ///
    /// # Safety
    /// Nothing allocated before may be used again.
    pub unsafe fn reset(&self) {
        // SAFETY: one core, no interrupts.
        unsafe { *self.next.get() = HEAP_START };
    }
}

// SAFETY: blocks are disjoint until `reset`, aligned, and inside the RAM behind statics and below the stack.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one core, no interrupts.
        let next = unsafe { &mut *self.next.get() };
        let start = next.next_multiple_of(layout.align());
        if start + layout.size() > HEAP_END {
            return core::ptr::null_mut();
        }
        *next = start + layout.size();
        start as *mut u8
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}
}
