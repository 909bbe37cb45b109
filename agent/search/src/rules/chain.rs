//! A plain chain of layers with the paper's own byte arithmetic.

use super::{CutLayer, Infeasible, cut_activations, cut_weights};
use bitrack_model::Bits;
use serde::Deserialize;

/// How quantization parameters are kept, which decides what they cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Scheme {
    /// One weight scale per layer.
    #[serde(rename = "MixPL")]
    PerLayer,
    /// A weight scale and zero point per output channel.
    #[serde(rename = "MixPC")]
    PerChannel,
}

/// One layer's shape, as far as memory is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct ChainLayer {
    /// Output channels.
    #[serde(rename = "co")]
    pub outputs: u32,
    /// Number of weights.
    #[serde(rename = "w")]
    pub weights: u32,
    /// Values read.
    #[serde(rename = "xin")]
    pub input_elements: u32,
    /// Values written.
    #[serde(rename = "xout")]
    pub output_elements: u32,
}

/// Layers in order; each reads what the one before wrote. The first input and the last output have 8 bits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Chain {
    /// The layers.
    pub layers: Vec<ChainLayer>,
}

/// The bits found and what they cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutPolicy {
    /// Bits of each layer's weights.
    pub weights: Vec<Bits>,
    /// Bits of each layer's output but the last.
    pub activations: Vec<Bits>,
    /// Bytes of all weights.
    pub weight_bytes: u64,
    /// Bytes of all quantization parameters.
    pub parameter_bytes: u64,
    /// Largest sum of a layer's input and output, in bytes.
    pub peak_ram: u64,
}

impl CutPolicy {
    /// Bytes of weights and quantization parameters.
    pub fn flash_bytes(&self) -> u64 {
        self.weight_bytes + self.parameter_bytes
    }
}

impl Chain {
    /// Cuts bits until the chain fits into `flash` and `ram` bytes.
    ///
    /// # Errors
    /// [`Infeasible`] at once when it cannot.
    pub fn cut(&self, scheme: Scheme, flash: u64, ram: u64) -> Result<CutPolicy, Infeasible> {
        let layers = self.cut_layers();
        let activations = cut_activations(&layers, self.layers.len().saturating_sub(1), ram)?;
        let counts: Vec<u64> = self.layers.iter().map(|layer| layer.weights.into()).collect();
        let flash_bytes =
            |weights: &[Bits]| self.weight_bytes(weights) + self.parameter_bytes(scheme, weights, &activations);
        let weights = cut_weights(&counts, flash, flash_bytes)?;
        Ok(CutPolicy {
            weight_bytes: self.weight_bytes(&weights),
            parameter_bytes: self.parameter_bytes(scheme, &weights, &activations),
            peak_ram: layers.iter().map(|layer| layer.bytes(&activations)).max().unwrap_or(0),
            weights,
            activations,
        })
    }

    fn cut_layers(&self) -> Vec<CutLayer> {
        let last = self.layers.len().saturating_sub(1);
        let bytes = |elements: u32| Bits::ALL.map(|bits| packed(elements, bits));
        let cut = |(i, layer): (usize, &ChainLayer)| CutLayer {
            input: i.checked_sub(1),
            output: (i < last).then_some(i),
            input_bytes: bytes(layer.input_elements),
            output_bytes: bytes(layer.output_elements),
        };
        self.layers.iter().enumerate().map(cut).collect()
    }

    fn weight_bytes(&self, weights: &[Bits]) -> u64 {
        self.layers.iter().zip(weights).map(|(layer, &bits)| packed(layer.weights, bits)).sum()
    }

    fn parameter_bytes(&self, scheme: Scheme, weights: &[Bits], activations: &[Bits]) -> u64 {
        let last = self.layers.len().saturating_sub(1);
        let cost = |(i, layer): (usize, &ChainLayer)| {
            let co = u64::from(layer.outputs);
            let narrow = weights[i] != Bits::Eight || activations.get(i).is_some_and(|&bits| bits != Bits::Eight);
            match scheme {
                Scheme::PerLayer if i == last || !narrow => 4 * co + 20,
                Scheme::PerLayer => 9 * co + 12,
                Scheme::PerChannel if i == last => 7 * co + 4,
                Scheme::PerChannel => 10 * co + 8,
            }
        };
        self.layers.iter().enumerate().map(cost).sum()
    }
}

fn packed(elements: u32, bits: Bits) -> u64 {
    (u64::from(elements) * u64::from(bits.get())).div_ceil(8)
}
