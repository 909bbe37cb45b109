//! The product in portable code: what the host runs, and what the tests hold the board's code against.

use super::{Columns, Panel, layout};
use crate::Bits;
use crate::quads::QUAD;
use crate::requant::requantize;

/// # Safety
/// As [`Panel::quads`].
pub(super) unsafe fn quads<const L: usize>(
    panel: &Panel<'_>,
    columns: &Columns<'_, L>,
    count: usize,
    pixels: [*mut u8; L],
) {
    match panel.w_bits {
        // SAFETY: the caller's promise.
        Bits::B8 => unsafe { quads_at::<8, L>(panel, columns, count, pixels) },
        // SAFETY: the caller's promise.
        Bits::B4 => unsafe { quads_at::<4, L>(panel, columns, count, pixels) },
        // SAFETY: the caller's promise.
        Bits::B2 => unsafe { quads_at::<2, L>(panel, columns, count, pixels) },
    }
}

unsafe fn quads_at<const W: u8, const L: usize>(
    panel: &Panel<'_>,
    columns: &Columns<'_, L>,
    count: usize,
    pixels: [*mut u8; L],
) {
    let out_bits = usize::from(panel.out_bits.get());
    let quad_len = layout::quad_len(panel.k, panel.w_bits);
    let quads = panel.weights.chunks_exact(quad_len).zip(panel.channels.chunks_exact(QUAD));
    for (quad, (weights, channels)) in quads.take(count).enumerate() {
        let sums = accumulate::<W, L>(weights, &columns.words[..panel.k * L / 2], columns.sums);
        for (pixel, accs) in pixels.into_iter().zip(sums) {
            let mut word = 0u32;
            for (i, (acc, channel)) in accs.into_iter().zip(channels).enumerate() {
                let y = requantize(acc.wrapping_add(channel.bias), channel.mult, panel.requant);
                word |= u32::from(y) << (i * out_bits);
            }
            let bytes = word.to_le_bytes();
            let len = out_bits / 2;
            // SAFETY: the caller promised room for quad number `quad` at each pixel.
            unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), pixel.add(quad * len), len) };
        }
    }
}

/// `sum(w * x)` of four channels for each pixel.
fn accumulate<const W: u8, const L: usize>(weights: &[u8], words: &[u32], sums: [i32; L]) -> [[i32; QUAD]; L] {
    let mut total = [[0i32; QUAD]; L];
    for (group, x) in weights.chunks_exact(2 * usize::from(W)).zip(words.chunks_exact(2 * L)) {
        for (step, pairs) in x.chunks_exact(L).enumerate() {
            let weights: [_; QUAD] = core::array::from_fn(|c| codes_of::<W>(group, step, c));
            for (accs, pair) in total.iter_mut().zip(pairs) {
                let (x0, x1) = ((pair & 0xFFFF) as i32, (pair >> 16) as i32);
                for (acc, (w0, w1)) in accs.iter_mut().zip(weights) {
                    *acc = acc.wrapping_add(w0 * x0 + w1 * x1);
                }
            }
        }
    }
    for (accs, sum) in total.iter_mut().zip(sums) {
        // Channels a and c are stored with an offset.
        for acc in accs.iter_mut().step_by(2) {
            *acc = acc.wrapping_sub(sum << (W - 1));
        }
    }
    total
}

/// The stored codes of channel `c` for both values of a step.
#[inline(always)]
fn codes_of<const W: u8>(group: &[u8], step: usize, c: usize) -> (i32, i32) {
    let word = |i: usize| u32::from_le_bytes([group[4 * i], group[4 * i + 1], group[4 * i + 2], group[4 * i + 3]]);
    // Rotated so that the lower field of a half is a or c, the upper one b or d.
    let halves = match W {
        8 => word(2 * step + c / 2),
        4 => word(step).rotate_right(4 * (c & 2) as u32),
        _ => word(0).rotate_right(8 * step as u32 + 2 * (c & 2) as u32),
    };
    let field = |half: u32| {
        if c.is_multiple_of(2) { (half & ((1 << W) - 1)) as i32 } else { i32::from(half as u16 as i16) >> (16 - W) }
    };
    (field(halves), field(halves >> 16))
}
