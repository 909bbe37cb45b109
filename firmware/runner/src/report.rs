//! What the engine refuses, in the protocol's words.

use bitrack_engine::LoadError;
use bitrack_image::{ImageError, VERSION};
use bitrack_wire::BoardError;

/// Why an image was refused.
pub fn load_error(error: LoadError) -> BoardError {
    match error {
        LoadError::Image(error) => image_error(error),
        LoadError::ArenaTooSmall { needed, have } => BoardError::ArenaTooSmall { needed, have },
        LoadError::ForeignLayout { found, known } => BoardError::ForeignLayout { found, known },
        LoadError::Misaligned => BoardError::BadHeader { what: "image does not start at a multiple of 4".into() },
        LoadError::Op { index, what } => BoardError::BadOp { index, what: what.into() },
    }
}

fn image_error(error: ImageError) -> BoardError {
    let bad_crc = |part: &str, stored, computed| BoardError::BadCrc { part: part.into(), stored, computed };
    match error {
        ImageError::Truncated { needed, have } => BoardError::Truncated { needed, have },
        ImageError::BadMagic => BoardError::BadMagic,
        ImageError::UnsupportedVersion { found } => BoardError::UnsupportedImage { found, known: VERSION },
        ImageError::HeaderCrc { stored, computed } => bad_crc("header", stored, computed),
        ImageError::BodyCrc { stored, computed } => bad_crc("body", stored, computed),
        ImageError::BadHeader { field } => BoardError::BadHeader { what: field.into() },
        ImageError::BadTensor { index, what } => BoardError::BadTensor { index, what: what.into() },
        ImageError::BadOp { index, what } => BoardError::BadOp { index, what: what.into() },
        ImageError::Overlap { first, second } => BoardError::Overlap { first, second },
    }
}
