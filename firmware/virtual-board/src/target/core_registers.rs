//! Core registers by the numbers of DCRSR (ARMv7-M ARM, C1.6.3).

use super::Target;
use crate::memory_map::SCRATCH;
use crate::qemu::{CoreRegisters, FloatRegister, QemuLost};

/// If-then state in xPSR: cleared while a foreign instruction is executed, which would be
/// conditional otherwise.
const IT_STATE: u32 = 0x0600_FC00;

/// The registers of the stopped core, fetched once and written back once.
#[derive(Default)]
pub(super) struct RegisterCache {
    known: Option<CoreRegisters>,
    is_changed: bool,
}

impl RegisterCache {
    pub(super) fn known(&self) -> Option<&CoreRegisters> {
        self.known.as_ref()
    }

    pub(super) fn learn(&mut self, registers: CoreRegisters) {
        *self = Self { known: Some(registers), is_changed: false };
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Special registers that QEMU's gdbstub does not offer, by their SYSm number in MRS and MSR.
#[derive(Clone, Copy)]
enum Special {
    Msp = 8,
    Psp = 9,
    Primask = 16,
    Basepri = 17,
    Faultmask = 19,
    Control = 20,
}

/// The special registers in DCRSR's register 20, from the least significant byte.
const PACKED: [Special; 4] = [Special::Primask, Special::Basepri, Special::Faultmask, Special::Control];

impl Target {
    /// Reads a register of the halted core; unknown selectors read 0.
    pub(super) fn read_core_register(&mut self, selector: u32) -> Result<u32, QemuLost> {
        match selector {
            0..=16 => Ok(self.core_registers()?.0[selector as usize]),
            17 => self.read_special(Special::Msp),
            18 => self.process_stack(),
            20 => self.read_packed(),
            33 => Ok(self.qemu()?.float_register(FloatRegister::Status)? as u32),
            64..=95 => {
                let (register, shift) = float(selector);
                Ok((self.qemu()?.float_register(register)? >> shift) as u32)
            }
            _ => Ok(0),
        }
    }

    /// Writes a register of the halted core; unknown selectors are ignored.
    pub(super) fn write_core_register(&mut self, selector: u32, value: u32) -> Result<(), QemuLost> {
        match selector {
            0..=16 => self.change_register(selector as usize, value),
            17 => self.write_special(Special::Msp, value),
            18 => self.write_special(Special::Psp, value),
            20 => (0..4).try_for_each(|byte| self.write_special(PACKED[byte], value >> (8 * byte) & 0xFF)),
            33 => self.qemu()?.set_float_register(FloatRegister::Status, u64::from(value)),
            64..=95 => {
                let (register, shift) = float(selector);
                let other_half = self.qemu()?.float_register(register)? & !(0xFFFF_FFFF << shift);
                let both = other_half | u64::from(value) << shift;
                self.qemu()?.set_float_register(register, both)
            }
            _ => Ok(()),
        }
    }

    /// The process stack pointer.
    pub(super) fn process_stack(&mut self) -> Result<u32, QemuLost> {
        self.read_special(Special::Psp)
    }

    /// Writes changed registers back before the core moves.
    pub(super) fn flush_registers(&mut self) -> Result<(), QemuLost> {
        let Some(registers) = self.registers.known.clone().filter(|_| self.registers.is_changed) else {
            return Ok(());
        };
        self.qemu()?.set_registers(&registers)?;
        self.registers.is_changed = false;
        Ok(())
    }

    fn change_register(&mut self, index: usize, value: u32) -> Result<(), QemuLost> {
        let mut registers = self.core_registers()?;
        registers.0[index] = if index == CoreRegisters::PC { value & !1 } else { value };
        self.registers = RegisterCache { known: Some(registers), is_changed: true };
        Ok(())
    }

    fn read_packed(&mut self) -> Result<u32, QemuLost> {
        let mut packed = 0;
        for (byte, special) in PACKED.into_iter().enumerate() {
            packed |= (self.read_special(special)? & 0xFF) << (8 * byte);
        }
        Ok(packed)
    }

    /// `MRS r0, special`
    fn read_special(&mut self, special: Special) -> Result<u32, QemuLost> {
        self.execute_foreign([0xF3EF, 0x8000 | special as u16], 0)
    }

    /// `MSR special, r0`
    fn write_special(&mut self, special: Special, value: u32) -> Result<(), QemuLost> {
        self.execute_foreign([0xF380, 0x8800 | special as u16], value).map(drop)
    }

    /// Lets the core execute one 32 bit instruction from scratch RAM with `r0` in r0; gives what
    /// is in r0 then. All else is put back, except a stack pointer that the instruction wrote.
    fn execute_foreign(&mut self, instruction: [u16; 2], r0: u32) -> Result<u32, QemuLost> {
        let mut original = self.core_registers()?;
        let saved = self.qemu()?.read_word(SCRATCH)?;
        let word = u32::from(instruction[0]) | u32::from(instruction[1]) << 16;
        self.qemu()?.write_device(SCRATCH, 4, word)?;
        let mut registers = original.clone();
        registers.0[0] = r0;
        registers.0[CoreRegisters::PC] = SCRATCH;
        registers.0[CoreRegisters::XPSR] &= !IT_STATE;
        self.qemu()?.set_registers(&registers)?;
        self.execute_one()?;
        let after = self.core_registers()?;
        self.qemu()?.write_device(SCRATCH, 4, saved)?;
        original.0[CoreRegisters::SP] = after.0[CoreRegisters::SP];
        self.registers = RegisterCache { known: Some(original), is_changed: true };
        Ok(after.0[0])
    }
}

/// The double register that holds the single register of a DCRSR selector, and its place there.
fn float(selector: u32) -> (FloatRegister, u32) {
    let single = selector - 64;
    (FloatRegister::Double((single / 2) as u8), single % 2 * 32)
}
