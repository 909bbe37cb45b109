//! What a layer's ticks depend on.

use crate::candidate::geometry;
use bitrack_model::graph::{Graph, TensorId};
use bitrack_model::{Bits, Variant, Variants};
use serde::{Deserialize, Serialize};

/// Bits of everything that a layer's cost depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerBits {
    /// Bits of its weights, if it has any.
    pub weights: Option<Bits>,
    /// Bits of its first input.
    pub input: Bits,
    /// Bits of its output.
    pub output: Bits,
}

/// What ran: a geometry at some bits, by a variant of its kernel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "SavedKey", into = "SavedKey")]
pub struct CostKey {
    /// The canonical text of [`geometry`].
    pub geometry: String,
    /// `None` for layers without weights, and where it was not told: see [`CostKey::told`].
    pub variant: Option<Variant>,
    /// The bits.
    pub bits: LayerBits,
}

/// The same with the variant as the last word of the text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedKey {
    geometry: String,
    bits: LayerBits,
}

impl CostKey {
    /// The key of a graph's layer when the graph's tensors have these bits.
    pub fn new(graph: &Graph, layer: usize, tensors: &[Bits], weights: Option<Bits>, variant: Option<Variant>) -> Self {
        let op = &graph.layers[layer];
        let of = |TensorId(tensor): TensorId| tensors[tensor];
        let bits = LayerBits { weights, input: of(op.inputs[0]), output: of(op.output) };
        Self { geometry: geometry(graph, op, tensors), variant: variant.filter(|_| weights.is_some()), bits }
    }

    /// The same by another variant.
    pub fn by(&self, variant: Variant) -> Self {
        Self { variant: Some(variant), ..self.clone() }
    }

    /// Geometry and variant as one text.
    pub fn text(&self) -> String {
        self.variant.map_or_else(|| self.geometry.clone(), |variant| format!("{} {}", self.geometry, variant.name()))
    }

    /// What [`CostKey::text`] made, at these bits.
    pub fn of_text(text: String, bits: LayerBits) -> Self {
        let named = text.rsplit_once(' ').and_then(|(geometry, word)| Some((geometry, Variant::named(word)?)));
        match named {
            Some((geometry, variant)) => Self { geometry: geometry.to_owned(), variant: Some(variant), bits },
            None => Self { geometry: text, variant: None, bits },
        }
    }

    /// With the variant that a layer of this graph has where none was told: earlier releases told it only where it was not the usual one.
    pub fn told(self, graph: &Graph) -> Self {
        let is_told = self.variant.is_some() || self.bits.weights.is_none();
        let eight = vec![Bits::Eight; graph.tensors.len()];
        let is_own = |layer: &usize| geometry(graph, &graph.layers[*layer], &eight) == self.geometry;
        let own = (0..graph.layers.len()).find(|layer| !is_told && is_own(layer));
        let variant = own.map(|layer| Variants::usual(graph, layer, self.bits.input)).or(self.variant);
        Self { variant, ..self }
    }
}

impl From<CostKey> for SavedKey {
    fn from(key: CostKey) -> Self {
        Self { geometry: key.text(), bits: key.bits }
    }
}

impl From<SavedKey> for CostKey {
    fn from(SavedKey { geometry, bits }: SavedKey) -> Self {
        Self::of_text(geometry, bits)
    }
}
