//! What an inference will take, layer by layer, from what layers have taken before.
//!
//! A layer's ticks depend on its geometry, its bits and the variant of its kernel, and on nothing else: what was measured once is exact. What was not is
//! estimated, from the same geometry at other bits where possible, else from all layers of its kind.

mod estimate;
mod fastest;
mod key;

pub use key::{CostKey, LayerBits};

use crate::env::Space;
use bitrack_model::graph::Graph;
use bitrack_model::{Bits, Variant, Variants};
use estimate::{Estimator, place};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// How far a layer may be from what it took before at the same bits, as a share: it depends a little on the numbers in it.
/// `docs/search.md` has what was measured.
const MEASURED_ERROR: f64 = 0.02;

/// Sums of what was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sum {
    samples: u64,
    ticks: u64,
}

impl Sum {
    fn add(&mut self, ticks: u64) {
        self.samples += 1;
        self.ticks += ticks;
    }

    fn mean(self) -> f64 {
        self.ticks as f64 / self.samples.max(1) as f64
    }
}

/// One row of a saved table: board type, key, samples, sum of ticks. Without a key it is what an inference takes beyond its
/// layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedCost {
    board_type: String,
    key: Option<CostKey>,
    sum: Sum,
}

/// Predicts the latency of any choice of bits on the campaign's board types.
#[derive(Debug, Clone)]
pub struct LatencyModel {
    graph: Graph,
    boards: BTreeMap<String, Board>,
    /// By which its images are computed.
    variants: Variants,
}

/// What is known of one board type.
#[derive(Debug, Clone, Default)]
struct Board {
    table: HashMap<CostKey, Sum>,
    overhead: Sum,
    estimator: Estimator,
}

/// How far layers may be from their predictions, as shares of these.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerErrors {
    /// Of layers that were measured at these bits.
    pub measured: f64,
    /// Of all others.
    pub estimated: f64,
}

/// A candidate as far as its ticks go.
#[derive(Debug, Clone, Copy)]
pub struct Ran<'a> {
    /// One width per slot of the search space.
    pub bits: &'a [Bits],
    /// The variant of every layer in its image; of those beyond the end, what would be picked.
    pub variants: &'a [Variant],
}

impl<'a> Ran<'a> {
    /// By what would be picked.
    pub fn picked(bits: &'a [Bits]) -> Self {
        Self { bits, variants: &[] }
    }
}

/// A predicted latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Ticks of one inference on the slowest board type.
    pub ticks: f64,
    /// Whether every layer was measured at these bits before.
    pub exact: bool,
}

impl LatencyModel {
    /// A model of a network's layers that knows nothing yet. Only `board_types` are looked at.
    pub fn new(space: &Space, board_types: impl IntoIterator<Item = String>) -> Self {
        let boards = board_types.into_iter().map(|name| (name, Board::default())).collect();
        Self { graph: space.graph().clone(), boards, variants: Variants::default() }
    }

    /// By which variants images are computed.
    pub fn variants(&self) -> &Variants {
        &self.variants
    }

    /// For images that are computed by these variants.
    pub fn set_variants(&mut self, variants: Variants) {
        self.variants = variants;
    }

    /// Learns what a layer took on average, in this or any other network. Where no variant was told, a figure of the one that it must have
    /// been is left as it is.
    pub fn insert(&mut self, board_type: &str, key: CostKey, samples: u64, ticks: f64) {
        let Some(board) = self.boards.get_mut(board_type) else { return };
        let sum = Sum { samples, ticks: (ticks * samples as f64).round() as u64 };
        match key.variant.is_some() {
            true => drop(board.table.insert(key, sum)),
            false => drop(board.table.entry(key.told(&self.graph)).or_insert(sum)),
        }
        board.estimator = Estimator::default();
    }

    /// Learns from a measurement: what ran, the ticks of every layer in the network's order, and those of the whole inference. One of
    /// another number of layers is ignored.
    pub fn observe(&mut self, space: &Space, board_type: &str, ran: Ran, layers: &[u64], total: u64) {
        let keys = self.keys(space, ran);
        let Some(board) = self.boards.get_mut(board_type).filter(|_| keys.len() == layers.len()) else { return };
        board.overhead.add(total.saturating_sub(layers.iter().sum()));
        for (key, &ticks) in keys.into_iter().zip(layers) {
            board.table.entry(key).or_default().add(ticks);
        }
        board.estimator = Estimator::default();
    }

    /// Fits the estimates to what has been learned; predictions of what was not measured need it.
    pub fn fit(&mut self) {
        for board in self.boards.values_mut().filter(|board| board.estimator.is_empty()) {
            board.estimator = Estimator::fit(board.table.iter().map(|(key, sum)| (key, sum.mean())));
        }
    }

    /// Board types looked at.
    pub fn board_types(&self) -> impl Iterator<Item = &str> {
        self.boards.keys().map(String::as_str)
    }

    /// Ticks of a layer on a board type, and whether they were measured; `None` when nothing of its kind is known.
    pub fn layer(&self, board_type: &str, key: &CostKey) -> Option<Prediction> {
        let board = self.boards.get(board_type)?;
        match board.table.get(key) {
            Some(sum) => Some(Prediction { ticks: sum.mean(), exact: true }),
            None => Some(Prediction { ticks: board.estimator.estimate(key)?, exact: false }),
        }
    }

    /// How far layers of this network may be from their predictions on a board type, as far as its measured layers tell when each is
    /// predicted from others; `None` while one of its layers was measured at no bits at all, or too few were.
    pub fn errors(&self, board_type: &str) -> Option<LayerErrors> {
        let board = self.boards.get(board_type)?;
        let picked: Vec<CostKey> = (0..self.graph.layers.len()).flat_map(|layer| self.keys_of(layer)).collect();
        let own: HashSet<&str> = picked.iter().map(|key| place(&key.geometry)).collect();
        let kinds: HashSet<_> = picked.iter().map(|key| (place(&key.geometry), key.variant)).collect();
        let of_own = |(key, _): &(&CostKey, &Sum)| kinds.contains(&(place(&key.geometry), key.variant));
        let mut rows: Vec<(&CostKey, &Sum)> = board.table.iter().filter(of_own).collect();
        let measured: HashSet<&str> = rows.iter().map(|(key, _)| place(&key.geometry)).collect();
        if measured.len() < own.len() {
            return None;
        }
        rows.sort();
        let rows: Vec<(&CostKey, f64)> = rows.into_iter().map(|(key, sum)| (key, sum.mean())).collect();
        let estimated = Estimator::error(&rows)?.max(MEASURED_ERROR);
        Some(LayerErrors { measured: MEASURED_ERROR, estimated })
    }

    /// Ticks that an inference takes beyond its layers on a board type.
    pub fn overhead(&self, board_type: &str) -> f64 {
        self.boards.get(board_type).map_or(0.0, |board| board.overhead.mean())
    }

    /// Ticks of one inference; `None` while a layer's kind is unknown on some board type.
    pub fn predict(&self, space: &Space, ran: Ran) -> Option<Prediction> {
        let keys = self.keys(space, ran);
        let on = |board_type: &String| {
            let start = Prediction { ticks: self.overhead(board_type), exact: true };
            keys.iter().try_fold(start, |sum, key| {
                let layer = self.layer(board_type, key)?;
                Some(Prediction { ticks: sum.ticks + layer.ticks, exact: sum.exact && layer.exact })
            })
        };
        let each = self.boards.keys().map(on).collect::<Option<Vec<Prediction>>>()?;
        each.into_iter().max_by(|a, b| a.ticks.total_cmp(&b.ticks))
    }

    /// Everything learned, in a fixed order.
    pub fn save(&self) -> Vec<SavedCost> {
        let mut saved = Vec::new();
        for (board_type, board) in &self.boards {
            let row = |key, sum| SavedCost { board_type: board_type.clone(), key, sum };
            let mut rows: Vec<(&CostKey, &Sum)> = board.table.iter().collect();
            rows.sort();
            saved.extend(rows.into_iter().map(|(key, &sum)| row(Some(key.clone()), sum)));
            saved.push(row(None, board.overhead));
        }
        saved
    }

    /// Forgets everything and continues from what [`LatencyModel::save`] returned.
    pub fn restore(&mut self, saved: Vec<SavedCost>) {
        self.boards.values_mut().for_each(|board| *board = Board::default());
        for SavedCost { board_type, key, sum } in saved {
            let Some(board) = self.boards.get_mut(&board_type) else { continue };
            match key {
                Some(key) => drop(board.table.insert(key.told(&self.graph), sum)),
                None => board.overhead = sum,
            }
        }
        self.fit();
    }

    /// The key of one layer when the graph's tensors have these bits.
    pub fn key(&self, layer: usize, tensors: &[Bits], weights: Option<Bits>) -> CostKey {
        let op = &self.graph.layers[layer];
        let variant = weights.map(|weights| {
            let bits = [weights, tensors[op.inputs[0].0], tensors[op.output.0]];
            self.variants.pick(&self.graph, (layer, bits))
        });
        CostKey::new(&self.graph, layer, tensors, weights, variant)
    }

    /// The keys of a layer's choice of bits by each variant that it has.
    pub fn by_variants(&self, layer: usize, key: &CostKey) -> Vec<CostKey> {
        match key.variant {
            Some(_) => Variants::of_layer(&self.graph, layer, key.bits.input).into_iter().map(|v| key.by(v)).collect(),
            None => vec![key.clone()],
        }
    }

    /// The keys of one layer at all bits, second inputs at 8.
    fn keys_of(&self, layer: usize) -> Vec<CostKey> {
        let op = &self.graph.layers[layer];
        let mut tensors = vec![Bits::Eight; self.graph.tensors.len()];
        let mut keys = Vec::new();
        for (input, output) in Bits::ALL.into_iter().flat_map(|input| Bits::ALL.map(|output| (input, output))) {
            (tensors[op.inputs[0].0], tensors[op.output.0]) = (input, output);
            match self.graph.weight_shape(op) {
                Some(_) => keys.extend(Bits::ALL.map(|weights| self.key(layer, &tensors, Some(weights)))),
                None => keys.push(self.key(layer, &tensors, None)),
            }
        }
        keys
    }

    /// The keys of all layers of a candidate.
    fn keys(&self, space: &Space, ran: Ran) -> Vec<CostKey> {
        let (tensors, weights) = space.widths(ran.bits);
        let key = |layer: usize| {
            let picked = self.key(layer, &tensors, weights[layer]);
            match ran.variants.get(layer).copied().filter(|_| picked.variant.is_some()) {
                Some(variant) => picked.by(variant),
                None => picked,
            }
        };
        (0..weights.len()).map(key).collect()
    }
}

impl PartialOrd for Sum {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sum {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.samples, self.ticks).cmp(&(other.samples, other.ticks))
    }
}

#[cfg(test)]
mod tests;
