//! The product in portable code: what the host runs, and what the tests hold the board's code against.

use super::{CHUNK, Columns, Panel, layout};
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
    let chunk_bytes = CHUNK * QUAD * usize::from(W) / 8;
    for (weights, words) in weights.chunks(chunk_bytes).zip(words.chunks(CHUNK * L / 2)) {
        let chunk = accumulate_chunk::<W, L>(weights, words);
        for (total, chunk) in total.iter_mut().flatten().zip(chunk.iter().flatten()) {
            *total = total.wrapping_add(*chunk);
        }
    }
    for (accs, sum) in total.iter_mut().zip(sums) {
        for (c, acc) in accs.iter_mut().enumerate() {
            if is_offset::<W>(c) {
                *acc = acc.wrapping_sub(sum << (W - 1));
            }
        }
    }
    total
}

/// Whether channel `c` of a quad is stored as `w + 2^(W-1)`.
fn is_offset<const W: u8>(c: usize) -> bool {
    match W {
        8 => c.is_multiple_of(2),
        4 => c != 3,
        _ => true,
    }
}

fn accumulate_chunk<const W: u8, const L: usize>(weights: &[u8], words: &[u32]) -> [[i32; QUAD]; L] {
    let mut accs = [[0i32; QUAD]; L];
    for (codes, x) in weights.chunks_exact(2 * usize::from(W)).zip(words.chunks_exact(2 * L)) {
        for (step, pairs) in x.chunks_exact(L).enumerate() {
            let weights: [_; QUAD] = core::array::from_fn(|c| codes_of::<W>(codes, step, c));
            for (accs, pair) in accs.iter_mut().zip(pairs) {
                let (x0, x1) = ((pair & 0xFFFF) as i32, (pair >> 16) as i32);
                for (acc, (w0, w1)) in accs.iter_mut().zip(weights) {
                    *acc = acc.wrapping_add(w0 * x0 + w1 * x1);
                }
            }
        }
    }
    accs
}

/// The stored codes of channel `c` for both values of a step.
#[inline(always)]
fn codes_of<const W: u8>(codes: &[u8], step: usize, c: usize) -> (i32, i32) {
    let at = match W {
        8 => step * 8 + c / 2 * 4,
        4 => step * 4,
        _ => 0,
    };
    let half = |lane: usize| u16::from_le_bytes([codes[at + lane * 2], codes[at + lane * 2 + 1]]);
    let field = |half: u16| match (W, c) {
        (8, 0 | 2) => i32::from(half & 0xFF),
        (8, _) => i32::from(half as i16 >> 8),
        (4, 3) => i32::from(half as i16 >> 12),
        (4, _) => i32::from(half >> (4 * c) & 15),
        _ => i32::from(half >> (8 * step + 2 * c) & 3),
    };
    (field(half(0)), field(half(1)))
}
