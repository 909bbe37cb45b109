//! Average and max pooling. Padding never counts: a window is the part of it that lies on the input.

use core::ops::Range;

use crate::error::check_len;
use crate::requant::{Rescale, requantize};
use crate::shape::ShapeError;
use crate::{Bits, KernelError, PoolShape, activations};

/// Operands of average pooling.
///
/// `y = clamp(act_min, act_max, out_zero + floor(((((sum - n * in_zero) << shift) * m_n) + 2^31) / 2^32))` in 64 bits,
/// where `n` counts the window's input values and `m_n = mult * (k_h * k_w) / n`, rounded down.
pub struct AverageArgs<'a> {
    /// The window.
    pub shape: PoolShape,
    /// Width of `input`.
    pub in_bits: Bits,
    /// Width of `output`.
    pub out_bits: Bits,
    /// Zero point of `input`.
    pub in_zero: u8,
    /// The change of scale for a full window, `1 / (k_h * k_w)` included.
    pub rescale: Rescale,
    /// Packed input.
    pub input: &'a [u8],
    /// Packed output.
    pub output: &'a mut [u8],
}

/// Operands of max pooling.
pub struct MaxArgs<'a> {
    /// The window.
    pub shape: PoolShape,
    /// Width of `input`.
    pub in_bits: Bits,
    /// Width of `output`.
    pub out_bits: Bits,
    /// Zero point of `input`.
    pub in_zero: u8,
    /// The change of scale, applied to `max - in_zero`; `None` copies the maximum, and then the widths must agree.
    pub rescale: Option<Rescale>,
    /// Packed input.
    pub input: &'a [u8],
    /// Packed output.
    pub output: &'a mut [u8],
}

/// The largest window of an average: keeps `sum * mult * k_h * k_w` within 64 bits.
pub const MAX_AVERAGE_WINDOW: u32 = 1 << 16;

/// Average pooling.
pub fn average(args: AverageArgs<'_>) -> Result<(), KernelError> {
    let AverageArgs { shape, in_bits, out_bits, in_zero, rescale, input, output } = args;
    validate(&shape, in_bits, out_bits, input, output)?;
    rescale.requant.validate(out_bits)?;
    let full = u32::from(shape.k_h) * u32::from(shape.k_w);
    if full > MAX_AVERAGE_WINDOW {
        return Err(ShapeError::TooLarge.into());
    }
    for_each_output(&shape, in_bits, out_bits, input, output, |window| {
        let (mut sum, mut count) = (0i32, 0i32);
        window.for_each(|x| {
            sum += i32::from(x);
            count += 1;
        });
        average_of(sum - count * i32::from(in_zero), count as u32, full, rescale)
    });
    Ok(())
}

/// Max pooling.
pub fn max(args: MaxArgs<'_>) -> Result<(), KernelError> {
    let MaxArgs { shape, in_bits, out_bits, in_zero, rescale, input, output } = args;
    validate(&shape, in_bits, out_bits, input, output)?;
    match rescale {
        Some(rescale) => rescale.requant.validate(out_bits)?,
        None if in_bits != out_bits => return Err(KernelError::Constant { name: "rescale" }),
        None => {}
    }
    for_each_output(&shape, in_bits, out_bits, input, output, |window| {
        let mut max = 0;
        window.for_each(|x| max = max.max(x));
        match rescale {
            Some(r) => requantize(i32::from(max) - i32::from(in_zero), r.mult, r.requant),
            None => max,
        }
    });
    Ok(())
}

fn validate(shape: &PoolShape, in_bits: Bits, out_bits: Bits, input: &[u8], output: &[u8]) -> Result<(), KernelError> {
    shape.validate()?;
    check_len("input", input.len(), shape.input_bytes(in_bits))?;
    check_len("output", output.len(), shape.output_bytes(out_bits))
}

/// The rule of [`AverageArgs`] for a window of `count` values with offset-free sum `acc`.
fn average_of(acc: i32, count: u32, full: u32, rescale: Rescale) -> u8 {
    let requant = rescale.requant;
    let mult = i64::from(rescale.mult) * i64::from(full) / i64::from(count);
    let scaled = ((i64::from(acc) << requant.shift).wrapping_mul(mult).wrapping_add(1 << 31)) >> 32;
    let y = scaled.wrapping_add(i64::from(requant.out_zero));
    y.clamp(i64::from(requant.act_min), i64::from(requant.act_max)) as u8
}

/// The input values under one output value.
struct Window<'a> {
    input: &'a [u8],
    rows: Range<usize>,
    columns: Range<usize>,
    width: usize,
    pixel_bytes: usize,
    channel: usize,
    bits: Bits,
}

impl Window<'_> {
    fn for_each(&self, mut visit: impl FnMut(u8)) {
        for row in self.rows.clone() {
            for column in self.columns.clone() {
                let start = (row * self.width + column) * self.pixel_bytes;
                let pixel = &self.input[start..start + self.pixel_bytes];
                visit(activations::get(pixel, self.channel, self.bits));
            }
        }
    }
}

fn for_each_output(
    shape: &PoolShape,
    in_bits: Bits,
    out_bits: Bits,
    input: &[u8],
    output: &mut [u8],
    mut value: impl FnMut(&Window<'_>) -> u8,
) {
    let channels = usize::from(shape.channels);
    let out_stride = activations::pixel_bytes(channels, out_bits);
    for (index, pixel) in output.chunks_exact_mut(out_stride).enumerate() {
        let (row, column) = (index / usize::from(shape.out_w), index % usize::from(shape.out_w));
        pixel.fill(0);
        let mut window = Window {
            input,
            rows: span(row, shape.stride_h, shape.pad_top, shape.k_h, shape.in_h),
            columns: span(column, shape.stride_w, shape.pad_left, shape.k_w, shape.in_w),
            width: usize::from(shape.in_w),
            pixel_bytes: activations::pixel_bytes(channels, in_bits),
            channel: 0,
            bits: in_bits,
        };
        for c in 0..channels {
            window.channel = c;
            activations::or(pixel, c, out_bits, value(&window));
        }
    }
}

/// The part of window `index` that lies on the input, along one axis.
fn span(index: usize, stride: u16, pad: u16, kernel: u16, size: u16) -> Range<usize> {
    let start = index * usize::from(stride);
    let end = (start + usize::from(kernel)).saturating_sub(usize::from(pad));
    start.saturating_sub(usize::from(pad))..end.min(usize::from(size))
}
