//! Images of the same network by other variants: the same outputs, other scratch, and every op names what it was told.

mod common;

use std::collections::HashMap;

use bitrack_model::{
    Bits, Dataset, Imported, LowerOptions, Policy, Quantizer, RangeMethod, Samples, Site, Split, Variant, Variants,
    evaluate, footprint, import, lower, variants,
};

/// A network with samples that look like nothing in particular.
fn network(path: &str) -> Option<(Quantizer, Dataset)> {
    let Imported::Float(model) = import(&common::data(path)?).expect("imports") else { panic!("is a float model") };
    let shape = model.graph().shape(model.graph().input);
    let values = (0..2 * shape.elements()).map(|i| ((i * 37 % 101) as f32 - 50.0) / 10.0).collect();
    let data = Dataset::new(Split::Train, shape, Samples::F32(values), vec![0; 2]).expect("fits");
    Some((Quantizer::new(model, &data, RangeMethod::MinMax).expect("fits"), data))
}

/// `variant` for every layer that has it, at every choice of bits.
fn all(quantizer: &Quantizer, variant: Variant) -> Variants {
    let graph = quantizer.model().graph();
    let mut told: HashMap<Site, Variant> = HashMap::new();
    for layer in 0..graph.layers.len() {
        for bits in
            Bits::ALL.into_iter().flat_map(|w| Bits::ALL.into_iter().flat_map(move |i| Bits::ALL.map(|o| [w, i, o])))
        {
            if Variants::of_layer(graph, layer, bits[1]).contains(&variant) {
                told.insert((layer, bits), variant);
            }
        }
    }
    Variants::told(told)
}

/// What an image names for each op, beside the op's left shift, which small maps do not bear.
fn named(image: &[u8]) -> Vec<(Variant, u8)> {
    let shifts: Vec<u8> = bitrack_image::Image::parse(image).expect("is valid").ops().map(|op| op.shift).collect();
    variants(image).expect("is valid").into_iter().zip(shifts).collect()
}

/// An image whose layers use `variant` where they have it, after it was held to what was asked for.
fn image_by(quantizer: &Quantizer, bits: Bits, variant: Variant) -> Vec<u8> {
    let (graph, told) = (quantizer.model().graph(), all(quantizer, variant));
    let policy = Policy::uniform(graph, bits, bits);
    let options = LowerOptions { variants: told.clone(), ..LowerOptions::default() };
    let image = lower(&quantizer.quantize(&policy).expect("fits"), &options).expect("lowers");
    let planned = footprint(graph, &policy, 2, &told).expect("fits");
    assert_eq!((planned.ram, planned.flash), (image.planned_peak, image.model_bytes), "{variant:?}");
    for (layer, (found, shift)) in named(&image.bytes).into_iter().enumerate() {
        let input = if layer == 0 { Bits::Eight } else { bits };
        let there = Variants::of_layer(graph, layer, input);
        let wanted = if there.contains(&variant) { variant } else { *there.last().expect("one at least") };
        let wanted = if wanted == Variant::Map && shift > 0 { Variant::Rows } else { wanted };
        assert_eq!(found, wanted, "layer {layer} of {variant:?}, shift {shift}");
    }
    image.bytes
}

#[test]
fn a_network_computes_the_same_by_every_variant() {
    for path in ["kws/ds_cnn_float.tflite", "mlperf_tiny/vww_mobilenet_v1_025_float.tflite"] {
        let Some((quantizer, data)) = network(path) else { return };
        for bits in [Bits::Eight, Bits::Four] {
            let images = Variant::ALL.map(|variant| image_by(&quantizer, bits, variant));
            let outputs = images.each_ref().map(|image| evaluate(image, &data).expect("runs").outputs);
            assert!(outputs.iter().all(|other| *other == outputs[0]), "{path} at {bits:?}");
            assert_ne!(named(&images[0]), named(&images[3]), "{path} at {bits:?}");
        }
    }
}

#[test]
fn an_image_names_what_is_usual() {
    let Some((quantizer, _)) = network("kws/ds_cnn_float.tflite") else { return };
    let policy = Policy::uniform(quantizer.model().graph(), Bits::Eight, Bits::Eight);
    let image = lower(&quantizer.quantize(&policy).expect("fits"), &LowerOptions::default()).expect("lowers");
    let names: Vec<&str> = named(&image.bytes).into_iter().map(|(variant, _)| variant.name()).collect();
    let pair = ["map", "pixels"];
    let body = [pair, pair, pair, pair].concat();
    assert_eq!(names, [&["general"], body.as_slice(), &["general"; 3]].concat());
}
