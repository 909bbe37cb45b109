//! Depthwise convolution with channel multiplier 1.
//!
//! Four channels at a time, row by row, in three passes over a strip of columns that fits a kilobyte of scratch:
//! *expand* turns the input rows under the kernel into vertical pairs of 16-bit values, channel by channel; *filter* slides
//! the kernel along each channel's pairs, two taps an instruction; *store* packs the resulting bytes into the output.

#[cfg(target_arch = "arm")]
mod cortex_m;
mod layout;
mod portable;

use crate::columns::as_words;
use crate::quads::QUAD;
use crate::requant::{Channel, Requant};
use crate::{Bits, ConvArgs, ConvShape, KernelError, activations};

/// Columns of an expanded strip, unless the kernel is wider.
const STRIP: usize = 24;

/// Largest shift that leaves shifted 8-bit weights within 16 bits.
const MAX_WEIGHT_SHIFT: u8 = 8;

/// Bytes of the packed weights, a multiple of 4.
pub const fn weights_len(shape: &ConvShape, w_bits: Bits) -> usize {
    layout::weights_len(shape, w_bits)
}

/// Bytes of scratch, a multiple of 4: about a kilobyte for 3x3 kernels.
pub const fn scratch_len(shape: &ConvShape, _w_bits: Bits, _in_bits: Bits, _out_bits: Bits) -> usize {
    let plan = Plan::new(shape);
    4 * (plan.params_words() + plan.strip_words() + plan.outputs)
}

/// Packs weights given as `[k_h][k_w][c]`, each within the range of `w_bits`.
pub fn pack(shape: &ConvShape, w_bits: Bits, plain: &[i8], out: &mut [u8]) -> Result<(), KernelError> {
    shape.validate_depthwise()?;
    layout::pack(shape, w_bits, plain, out)
}

/// Runs the depthwise convolution.
pub fn run(args: ConvArgs<'_>) -> Result<(), KernelError> {
    let ConvArgs { shape, in_bits, w_bits, out_bits, requant, .. } = args;
    shape.validate_depthwise()?;
    args.validate(weights_len(&shape, w_bits), scratch_len(&shape, w_bits, in_bits, out_bits))?;
    let plan = Plan::new(&shape);
    let (params, rest) = as_words(args.scratch).split_at_mut(plan.params_words());
    let (strip, bytes) = rest.split_at_mut(plan.strip_words());
    let channels = usize::from(shape.in_c);
    let shift = if requant.shift <= MAX_WEIGHT_SHIFT { requant.shift } else { 0 };
    let late = Requant { shift: requant.shift - shift, ..requant.unclamped(out_bits) };
    let quad_bytes = layout::quad_bytes(&shape, w_bits);
    for quad in 0..channels.div_ceil(QUAD) {
        let mut job = Job {
            shape: &shape,
            plan: &plan,
            quad,
            channels: &args.channels[quad * QUAD..channels.min(quad * QUAD + QUAD)],
            weights: &args.weights[quad * quad_bytes..][..quad_bytes],
            w_bits,
            in_bits,
            out_bits,
            in_zero: args.in_zero,
            shift,
            requant: late,
            input: args.input,
            params,
            strip,
            bytes,
        };
        job.run(args.output);
    }
    requant.clamp_tensor(args.output, channels, out_bits);
    Ok(())
}

/// Sizes that depend on the shape only.
struct Plan {
    /// Vertical pairs of taps in a kernel column.
    pairs: usize,
    /// Kernel columns.
    k_w: usize,
    /// Expanded columns of a strip.
    columns: usize,
    /// Output columns of a strip.
    outputs: usize,
}

impl Plan {
    const fn new(shape: &ConvShape) -> Self {
        let (k_w, stride) = (shape.k_w as usize, shape.stride_w as usize);
        let fit = if STRIP > k_w { (STRIP - k_w) / stride + 1 } else { 1 };
        let strips = (shape.out_w as usize).div_ceil(fit);
        let outputs = (shape.out_w as usize).div_ceil(strips);
        Plan { pairs: (shape.k_h as usize).div_ceil(2), k_w, columns: (outputs - 1) * stride + k_w, outputs }
    }

    /// Words of one channel's weights and constants.
    const fn channel_words(&self) -> usize {
        self.k_w * self.pairs + 2
    }

    const fn params_words(&self) -> usize {
        QUAD * self.channel_words()
    }

    const fn strip_words(&self) -> usize {
        self.columns * self.pairs * QUAD
    }
}

/// One quad of channels.
struct Job<'a> {
    shape: &'a ConvShape,
    plan: &'a Plan,
    quad: usize,
    /// The channels of the quad that exist.
    channels: &'a [Channel],
    weights: &'a [u8],
    w_bits: Bits,
    in_bits: Bits,
    out_bits: Bits,
    in_zero: u8,
    /// Left shift of weights and biases, which saves shifting accumulators.
    shift: u8,
    /// With what is left of the shift.
    requant: Requant,
    input: &'a [u8],
    params: &'a mut [u32],
    strip: &'a mut [u32],
    /// One word of four outputs per column.
    bytes: &'a mut [u32],
}

/// The columns of a strip: `left` of padding, `valid` from input column `start`, then padding again.
struct Strip {
    first: usize,
    outputs: usize,
    columns: usize,
    left: usize,
    start: usize,
    valid: usize,
}

impl Strip {
    fn new(shape: &ConvShape, k_w: usize, first: usize, outputs: usize) -> Self {
        let (stride, pad) = (usize::from(shape.stride_w), usize::from(shape.pad_left));
        let columns = (outputs - 1) * stride + k_w;
        let from = first * stride;
        let left = pad.saturating_sub(from).min(columns);
        let start = (from + left).saturating_sub(pad);
        let valid = (columns - left).min(usize::from(shape.in_w).saturating_sub(start));
        Strip { first, outputs, columns, left, start, valid }
    }
}

impl Job<'_> {
    fn run(&mut self, output: &mut [u8]) {
        #[cfg(target_arch = "arm")]
        if cortex_m::fits(self) {
            return cortex_m::run(self, output);
        }
        portable::run(self, output);
    }

    /// The strips of a row, left to right.
    fn strips(&self) -> impl Iterator<Item = Strip> + use<> {
        let (shape, k_w, outputs) = (*self.shape, self.plan.k_w, self.plan.outputs);
        let out_w = usize::from(shape.out_w);
        (0..out_w).step_by(outputs).map(move |first| Strip::new(&shape, k_w, first, outputs.min(out_w - first)))
    }

    /// Bytes of the quad in a pixel of the input, of which the last may lack some.
    fn in_quad_bytes(&self) -> usize {
        QUAD * usize::from(self.in_bits.get()) / 8
    }

    fn in_pixel_bytes(&self) -> usize {
        activations::pixel_bytes(usize::from(self.shape.in_c), self.in_bits)
    }

    fn out_pixel_bytes(&self) -> usize {
        activations::pixel_bytes(usize::from(self.shape.out_c), self.out_bits)
    }

    /// Byte offset of the quad in pixel `(row, column)` of the output.
    fn out_offset(&self, row: usize, column: usize) -> usize {
        let pixel = row * usize::from(self.shape.out_w) + column;
        pixel * self.out_pixel_bytes() + self.quad * QUAD * usize::from(self.out_bits.get()) / 8
    }

    /// Byte offset of the quad in input pixel `(y, x)`; `None` above and below the input.
    fn row_offset(&self, row: usize, ky: usize, x: usize) -> Option<usize> {
        let y = (row * usize::from(self.shape.stride_h) + ky).wrapping_sub(usize::from(self.shape.pad_top));
        let pixel = y.wrapping_mul(usize::from(self.shape.in_w)).wrapping_add(x);
        (y < usize::from(self.shape.in_h)).then(|| pixel * self.in_pixel_bytes() + self.quad * self.in_quad_bytes())
    }
}
