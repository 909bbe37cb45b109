//! The flash image: one quantized network as bytes that a runner executes in place.
//!
//! Owns the format: header, tensor table, op table, one section per layer (packed weights and per-channel
//! parameters), test vectors, and the check that all of it is consistent before the first op runs.
//!
//! Does not know kernels (how many bytes a packed weight tensor needs is theirs to say), boards, files or
//! serial lines. `no_std` without the `std` feature, which adds the [`builder`].
//!
//! # Layout, little-endian throughout
//!
//! ```text
//! 0              header, 64 bytes, with its own CRC-32
//! tensors_off    tensor table, 20 bytes each
//! ops_off        op table, 72 bytes each
//!                one section per layer, aligned to `section_align`: packed weights, then {bias, mult} pairs
//! model_len      (end of what a product would ship)
//! vectors_off    test vectors: input, expected output, expected CRC-32 of every op's output
//! total_len
//! ```
//!
//! Everything after the header is covered by `body_crc`; each layer's section has its own CRC besides, so that a
//! host can tell which flash sectors two candidates share.
#![cfg_attr(not(any(test, feature = "std")), no_std)]

mod bytes;
mod crc;
mod header;
mod known;
mod op;
mod tensor;
mod validate;
mod view;

#[cfg(feature = "std")]
pub mod builder;

pub use bitrack_reason::Reason;
pub use crc::crc32;
pub use header::{HEADER_LEN, Header, MAGIC, VERSION};
pub use known::Known;
pub use op::{NO_TENSOR, OP_LEN, Op, OpKind, Section};
pub use tensor::{TENSOR_LEN, Tensor, pixel_bytes};
pub use view::{Image, Vector};

/// Tables and sections start at multiples of this many bytes, so that a Cortex-M reads whole words.
pub const ALIGN: usize = 4;

/// Why bytes are not an image that may be run. Offsets are bytes from the start of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageError {
    /// Fewer bytes than the header, or than the header says the image has.
    Truncated { needed: u32, have: u32 },
    /// The first four bytes are not [`MAGIC`]: the slot is blank or holds something else.
    BadMagic,
    /// A format this code does not know.
    UnsupportedVersion { found: u16 },
    /// The header's own checksum fails.
    HeaderCrc { stored: u32, computed: u32 },
    /// The checksum over everything behind the header fails.
    BodyCrc { stored: u32, computed: u32 },
    /// A sound image, but none of those that this build was made for: [`Header::image_id`] of the one and of the first of the others.
    Unknown { found: u32, known: u32 },
    /// The header contradicts itself: which field.
    BadHeader { field: Reason },
    /// A tensor record is impossible: which one and what about it.
    BadTensor { index: u16, what: Reason },
    /// An op record is impossible: which one and what about it.
    BadOp { index: u16, what: Reason },
    /// Two tensors that are alive at the same time share arena bytes.
    Overlap { first: u16, second: u16 },
}

impl core::fmt::Display for ImageError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::Truncated { needed, have } => write!(f, "image is truncated: {needed} bytes needed, {have} present"),
            Self::BadMagic => write!(f, "no image here: the first four bytes are not BTRK"),
            Self::UnsupportedVersion { found } => {
                write!(f, "image format version {found} is not supported (this side knows {VERSION})")
            }
            Self::HeaderCrc { stored, computed } => {
                write!(f, "image header is corrupt: CRC {stored:08x} stored, {computed:08x} computed")
            }
            Self::BodyCrc { stored, computed } => {
                write!(f, "image body is corrupt: CRC {stored:08x} stored, {computed:08x} computed")
            }
            Self::Unknown { found, known } => write!(f, "built for image {known:08x}, this one is {found:08x}"),
            Self::BadHeader { field } => write!(f, "image header field {field} is inconsistent"),
            Self::BadTensor { index, what } => write!(f, "tensor {index}: {what}"),
            Self::BadOp { index, what } => write!(f, "op {index}: {what}"),
            Self::Overlap { first, second } => {
                write!(f, "tensors {first} and {second} are alive together and share arena bytes")
            }
        }
    }
}

impl core::error::Error for ImageError {}
