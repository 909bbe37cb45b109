//! Shared weights in libtorch, behind the environment's [`SharedWeights`].

use super::Builder;
use crate::env::{SharedWeights, Training, TrainingError};
use crate::qat::{Descent, FakeQuantized, FineTune, Lessons, QatError, Shared, numbers, set_numbers};
use crate::strategy::{Blob, StrategyError};
use bitrack_model::{Bits, QuantizedModel};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tch::Tensor;

/// Validation samples that choices are compared on after each step.
const EXAM: usize = 64;
/// Names the state among others of the same form.
const KIND: &str = "shared-weights";

/// Trains a builder's network on its splits.
#[derive(Debug)]
pub struct HostTraining(pub Arc<Builder>);

impl Training for HostTraining {
    fn shared_weights(&self, recipe: &FineTune) -> Result<Box<dyn SharedWeights>, TrainingError> {
        Ok(Box::new(HostShared::new(self.0.clone(), recipe).map_err(told)?))
    }
}

/// Weights learn from training samples; choices of bits are compared on validation samples, which the weights never see.
#[derive(Debug)]
struct HostShared {
    builder: Arc<Builder>,
    recipe: FineTune,
    shared: Shared,
    lessons: Lessons,
    exam: Lessons,
    optimizer: Descent,
    step: usize,
    /// What a saved state must be of.
    run: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    run: String,
    step: usize,
    optimizer: Descent,
}

fn told(error: impl std::fmt::Display) -> TrainingError {
    TrainingError(error.to_string())
}

impl HostShared {
    fn new(builder: Arc<Builder>, recipe: &FineTune) -> Result<Self, QatError> {
        recipe.check()?;
        let (float, splits) = (builder.quantizer.model(), builder.splits());
        let (train, validation) = (&splits.train.0, &splits.validation.0);
        let exam = FineTune { batch: EXAM, shift: 0, ..recipe.clone() };
        let shared = Shared::new(&builder.quantizer)?;
        Ok(Self {
            run: format!("{:016x} {:016x} {:016x} {recipe:?}", float.id(), train.id(), validation.id()),
            recipe: recipe.clone(),
            lessons: Lessons::new(float, train, recipe)?,
            exam: Lessons::new(float, validation, &exam)?,
            optimizer: Descent::new(shared.trainable(), recipe),
            step: 0,
            shared,
            builder,
        })
    }

    fn under(&self, bits: &[Bits]) -> Result<FakeQuantized<'_>, QatError> {
        let policy = self.builder.space().policy(bits);
        self.shared.under(&policy, &self.builder.quantizer.tensor_quants(&policy)?)
    }

    fn step(&mut self, bits: &[Bits]) -> Result<f64, QatError> {
        let batch = self.lessons.batch(self.step)?;
        let loss = self.lessons.loss(&self.under(bits)?.forward(&batch.x)?.logits, &batch)?;
        // The narrowest are drawn as well as any.
        let rate = self.recipe.rate(self.recipe.progress(self.step, 0.0), Bits::Two);
        self.optimizer.step(&loss, self.shared.trainable_mut(), rate)?;
        self.step += 1;
        let loss = loss.f_double_value(&[])?;
        if loss.is_finite() { Ok(loss) } else { Err(QatError::Diverged { loss, step: self.step }) }
    }

    fn losses(&self, choices: &[Vec<Bits>]) -> Result<Vec<f64>, QatError> {
        tch::no_grad(|| {
            let batch = self.exam.batch(self.step)?;
            let of = |logits: &Tensor| Ok::<_, QatError>(self.exam.loss(logits, &batch)?.f_double_value(&[])?);
            let floor = of(&batch.teacher)?;
            choices.iter().map(|bits| Ok(of(&self.under(bits)?.forward(&batch.x)?.logits)? - floor)).collect()
        })
    }
}

impl SharedWeights for HostShared {
    fn steps(&self) -> usize {
        self.step
    }

    fn learn(&mut self, bits: &[Bits]) -> Result<f64, TrainingError> {
        self.step(bits).map_err(told)
    }

    fn excess(&self, choices: &[Vec<Bits>]) -> Result<Vec<f64>, TrainingError> {
        self.losses(choices).map_err(told)
    }

    fn network(&self, bits: &[Bits]) -> Result<QuantizedModel, TrainingError> {
        tch::no_grad(|| self.under(bits)?.quantized()).map_err(told)
    }

    fn save(&self) -> Result<Blob, TrainingError> {
        let header = Header { run: self.run.clone(), step: self.step, optimizer: self.optimizer.clone() };
        Ok(Blob::new(KIND, &header, &numbers(self.shared.trainable()).map_err(told)?))
    }

    fn load(&mut self, blob: &Blob) -> Result<(), TrainingError> {
        let header: Header = blob.header(KIND).map_err(|error: StrategyError| told(error))?;
        if header.run != self.run {
            return Err(TrainingError("the saved weights are of another network, data set or recipe".into()));
        }
        set_numbers(self.shared.trainable_mut(), &blob.floats()).map_err(told)?;
        (self.step, self.optimizer) = (header.step, header.optimizer);
        Ok(())
    }
}
