//! The output pixels of a convolution in order, and where their windows lie in the input.

use crate::ConvShape;
use crate::parts::{SHORT, quotient, quotient_up};

/// An output pixel.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub row: usize,
    pub column: usize,
    /// Byte offset of its window, if that lies on the input entirely; never less than the one before.
    #[cfg_attr(not(target_arch = "arm"), allow(dead_code))]
    pub inside: Option<usize>,
}

/// Walks over all output pixels.
pub(crate) struct Walk<'a> {
    shape: &'a ConvShape,
    /// Bytes of an input pixel.
    pixel_bytes: usize,
    left: usize,
    row: usize,
    column: usize,
    /// The first column whose window does not start in the padding, and the number of columns on the input entirely.
    first: usize,
    count: usize,
    /// Bytes from column to column.
    step: usize,
    /// Whether the row's windows lie between top and bottom, and if so where the current one starts.
    row_inside: bool,
    offset: usize,
}

impl<'a> Walk<'a> {
    pub fn new(shape: &'a ConvShape, pixel_bytes: usize) -> Self {
        let stride = usize::from(shape.stride_w);
        let first = quotient_up(shape.pad_left.into(), stride);
        let last_start = (usize::from(shape.in_w) + usize::from(shape.pad_left)).checked_sub(shape.k_w.into());
        // Where flash is not short, the compiler may know from here on that the stride is not zero: loops get shorter.
        let last = |start| {
            if SHORT { quotient(start, stride) } else { start / stride }
        };
        let end = last_start.map_or(0, |start| last(start) + 1).min(shape.out_w.into());
        let mut walk = Walk {
            shape,
            pixel_bytes,
            left: usize::from(shape.out_h) * usize::from(shape.out_w),
            row: 0,
            column: 0,
            first,
            count: end.saturating_sub(first),
            step: stride * pixel_bytes,
            row_inside: false,
            offset: 0,
        };
        walk.start_row();
        walk
    }

    /// Passes over the first pixels.
    #[cfg_attr(not(target_arch = "arm"), allow(dead_code))]
    pub fn skip(mut self, pixels: usize) -> Self {
        let width = usize::from(self.shape.out_w);
        self.left -= pixels;
        self.row = quotient(pixels, width);
        self.column = pixels - self.row * width;
        self.start_row();
        self.offset = self.offset.wrapping_add(self.column * self.step);
        self
    }

    /// Computes what is the same for a row. The offset of a column in the padding is wrong, and not used.
    #[cfg_attr(not(feature = "all"), inline(never))]
    fn start_row(&mut self) {
        let shape = self.shape;
        let top = self.row * usize::from(shape.stride_h);
        let y = top.wrapping_sub(shape.pad_top.into());
        let bottom = top + usize::from(shape.k_h);
        self.row_inside =
            top >= usize::from(shape.pad_top) && bottom <= usize::from(shape.in_h) + usize::from(shape.pad_top);
        let start = y.wrapping_mul(shape.in_w.into()).wrapping_sub(shape.pad_left.into());
        self.offset = start.wrapping_mul(self.pixel_bytes);
    }
}

impl Iterator for Walk<'_> {
    type Item = Place;

    #[inline(always)]
    fn next(&mut self) -> Option<Place> {
        self.left = self.left.checked_sub(1)?;
        let (row, column) = (self.row, self.column);
        let inside = self.row_inside && column.wrapping_sub(self.first) < self.count;
        let place = Place { row, column, inside: inside.then_some(self.offset) };
        self.offset = self.offset.wrapping_add(self.step);
        self.column += 1;
        if self.column == usize::from(self.shape.out_w) {
            (self.row, self.column) = (row + 1, 0);
            self.start_row();
        }
        Some(place)
    }
}
