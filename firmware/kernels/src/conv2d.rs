//! Convolution of any kernel size, stride, padding and channel count.

use crate::buffers::{self, Input, Output, Overlay};
use crate::built::NARROW;
use crate::columns::{Order, Windows, as_words};
use crate::error::{check_len, check_words};
use crate::matmul::{Columns, Panel, layout};
use crate::parts::Parts;
use crate::quads::QUAD;
use crate::requant::{Channel, Requant};
use crate::{Bits, ConvShape, Kernel, KernelError, Needs, Variant, activations, built};

/// Operands of a convolution or depthwise convolution.
pub struct ConvArgs<'a> {
    /// The shape; depthwise wants `in_c == out_c`.
    pub shape: ConvShape,
    /// One that exists for the operator and this shape.
    pub variant: Variant,
    /// Width of `input`.
    pub in_bits: Bits,
    /// Width of `weights`.
    pub w_bits: Bits,
    /// Width of `output`.
    pub out_bits: Bits,
    /// Zero point of `input`, the value of padding.
    pub in_zero: u8,
    /// One per output channel.
    pub channels: &'a [Channel],
    /// Constants of the output tensor.
    pub requant: Requant,
    /// Packed input.
    pub input: Input<'a>,
    /// Weights as the operator's `pack` wrote them, 4-byte aligned.
    pub weights: &'a [u8],
    /// At least the operator's `scratch_len`, 4-byte aligned.
    pub scratch: Output<'a>,
    /// Packed output.
    pub output: Output<'a>,
}

impl ConvArgs<'_> {
    /// Checks everything but the shape and the lengths that depend on the operator.
    #[inline(never)]
    pub(crate) fn validate(
        &self,
        weights_len: usize,
        scratch_len: usize,
        overlay: fn(&ConvShape, Variant, Bits, Bits) -> Option<Overlay>,
    ) -> Result<(), KernelError> {
        self.requant.validate(self.out_bits)?;
        if self.in_zero > self.in_bits.max_activation() {
            return Err(KernelError::constant("in_zero"));
        }
        check_len("channels", self.channels.len(), usize::from(self.shape.out_c))?;
        check_len("input", self.input.len(), self.shape.input_bytes(self.in_bits))?;
        check_len("output", self.output.len(), self.shape.output_bytes(self.out_bits))?;
        check_words((self.weights, weights_len), (&self.scratch, scratch_len))?;
        buffers::check_overlay(&self.input, &self.scratch, || None)?;
        buffers::check_apart(&self.output, &self.scratch)?;
        let overlay = || overlay(&self.shape, self.variant, self.in_bits, self.out_bits);
        buffers::check_overlay(&self.input, &self.output, overlay)
    }
}

/// Values per output channel: each kernel row is extended to whole groups of four.
const fn k4(shape: &ConvShape) -> usize {
    shape.k_h as usize * (shape.k_w as usize * shape.in_c as usize).next_multiple_of(4)
}

/// Bytes of the packed weights, a multiple of 4.
#[cfg_attr(not(feature = "all"), inline(never))]
pub const fn weights_len(shape: &ConvShape, w_bits: Bits) -> usize {
    layout::weights_len(shape.out_c as usize, k4(shape), w_bits)
}

/// Bytes of scratch, a multiple of 4: two windows of 16-bit values.
pub const fn scratch_len(shape: &ConvShape, _w_bits: Bits, _in_bits: Bits, _out_bits: Bits) -> usize {
    4 * k4(shape)
}

/// Packs weights given as `[out_c][k_h][k_w][in_c]`, each within the range of `w_bits`, for inputs of `in_bits`.
pub fn pack(shape: &ConvShape, w_bits: Bits, in_bits: Bits, plain: &[i8], out: &mut [u8]) -> Result<(), KernelError> {
    shape.validate()?;
    let (rows, row) = (usize::from(shape.k_h), usize::from(shape.k_w) * usize::from(shape.in_c));
    let order = Order::of_windows(shape, in_bits);
    layout::pack(plain, usize::from(shape.out_c), [rows, row], row.next_multiple_of(4), order, w_bits, out)
}

/// Whether any of it is compiled in.
pub const BUILT: bool = Kernel::Conv2dW8.is_built()
    || Kernel::Conv2dW4A8.is_built()
    || Kernel::Conv2dW4Narrow.is_built()
    || Kernel::Conv2dW2A8.is_built()
    || Kernel::Conv2dW2Narrow.is_built();

/// Values under a window up to which sums of narrow activations fit 16 bits.
const MAX_NARROW: usize = 8192;

/// Whether there is a variant for a shape: [`Variant::General`] always, [`Variant::Pixels`] for pointwise convolutions whose pixels are
/// whole bytes and whole groups on the way in and whole quads on the way out.
pub const fn exists(variant: Variant, shape: &ConvShape, in_bits: Bits) -> bool {
    match variant {
        Variant::General => true,
        // A build without says so to whoever names it.
        Variant::Pixels if !Kernel::Conv2dPixels.is_built() => true,
        Variant::Pixels => {
            let whole = match Order::of_windows(shape, in_bits) {
                Order::Fours => matches!(in_bits, Bits::B8),
                Order::Eights => shape.k_len() <= MAX_NARROW,
            };
            whole && shape.is_pointwise() && (shape.out_c as usize).is_multiple_of(QUAD)
        }
        Variant::Rows | Variant::Map => false,
    }
}

/// What must be compiled in beside the widths of input and output; `None` for a variant that does not [exist](exists).
pub const fn needs(
    shape: &ConvShape,
    variant: Variant,
    requant: Requant,
    w_bits: Bits,
    in_bits: Bits,
    out_bits: Bits,
) -> Option<Needs> {
    let kernel = match (w_bits, in_bits) {
        (Bits::B8, _) => Kernel::Conv2dW8,
        (Bits::B4, Bits::B8) => Kernel::Conv2dW4A8,
        (Bits::B4, _) => Kernel::Conv2dW4Narrow,
        (Bits::B2, Bits::B8) => Kernel::Conv2dW2A8,
        (Bits::B2, _) => Kernel::Conv2dW2Narrow,
    };
    if !BUILT {
        return Some(Needs::of(kernel));
    }
    if !exists(variant, shape, in_bits) {
        return None;
    }
    let in_fours = NARROW && !matches!(in_bits, Bits::B8) && matches!(Order::of_windows(shape, in_bits), Order::Fours);
    let needs = Needs::of(kernel).and_if(in_fours, Kernel::PartialQuads);
    let needs = needs.and_outputs(shape.out_c as usize, Kernel::PartialQuads, k4(shape), requant, out_bits);
    Some(needs.and_if(matches!(variant, Variant::Pixels), Kernel::Conv2dPixels))
}

/// How the output may lie over the input: two pixels at a time, in order, windows are expanded to scratch before their outputs are
/// written. Expansion reads from a window's first byte on, and ahead of it only (up to three bytes beyond a row's end, which
/// are multiplied by zeros), so that what earlier outputs have overwritten is never read again.
#[cfg_attr(not(feature = "all"), inline(never))]
pub fn overlay(shape: &ConvShape, in_bits: Bits, out_bits: Bits) -> Overlay {
    Overlay::forward(shape.lead(in_bits, out_bits))
}

/// Runs the convolution.
#[inline(never)]
pub fn run(args: ConvArgs<'_>) -> Result<(), KernelError> {
    check(&args)?;
    // SAFETY: just checked.
    unsafe { compute(args) };
    Ok(())
}

fn check(args: &ConvArgs<'_>) -> Result<(), KernelError> {
    let ConvArgs { shape, in_bits, w_bits, out_bits, .. } = args;
    shape.validate()?;
    if !exists(args.variant, shape, *in_bits) {
        return Err(KernelError::constant("variant"));
    }
    let scratch_len = scratch_len(shape, *w_bits, *in_bits, *out_bits);
    let overlay = |shape: &ConvShape, _, input, output| Some(overlay(shape, input, output));
    args.validate(weights_len(shape, *w_bits), scratch_len, overlay)
}

/// What [`run`] does once it has checked its operands: for who has checked them before.
///
/// # Safety
/// [`run`] would not refuse `args`.
#[inline(never)]
pub unsafe fn run_planned(args: ConvArgs<'_>) {
    debug_assert_eq!(check(&args), Ok(()));
    // SAFETY: the caller's promise.
    unsafe { compute(args) }
}

/// # Safety
/// As [`run_planned`].
#[inline(always)]
unsafe fn compute(mut args: ConvArgs<'_>) {
    let ConvArgs { shape, in_bits, w_bits, out_bits, in_zero, requant, .. } = args;
    let (in_bits, out_bits) = (built::activations(in_bits), built::activations(out_bits));
    let w_bits = built::conv2d_weights(w_bits);
    let panel = Panel::new::<2>(args.weights, args.channels, k4(&shape), [w_bits, in_bits, out_bits], requant);
    let windows = Windows::new(&shape, in_bits, in_zero, args.input);
    let pixel_bytes = activations::pixel_bytes(usize::from(shape.out_c), out_bits);
    // SAFETY: scratch lies apart from all that is touched otherwise.
    let words = as_words(unsafe { args.scratch.bytes() }).part_mut(..k4(&shape));
    let done = match args.variant {
        Variant::Pixels => pixels_side_by_side(&panel, &windows, words, &args.output),
        _ => 0,
    };
    let mut pixels = windows.walk().skip(done);
    let mut at = done * pixel_bytes;
    while let Some(first) = pixels.next() {
        // The last of an odd number of pixels is computed twice and stored twice in the same place.
        let (second, beside) = pixels.next().map_or((first, at), |second| (second, at + pixel_bytes));
        let sums = windows.pair([first, second], words);
        panel.run(&Columns { words, sums }, &args.output, [at, beside]);
        at = beside + pixel_bytes;
    }
    // SAFETY: the input, which may lie here, is not read any more.
    requant.clamp_tensor(unsafe { args.output.bytes() }, usize::from(shape.out_c), out_bits);
}

/// Runs all pixels but a last odd one, and those whose groups would reach beyond the input; returns their number.
#[cfg(target_arch = "arm")]
fn pixels_side_by_side(panel: &Panel<'_>, windows: &Windows<'_>, words: &mut [u32], output: &Output<'_>) -> usize {
    if !Kernel::Conv2dPixels.is_built() {
        return 0;
    }
    windows.row().map_or(0, |row| panel.pixels(&row, words, output))
}

/// The host takes them two by two.
#[cfg(not(target_arch = "arm"))]
fn pixels_side_by_side(_: &Panel<'_>, _: &Windows<'_>, _: &mut [u32], _: &Output<'_>) -> usize {
    0
}
