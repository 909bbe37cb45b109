//! How depthwise weights lie in flash, and how they are held while a quad of channels is worked on.
//!
//! Flash: quad by quad, tap by tap (row-major), the four channels' weights in two's complement, little-endian: four
//! bytes, two bytes or one byte a tap.
//!
//! Scratch, per channel: for each kernel column the weights in vertical pairs, `w[2j] | w[2j + 1] << 16`, then bias and
//! multiplier. This is done once per quad and layer, so flash stays dense at no cost in the inner loop.

use super::QUAD;
use crate::error::check_len;
use crate::matmul::layout::check_range;
use crate::requant::Channel;
use crate::{Bits, ConvShape, KernelError};

/// Bytes of one tap of a quad.
pub(super) const fn tap_bytes(bits: Bits) -> usize {
    bits.get() as usize / 2
}

/// Bytes of the weights, rounded up to words.
pub(super) const fn weights_len(shape: &ConvShape, bits: Bits) -> usize {
    let taps = shape.k_h as usize * shape.k_w as usize;
    ((shape.in_c as usize).div_ceil(QUAD) * taps * tap_bytes(bits)).next_multiple_of(4)
}

/// Packs weights given as `[tap][channel]`.
pub(super) fn pack(shape: &ConvShape, bits: Bits, plain: &[i8], out: &mut [u8]) -> Result<(), KernelError> {
    check_len("plain weights", plain.len(), shape.k_len())?;
    check_len("weights", out.len(), weights_len(shape, bits))?;
    check_range(plain, bits)?;
    let channels = usize::from(shape.in_c);
    out.fill(0);
    let mut taps = out.chunks_exact_mut(tap_bytes(bits));
    for first in (0..channels).step_by(QUAD) {
        for (pixel, tap) in plain.chunks_exact(channels).zip(taps.by_ref()) {
            let quad = &pixel[first..channels.min(first + QUAD)];
            tap.copy_from_slice(&tap_word(quad, bits).to_le_bytes()[..tap_bytes(bits)]);
        }
    }
    Ok(())
}

fn tap_word(quad: &[i8], bits: Bits) -> u32 {
    let mask = u32::from(bits.max_activation());
    quad.iter().rev().fold(0, |word, &w| word << bits.get() | (w as u32 & mask))
}

/// Spreads one quad's taps into `params` (see the module's comment), `weights << shift` and `bias << shift`.
pub(super) fn unpack_quad(
    shape: &ConvShape,
    bits: Bits,
    packed: &[u8],
    channels: &[Channel],
    shift: u8,
    params: &mut [u32],
) {
    let (k_h, k_w) = (usize::from(shape.k_h), usize::from(shape.k_w));
    let pairs = k_h.div_ceil(2);
    params.fill(0);
    for (tap, bytes) in packed.chunks_exact(tap_bytes(bits)).enumerate() {
        let (ky, kx) = (tap / k_w, tap % k_w);
        let word = bytes.iter().rev().fold(0u32, |word, &byte| word << 8 | u32::from(byte));
        for (c, params) in params.chunks_exact_mut(k_w * pairs + 2).enumerate() {
            let weight = signed_field(word, c, bits) << shift;
            params[kx * pairs + ky / 2] |= u32::from(weight as u16) << (ky % 2 * 16);
        }
    }
    for (params, channel) in params.chunks_exact_mut(k_w * pairs + 2).zip(channels) {
        params[k_w * pairs] = (channel.bias << shift) as u32;
        params[k_w * pairs + 1] = channel.mult as u32;
    }
}

/// Field `c` of a tap, sign-extended.
fn signed_field(word: u32, c: usize, bits: Bits) -> i32 {
    let width = u32::from(bits.get());
    (word << (32 - width * (c as u32 + 1))) as i32 >> (32 - width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_sign() {
        for bits in Bits::ALL {
            let quad = [bits.min_weight(), -1, 0, bits.max_weight()];
            let word = tap_word(&quad, bits);
            assert_eq!([0, 1, 2, 3].map(|c| signed_field(word, c, bits) as i8), quad);
        }
    }
}
