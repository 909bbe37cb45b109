//! Little-endian reads. A record is an array of its length, so that reading a field cannot fail and costs a load.

/// The two bytes at `at`, which every caller names as a constant.
#[inline(always)]
pub fn u16_at<const N: usize>(record: &[u8; N], at: usize) -> u16 {
    u16::from_le_bytes(chunk(record, at))
}

/// The four bytes at `at`, likewise.
#[inline(always)]
pub fn u32_at<const N: usize>(record: &[u8; N], at: usize) -> u32 {
    u32::from_le_bytes(chunk(record, at))
}

/// The bytes of a field as one value, which one load reads wherever it is used.
#[inline(always)]
fn chunk<const N: usize, const LEN: usize>(record: &[u8; N], at: usize) -> [u8; LEN] {
    assert!(at + LEN <= N, "a field lies in its record");
    // SAFETY: just checked.
    unsafe { record.as_ptr().add(at).cast::<[u8; LEN]>().read() }
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
