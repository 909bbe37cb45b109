//! The integer operators of a quantized network: the one definition of what a candidate computes.
//!
//! The board and the host run this same crate, so a measurement can be compared bit for bit. What the
//! operators know: packed activations, packed weights, per-channel constants. What they do **not** know:
//! images, memory plans, networks, floats (all scales were folded into integers on the host).
//!
//! # The arithmetic
//! - Activations are unsigned integers of 2, 4 or 8 bits with a zero point: `real = scale * (q - zero)`. Each
//!   pixel's channels start at a byte boundary; see [`activations`].
//! - Weights are signed symmetric integers of 2, 4 or 8 bits, a scale per output channel, packed by each
//!   operator's `pack` in the order its inner loop reads them. The layout is private to the operator.
//! - `acc = bias' + sum(w * x)` with raw `x`; `bias' = bias - zero_in * sum(w)`, and padding has the value `zero_in`.
//! - `y = clamp(act_min, act_max, out_zero + floor(((acc << shift) * mult + 2^31) / 2^32))`: one rounding, half
//!   up, which is the Cortex-M instruction `SMMLAR`.
//!
//! [`mod@reference`] restates every operator as plain loops over unpacked values; the tests hold the two
//! implementations against each other over all shapes and bit widths.
#![cfg_attr(not(test), no_std)]
#![warn(missing_docs)]

/// The revision of everything `pack`, the channel constants, the numbers of variants, scratch and overlays promise to `run`. An image of one
/// revision means nothing to another, so images carry it and a runner refuses a foreign one. Raise it with every change of any of these;
/// `tests/layout.rs` notices when that was forgotten for what `pack` writes, and for nothing else.
pub const LAYOUT: u16 = 7;

pub mod activations;
pub mod add;
mod bits;
mod buffers;
mod built;
mod columns;
pub mod conv2d;
pub mod depthwise;
mod error;
pub mod fully_connected;
mod matmul;
mod parts;
pub mod pool;
mod quads;
pub mod reference;
mod requant;
pub mod reshape;
mod runs;
mod shape;
pub mod softmax;
mod variant;

pub use bits::Bits;
pub use buffers::{Arena, Input, Output, Overlay};
pub use built::{Kernel, Needs};
pub use conv2d::ConvArgs;
pub use error::KernelError;
pub use fully_connected::FcArgs;
pub use requant::{Channel, Requant, Rescale, requantize};
pub use shape::{ConvShape, FcShape, PoolShape, ShapeError};
pub use variant::Variant;
