//! Residual addition of two tensors of one shape.

use crate::error::check_len;
use crate::quads::{self, ByteRange, QUAD, quad_bytes};
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
}

/// Adds two packed tensors.
pub fn run(args: AddArgs<'_>) -> Result<(), KernelError> {
    args.validate()?;
    match (args.bits1, args.bits2, args.out_bits) {
        // The common cases get a loop of their own, without decisions in it.
        (Bits::B8, Bits::B8, Bits::B8) => add(args, [Bits::B8; 3]),
        (Bits::B4, Bits::B4, Bits::B4) => add(args, [Bits::B4; 3]),
        (Bits::B2, Bits::B2, Bits::B2) => add(args, [Bits::B2; 3]),
        (bits1, bits2, out_bits) => add(args, [bits1, bits2, out_bits]),
    }
    Ok(())
}

#[inline(always)]
fn add(args: AddArgs<'_>, [bits1, bits2, out_bits]: [Bits; 3]) {
    let channels = usize::from(args.channels);
    let whole = channels / QUAD * QUAD;
    let range = ByteRange::new(args.act_min, args.act_max);
    let formula = Formula { mults: [args.mult1, args.mult2], bias: args.bias, shift: args.shift };
    let strides = [bits1, bits2, out_bits].map(|bits| activations::pixel_bytes(channels, bits));
    let inputs = args.input1.chunks_exact(strides[0]).zip(args.input2.chunks_exact(strides[1]));
    for ((x1, x2), y) in inputs.zip(args.output.chunks_exact_mut(strides[2])) {
        let [step1, step2, step] = [bits1, bits2, out_bits].map(|bits| quad_bytes(QUAD, bits));
        let quads = x1.chunks_exact(step1).zip(x2.chunks_exact(step2)).zip(y.chunks_exact_mut(step));
        for ((x1, x2), y) in quads.take(whole / QUAD) {
            let word = formula.apply(quads::read(x1, bits1), quads::read(x2, bits2));
            quads::write(y, range.clamp(word), QUAD, out_bits);
        }
        if whole < channels {
            let [x1, x2] = [(x1, bits1), (x2, bits2)].map(|(x, bits)| quads::read(&x[quad_bytes(whole, bits)..], bits));
            let word = range.clamp(formula.apply(x1, x2));
            quads::write(&mut y[quad_bytes(whole, out_bits)..], word, channels - whole, out_bits);
        }
    }
}

struct Formula {
    mults: [i32; 2],
    bias: i32,
    shift: u8,
}

impl Formula {
    /// Four sums, each saturated to a byte.
    #[inline(always)]
    fn apply(&self, x1: u32, x2: u32) -> u32 {
        let byte = |word: u32, c: usize| (word >> (8 * c) & 0xFF) as i32;
        (0..QUAD).fold(0, |word, c| {
            let first = byte(x1, c).wrapping_mul(self.mults[0]);
            let second = byte(x2, c).wrapping_mul(self.mults[1]);
            let y = first.wrapping_add(second).wrapping_add(self.bias) >> self.shift;
            word | (y.clamp(0, 255) as u32) << (8 * c)
        })
    }
}
