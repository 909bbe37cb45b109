//! The training loop: deterministic, and resumable to the bit.
//!
//! Order of samples and shifts follow from seed and step alone, so that a checkpoint is the parameters, the optimizer and
//! the number of steps.

use super::descent::Descent;
use super::error::QatError;
use super::lessons::Lessons;
use super::recipe::{FIRST_STAGE, FineTune};
use super::stages::Stages;
use super::watch::{Told, Watch};
use crate::strategy::Blob;
use bitrack_model::{Bits, Dataset, Policy, QuantizedModel, Quantizer, Split};
use serde::{Deserialize, Serialize};
use std::time::Instant;
use tch::Tensor;

/// Steps between two looks at the loss.
const REPORT_EVERY: usize = 20;
/// Names fine-tuning's checkpoints among others of the same form.
const KIND: &str = "fine-tune";

/// A fine-tuning run.
#[derive(Debug)]
pub struct Tuner<'a> {
    quantizer: &'a Quantizer,
    policy: &'a Policy,
    data: &'a Dataset,
    options: &'a FineTune,
    stages: Stages,
    lessons: Lessons,
    optimizer: Descent,
    step: usize,
    /// Seconds spent before this process.
    spent: f64,
    start: Instant,
    /// Width of the narrowest weights.
    narrowest: Bits,
    /// What a checkpoint must be of.
    run: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    run: String,
    step: usize,
    spent_ms: u64,
    is_linear: bool,
    optimizer: Descent,
}

impl<'a> Tuner<'a> {
    /// A run that starts from the quantizer's network under a policy, and learns from training samples.
    ///
    /// # Errors
    /// [`QatError::Options`], [`QatError::Split`], [`QatError::Samples`]; libtorch's own.
    pub fn new(
        quantizer: &'a Quantizer,
        policy: &'a Policy,
        data: &'a Dataset,
        options: &'a FineTune,
    ) -> Result<Self, QatError> {
        options.check()?;
        if data.split() != Split::Train {
            return Err(QatError::Split { split: data.split().name() });
        }
        let start = quantizer.quantize(policy)?;
        let run = format!("{:016x} {:016x} {options:?}", start.id(), data.id());
        let lessons = Lessons::new(quantizer.model(), data, options)?;
        let narrowest = policy.weights.iter().copied().min().unwrap_or(Bits::Eight);
        let stages = Stages::new(options.recipe, quantizer, start)?;
        let optimizer = Descent::new(stages.trainable(), options);
        Ok(Self {
            quantizer,
            policy,
            data,
            options,
            stages,
            lessons,
            optimizer,
            step: 0,
            spent: 0.0,
            start: Instant::now(),
            narrowest,
            run,
        })
    }

    /// Learns to the end, from the checkpoint that `watch` has, if any.
    ///
    /// # Errors
    /// [`QatError::Diverged`], [`QatError::Checkpoint`]; libtorch's own, and what `watch` says.
    pub fn run<W: Watch>(mut self, watch: &mut W) -> Result<QuantizedModel, W::Error> {
        if let Some(saved) = watch.saved()? {
            match self.load(&saved) {
                Err(unusable @ QatError::Checkpoint(_)) => watch.unusable(unusable)?,
                loaded => loaded.map(|()| watch.resumed(self.step))?,
            }
        }
        let begun = (Instant::now(), self.progress());
        while self.progress() < 1.0 {
            let loss = self.learn()?;
            let done = self.progress() >= 1.0;
            if done || self.step.is_multiple_of(REPORT_EVERY) {
                watch.tell(&self.told(&loss, begun)?)?;
            }
            if done || self.step.is_multiple_of(watch.checkpoint_every()) {
                watch.keep(&self.save()?)?;
            }
        }
        self.advance()?;
        Ok(self.stages.quantized()?)
    }

    /// Steps done.
    pub fn steps(&self) -> usize {
        self.step
    }

    fn progress(&self) -> f64 {
        self.options.progress(self.step, self.seconds())
    }

    fn seconds(&self) -> f64 {
        self.spent + self.start.elapsed().as_secs_f64()
    }

    /// How far the run is; `begun` is when this process took it up, and where it was then.
    fn told(&self, loss: &Tensor, begun: (Instant, f64)) -> Result<Told, QatError> {
        let loss = loss.f_double_value(&[]).map_err(QatError::from)?;
        if !loss.is_finite() {
            return Err(QatError::Diverged { loss, step: self.step });
        }
        let (at, share) = (begun.0, self.progress().min(1.0));
        let pace = (share - begun.1) / at.elapsed().as_secs_f64().max(1e-9);
        let remaining_s = (1.0 - share) / pace.max(1e-9);
        Ok(Told { step: self.step, steps: self.options.steps, share, loss, remaining_s })
    }

    /// From the first of two stages to the second, with an optimizer that knows nothing yet.
    fn advance(&mut self) -> Result<(), QatError> {
        if !self.stages.is_linear() {
            self.stages.advance(self.quantizer, self.policy, self.data)?;
            self.optimizer = Descent::new(self.stages.trainable(), self.options);
        }
        Ok(())
    }

    /// One step; the loss before it.
    fn learn(&mut self) -> Result<Tensor, QatError> {
        if self.progress() >= FIRST_STAGE {
            self.advance()?;
        }
        let batch = self.lessons.batch(self.step)?;
        let loss = self.lessons.loss(&self.stages.logits(&batch.x)?, &batch)?;
        let rate = self.options.rate(self.progress(), self.narrowest);
        self.optimizer.step(&loss, self.stages.trainable_mut(), rate)?;
        self.step += 1;
        Ok(loss.f_detach()?)
    }

    /// Everything needed to continue exactly here.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn save(&self) -> Result<Vec<u8>, QatError> {
        let header = Header {
            run: self.run.clone(),
            step: self.step,
            spent_ms: (1e3 * self.seconds()) as u64,
            is_linear: self.stages.is_linear(),
            optimizer: self.optimizer.clone(),
        };
        Ok(Blob::new(KIND, &header, &self.stages.numbers()?).to_bytes())
    }

    /// Continues from what [`Tuner::save`] returned.
    ///
    /// # Errors
    /// [`QatError::Checkpoint`] when it is damaged, or of another network, policy, data set or recipe.
    pub fn load(&mut self, bytes: &[u8]) -> Result<(), QatError> {
        let wrong = |error: crate::strategy::StrategyError| QatError::Checkpoint(error.to_string());
        let blob = Blob::from_bytes(bytes).map_err(wrong)?;
        let header: Header = blob.header(KIND).map_err(wrong)?;
        if header.run != self.run {
            let reason = "it belongs to another network, policy, data set or recipe; delete it or choose another file";
            return Err(QatError::Checkpoint(reason.into()));
        }
        let context = (self.quantizer, self.policy, self.data);
        self.stages.restore(&blob.floats(), header.is_linear, context)?;
        self.step = header.step;
        self.spent = header.spent_ms as f64 / 1e3;
        self.start = Instant::now();
        self.optimizer = header.optimizer;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::executor::FloatNetwork;
    use super::super::recipe::Recipe;
    use super::super::watch::Unwatched;
    use super::*;
    use bitrack_model::graph::{Activation, Graph, Op, Shape, TensorId, Window};
    use bitrack_model::{FloatModel, FloatWeights, RangeMethod, Samples};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use tch::Kind;

    const SHAPE: Shape = Shape::new(4, 4, 1);

    /// A random network and samples that it labels itself.
    fn setting() -> (Quantizer, Dataset) {
        let mut graph = Graph::new("toy", SHAPE);
        let window = Window { kernel: [3, 3], stride: [1, 1], pad_before: [1, 1] };
        let activation = Activation::Relu;
        let x = graph.push(Op::Conv2d { window, activation }, vec![TensorId(0)], Shape::new(4, 4, 6));
        let whole = Window { kernel: [4, 4], stride: [1, 1], pad_before: [0, 0] };
        let pool = Op::AveragePool { window: whole, activation: Activation::None };
        let x = graph.push(pool, vec![x], Shape::new(1, 1, 6));
        graph.push(Op::FullyConnected { activation: Activation::None }, vec![x], Shape::new(1, 1, 3));
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut random = |n: usize| (0..n).map(|_| rng.random_range(-1.0f32..1.0)).collect::<Vec<_>>();
        let conv = FloatWeights { values: random(54), bias: random(6) };
        let fc = FloatWeights { values: random(18), bias: random(3) };
        let samples = random(96 * 16);
        let model = FloatModel::new(graph, vec![Some(conv), None, Some(fc)]).expect("consistent");
        let x = Tensor::from_slice(&samples).view([96, 1, 4, 4]);
        let best = FloatNetwork::new(&model, Kind::Float).and_then(|n| n.logits(&x)).expect("runs").argmax(1, false);
        let labels = Vec::<i64>::try_from(best).expect("classes").iter().map(|&l| l as u16).collect();
        let data = Dataset::new(Split::Train, SHAPE, Samples::F32(samples), labels).expect("fits");
        (Quantizer::new(model, &data, RangeMethod::Mse).expect("calibrates"), data)
    }

    fn options(steps: usize) -> FineTune {
        FineTune {
            steps: Some(steps),
            batch: 16,
            learning_rate: Some(1e-2),
            distill: 0.1,
            shift: 0,
            ..FineTune::default()
        }
    }

    fn two_bits(quantizer: &Quantizer) -> Policy {
        Policy::uniform(quantizer.model().graph(), Bits::Two, Bits::Two)
    }

    #[test]
    fn the_loss_falls_and_a_seed_repeats_itself() {
        let (quantizer, data) = setting();
        let policy = two_bits(&quantizer);
        let options = options(150);
        let tuner = || Tuner::new(&quantizer, &policy, &data, &options).expect("tuner");
        let loss = |tuner: &Tuner<'_>| {
            let all = tuner.lessons.all().expect("runs");
            let logits = tuner.stages.logits(&all.x).expect("runs");
            tuner.lessons.loss(&logits, &all).expect("runs").double_value(&[])
        };
        let mut first = tuner();
        let before = loss(&first);
        while first.progress() < 1.0 {
            let _ = first.learn().expect("learns");
        }
        assert!(loss(&first) < 0.95 * before, "{before} to {}", loss(&first));
        let second = tuner().run(&mut Unwatched).expect("runs");
        assert_eq!(first.stages.quantized().expect("exports"), second);
        assert_ne!(second, quantizer.quantize(&policy).expect("fits"));
    }

    #[test]
    fn two_stages_learn_and_continue_to_the_same_bit_from_either() {
        let (quantizer, data) = setting();
        let policy = two_bits(&quantizer);
        let options = FineTune { recipe: Recipe::TwoStage, ..options(24) };
        let tuner = || Tuner::new(&quantizer, &policy, &data, &options).expect("tuner");
        let whole = tuner().run(&mut Unwatched).expect("runs");
        let lsq = FineTune { recipe: Recipe::Lsq, ..options.clone() };
        let other = Tuner::new(&quantizer, &policy, &data, &lsq).expect("tuner").run(&mut Unwatched).expect("runs");
        assert_ne!(whole, other);
        for steps in [0, 5, 12, 13, 20] {
            let mut half = tuner();
            for _ in 0..steps {
                let _ = half.learn().expect("learns");
            }
            assert_eq!(half.stages.is_linear(), steps > 12, "the second stage begins with its first step");
            let saved = half.save().expect("saves");
            let mut rest = tuner();
            rest.load(&saved).expect("loads");
            assert_eq!(rest.save().expect("saves").len(), saved.len());
            assert_eq!(rest.run(&mut Unwatched).expect("runs"), whole, "from step {steps}");
        }
        let saved = tuner().save().expect("saves");
        let mut lsq = Tuner::new(&quantizer, &policy, &data, &lsq).expect("tuner");
        assert!(matches!(lsq.load(&saved), Err(QatError::Checkpoint(_))), "another recipe's");
    }

    #[test]
    fn the_second_stage_starts_from_the_codes_of_the_first() {
        let (quantizer, data) = setting();
        let policy = Policy::uniform(quantizer.model().graph(), Bits::Four, Bits::Eight);
        let options = FineTune { recipe: Recipe::TwoStage, ..options(200) };
        let mut tuner = Tuner::new(&quantizer, &policy, &data, &options).expect("tuner");
        let loss = |tuner: &Tuner<'_>| {
            let all = tuner.lessons.all().expect("runs");
            tuner.lessons.loss(&tuner.stages.logits(&all.x).expect("runs"), &all).expect("runs").double_value(&[])
        };
        let before = loss(&tuner);
        for _ in 0..100 {
            let _ = tuner.learn().expect("learns");
        }
        let first = loss(&tuner);
        assert!(first < before, "{before} to {first}");
        tuner.advance().expect("advances");
        // Only activations of eight bits were added.
        let second = loss(&tuner);
        assert!((second - first).abs() < 0.02 * first, "{first} and {second}");
    }

    #[test]
    fn a_run_continues_to_the_same_bit_with_either_optimizer() {
        let (quantizer, data) = setting();
        let policy = two_bits(&quantizer);
        for moment_bits in [32, 8] {
            let options = FineTune { moment_bits, shift: 1, ..options(24) };
            let tuner = || Tuner::new(&quantizer, &policy, &data, &options).expect("tuner");
            let whole = tuner().run(&mut Unwatched).expect("runs");
            let mut half = tuner();
            for _ in 0..11 {
                let _ = half.learn().expect("learns");
            }
            let mut rest = tuner();
            rest.load(&half.save().expect("saves")).expect("loads");
            assert_eq!(rest.steps(), 11);
            assert_eq!(rest.run(&mut Unwatched).expect("runs"), whole, "{moment_bits} bits");
        }
    }

    #[test]
    fn a_checkpoint_of_another_run_and_foreign_samples_are_refused() {
        let (quantizer, data) = setting();
        let policy = two_bits(&quantizer);
        let (short, long) = (options(3), options(4));
        let tuner = |options| Tuner::new(&quantizer, &policy, &data, options).expect("tuner");
        let saved = tuner(&short).save().expect("saves");
        assert!(matches!(tuner(&long).load(&saved), Err(QatError::Checkpoint(_))));
        assert!(matches!(tuner(&short).load(&saved[1..]), Err(QatError::Checkpoint(_))));
        let validation = data.part(0..9, Split::Validation).expect("part");
        let error = Tuner::new(&quantizer, &policy, &validation, &short).expect_err("split");
        assert_eq!(error.to_string(), "fine-tuning may not see validation samples");
    }
}
