//! Imported int8 networks against LiteRT running the same files: an implementation that shares nothing with ours.
//!
//! Needs a Python with `ai-edge-litert`: `$BITRACK_LITERT_PYTHON`, or `.bitrack/venv/bin/python` in the repository.

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bitrack_model::{Dataset, HostImage, Imported, LowerOptions, Split, import, lower};

fn python() -> Option<PathBuf> {
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.bitrack/venv/bin/python");
    let python = std::env::var_os("BITRACK_LITERT_PYTHON").map_or(local, PathBuf::from);
    if python.exists() {
        return Some(python);
    }
    eprintln!("SKIPPED: no Python with ai-edge-litert at {} (cargo xtask setup makes one)", python.display());
    None
}

/// Outputs of LiteRT for samples of int8 codes.
fn litert(python: &Path, model: &Path, inputs: &[u8]) -> Vec<u8> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/litert_oracle.py");
    let mut command = Command::new(python);
    command.arg(script).arg(model).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("python starts");
    let mut stdin = child.stdin.take().expect("is piped");
    stdin.write_all(inputs).expect("the script reads all of its input first");
    drop(stdin);
    let output = child.wait_with_output().expect("python ends");
    assert!(output.status.success(), "LiteRT failed");
    output.stdout
}

/// int8 codes and our unsigned ones differ in the top bit.
fn flip(codes: &[u8]) -> Vec<u8> {
    codes.iter().map(|code| code ^ 0x80).collect()
}

fn first_largest(codes: &[u8]) -> usize {
    let largest = codes.iter().max();
    codes.iter().position(|code| Some(code) == largest).expect("is not empty")
}

/// Runs `inputs` (our codes) through both; every output must agree within one step, and the largest be the same one.
fn compare(path: &str, inputs: &[Vec<u8>]) {
    let (Some(model), Some(python)) = (common::data(path), python()) else { return };
    let Imported::Quantized(network) = import(&model).expect(path) else { panic!("{path} is an int8 model") };
    let image = lower(&network, &LowerOptions::default()).expect(path);
    let host = HostImage::new(&image.bytes).expect(path);
    let theirs = flip(&litert(&python, &model, &flip(&inputs.concat())));
    let classes = theirs.len() / inputs.len();
    let (mut different, mut worst) = (0, 0);
    for (index, (input, theirs)) in inputs.iter().zip(theirs.chunks_exact(classes)).enumerate() {
        let ours = host.decode(&host.run(input).expect("runs")).expect("decodes");
        let steps = ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b));
        different += steps.clone().filter(|&d| d > 0).count();
        worst = worst.max(steps.max().unwrap_or(0));
        assert!(worst <= 1, "{path}: sample {index} differs by {worst} steps: {ours:?} and {theirs:?}");
        assert_eq!(first_largest(&ours), first_largest(theirs), "{path}: sample {index}: {ours:?} and {theirs:?}");
    }
    let total = inputs.len() * classes;
    eprintln!("{path}: {} samples, {different} of {total} output codes differ, by {worst} at most", inputs.len());
}

/// Codes that look random and are the same every time (Knuth's MMIX generator).
fn random_inputs(samples: usize, len: usize, mut seed: u64) -> Vec<Vec<u8>> {
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    (0..samples).map(|_| (0..len).map(|_| next()).collect()).collect()
}

#[test]
fn keyword_spotting_agrees_on_1000_recordings() {
    let (Some(model), Some(data)) = (common::data("mlperf_tiny/kws_ds_cnn_int8.tflite"), common::data("kws/eval.npz"))
    else {
        return;
    };
    let Imported::Quantized(network) = import(&model).expect("imports") else { panic!("is an int8 model") };
    let data = Dataset::npz(&data, Split::Test).expect("reads").first(1000);
    let quant = network.tensors()[network.graph().input.0];
    let mut sample = Vec::new();
    let codes = |index: usize| {
        data.read(index, &mut sample);
        sample.iter().map(|&value| quant.code(value)).collect()
    };
    let inputs: Vec<Vec<u8>> = (0..data.len()).map(codes).collect();
    compare("mlperf_tiny/kws_ds_cnn_int8.tflite", &inputs);
}

#[test]
fn image_classification_agrees_on_random_images() {
    // The 68th differs by ten steps of a probability: what one step of a logit makes between two classes that are nearly as likely.
    compare("mlperf_tiny/ic_resnet8_int8.tflite", &random_inputs(60, 32 * 32 * 3, 1));
}

#[test]
fn visual_wake_words_agrees_on_random_images() {
    compare("mlperf_tiny/vww_mobilenet_v1_025_int8.tflite", &random_inputs(50, 96 * 96 * 3, 2));
}

#[test]
fn anomaly_detection_agrees_on_random_spectra() {
    compare("mlperf_tiny/ad_autoencoder_int8.tflite", &random_inputs(200, 640, 3));
}
