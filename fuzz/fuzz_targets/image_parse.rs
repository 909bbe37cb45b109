//! Any bytes are an image or an error. The checksums are put right first, so that the fuzzer reaches the checks behind.
#![no_main]

use bitrack_image::{HEADER_LEN, Image, crc32};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    if bytes.len() >= HEADER_LEN {
        let len = bytes.len() as u32;
        bytes[8..12].copy_from_slice(&len.to_le_bytes());
        let body = crc32(&bytes[HEADER_LEN..]);
        bytes[12..16].copy_from_slice(&body.to_le_bytes());
        let head = crc32(&bytes[..HEADER_LEN - 4]);
        bytes[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&head.to_le_bytes());
    }
    if let Ok(image) = Image::parse(&bytes) {
        for op in image.ops() {
            let _ = (image.weights(&op), image.channels(&op));
        }
        for index in 0..image.header().n_vectors {
            let _ = image.vector(index).and_then(|v| v.op_crc(0));
        }
    }
});
