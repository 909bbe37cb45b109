//! The candidates that runners for one network are built for: the MLPerf Tiny networks at a few choices of bits.

use std::path::Path;

use bitrack_model::{
    Bits, Dataset, Imported, LowerOptions, Policy, Quantizer, RangeMethod, Samples, Split, import, lower,
};

const NETWORKS: [(&str, &str); 4] = [
    ("KWS", "kws/ds_cnn_float.tflite"),
    ("IC", "mlperf_tiny/ic_resnet8_float.tflite"),
    ("VWW", "mlperf_tiny/vww_mobilenet_v1_025_float.tflite"),
    ("AD", "mlperf_tiny/ad_autoencoder_float.tflite"),
];

/// One network at one choice of bits, ready to be flashed.
pub struct Candidate {
    pub network: &'static str,
    /// As in `firmware/kernels/networks.csv`.
    pub bits: &'static str,
    pub image: Vec<u8>,
}

impl Candidate {
    /// What the files are called that hold its image and its runner.
    pub fn file_stem(&self) -> String {
        format!("{}-{}", self.network, self.bits.replace('/', "-"))
    }
}

/// All of them, from the data under `shared`.
pub fn candidates(shared: &Path) -> impl Iterator<Item = Candidate> {
    NETWORKS.into_iter().flat_map(|(network, path)| {
        let quantizer = quantizer(shared, path);
        let policies = policies(&quantizer);
        policies.into_iter().map(move |(bits, policy)| {
            let quantized = quantizer.quantize(&policy).expect("fits");
            let image = lower(&quantized, &LowerOptions::default()).expect("lowers").bytes;
            Candidate { network, bits, image }
        })
    })
}

/// A quantizer on the network's own data, or on a few samples that look like nothing in particular.
fn quantizer(shared: &Path, path: &str) -> Quantizer {
    let Imported::Float(model) = import(&shared.join(path)).expect("imports") else { panic!("is a float model") };
    let shape = model.graph().shape(model.graph().input);
    let data = if path.starts_with("kws/") {
        Dataset::npz(&shared.join("kws/train.npz"), Split::Train).expect("reads").first(512)
    } else {
        let values = (0..4 * shape.elements()).map(|i| ((i * 37 % 101) as f32 - 50.0) / 10.0).collect();
        Dataset::new(Split::Train, shape, Samples::F32(values), vec![0; 4]).expect("fits")
    };
    Quantizer::new(model, &data, RangeMethod::MinMax).expect("fits")
}

/// Uniform policies, and one that gives every second weight tensor and every third activation 4 bits and the others 8.
fn policies(quantizer: &Quantizer) -> [(&'static str, Policy); 4] {
    use Bits::{Eight, Four};
    let graph = quantizer.model().graph();
    let uniform = |weights, activations| Policy::uniform(graph, weights, activations);
    let every = |n: usize, count: usize| (0..count).map(|i| if i % n == 0 { Four } else { Eight }).collect();
    let mixed = Policy {
        weights: every(2, graph.weight_layers().len()),
        activations: every(3, graph.activation_slots().len()),
    };
    [("8/8", uniform(Eight, Eight)), ("4/8", uniform(Four, Eight)), ("4/4", uniform(Four, Four)), ("mixed", mixed)]
}
