//! By which variant of its kernel each op of an image is computed.

use std::collections::HashMap;
use std::sync::Arc;

use bitrack_kernels::Variant;

use super::geometry::WeightKernel;
use crate::bits::Bits;
use crate::graph::Graph;

/// A layer with the bits of its weights, its input and its output.
pub type Site = (usize, [Bits; 3]);

/// Picks a variant for every layer at every choice of bits: what it was told, else what is usual, which is the most special variant that
/// there is. That counts the fewest instructions for nearly every shape (`docs/kernels.md`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variants {
    told: Arc<HashMap<Site, Variant>>,
}

impl Variants {
    /// The usual ones but for these. One that a layer does not have is passed over.
    pub fn told(told: HashMap<Site, Variant>) -> Self {
        Self { told: Arc::new(told) }
    }

    /// For little flash: what adds the least code to a runner. Convolutions have their general loops anyway. All depthwise layers share
    /// one kind of loop: the general ones if any layer needs those, else those for small maps if they do for all, else row loops.
    pub fn small(graph: &Graph) -> Self {
        let kernels = || graph.layers.iter().filter_map(|layer| WeightKernel::of(graph, layer));
        let depthwise = if kernels().any(|kernel| kernel.needs_general_depthwise()) {
            Variant::General
        } else if kernels().filter(WeightKernel::is_depthwise).all(|kernel| kernel.has(Variant::Map, Bits::Eight, 0)) {
            Variant::Map
        } else {
            Variant::Rows
        };
        Self::forced(graph, &[depthwise, Variant::General])
    }

    /// The first of these variants that a layer has, for every layer and all bits; the usual one of a layer that has none of them.
    pub fn forced(graph: &Graph, wanted: &[Variant]) -> Self {
        let mut told = HashMap::new();
        for (layer, input) in (0..graph.layers.len()).flat_map(|layer| Bits::ALL.map(|input| (layer, input))) {
            let all = Self::of_layer(graph, layer, input);
            let Some(&variant) = wanted.iter().find(|variant| all.contains(variant)) else { continue };
            let widths = Bits::ALL.into_iter().flat_map(|w| Bits::ALL.map(|o| [w, input, o]));
            told.extend(widths.map(|bits| ((layer, bits), variant)));
        }
        Self::told(told)
    }

    /// What was told, in a fixed order.
    pub fn all_told(&self) -> Vec<(Site, Variant)> {
        let mut all: Vec<(Site, Variant)> = self.told.iter().map(|(&site, &variant)| (site, variant)).collect();
        all.sort_unstable();
        all
    }

    /// The usual variant of a layer: what is picked where nothing was told.
    pub fn usual(graph: &Graph, layer: usize, input: Bits) -> Variant {
        Self::of_layer(graph, layer, input).last().copied().unwrap_or_default()
    }

    /// The variants that there are for a layer with inputs of these bits, from the most general to the usual one.
    pub fn of_layer(graph: &Graph, layer: usize, input: Bits) -> Vec<Variant> {
        let Some(kernel) = WeightKernel::of(graph, &graph.layers[layer]) else { return vec![Variant::General] };
        Variant::ALL.into_iter().filter(|&variant| kernel.has(variant, input, 0)).collect()
    }

    /// The one for a layer at these bits, as long as its constants take no left shift.
    pub fn pick(&self, graph: &Graph, site: Site) -> Variant {
        let (layer, [_, input, _]) = site;
        let all = Self::of_layer(graph, layer, input);
        let told = self.told.get(&site).copied().filter(|variant| all.contains(variant));
        told.or(all.last().copied()).unwrap_or_default()
    }
}

/// What is left of a pick once the left shift is known: the most special variant up to it that bears the shift. Its scratch and its overlay
/// are within those of the pick.
pub fn bearing(kernel: &WeightKernel, picked: Variant, input: Bits, shift: u8) -> Variant {
    let up_to = Variant::ALL.into_iter().rev().skip_while(|&variant| variant != picked);
    up_to.into_iter().find(|&variant| kernel.has(variant, input, shift)).unwrap_or_default()
}
