//! The memory map of the MPS2 machines, as far as the probe and the lockup prediction need it.

use std::ops::Range;

/// First byte of the flash, which is code RAM in the emulated machine.
pub const FLASH_START: u32 = 0;
/// Size of the flash in bytes.
pub const FLASH_BYTES: u32 = 4 << 20;
/// Size in bytes of the piece of flash that is erased at once.
pub const SECTOR_BYTES: u32 = 64 << 10;
/// First byte of the RAM.
pub const RAM_START: u32 = 0x2000_0000;
/// Size of the RAM in bytes.
pub const RAM_BYTES: u32 = 4 << 20;
/// Base of the CMSDK UART that the serial port is connected to.
pub const UART0: u32 = 0x4000_4000;

/// Where the flash algorithm notes which bytes it has changed (`flash-algorithm/mps2.s`).
pub(crate) const JOURNAL: u32 = RAM_START + RAM_BYTES - 32;
/// Scratch RAM for one instruction that the server lets the core run; restored afterwards.
pub(crate) const SCRATCH: u32 = RAM_START + RAM_BYTES - 16;

const FLASH: Range<u32> = FLASH_START..FLASH_START + FLASH_BYTES;
const RAM: Range<u32> = RAM_START..RAM_START + RAM_BYTES;
const PERIPHERALS: Range<u32> = 0x4000_0000..0x4204_0000;
const PRIVATE_PERIPHERALS: Range<u32> = 0xE000_0000..0xE010_0000;
/// Further memory from which code can run: the mirror of the flash, block RAM, the mirror of the
/// RAM and, on the M4 machine, PSRAM.
const OTHER_CODE: [Range<u32>; 4] =
    [0x0040_0000..0x0080_0000, 0x0100_0000..0x0101_0000, 0x2040_0000..0x2080_0000, 0x2100_0000..0x2200_0000];

/// What lies behind an address range, all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    /// Readable by the probe; only the flash algorithm on the core writes it.
    Flash,
    /// Plain memory.
    Ram,
    /// Device registers.
    Peripherals,
    /// The core's own registers: debug, NVIC, SysTick, ROM table.
    PrivatePeripherals,
}

/// The region that holds all `len` bytes from `address`; `None` means a bus fault.
pub(crate) fn region(address: u64, len: usize) -> Option<Region> {
    let within = |range: &Range<u32>| address >= u64::from(range.start) && address + len as u64 <= u64::from(range.end);
    [
        (FLASH, Region::Flash),
        (RAM, Region::Ram),
        (PERIPHERALS, Region::Peripherals),
        (PRIVATE_PERIPHERALS, Region::PrivatePeripherals),
    ]
    .iter()
    .find(|(range, _)| within(range))
    .map(|(_, region)| *region)
}

/// Whether the core can fetch an instruction from this address.
pub(crate) fn is_executable(address: u32) -> bool {
    FLASH.contains(&address) || RAM.contains(&address) || OTHER_CODE.iter().any(|range| range.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_leave_a_region_fault() {
        assert_eq!(region(0, 4), Some(Region::Flash));
        assert_eq!(region(0x003F_FFFE, 4), None);
        assert_eq!(region(0x203F_FFFC, 4), Some(Region::Ram));
        assert_eq!(region(0xE000_EDF0, 4), Some(Region::PrivatePeripherals));
        assert_eq!(region(0x9000_0000, 4), None);
        assert_eq!(region(0x1_2000_0000, 4), None);
    }

    #[test]
    fn blank_flash_is_not_executable() {
        assert!(is_executable(0));
        assert!(is_executable(RAM_START));
        assert!(!is_executable(0xFFFF_FFFE));
        assert!(!is_executable(UART0));
    }
}
