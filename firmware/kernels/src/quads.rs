//! Four channels of a packed pixel as the bytes of a word: what every operator without weights works on.

use crate::Bits;

/// Channels in a word of bytes.
pub(crate) const QUAD: usize = 4;

/// Packed bytes of `channels <= 4` channels.
pub(crate) const fn quad_bytes(channels: usize, bits: Bits) -> usize {
    (channels * bits.get() as usize).div_ceil(8)
}

/// The first four channels of `packed`; those it is too short for read as zero.
#[inline(always)]
pub(crate) fn read(packed: &[u8], bits: Bits) -> u32 {
    match bits {
        Bits::B8 => match packed.first_chunk::<4>() {
            Some(bytes) => u32::from_le_bytes(*bytes),
            None => packed.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)),
        },
        Bits::B4 => match packed.first_chunk::<2>() {
            Some(bytes) => bytes_of_nibbles(u32::from(u16::from_le_bytes(*bytes))),
            None => bytes_of_nibbles(packed.first().map_or(0, |&byte| u32::from(byte))),
        },
        Bits::B2 => bytes_of_crumbs(packed.first().map_or(0, |&byte| u32::from(byte))),
    }
}

/// Writes the first `channels` bytes of `word`, none wider than `bits`, and zero pad bits.
#[inline(always)]
pub(crate) fn write(packed: &mut [u8], word: u32, channels: usize, bits: Bits) {
    let live = if channels >= QUAD { word } else { word & ((1 << (8 * channels)) - 1) };
    let fields = match bits {
        Bits::B8 => live,
        Bits::B4 => nibbles_of_bytes(live),
        Bits::B2 => crumbs_of_bytes(live),
    };
    let bytes = fields.to_le_bytes();
    match (bits, channels >= QUAD) {
        (Bits::B8, true) => packed[..4].copy_from_slice(&bytes),
        (Bits::B4, true) => packed[..2].copy_from_slice(&bytes[..2]),
        _ => {
            let len = quad_bytes(channels.min(QUAD), bits);
            packed[..len].copy_from_slice(&bytes[..len]);
        }
    }
}

/// Four nibbles of the low half as four bytes.
#[inline(always)]
pub(crate) fn bytes_of_nibbles(half: u32) -> u32 {
    let spread = (half | half << 8) & 0x00FF_00FF;
    (spread | spread << 4) & 0x0F0F_0F0F
}

/// Four crumbs of the low byte as four bytes.
#[inline(always)]
pub(crate) fn bytes_of_crumbs(byte: u32) -> u32 {
    let spread = (byte | byte << 12) & 0x000F_000F;
    (spread | spread << 6) & 0x0303_0303
}

#[inline(always)]
fn nibbles_of_bytes(word: u32) -> u32 {
    let pairs = (word | word >> 4) & 0x00FF_00FF;
    (pairs | pairs >> 8) & 0xFFFF
}

#[inline(always)]
fn crumbs_of_bytes(word: u32) -> u32 {
    let pairs = word | word >> 6;
    (pairs | pairs >> 12) & 0xFF
}

/// A byte's bounds, replicated for [`clamp`].
#[derive(Clone, Copy)]
pub(crate) struct ByteRange {
    min: u8,
    max: u8,
}

impl ByteRange {
    pub fn new(min: u8, max: u8) -> Self {
        ByteRange { min, max }
    }

    /// Clamps each byte of `word`.
    #[inline(always)]
    pub fn clamp(self, word: u32) -> u32 {
        #[cfg(target_arch = "arm")]
        {
            let all = |byte: u8| u32::from(byte) * 0x0101_0101;
            let above = 255 - self.max;
            let mut clamped = word;
            // SAFETY: three arithmetic instructions on registers: saturate at the top, then at the bottom, then move back.
            unsafe {
                core::arch::asm!(
                    "uqadd8 {0}, {0}, {1}", "uqsub8 {0}, {0}, {2}", "uadd8 {0}, {0}, {3}",
                    inout(reg) clamped, in(reg) all(above), in(reg) all(above + self.min), in(reg) all(self.min),
                    options(pure, nomem, nostack, preserves_flags));
            }
            clamped
        }
        #[cfg(not(target_arch = "arm"))]
        u32::from_le_bytes(word.to_le_bytes().map(|byte| byte.clamp(self.min, self.max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_spread_to_bytes_and_back() {
        assert_eq!(bytes_of_nibbles(0x4321), 0x0403_0201);
        assert_eq!(bytes_of_crumbs(0b11_10_01_00), 0x0302_0100);
        assert_eq!(nibbles_of_bytes(0x0403_0201), 0x4321);
        assert_eq!(crumbs_of_bytes(0x0302_0100), 0b11_10_01_00);
    }

    #[test]
    fn short_quads_leave_the_rest_alone() {
        let mut packed = [0xFF; 4];
        write(&mut packed, 0x0908_0706, 3, Bits::B4);
        assert_eq!(packed, [0x76, 0x08, 0xFF, 0xFF]);
        assert_eq!(read(&packed[..2], Bits::B4), 0x0008_0706);
        assert_eq!(read(&[5], Bits::B8), 5);
    }
}
