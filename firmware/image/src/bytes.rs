//! Little-endian reads and writes at an offset; a short slice is `None`, never a panic.

/// A record's bytes: reads at offsets, or `None` past its end.
#[derive(Clone, Copy)]
pub struct Record<'a>(pub &'a [u8]);

impl Record<'_> {
    pub fn u8(&self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    pub fn u16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub fn u32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub fn i32(&self, at: usize) -> Option<i32> {
        self.array(at).map(i32::from_le_bytes)
    }

    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }
}

/// The bytes `off..off + len`, or `None` when any of them lies outside.
pub fn range(bytes: &[u8], off: u32, len: u32) -> Option<&[u8]> {
    let start = off as usize;
    bytes.get(start..start.checked_add(len as usize)?)
}
