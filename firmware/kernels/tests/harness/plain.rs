//! Operators without weights: one case each, like `harness::check`.

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bitrack_kernels::add::AddArgs;
use bitrack_kernels::pool::{AverageArgs, MaxArgs};
use bitrack_kernels::reshape::ReshapeArgs;
use bitrack_kernels::{Arena, Bits, Input, Output, Overlay, PoolShape, Requant, Rescale};
use bitrack_kernels::{activations, add, pool, reference, reshape, softmax};

use super::{Guarded, Rng, overlay};

/// Calls the kernel, and counts it if it likes.
pub type Around<'a> = &'a mut dyn FnMut(&mut dyn FnMut());

/// Only calls the kernel.
pub fn uncounted(kernel: &mut dyn FnMut()) {
    kernel();
}

/// A random tensor, plain and packed.
struct Tensor {
    plain: Vec<u8>,
    packed: Guarded,
}

fn tensor(pixels: usize, channels: usize, bits: Bits, offset: usize, rng: &mut Rng) -> Tensor {
    let max = u64::from(bits.max_activation());
    let plain: Vec<u8> = (0..pixels * channels).map(|_| rng.below(max + 1) as u8).collect();
    let mut packed = Guarded::new(pixels * activations::pixel_bytes(channels, bits), offset);
    activations::pack(&plain, channels, bits, packed.get_mut()).expect("sizes agree");
    Tensor { plain, packed }
}

/// Compares a packed output with the oracle's plain one.
fn verdict(name: &str, output: &Guarded, plain: &[u8], channels: usize, bits: Bits) -> Result<(), String> {
    output.check(name)?;
    let mut packed = vec![0; output.get().len()];
    activations::pack(plain, channels, bits, &mut packed).expect("sizes agree");
    match packed.iter().zip(output.get()).position(|(want, got)| want != got) {
        None => Ok(()),
        Some(at) => Err(format!("{name}: byte {at}: {:#04x}, oracle {:#04x}", output.get()[at], packed[at])),
    }
}

/// Runs a kernel again with its output over a copy of its input, as far as it bears that.
fn check_overlaid(
    name: &str,
    bears: Overlay,
    packed: &[u8],
    expected: (&[u8], usize, Bits),
    kernel: &mut dyn FnMut(Input<'_>, Output<'_>),
) -> Result<(), String> {
    let (plain, channels, bits) = expected;
    let out_len = plain.len() / channels * activations::pixel_bytes(channels, bits);
    let lengths = [packed.len(), out_len];
    let (input, over) = overlay::parts(bears, lengths, false).expect("every kernel goes from front to back");
    let mut arena = Guarded::new(input.end.max(over.end), packed.len() % 4);
    arena.get_mut()[input.clone()].copy_from_slice(packed);
    let parts = Arena::new(arena.get_mut());
    let (source, target) = parts.input(&input).zip(parts.output(&over)).expect("both are parts");
    kernel(source, target);
    arena.check(name)?;
    let mut output = Guarded::new(out_len, 0);
    output.get_mut().copy_from_slice(&arena.get()[over]);
    verdict(name, &output, plain, channels, bits)
}

fn random_requant(bits: Bits, rng: &mut Rng) -> Requant {
    let max = u64::from(bits.max_activation());
    let act_min = rng.below(max + 1);
    let act_max = act_min + rng.below(max - act_min + 1);
    let out_zero = rng.below(max + 1) as u8;
    match rng.below(2) {
        0 => Requant::full_range(rng.below(3) as u8, out_zero, bits),
        _ => Requant { shift: rng.below(3) as u8, out_zero, act_min: act_min as u8, act_max: act_max as u8 },
    }
}

/// A multiplier that spreads `in_max` values over the output.
fn random_mult(in_bits: Bits, out_bits: Bits, shift: u8, rng: &mut Rng) -> i32 {
    let scale = f64::from(out_bits.max_activation()) / f64::from(in_bits.max_activation());
    let scale = (scale * (0.2 + rng.below(1000) as f64 / 700.0)).min(0.49 * f64::from(1u32 << shift));
    (scale * 4_294_967_296.0 / f64::from(1u32 << shift)) as i32
}

pub fn check_average(
    shape: PoolShape,
    in_bits: Bits,
    out_bits: Bits,
    seed: u64,
    around: Around<'_>,
) -> Result<(), String> {
    let mut rng = Rng(seed);
    let channels = usize::from(shape.channels);
    let input =
        tensor(usize::from(shape.in_h) * usize::from(shape.in_w), channels, in_bits, seed as usize % 4, &mut rng);
    let requant = random_requant(out_bits, &mut rng);
    let window = i32::from(shape.k_h) * i32::from(shape.k_w);
    let rescale = Rescale { mult: random_mult(in_bits, out_bits, requant.shift, &mut rng) / window, requant };
    let in_zero = rng.below(u64::from(in_bits.max_activation()) + 1) as u8;
    let mut output = Guarded::new(shape.output_bytes(out_bits), (seed as usize + 1) % 4);
    let mut plain = vec![0; usize::from(shape.out_h) * usize::from(shape.out_w) * channels];
    reference::average_pool(&shape, in_zero, &input.plain, rescale, &mut plain);
    let run = |input: Input<'_>, output: Output<'_>| {
        pool::average(AverageArgs { shape, in_bits, out_bits, in_zero, rescale, input, output })
            .expect("the case is well-formed");
    };
    let (source, target) = (input.packed.get(), output.get_mut());
    around(&mut || run(source.into(), (&mut *target).into()));
    verdict("average pool", &output, &plain, channels, out_bits)?;
    let bears = pool::overlay(&shape, in_bits, out_bits);
    check_overlaid("overlaid average pool", bears, source, (&plain, channels, out_bits), &mut |from, to| run(from, to))
}

pub fn check_max(shape: PoolShape, in_bits: Bits, out_bits: Bits, seed: u64, around: Around<'_>) -> Result<(), String> {
    let mut rng = Rng(seed);
    let channels = usize::from(shape.channels);
    let input =
        tensor(usize::from(shape.in_h) * usize::from(shape.in_w), channels, in_bits, seed as usize % 4, &mut rng);
    let requant = random_requant(out_bits, &mut rng);
    let rescale = Rescale { mult: random_mult(in_bits, out_bits, requant.shift, &mut rng), requant };
    let rescale = (in_bits != out_bits || rng.below(2) == 0).then_some(rescale);
    let in_zero = rng.below(u64::from(in_bits.max_activation()) + 1) as u8;
    let mut output = Guarded::new(shape.output_bytes(out_bits), (seed as usize + 1) % 4);
    let mut plain = vec![0; usize::from(shape.out_h) * usize::from(shape.out_w) * channels];
    reference::max_pool(&shape, in_zero, &input.plain, rescale, &mut plain);
    let run = |input: Input<'_>, output: Output<'_>| {
        pool::max(MaxArgs { shape, in_bits, out_bits, in_zero, rescale, input, output })
            .expect("the case is well-formed");
    };
    let (source, target) = (input.packed.get(), output.get_mut());
    around(&mut || run(source.into(), (&mut *target).into()));
    verdict("max pool", &output, &plain, channels, out_bits)?;
    let bears = pool::overlay(&shape, in_bits, out_bits);
    check_overlaid("overlaid max pool", bears, source, (&plain, channels, out_bits), &mut |from, to| run(from, to))
}

pub fn check_add(pixels: u32, channels: u16, bits: [Bits; 3], seed: u64, around: Around<'_>) -> Result<(), String> {
    let mut rng = Rng(seed);
    let [bits1, bits2, out_bits] = bits;
    let count = usize::from(channels);
    let first = tensor(pixels as usize, count, bits1, seed as usize % 4, &mut rng);
    let second = tensor(pixels as usize, count, bits2, seed as usize / 4 % 4, &mut rng);
    let requant = random_requant(out_bits, &mut rng);
    let shift = 8 + rng.below(12) as u8;
    let mut mult = |bits: Bits| {
        let scale = f64::from(out_bits.max_activation()) / f64::from(bits.max_activation());
        (scale * (0.1 + rng.below(1000) as f64 / 1000.0) * f64::from(1u32 << shift)) as i32
    };
    let (mult1, mult2) = (mult(bits1), mult(bits2));
    let bias = (1 << (shift - 1)) - (rng.below(1 << shift) as i32) * (i32::from(out_bits.max_activation()) / 2);
    let mut output = Guarded::new(pixels as usize * activations::pixel_bytes(count, out_bits), (seed as usize + 1) % 4);
    let mut plain = vec![0; pixels as usize * count];
    let range = (requant.act_min, requant.act_max);
    reference::add([&first.plain, &second.plain], [mult1, mult2], bias, shift, range, &mut plain);
    let run = |input1: Input<'_>, input2: Input<'_>, output: Output<'_>| {
        let (act_min, act_max) = range;
        let sum = AddArgs {
            pixels,
            channels,
            bits1,
            bits2,
            out_bits,
            mult1,
            mult2,
            bias,
            shift,
            act_min,
            act_max,
            input1,
            input2,
            output,
        };
        add::run(sum).expect("the case is well-formed");
    };
    let (x1, x2) = (first.packed.get(), second.packed.get());
    around(&mut || run(x1.into(), x2.into(), output.get_mut().into()));
    verdict("add", &output, &plain, count, out_bits)?;
    let bears = |input: &[u8]| add::overlay(input.len(), output.get().len());
    let expected = (&plain[..], count, out_bits);
    let mut over_first = |from: Input<'_>, to: Output<'_>| run(from, x2.into(), to);
    check_overlaid("sum over its first input", bears(x1), x1, expected, &mut over_first)?;
    let mut over_second = |from: Input<'_>, to: Output<'_>| run(x1.into(), from, to);
    check_overlaid("sum over its second input", bears(x2), x2, expected, &mut over_second)
}

pub fn check_reshape(from: [u32; 2], to: [u32; 2], bits: Bits, seed: u64, around: Around<'_>) -> Result<(), String> {
    let mut rng = Rng(seed);
    let input = tensor(from[0] as usize, from[1] as usize, bits, seed as usize % 4, &mut rng);
    let mut output = Guarded::new(to[0] as usize * activations::pixel_bytes(to[1] as usize, bits), 1);
    around(&mut || {
        reshape::run(ReshapeArgs {
            in_pixels: from[0],
            in_c: from[1],
            out_pixels: to[0],
            out_c: to[1],
            bits,
            input: input.packed.get(),
            output: output.get_mut(),
        })
        .expect("the case is well-formed");
    });
    verdict("reshape", &output, &input.plain, to[1] as usize, bits)
}

pub fn check_softmax(n: usize, bits: Bits, seed: u64, around: Around<'_>) -> Result<(), String> {
    let mut rng = Rng(seed);
    let input = tensor(1, n, bits, seed as usize % 4, &mut rng);
    let decay = 0.5 + rng.below(500) as f64 / 1000.0;
    let mut entry = f64::from(softmax::MAX_ENTRY);
    let table: Vec<u32> = (0..=bits.max_activation())
        .map(|_| {
            let rounded = (entry + 0.5) as u32;
            entry *= decay;
            rounded
        })
        .collect();
    let mut output = Guarded::new(n, 1);
    let mut plain = vec![0; n];
    reference::softmax(&input.plain, &table, &mut plain);
    around(&mut || {
        softmax::run(input.packed.get(), bits, n, &table, output.get_mut()).expect("the case is well-formed");
    });
    verdict("softmax", &output, &plain, n, Bits::B8)
}
