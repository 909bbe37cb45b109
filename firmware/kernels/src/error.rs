//! What a kernel refuses. A kernel that returns an error has written nothing.

use crate::ShapeError;
use crate::buffers::Output;

/// Why a kernel did not run. Every buffer is checked before the first value is read or written.
#[cfg(feature = "all")]
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

/// Why a kernel did not run. In a runner for one network, whose flash is short, that is one thing: nobody sees it, since the engine has
/// asked all this before.
#[cfg(not(feature = "all"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KernelError {
    /// Whatever it is.
    Refused,
}

#[cfg(feature = "all")]
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

#[cfg(not(feature = "all"))]
impl core::fmt::Display for KernelError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("shape, buffers or constants are not what the kernel asks for")
    }
}

impl core::error::Error for KernelError {}

#[cfg(feature = "all")]
impl KernelError {
    /// A constant out of range.
    pub const fn constant(name: &'static str) -> Self {
        KernelError::Constant { name }
    }

    pub(crate) const fn length(buffer: &'static str, got: usize, want: usize) -> Self {
        KernelError::Length { buffer, got, want }
    }

    const fn misaligned(buffer: &'static str) -> Self {
        KernelError::Misaligned { buffer }
    }

    pub(crate) const fn overlap() -> Self {
        KernelError::Overlap
    }
}

#[cfg(not(feature = "all"))]
impl KernelError {
    /// A constant out of range.
    pub const fn constant(_: &'static str) -> Self {
        KernelError::Refused
    }

    pub(crate) const fn length(_: &'static str, _: usize, _: usize) -> Self {
        KernelError::Refused
    }

    const fn misaligned(_: &'static str) -> Self {
        KernelError::Refused
    }

    pub(crate) const fn overlap() -> Self {
        KernelError::Refused
    }
}

#[cfg(feature = "all")]
impl From<ShapeError> for KernelError {
    fn from(error: ShapeError) -> Self {
        KernelError::Shape(error)
    }
}

#[cfg(not(feature = "all"))]
impl From<ShapeError> for KernelError {
    fn from(_: ShapeError) -> Self {
        KernelError::Refused
    }
}

/// Checks that `got` is exactly `want`.
pub(crate) fn check_len(buffer: &'static str, got: usize, want: usize) -> Result<(), KernelError> {
    if got == want { Ok(()) } else { Err(KernelError::length(buffer, got, want)) }
}

/// Checks that `weights` are exactly `want` bytes and `scratch` at least as many as it must be, and that both start at word
/// boundaries. A kernel always needs some of either.
#[inline(always)]
pub(crate) fn check_words(weights: (&[u8], usize), scratch: (&Output<'_>, usize)) -> Result<(), KernelError> {
    check_len("weights", weights.0.len(), weights.1)?;
    if scratch.0.len() < scratch.1 {
        return Err(KernelError::length("scratch", scratch.0.len(), scratch.1));
    }
    match (weights.0.as_ptr().addr() | scratch.0.pointer().addr()).is_multiple_of(4) {
        true => Ok(()),
        false => Err(KernelError::misaligned("weights or scratch")),
    }
}
