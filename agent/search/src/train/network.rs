//! The demonstration network: a small depthwise-separable CNN, described once as data.

use crate::torch::fill_uniform;
use rand_chacha::ChaCha8Rng;
use tch::nn::{self, ModuleT, VarStore};
use tch::{Device, Kind, TchError, Tensor};

/// Batch normalization's small constant, needed again when it is folded.
pub const BATCH_NORM_EPS: f64 = 1e-3;

/// What a convolution of the network does with channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConvKind {
    /// Every output channel sees every input channel, 3x3.
    Full,
    /// One 3x3 filter per channel.
    Depthwise,
    /// Every output channel sees every input channel, 1x1.
    Pointwise,
}

/// One convolution with batch normalization and ReLU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvSpec {
    /// Name of the layer.
    pub name: &'static str,
    /// Channel pattern and kernel size.
    pub kind: ConvKind,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Stride in both directions.
    pub stride: usize,
}

impl ConvSpec {
    /// Side of the square kernel.
    pub fn kernel(&self) -> usize {
        if self.kind == ConvKind::Pointwise { 1 } else { 3 }
    }

    /// Zeros around the input on each side.
    pub fn padding(&self) -> usize {
        self.kernel() / 2
    }
}

const fn conv(name: &'static str, kind: ConvKind, inputs: usize, outputs: usize, stride: usize) -> ConvSpec {
    ConvSpec { name, kind, inputs, outputs, stride }
}

/// The convolutions in order; a global average pool and a fully connected layer follow.
///
/// 1.46 million multiply-accumulates on a 28x28x1 input, 26,240 weights, ten weight layers.
pub const CONVS: [ConvSpec; 9] = [
    conv("conv1", ConvKind::Full, 1, 24, 2),
    conv("dw2", ConvKind::Depthwise, 24, 24, 1),
    conv("pw2", ConvKind::Pointwise, 24, 48, 1),
    conv("dw3", ConvKind::Depthwise, 48, 48, 2),
    conv("pw3", ConvKind::Pointwise, 48, 64, 1),
    conv("dw4", ConvKind::Depthwise, 64, 64, 1),
    conv("pw4", ConvKind::Pointwise, 64, 96, 1),
    conv("dw5", ConvKind::Depthwise, 96, 96, 1),
    conv("pw5", ConvKind::Pointwise, 96, 128, 1),
];
/// Channels that reach the fully connected layer.
pub const FEATURES: usize = 128;
/// Name of the fully connected layer.
pub const FC: &str = "fc";

/// One trained convolution with its batch normalization.
#[derive(Debug)]
pub struct ConvLayer {
    /// What it is.
    pub spec: ConvSpec,
    /// The convolution, without bias.
    pub conv: nn::Conv2D,
    /// Its normalization.
    pub norm: nn::BatchNorm,
}

/// The network's parameters in libtorch.
#[derive(Debug)]
pub struct Network {
    /// The convolutions, in order.
    pub convs: Vec<ConvLayer>,
    /// The classifier.
    pub fc: nn::Linear,
    /// Owner of all parameters.
    pub variables: VarStore,
}

impl Network {
    /// A network with fresh weights drawn from `rng`: uniform with variance 2 / fan-in before a ReLU (He et al. 2015)
    /// and 1 / fan-in for the classifier.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn new(channels: usize, classes: usize, rng: &mut ChaCha8Rng) -> Result<Self, TchError> {
        let variables = VarStore::new(Device::Cpu);
        let root = variables.root();
        let convs = CONVS.iter().enumerate().map(|(i, spec)| {
            let inputs = if i == 0 { channels } else { spec.inputs };
            ConvLayer::new(&root, ConvSpec { inputs, ..*spec })
        });
        let mut convs: Vec<ConvLayer> = convs.collect();
        let mut fc = nn::linear(&root / FC, FEATURES as i64, classes as i64, nn::LinearConfig::default());
        for layer in &mut convs {
            let fan_in = layer.conv.ws.size()[1..].iter().product::<i64>() as f64;
            fill_uniform(&mut layer.conv.ws, (6.0 / fan_in).sqrt(), rng)?;
        }
        fill_uniform(&mut fc.ws, (3.0 / FEATURES as f64).sqrt(), rng)?;
        if let Some(bias) = &mut fc.bs {
            let _ = tch::no_grad(|| bias.f_zero_())?;
        }
        Ok(Self { convs, fc, variables })
    }

    /// Logits `[n, classes]` of images `[n, c, h, w]`.
    pub fn forward(&self, images: &Tensor, train: bool) -> Tensor {
        let mut x = images.shallow_clone();
        for layer in &self.convs {
            x = layer.norm.forward_t(&layer.conv.forward_t(&x, train), train).relu_();
        }
        let pooled = x.mean_dim([2i64, 3].as_slice(), false, Kind::Float);
        self.fc.forward_t(&pooled, train)
    }
}

impl ConvLayer {
    fn new(root: &nn::Path, spec: ConvSpec) -> Self {
        let config = nn::ConvConfig {
            stride: spec.stride as i64,
            padding: spec.padding() as i64,
            groups: if spec.kind == ConvKind::Depthwise { spec.inputs as i64 } else { 1 },
            bias: false,
            ..nn::ConvConfig::default()
        };
        let norm = nn::BatchNormConfig {
            eps: BATCH_NORM_EPS,
            ws_init: nn::Init::Const(1.0),
            ..nn::BatchNormConfig::default()
        };
        let path = root / spec.name;
        Self {
            spec,
            conv: nn::conv2d(&path / "conv", spec.inputs as i64, spec.outputs as i64, spec.kernel() as i64, config),
            norm: nn::batch_norm2d(&path / "norm", spec.outputs as i64, norm),
        }
    }
}
