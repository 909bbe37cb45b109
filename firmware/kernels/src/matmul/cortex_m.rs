//! The product on a core with the DSP extension (Cortex-M4, Cortex-M7): `quads.s`.

use super::{CHUNK, Columns, Panel};
use crate::Bits;
use crate::requant::Channel;

core::arch::global_asm!(include_str!("quads.s"), options(raw));

/// What `quads.s` copies to its stack frame, in its order.
#[repr(C)]
struct Frame {
    columns: *const u32,
    /// Behind the last word of the first chunk.
    chunk_end: *const u32,
    /// Groups to skip in the first round of eight.
    entry: usize,
    /// `2^(w_bits-1)` times the sum of either pixel's values.
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
}

/// Groups in a round of the inner loop.
const ROUND: usize = 8;

unsafe extern "C" {
    fn bitrack_quads_w8_o8(frame: &Frame);
    fn bitrack_quads_w8_o4(frame: &Frame);
    fn bitrack_quads_w8_o2(frame: &Frame);
    fn bitrack_quads_w4_o8(frame: &Frame);
    fn bitrack_quads_w4_o4(frame: &Frame);
    fn bitrack_quads_w4_o2(frame: &Frame);
    fn bitrack_quads_w2_o8(frame: &Frame);
    fn bitrack_quads_w2_o4(frame: &Frame);
    fn bitrack_quads_w2_o2(frame: &Frame);
}

/// # Safety
/// As [`Panel::quads`].
pub(super) unsafe fn quads(panel: &Panel<'_>, columns: &Columns<'_>, count: usize, pixels: [*mut u8; 2]) {
    let groups = panel.k4 / 4;
    let chunks = groups.div_ceil(CHUNK / 4);
    let first = groups - (chunks - 1) * (CHUNK / 4);
    let range = columns.words[..panel.k4].as_ptr_range();
    // Four words a group: two steps of two pixels.
    let first_end = columns.words[..first * 4].as_ptr_range().end;
    let frame = Frame {
        columns: range.start,
        chunk_end: first_end,
        entry: first.next_multiple_of(ROUND) - first,
        sums: columns.sums.map(|sum| sum << (panel.w_bits.get() - 1)),
        out: pixels,
        channels: panel.channels.as_ptr(),
        quads: count,
        rare: (chunks - 1) + usize::from(panel.requant.shift),
        zero: u32::from(panel.requant.out_zero),
        end: range.end,
        first_end,
        shift: u32::from(panel.requant.shift),
        weights: panel.weights.as_ptr(),
    };
    // SAFETY: the frame describes buffers that the caller promised to be large enough; the kernels keep AAPCS.
    unsafe { kernel(panel.w_bits, panel.out_bits)(&frame) }
}

fn kernel(w_bits: Bits, out_bits: Bits) -> unsafe extern "C" fn(&Frame) {
    match (w_bits, out_bits) {
        (Bits::B8, Bits::B8) => bitrack_quads_w8_o8,
        (Bits::B8, Bits::B4) => bitrack_quads_w8_o4,
        (Bits::B8, Bits::B2) => bitrack_quads_w8_o2,
        (Bits::B4, Bits::B8) => bitrack_quads_w4_o8,
        (Bits::B4, Bits::B4) => bitrack_quads_w4_o4,
        (Bits::B4, Bits::B2) => bitrack_quads_w4_o2,
        (Bits::B2, Bits::B8) => bitrack_quads_w2_o8,
        (Bits::B2, Bits::B4) => bitrack_quads_w2_o4,
        (Bits::B2, Bits::B2) => bitrack_quads_w2_o2,
    }
}
