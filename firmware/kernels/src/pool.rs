//! Average and max pooling. Padding never counts: a window is the part of it that lies on the input.

use core::ops::Range;

use crate::error::check_len;
use crate::quads::{self, QUAD, quad_bytes};
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
    for_each_quad(&shape, in_bits, out_bits, input, output, |window| {
        let count = window.len() as u32;
        window.sums().map(|sum| average_of(sum - count as i32 * i32::from(in_zero), count, full, rescale))
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
    for_each_quad(&shape, in_bits, out_bits, input, output, |window| match rescale {
        Some(r) => window.maxima().map(|max| requantize(i32::from(max) - i32::from(in_zero), r.mult, r.requant)),
        None => window.maxima(),
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
    let mult = match count == full {
        true => i64::from(rescale.mult),
        false => i64::from(rescale.mult) * i64::from(full) / i64::from(count),
    };
    let scaled = ((i64::from(acc) << requant.shift).wrapping_mul(mult).wrapping_add(1 << 31)) >> 32;
    let y = scaled.wrapping_add(i64::from(requant.out_zero));
    y.clamp(i64::from(requant.act_min), i64::from(requant.act_max)) as u8
}

/// The input values under one output pixel, four channels at a time.
struct Window<'a> {
    /// From the quad's first channel in the first pixel on.
    input: &'a [u8],
    rows: usize,
    columns: usize,
    row_bytes: usize,
    pixel_bytes: usize,
    quad_bytes: usize,
    bits: Bits,
}

impl Window<'_> {
    fn len(&self) -> usize {
        self.rows * self.columns
    }

    fn sums(&self) -> [i32; QUAD] {
        match self.bits {
            Bits::B8 => self.sums_at(Bits::B8),
            Bits::B4 => self.sums_at(Bits::B4),
            Bits::B2 => self.sums_at(Bits::B2),
        }
    }

    #[inline(always)]
    fn sums_at(&self, bits: Bits) -> [i32; QUAD] {
        let mut sums = [0; QUAD];
        for row in 0..self.rows {
            let start = row * self.row_bytes;
            let row = &self.input[start..start + (self.columns - 1) * self.pixel_bytes + self.quad_bytes];
            for part in row.chunks(MAX_PAIR_SUM * self.pixel_bytes) {
                let (mut even, mut odd) = (0u32, 0u32);
                for pixel in part.chunks(self.pixel_bytes) {
                    let word = quads::read(&pixel[..self.quad_bytes], bits);
                    even += word & 0x00FF_00FF;
                    odd += (word >> 8) & 0x00FF_00FF;
                }
                for (sum, part) in sums.iter_mut().zip([even & 0xFFFF, odd & 0xFFFF, even >> 16, odd >> 16]) {
                    *sum += part as i32;
                }
            }
        }
        sums
    }

    fn maxima(&self) -> [u8; QUAD] {
        let mut maxima = [0; QUAD];
        for row in 0..self.rows {
            let pixels = &self.input[row * self.row_bytes..];
            for x in 0..self.columns {
                let word = quads::read(&pixels[x * self.pixel_bytes..][..self.quad_bytes], self.bits);
                for (max, byte) in maxima.iter_mut().zip(word.to_le_bytes()) {
                    *max = byte.max(*max);
                }
            }
        }
        maxima
    }
}

/// How many bytes can be added in 16 bits.
const MAX_PAIR_SUM: usize = 257;

fn for_each_quad(
    shape: &PoolShape,
    in_bits: Bits,
    out_bits: Bits,
    input: &[u8],
    output: &mut [u8],
    value: impl Fn(&Window<'_>) -> [u8; QUAD],
) {
    let channels = usize::from(shape.channels);
    let pixel_bytes = activations::pixel_bytes(channels, in_bits);
    let row_bytes = usize::from(shape.in_w) * pixel_bytes;
    let out_stride = activations::pixel_bytes(channels, out_bits);
    for (index, pixel) in output.chunks_exact_mut(out_stride).enumerate() {
        let (row, column) = (index / usize::from(shape.out_w), index % usize::from(shape.out_w));
        let rows = span(row, shape.stride_h, shape.pad_top, shape.k_h, shape.in_h);
        let columns = span(column, shape.stride_w, shape.pad_left, shape.k_w, shape.in_w);
        let start = rows.start * row_bytes + columns.start * pixel_bytes;
        // Rows of full width lie side by side: one long row.
        let whole = columns.len() == usize::from(shape.in_w);
        let (row_count, column_count) =
            if whole { (1, rows.len() * columns.len()) } else { (rows.len(), columns.len()) };
        for first in (0..channels).step_by(QUAD) {
            let live = QUAD.min(channels - first);
            let window = Window {
                input: &input[start + quad_bytes(first, in_bits)..],
                rows: row_count,
                columns: column_count,
                row_bytes,
                pixel_bytes,
                quad_bytes: quad_bytes(live, in_bits),
                bits: in_bits,
            };
            let word = u32::from_le_bytes(value(&window));
            quads::write(&mut pixel[quad_bytes(first, out_bits)..], word, live, out_bits);
        }
    }
}

/// The part of window `index` that lies on the input, along one axis.
fn span(index: usize, stride: u16, pad: u16, kernel: u16, size: u16) -> Range<usize> {
    let start = index * usize::from(stride);
    let end = (start + usize::from(kernel)).saturating_sub(usize::from(pad));
    start.saturating_sub(usize::from(pad))..end.min(usize::from(size))
}
