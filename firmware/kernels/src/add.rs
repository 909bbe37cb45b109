//! Residual addition of two tensors of one shape.

use crate::error::check_len;
use crate::shape::ShapeError;
use crate::{Bits, KernelError, activations};

/// Operands of `y = clamp(act_min, act_max, (x1 * mult1 + x2 * mult2 + bias) >> shift)` in 32 bits, arithmetic shift.
///
/// `bias` holds the rounding term and all three zero points. The host guarantees that the sum fits 32 bits.
pub struct AddArgs<'a> {
    /// `h * w` of all three tensors.
    pub pixels: u32,
    /// Channels of all three tensors.
    pub channels: u16,
    /// Width of `input1`.
    pub bits1: Bits,
    /// Width of `input2`.
    pub bits2: Bits,
    /// Width of `output`.
    pub out_bits: Bits,
    /// Factor of `input1`.
    pub mult1: i32,
    /// Factor of `input2`.
    pub mult2: i32,
    /// Rounding and zero points.
    pub bias: i32,
    /// Right shift, at most 31.
    pub shift: u8,
    /// Smallest output value.
    pub act_min: u8,
    /// Largest output value.
    pub act_max: u8,
    /// Packed first operand.
    pub input1: &'a [u8],
    /// Packed second operand.
    pub input2: &'a [u8],
    /// Packed sum.
    pub output: &'a mut [u8],
}

impl AddArgs<'_> {
    fn validate(&self) -> Result<(), KernelError> {
        if self.pixels == 0 || self.channels == 0 {
            return Err(ShapeError::Zero.into());
        }
        if u64::from(self.pixels) * u64::from(self.channels) > 1 << 27 {
            return Err(ShapeError::TooLarge.into());
        }
        if self.act_min > self.act_max || self.act_max > self.out_bits.max_activation() {
            return Err(KernelError::Constant { name: "activation range" });
        }
        if self.shift > 31 {
            return Err(KernelError::Constant { name: "shift" });
        }
        check_len("input1", self.input1.len(), self.bytes(self.bits1))?;
        check_len("input2", self.input2.len(), self.bytes(self.bits2))?;
        check_len("output", self.output.len(), self.bytes(self.out_bits))
    }

    fn bytes(&self, bits: Bits) -> usize {
        self.pixels as usize * activations::pixel_bytes(usize::from(self.channels), bits)
    }

    fn sum(&self, x1: u8, x2: u8) -> u8 {
        let first = i32::from(x1).wrapping_mul(self.mult1);
        let second = i32::from(x2).wrapping_mul(self.mult2);
        let y = first.wrapping_add(second).wrapping_add(self.bias) >> self.shift;
        y.clamp(i32::from(self.act_min), i32::from(self.act_max)) as u8
    }
}

/// Adds two packed tensors.
pub fn run(args: AddArgs<'_>) -> Result<(), KernelError> {
    args.validate()?;
    let channels = usize::from(args.channels);
    let stride1 = activations::pixel_bytes(channels, args.bits1);
    let stride2 = activations::pixel_bytes(channels, args.bits2);
    let out_stride = activations::pixel_bytes(channels, args.out_bits);
    for pixel in 0..args.pixels as usize {
        let x1 = &args.input1[pixel * stride1..][..stride1];
        let x2 = &args.input2[pixel * stride2..][..stride2];
        let start = pixel * out_stride;
        args.output[start..start + out_stride].fill(0);
        for c in 0..channels {
            let y = args.sum(activations::get(x1, c, args.bits1), activations::get(x2, c, args.bits2));
            activations::or(&mut args.output[start..start + out_stride], c, args.out_bits, y);
        }
    }
    Ok(())
}
