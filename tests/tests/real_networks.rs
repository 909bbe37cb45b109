//! Real networks on an emulated board: every output bit is the host's.
//!
//! That the host agrees with an implementation that is not ours is tested beside `bitrack-model`.

use std::path::Path;

use bitrack_model::{
    Bits, Dataset, FloatModel, HostImage, Imported, LowerOptions, Policy, Quantizer, RangeMethod, Split, Variant,
    Variants, equalize, import, lower,
};
use bitrack_tests::bare_board::BareBoard;
use bitrack_tests::lab::shared_data;

/// Codes that look random and are the same every time (Knuth's MMIX generator).
struct Codes(u64);

impl Codes {
    fn next(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 56) as u8
    }
}

fn int8_image(path: &Path) -> Vec<u8> {
    let Imported::Quantized(network) = import(path).expect("imports") else { panic!("is an int8 model") };
    lower(&network, &LowerOptions::default()).expect("lowers").bytes
}

/// Runs every input on both; they must agree bit for bit, and the board's instruction count must not depend on the input
/// by more than the softmax does.
fn assert_board_equals_host(board: &mut BareBoard, image: &[u8], inputs: impl Iterator<Item = Vec<u8>>, what: &str) {
    board.load(image);
    let host = HostImage::new(image).expect("the host takes the image");
    for (index, input) in inputs.enumerate() {
        let (output, _) = board.run(&input);
        assert_eq!(output, host.run(&input).expect("runs"), "{what}: sample {index}");
    }
}

#[test]
fn keyword_spotting_int8_on_200_recordings() {
    let Some(data) = shared_data("keyword_spotting_int8_on_200_recordings") else { return };
    let image = int8_image(&data.join("mlperf_tiny/kws_ds_cnn_int8.tflite"));
    let host = HostImage::new(&image).expect("valid");
    let recordings = Dataset::npz(&data.join("kws/eval.npz"), Split::Test).expect("reads").first(200);
    let mut sample = Vec::new();
    let inputs = (0..recordings.len()).map(|index| {
        recordings.read(index, &mut sample);
        host.encode(&sample).expect("fits")
    });
    assert_board_equals_host(&mut BareBoard::start(), &image, inputs, "kws int8");
}

#[test]
fn image_classification_int8_on_20_random_images() {
    let Some(data) = shared_data("image_classification_int8_on_20_random_images") else { return };
    let image = int8_image(&data.join("mlperf_tiny/ic_resnet8_int8.tflite"));
    let mut codes = Codes(1);
    let inputs = (0..20).map(|_| (0..32 * 32 * 3).map(|_| codes.next()).collect());
    assert_board_equals_host(&mut BareBoard::start(), &image, inputs, "ic int8");
}

#[test]
fn keyword_spotting_at_every_kind_of_policy_on_100_recordings() {
    let Some(data) = shared_data("keyword_spotting_at_every_kind_of_policy_on_100_recordings") else { return };
    let Imported::Float(model) = import(&data.join("kws/ds_cnn_float.tflite")).expect("imports") else {
        panic!("is a float model")
    };
    let calibration = Dataset::npz(&data.join("kws/train.npz"), Split::Train).expect("reads").first(256);
    let recordings = Dataset::npz(&data.join("kws/eval.npz"), Split::Test).expect("reads").first(100);
    let model = equalize(&model, &calibration).expect("fits");
    let quantizer = Quantizer::new(model.clone(), &calibration, RangeMethod::Mse).expect("fits");
    let mut board = BareBoard::start();
    for (name, policy) in policies(&model) {
        let quantized = quantizer.quantize(&policy).expect("quantizes");
        let image = lower(&quantized, &LowerOptions::default()).expect("lowers").bytes;
        let host = HostImage::new(&image).expect("valid");
        let mut sample = Vec::new();
        let inputs = (0..recordings.len()).map(|index| {
            recordings.read(index, &mut sample);
            host.encode(&sample).expect("fits")
        });
        assert_board_equals_host(&mut board, &image, inputs, &name);
    }
}

#[test]
fn keyword_spotting_by_every_variant_which_the_board_obeys() {
    let Some(data) = shared_data("keyword_spotting_by_every_variant_which_the_board_obeys") else { return };
    let Imported::Float(model) = import(&data.join("kws/ds_cnn_float.tflite")).expect("imports") else {
        panic!("is a float model")
    };
    let calibration = Dataset::npz(&data.join("kws/train.npz"), Split::Train).expect("reads").first(64);
    let (graph, bits) = (model.graph().clone(), Bits::Eight);
    let quantizer = Quantizer::new(model, &calibration, RangeMethod::MinMax).expect("fits");
    let quantized = quantizer.quantize(&Policy::uniform(&graph, bits, bits)).expect("quantizes");
    let mut board = BareBoard::start();
    let mut codes = Codes(3);
    let input: Vec<u8> = (0..graph.shape(graph.input).elements()).map(|_| codes.next()).collect();
    let mut ticks = |wanted: &[Variant]| {
        let options = LowerOptions { variants: Variants::forced(&graph, wanted), ..LowerOptions::default() };
        let image = lower(&quantized, &options).expect("lowers").bytes;
        board.load(&image);
        let (output, ticks) = board.run(&input);
        assert_eq!(output, HostImage::new(&image).expect("valid").run(&input).expect("runs"), "{wanted:?}");
        ticks
    };
    let [usual, rows, general] = [&[] as &[_], &[Variant::Rows], &[Variant::General]].map(&mut ticks);
    // Four layers: what docs/kernels.md says of one.
    assert!(usual + 4 * 10_000 < rows && rows + 4 * 180_000 < general, "{usual}, {rows}, {general}");
}

fn policies(model: &FloatModel) -> Vec<(String, Policy)> {
    use Bits::{Eight, Four, Two};
    let pairs = [(Eight, Eight), (Four, Eight), (Four, Four), (Two, Eight), (Two, Two)];
    let mut policies: Vec<(String, Policy)> =
        pairs.iter().map(|&(w, a)| (format!("{w}/{a}"), Policy::uniform(model.graph(), w, a))).collect();
    let mut codes = Codes(7);
    let mut bits = || [Two, Four, Eight][usize::from(codes.next()) % 3];
    let mut mixed = Policy::uniform(model.graph(), Eight, Eight);
    mixed.weights.iter_mut().chain(&mut mixed.activations).for_each(|b| *b = bits());
    policies.push((format!("mixed {mixed:?}"), mixed));
    policies
}
