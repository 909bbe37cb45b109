//! A layer in the kernels' words: shapes, and how many bytes they want.

use bitrack_kernels::{ConvShape, FcShape, Overlay, PoolShape, Variant, add, conv2d, depthwise, fully_connected, pool};

use crate::bits::Bits;
use crate::graph::{Graph, Layer, Op, TensorId};
use crate::plan::{Demand, tensor_bytes};

/// A layer with weights, as its kernel knows it.
#[derive(Debug, Clone, Copy)]
pub enum WeightKernel {
    Conv2d(ConvShape),
    Depthwise(ConvShape),
    FullyConnected(FcShape),
}

impl WeightKernel {
    /// `None` for layers without weights.
    pub fn of(graph: &Graph, layer: &Layer) -> Option<Self> {
        let (input, output) = (graph.input_shape(layer), graph.shape(layer.output));
        match layer.op {
            Op::Conv2d { .. } => Some(Self::Conv2d(conv_shape(graph, layer)?)),
            Op::DepthwiseConv2d { .. } => Some(Self::Depthwise(conv_shape(graph, layer)?)),
            Op::FullyConnected { .. } => {
                Some(Self::FullyConnected(FcShape { in_features: input.c as u32, out_features: output.c as u32 }))
            }
            _ => None,
        }
    }

    /// Bytes of the packed weights.
    pub fn weights_len(&self, bits: Bits) -> usize {
        match self {
            Self::Conv2d(shape) => conv2d::weights_len(shape, bits.into()),
            Self::Depthwise(shape) => depthwise::weights_len(shape, bits.into()),
            Self::FullyConnected(shape) => fully_connected::weights_len(shape, bits.into()),
        }
    }

    /// Packs weights that are in the order `[out][kernel_h][kernel_w][in]`, for inputs of `input` bits.
    pub fn pack(&self, bits: Bits, input: Bits, values: &[i8]) -> Result<Vec<u8>, String> {
        let mut packed = vec![0; self.weights_len(bits)];
        let done = match self {
            Self::Conv2d(shape) => conv2d::pack(shape, bits.into(), input.into(), values, &mut packed),
            Self::Depthwise(shape) => {
                let by_tap = channels_last(values, usize::from(shape.out_c));
                depthwise::pack(shape, bits.into(), &by_tap, &mut packed)
            }
            Self::FullyConnected(shape) => fully_connected::pack(shape, bits.into(), input.into(), values, &mut packed),
        };
        done.map(|()| packed).map_err(|error| error.to_string())
    }

    /// Whether it has a variant, for inputs of `input` bits and accumulators that are shifted left so far.
    pub fn has(&self, variant: Variant, input: Bits, shift: u8) -> bool {
        match self {
            Self::Conv2d(shape) => conv2d::exists(variant, shape, input.into()),
            Self::Depthwise(shape) => depthwise::exists(variant, shape, shift),
            Self::FullyConnected(_) => variant == Variant::General,
        }
    }

    /// Whether it is a depthwise layer.
    pub fn is_depthwise(&self) -> bool {
        matches!(self, Self::Depthwise(_))
    }

    /// Whether it is a depthwise layer that the general loops compute, all of it or its last channels.
    pub fn needs_general_depthwise(&self) -> bool {
        let Self::Depthwise(shape) = self else { return false };
        !depthwise::exists(Variant::Rows, shape, 0) || !shape.in_c.is_multiple_of(4)
    }

    fn scratch_len(&self, variant: Variant, weights: Bits, input: Bits, output: Bits) -> usize {
        let (w, i, o) = (weights.into(), input.into(), output.into());
        match self {
            Self::Conv2d(shape) => conv2d::scratch_len(shape, w, i, o),
            Self::Depthwise(shape) => depthwise::scratch_len(shape, variant, w, i, o),
            Self::FullyConnected(shape) => fully_connected::scratch_len(shape, w, i, o),
        }
    }

    /// How the output may lie over the input.
    fn overlay(&self, variant: Variant, input: Bits, output: Bits) -> Option<Overlay> {
        match self {
            Self::Conv2d(shape) => Some(conv2d::overlay(shape, input.into(), output.into())),
            Self::Depthwise(shape) => depthwise::overlay(shape, variant, input.into(), output.into()),
            Self::FullyConnected(_) => None,
        }
    }
}

/// What a layer asks of the arena by one of its variants. `tensors` has the bits of every tensor of the graph.
pub fn demand(graph: &Graph, layer: &Layer, variant: Variant, tensors: &[Bits], weights: Option<Bits>) -> Demand {
    let kernel = WeightKernel::of(graph, layer);
    let (input, output) = (tensors[layer.inputs[0].0], tensors[layer.output.0]);
    let scratch =
        kernel.zip(weights).map_or(0, |(kernel, weights)| kernel.scratch_len(variant, weights, input, output));
    let bytes = |id: TensorId| tensor_bytes(graph, id, tensors[id.0]);
    let output_over = match (kernel, layer.op) {
        (Some(kernel), _) => vec![kernel.overlay(variant, input, output)],
        (None, Op::AveragePool { .. } | Op::MaxPool { .. }) => {
            vec![pool_shape(graph, layer).map(|shape| pool::overlay(&shape, input.into(), output.into()))]
        }
        (None, Op::Add { .. }) => {
            layer.inputs.iter().map(|&id| Some(add::overlay(bytes(id), bytes(layer.output)))).collect()
        }
        _ => vec![],
    };
    let scratch_over = match kernel {
        Some(WeightKernel::FullyConnected(shape)) => Some(fully_connected::scratch_overlay(&shape, input.into())),
        _ => None,
    };
    Demand { scratch, output_over, scratch_over }
}

fn pool_shape(graph: &Graph, layer: &Layer) -> Option<PoolShape> {
    let s = conv_shape(graph, layer)?;
    Some(PoolShape {
        in_h: s.in_h,
        in_w: s.in_w,
        channels: s.in_c,
        out_h: s.out_h,
        out_w: s.out_w,
        k_h: s.k_h,
        k_w: s.k_w,
        stride_h: s.stride_h,
        stride_w: s.stride_w,
        pad_top: s.pad_top,
        pad_left: s.pad_left,
    })
}

fn conv_shape(graph: &Graph, layer: &Layer) -> Option<ConvShape> {
    let (window, input, output) = (layer.op.window()?, graph.input_shape(layer), graph.shape(layer.output));
    // `Graph::check` keeps every dimension within 16 bits.
    let narrow = |v: usize| v as u16;
    Some(ConvShape {
        in_h: narrow(input.h),
        in_w: narrow(input.w),
        in_c: narrow(input.c),
        out_h: narrow(output.h),
        out_w: narrow(output.w),
        out_c: narrow(output.c),
        k_h: narrow(window.kernel[0]),
        k_w: narrow(window.kernel[1]),
        stride_h: narrow(window.stride[0]),
        stride_w: narrow(window.stride[1]),
        pad_top: narrow(window.pad_before[0]),
        pad_left: narrow(window.pad_before[1]),
    })
}

/// `[channels][taps]` to `[taps][channels]`.
fn channels_last(values: &[i8], channels: usize) -> Vec<i8> {
    let taps = values.len() / channels;
    (0..values.len()).map(|i| values[(i % channels) * taps + i / channels]).collect()
}
