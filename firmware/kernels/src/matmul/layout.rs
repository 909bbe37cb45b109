//! How weights of four output channels `a b c d` lie in flash.
//!
//! A *step* multiplies two values (`SMLAD`), which two says [`Order`]. In a word, the low half belongs to the step's first
//! value and the high half to its second.
//!
//! ```text
//! 8 bits, 4 words for 2 steps   [b|a] [d|c] of step 0, [b|a] [d|c] of step 1    half = b:8 a:8
//! 4 bits, 2 words for 2 steps   [dcba] of step 0, [dcba] of step 1              half = d:4 c:4 b:4 a:4
//! 2 bits, 1 word for 2 steps    [dcba of step 1 | dcba of step 0]               byte = d:2 c:2 b:2 a:2
//! ```
//!
//! The inner loop multiplies a half as it is, `256 b + a`, into one accumulator and the low field alone into another;
//! their difference is `256 * sum(b x)`. Fields are therefore never shifted down and only masked, one instruction per
//! field, and the field at the top of a half needs none. All fields but a top one are stored as `w + 2^(bits-1)`, which is
//! not negative; `2^(bits-1) * sum(x)` is subtracted afterwards, one multiplication a pixel. The differences are exact
//! modulo 2^32 as long as the top sum fits the bits above its position: 24 bits at 8-bit weights, 20 at 4 bits,
//! which holds for up to 257 values (`257 * 255 * 128 < 2^23`). Longer sums are taken apart every [`super::CHUNK`] values.

use crate::columns::Order;
use crate::error::check_len;
use crate::quads::QUAD;
use crate::{Bits, KernelError};

/// Bytes of one quad's weights over `k4` values.
pub(crate) const fn quad_len(k4: usize, bits: Bits) -> usize {
    k4 * QUAD * bits.get() as usize / 8
}

/// Bytes of the weights of `out_c` channels.
pub(crate) const fn weights_len(out_c: usize, k4: usize, bits: Bits) -> usize {
    out_c.div_ceil(QUAD) * quad_len(k4, bits)
}

/// Packs weights given as `[out_c][rows][row]`, where each row is extended by zeros to `wide`, a multiple of four (of
/// eight for [`Order::Eights`]).
pub(crate) fn pack(
    plain: &[i8],
    out_c: usize,
    [rows, row]: [usize; 2],
    wide: usize,
    order: Order,
    bits: Bits,
    out: &mut [u8],
) -> Result<(), KernelError> {
    check_len("plain weights", plain.len(), out_c * rows * row)?;
    check_len("weights", out.len(), weights_len(out_c, rows * wide, bits))?;
    check_range(plain, bits)?;
    let weight = |c: usize, k: usize| {
        let (y, x) = (k / wide, k % wide);
        if c < out_c && x < row { plain[(c * rows + y) * row + x] } else { 0 }
    };
    let mut words = out.chunks_exact_mut(4);
    for quad in 0..out_c.div_ceil(QUAD) {
        for group in 0..rows * wide / 4 {
            let codes = core::array::from_fn(|c| {
                core::array::from_fn(|i| weight(quad * QUAD + c, order.value(2 * group + i / 2, i % 2)))
            });
            for (word, bytes) in group_words(&codes, bits).zip(words.by_ref()) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
        }
    }
    Ok(())
}

/// Refuses weights outside the range of their width.
pub(crate) fn check_range(plain: &[i8], bits: Bits) -> Result<(), KernelError> {
    if plain.iter().any(|&w| w < bits.min_weight() || w > bits.max_weight()) {
        return Err(KernelError::Constant { name: "weight" });
    }
    Ok(())
}

/// The words of two steps, given as `[channel][step * 2 + half]`.
fn group_words(w: &[[i8; 4]; QUAD], bits: Bits) -> impl Iterator<Item = u32> {
    let step = |s: usize| [w.map(|values| values[2 * s]), w.map(|values| values[2 * s + 1])];
    let (even, odd) = (step(0), step(1));
    let halves = |f: fn([i8; QUAD]) -> u16, s: &[[i8; QUAD]; 2]| word(f(s[0]), f(s[1]));
    let (words, count) = match bits {
        Bits::B8 => {
            let low = |v: [i8; QUAD]| half_of_bytes(v[0], v[1]);
            let high = |v: [i8; QUAD]| half_of_bytes(v[2], v[3]);
            ([halves(low, &even), halves(high, &even), halves(low, &odd), halves(high, &odd)], 4)
        }
        Bits::B4 => ([halves(half_of_nibbles, &even), halves(half_of_nibbles, &odd), 0, 0], 2),
        Bits::B2 => {
            let (even, odd) = (halves(byte_of_crumbs, &even), halves(byte_of_crumbs, &odd));
            ([even | odd << 8, 0, 0, 0], 1)
        }
    };
    words.into_iter().take(count)
}

fn word(low: u16, high: u16) -> u32 {
    u32::from(low) | u32::from(high) << 16
}

fn half_of_bytes(low: i8, high: i8) -> u16 {
    u16::from(low as u8 ^ 0x80) | u16::from(high as u8) << 8
}

fn half_of_nibbles([a, b, c, d]: [i8; QUAD]) -> u16 {
    let code = |w: i8| (w + 8) as u16;
    code(a) | code(b) << 4 | code(c) << 8 | (d as u16) << 12
}

fn byte_of_crumbs(w: [i8; QUAD]) -> u16 {
    w.iter().rev().fold(0, |byte, &w| byte << 2 | (w + 2) as u16)
}
