//! The weight layouts, held still: a change of what `pack` writes must raise `LAYOUT`.

#[allow(dead_code)]
mod harness;
#[path = "harness/shapes.rs"]
mod shapes;

use bitrack_kernels::{Bits, LAYOUT};
use harness::{Op, Rng};

/// FNV-1a over the packed weights of every shape of the tables at every combination of widths.
fn digest() -> u64 {
    let convs = shapes::CONVS.iter().map(|shape| Op::Conv(*shape));
    let depthwise = shapes::DEPTHWISE.iter().map(|shape| Op::Depthwise(*shape));
    let connected = shapes::FULLY_CONNECTED.iter().map(|shape| Op::Fc(*shape));
    let mut hash = 0xCBF2_9CE4_8422_2325u64;
    for op in convs.chain(depthwise).chain(connected) {
        for w_bits in Bits::ALL {
            let mut rng = Rng(1);
            let levels = 1 << w_bits.get();
            let plain: Vec<i8> = (0..op.weight_count())
                .map(|_| (rng.below(levels) as i16 + i16::from(w_bits.min_weight())) as i8)
                .collect();
            for in_bits in Bits::ALL {
                let mut packed = vec![0; op.weights_len(w_bits)];
                op.pack(w_bits, in_bits, &plain, &mut packed);
                for byte in packed {
                    hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
                }
            }
        }
    }
    hash
}

#[test]
fn layouts_change_with_their_revision() {
    assert_eq!((LAYOUT, digest()), (7, 7024284349208173885), "raise LAYOUT and write the new digest here");
}
