//! Depthwise convolution with channel multiplier 1.
//!
//! Four channels at a time, row by row, in three passes over a strip of columns that fits a kilobyte of scratch:
//! *expand* turns the input rows under the kernel into vertical pairs of 16-bit values, channel by channel; *filter* slides
//! the kernel along each channel's pairs, two taps an instruction; *store* packs the resulting bytes into the output.

mod any;
#[cfg(target_arch = "arm")]
mod cortex_m;
mod layout;
#[cfg(target_arch = "arm")]
mod map3x3;
#[cfg(target_arch = "arm")]
mod pairs3x3;
mod plan;

#[cfg(target_arch = "arm")]
use plan::Code;
use plan::Plan;

use crate::buffers::{self, Input, Output, Overlay, Way};
use crate::columns::as_words;
use crate::parts::Parts;
#[cfg(target_arch = "arm")]
use crate::parts::{quotient, quotient_up};
use crate::quads::QUAD;
use crate::requant::{Channel, Requant};
use crate::{Bits, ConvArgs, ConvShape, Kernel, KernelError, Needs, Variant, activations, built};

/// Largest shift that leaves shifted 8-bit weights within 16 bits.
const MAX_WEIGHT_SHIFT: u8 = 8;

/// Bytes of the packed weights, a multiple of 4.
#[cfg_attr(not(feature = "all"), inline(never))]
pub const fn weights_len(shape: &ConvShape, w_bits: Bits) -> usize {
    layout::weights_len(shape, w_bits)
}

/// Bytes of scratch, a multiple of 4: about a kilobyte, and no more than the channels' weights as 16-bit values beyond that, unless the
/// kernel is large and the channels are few.
#[cfg_attr(not(feature = "all"), inline(never))]
pub const fn scratch_len(shape: &ConvShape, variant: Variant, _w_bits: Bits, _in_bits: Bits, _out_bits: Bits) -> usize {
    Plan::of(shape, variant).scratch_len()
}

/// Packs weights given as `[k_h][k_w][c]`, each within the range of `w_bits`.
pub fn pack(shape: &ConvShape, w_bits: Bits, plain: &[i8], out: &mut [u8]) -> Result<(), KernelError> {
    shape.validate_depthwise()?;
    layout::pack(shape, w_bits, plain, out)
}

/// Whether any of it is compiled in.
pub const BUILT: bool = Kernel::Depthwise3x3S1.is_built()
    || Kernel::Depthwise3x3S2.is_built()
    || MAPS_BUILT
    || Kernel::DepthwiseAny.is_built();

/// Whether any of those for small maps is.
const MAPS_BUILT: bool = Kernel::DepthwiseMap5.is_built() || Kernel::DepthwiseMap6.is_built();

/// Whether there is a variant for a shape and a left shift of accumulators: [`Variant::General`] always, [`Variant::Rows`] for 3x3 at
/// stride 1 across or 2 both ways of four channels or more, [`Variant::Map`] for those of them at stride 1 on a map 3, 5 or 6 pixels wide
/// without a shift.
pub const fn exists(variant: Variant, shape: &ConvShape, shift: u8) -> bool {
    exists_lying(variant, &plan::lying(shape), shift)
}

/// The same for a shape that lies. A build without small maps does not look at them: there, whoever names them is told that.
const fn exists_lying(variant: Variant, lying: &ConvShape, shift: u8) -> bool {
    let by_3x3 = lying.k_h == 3 && lying.k_w == 3 && lying.in_c as usize >= QUAD;
    match variant {
        Variant::General => true,
        Variant::Rows => by_3x3 && (lying.stride_w == 1 || plan::in_pairs(lying)),
        Variant::Map => !MAPS_BUILT || by_3x3 && shift == 0 && lying.stride_w == 1 && matches!(lying.out_w, 3 | 5 | 6),
        Variant::Pixels => false,
    }
}

/// What must be compiled in beside the widths of input and output; `None` for a variant that does not [exist](exists).
pub const fn needs(
    shape: &ConvShape,
    variant: Variant,
    requant: Requant,
    w_bits: Bits,
    out_bits: Bits,
) -> Option<Needs> {
    let needs = Needs::of(match w_bits {
        Bits::B8 => Kernel::DepthwiseW8,
        Bits::B4 => Kernel::DepthwiseW4,
        Bits::B2 => Kernel::DepthwiseW2,
    });
    if !BUILT {
        return Some(needs);
    }
    let needs = needs.and_if(!requant.is_full_range(out_bits), Kernel::Clamp);
    let needs = needs.and_if(requant.shift > 0, Kernel::DepthwiseShift);
    let lying = &plan::lying(shape);
    if !exists_lying(variant, lying, requant.shift) {
        return None;
    }
    let kernel = match variant {
        Variant::Rows if requant.shift > MAX_WEIGHT_SHIFT => Kernel::DepthwiseAny,
        Variant::Rows if lying.stride_w == 1 => Kernel::Depthwise3x3S1,
        Variant::Rows => Kernel::Depthwise3x3S2,
        Variant::Map if lying.out_w == 5 => Kernel::DepthwiseMap5,
        Variant::Map => Kernel::DepthwiseMap6,
        Variant::General | Variant::Pixels => Kernel::DepthwiseAny,
    };
    // A map that stands is laid down first, by what runs any kernel.
    let whole = (shape.in_c as usize).is_multiple_of(QUAD) && !plan::stands(shape);
    Some(needs.and(kernel).and_if(!whole, Kernel::DepthwiseAny))
}

/// Rows of outputs that need a row of padding, at most: two at either edge, since every window touches the input.
#[cfg(target_arch = "arm")]
const MAX_EDGES: usize = 4;

/// The first output row of which the window of a kernel three rows high lies on the input from top to bottom, and the end of those.
#[cfg(target_arch = "arm")]
const fn inner_rows(shape: &ConvShape) -> (usize, usize) {
    let (stride, pad, height) = (shape.stride_h as usize, shape.pad_top as usize, shape.out_h as usize);
    let end = match (shape.in_h as usize + pad).checked_sub(3) {
        Some(last) => quotient(last, stride) + 1,
        None => 0,
    };
    let (first, end) = (quotient_up(pad, stride), if end < height { end } else { height });
    (if first < end { first } else { end }, end)
}

/// How the output may lie over the input. A quad's rows are computed in order, a row or a few rows at a time: their rows of input
/// are expanded to scratch before their rows of outputs are written. What other quads have yet to read, of these rows or others, is
/// spared if outputs lie over inputs of the same quad, which takes pixels of the same size and a distance of whole pixels. Maps in
/// several strips do not bear it, but for those of one row, of which a strip is read before it is written.
///
/// From front to back a row is overwritten when the windows have passed it; from back to front, which is there for rows of one
/// size at stride 1, likewise: `k_h - 1 - pad_top` rows behind the input.
#[cfg_attr(not(feature = "all"), inline(never))]
pub fn overlay(shape: &ConvShape, variant: Variant, in_bits: Bits, out_bits: Bits) -> Option<Overlay> {
    let stands = plan::turns(shape);
    let shape = &plan::lying(shape);
    let pixel = activations::pixel_bytes(shape.in_c.into(), in_bits);
    let plan = Plan::new(shape, variant);
    if in_bits != out_bits {
        return None;
    }
    if plan.outputs < usize::from(shape.out_w) {
        // Not where the 3x3 kernels do it all, which may be all that a runner has.
        let is_row = plan::ANY && shape.in_h == 1 && shape.out_h == 1 && (stands || plan.slack > 0);
        return is_row.then(|| Overlay { before: shape.column_lead(pixel, pixel), behind: None, step: pixel });
    }
    let back = shape.stride_h == 1 && shape.out_w == shape.in_w;
    let behind = usize::from(shape.k_h - 1).saturating_sub(shape.pad_top.into()) * usize::from(shape.in_w) * pixel;
    Some(Overlay { before: shape.row_lead(pixel, pixel), behind: back.then_some(behind), step: pixel })
}

/// Whether [`overlay`] bears an output in the very place of its input from back to front, in rows of one size at stride 1. One row of
/// outputs is the same either way, and goes from strip to strip.
const fn is_borne_backward_in_place(shape: &ConvShape) -> bool {
    let rows = shape.stride_h == 1 && shape.out_w == shape.in_w && shape.out_h > 1;
    rows && shape.k_h as u32 <= shape.pad_top as u32 + 1
}

/// Runs the depthwise convolution.
#[inline(never)]
pub fn run(args: ConvArgs<'_>) -> Result<(), KernelError> {
    args.shape.validate_depthwise()?;
    let shape = plan::lying(&args.shape);
    if !exists_lying(args.variant, &shape, args.requant.shift) {
        return Err(KernelError::constant("variant"));
    }
    let plan = Plan::new(&shape, args.variant);
    args.validate(weights_len(&shape, args.w_bits), plan.scratch_len(), overlay)?;
    // SAFETY: just checked.
    unsafe { compute(args, &shape, &plan) };
    Ok(())
}

/// What [`run`] does once it has checked its operands: for who has checked them before.
///
/// # Safety
/// [`run`] would not refuse `args`.
#[inline(never)]
pub unsafe fn run_planned(args: ConvArgs<'_>) {
    let shape = plan::lying(&args.shape);
    let plan = Plan::new(&shape, args.variant);
    debug_assert!(exists_lying(args.variant, &shape, args.requant.shift));
    debug_assert_eq!(args.validate(weights_len(&shape, args.w_bits), plan.scratch_len(), overlay), Ok(()));
    // SAFETY: the caller's promise.
    unsafe { compute(args, &shape, &plan) }
}

/// Of a shape that lies.
///
/// # Safety
/// As [`run_planned`].
#[inline(always)]
unsafe fn compute(mut args: ConvArgs<'_>, shape: &ConvShape, plan: &Plan) {
    let ConvArgs { in_bits, w_bits, out_bits, requant, .. } = args;
    let (in_bits, out_bits) = (built::activations(in_bits), built::activations(out_bits));
    let w_bits = built::depthwise_weights(w_bits);
    let way = buffers::way(&args.input, &args.output, || is_borne_backward_in_place(shape));
    // SAFETY: scratch lies apart from all that is touched otherwise.
    let (params, rest) = as_words(unsafe { args.scratch.bytes() }).parts_at_mut(plan.params_words());
    let (strip, bytes) = rest.parts_at_mut(plan.strip_words());
    let channels = usize::from(shape.in_c);
    let shift = if requant.shift <= MAX_WEIGHT_SHIFT { requant.shift } else { 0 };
    let late = Requant { shift: requant.shift - shift, ..requant.unclamped(out_bits) };
    let mut job = Job {
        shape,
        plan,
        quad: 0,
        channels: args.channels,
        weights: args.weights,
        w_bits,
        in_bits,
        out_bits,
        in_zero: args.in_zero,
        in_pixel_bytes: activations::pixel_bytes(channels, in_bits),
        out_pixel_bytes: activations::pixel_bytes(channels, out_bits),
        shift,
        requant: late,
        input: args.input,
        backwards: way == Way::Backward,
        params,
        strip,
        bytes,
    };
    // Nothing is left where `needs` asks for no kernel of any size.
    for quad in job.run_quads(&args.output)..channels.div_ceil(QUAD) {
        if !Kernel::DepthwiseAny.is_built() {
            break;
        }
        job.quad = quad;
        any::run(&mut job, &args.output);
    }
    // SAFETY: the input, which may lie here, is not read any more.
    requant.clamp_tensor(unsafe { args.output.bytes() }, channels, out_bits);
}

/// A layer, and the quad of its channels that is worked on.
struct Job<'a> {
    shape: &'a ConvShape,
    plan: &'a Plan,
    quad: usize,
    channels: &'a [Channel],
    weights: &'a [u8],
    w_bits: Bits,
    in_bits: Bits,
    out_bits: Bits,
    in_zero: u8,
    in_pixel_bytes: usize,
    out_pixel_bytes: usize,
    /// Left shift of weights and biases, which saves shifting accumulators.
    shift: u8,
    /// With what is left of the shift.
    requant: Requant,
    input: Input<'a>,
    /// Whether rows are computed from the last to the first: the output may lie over the input then, behind it.
    backwards: bool,
    params: &'a mut [u32],
    strip: &'a mut [u32],
    /// One word of four outputs per column.
    bytes: &'a mut [u32],
}

/// The columns of a strip: `left` of padding, `valid` from input column `start`, then padding again.
struct Strip {
    first: usize,
    outputs: usize,
    columns: usize,
    left: usize,
    start: usize,
    valid: usize,
}

impl Job<'_> {
    /// Runs the whole quads by a variant that is for these only; returns their number.
    fn run_quads(&mut self, _output: &Output<'_>) -> usize {
        #[cfg(target_arch = "arm")]
        match self.plan.code {
            Code::Map if MAPS_BUILT => return map3x3::run(self, _output),
            // Accumulators are not shifted there.
            Code::Rows if Kernel::Depthwise3x3S1.is_built() && self.requant.shift == 0 => {
                return cortex_m::run(self, _output);
            }
            Code::Pairs if Kernel::Depthwise3x3S2.is_built() && self.requant.shift == 0 => {
                return pairs3x3::run(self, _output);
            }
            _ => {}
        }
        0
    }

    /// The output row that is computed first, and what leads from one to the next.
    fn rows(&self) -> (usize, usize) {
        if self.backwards { (usize::from(self.shape.out_h) - 1, 1usize.wrapping_neg()) } else { (0, 1) }
    }

    /// The channels of the quad that exist.
    fn quad_channels(&self) -> &[Channel] {
        let rest = self.channels.part(self.quad * QUAD..);
        &rest[..rest.len().min(QUAD)]
    }

    /// The quad's packed weights.
    fn quad_weights(&self) -> &[u8] {
        let len = layout::quad_bytes(self.shape, self.w_bits);
        self.weights.stretch(self.quad * len, len)
    }

    /// The strip whose first output column is `first`, if there is one.
    #[inline(never)]
    fn strip(&self, first: usize) -> Option<Strip> {
        let (shape, out_w) = (self.shape, usize::from(self.shape.out_w));
        let outputs = self.plan.outputs.min(out_w.checked_sub(first).filter(|&left| left > 0)?);
        let (stride, pad) = (usize::from(shape.stride_w), usize::from(shape.pad_left));
        let columns = (outputs - 1) * stride + self.plan.k_w;
        let from = first * stride;
        let left = pad.saturating_sub(from).min(columns);
        let start = (from + left).saturating_sub(pad);
        let valid = (columns - left).min(usize::from(shape.in_w).saturating_sub(start));
        Some(Strip { first, outputs, columns, left, start, valid })
    }

    /// Bytes of the quad in a pixel of the input, of which the last may lack some.
    fn in_quad_bytes(&self) -> usize {
        QUAD * usize::from(self.in_bits.get()) / 8
    }

    /// Bytes of a quad in a pixel of the output.
    fn out_quad_bytes(&self) -> usize {
        QUAD * usize::from(self.out_bits.get()) / 8
    }

    /// Byte offset of the quad in pixel `(row, column)` of the output.
    fn out_offset(&self, row: usize, column: usize) -> usize {
        let pixel = row * usize::from(self.shape.out_w) + column;
        pixel * self.out_pixel_bytes + self.quad * self.out_quad_bytes()
    }

    /// Byte offset of the quad in input pixel `(y, x)`; `None` above and below the input.
    fn row_offset(&self, row: usize, ky: usize, x: usize) -> Option<usize> {
        let y = (row * usize::from(self.shape.stride_h) + ky).wrapping_sub(usize::from(self.shape.pad_top));
        let pixel = y.wrapping_mul(usize::from(self.shape.in_w)).wrapping_add(x);
        (y < usize::from(self.shape.in_h)).then(|| pixel * self.in_pixel_bytes + self.quad * self.in_quad_bytes())
    }
}
