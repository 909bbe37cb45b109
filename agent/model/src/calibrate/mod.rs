//! Statistics of a float network on training samples: what every later quantization is derived from, collected once.

mod moments;
mod ranges;

pub use moments::Moments;
pub use ranges::{Histogram, RangeMethod};

use rayon::prelude::*;

use crate::bits::Bits;
use crate::dataset::{Dataset, Split};
use crate::error::{Error, Result};
use crate::float::{Activations, FloatExecutor, FloatModel};
use crate::graph::TensorId;
use crate::quantized::TensorQuant;

/// Samples handled by one task: large enough to amortise its accumulators.
const CHUNK: usize = 16;

/// Ranges of all tensors at every width, and moments of what every layer with weights reads.
#[derive(Debug, Clone)]
pub struct Calibration {
    /// Per tensor and width (index [`Bits::index`]).
    quants: Vec<[TensorQuant; 3]>,
    histograms: Vec<Histogram>,
    /// Per layer; `None` without weights.
    moments: Vec<Option<Moments>>,
}

impl Calibration {
    /// Runs the network over all samples of `data` twice: extremes first, then distributions and moments.
    ///
    /// # Errors
    /// [`Error::Samples`] when `data` is not training data or of another shape than the model's input, or when the
    /// network's outputs are not finite.
    pub fn collect(model: &FloatModel, data: &Dataset, method: RangeMethod) -> Result<Self> {
        if data.split() != Split::Train {
            return Err(Error::Samples(format!("calibration may not see {} samples", data.split().name())));
        }
        data.check_shape(model.graph().shape(model.graph().input))?;
        let pass = Pass { model, data, executor: FloatExecutor::new(model) };
        let extremes = pass.extremes()?;
        let (histograms, moments) = pass.distributions(&extremes);
        let quants: Vec<_> = histograms.iter().map(|h| Bits::ALL.map(|bits| h.quant(bits, method))).collect();
        Ok(Self { quants, histograms, moments })
    }

    /// Scale and zero point of a tensor at a width.
    pub fn quant(&self, tensor: TensorId, bits: Bits) -> TensorQuant {
        self.quants[tensor.0][bits.index()]
    }

    /// Distribution of a tensor's values.
    pub fn histogram(&self, tensor: TensorId) -> &Histogram {
        &self.histograms[tensor.0]
    }

    pub(crate) fn moments(&self, layer: usize) -> Option<&Moments> {
        self.moments[layer].as_ref()
    }
}

/// Smallest and largest value of every channel of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Extremes {
    pub min: Vec<f32>,
    pub max: Vec<f32>,
}

impl Extremes {
    fn new(channels: usize) -> Self {
        Self { min: vec![f32::INFINITY; channels], max: vec![f32::NEG_INFINITY; channels] }
    }

    fn add(&mut self, values: &[f32]) {
        for pixel in values.chunks_exact(self.min.len()) {
            for ((min, max), &value) in self.min.iter_mut().zip(&mut self.max).zip(pixel) {
                *min = min.min(value);
                *max = max.max(value);
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.min.iter_mut().zip(&other.min).for_each(|(a, &b)| *a = a.min(b));
        self.max.iter_mut().zip(&other.max).for_each(|(a, &b)| *a = a.max(b));
    }

    /// Bounds over all channels, always containing 0, which must have a code of its own.
    fn bounds(&self) -> (f32, f32) {
        let low = self.min.iter().copied().fold(0.0, f32::min);
        let high = self.max.iter().copied().fold(0.0, f32::max);
        (low, high)
    }
}

/// Extremes per channel of every tensor; what equalization needs.
pub(crate) fn channel_extremes(model: &FloatModel, data: &Dataset) -> Result<Vec<Extremes>> {
    data.check_shape(model.graph().shape(model.graph().input))?;
    Pass { model, data, executor: FloatExecutor::new(model) }.extremes()
}

/// One network over one data set, in parallel over chunks of samples.
struct Pass<'a> {
    model: &'a FloatModel,
    data: &'a Dataset,
    executor: FloatExecutor<'a>,
}

impl Pass<'_> {
    /// Adds every sample's activations into accumulators. Chunks are merged in order, so that sums of floats do not
    /// depend on the number of threads.
    fn fold<A: Send>(
        &self,
        new: impl Fn() -> A + Sync,
        add: impl Fn(&mut A, usize, &Activations) + Sync,
        merge: impl Fn(&mut A, A),
    ) -> A {
        let chunk = |start: usize| {
            let (mut total, mut buffers, mut sample) = (new(), self.executor.buffers(), Vec::new());
            for index in start..(start + CHUNK).min(self.data.len()) {
                self.data.read(index, &mut sample);
                self.executor.run(&sample, &mut buffers);
                add(&mut total, index, &buffers);
            }
            total
        };
        let starts: Vec<usize> = (0..self.data.len()).step_by(CHUNK).collect();
        // A few chunks per thread at a time bound the memory that their accumulators take.
        let mut total = new();
        for batch in starts.chunks(2 * rayon::current_num_threads()) {
            let parts: Vec<A> = batch.par_iter().map(|&start| chunk(start)).collect();
            parts.into_iter().for_each(|part| merge(&mut total, part));
        }
        total
    }

    fn extremes(&self) -> Result<Vec<Extremes>> {
        let graph = self.model.graph();
        let extremes = self.fold(
            || graph.tensors.iter().map(|t| Extremes::new(t.shape.c)).collect::<Vec<_>>(),
            |all, _, values| all.iter_mut().enumerate().for_each(|(t, e)| e.add(values.get(TensorId(t)))),
            |all, part| all.iter_mut().zip(&part).for_each(|(a, b)| a.merge(b)),
        );
        let finite = |e: &Extremes| e.min.iter().chain(&e.max).all(|v| v.is_finite());
        match extremes.iter().position(|e| !finite(e)) {
            None => Ok(extremes),
            Some(t) => {
                Err(Error::Samples(format!("tensor {} takes values that are not finite", graph.tensors[t].name)))
            }
        }
    }

    fn distributions(&self, extremes: &[Extremes]) -> (Vec<Histogram>, Vec<Option<Moments>>) {
        let graph = self.model.graph();
        let new = || {
            let histograms: Vec<_> = extremes.iter().map(|e| Histogram::new(e.bounds())).collect();
            let moments: Vec<_> =
                graph.layers.iter().map(|layer| Moments::new(graph, layer, self.data.len())).collect();
            (histograms, moments)
        };
        let add = |(histograms, moments): &mut (Vec<Histogram>, Vec<Option<Moments>>),
                   sample: usize,
                   values: &Activations| {
            histograms.iter_mut().enumerate().for_each(|(t, h)| h.add(values.get(TensorId(t))));
            for (layer, moments) in graph.layers.iter().zip(moments) {
                if let Some(moments) = moments {
                    moments.add(sample, values.get(layer.inputs[0]));
                }
            }
        };
        let (histograms, mut moments) = self.fold(new, add, |total, part| {
            total.0.iter_mut().zip(&part.0).for_each(|(a, b)| a.merge(b));
            total.1.iter_mut().zip(part.1).for_each(|(a, b)| merge_option(a, b));
        });
        moments.iter_mut().flatten().for_each(Moments::finish);
        (histograms, moments)
    }
}

fn merge_option(total: &mut Option<Moments>, part: Option<Moments>) {
    if let (Some(total), Some(part)) = (total, part) {
        total.merge(&part);
    }
}
