//! Which tensor gets how many bits.

use serde::{Deserialize, Serialize};

use crate::bits::Bits;
use crate::error::{Error, Result};
use crate::graph::{Graph, Op, TensorId};

/// Bits of everything that may be chosen: one entry per layer with weights ([`Graph::weight_layers`]) and one per free
/// activation tensor ([`Graph::activation_slots`]). Network input and output always have 8 bits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub weights: Vec<Bits>,
    pub activations: Vec<Bits>,
}

impl Policy {
    /// The same bits for all weights, and the same for all free activations.
    pub fn uniform(graph: &Graph, weights: Bits, activations: Bits) -> Self {
        Self {
            weights: vec![weights; graph.weight_layers().len()],
            activations: vec![activations; graph.activation_slots().len()],
        }
    }

    /// Bits of every tensor of the graph, indexed by [`TensorId`].
    ///
    /// # Errors
    /// [`Error::Policy`] when the policy's lengths are not the graph's.
    pub fn tensor_bits(&self, graph: &Graph) -> Result<Vec<Bits>> {
        let slots = graph.activation_slots();
        check_len("activation", self.activations.len(), slots.len())?;
        let of = |id: usize| {
            let root = graph.reshape_root(TensorId(id));
            slots.iter().position(|&slot| slot == root).map_or(Bits::Eight, |at| self.activations[at])
        };
        Ok((0..graph.tensors.len()).map(of).collect())
    }

    /// Weight bits of every layer; `None` for layers without weights.
    ///
    /// # Errors
    /// [`Error::Policy`] when the policy's lengths are not the graph's.
    pub fn layer_bits(&self, graph: &Graph) -> Result<Vec<Option<Bits>>> {
        let layers = graph.weight_layers();
        check_len("weight", self.weights.len(), layers.len())?;
        let of = |index: usize| layers.iter().position(|&layer| layer == index).map(|at| self.weights[at]);
        Ok((0..graph.layers.len()).map(of).collect())
    }
}

impl Graph {
    /// The activation tensors whose bits a policy chooses, in order. Not among them, and always 8 bits: the network's input
    /// and output, and the logits before a final softmax (a dozen bytes that decide everything). A reshape's output
    /// shares its input's codes and so its bits.
    pub fn activation_slots(&self) -> Vec<TensorId> {
        let fixed: Vec<TensorId> = self.fixed_tensors().map(|id| self.reshape_root(id)).collect();
        let free = |&id: &TensorId| self.reshape_root(id) == id && !fixed.contains(&id);
        (0..self.tensors.len()).map(TensorId).filter(free).collect()
    }

    /// The tensor whose codes this one shares: itself, or through reshapes its origin.
    pub fn reshape_root(&self, id: TensorId) -> TensorId {
        let mut root = id;
        while let Some(layer) = self.producer(root).map(|index| &self.layers[index]) {
            if layer.op != (Op::Reshape {}) {
                break;
            }
            root = layer.inputs[0];
        }
        root
    }

    fn fixed_tensors(&self) -> impl Iterator<Item = TensorId> + '_ {
        let softmax = self.layers.iter().filter(|l| matches!(l.op, Op::Softmax { .. }));
        let ends = [self.input, self.output].into_iter();
        ends.chain(softmax.flat_map(|l| [l.inputs[0], l.output]))
    }
}

fn check_len(what: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Policy(format!("has {found} {what} widths, the model needs {expected}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Activation, Shape, Window};

    /// conv, reshape, fully connected, softmax.
    fn graph() -> Graph {
        let mut graph = Graph::new("test", Shape::new(4, 4, 1));
        let window = Window { kernel: [2, 2], stride: [2, 2], pad_before: [0, 0] };
        let conv = Op::Conv2d { window, activation: Activation::Relu };
        let a = graph.push(conv, vec![TensorId(0)], Shape::new(2, 2, 3));
        let b = graph.push(Op::Reshape {}, vec![a], Shape::new(1, 1, 12));
        let c = graph.push(Op::FullyConnected { activation: Activation::None }, vec![b], Shape::new(1, 1, 5));
        graph.push(Op::Softmax { beta: 1.0 }, vec![c], Shape::new(1, 1, 5));
        graph
    }

    #[test]
    fn only_inner_tensors_are_free_and_a_reshape_follows_its_input() {
        let graph = graph();
        assert_eq!(graph.activation_slots(), [TensorId(1)]);
        let policy = Policy::uniform(&graph, Bits::Four, Bits::Two);
        let bits: Vec<u8> = policy.tensor_bits(&graph).expect("fits").iter().map(|b| b.get()).collect();
        assert_eq!(bits, [8, 2, 2, 8, 8]);
        let weights = policy.layer_bits(&graph).expect("fits");
        assert_eq!(weights, [Some(Bits::Four), None, Some(Bits::Four), None]);
    }

    #[test]
    fn a_policy_of_another_model_is_refused() {
        let policy = Policy { weights: vec![Bits::Eight], activations: vec![] };
        assert!(policy.tensor_bits(&graph()).is_err());
        assert!(policy.layer_bits(&graph()).is_err());
    }

    #[test]
    fn a_policy_is_written_as_numbers() {
        let policy = Policy { weights: vec![Bits::Eight, Bits::Two], activations: vec![Bits::Four] };
        let json = serde_json::to_string(&policy).expect("plain data");
        assert_eq!(json, r#"{"weights":[8,2],"activations":[4]}"#);
        assert_eq!(serde_json::from_str::<Policy>(&json).expect("own output"), policy);
        assert!(serde_json::from_str::<Policy>(r#"{"weights":[3],"activations":[]}"#).is_err());
    }
}
