//! QEMU's MPS2 machines. Their clock counts instructions, provided QEMU runs with `-icount shift=8`.

use core::ptr;

use bitrack_wire::{MAX_SLOTS, Slot, Text, TimerUnit};

use crate::WideCounter;
use crate::arm::Firmware;
use crate::board::Board;

/// FPGA image numbers: which machine it is.
pub const AN386: u16 = 386;
/// The Cortex-M7 machine.
pub const AN500: u16 = 500;

/// The machine with this FPGA image.
pub struct Mps2<const FPGA: u16> {
    timer: WideCounter,
}

/// CMSDK UART 0: data, state (bit 0 transmitter full, bit 1 receiver full), control, then the baud rate divider.
const UART: *mut u32 = ptr::without_provenance_mut(0x4000_4000);
const UART_DATA: usize = 0;
const UART_STATE: usize = 1;
const UART_CONTROL: usize = 2;
const UART_BAUD_DIVIDER: usize = 4;
const UART_INTERRUPT: usize = 3;
const TX_FULL: u32 = 1;
const RX_FULL: u32 = 2;
/// Transmitter, receiver, and the receiver's interrupt on.
const UART_ON: u32 = 0b1011;
/// Its bit in the interrupt status register, cleared by writing it.
const RX_INTERRUPT: u32 = 2;

/// The interrupt controller's words for interrupts 0 to 31: enable, and clear pending. UART 0's receiver is interrupt 0.
const NVIC_ENABLE: *mut u32 = ptr::without_provenance_mut(0xE000_E100);
const NVIC_CLEAR_PENDING: *mut u32 = ptr::without_provenance_mut(0xE000_E280);
const UART_RX_IRQ: u32 = 1;

/// One entry, for the interrupt that is enabled. None is ever taken: they wake the core and stay masked.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); 1] = [default_handler];

unsafe extern "C" {
    #[link_name = "DefaultHandler"]
    fn default_handler();
}

/// CMSDK timer 0, 32 bits, counts down at 25 MHz: control (bit 0 runs), value, reload.
const TIMER: *mut u32 = ptr::without_provenance_mut(0x4000_0000);
const TIMER_CONTROL: usize = 0;
const TIMER_VALUE: usize = 1;
const TIMER_RELOAD: usize = 2;

/// The virtual board writes its identity here, at the end of code RAM, as a chip's factory would.
const CHIP_ID: *const [u8; 16] = ptr::without_provenance(0x003F_FFF0);

const CLOCK_HZ: u32 = 25_000_000;
/// With `-icount shift=8` an instruction takes 2^8 ns and a clock period 40 ns.
const NS_PER_INSTRUCTION: u64 = 256;
const NS_PER_PERIOD: u64 = 40;

const SLOT_BYTES: u32 = 1 << 20;

impl<const FPGA: u16> Board for Mps2<FPGA> {
    const TYPE: &'static str = match FPGA {
        AN386 => "mps2-an386",
        AN500 => "mps2-an500",
        _ => panic!("no such machine"),
    };
    const TIMER_UNIT: TimerUnit = TimerUnit::Instructions;
    const SLOTS: [Option<Slot>; MAX_SLOTS] = [
        Some(Slot { base: 0x0008_0000, len: SLOT_BYTES }),
        Some(Slot { base: 0x0020_0000, len: SLOT_BYTES }),
        None,
        None,
    ];

    fn clock_hz(&self) -> u32 {
        CLOCK_HZ
    }

    fn chip_id(&self) -> Text<32> {
        // SAFETY: code RAM, always readable, and written before the core runs.
        Text::hex(unsafe { &*CHIP_ID })
    }

    fn slot(&self, index: u8) -> Option<&'static [u8]> {
        // SAFETY: the slots lie in code RAM, which nothing writes while the core runs.
        unsafe { crate::arm::slot_bytes(&Self::SLOTS, index) }
    }

    /// The timer starts anew, so that its periods lie at the same phase of the instruction stream each time: counts
    /// are then the same in each run, to the instruction.
    fn restart_clock(&mut self) {
        write_register(TIMER, TIMER_CONTROL, 0);
        write_register(TIMER, TIMER_RELOAD, u32::MAX);
        write_register(TIMER, TIMER_VALUE, u32::MAX);
        self.timer.restart(0);
        write_register(TIMER, TIMER_CONTROL, 1);
    }

    fn ticks(&mut self) -> u64 {
        let periods = self.timer.advance(u32::MAX - read_register(TIMER, TIMER_VALUE));
        (periods * NS_PER_PERIOD + NS_PER_INSTRUCTION / 2) / NS_PER_INSTRUCTION
    }

    fn read(&mut self) -> Option<u8> {
        if read_register(UART, UART_STATE) & RX_FULL == 0 {
            sleep_until_received();
            return None;
        }
        Some(read_register(UART, UART_DATA) as u8)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            while read_register(UART, UART_STATE) & TX_FULL != 0 {}
            write_register(UART, UART_DATA, byte.into());
        }
    }
}

impl<const FPGA: u16> Firmware for Mps2<FPGA> {
    fn init() -> Self {
        write_register(UART, UART_BAUD_DIVIDER, 16);
        write_register(UART, UART_CONTROL, UART_ON);
        // The interrupt wakes the core and is never taken: there is nothing to handle but the byte.
        cortex_m::interrupt::disable();
        write_register(NVIC_ENABLE, 0, UART_RX_IRQ);
        Self { timer: WideCounter::new() }
    }

    fn write_last_words(bytes: &[u8]) {
        Self::init().write(bytes);
        while read_register(UART, UART_STATE) & TX_FULL != 0 {}
    }
}

/// An idle board that polled would keep a core of the host busy. A byte that came in the meantime has left its interrupt
/// pending, so that the core does not sleep over it.
fn sleep_until_received() {
    cortex_m::asm::wfi();
    write_register(UART, UART_INTERRUPT, RX_INTERRUPT);
    write_register(NVIC_CLEAR_PENDING, 0, UART_RX_IRQ);
}

fn read_register(block: *mut u32, index: usize) -> u32 {
    // SAFETY: the callers name registers of this machine's UART, timer and interrupt controller; reading them touches no memory.
    unsafe { block.wrapping_add(index).read_volatile() }
}

fn write_register(block: *mut u32, index: usize, value: u32) {
    // SAFETY: as above, and none of these devices writes memory.
    unsafe { block.wrapping_add(index).write_volatile(value) }
}
