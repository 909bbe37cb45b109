//! Any kernel size in portable code: what the host runs, and the board for kernels other than 3x3.

use super::{Job, Strip, layout};
use crate::quads;
use crate::quads::QUAD;
use crate::requant::requantize;

/// Runs all rows of all strips.
pub(super) fn run(job: &mut Job<'_>, output: &mut [u8]) {
    layout::unpack_quad(job.shape, job.w_bits, job.weights, job.channels, job.shift, job.params);
    for strip in job.strips() {
        rows(job, &strip, output);
    }
}

fn rows(job: &mut Job<'_>, strip: &Strip, output: &mut [u8]) {
    let zero = u32::from(job.in_zero) * 0x0101_0101;
    for row in 0..usize::from(job.shape.out_h) {
        for pair in 0..job.plan.pairs {
            let odd = 2 * pair + 1 < usize::from(job.shape.k_h);
            let above = job.row_offset(row, 2 * pair, strip.start);
            let below = job.row_offset(row, 2 * pair + 1, strip.start);
            for column in 0..strip.columns {
                let valid = column.wrapping_sub(strip.left);
                let read = |at: Option<usize>| match at {
                    Some(at) if valid < strip.valid => quad_at(job, at + valid * job.in_pixel_bytes()),
                    _ => zero,
                };
                let (top, bottom) = (read(above), if odd { read(below) } else { 0 });
                let at = column * job.plan.pairs * QUAD + pair;
                for c in 0..QUAD {
                    let word = (top >> (8 * c) & 0xFF) | (bottom >> (8 * c) & 0xFF) << 16;
                    job.strip[at + c * job.plan.pairs] = word;
                }
            }
        }
        filter(job, strip);
        store(job, strip, row, output);
    }
}

/// The four channels of a pixel as bytes; missing channels read as zero.
fn quad_at(job: &Job<'_>, at: usize) -> u32 {
    quads::read(&job.input[at..at + quads::quad_bytes(job.channels.len(), job.in_bits)], job.in_bits)
}

/// Slides the kernel along the strip, one word of four requantized bytes per output.
fn filter(job: &mut Job<'_>, strip: &Strip) {
    let (pairs, taps) = (job.plan.pairs, job.plan.k_w * job.plan.pairs);
    let stride = usize::from(job.shape.stride_w) * pairs * QUAD;
    for (x, bytes) in job.bytes[..strip.outputs].iter_mut().enumerate() {
        let window = &job.strip[x * stride..];
        *bytes = 0;
        for (c, params) in job.params.chunks_exact(taps + 2).enumerate() {
            let columns = window.chunks_exact(pairs * QUAD).zip(params[..taps].chunks_exact(pairs));
            let acc = columns.fold(params[taps] as i32, |acc, (column, weights)| {
                let values = &column[c * pairs..][..pairs];
                values.iter().zip(weights).fold(acc, |acc, (&x, &w)| multiply_pairs(acc, x, w))
            });
            *bytes |= u32::from(requantize(acc, params[taps + 1] as i32, job.requant)) << (8 * c);
        }
    }
}

/// `SMLAD`: the products of the halves, added.
#[inline(always)]
fn multiply_pairs(acc: i32, x: u32, w: u32) -> i32 {
    let low = i32::from(x as i16) * i32::from(w as i16);
    let high = i32::from((x >> 16) as i16) * i32::from((w >> 16) as i16);
    acc.wrapping_add(low).wrapping_add(high)
}

/// Packs a row of the strip into the output.
fn store(job: &Job<'_>, strip: &Strip, row: usize, output: &mut [u8]) {
    for (x, &bytes) in job.bytes[..strip.outputs].iter().enumerate() {
        let at = job.out_offset(row, strip.first + x);
        quads::write(&mut output[at..], bytes, job.channels.len(), job.out_bits);
    }
}
