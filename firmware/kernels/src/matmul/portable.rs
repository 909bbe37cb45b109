//! The product in portable code: what the host runs, and what the tests hold the board's code against.
//!
//! A board multiplies weights as they lie in flash. A host has registers for the eight products of a step of four channels, and
//! runs a layer for thousands of samples: it takes the fields apart once per layer and sample, for all pixels.

extern crate alloc;

use alloc::rc::Rc;

use wide::{bytemuck, i16x8, i32x4};

use super::{Columns, Panel};
use crate::Bits;
use crate::quads::QUAD;
use crate::requant::requantize;

/// Weights of four channels for both values of a step: `a0 a1 b0 b1 c0 c1 d0 d1`.
type Step = i16x8;

/// Quads of channels that share the loads of their activations.
const ABREAST: usize = 4;

/// The weights of a panel's quads, step by step.
#[derive(Clone)]
pub(super) struct Plain(Rc<[Step]>);

impl Plain {
    /// Takes all fields of packed weights apart.
    pub fn new(weights: &[u8], w_bits: Bits) -> Self {
        Plain(match w_bits {
            Bits::B8 => steps::<8>(weights).collect(),
            Bits::B4 => steps::<4>(weights).collect(),
            Bits::B2 => steps::<2>(weights).collect(),
        })
    }
}

/// The steps of one or more quads.
fn steps<const W: u8>(weights: &[u8]) -> impl Iterator<Item = Step> {
    weights.chunks_exact(2 * usize::from(W)).flat_map(|group| [step::<W>(group, 0), step::<W>(group, 1)])
}

/// # Safety
/// As [`Panel::quads`].
pub(super) unsafe fn quads<const L: usize>(
    panel: &Panel<'_>,
    columns: &Columns<'_, L>,
    count: usize,
    pixels: [*mut u8; L],
) {
    let steps = panel.k / 2;
    let mut quad = 0;
    while quad < count {
        let weights = &panel.plain.0[(panel.first + quad) * steps..];
        // SAFETY: the caller's promise; no more than `count` quads.
        unsafe {
            if count - quad >= ABREAST {
                let sums = products::<ABREAST, L>(weights, steps, columns.words);
                sums.into_iter().enumerate().for_each(|(i, sums)| store(panel, quad + i, sums, pixels));
                quad += ABREAST;
            } else {
                let [sums] = products::<1, L>(weights, steps, columns.words);
                store(panel, quad, sums, pixels);
                quad += 1;
            }
        }
    }
}

/// `sum(w * x)` of `Q` quads for each pixel.
#[inline(always)]
fn products<const Q: usize, const L: usize>(weights: &[Step], steps: usize, words: &[u32]) -> [[i32x4; L]; Q] {
    let quads: [&[Step]; Q] = core::array::from_fn(|q| &weights[q * steps..(q + 1) * steps]);
    let mut total = [[i32x4::ZERO; L]; Q];
    for (i, pairs) in words.chunks_exact(L).take(steps).enumerate() {
        let x: [i16x8; L] = core::array::from_fn(|lane| broadcast(pairs[lane]));
        for (total, weights) in total.iter_mut().zip(quads) {
            for (total, x) in total.iter_mut().zip(x) {
                *total += weights[i].dot(x);
            }
        }
    }
    total
}

#[inline(always)]
fn broadcast(pair: u32) -> i16x8 {
    bytemuck::cast([pair; QUAD])
}

/// Requantizes a quad of each pixel and writes it.
///
/// # Safety
/// Each pixel must have room for quad number `quad`.
#[inline(always)]
unsafe fn store<const L: usize>(panel: &Panel<'_>, quad: usize, sums: [i32x4; L], pixels: [*mut u8; L]) {
    let out_bits = usize::from(panel.out_bits.get());
    let channels = &panel.channels[quad * QUAD..(quad + 1) * QUAD];
    for (pixel, sums) in pixels.into_iter().zip(sums) {
        let mut word = 0u32;
        for (i, (sum, channel)) in sums.to_array().into_iter().zip(channels).enumerate() {
            let y = requantize(sum.wrapping_add(channel.bias), channel.mult, panel.requant);
            word |= u32::from(y) << (i * out_bits);
        }
        let (bytes, len) = (word.to_le_bytes(), out_bits / 2);
        // SAFETY: the caller's promise.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), pixel.add(quad * len), len) };
    }
}

/// The weights of a step, as signed numbers.
#[inline(always)]
fn step<const W: u8>(group: &[u8], step: usize) -> Step {
    bytemuck::cast::<[u32; QUAD], Step>(core::array::from_fn(|c| pair_of::<W>(group, step, c)))
}

/// The weights of channel `c` for both values of a step, the first one in the low half.
#[inline(always)]
fn pair_of<const W: u8>(group: &[u8], step: usize, c: usize) -> u32 {
    let word = |i: usize| u32::from_le_bytes([group[4 * i], group[4 * i + 1], group[4 * i + 2], group[4 * i + 3]]);
    // Rotated so that the lower field of a half is a or c, the upper one b or d.
    let halves = match W {
        8 => word(2 * step + c / 2),
        4 => word(step).rotate_right(4 * (c & 2) as u32),
        _ => word(0).rotate_right(8 * step as u32 + 2 * (c & 2) as u32),
    };
    // Channels a and c are stored with an offset.
    let field = |half: u16| {
        if c.is_multiple_of(2) { (half & ((1 << W) - 1)) as i16 - (1 << (W - 1)) } else { half as i16 >> (16 - W) }
    };
    u32::from(field(halves as u16) as u16) | u32::from(field((halves >> 16) as u16) as u16) << 16
}
