//! The emulated chip as a probe sees it: memory, and a core with the debug registers that QEMU
//! does not have.
//!
//! It keeps the chip alive: when QEMU dies, which it does by itself at a lockup, a new one takes
//! over with the flash as it was, and the core counts as locked up until the next reset. It does
//! not know the probe's protocol or who is connected.

mod breakpoints;
mod core_registers;
mod debug_registers;
mod identification;
mod lockup;
mod memory;
mod reset;
mod run_control;

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;

use crate::error::Error;
use crate::flash::Flash;
use crate::memory_map::{FLASH_BYTES, FLASH_START};
use crate::options::Options;
use crate::probe::BusFault;
use crate::qemu::{Qemu, QemuLost};
use crate::serial::SerialHandle;
use core_registers::RegisterCache;
use debug_registers::DebugRegisters;
use memory::{ReadAhead, WriteBuffer};
use reset::ResetLine;

/// What the core is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CoreState {
    /// In debug state: stopped, registers accessible.
    Halted,
    Running,
    /// Stuck in an unrecoverable fault. QEMU is stopped, or has been replaced.
    LockedUp,
    /// Held by the reset line.
    InReset,
}

/// The chip.
pub(crate) struct Target {
    options: Options,
    serial: SerialHandle,
    flash: Flash,
    /// `None` when a replacement could not be started; the next reset tries again.
    qemu: Option<Qemu>,
    state: CoreState,
    /// QEMU died and took the core's registers and RAM along: only a reset makes the core run.
    core_is_lost: bool,
    debug: DebugRegisters,
    registers: RegisterCache,
    /// Breakpoints that QEMU holds.
    planted: BTreeSet<u32>,
    writes: WriteBuffer,
    read_ahead: ReadAhead,
    reset_line: ResetLine,
}

impl Target {
    /// Powers the chip up: QEMU started, flash restored, the core running what is in it.
    pub(crate) fn power_up(options: Options, serial: SerialHandle, flash: Flash) -> Result<Self, Error> {
        let mut target = Self {
            options,
            serial,
            flash,
            qemu: None,
            state: CoreState::InReset,
            core_is_lost: false,
            debug: DebugRegisters::default(),
            registers: RegisterCache::default(),
            planted: BTreeSet::new(),
            writes: WriteBuffer::default(),
            read_ahead: ReadAhead::default(),
            reset_line: ResetLine::default(),
        };
        target.start_qemu()?;
        let booted = target.leave_reset();
        booted.map_err(|lost| Error::Qemu { doing: "booting", detail: lost.to_string() })?;
        Ok(target)
    }

    /// The id of the QEMU process, while there is one.
    pub(crate) fn qemu_pid(&self) -> Option<u32> {
        self.qemu.as_ref().map(Qemu::pid)
    }

    /// Descriptors that become readable when [`Self::service`] has work.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.qemu.iter().flat_map(|qemu| [qemu.stop_fd(), qemu.event_fd()])
    }

    /// Deals with what QEMU has to tell: the core has stopped, the guest has reset itself, QEMU
    /// is dead.
    pub(crate) fn service(&mut self) {
        if self.qemu.is_some() {
            // A dead QEMU has been replaced and the core's state tells of it.
            let _ = self.guarded(|target| {
                target.note_guest_reset()?;
                target.note_news()
            });
        }
    }

    /// Wakes QEMU's main loop up, by any request.
    pub(crate) fn nudge(&mut self) {
        // Should QEMU be lost over it, it is replaced.
        let _ = self.guarded(|target| target.qemu()?.read_memory(FLASH_START, 1));
    }

    /// Kills QEMU, as a fault; the replacement comes with the next [`Self::service`].
    pub(crate) fn kill_qemu(&mut self) {
        if let Some(qemu) = &mut self.qemu {
            qemu.kill();
        }
    }

    /// Inverts the bits of `mask` in the flash byte at `offset`, as a fault.
    pub(crate) fn flip_flash(&mut self, offset: u32, mask: u8) -> Result<(), Error> {
        let byte = self.flash.byte(offset).ok_or_else(|| {
            Error::Refused(format!("offset {offset:#x} is outside the flash of {FLASH_BYTES:#x} bytes"))
        })?;
        let flipped = [byte ^ mask];
        self.read_ahead = ReadAhead::default();
        self.flash.store(offset, &flipped)?;
        // Should QEMU be lost here, its replacement gets the flipped byte from the copy.
        let _ = self.guarded(|target| target.qemu()?.write_memory(FLASH_START + offset, &flipped));
        Ok(())
    }

    fn qemu(&mut self) -> Result<&mut Qemu, QemuLost> {
        let absent = || QemuLost::from(std::io::Error::from(std::io::ErrorKind::NotConnected));
        self.qemu.as_mut().ok_or_else(absent)
    }

    /// Runs something that needs QEMU. If QEMU is lost over it, it is replaced and the action
    /// tried once more: the probe's client learns from the core's state, not from a fault.
    fn guarded<T>(&mut self, mut action: impl FnMut(&mut Self) -> Result<T, QemuLost>) -> Result<T, BusFault> {
        action(self).or_else(|lost| {
            self.replace_qemu(&lost);
            action(self).map_err(|_| BusFault)
        })
    }

    fn replace_qemu(&mut self, lost: &QemuLost) {
        // Where there is none, the next reset tries again, not every access.
        let Some(mut qemu) = self.qemu.take() else { return };
        let last_words = qemu.last_words();
        tracing::warn!("{lost}; it said {last_words:?}; starting another");
        self.state = CoreState::LockedUp;
        self.core_is_lost = true;
        if let Err(error) = self.start_qemu() {
            tracing::error!("{error}; the next reset tries again");
        }
    }

    /// Starts QEMU and makes it hold what the flash holds. The core is left stopped at its reset
    /// vector; the core's state is the caller's to set.
    fn start_qemu(&mut self) -> Result<(), Error> {
        self.writes = WriteBuffer::default();
        self.read_ahead = ReadAhead::default();
        self.registers = RegisterCache::default();
        self.planted.clear();
        let (mut qemu, uart) = Qemu::start(&self.options)?;
        restore(&mut qemu, &self.flash)
            .map_err(|lost| Error::Qemu { doing: "restoring the flash", detail: lost.to_string() })?;
        self.serial.attach(uart);
        self.qemu = Some(qemu);
        Ok(())
    }
}

fn restore(qemu: &mut Qemu, flash: &Flash) -> Result<(), QemuLost> {
    qemu.fill_memory(FLASH_START, FLASH_BYTES, 0xFF)?;
    for (offset, sector) in flash.written_sectors() {
        qemu.write_memory(FLASH_START + offset, sector)?;
    }
    // The core reads its vectors at reset.
    qemu.system_reset()
}
