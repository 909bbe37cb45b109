//! What must hold before the first op may run: checked in full, in one place.

use crate::view::VectorLens;
use crate::{ALIGN, Image, ImageError, Op, OpKind, Tensor};

/// Checks tables, sections, vectors and the memory plan of an image whose checksums are right.
pub fn image(image: &Image<'_>) -> Result<(), ImageError> {
    for index in 0..image.header().n_tensors {
        tensor(image, index)?;
    }
    for index in 0..image.header().n_ops {
        op(image, index).map_err(|what| ImageError::BadOp { index, what })?;
    }
    vectors(image)?;
    data_flow(image)?;
    lifetimes(image)
}

fn tensor(image: &Image<'_>, index: u16) -> Result<(), ImageError> {
    let bad = |what| ImageError::BadTensor { index, what };
    let record = image.tensor_record(index).ok_or(bad("record is missing"))?;
    let tensor = Tensor::read(record).ok_or(bad("record is truncated"))?;
    let stored_len = record.u32(16).ok_or(bad("record is truncated"))?;
    tensor.check(stored_len, image.header().arena_len).map_err(bad)
}

fn op(image: &Image<'_>, index: u16) -> Result<(), &'static str> {
    let record = image.op_record(index).ok_or("record is missing")?;
    let op = Op::read(record).ok_or("unknown operator")?;
    let input = image.tensor(op.in0).ok_or("first input does not exist")?;
    let output = image.tensor(op.out).ok_or("output does not exist")?;
    check_inputs(image, &op)?;
    check_numbers(&op, &output)?;
    check_shapes(image, &op, &input, &output)?;
    check_section(image, &op, &output)?;
    check_arena(image, &op, &output)
}

fn check_inputs(image: &Image<'_>, op: &Op) -> Result<(), &'static str> {
    let two = op.kind == OpKind::Add;
    match (two, image.tensor(op.in1)) {
        (true, None) => Err("second input does not exist"),
        (false, _) if op.in1 != crate::NO_TENSOR => Err("has a second input it does not take"),
        _ if op.inputs().any(|t| t == op.out) => Err("writes the tensor it reads"),
        _ => Ok(()),
    }
}

fn check_numbers(op: &Op, output: &Tensor) -> Result<(), &'static str> {
    let widths = if op.kind.has_weights() { matches!(op.w_bits, 2 | 4 | 8) } else { op.w_bits == 0 };
    match () {
        () if !widths => Err("weight bits are not 2, 4 or 8 (0 without weights)"),
        () if op.shift > 30 => Err("shift is over 30"),
        () if op.act_min > op.act_max => Err("clamp bounds are crossed"),
        () if op.act_max > output.max_code() => Err("clamp bound does not fit the output's bits"),
        () if op.k_h == 0 || op.k_w == 0 => Err("kernel size is zero"),
        () if op.stride_h == 0 || op.stride_w == 0 => Err("stride is zero"),
        () if op.pad_top >= op.k_h || op.pad_left >= op.k_w => Err("padding is not smaller than the kernel"),
        () if op.kind == OpKind::Add && !(0..=30).contains(&op.params[3]) => Err("add's shift is out of 0..=30"),
        () => Ok(()),
    }
}

fn check_shapes(image: &Image<'_>, op: &Op, input: &Tensor, output: &Tensor) -> Result<(), &'static str> {
    let same = |a: &Tensor, b: &Tensor| (a.h, a.w, a.c) == (b.h, b.w, b.c);
    let ok = match op.kind {
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
    };
    if ok { Ok(()) } else { Err("shapes of input and output do not fit the operator") }
}

/// Each output pixel's window must touch the input; padding at the end is implied by the output's size.
fn window_fits(op: &Op, input: &Tensor, output: &Tensor) -> bool {
    let fits = |out: u16, stride: u16, pad: u16, size: u16| {
        (u32::from(out) - 1) * u32::from(stride) < u32::from(size) + u32::from(pad)
    };
    fits(output.h, op.stride_h, op.pad_top, input.h) && fits(output.w, op.stride_w, op.pad_left, input.w)
}

fn check_section(image: &Image<'_>, op: &Op, output: &Tensor) -> Result<(), &'static str> {
    let s = &op.section;
    let within = |off: u32, len: u64, lo: u64, hi: u64| u64::from(off) >= lo && u64::from(off) + len <= hi;
    let needs = op.kind.has_weights() || op.kind == OpKind::Softmax;
    if !needs {
        return if *s == Default::default() { Ok(()) } else { Err("has a section it does not take") };
    }
    let header = image.header();
    let tables_end = u64::from(header.ops_off) + u64::from(header.n_ops) * crate::OP_LEN as u64;
    let section_end = u64::from(s.off) + u64::from(s.len);
    let channels_len = if op.kind.has_weights() { u64::from(output.c) * 8 } else { 0 };
    match () {
        () if s.len == 0 || s.weights_len == 0 => Err("section is empty"),
        () if !within(s.off, s.len.into(), tables_end, header.model_len.into()) => {
            Err("section lies outside the model")
        }
        () if !(s.off as usize).is_multiple_of(1 << header.section_align_log2) => Err("section is not aligned"),
        () if !within(s.weights_off, s.weights_len.into(), s.off.into(), section_end) => {
            Err("weights lie outside the section")
        }
        () if !(s.weights_off as usize).is_multiple_of(ALIGN) => Err("weights are not aligned"),
        () if channels_len > 0 && !within(s.channels_off, channels_len, s.off.into(), section_end) => {
            Err("channel parameters lie outside the section")
        }
        () if !(s.channels_off as usize).is_multiple_of(ALIGN) => Err("channel parameters are not aligned"),
        () if crate::bytes::range(image.bytes(), s.off, s.len).map(crate::crc32) != Some(s.crc) => {
            Err("section CRC fails")
        }
        () => Ok(()),
    }
}

/// Scratch must lie in the arena and off every tensor the op touches; outputs must lie off inputs (but for an alias).
fn check_arena(image: &Image<'_>, op: &Op, output: &Tensor) -> Result<(), &'static str> {
    let end = u64::from(op.scratch_off) + u64::from(op.scratch_len);
    if end > u64::from(image.header().arena_len) {
        return Err("scratch lies outside the arena");
    }
    if !(op.scratch_off as usize).is_multiple_of(ALIGN) {
        return Err("scratch is not aligned");
    }
    let scratch = op.scratch_off as usize..end as usize;
    if overlaps(&scratch, &span(output)) {
        return Err("scratch overlaps the output");
    }
    for input in op.inputs().filter_map(|t| image.tensor(t)) {
        if overlaps(&scratch, &span(&input)) {
            return Err("scratch overlaps an input");
        }
    }
    Ok(())
}

fn vectors(image: &Image<'_>) -> Result<(), ImageError> {
    let bad = ImageError::BadHeader { field: "n_vectors" };
    let lens = VectorLens::of(image).ok_or(bad)?;
    let header = image.header();
    let end = u64::from(header.vectors_off) + u64::from(header.n_vectors) * lens.stride() as u64;
    if end == u64::from(header.total_len) { Ok(()) } else { Err(bad) }
}

/// Every tensor an op reads was written before; each tensor is written once; nobody writes the network's input.
fn data_flow(image: &Image<'_>) -> Result<(), ImageError> {
    for (index, op) in image.ops().enumerate() {
        let bad = |what| ImageError::BadOp { index: index as u16, what };
        if op.inputs().any(|t| definition(image, t).is_none_or(|at| at > index)) {
            return Err(bad("reads a tensor that is not written yet"));
        }
        if op.out == image.header().input || definition(image, op.out) != Some(index + 1) {
            return Err(bad("writes a tensor that has another writer"));
        }
    }
    match definition(image, image.header().output) {
        Some(_) => Ok(()),
        None => Err(ImageError::BadHeader { field: "output" }),
    }
}

/// When a tensor comes to be: 0 for the network's input, `i + 1` for the output of op `i`, the first of them.
fn definition(image: &Image<'_>, tensor: u16) -> Option<usize> {
    if tensor == image.header().input {
        return Some(0);
    }
    image.ops().position(|op| op.out == tensor).map(|i| i + 1)
}

/// The steps `first..=last` during which a tensor's bytes must survive: step 0 is loading the input, `i + 1` op `i`.
fn lifetime(image: &Image<'_>, tensor: u16) -> Option<(usize, usize)> {
    let first = definition(image, tensor)?;
    let read = image.ops().enumerate().filter(|(_, op)| op.inputs().any(|t| t == tensor)).map(|(i, _)| i + 1).last();
    let last = if tensor == image.header().output { image.header().n_ops as usize + 1 } else { read.unwrap_or(first) };
    Some((first, last))
}

/// No two tensors alive at the same step share arena bytes, except a reshape's output that is its input renamed;
/// no op's scratch touches a living tensor.
fn lifetimes(image: &Image<'_>) -> Result<(), ImageError> {
    let count = image.header().n_tensors;
    for first in 0..count {
        let Some(life) = lifetime(image, first) else { continue };
        check_scratch_spares(image, first, life)?;
        for second in first + 1..count {
            let Some(other) = lifetime(image, second) else { continue };
            let together = life.0 <= other.1 && other.0 <= life.1;
            if together && share_bytes(image, first, second) && !is_alias(image, first, second) {
                return Err(ImageError::Overlap { first, second });
            }
        }
    }
    Ok(())
}

fn check_scratch_spares(image: &Image<'_>, tensor: u16, life: (usize, usize)) -> Result<(), ImageError> {
    let Some(kept) = image.tensor(tensor) else { return Ok(()) };
    for (index, op) in image.ops().enumerate().filter(|(i, _)| (life.0..=life.1).contains(&(i + 1))) {
        let scratch = op.scratch_off as usize..(op.scratch_off + op.scratch_len) as usize;
        if overlaps(&scratch, &span(&kept)) {
            return Err(ImageError::BadOp { index: index as u16, what: "scratch overlaps a living tensor" });
        }
    }
    Ok(())
}

fn share_bytes(image: &Image<'_>, first: u16, second: u16) -> bool {
    match (image.tensor(first), image.tensor(second)) {
        (Some(a), Some(b)) => overlaps(&span(&a), &span(&b)),
        _ => false,
    }
}

/// A reshape that moves nothing: same bytes at the same place, and only the renamed tensor is read afterwards.
fn is_alias(image: &Image<'_>, first: u16, second: u16) -> bool {
    image.ops().any(|op| {
        let pair = (op.in0, op.out) == (first, second) || (op.in0, op.out) == (second, first);
        let spans = image.tensor(first).zip(image.tensor(second)).is_some_and(|(a, b)| span(&a) == span(&b));
        op.kind == OpKind::Reshape && pair && spans
    })
}

fn span(tensor: &Tensor) -> core::ops::Range<usize> {
    tensor.arena_off as usize..tensor.arena_off as usize + tensor.bytes()
}

fn overlaps(a: &core::ops::Range<usize>, b: &core::ops::Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}
