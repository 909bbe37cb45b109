//! One set of weights that runs at any choice of bits: what a search trains that chooses bits and weights together.
//!
//! Every layer has one float weight per weight, whatever its width. What is rounded differently at each width also has numbers
//! of its own there: step sizes of weights (per channel) and of activations (per tensor), and biases, which take up what
//! rounding shifts. They start from what post-training quantization finds at that width, and like [`super::Parameters`] are
//! learned as relative deviations. The zero points are the calibration's.
//!
//! A code of width `b` is `clamp(round(weight / step_b))` and is worth `step_b * gain_b`: post-training quantization stretches channels
//! that rounding has shrunk, and one weight cannot be stretched for three widths at once. The gain stays as it is.

use super::error::QatError;
use super::ops::{self, Rounding};
use super::parameters::{bias_norm, largest, roots};
use super::rounded::{FakeQuantized, RoundedLayer};
use crate::torch::floats;
use bitrack_model::graph::Graph;
use bitrack_model::{Bits, FloatModel, Policy, QuantizedModel, QuantizedWeights, Quantizer, TensorQuant};
use tch::{Device, Kind, TchError, Tensor};

const KIND: Kind = Kind::Float;

/// Shared weights on their way through training.
#[derive(Debug)]
pub struct Shared {
    graph: Graph,
    layers: Vec<Layer>,
    /// Per layer its weights, weight steps and biases; last the activation steps `[widths, tensors]`.
    trainable: Vec<Tensor>,
}

/// The starting point of one layer with weights.
#[derive(Debug)]
struct Layer {
    index: usize,
    /// `[out, per_channel]`.
    weights: Tensor,
    /// Largest weight of each channel, `[out, 1]`.
    weight_norm: Tensor,
    /// `[widths, out, 1]`.
    steps: Tensor,
    /// `[widths, out, 1]`.
    gains: Tensor,
    /// `[widths, out]`, in double precision.
    bias: Tensor,
    bias_norm: f64,
}

impl Shared {
    /// Weights that start as the float network's, and step sizes as the quantizer finds them width by width.
    ///
    /// # Errors
    /// The quantizer's and libtorch's own.
    pub fn new(quantizer: &Quantizer) -> Result<Self, QatError> {
        let graph = quantizer.model().graph().clone();
        let uniform = |bits| quantizer.quantize(&Policy::uniform(&graph, bits, Bits::Eight));
        let starts = Bits::ALL.into_iter().map(uniform).collect::<Result<Vec<_>, _>>()?;
        let (mut layers, mut trainable) = (Vec::new(), Vec::new());
        for index in graph.weight_layers() {
            let layer = Layer::new(quantizer.model(), &starts, index)?;
            for like in [&layer.weights, &layer.steps, &layer.bias] {
                trainable.push(zeros(&like.size())?);
            }
            layers.push(layer);
        }
        trainable.push(zeros(&[Bits::ALL.len() as i64, graph.tensors.len() as i64])?);
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

    /// The network at a choice of bits. `quants` are the calibration's for it.
    ///
    /// # Errors
    /// A policy of another network; libtorch's own.
    pub fn under(&self, policy: &Policy, quants: &[TensorQuant]) -> Result<FakeQuantized<'_>, QatError> {
        let widths = policy.layer_bits(&self.graph)?;
        let scales = self.scales(quants)?;
        let mut layers: Vec<Option<RoundedLayer>> = self.graph.layers.iter().map(|_| None).collect();
        for (at, layer) in self.layers.iter().enumerate() {
            layers[layer.index] = widths[layer.index].map(|bits| self.layer(at, bits)).transpose()?;
        }
        let real = floats(&scales)?;
        let quants = quants.iter().zip(real).map(|(&quant, scale)| TensorQuant { scale, ..quant }).collect();
        Ok(FakeQuantized { graph: &self.graph, kind: KIND, scales, quants, layers })
    }

    /// Step sizes of all tensors, `[tensors]`: the calibration's, with the deviations learned at these widths.
    fn scales(&self, quants: &[TensorQuant]) -> Result<Tensor, TchError> {
        let tensors = quants.len();
        let at = |root: usize| (quants[root].bits.index() * tensors + root) as i64;
        let roots: Vec<i64> = roots(&self.graph, quants).into_iter().map(at).collect();
        let start: Vec<f32> = quants.iter().map(|quant| quant.scale).collect();
        let deviations = self.trainable[self.trainable.len() - 1].f_view([-1i64].as_slice())?;
        let own = deviations.f_index_select(0, &Tensor::f_from_slice(&roots)?)?;
        ops::tensor(&start, &[tensors as i64], KIND)?.f_mul(&own.f_exp()?)
    }

    fn layer(&self, at: usize, bits: Bits) -> Result<RoundedLayer, TchError> {
        let layer = &self.layers[at];
        let of_width = |tensor: &Tensor| tensor.f_select(0, bits.index() as i64);
        let steps = of_width(&layer.steps)?.f_mul(&of_width(&self.trainable[3 * at + 1])?.f_exp()?)?;
        let weights = layer.weights.f_add(&layer.weight_norm.f_mul(&self.trainable[3 * at])?)?;
        let (low, high) = bits.signed_range();
        let codes = ops::round_clamped(&weights.f_div(&steps)?, (low.into(), high.into()), Rounding::Up)?;
        let deviation = of_width(&self.trainable[3 * at + 2])?.f_to_kind(Kind::Double)?;
        let bias = of_width(&layer.bias)?.f_add(&deviation.f_mul_scalar(layer.bias_norm)?)?;
        let worth = steps.f_mul(&of_width(&layer.gains)?)?;
        Ok(RoundedLayer { bits, codes, steps: worth, bias })
    }
}

fn zeros(size: &[i64]) -> Result<Tensor, TchError> {
    Ok(Tensor::f_zeros(size, (KIND, Device::Cpu))?.set_requires_grad(true))
}

impl Layer {
    /// `starts` are the quantizer's networks at 2, 4 and 8 bits of weights.
    fn new(float: &FloatModel, starts: &[QuantizedModel], index: usize) -> Result<Self, QatError> {
        let missing = || QatError::Options(format!("layer {index} has no weights"));
        let real = float.weights(index).ok_or_else(missing)?;
        let layer = &float.graph().layers[index];
        let channels = real.bias.len();
        let per_channel = real.values.len() / channels;
        let (mut steps, mut gains, mut bias) = (Vec::new(), Vec::new(), Vec::new());
        for start in starts {
            let weights = start.weights(index).ok_or_else(missing)?;
            let input = f64::from(start.tensors()[layer.inputs[0].0].scale);
            let found = rounding_steps(weights, &real.values, per_channel);
            gains.extend(weights.scales.iter().zip(&found).map(|(worth, step)| worth / step));
            steps.extend(found);
            let real_bias = |(&bias, &scale): (&i32, &f32)| f64::from(bias) * f64::from(scale) * input;
            bias.extend(weights.bias.iter().zip(&weights.scales).map(real_bias));
        }
        let norm: Vec<f32> = real.values.chunks_exact(per_channel).map(largest).collect();
        let (widths, rows, columns) = (starts.len() as i64, channels as i64, per_channel as i64);
        let output = starts[starts.len() - 1].tensors()[layer.output.0];
        Ok(Self {
            index,
            weights: ops::tensor(&real.values, &[rows, columns], KIND)?,
            weight_norm: ops::tensor(&norm, &[rows, 1], KIND)?,
            steps: ops::tensor(&steps, &[widths, rows, 1], KIND)?,
            gains: ops::tensor(&gains, &[widths, rows, 1], KIND)?,
            bias: Tensor::f_from_slice(&bias)?.f_view([widths, rows].as_slice())?,
            bias_norm: bias_norm(output),
        })
    }
}

/// Per channel the step at which float weights are nearest to these codes: the least squares of `weight / step - code`. Where codes say
/// nothing, what a code is worth.
fn rounding_steps(weights: &QuantizedWeights, real: &[f32], per_channel: usize) -> Vec<f32> {
    let rows = weights.values.chunks_exact(per_channel).zip(real.chunks_exact(per_channel)).zip(&weights.scales);
    let step = |((codes, real), &worth): ((&[i8], &[f32]), &f32)| {
        let products: f64 = codes.iter().zip(real).map(|(&q, &w)| f64::from(q) * f64::from(w)).sum();
        let squares: f64 = real.iter().map(|&w| f64::from(w) * f64::from(w)).sum();
        let step = (squares / products) as f32;
        if step.is_finite() && step > 0.0 { step } else { worth }
    };
    rows.map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rounding_step_undoes_the_quantizers_stretch() {
        // Codes of a step of 0.5; the quantizer says that a code is worth 0.6.
        let weights = QuantizedWeights {
            bits: Bits::Four,
            values: vec![3, -1, 2, 0, 0, 0],
            scales: vec![0.6, 0.25],
            bias: vec![0, 0],
        };
        let steps = rounding_steps(&weights, &[1.5, -0.5, 1.0, 0.0, 0.0, 0.0], 3);
        assert!((steps[0] - 0.5).abs() < 1e-6 && steps[1] == 0.25, "{steps:?}");
    }
}
