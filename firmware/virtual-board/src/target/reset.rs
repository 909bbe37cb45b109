//! Reset: requested by the debugger, by the guest, or by the reset line.

use super::debug_registers::{VC_CORERESET, VECTOR_CATCH};
use super::memory::ReadAhead;
use super::{CoreState, Target};
use crate::qemu::QemuLost;

/// Who pulls the reset line.
#[derive(Default)]
pub(super) struct ResetLine {
    /// The probe's nRST.
    pub(super) pin: bool,
    /// A fault injected by a test.
    pub(super) held: bool,
    /// The line was released with a reset catch set but debug not enabled yet: the core waits
    /// for that. probe-rs does it in this order, where a real core would already be running.
    pub(super) catch_is_latched: bool,
}

impl ResetLine {
    fn is_asserted(&self) -> bool {
        self.pin || self.held
    }
}

impl Target {
    /// A system reset, after which the core runs or is caught. Does nothing while the reset line
    /// is asserted.
    pub(crate) fn reset(&mut self) {
        if self.reset_line.is_asserted() {
            return;
        }
        self.read_ahead = ReadAhead::default();
        self.start_qemu_if_absent();
        // If this fails there is no QEMU, which has been logged; the next reset tries again.
        let _ = self.guarded(Self::try_reset);
    }

    /// Holds the core in reset or lets it go, as a fault.
    pub(crate) fn hold_in_reset(&mut self, held: bool) {
        self.reset_line_changes(|line| line.held = held);
    }

    pub(super) fn reset_line_changes(&mut self, change: impl FnOnce(&mut ResetLine)) {
        let was_asserted = self.reset_line.is_asserted();
        change(&mut self.reset_line);
        match (was_asserted, self.reset_line.is_asserted()) {
            (false, true) => {
                let _ = self.guarded(Self::enter_reset);
                self.state = CoreState::InReset;
            }
            (true, false) => self.reset(),
            _ => {}
        }
    }

    /// Releases the core from reset: it runs, unless the debugger wants to catch it.
    pub(super) fn leave_reset(&mut self) -> Result<(), QemuLost> {
        self.state = CoreState::Halted;
        if self.debug.demcr & VC_CORERESET == 0 {
            return self.resume();
        }
        self.reset_line.catch_is_latched = !self.debug.is_enabled();
        self.enter_debug_state(VECTOR_CATCH);
        Ok(())
    }

    /// The guest may have reset itself, which QEMU has done without asking: the core is already
    /// running again. If a debugger wants to catch that, it is reset once more.
    pub(super) fn note_guest_reset(&mut self) -> Result<(), QemuLost> {
        if !self.qemu()?.take_guest_reset()? {
            return Ok(());
        }
        self.debug.note_reset();
        let catches = self.debug.is_enabled() && self.debug.demcr & VC_CORERESET != 0;
        if catches { self.try_reset() } else { self.breakpoints_changed() }
    }

    fn try_reset(&mut self) -> Result<(), QemuLost> {
        self.enter_reset()?;
        self.core_is_lost = false;
        self.leave_reset()
    }

    fn enter_reset(&mut self) -> Result<(), QemuLost> {
        self.flush_writes()?;
        if self.state == CoreState::Running {
            self.qemu()?.interrupt()?;
        }
        self.state = CoreState::InReset;
        self.registers.forget();
        self.debug.note_reset();
        self.qemu()?.system_reset()
    }

    fn start_qemu_if_absent(&mut self) {
        if self.qemu.is_some() {
            return;
        }
        if let Err(error) = self.start_qemu() {
            tracing::error!("{error}; the next reset tries again");
        }
    }
}
