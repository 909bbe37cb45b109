//! What one op will do, resolved from its records and checked against its kernel's demands.

use core::ops::Range;

use bitrack_image::{Image, Op, OpKind, Tensor};
use bitrack_kernels::{
    Bits, Channel, ConvShape, FcShape, Kernel, Needs, PoolShape, Requant, Rescale, ShapeError, add, conv2d, depthwise,
    fully_connected, pool, reshape, softmax,
};

use crate::constants;

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
    Softmax { classes: usize, table: &'i [u32] },
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

type What = &'static str;

impl<'i> Plan<'i> {
    /// Resolves op `index`, with every check that is cheap enough to repeat before each run of it.
    ///
    /// # Errors
    /// What its kernel would refuse.
    pub fn of(image: &Image<'i>, index: u16) -> Result<Self, What> {
        let op = image.op(index).ok_or("record is missing")?;
        let input = image.tensor(op.in0).ok_or("first input does not exist")?;
        let output = image.tensor(op.out).ok_or("output does not exist")?;
        if op.variant != 0 {
            return Err("kernel variant does not exist");
        }
        let requant = Requant { shift: op.shift, out_zero: output.zero, act_min: op.act_min, act_max: op.act_max };
        let plan = Self {
            input: span(&input),
            output: span(&output),
            scratch: scratch(&op),
            in_bits: bits(input.bits)?,
            out_bits: bits(output.bits)?,
            in_zero: input.zero,
            requant,
            call: call(image, &op, &input, &output, requant)?,
        };
        plan.check_built()?;
        plan.check_scratch()?;
        plan.check_overlap()?;
        Ok(plan)
    }

    /// The kernels that must be compiled in to run it.
    pub fn needs(&self) -> Needs {
        let (input, output) = (self.in_bits, self.out_bits);
        match &self.call {
            Call::Conv2d(_, w) => conv2d::needs(w.bits, input, output),
            Call::Depthwise(shape, w) => depthwise::needs(shape, self.requant.shift, w.bits, input, output),
            Call::FullyConnected(_, w) => fully_connected::needs(w.bits, input, output),
            Call::AveragePool(..) => pool::average_needs(input, output),
            Call::MaxPool(..) => pool::max_needs(input, output),
            Call::Add(addition) => add::needs([input, addition.bits2, output]),
            Call::Reshape(Reshaping { in_place: true, .. }) => [None; 5],
            Call::Reshape(_) => [Some(Kernel::Reshape), None, None, None, None],
            Call::Softmax { .. } => [Some(Kernel::Softmax), None, None, None, None],
        }
    }

    fn check_built(&self) -> Result<(), What> {
        if Kernel::ALL_BUILT {
            return Ok(());
        }
        match self.needs().into_iter().flatten().find(|kernel| !kernel.is_built()) {
            Some(kernel) => Err(kernel.lacking()),
            None => Ok(()),
        }
    }

    /// Checks the constants in flash, value by value: once, when an image is loaded.
    ///
    /// # Errors
    /// Which constant is outside the range its formula is defined for.
    pub fn check_constants(&self) -> Result<(), What> {
        match &self.call {
            Call::Conv2d(_, w) | Call::Depthwise(_, w) | Call::FullyConnected(_, w) => {
                let negative = w.channels.iter().any(|channel| channel.mult < 0);
                if negative { Err("a channel's multiplier is negative") } else { Ok(()) }
            }
            Call::Softmax { table, .. } => {
                let bad = table.first() == Some(&0) || table.iter().any(|&entry| entry > softmax::MAX_ENTRY);
                if bad { Err("softmax table entry is out of range") } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    fn check_scratch(&self) -> Result<(), What> {
        let needed = match &self.call {
            Call::Conv2d(shape, w) => conv2d::scratch_len(shape, w.bits, self.in_bits, self.out_bits),
            Call::Depthwise(shape, w) => depthwise::scratch_len(shape, w.bits, self.in_bits, self.out_bits),
            Call::FullyConnected(shape, w) => fully_connected::scratch_len(shape, w.bits, self.in_bits, self.out_bits),
            _ => 0,
        };
        if self.scratch.len() < needed { Err("scratch is smaller than the kernel needs") } else { Ok(()) }
    }

    /// The borrow checker's rule, for ranges: what is written overlaps nothing else.
    fn check_overlap(&self) -> Result<(), What> {
        let second = match &self.call {
            Call::Add(add) => add.input2.clone(),
            _ => 0..0,
        };
        let in_place = matches!(&self.call, Call::Reshape(reshaping) if reshaping.in_place);
        match () {
            () if !in_place && overlap(&self.input, &self.output) => Err("output overlaps the input"),
            () if overlap(&second, &self.output) => Err("output overlaps the second input"),
            () if overlap(&second, &self.input) && second != self.input => Err("inputs overlap in part"),
            () if [&self.input, &self.output, &second].iter().any(|r| overlap(r, &self.scratch)) => {
                Err("scratch overlaps a tensor")
            }
            () => Ok(()),
        }
    }
}

fn call<'i>(image: &Image<'i>, op: &Op, input: &Tensor, output: &Tensor, requant: Requant) -> Result<Call<'i>, What> {
    Ok(match op.kind {
        OpKind::Conv2d => {
            let shape = conv_shape(op, input, output);
            shape.validate().map_err(shape_error)?;
            Call::Conv2d(shape, weights(image, op, |w_bits| conv2d::weights_len(&shape, w_bits))?)
        }
        OpKind::DepthwiseConv2d => {
            let shape = conv_shape(op, input, output);
            shape.validate_depthwise().map_err(shape_error)?;
            Call::Depthwise(shape, weights(image, op, |w_bits| depthwise::weights_len(&shape, w_bits))?)
        }
        OpKind::FullyConnected => {
            let shape = FcShape { in_features: input.c.into(), out_features: output.c.into() };
            shape.validate().map_err(shape_error)?;
            let weights = weights(image, op, |w_bits| fully_connected::weights_len(&shape, w_bits))?;
            Call::FullyConnected(shape, weights)
        }
        OpKind::AveragePool => {
            let shape = pool_shape(op, input, output)?;
            if u32::from(op.k_h) * u32::from(op.k_w) > pool::MAX_AVERAGE_WINDOW {
                return Err("average window is too large");
            }
            Call::AveragePool(shape, rescale(op, requant)?)
        }
        OpKind::MaxPool => Call::MaxPool(pool_shape(op, input, output)?, max_rescale(op, input, output, requant)?),
        OpKind::Add => Call::Add(addition(image, op, output)?),
        OpKind::Reshape => Call::Reshape(reshaping(input, output)?),
        OpKind::Softmax => softmax_call(image, op, input)?,
    })
}

fn conv_shape(op: &Op, input: &Tensor, output: &Tensor) -> ConvShape {
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

fn pool_shape(op: &Op, input: &Tensor, output: &Tensor) -> Result<PoolShape, What> {
    let shape = PoolShape {
        in_h: input.h,
        in_w: input.w,
        channels: input.c,
        out_h: output.h,
        out_w: output.w,
        k_h: op.k_h,
        k_w: op.k_w,
        stride_h: op.stride_h,
        stride_w: op.stride_w,
        pad_top: op.pad_top,
        pad_left: op.pad_left,
    };
    shape.validate().map_err(shape_error)?;
    Ok(shape)
}

fn weights<'i>(image: &Image<'i>, op: &Op, needed: impl Fn(Bits) -> usize) -> Result<Weights<'i>, What> {
    let bits = bits(op.w_bits)?;
    let packed = image.weights(op).ok_or("weights lie outside the image")?;
    if packed.len() != needed(bits) {
        return Err("packed weights have another length than the kernel reads");
    }
    let channels = image.channels(op).and_then(constants::channels).ok_or("channel constants are not in place")?;
    Ok(Weights { bits, packed, channels })
}

fn rescale(op: &Op, requant: Requant) -> Result<Rescale, What> {
    let mult = op.params[0];
    if mult < 0 { Err("pool's multiplier is negative") } else { Ok(Rescale { mult, requant }) }
}

fn max_rescale(op: &Op, input: &Tensor, output: &Tensor, requant: Requant) -> Result<Option<Rescale>, What> {
    match op.params[1] {
        0 => rescale(op, requant).map(Some),
        1 if input.bits == output.bits => Ok(None),
        1 => Err("max pool without rescaling changes the bits"),
        _ => Err("max pool's identity flag is neither 0 nor 1"),
    }
}

fn addition(image: &Image<'_>, op: &Op, output: &Tensor) -> Result<Addition, What> {
    let second = image.tensor(op.in1).ok_or("second input does not exist")?;
    Ok(Addition {
        input2: span(&second),
        bits2: bits(second.bits)?,
        pixels: pixels(output),
        channels: within_kernels(output)?.c,
        params: op.params,
    })
}

fn reshaping(input: &Tensor, output: &Tensor) -> Result<Reshaping, What> {
    let (in_c, out_c) = (within_kernels(input)?.c.into(), output.c.into());
    let same_bytes = reshape::is_alias(in_c, out_c, bits(input.bits)?);
    Ok(Reshaping {
        in_pixels: pixels(input),
        in_c,
        out_pixels: pixels(output),
        out_c,
        in_place: same_bytes && span(input) == span(output),
    })
}

fn softmax_call<'i>(image: &Image<'i>, op: &Op, input: &Tensor) -> Result<Call<'i>, What> {
    let classes = usize::from(input.c);
    let table = image.weights(op).and_then(constants::words).ok_or("softmax table is not in place")?;
    match () {
        () if pixels(input) != 1 => Err("softmax over more than one vector"),
        () if classes > softmax::MAX_CLASSES => Err("softmax over too many classes"),
        () if table.len() != usize::from(input.max_code()) + 1 => Err("softmax table has another length"),
        () => Ok(Call::Softmax { classes, table }),
    }
}

/// The kernels' bound on a tensor, where no shape type checks it.
fn within_kernels(tensor: &Tensor) -> Result<&Tensor, What> {
    let values = u64::from(pixels(tensor)) * u64::from(tensor.c);
    if values > 1 << 27 { Err(shape_error(ShapeError::TooLarge)) } else { Ok(tensor) }
}

fn shape_error(error: ShapeError) -> What {
    match error {
        ShapeError::Zero => "a size is zero",
        ShapeError::WindowBeforeInput => "a window lies entirely above or left of the input",
        ShapeError::WindowAfterInput => "a window lies entirely below or right of the input",
        ShapeError::ChannelMultiplier => "depthwise changes the number of channels",
        ShapeError::TooLarge => "a tensor is too large for the kernels",
        _ => "the kernel refuses the shape",
    }
}

fn bits(width: u8) -> Result<Bits, What> {
    Bits::try_from(width).map_err(|_| "bits are not 2, 4 or 8")
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

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}
