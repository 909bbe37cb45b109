//! Packed activations: HWC order, channels of a pixel little-endian within bytes, each pixel byte-aligned.
//!
//! Channel `c` of a pixel lies at bit `(c * b) % 8` of the pixel's byte `(c * b) / 8`. The pad bits behind the
//! last channel are written zero, so equal tensors are equal bytes.

use crate::error::check_len;
use crate::parts::Parts;
use crate::{Bits, KernelError};

/// Bytes of one pixel.
pub const fn pixel_bytes(channels: usize, bits: Bits) -> usize {
    (channels * bits.get() as usize).div_ceil(8)
}

/// Bytes of an `h x w x c` tensor.
pub const fn tensor_bytes(h: u16, w: u16, c: u16, bits: Bits) -> usize {
    h as usize * w as usize * pixel_bytes(c as usize, bits)
}

/// Reads channel `c` of a packed pixel.
#[inline(always)]
pub fn get(pixel: &[u8], c: usize, bits: Bits) -> u8 {
    let bit = c * bits.get() as usize;
    (pixel.part(bit / 8) >> (bit % 8)) & bits.max_activation()
}

/// Writes channel `c` of a packed pixel, whose bits must be zero before.
#[inline(always)]
pub(crate) fn or(pixel: &mut [u8], c: usize, bits: Bits, value: u8) {
    let bit = c * bits.get() as usize;
    *pixel.part_mut(bit / 8) |= value << (bit % 8);
}

/// Replaces channel `c` of a packed pixel.
#[inline(always)]
pub(crate) fn put(pixel: &mut [u8], c: usize, bits: Bits, value: u8) {
    let bit = c * bits.get() as usize;
    let byte = pixel.part_mut(bit / 8);
    *byte = *byte & !(bits.max_activation() << (bit % 8)) | value << (bit % 8);
}

/// Packs one value per byte (HWC, all `<= bits.max_activation()`) into `out`.
pub fn pack(plain: &[u8], channels: usize, bits: Bits, out: &mut [u8]) -> Result<(), KernelError> {
    let pixels = pixel_count("plain", plain.len(), channels)?;
    let stride = pixel_bytes(channels, bits);
    check_len("packed", out.len(), pixels * stride)?;
    if plain.iter().any(|&value| value > bits.max_activation()) {
        return Err(KernelError::constant("activation"));
    }
    out.fill(0);
    for (values, pixel) in plain.chunks_exact(channels).zip(out.chunks_exact_mut(stride)) {
        for (c, &value) in values.iter().enumerate() {
            or(pixel, c, bits, value);
        }
    }
    Ok(())
}

/// Unpacks `packed` into one value per byte.
pub fn unpack(packed: &[u8], channels: usize, bits: Bits, plain: &mut [u8]) -> Result<(), KernelError> {
    let pixels = pixel_count("plain", plain.len(), channels)?;
    let stride = pixel_bytes(channels, bits);
    check_len("packed", packed.len(), pixels * stride)?;
    for (pixel, values) in packed.chunks_exact(stride).zip(plain.chunks_exact_mut(channels)) {
        for (c, value) in values.iter_mut().enumerate() {
            *value = get(pixel, c, bits);
        }
    }
    Ok(())
}

fn pixel_count(buffer: &'static str, len: usize, channels: usize) -> Result<usize, KernelError> {
    if channels == 0 || !len.is_multiple_of(channels) {
        return Err(KernelError::length(buffer, len, channels));
    }
    Ok(len / channels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_start_at_bytes() {
        let mut packed = [0xFFu8; 4];
        pack(&[1, 2, 3, 4, 5, 6], 3, Bits::B4, &mut packed).expect("sizes agree");
        assert_eq!(packed, [0x21, 0x03, 0x54, 0x06]);
        let mut packed = [0xFFu8; 2];
        pack(&[1, 2, 3, 0, 1], 5, Bits::B2, &mut packed).expect("sizes agree");
        assert_eq!(packed, [0b00_11_10_01, 0b01]);
    }

    #[test]
    fn unpack_inverts_pack() {
        for bits in Bits::ALL {
            for channels in 1..9 {
                let plain: Vec<u8> = (0..channels * 3).map(|i| (i * 37) as u8 & bits.max_activation()).collect();
                let mut packed = vec![0; 3 * pixel_bytes(channels, bits)];
                let mut back = vec![0; plain.len()];
                pack(&plain, channels, bits, &mut packed).expect("sizes agree");
                unpack(&packed, channels, bits, &mut back).expect("sizes agree");
                assert_eq!(back, plain);
            }
        }
    }

    #[test]
    fn values_beyond_the_width_are_refused() {
        assert!(pack(&[16], 1, Bits::B4, &mut [0]).is_err());
        assert!(pack(&[1, 2, 3], 2, Bits::B4, &mut [0; 2]).is_err());
        assert!(unpack(&[0; 3], 2, Bits::B4, &mut [0; 4]).is_err());
    }
}
