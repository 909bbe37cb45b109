//! From a float network and a policy to a quantized one, without training.
//!
//! Activations take the scales that calibration found for their width. Weights are rounded so that the *output* of
//! their layer changes least ([`rounding`]); then, policy by policy, every channel's scale and bias are fitted to the float
//! network on samples that went through the quantized layers before ([`tune`]).

mod equalize;
mod rounding;
mod tune;

pub use equalize::equalize;

use std::sync::OnceLock;

use crate::bits::Bits;
use crate::calibrate::{Calibration, RangeMethod};
use crate::dataset::Dataset;
use crate::error::Result;
use crate::float::{FloatModel, FloatWeights};
use crate::graph::{Op, TensorId};
use crate::policy::Policy;
use crate::quantized::{QuantizedModel, QuantizedWeights, TensorQuant};
use rounding::RoundedWeights;
use tune::{Line, Reference};

/// Softmax's output: 8 bits, `1/256` per step, as TensorFlow Lite has it.
pub const SOFTMAX_QUANT: TensorQuant = TensorQuant { bits: Bits::Eight, scale: 1.0 / 256.0, zero: 0 };

/// Quantizes one model under many policies. A layer's weights are rounded once per width and kept.
#[derive(Debug)]
pub struct Quantizer {
    model: FloatModel,
    calibration: Calibration,
    /// Per layer and width.
    rounded: Vec<[OnceLock<RoundedWeights>; 3]>,
    reference: Reference,
    method: RangeMethod,
    /// Samples that statistics come from.
    samples: usize,
}

impl Quantizer {
    /// A quantizer of `model` with statistics and reference outputs from `data`, training samples.
    ///
    /// # Errors
    /// See [`Calibration::collect`].
    pub fn new(model: FloatModel, data: &Dataset, method: RangeMethod) -> Result<Self> {
        let calibration = Calibration::collect(&model, data, method)?;
        let rounded = model.graph().layers.iter().map(|_| Default::default()).collect();
        let reference = Reference::collect(&model, data);
        Ok(Self { model, calibration, rounded, reference, method, samples: data.len() })
    }

    /// The same for other weights, from as many of the first samples of `data`.
    ///
    /// # Errors
    /// See [`Calibration::collect`].
    pub fn recalibrated(&self, model: FloatModel, data: &Dataset) -> Result<Self> {
        Self::new(model, &data.first(self.samples), self.method)
    }

    /// The float network.
    pub fn model(&self) -> &FloatModel {
        &self.model
    }

    /// The statistics in use.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// The network under a policy.
    ///
    /// # Errors
    /// [`crate::Error::Policy`] when the policy is for another model.
    pub fn quantize(&self, policy: &Policy) -> Result<QuantizedModel> {
        let graph = self.model.graph();
        let tensors = self.tensor_quants(policy)?;
        let bits = policy.layer_bits(graph)?;
        let rounded: Vec<_> = bits.iter().enumerate().map(|(i, &b)| b.map(|b| self.rounded(i, b))).collect();
        let real = rounded.iter().map(|r| r.map(RoundedWeights::real)).collect();
        let lines = self.reference.fit(&self.model, real, &tensors);
        let mut weights = Vec::new();
        for (index, layer) in graph.layers.iter().enumerate() {
            let parts = rounded[index].zip(lines[index].as_deref()).zip(bits[index]);
            let input = tensors[layer.inputs[0].0].scale;
            weights.push(parts.map(|((rounded, lines), bits)| rounded.with_lines(bits, lines, input)));
        }
        QuantizedModel::new(graph.clone(), tensors, weights)
    }

    /// Quantization of all tensors under a policy, by calibration alone; what moves or picks values keeps its input's, so that it need
    /// not compute.
    ///
    /// # Errors
    /// [`crate::Error::Policy`] when the policy is for another model.
    pub fn tensor_quants(&self, policy: &Policy) -> Result<Vec<TensorQuant>> {
        let graph = self.model.graph();
        let bits = policy.tensor_bits(graph)?;
        let quant = |id: usize| self.calibration.quant(graph.reshape_root(TensorId(id)), bits[id]);
        let mut quants: Vec<_> = (0..bits.len()).map(quant).collect();
        for layer in &graph.layers {
            let (input, output) = (layer.inputs[0].0, layer.output.0);
            match layer.op {
                Op::Softmax { .. } => quants[output] = SOFTMAX_QUANT,
                Op::Reshape {} => quants[output] = quants[input],
                Op::MaxPool { .. } if bits[input] == bits[output] => quants[output] = quants[input],
                _ => {}
            }
        }
        Ok(quants)
    }

    fn rounded(&self, index: usize, bits: Bits) -> &RoundedWeights {
        self.rounded[index][bits.index()].get_or_init(|| {
            let weights = self.model.weights(index).expect("only layers with weights have weight bits");
            let moments = self.calibration.moments(index).expect("calibration covers every layer with weights");
            rounding::round(weights, moments, bits)
        })
    }
}

impl RoundedWeights {
    /// The weights that the codes mean; biases of zero.
    fn real(&self) -> FloatWeights {
        let n = self.values.len() / self.scales.len();
        let rows = self.values.chunks_exact(n).zip(&self.scales);
        let values = rows.flat_map(|(row, &scale)| row.iter().map(move |&q| f32::from(q) * scale)).collect();
        FloatWeights { values, bias: vec![0.0; self.scales.len()] }
    }

    /// Final weights: slopes go into the scales, offsets are the biases.
    fn with_lines(&self, bits: Bits, lines: &[Line], input_scale: f32) -> QuantizedWeights {
        let n = self.values.len() / self.scales.len();
        let mut weights = QuantizedWeights { bits, values: Vec::new(), scales: Vec::new(), bias: Vec::new() };
        for ((row, &scale), line) in self.values.chunks_exact(n).zip(&self.scales).zip(lines) {
            let scale = (f64::from(scale) * line.slope) as f32;
            let gain = bias_gain(line.offset, f64::from(scale) * f64::from(input_scale));
            let scale = scale * gain;
            weights.values.extend(row.iter().map(|&q| (f32::from(q) / gain).round() as i8));
            weights.bias.push((line.offset / (f64::from(scale) * f64::from(input_scale))).round() as i32);
            weights.scales.push(scale);
        }
        weights
    }
}

/// What a channel's scale must be multiplied by (a power of two) for its bias to fit 31 bits in accumulator steps of `step`.
/// More than 1 only where weights are so small against the bias that the channel is all but constant.
fn bias_gain(bias: f64, step: f64) -> f32 {
    let excess = (bias.abs() / step / f64::from(1 << 30)).max(1.0);
    excess.log2().ceil().exp2() as f32
}

/// Quantizes a model under one policy, with statistics from `data`. Many policies: [`Quantizer`].
///
/// # Errors
/// See [`Quantizer::new`] and [`Quantizer::quantize`].
pub fn quantize(model: &FloatModel, data: &Dataset, method: RangeMethod, policy: &Policy) -> Result<QuantizedModel> {
    Quantizer::new(model.clone(), data, method)?.quantize(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bias_beyond_32_bits_makes_the_scale_coarser() {
        let rounded = RoundedWeights { values: vec![64, -1, 100, 3], scales: vec![1e-12, 0.5] };
        let lines = [Line { slope: 1.0, offset: 0.125 }, Line { slope: 2.0, offset: -3.0 }];
        let weights = rounded.with_lines(Bits::Eight, &lines, 0.5);
        let real = |c: usize| f64::from(weights.bias[c]) * f64::from(weights.scales[c]) * 0.5;
        assert!((real(0) - 0.125).abs() < 1e-6 && weights.bias[0] <= 1 << 30);
        assert_eq!((&weights.values[2..], weights.scales[1], weights.bias[1]), (&[100, 3][..], 1.0, -6));
        assert_eq!(bias_gain(1.0, 1e-9), 1.0);
    }
}
