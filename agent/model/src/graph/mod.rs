//! A network's topology: tensors, layers and how they hang together, without any numbers.
//!
//! The same [`Graph`] describes a float network ([`crate::FloatModel`]) and its quantized versions
//! ([`crate::QuantizedModel`]), so that "layer 3" and "tensor 5" mean the same in both.

mod check;

use serde::{Deserialize, Serialize};

/// Height, width and channels of a tensor; the batch is always 1. Fully connected data is `1 x 1 x c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    pub h: usize,
    pub w: usize,
    pub c: usize,
}

impl Shape {
    /// A shape of height, width and channels.
    pub const fn new(h: usize, w: usize, c: usize) -> Self {
        Self { h, w, c }
    }

    /// Number of values, `h * w * c`.
    pub const fn elements(self) -> usize {
        self.h * self.w * self.c
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.h, self.w, self.c)
    }
}

/// Index of a tensor in [`Graph::tensors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TensorId(pub usize);

/// An activation tensor, NHWC with batch 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tensor {
    /// `input`, or the name of the layer that writes it.
    pub name: String,
    pub shape: Shape,
}

/// The activation function fused into a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    None,
    Relu,
    Relu6,
}

impl Activation {
    /// Bounds of the function's output.
    pub const fn bounds(self) -> (f32, f32) {
        match self {
            Self::None => (f32::NEG_INFINITY, f32::INFINITY),
            Self::Relu => (0.0, f32::INFINITY),
            Self::Relu6 => (0.0, 6.0),
        }
    }
}

/// A sliding window: kernel size, stride, and padding before the first row and column. Padding at the end is
/// whatever the output's size implies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub pad_before: [usize; 2],
}

/// What a layer computes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    Conv2d { window: Window, activation: Activation },
    DepthwiseConv2d { window: Window, activation: Activation },
    FullyConnected { activation: Activation },
    AveragePool { window: Window, activation: Activation },
    MaxPool { window: Window, activation: Activation },
    Add { activation: Activation },
    Reshape {},
    Softmax { beta: f32 },
}

impl Op {
    /// The operator's name in reports, as [`bitrack_image::OpKind::name`] has it.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// The image's operator that implements it.
    pub fn kind(&self) -> bitrack_image::OpKind {
        use bitrack_image::OpKind;
        match self {
            Self::Conv2d { .. } => OpKind::Conv2d,
            Self::DepthwiseConv2d { .. } => OpKind::DepthwiseConv2d,
            Self::FullyConnected { .. } => OpKind::FullyConnected,
            Self::AveragePool { .. } => OpKind::AveragePool,
            Self::MaxPool { .. } => OpKind::MaxPool,
            Self::Add { .. } => OpKind::Add,
            Self::Reshape {} => OpKind::Reshape,
            Self::Softmax { .. } => OpKind::Softmax,
        }
    }

    /// Whether the layer has weights, and so a weight bit width.
    pub fn has_weights(&self) -> bool {
        self.kind().has_weights()
    }

    /// The window of operators that slide one.
    pub fn window(&self) -> Option<Window> {
        match *self {
            Self::Conv2d { window, .. }
            | Self::DepthwiseConv2d { window, .. }
            | Self::AveragePool { window, .. }
            | Self::MaxPool { window, .. } => Some(window),
            _ => None,
        }
    }

    /// The fused activation function.
    pub fn activation(&self) -> Activation {
        match *self {
            Self::Conv2d { activation, .. }
            | Self::DepthwiseConv2d { activation, .. }
            | Self::FullyConnected { activation }
            | Self::AveragePool { activation, .. }
            | Self::MaxPool { activation, .. }
            | Self::Add { activation } => activation,
            Self::Reshape {} | Self::Softmax { .. } => Activation::None,
        }
    }
}

/// One operator, what it reads and what it writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Unique in the graph, such as `conv2d_0`.
    pub name: String,
    pub op: Op,
    pub inputs: Vec<TensorId>,
    pub output: TensorId,
}

/// Dimensions of a layer's weights, stored `[out][kernel_h][kernel_w][in]`. A depthwise layer has `in` 1 and
/// a fully connected one a 1 x 1 kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightShape {
    pub out: usize,
    pub kernel: [usize; 2],
    pub input: usize,
}

impl WeightShape {
    /// Weights behind one output channel.
    pub const fn per_channel(self) -> usize {
        self.kernel[0] * self.kernel[1] * self.input
    }

    /// All weights.
    pub const fn elements(self) -> usize {
        self.out * self.per_channel()
    }
}

/// A network: tensors, and layers in execution order. Every tensor but the input is written by exactly one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    pub name: String,
    pub tensors: Vec<Tensor>,
    pub layers: Vec<Layer>,
    pub input: TensorId,
    pub output: TensorId,
}

impl Graph {
    /// A graph with only its input tensor; layers are appended with [`Graph::push`].
    pub fn new(name: impl Into<String>, input: Shape) -> Self {
        let tensors = vec![Tensor { name: "input".into(), shape: input }];
        Self { name: name.into(), tensors, layers: Vec::new(), input: TensorId(0), output: TensorId(0) }
    }

    /// Appends a layer that writes a new tensor of shape `output`, which becomes the network's output.
    /// Nothing is checked until [`Graph::check`].
    pub fn push(&mut self, op: Op, inputs: Vec<TensorId>, output: Shape) -> TensorId {
        let name = format!("{}_{}", op.name(), self.layers.len());
        let id = TensorId(self.tensors.len());
        self.tensors.push(Tensor { name: name.clone(), shape: output });
        self.layers.push(Layer { name, op, inputs, output: id });
        self.output = id;
        id
    }

    /// Shape of a tensor of this graph.
    pub fn shape(&self, id: TensorId) -> Shape {
        self.tensors[id.0].shape
    }

    /// Shape of the first input of a layer.
    pub fn input_shape(&self, layer: &Layer) -> Shape {
        self.shape(layer.inputs[0])
    }

    /// Dimensions of a layer's weights; `None` for layers without.
    pub fn weight_shape(&self, layer: &Layer) -> Option<WeightShape> {
        let out = self.shape(layer.output).c;
        let input = self.input_shape(layer).c;
        match layer.op {
            Op::Conv2d { window, .. } => Some(WeightShape { out, kernel: window.kernel, input }),
            Op::DepthwiseConv2d { window, .. } => Some(WeightShape { out, kernel: window.kernel, input: 1 }),
            Op::FullyConnected { .. } => Some(WeightShape { out, kernel: [1, 1], input }),
            _ => None,
        }
    }

    /// Multiply-accumulates of one inference of a layer; 0 for layers without weights.
    pub fn macs(&self, layer: &Layer) -> usize {
        let out = self.shape(layer.output);
        self.weight_shape(layer).map_or(0, |w| out.h * out.w * w.elements())
    }

    /// Indices of the layers that have weights, in order: what [`crate::Policy::weights`] is about.
    pub fn weight_layers(&self) -> Vec<usize> {
        (0..self.layers.len()).filter(|&i| self.layers[i].op.has_weights()).collect()
    }

    /// The layer that writes a tensor; `None` for the network's input.
    pub fn producer(&self, id: TensorId) -> Option<usize> {
        self.layers.iter().position(|layer| layer.output == id)
    }

    /// The layers that read a tensor.
    pub fn consumers(&self, id: TensorId) -> impl Iterator<Item = usize> + '_ {
        (0..self.layers.len()).filter(move |&i| self.layers[i].inputs.contains(&id))
    }
}
