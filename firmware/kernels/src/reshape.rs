//! Row-major reshape: a copy where pixels end at byte boundaries anyway, a repack where they do not.

use crate::error::check_len;
use crate::shape::ShapeError;
use crate::{Bits, Kernel, KernelError, Needs, activations};

/// Operands of a reshape. Only the split into pixels and channels matters to the packing.
pub struct ReshapeArgs<'a> {
    /// `h * w` of the input.
    pub in_pixels: u32,
    /// Channels of the input.
    pub in_c: u32,
    /// `h * w` of the output.
    pub out_pixels: u32,
    /// Channels of the output.
    pub out_c: u32,
    /// Width of both tensors.
    pub bits: Bits,
    /// Packed input.
    pub input: &'a [u8],
    /// Packed output.
    pub output: &'a mut [u8],
}

impl ReshapeArgs<'_> {
    fn validate(&self) -> Result<(), KernelError> {
        let elements = u64::from(self.in_pixels) * u64::from(self.in_c);
        if elements == 0 {
            return Err(ShapeError::Zero.into());
        }
        if elements > 1 << 27 {
            return Err(ShapeError::TooLarge.into());
        }
        let outputs = u64::from(self.out_pixels) * u64::from(self.out_c);
        check_len("output elements", outputs as usize, elements as usize)?;
        let in_stride = activations::pixel_bytes(self.in_c as usize, self.bits);
        let out_stride = activations::pixel_bytes(self.out_c as usize, self.bits);
        check_len("input", self.input.len(), self.in_pixels as usize * in_stride)?;
        check_len("output", self.output.len(), self.out_pixels as usize * out_stride)
    }
}

/// True when input and output are the same bytes, so that the planner may alias them.
pub const fn is_alias(in_c: u32, out_c: u32, bits: Bits) -> bool {
    let width = bits.get() as u32;
    in_c == out_c || (in_c * width).is_multiple_of(8) && (out_c * width).is_multiple_of(8)
}

/// Whether it is compiled in.
pub const BUILT: bool = Kernel::Reshape.is_built();

/// What must be compiled in beside the width, unless input and output are the same bytes at the same place.
pub const NEEDS: Needs = Needs::of(Kernel::Reshape);

/// Copies the values in row-major order into the output's packing.
#[inline(never)]
pub fn run(args: ReshapeArgs<'_>) -> Result<(), KernelError> {
    args.validate()?;
    if is_alias(args.in_c, args.out_c, args.bits) {
        args.output.copy_from_slice(args.input);
        return Ok(());
    }
    let (in_c, out_c) = (args.in_c as usize, args.out_c as usize);
    let [in_stride, out_stride] = [in_c, out_c].map(|channels| activations::pixel_bytes(channels, args.bits));
    args.output.fill(0);
    for value in 0..args.in_pixels as usize * in_c {
        let source = &args.input[value / in_c * in_stride..];
        let target = &mut args.output[value / out_c * out_stride..];
        activations::or(target, value % out_c, args.bits, activations::get(source, value % in_c, args.bits));
    }
    Ok(())
}
