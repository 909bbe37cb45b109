//! Four channels of a packed pixel as the bytes of a word: what every operator without weights works on.

use crate::Bits;
use crate::parts::Parts;

/// Channels in a word of bytes.
pub(crate) const QUAD: usize = 4;

/// Packed bytes of `channels <= 4` channels.
pub(crate) const fn quad_bytes(channels: usize, bits: Bits) -> usize {
    (channels * bits.get() as usize).div_ceil(8)
}

/// Writes the first `channels` bytes of `word`, none wider than `bits`, and zero pad bits.
#[inline(never)]
pub(crate) fn write(packed: &mut [u8], word: u32, channels: usize, bits: Bits) {
    let live = if channels >= QUAD { word } else { word & ((1 << (8 * channels)) - 1) };
    let mut fields = match bits {
        Bits::B8 => live,
        Bits::B4 => nibbles_of_bytes(live),
        Bits::B2 => crumbs_of_bytes(live),
    };
    for byte in packed.part_mut(..quad_bytes(channels.min(QUAD), bits)) {
        *byte = fields as u8;
        fields >>= 8;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_fields() {
        assert_eq!(nibbles_of_bytes(0x0403_0201), 0x4321);
        assert_eq!(crumbs_of_bytes(0x0302_0100), 0b11_10_01_00);
    }

    #[test]
    fn short_quads_leave_the_rest_alone() {
        let mut packed = [0xFF; 4];
        write(&mut packed, 0x0908_0706, 3, Bits::B4);
        assert_eq!(packed, [0x76, 0x08, 0xFF, 0xFF]);
    }
}
