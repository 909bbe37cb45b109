//! A network with its weights rounded, as it stands in one forward pass: what every way of training it computes with.

use super::error::QatError;
use super::ops::{self, Rounding};
use crate::torch::floats;
use bitrack_model::graph::Graph;
use bitrack_model::{Bits, QuantizedModel, QuantizedWeights, TensorQuant};
use tch::{Kind, TchError, Tensor};

/// Biases are kept within 30 bits of the accumulator, as the quantizer does.
const BIAS_LIMIT: f64 = (1i64 << 30) as f64;

/// A rounded network, with gradients to whatever it was computed from.
#[derive(Debug)]
pub struct FakeQuantized<'a> {
    /// Topology.
    pub graph: &'a Graph,
    /// The kind of number that everything is computed in.
    pub kind: Kind,
    /// Step sizes of all tensors, `[tensors]`.
    pub scales: Tensor,
    /// Quantization of all tensors with these step sizes.
    pub quants: Vec<TensorQuant>,
    /// One entry per layer; `None` without weights.
    pub layers: Vec<Option<RoundedLayer>>,
}

/// The weights of a layer.
#[derive(Debug)]
pub struct RoundedLayer {
    /// Width of the codes.
    pub bits: Bits,
    /// Integers, `[out, per_channel]`.
    pub codes: Tensor,
    /// What one step of a channel's codes is worth, `[out, 1]`.
    pub steps: Tensor,
    /// Real biases, `[out]`, in double precision: they have up to 30 bits.
    pub bias: Tensor,
}

/// The numbers that a layer is computed with.
#[derive(Debug)]
pub struct LayerNumbers {
    /// Integer codes, `[out, in, kernel_h, kernel_w]`.
    pub codes: Tensor,
    /// Integers in steps of the accumulator, `[out]`.
    pub bias: Tensor,
    /// Output steps per step of the accumulator, `[1, out, 1, 1]`.
    pub factor: Tensor,
}

impl FakeQuantized<'_> {
    /// The numbers of layer `index`; `None` when it has no weights.
    pub(super) fn numbers(&self, index: usize) -> Result<Option<LayerNumbers>, TchError> {
        let Some(rounded) = &self.layers[index] else { return Ok(None) };
        let layer = &self.graph.layers[index];
        let scale = |id: bitrack_model::graph::TensorId| self.scales.f_select(0, id.0 as i64);
        let (input, output) = (scale(layer.inputs[0])?, scale(layer.output)?);
        let accumulator = rounded.steps.f_view([-1i64].as_slice())?.f_mul(&input)?;
        let codes = ops::weights_to_torch(self.graph, layer, &rounded.codes)?;
        let bias = rounded.bias.f_div(&accumulator.f_to_kind(Kind::Double)?)?;
        ops::round_in_place(&bias, Rounding::Away)?;
        let bias = bias.f_to_kind(self.kind)?;
        let factor = accumulator.f_div(&output)?.f_view([1i64, -1, 1, 1].as_slice())?;
        Ok(Some(LayerNumbers { codes, bias, factor }))
    }

    /// The same network in integers.
    ///
    /// # Errors
    /// libtorch's own; what [`QuantizedModel::new`] refuses, such as a step size that is no longer finite.
    pub fn quantized(&self) -> Result<QuantizedModel, QatError> {
        let weights = self.layers.iter().enumerate().map(|(index, layer)| match layer {
            Some(layer) => self.quantized_weights(index, layer).map(Some),
            None => Ok(None),
        });
        let weights = weights.collect::<Result<_, TchError>>()?;
        Ok(QuantizedModel::new(self.graph.clone(), self.quants.clone(), weights)?)
    }

    fn quantized_weights(&self, index: usize, layer: &RoundedLayer) -> Result<QuantizedWeights, TchError> {
        let input = self.quants[self.graph.layers[index].inputs[0].0].scale;
        let values = floats(&layer.codes)?.iter().map(|&code| code as i8).collect();
        let scales = floats(&layer.steps)?;
        let bias = Vec::<f64>::try_from(layer.bias.f_detach()?)?;
        let in_steps = |(&real, &scale): (&f64, &f32)| (real / (f64::from(scale) * f64::from(input))).round();
        let bias = bias.iter().zip(&scales).map(in_steps).map(|b| b.clamp(-BIAS_LIMIT, BIAS_LIMIT) as i32).collect();
        Ok(QuantizedWeights { bits: layer.bits, values, scales, bias })
    }
}
