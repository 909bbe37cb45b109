//! Random shapes, widths and data on this processor: the same ones every time.

use bitrack_kernels::{Bits, ConvShape, FcShape};

use crate::harness::{Fill, Op, Rng, Setting};
use crate::shapes::conv;

/// An operator with a shape and a setting.
pub fn case(rng: &mut Rng) -> (Op, Setting) {
    loop {
        let op = op(rng);
        let valid = match op {
            Op::Conv(shape) | Op::Depthwise(shape) => shape.validate().is_ok(),
            Op::Fc(_) => true,
        };
        if valid {
            return (op, setting(rng));
        }
    }
}

fn op(rng: &mut Rng) -> Op {
    match rng.below(4) {
        0 => Op::Fc(FcShape { in_features: 1 + rng.below(600) as u32, out_features: 1 + rng.below(24) as u32 }),
        1 => {
            let shape = conv_shape(rng, 24);
            Op::Depthwise(ConvShape { out_c: shape.in_c, ..shape })
        }
        2 => Op::Conv(conv_shape(rng, 12)),
        // Sums of several blocks.
        _ => Op::Conv(conv_shape(rng, 72)),
    }
}

fn conv_shape(rng: &mut Rng, max_c: u64) -> ConvShape {
    let mut draw = |low: u64, high: u64| (low + rng.below(high - low + 1)) as u16;
    let [h, w] = [draw(1, 7), draw(1, 7)];
    let [mut k_h, mut k_w] = [draw(1, 4), draw(1, 4)];
    let pad = [draw(0, k_h.into()), draw(0, k_w.into()), draw(0, k_h.into()), draw(0, k_w.into())];
    let pad = [pad[0].min(k_h - 1), pad[1].min(k_w - 1), pad[2].min(k_h - 1), pad[3].min(k_w - 1)];
    k_h = k_h.min(h + pad[0] + pad[2]);
    k_w = k_w.min(w + pad[1] + pad[3]);
    conv([h, w, draw(1, max_c)], [k_h, k_w], [draw(1, 3), draw(1, 3)], pad, draw(1, 13))
}

fn setting(rng: &mut Rng) -> Setting {
    let mut bits = || Bits::ALL[rng.below(3) as usize];
    let [w_bits, in_bits, out_bits] = [bits(), bits(), bits()];
    let fill = if rng.below(2) == 0 { Fill::Uniform } else { Fill::Extreme };
    Setting { w_bits, in_bits, out_bits, fill, offset: rng.below(4) as usize, seed: rng.next() }
}
