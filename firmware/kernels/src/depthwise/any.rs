//! Any kernel size: what the host runs, and the board for kernels other than 3x3.

use super::{Job, Strip, layout};
use crate::Bits;
use crate::quads::{self, QUAD};
use crate::runs::Run;

/// Runs all rows of all strips of a quad.
#[inline(never)]
pub(super) fn run(job: &mut Job<'_>, output: &mut [u8]) {
    layout::unpack_quad(job);
    let live = job.quad_channels().len();
    let mut first = 0;
    while let Some(strip) = job.strip(first) {
        first += strip.outputs;
        for row in 0..usize::from(job.shape.out_h) {
            for ky in 0..2 * job.plan.pairs {
                expand(job, &strip, row, ky);
            }
            for c in 0..live {
                filter(job, &strip, c);
            }
            store(job, &strip, row, output);
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
    let pixels = &job.input[input.unwrap_or(0)..];
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

/// Arguments of `filter`, in the order of `any.s`.
#[repr(C)]
struct Filter {
    /// The channel's first pair in the first window.
    window: *const u32,
    outputs: usize,
    /// Bytes from behind a column's pairs to the next column's.
    skip: usize,
    /// One byte in four.
    output: *mut u8,
    weights: *const u32,
    /// Bytes from window to window.
    step: usize,
    columns: usize,
    pairs: usize,
    bias: i32,
    mult: i32,
    shift: u32,
    zero: u32,
    /// The largest output.
    max: u32,
}

/// Slides the kernel along one channel of the strip; byte `c` of each output's word is its requantized value.
fn filter(job: &mut Job<'_>, strip: &Strip, c: usize) {
    let (pairs, columns) = (job.plan.pairs, job.plan.k_w);
    let taps = columns * pairs;
    let params = &job.params[c * (taps + 2)..(c + 1) * (taps + 2)];
    let stride = usize::from(job.shape.stride_w) * pairs * QUAD;
    let (window, outputs) = (&job.strip[c * pairs..], &mut job.bytes[..strip.outputs]);
    let last = (strip.outputs - 1) * stride + (columns - 1) * pairs * QUAD + pairs;
    assert!(c < QUAD && pairs > 0 && window.len() >= last, "strip");
    let args = Filter {
        window: window.as_ptr(),
        outputs: outputs.len(),
        skip: 4 * pairs * (QUAD - 1),
        output: outputs.as_mut_ptr().cast::<u8>().wrapping_add(c),
        weights: params.as_ptr(),
        step: 4 * stride,
        columns,
        pairs,
        bias: params[taps] as i32,
        mult: params[taps + 1] as i32,
        shift: job.requant.shift.into(),
        zero: job.requant.out_zero.into(),
        max: job.requant.act_max.into(),
    };
    // SAFETY: every window of every output lies in the strip, `taps` weights in `params`: checked above.
    unsafe { slide(&args) }
}

#[cfg(target_arch = "arm")]
core::arch::global_asm!(include_str!("any.s"), options(raw));

#[cfg(target_arch = "arm")]
unsafe extern "C" {
    #[link_name = "bitrack_dw_filter"]
    fn slide(args: &Filter);
}

/// # Safety
/// Every pointer of `args` must reach as far as its counts say.
#[cfg(not(target_arch = "arm"))]
unsafe fn slide(args: &Filter) {
    use crate::requant::{Requant, requantize};
    let requant = Requant { shift: args.shift as u8, out_zero: args.zero as u8, act_min: 0, act_max: args.max as u8 };
    for i in 0..args.outputs {
        let window = args.window.wrapping_byte_add(i * args.step);
        // SAFETY: the caller's promise. The usual numbers of pairs get a loop of their own.
        let acc = unsafe {
            match args.pairs {
                1 => dot(window, args, 1),
                2 => dot(window, args, 2),
                3 => dot(window, args, 3),
                pairs => dot(window, args, pairs),
            }
        };
        // SAFETY: the caller's promise.
        unsafe { args.output.add(4 * i).write(requantize(acc, args.mult, requant)) };
    }
}

/// The products of a window, added to the bias.
///
/// # Safety
/// As [`slide`].
#[cfg(not(target_arch = "arm"))]
#[inline(always)]
unsafe fn dot(window: *const u32, args: &Filter, pairs: usize) -> i32 {
    let (mut x, mut w, mut acc) = (window, args.weights, args.bias);
    for _ in 0..args.columns {
        for i in 0..pairs {
            // SAFETY: the caller's promise.
            let (x, w) = unsafe { (*x.add(i), *w.add(i)) };
            let low = i32::from(x as i16) * i32::from(w as i16);
            let high = i32::from((x >> 16) as i16) * i32::from((w >> 16) as i16);
            acc = acc.wrapping_add(low).wrapping_add(high);
        }
        (x, w) = (x.wrapping_add(pairs * QUAD), w.wrapping_add(pairs));
    }
    acc
}

/// Packs a row of the strip into the output.
fn store(job: &Job<'_>, strip: &Strip, row: usize, output: &mut [u8]) {
    let live = job.quad_channels().len();
    for (x, &bytes) in job.bytes[..strip.outputs].iter().enumerate() {
        let at = job.out_offset(row, strip.first + x);
        quads::write(&mut output[at..], bytes, live, job.out_bits);
    }
}
