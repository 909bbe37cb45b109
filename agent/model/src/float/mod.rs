//! A float network: a graph and float32 weights, as imported or as exported by training.

mod exec;
mod file;
mod fold;

pub(crate) use exec::activate;
pub use exec::{Activations, FloatExecutor};
pub(crate) use file::graph_json;
pub use fold::BatchNorm;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::graph::Graph;

/// Weights of one layer, `[out][kernel_h][kernel_w][in]` (see [`crate::graph::WeightShape`]), and a bias per output.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatWeights {
    pub values: Vec<f32>,
    pub bias: Vec<f32>,
}

/// A float network. Batch norms are folded into the weights.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatModel {
    graph: Graph,
    /// One per layer; `None` for layers without weights.
    weights: Vec<Option<FloatWeights>>,
}

impl FloatModel {
    /// Joins a graph with one entry of weights per layer.
    ///
    /// # Errors
    /// What [`Graph::check`] finds, and weights that are missing, of the wrong length or not finite.
    pub fn new(graph: Graph, weights: Vec<Option<FloatWeights>>) -> Result<Self> {
        graph.check()?;
        if weights.len() != graph.layers.len() {
            return Err(Error::Model(format!("{} layers, {} entries of weights", graph.layers.len(), weights.len())));
        }
        for (index, (layer, entry)) in graph.layers.iter().zip(&weights).enumerate() {
            let expected = graph.weight_shape(layer).map(|s| (s.elements(), s.out));
            check_weights(expected, entry.as_ref()).map_err(|reason| Error::operator(index, &layer.name, reason))?;
        }
        Ok(Self { graph, weights })
    }

    /// The topology.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Weights of layer `index`, if it has any.
    pub fn weights(&self, index: usize) -> Option<&FloatWeights> {
        self.weights.get(index)?.as_ref()
    }

    /// The same topology with other weights, whose numbers the caller keeps.
    pub(crate) fn with_weights(&self, weights: Vec<Option<FloatWeights>>) -> Self {
        debug_assert_eq!(weights.len(), self.weights.len());
        Self { graph: self.graph.clone(), weights }
    }

    /// Weights of layer `index` for changing them in place; their number stays.
    pub(crate) fn weights_mut(&mut self, index: usize) -> Option<&mut FloatWeights> {
        self.weights.get_mut(index)?.as_mut()
    }

    /// A number that names this exact network: the start of the SHA-256 over graph and weights.
    pub fn id(&self) -> u64 {
        let mut hash = Sha256::new();
        hash.update(file::graph_json(&self.graph).as_bytes());
        for entry in self.weights.iter().flatten() {
            for value in entry.values.iter().chain(&entry.bias) {
                hash.update(value.to_le_bytes());
            }
        }
        digest_prefix(hash)
    }
}

/// The first eight bytes of a SHA-256, little-endian.
pub(crate) fn digest_prefix(hash: Sha256) -> u64 {
    let digest = hash.finalize();
    digest.iter().take(8).rev().fold(0, |id, &byte| id << 8 | u64::from(byte))
}

fn check_weights(expected: Option<(usize, usize)>, entry: Option<&FloatWeights>) -> Result<(), String> {
    let found = entry.map(|w| (w.values.len(), w.bias.len()));
    if expected != found {
        return Err(format!("needs (weights, biases) {expected:?}, has {found:?}"));
    }
    let finite = |w: &FloatWeights| w.values.iter().chain(&w.bias).all(|v| v.is_finite());
    if entry.is_none_or(finite) { Ok(()) } else { Err("has a weight or bias that is not finite".into()) }
}
