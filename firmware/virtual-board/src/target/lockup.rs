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
    /// Whether the next instruction faults and the HardFault handler cannot run either, as with
    /// blank flash. A lockup further on cannot be foreseen: then QEMU dies and is replaced.
    pub(super) fn will_lock_up(&mut self) -> Result<bool, QemuLost> {
        let registers = self.core_registers()?;
        let xpsr = registers.0[CoreRegisters::XPSR];
        if xpsr & THUMB != 0 && !self.is_fatal(registers.pc())? {
            return Ok(false);
        }
        let in_last_resort = matches!(xpsr & EXCEPTION, NMI | HARD_FAULT);
        Ok(in_last_resort || self.hard_fault_handler()?.is_none())
    }

    /// Whether the instruction at `pc` cannot be fetched, or is a BKPT without a debugger.
    fn is_fatal(&mut self, pc: u32) -> Result<bool, QemuLost> {
        let is_debugged = self.debug.is_enabled();
        let instruction = self.instruction_at(pc)?;
        Ok(instruction.is_none_or(|word| is_bkpt(word) && !is_debugged))
    }
}
