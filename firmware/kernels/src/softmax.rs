//! Softmax over one vector, without floats: the host tabulates `exp(-scale * d)`.

use crate::error::check_len;
use crate::shape::ShapeError;
use crate::{Bits, Kernel, KernelError, activations, built};

/// Largest table entry: with it, `entry * 256` plus half of any legal sum fits 32 bits.
pub const MAX_ENTRY: u32 = 1 << 23;

/// Largest vector, so that the sum of table entries fits 31 bits.
pub const MAX_CLASSES: usize = 128;

/// Writes `y = min(255, round_half_up(256 * table[max - x] / sum))`: 8 bits, zero point 0, scale 1/256.
///
/// `table[d]` is `round(2^23 * exp(-in_scale * d))` for `d` in `0..2^bits`, built by the host; `table[0]` must
/// not be zero and no entry may exceed [`MAX_ENTRY`]. `n` is at most [`MAX_CLASSES`].
#[inline(never)]
pub fn run(input: &[u8], bits: Bits, n: usize, table: &[u32], output: &mut [u8]) -> Result<(), KernelError> {
    built::check(Kernel::Softmax.is_built(), [Some(Kernel::Softmax), None, None, None, None])?;
    validate(input, bits, n, table, output)?;
    let values = || (0..n).map(|c| activations::get(input, c, bits));
    let max = values().max().unwrap_or(0);
    let entry = |x: u8| table[usize::from(max - x)];
    let sum: u32 = values().map(entry).sum();
    for (y, x) in output.iter_mut().zip(values()) {
        *y = ((entry(x) * 256 + sum / 2) / sum).min(255) as u8;
    }
    Ok(())
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
    if table[0] == 0 || table.iter().any(|&entry| entry > MAX_ENTRY) {
        return Err(KernelError::Constant { name: "table" });
    }
    Ok(())
}
