//! What one op will do, resolved from its records and checked against its kernel's demands.

use core::ops::Range;

use bitrack_image::{Image, Op, OpKind, Tensor};
use bitrack_kernels::{
    Bits, Channel, ConvShape, FcShape, Needs, Overlay, PoolShape, Requant, Rescale, add, conv2d, depthwise,
    fully_connected, pool, reshape, softmax,
};

use bitrack_reason::Reason;

use crate::shapes::{conv_shape, fc_shape, pool_shape, shape_error};
use crate::{constants, lacking};

/// An op with its bytes in the arena (ranges) and in flash (slices).
pub struct Plan<'i> {
    pub input: Range<usize>,
    pub output: Range<usize>,
    pub scratch: Range<usize>,
    pub in_bits: Bits,
    pub out_bits: Bits,
    pub in_zero: u8,
    pub requant: Requant,
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

/// Whether any pooling is compiled in.
const POOLS_BUILT: bool = pool::AVERAGE_BUILT || pool::MAX_BUILT;

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
    /// Resolves op `index`, with every check that is cheap enough to repeat before each run of it.
    ///
    /// # Errors
    /// What its kernel would refuse.
    #[inline(never)]
    pub fn of(image: &Image<'i>, index: u16) -> Result<Self, Reason> {
        // By reference: records are looked at where they were read to, and not copied once more.
        let Some(op) = &image.op(index) else { return Err(Reason::RecordMissing) };
        let Some(input) = &image.tensor(op.in0) else { return Err(Reason::NoFirstInput) };
        let Some(output) = &image.tensor(op.out) else { return Err(Reason::NoOutput) };
        if op.variant != 0 {
            return Err(Reason::Variant);
        }
        let (widths, requant) = (Widths::of(op, input, output)?, requant(op, output));
        let shape = &conv_shape(op, input, output);
        if let Some(kernel) = needs(image, op, input, output, shape, widths)?.missing() {
            return Err(lacking::reason(kernel));
        }
        let plan = Self {
            input: span(input),
            output: span(output),
            scratch: scratch(op),
            in_bits: widths.input,
            out_bits: widths.output,
            in_zero: input.zero,
            requant,
            call: call(image, op, input, output, shape, widths)?,
        };
        plan.check_overlap()?;
        Ok(plan)
    }

    /// Checks the constants in flash, value by value: once, when an image is loaded.
    ///
    /// # Errors
    /// Which constant is outside the range its formula is defined for.
    pub fn check_constants(&self) -> Result<(), Reason> {
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
            Call::Depthwise(shape, _) if depthwise::BUILT => depthwise::overlay(shape, input, output),
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

/// The kernels that op `index` needs.
///
/// # Errors
/// As [`Plan::of`].
pub fn needs_of(image: &Image<'_>, index: u16) -> Result<Needs, Reason> {
    Plan::of(image, index)?;
    let op = image.op(index).ok_or(Reason::RecordMissing)?;
    let input = image.tensor(op.in0).ok_or(Reason::NoFirstInput)?;
    let output = image.tensor(op.out).ok_or(Reason::NoOutput)?;
    needs(image, &op, &input, &output, &conv_shape(&op, &input, &output), Widths::of(&op, &input, &output)?)
}

fn requant(op: &Op, output: &Tensor) -> Requant {
    Requant { shift: op.shift, out_zero: output.zero, act_min: op.act_min, act_max: op.act_max }
}

/// How wide an op's values are.
#[derive(Clone, Copy)]
struct Widths {
    input: Bits,
    /// Means nothing where there are none.
    weights: Bits,
    output: Bits,
}

impl Widths {
    #[inline(never)]
    fn of(op: &Op, input: &Tensor, output: &Tensor) -> Result<Self, Reason> {
        let weights = if op.kind.has_weights() { bits(op.w_bits)? } else { Bits::B8 };
        Ok(Self { input: bits(input.bits)?, weights, output: bits(output.bits)? })
    }
}

/// The kernels that an op needs. Inlined, so that a build computes only what it might lack.
#[inline(always)]
fn needs(
    image: &Image<'_>,
    op: &Op,
    input: &Tensor,
    output: &Tensor,
    shape: &ConvShape,
    widths: Widths,
) -> Result<Needs, Reason> {
    let requant = requant(op, output);
    let Widths { input: in_bits, weights: w_bits, output: out_bits } = widths;
    let needs = match op.kind {
        OpKind::Conv2d => conv2d::needs(shape, requant, w_bits, in_bits, out_bits),
        OpKind::DepthwiseConv2d => depthwise::needs(shape, requant, w_bits, out_bits),
        OpKind::FullyConnected => fully_connected::needs(&fc_shape(shape), requant, w_bits, in_bits, out_bits),
        OpKind::AveragePool => pool::average_needs(&pool_shape(shape), op.shift),
        OpKind::MaxPool => pool::max_needs(&pool_shape(shape)),
        OpKind::Add => add::NEEDS.join(Needs::activations(bits(second(image, op)?.bits)?)),
        OpKind::Reshape if in_place(input, output, in_bits) => Needs::NONE,
        OpKind::Reshape => reshape::NEEDS,
        OpKind::Softmax => softmax::NEEDS,
    };
    Ok(needs.join(Needs::activations(in_bits)).join(Needs::activations(out_bits)))
}

/// Operators of which nothing is compiled in were refused by their needs; that they are left out here is for the compiler to see.
#[inline(never)]
fn call<'i>(
    image: &Image<'i>,
    op: &Op,
    input: &Tensor,
    output: &Tensor,
    shape: &ConvShape,
    widths: Widths,
) -> Result<Call<'i>, Reason> {
    let Widths { input: in_bits, weights: w_bits, output: out_bits } = widths;
    match op.kind {
        OpKind::Conv2d | OpKind::DepthwiseConv2d if conv2d::BUILT || depthwise::BUILT => {
            shape.validate().map_err(shape_error)?;
            if depthwise::BUILT && op.kind == OpKind::DepthwiseConv2d {
                // Nothing but the number of channels is left to be wrong.
                shape.validate_depthwise().map_err(|_| Reason::ChannelMultiplier)?;
                check_scratch(op, depthwise::scratch_len(shape, w_bits, in_bits, out_bits))?;
                return Ok(Call::Depthwise(*shape, weights(image, op, w_bits, depthwise::weights_len(shape, w_bits))?));
            }
            check_scratch(op, conv2d::scratch_len(shape, w_bits, in_bits, out_bits))?;
            Ok(Call::Conv2d(*shape, weights(image, op, w_bits, conv2d::weights_len(shape, w_bits))?))
        }
        OpKind::FullyConnected if fully_connected::BUILT => {
            let shape = fc_shape(shape);
            shape.validate().map_err(shape_error)?;
            check_scratch(op, fully_connected::scratch_len(&shape, w_bits, in_bits, out_bits))?;
            let weights_len = fully_connected::weights_len(&shape, w_bits);
            Ok(Call::FullyConnected(shape, weights(image, op, w_bits, weights_len)?))
        }
        OpKind::AveragePool if pool::AVERAGE_BUILT => {
            let shape = pool_shape(shape);
            shape.validate().map_err(shape_error)?;
            if u32::from(op.k_h) * u32::from(op.k_w) > pool::MAX_AVERAGE_WINDOW {
                return Err(Reason::AverageWindow);
            }
            Ok(Call::AveragePool(shape, rescale(op, output)?))
        }
        OpKind::MaxPool if pool::MAX_BUILT => {
            let shape = pool_shape(shape);
            shape.validate().map_err(shape_error)?;
            Ok(Call::MaxPool(shape, max_rescale(op, input, output)?))
        }
        OpKind::Add if add::BUILT => Ok(Call::Add(addition(image, op, output)?)),
        OpKind::Reshape => reshaping(input, output, in_bits).map(Call::Reshape),
        OpKind::Softmax if softmax::BUILT => softmax_call(image, op, input),
        _ => Err(Reason::UnknownOperator),
    }
}

fn check_scratch(op: &Op, needed: usize) -> Result<(), Reason> {
    if (op.scratch_len as usize) < needed { Err(Reason::ScratchTooSmall) } else { Ok(()) }
}

#[inline(never)]
fn weights<'i>(image: &Image<'i>, op: &Op, bits: Bits, needed: usize) -> Result<Weights<'i>, Reason> {
    let packed = image.weights(op).ok_or(Reason::WeightsOutside)?;
    if packed.len() != needed {
        return Err(Reason::WeightsLength);
    }
    let channels = image.channels(op).and_then(constants::channels).ok_or(Reason::ChannelsNotInPlace)?;
    Ok(Weights { bits, packed, channels })
}

fn rescale(op: &Op, output: &Tensor) -> Result<Rescale, Reason> {
    let mult = op.params[0];
    if mult < 0 { Err(Reason::PoolMultiplier) } else { Ok(Rescale { mult, requant: requant(op, output) }) }
}

fn max_rescale(op: &Op, input: &Tensor, output: &Tensor) -> Result<Option<Rescale>, Reason> {
    match op.params[1] {
        0 => rescale(op, output).map(Some),
        1 if input.bits == output.bits => Ok(None),
        1 => Err(Reason::MaxPoolWidths),
        _ => Err(Reason::MaxPoolFlag),
    }
}

fn second(image: &Image<'_>, op: &Op) -> Result<Tensor, Reason> {
    image.tensor(op.in1).ok_or(Reason::NoSecondInput)
}

fn addition(image: &Image<'_>, op: &Op, output: &Tensor) -> Result<Addition, Reason> {
    let second = second(image, op)?;
    within_kernels(output)?;
    Ok(Addition {
        input2: span(&second),
        bits2: bits(second.bits)?,
        pixels: pixels(output),
        channels: output.c,
        params: op.params,
    })
}

/// Whether a reshape has nothing to do: input and output are the same bytes at the same place.
fn in_place(input: &Tensor, output: &Tensor, bits: Bits) -> bool {
    reshape::is_alias(input.c.into(), output.c.into(), bits) && span(input) == span(output)
}

fn reshaping(input: &Tensor, output: &Tensor, bits: Bits) -> Result<Reshaping, Reason> {
    within_kernels(input)?;
    let in_place = in_place(input, output, bits);
    // The only op whose output the format lets lie where its input does.
    if !in_place && overlap(span(input), span(output)) {
        return Err(Reason::OutputOnInput);
    }
    Ok(Reshaping {
        in_pixels: pixels(input),
        in_c: input.c.into(),
        out_pixels: pixels(output),
        out_c: output.c.into(),
        in_place,
    })
}

fn softmax_call<'i>(image: &Image<'i>, op: &Op, input: &Tensor) -> Result<Call<'i>, Reason> {
    let classes = usize::from(input.c);
    let table = image.weights(op).and_then(constants::words).ok_or(Reason::SoftmaxTable)?;
    match () {
        () if pixels(input) != 1 => Err(Reason::SoftmaxVectors),
        () if classes > softmax::MAX_CLASSES => Err(Reason::SoftmaxClasses),
        () if table.len() != usize::from(input.max_code()) + 1 => Err(Reason::SoftmaxTableLength),
        () => Ok(Call::Softmax { table }),
    }
}

/// The kernels' bound on a tensor, where no shape type checks it.
fn within_kernels(tensor: &Tensor) -> Result<(), Reason> {
    let values = u64::from(pixels(tensor)) * u64::from(tensor.c);
    if values > 1 << 27 { Err(Reason::TooLarge) } else { Ok(()) }
}

fn bits(width: u8) -> Result<Bits, Reason> {
    Bits::try_from(width).map_err(|_| Reason::TensorBits)
}

fn pixels(tensor: &Tensor) -> u32 {
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

/// Whether what is written is apart from an input, or lies over it as its kernel bears.
fn bears(bearing: Option<Overlay>, input: &Range<usize>, written: &Range<usize>) -> bool {
    let over = overlap(input.clone(), written.clone());
    !over || bearing.is_some_and(|overlay| overlay.bears(input.start, written.start))
}

fn overlap(a: Range<usize>, b: Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}
