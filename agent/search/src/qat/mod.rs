//! Quantization-aware training: a quantized network learns to live with its own rounding.
//!
//! [`Parameters`] start from what post-training quantization made of a policy and compute, in libtorch, the codes
//! that the integer kernels compute, with gradients that pass straight through every rounding. What comes out is a
//! [`bitrack_model::QuantizedModel`] like any other, lowered and judged like any other: the accuracy reported is always the
//! integer kernels'. [`Shared`] is one set of weights for all policies at once.
//!
//! Does not know campaigns, strategies or the daemon.

mod descent;
mod error;
mod executor;
mod lessons;
mod ops;
mod parameters;
mod recipe;
mod rounded;
mod shared;
mod squashed;
mod stages;
mod tuner;
mod watch;

pub use descent::{Descent, numbers, set_numbers};
pub use error::QatError;
pub use executor::{FloatNetwork, Outputs, float_logits};
pub use lessons::{Batch, Lessons};
pub use parameters::Parameters;
pub use recipe::{FineTune, Recipe, usual_rate};
pub use rounded::FakeQuantized;
pub use shared::Shared;
pub use tuner::Tuner;
pub use watch::{CHECKPOINT_EVERY, Told, Unwatched, Watch};
