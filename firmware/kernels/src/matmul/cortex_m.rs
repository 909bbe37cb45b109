//! The product on a core with the DSP extension (Cortex-M4, Cortex-M7): `pair.s` for two pixels, `vector.s` for one.

use super::{BLOCK, Columns, Panel};
use crate::built::{self, by_activations};
use crate::columns::Row;
use crate::requant::{Channel, Requant};
use crate::{Bits, Kernel as Built};

// How many parts of a long loop's round make a round, for the assembler and for the compiler.
#[cfg(not(feature = "short-loops"))]
core::arch::global_asm!(".equ MM_PARTS, 1", options(raw));
#[cfg(feature = "short-loops")]
core::arch::global_asm!(".equ MM_PARTS, 2", options(raw));
const PARTS: usize = if cfg!(feature = "short-loops") { 2 } else { 1 };

core::arch::global_asm!(include_str!("pair.s"), options(raw));
core::arch::global_asm!(include_str!("vector.s"), options(raw));

/// A place in the assembly code; only its address is used, and only by assembly code.
type Label = unsafe extern "C" fn();

/// What is the same for all pixels of a layer: the first part of a kernel's frame.
#[repr(C)]
#[derive(Clone, Copy)]
struct Layer {
    /// Where a quad starts.
    next: Label,
    /// Where the inner loop is entered: the first block is seldom a whole number of rounds.
    entry: usize,
    /// Where a block that is not followed by another goes on, or else any block.
    after: Label,
    /// Where a quad is clamped, packed and stored.
    store: Label,
    shift: u32,
    /// Selects two channels' weights of a word.
    mask: u32,
    zero: u32,
}

/// The rest of the frame, in its order.
#[repr(C)]
struct Call {
    channels: *const Channel,
    /// Behind the last word of the first block.
    first_end: *const u32,
    columns: *const u32,
    /// Behind the last word.
    end: *const u32,
    out: [*mut u8; 2],
    /// Behind the last channel.
    last: *const Channel,
    /// Minus the offset of the stored weights, per pixel.
    negative: [i32; 2],
    weights: *const u8,
}

/// Pairs of pixels side by side, in the order of the frame.
#[repr(C)]
struct Pixels {
    /// After the first.
    pairs: usize,
    source: *const u8,
    /// Bytes from pixel to pixel.
    step: usize,
    units: usize,
    expand: Label,
    /// Bits of the stored weights' offset.
    offset: usize,
}

/// Labels of one inner loop.
struct Loop {
    start: Label,
    body: Label,
    body_end: Label,
    /// Groups of `group` values in a round.
    groups: usize,
    group: usize,
    /// Fewer groups than this lie before `finish` once more, for pixels of no more values.
    short: usize,
    finish: Label,
    block: Label,
}

macro_rules! loops {
    ($($name:ident: $start:ident $body:ident $body_end:ident $finish:ident $block:ident $groups:expr, of $group:literal, $short:literal;)*) => {
        unsafe extern "C" {
            $(fn $start(); fn $body(); fn $body_end(); fn $finish(); fn $block();)*
        }
        $(const $name: Loop = Loop {
            start: $start, body: $body, body_end: $body_end, groups: $groups, group: $group, short: $short, finish: $finish, block: $block,
        };)*
    };
}

loops! {
    PAIR_W8: bitrack_pair_w8 bitrack_pair_w8_loop bitrack_pair_w8_loop_end bitrack_pair_w8_finish
        bitrack_pair_w8_block 16 / PARTS, of 2, 8;
    PAIR_W4: bitrack_pair_w4 bitrack_pair_w4_loop bitrack_pair_w4_loop_end bitrack_pair_w4_finish
        bitrack_pair_w4_block 8 / PARTS, of 4, 0;
    PAIR_W4_NARROW: bitrack_pair_w4_narrow bitrack_pair_w4_narrow_loop bitrack_pair_w4_narrow_loop_end
        bitrack_pair_w4_narrow_finish bitrack_pair_w4_narrow_block 4, of 4, 0;
    PAIR_W2: bitrack_pair_w2 bitrack_pair_w2_loop bitrack_pair_w2_loop_end bitrack_pair_w2_finish
        bitrack_pair_w2_block 4, of 4, 0;
    PAIR_W2_NARROW: bitrack_pair_w2_narrow bitrack_pair_w2_narrow_loop bitrack_pair_w2_narrow_loop_end
        bitrack_pair_w2_narrow_finish bitrack_pair_w2_narrow_block 8, of 4, 0;
    VECTOR_W8: bitrack_vector_w8 bitrack_vector_w8_loop bitrack_vector_w8_loop_end bitrack_vector_w8_finish
        bitrack_vector_w8_block 4 / PARTS, of 8, 0;
    VECTOR_W4: bitrack_vector_w4 bitrack_vector_w4_loop bitrack_vector_w4_loop_end bitrack_vector_w4_finish
        bitrack_vector_w4_block 8 / PARTS, of 8, 0;
    VECTOR_W4_NARROW: bitrack_vector_w4_narrow bitrack_vector_w4_narrow_loop bitrack_vector_w4_narrow_loop_end
        bitrack_vector_w4_narrow_finish bitrack_vector_w4_narrow_block 2, of 8, 0;
    VECTOR_W2: bitrack_vector_w2 bitrack_vector_w2_loop bitrack_vector_w2_loop_end bitrack_vector_w2_finish
        bitrack_vector_w2_block 2, of 8, 0;
}

unsafe extern "C" {
    fn bitrack_pair(layer: &Layer, call: &Call);
    fn bitrack_pixels(layer: &Layer, call: &Call, pixels: &Pixels);
    fn bitrack_vector(layer: &Layer, call: &Call);
    fn bitrack_pair_store2();
    fn bitrack_pair_store4();
    fn bitrack_pair_store8();
    fn bitrack_vector_store2();
    fn bitrack_vector_store4();
    fn bitrack_vector_store8();
}

/// The kernel of a layer.
#[derive(Clone, Copy)]
pub(super) struct Kernel {
    layer: Layer,
    /// Values of the first block; the others are whole.
    first: usize,
}

impl Kernel {
    /// Chooses the kernel for `LANES` pixels.
    #[inline(always)]
    pub fn new<const LANES: usize>([w_bits, in_bits, out_bits]: [Bits; 3], k: usize, requant: Requant) -> Self {
        let blocks = k.div_ceil(BLOCK);
        let first = k - (blocks - 1) * BLOCK;
        // A kernel for two pixels takes the first group before its loop.
        let (kernel, taken, store) = if LANES == 1 {
            (vector_loop(w_bits, in_bits), 0, vector_store(out_bits))
        } else {
            (pair_loop(w_bits, in_bits), 1, pair_store(out_bits))
        };
        let body = kernel.body as usize;
        let group_bytes = (kernel.body_end as usize - body) / kernel.groups;
        let (left, round) = (first / kernel.group - taken, kernel.groups);
        // A round that is whole is not the first one's end if that has begun.
        let skipped = if left % round == 0 { taken * round } else { round - left % round };
        let plain = blocks == 1 && requant.shift == 0;
        let body_entry = body + skipped * group_bytes;
        let short = plain && left < kernel.short;
        let entry = if short { kernel.finish as usize - left * group_bytes } else { body_entry };
        let layer = Layer {
            next: kernel.start,
            entry,
            after: if plain || !Built::LongSums.is_built() { kernel.finish } else { kernel.block },
            store,
            shift: u32::from(requant.shift),
            mask: if w_bits == Bits::B4 { 0xF00F_F00F } else { 0xC003_C003 },
            zero: u32::from(requant.out_zero),
        };
        Kernel { layer, first }
    }
}

fn pair_loop(w_bits: Bits, in_bits: Bits) -> &'static Loop {
    match (w_bits, in_bits) {
        (Bits::B8, _) if const { Built::Conv2dW8.is_built() } => &PAIR_W8,
        (Bits::B4, Bits::B8) if const { Built::Conv2dW4A8.is_built() } => &PAIR_W4,
        (Bits::B4, Bits::B4 | Bits::B2) if const { Built::Conv2dW4Narrow.is_built() } => &PAIR_W4_NARROW,
        (Bits::B2, Bits::B8) if const { Built::Conv2dW2A8.is_built() } => &PAIR_W2,
        (Bits::B2, Bits::B4 | Bits::B2) if const { Built::Conv2dW2Narrow.is_built() } => &PAIR_W2_NARROW,
        _ => built::missing(),
    }
}

fn vector_loop(w_bits: Bits, in_bits: Bits) -> &'static Loop {
    match (w_bits, in_bits) {
        (Bits::B8, _) if const { Built::FullyConnectedW8.is_built() } => &VECTOR_W8,
        (Bits::B4, Bits::B8) if const { Built::FullyConnectedW4A8.is_built() } => &VECTOR_W4,
        (Bits::B4, Bits::B4 | Bits::B2) if const { Built::FullyConnectedW4Narrow.is_built() } => &VECTOR_W4_NARROW,
        (Bits::B2, _) if const { Built::FullyConnectedW2.is_built() } => &VECTOR_W2,
        _ => built::missing(),
    }
}

fn pair_store(out_bits: Bits) -> Label {
    by_activations!(out_bits, bitrack_pair_store8, bitrack_pair_store4, bitrack_pair_store2)
}

fn vector_store(out_bits: Bits) -> Label {
    by_activations!(out_bits, bitrack_vector_store8, bitrack_vector_store4, bitrack_vector_store2)
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
    let start = columns.words.as_ptr();
    let offset = panel.w_bits.get() - 1;
    let channels = panel.channels.as_ptr();
    let call = Call {
        first_end: start.wrapping_add(panel.kernel.first * L / 2),
        columns: start,
        end: start.wrapping_add(panel.k * L / 2),
        out: [pixels[0], pixels[L - 1]],
        channels,
        last: channels.wrapping_add(count * super::QUAD),
        negative: [columns.sums[0], columns.sums[L - 1]].map(|sum| -(sum << offset)),
        weights: panel.weights.as_ptr(),
    };
    let layer = &panel.kernel.layer;
    // SAFETY: the frame describes buffers that the caller promised to be large enough; the kernels keep AAPCS.
    unsafe { if L == 1 { bitrack_vector(layer, &call) } else { bitrack_pair(layer, &call) } }
}

/// # Safety
/// As [`Panel::whole_quads`] for all quads of `2 * pairs` pixels from `output` on, of which `row` has as many; `words` must hold two.
pub(super) unsafe fn pixels(panel: &Panel<'_>, row: &Row, words: &mut [u32], output: *mut u8, pairs: usize) {
    let start = words.as_ptr();
    let channels = panel.channels.as_ptr();
    let call = Call {
        channels,
        first_end: start.wrapping_add(panel.kernel.first),
        columns: start,
        end: start.wrapping_add(panel.k),
        // Where a pair before the first would end.
        out: [output.wrapping_sub(panel.pixel), output],
        last: channels.wrapping_add(panel.channels.len()),
        negative: [0; 2],
        weights: panel.weights.as_ptr(),
    };
    let offset = usize::from(panel.w_bits.get() - 1);
    let pixels =
        Pixels { pairs: pairs - 1, source: row.source, step: row.step, units: row.units, expand: row.expand, offset };
    // SAFETY: the frame describes buffers that the caller promised to be large enough; the kernels keep AAPCS.
    unsafe { bitrack_pixels(&panel.kernel.layer, &call, &pixels) };
}
