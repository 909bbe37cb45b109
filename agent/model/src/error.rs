//! What can go wrong between a model file and an image.

use std::path::{Path, PathBuf};

use bitrack_image::ImageError;

/// Every failure of this crate, cut by who has to act: whoever gave the file, the data or the policy, or us.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read or written at all.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// The bytes are not a model file of a known format, or are damaged.
    #[error("{}: not a readable model: {reason}", path.display())]
    BadModelFile { path: PathBuf, reason: String },
    /// One operator of the model cannot be imported. `index` counts from 0 in the file's order.
    #[error("operator {index} ({name}): {reason}")]
    Operator { index: usize, name: String, reason: String },
    /// The model as a whole contradicts itself or has a form that is not supported.
    #[error("model: {0}")]
    Model(String),
    /// A data set is missing, damaged, or of another shape than the model's input.
    #[error("data {}: {reason}", path.display())]
    Data { path: PathBuf, reason: String },
    /// Samples do not fit the model.
    #[error("samples: {0}")]
    Samples(String),
    /// A policy of the wrong length, or one that no image can implement.
    #[error("policy: {0}")]
    Policy(String),
    /// A layer whose numbers do not fit the integer arithmetic.
    #[error("layer {layer}: {reason}")]
    Quantization { layer: String, reason: String },
    /// The assembled image failed its own validation: a defect of the lowering.
    #[error("image: {0}")]
    Image(#[from] ImageError),
    /// The engine refused the image: a defect of the lowering.
    #[error("engine: {0}")]
    Engine(String),
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<'_> {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn operator(index: usize, name: &str, reason: impl Into<String>) -> Self {
        Self::Operator { index, name: name.to_owned(), reason: reason.into() }
    }
}

/// This crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;
