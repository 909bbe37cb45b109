//! The same in portable code: the four channels side by side, as the strip has them.

use wide::{bytemuck, i16x8, i32x4};

use crate::depthwise::{Job, Strip};
use crate::quads::QUAD;
use crate::requant::requantize;

/// Slides the kernel along the channels of the strip; byte `c` of each output's word is channel `c`'s requantized value.
pub(super) fn filter(job: &mut Job<'_>, strip: &Strip) {
    match job.plan.pairs {
        // The usual numbers of pairs get loops of their own.
        1 => slide(job, strip, 1),
        2 => slide(job, strip, 2),
        pairs => slide(job, strip, pairs),
    }
}

#[inline(always)]
fn slide(job: &mut Job<'_>, strip: &Strip, pairs: usize) {
    let column = QUAD * pairs;
    let (weights, constants) = job.params.split_at(job.plan.k_w * column);
    let step = usize::from(job.shape.stride_w) * column;
    let windows = job.strip.windows(weights.len()).step_by(step);
    for (bytes, window) in job.bytes[..strip.outputs].iter_mut().zip(windows) {
        let sums = products(window, weights, pairs);
        let mut outputs = [0; QUAD];
        for ((output, sum), constants) in outputs.iter_mut().zip(sums).zip(constants.as_chunks::<2>().0) {
            let [bias, mult] = constants.map(|constant| constant as i32);
            *output = requantize(sum.wrapping_add(bias), mult, job.requant);
        }
        *bytes = u32::from_le_bytes(outputs);
    }
}

/// The sum of each channel's products: both in the order of `[column][channel][pair]`.
#[inline(always)]
fn products(window: &[u32], weights: &[u32], pairs: usize) -> [i32; QUAD] {
    let mut sums = [0i32; QUAD];
    let columns = || window.chunks_exact(QUAD * pairs).zip(weights.chunks_exact(QUAD * pairs));
    for part in 0..pairs {
        let mut total = i32x4::ZERO;
        for (x, w) in columns() {
            total += four(&x[part * QUAD..]).dot(four(&w[part * QUAD..]));
        }
        for (i, product) in total.to_array().into_iter().enumerate() {
            let sum = &mut sums[(part * QUAD + i) / pairs];
            *sum = sum.wrapping_add(product);
        }
    }
    sums
}

/// Four words of two values.
#[inline(always)]
fn four(words: &[u32]) -> i16x8 {
    bytemuck::cast([words[0], words[1], words[2], words[3]])
}
