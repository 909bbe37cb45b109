//! Cross-layer equalization: channels of one tensor share a scale, so let them use it alike.
//!
//! Dividing a channel by `s` where it is written and multiplying by `s` where it is read changes nothing, because ReLU is
//! positively homogeneous (Nagel et al. 2019, section 4.1). The weights that write a channel have a scale of their own per
//! channel, so that all of the tensor's imbalance can be removed at no cost to them.

use crate::calibrate::{Extremes, channel_extremes};
use crate::dataset::Dataset;
use crate::error::Result;
use crate::float::FloatModel;
use crate::graph::{Activation, Graph, Op, TensorId};

/// A channel is scaled up at most this much: one that is nearly dead on the samples may wake up elsewhere.
const MAX_GAIN: f32 = 16.0;
/// How much of the imbalance is removed where the reader mixes channels, and so has to bear it in its weights.
const SHARE_WHEN_MIXED: f32 = 0.5;

/// A layer pair with a tensor, or several that keep channels apart, between them.
struct Link {
    tensor: TensorId,
    writer: usize,
    reader: usize,
    mixes_channels: bool,
}

/// The same network with balanced channels: identical outputs up to rounding of floats.
///
/// # Errors
/// [`crate::Error::Samples`] when `data` does not fit the model.
pub fn equalize(model: &FloatModel, data: &Dataset) -> Result<FloatModel> {
    let extremes = channel_extremes(model, data)?;
    let mut balanced = model.clone();
    for link in links(model.graph()) {
        let factors = factors(&extremes[link.tensor.0], link.mixes_channels);
        scale_writer(&mut balanced, link.writer, &factors);
        scale_reader(&mut balanced, link.reader, &factors, link.mixes_channels);
    }
    Ok(balanced)
}

fn links(graph: &Graph) -> Vec<Link> {
    let homogeneous = |op: &Op| matches!(op.activation(), Activation::None | Activation::Relu);
    let writers = graph.layers.iter().enumerate().filter(|(_, l)| l.op.has_weights() && homogeneous(&l.op));
    writers
        .filter_map(|(writer, layer)| {
            reader(graph, layer.output).map(|reader| {
                let mixes_channels = !matches!(graph.layers[reader].op, Op::DepthwiseConv2d { .. });
                Link { tensor: layer.output, writer, reader, mixes_channels }
            })
        })
        .collect()
}

/// The one layer with weights that reads a tensor, directly or through layers that keep channels apart.
fn reader(graph: &Graph, tensor: TensorId) -> Option<usize> {
    let mut readers = graph.consumers(tensor);
    let (index, None) = (readers.next()?, readers.next()) else { return None };
    if tensor == graph.output {
        return None;
    }
    let layer = &graph.layers[index];
    match layer.op {
        Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::FullyConnected { .. } => Some(index),
        Op::AveragePool { activation: Activation::None | Activation::Relu, .. }
        | Op::MaxPool { activation: Activation::None | Activation::Relu, .. }
        | Op::Reshape {} => reader(graph, layer.output),
        _ => None,
    }
}

/// What each channel is divided by.
fn factors(extremes: &Extremes, mixes_channels: bool) -> Vec<f32> {
    let size: Vec<f32> = extremes.min.iter().zip(&extremes.max).map(|(min, max)| max.max(-min)).collect();
    let largest = size.iter().copied().fold(0.0, f32::max);
    let exponent = if mixes_channels { SHARE_WHEN_MIXED } else { 1.0 };
    let factor = |&s: &f32| if s > 0.0 { (s / largest).max(1.0 / MAX_GAIN).powf(exponent) } else { 1.0 };
    size.iter().map(factor).collect()
}

fn scale_writer(model: &mut FloatModel, layer: usize, factors: &[f32]) {
    let Some(weights) = model.weights_mut(layer) else { return };
    let n = weights.values.len() / factors.len();
    for ((row, bias), factor) in weights.values.chunks_exact_mut(n).zip(&mut weights.bias).zip(factors) {
        row.iter_mut().for_each(|w| *w /= factor);
        *bias /= factor;
    }
}

/// A reader that mixes channels has them innermost (flattened pixels repeat them); a depthwise one has one per row.
fn scale_reader(model: &mut FloatModel, layer: usize, factors: &[f32], mixes_channels: bool) {
    let Some(weights) = model.weights_mut(layer) else { return };
    let n = weights.values.len() / weights.bias.len();
    for (index, w) in weights.values.iter_mut().enumerate() {
        let channel = if mixes_channels { index % n } else { index / n };
        *w *= factors[channel % factors.len()];
    }
}
