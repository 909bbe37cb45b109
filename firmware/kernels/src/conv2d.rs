//! Convolution of any kernel size, stride, padding and channel count.

use crate::error::{check_len, check_words};
use crate::requant::{Channel, Requant, requantize};
use crate::{Bits, ConvShape, KernelError, activations};

/// Operands of a convolution or depthwise convolution.
pub struct ConvArgs<'a> {
    /// The shape; depthwise wants `in_c == out_c`.
    pub shape: ConvShape,
    /// Width of `input`.
    pub in_bits: Bits,
    /// Width of `weights`.
    pub w_bits: Bits,
    /// Width of `output`.
    pub out_bits: Bits,
    /// Zero point of `input`, the value of padding.
    pub in_zero: u8,
    /// One per output channel.
    pub channels: &'a [Channel],
    /// Constants of the output tensor.
    pub requant: Requant,
    /// Packed input.
    pub input: &'a [u8],
    /// Weights as the operator's `pack` wrote them, 4-byte aligned.
    pub weights: &'a [u8],
    /// At least the operator's `scratch_len`, 4-byte aligned.
    pub scratch: &'a mut [u8],
    /// Packed output.
    pub output: &'a mut [u8],
}

impl ConvArgs<'_> {
    /// Checks everything but the shape and the lengths that depend on the operator.
    pub(crate) fn validate(&self, weights_len: usize, scratch_len: usize) -> Result<(), KernelError> {
        self.requant.validate(self.out_bits)?;
        if self.in_zero > self.in_bits.max_activation() {
            return Err(KernelError::Constant { name: "in_zero" });
        }
        check_len("channels", self.channels.len(), usize::from(self.shape.out_c))?;
        check_len("input", self.input.len(), self.shape.input_bytes(self.in_bits))?;
        check_len("output", self.output.len(), self.shape.output_bytes(self.out_bits))?;
        check_len("weights", self.weights.len(), weights_len)?;
        check_words("weights", self.weights, weights_len)?;
        check_words("scratch", self.scratch, scratch_len)
    }
}

/// Bytes of the packed weights, a multiple of 4.
pub const fn weights_len(shape: &ConvShape, w_bits: Bits) -> usize {
    shape.out_c as usize * activations::pixel_bytes(shape.k_len(), w_bits).next_multiple_of(4)
}

/// Bytes of scratch, a multiple of 4.
pub const fn scratch_len(shape: &ConvShape, _w_bits: Bits, _in_bits: Bits, _out_bits: Bits) -> usize {
    shape.k_len().next_multiple_of(4)
}

/// Packs weights given as `[out_c][k_h][k_w][in_c]`, each within the range of `w_bits`.
pub fn pack(shape: &ConvShape, w_bits: Bits, plain: &[i8], out: &mut [u8]) -> Result<(), KernelError> {
    shape.validate()?;
    check_len("plain weights", plain.len(), usize::from(shape.out_c) * shape.k_len())?;
    check_len("weights", out.len(), weights_len(shape, w_bits))?;
    pack_rows(w_bits, plain, shape.k_len(), out)
}

pub(crate) fn pack_rows(w_bits: Bits, plain: &[i8], row: usize, out: &mut [u8]) -> Result<(), KernelError> {
    if plain.iter().any(|&w| w < w_bits.min_weight() || w > w_bits.max_weight()) {
        return Err(KernelError::Constant { name: "weight" });
    }
    out.fill(0);
    let stride = activations::pixel_bytes(row, w_bits).next_multiple_of(4);
    for (values, packed) in plain.chunks_exact(row).zip(out.chunks_exact_mut(stride)) {
        for (i, &w) in values.iter().enumerate() {
            activations::or(packed, i, w_bits, w as u8 & w_bits.max_activation());
        }
    }
    Ok(())
}

/// Runs the convolution.
pub fn run(args: ConvArgs<'_>) -> Result<(), KernelError> {
    let ConvArgs { shape, in_bits, w_bits, out_bits, .. } = args;
    shape.validate()?;
    let scratch_bytes = scratch_len(&shape, w_bits, in_bits, out_bits);
    args.validate(weights_len(&shape, w_bits), scratch_bytes)?;
    let out_c = usize::from(shape.out_c);
    let row_bytes = activations::pixel_bytes(shape.k_len(), w_bits).next_multiple_of(4);
    let patch = &mut args.scratch[..shape.k_len()];
    let out_stride = activations::pixel_bytes(out_c, out_bits);
    for (index, pixel) in args.output.chunks_exact_mut(out_stride).enumerate() {
        let (row, column) = (index / usize::from(shape.out_w), index % usize::from(shape.out_w));
        gather(&shape, in_bits, args.in_zero, args.input, (row, column), patch);
        pixel.fill(0);
        for (c, channel) in args.channels.iter().enumerate() {
            let acc = dot(&args.weights[c * row_bytes..][..row_bytes], w_bits, patch, channel.bias);
            activations::or(pixel, c, out_bits, requantize(acc, channel.mult, args.requant));
        }
    }
    Ok(())
}

/// Copies one window, padding included, as one value per byte.
fn gather(shape: &ConvShape, bits: Bits, zero: u8, input: &[u8], (row, column): (usize, usize), patch: &mut [u8]) {
    let in_c = usize::from(shape.in_c);
    let stride = activations::pixel_bytes(in_c, bits);
    let mut taps = patch.chunks_exact_mut(in_c);
    for ky in 0..usize::from(shape.k_h) {
        let y = (row * usize::from(shape.stride_h) + ky).wrapping_sub(usize::from(shape.pad_top));
        for (kx, tap) in taps.by_ref().take(usize::from(shape.k_w)).enumerate() {
            let x = (column * usize::from(shape.stride_w) + kx).wrapping_sub(usize::from(shape.pad_left));
            if y >= usize::from(shape.in_h) || x >= usize::from(shape.in_w) {
                tap.fill(zero);
                continue;
            }
            let pixel = &input[(y * usize::from(shape.in_w) + x) * stride..][..stride];
            for (c, value) in tap.iter_mut().enumerate() {
                *value = activations::get(pixel, c, bits);
            }
        }
    }
}

pub(crate) fn dot(weights: &[u8], w_bits: Bits, values: &[u8], bias: i32) -> i32 {
    let sign = i32::from(w_bits.min_weight());
    values.iter().enumerate().fold(bias, |acc, (i, &x)| {
        let code = i32::from(activations::get(weights, i, w_bits));
        acc.wrapping_add(((code ^ -sign) + sign) * i32::from(x))
    })
}
