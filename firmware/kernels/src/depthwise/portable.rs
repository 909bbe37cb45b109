//! Any kernel size in portable code: what the host runs, and the board for kernels other than 3x3.

use super::{Job, Strip, layout};
use crate::Bits;
use crate::quads::{self, QUAD};
use crate::requant::requantize;

/// Runs all rows of all strips.
pub(super) fn run(job: &mut Job<'_>, output: &mut [u8]) {
    layout::unpack_quad(job.shape, job.w_bits, job.weights, job.channels, job.shift, job.params);
    for strip in job.strips() {
        rows(job, &strip, output);
    }
}

fn rows(job: &mut Job<'_>, strip: &Strip, output: &mut [u8]) {
    for row in 0..usize::from(job.shape.out_h) {
        for pair in 0..job.plan.pairs {
            let lines = [2 * pair, 2 * pair + 1].map(|ky| line(job, strip, row, ky));
            match job.in_bits {
                Bits::B8 => expand(job, strip, pair, lines, Bits::B8),
                Bits::B4 => expand(job, strip, pair, lines, Bits::B4),
                Bits::B2 => expand(job, strip, pair, lines, Bits::B2),
            }
        }
        for c in 0..job.channels.len() {
            filter(job, strip, c);
        }
        store(job, strip, row, output);
    }
}

/// One input row under a strip.
#[derive(Clone, Copy)]
enum Line<'a> {
    /// From the quad in the first pixel on.
    Pixels(&'a [u8]),
    /// The same four bytes everywhere: padding, or zeros below the kernel's last row.
    Constant(u32),
}

fn line<'a>(job: &Job<'a>, strip: &Strip, row: usize, ky: usize) -> Line<'a> {
    if ky >= usize::from(job.shape.k_h) {
        return Line::Constant(0);
    }
    match job.row_offset(row, ky, strip.start) {
        Some(at) => Line::Pixels(&job.input[at..]),
        None => Line::Constant(padding(job)),
    }
}

fn padding(job: &Job<'_>) -> u32 {
    u32::from(job.in_zero) * 0x0101_0101
}

/// Two rows as vertical pairs, channel by channel.
#[inline(always)]
fn expand(job: &mut Job<'_>, strip: &Strip, pair: usize, lines: [Line<'_>; 2], bits: Bits) {
    let (pixel_bytes, quad_bytes) = (job.in_pixel_bytes(), quads::quad_bytes(job.channels.len(), bits));
    let pairs = job.plan.pairs;
    let step = pairs * QUAD;
    let padding = padding(job);
    let words = &mut job.strip[..strip.columns * step];
    assert!(pair < pairs);
    let mut put = |column: usize, [top, bottom]: [u32; 2]| {
        debug_assert!(column < strip.columns);
        for c in 0..QUAD {
            let word = (top >> (8 * c) & 0xFF) | (bottom >> (8 * c) & 0xFF) << 16;
            // SAFETY: `pair < pairs` and `column < strip.columns`, of which `words` holds `step` words each.
            unsafe { *words.get_unchecked_mut(column * step + c * pairs + pair) = word };
        }
    };
    let below_kernel = 2 * pair + 1 == usize::from(job.shape.k_h);
    let outside = [padding, if below_kernel { 0 } else { padding }];
    (0..strip.left).chain(strip.left + strip.valid..strip.columns).for_each(|column| put(column, outside));
    let read = |line: Line<'_>, x: usize| match line {
        Line::Pixels(bytes) => quads::read(&bytes[x * pixel_bytes..][..quad_bytes], bits),
        Line::Constant(word) => word,
    };
    for x in 0..strip.valid {
        put(strip.left + x, [read(lines[0], x), read(lines[1], x)]);
    }
}

/// Slides the kernel along one channel of the strip; byte `c` of each output's word is its requantized value.
fn filter(job: &mut Job<'_>, strip: &Strip, c: usize) {
    let (pairs, taps) = (job.plan.pairs, job.plan.k_w * job.plan.pairs);
    let (weights, constants) = job.params[c * (taps + 2)..(c + 1) * (taps + 2)].split_at(taps);
    let (bias, mult) = (constants[0] as i32, constants[1] as i32);
    let stride = usize::from(job.shape.stride_w) * pairs * QUAD;
    let (requant, columns) = (job.requant, &job.strip[..strip.columns * pairs * QUAD]);
    for (x, bytes) in job.bytes[..strip.outputs].iter_mut().enumerate() {
        let window = &columns[x * stride + c * pairs..];
        let acc = match pairs {
            1 => dot(window, weights, 1, bias),
            2 => dot(window, weights, 2, bias),
            3 => dot(window, weights, 3, bias),
            _ => dot(window, weights, pairs, bias),
        };
        let y = u32::from(requantize(acc, mult, requant)) << (8 * c);
        *bytes = if c == 0 { y } else { *bytes | y };
    }
}

/// The products of a window, whose columns of `pairs` words lie `pairs * QUAD` apart, added to `acc`.
#[inline(always)]
fn dot(window: &[u32], weights: &[u32], pairs: usize, mut acc: i32) -> i32 {
    let columns = weights.len() / pairs;
    assert!(columns > 0 && window.len() >= (columns - 1) * pairs * QUAD + pairs);
    let (mut x, mut w) = (window.as_ptr(), weights.as_ptr());
    for _ in 0..columns {
        for i in 0..pairs {
            // SAFETY: pair `i` of a column that lies in both slices: checked above.
            acc = unsafe { multiply_pairs(acc, *x.add(i), *w.add(i)) };
        }
        (x, w) = (x.wrapping_add(pairs * QUAD), w.wrapping_add(pairs));
    }
    acc
}

/// The products of the halves, added: `SMLAD`.
#[inline(always)]
fn multiply_pairs(acc: i32, x: u32, w: u32) -> i32 {
    #[cfg(target_arch = "arm")]
    {
        let sum: i32;
        // SAFETY: one arithmetic instruction on registers.
        unsafe {
            core::arch::asm!("smlad {0}, {1}, {2}, {3}", lateout(reg) sum, in(reg) x, in(reg) w, in(reg) acc,
                options(pure, nomem, nostack, preserves_flags));
        }
        sum
    }
    #[cfg(not(target_arch = "arm"))]
    {
        let low = i32::from(x as i16) * i32::from(w as i16);
        let high = i32::from((x >> 16) as i16) * i32::from((w >> 16) as i16);
        acc.wrapping_add(low).wrapping_add(high)
    }
}

/// Packs a row of the strip into the output.
fn store(job: &Job<'_>, strip: &Strip, row: usize, output: &mut [u8]) {
    for (x, &bytes) in job.bytes[..strip.outputs].iter().enumerate() {
        let at = job.out_offset(row, strip.first + x);
        quads::write(&mut output[at..], bytes, job.channels.len(), job.out_bits);
    }
}
