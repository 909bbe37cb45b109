//! Bytes that nobody may touch around those that a kernel is given.

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Bytes on either side of a buffer that nobody may touch.
const GUARD: usize = 32;
/// What they hold.
pub const GUARD_BYTE: u8 = 0xA5;

/// Bytes between guards, starting `offset` bytes behind a word boundary.
pub struct Guarded {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Guarded {
    pub fn new(len: usize, offset: usize) -> Self {
        let bytes = vec![GUARD_BYTE; len + 2 * GUARD + 8];
        let misalignment = bytes.as_ptr() as usize % 4;
        Guarded { bytes, start: GUARD + 4 - misalignment + offset, len }
    }

    pub fn get(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }

    pub fn get_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }

    /// Plants the defect that the guards are there for.
    #[allow(dead_code)]
    pub fn overrun(&mut self) {
        self.bytes[self.start + self.len] ^= 1;
    }

    /// Looks at what nobody may touch.
    pub fn check(&self, name: &str) -> Result<(), String> {
        let end = self.start + self.len;
        let outside = self.bytes[..self.start].iter().chain(&self.bytes[end..]);
        if outside.copied().all(|byte| byte == GUARD_BYTE) {
            return Ok(());
        }
        Err(format!("{name}: written outside its {} bytes", self.len))
    }
}
