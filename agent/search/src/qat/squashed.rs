//! The first stage of the two-stage recipe (Zeng et al. 2022, arXiv 2207.06920): weights are squashed before they are rounded, and
//! nothing but weights is.
//!
//! The weights of a channel, roughly bell-shaped, use a linear quantizer's outer codes rarely and crowd its inner ones. Here a
//! code is
//!
//! ```text
//! round(top * squashed / (largest squashed of the channel)),  squashed = tanh(weight / (SPREAD * root mean square of the channel)),
//! top = 2^(bits - 1) - 1
//! ```
//!
//! so that codes are used more evenly, and is worth a step that is learned per channel: what runs on a board stays linear. Weights
//! have a true zero and as many positive as negative codes. Activations and biases stay real.

use super::error::QatError;
use super::executor::float_logits;
use super::ops::{self, Rounding};
use super::parameters::{bias_norm, largest};
use super::rounded::RoundedLayer;
use crate::torch::floats;
use bitrack_model::graph::Graph;
use bitrack_model::{Bits, FloatModel, FloatWeights, QuantizedModel};
use tch::{Device, Kind, TchError, Tensor};

const KIND: Kind = Kind::Float;
/// Root mean squares of a channel at which a weight is squashed to `tanh(1)`.
const SPREAD: f32 = 2.0;

/// A network on its way through the first stage.
#[derive(Debug)]
pub struct Squashed {
    graph: Graph,
    layers: Vec<Layer>,
    /// Per layer the deviations of its weights, of its steps (by their logarithm), and of its biases.
    trainable: Vec<Tensor>,
}

#[derive(Debug)]
struct Layer {
    index: usize,
    bits: Bits,
    /// `[out, per_channel]`.
    weights: Tensor,
    /// Largest weight of each channel, `[out, 1]`.
    weight_norm: Tensor,
    /// What weights are divided by before they are squashed, `[out, 1]`.
    spread: Tensor,
    /// What a code is worth at first, `[out, 1]`.
    steps: Tensor,
    /// `[out]`.
    bias: Tensor,
    bias_norm: f64,
}

impl Squashed {
    /// Starts from `float` with the widths of `start`, its quantized version.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn new(float: &FloatModel, start: &QuantizedModel) -> Result<Self, TchError> {
        let graph = float.graph().clone();
        let (mut layers, mut trainable) = (Vec::new(), Vec::new());
        for index in graph.weight_layers() {
            let (Some(weights), Some(real)) = (start.weights(index), float.weights(index)) else { continue };
            let output = start.tensors()[graph.layers[index].output.0];
            let layer = Layer::new(index, weights.bits, real, bias_norm(output))?;
            for like in [&layer.weights, &layer.steps, &layer.bias] {
                trainable.push(Tensor::f_zeros(like.size(), (KIND, Device::Cpu))?.set_requires_grad(true));
            }
            layers.push(layer);
        }
        Ok(Self { graph, layers, trainable })
    }

    /// All parameters, in an order that never changes.
    pub fn trainable(&self) -> &[Tensor] {
        &self.trainable
    }

    /// All parameters, to be changed.
    pub fn trainable_mut(&mut self) -> &mut [Tensor] {
        &mut self.trainable
    }

    /// Real values before a final softmax, `[n, classes]`, of a batch `[n, c, h, w]`.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn logits(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let mut weights: Vec<Option<(Tensor, Tensor)>> = self.graph.layers.iter().map(|_| None).collect();
        for (at, layer) in self.layers.iter().enumerate() {
            let rounded = self.rounded(at)?;
            let real = rounded.codes.f_mul(&rounded.steps)?;
            let real = ops::weights_to_torch(&self.graph, &self.graph.layers[layer.index], &real)?;
            weights[layer.index] = Some((real, rounded.bias.f_to_kind(KIND)?));
        }
        float_logits(&self.graph, &weights, x)
    }

    /// Codes, steps and biases of every layer; `None` without weights.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn layers(&self) -> Result<Vec<Option<RoundedLayer>>, TchError> {
        let mut layers: Vec<Option<RoundedLayer>> = self.graph.layers.iter().map(|_| None).collect();
        for (at, layer) in self.layers.iter().enumerate() {
            layers[layer.index] = Some(self.rounded(at)?);
        }
        Ok(layers)
    }

    /// The float network that the weights stand for: as they are rounded, or as they come out of the squashing.
    ///
    /// # Errors
    /// libtorch's own; numbers that are no longer finite.
    pub fn model(&self, rounded: bool) -> Result<FloatModel, QatError> {
        let mut weights: Vec<Option<FloatWeights>> = self.graph.layers.iter().map(|_| None).collect();
        for (at, layer) in self.layers.iter().enumerate() {
            let numbers = self.rounded(at)?;
            let codes = if rounded { numbers.codes.shallow_clone() } else { self.unrounded(at)? };
            let values = floats(&codes.f_mul(&numbers.steps)?)?;
            weights[layer.index] = Some(FloatWeights { values, bias: floats(&numbers.bias)? });
        }
        Ok(FloatModel::new(self.graph.clone(), weights)?)
    }

    fn rounded(&self, at: usize) -> Result<RoundedLayer, TchError> {
        let layer = &self.layers[at];
        let top = f64::from(layer.bits.signed_range().1);
        let codes = ops::round_clamped(&self.unrounded(at)?, (-top, top), Rounding::Up)?;
        let steps = layer.steps.f_mul(&self.trainable[3 * at + 1].f_exp()?)?;
        let deviation = self.trainable[3 * at + 2].f_to_kind(Kind::Double)?;
        let bias = layer.bias.f_add(&deviation.f_mul_scalar(layer.bias_norm)?)?;
        Ok(RoundedLayer { bits: layer.bits, codes, steps, bias })
    }

    /// Squashed weights in steps, `[out, per_channel]`.
    fn unrounded(&self, at: usize) -> Result<Tensor, TchError> {
        let layer = &self.layers[at];
        let weights = layer.weights.f_add(&layer.weight_norm.f_mul(&self.trainable[3 * at])?)?;
        let squashed = weights.f_div(&layer.spread)?.f_tanh()?;
        // A constant on the way back: what the largest weight of a channel does to all others is not its to learn.
        let largest =
            squashed.f_detach()?.f_abs()?.f_amax([1i64].as_slice(), true)?.f_clamp_min(f64::from(f32::EPSILON))?;
        squashed.f_div(&largest)?.f_mul_scalar(f64::from(layer.bits.signed_range().1))
    }
}

impl Layer {
    fn new(index: usize, bits: Bits, real: &FloatWeights, bias_norm: f64) -> Result<Self, TchError> {
        let (channels, top) = (real.bias.len(), bits.signed_range().1 as f32);
        let per_channel = real.values.len() / channels;
        let (mut norm, mut spread, mut steps) = (Vec::new(), Vec::new(), Vec::new());
        for row in real.values.chunks_exact(per_channel) {
            let squares: f32 = row.iter().map(|w| w * w).sum();
            let root = (squares / per_channel as f32).sqrt();
            norm.push(largest(row));
            spread.push(if root > 0.0 { SPREAD * root } else { 1.0 });
            steps.push(best_step(row, spread[spread.len() - 1], top));
        }
        let (rows, columns) = (channels as i64, per_channel as i64);
        let bias: Vec<f64> = real.bias.iter().map(|&bias| f64::from(bias)).collect();
        Ok(Self {
            index,
            bits,
            weights: ops::tensor(&real.values, &[rows, columns], KIND)?,
            weight_norm: ops::tensor(&norm, &[rows, 1], KIND)?,
            spread: ops::tensor(&spread, &[rows, 1], KIND)?,
            steps: ops::tensor(&steps, &[rows, 1], KIND)?,
            bias: Tensor::f_from_slice(&bias)?,
            bias_norm,
        })
    }
}

/// What a code must be worth for the squashed codes of a channel to be nearest to its weights: `q w / q q`.
fn best_step(row: &[f32], spread: f32, top: f32) -> f32 {
    let squashed: Vec<f32> = row.iter().map(|w| (w / spread).tanh()).collect();
    let highest = squashed.iter().fold(0.0f32, |most, s| most.max(s.abs()));
    if highest == 0.0 {
        return 1.0;
    }
    let codes = squashed.iter().map(|s| (s / highest * top).round());
    let (products, squares) = codes.zip(row).fold((0.0, 0.0), |(p, s), (q, w)| (p + q * w, s + q * q));
    products / squares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squashing_spreads_the_codes_and_keeps_zero() {
        // A bell: most weights are small.
        let row: Vec<f32> = (-20..=20).map(|i| (i as f32 / 20.0).powi(3)).collect();
        let real = FloatWeights { values: row.clone(), bias: vec![0.0] };
        let layer = Layer::new(0, Bits::Four, &real, 1.0).expect("tensors");
        let squashed = Squashed {
            graph: Graph::new("none", bitrack_model::graph::Shape::new(1, 1, 1)),
            trainable: [&layer.weights, &layer.steps, &layer.bias].map(|like| like.zeros_like().to_kind(KIND)).into(),
            layers: vec![layer],
        };
        let codes = floats(&squashed.rounded(0).expect("rounds").codes).expect("floats");
        let linear: Vec<f32> = row.iter().map(|w| (w * 7.0).round()).collect();
        let outer = |codes: &[f32]| codes.iter().filter(|code| code.abs() >= 4.0).count();
        assert!(outer(&codes) > outer(&linear), "{codes:?} against {linear:?}");
        assert_eq!((codes[20], codes[0], codes[40]), (0.0, -7.0, 7.0));
    }

    #[test]
    fn a_channel_of_zeros_has_a_step_and_can_move() {
        assert_eq!(best_step(&[0.0, 0.0], 1.0, 7.0), 1.0);
    }
}
