//! Cross-layer equalization: channels of one tensor share a scale, so let them use it alike.
//!
//! Dividing a channel by `s` where it is written and multiplying by `s` where it is read changes nothing, because ReLU is
//! positively homogeneous (Nagel et al. 2019, section 4.1). It is done where it is free: into a depthwise layer, which like
//! its writer has a weight scale per channel. A reader that mixes channels would bear the imbalance in its weights; measured
//! on keyword spotting, that costs more at 2-bit weights than it gains at 4-bit activations.

use crate::calibrate::{Extremes, channel_extremes};
use crate::dataset::Dataset;
use crate::error::Result;
use crate::float::FloatModel;
use crate::graph::{Activation, Graph, Op, TensorId};

/// A channel is scaled up at most this much: one that is nearly dead on the samples may wake up elsewhere.
const MAX_GAIN: f32 = 8.0;

/// A tensor between a layer with weights and a depthwise layer.
struct Link {
    tensor: TensorId,
    writer: usize,
    reader: usize,
}

/// The same network with balanced channels: identical outputs up to rounding of floats.
///
/// # Errors
/// [`crate::Error::Samples`] when `data` does not fit the model.
pub fn equalize(model: &FloatModel, data: &Dataset) -> Result<FloatModel> {
    let extremes = channel_extremes(model, data)?;
    let mut balanced = model.clone();
    for link in links(model.graph()) {
        let factors = factors(&extremes[link.tensor.0]);
        let inverse: Vec<f32> = factors.iter().map(|f| 1.0 / f).collect();
        scale_rows(&mut balanced, link.writer, &inverse, true);
        scale_rows(&mut balanced, link.reader, &factors, false);
    }
    Ok(balanced)
}

fn links(graph: &Graph) -> Vec<Link> {
    let homogeneous = |op: &Op| matches!(op.activation(), Activation::None | Activation::Relu);
    let writers = graph.layers.iter().enumerate().filter(|(_, l)| l.op.has_weights() && homogeneous(&l.op));
    let link = |(writer, tensor)| Some(Link { tensor, writer, reader: depthwise_reader(graph, tensor)? });
    writers.map(|(writer, layer)| (writer, layer.output)).filter_map(link).collect()
}

/// The depthwise layer that alone reads a tensor.
fn depthwise_reader(graph: &Graph, tensor: TensorId) -> Option<usize> {
    let mut readers = graph.consumers(tensor);
    let (index, None) = (readers.next()?, readers.next()) else { return None };
    let depthwise = matches!(graph.layers[index].op, Op::DepthwiseConv2d { .. });
    (depthwise && tensor != graph.output).then_some(index)
}

/// What each channel is divided by.
fn factors(extremes: &Extremes) -> Vec<f32> {
    let size: Vec<f32> = extremes.min.iter().zip(&extremes.max).map(|(min, max)| max.max(-min)).collect();
    let largest = size.iter().copied().fold(0.0, f32::max);
    let factor = |&s: &f32| if s > 0.0 { (s / largest).max(1.0 / MAX_GAIN) } else { 1.0 };
    size.iter().map(factor).collect()
}

/// Multiplies the weights of every output channel, and its bias where it is part of what is scaled.
fn scale_rows(model: &mut FloatModel, layer: usize, factors: &[f32], with_bias: bool) {
    let Some(weights) = model.weights_mut(layer) else { return };
    let n = weights.values.len() / factors.len();
    for ((row, bias), factor) in weights.values.chunks_exact_mut(n).zip(&mut weights.bias).zip(factors) {
        row.iter_mut().for_each(|w| *w *= factor);
        *bias *= if with_bias { *factor } else { 1.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Samples, Split};
    use crate::float::{FloatExecutor, FloatWeights};
    use crate::graph::{Shape, Window};

    /// A pointwise layer of two very unequal channels, and a depthwise one.
    fn model() -> FloatModel {
        let mut graph = Graph::new("test", Shape::new(1, 2, 1));
        let window = Window { kernel: [1, 1], stride: [1, 1], pad_before: [0, 0] };
        let activation = Activation::Relu;
        let a = graph.push(Op::Conv2d { window, activation }, vec![TensorId(0)], Shape::new(1, 2, 2));
        graph.push(Op::DepthwiseConv2d { window, activation }, vec![a], Shape::new(1, 2, 2));
        let first = FloatWeights { values: vec![4.0, 1.0], bias: vec![1.0, 0.5] };
        let second = FloatWeights { values: vec![0.5, -3.0], bias: vec![0.25, 9.0] };
        FloatModel::new(graph, vec![Some(first), Some(second)]).expect("is consistent")
    }

    #[test]
    fn channels_become_equal_and_outputs_stay() {
        let data =
            Dataset::new(Split::Train, Shape::new(1, 2, 1), Samples::F32(vec![1.0, 2.0]), vec![0]).expect("fits");
        let balanced = equalize(&model(), &data).expect("fits");
        let outputs = |model: &FloatModel| {
            let executor = FloatExecutor::new(model);
            let mut buffers = executor.buffers();
            executor.run(&[1.0, 2.0], &mut buffers);
            (buffers.get(TensorId(1)).to_vec(), buffers.get(TensorId(2)).to_vec())
        };
        let (inner, outer) = outputs(&balanced);
        let near = |a: f32, b: f32| (a - b).abs() < 1e-5;
        assert!(outer.iter().zip(outputs(&model()).1).all(|(&a, b)| near(a, b)));
        assert!(near(inner[2], inner[3]), "the largest values of both channels: {inner:?}");
    }
}
