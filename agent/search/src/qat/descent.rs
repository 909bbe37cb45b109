//! Steps of the optimizer on libtorch's tensors, and their numbers for a checkpoint.

use super::error::QatError;
use super::recipe::FineTune;
use crate::optimizer::{Adam, BLOCK, Betas, MomentFormat};
use crate::torch::floats;
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

/// Adam over a fixed list of tensors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Descent(Adam);

impl Descent {
    /// Fresh moments for `parameters`.
    pub fn new(parameters: &[Tensor], options: &FineTune) -> Self {
        let sizes: Vec<usize> = parameters.iter().map(Tensor::numel).collect();
        let format = if options.moment_bits == 8 { MomentFormat::Blockwise(BLOCK) } else { MomentFormat::Full };
        Self(Adam::new(&sizes, format, Betas::default()))
    }

    /// One step of size `rate` down the gradient of `loss`, a number that every one of `parameters` had a part in.
    ///
    /// # Errors
    /// [`QatError::Options`] for parameters of other sizes than those it was made for; libtorch's own.
    pub fn step(&mut self, loss: &Tensor, parameters: &mut [Tensor], rate: f64) -> Result<(), QatError> {
        let gradients = Tensor::f_run_backward(&[loss], &*parameters, false, false)?;
        let gradients = gradients.iter().map(floats).collect::<Result<Vec<_>, _>>()?;
        let mut values = parameters.iter().map(floats).collect::<Result<Vec<_>, _>>()?;
        let mut slices: Vec<&mut [f32]> = values.iter_mut().map(Vec::as_mut_slice).collect();
        let gradients: Vec<&[f32]> = gradients.iter().map(Vec::as_slice).collect();
        self.0.step(&mut slices, &gradients, rate).map_err(|e| QatError::Options(e.to_string()))?;
        Ok(set(parameters, &values)?)
    }
}

/// The numbers of all parameters, one after the other.
///
/// # Errors
/// libtorch's own.
pub fn numbers(parameters: &[Tensor]) -> Result<Vec<f32>, TchError> {
    Ok(parameters.iter().map(floats).collect::<Result<Vec<_>, _>>()?.concat())
}

/// The inverse of [`numbers`].
///
/// # Errors
/// [`QatError::Checkpoint`] when there are too few or too many; libtorch's own.
pub fn set_numbers(parameters: &mut [Tensor], mut numbers: &[f32]) -> Result<(), QatError> {
    let wrong = |what: &str| QatError::Checkpoint(format!("it holds too {what} numbers"));
    let mut parts = Vec::new();
    for parameter in parameters.iter() {
        let (part, rest) = numbers.split_at_checked(parameter.numel()).ok_or_else(|| wrong("few"))?;
        parts.push(part.to_vec());
        numbers = rest;
    }
    if !numbers.is_empty() {
        return Err(wrong("many"));
    }
    Ok(set(parameters, &parts)?)
}

fn set(parameters: &mut [Tensor], values: &[Vec<f32>]) -> Result<(), TchError> {
    tch::no_grad(|| {
        for (parameter, values) in parameters.iter_mut().zip(values) {
            let size = parameter.size();
            parameter.f_copy_(&Tensor::f_from_slice(values)?.f_view(size.as_slice())?)?;
        }
        Ok(())
    })
}
