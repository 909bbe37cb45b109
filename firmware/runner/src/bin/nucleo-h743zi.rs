//! The runner for ST's NUCLEO-H743ZI: Cortex-M7 at 400 MHz, USART3 on PD8 and PD9 behind ST-Link.
#![no_std]
#![no_main]

use bitrack_runner::arm::{Firmware, slot_bytes};
use bitrack_runner::board::Board;
use bitrack_runner::stm32::{BAUD_RATE, CycleClock, Uart, chip_id};
use bitrack_wire::{MAX_SLOTS, Slot, Text, TimerUnit};
use embassy_stm32::pac;
use embassy_stm32::peripherals::USART3;
use embassy_stm32::rcc::{
    AHBPrescaler, APBPrescaler, HSIPrescaler, Pll, PllDiv, PllMul, PllPreDiv, PllSource, Sysclk, VoltageScale,
};

bitrack_runner::firmware!(NucleoH743zi);

struct NucleoH743zi {
    clock: CycleClock,
}

const CLOCK_HZ: u32 = 400_000_000;
/// USART3's clock is that of its bus, a quarter of the core's.
const DIVIDER: u32 = CLOCK_HZ / 4 / BAUD_RATE;
const SLOT_BYTES: u32 = 896 << 10;

fn uart() -> Uart {
    Uart(pac::USART3)
}

/// Both caches, emptied first. Images are flashed by a debug probe before a reset, never under the running core.
fn enable_caches() {
    // SAFETY: called once, before anything else uses the core's peripherals.
    let mut core = unsafe { cortex_m::Peripherals::steal() };
    core.SCB.enable_icache();
    core.SCB.enable_dcache(&mut core.CPUID);
}

impl Board for NucleoH743zi {
    const TYPE: &'static str = "nucleo-h743zi";
    const TIMER_UNIT: TimerUnit = TimerUnit::Cycles;
    /// One in the runner's bank, one in the other; sectors are 128 KB.
    const SLOTS: [Option<Slot>; MAX_SLOTS] = [
        Some(Slot { base: 0x0802_0000, len: SLOT_BYTES }),
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

impl Firmware for NucleoH743zi {
    fn init() -> Self {
        let mut config = embassy_stm32::Config::default();
        config.rcc.hsi = Some(HSIPrescaler::DIV1);
        // 64 MHz / 4 * 50 / 2: what every revision of the chip reaches.
        config.rcc.pll1 = Some(Pll {
            source: PllSource::HSI,
            prediv: PllPreDiv::DIV4,
            mul: PllMul::MUL50,
            fracn: None,
            divp: Some(PllDiv::DIV2),
            divq: None,
            divr: None,
        });
        config.rcc.voltage_scale = VoltageScale::Scale1;
        config.rcc.sys = Sysclk::PLL1_P;
        config.rcc.ahb_pre = AHBPrescaler::DIV2;
        config.rcc.apb1_pre = APBPrescaler::DIV2;
        config.rcc.apb2_pre = APBPrescaler::DIV2;
        config.rcc.apb3_pre = APBPrescaler::DIV2;
        config.rcc.apb4_pre = APBPrescaler::DIV2;
        let chip = embassy_stm32::init(config);
        enable_caches();
        uart().start::<USART3>((chip.PD8, chip.PD9), 7, DIVIDER);
        Self { clock: CycleClock::default() }
    }

    fn write_last_words(bytes: &[u8]) {
        uart().write(bytes);
        uart().drain();
    }
}
