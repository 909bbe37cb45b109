//! Weights that run at any choice of bits, trained on the host: what a strategy needs that chooses bits and trains weights together.

use crate::qat::FineTune;
use crate::strategy::Blob;
use bitrack_model::{Bits, QuantizedModel};

/// The host could not train.
#[derive(Debug, thiserror::Error)]
#[error("training of shared weights: {0}")]
pub struct TrainingError(pub String);

/// Trains on this host.
pub trait Training: std::fmt::Debug + Send + Sync {
    /// Shared weights that start as the float network's.
    ///
    /// # Errors
    /// [`TrainingError`] when the recipe is not possible.
    fn shared_weights(&self, recipe: &FineTune) -> Result<Box<dyn SharedWeights>, TrainingError>;
}

/// One set of weights for all choices of bits, with as many steps of training behind it as [`SharedWeights::steps`] says. Deterministic:
/// the same recipe and choices lead to the same weights.
pub trait SharedWeights: std::fmt::Debug + Send {
    /// Steps done.
    fn steps(&self) -> usize;

    /// One step on a batch of training samples, at these bits (one width per slot). Returns the loss before it.
    ///
    /// # Errors
    /// [`TrainingError`] when the loss is no longer a number.
    fn learn(&mut self, bits: &[Bits]) -> Result<f64, TrainingError>;

    /// How much more than the float network each of these choices loses, in nats a sample, with the present weights, on a batch of
    /// validation samples: the same for all of them, and another one after each step.
    ///
    /// # Errors
    /// See [`TrainingError`].
    fn excess(&self, choices: &[Vec<Bits>]) -> Result<Vec<f64>, TrainingError>;

    /// The network at these bits.
    ///
    /// # Errors
    /// See [`TrainingError`].
    fn network(&self, bits: &[Bits]) -> Result<QuantizedModel, TrainingError>;

    /// Everything needed to continue exactly here.
    ///
    /// # Errors
    /// See [`TrainingError`].
    fn save(&self) -> Result<Blob, TrainingError>;

    /// Continues from what [`SharedWeights::save`] returned.
    ///
    /// # Errors
    /// [`TrainingError`] when it is of another network, data set or recipe.
    fn load(&mut self, blob: &Blob) -> Result<(), TrainingError>;
}
