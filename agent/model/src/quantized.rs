//! A quantized network: the same graph, integer weights, and a scale and zero point per tensor.

use sha2::{Digest, Sha256};

use crate::bits::Bits;
use crate::error::{Error, Result};
use crate::float::{FloatModel, FloatWeights, digest_prefix};
use crate::graph::Graph;

/// How a tensor's codes mean real numbers: `real = scale * (code - zero)`, codes unsigned and `bits` wide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TensorQuant {
    pub bits: Bits,
    pub scale: f32,
    pub zero: u8,
}

impl TensorQuant {
    /// The code nearest to `real`, ties away from zero, clamped to the width.
    pub fn code(&self, real: f32) -> u8 {
        let code = (real / self.scale).round() + f32::from(self.zero);
        code.clamp(0.0, f32::from(self.bits.max_code())) as u8
    }

    /// The real number a code stands for.
    pub fn real(&self, code: u8) -> f32 {
        self.scale * (f32::from(code) - f32::from(self.zero))
    }

    fn is_valid(&self) -> bool {
        self.scale.is_finite() && self.scale > 0.0 && self.zero <= self.bits.max_code()
    }
}

/// Integer weights of a layer, `[out][kernel_h][kernel_w][in]`, symmetric with a scale per output channel.
/// The bias counts in units of `input scale * weight scale` and does not contain the input's zero point.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedWeights {
    pub bits: Bits,
    pub values: Vec<i8>,
    pub scales: Vec<f32>,
    pub bias: Vec<i32>,
}

/// A quantized network, either imported as it is or made by [`crate::quantize`].
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedModel {
    graph: Graph,
    tensors: Vec<TensorQuant>,
    weights: Vec<Option<QuantizedWeights>>,
}

impl QuantizedModel {
    /// Joins a graph with the quantization of each tensor and one entry of weights per layer.
    ///
    /// # Errors
    /// What [`Graph::check`] finds; scales that are not positive; weights of the wrong length or width.
    pub fn new(graph: Graph, tensors: Vec<TensorQuant>, weights: Vec<Option<QuantizedWeights>>) -> Result<Self> {
        graph.check()?;
        if tensors.len() != graph.tensors.len() || weights.len() != graph.layers.len() {
            return Err(Error::Model("quantization does not cover every tensor and layer".into()));
        }
        if let Some(at) = tensors.iter().position(|q| !q.is_valid()) {
            return Err(Error::Model(format!("tensor {}: {:?} is impossible", graph.tensors[at].name, tensors[at])));
        }
        for (index, (layer, entry)) in graph.layers.iter().zip(&weights).enumerate() {
            let expected = graph.weight_shape(layer).map(|s| (s.elements(), s.out));
            check_weights(expected, entry.as_ref()).map_err(|reason| Error::operator(index, &layer.name, reason))?;
        }
        Ok(Self { graph, tensors, weights })
    }

    /// The topology.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Quantization of every tensor, indexed by [`crate::graph::TensorId`].
    pub fn tensors(&self) -> &[TensorQuant] {
        &self.tensors
    }

    /// Weights of layer `index`, if it has any.
    pub fn weights(&self, index: usize) -> Option<&QuantizedWeights> {
        self.weights.get(index)?.as_ref()
    }

    /// The float network these integers stand for, so that an imported int8 model can be searched as well.
    pub fn dequantize(&self) -> Result<FloatModel> {
        let float = |index: usize| {
            let weights = self.weights(index)?;
            let input = self.tensors[self.graph.layers[index].inputs[0].0].scale;
            Some(weights.dequantize(input))
        };
        FloatModel::new(self.graph.clone(), (0..self.graph.layers.len()).map(float).collect())
    }

    /// A number that names this exact network: the start of the SHA-256 over all of it.
    pub fn id(&self) -> u64 {
        let mut hash = Sha256::new();
        hash.update(crate::float::graph_json(&self.graph).as_bytes());
        for q in &self.tensors {
            hash.update([q.bits.get(), q.zero]);
            hash.update(q.scale.to_le_bytes());
        }
        for w in self.weights.iter().flatten() {
            hash.update([w.bits.get()]);
            w.values.iter().for_each(|v| hash.update(v.to_le_bytes()));
            w.scales.iter().for_each(|v| hash.update(v.to_le_bytes()));
            w.bias.iter().for_each(|v| hash.update(v.to_le_bytes()));
        }
        digest_prefix(hash)
    }
}

impl QuantizedWeights {
    fn dequantize(&self, input_scale: f32) -> FloatWeights {
        let per_channel = self.values.len() / self.scales.len();
        let rows = self.values.chunks(per_channel).zip(&self.scales);
        FloatWeights {
            values: rows.flat_map(|(row, &s)| row.iter().map(move |&q| f32::from(q) * s)).collect(),
            bias: self.bias.iter().zip(&self.scales).map(|(&b, &s)| b as f32 * s * input_scale).collect(),
        }
    }
}

fn check_weights(expected: Option<(usize, usize)>, entry: Option<&QuantizedWeights>) -> Result<(), String> {
    let found = entry.map(|w| (w.values.len(), w.scales.len()));
    if expected != found || entry.is_some_and(|w| w.bias.len() != w.scales.len()) {
        return Err(format!("needs (weights, channels) {expected:?}, has {found:?}"));
    }
    let Some(weights) = entry else { return Ok(()) };
    let (low, high) = weights.bits.signed_range();
    if weights.values.iter().any(|&v| !(low..=high).contains(&i32::from(v))) {
        return Err(format!("a weight does not fit {} bits", weights.bits));
    }
    let positive = |s: &f32| s.is_finite() && *s > 0.0;
    if weights.scales.iter().all(positive) { Ok(()) } else { Err("a weight scale is not a positive number".into()) }
}
