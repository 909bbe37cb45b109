//! The four MLPerf Tiny networks, quantized to a policy and run on one emulated board: what `cargo xtask bench` prints.

use std::path::{Path, PathBuf};

use bitrack_model::graph::{Layer, Op, WeightShape};
use bitrack_model::{
    Bits, Dataset, FloatModel, HostImage, Image, Imported, LowerOptions, Policy, Quantizer, RangeMethod, Samples,
    Split, import, lower,
};

use crate::bare_board::{BareBoard, Profile};

/// Random samples that set the activation ranges: they change no instruction count worth mentioning.
const CALIBRATION_SAMPLES: usize = 4;

/// A network of the suite.
pub struct Network {
    /// The name that published figures use.
    pub name: &'static str,
    file: &'static str,
}

/// In the suite's usual order.
pub const NETWORKS: [Network; 4] = [
    Network { name: "KWS DS-CNN", file: "kws/ds_cnn_float.tflite" },
    Network { name: "IC ResNet-8", file: "mlperf_tiny/ic_resnet8_float.tflite" },
    Network { name: "VWW MobileNetV1-0.25", file: "mlperf_tiny/vww_mobilenet_v1_025_float.tflite" },
    Network { name: "AD autoencoder", file: "mlperf_tiny/ad_autoencoder_float.tflite" },
];

/// One layer of one run.
pub struct LayerRow {
    pub name: String,
    pub op: &'static str,
    /// `49x10x1->25x5x64 k10x4 s2`
    pub shape: String,
    pub weight_bits: Option<u8>,
    pub input_bits: u8,
    pub output_bits: u8,
    pub macs: u64,
    pub instructions: u64,
}

/// One network at one policy.
pub struct Report {
    pub network: &'static str,
    pub weight_bits: Bits,
    pub activation_bits: Bits,
    pub layers: Vec<LayerRow>,
    /// Instructions of a whole inference.
    pub instructions: u64,
    pub image_bytes: usize,
    pub arena_planned: usize,
    pub arena_measured: u32,
    pub stack_measured: u32,
    /// Every output bit was the host's.
    pub bit_exact: bool,
}

impl Report {
    /// Multiply-accumulates of a whole inference.
    pub fn macs(&self) -> u64 {
        self.layers.iter().map(|layer| layer.macs).sum()
    }
}

impl Network {
    /// The float network under the shared data folder.
    pub fn load(&self, shared: &Path) -> FloatModel {
        let path: PathBuf = shared.join(self.file);
        match import(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())) {
            Imported::Float(model) => model,
            Imported::Quantized(_) => panic!("{} is not a float model", path.display()),
        }
    }

    /// Quantizes `model` (this network's) uniformly, runs it on `board`, and checks the output against the host's.
    pub fn measure(&self, quantizer: &Quantizer, bits: (Bits, Bits), board: &mut BareBoard) -> Report {
        let policy = Policy::uniform(quantizer.model().graph(), bits.0, bits.1);
        let quantized = quantizer.quantize(&policy).expect("every uniform policy quantizes");
        let image = lower(&quantized, &LowerOptions::default()).expect("lowers");
        let host = HostImage::new(&image.bytes).expect("valid");
        let input = vec![0x6B; host.input_shape().elements()];
        board.load(&image.bytes);
        let profile = board.profile(&input);
        let bit_exact = profile.output == host.run(&input).expect("runs");
        self.report(quantizer.model(), &policy, &image, &profile, bits, bit_exact)
    }

    fn report(
        &self,
        model: &FloatModel,
        policy: &Policy,
        image: &Image,
        profile: &Profile,
        bits: (Bits, Bits),
        bit_exact: bool,
    ) -> Report {
        let graph = model.graph();
        let weights = policy.layer_bits(graph).expect("the policy is this graph's");
        let tensors = policy.tensor_bits(graph).expect("the policy is this graph's");
        let rows = graph.layers.iter().zip(&weights).zip(&profile.layers);
        let layers = rows.map(|((layer, weight_bits), &instructions)| LayerRow {
            name: layer.name.clone(),
            op: layer.op.name(),
            shape: shape(model, layer),
            weight_bits: weight_bits.map(Bits::get),
            input_bits: tensors[layer.inputs[0].0].get(),
            output_bits: tensors[layer.output.0].get(),
            macs: graph.macs(layer) as u64,
            instructions,
        });
        Report {
            network: self.name,
            weight_bits: bits.0,
            activation_bits: bits.1,
            layers: layers.collect(),
            instructions: profile.instructions,
            image_bytes: image.model_bytes,
            arena_planned: image.planned_peak,
            arena_measured: profile.arena_high_water,
            stack_measured: profile.stack_high_water,
            bit_exact,
        }
    }
}

/// A quantizer for `model` whose ranges come from random samples: for counting instructions, not for accuracy.
pub fn quantizer_on_noise(model: FloatModel) -> Quantizer {
    let shape = model.graph().shape(model.graph().input);
    let mut seed = 1u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 40) as f32 / (1u64 << 24) as f32
    };
    let samples = Samples::F32((0..CALIBRATION_SAMPLES * shape.elements()).map(|_| noise()).collect());
    let data = Dataset::new(Split::Train, shape, samples, vec![0; CALIBRATION_SAMPLES]).expect("one label each");
    Quantizer::new(model, &data, RangeMethod::MinMax).expect("finite samples give ranges")
}

fn shape(model: &FloatModel, layer: &Layer) -> String {
    let graph = model.graph();
    let (input, output) = (graph.input_shape(layer), graph.shape(layer.output));
    let mut text = format!("{}x{}x{}->{}x{}x{}", input.h, input.w, input.c, output.h, output.w, output.c);
    if let Some(window) = layer.op.window() {
        text += &format!(" k{}x{} s{}", window.kernel[0], window.kernel[1], window.stride[0]);
    } else if let (Op::FullyConnected { .. }, Some(WeightShape { out, input, .. })) =
        (layer.op, graph.weight_shape(layer))
    {
        text = format!("{input}->{out}");
    }
    text
}
