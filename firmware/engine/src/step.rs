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
        call => {
            let arena = Arena::new(arena);
            let (output, scratch) = (arena.output(&plan.output), arena.output(&plan.scratch));
            let (input, output, scratch) = (part(arena.input(&plan.input))?, part(output)?, part(scratch)?);
            // SAFETY: these are the plan's, and the engine checked the arena.
            unsafe { run_kernel(plan, call, input, output, scratch) };
        }
    }
    Ok(plan.output.clone())
}

/// An op from one tensor to another that may lie over it.
///
/// # Safety
/// The buffers are those of the plan, in an aligned arena of the length that a loaded image needs.
#[inline(never)]
unsafe fn run_kernel(plan: &Plan<'_>, call: &Call<'_>, input: Input<'_>, output: Output<'_>, scratch: Output<'_>) {
    let Plan { in_bits, out_bits, in_zero, requant, variant, .. } = *plan;
    match call {
        Call::Conv2d(shape, weights) | Call::Depthwise(shape, weights) if conv2d::BUILT || depthwise::BUILT => {
            let args = ConvArgs {
                shape: *shape,
                variant,
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
                // SAFETY: the caller's promise, and the plan is of what the kernel asks for.
                Call::Depthwise(..) if depthwise::BUILT => unsafe { depthwise::run_planned(args) },
                // SAFETY: likewise.
                _ if conv2d::BUILT => unsafe { conv2d::run_planned(args) },
                _ => {}
            }
        }
        Call::FullyConnected(shape, weights) if fully_connected::BUILT => {
            let args = FcArgs {
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
            };
            // SAFETY: likewise.
            unsafe { fully_connected::run_planned(args) }
        }
        Call::AveragePool(shape, rescale) if pool::AVERAGE_BUILT => {
            let (shape, rescale) = (*shape, *rescale);
            let args = pool::AverageArgs { shape, in_bits, out_bits, in_zero, rescale, input, output };
            // SAFETY: likewise.
            unsafe { pool::average_planned(args) }
        }
        Call::MaxPool(shape, rescale) if pool::MAX_BUILT => {
            let (shape, rescale) = (*shape, *rescale);
            let args = pool::MaxArgs { shape, in_bits, out_bits, in_zero, rescale, input, output };
            // SAFETY: likewise.
            unsafe { pool::max_planned(args) }
        }
        // SAFETY: likewise, and the plan found them apart.
        Call::Softmax { table } if softmax::BUILT => unsafe { softmax::run_planned(input, in_bits, table, output) },
        // Others were not planned here.
        _ => {}
    }
}

/// What a loaded image never gives: it was planned, with what is compiled in, within the arena.
const PLAN: KernelError = KernelError::constant("plan");

/// Out of line, as all of its like: an op's stack must not be every op's.
#[inline(never)]
fn run_add(plan: &Plan<'_>, addition: &Addition, arena: &mut [u8]) -> Result<(), KernelError> {
    let arena = Arena::new(arena);
    let [mult1, mult2, bias, shift] = addition.params;
    let args = add::AddArgs {
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
    };
    // SAFETY: the plan is of what the kernel asks for.
    unsafe { add::run_planned(args) };
    Ok(())
}

#[inline(never)]
fn run_reshape(plan: &Plan<'_>, reshaping: &Reshaping, arena: &mut [u8]) -> Result<(), KernelError> {
    if reshaping.in_place || !reshape::BUILT {
        return Ok(());
    }
    let (input, output) = (plan.input.clone(), plan.output.clone());
    let [input, output] = arena.get_disjoint_mut([input, output]).map_err(|_| PLAN)?;
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
