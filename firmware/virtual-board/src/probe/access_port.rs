//! Registers of the debug port and of the one access port behind it (ARM ADIv5.2).

/// A debug port of version 1, as on a Cortex-M4.
const DPIDR: u32 = 0x2BA0_1477;
/// An AMBA AHB3 memory access port.
const AP_IDR: u32 = 0x2477_0011;
/// The ROM table of a Cortex-M, valid and in use.
const AP_BASE: u32 = 0xE00F_F003;
/// Transfers enabled, word size.
const CSW_AT_RESET: u32 = 0x2300_0042;
/// Power-up requests in CTRL/STAT; each is acknowledged in the bit above.
const POWER_UP_REQUESTS: u32 = 0x5000_0000;
/// CTRL/STAT bits that the debugger may set: power requests, masks, overrun detection.
const CTRL_WRITABLE: u32 = 0x5400_0F01;

/// State of the debug port and access port 0. Access ports above 0 do not exist: their registers
/// read 0, which ends a debugger's scan.
pub(super) struct DebugAccessPort {
    ctrl: u32,
    select: u32,
    csw: u32,
    tar: u32,
}

impl Default for DebugAccessPort {
    fn default() -> Self {
        Self { ctrl: 0, select: 0, csw: CSW_AT_RESET, tar: 0 }
    }
}

impl DebugAccessPort {
    /// Reads a debug port register by its address 0x0, 0x4, 0x8 or 0xC.
    pub(super) fn read_dp(&self, address: u8) -> u32 {
        match (address, self.select & 0xF) {
            (0x0, _) => DPIDR,
            (0x4, 0) => self.ctrl | (self.ctrl & POWER_UP_REQUESTS) << 1,
            _ => 0,
        }
    }

    /// Writes a debug port register; ABORT has nothing to abort.
    pub(super) fn write_dp(&mut self, address: u8, value: u32) {
        match (address, self.select & 0xF) {
            (0x4, 0) => self.ctrl = value & CTRL_WRITABLE,
            (0x8, _) => self.select = value,
            _ => {}
        }
    }

    /// Reads a register of an access port.
    pub(super) fn read_ap(&self, port: u8, address: u8) -> u32 {
        match (port, address) {
            (0, 0x00) => self.csw,
            (0, 0x04) => self.tar,
            (0, 0xF8) => AP_BASE,
            (0, 0xFC) => AP_IDR,
            _ => 0,
        }
    }

    /// Writes a register of an access port. Memory goes by its own requests, so TAR only remembers.
    pub(super) fn write_ap(&mut self, port: u8, address: u8, value: u32) {
        match (port, address) {
            (0, 0x00) => self.csw = value | 0x40,
            (0, 0x04) => self.tar = value,
            _ => {}
        }
    }
}
