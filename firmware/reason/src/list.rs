//! The list. Its order is the wire's format: append within the last group, and raise the wire version for anything else.

macro_rules! reasons {
    ($($reason:ident $text:literal,)*) => {
        /// Why a record of an image is refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each one's text says it")]
        pub enum Reason {
            $($reason,)*
        }

        impl Reason {
            /// All of them, in the order of their codes.
            pub const ALL: &[Reason] = &[$(Reason::$reason),*];

            /// The sentence, or the header field's name.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Reason::$reason => $text,)*
                }
            }
        }
    };
}

reasons! {
    // Header fields.
    TotalLen "total_len",
    ModelLen "model_len",
    TensorCount "n_tensors",
    OpCount "n_ops",
    VectorCount "n_vectors",
    SectionAlign "section_align_log2",
    TensorsOffset "tensors_off",
    OpsOffset "ops_off",
    VectorsOffset "vectors_off",
    Input "input",
    Output "output",
    Misaligned "image does not start at a multiple of 4 bytes",
    // Tensors.
    RecordMissing "record is missing",
    TensorBits "bits are not 2, 4 or 8",
    ZeroDimension "a dimension is zero",
    ZeroPoint "zero point does not fit its bits",
    Scale "scale is not a positive number",
    TensorLength "length contradicts shape and bits",
    OutsideArena "lies outside the arena",
    // Ops, as the image alone shows them.
    UnknownOperator "unknown operator",
    NoFirstInput "first input does not exist",
    NoSecondInput "second input does not exist",
    SecondInputNotTaken "has a second input it does not take",
    NoOutput "output does not exist",
    WritesItsInput "writes the tensor it reads",
    WeightBits "weight bits are not 2, 4 or 8 (0 without weights)",
    Shift "shift is over 30",
    ClampCrossed "clamp bounds are crossed",
    ClampTooWide "clamp bound does not fit the output's bits",
    ZeroKernel "kernel size is zero",
    ZeroStride "stride is zero",
    Padding "padding is not smaller than the kernel",
    AddShift "add's shift is out of 0..=30",
    Shapes "shapes of input and output do not fit the operator",
    SectionNotTaken "has a section it does not take",
    SectionEmpty "section is empty",
    SectionOutside "section lies outside the model",
    SectionMisaligned "section is not aligned",
    WeightsOutsideSection "weights lie outside the section",
    WeightsMisaligned "weights are not aligned",
    ChannelsOutside "channel parameters lie outside the section",
    ChannelsMisaligned "channel parameters are not aligned",
    SectionChecksum "section CRC fails",
    ScratchOutside "scratch lies outside the arena",
    ScratchMisaligned "scratch is not aligned",
    ScratchOnLiving "scratch overlaps a living tensor",
    ReadsUnwritten "reads a tensor that is not written yet",
    SecondWriter "writes a tensor that has another writer",
    // Ops, as only the kernels know them.
    Variant "kernel variant does not exist",
    ScratchTooSmall "scratch is smaller than the kernel needs",
    OutputOnInput "output overlaps the input",
    WeightsOutside "weights lie outside the image",
    WeightsLength "packed weights have another length than the kernel reads",
    ChannelsNotInPlace "channel constants are not in place",
    NegativeMultiplier "a channel's multiplier is negative",
    PoolMultiplier "pool's multiplier is negative",
    AverageWindow "average window is too large",
    MaxPoolWidths "max pool without rescaling changes the bits",
    MaxPoolFlag "max pool's identity flag is neither 0 nor 1",
    SoftmaxTable "softmax table is not in place",
    SoftmaxTableLength "softmax table has another length",
    SoftmaxEntry "softmax table entry is out of range",
    SoftmaxVectors "softmax over more than one vector",
    SoftmaxClasses "softmax over too many classes",
    ZeroSize "a size is zero",
    WindowBeforeInput "a window lies entirely above or left of the input",
    WindowAfterInput "a window lies entirely below or right of the input",
    ChannelMultiplier "depthwise changes the number of channels",
    TooLarge "a tensor is too large for the kernels",
    KernelRefuses "the kernel refuses the shape",
    // What a build of the runner may leave out, in the order of `bitrack_kernels::Kernel`.
    LacksConv2dW8 "the runner is built without conv2d-w8",
    LacksConv2dW4A8 "the runner is built without conv2d-w4-a8",
    LacksConv2dW4Narrow "the runner is built without conv2d-w4-narrow",
    LacksConv2dW2A8 "the runner is built without conv2d-w2-a8",
    LacksConv2dW2Narrow "the runner is built without conv2d-w2-narrow",
    LacksFullyConnectedW8 "the runner is built without fully-connected-w8",
    LacksFullyConnectedW4A8 "the runner is built without fully-connected-w4-a8",
    LacksFullyConnectedW4Narrow "the runner is built without fully-connected-w4-narrow",
    LacksFullyConnectedW2 "the runner is built without fully-connected-w2",
    LacksDepthwise3x3S1 "the runner is built without depthwise-3x3-s1",
    LacksDepthwise3x3S2 "the runner is built without depthwise-3x3-s2",
    LacksDepthwiseAny "the runner is built without depthwise-any",
    LacksAveragePool "the runner is built without average-pool",
    LacksMaxPool "the runner is built without max-pool",
    LacksAdd "the runner is built without add",
    LacksReshape "the runner is built without reshape",
    LacksSoftmax "the runner is built without softmax",
    LacksDepthwiseW8 "the runner is built without depthwise-w8",
    LacksDepthwiseW4 "the runner is built without depthwise-w4",
    LacksDepthwiseW2 "the runner is built without depthwise-w2",
    LacksActivations8 "the runner is built without activations-8",
    LacksActivations4 "the runner is built without activations-4",
    LacksActivations2 "the runner is built without activations-2",
    LacksPartialQuads "the runner is built without partial-quads",
    LacksLongSums "the runner is built without long-sums",
    LacksClamp "the runner is built without clamp",
    LacksDepthwiseShift "the runner is built without depthwise-shift",
    LacksPoolAny "the runner is built without pool-any",
    LacksConv2dPixels "the runner is built without conv2d-pixels",
    LacksDepthwiseMap5 "the runner is built without depthwise-map-5",
    LacksDepthwiseMap6 "the runner is built without depthwise-map-6",
    LacksFullyConnectedPartial "the runner is built without fully-connected-partial",
}
