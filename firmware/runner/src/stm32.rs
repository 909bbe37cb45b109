//! What the STM32 boards share: the UART behind ST-Link's virtual port, the cycle counter, the chip's number.
//!
//! The HAL sets clocks and pins up. The UART is driven by its registers, because the last words of a dying firmware must
//! get out whatever state a driver is in.

use bitrack_wire::Text;
use cortex_m::peripheral::{DCB, DWT};
use embassy_stm32::Peri;
use embassy_stm32::gpio::{AfType, Flex, OutputType, Pin, Pull, Speed};
use embassy_stm32::pac::usart::Usart;
use embassy_stm32::pac::usart::regs::Brr;
use embassy_stm32::rcc::{self, RccPeripheral};

use crate::WideCounter;

/// Baud rate of the virtual port.
pub const BAUD_RATE: u32 = 115_200;

/// A UART that has been set up.
#[derive(Clone, Copy)]
pub struct Uart(pub Usart);

impl Uart {
    /// Clocks the UART, gives it its pins, and starts it with 8 data bits and no parity. `divider` is the value of its
    /// baud rate register. By registers, because the HAL's driver would cost kilobytes for what is done here.
    pub fn start<T: RccPeripheral>(
        self,
        (tx, rx): (Peri<'static, impl Pin>, Peri<'static, impl Pin>),
        alternate_function: u8,
        divider: u32,
    ) {
        rcc::enable_and_reset::<T>();
        let (mut tx, mut rx) = (Flex::new(tx), Flex::new(rx));
        tx.set_as_af_unchecked(alternate_function, AfType::output(OutputType::PushPull, Speed::Medium));
        rx.set_as_af_unchecked(alternate_function, AfType::input(Pull::Up));
        // Dropping a pin would disconnect it.
        core::mem::forget((tx, rx));
        self.0.brr().write_value(Brr(divider));
        self.0.cr1().write(|control| {
            control.set_te(true);
            control.set_re(true);
            control.set_ue(true);
        });
    }

    /// The next byte that has arrived.
    pub fn read(self) -> Option<u8> {
        let state = self.0.isr().read();
        if state.ore() || state.fe() || state.ne() {
            // A byte was lost or damaged: the frame's checksum will tell. Reception goes on only when this is cleared.
            self.0.icr().write(|clear| {
                clear.set_ore(true);
                clear.set_fe(true);
                clear.set_ne(true);
            });
        }
        state.rxne().then(|| self.0.rdr().read().dr() as u8)
    }

    /// Sends all of `bytes`.
    pub fn write(self, bytes: &[u8]) {
        for &byte in bytes {
            while !self.0.isr().read().txe() {}
            self.0.tdr().write(|data| data.set_dr(byte.into()));
        }
    }

    /// Waits until the last byte is on the line.
    pub fn drain(self) {
        while !self.0.isr().read().tc() {}
    }
}

/// The core's cycle counter, made as wide as it takes.
#[derive(Default)]
pub struct CycleClock {
    counter: WideCounter,
}

impl CycleClock {
    /// Counts from here. Enables the counter each time: a debug probe that leaves switches it off.
    pub fn restart(&mut self) {
        // SAFETY: this firmware has one thread and no interrupt handlers, and nothing else uses these two.
        let mut core = unsafe { cortex_m::Peripherals::steal() };
        DCB::enable_trace(&mut core.DCB);
        DWT::unlock();
        core.DWT.enable_cycle_counter();
        self.counter.restart(DWT::cycle_count());
    }

    /// Cycles since [`CycleClock::restart`].
    pub fn ticks(&mut self) -> u64 {
        self.counter.advance(DWT::cycle_count())
    }
}

/// The chip's unique number, as the factory wrote it.
pub fn chip_id() -> Text<32> {
    Text::hex(&embassy_stm32::uid::uid())
}
