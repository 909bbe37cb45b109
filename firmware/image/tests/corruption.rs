//! An image is either exactly what the builder made or an error: never a panic, never half-checked.

use bitrack_image::builder::{ImageSpec, OpSpec, VectorSpec};
use bitrack_image::{HEADER_LEN, Image, ImageError, Op, OpKind, Reason, Tensor, crc32};
use proptest::prelude::*;

fn tensor(h: u16, w: u16, c: u16, bits: u8, arena_off: u32) -> Tensor {
    Tensor { h, w, c, bits, zero: 0, scale: 0.5, arena_off }
}

/// conv 4x4x3 -> 4x4x5 at 4 bits, reshape (repacking: 5 channels of 4 bits end mid-byte), fully connected to 10.
fn small() -> ImageSpec {
    let conv = Op {
        w_bits: 4,
        act_max: 15,
        k_h: 3,
        k_w: 3,
        pad_top: 1,
        pad_left: 1,
        scratch_off: 96,
        scratch_len: 64,
        ..Op::new(OpKind::Conv2d, 0, 1)
    };
    let reshape = Op { act_max: 15, ..Op::new(OpKind::Reshape, 1, 2) };
    let fc = Op { w_bits: 2, ..Op::new(OpKind::FullyConnected, 2, 3) };
    let none = OpSpec { op: reshape, weights: vec![], channels: vec![] };
    ImageSpec {
        tensors: vec![tensor(4, 4, 3, 8, 0), tensor(4, 4, 5, 4, 48), tensor(1, 1, 80, 4, 0), tensor(1, 1, 10, 8, 40)],
        ops: vec![
            OpSpec { op: conv, weights: vec![7; 70], channels: vec![(1, 2); 5] },
            none,
            OpSpec { op: fc, weights: vec![9; 200], channels: vec![(-3, 4); 10] },
        ],
        input: 0,
        output: 3,
        arena_len: 160,
        model_id: 0x1234_5678_9abc_def0,
        layout: 3,
        section_align_log2: 4,
        vectors: vec![VectorSpec { input: vec![1; 48], expected: vec![2; 10], op_crcs: vec![11, 22, 33] }],
    }
}

fn error(change: impl FnOnce(&mut ImageSpec)) -> ImageError {
    let mut spec = small();
    change(&mut spec);
    spec.build().expect_err("the planted defect must be refused")
}

#[test]
fn what_was_built_is_read_back() {
    let bytes = small().build().expect("valid");
    let image = Image::parse(&bytes).expect("valid");
    assert_eq!(image.header().model_id, 0x1234_5678_9abc_def0);
    assert_eq!(image.tensors().collect::<Vec<_>>(), small().tensors);
    let op = image.op(2).expect("three ops");
    assert_eq!(image.weights(&op), Some(&[9; 200][..]));
    assert_eq!(image.channels(&op).map(<[u8]>::len), Some(80));
    assert_eq!(op.section.off % 16, 0);
    let vector = image.vector(0).expect("one vector");
    assert_eq!((vector.input, vector.expected, vector.op_crc(2)), (&[1; 48][..], &[2; 10][..], Some(33)));
    assert!(image.vector(1).is_none());
}

#[test]
fn model_len_is_known_without_building() {
    let bytes = small().build().expect("valid");
    let header = Image::parse(&bytes).expect("valid").header();
    assert_eq!(ImageSpec::model_len(4, 4, &[(70, 5), (0, 0), (200, 10)]), header.model_len as usize);
}

#[test]
fn different_images_have_different_ids() {
    let id = |spec: &ImageSpec| Image::parse(&spec.build().expect("valid")).expect("valid").header().image_id();
    let other_weights = |at: usize| {
        let mut spec = small();
        spec.ops[0].weights[at] ^= 1;
        id(&spec)
    };
    let ids = [id(&small()), other_weights(0), other_weights(69), id(&ImageSpec { model_id: 1, ..small() })];
    assert_eq!(ids[0], id(&small()));
    let bytes = small().build().expect("valid");
    assert_eq!(Image::parse(&bytes).expect("valid").id(), ids[0], "the stored checksum is the id");
    assert!((1..ids.len()).all(|i| !ids[..i].contains(&ids[i])), "{ids:08x?}");
}

#[test]
fn an_image_may_lie_in_a_longer_slot() {
    let mut bytes = small().build().expect("valid");
    bytes.extend([0xFF; 1000]);
    assert!(Image::parse(&bytes).is_ok());
}

#[test]
fn a_blank_slot_says_so() {
    assert_eq!(Image::parse(&[0xFF; 4096]).map(|_| ()), Err(ImageError::BadMagic));
}

/// Tensor 3 is written over one that lives on.
fn outlived(spec: &mut ImageSpec) {
    spec.vectors.clear();
    (spec.output, spec.tensors[3].arena_off) = (1, spec.tensors[1].arena_off);
}

/// How much of it, a kernel knows.
#[test]
fn what_an_op_is_the_last_to_read_may_be_overwritten() {
    let mut spec = small();
    spec.tensors[1].arena_off = 20;
    (spec.ops[2].op.scratch_off, spec.ops[2].op.scratch_len) = (0, 40);
    assert!(spec.build().is_ok());
    (spec.ops[1].op.scratch_off, spec.ops[1].op.scratch_len) = (96, 8);
    assert!(spec.build().is_ok());
    spec.ops[2].op.scratch_len = 44;
    assert!(matches!(spec.build(), Err(ImageError::BadOp { index: 2, .. })), "over the output");
}

#[test]
fn defects_are_named() {
    assert!(matches!(error(|s| s.ops[0].op.w_bits = 3), ImageError::BadOp { index: 0, .. }));
    assert!(matches!(error(|s| s.tensors[1].bits = 5), ImageError::BadTensor { index: 1, .. }));
    assert!(matches!(error(|s| s.tensors[3].arena_off = 155), ImageError::BadTensor { index: 3, .. }));
    assert!(matches!(error(|s| s.ops[2].op.in0 = 9), ImageError::BadOp { index: 2, .. }));
    assert!(matches!(error(|s| s.ops[0].op.scratch_off = 40), ImageError::BadOp { index: 0, .. }));
    assert!(matches!(error(|s| s.ops[0].op.stride_h = 0), ImageError::BadOp { index: 0, .. }));
    assert!(matches!(error(|s| s.ops[0].op.pad_top = 3), ImageError::BadOp { index: 0, .. }));
    assert!(matches!(error(outlived), ImageError::Overlap { first: 1, second: 3 }));
    assert!(matches!(error(|s| s.ops.swap(0, 2)), ImageError::BadOp { index: 0, .. }));
    assert!(matches!(error(|s| s.ops[1].op.out = 1), ImageError::BadOp { index: 1, .. }));
    assert!(matches!(error(|s| s.vectors[0].input.truncate(3)), ImageError::BadHeader { field: Reason::VectorCount }));
}

proptest! {
    #[test]
    fn any_flipped_bit_is_refused(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = small().build().expect("valid");
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Image::parse(&bytes).is_err());
    }

    #[test]
    fn any_truncation_is_refused(at in any::<prop::sample::Index>()) {
        let bytes = small().build().expect("valid");
        prop_assert!(Image::parse(&bytes[..at.index(bytes.len())]).is_err());
    }

    /// Garbage that carries right checksums reaches the structural checks: they must hold on their own.
    #[test]
    fn resealed_garbage_never_panics(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut bytes = small().build().expect("valid");
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        reseal(&mut bytes);
        if let Ok(image) = Image::parse(&bytes) {
            for op in image.ops() {
                let _ = (image.weights(&op), image.channels(&op));
            }
        }
    }
}

fn reseal(bytes: &mut [u8]) {
    let body = crc32(&bytes[HEADER_LEN..]);
    bytes[12..16].copy_from_slice(&body.to_le_bytes());
    let head = crc32(&bytes[..HEADER_LEN - 4]);
    bytes[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&head.to_le_bytes());
}
