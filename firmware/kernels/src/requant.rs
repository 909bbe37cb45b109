//! From accumulator to activation: one rule for convolution, depthwise, fully connected and max pooling.

use crate::{Bits, Kernel, KernelError, activations};

/// Constants of one output channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Channel {
    /// Bias with the input zero point folded in: `bias - zero_in * sum(w)`.
    pub bias: i32,
    /// Multiplier in `[0, 2^31)`: the real factor is `mult * 2^(shift - 32)`.
    pub mult: i32,
}

/// Constants of a whole output tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requant {
    /// Left shift of the accumulator; 0 whenever every real factor is below one half.
    pub shift: u8,
    /// Zero point of the output.
    pub out_zero: u8,
    /// Smallest output value (fused activation).
    pub act_min: u8,
    /// Largest output value (fused activation).
    pub act_max: u8,
}

/// A change of scale without weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rescale {
    /// Multiplier in `[0, 2^31)`, as in [`Channel::mult`].
    pub mult: i32,
    /// The rest of the rule.
    pub requant: Requant,
}

impl Requant {
    /// The constants of a tensor without fused activation.
    pub const fn full_range(shift: u8, out_zero: u8, bits: Bits) -> Self {
        Requant { shift, out_zero, act_min: 0, act_max: bits.max_activation() }
    }

    /// Clamps a packed tensor to the activation range. The inner loops saturate to the full range of `bits` only, which
    /// is all that most networks ask for.
    pub(crate) fn clamp_tensor(&self, packed: &mut [u8], channels: usize, bits: Bits) {
        if !Kernel::Clamp.is_built() || self.is_full_range(bits) {
            return;
        }
        for pixel in packed.chunks_exact_mut(activations::pixel_bytes(channels, bits)) {
            for c in 0..channels {
                let value = activations::get(pixel, c, bits);
                activations::put(pixel, c, bits, value.clamp(self.act_min, self.act_max));
            }
        }
    }

    /// Whether there is nothing to clamp.
    pub(crate) const fn is_full_range(&self, bits: Bits) -> bool {
        self.act_min == 0 && self.act_max == bits.max_activation()
    }

    /// The same constants without the fused activation.
    pub(crate) fn unclamped(self, bits: Bits) -> Self {
        Requant::full_range(self.shift, self.out_zero, bits)
    }

    /// Checks that the clamp is a range of `out_bits` and that the shift keeps a sign bit.
    pub(crate) fn validate(&self, out_bits: Bits) -> Result<(), KernelError> {
        let range = self.act_min <= self.act_max && self.act_max <= out_bits.max_activation();
        if !range {
            return Err(KernelError::constant("activation range"));
        }
        if self.shift > 30 {
            return Err(KernelError::constant("shift"));
        }
        Ok(())
    }
}

/// `clamp(act_min, act_max, out_zero + floor(((acc << shift) * mult + 2^31) / 2^32))`.
///
/// The host chooses `shift` so that `acc << shift` fits 32 bits; bits beyond are lost, on the board as here.
#[inline(always)]
pub fn requantize(acc: i32, mult: i32, requant: Requant) -> u8 {
    let scaled = multiply_round(acc << requant.shift, mult);
    let y = scaled.wrapping_add(i32::from(requant.out_zero));
    y.max(requant.act_min.into()).min(requant.act_max.into()) as u8
}

/// `floor((a * b + 2^31) / 2^32)`: Cortex-M's `SMMULR`.
#[inline(always)]
pub(crate) fn multiply_round(a: i32, b: i32) -> i32 {
    ((i64::from(a) * i64::from(b) + (1 << 31)) >> 32) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_up() {
        let quarter = 1 << 30;
        let requant = Requant::full_range(0, 10, Bits::B8);
        let outputs = [-6, -2, -1, 0, 1, 2, 6].map(|acc| requantize(acc, quarter, requant));
        assert_eq!(outputs, [9, 10, 10, 10, 10, 11, 12]);
    }

    #[test]
    fn the_clamp_is_the_fused_activation() {
        let requant = Requant { shift: 1, out_zero: 3, act_min: 3, act_max: 9 };
        assert_eq!(requantize(-1000, 1 << 30, requant), 3);
        assert_eq!(requantize(1000, 1 << 30, requant), 9);
        assert_eq!(requantize(4, 1 << 30, requant), 5);
    }

    #[test]
    fn bad_constants_are_refused() {
        let inverted = Requant { shift: 0, out_zero: 0, act_min: 9, act_max: 3 };
        assert!(inverted.validate(Bits::B8).is_err());
        assert!(Requant::full_range(0, 0, Bits::B8).validate(Bits::B4).is_err());
        assert!(Requant::full_range(31, 0, Bits::B8).validate(Bits::B8).is_err());
    }
}
