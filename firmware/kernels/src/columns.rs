//! From packed activations to columns: 16-bit pairs in the order in which the matrix product reads them.
//!
//! A group of four values `x0 x1 x2 x3` becomes the words `x0 | x2 << 16` and `x1 | x3 << 16`, which is what `UXTB16`
//! makes of four bytes, each followed by `LANES - 1` words of other pixels.

use crate::quads::{bytes_of_crumbs, bytes_of_nibbles};
use crate::{Bits, ConvShape, activations};

/// Where expanded values go: every `LANES`-th word of a buffer.
pub(crate) struct Writer<'a, const LANES: usize> {
    words: &'a mut [u32],
    at: usize,
    sum: u32,
}

impl<'a, const LANES: usize> Writer<'a, LANES> {
    /// Writes words `lane, lane + LANES, ...` of `words`.
    pub fn new(words: &'a mut [u32], lane: usize) -> Self {
        Writer { words, at: lane, sum: 0 }
    }

    /// The sum of all values written.
    pub fn sum(&self) -> i32 {
        self.sum as i32
    }

    #[inline(always)]
    fn group(&mut self, even: u32, odd: u32) {
        self.words[self.at] = even;
        self.words[self.at + LANES] = odd;
        self.at += 2 * LANES;
    }

    /// Writes four values given as the bytes of a word.
    #[inline(always)]
    fn bytes(&mut self, word: u32) {
        self.sum = sum_bytes(word, self.sum);
        self.group(word & 0x00FF_00FF, (word >> 8) & 0x00FF_00FF);
    }

    /// Writes `groups` groups of one value.
    pub fn fill(&mut self, value: u8, groups: usize) {
        let word = u32::from(value) * 0x0101_0101;
        for _ in 0..groups {
            self.bytes(word);
        }
    }

    /// Expands `values` packed values, rounded up to whole groups with zeros.
    pub fn expand(&mut self, packed: &[u8], values: usize, bits: Bits) {
        match bits {
            Bits::B8 => self.expand_bytes(packed, values),
            Bits::B4 => self.expand_nibbles(packed, values),
            Bits::B2 => self.expand_crumbs(packed, values),
        }
    }

    fn expand_bytes(&mut self, packed: &[u8], values: usize) {
        let (words, rest) = packed[..values].as_chunks::<4>();
        for word in words {
            self.bytes(u32::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            self.bytes(partial_word(rest));
        }
    }

    fn expand_nibbles(&mut self, packed: &[u8], values: usize) {
        let (halves, rest) = packed[..values.div_ceil(2)].as_chunks::<2>();
        for half in halves {
            self.bytes(bytes_of_nibbles(u32::from(u16::from_le_bytes(*half))));
        }
        if !rest.is_empty() {
            self.bytes(bytes_of_nibbles(partial_word(rest)));
        }
    }

    fn expand_crumbs(&mut self, packed: &[u8], values: usize) {
        for byte in &packed[..values.div_ceil(4)] {
            self.bytes(bytes_of_crumbs(u32::from(*byte)));
        }
    }
}

/// Gathers the window at output `(row, column)` into a writer.
pub(crate) fn gather<const LANES: usize>(
    shape: &ConvShape,
    bits: Bits,
    zero: u8,
    input: &[u8],
    (row, column): (usize, usize),
    out: &mut Writer<'_, LANES>,
) {
    let window = Window::new(shape, bits, column);
    for ky in 0..usize::from(shape.k_h) {
        let y = (row * usize::from(shape.stride_h) + ky).wrapping_sub(usize::from(shape.pad_top));
        if y >= usize::from(shape.in_h) {
            out.fill(zero, window.row_values().div_ceil(4));
        } else if window.aligned {
            window.aligned_row(input, y, zero, out);
        } else {
            window.any_row(input, y, zero, out);
        }
    }
}

/// The columns of one window: `left` padding, then `valid` pixels from `start`, then `right` padding.
struct Window {
    start: usize,
    left: usize,
    valid: usize,
    right: usize,
    width: usize,
    channels: usize,
    bits: Bits,
    pixel_bytes: usize,
    /// Whether every pixel is whole groups, so that pixels can be expanded one after the other.
    aligned: bool,
}

impl Window {
    fn new(shape: &ConvShape, bits: Bits, column: usize) -> Self {
        let (width, kernel) = (usize::from(shape.in_w), usize::from(shape.k_w));
        let start = column * usize::from(shape.stride_w);
        let left = usize::from(shape.pad_left).saturating_sub(start).min(kernel);
        let start = (start + left).saturating_sub(usize::from(shape.pad_left));
        let valid = (kernel - left).min(width.saturating_sub(start));
        let channels = usize::from(shape.in_c);
        let pixel_bytes = activations::pixel_bytes(channels, bits);
        let dense = (channels * usize::from(bits.get())).is_multiple_of(8);
        let inside = valid == kernel;
        Window {
            start,
            left,
            valid,
            right: kernel - left - valid,
            width,
            channels,
            bits,
            pixel_bytes,
            aligned: channels.is_multiple_of(4) || dense && inside,
        }
    }

    fn row_values(&self) -> usize {
        (self.left + self.valid + self.right) * self.channels
    }

    fn aligned_row<const LANES: usize>(&self, input: &[u8], y: usize, zero: u8, out: &mut Writer<'_, LANES>) {
        out.fill(zero, self.left * self.channels / 4);
        let pixels = &input[(y * self.width + self.start) * self.pixel_bytes..][..self.valid * self.pixel_bytes];
        out.expand(pixels, self.valid * self.channels, self.bits);
        out.fill(zero, self.right * self.channels / 4);
    }

    /// A row whose pixels are not whole groups, one value at a time.
    fn any_row<const LANES: usize>(&self, input: &[u8], y: usize, zero: u8, out: &mut Writer<'_, LANES>) {
        let row = &input[y * self.width * self.pixel_bytes..][..self.width * self.pixel_bytes];
        let (mut word, mut count) = (0u32, 0);
        for tap in 0..self.left + self.valid + self.right {
            let pixel = tap.wrapping_sub(self.left);
            let pixel =
                (pixel < self.valid).then(|| &row[(self.start + pixel) * self.pixel_bytes..][..self.pixel_bytes]);
            for c in 0..self.channels {
                let value = pixel.map_or(zero, |pixel| activations::get(pixel, c, self.bits));
                word |= u32::from(value) << (8 * count);
                count += 1;
                if count == 4 {
                    out.bytes(word);
                    (word, count) = (0, 0);
                }
            }
        }
        if count > 0 {
            out.bytes(word);
        }
    }
}

/// `sum` plus the four bytes of `word`: `USADA8` with zero.
#[inline(always)]
fn sum_bytes(word: u32, sum: u32) -> u32 {
    #[cfg(target_arch = "arm")]
    {
        let total: u32;
        // SAFETY: one arithmetic instruction on registers.
        unsafe {
            core::arch::asm!("usada8 {0}, {1}, {2}, {3}", lateout(reg) total, in(reg) word, in(reg) 0u32, in(reg) sum,
                options(pure, nomem, nostack, preserves_flags));
        }
        total
    }
    #[cfg(not(target_arch = "arm"))]
    {
        let pairs = (word & 0x00FF_00FF) + ((word >> 8) & 0x00FF_00FF);
        sum.wrapping_add((pairs & 0xFFFF) + (pairs >> 16))
    }
}

fn partial_word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

/// A scratch buffer as words.
pub(crate) fn as_words(scratch: &mut [u8]) -> &mut [u32] {
    // SAFETY: any bytes are valid words; the middle part is aligned by construction.
    let (_, words, _) = unsafe { scratch.align_to_mut::<u32>() };
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_add_up() {
        assert_eq!(sum_bytes(0x0102_03FF, 1), 262);
    }

    #[test]
    fn groups_interleave_lanes() {
        let mut words = [0; 8];
        for lane in 0..2 {
            let mut writer = Writer::<2>::new(&mut words, lane);
            writer.expand(&[1, 2, 3, 4, 5], 5, Bits::B8);
            assert_eq!(writer.sum(), 15);
        }
        assert_eq!(words, [0x3_0001, 0x3_0001, 0x4_0002, 0x4_0002, 5, 5, 0, 0]);
    }
}
