//! What must hold before the first op may run: checked in full, in one place. Every length and offset is compared without sums
//! that could overflow, in 32 bits: a board checks too, and its flash is short.

use crate::bytes::{fits, range, u16_at};
use crate::view::VectorLens;
use crate::{ALIGN, Image, ImageError, NO_TENSOR, OP_LEN, Op, OpKind, Reason, Tensor, crc32};

/// Checks tables, sections, vectors and the memory plan of an image whose checksums are right.
#[inline(never)]
pub fn image(image: &Image<'_>) -> Result<(), ImageError> {
    for index in 0..image.header().n_tensors {
        let record = image.tensor_record(index).ok_or(Reason::RecordMissing);
        let checked = record.and_then(|record| Tensor::check(record, image.header().arena_len));
        checked.map_err(|what| ImageError::BadTensor { index, what })?;
    }
    for index in 0..image.header().n_ops {
        op(image, index).map_err(|what| ImageError::BadOp { index, what })?;
    }
    vectors(image).map_err(|field| ImageError::BadHeader { field })?;
    for index in 0..image.header().n_ops {
        data_flow(image, index).map_err(|what| ImageError::BadOp { index, what })?;
    }
    if definition(image, image.header().output).is_none() {
        return Err(ImageError::BadHeader { field: Reason::Output });
    }
    lifetimes(image)
}

#[inline(never)]
fn op(image: &Image<'_>, index: u16) -> Result<(), Reason> {
    // By reference: a record is looked at where it was read to, and not copied once more.
    let Some(op) = &image.op(index) else { return Err(Reason::UnknownOperator) };
    let Some(input) = &image.tensor(op.in0) else { return Err(Reason::NoFirstInput) };
    let Some(output) = &image.tensor(op.out) else { return Err(Reason::NoOutput) };
    match op.kind {
        OpKind::Add if image.tensor(op.in1).is_none() => return Err(Reason::NoSecondInput),
        OpKind::Add => {}
        _ if op.in1 != NO_TENSOR => return Err(Reason::SecondInputNotTaken),
        _ => {}
    }
    if op.out == op.in0 || op.out == op.in1 {
        return Err(Reason::WritesItsInput);
    }
    check_numbers(op, output)?;
    if !shapes_fit(image, op, input, output) {
        return Err(Reason::Shapes);
    }
    check_section(image, op, output)?;
    check_scratch(image, op)
}

#[inline(never)]
fn check_numbers(op: &Op, output: &Tensor) -> Result<(), Reason> {
    let widths = if op.kind.has_weights() { matches!(op.w_bits, 2 | 4 | 8) } else { op.w_bits == 0 };
    match () {
        () if !widths => Err(Reason::WeightBits),
        () if op.shift > 30 => Err(Reason::Shift),
        () if op.act_min > op.act_max => Err(Reason::ClampCrossed),
        () if op.act_max > output.max_code() => Err(Reason::ClampTooWide),
        () if op.k_h == 0 || op.k_w == 0 => Err(Reason::ZeroKernel),
        () if op.stride_h == 0 || op.stride_w == 0 => Err(Reason::ZeroStride),
        () if op.pad_top >= op.k_h || op.pad_left >= op.k_w => Err(Reason::Padding),
        () if op.kind == OpKind::Add && !(0..=30).contains(&op.params[3]) => Err(Reason::AddShift),
        () => Ok(()),
    }
}

fn shapes_fit(image: &Image<'_>, op: &Op, input: &Tensor, output: &Tensor) -> bool {
    let same = |a: &Tensor, b: &Tensor| (a.h, a.w, a.c) == (b.h, b.w, b.c);
    match op.kind {
        OpKind::Conv2d => window_fits(op, input, output),
        OpKind::DepthwiseConv2d | OpKind::AveragePool | OpKind::MaxPool => {
            input.c == output.c && window_fits(op, input, output)
        }
        OpKind::FullyConnected => (input.h, input.w, output.h, output.w) == (1, 1, 1, 1),
        OpKind::Add => same(input, output) && image.tensor(op.in1).is_some_and(|second| same(&second, output)),
        OpKind::Softmax => same(input, output) && output.bits == 8,
        OpKind::Reshape => {
            input.elements() == output.elements() && (input.bits, input.zero) == (output.bits, output.zero)
        }
    }
}

/// Each output pixel's window must touch the input; padding at the end is implied by the output's size.
fn window_fits(op: &Op, input: &Tensor, output: &Tensor) -> bool {
    let fits = |out: u16, stride: u16, pad: u16, size: u16| {
        (u32::from(out) - 1) * u32::from(stride) < u32::from(size) + u32::from(pad)
    };
    fits(output.h, op.stride_h, op.pad_top, input.h) && fits(output.w, op.stride_w, op.pad_left, input.w)
}

fn check_section(image: &Image<'_>, op: &Op, output: &Tensor) -> Result<(), Reason> {
    let s = &op.section;
    if !op.kind.has_weights() && op.kind != OpKind::Softmax {
        return if *s == Default::default() { Ok(()) } else { Err(Reason::SectionNotTaken) };
    }
    let header = image.header();
    // The header's own checks: the table ends within the image.
    let tables_end = header.ops_off + u32::from(header.n_ops) * OP_LEN as u32;
    let channels_len = if op.kind.has_weights() { u32::from(output.c) * 8 } else { 0 };
    let aligned = |off: u32| off.is_multiple_of(ALIGN as u32);
    let in_section = |off: u32, len: u32| off.checked_sub(s.off).is_some_and(|from| fits(from, len, s.len));
    match () {
        () if s.len == 0 || s.weights_len == 0 => Err(Reason::SectionEmpty),
        () if s.off < tables_end || !fits(s.off, s.len, header.model_len) => Err(Reason::SectionOutside),
        () if s.off & ((1 << header.section_align_log2) - 1) != 0 => Err(Reason::SectionMisaligned),
        () if !in_section(s.weights_off, s.weights_len) => Err(Reason::WeightsOutsideSection),
        () if !aligned(s.weights_off) => Err(Reason::WeightsMisaligned),
        () if channels_len > 0 && !in_section(s.channels_off, channels_len) => Err(Reason::ChannelsOutside),
        () if !aligned(s.channels_off) => Err(Reason::ChannelsMisaligned),
        () if range(image.bytes(), s.off, s.len).map(crc32) != Some(s.crc) => Err(Reason::SectionChecksum),
        () => Ok(()),
    }
}

/// That scratch spares every living tensor, the op's own among them, is seen where lifetimes are.
fn check_scratch(image: &Image<'_>, op: &Op) -> Result<(), Reason> {
    match () {
        () if !fits(op.scratch_off, op.scratch_len, image.header().arena_len) => Err(Reason::ScratchOutside),
        () if !op.scratch_off.is_multiple_of(ALIGN as u32) => Err(Reason::ScratchMisaligned),
        () => Ok(()),
    }
}

fn vectors(image: &Image<'_>) -> Result<(), Reason> {
    let lens = VectorLens::of(image).ok_or(Reason::VectorCount)?;
    let header = image.header();
    let end = u64::from(header.vectors_off) + u64::from(header.n_vectors) * lens.stride() as u64;
    if end == u64::from(header.total_len) { Ok(()) } else { Err(Reason::VectorCount) }
}

/// Every tensor an op reads was written before; each tensor is written once; nobody writes the network's input.
fn data_flow(image: &Image<'_>, index: u16) -> Result<(), Reason> {
    let Some(links) = Links::of(image, index) else { return Ok(()) };
    let unwritten =
        |tensor| tensor != NO_TENSOR && definition(image, tensor).is_none_or(|step| step > u32::from(index));
    if unwritten(links.in0) || unwritten(links.in1) {
        return Err(Reason::ReadsUnwritten);
    }
    if definition(image, links.out) != Some(u32::from(index) + 1) {
        return Err(Reason::SecondWriter);
    }
    Ok(())
}

/// What an op reads and writes: all that lifetimes depend on.
struct Links {
    kind: u8,
    in0: u16,
    in1: u16,
    out: u16,
}

impl Links {
    fn of(image: &Image<'_>, index: u16) -> Option<Self> {
        let record = image.op_record(index)?;
        Some(Self { kind: record[0], in0: u16_at(record, 4), in1: u16_at(record, 6), out: u16_at(record, 8) })
    }
}

/// When a tensor comes to be: 0 for the network's input, `i + 1` for the output of op `i`, the first of them.
#[inline(never)]
fn definition(image: &Image<'_>, tensor: u16) -> Option<u32> {
    if tensor == image.header().input {
        return Some(0);
    }
    let writes = |&index: &u16| Links::of(image, index).is_some_and(|links| links.out == tensor);
    (0..image.header().n_ops).find(writes).map(|index| u32::from(index) + 1)
}

/// The steps `first..=last` during which a tensor's bytes must survive: step 0 is loading the input, `i + 1` op `i`.
#[inline(never)]
fn lifetime(image: &Image<'_>, tensor: u16) -> Option<(u32, u32)> {
    let first = definition(image, tensor)?;
    let n_ops = image.header().n_ops;
    if tensor == image.header().output {
        return Some((first, u32::from(n_ops) + 1));
    }
    let reads = |&index: &u16| Links::of(image, index).is_some_and(|links| links.in0 == tensor || links.in1 == tensor);
    Some((first, (0..n_ops).rev().find(reads).map_or(first, |index| u32::from(index) + 1)))
}

/// No two tensors alive at the same step share arena bytes, except a reshape's output that is its input renamed, and an op's
/// output and an input that this op is the last to read; no op's scratch touches a living tensor, except such an input.
/// How much of an input an op bears to be overwritten is its kernel's to say, and checked by who knows kernels.
fn lifetimes(image: &Image<'_>) -> Result<(), ImageError> {
    let count = image.header().n_tensors;
    for first in 0..count {
        let Some(life) = lifetime(image, first) else { continue };
        let Some(kept) = image.tensor(first) else { continue };
        check_scratch_spares(image, first, &kept, life)?;
        for second in first + 1..count {
            let Some(other) = lifetime(image, second) else { continue };
            let Some(beside) = image.tensor(second) else { continue };
            let together = life.0 <= other.1 && other.0 <= life.1;
            let handed_over = life.1 == other.0 || other.1 == life.0;
            if together && !handed_over && overlap(span(&kept), span(&beside)) {
                let renamed = span(&kept) == span(&beside) && reshapes(image, first, second);
                if !renamed {
                    return Err(ImageError::Overlap { first, second });
                }
            }
        }
    }
    Ok(())
}

fn check_scratch_spares(image: &Image<'_>, tensor: u16, kept: &Tensor, life: (u32, u32)) -> Result<(), ImageError> {
    for index in 0..image.header().n_ops {
        let step = u32::from(index) + 1;
        let Some(op) = &image.op(index) else { continue };
        let read_last = step == life.1 && (op.in0 == tensor || op.in1 == tensor);
        let kept_alive = (life.0..=life.1).contains(&step) && !read_last;
        if kept_alive && overlap((op.scratch_off, op.scratch_off + op.scratch_len), span(kept)) {
            return Err(ImageError::BadOp { index, what: Reason::ScratchOnLiving });
        }
    }
    Ok(())
}

/// Whether one of two tensors is a reshape of the other.
fn reshapes(image: &Image<'_>, first: u16, second: u16) -> bool {
    let pairs = [(first, second), (second, first)];
    let renames = |links: Links| links.kind == OpKind::Reshape as u8 && pairs.contains(&(links.in0, links.out));
    (0..image.header().n_ops).any(|index| Links::of(image, index).is_some_and(renames))
}

/// A checked tensor's bytes in the arena: first, and behind the last.
fn span(tensor: &Tensor) -> (u32, u32) {
    (tensor.arena_off, tensor.arena_off + tensor.bytes() as u32)
}

fn overlap(a: (u32, u32), b: (u32, u32)) -> bool {
    a.0 < b.1 && b.0 < a.1
}
