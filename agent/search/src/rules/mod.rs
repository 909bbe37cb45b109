//! Rule-based bit cutting: the memory-driven baseline of Rusci et al. (arXiv 1905.13082, section 4).
//!
//! No learning and no measurement: activations are cut until every operator's input and output fit the RAM, then
//! weights until everything fits the flash. It is the free answer that every search has to beat.

mod activations;
mod chain;
mod weights;

pub use activations::{CutLayer, cut_activations};
pub use chain::{Chain, ChainLayer, CutPolicy, Scheme};
pub use weights::cut_weights;

/// Why no choice of bits can meet the limits. Known from arithmetic alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Infeasible {
    /// An operator's input and output do not fit, even at 2 bits.
    #[error("operator {layer} needs at least {minimum} bytes of RAM with 2-bit activations, but the limit is {limit}")]
    Ram {
        /// Index of the operator that needs the most.
        layer: usize,
        /// Bytes it needs at least.
        minimum: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The network does not fit, even with 2-bit weights.
    #[error("the network needs at least {minimum} bytes of flash with 2-bit weights, but the limit is {limit}")]
    Flash {
        /// Bytes it needs at least.
        minimum: u64,
        /// Bytes allowed.
        limit: u64,
    },
}
