//! What a network is made of.

use bitrack_kernels::Bits;
use proptest::prelude::*;

/// Everything that varies from network to network.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Bits of the tensors in order: input, conv, depthwise, add, max, average and reshape, fully connected.
    pub act_bits: [Bits; 7],
    /// Bits of the weights: conv, depthwise, fully connected.
    pub w_bits: [Bits; 3],
    pub in_c: u16,
    pub mid_c: u16,
    pub classes: u16,
    pub seed: u64,
    /// Put the reshape's output on its input, where both are the same bytes.
    pub reshape_in_place: bool,
    /// Put outputs over inputs that nobody reads later, and scratch over an input, as far as kernels bear it.
    pub overlaid: bool,
}

pub fn recipes() -> impl Strategy<Value = Recipe> {
    let bits = || prop::sample::select(Bits::ALL.to_vec());
    let widths = (prop::array::uniform7(bits()), prop::array::uniform3(bits()));
    (widths, 1..6u16, 1..10u16, 1..12u16, any::<u64>(), any::<[bool; 2]>()).prop_map(
        |((act_bits, w_bits), in_c, mid_c, classes, seed, [reshape_in_place, overlaid])| Recipe {
            act_bits,
            w_bits,
            in_c,
            mid_c,
            classes,
            seed,
            reshape_in_place,
            overlaid,
        },
    )
}

/// One that uses every width and channel counts that fill no byte.
pub fn fixed_recipe() -> Recipe {
    Recipe {
        act_bits: [Bits::B8, Bits::B4, Bits::B2, Bits::B4, Bits::B8, Bits::B4, Bits::B8],
        w_bits: [Bits::B4, Bits::B8, Bits::B2],
        in_c: 3,
        mid_c: 5,
        classes: 7,
        seed: 42,
        reshape_in_place: false,
        overlaid: false,
    }
}
