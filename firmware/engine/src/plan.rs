//! One op with its tensors: what its kernel is called with is made from it, and what that demands is checked on it.

use core::ops::Range;

use bitrack_image::{Image, Op, OpKind, Tensor};
use bitrack_kernels::{Bits, Channel, ConvShape, FcShape, PoolShape, Requant, Rescale, Variant, reshape};
use bitrack_reason::Reason;

use crate::constants;

/// An op of an image, its tensors, and how wide its values are. Records are looked at where they were read to.
pub struct Plan<'a, 'i> {
    image: &'a Image<'i>,
    pub op: &'a Op,
    pub input: &'a Tensor,
    pub output: &'a Tensor,
    pub in_bits: Bits,
    /// Means nothing where there are no weights.
    pub w_bits: Bits,
    pub out_bits: Bits,
    /// What the op names, which need not exist for its shape.
    pub variant: Variant,
}

/// Packed weights and the constants of every output channel, in flash.
pub struct Weights<'i> {
    pub packed: &'i [u8],
    pub channels: &'i [Channel],
}

/// Resolves op `index` and hands it to `user`. Nothing is checked here but what reading needs: an op that passed [`crate::check::op`]
/// is what its kernel asks for, each time it is resolved.
///
/// # Errors
/// A record is missing or holds no width or variant, and what `user` says.
#[inline(always)]
pub fn with<T>(
    image: &Image<'_>,
    index: u16,
    user: impl FnOnce(&Plan<'_, '_>) -> Result<T, Reason>,
) -> Result<T, Reason> {
    let Some(op) = &image.op(index) else { return Err(Reason::RecordMissing) };
    let Some(input) = &image.tensor(op.in0) else { return Err(Reason::NoFirstInput) };
    let Some(output) = &image.tensor(op.out) else { return Err(Reason::NoOutput) };
    let w_bits = if op.kind.has_weights() { bits(op.w_bits)? } else { Bits::B8 };
    let (in_bits, out_bits) = (bits(input.bits)?, bits(output.bits)?);
    let variant = Variant::from_code(op.variant).ok_or(Reason::Variant)?;
    user(&Plan { image, op, input, output, in_bits, w_bits, out_bits, variant })
}

impl<'i> Plan<'_, 'i> {
    /// Of an op with windows. Of others most of it means nothing.
    #[inline(never)]
    pub fn shape(&self) -> ConvShape {
        let Self { op, input, output, .. } = self;
        ConvShape {
            in_h: input.h,
            in_w: input.w,
            in_c: input.c,
            out_h: output.h,
            out_w: output.w,
            out_c: output.c,
            k_h: op.k_h,
            k_w: op.k_w,
            stride_h: op.stride_h,
            stride_w: op.stride_w,
            pad_top: op.pad_top,
            pad_left: op.pad_left,
        }
    }

    /// Of a fully connected layer.
    pub fn fc_shape(&self) -> FcShape {
        FcShape { in_features: self.input.c.into(), out_features: self.output.c.into() }
    }

    /// Of a pool.
    pub fn pool_shape(&self) -> PoolShape {
        let ConvShape { in_h, in_w, in_c, out_h, out_w, k_h, k_w, stride_h, stride_w, pad_top, pad_left, .. } =
            self.shape();
        PoolShape { in_h, in_w, channels: in_c, out_h, out_w, k_h, k_w, stride_h, stride_w, pad_top, pad_left }
    }

    /// The constants of the output tensor.
    #[inline(always)]
    pub fn requant(&self) -> Requant {
        let Op { shift, act_min, act_max, .. } = *self.op;
        Requant { shift, out_zero: self.output.zero, act_min, act_max }
    }

    /// The change of scale of a pool.
    pub fn rescale(&self) -> Rescale {
        Rescale { mult: self.op.params[0], requant: self.requant() }
    }

    /// The same of a max pool, if there is one.
    ///
    /// # Errors
    /// The flag is none.
    pub fn max_rescale(&self) -> Result<Option<Rescale>, Reason> {
        match self.op.params[1] {
            0 => Ok(Some(self.rescale())),
            1 => Ok(None),
            _ => Err(Reason::MaxPoolFlag),
        }
    }

    /// Where the input lies in the arena.
    pub fn input_span(&self) -> Range<usize> {
        span(self.input)
    }

    /// Where the output lies.
    pub fn output_span(&self) -> Range<usize> {
        span(self.output)
    }

    /// Where scratch lies; an empty one lies nowhere, and so in nobody's way.
    pub fn scratch_span(&self) -> Range<usize> {
        match self.op.scratch_len {
            0 => 0..0,
            len => self.op.scratch_off as usize..self.op.scratch_off as usize + len as usize,
        }
    }

    /// The second input of an addition, and its width.
    ///
    /// # Errors
    /// There is none.
    pub fn second(&self) -> Result<(Range<usize>, Bits), Reason> {
        let Some(second) = &self.image.tensor(self.op.in1) else { return Err(Reason::NoSecondInput) };
        Ok((span(second), bits(second.bits)?))
    }

    /// Packed weights and what goes with them.
    ///
    /// # Errors
    /// They do not lie in the image.
    #[inline(never)]
    pub fn weights(&self) -> Result<Weights<'i>, Reason> {
        let packed = self.image.weights(self.op).ok_or(Reason::WeightsOutside)?;
        let channels = self.image.channels_of(self.op, self.output);
        let channels = channels.and_then(constants::channels).ok_or(Reason::ChannelsNotInPlace)?;
        Ok(Weights { packed, channels })
    }

    /// The table of a softmax.
    ///
    /// # Errors
    /// It does not lie in the image.
    pub fn table(&self) -> Result<&'i [u32], Reason> {
        self.image.weights(self.op).and_then(constants::words).ok_or(Reason::SoftmaxTable)
    }

    /// Whether a reshape has nothing to do: input and output are the same bytes at the same place.
    pub fn in_place(&self) -> bool {
        let (in_c, out_c) = (self.input.c.into(), self.output.c.into());
        self.op.kind == OpKind::Reshape
            && reshape::is_alias(in_c, out_c, self.in_bits)
            && self.input_span() == self.output_span()
    }
}

fn bits(width: u8) -> Result<Bits, Reason> {
    Bits::try_from(width).map_err(|_| Reason::TensorBits)
}

/// A tensor's pixels.
pub fn pixels(tensor: &Tensor) -> u32 {
    u32::from(tensor.h) * u32::from(tensor.w)
}

/// A tensor's bytes in the arena.
#[inline(never)]
fn span(tensor: &Tensor) -> Range<usize> {
    tensor.arena_off as usize..tensor.arena_off as usize + tensor.bytes()
}
