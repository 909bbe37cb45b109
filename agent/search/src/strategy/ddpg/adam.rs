//! Adam (Kingma and Ba 2015) on our own tensors: libtorch's keeps its moments where a checkpoint cannot reach them.

use crate::torch::floats;
use tch::{TchError, Tensor};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// First and second moments of a list of parameters.
#[derive(Debug)]
pub struct Adam {
    first: Vec<Tensor>,
    second: Vec<Tensor>,
}

impl Adam {
    /// Fresh moments for `parameters`.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn new(parameters: &[Tensor]) -> Result<Self, TchError> {
        let zeros = || parameters.iter().map(|p| p.f_detach()?.f_zeros_like()).collect::<Result<Vec<_>, _>>();
        Ok(Self { first: zeros()?, second: zeros()? })
    }

    /// One step with bias correction; `step` counts from 1.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn step(
        &mut self,
        parameters: &mut [Tensor],
        gradients: &[Tensor],
        rate: f64,
        step: u32,
    ) -> Result<(), TchError> {
        let correct = |beta: f64| 1.0 - beta.powi(step as i32);
        let (correct1, correct2) = (correct(BETA1), correct(BETA2));
        tch::no_grad(|| {
            let moments = self.first.iter_mut().zip(&mut self.second);
            for ((parameter, gradient), (first, second)) in parameters.iter_mut().zip(gradients).zip(moments) {
                *first = first.f_mul_scalar(BETA1)?.f_add(&gradient.f_mul_scalar(1.0 - BETA1)?)?;
                *second = second.f_mul_scalar(BETA2)?.f_add(&gradient.f_square()?.f_mul_scalar(1.0 - BETA2)?)?;
                let scale = second.f_div_scalar(correct2)?.f_sqrt()?.f_add_scalar(EPS)?;
                let change = first.f_div_scalar(correct1)?.f_div(&scale)?.f_mul_scalar(rate)?;
                let _ = parameter.f_sub_(&change)?;
            }
            Ok(())
        })
    }

    /// All moments.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.first.iter().chain(&self.second)
    }

    /// All moments, to be overwritten.
    pub fn tensors_mut(&mut self) -> impl Iterator<Item = &mut Tensor> {
        self.first.iter_mut().chain(&mut self.second)
    }
}

/// The numbers of several tensors, one after the other.
///
/// # Errors
/// libtorch's own.
pub fn concat<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Result<Vec<f32>, TchError> {
    let mut all = Vec::new();
    for tensor in tensors {
        all.extend(floats(tensor)?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::nn::OptimizerConfig;
    use tch::{Device, nn};

    /// libtorch's own Adam on the same quadratic, step by step.
    #[test]
    fn steps_agree_with_libtorchs() {
        let variables = nn::VarStore::new(Device::Cpu);
        let theirs = variables.root().var_copy("x", &Tensor::from_slice(&[1.0f32, -2.0, 0.5]));
        let mut optimizer = nn::Adam::default().build(&variables, 0.1).expect("Adam");
        let mut ours = [Tensor::from_slice(&[1.0f32, -2.0, 0.5]).set_requires_grad(true)];
        let mut adam = Adam::new(&ours).expect("Adam");
        let loss = |x: &Tensor| ((x - 3.0).square() * Tensor::from_slice(&[1.0f32, 10.0, 0.1])).sum(tch::Kind::Float);
        for step in 1..=20 {
            optimizer.backward_step(&loss(&theirs));
            let gradients = Tensor::run_backward(&[loss(&ours[0])], &ours, false, false);
            adam.step(&mut ours, &gradients, 0.1, step).expect("step");
            let distance = (&theirs - &ours[0]).abs().max().double_value(&[]);
            assert!(distance < 1e-5, "step {step}: {distance}");
        }
    }
}
