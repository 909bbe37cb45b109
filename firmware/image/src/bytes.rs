//! Little-endian reads. A record is an array of its length, so that reading a field cannot fail and costs a load.

/// The two bytes at `at`, which every caller names as a constant.
#[inline(always)]
pub fn u16_at<const N: usize>(record: &[u8; N], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}

/// The four bytes at `at`, likewise.
#[inline(always)]
pub fn u32_at<const N: usize>(record: &[u8; N], at: usize) -> u32 {
    u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
}

/// The same, signed.
#[inline(always)]
pub fn i32_at<const N: usize>(record: &[u8; N], at: usize) -> i32 {
    u32_at(record, at) as i32
}

/// The bytes `off..off + len`, or `None` when any of them lies outside.
pub fn range(bytes: &[u8], off: u32, len: u32) -> Option<&[u8]> {
    let start = off as usize;
    bytes.get(start..start.checked_add(len as usize)?)
}

/// Whether `off + len <= end`.
pub fn fits(off: u32, len: u32, end: u32) -> bool {
    end.checked_sub(off).is_some_and(|room| len <= room)
}
