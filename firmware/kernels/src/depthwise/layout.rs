//! How depthwise weights lie in flash, and how they are held while a quad of channels is worked on.
//!
//! Flash: quad by quad, dense. A quad's weights are a list of bytes, which the board spreads in a few instructions to the
//! words its inner loop multiplies by:
//!
//! ```text
//! any kernel   tap by tap (row-major), the four channels
//! 3x3          per channel the words [w11 w10 w01 w00] [w21 w12 w20 w02], then one word [d c b a] of w22
//! ```
//!
//! (`wyx`, first byte on the right.) `SXTB16` makes the vertical pairs `w1x|w0x` and the pair `w21|w20` of the two words.
//! At 4 bits, word `i` in flash holds list words `2i` and `2i + 1` in the low and high nibbles of its bytes; at 2 bits, word `i`
//! holds `4i` to `4i + 3`. What does not fill a word is packed little-endian behind it. Fields below 8 bits are stored as
//! `w + 2^(bits-1)`.

#[cfg(not(target_arch = "arm"))]
use super::Job;
use super::plan;
use crate::error::check_len;
use crate::matmul::layout::check_range;
#[cfg(target_arch = "arm")]
use crate::parts::Parts;
use crate::quads::QUAD;
use crate::{Bits, ConvShape, KernelError};

/// Weights of a quad.
const fn entries(shape: &ConvShape) -> usize {
    QUAD * shape.k_h as usize * shape.k_w as usize
}

/// Bytes of a quad's weights.
pub(super) const fn quad_bytes(shape: &ConvShape, bits: Bits) -> usize {
    entries(shape) / bits.per_byte()
}

/// Bytes of the weights, rounded up to words.
pub(super) const fn weights_len(shape: &ConvShape, bits: Bits) -> usize {
    ((shape.in_c as usize).div_ceil(QUAD) * quad_bytes(shape, bits)).next_multiple_of(4)
}

/// Packs weights given as `[tap][channel]`, in the order of a shape that lies.
pub(super) fn pack(shape: &ConvShape, bits: Bits, plain: &[i8], out: &mut [u8]) -> Result<(), KernelError> {
    check_len("plain weights", plain.len(), shape.k_len())?;
    check_len("weights", out.len(), weights_len(shape, bits))?;
    check_range(plain, bits)?;
    let (channels, turns) = (usize::from(shape.in_c), plan::turns(shape));
    let shape = &plan::lying(shape);
    out.fill(0);
    for (quad, bytes) in out.chunks_exact_mut(quad_bytes(shape, bits)).enumerate() {
        for entry in 0..entries(shape) {
            let (tap, c) = tap_of(shape, entry);
            let tap = if turns { turned(shape, tap) } else { tap };
            let c = quad * QUAD + c;
            if c < channels {
                let (byte, at) = position(shape, entry, bits);
                bytes[byte] |= code(plain[tap * channels + c], bits) << at;
            }
        }
    }
    Ok(())
}

/// Tap and channel of an entry of the list.
fn tap_of(shape: &ConvShape, entry: usize) -> (usize, usize) {
    const TAPS: [usize; 8] = [0, 1, 3, 4, 2, 6, 5, 7];
    match (shape.k_h, shape.k_w) {
        (3, 3) if entry < 8 * QUAD => (TAPS[entry % 8], entry / 8),
        _ => (entry / QUAD, entry % QUAD),
    }
}

/// The tap of the shape that was given, of a tap of the one that lies.
fn turned(lying: &ConvShape, tap: usize) -> usize {
    let (k_h, k_w) = (usize::from(lying.k_h), usize::from(lying.k_w));
    tap % k_w * k_h + tap / k_w
}

/// Byte and bit of an entry of the list.
fn position(shape: &ConvShape, entry: usize, bits: Bits) -> (usize, u8) {
    let per_byte = bits.per_byte();
    let whole = entries(shape) / (4 * per_byte) * (4 * per_byte);
    let (byte, field) = if entry < whole {
        let (word, rest) = (entry / (4 * per_byte), entry % (4 * per_byte));
        (word * 4 + rest % 4, rest / 4)
    } else {
        (entry / per_byte, entry % per_byte)
    };
    (byte, field as u8 * bits.get())
}

fn code(weight: i8, bits: Bits) -> u8 {
    if bits == Bits::B8 { weight as u8 } else { (weight - bits.min_weight()) as u8 }
}

#[cfg(any(test, not(target_arch = "arm")))]
fn weight(code: u8, bits: Bits) -> i32 {
    if bits == Bits::B8 { i32::from(code as i8) } else { i32::from(code) + i32::from(bits.min_weight()) }
}

/// Spreads one quad's weights into `params`: `weights << shift` as pairs `w[2j] | w[2j + 1] << 16` in the order of a strip, then bias
/// `<< shift` and multiplier of each channel.
#[cfg(not(target_arch = "arm"))]
pub(super) fn unpack_quad(job: &mut Job<'_>) {
    let (shape, bits) = (job.shape, job.w_bits);
    let (k_h, k_w) = (usize::from(shape.k_h), usize::from(shape.k_w));
    let pairs = k_h.div_ceil(2);
    job.params.fill(0);
    for entry in 0..entries(shape) {
        let ((tap, c), (byte, at)) = (tap_of(shape, entry), position(shape, entry, bits));
        let (ky, kx) = (tap / k_w, tap % k_w);
        let weight = weight(job.quad_weights()[byte] >> at & bits.max_activation(), bits) << job.shift;
        job.params[(kx * QUAD + c) * pairs + ky / 2] |= u32::from(weight as u16) << (ky % 2 * 16);
    }
    let channels = &job.channels[job.quad * QUAD..];
    for (params, channel) in job.params[k_w * QUAD * pairs..].chunks_exact_mut(2).zip(channels).take(QUAD) {
        params[0] = (channel.bias << job.shift) as u32;
        params[1] = channel.mult as u32;
    }
}

/// The four channels' weights of a tap as signed bytes.
#[cfg(target_arch = "arm")]
#[inline(never)]
pub(super) fn tap_bytes(shape: &ConvShape, weights: &[u8], tap: usize, bits: Bits) -> u32 {
    let words = usize::from(shape.k_h) * usize::from(shape.k_w);
    if (shape.k_h, shape.k_w) != (3, 3) || tap == 8 {
        return list_word(weights, [tap, words], bits);
    }
    // Where a channel's list has taps 0 to 7.
    let at = 0x7563_2410 >> (4 * tap.min(8)) & 7;
    (0..QUAD).fold(0, |word, c| {
        let byte = list_word(weights, [2 * c + at / 4, words], bits) >> (at % 4 * 8) & 0xFF;
        word | byte << (8 * c)
    })
}

/// Word `index` of a list of `words`.
#[cfg(target_arch = "arm")]
fn list_word(weights: &[u8], [index, words]: [usize; 2], bits: Bits) -> u32 {
    let (per_byte, width) = (bits.per_byte(), usize::from(bits.get()));
    let bytes = |at: usize| weights.part(at..).first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
    let fields = match bits {
        Bits::B8 => return bytes(4 * index),
        _ if index < words / per_byte * per_byte => bytes(index / per_byte * 4) >> (index % per_byte * width),
        Bits::B4 => {
            let fields = u32::from(*weights.part(2 * index)) | u32::from(*weights.part(2 * index + 1)) << 16;
            fields | fields << 4
        }
        Bits::B2 => {
            let fields = u32::from(*weights.part(index));
            fields | fields << 6 | fields << 12 | fields << 18
        }
    };
    // A byte each, less the excess; bit 7 keeps bytes from borrowing.
    let all = |byte: u8| u32::from(byte) * 0x0101_0101;
    ((fields & all(bits.max_activation()) | all(0x80)) - all(bits.min_weight().unsigned_abs())) ^ all(0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(k_h: u16, k_w: u16) -> ConvShape {
        ConvShape {
            in_h: 9,
            in_w: 9,
            in_c: 4,
            out_h: 1,
            out_w: 1,
            out_c: 4,
            k_h,
            k_w,
            stride_h: 1,
            stride_w: 1,
            pad_top: 0,
            pad_left: 0,
        }
    }

    #[test]
    fn every_field_is_used_once() {
        for shape in [kernel(3, 3), kernel(1, 1), kernel(2, 5), kernel(4, 4)] {
            for bits in Bits::ALL {
                let mut used = vec![0u8; quad_bytes(&shape, bits)];
                let mut taps = vec![0; entries(&shape)];
                for entry in 0..entries(&shape) {
                    let (byte, at) = position(&shape, entry, bits);
                    assert_eq!(used[byte] >> at & bits.max_activation(), 0);
                    used[byte] |= bits.max_activation() << at;
                    let (tap, c) = tap_of(&shape, entry);
                    taps[tap * QUAD + c] += 1;
                }
                assert!(used.iter().all(|&byte| byte == 0xFF) && taps.iter().all(|&count| count == 1));
            }
        }
    }

    #[test]
    fn codes_keep_their_sign() {
        for bits in Bits::ALL {
            for w in [bits.min_weight(), -1, 0, bits.max_weight()] {
                assert_eq!(weight(code(w, bits), bits), i32::from(w));
            }
        }
    }
}
