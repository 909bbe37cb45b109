//! A fully connected layer on one vector.

use crate::conv2d::{dot, pack_rows};
use crate::error::{check_len, check_words};
use crate::requant::{Channel, Requant, requantize};
use crate::{Bits, FcShape, KernelError, activations};

/// Operands of a fully connected layer.
pub struct FcArgs<'a> {
    /// The shape.
    pub shape: FcShape,
    /// Width of `input`.
    pub in_bits: Bits,
    /// Width of `weights`.
    pub w_bits: Bits,
    /// Width of `output`.
    pub out_bits: Bits,
    /// One per output feature.
    pub channels: &'a [Channel],
    /// Constants of the output vector.
    pub requant: Requant,
    /// Packed input, one pixel of `in_features` channels.
    pub input: &'a [u8],
    /// Weights as [`pack`] wrote them, 4-byte aligned.
    pub weights: &'a [u8],
    /// At least [`scratch_len`], 4-byte aligned.
    pub scratch: &'a mut [u8],
    /// Packed output, one pixel of `out_features` channels.
    pub output: &'a mut [u8],
}

impl FcArgs<'_> {
    fn validate(&self) -> Result<(), KernelError> {
        self.shape.validate()?;
        self.requant.validate(self.out_bits)?;
        check_len("channels", self.channels.len(), self.shape.out_features as usize)?;
        check_len("input", self.input.len(), self.shape.input_bytes(self.in_bits))?;
        check_len("output", self.output.len(), self.shape.output_bytes(self.out_bits))?;
        let weights = weights_len(&self.shape, self.w_bits);
        check_len("weights", self.weights.len(), weights)?;
        check_words("weights", self.weights, weights)?;
        let scratch = scratch_len(&self.shape, self.w_bits, self.in_bits, self.out_bits);
        check_words("scratch", self.scratch, scratch)
    }
}

/// Bytes of the packed weights, a multiple of 4.
pub const fn weights_len(shape: &FcShape, w_bits: Bits) -> usize {
    shape.out_features as usize * activations::pixel_bytes(shape.in_features as usize, w_bits).next_multiple_of(4)
}

/// Bytes of scratch, a multiple of 4.
pub const fn scratch_len(shape: &FcShape, _w_bits: Bits, _in_bits: Bits, _out_bits: Bits) -> usize {
    (shape.in_features as usize).next_multiple_of(4)
}

/// Packs weights given as `[out_features][in_features]`, each within the range of `w_bits`.
pub fn pack(shape: &FcShape, w_bits: Bits, plain: &[i8], out: &mut [u8]) -> Result<(), KernelError> {
    shape.validate()?;
    let count = shape.in_features as usize * shape.out_features as usize;
    check_len("plain weights", plain.len(), count)?;
    check_len("weights", out.len(), weights_len(shape, w_bits))?;
    pack_rows(w_bits, plain, shape.in_features as usize, out)
}

/// Runs the layer.
pub fn run(args: FcArgs<'_>) -> Result<(), KernelError> {
    args.validate()?;
    let values = &mut args.scratch[..args.shape.in_features as usize];
    activations::unpack(args.input, values.len(), args.in_bits, values)?;
    let row_bytes = activations::pixel_bytes(values.len(), args.w_bits).next_multiple_of(4);
    args.output.fill(0);
    for (c, channel) in args.channels.iter().enumerate() {
        let row = &args.weights[c * row_bytes..][..row_bytes];
        let acc = dot(row, args.w_bits, values, channel.bias);
        activations::or(args.output, c, args.out_bits, requantize(acc, channel.mult, args.requant));
    }
    Ok(())
}
