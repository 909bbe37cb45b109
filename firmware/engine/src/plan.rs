//! What one op will do, resolved from its records.

use core::ops::Range;

use bitrack_image::{Image, Op, OpKind, Tensor};
use bitrack_kernels::{
    Bits, Channel, ConvShape, FcShape, PoolShape, Requant, Rescale, Variant, add, conv2d, depthwise, fully_connected,
    pool, reshape, softmax,
};
use bitrack_reason::Reason;

use crate::constants;
use crate::shapes::{conv_shape, fc_shape, pool_shape};

/// An op with its bytes in the arena (ranges) and in flash (slices).
pub struct Plan<'i> {
    pub input: Range<usize>,
    pub output: Range<usize>,
    pub scratch: Range<usize>,
    pub in_bits: Bits,
    pub out_bits: Bits,
    pub in_zero: u8,
    pub requant: Requant,
    pub variant: Variant,
    pub call: Call<'i>,
}

/// Which kernel, and what it alone wants to know.
pub enum Call<'i> {
    Conv2d(ConvShape, Weights<'i>),
    Depthwise(ConvShape, Weights<'i>),
    FullyConnected(FcShape, Weights<'i>),
    AveragePool(PoolShape, Rescale),
    MaxPool(PoolShape, Option<Rescale>),
    Add(Addition),
    Reshape(Reshaping),
    Softmax { table: &'i [u32] },
}

/// Packed weights and the constants of every output channel.
#[derive(Clone, Copy)]
pub struct Weights<'i> {
    pub bits: Bits,
    pub packed: &'i [u8],
    pub channels: &'i [Channel],
}

/// The second operand of an addition, and its constants.
pub struct Addition {
    pub input2: Range<usize>,
    pub bits2: Bits,
    pub pixels: u32,
    pub channels: u16,
    /// `m1, m2, b, s`.
    pub params: [i32; 4],
}

/// The two ways to cut the same values into pixels.
pub struct Reshaping {
    pub in_pixels: u32,
    pub in_c: u32,
    pub out_pixels: u32,
    pub out_c: u32,
    /// Input and output are the same bytes at the same place: nothing to do.
    pub in_place: bool,
}

impl<'i> Plan<'i> {
    /// Resolves op `index`. Nothing is checked here but what reading needs: an op that passed [`crate::check::op`] is what its kernel
    /// asks for, each time it is resolved.
    ///
    /// # Errors
    /// A record is missing, holds no width or variant, or names what does not lie in the image or is not compiled in.
    #[inline(never)]
    pub fn of(image: &Image<'i>, index: u16) -> Result<Self, Reason> {
        // By reference: records are looked at where they were read to, and not copied once more.
        let Some(op) = &image.op(index) else { return Err(Reason::RecordMissing) };
        let Some(input) = &image.tensor(op.in0) else { return Err(Reason::NoFirstInput) };
        let Some(output) = &image.tensor(op.out) else { return Err(Reason::NoOutput) };
        let widths = Widths::of(op, input, output)?;
        Ok(Self {
            input: span(input),
            output: span(output),
            scratch: scratch(op),
            in_bits: widths.input,
            out_bits: widths.output,
            in_zero: input.zero,
            requant: requant(op, output),
            variant: variant(op)?,
            call: call(image, op, input, output, widths)?,
        })
    }
}

/// The constants of an op's output.
pub fn requant(op: &Op, output: &Tensor) -> Requant {
    Requant { shift: op.shift, out_zero: output.zero, act_min: op.act_min, act_max: op.act_max }
}

/// The variant that an op names, which need not exist for its shape.
pub fn variant(op: &Op) -> Result<Variant, Reason> {
    Variant::from_code(op.variant).ok_or(Reason::Variant)
}

/// How wide an op's values are.
#[derive(Clone, Copy)]
pub struct Widths {
    pub input: Bits,
    /// Means nothing where there are none.
    pub weights: Bits,
    pub output: Bits,
}

impl Widths {
    #[inline(never)]
    pub fn of(op: &Op, input: &Tensor, output: &Tensor) -> Result<Self, Reason> {
        let weights = if op.kind.has_weights() { bits(op.w_bits)? } else { Bits::B8 };
        Ok(Self { input: bits(input.bits)?, weights, output: bits(output.bits)? })
    }
}

/// Operators of which nothing is compiled in were refused by their needs; that they are left out here is for the compiler to see.
#[inline(never)]
fn call<'i>(image: &Image<'i>, op: &Op, input: &Tensor, output: &Tensor, widths: Widths) -> Result<Call<'i>, Reason> {
    let shape = conv_shape(op, input, output);
    Ok(match op.kind {
        OpKind::Conv2d if conv2d::BUILT => Call::Conv2d(shape, weights(image, op, widths.weights)?),
        OpKind::DepthwiseConv2d if depthwise::BUILT => Call::Depthwise(shape, weights(image, op, widths.weights)?),
        OpKind::FullyConnected if fully_connected::BUILT => {
            Call::FullyConnected(fc_shape(&shape), weights(image, op, widths.weights)?)
        }
        OpKind::AveragePool if pool::AVERAGE_BUILT => Call::AveragePool(pool_shape(&shape), rescale(op, output)),
        OpKind::MaxPool if pool::MAX_BUILT => Call::MaxPool(pool_shape(&shape), max_rescale(op, output)?),
        OpKind::Add if add::BUILT => Call::Add(addition(image, op, output)?),
        OpKind::Reshape => Call::Reshape(reshaping(input, output, widths.input)),
        OpKind::Softmax if softmax::BUILT => {
            Call::Softmax { table: image.weights(op).and_then(constants::words).ok_or(Reason::SoftmaxTable)? }
        }
        _ => return Err(Reason::UnknownOperator),
    })
}

#[inline(never)]
fn weights<'i>(image: &Image<'i>, op: &Op, bits: Bits) -> Result<Weights<'i>, Reason> {
    let packed = image.weights(op).ok_or(Reason::WeightsOutside)?;
    let channels = image.channels(op).and_then(constants::channels).ok_or(Reason::ChannelsNotInPlace)?;
    Ok(Weights { bits, packed, channels })
}

fn rescale(op: &Op, output: &Tensor) -> Rescale {
    Rescale { mult: op.params[0], requant: requant(op, output) }
}

fn max_rescale(op: &Op, output: &Tensor) -> Result<Option<Rescale>, Reason> {
    match op.params[1] {
        0 => Ok(Some(rescale(op, output))),
        1 => Ok(None),
        _ => Err(Reason::MaxPoolFlag),
    }
}

/// The second input of an addition.
pub fn second(image: &Image<'_>, op: &Op) -> Result<Tensor, Reason> {
    image.tensor(op.in1).ok_or(Reason::NoSecondInput)
}

fn addition(image: &Image<'_>, op: &Op, output: &Tensor) -> Result<Addition, Reason> {
    let second = second(image, op)?;
    Ok(Addition {
        input2: span(&second),
        bits2: bits(second.bits)?,
        pixels: pixels(output),
        channels: output.c,
        params: op.params,
    })
}

/// Whether a reshape has nothing to do: input and output are the same bytes at the same place.
pub fn in_place(input: &Tensor, output: &Tensor, bits: Bits) -> bool {
    reshape::is_alias(input.c.into(), output.c.into(), bits) && span(input) == span(output)
}

fn reshaping(input: &Tensor, output: &Tensor, bits: Bits) -> Reshaping {
    Reshaping {
        in_pixels: pixels(input),
        in_c: input.c.into(),
        out_pixels: pixels(output),
        out_c: output.c.into(),
        in_place: in_place(input, output, bits),
    }
}

/// A tensor's or an op's width.
pub fn bits(width: u8) -> Result<Bits, Reason> {
    Bits::try_from(width).map_err(|_| Reason::TensorBits)
}

/// A tensor's pixels.
pub fn pixels(tensor: &Tensor) -> u32 {
    u32::from(tensor.h) * u32::from(tensor.w)
}

/// A tensor's bytes in the arena.
pub fn span(tensor: &Tensor) -> Range<usize> {
    tensor.arena_off as usize..tensor.arena_off as usize + tensor.bytes()
}

/// An op's scratch in the arena; an empty one lies nowhere, and so in nobody's way.
fn scratch(op: &Op) -> Range<usize> {
    match op.scratch_len {
        0 => 0..0,
        len => op.scratch_off as usize..op.scratch_off as usize + len as usize,
    }
}
