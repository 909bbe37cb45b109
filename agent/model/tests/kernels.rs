//! Which kernels the MLPerf Tiny networks need: what `cargo xtask test` builds a runner for, each, and holds to a budget.
//! `BITRACK_BLESS=1 cargo test -p bitrack-model --test kernels` rewrites the list.

mod common;

use std::fmt::Write;

use bitrack_model::{
    Bits, Dataset, Imported, LowerOptions, Policy, Quantizer, RangeMethod, Samples, Split, import, kernels, lower,
};

const NETWORKS: [(&str, &str); 4] = [
    ("KWS", "kws/ds_cnn_float.tflite"),
    ("IC", "mlperf_tiny/ic_resnet8_float.tflite"),
    ("VWW", "mlperf_tiny/vww_mobilenet_v1_025_float.tflite"),
    ("AD", "mlperf_tiny/ad_autoencoder_float.tflite"),
];

/// A quantizer on the network's own data, or on a few samples that look like nothing in particular.
fn quantizer(path: &str) -> Option<Quantizer> {
    let Imported::Float(model) = import(&common::data(path)?).expect("imports") else { panic!("is a float model") };
    let shape = model.graph().shape(model.graph().input);
    let own = path.starts_with("kws/").then(|| common::data("kws/train.npz")).flatten();
    let data = match own {
        Some(file) => Dataset::npz(&file, Split::Train).expect("reads").first(512),
        None => {
            let values = (0..4 * shape.elements()).map(|i| ((i * 37 % 101) as f32 - 50.0) / 10.0).collect();
            Dataset::new(Split::Train, shape, Samples::F32(values), vec![0; 4]).expect("fits")
        }
    };
    Some(Quantizer::new(model, &data, RangeMethod::MinMax).expect("fits"))
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

#[test]
fn networks_need_the_kernels_that_their_runners_are_built_with() {
    let mut found = String::from("# network,bits (weights/activations),kernels\n");
    for (name, path) in NETWORKS {
        let Some(quantizer) = quantizer(path) else { return };
        for (bits, policy) in policies(&quantizer) {
            let image = lower(&quantizer.quantize(&policy).expect("fits"), &LowerOptions::default()).expect(path);
            if let Some(folder) = std::env::var_os("BITRACK_IMAGES") {
                let file = format!("{name}-{}.img", bits.replace('/', "-"));
                std::fs::write(std::path::Path::new(&folder).join(file), &image.bytes).expect("can be written");
            }
            let kernels = kernels(&image.bytes).expect("is valid").join(" ");
            writeln!(found, "{name},{bits},{kernels}").expect("a string takes all");
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../firmware/kernels/networks.csv");
    if std::env::var_os("BITRACK_BLESS").is_some() {
        std::fs::write(path, &found).expect("the list can be written");
    }
    assert_eq!(std::fs::read_to_string(path).expect("the list exists"), found, "bless it if that is right");
}
