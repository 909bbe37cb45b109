//! Which kernels are compiled in. All of them, unless a build names the features it wants: a runner for one network leaves out
//! what that does not use, and refuses what it then lacks.

use crate::{Bits, KernelError};

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

            /// What to say where it is not.
            pub const fn lacking(self) -> &'static str {
                match self {
                    $(Kernel::$kernel => concat!("the runner is built without ", $name),)*
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
}

impl Kernel {
    /// That of activations of a width.
    pub const fn of_activations(bits: Bits) -> Self {
        match bits {
            Bits::B8 => Kernel::Activations8,
            Bits::B4 => Kernel::Activations4,
            Bits::B2 => Kernel::Activations2,
        }
    }
}

/// The kernels that an operator needs, at most so many.
pub type Needs = [Option<Kernel>; 5];

/// Refuses what is not compiled in. `any` says whether anything of the operator is: where it is not, the compiler sees it and
/// drops what would come after.
#[inline(always)]
pub(crate) fn check(any: bool, needs: Needs) -> Result<(), KernelError> {
    if !any && let Some(kernel) = needs[0] {
        return Err(KernelError::NotBuilt(kernel));
    }
    if Kernel::ALL_BUILT {
        return Ok(());
    }
    match needs.into_iter().flatten().find(|kernel| !kernel.is_built()) {
        Some(kernel) => Err(KernelError::NotBuilt(kernel)),
        None => Ok(()),
    }
}

/// Where a kernel would be that [`check`] has refused.
#[cfg(target_arch = "arm")]
#[cold]
pub(crate) fn missing() -> ! {
    unreachable!("kernels that are not built are refused before they are asked for")
}

/// `$of_b8`, `$of_b4` or `$of_b2` by the width of activations, as far as compiled in.
#[cfg(target_arch = "arm")]
macro_rules! by_activations {
    ($bits:expr, $of_b8:expr, $of_b4:expr, $of_b2:expr) => {
        match $bits {
            $crate::Bits::B8 if const { $crate::Kernel::Activations8.is_built() } => $of_b8,
            $crate::Bits::B4 if const { $crate::Kernel::Activations4.is_built() } => $of_b4,
            $crate::Bits::B2 if const { $crate::Kernel::Activations2.is_built() } => $of_b2,
            _ => $crate::built::missing(),
        }
    };
}
#[cfg(target_arch = "arm")]
pub(crate) use by_activations;

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
        assert_eq!(manifest.matches(" = []\n").count(), Kernel::ALL.len());
    }

    #[test]
    fn this_build_lacks_nothing() {
        assert!(Kernel::ALL.iter().all(|kernel| kernel.is_built()));
    }
}
