//! How much a choice of bits disturbs the network, as told by the host alone.

use super::Space;
use bitrack_model::Bits;
use serde::{Deserialize, Serialize};

/// The host could not run a candidate.
#[derive(Debug, thiserror::Error)]
#[error("the host could not judge a candidate: {0}")]
pub struct JudgeError(pub String);

/// Judges candidates without a board.
pub trait Judge: std::fmt::Debug + Send + Sync {
    /// Mean Kullback-Leibler divergence in nats from the outputs of 8 bits everywhere to those of these bits, over samples that
    /// rewards do not depend on.
    ///
    /// # Errors
    /// [`JudgeError`] when the candidate cannot be built or run.
    fn divergence(&self, bits: &[Bits]) -> Result<f64, JudgeError>;
}

/// Divergence of each tensor at 2, 4 and 8 bits while all others have 8: HAWQ's sensitivities, measured instead of estimated
/// from curvature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sensitivity(Vec<[f64; 3]>);

impl Sensitivity {
    /// Judges two candidates per tensor.
    ///
    /// # Errors
    /// See [`JudgeError`].
    pub fn measure(space: &Space, judge: &dyn Judge) -> Result<Self, JudgeError> {
        let alone = |slot: usize, width: Bits| {
            let mut bits = space.uniform(Bits::Eight, Bits::Eight);
            bits[slot] = width;
            judge.divergence(&bits).map(|divergence| divergence.max(0.0))
        };
        let row = |slot| Ok([alone(slot, Bits::Two)?, alone(slot, Bits::Four)?, 0.0]);
        Ok(Self((0..space.len()).map(row).collect::<Result<_, _>>()?))
    }

    /// Of one tensor at a width.
    pub fn of(&self, slot: usize, bits: Bits) -> f64 {
        self.0[slot][bits.index()]
    }

    /// As f32 numbers, three per tensor, and back: what a checkpoint keeps.
    pub fn floats(&self) -> Vec<f32> {
        self.0.iter().flatten().map(|&value| value as f32).collect()
    }

    /// The inverse of [`Sensitivity::floats`].
    pub fn from_floats(floats: &[f32]) -> Self {
        Self(floats.as_chunks::<3>().0.iter().map(|row| row.map(f64::from)).collect())
    }

    /// Rounded to what a checkpoint keeps, so that a resumed search computes with the same numbers.
    pub fn rounded(self) -> Self {
        Self::from_floats(&self.floats())
    }

    /// Tensors covered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no tensor is covered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
