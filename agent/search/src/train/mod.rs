//! Training the demonstration network with libtorch and handing it to `bitrack-model`.

mod export;
pub mod network;
mod recipe;

pub use export::export;
pub use recipe::Recipe;

use crate::data::{Splits, Train, classes};
use bitrack_model::graph::Shape;
use bitrack_model::{Dataset, Samples};
use indicatif::ProgressBar;
use network::Network;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Instant;
use tch::nn::OptimizerConfig;
use tch::{Kind, Tensor, nn};

/// Images per forward pass when only evaluating.
const EVAL_BATCH: i64 = 1_000;

/// What went wrong while training.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// The loss is no longer a number.
    #[error("training diverged: the loss is {loss} at step {step}; lower the learning rate")]
    Diverged {
        /// The loss.
        loss: f64,
        /// Steps done.
        step: usize,
    },
    /// The network shrinks its input by four; a smaller one vanishes.
    #[error("samples of {shape} are too small for this network: at least 4x4 are needed")]
    TooSmall {
        /// Height, width and channels.
        shape: Shape,
    },
    /// The trained network is not one that `bitrack-model` accepts.
    #[error("export: {0}")]
    Export(#[from] bitrack_model::Error),
    /// Batch normalization could not be folded.
    #[error("export of {layer}: {reason}")]
    Fold {
        /// The layer.
        layer: &'static str,
        /// Why.
        reason: String,
    },
}

/// What came out.
#[derive(Debug)]
pub struct Trained {
    /// The network.
    pub network: Network,
    /// Fraction of the validation split classified correctly.
    pub validation_accuracy: f64,
    /// Fraction of the test split classified correctly.
    pub test_accuracy: f64,
    /// Wall-clock time in seconds.
    pub seconds: f64,
    /// Steps done.
    pub steps: usize,
    /// Steps of all epochs: more than were done when time ran out.
    pub planned_steps: usize,
}

/// Trains on the training split; `progress` counts steps.
///
/// # Errors
/// See [`TrainError`].
pub fn train(recipe: &Recipe, splits: &Splits, progress: &ProgressBar) -> Result<Trained, TrainError> {
    let start = Instant::now();
    let shape = splits.train.0.shape();
    if shape.h < 4 || shape.w < 4 {
        return Err(TrainError::TooSmall { shape });
    }
    let mut rng = ChaCha8Rng::seed_from_u64(recipe.seed);
    let network = Network::new(shape.c, classes(&splits.train.0), &mut rng)?;
    let steps = fit(recipe, &network, &splits.train, progress, start, &mut rng)?;
    Ok(Trained {
        steps,
        planned_steps: recipe.steps(splits.train.0.len()),
        validation_accuracy: accuracy(&network, &splits.validation.0)?,
        test_accuracy: accuracy(&network, &splits.test.0)?,
        seconds: start.elapsed().as_secs_f64(),
        network,
    })
}

/// The number of steps done.
fn fit(
    recipe: &Recipe,
    network: &Network,
    train: &Train,
    progress: &ProgressBar,
    start: Instant,
    rng: &mut ChaCha8Rng,
) -> Result<usize, TrainError> {
    let (images, labels) = to_tensors(&train.0)?;
    let mut optimizer =
        nn::sgd(recipe.momentum, 0.0, recipe.weight_decay, true).build(&network.variables, recipe.learning_rate)?;
    let mut order: Vec<i64> = (0..train.0.len() as i64).collect();
    let total = recipe.steps(order.len());
    progress.set_length(total as u64);
    let mut step = 0;
    while step < total {
        order.shuffle(rng);
        for indices in order.chunks(recipe.batch) {
            let done = recipe.progress(step as f64 / total as f64, start.elapsed());
            if done >= 1.0 {
                return Ok(step);
            }
            optimizer.set_lr(recipe.learning_rate_at(done));
            let batch = batch(&images, &labels, indices, recipe.flip.then(|| rng.random()))?;
            let loss = network.forward(&batch.0, true).cross_entropy_for_logits(&batch.1);
            optimizer.backward_step(&loss);
            step += 1;
            report(progress, step, &loss)?;
        }
    }
    Ok(step)
}

/// Reading the loss waits for the step to finish, so it is done now and then only.
fn report(progress: &ProgressBar, step: usize, loss: &Tensor) -> Result<(), TrainError> {
    progress.set_position(step as u64);
    if step.is_multiple_of(20) {
        let loss = loss.double_value(&[]);
        if !loss.is_finite() {
            return Err(TrainError::Diverged { loss, step });
        }
        progress.set_message(format!("loss {loss:.3}"));
    }
    Ok(())
}

/// Gathers a batch; `flip` mirrors either its first or its second half, a coin per batch that costs no copy per image.
fn batch(
    images: &Tensor,
    labels: &Tensor,
    indices: &[i64],
    flip: Option<bool>,
) -> Result<(Tensor, Tensor), TrainError> {
    let indices = Tensor::f_from_slice(indices)?;
    let x = images.f_index_select(0, &indices)?;
    let y = labels.f_index_select(0, &indices)?;
    let Some(first) = flip else { return Ok((x, y)) };
    let halves = x.f_chunk(2, 0)?;
    let mirrored: Vec<Tensor> = halves
        .iter()
        .enumerate()
        .map(|(i, half)| if (i == 0) == first { half.f_flip([3]) } else { Ok(half.shallow_clone()) })
        .collect::<Result<_, _>>()?;
    Ok((Tensor::f_cat(&mirrored, 0)?, y))
}

/// Images as `[n, c, h, w]` and labels as `[n]`.
fn to_tensors(data: &Dataset) -> Result<(Tensor, Tensor), TrainError> {
    let Shape { h, w, c } = data.shape();
    let size = [-1, h as i64, w as i64, c as i64];
    let images = match data.samples() {
        Samples::F32(values) => Tensor::f_from_slice(values)?.f_view(size)?,
        Samples::U8 { bytes, scale } => {
            Tensor::f_from_slice(bytes)?.f_view(size)?.f_to_kind(Kind::Float)?.f_mul_scalar(f64::from(*scale))?
        }
    };
    let labels: Vec<i64> = data.labels().iter().map(|&label| label.into()).collect();
    Ok((images.f_permute([0, 3, 1, 2])?.f_contiguous()?, Tensor::f_from_slice(&labels)?))
}

/// Fraction of `data` whose highest logit is the label's.
///
/// # Errors
/// libtorch's own.
pub fn accuracy(network: &Network, data: &Dataset) -> Result<f64, TrainError> {
    let (images, labels) = to_tensors(data)?;
    let mut right = 0.0;
    tch::no_grad(|| -> Result<(), TrainError> {
        for (x, y) in images.f_split(EVAL_BATCH, 0)?.iter().zip(labels.f_split(EVAL_BATCH, 0)?) {
            let hits = network.forward(x, false).f_argmax(1, false)?.f_eq_tensor(&y)?;
            right += hits.f_sum(Kind::Double)?.f_double_value(&[])?;
        }
        Ok(())
    })?;
    Ok(right / data.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitrack_model::Split;
    use bitrack_model::float::FloatExecutor;

    fn data(split: Split, shape: Shape, values: Vec<f32>, labels: Vec<u16>) -> Dataset {
        Dataset::new(split, shape, Samples::F32(values), labels).expect("consistent")
    }

    /// Two classes told apart by where the bright half lies; top and bottom, so that mirroring does not matter.
    fn toy(split: Split, count: usize) -> Dataset {
        let x = (0..count).flat_map(|i| (0..64).map(move |p| f32::from(u8::from((p < 32) == (i % 2 == 0))))).collect();
        data(split, Shape::new(8, 8, 1), x, (0..count).map(|i| (i % 2) as u16).collect())
    }

    fn run(seed: u64) -> Trained {
        let splits = Splits::new("toy", &toy(Split::Train, 80), 16, toy(Split::Test, 16)).expect("valid");
        let recipe = Recipe { seed, epochs: 3, batch: 16, ..Recipe::default() };
        train(&recipe, &splits, &ProgressBar::hidden()).expect("training")
    }

    #[test]
    fn a_separable_toy_is_learned_and_the_same_seed_gives_the_same_weights() {
        let (first, second) = (run(3), run(3));
        assert_eq!(first.test_accuracy, 1.0);
        assert_eq!((first.steps, first.planned_steps), (12, 12), "three epochs of 64 samples, 16 a step");
        assert!(first.network.fc.ws.equal(&second.network.fc.ws));
        assert!(!first.network.fc.ws.equal(&run(4).network.fc.ws));
    }

    #[test]
    fn a_run_that_time_runs_out_for_says_how_far_it_came() {
        let splits = Splits::new("toy", &toy(Split::Train, 80), 16, toy(Split::Test, 16)).expect("valid");
        let recipe = Recipe { epochs: 3, batch: 16, limit: std::time::Duration::from_nanos(1), ..Recipe::default() };
        let trained = train(&recipe, &splits, &ProgressBar::hidden()).expect("ends in order");
        assert_eq!((trained.steps, trained.planned_steps), (0, 12));
    }

    #[test]
    fn the_exported_network_computes_the_same_logits() {
        let trained = run(5);
        let test = toy(Split::Test, 4);
        let model = export(&trained.network, "toy", test.shape()).expect("export");
        let logits = trained.network.forward(&to_tensors(&test).expect("tensors").0, false);
        let executor = FloatExecutor::new(&model);
        let (mut buffers, mut input) = (executor.buffers(), Vec::new());
        for i in 0..test.len() {
            test.read(i, &mut input);
            executor.run(&input, &mut buffers);
            for (class, &value) in buffers.get(model.graph().output).iter().enumerate() {
                let expected = logits.double_value(&[i as i64, class as i64]);
                assert!((f64::from(value) - expected).abs() < 1e-3 * expected.abs().max(1.0), "{value} {expected}");
            }
        }
    }

    #[test]
    fn images_the_network_would_shrink_away_are_refused() {
        let tiny = |split| data(split, Shape::new(3, 3, 1), vec![0.0; 9 * 20], vec![0; 20]);
        let splits = Splits::new("toy", &tiny(Split::Train), 4, tiny(Split::Test)).expect("valid");
        let error = train(&Recipe::default(), &splits, &ProgressBar::hidden()).expect_err("too small");
        assert_eq!(error.to_string(), "samples of 3x3x1 are too small for this network: at least 4x4 are needed");
    }
}
