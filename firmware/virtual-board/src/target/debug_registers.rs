//! The debug registers of a Cortex-M that QEMU does not model (ARMv7-M ARM, chapter C1).

use super::{CoreState, Target, identification};
use crate::qemu::QemuLost;

pub(super) const DHCSR: u32 = 0xE000_EDF0;
const DCRSR: u32 = 0xE000_EDF4;
const DCRDR: u32 = 0xE000_EDF8;
const DEMCR: u32 = 0xE000_EDFC;
const DFSR: u32 = 0xE000_ED30;
const AIRCR: u32 = 0xE000_ED0C;
const FP_CTRL: u32 = 0xE000_2000;
const FP_COMP: u32 = 0xE000_2008;
const FP_COMP_END: u32 = FP_COMP + 4 * COMPARATORS as u32;

const DHCSR_KEY: u32 = 0xA05F_0000;
/// DHCSR control bits.
pub(super) const C_DEBUGEN: u32 = 1;
pub(super) const C_HALT: u32 = 1 << 1;
pub(super) const C_STEP: u32 = 1 << 2;
const C_MASKINTS: u32 = 1 << 3;
/// DHCSR status bits.
const S_REGRDY: u32 = 1 << 16;
const S_HALT: u32 = 1 << 17;
const S_LOCKUP: u32 = 1 << 19;
const S_RETIRE: u32 = 1 << 24;
pub(super) const S_RESET: u32 = 1 << 25;

/// DFSR: why the core halted.
pub(super) const HALTED: u32 = 1;
pub(super) const BREAKPOINT: u32 = 1 << 1;
pub(super) const VECTOR_CATCH: u32 = 1 << 3;

/// DEMCR vector catch bits.
pub(super) const VC_CORERESET: u32 = 1;
pub(super) const VC_HARDERR: u32 = 1 << 10;

const AIRCR_KEY: u32 = 0x05FA_0000;
/// SYSRESETREQ and VECTRESET.
const AIRCR_RESETS: u32 = 1 << 2 | 1;

/// Breakpoint comparators of the flash patch unit.
const COMPARATORS: usize = 8;
/// Revision 1 (as on an M7: plain addresses, RAM too), eight comparators.
const FP_CTRL_FIXED: u32 = 1 << 28 | (COMPARATORS as u32) << 4;
const FP_CTRL_KEY: u32 = 1 << 1;

/// Their state. It survives resets, except for the comparators.
#[derive(Default)]
pub(super) struct DebugRegisters {
    /// The control bits of DHCSR.
    pub(super) control: u32,
    /// Status bits that reading DHCSR clears.
    sticky: u32,
    pub(super) dfsr: u32,
    pub(super) demcr: u32,
    dcrdr: u32,
    fpb_enabled: bool,
    comparators: [u32; COMPARATORS],
    /// DHCSR was read and said "running" last time, so the reader is waiting for a halt.
    is_polled: bool,
}

impl DebugRegisters {
    pub(super) fn is_enabled(&self) -> bool {
        self.control & C_DEBUGEN != 0
    }

    /// What a system reset does to them.
    pub(super) fn note_reset(&mut self) {
        self.sticky |= S_RESET;
        self.fpb_enabled = false;
        self.comparators = [0; COMPARATORS];
    }

    pub(super) fn note_progress(&mut self) {
        self.sticky |= S_RETIRE;
    }

    /// Addresses at which the debugger wants the core to halt.
    pub(super) fn breakpoints(&self) -> impl Iterator<Item = u32> {
        let active = self.fpb_enabled && self.is_enabled();
        let comparators = self.comparators.iter().filter(move |value| active && **value & 1 != 0);
        comparators.map(|value| value & !1)
    }

    fn take_dhcsr(&mut self, state: CoreState) -> u32 {
        let (status, halt_bit) = match state {
            CoreState::Halted => (S_HALT, C_HALT),
            CoreState::LockedUp => (S_LOCKUP, 0),
            CoreState::Running => (0, 0),
            CoreState::InReset => (S_RESET, 0),
        };
        // probe-rs writes the control bits back as read, so C_HALT has to read as one.
        S_REGRDY | status | halt_bit | self.control | std::mem::take(&mut self.sticky)
    }
}

impl Target {
    /// Reads a word of the private peripheral bus.
    pub(super) fn read_private_word(&mut self, address: u32) -> Result<u32, QemuLost> {
        let polled = std::mem::take(&mut self.debug.is_polled);
        match address {
            DHCSR => self.read_dhcsr(polled),
            DCRSR => Ok(0),
            DCRDR => Ok(self.debug.dcrdr),
            DEMCR => Ok(self.debug.demcr),
            DFSR => Ok(self.debug.dfsr),
            FP_CTRL => Ok(FP_CTRL_FIXED | u32::from(self.debug.fpb_enabled)),
            FP_COMP..FP_COMP_END => Ok(self.debug.comparators[comparator(address)]),
            _ => match identification::read(address) {
                Some(word) => Ok(word),
                None => self.qemu()?.read_word(address),
            },
        }
    }

    /// Writes a word of the private peripheral bus.
    pub(super) fn write_private_word(&mut self, address: u32, value: u32) -> Result<(), QemuLost> {
        match address {
            DHCSR => self.write_dhcsr(value)?,
            DCRSR => self.transfer_register(value)?,
            DCRDR => self.debug.dcrdr = value,
            DEMCR => self.debug.demcr = value,
            DFSR => self.debug.dfsr &= !value,
            AIRCR if value & AIRCR_RESETS != 0 && value & 0xFFFF_0000 == AIRCR_KEY => self.reset(),
            FP_CTRL => self.write_fp_ctrl(value)?,
            FP_COMP..FP_COMP_END => {
                self.debug.comparators[comparator(address)] = value;
                self.breakpoints_changed()?;
            }
            _ => self.qemu()?.write_device(address, 4, value)?,
        }
        Ok(())
    }

    /// A reader that polls for a halt waits here for a moment, which is quicker for it than to
    /// ask again, and leaves the processor to QEMU.
    fn read_dhcsr(&mut self, polled: bool) -> Result<u32, QemuLost> {
        self.note_stop(std::time::Duration::from_millis(u64::from(polled)))?;
        self.debug.is_polled = self.state == CoreState::Running;
        Ok(self.debug.take_dhcsr(self.state))
    }

    fn write_dhcsr(&mut self, value: u32) -> Result<(), QemuLost> {
        if value & 0xFFFF_0000 != DHCSR_KEY {
            return Ok(());
        }
        let was_enabled = self.debug.is_enabled();
        self.debug.control = value & (C_DEBUGEN | C_STEP | C_MASKINTS);
        if !self.debug.is_enabled() {
            self.debug.control = 0;
            return self.leave_debug(was_enabled);
        }
        let catches_reset = std::mem::take(&mut self.reset_line.catch_is_latched) && !was_enabled;
        if value & C_HALT != 0 || catches_reset {
            self.halt()
        } else if value & C_STEP != 0 {
            self.step()
        } else {
            self.resume_if_halted()
        }
    }

    /// Debug has been switched off: the core runs on, without breakpoints.
    fn leave_debug(&mut self, was_enabled: bool) -> Result<(), QemuLost> {
        match self.state {
            CoreState::Halted => self.resume(),
            _ if was_enabled => self.breakpoints_changed(),
            _ => Ok(()),
        }
    }

    fn write_fp_ctrl(&mut self, value: u32) -> Result<(), QemuLost> {
        if value & FP_CTRL_KEY != 0 {
            self.debug.fpb_enabled = value & 1 != 0;
            self.breakpoints_changed()?;
        }
        Ok(())
    }

    /// DCRSR: moves a core register to or from DCRDR, of a halted core only.
    fn transfer_register(&mut self, request: u32) -> Result<(), QemuLost> {
        let selector = request & 0x7F;
        if self.state != CoreState::Halted {
            return Ok(());
        }
        if request & 1 << 16 != 0 {
            self.write_core_register(selector, self.debug.dcrdr)
        } else {
            self.debug.dcrdr = self.read_core_register(selector)?;
            Ok(())
        }
    }
}

fn comparator(address: u32) -> usize {
    ((address - FP_COMP) / 4) as usize
}
