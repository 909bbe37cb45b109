//! Four pixels at once on a core with the DSP extension: `wide.s`.
//!
//! An activation below 8 bits leaves room beside it: a half-word holds `x + y << 11`, so that one multiplication serves two
//! pixels and an accumulator holds two sums. With 2-bit weights the lower sum fits its eleven bits for up to [`chunk`] values.

use super::Panel;
use crate::Bits;
use crate::quads::QUAD;
use crate::requant::Channel;

core::arch::global_asm!(include_str!("wide.s"), options(raw));

/// Position of the second pixel in an activation.
pub(crate) const FIELD: u32 = 11;

/// Four expanded pixels.
pub(crate) struct Columns<'a> {
    /// As of two pixels, the even two in the low bits and the odd two [`FIELD`] bits up.
    pub words: &'a [u32],
    pub sums: [i32; 4],
}

/// Values whose products with stored 2-bit weights, at most 3 each, sum up to less than `2^11`; a multiple of 8 groups.
const fn chunk(in_bits: Bits) -> usize {
    if matches!(in_bits, Bits::B2) { 128 } else { 32 }
}

/// What `wide.s` copies to its stack frame, in its order.
#[repr(C)]
struct Frame {
    columns: *const u32,
    chunk_end: *const u32,
    /// Groups to skip in the first round of eight.
    entry: usize,
    out: [*mut u8; 4],
    channels: *const Channel,
    quads: usize,
    chunked: u32,
    zero: u32,
    end: *const u32,
    first_end: *const u32,
    chunk_bytes: usize,
    out_bits: u32,
    weights: *const u8,
    /// Accumulators of a quad before its first product.
    start: [u32; 8],
    /// Minus the offset of the stored weights, per pixel.
    offsets: [i32; 4],
}

unsafe extern "C" {
    fn bitrack_wide_w2(frame: &Frame);
}

/// Whether a layer can run four pixels at a time: 2-bit weights, narrow inputs, whole quads, and no shift.
pub(crate) fn fits(panel: &Panel<'_>, in_bits: Bits) -> bool {
    panel.w_bits == Bits::B2
        && in_bits != Bits::B8
        && panel.channels.len().is_multiple_of(QUAD)
        && panel.requant.shift == 0
}

/// Computes all channels of four output pixels at byte `offsets` of `output`; offsets may be equal.
pub(crate) fn run(panel: &Panel<'_>, in_bits: Bits, columns: &Columns<'_>, output: &mut [u8], offsets: [usize; 4]) {
    assert!(columns.words.len() >= panel.k && offsets.iter().all(|&at| at + panel.pixel <= output.len()));
    let chunk = chunk(in_bits);
    let chunks = panel.k.div_ceil(chunk);
    let first = panel.k - (chunks - 1) * chunk;
    let words = columns.words.as_ptr();
    let out = output.as_mut_ptr();
    let negative = columns.sums.map(|sum| -(sum << 1));
    let frame = Frame {
        columns: words,
        chunk_end: words.wrapping_add(first),
        entry: (first / 4).wrapping_neg() % 8,
        out: offsets.map(|at| out.wrapping_add(at)),
        channels: panel.channels.as_ptr(),
        quads: panel.quads,
        chunked: u32::from(chunks > 1),
        zero: u32::from(panel.requant.out_zero),
        end: words.wrapping_add(panel.k),
        first_end: words.wrapping_add(first),
        chunk_bytes: 4 * chunk,
        out_bits: u32::from(panel.out_bits.get()),
        weights: panel.weights.as_ptr(),
        start: if chunks > 1 { [0; 8] } else { start(negative) },
        offsets: negative,
    };
    // SAFETY: `k` words of columns, whole quads of weights and constants, and room at each output: checked here and by
    // `Panel::new`; the kernel keeps AAPCS.
    unsafe { bitrack_wide_w2(&frame) }
}

/// Accumulators that take the offset off every field: channel `c` of a byte lies `2c` bits up, and an accumulator holds the
/// fields below its own as well.
fn start(negative: [i32; 4]) -> [u32; 8] {
    let [a, b, c, d] = negative.map(|sum| sum as u32);
    let lanes = [a.wrapping_add(b << FIELD), c.wrapping_add(d << FIELD)];
    core::array::from_fn(|i| {
        let weight = [1, 1 + 4, 1 + 4 + 16, 1 + 4 + 16 + 64][i / 2];
        lanes[i % 2].wrapping_mul(weight)
    })
}
