//! Whatever passes every check may run: no image with right checksums makes a kernel panic or leave its buffers.
#![no_main]

use bitrack_engine::Engine;
use bitrack_image::{HEADER_LEN, crc32};
use libfuzzer_sys::fuzz_target;

const ARENA: usize = 64 * 1024;

fuzz_target!(|data: &[u8]| {
    if data.len() < HEADER_LEN {
        return;
    }
    let mut words = vec![0u32; data.len().div_ceil(4)];
    // SAFETY: the words own at least data.len() bytes, every bit pattern of which is a valid u8, and nothing else
    // borrows them while the view lives.
    let bytes = unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u8>(), data.len()) };
    bytes.copy_from_slice(data);
    reseal(bytes);
    let mut arena = vec![0u64; ARENA / 8];
    // SAFETY: as above.
    let arena = unsafe { core::slice::from_raw_parts_mut(arena.as_mut_ptr().cast::<u8>(), ARENA) };
    if let Ok(engine) = Engine::load(bytes, ARENA) {
        let input = vec![0x5A; engine.input().bytes()];
        let _ = engine.run(arena, &input, &mut ());
    }
});

/// Puts length and checksums right, so that the fuzzer reaches what lies behind them.
fn reseal(bytes: &mut [u8]) {
    let len = bytes.len() as u32;
    bytes[8..12].copy_from_slice(&len.to_le_bytes());
    let body = crc32(&bytes[HEADER_LEN..]);
    bytes[12..16].copy_from_slice(&body.to_le_bytes());
    let head = crc32(&bytes[..HEADER_LEN - 4]);
    bytes[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&head.to_le_bytes());
}
