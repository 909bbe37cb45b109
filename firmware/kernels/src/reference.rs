//! The oracle: every operator as plain loops over unpacked values.
//!
//! One `u8` per activation in HWC order, one `i8` per weight, `i64` arithmetic, no packing, no shared code with the
//! kernels but the shapes and constants. It is written to be read beside the formulas, not to be fast.

use crate::{Channel, ConvShape, FcShape, PoolShape, Requant, Rescale};

/// `clamp(act_min, act_max, out_zero + round_half_up(acc * 2^shift * mult / 2^32))`.
pub fn requantize(acc: i64, mult: i32, requant: Requant) -> u8 {
    let product = (acc << requant.shift) * i64::from(mult);
    clamp((product + (1 << 31)).div_euclid(1 << 32) + i64::from(requant.out_zero), requant)
}

/// Convolution; weights `[out_c][k_h][k_w][in_c]`, `output` one value per output.
pub fn conv2d(
    shape: &ConvShape,
    in_zero: u8,
    input: &[u8],
    weights: &[i8],
    channels: &[Channel],
    requant: Requant,
    output: &mut [u8],
) {
    let (in_c, out_c) = (usize::from(shape.in_c), usize::from(shape.out_c));
    for_each_pixel(shape.out_h, shape.out_w, |y, x, pixel| {
        for c in 0..out_c {
            let mut acc = i64::from(channels[c].bias);
            for_each_tap(shape, y, x, |tap, source| {
                for i in 0..in_c {
                    let value = source.map_or(in_zero, |pixel| input[pixel * in_c + i]);
                    let weight = weights[(c * taps(shape) + tap) * in_c + i];
                    acc += i64::from(value) * i64::from(weight);
                }
            });
            output[pixel * out_c + c] = requantize(acc, channels[c].mult, requant);
        }
    });
}

/// Depthwise convolution; weights `[k_h][k_w][c]`.
pub fn depthwise(
    shape: &ConvShape,
    in_zero: u8,
    input: &[u8],
    weights: &[i8],
    channels: &[Channel],
    requant: Requant,
    output: &mut [u8],
) {
    let count = usize::from(shape.in_c);
    for_each_pixel(shape.out_h, shape.out_w, |y, x, pixel| {
        for c in 0..count {
            let mut acc = i64::from(channels[c].bias);
            for_each_tap(shape, y, x, |tap, source| {
                let value = source.map_or(in_zero, |pixel| input[pixel * count + c]);
                acc += i64::from(value) * i64::from(weights[tap * count + c]);
            });
            output[pixel * count + c] = requantize(acc, channels[c].mult, requant);
        }
    });
}

/// Fully connected layer; weights `[out_features][in_features]`.
pub fn fully_connected(
    shape: &FcShape,
    input: &[u8],
    weights: &[i8],
    channels: &[Channel],
    requant: Requant,
    output: &mut [u8],
) {
    let n = shape.in_features as usize;
    for c in 0..shape.out_features as usize {
        let mut acc = i64::from(channels[c].bias);
        for i in 0..n {
            acc += i64::from(input[i]) * i64::from(weights[c * n + i]);
        }
        output[c] = requantize(acc, channels[c].mult, requant);
    }
}

/// Average pooling, padding excluded.
pub fn average_pool(shape: &PoolShape, in_zero: u8, input: &[u8], rescale: Rescale, output: &mut [u8]) {
    let full = i64::from(shape.k_h) * i64::from(shape.k_w);
    for_each_pooled(shape, input, output, |window| {
        let (mut count, mut sum) = (0i64, 0i64);
        window(&mut |x| {
            count += 1;
            sum += i64::from(x) - i64::from(in_zero);
        });
        let mult = i64::from(rescale.mult) * full / count;
        let product = i128::from(sum << rescale.requant.shift) * i128::from(mult);
        let scaled = (product + (1 << 31)).div_euclid(1 << 32) as i64;
        clamp(scaled + i64::from(rescale.requant.out_zero), rescale.requant)
    });
}

/// Max pooling, padding excluded.
pub fn max_pool(shape: &PoolShape, in_zero: u8, input: &[u8], rescale: Option<Rescale>, output: &mut [u8]) {
    for_each_pooled(shape, input, output, |window| {
        let mut max = 0;
        window(&mut |x| max = max.max(x));
        let acc = i64::from(max) - i64::from(in_zero);
        rescale.map_or(max, |r| requantize(acc, r.mult, r.requant))
    });
}

/// `clamp(act_min, act_max, (x1 * mult1 + x2 * mult2 + bias) >> shift)` for every element.
pub fn add(inputs: [&[u8]; 2], mults: [i32; 2], bias: i32, shift: u8, range: (u8, u8), output: &mut [u8]) {
    for (i, y) in output.iter_mut().enumerate() {
        let products = [0, 1].map(|k| i64::from(inputs[k][i]) * i64::from(mults[k]));
        let sum = (products[0] + products[1] + i64::from(bias)).div_euclid(1 << shift);
        *y = sum.clamp(i64::from(range.0), i64::from(range.1)) as u8;
    }
}

/// `min(255, round_half_up(256 * table[max - x] / sum))` for every class.
pub fn softmax(input: &[u8], table: &[u32], output: &mut [u8]) {
    let max = input.iter().copied().max().unwrap_or(0);
    let entry = |x: u8| u64::from(table[usize::from(max - x)]);
    let sum: u64 = input.iter().map(|&x| entry(x)).sum();
    for (y, &x) in output.iter_mut().zip(input) {
        *y = ((2 * 256 * entry(x) + sum) / (2 * sum)).min(255) as u8;
    }
}

fn clamp(y: i64, requant: Requant) -> u8 {
    y.clamp(i64::from(requant.act_min), i64::from(requant.act_max)) as u8
}

fn taps(shape: &ConvShape) -> usize {
    usize::from(shape.k_h) * usize::from(shape.k_w)
}

/// Visits every output pixel as `(row, column, index)`.
fn for_each_pixel(h: u16, w: u16, mut visit: impl FnMut(i64, i64, usize)) {
    for y in 0..i64::from(h) {
        for x in 0..i64::from(w) {
            visit(y, x, (y * i64::from(w) + x) as usize);
        }
    }
}

/// Visits every tap of the window at output `(y, x)` with the input pixel under it, `None` in the padding.
fn for_each_tap(shape: &ConvShape, y: i64, x: i64, mut visit: impl FnMut(usize, Option<usize>)) {
    let (h, w) = (i64::from(shape.in_h), i64::from(shape.in_w));
    for ky in 0..i64::from(shape.k_h) {
        for kx in 0..i64::from(shape.k_w) {
            let iy = y * i64::from(shape.stride_h) + ky - i64::from(shape.pad_top);
            let ix = x * i64::from(shape.stride_w) + kx - i64::from(shape.pad_left);
            let inside = (0..h).contains(&iy) && (0..w).contains(&ix);
            let tap = (ky * i64::from(shape.k_w) + kx) as usize;
            visit(tap, inside.then_some((iy * w + ix) as usize));
        }
    }
}

/// Calls `value` for every output with a visitor of the input values under its window.
fn for_each_pooled(
    shape: &PoolShape,
    input: &[u8],
    output: &mut [u8],
    value: impl Fn(&dyn Fn(&mut dyn FnMut(u8))) -> u8,
) {
    let channels = usize::from(shape.channels);
    let window = window_of(shape);
    for_each_pixel(shape.out_h, shape.out_w, |y, x, pixel| {
        for c in 0..channels {
            output[pixel * channels + c] = value(&|visit| {
                for_each_tap(&window, y, x, |_, source| {
                    if let Some(source) = source {
                        visit(input[source * channels + c]);
                    }
                });
            });
        }
    });
}

/// The sliding window of a pool, as a convolution walks it.
fn window_of(shape: &PoolShape) -> ConvShape {
    ConvShape {
        in_h: shape.in_h,
        in_w: shape.in_w,
        in_c: shape.channels,
        out_h: shape.out_h,
        out_w: shape.out_w,
        out_c: shape.channels,
        k_h: shape.k_h,
        k_w: shape.k_w,
        stride_h: shape.stride_h,
        stride_w: shape.stride_w,
        pad_top: shape.pad_top,
        pad_left: shape.pad_left,
    }
}
