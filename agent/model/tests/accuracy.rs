//! Keyword spotting without training: what the integers lose, at every uniform policy.

mod common;

use std::time::Instant;

use bitrack_model::{
    Bits, Calibration, Dataset, FloatModel, Imported, LowerOptions, Policy, Quantizer, RangeMethod, Split, equalize,
    evaluate, footprint, import, lower,
};

fn keyword_spotting() -> Option<(FloatModel, Dataset, Dataset)> {
    let [model, train, eval] = ["kws/ds_cnn_float.tflite", "kws/train.npz", "kws/eval.npz"].map(common::data);
    let Imported::Float(model) = import(&model?).expect("imports") else { panic!("is a float model") };
    let train = Dataset::npz(&train?, Split::Train).expect("reads");
    let eval = Dataset::npz(&eval?, Split::Test).expect("reads");
    Some((model, train, eval))
}

#[test]
fn post_training_accuracy_of_uniform_policies() {
    let Some((model, train, eval)) = keyword_spotting() else { return };
    let samples = train.first(512);
    let start = Instant::now();
    let model = equalize(&model, &samples).expect("fits");
    let calibration = Calibration::collect(&model, &samples, RangeMethod::Mse).expect("fits");
    eprintln!("calibration of {} samples: {:?}", samples.len(), start.elapsed());
    let quantizer = Quantizer::new(model.clone(), calibration);
    use Bits::{Eight, Four, Two};
    for (weights, activations) in
        [(Eight, Eight), (Four, Eight), (Eight, Four), (Four, Four), (Two, Eight), (Two, Four), (Two, Two)]
    {
        let policy = Policy::uniform(model.graph(), weights, activations);
        let start = Instant::now();
        let quantized = quantizer.quantize(&policy).expect("fits");
        let quantize = start.elapsed();
        let image = lower(&quantized, &LowerOptions::default()).expect("lowers");
        let lowered = start.elapsed() - quantize;
        let start = Instant::now();
        let evaluation = evaluate(&image.bytes, &eval).expect("runs");
        let time = start.elapsed();
        let size = footprint(model.graph(), &policy, 2).expect("fits");
        eprintln!(
            "{weights}/{activations}: {:.1} % flash {} ram {} quantize {quantize:?} lower {lowered:?} evaluate {time:?}",
            100.0 * evaluation.top1,
            image.model_bytes,
            image.planned_peak
        );
        assert_eq!((size.flash, size.ram), (image.model_bytes, image.planned_peak));
    }
}
