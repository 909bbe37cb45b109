//! The product on a core with the DSP extension (Cortex-M4, Cortex-M7): `quads.s` for two pixels, `vector.s` for one.

use super::{CHUNK, Columns, Panel};
use crate::Bits;
use crate::requant::Channel;

core::arch::global_asm!(include_str!("quads.s"), options(raw));
core::arch::global_asm!(include_str!("vector.s"), options(raw));

/// What the kernels copy to their stack frame, in their order.
#[repr(C)]
struct Frame {
    columns: *const u32,
    /// Behind the last word of the first chunk.
    chunk_end: *const u32,
    /// Units to skip in the first round of the inner loop.
    entry: usize,
    /// `2^(w_bits-1)` times the sum of each pixel's values.
    sums: [i32; 2],
    out: [*mut u8; 2],
    channels: *const Channel,
    quads: usize,
    /// Not zero if there is a shift or more than one chunk.
    rare: usize,
    zero: u32,
    end: *const u32,
    first_end: *const u32,
    shift: u32,
    weights: *const u8,
    out_bits: u32,
}

unsafe extern "C" {
    fn bitrack_quads_w8(frame: &Frame);
    fn bitrack_quads_w4(frame: &Frame);
    fn bitrack_quads_w2(frame: &Frame);
    fn bitrack_vector_w8(frame: &Frame);
    fn bitrack_vector_w4(frame: &Frame);
    fn bitrack_vector_w2(frame: &Frame);
}

/// What is the same for all pixels of a layer.
#[derive(Clone, Copy)]
pub(super) struct Kernels {
    pair: unsafe extern "C" fn(&Frame),
    vector: unsafe extern "C" fn(&Frame),
    out_bits: u32,
    /// Values of the first chunk; the others are whole.
    first: usize,
    chunks: usize,
}

impl Kernels {
    pub fn new(w_bits: Bits, out_bits: Bits, k: usize) -> Self {
        let chunks = k.div_ceil(CHUNK);
        Kernels {
            pair: quads_kernel(w_bits),
            vector: vector_kernel(w_bits),
            out_bits: u32::from(out_bits.get()),
            first: k - (chunks - 1) * CHUNK,
            chunks,
        }
    }
}

/// # Safety
/// As [`Panel::whole_quads`].
#[inline(always)]
pub(super) unsafe fn quads<const L: usize>(
    panel: &Panel<'_>,
    columns: &Columns<'_, L>,
    count: usize,
    pixels: [*mut u8; L],
) {
    const { assert!(L == 1 || L == 2) };
    // What one step of unrolling multiplies, and how many there are in a round: see the `.rept`s.
    let (unit, round) = if L == 1 { (8, 4) } else { (4, 8) };
    let Kernels { pair, vector, out_bits, first, chunks } = panel.kernels;
    debug_assert!(panel.k.is_multiple_of(unit));
    let start = columns.words.as_ptr();
    let first_end = start.wrapping_add(first * L / 2);
    let offset = panel.w_bits.get() - 1;
    let frame = Frame {
        columns: start,
        chunk_end: first_end,
        entry: (first / unit).wrapping_neg() % round,
        sums: [columns.sums[0] << offset, columns.sums[L - 1] << offset],
        out: [pixels[0], pixels[L - 1]],
        channels: panel.channels.as_ptr(),
        quads: count,
        rare: (chunks - 1) + usize::from(panel.requant.shift),
        zero: u32::from(panel.requant.out_zero),
        end: start.wrapping_add(panel.k * L / 2),
        first_end,
        shift: u32::from(panel.requant.shift),
        weights: panel.weights.as_ptr(),
        out_bits,
    };
    // SAFETY: the frame describes buffers that the caller promised to be large enough; the kernels keep AAPCS.
    unsafe { if L == 1 { vector(&frame) } else { pair(&frame) } }
}

fn quads_kernel(w_bits: Bits) -> unsafe extern "C" fn(&Frame) {
    match w_bits {
        Bits::B8 => bitrack_quads_w8,
        Bits::B4 => bitrack_quads_w4,
        Bits::B2 => bitrack_quads_w2,
    }
}

fn vector_kernel(w_bits: Bits) -> unsafe extern "C" fn(&Frame) {
    match w_bits {
        Bits::B8 => bitrack_vector_w8,
        Bits::B4 => bitrack_vector_w4,
        Bits::B2 => bitrack_vector_w2,
    }
}
