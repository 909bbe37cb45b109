//! Softmax over one vector, without floats: the host tabulates `exp(-scale * d)`.

use crate::buffers::{Input, Output};
use crate::error::check_len;
use crate::parts::{Parts, quotient};
use crate::shape::ShapeError;
use crate::{Bits, Kernel, KernelError, Needs, activations, built};

/// Largest table entry: with it, `entry * 256` plus half of any legal sum fits 32 bits.
pub const MAX_ENTRY: u32 = 1 << 23;

/// Largest vector, so that the sum of table entries fits 31 bits.
pub const MAX_CLASSES: usize = 128;

/// Whether it is compiled in.
pub const BUILT: bool = Kernel::Softmax.is_built();

/// What must be compiled in beside the widths of input and output.
pub const NEEDS: Needs = Needs::of(Kernel::Softmax);

/// Writes `y = min(255, round_half_up(256 * table[max - x] / sum))`: 8 bits, zero point 0, scale 1/256.
///
/// `table[d]` is `round(2^23 * exp(-in_scale * d))` for `d` in `0..2^bits`, built by the host; `table[0]` must
/// not be zero and no entry may exceed [`MAX_ENTRY`]. `n` is at most [`MAX_CLASSES`].
#[inline(never)]
pub fn run(input: &[u8], bits: Bits, n: usize, table: &[u32], output: &mut [u8]) -> Result<(), KernelError> {
    validate(input, bits, n, table, output)?;
    compute(input, bits, table, output);
    Ok(())
}

/// What [`run`] does once it has checked its operands: for who has checked them before.
///
/// # Safety
/// [`run`] would not refuse these, and they do not overlap.
#[inline(never)]
pub unsafe fn run_planned(input: Input<'_>, bits: Bits, table: &[u32], mut output: Output<'_>) {
    // SAFETY: the caller's promise.
    let (input, output) = unsafe { (input.bytes(), output.bytes()) };
    debug_assert_eq!(validate(input, bits, output.len(), table, output), Ok(()));
    compute(input, bits, table, output);
}

#[inline(always)]
fn compute(input: &[u8], bits: Bits, table: &[u32], output: &mut [u8]) {
    let bits = built::activations(bits);
    let mut max = 0;
    for (c, y) in output.iter_mut().enumerate() {
        *y = activations::get(input, c, bits);
        max = max.max(*y);
    }
    let entry = |x: u8| *table.part(usize::from(max - x));
    let sum: u32 = output.iter().map(|&x| entry(x)).sum();
    for y in output {
        *y = quotient((entry(*y) * 256 + sum / 2) as usize, sum as usize).min(255) as u8;
    }
}

/// Whether the first entry is not zero and none exceeds [`MAX_ENTRY`]. Nearly all tables hold that once, at the start: of the others it is
/// enough to know that they have no higher bit.
fn is_sound(table: &[u32]) -> bool {
    let Some((first, others)) = table.split_first() else { return false };
    let (fours, rest) = others.as_chunks::<4>();
    let bits = fours.iter().fold(0, |bits, [a, b, c, d]| bits | a | b | c | d);
    let bits = rest.iter().fold(bits, |bits, entry| bits | entry);
    (1..=MAX_ENTRY).contains(first) && (bits < MAX_ENTRY || others.iter().all(|&entry| entry <= MAX_ENTRY))
}

fn validate(input: &[u8], bits: Bits, n: usize, table: &[u32], output: &[u8]) -> Result<(), KernelError> {
    if n == 0 {
        return Err(ShapeError::Zero.into());
    }
    if n > MAX_CLASSES {
        return Err(ShapeError::TooLarge.into());
    }
    check_len("input", input.len(), activations::pixel_bytes(n, bits))?;
    check_len("table", table.len(), usize::from(bits.max_activation()) + 1)?;
    check_len("output", output.len(), n)?;
    if !is_sound(table) {
        return Err(KernelError::constant("table"));
    }
    Ok(())
}
