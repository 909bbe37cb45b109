//! What a network learns from: samples with their labels, and the float network as a teacher.

use super::error::QatError;
use super::executor::FloatNetwork;
use super::recipe::FineTune;
use bitrack_model::{Dataset, FloatModel};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Kind, TchError, Tensor};

/// Batches of one data set. Their order and the samples' shifts follow from seed and step alone, so that a checkpoint need not
/// hold them.
#[derive(Debug)]
pub struct Lessons {
    options: FineTune,
    teacher: FloatNetwork,
    /// `[n, c, h, w]`.
    samples: Tensor,
    /// `[n]`.
    labels: Tensor,
}

/// The samples of one step.
#[derive(Debug)]
pub struct Batch {
    /// `[n, c, h, w]`.
    pub x: Tensor,
    /// `[n]`.
    pub labels: Tensor,
    /// What the float network makes of them, `[n, classes]`.
    pub teacher: Tensor,
}

impl Lessons {
    /// Lessons on all samples of `data`, whatever its split.
    ///
    /// # Errors
    /// [`QatError::Samples`]; libtorch's own.
    pub fn new(float: &FloatModel, data: &Dataset, options: &FineTune) -> Result<Self, QatError> {
        let model = float.graph().shape(float.graph().input);
        if data.shape() != model {
            return Err(QatError::Samples { samples: data.shape(), model });
        }
        // A fixed number of threads keeps sums in a fixed order.
        tch::set_num_threads(1);
        let (samples, labels) = tensors(data)?;
        Ok(Self { options: options.clone(), teacher: FloatNetwork::new(float, Kind::Float)?, samples, labels })
    }

    /// The batch of a step.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn batch(&self, step: usize) -> Result<Batch, TchError> {
        let all = self.labels.numel();
        let batch = self.options.batch.min(all);
        let per_epoch = all / batch;
        let (epoch, at) = (step / per_epoch, step % per_epoch);
        let mut order: Vec<i64> = (0..all as i64).collect();
        order.shuffle(&mut stream(self.options.seed, 2 * epoch as u64));
        let indices = Tensor::f_from_slice(&order[at * batch..(at + 1) * batch])?;
        let x = self.samples.f_index_select(0, &indices)?;
        let mut rng = stream(self.options.seed, 2 * step as u64 + 1);
        self.taught(shifted(&x, self.options.shift, &mut rng)?, self.labels.f_index_select(0, &indices)?)
    }

    /// All samples at once, as they are.
    #[cfg(test)]
    pub fn all(&self) -> Result<Batch, TchError> {
        self.taught(self.samples.shallow_clone(), self.labels.shallow_clone())
    }

    fn taught(&self, x: Tensor, labels: Tensor) -> Result<Batch, TchError> {
        let teacher = tch::no_grad(|| self.teacher.logits(&x))?;
        Ok(Batch { x, labels, teacher })
    }

    /// `(1 - d) * cross entropy + d * T^2 * cross entropy with the teacher at temperature T` (Hinton et al. 2015) of these
    /// logits `[n, classes]`.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn loss(&self, logits: &Tensor, batch: &Batch) -> Result<Tensor, TchError> {
        let hard = logits.f_cross_entropy_loss::<&Tensor>(&batch.labels, None, tch::Reduction::Mean, -100, 0.0)?;
        let (share, t) = (self.options.distill, self.options.temperature);
        let teacher = batch.teacher.f_div_scalar(t)?.f_softmax(1, None::<Kind>)?;
        let student = logits.f_div_scalar(t)?.f_log_softmax(1, None::<Kind>)?;
        let soft = teacher.f_mul(&student)?.f_sum(None::<Kind>)?.f_div_scalar(-(batch.x.size()[0] as f64))?;
        hard.f_mul_scalar(1.0 - share)?.f_add(&soft.f_mul_scalar(share * t * t)?)
    }
}

/// A generator of its own for each use of a seed.
fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
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
