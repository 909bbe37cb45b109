//! Hands one op's bytes to its kernel.

use core::ops::Range;

use bitrack_image::Image;
use bitrack_kernels::{Arena, ConvArgs, FcArgs, Input, KernelError, Output, add, conv2d, depthwise, fully_connected};
use bitrack_kernels::{pool, reshape, softmax};

use crate::plan::{Addition, Call, Plan, Reshaping};

/// Runs op `index` of a loaded image and returns where in `arena` its output lies.
pub fn run(image: &Image<'_>, index: u16, arena: &mut [u8]) -> Result<Range<usize>, KernelError> {
    // By reference: a plan is looked at where it was made, and not copied once more.
    let plan = &Plan::of(image, index);
    let Ok(plan) = plan else { return Err(PLAN) };
    match &plan.call {
        Call::Add(addition) if add::BUILT => run_add(plan, addition, arena)?,
        Call::Reshape(reshaping) => run_reshape(plan, reshaping, arena)?,
        Call::Softmax { classes, table } if softmax::BUILT => {
            let [input, output] = split(arena, &plan.input, &plan.output)?;
            softmax::run(input, plan.in_bits, *classes, table, output)?;
        }
        call => {
            let arena = Arena::new(arena);
            let (output, scratch) = (arena.output(&plan.output), arena.output(&plan.scratch));
            run_windows(plan, call, part(arena.input(&plan.input))?, part(output)?, part(scratch)?)?;
        }
    }
    Ok(plan.output.clone())
}

/// An op from one tensor to another that may lie over it.
#[inline(never)]
fn run_windows(
    plan: &Plan<'_>,
    call: &Call<'_>,
    input: Input<'_>,
    output: Output<'_>,
    scratch: Output<'_>,
) -> Result<(), KernelError> {
    let Plan { in_bits, out_bits, in_zero, requant, .. } = *plan;
    match call {
        Call::Conv2d(shape, weights) | Call::Depthwise(shape, weights) if conv2d::BUILT || depthwise::BUILT => {
            let args = ConvArgs {
                shape: *shape,
                in_bits,
                w_bits: weights.bits,
                out_bits,
                in_zero,
                channels: weights.channels,
                requant,
                input,
                weights: weights.packed,
                scratch,
                output,
            };
            match call {
                Call::Depthwise(..) if depthwise::BUILT => depthwise::run(args),
                Call::Conv2d(..) if conv2d::BUILT => conv2d::run(args),
                _ => Err(PLAN),
            }
        }
        Call::FullyConnected(shape, weights) if fully_connected::BUILT => fully_connected::run(FcArgs {
            shape: *shape,
            in_bits,
            w_bits: weights.bits,
            out_bits,
            channels: weights.channels,
            requant,
            input,
            weights: weights.packed,
            scratch,
            output,
        }),
        Call::AveragePool(shape, rescale) if pool::AVERAGE_BUILT => {
            let (shape, rescale) = (*shape, *rescale);
            pool::average(pool::AverageArgs { shape, in_bits, out_bits, in_zero, rescale, input, output })
        }
        Call::MaxPool(shape, rescale) if pool::MAX_BUILT => {
            let (shape, rescale) = (*shape, *rescale);
            pool::max(pool::MaxArgs { shape, in_bits, out_bits, in_zero, rescale, input, output })
        }
        _ => Err(PLAN),
    }
}

/// What a loaded image never gives: it was planned, with what is compiled in, within the arena.
const PLAN: KernelError = KernelError::Constant { name: "plan" };

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
        shift: u8::try_from(shift).map_err(|_| PLAN)?,
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
    let [input, output] = split(arena, &plan.input, &plan.output)?;
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
#[inline(always)]
fn part<T>(part: Option<T>) -> Result<T, KernelError> {
    part.ok_or(PLAN)
}

/// Borrows two disjoint parts of the arena at once.
#[inline(never)]
fn split<'a>(arena: &'a mut [u8], one: &Range<usize>, other: &Range<usize>) -> Result<[&'a mut [u8]; 2], KernelError> {
    arena.get_disjoint_mut([one.clone(), other.clone()]).map_err(|_| PLAN)
}
