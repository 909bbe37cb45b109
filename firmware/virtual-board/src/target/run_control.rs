//! Halting, stepping and resuming the core, and telling why it stopped.

use std::time::Duration;

use super::debug_registers::{BREAKPOINT, HALTED};
use super::{CoreState, Target};
use crate::memory_map::is_executable;
use crate::qemu::{CoreRegisters, QemuLost};

/// A step that takes longer than this sleeps in WFI.
const STEP_TIMEOUT: Duration = Duration::from_millis(50);
/// Interrupt control and state; setting or clearing a pending PendSV.
const ICSR: u32 = 0xE000_ED04;
const PENDSV_SET: u32 = 1 << 28;
const PENDSV_CLEAR: u32 = 1 << 27;
const WFE: u16 = 0xBF20;
const WFI: u16 = 0xBF30;

impl Target {
    /// Enters debug state on request.
    pub(super) fn halt(&mut self) -> Result<(), QemuLost> {
        match self.state {
            CoreState::Halted | CoreState::InReset => Ok(()),
            CoreState::LockedUp => {
                // Debug state is one of the ways out of a lockup.
                self.enter_debug_state(HALTED);
                Ok(())
            }
            CoreState::Running => {
                self.qemu()?.interrupt()?;
                self.judge_stop()?;
                if self.state == CoreState::Running {
                    // It was at a trap of ours and has been sent on.
                    self.qemu()?.interrupt()?;
                    self.enter_debug_state(HALTED);
                }
                Ok(())
            }
        }
    }

    /// Looks whether a running core has stopped, waiting for at most `patience`.
    pub(super) fn note_stop(&mut self, patience: Duration) -> Result<(), QemuLost> {
        if self.state == CoreState::Running && self.qemu()?.wait_for_stop(patience)? {
            self.judge_stop()?;
        }
        Ok(())
    }

    /// Takes what the gdbstub has to say in any state, which is also how a dead QEMU is noticed.
    pub(super) fn note_news(&mut self) -> Result<(), QemuLost> {
        if self.qemu()?.wait_for_stop(Duration::ZERO)? && self.state == CoreState::Running {
            self.judge_stop()?;
        }
        Ok(())
    }

    /// Lets a halted core run.
    pub(super) fn resume_if_halted(&mut self) -> Result<(), QemuLost> {
        if self.state == CoreState::Halted { self.resume() } else { Ok(()) }
    }

    /// Lets the stopped core run, unless it would not get far.
    pub(super) fn resume(&mut self) -> Result<(), QemuLost> {
        self.flush_registers()?;
        if self.is_stuck()? {
            return Ok(());
        }
        self.plant_breakpoints()?;
        self.registers.forget();
        self.debug.note_progress();
        self.state = CoreState::Running;
        self.qemu()?.resume()
    }

    /// Executes one instruction of a halted core.
    pub(super) fn step(&mut self) -> Result<(), QemuLost> {
        if self.state != CoreState::Halted {
            return Ok(());
        }
        self.flush_registers()?;
        if self.is_stuck()? {
            return Ok(());
        }
        self.step_off_traps()?;
        self.debug.note_progress();
        self.enter_debug_state(HALTED);
        Ok(())
    }

    /// One instruction, interrupts masked, by a core that may be asleep.
    pub(super) fn execute_one(&mut self) -> Result<(), QemuLost> {
        let pc = self.core_registers()?.pc();
        let sleeps = [pc.wrapping_sub(2), pc]
            .map(|address| self.instruction_at(address))
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?
            .iter()
            .any(|instruction| matches!(instruction, Some(WFI | WFE)));
        self.registers.forget();
        if sleeps { self.wake_and_step() } else { self.step_or_stop() }
    }

    /// A sleeping core of QEMU executes nothing until an interrupt is pending. Stepping masks
    /// interrupts, so PendSV wakes the core and is taken back before it can be taken.
    fn wake_and_step(&mut self) -> Result<(), QemuLost> {
        let was_pending = self.qemu()?.read_word(ICSR)? & PENDSV_SET != 0;
        self.qemu()?.write_device(ICSR, 4, PENDSV_SET)?;
        self.step_or_stop()?;
        if !was_pending {
            self.qemu()?.write_device(ICSR, 4, PENDSV_CLEAR)?;
        }
        Ok(())
    }

    fn step_or_stop(&mut self) -> Result<(), QemuLost> {
        if !self.qemu()?.step(STEP_TIMEOUT)? {
            self.qemu()?.interrupt()?;
        }
        Ok(())
    }

    /// The halfword at `address`, if code can be there.
    pub(super) fn instruction_at(&mut self, address: u32) -> Result<Option<u16>, QemuLost> {
        if !is_executable(address) {
            return Ok(None);
        }
        Ok(Some(self.qemu()?.read_device(address, 2)? as u16))
    }

    /// Halts for a reason, which replaces an older one that the debugger has not cleared: probe-rs
    /// takes two reasons for a breakpoint and looks for code at a PC that may be blank flash.
    pub(super) fn enter_debug_state(&mut self, reason: u32) {
        self.debug.dfsr = reason;
        self.state = CoreState::Halted;
    }

    /// Whether the core cannot execute its next instruction: then it is halted at a BKPT, or
    /// locked up. QEMU would not survive the latter.
    fn is_stuck(&mut self) -> Result<bool, QemuLost> {
        if self.core_is_lost {
            self.state = CoreState::LockedUp;
            return Ok(true);
        }
        let pc = self.core_registers()?.pc();
        let instruction = self.instruction_at(pc)?;
        if self.will_lock_up(instruction)? {
            self.state = CoreState::LockedUp;
            return Ok(true);
        }
        let at_bkpt = self.debug.is_enabled() && instruction.is_some_and(is_bkpt);
        if at_bkpt {
            self.enter_debug_state(BREAKPOINT);
        }
        Ok(at_bkpt)
    }

    /// The core's registers; it must be stopped.
    pub(super) fn core_registers(&mut self) -> Result<CoreRegisters, QemuLost> {
        if let Some(registers) = self.registers.known() {
            return Ok(registers.clone());
        }
        let registers = self.qemu()?.registers()?;
        self.registers.learn(registers.clone());
        Ok(registers)
    }
}

/// Whether an instruction is BKPT.
pub(super) fn is_bkpt(instruction: u16) -> bool {
    instruction & 0xFF00 == 0xBE00
}
