//! Random shapes, widths and data on this processor: the same ones every time.

use bitrack_kernels::{Bits, ConvShape, FcShape, Variant};

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
            let shape = if rng.below(2) == 0 { conv_shape(rng, 24) } else { long_shape(rng) };
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

/// A map that is long on one side and often one pixel on the other, under a kernel of up to 7x7.
fn long_shape(rng: &mut Rng) -> ConvShape {
    let mut draw = |low: u64, high: u64| (low + rng.below(high - low + 1)) as u16;
    let (long, short) = (draw(1, 60), if draw(0, 1) == 0 { 1 } else { draw(2, 8) });
    let [h, w] = if draw(0, 1) == 0 { [long, short] } else { [short, long] };
    let mut side = |size: u16| {
        let kernel = if draw(0, 3) == 0 { 1 } else { draw(1, 7) };
        let [first, last] = [draw(0, u64::from(kernel) - 1), draw(0, u64::from(kernel) - 1)];
        let kernel = kernel.min(size + first + last);
        (kernel, draw(1, 4), first.min(kernel - 1), last)
    };
    let [(k_h, stride_h, top, bottom), (k_w, stride_w, left, right)] = [side(h), side(w)];
    conv([h, w, draw(1, 13)], [k_h, k_w], [stride_h, stride_w], [top, left, bottom, right], 1)
}

fn setting(rng: &mut Rng) -> Setting {
    let mut bits = || Bits::ALL[rng.below(3) as usize];
    let [w_bits, in_bits, out_bits] = [bits(), bits(), bits()];
    let fill = if rng.below(2) == 0 { Fill::Uniform } else { Fill::Extreme };
    Setting { variant: Variant::General, w_bits, in_bits, out_bits, fill, offset: rng.below(4) as usize, seed: rng.next() }
}
