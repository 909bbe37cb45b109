//! Adam with its moments in 32 or in 8 bits (Dettmers et al. 2022, arXiv 2110.02861).
//!
//! The moments are what an optimizer remembers of every weight: eight bytes in 32 bits, two in 8. Block by block, each is divided
//! by the block's largest and rounded to the nearest of 256 values that are dense near zero ([`codebook`]): so that one large
//! gradient costs precision in its own block only, and small second moments do not round to zero, which would divide by nothing.
//!
//! Works on plain slices and knows no libtorch.

mod codebook;
mod quantized;

pub use codebook::Codebook;
pub use quantized::Quantized;

use serde::{Deserialize, Serialize};

/// Elements per block in the paper.
pub const BLOCK: usize = 2048;

/// How moments are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MomentFormat {
    /// 32-bit floats.
    Full,
    /// Codes of 8 bits and one 32-bit scale for each block of so many elements.
    Blockwise(usize),
}

/// Adam's constants (Kingma and Ba 2015, algorithm 1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Betas {
    /// Decay of the first moment.
    pub first: f64,
    /// Decay of the second moment.
    pub second: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
}

impl Default for Betas {
    fn default() -> Self {
        Self { first: 0.9, second: 0.999, eps: 1e-8 }
    }
}

/// Both moments of one parameter tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Moments {
    Full { first: Vec<f32>, second: Vec<f32> },
    Blockwise { first: Quantized, second: Quantized },
}

/// Adam over a list of parameter tensors, flattened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adam {
    betas: Betas,
    steps: u32,
    moments: Vec<Moments>,
}

/// A step that was asked for tensors of other sizes than the optimizer was made for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the optimizer was made for tensors of {expected:?} elements, not {found:?}")]
pub struct WrongSizes {
    /// Elements of each tensor it was made for.
    pub expected: Vec<usize>,
    /// Elements of each parameter or gradient that was given.
    pub found: Vec<usize>,
}

impl Adam {
    /// Fresh moments for tensors of `sizes` elements.
    pub fn new(sizes: &[usize], format: MomentFormat, betas: Betas) -> Self {
        let moments = sizes.iter().map(|&size| Moments::zeros(size, format)).collect();
        Self { betas, steps: 0, moments }
    }

    /// Steps taken.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Bytes that the moments take.
    pub fn moment_bytes(&self) -> usize {
        self.moments.iter().map(Moments::bytes).sum()
    }

    /// One step of size `rate` against `gradients`, with bias correction. The step is computed from the moments before they
    /// are rounded.
    ///
    /// # Errors
    /// [`WrongSizes`]; nothing has been changed then.
    pub fn step(&mut self, parameters: &mut [&mut [f32]], gradients: &[&[f32]], rate: f64) -> Result<(), WrongSizes> {
        self.check(parameters.iter().map(|p| p.len()).collect())?;
        self.check(gradients.iter().map(|g| g.len()).collect())?;
        self.steps += 1;
        let rule = Rule::new(self.betas, rate, self.steps);
        for ((parameter, gradient), moments) in parameters.iter_mut().zip(gradients).zip(&mut self.moments) {
            moments.step(parameter, gradient, &rule);
        }
        Ok(())
    }

    fn check(&self, found: Vec<usize>) -> Result<(), WrongSizes> {
        let expected: Vec<usize> = self.moments.iter().map(Moments::len).collect();
        if found == expected { Ok(()) } else { Err(WrongSizes { expected, found }) }
    }
}

/// The update of a single weight.
struct Rule {
    betas: Betas,
    rate: f64,
    /// What the zeros that the moments started from are corrected by.
    correct_first: f64,
    correct_second: f64,
}

impl Rule {
    fn new(betas: Betas, rate: f64, step: u32) -> Self {
        let correct = |beta: f64| 1.0 - beta.powf(f64::from(step));
        Self { betas, rate, correct_first: correct(betas.first), correct_second: correct(betas.second) }
    }

    fn apply(&self, parameter: &mut f32, gradient: f32, first: &mut f32, second: &mut f32) {
        let gradient = f64::from(gradient);
        let decay = |beta: f64, old: f32, new: f64| beta * f64::from(old) + (1.0 - beta) * new;
        let m = decay(self.betas.first, *first, gradient);
        let v = decay(self.betas.second, *second, gradient * gradient);
        let scale = (v / self.correct_second).sqrt() + self.betas.eps;
        *parameter -= (self.rate * (m / self.correct_first) / scale) as f32;
        (*first, *second) = (m as f32, v as f32);
    }
}

impl Moments {
    fn zeros(size: usize, format: MomentFormat) -> Self {
        match format {
            MomentFormat::Full => Self::Full { first: vec![0.0; size], second: vec![0.0; size] },
            MomentFormat::Blockwise(block) => Self::Blockwise {
                first: Quantized::zeros(size, block, Codebook::signed()),
                second: Quantized::zeros(size, block, Codebook::unsigned()),
            },
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Full { first, .. } => first.len(),
            Self::Blockwise { first, .. } => first.len(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Full { first, second } => 4 * (first.len() + second.len()),
            Self::Blockwise { first, second } => first.bytes() + second.bytes(),
        }
    }

    fn step(&mut self, parameters: &mut [f32], gradients: &[f32], rule: &Rule) {
        match self {
            Self::Full { first, second } => update(parameters, gradients, first, second, rule),
            Self::Blockwise { first, second } => {
                for block in 0..first.blocks() {
                    let range = first.range(block);
                    let (mut m, mut v) = (first.read(block), second.read(block));
                    update(&mut parameters[range.clone()], &gradients[range], &mut m, &mut v, rule);
                    first.write(block, &m);
                    second.write(block, &v);
                }
            }
        }
    }
}

fn update(parameters: &mut [f32], gradients: &[f32], first: &mut [f32], second: &mut [f32], rule: &Rule) {
    let moments = first.iter_mut().zip(second);
    for ((parameter, &gradient), (first, second)) in parameters.iter_mut().zip(gradients).zip(moments) {
        rule.apply(parameter, gradient, first, second);
    }
}

#[cfg(test)]
mod tests;
