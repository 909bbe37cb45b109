//! Average and max pooling. Padding never counts: a window is the part of it that lies on the input.

use core::ops::Range;

use crate::buffers::{self, Input, Output, Overlay};
use crate::error::check_len;
use crate::parts::{self, Parts};
use crate::quads::{self, QUAD, quad_bytes};
use crate::requant::{Requant, Rescale, multiply_round, requantize};
use crate::runs::{MAX_PLAIN_RUN, Run};
use crate::shape::ShapeError;
use crate::{Bits, Kernel, KernelError, Needs, PoolShape, activations, built};

/// Operands of average pooling.
///
/// `y = clamp(act_min, act_max, out_zero + floor(((((sum - n * in_zero) << shift) * m_n) + 2^31) / 2^32))` in 64 bits,
/// where `n` counts the window's input values and `m_n = mult * (k_h * k_w) / n`, rounded down.
///
/// An average that lies exactly between two outputs goes the way its multiplier was rounded: toward the zero point where that is a
/// little less than the real factor (windows of 3x3, 6x6 or 24x5 values, or any cut one), away from it where it is a little
/// more (5x5, 7x7), and up where it is exact, as for windows of a power of two.
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
    pub input: Input<'a>,
    /// Packed output.
    pub output: Output<'a>,
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
    pub input: Input<'a>,
    /// Packed output.
    pub output: Output<'a>,
}

/// The largest window of an average: keeps `sum * mult * k_h * k_w` within 64 bits.
pub const MAX_AVERAGE_WINDOW: u32 = 1 << 16;

impl AverageArgs<'_> {
    fn validate(&self) -> Result<(), KernelError> {
        validate(&self.shape, self.in_bits, self.out_bits, &self.input, &self.output)?;
        self.rescale.requant.validate(self.out_bits)?;
        match u32::from(self.shape.k_h) * u32::from(self.shape.k_w) {
            ..=MAX_AVERAGE_WINDOW => Ok(()),
            _ => Err(ShapeError::TooLarge.into()),
        }
    }
}

impl MaxArgs<'_> {
    fn validate(&self) -> Result<(), KernelError> {
        validate(&self.shape, self.in_bits, self.out_bits, &self.input, &self.output)?;
        match self.rescale {
            Some(rescale) => rescale.requant.validate(self.out_bits),
            None if self.in_bits != self.out_bits => Err(KernelError::constant("rescale")),
            None => Ok(()),
        }
    }
}

/// Whether average pooling is compiled in.
pub const AVERAGE_BUILT: bool = Kernel::AveragePool.is_built();

/// Whether max pooling is compiled in.
pub const MAX_BUILT: bool = Kernel::MaxPool.is_built();

/// What average pooling needs compiled in beside the widths of input and output.
pub const fn average_needs(shape: &PoolShape, shift: u8) -> Needs {
    let needs = Needs::of(Kernel::AveragePool);
    if !AVERAGE_BUILT {
        return needs;
    }
    and_windows(needs, shape).and_if(shift > MAX_SHORT_SHIFT, Kernel::PoolAny)
}

/// What max pooling needs compiled in beside the widths of input and output.
pub const fn max_needs(shape: &PoolShape) -> Needs {
    let needs = Needs::of(Kernel::MaxPool);
    if MAX_BUILT { and_windows(needs, shape) } else { needs }
}

/// Whole quads in whole windows. A run is a row of a window at most, or all of its rows.
const fn and_windows(needs: Needs, shape: &PoolShape) -> Needs {
    let quads = (shape.channels as usize).is_multiple_of(QUAD);
    let runs = shape.k_h as usize * shape.k_w as usize <= MAX_PLAIN_RUN;
    let rows = is_whole(shape.out_h, shape.stride_h, shape.pad_top, shape.k_h, shape.in_h);
    let columns = is_whole(shape.out_w, shape.stride_w, shape.pad_left, shape.k_w, shape.in_w);
    needs.and_if(!(quads && runs && rows && columns), Kernel::PoolAny)
}

/// Whether padding cuts no window along an axis.
const fn is_whole(out: u16, stride: u16, pad: u16, kernel: u16, size: u16) -> bool {
    pad == 0 && (out as u32).saturating_sub(1) * stride as u32 + kernel as u32 <= size as u32
}

/// The largest shift at which the sum of a whole window is rescaled in 32 bits.
const MAX_SHORT_SHIFT: u8 = 6;

/// How the output of either kind may lie over the input: pixels are computed in order, four channels after four, of which each is
/// written while others of its pixel are still to be read.
#[cfg_attr(not(feature = "all"), inline(never))]
pub fn overlay(shape: &PoolShape, in_bits: Bits, out_bits: Bits) -> Overlay {
    Overlay::forward(shape.lead(in_bits, out_bits))
}

/// Average pooling.
#[inline(never)]
pub fn average(args: AverageArgs<'_>) -> Result<(), KernelError> {
    args.validate()?;
    // SAFETY: just checked.
    unsafe { compute_average(&args) };
    Ok(())
}

/// What [`average`] does once it has checked its operands: for who has checked them before.
///
/// # Safety
/// [`average`] would not refuse `args`.
#[inline(never)]
pub unsafe fn average_planned(args: AverageArgs<'_>) {
    debug_assert_eq!(args.validate(), Ok(()));
    // SAFETY: the caller's promise.
    unsafe { compute_average(&args) }
}

/// # Safety
/// As [`average_planned`].
#[inline(always)]
unsafe fn compute_average(args: &AverageArgs<'_>) {
    let AverageArgs { shape, in_zero, rescale, input, output, .. } = args;
    let (in_zero, rescale, input) = (*in_zero, *rescale, *input);
    let (in_bits, out_bits) = (built::activations(args.in_bits), built::activations(args.out_bits));
    let full = u32::from(shape.k_h) * u32::from(shape.k_w);
    for_each_quad(shape, [in_bits, out_bits], input, output, &|window| {
        let count = window.len() as u32;
        let whole = !Kernel::PoolAny.is_built() || count == full;
        let mult = if whole { i64::from(rescale.mult) } else { stretched(rescale.mult as u32, full, count) };
        window.sums().map(|sum| average_of(sum - count as i32 * i32::from(in_zero), mult, rescale.requant))
    });
}

/// Max pooling.
#[inline(never)]
pub fn max(args: MaxArgs<'_>) -> Result<(), KernelError> {
    args.validate()?;
    // SAFETY: just checked.
    unsafe { compute_max(args) };
    Ok(())
}

/// What [`max`] does once it has checked its operands: for who has checked them before.
///
/// # Safety
/// [`max`] would not refuse `args`.
#[inline(never)]
pub unsafe fn max_planned(args: MaxArgs<'_>) {
    debug_assert_eq!(args.validate(), Ok(()));
    // SAFETY: the caller's promise.
    unsafe { compute_max(args) }
}

/// # Safety
/// As [`max_planned`].
#[inline(always)]
unsafe fn compute_max(args: MaxArgs<'_>) {
    let MaxArgs { shape, in_zero, rescale, input, output, .. } = args;
    let (in_bits, out_bits) = (built::activations(args.in_bits), built::activations(args.out_bits));
    for_each_quad(&shape, [in_bits, out_bits], input, &output, &|window| match rescale {
        Some(r) => window.maxima().map(|max| requantize(i32::from(max) - i32::from(in_zero), r.mult, r.requant)),
        None => window.maxima(),
    });
}

#[inline(never)]
fn validate(
    shape: &PoolShape,
    in_bits: Bits,
    out_bits: Bits,
    input: &Input<'_>,
    output: &Output<'_>,
) -> Result<(), KernelError> {
    shape.validate()?;
    check_len("input", input.len(), shape.input_bytes(in_bits))?;
    check_len("output", output.len(), shape.output_bytes(out_bits))?;
    buffers::check_overlay(input, output, || Some(overlay(shape, in_bits, out_bits)))
}

/// The rule of [`AverageArgs`] for a window with offset-free sum `acc`.
#[inline(never)]
fn average_of(acc: i32, mult: i64, requant: Requant) -> u8 {
    // A sum has at most 24 bits and a sign: with a small shift 32 bits hold it, which is one multiplication.
    let scaled = match i32::try_from(mult) {
        Ok(mult) if !Kernel::PoolAny.is_built() || requant.shift <= MAX_SHORT_SHIFT => {
            multiply_round(acc << requant.shift, mult)
        }
        _ => ((i64::from(acc).wrapping_mul(mult) << requant.shift).wrapping_add(1 << 31) >> 32) as i32,
    };
    let y = scaled.saturating_add(requant.out_zero.into());
    y.max(requant.act_min.into()).min(requant.act_max.into()) as u8
}

/// `floor(mult * full / count)` for `full` and `count` up to [`MAX_AVERAGE_WINDOW`]: a long division by digits of 16 bits, each
/// of which a 32-bit core divides in one instruction.
fn stretched(mult: u32, full: u32, count: u32) -> i64 {
    let product = u64::from(mult) * u64::from(full);
    let (mut quotient, mut rest) = (0, 0);
    for digit in [32, 16, 0].map(|at| (product >> at) as u32 & 0xFFFF) {
        let part = rest << 16 | digit;
        let digit = parts::quotient(part as usize, count as usize) as u32;
        quotient = quotient << 16 | i64::from(digit);
        rest = part - digit * count;
    }
    quotient
}

/// The input values under one output pixel, four channels at a time.
struct Window<'a> {
    /// Of the window's first row; from the quad's first channel in the first pixel on.
    first: Run<'a>,
    rows: usize,
    row_bytes: usize,
}

impl Window<'_> {
    fn len(&self) -> usize {
        self.rows * self.first.count
    }

    fn rows(&self) -> impl Iterator<Item = Run<'_>> {
        let first = self.first;
        (0..self.rows).map(move |row| Run { bytes: first.bytes.part(row * self.row_bytes..), ..first })
    }

    fn sums(&self) -> [i32; QUAD] {
        let mut sums = [0; QUAD];
        for row in self.rows() {
            sums.iter_mut().zip(row.sums()).for_each(|(sum, part)| *sum += part as i32);
        }
        sums
    }

    fn maxima(&self) -> [u8; QUAD] {
        let mut maxima = [0; QUAD];
        for row in self.rows() {
            maxima.iter_mut().zip(row.maxima()).for_each(|(max, value)| *max = value.max(*max));
        }
        maxima
    }
}

#[inline(never)]
fn for_each_quad(
    shape: &PoolShape,
    [in_bits, out_bits]: [Bits; 2],
    input: Input<'_>,
    output: &Output<'_>,
    value: &dyn Fn(&Window<'_>) -> [u8; QUAD],
) {
    let channels = usize::from(shape.channels);
    let pixel_bytes = activations::pixel_bytes(channels, in_bits);
    let row_bytes = usize::from(shape.in_w) * pixel_bytes;
    let out_stride = activations::pixel_bytes(channels, out_bits);
    let (mut row, mut column) = (0, 0);
    for index in 0..usize::from(shape.out_h) * usize::from(shape.out_w) {
        let rows = span(row, shape.stride_h, shape.pad_top, shape.k_h, shape.in_h);
        let columns = span(column, shape.stride_w, shape.pad_left, shape.k_w, shape.in_w);
        let start = rows.start * row_bytes + columns.start * pixel_bytes;
        // Rows of full width lie side by side: one long row.
        let whole = columns.len() == usize::from(shape.in_w);
        let (row_count, column_count) =
            if whole { (1, rows.len() * columns.len()) } else { (rows.len(), columns.len()) };
        for first in (0..channels).step_by(QUAD) {
            let live = if Kernel::PoolAny.is_built() { QUAD.min(channels - first) } else { QUAD };
            let window = Window {
                first: Run {
                    // SAFETY: nothing is written before the window's value is known.
                    bytes: unsafe { input.rest(start + quad_bytes(first, in_bits)).bytes() },
                    step: pixel_bytes,
                    count: column_count,
                    bits: in_bits,
                },
                rows: row_count,
                row_bytes,
            };
            let word = u32::from_le_bytes(value(&window));
            // SAFETY: nothing is read meanwhile.
            let quad = unsafe { output.rest(index * out_stride + quad_bytes(first, out_bits)) };
            quads::write(quad, word, live, out_bits);
        }
        column += 1;
        if column == usize::from(shape.out_w) {
            (row, column) = (row + 1, 0);
        }
    }
}

/// The part of window `index` that lies on the input, along one axis.
fn span(index: usize, stride: u16, pad: u16, kernel: u16, size: u16) -> Range<usize> {
    let start = index * usize::from(stride);
    if !Kernel::PoolAny.is_built() {
        return start..start + usize::from(kernel);
    }
    let end = (start + usize::from(kernel)).saturating_sub(usize::from(pad));
    start.saturating_sub(usize::from(pad))..end.min(usize::from(size))
}
