//! What an op's kernel demands, checked once: when an image is loaded, or on the host that builds a runner for it.

use core::ops::Range;

use bitrack_image::{Image, Op, OpKind, Tensor};
use bitrack_kernels::{Needs, Overlay, Variant, add, conv2d, depthwise, fully_connected, pool, reshape, softmax};
use bitrack_reason::Reason;

use crate::lacking;
use crate::plan::{self, Call, Plan, Widths, second};
use crate::shapes::{conv_shape, fc_shape, pool_shape, shape_error};

/// Whether any pooling is compiled in.
const POOLS_BUILT: bool = pool::AVERAGE_BUILT || pool::MAX_BUILT;

/// Checks op `index` of a consistent image against all that its kernel demands.
///
/// # Errors
/// What its kernel would refuse, or that it is not compiled in.
#[inline(never)]
pub fn op(image: &Image<'_>, index: u16) -> Result<(), Reason> {
    // By reference: records are looked at where they were read to, and not copied once more.
    let Some(op) = &image.op(index) else { return Err(Reason::RecordMissing) };
    let Some(input) = &image.tensor(op.in0) else { return Err(Reason::NoFirstInput) };
    let Some(output) = &image.tensor(op.out) else { return Err(Reason::NoOutput) };
    if let Some(kernel) = needs(image, op, input, output)?.missing() {
        return Err(lacking::reason(kernel));
    }
    match &Plan::of(image, index) {
        Ok(plan) => plan.check(op, input, output),
        Err(what) => Err(*what),
    }
}

/// The kernels that op `index` needs.
///
/// # Errors
/// As [`op`].
pub fn needs_of(image: &Image<'_>, index: u16) -> Result<Needs, Reason> {
    op(image, index)?;
    let op = image.op(index).ok_or(Reason::RecordMissing)?;
    let input = image.tensor(op.in0).ok_or(Reason::NoFirstInput)?;
    let output = image.tensor(op.out).ok_or(Reason::NoOutput)?;
    needs(image, &op, &input, &output)
}

/// The kernels that an op needs. Inlined, so that a build computes only what it might lack.
#[inline(always)]
fn needs(image: &Image<'_>, op: &Op, input: &Tensor, output: &Tensor) -> Result<Needs, Reason> {
    let (shape, requant) = (&conv_shape(op, input, output), plan::requant(op, output));
    let variant = plan::variant(op)?;
    let Widths { input: in_bits, weights: w_bits, output: out_bits } = Widths::of(op, input, output)?;
    let needs = match op.kind {
        OpKind::Conv2d => conv2d::needs(shape, variant, requant, w_bits, in_bits, out_bits).ok_or(Reason::Variant)?,
        OpKind::DepthwiseConv2d => {
            depthwise::needs(shape, variant, requant, w_bits, out_bits).ok_or(Reason::Variant)?
        }
        _ if variant != Variant::General => return Err(Reason::Variant),
        OpKind::FullyConnected => fully_connected::needs(&fc_shape(shape), requant, w_bits, in_bits, out_bits),
        OpKind::AveragePool => pool::average_needs(&pool_shape(shape), op.shift),
        OpKind::MaxPool => pool::max_needs(&pool_shape(shape)),
        OpKind::Add => add::NEEDS.join(Needs::activations(plan::bits(second(image, op)?.bits)?)),
        OpKind::Reshape if plan::in_place(input, output, in_bits) => Needs::NONE,
        OpKind::Reshape => reshape::NEEDS,
        OpKind::Softmax => softmax::NEEDS,
    };
    Ok(needs.join(Needs::activations(in_bits)).join(Needs::activations(out_bits)))
}

impl Plan<'_> {
    /// Checks everything but that the kernel is there.
    #[inline(never)]
    fn check(&self, op: &Op, input: &Tensor, output: &Tensor) -> Result<(), Reason> {
        self.check_operands(op, input, output)?;
        self.check_overlap()?;
        self.check_constants()
    }

    /// Checks shapes, and the lengths that follow from them.
    fn check_operands(&self, op: &Op, input: &Tensor, output: &Tensor) -> Result<(), Reason> {
        let (in_bits, out_bits) = (self.in_bits, self.out_bits);
        match &self.call {
            Call::Conv2d(shape, w) | Call::Depthwise(shape, w) if conv2d::BUILT || depthwise::BUILT => {
                shape.validate().map_err(shape_error)?;
                if depthwise::BUILT && op.kind == OpKind::DepthwiseConv2d {
                    // Nothing but the number of channels is left to be wrong.
                    shape.validate_depthwise().map_err(|_| Reason::ChannelMultiplier)?;
                    self.check_scratch(depthwise::scratch_len(shape, self.variant, w.bits, in_bits, out_bits))?;
                    return check_weights(w.packed, depthwise::weights_len(shape, w.bits));
                }
                self.check_scratch(conv2d::scratch_len(shape, w.bits, in_bits, out_bits))?;
                check_weights(w.packed, conv2d::weights_len(shape, w.bits))
            }
            Call::FullyConnected(shape, w) if fully_connected::BUILT => {
                shape.validate().map_err(shape_error)?;
                self.check_scratch(fully_connected::scratch_len(shape, w.bits, in_bits, out_bits))?;
                check_weights(w.packed, fully_connected::weights_len(shape, w.bits))
            }
            Call::AveragePool(shape, rescale) if pool::AVERAGE_BUILT => {
                shape.validate().map_err(shape_error)?;
                match () {
                    () if u32::from(op.k_h) * u32::from(op.k_w) > pool::MAX_AVERAGE_WINDOW => {
                        Err(Reason::AverageWindow)
                    }
                    () if rescale.mult < 0 => Err(Reason::PoolMultiplier),
                    () => Ok(()),
                }
            }
            Call::MaxPool(shape, rescale) if pool::MAX_BUILT => {
                shape.validate().map_err(shape_error)?;
                match rescale {
                    Some(rescale) if rescale.mult < 0 => Err(Reason::PoolMultiplier),
                    None if in_bits != out_bits => Err(Reason::MaxPoolWidths),
                    _ => Ok(()),
                }
            }
            Call::Add(_) if add::BUILT => within_kernels(output),
            // The only op whose output the format lets lie where its input does.
            Call::Reshape(reshaping) if !reshaping.in_place && overlap(&self.input, &self.output) => {
                Err(Reason::OutputOnInput)
            }
            Call::Reshape(_) => within_kernels(input),
            Call::Softmax { table } if softmax::BUILT => match () {
                () if plan::pixels(input) != 1 => Err(Reason::SoftmaxVectors),
                () if usize::from(input.c) > softmax::MAX_CLASSES => Err(Reason::SoftmaxClasses),
                () if table.len() != usize::from(input.max_code()) + 1 => Err(Reason::SoftmaxTableLength),
                () => Ok(()),
            },
            // Others were refused by their needs.
            _ => Ok(()),
        }
    }

    fn check_scratch(&self, needed: usize) -> Result<(), Reason> {
        if self.scratch.len() < needed { Err(Reason::ScratchTooSmall) } else { Ok(()) }
    }

    /// Checks the constants in flash, value by value: which are outside the range that their formula is defined for.
    fn check_constants(&self) -> Result<(), Reason> {
        match &self.call {
            Call::Conv2d(_, w) | Call::Depthwise(_, w) | Call::FullyConnected(_, w) => {
                let negative = w.channels.iter().any(|channel| channel.mult < 0);
                if negative { Err(Reason::NegativeMultiplier) } else { Ok(()) }
            }
            Call::Softmax { table } if softmax::BUILT => {
                let bad = table.first() == Some(&0) || table.iter().any(|&entry| entry > softmax::MAX_ENTRY);
                if bad { Err(Reason::SoftmaxEntry) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    /// Checks that what is written overlaps nothing else, but for what the kernel has read by then.
    fn check_overlap(&self) -> Result<(), Reason> {
        let (second, of_second) = match &self.call {
            Call::Add(add) if add::BUILT => {
                (add.input2.clone(), Some(add::overlay(add.input2.len(), self.output.len())))
            }
            _ => (0..0, None),
        };
        let in_place = matches!(&self.call, Call::Reshape(reshaping) if reshaping.in_place);
        match () {
            () if !in_place && !bears(self.overlay(), &self.input, &self.output) => Err(Reason::OutputOnInput),
            () if !bears(of_second, &second, &self.output) => Err(Reason::OutputOnInput),
            () if !bears(self.scratch_overlay(), &self.input, &self.scratch) => Err(Reason::ScratchOnLiving),
            () => Ok(()),
        }
    }

    /// How the output may lie over the (first) input.
    fn overlay(&self) -> Option<Overlay> {
        let (input, output) = (self.in_bits, self.out_bits);
        match &self.call {
            Call::Conv2d(shape, _) if conv2d::BUILT => Some(conv2d::overlay(shape, input, output)),
            Call::Depthwise(shape, _) if depthwise::BUILT => depthwise::overlay(shape, self.variant, input, output),
            Call::AveragePool(shape, _) | Call::MaxPool(shape, _) if POOLS_BUILT => {
                Some(pool::overlay(shape, input, output))
            }
            Call::Add(_) if add::BUILT => Some(add::overlay(self.input.len(), self.output.len())),
            _ => None,
        }
    }

    /// How scratch may lie over the input.
    fn scratch_overlay(&self) -> Option<Overlay> {
        match &self.call {
            Call::FullyConnected(shape, _) if fully_connected::BUILT => {
                Some(fully_connected::scratch_overlay(shape, self.in_bits))
            }
            _ => None,
        }
    }
}

fn check_weights(packed: &[u8], needed: usize) -> Result<(), Reason> {
    if packed.len() != needed { Err(Reason::WeightsLength) } else { Ok(()) }
}

/// The kernels' bound on a tensor, where no shape type checks it.
fn within_kernels(tensor: &Tensor) -> Result<(), Reason> {
    let values = u64::from(plan::pixels(tensor)) * u64::from(tensor.c);
    if values > 1 << 27 { Err(Reason::TooLarge) } else { Ok(()) }
}

/// Whether what is written is apart from an input, or lies over it as its kernel bears.
fn bears(bearing: Option<Overlay>, input: &Range<usize>, written: &Range<usize>) -> bool {
    !overlap(input, written) || bearing.is_some_and(|overlay| overlay.bears(input.start, written.start))
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}
