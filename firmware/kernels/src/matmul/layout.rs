//! How weights of four output channels `a b c d` lie in flash.
//!
//! A *step* multiplies two values (`SMLAD`), which two says [`Order`]. In a word, the low half belongs to the step's first
//! value and the high half to its second.
//!
//! ```text
//! 8 bits, 4 words for 2 steps   half    b:8 a:8 | d:8 c:8, words [b|a] [d|c] of step 0, then of step 1
//! 4 bits, 2 words for 2 steps   b1 c1 d0 a1 b0 c0 d1 a0, 4 bits each, highest first; 0 and 1 are the step's values
//! 2 bits, 1 word for 2 steps    b1 C1 D0 A1 B0 c1 d0 a1 b0 C0 D1 A0 B1 c0 d1 a0, 2 bits each; capitals belong to step 1
//! ```
//!
//! A product is never shifted and seldom unpacked: several channels' weights are multiplied in one go, at their positions, and
//! the sums are taken apart afterwards. `a` and `c` are stored as `w + 2^(bits-1)`, so that what lies below another sum is not
//! negative; `2^(bits-1) * sum(x)` is subtracted at the end. `b` and `d` lie at the top of a half, with their sign.
//!
//! *8 bits.* One accumulator gets `256 b + a`, a half as it is, another `a`; the difference is `256 sum(b x)`, exact as long as
//! `sum(b x)` fits 24 bits: true for 257 values of any data (`257 * 255 * 128 < 2^23`).
//!
//! *4 bits.* The mask `F00F_F00F` leaves `a + 4096 b`, after a rotation by 8 `c + 4096 d`, and `0F0F_0F0F` leaves `a + 256 c`.
//! Three accumulators for four sums: `sum(a x)` and `sum(c x)` have 20 bits (`272 * 255 * 15 < 2^20`), and the third accumulator less
//! 256 times the second is `sum(a x) - 2^20 sum(d x)`, of which the lower 20 bits are `sum(a x)`. The others follow.
//!
//! *4 bits by activations below 8, and 2 bits.* Two accumulators are enough where the sum below stays within its 12 (2 bits: mask
//! `C003_C003`, 14) bits, which it does for 16 values at least (`18 * 15 * 15 < 2^12`, `21 * 255 * 3 < 2^14`); then it is taken out.
//!
//! Longer sums than 256 values are taken apart block by block, so that the upper sums fit as well.

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
        return Err(KernelError::constant("weight"));
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
        Bits::B4 => ([word_of_nibbles(even), word_of_nibbles(odd), 0, 0], 2),
        Bits::B2 => ([word_of_crumbs(even) | word_of_crumbs(odd).rotate_left(8), 0, 0, 0], 1),
    };
    words.into_iter().take(count)
}

fn word(low: u16, high: u16) -> u32 {
    u32::from(low) | u32::from(high) << 16
}

fn half_of_bytes(low: i8, high: i8) -> u16 {
    u16::from(low as u8 ^ 0x80) | u16::from(high as u8) << 8
}

/// `[value][channel]` of a step.
fn word_of_nibbles([[a0, b0, c0, d0], [a1, b1, c1, d1]]: [[i8; QUAD]; 2]) -> u32 {
    let below = |w: i8| (w + 8) as u32;
    let top = |w: i8| w as u32 & 15;
    let pair =
        |low: [i8; 2], high: [i8; 2]| below(low[0]) | top(high[0]) << 12 | below(low[1]) << 16 | top(high[1]) << 28;
    pair([a0, a1], [b0, b1]) | pair([c0, c1], [d0, d1]).rotate_left(8)
}

/// `[value][channel]` of step 0; step 1 lies eight bits further.
fn word_of_crumbs([[a0, b0, c0, d0], [a1, b1, c1, d1]]: [[i8; QUAD]; 2]) -> u32 {
    let below = |w: i8| (w + 2) as u32;
    let top = |w: i8| w as u32 & 3;
    let pair =
        |low: [i8; 2], high: [i8; 2]| below(low[0]) | top(high[0]) << 14 | below(low[1]) << 16 | top(high[1]) << 30;
    pair([a0, a1], [b0, b1]) | pair([c0, c1], [d0, d1]).rotate_left(4)
}
