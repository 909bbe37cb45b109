//! Breakpoints in QEMU, the debugger's and ours, and what it means when the core stops at one.
//!
//! QEMU turns BKPT into a HardFault instead of halting. So while a debugger is attached two traps
//! of ours are planted besides its breakpoints: at the return address if there is a BKPT (that is
//! how flash algorithms end), and at the HardFault handler, where a BKPT elsewhere shows up.

use std::collections::BTreeSet;

use super::debug_registers::{BREAKPOINT, HALTED, VC_HARDERR, VECTOR_CATCH};
use super::memory::value;
use super::run_control::is_bkpt;
use super::{CoreState, Target};
use crate::memory_map::{FLASH_BYTES, FLASH_START, JOURNAL, SCRATCH, is_executable};
use crate::qemu::{CoreRegisters, QemuLost};

const VTOR: u32 = 0xE000_ED08;
/// Offset of the HardFault vector in the vector table.
const HARD_FAULT_VECTOR: u32 = 12;
const CFSR: u32 = 0xE000_ED28;
const HFSR: u32 = 0xE000_ED2C;
const HFSR_FORCED: u32 = 1 << 30;
/// `bx lr`: leaves an exception when LR says so.
const BX_LR: u16 = 0x4770;
/// Offset of the return address in an exception frame.
const FRAME_PC: u32 = 24;
/// EXC_RETURN bit: the frame is on the process stack.
const FRAME_ON_PSP: u32 = 1 << 2;
/// First word of the flash algorithm's journal when it has something to tell.
const JOURNAL_MAGIC: u32 = 0x4A4F_5552;

impl Target {
    /// Makes QEMU hold the breakpoints that the next run needs.
    pub(super) fn plant_breakpoints(&mut self) -> Result<(), QemuLost> {
        let mut wanted: BTreeSet<u32> = self.debug.breakpoints().collect();
        if self.debug.is_enabled() {
            let pc = self.core_registers()?.pc();
            let traps = [self.return_trap()?, self.hard_fault_handler()?];
            if traps.contains(&Some(pc)) && !wanted.contains(&pc) {
                self.step_off_traps()?;
            }
            wanted.extend(traps.into_iter().flatten());
        }
        let stale: Vec<u32> = self.planted.difference(&wanted).copied().collect();
        for address in stale {
            self.unplant(address)?;
        }
        for address in wanted {
            if self.planted.insert(address) {
                self.qemu()?.insert_breakpoint(address)?;
            }
        }
        Ok(())
    }

    /// The debugger's breakpoints changed under a running core.
    pub(super) fn breakpoints_changed(&mut self) -> Result<(), QemuLost> {
        if self.state != CoreState::Running {
            return Ok(());
        }
        self.qemu()?.interrupt()?;
        let pc = self.core_registers()?.pc();
        if self.planted.contains(&pc) { self.judge_stop() } else { self.resume() }
    }

    /// Executes one instruction although there may be a trap of ours on it.
    pub(super) fn step_off_traps(&mut self) -> Result<(), QemuLost> {
        let pc = self.core_registers()?.pc();
        if self.planted.contains(&pc) && !self.debug.breakpoints().any(|address| address == pc) {
            self.unplant(pc)?;
        }
        self.execute_one()
    }

    fn unplant(&mut self, address: u32) -> Result<(), QemuLost> {
        self.planted.remove(&address);
        self.qemu()?.remove_breakpoint(address)
    }

    /// The core has just stopped: finds out why, and lets it run on if the debugger is not meant
    /// to know.
    pub(super) fn judge_stop(&mut self) -> Result<(), QemuLost> {
        self.registers.forget();
        let pc = self.core_registers()?.pc();
        if self.debug.breakpoints().any(|address| address == pc) {
            self.enter_debug_state(BREAKPOINT);
        } else if !self.planted.contains(&pc) {
            self.enter_debug_state(HALTED);
        } else if self.instruction_at(pc)?.is_some_and(is_bkpt) {
            self.store_journal()?;
            self.enter_debug_state(BREAKPOINT);
        } else {
            self.judge_hard_fault()?;
        }
        Ok(())
    }

    fn judge_hard_fault(&mut self) -> Result<(), QemuLost> {
        if self.debug.demcr & VC_HARDERR != 0 {
            self.enter_debug_state(VECTOR_CATCH);
            return Ok(());
        }
        if self.is_fault_of_bkpt()? {
            self.unwind_fault()?;
            self.enter_debug_state(BREAKPOINT);
            return Ok(());
        }
        self.resume()
    }

    /// QEMU escalates a BKPT to HardFault without noting any cause.
    fn is_fault_of_bkpt(&mut self) -> Result<bool, QemuLost> {
        if self.qemu()?.read_word(CFSR)? != 0 {
            return Ok(false);
        }
        let registers = self.core_registers()?;
        let is_on_psp = registers.0[CoreRegisters::LR] & FRAME_ON_PSP != 0;
        let frame = if is_on_psp { self.process_stack()? } else { registers.0[CoreRegisters::SP] };
        let return_address = self.qemu()?.read_word(frame.wrapping_add(FRAME_PC))?;
        Ok(self.instruction_at(return_address)?.is_some_and(is_bkpt))
    }

    /// Takes the core back from the HardFault handler to the faulting instruction.
    fn unwind_fault(&mut self) -> Result<(), QemuLost> {
        let saved = self.qemu()?.read_device(SCRATCH, 2)?;
        self.qemu()?.write_device(SCRATCH, 2, u32::from(BX_LR))?;
        let mut registers = self.core_registers()?;
        registers.0[CoreRegisters::PC] = SCRATCH;
        self.qemu()?.set_registers(&registers)?;
        self.execute_one()?;
        self.qemu()?.write_device(SCRATCH, 2, saved)?;
        self.qemu()?.write_device(HFSR, 4, HFSR_FORCED)
    }

    /// Where a function that was called with a BKPT to return to will end.
    fn return_trap(&mut self) -> Result<Option<u32>, QemuLost> {
        let address = self.core_registers()?.0[CoreRegisters::LR] & !1;
        Ok(self.instruction_at(address)?.filter(|word| is_bkpt(*word)).map(|_| address))
    }

    /// The HardFault handler's address, if the vector table has a usable one.
    pub(super) fn hard_fault_handler(&mut self) -> Result<Option<u32>, QemuLost> {
        let table = self.qemu()?.read_word(VTOR)?;
        let vector = self.qemu()?.read_word(table.wrapping_add(HARD_FAULT_VECTOR))?;
        let is_usable = vector & 1 != 0 && is_executable(vector & !1);
        Ok(is_usable.then_some(vector & !1))
    }

    /// A function called by the debugger has returned: if it was the flash algorithm's, keeps
    /// what it changed.
    fn store_journal(&mut self) -> Result<(), QemuLost> {
        let entry = self.qemu()?.read_memory(JOURNAL, 12)?;
        let [magic, start, end] = [0, 4, 8].map(|at| value(&entry[at..at + 4]));
        if magic != JOURNAL_MAGIC || start >= end || end > FLASH_START + FLASH_BYTES {
            return Ok(());
        }
        self.qemu()?.write_memory(JOURNAL, &[0; 4])?;
        let bytes = self.qemu()?.read_memory(start, (end - start) as usize)?;
        if let Err(error) = self.flash.store(start - FLASH_START, &bytes) {
            tracing::error!("{error}; the board goes on, but a later run will not find this");
        }
        Ok(())
    }
}
