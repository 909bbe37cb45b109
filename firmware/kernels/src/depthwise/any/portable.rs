//! In portable code: the four channels side by side, a row of outputs at a time.

use wide::{bytemuck, i16x8, i32x4};

use crate::Bits;
use crate::buffers::Output;
use crate::depthwise::{Job, Strip, layout};
use crate::quads::{self, QUAD};
use crate::requant::requantize;
use crate::runs::Run;

/// Runs all rows of all strips of a quad.
#[inline(never)]
pub(crate) fn run(job: &mut Job<'_>, output: &Output<'_>) {
    layout::unpack_quad(job);
    let mut first = 0;
    while let Some(strip) = job.strip(first) {
        first += strip.outputs;
        let (mut row, step) = job.rows();
        for _ in 0..job.shape.out_h {
            for ky in 0..2 * job.plan.pairs {
                expand(job, &strip, row, ky);
            }
            filter(job, &strip);
            store(job, &strip, row, output);
            row = row.wrapping_add(step);
        }
    }
}

/// The row of values under kernel row `ky`, channel by channel, to one half of its pair: zeros below the kernel's last row,
/// the zero point where there is no input.
fn expand(job: &mut Job<'_>, strip: &Strip, row: usize, ky: usize) {
    let below_kernel = ky >= usize::from(job.shape.k_h);
    let input = if below_kernel { None } else { job.row_offset(row, ky, strip.start) };
    let (left, valid) = if input.is_some() { (strip.left, strip.valid) } else { (strip.columns, 0) };
    let padding = [if below_kernel { 0 } else { job.in_zero }; QUAD];
    let outside = Run { bytes: &padding, step: 0, count: left, bits: Bits::B8 };
    // SAFETY: what is written below is scratch.
    let pixels = unsafe { job.input.rest(input.unwrap_or(0)).bytes() };
    let inside = Run { bytes: pixels, step: job.in_pixel_bytes, count: valid, bits: job.in_bits };
    let (words, pairs, high) = (&mut job.strip[ky / 2..], job.plan.pairs, ky % 2 == 1);
    let column = pairs * QUAD;
    if left > 0 {
        outside.spread(words, pairs, high);
    }
    if valid > 0 {
        inside.spread(&mut words[left * column..], pairs, high);
    }
    if left + valid < strip.columns {
        let right = Run { count: strip.columns - left - valid, ..outside };
        right.spread(&mut words[(left + valid) * column..], pairs, high);
    }
}

/// Packs a row of the strip into the output.
fn store(job: &Job<'_>, strip: &Strip, row: usize, output: &Output<'_>) {
    let live = job.quad_channels().len();
    for (x, &bytes) in job.bytes[..strip.outputs].iter().enumerate() {
        let at = job.out_offset(row, strip.first + x);
        // SAFETY: nothing is read meanwhile.
        quads::write(unsafe { output.rest(at) }, bytes, live, job.out_bits);
    }
}

/// Slides the kernel along the channels of the strip; byte `c` of each output's word is channel `c`'s requantized value.
fn filter(job: &mut Job<'_>, strip: &Strip) {
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
