//! Two windows inside the input at once: `expand.s`.

use super::Windows;
use crate::Bits;

core::arch::global_asm!(include_str!("expand.s"), options(raw));

/// Arguments in the order of `expand.s`.
#[repr(C)]
struct Pair {
    sources: [*const u8; 2],
    destination: *mut u32,
    /// Of four bytes at 8 bits, of eight values below.
    units: usize,
    skip: usize,
    rows: usize,
}

unsafe extern "C" {
    // Both sums, in the halves of a 64-bit value.
    fn bitrack_expand_b8(pair: &Pair) -> u64;
    fn bitrack_expand_b4(pair: &Pair) -> u64;
    fn bitrack_expand_b2(pair: &Pair) -> u64;
}

/// Expands the windows at two byte offsets; `None` if whole units would read beyond the input, which happens to rows that
/// are not a multiple of four bytes at its very end.
pub(super) fn pair(windows: &Windows<'_>, offsets: [usize; 2], words: &mut [u32]) -> Option<[i32; 2]> {
    let bits = windows.bits;
    let (units, unit_bytes) = match bits {
        Bits::B8 => (windows.row.div_ceil(4), 4),
        Bits::B4 => (windows.row / 8, 4),
        Bits::B2 => (windows.row / 8, 2),
    };
    let rows = usize::from(windows.shape.k_h);
    let row_step = usize::from(windows.shape.in_w) * windows.pixel_bytes;
    let last = (rows - 1) * row_step + units * unit_bytes;
    if offsets[0].max(offsets[1]) + last > windows.input.len() {
        return None;
    }
    debug_assert!(words.len() >= rows * windows.row.next_multiple_of(4));
    let args = Pair {
        sources: offsets.map(|at| windows.input[at..].as_ptr()),
        destination: words.as_mut_ptr(),
        units,
        skip: row_step.wrapping_sub(units * unit_bytes),
        rows,
    };
    // SAFETY: every unit of every row lies in the input, checked above; `words` holds two lanes of `rows` rows.
    let sums = unsafe {
        match bits {
            Bits::B8 => bitrack_expand_b8(&args),
            Bits::B4 => bitrack_expand_b4(&args),
            Bits::B2 => bitrack_expand_b2(&args),
        }
    };
    Some([sums as i32, (sums >> 32) as i32])
}
