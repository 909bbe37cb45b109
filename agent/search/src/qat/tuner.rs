//! The training loop: deterministic, and resumable to the bit.
//!
//! Order of samples and shifts follow from seed and step alone, so that a checkpoint is the parameters, the optimizer and
//! the number of steps.

use super::error::QatError;
use super::executor::FloatNetwork;
use super::parameters::Parameters;
use super::recipe::FineTune;
use super::watch::{Told, Watch};
use crate::optimizer::{Adam, BLOCK, Betas, MomentFormat};
use crate::strategy::Blob;
use crate::torch::floats;
use bitrack_model::{Dataset, FloatModel, QuantizedModel, Split};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::time::Instant;
use tch::{Kind, TchError, Tensor};

/// Steps between two looks at the loss.
const REPORT_EVERY: usize = 20;
/// Names fine-tuning's checkpoints among others of the same form.
const KIND: &str = "fine-tune";

/// A fine-tuning run.
#[derive(Debug)]
pub struct Tuner<'a> {
    options: &'a FineTune,
    parameters: Parameters,
    teacher: FloatNetwork,
    /// `[n, c, h, w]`.
    samples: Tensor,
    labels: Tensor,
    optimizer: Adam,
    step: usize,
    /// Seconds spent before this process.
    spent: f64,
    start: Instant,
    /// What a checkpoint must be of.
    run: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    run: String,
    step: usize,
    spent_ms: u64,
    optimizer: Adam,
}

impl<'a> Tuner<'a> {
    /// A run that starts from `start`, the quantizer's version of `float`, and learns from training samples.
    ///
    /// # Errors
    /// [`QatError::Options`], [`QatError::Split`], [`QatError::Samples`]; libtorch's own.
    pub fn new(
        float: &FloatModel,
        start: QuantizedModel,
        data: &Dataset,
        options: &'a FineTune,
    ) -> Result<Self, QatError> {
        options.check()?;
        if data.split() != Split::Train {
            return Err(QatError::Split { split: data.split().name() });
        }
        let model = float.graph().shape(float.graph().input);
        if data.shape() != model {
            return Err(QatError::Samples { samples: data.shape(), model });
        }
        // A fixed number of threads keeps sums in a fixed order.
        tch::set_num_threads(1);
        let run = format!("{:016x} {} {options:?}", start.id(), data.len());
        let parameters = Parameters::new(float, start, Kind::Float)?;
        let sizes: Vec<usize> = parameters.trainable().iter().map(Tensor::numel).collect();
        let format = if options.moment_bits == 8 { MomentFormat::Blockwise(BLOCK) } else { MomentFormat::Full };
        let (samples, labels) = tensors(data)?;
        Ok(Self {
            options,
            teacher: FloatNetwork::new(float, Kind::Float)?,
            samples,
            labels,
            optimizer: Adam::new(&sizes, format, Betas::default()),
            step: 0,
            spent: 0.0,
            start: Instant::now(),
            run,
            parameters,
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
        Ok(self.parameters.quantized()?)
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

    /// One step; the loss before it.
    fn learn(&mut self) -> Result<Tensor, QatError> {
        let rate = self.options.rate(self.progress());
        let (x, labels) = self.batch()?;
        let loss = self.loss(&x, &labels)?;
        let gradients = Tensor::f_run_backward(&[&loss], self.parameters.trainable(), false, false)?;
        let gradients = gradients.iter().map(floats).collect::<Result<Vec<_>, _>>()?;
        let mut values = self.parameters.trainable().iter().map(floats).collect::<Result<Vec<_>, _>>()?;
        let mut slices: Vec<&mut [f32]> = values.iter_mut().map(Vec::as_mut_slice).collect();
        let gradients: Vec<&[f32]> = gradients.iter().map(Vec::as_slice).collect();
        self.optimizer.step(&mut slices, &gradients, rate).map_err(|e| QatError::Options(e.to_string()))?;
        set(self.parameters.trainable_mut(), &values)?;
        self.step += 1;
        Ok(loss.f_detach()?)
    }

    /// `(1 - d) * cross entropy + d * T^2 * cross entropy with the teacher at temperature T` (Hinton et al. 2015).
    fn loss(&self, x: &Tensor, labels: &Tensor) -> Result<Tensor, QatError> {
        let logits = self.parameters.forward(x)?.logits;
        let hard = logits.f_cross_entropy_loss::<&Tensor>(labels, None, tch::Reduction::Mean, -100, 0.0)?;
        let (share, t) = (self.options.distill, self.options.temperature);
        let teacher = tch::no_grad(|| self.teacher.logits(x)?.f_div_scalar(t)?.f_softmax(1, None::<Kind>))?;
        let student = logits.f_div_scalar(t)?.f_log_softmax(1, None::<Kind>)?;
        let soft = teacher.f_mul(&student)?.f_sum(None::<Kind>)?.f_div_scalar(-(x.size()[0] as f64))?;
        Ok(hard.f_mul_scalar(1.0 - share)?.f_add(&soft.f_mul_scalar(share * t * t)?)?)
    }

    /// The samples of this step, which follow from seed and step alone.
    fn batch(&self) -> Result<(Tensor, Tensor), TchError> {
        let all = self.labels.numel();
        let batch = self.options.batch.min(all);
        let per_epoch = all / batch;
        let (epoch, at) = (self.step / per_epoch, self.step % per_epoch);
        let mut order: Vec<i64> = (0..all as i64).collect();
        order.shuffle(&mut stream(self.options.seed, 2 * epoch as u64));
        let indices = Tensor::f_from_slice(&order[at * batch..(at + 1) * batch])?;
        let x = self.samples.f_index_select(0, &indices)?;
        let mut rng = stream(self.options.seed, 2 * self.step as u64 + 1);
        Ok((shifted(&x, self.options.shift, &mut rng)?, self.labels.f_index_select(0, &indices)?))
    }

    /// Everything needed to continue exactly here.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn save(&self) -> Result<Vec<u8>, QatError> {
        let values = self.parameters.trainable().iter().map(floats).collect::<Result<Vec<_>, _>>()?.concat();
        let header = Header {
            run: self.run.clone(),
            step: self.step,
            spent_ms: (1e3 * self.seconds()) as u64,
            optimizer: self.optimizer.clone(),
        };
        Ok(Blob::new(KIND, &header, &values).to_bytes())
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
        let values = blob.floats();
        let mut rest = values.as_slice();
        let mut parts = Vec::new();
        for parameter in self.parameters.trainable() {
            let Some((part, more)) = rest.split_at_checked(parameter.numel()) else {
                return Err(QatError::Checkpoint("it holds too few numbers".into()));
            };
            parts.push(part.to_vec());
            rest = more;
        }
        set(self.parameters.trainable_mut(), &parts)?;
        self.step = header.step;
        self.spent = header.spent_ms as f64 / 1e3;
        self.start = Instant::now();
        self.optimizer = header.optimizer;
        Ok(())
    }
}

/// A generator of its own for each use of a seed.
fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
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

/// Samples as `[n, c, h, w]` and labels as `[n]`.
fn tensors(data: &Dataset) -> Result<(Tensor, Tensor), TchError> {
    let (mut all, mut sample) = (Vec::new(), Vec::new());
    for index in 0..data.len() {
        data.read(index, &mut sample);
        all.extend_from_slice(&sample);
    }
    let shape = data.shape();
    let size = [data.len(), shape.h, shape.w, shape.c].map(|d| d as i64);
    let samples = Tensor::f_from_slice(&all)?.f_view(size.as_slice())?.f_permute([0i64, 3, 1, 2].as_slice())?;
    let labels: Vec<i64> = data.labels().iter().map(|&label| label.into()).collect();
    Ok((samples.f_contiguous()?, Tensor::f_from_slice(&labels)?))
}

/// Every sample moved by its own random number of rows.
fn shifted(x: &Tensor, most: usize, rng: &mut ChaCha8Rng) -> Result<Tensor, TchError> {
    if most == 0 {
        return Ok(x.shallow_clone());
    }
    let (size, most) = (x.size(), most as i64);
    let rows = size[2];
    let mut index = Vec::new();
    for _ in 0..size[0] {
        let by = rng.random_range(-most..=most);
        index.extend((0..rows).map(|row| (row + by).clamp(0, rows - 1)));
    }
    let index = Tensor::f_from_slice(&index)?.f_view([size[0], 1, rows, 1].as_slice())?;
    x.f_gather(2, &index.f_expand(size.as_slice(), false)?, false)
}

#[cfg(test)]
mod tests {
    use super::super::watch::Unwatched;
    use super::*;
    use bitrack_model::graph::{Activation, Graph, Op, Shape, TensorId, Window};
    use bitrack_model::{Bits, FloatWeights, Policy, Quantizer, RangeMethod, Samples};

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
        FineTune { steps: Some(steps), batch: 16, learning_rate: 1e-2, distill: 0.1, shift: 0, ..FineTune::default() }
    }

    fn two_bits(quantizer: &Quantizer) -> QuantizedModel {
        let policy = Policy::uniform(quantizer.model().graph(), Bits::Two, Bits::Two);
        quantizer.quantize(&policy).expect("fits")
    }

    #[test]
    fn the_loss_falls_and_a_seed_repeats_itself() {
        let (quantizer, data) = setting();
        let options = options(150);
        let tuner = || Tuner::new(quantizer.model(), two_bits(&quantizer), &data, &options).expect("tuner");
        let loss = |tuner: &Tuner<'_>| tuner.loss(&tuner.samples, &tuner.labels).expect("runs").double_value(&[]);
        let mut first = tuner();
        let before = loss(&first);
        while first.progress() < 1.0 {
            let _ = first.learn().expect("learns");
        }
        assert!(loss(&first) < 0.95 * before, "{before} to {}", loss(&first));
        let second = tuner().run(&mut Unwatched).expect("runs");
        assert_eq!(first.parameters.quantized().expect("exports"), second);
        assert_ne!(second, two_bits(&quantizer));
    }

    #[test]
    fn a_run_continues_to_the_same_bit_with_either_optimizer() {
        let (quantizer, data) = setting();
        for moment_bits in [32, 8] {
            let options = FineTune { moment_bits, shift: 1, ..options(24) };
            let tuner = || Tuner::new(quantizer.model(), two_bits(&quantizer), &data, &options).expect("tuner");
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
        let (short, long) = (options(3), options(4));
        let tuner = |options| Tuner::new(quantizer.model(), two_bits(&quantizer), &data, options).expect("tuner");
        let saved = tuner(&short).save().expect("saves");
        assert!(matches!(tuner(&long).load(&saved), Err(QatError::Checkpoint(_))));
        assert!(matches!(tuner(&short).load(&saved[1..]), Err(QatError::Checkpoint(_))));
        let validation = data.part(0..9, Split::Validation).expect("part");
        let error = Tuner::new(quantizer.model(), two_bits(&quantizer), &validation, &short).expect_err("split");
        assert_eq!(error.to_string(), "fine-tuning may not see validation samples");
    }
}
