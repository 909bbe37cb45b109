//! Any kernel size: what the host runs, and the board for kernels other than 3x3.

#[cfg(target_arch = "arm")]
mod cortex_m;
#[cfg(not(target_arch = "arm"))]
mod portable;

#[cfg(target_arch = "arm")]
use cortex_m as machine;
#[cfg(not(target_arch = "arm"))]
use portable as machine;

use super::{Job, Strip, layout};
use crate::Bits;
use crate::buffers::Output;
use crate::quads::{self, QUAD};
use crate::runs::Run;

/// Runs all rows of all strips of a quad.
#[inline(never)]
pub(super) fn run(job: &mut Job<'_>, output: &Output<'_>) {
    layout::unpack_quad(job);
    let mut first = 0;
    while let Some(strip) = job.strip(first) {
        first += strip.outputs;
        let (mut row, step) = job.rows();
        for _ in 0..job.shape.out_h {
            for ky in 0..2 * job.plan.pairs {
                expand(job, &strip, row, ky);
            }
            machine::filter(job, &strip);
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
