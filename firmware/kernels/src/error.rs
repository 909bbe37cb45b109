//! What a kernel refuses. A kernel that returns an error has written nothing.

use crate::ShapeError;
use crate::buffers::Output;

/// Why a kernel did not run. Every buffer is checked before the first value is read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KernelError {
    /// The shape itself is impossible.
    Shape(ShapeError),
    /// A buffer has another length than its shape asks for.
    Length {
        /// Which buffer.
        buffer: &'static str,
        /// Its length in elements (bytes for packed data).
        got: usize,
        /// The length the shape asks for; scratch may be longer.
        want: usize,
    },
    /// A buffer that the inner loop reads as words does not start at a multiple of four bytes.
    Misaligned {
        /// Which buffer.
        buffer: &'static str,
    },
    /// Buffers overlap more than the op bears, see [`crate::Overlay`].
    Overlap,
    /// A constant is outside the range its formula is defined for.
    Constant {
        /// Which constant.
        name: &'static str,
    },
}

impl core::fmt::Display for KernelError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            KernelError::Shape(error) => write!(f, "shape: {error}"),
            KernelError::Length { buffer, got, want } => {
                write!(f, "{buffer}: {got} elements, the shape asks for {want}")
            }
            KernelError::Overlap => f.write_str("buffers overlap more than the op bears"),
            KernelError::Misaligned { buffer } => write!(f, "{buffer}: not 4-byte aligned"),
            KernelError::Constant { name } => write!(f, "{name}: out of range"),
        }
    }
}

impl core::error::Error for KernelError {}

impl From<ShapeError> for KernelError {
    fn from(error: ShapeError) -> Self {
        KernelError::Shape(error)
    }
}

/// Checks that `got` is exactly `want`.
pub(crate) fn check_len(buffer: &'static str, got: usize, want: usize) -> Result<(), KernelError> {
    if got == want { Ok(()) } else { Err(KernelError::Length { buffer, got, want }) }
}

/// Checks that `weights` are exactly `want` bytes and `scratch` at least as many as it must be, and that both start at word
/// boundaries. A kernel always needs some of either.
#[inline(always)]
pub(crate) fn check_words(weights: (&[u8], usize), scratch: (&Output<'_>, usize)) -> Result<(), KernelError> {
    check_len("weights", weights.0.len(), weights.1)?;
    if scratch.0.len() < scratch.1 {
        return Err(KernelError::Length { buffer: "scratch", got: scratch.0.len(), want: scratch.1 });
    }
    match (weights.0.as_ptr().addr() | scratch.0.pointer().addr()).is_multiple_of(4) {
        true => Ok(()),
        false => Err(KernelError::Misaligned { buffer: "weights or scratch" }),
    }
}
