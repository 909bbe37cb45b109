//! What fine-tuning changes: weights, biases, and the step sizes of weights and activations.
//!
//! Every parameter is a *deviation* from the network that post-training quantization made, zero at first: so the first
//! forward pass is exactly that network's, and pulling parameters towards zero means staying near it. Deviations are
//! relative (of a channel's largest weight, of a step size, of an output's range), so that one learning rate suits all:
//!
//! ```text
//! weight = start + deviation * (largest weight of the channel)     step = start * exp(deviation)
//! bias   = start + deviation * (a sixteenth of the output's range)
//! ```
//!
//! Step sizes learned along with the weights are LSQ's (Esser et al. 2020); learning their logarithms keeps them positive
//! and their rate independent of their size (Jain et al. 2020, appendix B).

use super::error::QatError;
use super::ops::{self, Rounding};
use super::rounded::{FakeQuantized, RoundedLayer};
use crate::torch::floats;
use bitrack_model::graph::{Graph, Op};
use bitrack_model::{Bits, FloatModel, QuantizedModel, QuantizedWeights, TensorQuant};
use tch::{Kind, TchError, Tensor};

/// How far from its code's middle a weight starts at most: a hair within, so that float rounding cannot move the code.
const START_WITHIN: f32 = 0.49;

/// The starting point of one layer with weights.
#[derive(Debug)]
struct Layer {
    index: usize,
    bits: Bits,
    /// Weights within half a step of their codes, `[out, per_channel]`.
    weights: Tensor,
    /// Largest weight of each channel, `[out, 1]`.
    weight_norm: Tensor,
    /// `[out, 1]`.
    steps: Tensor,
    /// `[out]`, in double precision: biases have up to 30 bits.
    bias: Tensor,
    bias_norm: f64,
}

/// A quantized network on its way through training.
#[derive(Debug)]
pub struct Parameters {
    start: QuantizedModel,
    layers: Vec<Layer>,
    /// `[tensors]`.
    activation_steps: Tensor,
    /// Per tensor, the tensor whose step size it shares: itself, or what a reshape or maximum takes it from.
    roots: Vec<usize>,
    /// Per layer its weights, weight steps and bias; last the activation steps.
    trainable: Vec<Tensor>,
    kind: Kind,
}

impl Parameters {
    /// Parameters that start from `start`, whose weights were rounded from those of `float`.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn new(float: &FloatModel, start: QuantizedModel, kind: Kind) -> Result<Self, TchError> {
        let graph = start.graph();
        let scales: Vec<f32> = start.tensors().iter().map(|quant| quant.scale).collect();
        let activation_steps = ops::tensor(&scales, &[scales.len() as i64], kind)?;
        let mut layers = Vec::new();
        let mut trainable = Vec::new();
        let zeros =
            |size: &[i64]| Ok::<_, TchError>(Tensor::f_zeros(size, (kind, tch::Device::Cpu))?.set_requires_grad(true));
        for index in graph.weight_layers() {
            let (Some(weights), Some(real)) = (start.weights(index), float.weights(index)) else { continue };
            let layer = Layer::new(&start, index, weights, &real.values, kind)?;
            trainable.push(zeros(&layer.weights.size())?);
            trainable.push(zeros(&layer.steps.size())?);
            trainable.push(zeros(&layer.bias.size())?);
            layers.push(layer);
        }
        trainable.push(zeros(&activation_steps.size())?);
        let roots = roots(graph, start.tensors());
        Ok(Self { layers, activation_steps, roots, trainable, kind, start })
    }

    /// The network's topology.
    pub fn graph(&self) -> &Graph {
        self.start.graph()
    }

    /// All parameters, in an order that never changes.
    pub fn trainable(&self) -> &[Tensor] {
        &self.trainable
    }

    /// All parameters, to be changed.
    pub fn trainable_mut(&mut self) -> &mut [Tensor] {
        &mut self.trainable
    }

    /// The network that the parameters stand for now.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn rounded(&self) -> Result<FakeQuantized<'_>, TchError> {
        let scales = self.scales()?;
        let mut layers: Vec<Option<RoundedLayer>> = self.graph().layers.iter().map(|_| None).collect();
        for (at, layer) in self.layers.iter().enumerate() {
            layers[layer.index] = Some(self.layer(at)?);
        }
        let real = floats(&scales)?;
        let quants =
            self.start.tensors().iter().zip(real).map(|(&quant, scale)| TensorQuant { scale, ..quant }).collect();
        Ok(FakeQuantized { graph: self.graph(), kind: self.kind, scales, quants, layers })
    }

    /// The same in integers.
    ///
    /// # Errors
    /// See [`FakeQuantized::quantized`].
    pub fn quantized(&self) -> Result<QuantizedModel, QatError> {
        tch::no_grad(|| self.rounded()?.quantized())
    }

    /// Step sizes of all tensors, `[tensors]`, shared ones resolved.
    fn scales(&self) -> Result<Tensor, TchError> {
        let deviations =
            self.trainable.last().map_or_else(|| self.activation_steps.f_zeros_like(), |t| Ok(t.shallow_clone()))?;
        let own = self.activation_steps.f_mul(&deviations.f_exp()?)?;
        let roots: Vec<i64> = self.roots.iter().map(|&root| root as i64).collect();
        own.f_index_select(0, &Tensor::f_from_slice(&roots)?)
    }

    fn layer(&self, at: usize) -> Result<RoundedLayer, TchError> {
        let layer = &self.layers[at];
        let steps = layer.steps.f_mul(&self.trainable[3 * at + 1].f_exp()?)?;
        let weights = layer.weights.f_add(&layer.weight_norm.f_mul(&self.trainable[3 * at])?)?;
        let (low, high) = layer.bits.signed_range();
        let codes = ops::round_clamped(&weights.f_div(&steps)?, (low.into(), high.into()), Rounding::Up)?;
        let deviation = self.trainable[3 * at + 2].f_to_kind(Kind::Double)?;
        let bias = layer.bias.f_add(&deviation.f_mul_scalar(layer.bias_norm)?)?;
        Ok(RoundedLayer { bits: layer.bits, codes, steps, bias })
    }
}

impl Layer {
    fn new(
        start: &QuantizedModel,
        index: usize,
        weights: &QuantizedWeights,
        real: &[f32],
        kind: Kind,
    ) -> Result<Self, TchError> {
        let channels = weights.scales.len();
        let per_channel = weights.values.len() / channels;
        let layer = &start.graph().layers[index];
        let (input, output) = (start.tensors()[layer.inputs[0].0], start.tensors()[layer.output.0]);
        let rows = weights.values.chunks_exact(per_channel).zip(real.chunks_exact(per_channel)).zip(&weights.scales);
        let latent: Vec<f32> = rows.flat_map(|((codes, real), &scale)| start_weights(codes, real, scale)).collect();
        let norm: Vec<f32> = latent.chunks_exact(per_channel).map(largest).collect();
        let real_bias = |(&bias, &scale): (&i32, &f32)| f64::from(bias) * f64::from(scale) * f64::from(input.scale);
        let bias: Vec<f64> = weights.bias.iter().zip(&weights.scales).map(real_bias).collect();
        let (rows, columns) = (channels as i64, per_channel as i64);
        Ok(Self {
            index,
            bits: weights.bits,
            weights: ops::tensor(&latent, &[rows, columns], kind)?,
            weight_norm: ops::tensor(&norm, &[rows, 1], kind)?,
            steps: ops::tensor(&weights.scales, &[rows, 1], kind)?,
            bias: Tensor::f_from_slice(&bias)?,
            bias_norm: bias_norm(output),
        })
    }
}

/// A channel's weights as near to the float network's as their codes allow. The float weights are first scaled to fit the
/// codes best, because the quantizer may have stretched the channel.
fn start_weights(codes: &[i8], real: &[f32], scale: f32) -> Vec<f32> {
    let products: f64 = codes.iter().zip(real).map(|(&q, &w)| f64::from(q) * f64::from(w)).sum();
    let squares: f64 = real.iter().map(|&w| f64::from(w) * f64::from(w)).sum();
    let stretch = if squares > 0.0 { (products / squares) as f32 } else { 0.0 };
    let start = |(&q, &w): (&i8, &f32)| {
        let code = f32::from(q);
        (stretch * w).clamp(code - START_WITHIN, code + START_WITHIN) * scale
    };
    codes.iter().zip(real).map(start).collect()
}

/// What deviations of biases are relative to: a sixteenth of the output's range.
pub(super) fn bias_norm(output: TensorQuant) -> f64 {
    f64::from(output.scale) * (f64::from(output.bits.max_code()) + 1.0) / 16.0
}

/// The largest magnitude; 1 for a channel of zeros, which must be able to move.
pub(super) fn largest(row: &[f32]) -> f32 {
    let largest = row.iter().fold(0.0f32, |max, w| max.max(w.abs()));
    if largest > 0.0 { largest } else { 1.0 }
}

/// Per tensor the one whose step size it shares.
pub(super) fn roots(graph: &Graph, quants: &[TensorQuant]) -> Vec<usize> {
    let mut roots: Vec<usize> = (0..quants.len()).collect();
    for layer in &graph.layers {
        let (input, output) = (layer.inputs[0].0, layer.output.0);
        let shares = match layer.op {
            Op::Reshape {} => true,
            Op::MaxPool { .. } => quants[input] == quants[output],
            _ => false,
        };
        if shares {
            roots[output] = roots[input];
        }
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_start_within_half_a_step_of_their_codes() {
        // The quantizer rounded 0.9 down and stretched the channel: the codes stand, and the rest is as near as it can be.
        let start = start_weights(&[3, -1, 0], &[3.0, -1.0, 0.9], 0.5);
        assert_eq!(start[0], 1.5 * (start[0] / 1.5));
        let codes: Vec<f32> = start.iter().map(|w| (w / 0.5).round()).collect();
        assert_eq!(codes, [3.0, -1.0, 0.0]);
        assert_eq!(start[2], 0.49 * 0.5);
    }

    #[test]
    fn a_channel_of_zeros_is_kept_and_can_move() {
        assert_eq!(start_weights(&[0, 0], &[0.0, 0.0], 1.0), [0.0, 0.0]);
        assert_eq!(largest(&[0.0, 0.0]), 1.0);
    }
}
