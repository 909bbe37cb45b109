//! From packed activations to columns: 16-bit pairs in the order in which the matrix product reads them.
//!
//! A window's values are taken row by row. Which two share a word is what unpacks them cheapest ([`Order`]): at 8 bits
//! values `i` and `i + 2` of a group of four, which is what `UXTB16` makes of four bytes; below, `i` and `i + 4` of a group of
//! eight, which one mask makes of eight nibbles. Words of several pixels ("lanes") alternate.

#[cfg(target_arch = "arm")]
mod cortex_m;
mod lane;
#[cfg(target_arch = "arm")]
mod stream;
mod walk;
mod writer;

#[cfg(target_arch = "arm")]
use crate::Kernel;
use crate::buffers::Input;
use crate::built::NARROW;
use crate::parts::ensure;
use crate::{Bits, ConvShape, activations};

#[cfg(target_arch = "arm")]
pub(crate) use cortex_m::Row;
pub(crate) use lane::Lane;
pub(crate) use walk::{Place, Walk};
pub(crate) use writer::Writer;

/// Which values of a row share a word; a row is extended by zeros to whole groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Groups of four: values 0 and 2, 1 and 3.
    Fours,
    /// Groups of eight: values 0 and 4, 1 and 5, 2 and 6, 3 and 7.
    Eights,
}

impl Order {
    /// The order of rows of `row` values.
    pub const fn of(row: usize, in_bits: Bits) -> Self {
        match in_bits {
            Bits::B8 => Order::Fours,
            _ if !NARROW => Order::Fours,
            _ if row.is_multiple_of(8) => Order::Eights,
            _ => Order::Fours,
        }
    }

    /// The order of a convolution's kernel rows. Pixels with pad bits have no groups of eight.
    pub const fn of_windows(shape: &ConvShape, in_bits: Bits) -> Self {
        let channels = shape.in_c as usize;
        let padded = !(channels * in_bits.get() as usize).is_multiple_of(8);
        if padded { Order::Fours } else { Order::of(channels * shape.k_w as usize, in_bits) }
    }

    /// Values of a group.
    pub const fn group(self) -> usize {
        match self {
            Order::Fours => 4,
            Order::Eights => 8,
        }
    }

    /// The value in a half of a lane's word `step`.
    pub const fn value(self, step: usize, half: usize) -> usize {
        let steps = self.group() / 2;
        step / steps * self.group() + half * steps + step % steps
    }
}

/// The windows of a convolution.
pub(crate) struct Windows<'a> {
    shape: &'a ConvShape,
    bits: Bits,
    zero: u8,
    input: Input<'a>,
    order: Order,
    /// Values of a kernel row.
    row: usize,
    pixel_bytes: usize,
    /// Whether a window inside the input can be expanded row by row, without looking at single values.
    #[cfg(target_arch = "arm")]
    plain_rows: bool,
    #[cfg(target_arch = "arm")]
    expander: cortex_m::Expander,
}

impl<'a> Windows<'a> {
    pub fn new(shape: &'a ConvShape, bits: Bits, zero: u8, input: Input<'a>) -> Self {
        let channels = usize::from(shape.in_c);
        let row = channels * usize::from(shape.k_w);
        let order = Order::of_windows(shape, bits);
        let pixel_bytes = activations::pixel_bytes(channels, bits);
        #[cfg(target_arch = "arm")]
        let plain_rows = match bits {
            Bits::B8 => true,
            // Sums of small values are kept in 16 bits.
            _ => order == Order::Eights && pixel_bytes * bits.per_byte() == channels && shape.k_len() <= 8192,
        };
        Windows {
            shape,
            bits,
            zero,
            input,
            order,
            row,
            pixel_bytes,
            #[cfg(target_arch = "arm")]
            plain_rows,
            #[cfg(target_arch = "arm")]
            expander: cortex_m::Expander::new(shape, bits, row, pixel_bytes, &input),
        }
    }

    /// The output pixels, in order.
    pub fn walk(&self) -> Walk<'a> {
        Walk::new(self.shape, self.pixel_bytes)
    }

    /// The windows of a pointwise convolution as single pixels side by side, which can be expanded as wholes.
    #[cfg(target_arch = "arm")]
    pub fn row(&self) -> Option<cortex_m::Row> {
        self.expander.row(&self.input, self.bits, self.pixel_bytes)
    }

    /// Expands the windows at two output pixels, of which the second is not before the first; returns the sums of their values.
    #[inline(always)]
    pub fn pair(&self, pixels: [Place; 2], words: &mut [u32]) -> [i32; 2] {
        #[cfg(target_arch = "arm")]
        if let (true, [Some(first), Some(second)]) = (self.plain_rows, pixels.map(|place| place.inside))
            && let Some(sums) = self.expander.pair(&self.input, [first, second], words)
        {
            return sums;
        }
        self.gather_two(pixels, words)
    }

    /// The same where at least one window leaves the input, or must be taken apart value by value.
    #[inline(never)]
    fn gather_two(&self, pixels: [Place; 2], words: &mut [u32]) -> [i32; 2] {
        let sums = self.one_whole(pixels, words);
        core::array::from_fn(|lane| {
            let gather = || self.gather(pixels[lane], Writer::new(words, Lane::of_pair(lane), self.order));
            sums[lane].unwrap_or_else(gather)
        })
    }

    /// Expands the first of two windows that can be expanded as a whole, to both lanes: the other one will overwrite its own. Or either
    /// that can be streamed.
    #[cfg(target_arch = "arm")]
    fn one_whole(&self, pixels: [Place; 2], words: &mut [u32]) -> [Option<i32>; 2] {
        if Kernel::PartialQuads.is_built() && self.bits != Bits::B8 && self.order == Order::Fours {
            return core::array::from_fn(|lane| self.streamed(pixels[lane], words, lane));
        }
        let mut sums = [None; 2];
        let whole = |lane: usize| pixels[lane].inside.filter(|&at| self.expander.fits(at)).map(|at| (lane, at));
        if self.plain_rows
            && let Some((lane, at)) = whole(0).or_else(|| whole(1))
        {
            sums[lane] = self.expander.pair(&self.input, [at; 2], words).map(|sums| sums[lane]);
        }
        sums
    }

    /// There is no faster way here.
    #[cfg(not(target_arch = "arm"))]
    fn one_whole(&self, _: [Place; 2], _: &mut [u32]) -> [Option<i32>; 2] {
        [None; 2]
    }

    /// Expands one window, with padding where it leaves the input; returns the sum of its values.
    fn gather(&self, Place { row, column, .. }: Place, mut out: Writer<'_>) -> i32 {
        let (in_h, in_w) = (usize::from(self.shape.in_h), usize::from(self.shape.in_w));
        let span = Span::new(self.shape, column);
        let channels = usize::from(self.shape.in_c);
        for ky in 0..usize::from(self.shape.k_h) {
            let y = (row * usize::from(self.shape.stride_h) + ky).wrapping_sub(self.shape.pad_top.into());
            if y >= in_h {
                out.fill(self.zero, self.row);
            } else {
                out.fill(self.zero, span.left * channels);
                self.gather_pixels((y * in_w + span.start) * self.pixel_bytes, span.valid, &mut out);
                out.fill(self.zero, span.right * channels);
            }
            out.end_row();
        }
        out.sum()
    }

    /// Expands `count` pixels from byte `at` of the input on.
    #[inline(always)]
    fn gather_pixels(&self, at: usize, count: usize, out: &mut Writer<'_>) {
        let (pixels, channels) = (self.input.rest(at), usize::from(self.shape.in_c));
        if !NARROW || self.pixel_bytes * self.bits.per_byte() == channels {
            out.expand(pixels, count * channels, self.bits);
        } else {
            (0..count).for_each(|x| out.expand(pixels.rest(x * self.pixel_bytes), channels, self.bits));
        }
    }
}

/// The columns of one window: `left` of padding, then `valid` pixels from `start`, then `right` of padding.
struct Span {
    start: usize,
    left: usize,
    valid: usize,
    right: usize,
}

impl Span {
    fn new(shape: &ConvShape, column: usize) -> Self {
        let (width, kernel, pad) = (usize::from(shape.in_w), usize::from(shape.k_w), usize::from(shape.pad_left));
        let from = column * usize::from(shape.stride_w);
        let left = pad.saturating_sub(from).min(kernel);
        let start = (from + left).saturating_sub(pad);
        let valid = (kernel - left).min(width.saturating_sub(start));
        Span { start, left, valid, right: kernel - left - valid }
    }
}

/// A scratch buffer, aligned, as words.
pub(crate) fn as_words(scratch: &mut [u8]) -> &mut [u32] {
    ensure(scratch.as_ptr().addr().is_multiple_of(4));
    // SAFETY: any bytes are valid words, and they are aligned.
    unsafe { core::slice::from_raw_parts_mut(scratch.as_mut_ptr().cast(), scratch.len() / 4) }
}
