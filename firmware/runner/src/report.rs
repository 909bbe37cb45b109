//! What the engine refuses, in the protocol's words.

use bitrack_engine::LoadError;
use bitrack_image::{ImageError, VERSION};
use bitrack_wire::{BoardError, ImagePart, Reason};

/// Why an image was refused. Translated where it is found out, rather than once more by what it is.
pub struct Refusal(pub BoardError);

impl From<LoadError> for Refusal {
    #[inline(always)]
    fn from(error: LoadError) -> Self {
        Self(match error {
            LoadError::Image(error) => return error.into(),
            LoadError::ArenaTooSmall { needed, have } => BoardError::ArenaTooSmall { needed, have },
            LoadError::ForeignLayout { found, known } => BoardError::ForeignLayout { found, known },
            LoadError::Misaligned => BoardError::BadHeader { what: Reason::Misaligned },
            LoadError::Op { index, what } => BoardError::BadOp { index, what },
        })
    }
}

impl From<ImageError> for Refusal {
    #[inline(always)]
    fn from(error: ImageError) -> Self {
        Self(match error {
            ImageError::Truncated { needed, have } => BoardError::Truncated { needed, have },
            ImageError::BadMagic => BoardError::BadMagic,
            ImageError::UnsupportedVersion { found } => BoardError::UnsupportedImage { found, known: VERSION },
            ImageError::HeaderCrc { stored, computed } => {
                BoardError::BadCrc { part: ImagePart::Header, stored, computed }
            }
            ImageError::BodyCrc { stored, computed } => BoardError::BadCrc { part: ImagePart::Body, stored, computed },
            ImageError::Unknown { found, known } => BoardError::UnknownImage { found, known },
            ImageError::BadHeader { field } => BoardError::BadHeader { what: field },
            ImageError::BadTensor { index, what } => BoardError::BadTensor { index, what },
            ImageError::BadOp { index, what } => BoardError::BadOp { index, what },
            ImageError::Overlap { first, second } => BoardError::Overlap { first, second },
        })
    }
}
