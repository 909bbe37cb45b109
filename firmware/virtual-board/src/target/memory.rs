//! Memory accesses of the probe, each to where it belongs.

use super::{CoreState, Target};
use crate::memory_map::{Region, region};
use crate::probe::{Bus, BusFault};
use crate::qemu::{Qemu, QemuLost};

/// Collected writes are passed on at this size.
const BUFFER_BYTES: usize = 64 << 10;
/// What is read at once for a probe that reads on and on.
const READ_AHEAD_BYTES: usize = 16 << 10;

/// Consecutive writes to RAM, collected: a probe writes 468 bytes at a time, and each access costs
/// QEMU the same however long it is.
#[derive(Default)]
pub(super) struct WriteBuffer {
    address: u32,
    data: Vec<u8>,
}

impl WriteBuffer {
    fn continues_at(&self, address: u32) -> bool {
        let fits = !self.data.is_empty() && self.data.len() < BUFFER_BYTES;
        fits && self.address + self.data.len() as u32 == address
    }
}

/// Memory read ahead of a probe that reads 504 bytes at a time, for as long as nothing can change
/// it: while the core is stopped and until the next write.
#[derive(Default)]
pub(super) struct ReadAhead {
    address: u32,
    data: Vec<u8>,
    /// Where the probe's last read ended: one that goes on from there is worth reading ahead for.
    last_end: u32,
}

impl ReadAhead {
    fn get(&self, address: u32, len: usize) -> Option<Vec<u8>> {
        let start = address.checked_sub(self.address)? as usize;
        self.data.get(start..start.checked_add(len)?).map(<[u8]>::to_vec)
    }
}

impl Bus for Target {
    fn read(&mut self, address: u64, len: usize) -> Result<Vec<u8>, BusFault> {
        let region = region(address, len).ok_or(BusFault)?;
        // It lies in a region, so it has 32 bits.
        let address = address as u32;
        self.guarded(|target| {
            target.flush_writes()?;
            match region {
                Region::Flash | Region::Ram => target.read_plain(address, len),
                Region::Peripherals => read_device(target.qemu()?, address, len),
                Region::PrivatePeripherals => target.read_private(address, len),
            }
        })
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), BusFault> {
        let region = region(address, data.len()).ok_or(BusFault)?;
        let address = address as u32;
        self.read_ahead = ReadAhead::default();
        self.guarded(|target| match region {
            Region::Ram => target.buffer_write(address, data),
            // Flash is written by commands to its controller, here by the algorithm on the core.
            Region::Flash => Ok(()),
            Region::Peripherals => {
                target.flush_writes()?;
                write_device(target.qemu()?, address, data)
            }
            Region::PrivatePeripherals => {
                target.flush_writes()?;
                target.write_private(address, data)
            }
        })?;
        if region == Region::Flash { Err(BusFault) } else { Ok(()) }
    }

    fn drive_reset_pin(&mut self, asserted: bool) {
        self.read_ahead = ReadAhead::default();
        self.reset_line_changes(|line| line.pin = asserted);
    }
}

impl Target {
    fn read_plain(&mut self, address: u32, len: usize) -> Result<Vec<u8>, QemuLost> {
        let goes_on = self.read_ahead.last_end == address && self.state != CoreState::Running;
        self.read_ahead.last_end = address.wrapping_add(len as u32);
        if !goes_on {
            return self.qemu()?.read_memory(address, len);
        }
        if let Some(data) = self.read_ahead.get(address, len) {
            return Ok(data);
        }
        let is_plain = |len: &usize| region(u64::from(address), *len) == region(u64::from(address), 1);
        let ahead = Some(READ_AHEAD_BYTES.max(len)).filter(is_plain).unwrap_or(len);
        self.read_ahead.data = self.qemu()?.read_memory(address, ahead)?;
        self.read_ahead.address = address;
        Ok(self.read_ahead.data[..len].to_vec())
    }

    fn buffer_write(&mut self, address: u32, data: &[u8]) -> Result<(), QemuLost> {
        if !self.writes.continues_at(address) {
            self.flush_writes()?;
            self.writes.address = address;
        }
        self.writes.data.extend_from_slice(data);
        Ok(())
    }

    /// Passes collected writes on; to be called before anything that could see them.
    pub(super) fn flush_writes(&mut self) -> Result<(), QemuLost> {
        if self.writes.data.is_empty() {
            return Ok(());
        }
        let WriteBuffer { address, data } = std::mem::take(&mut self.writes);
        self.qemu()?.write_memory(address, &data)
    }

    fn read_private(&mut self, address: u32, len: usize) -> Result<Vec<u8>, QemuLost> {
        let mut bytes = Vec::with_capacity(len);
        let end = address + len as u32;
        let mut word_address = address & !3;
        while word_address < end {
            let word = self.read_private_word(word_address)?.to_le_bytes();
            let covered = (word_address..).zip(word);
            bytes.extend(covered.filter(|(at, _)| (address..end).contains(at)).map(|(_, byte)| byte));
            word_address += 4;
        }
        Ok(bytes)
    }

    /// Whole words go to the debug registers; narrower writes only make sense for the NVIC's
    /// priorities, which QEMU has.
    fn write_private(&mut self, address: u32, data: &[u8]) -> Result<(), QemuLost> {
        if !address.is_multiple_of(4) || !data.len().is_multiple_of(4) {
            return write_device(self.qemu()?, address, data);
        }
        for (at, word) in (address..).step_by(4).zip(data.chunks(4)) {
            self.write_private_word(at, value(word))?;
        }
        Ok(())
    }
}

/// Reads device registers one by one, words where the range allows.
fn read_device(qemu: &mut Qemu, address: u32, len: usize) -> Result<Vec<u8>, QemuLost> {
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let at = address + bytes.len() as u32;
        let width = access_width(at, len - bytes.len());
        let word = qemu.read_device(at, width)?.to_le_bytes();
        bytes.extend_from_slice(&word[..width]);
    }
    Ok(bytes)
}

fn write_device(qemu: &mut Qemu, address: u32, data: &[u8]) -> Result<(), QemuLost> {
    let mut written = 0;
    while written < data.len() {
        let at = address + written as u32;
        let width = access_width(at, data.len() - written);
        qemu.write_device(at, width, value(&data[written..written + width]))?;
        written += width;
    }
    Ok(())
}

/// The widest access, 4, 2 or 1 bytes, that is aligned and not longer than what remains.
fn access_width(address: u32, remaining: usize) -> usize {
    [4, 2].into_iter().find(|width| address.is_multiple_of(*width as u32) && remaining >= *width).unwrap_or(1)
}

/// Up to four bytes as a little-endian number.
pub(super) fn value(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_accesses_are_aligned() {
        assert_eq!(access_width(0x4000_4000, 8), 4);
        assert_eq!(access_width(0x4000_4002, 8), 2);
        assert_eq!(access_width(0x4000_4001, 8), 1);
        assert_eq!(access_width(0x4000_4000, 3), 2);
        assert_eq!(value(&[1, 2, 3, 4]), 0x0403_0201);
    }
}
