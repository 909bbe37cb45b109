//! What a kernel refuses. A kernel that returns an error has written nothing.

use crate::ShapeError;
use crate::buffers::Output;
use crate::parts::SHORT;

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
    #[inline(always)]
    fn from(error: ShapeError) -> Self {
        if SHORT { REFUSED } else { KernelError::Shape(error) }
    }
}

/// A constant out of range.
#[inline(always)]
pub(crate) const fn constant(name: &'static str) -> KernelError {
    if SHORT { REFUSED } else { KernelError::Constant { name } }
}

/// What a runner for one network says of whatever it is: nobody sees it, since the engine has asked all this before, and one
/// value for all takes the least flash.
const REFUSED: KernelError = KernelError::Constant { name: "" };

/// Checks that `got` is exactly `want`.
pub(crate) fn check_len(buffer: &'static str, got: usize, want: usize) -> Result<(), KernelError> {
    match got == want {
        true => Ok(()),
        false if SHORT => Err(REFUSED),
        false => Err(KernelError::Length { buffer, got, want }),
    }
}

/// Checks that `weights` are exactly `want` bytes and `scratch` at least as many as it must be, and that both start at word
/// boundaries. A kernel always needs some of either.
#[inline(always)]
pub(crate) fn check_words(weights: (&[u8], usize), scratch: (&Output<'_>, usize)) -> Result<(), KernelError> {
    check_len("weights", weights.0.len(), weights.1)?;
    if scratch.0.len() < scratch.1 {
        let (got, want) = (scratch.0.len(), scratch.1);
        return Err(if SHORT { REFUSED } else { KernelError::Length { buffer: "scratch", got, want } });
    }
    match (weights.0.as_ptr().addr() | scratch.0.pointer().addr()).is_multiple_of(4) {
        true => Ok(()),
        false if SHORT => Err(REFUSED),
        false => Err(KernelError::Misaligned { buffer: "weights or scratch" }),
    }
}
