//! Depthwise convolution with channel multiplier 1.

use crate::ConvArgs;
use crate::error::check_len;
use crate::matmul::layout::check_range;
use crate::requant::requantize;
use crate::{Bits, ConvShape, KernelError, activations};

/// Bytes of the packed weights, a multiple of 4.
pub const fn weights_len(shape: &ConvShape, w_bits: Bits) -> usize {
    let taps = shape.k_h as usize * shape.k_w as usize;
    taps * activations::pixel_bytes(shape.in_c as usize, w_bits).next_multiple_of(4)
}

/// Bytes of scratch, a multiple of 4.
pub const fn scratch_len(_shape: &ConvShape, _w_bits: Bits, _in_bits: Bits, _out_bits: Bits) -> usize {
    0
}

/// Packs weights given as `[k_h][k_w][c]`, each within the range of `w_bits`.
pub fn pack(shape: &ConvShape, w_bits: Bits, plain: &[i8], out: &mut [u8]) -> Result<(), KernelError> {
    shape.validate_depthwise()?;
    check_len("plain weights", plain.len(), shape.k_len())?;
    check_len("weights", out.len(), weights_len(shape, w_bits))?;
    pack_rows(w_bits, plain, usize::from(shape.in_c), out)
}

/// Runs the depthwise convolution.
pub fn run(args: ConvArgs<'_>) -> Result<(), KernelError> {
    let ConvArgs { shape, in_bits, w_bits, out_bits, .. } = args;
    shape.validate_depthwise()?;
    let scratch_bytes = scratch_len(&shape, w_bits, in_bits, out_bits);
    args.validate(weights_len(&shape, w_bits), scratch_bytes)?;
    let c = usize::from(shape.in_c);
    let in_stride = activations::pixel_bytes(c, in_bits);
    let tap_stride = activations::pixel_bytes(c, w_bits).next_multiple_of(4);
    let sign = i32::from(w_bits.min_weight());
    let out_stride = activations::pixel_bytes(c, out_bits);
    for (index, pixel) in args.output.chunks_exact_mut(out_stride).enumerate() {
        let (row, column) = (index / usize::from(shape.out_w), index % usize::from(shape.out_w));
        pixel.fill(0);
        for (c, channel) in args.channels.iter().enumerate() {
            let mut acc = channel.bias;
            for (tap, weights) in args.weights.chunks_exact(tap_stride).enumerate() {
                let (ky, kx) = (tap / usize::from(shape.k_w), tap % usize::from(shape.k_w));
                let y = (row * usize::from(shape.stride_h) + ky).wrapping_sub(usize::from(shape.pad_top));
                let x = (column * usize::from(shape.stride_w) + kx).wrapping_sub(usize::from(shape.pad_left));
                let inside = y < usize::from(shape.in_h) && x < usize::from(shape.in_w);
                let value = if inside {
                    let at = (y * usize::from(shape.in_w) + x) * in_stride;
                    activations::get(&args.input[at..at + in_stride], c, in_bits)
                } else {
                    args.in_zero
                };
                let code = i32::from(activations::get(weights, c, w_bits));
                acc = acc.wrapping_add(((code ^ -sign) + sign) * i32::from(value));
            }
            activations::or(pixel, c, out_bits, requantize(acc, channel.mult, args.requant));
        }
    }
    Ok(())
}

fn pack_rows(w_bits: Bits, plain: &[i8], row: usize, out: &mut [u8]) -> Result<(), KernelError> {
    check_range(plain, w_bits)?;
    out.fill(0);
    let stride = activations::pixel_bytes(row, w_bits).next_multiple_of(4);
    for (values, packed) in plain.chunks_exact(row).zip(out.chunks_exact_mut(stride)) {
        for (i, &w) in values.iter().enumerate() {
            activations::or(packed, i, w_bits, w as u8 & w_bits.max_activation());
        }
    }
    Ok(())
}
