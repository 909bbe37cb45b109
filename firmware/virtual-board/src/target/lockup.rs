//! Foreseeing a lockup, because QEMU aborts at one.

use super::Target;
use super::run_control::is_bkpt;
use crate::qemu::{CoreRegisters, QemuLost};

/// xPSR: Thumb state, without which no instruction can be executed.
const THUMB: u32 = 1 << 24;
/// xPSR: number of the active exception.
const EXCEPTION: u32 = 0x1FF;
const NMI: u32 = 2;
const HARD_FAULT: u32 = 3;

impl Target {
    /// Whether the next instruction, `None` if it cannot be fetched, faults and the HardFault
    /// handler cannot run either, as with blank flash. A lockup further on cannot be foreseen:
    /// then QEMU dies and is replaced.
    pub(super) fn will_lock_up(&mut self, next: Option<u16>) -> Result<bool, QemuLost> {
        let xpsr = self.core_registers()?.0[CoreRegisters::XPSR];
        // Without a debugger a BKPT is a fault.
        let is_executed = next.is_some_and(|word| !is_bkpt(word) || self.debug.is_enabled());
        if xpsr & THUMB != 0 && is_executed {
            return Ok(false);
        }
        let in_last_resort = matches!(xpsr & EXCEPTION, NMI | HARD_FAULT);
        Ok(in_last_resort || self.hard_fault_handler()?.is_none())
    }
}
