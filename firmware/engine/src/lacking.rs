//! What to say of a kernel that this build leaves out.

use bitrack_kernels::Kernel;
use bitrack_reason::Reason;

/// The refusal of an op that needs `kernel`.
pub const fn reason(kernel: Kernel) -> Reason {
    match kernel {
        Kernel::Conv2dW8 => Reason::LacksConv2dW8,
        Kernel::Conv2dW4A8 => Reason::LacksConv2dW4A8,
        Kernel::Conv2dW4Narrow => Reason::LacksConv2dW4Narrow,
        Kernel::Conv2dW2A8 => Reason::LacksConv2dW2A8,
        Kernel::Conv2dW2Narrow => Reason::LacksConv2dW2Narrow,
        Kernel::FullyConnectedW8 => Reason::LacksFullyConnectedW8,
        Kernel::FullyConnectedW4A8 => Reason::LacksFullyConnectedW4A8,
        Kernel::FullyConnectedW4Narrow => Reason::LacksFullyConnectedW4Narrow,
        Kernel::FullyConnectedW2 => Reason::LacksFullyConnectedW2,
        Kernel::Depthwise3x3S1 => Reason::LacksDepthwise3x3S1,
        Kernel::Depthwise3x3S2 => Reason::LacksDepthwise3x3S2,
        Kernel::DepthwiseAny => Reason::LacksDepthwiseAny,
        Kernel::AveragePool => Reason::LacksAveragePool,
        Kernel::MaxPool => Reason::LacksMaxPool,
        Kernel::Add => Reason::LacksAdd,
        Kernel::Reshape => Reason::LacksReshape,
        Kernel::Softmax => Reason::LacksSoftmax,
        Kernel::DepthwiseW8 => Reason::LacksDepthwiseW8,
        Kernel::DepthwiseW4 => Reason::LacksDepthwiseW4,
        Kernel::DepthwiseW2 => Reason::LacksDepthwiseW2,
        Kernel::Activations8 => Reason::LacksActivations8,
        Kernel::Activations4 => Reason::LacksActivations4,
        Kernel::Activations2 => Reason::LacksActivations2,
        Kernel::PartialQuads => Reason::LacksPartialQuads,
        Kernel::LongSums => Reason::LacksLongSums,
        Kernel::Clamp => Reason::LacksClamp,
        Kernel::DepthwiseShift => Reason::LacksDepthwiseShift,
        Kernel::PoolAny => Reason::LacksPoolAny,
        Kernel::Conv2dPixels => Reason::LacksConv2dPixels,
        Kernel::DepthwiseMap5 => Reason::LacksDepthwiseMap5,
        Kernel::DepthwiseMap6 => Reason::LacksDepthwiseMap6,
        Kernel::FullyConnectedPartial => Reason::LacksFullyConnectedPartial,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_names_the_kernel() {
        for &kernel in Kernel::ALL {
            assert_eq!(reason(kernel).text(), format!("the runner is built without {}", kernel.name()));
        }
    }
}
