//! Hands one op's bytes to its kernel.

use core::ops::Range;

use bitrack_image::Image;
use bitrack_kernels::{Arena, ConvArgs, ConvShape, FcArgs, KernelError, add, conv2d, depthwise, fully_connected, pool};
use bitrack_kernels::{reshape, softmax};

use crate::plan::{Addition, Call, Plan, Reshaping, Weights};

/// Runs op `index` of a loaded image and returns where in `arena` its output lies.
pub fn run(image: &Image<'_>, index: u16, arena: &mut [u8]) -> Result<Range<usize>, KernelError> {
    let plan = Plan::of(image, index).map_err(|_| KernelError::Constant { name: "plan" })?;
    match &plan.call {
        Call::Conv2d(shape, weights) if conv2d::BUILT => conv2d::run(conv_args(&plan, shape, weights, arena)?),
        Call::Depthwise(shape, weights) if depthwise::BUILT => depthwise::run(conv_args(&plan, shape, weights, arena)?),
        Call::FullyConnected(shape, weights) if fully_connected::BUILT => {
            let arena = Arena::new(arena);
            fully_connected::run(FcArgs {
                shape: *shape,
                in_bits: plan.in_bits,
                w_bits: weights.bits,
                out_bits: plan.out_bits,
                channels: weights.channels,
                requant: plan.requant,
                input: part(arena.input(&plan.input))?,
                weights: weights.packed,
                scratch: part(arena.output(&plan.scratch))?,
                output: part(arena.output(&plan.output))?,
            })
        }
        Call::AveragePool(shape, rescale) if pool::AVERAGE_BUILT => {
            let arena = Arena::new(arena);
            pool::average(pool::AverageArgs {
                shape: *shape,
                in_bits: plan.in_bits,
                out_bits: plan.out_bits,
                in_zero: plan.in_zero,
                rescale: *rescale,
                input: part(arena.input(&plan.input))?,
                output: part(arena.output(&plan.output))?,
            })
        }
        Call::MaxPool(shape, rescale) if pool::MAX_BUILT => {
            let arena = Arena::new(arena);
            pool::max(pool::MaxArgs {
                shape: *shape,
                in_bits: plan.in_bits,
                out_bits: plan.out_bits,
                in_zero: plan.in_zero,
                rescale: *rescale,
                input: part(arena.input(&plan.input))?,
                output: part(arena.output(&plan.output))?,
            })
        }
        Call::Add(addition) if add::BUILT => run_add(&plan, addition, arena),
        Call::Reshape(reshaping) => run_reshape(&plan, reshaping, arena),
        Call::Softmax { classes, table } if softmax::BUILT => {
            let [input, output] = split(arena, [&plan.input, &plan.output])?;
            softmax::run(input, plan.in_bits, *classes, table, output)
        }
        // Not compiled in, and so not planned.
        _ => Err(KernelError::Constant { name: "plan" }),
    }?;
    Ok(plan.output)
}

fn conv_args<'a>(
    plan: &Plan<'_>,
    shape: &ConvShape,
    weights: &Weights<'a>,
    arena: &'a mut [u8],
) -> Result<ConvArgs<'a>, KernelError> {
    let arena = Arena::new(arena);
    Ok(ConvArgs {
        shape: *shape,
        in_bits: plan.in_bits,
        w_bits: weights.bits,
        out_bits: plan.out_bits,
        in_zero: plan.in_zero,
        channels: weights.channels,
        requant: plan.requant,
        input: part(arena.input(&plan.input))?,
        weights: weights.packed,
        scratch: part(arena.output(&plan.scratch))?,
        output: part(arena.output(&plan.output))?,
    })
}

/// Out of line, as all of its like: an op's stack must not be every op's.
#[inline(never)]
fn run_add(plan: &Plan<'_>, addition: &Addition, arena: &mut [u8]) -> Result<(), KernelError> {
    let arena = Arena::new(arena);
    let [mult1, mult2, bias, shift] = addition.params;
    add::run(add::AddArgs {
        pixels: addition.pixels,
        channels: addition.channels,
        bits1: plan.in_bits,
        bits2: addition.bits2,
        out_bits: plan.out_bits,
        mult1,
        mult2,
        bias,
        shift: u8::try_from(shift).map_err(|_| KernelError::Constant { name: "shift" })?,
        act_min: plan.requant.act_min,
        act_max: plan.requant.act_max,
        input1: part(arena.input(&plan.input))?,
        input2: part(arena.input(&addition.input2))?,
        output: part(arena.output(&plan.output))?,
    })
}

#[inline(never)]
fn run_reshape(plan: &Plan<'_>, reshaping: &Reshaping, arena: &mut [u8]) -> Result<(), KernelError> {
    if reshaping.in_place || !reshape::BUILT {
        return Ok(());
    }
    let [input, output] = split(arena, [&plan.input, &plan.output])?;
    reshape::run(reshape::ReshapeArgs {
        in_pixels: reshaping.in_pixels,
        in_c: reshaping.in_c,
        out_pixels: reshaping.out_pixels,
        out_c: reshaping.out_c,
        bits: plan.in_bits,
        input,
        output,
    })
}

/// A part of the arena, which an image that was loaded has.
fn part<T>(part: Option<T>) -> Result<T, KernelError> {
    part.ok_or(KernelError::Constant { name: "arena plan" })
}

/// Borrows disjoint parts of the arena at once.
fn split<'a, const N: usize>(arena: &'a mut [u8], parts: [&Range<usize>; N]) -> Result<[&'a mut [u8]; N], KernelError> {
    arena.get_disjoint_mut(parts.map(Clone::clone)).map_err(|_| KernelError::Constant { name: "arena plan" })
}
