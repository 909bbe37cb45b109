//! From a float network and a policy to a quantized one, without training.
//!
//! Activations take the scales that calibration found for their width. Weights are rounded so that the *output* of
//! their layer changes least ([`rounding`]), and biases are corrected for the mean error of weights and inputs.

mod equalize;
mod rounding;

pub use equalize::equalize;

use std::sync::OnceLock;

use crate::bits::Bits;
use crate::calibrate::Calibration;
use crate::error::{Error, Result};
use crate::float::FloatModel;
use crate::graph::{Op, TensorId};
use crate::policy::Policy;
use crate::quantized::{QuantizedModel, QuantizedWeights, TensorQuant};
use rounding::RoundedWeights;

/// Softmax's output: 8 bits, `1/256` per step, as TensorFlow Lite has it.
pub const SOFTMAX_QUANT: TensorQuant = TensorQuant { bits: Bits::Eight, scale: 1.0 / 256.0, zero: 0 };

/// Quantizes one model under many policies. A layer's weights are rounded once per width and kept.
#[derive(Debug)]
pub struct Quantizer {
    model: FloatModel,
    calibration: Calibration,
    /// Per layer and width.
    rounded: Vec<[OnceLock<RoundedWeights>; 3]>,
}

impl Quantizer {
    /// A quantizer of `model`, whose calibration this must be.
    pub fn new(model: FloatModel, calibration: Calibration) -> Self {
        let rounded = model.graph().layers.iter().map(|_| Default::default()).collect();
        Self { model, calibration, rounded }
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
    /// [`Error::Policy`] when the policy is for another model; [`Error::Quantization`] when a bias does not fit 32 bits.
    pub fn quantize(&self, policy: &Policy) -> Result<QuantizedModel> {
        let graph = self.model.graph();
        let tensors = self.tensor_quants(&policy.tensor_bits(graph)?);
        let weights = policy.layer_bits(graph)?.into_iter().enumerate();
        let weights = weights.map(|(layer, bits)| bits.map(|bits| self.layer(layer, bits, &tensors)).transpose());
        QuantizedModel::new(graph.clone(), tensors.clone(), weights.collect::<Result<Vec<_>>>()?)
    }

    /// Scales of all tensors; what moves or picks values keeps its input's, so that it need not compute.
    fn tensor_quants(&self, bits: &[Bits]) -> Vec<TensorQuant> {
        let graph = self.model.graph();
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
        quants
    }

    fn layer(&self, index: usize, bits: Bits, tensors: &[TensorQuant]) -> Result<QuantizedWeights> {
        let input = tensors[self.model.graph().layers[index].inputs[0].0];
        let rounded = self.rounded[index][bits.index()].get_or_init(|| self.round(index, bits));
        let real = self.corrected_bias(index, rounded, input.bits);
        let bias = real.iter().zip(&rounded.scales).map(|(&bias, &scale)| {
            let code = (bias / (f64::from(scale) * f64::from(input.scale))).round();
            let layer = || self.model.graph().layers[index].name.clone();
            let fits = code.abs() <= f64::from(i32::MAX);
            if fits {
                Ok(code as i32)
            } else {
                Err(Error::Quantization { layer: layer(), reason: format!("bias {bias} does not fit 32 bits") })
            }
        });
        let bias = bias.collect::<Result<Vec<_>>>()?;
        Ok(QuantizedWeights { bits, values: rounded.values.clone(), scales: rounded.scales.clone(), bias })
    }

    fn round(&self, index: usize, bits: Bits) -> RoundedWeights {
        let weights = self.model.weights(index).expect("only layers with weights have weight bits");
        let moments = self.calibration.moments(index).expect("calibration covers every layer with weights");
        rounding::round(weights, moments, bits)
    }

    /// `b' = b + w . E[x] - w_q . E[x_q]`: the mean of every output stays (Nagel et al. 2019, section 4.2, with the mean of
    /// the inputs as they are after quantization).
    fn corrected_bias(&self, index: usize, rounded: &RoundedWeights, input_bits: Bits) -> Vec<f64> {
        let weights = self.model.weights(index).expect("only layers with weights have weight bits");
        let before = self.calibration.moments(index).map_or(&[][..], |m| m.mean());
        let after = self.calibration.quantized_mean(index, input_bits).unwrap_or(&[]);
        let n = weights.values.len() / weights.bias.len();
        let group = |channel: usize| (channel * n) % before.len().max(1)..;
        let channels = weights.values.chunks_exact(n).zip(rounded.values.chunks_exact(n)).enumerate();
        let bias = |(channel, (w, q)): (usize, (&[f32], &[i8]))| {
            let scale = f64::from(rounded.scales[channel]);
            let wanted: f64 = w.iter().zip(&before[group(channel)]).map(|(&w, x)| f64::from(w) * x).sum();
            let found: f64 = q.iter().zip(&after[group(channel)]).map(|(&q, x)| f64::from(q) * scale * x).sum();
            f64::from(weights.bias[channel]) + wanted - found
        };
        channels.map(bias).collect()
    }
}

/// Quantizes a model under one policy. Many policies: [`Quantizer`].
///
/// # Errors
/// See [`Quantizer::quantize`].
pub fn quantize(model: &FloatModel, calibration: &Calibration, policy: &Policy) -> Result<QuantizedModel> {
    Quantizer::new(model.clone(), calibration.clone()).quantize(policy)
}
