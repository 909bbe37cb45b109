//! Any bytes are a network or an error with the operator's name.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = bitrack_model::tflite::parse(data, "fuzz");
});
