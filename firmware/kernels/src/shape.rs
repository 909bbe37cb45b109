//! Operator shapes and their checks. All sizes are in elements.

use crate::parts::quotient;
use crate::{Bits, activations};

/// Why a shape is impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// A size, kernel extent, stride or channel count is zero.
    Zero,
    /// A window lies entirely in the padding, above or left of the input.
    WindowBeforeInput,
    /// A window lies entirely in the padding, below or right of the input.
    WindowAfterInput,
    /// Depthwise needs as many output as input channels.
    ChannelMultiplier,
    /// Byte counts of this shape do not fit in 31 bits.
    TooLarge,
}

impl core::fmt::Display for ShapeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            ShapeError::Zero => "a size is zero",
            ShapeError::WindowBeforeInput => "a window lies entirely above or left of the input",
            ShapeError::WindowAfterInput => "a window lies entirely below or right of the input",
            ShapeError::ChannelMultiplier => "depthwise with a channel multiplier other than 1",
            ShapeError::TooLarge => "the shape's buffers exceed 31 bits of bytes",
        })
    }
}

impl core::error::Error for ShapeError {}

/// A convolution in HWC order. Padding below and right follows from the output size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct ConvShape {
    pub in_h: u16,
    pub in_w: u16,
    pub in_c: u16,
    pub out_h: u16,
    pub out_w: u16,
    pub out_c: u16,
    pub k_h: u16,
    pub k_w: u16,
    pub stride_h: u16,
    pub stride_w: u16,
    /// Rows of zero-point padding above the input.
    pub pad_top: u16,
    /// Columns of zero-point padding left of the input.
    pub pad_left: u16,
}

impl ConvShape {
    /// Checks that the shape describes a convolution in which every window touches the input.
    pub fn validate(&self) -> Result<(), ShapeError> {
        check_nonzero(&[self.in_c, self.out_c])?;
        self.rows().validate()?;
        self.columns().validate()?;
        let weights = u64::from(self.out_c).checked_mul(self.k_len() as u64);
        let sizes = [
            area(self.in_h, self.in_w, self.in_c),
            area(self.out_h, self.out_w, self.out_c),
            weights.unwrap_or(u64::MAX),
        ];
        check_sizes(&sizes)
    }

    /// Checks [`Self::validate`] and that channels map one to one.
    pub fn validate_depthwise(&self) -> Result<(), ShapeError> {
        self.validate()?;
        if self.in_c != self.out_c {
            return Err(ShapeError::ChannelMultiplier);
        }
        Ok(())
    }

    /// Values in one window over all input channels: `k_h * k_w * in_c`.
    pub const fn k_len(&self) -> usize {
        self.k_h as usize * self.k_w as usize * self.in_c as usize
    }

    /// Bytes of the packed input.
    pub const fn input_bytes(&self, bits: Bits) -> usize {
        activations::tensor_bytes(self.in_h, self.in_w, self.in_c, bits)
    }

    /// Bytes of the packed output.
    pub const fn output_bytes(&self, bits: Bits) -> usize {
        activations::tensor_bytes(self.out_h, self.out_w, self.out_c, bits)
    }

    /// Multiply-accumulates of a convolution, padding included.
    pub const fn macs(&self) -> u64 {
        self.out_h as u64 * self.out_w as u64 * self.out_c as u64 * self.k_len() as u64
    }

    /// Whether windows are single pixels in the order of the outputs.
    #[inline(always)]
    pub(crate) const fn is_pointwise(&self) -> bool {
        self.k_h == 1
            && self.k_w == 1
            && self.stride_h == 1
            && self.stride_w == 1
            && self.in_h == self.out_h
            && self.in_w == self.out_w
    }

    /// How far the packed output must start before the packed input so that a kernel that takes the output's pixels in order, and
    /// writes each after its window was read, overwrites nothing that later windows read; in bytes, see [`crate::Overlay`].
    ///
    /// A window's first byte lies at `max(0, row * stride_h - pad_top)` rows and as many columns, so that written less read is a sum
    /// of a part that depends on the row and one that depends on the column.
    #[cfg_attr(not(feature = "all"), inline(never))]
    pub fn lead(&self, in_bits: Bits, out_bits: Bits) -> usize {
        let input = activations::pixel_bytes(self.in_c.into(), in_bits);
        let output = activations::pixel_bytes(self.out_c.into(), out_bits);
        self.row_lead(input, output) + self.column_lead(input, output)
    }

    /// The part of it that depends on the row.
    pub(crate) fn row_lead(&self, in_pixel_bytes: usize, out_pixel_bytes: usize) -> usize {
        self.rows().lead(usize::from(self.in_w) * in_pixel_bytes, usize::from(self.out_w) * out_pixel_bytes)
    }

    /// The part of it that depends on the column.
    pub(crate) fn column_lead(&self, in_pixel_bytes: usize, out_pixel_bytes: usize) -> usize {
        self.columns().lead(in_pixel_bytes, out_pixel_bytes)
    }

    fn rows(&self) -> Axis {
        let (input, output) = (self.in_h, self.out_h);
        Axis { input, output, kernel: self.k_h, stride: self.stride_h, pad: self.pad_top }
    }

    fn columns(&self) -> Axis {
        let (input, output) = (self.in_w, self.out_w);
        Axis { input, output, kernel: self.k_w, stride: self.stride_w, pad: self.pad_left }
    }
}

/// A pooling window in HWC order. Padding is excluded from the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct PoolShape {
    pub in_h: u16,
    pub in_w: u16,
    pub channels: u16,
    pub out_h: u16,
    pub out_w: u16,
    pub k_h: u16,
    pub k_w: u16,
    pub stride_h: u16,
    pub stride_w: u16,
    /// Rows of padding above the input.
    pub pad_top: u16,
    /// Columns of padding left of the input.
    pub pad_left: u16,
}

impl PoolShape {
    /// Checks that every window holds at least one input value.
    #[inline(never)]
    pub fn validate(&self) -> Result<(), ShapeError> {
        self.as_depthwise().validate()
    }

    /// Bytes of the packed input.
    pub const fn input_bytes(&self, bits: Bits) -> usize {
        activations::tensor_bytes(self.in_h, self.in_w, self.channels, bits)
    }

    /// Bytes of the packed output.
    pub const fn output_bytes(&self, bits: Bits) -> usize {
        activations::tensor_bytes(self.out_h, self.out_w, self.channels, bits)
    }

    /// As [`ConvShape::lead`], for pixels that are written while their window is still read.
    #[cfg_attr(not(feature = "all"), inline(never))]
    pub fn lead(&self, in_bits: Bits, out_bits: Bits) -> usize {
        self.as_depthwise().lead(in_bits, out_bits) + activations::pixel_bytes(self.channels.into(), out_bits)
    }

    fn as_depthwise(&self) -> ConvShape {
        ConvShape {
            in_h: self.in_h,
            in_w: self.in_w,
            in_c: self.channels,
            out_h: self.out_h,
            out_w: self.out_w,
            out_c: self.channels,
            k_h: self.k_h,
            k_w: self.k_w,
            stride_h: self.stride_h,
            stride_w: self.stride_w,
            pad_top: self.pad_top,
            pad_left: self.pad_left,
        }
    }
}

/// A fully connected layer on one flat vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FcShape {
    /// Length of the input vector.
    pub in_features: u32,
    /// Length of the output vector.
    pub out_features: u32,
}

impl FcShape {
    /// Checks that neither side is empty and that the weights are addressable.
    pub fn validate(&self) -> Result<(), ShapeError> {
        if self.in_features == 0 || self.out_features == 0 {
            return Err(ShapeError::Zero);
        }
        check_sizes(&[u64::from(self.in_features) * u64::from(self.out_features)])
    }

    /// Bytes of the packed input vector.
    pub const fn input_bytes(&self, bits: Bits) -> usize {
        activations::pixel_bytes(self.in_features as usize, bits)
    }

    /// Bytes of the packed output vector.
    pub const fn output_bytes(&self, bits: Bits) -> usize {
        activations::pixel_bytes(self.out_features as usize, bits)
    }
}

/// One spatial axis of a sliding window.
struct Axis {
    input: u16,
    output: u16,
    kernel: u16,
    stride: u16,
    pad: u16,
}

impl Axis {
    fn validate(&self) -> Result<(), ShapeError> {
        check_nonzero(&[self.input, self.output, self.kernel, self.stride])?;
        if self.pad >= self.kernel {
            return Err(ShapeError::WindowBeforeInput);
        }
        let last = u32::from(self.output - 1) * u32::from(self.stride);
        if last >= u32::from(self.input) + u32::from(self.pad) {
            return Err(ShapeError::WindowAfterInput);
        }
        Ok(())
    }

    /// The largest difference of what the windows before one have written, `out_step` bytes each, and where that one starts to read,
    /// `in_step` bytes a pixel. It grows within the padding and is linear behind it, so that three windows tell: the last one that starts
    /// in the padding, the next, and the last.
    #[inline(never)]
    fn lead(&self, in_step: usize, out_step: usize) -> usize {
        let [stride, pad, last] = [self.stride, self.pad, self.output.saturating_sub(1)].map(usize::from);
        let written = |i: usize| i * out_step;
        let read = |i: usize| (i * stride).saturating_sub(pad) * in_step;
        let of = |i: usize| written(i.min(last)).saturating_sub(read(i.min(last)));
        let inside = quotient(pad, stride);
        of(inside).max(of(inside + 1)).max(of(last))
    }
}

fn check_nonzero(sizes: &[u16]) -> Result<(), ShapeError> {
    if sizes.contains(&0) { Err(ShapeError::Zero) } else { Ok(()) }
}

/// Keeps a factor of 16 between every element count and 2^31, so that byte counts cannot overflow `usize` on the board.
fn check_sizes(elements: &[u64]) -> Result<(), ShapeError> {
    if elements.iter().any(|&count| count > 1 << 27) { Err(ShapeError::TooLarge) } else { Ok(()) }
}

fn area(h: u16, w: u16, c: u16) -> u64 {
    u64::from(h) * u64::from(w) * u64::from(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAME: ConvShape = ConvShape {
        in_h: 5,
        in_w: 7,
        in_c: 3,
        out_h: 5,
        out_w: 7,
        out_c: 4,
        k_h: 3,
        k_w: 3,
        stride_h: 1,
        stride_w: 1,
        pad_top: 1,
        pad_left: 1,
    };

    #[test]
    fn an_ordinary_shape_passes() {
        assert_eq!(SAME.validate(), Ok(()));
        assert_eq!(SAME.macs(), 5 * 7 * 4 * 27);
    }

    #[test]
    fn windows_must_touch_the_input() {
        let above = ConvShape { pad_top: 3, ..SAME };
        assert_eq!(above.validate(), Err(ShapeError::WindowBeforeInput));
        let right = ConvShape { out_w: 9, ..SAME };
        assert_eq!(right.validate(), Err(ShapeError::WindowAfterInput));
        assert_eq!(ConvShape { out_w: 8, ..SAME }.validate(), Ok(()));
    }

    /// The definition, pixel by pixel: what is written once `done` pixels are, less the first byte that any later window reads.
    fn lead_by_definition(shape: &ConvShape, in_bits: Bits, out_bits: Bits) -> usize {
        let [input, output] =
            [(shape.in_c, in_bits), (shape.out_c, out_bits)].map(|(c, bits)| activations::pixel_bytes(c.into(), bits));
        let first = |at: usize, stride: u16, pad: u16| (at * usize::from(stride)).saturating_sub(pad.into());
        let reads = |pixel: usize| {
            let (row, column) = (pixel / usize::from(shape.out_w), pixel % usize::from(shape.out_w));
            let y = first(row, shape.stride_h, shape.pad_top);
            (y * usize::from(shape.in_w) + first(column, shape.stride_w, shape.pad_left)) * input
        };
        let pixels = usize::from(shape.out_h) * usize::from(shape.out_w);
        let later = |done: usize| (done..pixels).map(reads).min();
        (0..pixels).filter_map(|done| Some((done * output).saturating_sub(later(done)?))).max().unwrap_or(0)
    }

    #[test]
    fn the_lead_of_rows_and_columns_is_that_of_pixels() {
        let mut tight = 0;
        for k in 1..4u16 {
            for (stride_h, stride_w, pad_top, pad_left) in
                [(1, 1, 0, 0), (1, 2, 1, 0), (2, 1, 0, 1), (2, 3, 1, 1), (3, 2, 2, 2)]
            {
                let (pad_top, pad_left) = (pad_top.min(k - 1), pad_left.min(k - 1));
                for (in_c, out_c) in [(3, 8), (8, 3), (4, 4), (1, 9)] {
                    for (in_bits, out_bits) in [(Bits::B8, Bits::B8), (Bits::B8, Bits::B2), (Bits::B2, Bits::B8)] {
                        let (k_h, k_w) = (k, k);
                        let shape = ConvShape { in_c, out_c, k_h, k_w, stride_h, stride_w, pad_top, pad_left, ..SAME };
                        let out_h = (shape.in_h + pad_top - 1) / stride_h + 1;
                        let out_w = (shape.in_w + pad_left - 1) / stride_w + 1;
                        let shape = ConvShape { out_h, out_w, ..shape };
                        let (lead, least) =
                            (shape.lead(in_bits, out_bits), lead_by_definition(&shape, in_bits, out_bits));
                        assert!(lead >= least, "{shape:?}: {lead} is less than {least}");
                        tight += u32::from(lead == least);
                    }
                }
            }
        }
        assert!(tight > 100, "only {tight} of 180 are no more than needed");
    }

    #[test]
    fn zeros_and_giants_are_refused() {
        assert_eq!(ConvShape { stride_h: 0, ..SAME }.validate(), Err(ShapeError::Zero));
        let giant = ConvShape { in_h: 60_000, in_w: 60_000, ..SAME };
        assert_eq!(giant.validate(), Err(ShapeError::TooLarge));
        assert_eq!(SAME.validate_depthwise(), Err(ShapeError::ChannelMultiplier));
        let fc = FcShape { in_features: 0, out_features: 1 };
        assert_eq!(fc.validate(), Err(ShapeError::Zero));
    }
}
