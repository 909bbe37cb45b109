//! Any bytes on the line are frames or errors, from both ends, and a good frame after them is still understood.
#![no_main]

use bitrack_wire::{Decoder, MAX_FRAME, Request, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut decoder = Decoder::new();
    for &byte in data {
        if let Some(Ok(frame)) = decoder.feed(byte) {
            let _ = (frame.request(), frame.response());
        }
    }
    let mut buf = [0; MAX_FRAME];
    let good = encode(&Request::Hello, 7, &mut buf).expect("a request fits its buffer");
    let understood = good.iter().any(|&byte| matches!(decoder.feed(byte), Some(Ok(frame)) if frame.request().is_ok()));
    assert!(understood, "garbage before a frame must not cost the frame");
});
