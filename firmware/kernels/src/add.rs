//! Residual addition of two tensors of one shape.

use crate::buffers::{self, Input, Output, Overlay};
use crate::error::check_len;
use crate::runs::Sum;
use crate::shape::ShapeError;
use crate::{Bits, Kernel, KernelError, Needs, activations};

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
    pub input1: Input<'a>,
    /// Packed second operand.
    pub input2: Input<'a>,
    /// Packed sum.
    pub output: Output<'a>,
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
            return Err(KernelError::constant("activation range"));
        }
        if self.shift > 31 {
            return Err(KernelError::constant("shift"));
        }
        check_len("input1", self.input1.len(), self.bytes(self.bits1))?;
        check_len("input2", self.input2.len(), self.bytes(self.bits2))?;
        check_len("output", self.output.len(), self.bytes(self.out_bits))?;
        for input in [&self.input1, &self.input2] {
            buffers::check_overlay(input, &self.output, || Some(overlay(input.len(), self.output.len())))?;
        }
        Ok(())
    }

    fn bytes(&self, bits: Bits) -> usize {
        self.pixels as usize * activations::pixel_bytes(usize::from(self.channels), bits)
    }
}

/// Whether it is compiled in.
pub const BUILT: bool = Kernel::Add.is_built();

/// What must be compiled in beside the widths of all three tensors.
pub const NEEDS: Needs = Needs::of(Kernel::Add);

/// How an output of so many bytes may lie over an input of so many: sums are written from the front on, each after its summands were
/// read. One that is not longer than an input may take its place.
pub fn overlay(input_bytes: usize, output_bytes: usize) -> Overlay {
    Overlay::forward(output_bytes.saturating_sub(input_bytes))
}

/// Adds two packed tensors.
#[inline(never)]
pub fn run(args: AddArgs<'_>) -> Result<(), KernelError> {
    args.validate()?;
    // SAFETY: just checked.
    unsafe { compute(args) };
    Ok(())
}

/// What [`run`] does once it has checked its operands: for who has checked them before.
///
/// # Safety
/// [`run`] would not refuse `args`.
#[inline(never)]
pub unsafe fn run_planned(args: AddArgs<'_>) {
    debug_assert_eq!(args.validate(), Ok(()));
    // SAFETY: the caller's promise.
    unsafe { compute(args) }
}

/// # Safety
/// As [`run_planned`].
#[inline(always)]
unsafe fn compute(args: AddArgs<'_>) {
    let bits = [args.bits1, args.bits2, args.out_bits];
    let channels = usize::from(args.channels);
    let [act_min, act_max] = [args.act_min, args.act_max];
    let sum = Sum { bits, mults: [args.mult1, args.mult2], bias: args.bias, shift: args.shift, act_min, act_max };
    let strides = bits.map(|bits| activations::pixel_bytes(channels, bits));
    if bits.iter().zip(strides).all(|(bits, stride)| stride * bits.per_byte() == channels) {
        // No pad bits anywhere: one long pixel.
        sum.apply([args.input1, args.input2], &args.output, 0, args.pixels as usize * channels);
        return;
    }
    for pixel in 0..args.pixels as usize {
        let inputs = [args.input1.rest(pixel * strides[0]), args.input2.rest(pixel * strides[1])];
        sum.apply(inputs, &args.output, pixel * strides[2], channels);
    }
}
