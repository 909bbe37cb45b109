//! Handing a trained network over: batch normalization folded, weights in the order `bitrack-model` keeps.

use super::TrainError;
use super::network::{BATCH_NORM_EPS, ConvKind, ConvLayer, FC, Network};
use crate::torch::floats;
use bitrack_model::float::BatchNorm;
use bitrack_model::graph::{Activation, Graph, Op, Shape, TensorId, Window};
use bitrack_model::{FloatModel, FloatWeights};
use tch::{TchError, Tensor};

/// The network as a float model named `name` for inputs of shape `input`.
///
/// # Errors
/// What `bitrack-model` refuses, such as a weight that is not finite.
pub fn export(network: &Network, name: &str, input: Shape) -> Result<FloatModel, TrainError> {
    let mut graph = Graph::new(name, input);
    let mut weights = Vec::new();
    for layer in &network.convs {
        push_conv(&mut graph, layer);
        weights.push(Some(folded(layer)?));
    }
    push_pool(&mut graph);
    weights.push(None);
    let classes = network.fc.ws.size()[0] as usize;
    push(&mut graph, FC, Op::FullyConnected { activation: Activation::None }, Shape::new(1, 1, classes));
    let bias = network.fc.bs.as_ref().map_or_else(|| Ok(vec![0.0; classes]), floats)?;
    weights.push(Some(FloatWeights { values: floats(&network.fc.ws)?, bias }));
    Ok(FloatModel::new(graph, weights)?)
}

fn push(graph: &mut Graph, name: &str, op: Op, output: Shape) -> TensorId {
    let id = graph.push(op, vec![graph.output], output);
    if let (Some(layer), Some(tensor)) = (graph.layers.last_mut(), graph.tensors.last_mut()) {
        layer.name = name.into();
        tensor.name = name.into();
    }
    id
}

fn push_conv(graph: &mut Graph, layer: &ConvLayer) {
    let spec = layer.spec;
    let input = graph.shape(graph.output);
    let out = |size: usize| (size + 2 * spec.padding() - spec.kernel()) / spec.stride + 1;
    let window = Window { kernel: [spec.kernel(); 2], stride: [spec.stride; 2], pad_before: [spec.padding(); 2] };
    let activation = Activation::Relu;
    let op = match spec.kind {
        ConvKind::Depthwise => Op::DepthwiseConv2d { window, activation },
        ConvKind::Full | ConvKind::Pointwise => Op::Conv2d { window, activation },
    };
    push(graph, spec.name, op, Shape::new(out(input.h), out(input.w), spec.outputs));
}

fn push_pool(graph: &mut Graph) {
    let Shape { h, w, c } = graph.shape(graph.output);
    let window = Window { kernel: [h, w], stride: [1, 1], pad_before: [0, 0] };
    push(graph, "pool", Op::AveragePool { window, activation: Activation::None }, Shape::new(1, 1, c));
}

/// libtorch keeps weights as `[out, in, h, w]`; the model wants `[out, h, w, in]`.
fn folded(layer: &ConvLayer) -> Result<FloatWeights, TrainError> {
    let norm = &layer.norm;
    let outputs = layer.spec.outputs;
    let or = |tensor: &Option<Tensor>, value: f32| -> Result<Vec<f32>, TchError> {
        tensor.as_ref().map_or_else(|| Ok(vec![value; outputs]), floats)
    };
    let (gamma, beta) = (or(&norm.ws, 1.0)?, or(&norm.bs, 0.0)?);
    let (mean, var) = (floats(&norm.running_mean)?, floats(&norm.running_var)?);
    let values = floats(&layer.conv.ws.f_permute([0, 2, 3, 1])?)?;
    let mut weights = FloatWeights { values, bias: vec![0.0; outputs] };
    let norm = BatchNorm { gamma: &gamma, beta: &beta, mean: &mean, var: &var, eps: BATCH_NORM_EPS as f32 };
    weights.fold_batch_norm(&norm).map_err(|reason| TrainError::Fold { layer: layer.spec.name, reason })?;
    Ok(weights)
}
