//! Rows of narrow values that are no whole groups of eight, or whose pixels have pad bits: `stream.s`. What single values take
//! elsewhere ([`super::Writer`]) is its portable twin.

use super::{Order, Place, Windows};
use crate::built::by_narrow;
use crate::parts::{Parts, ensure};

core::arch::global_asm!(include_str!("stream.s"), options(raw));

/// Values that can be summed in 16 bits.
const SUMMED: usize = 8192;

/// Arguments in the order of `stream.s`.
#[repr(C)]
struct Rows {
    source: *const u8,
    target: *mut u32,
    step_bytes: usize,
    pixels: usize,
    rows: usize,
    /// Bits of a pixel's values.
    bits: usize,
    /// Bytes to skip behind a row.
    skip: usize,
    /// The bits of a pixel's last byte that are values.
    last: u32,
}

unsafe extern "C" {
    fn bitrack_stream_b4(rows: &Rows) -> u32;
    fn bitrack_stream_b2(rows: &Rows) -> u32;
}

impl Windows<'_> {
    /// Expands a window of which no row is cut; returns the sum of its values. Padding fills whole groups: what is behind a row's end is
    /// multiplied by zeros.
    #[inline(never)]
    pub(super) fn streamed(&self, place: Place, words: &mut [u32], lane: usize) -> Option<i32> {
        let shape = self.shape;
        let (rows, k_w, width) = (usize::from(shape.k_h), usize::from(shape.k_w), usize::from(self.bits.get()));
        let column = (place.column * usize::from(shape.stride_w)).wrapping_sub(shape.pad_left.into());
        let row = self.row.next_multiple_of(Order::Fours.group());
        let is_cut = column > usize::from(shape.in_w) || column + k_w > shape.in_w.into();
        if is_cut || rows * row > SUMMED {
            return None;
        }
        let row_bytes = k_w * self.pixel_bytes;
        let is_dense = self.row * width == 8 * row_bytes;
        let bits = if is_dense { self.row * width } else { usize::from(shape.in_c) * width };
        let mut args = Rows {
            source: core::ptr::null(),
            target: core::ptr::null_mut(),
            step_bytes: 8,
            pixels: if is_dense { 1 } else { k_w },
            // All at once, if they are there.
            rows: if place.inside.is_some() { rows } else { 1 },
            bits,
            skip: usize::from(shape.in_w) * self.pixel_bytes - row_bytes,
            last: 0xFF >> (bits.wrapping_neg() % 8),
        };
        let kernel = by_narrow!(self.bits, bitrack_stream_b4, bitrack_stream_b2);
        ensure(rows * row <= words.len());
        let (mut ky, mut sum) = (0, 0);
        while ky < rows {
            let y = (place.row * usize::from(shape.stride_h) + ky).wrapping_sub(shape.pad_top.into());
            let words = words.part_mut(ky * row..);
            if y < shape.in_h.into() {
                args.source = self.input.rest((y * usize::from(shape.in_w) + column) * self.pixel_bytes).pointer();
                args.target = words.as_mut_ptr().wrapping_add(lane);
                // SAFETY: all columns of all rows lie in the input, and there are words for them in two lanes, of which this is one.
                sum += unsafe { kernel(&args) };
                ky += args.rows;
            } else {
                let pair = u32::from(self.zero) * 0x0001_0001;
                words.part_mut(lane..row).iter_mut().step_by(2).for_each(|word| *word = pair);
                sum += u32::from(self.zero) * row as u32;
                ky += 1;
            }
        }
        Some(sum as i32)
    }
}
