//! Files that are no model, or not quite: an error that names what is wrong, never a panic.

mod common;

use bitrack_model::tflite::parse;
use bitrack_model::{Error, FloatModel, Imported};
use proptest::prelude::*;

fn bytes(path: &str) -> Option<Vec<u8>> {
    common::data(path).map(|p| std::fs::read(p).expect("readable"))
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let at = bytes.windows(from.len()).position(|w| w == from).expect("the pattern is in the file");
    bytes[at..at + to.len()].copy_from_slice(to);
}

fn words(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[test]
fn a_dynamic_shape_names_the_operator() {
    let Some(mut file) = bytes("mlperf_tiny/ic_resnet8_float.tflite") else { return };
    // The signature of the first convolution's output.
    let signature = words(&[-1, 32, 32, 16]);
    replace(&mut file, &signature, &words(&[-1, -1, 32, 16]));
    let error = parse(&file, "x").expect_err("dynamic").to_string();
    assert!(error.contains("operator ") && error.contains("dynamic"), "{error}");
}

#[test]
fn a_batch_other_than_one_is_refused() {
    let Some(mut file) = bytes("kws/ds_cnn_float.tflite") else { return };
    replace(&mut file, &words(&[1, 49, 10, 1]), &words(&[2, 49, 10, 1]));
    let error = parse(&file, "x").expect_err("batch of 2").to_string();
    assert!(error.contains("batch 1"), "{error}");
}

#[test]
fn text_is_not_a_model() {
    assert!(matches!(parse(b"hello, this is no model at all", "x"), Err(Error::Model(_))));
    assert!(matches!(parse(b"", "x"), Err(Error::Model(_))));
    let missing = bitrack_model::import(std::path::Path::new("/no/such/file.tflite"));
    assert!(matches!(missing, Err(Error::Io { .. })));
}

#[test]
fn every_truncation_is_an_error() {
    let Some(file) = bytes("mlperf_tiny/kws_ds_cnn_int8.tflite") else { return };
    let whole = parse(&file, "x").expect("whole file");
    for len in (0..file.len()).step_by(97) {
        match parse(&file[..len], "x") {
            Err(_) => {}
            // Bytes after the last table may be missing; what is read must then be the same.
            Ok(model) => assert!(model == whole, "{len} bytes"),
        }
    }
}

#[test]
fn a_saved_network_is_read_back_and_damage_is_noticed() {
    let Some(file) = bytes("kws/ds_cnn_float.tflite") else { return };
    let Ok(Imported::Float(model)) = parse(&file, "kws") else { panic!("float model") };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("model.safetensors");
    model.save(&path).expect("written");
    let read = FloatModel::load(&path).expect("reads");
    assert!(read == model && read.id() == model.id());
    let mut bytes = std::fs::read(&path).expect("readable");
    for at in [0, 9, bytes.len() / 2, bytes.len() - 1] {
        bytes[at] ^= 0x10;
        std::fs::write(&path, &bytes).expect("written");
        assert!(matches!(FloatModel::load(&path), Err(Error::BadModelFile { .. })), "byte {at}");
        bytes[at] ^= 0x10;
    }
    std::fs::write(&path, &bytes[..bytes.len() - 7]).expect("written");
    assert!(FloatModel::load(&path).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_damage_makes_the_importer_panic(
        flips in prop::collection::vec((0.0f64..1.0, any::<u8>()), 1..40),
        which in 0usize..3,
    ) {
        let name = ["kws/ds_cnn_float.tflite", "mlperf_tiny/kws_ds_cnn_int8.tflite", "mlperf_tiny/ic_resnet8_int8.tflite"];
        let Some(mut file) = bytes(name[which]) else { return Ok(()) };
        let len = file.len();
        for (place, value) in flips {
            // Tables gather at both ends of the file: look there more often.
            let near_end = place * place * place;
            let at = if value & 1 == 0 { len - 1 - (near_end * (len - 1) as f64) as usize } else { (near_end * (len - 1) as f64) as usize };
            file[at] = value;
        }
        let _ = parse(&file, "x");
    }

    #[test]
    fn arbitrary_bytes_are_an_error(mut file in prop::collection::vec(any::<u8>(), 8..400)) {
        file[4..8].copy_from_slice(b"TFL3");
        prop_assert!(parse(&file, "x").is_err());
    }
}
