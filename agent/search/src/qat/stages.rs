//! What a fine-tuning run trains at the moment: the first of two stages, or the network as the kernels compute it.

use super::descent::{numbers, set_numbers};
use super::error::QatError;
use super::ops;
use super::parameters::Parameters;
use super::recipe::Recipe;
use super::rounded::FakeQuantized;
use super::squashed::Squashed;
use bitrack_model::{Dataset, Policy, QuantizedModel, Quantizer};
use tch::{Kind, Tensor};

/// At least one of the two is there, and what is trained is the later one.
#[derive(Debug)]
pub struct Stages {
    /// Of the two-stage recipe; kept when it is over, because the second stage starts from it.
    first: Option<Squashed>,
    linear: Option<Parameters>,
}

impl Stages {
    /// The beginning of a recipe for `start`, the quantizer's network.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn new(recipe: Recipe, quantizer: &Quantizer, start: QuantizedModel) -> Result<Self, QatError> {
        let float = quantizer.model();
        Ok(match recipe {
            Recipe::Lsq => Self { first: None, linear: Some(Parameters::new(float, start, Kind::Float)?) },
            Recipe::TwoStage => Self { first: Some(Squashed::new(float, &start)?), linear: None },
        })
    }

    /// Whether the last stage is reached.
    pub fn is_linear(&self) -> bool {
        self.linear.is_some()
    }

    /// From the first stage to the second: the weights as they came out, linear, and activations calibrated on them.
    ///
    /// # Errors
    /// The quantizer's and libtorch's own.
    pub fn advance(&mut self, quantizer: &Quantizer, policy: &Policy, data: &Dataset) -> Result<(), QatError> {
        let Some(first) = self.first.as_ref().filter(|_| self.linear.is_none()) else { return Ok(()) };
        let quants = quantizer.recalibrated(first.model(true)?, data)?.tensor_quants(policy)?;
        let scales: Vec<f32> = quants.iter().map(|quant| quant.scale).collect();
        let scales = ops::tensor(&scales, &[scales.len() as i64], Kind::Float)?;
        let graph = quantizer.model().graph();
        let start = FakeQuantized { graph, kind: Kind::Float, scales, quants, layers: first.layers()? };
        self.linear = Some(Parameters::new(&first.model(false)?, start.quantized()?, Kind::Float)?);
        Ok(())
    }

    /// Real values before a final softmax, `[n, classes]`, of a batch `[n, c, h, w]`.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn logits(&self, x: &Tensor) -> Result<Tensor, QatError> {
        match (&self.linear, &self.first) {
            (Some(linear), _) => Ok(linear.rounded()?.forward(x)?.logits),
            (None, Some(first)) => Ok(first.logits(x)?),
            (None, None) => Err(nothing()),
        }
    }

    /// Parameters of the present stage, in an order that never changes.
    pub fn trainable(&self) -> &[Tensor] {
        match (&self.linear, &self.first) {
            (Some(linear), _) => linear.trainable(),
            (None, first) => first.as_ref().map_or(&[], Squashed::trainable),
        }
    }

    /// The same, to be changed.
    pub fn trainable_mut(&mut self) -> &mut [Tensor] {
        match (&mut self.linear, &mut self.first) {
            (Some(linear), _) => linear.trainable_mut(),
            (None, first) => first.as_mut().map_or(&mut [], Squashed::trainable_mut),
        }
    }

    /// The numbers of a checkpoint: those of the first stage, if there is one, then those of the second, if it is reached.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn numbers(&self) -> Result<Vec<f32>, QatError> {
        let first = self.first.as_ref().map_or(Ok(Vec::new()), |first| numbers(first.trainable()))?;
        let linear = self.linear.as_ref().map_or(Ok(Vec::new()), |linear| numbers(linear.trainable()))?;
        Ok([first, linear].concat())
    }

    /// Takes up the numbers of a checkpoint, which had reached the last stage or not.
    ///
    /// # Errors
    /// [`QatError::Checkpoint`] when they are too few or too many; what [`Stages::advance`] says.
    pub fn restore(
        &mut self,
        numbers: &[f32],
        is_linear: bool,
        (quantizer, policy, data): (&Quantizer, &Policy, &Dataset),
    ) -> Result<(), QatError> {
        let too_few = || QatError::Checkpoint("it holds too few numbers".into());
        let (mut rest, mut own) = (numbers, numbers.len());
        if let Some(first) = &mut self.first {
            own = first.trainable().iter().map(Tensor::numel).sum();
            let (before, after) = rest.split_at_checked(own).ok_or_else(too_few)?;
            set_numbers(first.trainable_mut(), before)?;
            rest = after;
        }
        if is_linear {
            self.advance(quantizer, policy, data)?;
        }
        match &mut self.linear {
            Some(linear) => set_numbers(linear.trainable_mut(), rest),
            None if own == numbers.len() => Ok(()),
            None => Err(QatError::Checkpoint("it holds too many numbers".into())),
        }
    }

    /// The network that came out.
    ///
    /// # Errors
    /// Before the last stage; what [`Parameters::quantized`] says.
    pub fn quantized(&self) -> Result<QuantizedModel, QatError> {
        self.linear.as_ref().ok_or_else(nothing)?.quantized()
    }
}

fn nothing() -> QatError {
    QatError::Options("the last stage of the recipe was not reached".into())
}
