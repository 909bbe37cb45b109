//! Pooling, addition, reshape and softmax against the oracle at every combination of widths.

#[allow(dead_code)]
mod harness;

use bitrack_kernels::{Bits, KernelError, PoolShape, ShapeError, pool, softmax};
use harness::plain::{check_add, check_average, check_max, check_reshape, check_softmax, uncounted};
use proptest::prelude::*;

fn pairs() -> impl Iterator<Item = (Bits, Bits)> {
    Bits::ALL.into_iter().flat_map(|i| Bits::ALL.map(|o| (i, o)))
}

fn any_pool() -> impl Strategy<Value = PoolShape> {
    (1u16..10, 1u16..10, 1u16..14, 1u16..10, 1u16..10, 1u16..4, 1u16..4, any::<[u8; 4]>()).prop_map(
        |(h, w, channels, k_h, k_w, stride_h, stride_w, pads)| {
            let pad = |i: usize, k: u16| u16::from(pads[i]) % k;
            let (k_h, k_w) = (k_h.min(h), k_w.min(w));
            let (pad_top, pad_left) = (pad(0, k_h), pad(1, k_w));
            PoolShape {
                in_h: h,
                in_w: w,
                channels,
                out_h: (h + pad_top + pad(2, k_h) - k_h) / stride_h + 1,
                out_w: (w + pad_left + pad(3, k_w) - k_w) / stride_w + 1,
                k_h,
                k_w,
                stride_h,
                stride_w,
                pad_top,
                pad_left,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn any_pooling(shape in any_pool(), seed: u64) {
        prop_assume!(shape.validate().is_ok());
        for (in_bits, out_bits) in pairs() {
            prop_assert_eq!(check_average(shape, in_bits, out_bits, seed, &mut uncounted), Ok(()));
            prop_assert_eq!(check_max(shape, in_bits, out_bits, seed, &mut uncounted), Ok(()));
        }
    }

    #[test]
    fn any_addition(pixels in 1u32..20, channels in 1u16..20, seed: u64) {
        for (bits1, bits2) in pairs() {
            for out_bits in Bits::ALL {
                prop_assert_eq!(check_add(pixels, channels, [bits1, bits2, out_bits], seed, &mut uncounted), Ok(()));
            }
        }
    }

    #[test]
    fn any_reshape(pixels in 1u32..9, factor in 1u32..9, c in 1u32..9, seed: u64) {
        for bits in Bits::ALL {
            prop_assert_eq!(check_reshape([pixels * factor, c], [pixels, factor * c], bits, seed, &mut uncounted), Ok(()));
            prop_assert_eq!(check_reshape([pixels, factor * c], [pixels * factor, c], bits, seed, &mut uncounted), Ok(()));
        }
    }

    #[test]
    fn any_softmax(n in 1usize..128, seed: u64) {
        for bits in Bits::ALL {
            prop_assert_eq!(check_softmax(n, bits, seed, &mut uncounted), Ok(()));
        }
    }
}

#[test]
fn a_long_row_is_summed_in_parts() {
    let shape = PoolShape {
        in_h: 2,
        in_w: 700,
        channels: 5,
        out_h: 1,
        out_w: 1,
        k_h: 2,
        k_w: 700,
        stride_h: 1,
        stride_w: 1,
        pad_top: 0,
        pad_left: 0,
    };
    assert_eq!(check_average(shape, Bits::B8, Bits::B8, 5, &mut uncounted), Ok(()));
    let huge = PoolShape { in_h: 60_000, k_h: 60_000, in_w: 2, k_w: 2, ..shape };
    let input = vec![0; huge.input_bytes(Bits::B8)];
    let rescale = bitrack_kernels::Rescale { mult: 1, requant: bitrack_kernels::Requant::full_range(0, 0, Bits::B8) };
    let bits = Bits::B8;
    let mut output = [0; 5];
    let args = pool::AverageArgs {
        shape: huge,
        in_bits: bits,
        out_bits: bits,
        in_zero: 0,
        rescale,
        input: (&input[..]).into(),
        output: (&mut output[..]).into(),
    };
    assert_eq!(pool::average(args), Err(KernelError::Shape(ShapeError::TooLarge)));
}

#[test]
fn softmax_refuses_tables_that_overflow() {
    let mut output = [0; 2];
    let mut table = [1u32; 4];
    assert_eq!(softmax::run(&[0b01], Bits::B2, 2, &table, &mut output), Ok(()));
    table[3] = softmax::MAX_ENTRY + 1;
    assert!(softmax::run(&[0b01], Bits::B2, 2, &table, &mut output).is_err());
    table = [0; 4];
    assert!(softmax::run(&[0b01], Bits::B2, 2, &table, &mut output).is_err());
    assert!(softmax::run(&[0b01], Bits::B2, 2, &table[..3], &mut output).is_err());
}
