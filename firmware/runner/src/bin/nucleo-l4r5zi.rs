//! The runner for ST's NUCLEO-L4R5ZI: Cortex-M4F at 120 MHz, LPUART1 on PG7 and PG8 behind ST-Link.
#![no_std]
#![no_main]

use bitrack_runner::arm::{Firmware, slot_bytes};
use bitrack_runner::board::Board;
use bitrack_runner::stm32::{BAUD_RATE, CycleClock, Uart, chip_id};
use bitrack_wire::{MAX_SLOTS, Slot, Text, TimerUnit};
use embassy_stm32::pac;
use embassy_stm32::peripherals::LPUART1;
use embassy_stm32::rcc::{Pll, PllMul, PllPreDiv, PllRDiv, PllSource, Sysclk};

bitrack_runner::firmware!(NucleoL4r5zi);

struct NucleoL4r5zi {
    clock: CycleClock,
}

const CLOCK_HZ: u32 = 120_000_000;
/// An LPUART divides 256 times its clock.
const DIVIDER: u32 = (256 * CLOCK_HZ as u64 / BAUD_RATE as u64) as u32;
const SLOT_BYTES: u32 = 768 << 10;

/// LPUART1's registers lie as a USART's do.
fn uart() -> Uart {
    // SAFETY: the address is LPUART1's, whose registers up to TDR are those of a USART.
    Uart(unsafe { pac::usart::Usart::from_ptr(pac::LPUART1.as_ptr()) })
}

impl Board for NucleoL4r5zi {
    const TYPE: &'static str = "nucleo-l4r5zi";
    const TIMER_UNIT: TimerUnit = TimerUnit::Cycles;
    /// One in the runner's bank, one in the other.
    const SLOTS: [Option<Slot>; MAX_SLOTS] = [
        Some(Slot { base: 0x0804_0000, len: SLOT_BYTES }),
        Some(Slot { base: 0x0810_0000, len: SLOT_BYTES }),
        None,
        None,
    ];

    fn clock_hz(&self) -> u32 {
        CLOCK_HZ
    }

    fn chip_id(&self) -> Text<32> {
        chip_id()
    }

    fn slot(&self, index: u8) -> Option<&'static [u8]> {
        // SAFETY: flash, which is written only while the core is halted.
        unsafe { slot_bytes(&Self::SLOTS, index) }
    }

    fn restart_clock(&mut self) {
        self.clock.restart();
    }

    fn ticks(&mut self) -> u64 {
        self.clock.ticks()
    }

    fn read(&mut self) -> Option<u8> {
        uart().read()
    }

    fn write(&mut self, bytes: &[u8]) {
        uart().write(bytes);
    }
}

impl Firmware for NucleoL4r5zi {
    fn init() -> Self {
        let mut config = embassy_stm32::Config::default();
        config.rcc.hsi = true;
        // 16 MHz / 2 * 30 / 2.
        config.rcc.pll = Some(Pll {
            source: PllSource::HSI,
            prediv: PllPreDiv::DIV2,
            mul: PllMul::MUL30,
            divp: None,
            divq: None,
            divr: Some(PllRDiv::DIV2),
        });
        config.rcc.sys = Sysclk::PLL1_R;
        let chip = embassy_stm32::init(config);
        uart().start::<LPUART1>((chip.PG7, chip.PG8), 8, DIVIDER);
        Self { clock: CycleClock::default() }
    }

    fn write_last_words(bytes: &[u8]) {
        uart().write(bytes);
        uart().drain();
    }
}
