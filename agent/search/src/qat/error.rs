//! What can go wrong while fine-tuning.

use bitrack_model::graph::Shape;

/// A failure of quantization-aware training.
#[derive(Debug, thiserror::Error)]
pub enum QatError {
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// The quantizer, or the network that came out.
    #[error(transparent)]
    Model(#[from] bitrack_model::Error),
    /// The loss is no longer a number.
    #[error("fine-tuning diverged: the loss is {loss} at step {step}; lower the learning rate")]
    Diverged {
        /// The loss.
        loss: f64,
        /// Steps done.
        step: usize,
    },
    /// Fine-tuning needs samples of the training split only.
    #[error("fine-tuning may not see {split} samples")]
    Split {
        /// The split given.
        split: &'static str,
    },
    /// Samples of another shape than the network's input.
    #[error("samples are {samples}, the model takes {model}")]
    Samples {
        /// Shape of a sample.
        samples: Shape,
        /// Shape of the network's input.
        model: Shape,
    },
    /// The options contradict themselves.
    #[error("fine-tune: {0}")]
    Options(String),
    /// A checkpoint that this run cannot continue from.
    #[error("the fine-tuning checkpoint cannot be used: {0}")]
    Checkpoint(String),
    /// A checkpoint could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
