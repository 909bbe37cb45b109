//! What is promised of an image before it is made, and what is in it.

mod common;

use bitrack_model::{
    Bits, Dataset, HostImage, Imported, LowerOptions, Policy, Quantizer, RangeMethod, Samples, Split, Variants,
    footprint, import, lower,
};

/// A quantizer on a few samples that look like nothing in particular: sizes do not depend on them.
fn quantizer(path: &str) -> Option<(Quantizer, Dataset)> {
    let Imported::Float(model) = import(&common::data(path)?).expect("imports") else { panic!("is a float model") };
    let shape = model.graph().shape(model.graph().input);
    let values = (0..4 * shape.elements()).map(|i| ((i * 37 % 101) as f32 - 50.0) / 10.0).collect();
    let data = Dataset::new(Split::Train, shape, Samples::F32(values), vec![0; 4]).expect("fits");
    Some((Quantizer::new(model, &data, RangeMethod::MinMax).expect("fits"), data))
}

/// Policies that differ in every place (Knuth's MMIX generator).
fn policies(quantizer: &Quantizer, count: usize) -> Vec<Policy> {
    let graph = quantizer.model().graph();
    let mut state = 7u64;
    let mut bits = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Bits::ALL[(state >> 40) as usize % 3]
    };
    let (layers, slots) = (graph.weight_layers().len(), graph.activation_slots().len());
    let mut policy =
        || Policy { weights: (0..layers).map(|_| bits()).collect(), activations: (0..slots).map(|_| bits()).collect() };
    (0..count).map(|_| policy()).collect()
}

#[test]
fn the_footprint_is_known_exactly_before_lowering() {
    let networks = [
        "kws/ds_cnn_float.tflite",
        "mlperf_tiny/ic_resnet8_float.tflite",
        "mlperf_tiny/vww_mobilenet_v1_025_float.tflite",
        "mlperf_tiny/ad_autoencoder_float.tflite",
    ];
    for path in networks {
        let Some((quantizer, _)) = quantizer(path) else { return };
        for (policy, align) in policies(&quantizer, 3).iter().zip([2, 2, 11]) {
            let options = LowerOptions { section_align_log2: align, ..LowerOptions::default() };
            let image = lower(&quantizer.quantize(policy).expect("fits"), &options).expect(path);
            let size = footprint(quantizer.model().graph(), policy, align, &Variants::default()).expect("fits");
            assert_eq!((size.ram, size.flash), (image.planned_peak, image.model_bytes), "{path} {policy:?}");
        }
    }
}

#[test]
fn test_vectors_hold_what_the_engine_computes() {
    let Some((quantizer, data)) = quantizer("kws/ds_cnn_float.tflite") else { return };
    let policy = &policies(&quantizer, 1)[0];
    let options = LowerOptions { vectors: Some((&data, 3)), model_id: 42, ..LowerOptions::default() };
    let image = lower(&quantizer.quantize(policy).expect("fits"), &options).expect("lowers");
    let parsed = bitrack_image::Image::parse(&image.bytes).expect("is valid");
    assert_eq!((parsed.header().n_vectors, parsed.header().model_id), (3, 42));
    let host = HostImage::new(&image.bytes).expect("is valid");
    for index in 0..3 {
        let vector = parsed.vector(index).expect("is there");
        let (output, crcs) = host.run_with_crcs(vector.input).expect("runs");
        assert_eq!(output, vector.expected);
        let stored: Vec<_> = (0..crcs.len()).filter_map(|op| vector.op_crc(op)).collect();
        assert_eq!(stored, crcs);
    }
    assert!(image.bytes.len() > image.model_bytes);
}

#[test]
fn lowering_the_same_policy_twice_gives_the_same_bytes() {
    let Some((first, _)) = quantizer("kws/ds_cnn_float.tflite") else { return };
    let Some((second, _)) = quantizer("kws/ds_cnn_float.tflite") else { return };
    let policy = &policies(&first, 2)[1];
    let bytes = |quantizer: &Quantizer| {
        lower(&quantizer.quantize(policy).expect("fits"), &LowerOptions::default()).expect("lowers").bytes
    };
    assert!(bytes(&first) == bytes(&second));
}

#[test]
fn calibration_refuses_samples_it_may_not_see() {
    let Some((quantizer, data)) = quantizer("kws/ds_cnn_float.tflite") else { return };
    let test = Dataset::new(Split::Test, data.shape(), data.samples().clone(), data.labels().to_vec()).expect("fits");
    let error =
        Quantizer::new(quantizer.model().clone(), &test, RangeMethod::Mse).expect_err("is test data").to_string();
    assert!(error.contains("test samples"), "{error}");
}
