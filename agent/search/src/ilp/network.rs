//! A network's choice of bits as a path: layer by layer, with the bits of the tensors in between as states.

use super::path::{Arc, Forbidden, PathProblem};
use crate::env::{CostKey, Environment};
use bitrack_model::Bits;

/// Tensors that may wait for a later layer at once; with more, the states are too many.
const MAX_WAITING: usize = 8;

/// Why a network cannot be stated as a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "layer {layer}: {waiting} tensors wait for later layers at once, more than the {MAX_WAITING} that exact solving is made for"
)]
pub struct TooWide {
    layer: usize,
    waiting: usize,
}

/// One choice for one layer.
#[derive(Debug, Clone)]
pub struct LayerChoice {
    from: usize,
    to: usize,
    /// Slots that it settles: the layer's weights and its output, where these are free.
    pub settles: Vec<(usize, Bits)>,
    /// Geometry and bits of the layer: what its ticks depend on.
    pub key: CostKey,
    /// What RAM depends on beside the state before: equal for choices of equal output and equal scratch.
    pub ram_class: usize,
}

/// The choices of every layer that fit the RAM limit.
#[derive(Debug, Clone)]
pub struct NetworkPaths {
    stages: Vec<Vec<LayerChoice>>,
    slots: usize,
}

/// What a choice of bits is held against beside RAM.
pub struct Prices<'a> {
    /// Flash limit in bytes, if any.
    pub flash_bytes: Option<u64>,
    /// Latency limit in ticks, if any.
    pub latency_ticks: Option<f64>,
    /// Cost of each slot at each width, and of a layer's choice as a whole.
    pub cost: &'a dyn Fn(&LayerChoice) -> f64,
}

impl NetworkPaths {
    /// The choices of a network whose RAM in use stays within `ram_bytes` at every layer.
    ///
    /// # Errors
    /// [`TooWide`] for networks with very many parallel branches.
    pub fn new(env: &Environment, ram_bytes: Option<u64>) -> Result<Self, TooWide> {
        let graph = env.space.graph();
        let mut stages = Vec::new();
        let mut states = vec![vec![]];
        for layer in 0..graph.layers.len() {
            let stage = Stage::new(env, layer);
            if stage.after.len() > MAX_WAITING {
                return Err(TooWide { layer, waiting: stage.after.len() });
            }
            let (choices, after) = stage.choices(env, &states, ram_bytes);
            stages.push(choices);
            states = after;
        }
        Ok(Self { stages, slots: env.space.len() })
    }

    /// The problem of least cost under limits. A latency limit without any measurements to predict from is left to the boards.
    pub fn problem(&self, env: &Environment, prices: &Prices) -> PathProblem {
        let flash = prices.flash_bytes.map(|limit| Flash::new(env, limit));
        let boards: Vec<&str> = prices.latency_ticks.map_or_else(Vec::new, |_| env.latency.board_types().collect());
        let known = |board: &&str| self.stages.iter().flatten().all(|c| env.latency.layer(board, &c.key).is_some());
        let boards: Vec<&str> = boards.into_iter().filter(known).collect();
        let arc = |choice: &LayerChoice| {
            let flash = flash.iter().map(|flash| flash.of(&choice.settles));
            let ticks = boards.iter().filter_map(|board| env.latency.layer(board, &choice.key)).map(|p| p.ticks);
            let uses = flash.chain(ticks).collect();
            Arc { from: choice.from, to: choice.to, cost: (prices.cost)(choice), uses }
        };
        let overhead = |board: &&str| prices.latency_ticks.unwrap_or(f64::MAX) - env.latency.overhead(board);
        PathProblem {
            stages: self.stages.iter().map(|choices| choices.iter().map(arc).collect()).collect(),
            limits: flash.iter().map(|flash| flash.limit).chain(boards.iter().map(overhead)).collect(),
        }
    }

    /// Paths of which none is forbidden yet but can be with all that need the same RAM.
    pub fn forbidden(&self) -> Forbidden {
        Forbidden::new(
            self.stages.iter().map(|choices| choices.iter().map(|choice| choice.ram_class).collect()).collect(),
        )
    }

    /// Choices of every layer.
    pub fn stages(&self) -> &[Vec<LayerChoice>] {
        &self.stages
    }

    /// The bits of a path.
    pub fn bits(&self, arcs: &[usize]) -> Vec<Bits> {
        let mut bits = vec![Bits::Eight; self.slots];
        for (choices, &arc) in self.stages.iter().zip(arcs) {
            choices[arc].settles.iter().for_each(|&(slot, width)| bits[slot] = width);
        }
        bits
    }

    /// The path with these bits; `None` when it does not fit the RAM limit.
    pub fn path(&self, bits: &[Bits]) -> Option<Vec<usize>> {
        let mut state = 0;
        let take = |choices: &Vec<LayerChoice>| {
            let same = |c: &LayerChoice| c.from == state && c.settles.iter().all(|&(slot, width)| bits[slot] == width);
            let arc = choices.iter().position(same)?;
            state = choices[arc].to;
            Some(arc)
        };
        self.stages.iter().map(take).collect()
    }
}

/// Flash as a sum over weight slots, in bytes beyond 2 bits everywhere.
struct Flash {
    limit: f64,
    /// Per slot and width.
    bytes: Vec<[f64; 3]>,
}

impl Flash {
    fn new(env: &Environment, limit: u64) -> Self {
        let least = vec![Bits::Two; env.space.len()];
        let base = env.costs.flash_bytes(&least);
        let more = |slot: usize, width: Bits| {
            let mut bits = least.clone();
            bits[slot] = width;
            env.costs.flash_bytes(&bits) as f64 - base as f64
        };
        let bytes = (0..env.space.len()).map(|slot| Bits::ALL.map(|width| more(slot, width))).collect();
        Self { limit: limit as f64 - base as f64, bytes }
    }

    fn of(&self, settles: &[(usize, Bits)]) -> f64 {
        settles.iter().map(|&(slot, width)| self.bytes[slot][width.index()]).sum()
    }
}

/// A layer and what waits around it.
struct Stage {
    layer: usize,
    weights: Option<usize>,
    output: Option<usize>,
    /// Slots of tensors written before the layer and read by it or later.
    before: Vec<usize>,
    /// Slots of tensors written up to the layer and read after it.
    after: Vec<usize>,
}

impl Stage {
    fn new(env: &Environment, layer: usize) -> Self {
        let slot_of = |weights: bool| {
            env.space.slots().iter().position(|slot| slot.layer == layer && slot.is_weights() == weights)
        };
        Self {
            layer,
            weights: slot_of(true),
            output: slot_of(false),
            before: waiting(env, layer),
            after: waiting(env, layer + 1),
        }
    }

    /// The choices from each state, and the states they lead to.
    fn choices(&self, env: &Environment, states: &[Vec<Bits>], ram: Option<u64>) -> (Vec<LayerChoice>, Vec<Vec<Bits>>) {
        let mut after: Vec<Vec<Bits>> = Vec::new();
        let mut choices = Vec::new();
        let mut classes: Vec<(usize, Option<Bits>, u64)> = Vec::new();
        let widths = |slot: Option<usize>| match slot {
            Some(slot) => Bits::ALL.map(|width| Some((slot, width))).to_vec(),
            None => vec![None],
        };
        for (from, state) in states.iter().enumerate() {
            for weights in widths(self.weights) {
                for output in widths(self.output) {
                    let settles: Vec<(usize, Bits)> = weights.into_iter().chain(output).collect();
                    let mut bits = vec![Bits::Eight; env.space.len()];
                    let known = self.before.iter().copied().zip(state.iter().copied());
                    known.chain(settles.iter().copied()).for_each(|(slot, width)| bits[slot] = width);
                    if ram.is_some_and(|ram| env.costs.layer_ram(&bits)[self.layer] > ram) {
                        continue;
                    }
                    let next: Vec<Bits> = self.after.iter().map(|&slot| bits[slot]).collect();
                    let to = index_of(&mut after, next);
                    let class = (from, output.map(|(_, width)| width), env.costs.layer_scratch(&bits)[self.layer]);
                    let ram_class = index_of(&mut classes, class);
                    let (tensors, widths) = env.space.widths(&bits);
                    let key = env.latency.key(self.layer, &tensors, widths[self.layer]);
                    choices.push(LayerChoice { from, to, settles, key, ram_class });
                }
            }
        }
        (choices, after)
    }
}

/// Where an item is among those known, as the last if it is new.
fn index_of<T: PartialEq>(known: &mut Vec<T>, item: T) -> usize {
    known.iter().position(|other| *other == item).unwrap_or_else(|| {
        known.push(item);
        known.len() - 1
    })
}

/// Slots of activations written by a layer before `layer` and read by it or a later one.
fn waiting(env: &Environment, layer: usize) -> Vec<usize> {
    let graph = env.space.graph();
    let read_later = |slot: usize| {
        let inputs = graph.layers[layer..].iter().flat_map(|later| &later.inputs);
        inputs.into_iter().any(|&tensor| env.space.activation_slot(tensor) == Some(slot))
    };
    let slots = env.space.slots().iter().enumerate();
    let written = slots.filter(|(_, slot)| !slot.is_weights() && slot.layer < layer).map(|(index, _)| index);
    written.filter(|&slot| read_later(slot)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::toy;
    use proptest::prelude::*;

    /// Every choice of bits of the toy network, with its cost: the halvings, weighted by slot.
    fn brute_force(env: &Environment) -> Option<f64> {
        let slots = env.space.len();
        let of = |code: usize| (0..slots).map(|slot| Bits::ALL[code / 3usize.pow(slot as u32) % 3]).collect::<Vec<_>>();
        let all = (0..3usize.pow(slots as u32)).map(of);
        let within = all.filter(|bits| env.costs.footprint(bits).within(&env.limits));
        within.map(|bits| bits.iter().enumerate().map(|(slot, &width)| cost(slot, width)).sum()).min_by(f64::total_cmp)
    }

    fn cost(slot: usize, width: Bits) -> f64 {
        (2 - width.index()) as f64 * ((slot * 7 + 3) % 5 + 1) as f64
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn the_best_bits_of_a_network_equal_brute_force(flash in 40u64..150, ram in 200u64..800) {
            let least = toy::environment(None, None).costs.footprint(&[Bits::Two; 8]);
            let (flash, ram) = (flash.max(least.flash_bytes), ram.max(least.ram_bytes));
            let env = toy::environment(Some(flash), Some(ram));
            let paths = NetworkPaths::new(&env, Some(ram)).expect("a chain");
            let cost = |choice: &LayerChoice| choice.settles.iter().map(|&(slot, width)| cost(slot, width)).sum();
            let prices = Prices { flash_bytes: Some(flash), latency_ticks: None, cost: &cost };
            let found = paths.problem(&env, &prices).solve(&[]).expect("feasible");
            let bits = paths.bits(&found.arcs);
            prop_assert!(env.costs.footprint(&bits).within(&env.limits));
            prop_assert_eq!(Some(found.cost), brute_force(&env));
            prop_assert_eq!(paths.path(&bits), Some(found.arcs));
        }
    }
}
