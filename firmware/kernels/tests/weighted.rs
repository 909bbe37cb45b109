//! Convolution, depthwise and fully connected against the oracle: every shape of the tables and random ones, every
//! combination of widths, uniform and extreme data, all alignments.

#[allow(dead_code)]
mod harness;
#[path = "harness/shapes.rs"]
mod shapes;

use bitrack_kernels::{Bits, ConvShape, FcShape, KernelError, Variant};
use harness::overlay::{Buffers, Place};
use harness::{Case, Fill, Op, Setting, all_widths, check, check_overlaid};
use proptest::prelude::*;
use shapes::conv;

/// Runs `op` at all widths and fills; alignments take turns.
fn check_all_widths(op: Op, seed: u64) {
    for (index, (w_bits, in_bits, out_bits)) in all_widths().enumerate() {
        for fill in [Fill::Uniform, Fill::Extreme] {
            let setting =
                Setting { variant: Variant::General, w_bits, in_bits, out_bits, fill, offset: index % 4, seed };
            if let Err(difference) = check(op, setting).and_then(|()| check_overlaid(op, setting)) {
                panic!("{difference}");
            }
        }
    }
}

#[test]
fn convolutions_of_the_table() {
    shapes::CONVS.iter().for_each(|shape| check_all_widths(Op::Conv(*shape), 1));
}

#[test]
fn depthwise_convolutions_of_the_table() {
    shapes::DEPTHWISE.iter().for_each(|shape| check_all_widths(Op::Depthwise(*shape), 2));
}

#[test]
fn fully_connected_layers_of_the_table() {
    shapes::FULLY_CONNECTED.iter().for_each(|shape| check_all_widths(Op::Fc(*shape), 3));
}

fn any_conv(max_c: u16) -> impl Strategy<Value = ConvShape> {
    let spatial = (1u16..9, 1u16..9, 1u16..6, 1u16..6, 1u16..4, 1u16..4);
    let pads = (0u16..5, 0u16..5, 0u16..5, 0u16..5);
    (spatial, pads, 1..=max_c, 1..=max_c).prop_map(|((h, w, kh, kw, sh, sw), pads, in_c, out_c)| {
        let pad = [pads.0 % kh, pads.1 % kw, pads.2 % kh, pads.3 % kw];
        let kernel = [kh.min(h + pad[0] + pad[2]), kw.min(w + pad[1] + pad[3])];
        let pad = [pad[0].min(kernel[0] - 1), pad[1].min(kernel[1] - 1), pad[2], pad[3]];
        let kernel = [kernel[0].min(h + pad[0] + pad[2]), kernel[1].min(w + pad[1] + pad[3])];
        conv([h, w, in_c], kernel, [sh, sw], pad, out_c)
    })
}

/// Maps that are long or wide, of which a side is often one, under kernels of which it often is too: several strips, one row, one column.
fn any_depthwise() -> impl Strategy<Value = ConvShape> {
    let side = |long: u16| prop_oneof![Just(1u16), 2u16..9, 9..long];
    let kernel = || prop_oneof![Just(1u16), 2u16..8];
    let strides = (1u16..5, 1u16..5);
    let pads = (0u16..7, 0u16..7, 0u16..7, 0u16..7);
    let axis = |size: u16, kernel: u16, first: u16, last: u16| {
        let (first, last) = (first % kernel, last % kernel);
        (kernel.min(size + first + last), [first.min(kernel.min(size + first + last) - 1), last])
    };
    ((side(64), side(64)), (kernel(), kernel()), strides, pads, 1u16..14).prop_map(
        move |(map, kernel, strides, pads, c)| {
            // One side only is long: an oracle takes its time.
            let (h, w) = if map.0 > 8 { (map.0, map.1.min(8)) } else { map };
            let (k_h, [top, bottom]) = axis(h, kernel.0, pads.0, pads.2);
            let (k_w, [left, right]) = axis(w, kernel.1, pads.1, pads.3);
            conv([h, w, c], [k_h, k_w], [strides.0, strides.1], [top, left, bottom, right], c)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn any_depthwise_convolution_of_a_long_map(shape in any_depthwise(), seed: u64) {
        prop_assume!(shape.validate().is_ok());
        check_all_widths(Op::Depthwise(shape), seed);
    }

    #[test]
    fn any_convolution(shape in any_conv(21), seed: u64) {
        prop_assume!(shape.validate().is_ok());
        check_all_widths(Op::Conv(shape), seed);
    }

    #[test]
    fn any_depthwise_convolution(shape in any_conv(21), seed: u64) {
        let shape = ConvShape { out_c: shape.in_c, ..shape };
        prop_assume!(shape.validate().is_ok());
        check_all_widths(Op::Depthwise(shape), seed);
    }

    #[test]
    fn any_fully_connected_layer(in_features in 1u32..600, out_features in 1u32..24, seed: u64) {
        check_all_widths(Op::Fc(FcShape { in_features, out_features }), seed);
    }
}

#[test]
fn the_harness_sees_swapped_nibbles() {
    let op = Op::Conv(conv([3, 3, 8], [3, 3], [1, 1], [1, 1, 1, 1], 8));
    let (w_bits, in_bits, out_bits) = (Bits::B4, Bits::B8, Bits::B8);
    let setting =
        Setting { variant: Variant::General, w_bits, in_bits, out_bits, fill: Fill::Uniform, offset: 0, seed: 7 };
    let mut case = Case::new(op, setting);
    case.weights.get_mut().iter_mut().for_each(|byte| *byte = byte.rotate_left(4));
    case.run();
    assert!(case.verify().is_err());
}

#[test]
fn the_harness_sees_a_byte_beyond_the_buffer() {
    let op = Op::Conv(conv([3, 3, 8], [1, 1], [1, 1], [0; 4], 8));
    let bits = Bits::B8;
    let setting = Setting {
        variant: Variant::General,
        w_bits: bits,
        in_bits: bits,
        out_bits: bits,
        fill: Fill::Uniform,
        offset: 0,
        seed: 7,
    };
    let mut case = Case::new(op, setting);
    case.run();
    assert_eq!(case.verify(), Ok(()));
    if let Buffers::Apart { output, .. } = &mut case.buffers {
        output.overrun();
    }
    assert!(case.verify().is_err());
}

/// Eight bytes closer than it may be: what an image would have to say to make a kernel overwrite what it still reads.
#[test]
fn closer_overlays_are_refused() {
    let same = conv([5, 5, 8], [3, 3], [1, 1], [1, 1, 1, 1], 8);
    let (w_bits, in_bits, out_bits) = (Bits::B8, Bits::B8, Bits::B8);
    let setting =
        Setting { variant: Variant::General, w_bits, in_bits, out_bits, fill: Fill::Uniform, offset: 0, seed: 7 };
    let mut refused = 0;
    for op in [Op::Conv(same), Op::Depthwise(same), Op::Fc(FcShape { in_features: 24, out_features: 8 })] {
        for place in Place::ALL {
            let Some(mut case) = Case::overlaid(op, setting, place) else { continue };
            assert_eq!(case.try_run(), Ok(()), "{op:?} {place:?}");
            let mut case = Case::overlaid(op, setting, place).expect("it was there before");
            if let Buffers::Overlaid { input, output, .. } = &mut case.buffers {
                let closer = if place == Place::Behind { output } else { input };
                *closer = closer.start - 8..closer.end - 8;
            }
            assert_eq!(case.try_run(), Err(KernelError::Overlap), "{op:?} {place:?}");
            refused += 1;
        }
    }
    assert_eq!(refused, 4);
}
