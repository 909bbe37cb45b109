//! What a board must offer.

use bitrack_wire::{MAX_SLOTS, Slot, Text, TimerUnit};

/// A board as the session sees it.
pub trait Board {
    /// The board type's name, as in the rack's configuration.
    const TYPE: &'static str;
    /// What [`Board::ticks`] counts.
    const TIMER_UNIT: TimerUnit;
    /// Where images may lie.
    const SLOTS: [Option<Slot>; MAX_SLOTS];

    /// The core's clock in Hz.
    fn clock_hz(&self) -> u32;

    /// The chip's unique number in hexadecimal.
    fn chip_id(&self) -> Text<32>;

    /// The bytes of a slot, read in place; `None` where there is no such slot.
    fn slot(&self, index: u8) -> Option<&'static [u8]>;

    /// Sets the tick counter to zero.
    fn restart_clock(&mut self);

    /// Ticks since [`Board::restart_clock`]. Must be asked more often than the hardware's counter wraps.
    fn ticks(&mut self) -> u64;

    /// The next byte the host sent, if it has arrived.
    fn read(&mut self) -> Option<u8>;

    /// Sends all of `bytes`, waiting where the line is slow.
    fn write(&mut self, bytes: &[u8]);
}

/// The stack, as far as its high-water mark goes.
pub trait Stack {
    /// Its size in bytes.
    fn bytes(&self) -> u32;

    /// Fills what is free below the caller with a pattern.
    fn paint(&mut self);

    /// Bytes used at most since [`Stack::paint`], the callers' frames included.
    fn high_water(&self) -> u32;
}
