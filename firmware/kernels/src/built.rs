//! Which kernels are compiled in. All of them, unless a build names the features it wants: a runner for one network leaves out
//! what that does not use. Who runs kernels asks for what is [missing](Needs::missing) first.

use crate::matmul::BLOCK;
use crate::quads::QUAD;
use crate::{Bits, Requant};

macro_rules! kernels {
    ($($(#[$doc:meta])* $kernel:ident $name:literal,)*) => {
        /// A piece of an operator that can be left out.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kernel {
            $($(#[$doc])* $kernel,)*
        }

        impl Kernel {
            /// All of them.
            pub const ALL: &[Kernel] = &[$(Kernel::$kernel),*];

            /// Its cargo feature.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Kernel::$kernel => $name,)*
                }
            }

            /// Whether all are compiled in.
            pub const ALL_BUILT: bool = $(Kernel::$kernel.is_built())&&*;

            /// Whether it is compiled in.
            pub const fn is_built(self) -> bool {
                match self {
                    $(Kernel::$kernel => cfg!(feature = $name),)*
                }
            }
        }
    };
}

kernels! {
    /// Convolution, 8-bit weights.
    Conv2dW8 "conv2d-w8",
    /// Convolution, 4-bit weights, 8-bit activations.
    Conv2dW4A8 "conv2d-w4-a8",
    /// Convolution, 4-bit weights, narrower activations.
    Conv2dW4Narrow "conv2d-w4-narrow",
    /// Convolution, 2-bit weights, 8-bit activations.
    Conv2dW2A8 "conv2d-w2-a8",
    /// Convolution, 2-bit weights, narrower activations.
    Conv2dW2Narrow "conv2d-w2-narrow",
    /// Fully connected, 8-bit weights.
    FullyConnectedW8 "fully-connected-w8",
    /// Fully connected, 4-bit weights, 8-bit activations.
    FullyConnectedW4A8 "fully-connected-w4-a8",
    /// Fully connected, 4-bit weights, narrower activations.
    FullyConnectedW4Narrow "fully-connected-w4-narrow",
    /// Fully connected, 2-bit weights.
    FullyConnectedW2 "fully-connected-w2",
    /// Depthwise 3x3 at stride 1, whole quads of channels.
    Depthwise3x3S1 "depthwise-3x3-s1",
    /// Depthwise 3x3 at stride 2, whole quads of channels.
    Depthwise3x3S2 "depthwise-3x3-s2",
    /// Depthwise of any other size and for channels that fill no quad.
    DepthwiseAny "depthwise-any",
    /// Average pooling.
    AveragePool "average-pool",
    /// Max pooling.
    MaxPool "max-pool",
    /// Addition.
    Add "add",
    /// Reshape with a change of packing.
    Reshape "reshape",
    /// Softmax.
    Softmax "softmax",
    /// 8-bit weights of depthwise convolutions.
    DepthwiseW8 "depthwise-w8",
    /// 4-bit weights of depthwise convolutions.
    DepthwiseW4 "depthwise-w4",
    /// 2-bit weights of depthwise convolutions.
    DepthwiseW2 "depthwise-w2",
    /// 8-bit activations of all operators.
    Activations8 "activations-8",
    /// 4-bit activations of all operators.
    Activations4 "activations-4",
    /// 2-bit activations of all operators.
    Activations2 "activations-2",
    /// Outputs of convolutions whose channels are no multiple of four, and convolutions over narrow activations whose kernel rows are no
    /// multiple of eight values or whose pixels have pad bits.
    PartialQuads "partial-quads",
    /// Convolutions and fully connected layers over more than 256 values, or with a left shift.
    LongSums "long-sums",
    /// Convolutions and fully connected layers whose activation is narrower than their output's range.
    Clamp "clamp",
    /// Depthwise convolutions with a left shift.
    DepthwiseShift "depthwise-shift",
    /// Pooling of channels that are no multiple of four, with windows that padding cuts or that have more than 257 values; average pooling
    /// with a left shift of more than six bits.
    PoolAny "pool-any",
    /// Pointwise convolution, pixels side by side.
    Conv2dPixels "conv2d-pixels",
    /// Depthwise 3x3 on maps five pixels wide.
    DepthwiseMap5 "depthwise-map-5",
    /// The same, six and three: who halves maps has both.
    DepthwiseMap6 "depthwise-map-6",
    /// Fully connected layers whose outputs are no multiple of four.
    FullyConnectedPartial "fully-connected-partial",
}

/// The kernels that an operator needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs(u32);

const _: () = assert!(Kernel::ALL.len() <= 32, "a kernel is a bit of `Needs`");

impl Needs {
    /// None.
    pub const NONE: Needs = Needs(0);

    /// All that are compiled in.
    const BUILT: Needs = {
        let (mut built, mut at) = (Needs::NONE, 0);
        while at < Kernel::ALL.len() {
            if Kernel::ALL[at].is_built() {
                built = built.and(Kernel::ALL[at]);
            }
            at += 1;
        }
        built
    };

    /// One.
    pub const fn of(kernel: Kernel) -> Self {
        Needs(1 << kernel as u32)
    }

    /// One more.
    pub const fn and(self, kernel: Kernel) -> Self {
        Needs(self.0 | 1 << kernel as u32)
    }

    /// One more if `wanted`.
    pub(crate) const fn and_if(self, wanted: bool, kernel: Kernel) -> Self {
        Needs(self.0 | (wanted as u32) << kernel as u32)
    }

    /// What the outputs of a matrix product need: `channels` of them, each a sum of `k` values; `partial` if the last quad is not whole.
    pub(crate) const fn and_outputs(
        self,
        channels: usize,
        partial: Kernel,
        k: usize,
        requant: Requant,
        out_bits: Bits,
    ) -> Self {
        self.and_if(!channels.is_multiple_of(QUAD), partial)
            .and_if(k > BLOCK || requant.shift > 0, Kernel::LongSums)
            .and_if(!requant.is_full_range(out_bits), Kernel::Clamp)
    }

    /// What every operator needs for an input or an output of a width. The three lie side by side: a shift instead of a table.
    pub const fn activations(bits: Bits) -> Self {
        Needs(Needs::of(Kernel::Activations8).0 << bits.halvings())
    }

    /// These and those.
    pub const fn join(self, other: Needs) -> Self {
        Needs(self.0 | other.0)
    }

    /// The first that is not compiled in.
    pub fn missing(self) -> Option<Kernel> {
        if Kernel::ALL_BUILT { None } else { Needs(self.0 & !Self::BUILT.0).first() }
    }

    /// All of them, in the order of [`Kernel::ALL`].
    pub fn kernels(self) -> impl Iterator<Item = Kernel> {
        Kernel::ALL.iter().copied().filter(move |&kernel| self.0 & Needs::of(kernel).0 != 0)
    }

    #[inline(never)]
    fn first(self) -> Option<Kernel> {
        Kernel::ALL.get(self.0.trailing_zeros() as usize).copied()
    }
}

/// The only width of three that is compiled in, for the compiler to know: what others would need goes. `bits` where there are more.
#[inline(always)]
const fn known(bits: Bits, [of_b8, of_b4, of_b2]: [bool; 3]) -> Bits {
    match (of_b8, of_b4, of_b2) {
        (true, false, false) => Bits::B8,
        (false, true, false) => Bits::B4,
        (false, false, true) => Bits::B2,
        _ => bits,
    }
}

/// The width of activations, as far as it can be known.
#[inline(always)]
pub(crate) const fn activations(bits: Bits) -> Bits {
    let [b8, b4, b2] = [Kernel::Activations8, Kernel::Activations4, Kernel::Activations2];
    known(bits, [b8.is_built(), b4.is_built(), b2.is_built()])
}

/// The width of a convolution's weights, likewise.
#[inline(always)]
pub(crate) const fn conv2d_weights(bits: Bits) -> Bits {
    let b4 = Kernel::Conv2dW4A8.is_built() || Kernel::Conv2dW4Narrow.is_built();
    let b2 = Kernel::Conv2dW2A8.is_built() || Kernel::Conv2dW2Narrow.is_built();
    known(bits, [Kernel::Conv2dW8.is_built(), b4, b2])
}

/// The width of a fully connected layer's weights, likewise.
#[inline(always)]
pub(crate) const fn fully_connected_weights(bits: Bits) -> Bits {
    let b4 = Kernel::FullyConnectedW4A8.is_built() || Kernel::FullyConnectedW4Narrow.is_built();
    known(bits, [Kernel::FullyConnectedW8.is_built(), b4, Kernel::FullyConnectedW2.is_built()])
}

/// The width of a depthwise convolution's weights, likewise.
#[inline(always)]
pub(crate) const fn depthwise_weights(bits: Bits) -> Bits {
    let [b8, b4, b2] = [Kernel::DepthwiseW8, Kernel::DepthwiseW4, Kernel::DepthwiseW2];
    known(bits, [b8.is_built(), b4.is_built(), b2.is_built()])
}

/// Whether any activations are narrower than a byte.
pub(crate) const NARROW: bool = Kernel::Activations4.is_built() || Kernel::Activations2.is_built();

/// Where a kernel would be that nobody may ask for, since it was [missing](Needs::missing).
pub(crate) use crate::parts::bug as missing;

/// `$of_b8`, `$of_b4` or `$of_b2` by the width of activations, as far as compiled in.
#[cfg(target_arch = "arm")]
macro_rules! by_activations {
    ($bits:expr, $of_b8:expr, $of_b4:expr, $of_b2:expr) => {
        // By halvings the compiler's table has three entries, by bits seven.
        match $bits.halvings() {
            0 if const { $crate::Kernel::Activations8.is_built() } => $of_b8,
            1 if const { $crate::Kernel::Activations4.is_built() } => $of_b4,
            2 if const { $crate::Kernel::Activations2.is_built() } => $of_b2,
            _ => $crate::built::missing(),
        }
    };
}
#[cfg(target_arch = "arm")]
pub(crate) use by_activations;

/// The same for widths below 8 bits.
#[cfg(target_arch = "arm")]
macro_rules! by_narrow {
    ($bits:expr, $of_b4:expr, $of_b2:expr) => {
        match $bits {
            $crate::Bits::B4 if const { $crate::Kernel::Activations4.is_built() } => $of_b4,
            $crate::Bits::B2 if const { $crate::Kernel::Activations2.is_built() } => $of_b2,
            _ => $crate::built::missing(),
        }
    };
}
#[cfg(target_arch = "arm")]
pub(crate) use by_narrow;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_features_of_the_manifest_are_the_kernels() {
        let manifest = include_str!("../Cargo.toml");
        for kernel in Kernel::ALL {
            assert!(manifest.contains(&format!("\n{} = []", kernel.name())), "{}", kernel.name());
            assert!(manifest.contains(&format!("\n    \"{}\",", kernel.name())), "{} in all", kernel.name());
        }
        assert_eq!(manifest.matches(" = []\n").count(), Kernel::ALL.len() + 1, "these and `short-loops`");
    }

    #[test]
    fn this_build_lacks_nothing() {
        assert!(Kernel::ALL.iter().all(|kernel| kernel.is_built()));
        assert!(Kernel::ALL.iter().all(|&kernel| Needs::of(kernel).missing().is_none()));
    }

    #[test]
    fn activations_are_named_by_their_width() {
        for (bits, kernel) in
            [(Bits::B8, Kernel::Activations8), (Bits::B4, Kernel::Activations4), (Bits::B2, Kernel::Activations2)]
        {
            assert_eq!(Needs::activations(bits), Needs::of(kernel));
        }
    }

    #[test]
    fn needs_are_a_set() {
        let needs = Needs::of(Kernel::Softmax).and(Kernel::Conv2dW8).and(Kernel::Softmax);
        assert_eq!(needs.kernels().collect::<Vec<_>>(), [Kernel::Conv2dW8, Kernel::Softmax]);
        assert_eq!((needs.first(), Needs::NONE.first()), (Some(Kernel::Conv2dW8), None));
    }
}
