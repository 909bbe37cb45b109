//! Runs of quads in portable code: what the host runs.

use super::{Sum, quad_len};
use crate::Bits;
use crate::quads::{self, QUAD};

/// # Safety
/// `count > 0` whole quads must lie `step` bytes apart from `first` on.
pub(super) unsafe fn sum(first: *const u8, step: usize, count: usize, bits: Bits) -> [u32; 2] {
    // SAFETY: the caller's promise.
    let words = (0..count).map(|i| unsafe { read(first.wrapping_add(i * step), bits) });
    words.fold([0; 2], |[even, odd], word| [even + (word & 0x00FF_00FF), odd + (word >> 8 & 0x00FF_00FF)])
}

/// # Safety
/// As [`sum`].
pub(super) unsafe fn max(first: *const u8, step: usize, count: usize, bits: Bits) -> u32 {
    // SAFETY: the caller's promise.
    let words = (0..count).map(|i| unsafe { read(first.wrapping_add(i * step), bits) });
    let largest = words.fold([0; QUAD], |max, word| {
        let bytes = word.to_le_bytes();
        core::array::from_fn(|c| bytes[c].max(max[c]))
    });
    u32::from_le_bytes(largest)
}

/// # Safety
/// As [`sum`], and `destination` must have room for `4 * count` half-words, `pitch` apart.
pub(super) unsafe fn spread(
    first: *const u8,
    step: usize,
    count: usize,
    bits: Bits,
    destination: *mut u16,
    pitch: usize,
) {
    for i in 0..count {
        // SAFETY: the caller's promise.
        let word = unsafe { read(first.wrapping_add(i * step), bits) };
        for (c, byte) in word.to_le_bytes().into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { destination.add((QUAD * i + c) * pitch).write(byte.into()) };
        }
    }
}

/// # Safety
/// `count > 0` whole quads must lie side by side from each of the pointers on.
pub(super) unsafe fn add(sum: &Sum, inputs: [*const u8; 2], output: *mut u8, count: usize) {
    // SAFETY: the caller's promise. The common cases get a loop of their own, without decisions in it.
    unsafe {
        match sum.bits {
            [Bits::B8, Bits::B8, Bits::B8] => add_at(sum, [Bits::B8; 3], inputs, output, count),
            [Bits::B4, Bits::B4, Bits::B4] => add_at(sum, [Bits::B4; 3], inputs, output, count),
            [Bits::B2, Bits::B2, Bits::B2] => add_at(sum, [Bits::B2; 3], inputs, output, count),
            bits => add_at(sum, bits, inputs, output, count),
        }
    }
}

/// # Safety
/// As [`add`].
#[inline(always)]
unsafe fn add_at(sum: &Sum, bits: [Bits; 3], inputs: [*const u8; 2], output: *mut u8, count: usize) {
    let len = quad_len(bits[2]);
    for i in 0..count {
        // SAFETY: the caller's promise.
        let word = |n: usize| unsafe { read(inputs[n].wrapping_add(i * quad_len(bits[n])), bits[n]).to_le_bytes() };
        let (x1, x2) = (word(0), word(1));
        let bytes = core::array::from_fn(|c| sum.of(x1[c], x2[c]));
        // SAFETY: the caller's promise. Quad by quad: the output may lie over quads that were read.
        let target = unsafe { core::slice::from_raw_parts_mut(output.wrapping_add(i * len), len) };
        quads::write(target, u32::from_le_bytes(bytes), QUAD, bits[2]);
    }
}

/// The channels of a quad as the bytes of a word.
///
/// # Safety
/// A whole quad must lie at `first`.
#[inline(always)]
unsafe fn read(first: *const u8, bits: Bits) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        match bits {
            Bits::B8 => u32::from_le_bytes(*first.cast()),
            Bits::B4 => bytes_of_nibbles(u16::from_le_bytes(*first.cast())),
            Bits::B2 => bytes_of_crumbs(*first),
        }
    }
}

/// Four nibbles as four bytes.
#[inline(always)]
fn bytes_of_nibbles(nibbles: u16) -> u32 {
    let half = u32::from(nibbles);
    let spread = (half | half << 8) & 0x00FF_00FF;
    (spread | spread << 4) & 0x0F0F_0F0F
}

/// Four crumbs as four bytes.
#[inline(always)]
fn bytes_of_crumbs(crumbs: u8) -> u32 {
    let byte = u32::from(crumbs);
    let spread = (byte | byte << 12) & 0x000F_000F;
    (spread | spread << 6) & 0x0303_0303
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_spread_to_bytes() {
        assert_eq!(bytes_of_nibbles(0x4321), 0x0403_0201);
        assert_eq!(bytes_of_crumbs(0b11_10_01_00), 0x0302_0100);
    }
}
