//! An image that every healthy board runs right: when a run fails, it decides between candidate and board.

use bitrack_image::builder::{ImageSpec, OpSpec, VectorSpec};
use bitrack_image::{Op, OpKind, Tensor, crc32};

/// Bytes of the canary's input and output.
const LEN: u16 = 64;

/// A network of one op that hands its input on: a maximum over windows of one value. Its expected output needs no kernel
/// to be known.
pub fn image() -> Vec<u8> {
    let tensor = |arena_off| Tensor { h: 1, w: 1, c: LEN, bits: 8, zero: 0, scale: 1.0, arena_off };
    let identity = [0, 1, 0, 0];
    let op = Op { params: identity, ..Op::new(OpKind::MaxPool, 0, 1) };
    let input: Vec<u8> = (0..LEN as u8).map(|i| i.wrapping_mul(37)).collect();
    let vector = VectorSpec { expected: input.clone(), op_crcs: vec![crc32(&input)], input };
    let spec = ImageSpec {
        tensors: vec![tensor(0), tensor(u32::from(LEN))],
        ops: vec![OpSpec { op, weights: Vec::new(), channels: Vec::new() }],
        input: 0,
        output: 1,
        arena_len: 2 * u32::from(LEN),
        model_id: 0,
        layout: 0,
        section_align_log2: 2,
        vectors: vec![vector],
    };
    spec.build().expect("the canary is a constant, and a test builds it")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_canary_is_a_valid_image_that_fits_every_board() {
        let bytes = super::image();
        let image = bitrack_image::Image::parse(&bytes).expect("valid");
        assert_eq!(image.vector(0).map(|v| v.input), image.vector(0).map(|v| v.expected));
        assert!(bytes.len() < 4096);
    }
}
