//! A fully connected layer on one vector.

use crate::buffers::{self, Input, Output, Overlay};
use crate::columns::{Lane, Order, Writer};
use crate::error::{check_len, check_words};
use crate::matmul::{Columns, Panel, layout};
use crate::requant::{Channel, Requant};
use crate::{Bits, FcShape, Kernel, KernelError, Needs, built};

/// Operands of a fully connected layer.
pub struct FcArgs<'a> {
    /// The shape.
    pub shape: FcShape,
    /// Width of `input`.
    pub in_bits: Bits,
    /// Width of `weights`.
    pub w_bits: Bits,
    /// Width of `output`.
    pub out_bits: Bits,
    /// One per output feature.
    pub channels: &'a [Channel],
    /// Constants of the output vector.
    pub requant: Requant,
    /// Packed input, one pixel of `in_features` channels.
    pub input: Input<'a>,
    /// Weights as [`pack`] wrote them, 4-byte aligned.
    pub weights: &'a [u8],
    /// At least [`scratch_len`], 4-byte aligned.
    pub scratch: Output<'a>,
    /// Packed output, one pixel of `out_features` channels.
    pub output: Output<'a>,
}

impl FcArgs<'_> {
    fn validate(&self) -> Result<(), KernelError> {
        self.shape.validate()?;
        self.requant.validate(self.out_bits)?;
        check_len("channels", self.channels.len(), self.shape.out_features as usize)?;
        check_len("input", self.input.len(), self.shape.input_bytes(self.in_bits))?;
        check_len("output", self.output.len(), self.shape.output_bytes(self.out_bits))?;
        let weights = weights_len(&self.shape, self.w_bits);
        let scratch = scratch_len(&self.shape, self.w_bits, self.in_bits, self.out_bits);
        check_words((self.weights, weights), (&self.scratch, scratch))?;
        buffers::check_overlay(&self.input, &self.output, || None)?;
        buffers::check_overlay(&self.input, &self.scratch, || Some(scratch_overlay(&self.shape, self.in_bits)))?;
        buffers::check_apart(&self.output, &self.scratch)
    }
}

/// Values per output feature, extended by zeros to what the inner loop takes at once.
const fn k8(shape: &FcShape) -> usize {
    (shape.in_features as usize).next_multiple_of(8)
}

/// The input is one row of whole groups of eight.
const fn order(in_bits: Bits) -> Order {
    Order::of(8, in_bits)
}

/// Bytes of the packed weights, a multiple of 4.
#[cfg_attr(not(feature = "all"), inline(never))]
pub const fn weights_len(shape: &FcShape, w_bits: Bits) -> usize {
    layout::weights_len(shape.out_features as usize, k8(shape), w_bits)
}

/// Bytes of scratch, a multiple of 4: the input as 16-bit values.
pub const fn scratch_len(shape: &FcShape, _w_bits: Bits, _in_bits: Bits, _out_bits: Bits) -> usize {
    2 * k8(shape)
}

/// How scratch may lie over the input: values are expanded from the front on, so that an input which ends where scratch ends has
/// been read wherever it is overwritten. Scratch then takes no more than the difference beside the input.
pub fn scratch_overlay(shape: &FcShape, in_bits: Bits) -> Overlay {
    Overlay::forward(2 * k8(shape) - shape.input_bytes(in_bits))
}

/// Packs weights given as `[out_features][in_features]`, each within the range of `w_bits`, for inputs of `in_bits`.
pub fn pack(shape: &FcShape, w_bits: Bits, in_bits: Bits, plain: &[i8], out: &mut [u8]) -> Result<(), KernelError> {
    shape.validate()?;
    layout::pack(
        plain,
        shape.out_features as usize,
        [1, shape.in_features as usize],
        k8(shape),
        order(in_bits),
        w_bits,
        out,
    )
}

/// Whether any of it is compiled in.
pub const BUILT: bool = Kernel::FullyConnectedW8.is_built()
    || Kernel::FullyConnectedW4A8.is_built()
    || Kernel::FullyConnectedW4Narrow.is_built()
    || Kernel::FullyConnectedW2.is_built();

/// What must be compiled in beside the widths of input and output.
pub const fn needs(shape: &FcShape, requant: Requant, w_bits: Bits, in_bits: Bits, out_bits: Bits) -> Needs {
    let kernel = match (w_bits, in_bits) {
        (Bits::B8, _) => Kernel::FullyConnectedW8,
        (Bits::B4, Bits::B8) => Kernel::FullyConnectedW4A8,
        (Bits::B4, _) => Kernel::FullyConnectedW4Narrow,
        (Bits::B2, _) => Kernel::FullyConnectedW2,
    };
    if !BUILT {
        return Needs::of(kernel);
    }
    let partial = Kernel::FullyConnectedPartial;
    Needs::of(kernel).and_outputs(shape.out_features as usize, partial, k8(shape), requant, out_bits)
}

/// Runs the layer.
#[inline(never)]
pub fn run(args: FcArgs<'_>) -> Result<(), KernelError> {
    args.validate()?;
    // SAFETY: just checked.
    unsafe { compute(&args) };
    Ok(())
}

/// What [`run`] does once it has checked its operands: for who has checked them before.
///
/// # Safety
/// [`run`] would not refuse `args`.
#[inline(never)]
pub unsafe fn run_planned(args: FcArgs<'_>) {
    debug_assert_eq!(args.validate(), Ok(()));
    // SAFETY: the caller's promise.
    unsafe { compute(&args) }
}

/// # Safety
/// As [`run_planned`].
#[inline(always)]
unsafe fn compute(args: &FcArgs<'_>) {
    let k = k8(&args.shape);
    let (in_bits, out_bits) = (built::activations(args.in_bits), built::activations(args.out_bits));
    let bits = [built::fully_connected_weights(args.w_bits), in_bits, out_bits];
    let panel = Panel::new::<1>(args.weights, args.channels, k, bits, args.requant);
    let words = args.scratch.pointer().cast::<u32>();
    // SAFETY: there is room for so many words, aligned, over nothing but what of the input was read.
    let mut writer = unsafe { Writer::at(words, k / 2, Lane::ALONE, order(in_bits)) };
    writer.expand(args.input, args.shape.in_features as usize, in_bits);
    writer.fill(0, k - args.shape.in_features as usize);
    let sums = [writer.sum()];
    // SAFETY: the writer is done.
    let words = unsafe { core::slice::from_raw_parts(words, k / 2) };
    panel.run(&Columns { words, sums }, &args.output, [0]);
    // SAFETY: nothing else is touched meanwhile.
    let output = unsafe { args.output.rest(0) };
    args.requant.clamp_tensor(output, args.shape.out_features as usize, out_bits);
}
