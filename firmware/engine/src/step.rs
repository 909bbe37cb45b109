//! Hands one op's bytes to its kernel.

use core::ops::Range;

use bitrack_image::{Image, OpKind};
use bitrack_kernels::{Arena, ConvArgs, FcArgs, Input, Output, add, conv2d, depthwise, fully_connected};
use bitrack_kernels::{pool, reshape, softmax};
use bitrack_reason::Reason;

use crate::plan::{self, Plan, Weights, pixels};

/// Runs op `index` of a loaded image and returns where in `arena` its output lies.
///
/// # Errors
/// What a loaded image never gives: it was checked, with what is compiled in, within the arena.
pub fn run(image: &Image<'_>, index: u16, arena: &mut [u8]) -> Result<Range<usize>, Reason> {
    plan::with(image, index, |plan| {
        match plan.op.kind {
            OpKind::Add if add::BUILT => run_add(plan, arena)?,
            OpKind::Reshape => run_reshape(plan, arena)?,
            _ => {
                let arena = Arena::new(arena);
                let (output, scratch) = (arena.output(&plan.output_span()), arena.output(&plan.scratch_span()));
                let (input, output, scratch) = (part(arena.input(&plan.input_span()))?, part(output)?, part(scratch)?);
                // SAFETY: these are the plan's, and the engine checked the arena.
                unsafe { run_kernel(plan, input, output, scratch)? };
            }
        }
        Ok(plan.output_span())
    })
}

/// An op from one tensor to another that may lie over it. Out of line, as all of its like: an op's stack must not be every op's.
///
/// # Safety
/// The buffers are those of the plan, which was checked, in an aligned arena of the length that a loaded image needs.
#[inline(never)]
unsafe fn run_kernel(
    plan: &Plan<'_, '_>,
    input: Input<'_>,
    output: Output<'_>,
    scratch: Output<'_>,
) -> Result<(), Reason> {
    let Plan { in_bits, w_bits, out_bits, variant, .. } = *plan;
    let (requant, in_zero) = (plan.requant(), plan.input.zero);
    match plan.op.kind {
        OpKind::Conv2d | OpKind::DepthwiseConv2d if conv2d::BUILT || depthwise::BUILT => {
            let Weights { packed: weights, channels } = plan.weights()?;
            let shape = plan.shape();
            let args = ConvArgs {
                shape,
                variant,
                in_bits,
                w_bits,
                out_bits,
                in_zero,
                channels,
                requant,
                input,
                weights,
                scratch,
                output,
            };
            match plan.op.kind {
                // SAFETY: the caller's promise, and the plan is of what the kernel asks for.
                OpKind::DepthwiseConv2d if depthwise::BUILT => unsafe { depthwise::run_planned(args) },
                // SAFETY: likewise.
                _ if conv2d::BUILT => unsafe { conv2d::run_planned(args) },
                _ => {}
            }
        }
        OpKind::FullyConnected if fully_connected::BUILT => {
            let Weights { packed: weights, channels } = plan.weights()?;
            let shape = plan.fc_shape();
            let args = FcArgs { shape, in_bits, w_bits, out_bits, channels, requant, input, weights, scratch, output };
            // SAFETY: likewise.
            unsafe { fully_connected::run_planned(args) }
        }
        OpKind::AveragePool if pool::AVERAGE_BUILT => {
            let (shape, rescale) = (plan.pool_shape(), plan.rescale());
            let args = pool::AverageArgs { shape, in_bits, out_bits, in_zero, rescale, input, output };
            // SAFETY: likewise.
            unsafe { pool::average_planned(args) }
        }
        OpKind::MaxPool if pool::MAX_BUILT => {
            let (shape, rescale) = (plan.pool_shape(), plan.max_rescale()?);
            let args = pool::MaxArgs { shape, in_bits, out_bits, in_zero, rescale, input, output };
            // SAFETY: likewise.
            unsafe { pool::max_planned(args) }
        }
        // SAFETY: likewise, and they were found apart.
        OpKind::Softmax if softmax::BUILT => unsafe { softmax::run_planned(input, in_bits, plan.table()?, output) },
        // Others were refused by their needs.
        _ => {}
    }
    Ok(())
}

#[inline(never)]
fn run_add(plan: &Plan<'_, '_>, arena: &mut [u8]) -> Result<(), Reason> {
    let (second, bits2) = plan.second()?;
    let arena = Arena::new(arena);
    let [mult1, mult2, bias, shift] = plan.op.params;
    let args = add::AddArgs {
        pixels: pixels(plan.output),
        channels: plan.output.c,
        bits1: plan.in_bits,
        bits2,
        out_bits: plan.out_bits,
        mult1,
        mult2,
        bias,
        shift: u8::try_from(shift).map_err(|_| Reason::AddShift)?,
        act_min: plan.op.act_min,
        act_max: plan.op.act_max,
        input1: part(arena.input(&plan.input_span()))?,
        input2: part(arena.input(&second))?,
        output: part(arena.output(&plan.output_span()))?,
    };
    // SAFETY: the plan is of what the kernel asks for.
    unsafe { add::run_planned(args) };
    Ok(())
}

#[inline(never)]
fn run_reshape(plan: &Plan<'_, '_>, arena: &mut [u8]) -> Result<(), Reason> {
    if !reshape::BUILT || plan.in_place() {
        return Ok(());
    }
    let spans = [plan.input_span(), plan.output_span()];
    let [input, output] = arena.get_disjoint_mut(spans).map_err(|_| Reason::OutputOnInput)?;
    let done = reshape::run(reshape::ReshapeArgs {
        in_pixels: pixels(plan.input),
        in_c: plan.input.c.into(),
        out_pixels: pixels(plan.output),
        out_c: plan.output.c.into(),
        bits: plan.in_bits,
        input,
        output,
    });
    done.map_err(|_| Reason::KernelRefuses)
}

/// A part of the arena, which an image that was loaded has.
#[inline(always)]
fn part<T>(part: Option<T>) -> Result<T, Reason> {
    part.ok_or(Reason::OutsideArena)
}
