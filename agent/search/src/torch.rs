//! Small helpers around libtorch that the training code and the agents share.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tch::{TchError, Tensor};

/// Fills `tensor` uniformly from `[-bound, bound)`, drawing from `rng` in row-major order.
///
/// libtorch's own generator is one per process: whatever else draws from it changes the result. Ours is a value,
/// can be stored in a checkpoint, and gives the same weights with any version of libtorch.
///
/// # Errors
/// libtorch's own.
pub fn fill_uniform(tensor: &mut Tensor, bound: f64, rng: &mut ChaCha8Rng) -> Result<(), TchError> {
    let bound = bound as f32;
    let values: Vec<f32> = (0..tensor.numel()).map(|_| rng.random_range(-bound..bound)).collect();
    let values = Tensor::f_from_slice(&values)?.f_view(tensor.size().as_slice())?;
    tch::no_grad(|| tensor.f_copy_(&values))
}

/// The values of a tensor in row-major order, as f32.
///
/// # Errors
/// libtorch's own.
pub fn floats(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    Vec::try_from(tensor.f_detach()?.f_contiguous()?.f_view([-1])?.f_to_kind(tch::Kind::Float)?)
}
