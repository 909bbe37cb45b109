//! The variants of an operator.

use bitrack_kernels::{Bits, Variant, conv2d, depthwise};

use super::Op;

impl Op {
    /// Whether there is a variant, for accumulators that are shifted so far.
    pub fn exists(&self, variant: Variant, in_bits: Bits, shift: u8) -> bool {
        match self {
            Op::Conv(s) => conv2d::exists(variant, s, in_bits),
            Op::Depthwise(s) => depthwise::exists(variant, s, shift),
            Op::Fc(_) => variant == Variant::General,
        }
    }

    /// Those that there are without a shift, the most special one last.
    pub fn variants(self, in_bits: Bits) -> impl Iterator<Item = Variant> {
        Variant::ALL.into_iter().filter(move |&variant| self.exists(variant, in_bits, 0))
    }

    /// The most special one: what a compiler takes that knows no better.
    pub fn usual(self, in_bits: Bits) -> Variant {
        self.variants(in_bits).last().unwrap_or_default()
    }
}
