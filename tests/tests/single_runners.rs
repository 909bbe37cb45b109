//! Runners for one network, as `cargo xtask test` builds them: they compute what the host does, and refuse other networks by name.

use std::path::PathBuf;

use bitrack_model::{
    Bits, Dataset, HostImage, Imported, LowerOptions, Policy, Quantizer, RangeMethod, Samples, Split, import, lower,
};
use bitrack_tests::bare_board::BareBoard;
use bitrack_tests::lab::{repo, shared_data};
use bitrack_virtual_board::Machine;

/// Where the runner lies; `None` after saying so where it was not built.
fn runner(name: &str) -> Option<PathBuf> {
    let file = repo().join(format!("target/firmware/single/{name}.elf"));
    if file.is_file() {
        return Some(file);
    }
    eprintln!("SKIPPED: {} is missing: `cargo xtask test` builds it", file.display());
    None
}

/// An image of a float network, calibrated as the list of its kernels was, and a packed input.
fn image(path: &str, weights: Bits, activations: Bits) -> Option<(Vec<u8>, Vec<u8>)> {
    let folder = shared_data("single_runners")?;
    let Imported::Float(model) = import(&folder.join(path)).expect("imports") else { panic!("is a float model") };
    let shape = model.graph().shape(model.graph().input);
    let values: Vec<f32> = (0..4 * shape.elements()).map(|i| ((i * 37 % 101) as f32 - 50.0) / 10.0).collect();
    let sample = values[..shape.elements()].to_vec();
    let data = match path.starts_with("kws/") {
        true => Dataset::npz(&folder.join("kws/train.npz"), Split::Train).expect("reads").first(512),
        false => Dataset::new(Split::Train, shape, Samples::F32(values), vec![0; 4]).expect("fits"),
    };
    let policy = Policy::uniform(model.graph(), weights, activations);
    let quantizer = Quantizer::new(model, &data, RangeMethod::MinMax).expect("fits");
    let image = lower(&quantizer.quantize(&policy).expect("fits"), &LowerOptions::default()).expect("lowers").bytes;
    let input = HostImage::new(&image).expect("valid").encode(&sample).expect("fits");
    Some((image, input))
}

#[test]
fn runners_for_one_network_compute_what_the_host_does() {
    use Bits::{Eight, Four};
    let networks = [
        ("KWS-8-8", "kws/ds_cnn_float.tflite", Eight, Eight),
        ("KWS-4-8", "kws/ds_cnn_float.tflite", Four, Eight),
        ("KWS-4-4", "kws/ds_cnn_float.tflite", Four, Four),
        ("IC-8-8", "mlperf_tiny/ic_resnet8_float.tflite", Eight, Eight),
        ("IC-4-4", "mlperf_tiny/ic_resnet8_float.tflite", Four, Four),
        ("VWW-8-8", "mlperf_tiny/vww_mobilenet_v1_025_float.tflite", Eight, Eight),
        ("VWW-4-8", "mlperf_tiny/vww_mobilenet_v1_025_float.tflite", Four, Eight),
        ("AD-8-8", "mlperf_tiny/ad_autoencoder_float.tflite", Eight, Eight),
    ];
    for (name, path, weights, activations) in networks {
        let Some(((image, input), elf)) = image(path, weights, activations).zip(runner(name)) else { return };
        let mut board = BareBoard::with_runner(Machine::Mps2An386, &elf);
        board.load(&image);
        let expected = HostImage::new(&image).expect("valid").run(&input).expect("runs");
        assert_eq!(board.run(&input).0, expected, "{name}");
    }
}

#[test]
fn a_runner_for_another_network_says_which_kernel_it_lacks() {
    let Some(((image, _), elf)) =
        image("mlperf_tiny/ic_resnet8_float.tflite", Bits::Eight, Bits::Eight).zip(runner("KWS-8-8"))
    else {
        return;
    };
    let mut board = BareBoard::with_runner(Machine::Mps2An386, &elf);
    let said = board.try_load(&image).expect_err("it is built for another").to_string();
    assert!(said.starts_with("op ") && said.contains("the runner is built without "), "{said}");
}
