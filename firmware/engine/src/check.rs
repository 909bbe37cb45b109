//! What an op's kernel demands, checked once: when an image is loaded, or on the host that builds a runner for it.

use core::ops::Range;

use bitrack_image::{Image, OpKind, Tensor};
use bitrack_kernels::{
    Needs, Overlay, ShapeError, Variant, add, conv2d, depthwise, fully_connected, pool, reshape, softmax,
};
use bitrack_reason::Reason;

use crate::lacking;
use crate::plan::{self, Plan};

/// Whether any pooling is compiled in.
const POOLS_BUILT: bool = pool::AVERAGE_BUILT || pool::MAX_BUILT;

/// Checks op `index` of a consistent image against all that its kernel demands.
///
/// # Errors
/// What its kernel would refuse, or that it is not compiled in.
#[inline(never)]
pub fn op(image: &Image<'_>, index: u16) -> Result<(), Reason> {
    plan::with(image, index, |plan| {
        if let Some(kernel) = plan.needs()?.missing() {
            return Err(lacking::reason(kernel));
        }
        plan.check_operands()?;
        plan.check_overlap()?;
        plan.check_constants()
    })
}

/// The kernels that op `index` needs.
///
/// # Errors
/// As [`op`].
pub fn needs_of(image: &Image<'_>, index: u16) -> Result<Needs, Reason> {
    op(image, index)?;
    plan::with(image, index, |plan| plan.needs())
}

impl Plan<'_, '_> {
    /// The kernels that the op needs. Inlined, so that a build computes only what it might lack.
    #[inline(always)]
    fn needs(&self) -> Result<Needs, Reason> {
        let Self { in_bits, w_bits, out_bits, variant, .. } = *self;
        let (shape, requant) = (&self.shape(), self.requant());
        let needs = match self.op.kind {
            OpKind::Conv2d => {
                conv2d::needs(shape, variant, requant, w_bits, in_bits, out_bits).ok_or(Reason::Variant)?
            }
            OpKind::DepthwiseConv2d => {
                depthwise::needs(shape, variant, requant, w_bits, out_bits).ok_or(Reason::Variant)?
            }
            _ if variant != Variant::General => return Err(Reason::Variant),
            OpKind::FullyConnected => fully_connected::needs(&self.fc_shape(), requant, w_bits, in_bits, out_bits),
            OpKind::AveragePool => pool::average_needs(&self.pool_shape(), self.op.shift),
            OpKind::MaxPool => pool::max_needs(&self.pool_shape()),
            OpKind::Add => add::NEEDS.join(Needs::activations(self.second()?.1)),
            OpKind::Reshape if self.in_place() => Needs::NONE,
            OpKind::Reshape => reshape::NEEDS,
            OpKind::Softmax => softmax::NEEDS,
        };
        Ok(needs.join(Needs::activations(in_bits)).join(Needs::activations(out_bits)))
    }

    /// Checks shapes, and the lengths that follow from them.
    #[inline(never)]
    fn check_operands(&self) -> Result<(), Reason> {
        let Self { in_bits, w_bits, out_bits, .. } = *self;
        match self.op.kind {
            OpKind::Conv2d | OpKind::DepthwiseConv2d if conv2d::BUILT || depthwise::BUILT => {
                let shape = &self.shape();
                shape.validate().map_err(shape_error)?;
                if depthwise::BUILT && self.op.kind == OpKind::DepthwiseConv2d {
                    // Nothing but the number of channels is left to be wrong.
                    shape.validate_depthwise().map_err(|_| Reason::ChannelMultiplier)?;
                    self.check_scratch(depthwise::scratch_len(shape, self.variant, w_bits, in_bits, out_bits))?;
                    return self.check_weights(depthwise::weights_len(shape, w_bits));
                }
                self.check_scratch(conv2d::scratch_len(shape, w_bits, in_bits, out_bits))?;
                self.check_weights(conv2d::weights_len(shape, w_bits))
            }
            OpKind::FullyConnected if fully_connected::BUILT => {
                let shape = &self.fc_shape();
                shape.validate().map_err(shape_error)?;
                self.check_scratch(fully_connected::scratch_len(shape, w_bits, in_bits, out_bits))?;
                self.check_weights(fully_connected::weights_len(shape, w_bits))
            }
            OpKind::AveragePool | OpKind::MaxPool if POOLS_BUILT => self.check_pool(),
            OpKind::Add if add::BUILT => within_kernels(self.output),
            // The only op whose output the format lets lie where its input does.
            OpKind::Reshape if !self.in_place() && overlap(&self.input_span(), &self.output_span()) => {
                Err(Reason::OutputOnInput)
            }
            OpKind::Reshape => within_kernels(self.input),
            OpKind::Softmax if softmax::BUILT => match (self.table()?.len(), usize::from(self.input.max_code()) + 1) {
                _ if plan::pixels(self.input) != 1 => Err(Reason::SoftmaxVectors),
                _ if usize::from(self.input.c) > softmax::MAX_CLASSES => Err(Reason::SoftmaxClasses),
                (found, needed) if found != needed => Err(Reason::SoftmaxTableLength),
                _ => Ok(()),
            },
            // Others were refused by their needs.
            _ => Ok(()),
        }
    }

    fn check_pool(&self) -> Result<(), Reason> {
        self.pool_shape().validate().map_err(shape_error)?;
        let rescale = match self.op.kind {
            OpKind::MaxPool => self.max_rescale()?,
            _ if u32::from(self.op.k_h) * u32::from(self.op.k_w) > pool::MAX_AVERAGE_WINDOW => {
                return Err(Reason::AverageWindow);
            }
            _ => Some(self.rescale()),
        };
        match rescale {
            Some(rescale) if rescale.mult < 0 => Err(Reason::PoolMultiplier),
            None if self.in_bits != self.out_bits => Err(Reason::MaxPoolWidths),
            _ => Ok(()),
        }
    }

    fn check_scratch(&self, needed: usize) -> Result<(), Reason> {
        if (self.op.scratch_len as usize) < needed { Err(Reason::ScratchTooSmall) } else { Ok(()) }
    }

    fn check_weights(&self, needed: usize) -> Result<(), Reason> {
        if self.weights()?.packed.len() != needed { Err(Reason::WeightsLength) } else { Ok(()) }
    }

    /// Checks the constants in flash, value by value: which are outside the range that their formula is defined for.
    fn check_constants(&self) -> Result<(), Reason> {
        match self.op.kind {
            kind if kind.has_weights() => {
                let negative = self.weights()?.channels.iter().any(|channel| channel.mult < 0);
                if negative { Err(Reason::NegativeMultiplier) } else { Ok(()) }
            }
            OpKind::Softmax if softmax::BUILT => {
                let table = self.table()?;
                let bad = table.first() == Some(&0) || table.iter().any(|&entry| entry > softmax::MAX_ENTRY);
                if bad { Err(Reason::SoftmaxEntry) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    /// Checks that what is written overlaps nothing else, but for what the kernel has read by then.
    #[inline(never)]
    fn check_overlap(&self) -> Result<(), Reason> {
        let (input, output) = (&self.input_span(), &self.output_span());
        let (second, of_second) = match self.op.kind {
            OpKind::Add if add::BUILT => {
                let second = self.second()?.0;
                (second.clone(), Some(add::overlay(second.len(), output.len())))
            }
            _ => (0..0, None),
        };
        match () {
            () if !self.in_place() && !bears(self.overlay(), input, output) => Err(Reason::OutputOnInput),
            () if !bears(of_second, &second, output) => Err(Reason::OutputOnInput),
            () if !bears(self.scratch_overlay(), input, &self.scratch_span()) => Err(Reason::ScratchOnLiving),
            () => Ok(()),
        }
    }

    /// How the output may lie over the (first) input.
    fn overlay(&self) -> Option<Overlay> {
        let (input, output) = (self.in_bits, self.out_bits);
        match self.op.kind {
            OpKind::Conv2d if conv2d::BUILT => Some(conv2d::overlay(&self.shape(), input, output)),
            OpKind::DepthwiseConv2d if depthwise::BUILT => {
                depthwise::overlay(&self.shape(), self.variant, input, output)
            }
            OpKind::AveragePool | OpKind::MaxPool if POOLS_BUILT => {
                Some(pool::overlay(&self.pool_shape(), input, output))
            }
            OpKind::Add if add::BUILT => Some(add::overlay(self.input.bytes(), self.output.bytes())),
            _ => None,
        }
    }

    /// How scratch may lie over the input.
    fn scratch_overlay(&self) -> Option<Overlay> {
        match self.op.kind {
            OpKind::FullyConnected if fully_connected::BUILT => {
                Some(fully_connected::scratch_overlay(&self.fc_shape(), self.in_bits))
            }
            _ => None,
        }
    }
}

/// What is wrong with a shape.
fn shape_error(error: ShapeError) -> Reason {
    match error {
        ShapeError::Zero => Reason::ZeroSize,
        ShapeError::WindowBeforeInput => Reason::WindowBeforeInput,
        ShapeError::WindowAfterInput => Reason::WindowAfterInput,
        ShapeError::ChannelMultiplier => Reason::ChannelMultiplier,
        ShapeError::TooLarge => Reason::TooLarge,
        _ => Reason::KernelRefuses,
    }
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
