//! Who looks on while a network is fine-tuned, and keeps what a run needs to go on after a crash.

use super::error::QatError;

/// Steps between two checkpoints where nobody asks for others.
pub const CHECKPOINT_EVERY: usize = 100;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Told {
    /// Steps done.
    pub step: usize,
    /// Of so many; `None` when the run has a time instead.
    pub steps: Option<usize>,
    /// The share of the run that is done, 0 to 1.
    pub share: f64,
    /// Of the last batch.
    pub loss: f64,
    /// Seconds to go at the pace so far.
    pub remaining_s: f64,
}

/// Looks on. Nothing that it does or leaves undone changes what comes out of a run that is counted in steps.
pub trait Watch {
    /// What can go wrong with looking on, and with the run.
    type Error: From<QatError>;

    /// Steps between two checkpoints.
    fn checkpoint_every(&self) -> usize {
        CHECKPOINT_EVERY
    }

    /// The checkpoint to go on from, if there is one.
    ///
    /// # Errors
    /// It cannot be read.
    fn saved(&mut self) -> Result<Option<Vec<u8>>, Self::Error>;

    /// The checkpoint is of another run, or damaged. By default that ends the run.
    ///
    /// # Errors
    /// When the run must not begin anew.
    fn unusable(&mut self, error: QatError) -> Result<(), Self::Error> {
        Err(error.into())
    }

    /// The run goes on from the checkpoint, so many steps in.
    fn resumed(&mut self, _step: usize) {}

    /// Keeps a checkpoint in place of the last one.
    ///
    /// # Errors
    /// It cannot be written.
    fn keep(&mut self, checkpoint: &[u8]) -> Result<(), Self::Error>;

    /// Hears how far the run is, every few steps.
    ///
    /// # Errors
    /// It cannot be passed on.
    fn tell(&mut self, told: &Told) -> Result<(), Self::Error>;
}

/// Nobody looks on, and nothing is kept.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Watch for Unwatched {
    type Error = QatError;

    fn saved(&mut self) -> Result<Option<Vec<u8>>, QatError> {
        Ok(None)
    }

    fn keep(&mut self, _: &[u8]) -> Result<(), QatError> {
        Ok(())
    }

    fn tell(&mut self, _: &Told) -> Result<(), QatError> {
        Ok(())
    }
}
