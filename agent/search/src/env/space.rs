//! The tensors whose bits are chosen, in the order in which a strategy decides them.

use bitrack_model::graph::{Graph, Op, TensorId};
use bitrack_model::{Bits, Policy};

/// What a slot stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotKind {
    /// The weights of a layer; `position` in [`Policy::weights`].
    Weights {
        /// Index among the layers with weights.
        position: usize,
    },
    /// An activation tensor; `position` in [`Policy::activations`].
    Activations {
        /// Index among the free activation tensors.
        position: usize,
    },
}

/// One tensor whose bits are chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// `LAYER.weight` or `LAYER.output`.
    pub name: String,
    /// What it is.
    pub kind: SlotKind,
    /// Index of the layer that has the weights or writes the tensor.
    pub layer: usize,
    /// Values in the tensor.
    pub elements: usize,
}

impl Slot {
    /// Whether it holds weights.
    pub fn is_weights(&self) -> bool {
        matches!(self.kind, SlotKind::Weights { .. })
    }

    /// Bytes at a width, apart from padding.
    pub fn bytes(&self, bits: Bits) -> u64 {
        (self.elements as u64 * u64::from(bits.get())).div_ceil(8)
    }
}

/// All slots of a network: per layer its weights, then its output, as HAQ walks a network.
#[derive(Debug, Clone)]
pub struct Space {
    graph: Graph,
    slots: Vec<Slot>,
}

impl Space {
    /// The search space of a network.
    pub fn new(graph: &Graph) -> Self {
        let weights = graph.weight_layers();
        let activations = graph.activation_slots();
        let slots = (0..graph.layers.len()).flat_map(|layer| {
            let weights = weights.iter().position(|&l| l == layer).map(|position| weight_slot(graph, layer, position));
            let output = graph.layers[layer].output;
            let output = activations.iter().position(|&t| t == output);
            [weights, output.map(|position| activation_slot(graph, layer, activations[position], position))]
        });
        Self { graph: graph.clone(), slots: slots.flatten().collect() }
    }

    /// The slots in the order of decision.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Number of decisions per episode.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing can be chosen.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The network's topology.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// One width per slot as `bitrack-model`'s policy.
    pub fn policy(&self, bits: &[Bits]) -> Policy {
        let mut policy = Policy::uniform(&self.graph, Bits::Eight, Bits::Eight);
        for (slot, &bits) in self.slots.iter().zip(bits) {
            match slot.kind {
                SlotKind::Weights { position } => policy.weights[position] = bits,
                SlotKind::Activations { position } => policy.activations[position] = bits,
            }
        }
        policy
    }

    /// The widths of a policy, one per slot; `None` when the policy is for another network.
    pub fn bits(&self, policy: &Policy) -> Option<Vec<Bits>> {
        let fits = policy.tensor_bits(&self.graph).is_ok() && policy.layer_bits(&self.graph).is_ok();
        let of = |slot: &Slot| match slot.kind {
            SlotKind::Weights { position } => policy.weights[position],
            SlotKind::Activations { position } => policy.activations[position],
        };
        fits.then(|| self.slots.iter().map(of).collect())
    }

    /// The width of every tensor and of every layer's weights, in the graph's order.
    pub fn widths(&self, bits: &[Bits]) -> (Vec<Bits>, Vec<Option<Bits>>) {
        let policy = self.policy(bits);
        let own = "the space makes policies for its own graph";
        (policy.tensor_bits(&self.graph).expect(own), policy.layer_bits(&self.graph).expect(own))
    }

    /// The same width for all weights and another for all activations.
    pub fn uniform(&self, weights: Bits, activations: Bits) -> Vec<Bits> {
        self.slots.iter().map(|slot| if slot.is_weights() { weights } else { activations }).collect()
    }

    /// The slot of an activation tensor; `None` when its 8 bits are fixed.
    pub fn activation_slot(&self, tensor: TensorId) -> Option<usize> {
        let root = self.graph.reshape_root(tensor);
        self.slots.iter().position(|slot| !slot.is_weights() && self.graph.layers[slot.layer].output == root)
    }
}

fn weight_slot(graph: &Graph, layer: usize, position: usize) -> Slot {
    let elements = graph.weight_shape(&graph.layers[layer]).map_or(0, |shape| shape.elements());
    let name = format!("{}.weight", graph.layers[layer].name);
    Slot { name, kind: SlotKind::Weights { position }, layer, elements }
}

fn activation_slot(graph: &Graph, layer: usize, tensor: TensorId, position: usize) -> Slot {
    let name = format!("{}.output", graph.layers[layer].name);
    Slot { name, kind: SlotKind::Activations { position }, layer, elements: graph.shape(tensor).elements() }
}

/// Whether a layer filters each channel on its own.
pub(super) fn is_depthwise(op: &Op) -> bool {
    matches!(op, Op::DepthwiseConv2d { .. })
}

#[cfg(test)]
mod tests {
    use super::super::toy;
    use super::*;

    #[test]
    fn slots_follow_the_layers() {
        let space = Space::new(&toy::graph());
        let names: Vec<&str> = space.slots().iter().map(|slot| slot.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "conv2d_0.weight",
                "conv2d_0.output",
                "depthwise_1.weight",
                "depthwise_1.output",
                "conv2d_2.weight",
                "conv2d_2.output",
                "average_pool_3.output",
                "fully_connected_4.weight"
            ]
        );
    }

    #[test]
    fn bits_and_policies_are_two_views_of_one_choice() {
        let space = Space::new(&toy::graph());
        let bits: Vec<Bits> = (0..space.len()).map(|i| Bits::ALL[i % 3]).collect();
        assert_eq!(space.bits(&space.policy(&bits)), Some(bits));
        assert_eq!(space.bits(&Policy { weights: vec![], activations: vec![] }), None);
    }
}
