//! `profile`: a covering design. It proposes candidates that run every layer at every combination of weight, input and output bits,
//! as few as it can, so that afterwards any candidate's latency is a sum of measured layers.

use super::{Blob, Outcome, Proposal, Strategy, StrategyError};
use crate::env::{CostKey, Environment};
use crate::ilp::network::{LayerChoice, NetworkPaths, Prices};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Each candidate is the one that runs most combinations not covered yet: greedy, but exact at each step.
#[derive(Debug, Default)]
pub struct Profile {
    covered: BTreeSet<CostKey>,
    paths: Option<NetworkPaths>,
}

/// A set of keys with the geometries, which are long and few, apart.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    covered: BTreeMap<String, Vec<crate::env::LayerBits>>,
}

impl Strategy for Profile {
    fn name(&self) -> &'static str {
        "profile"
    }

    fn propose(&mut self, env: &Environment) -> Result<Option<Proposal>, StrategyError> {
        let paths = match &self.paths {
            Some(paths) => paths,
            None => self.paths.insert(NetworkPaths::new(env, env.limits.ram_bytes)?),
        };
        let covered = &self.covered;
        let measured = |key: &CostKey| {
            let mut boards = env.latency.board_types();
            boards.all(|board| env.latency.layer(board, key).is_some_and(|known| known.exact))
        };
        // Layers of one geometry are worth one measurement together, which counting each of them only approximates.
        let gain = |choice: &LayerChoice| match covered.contains(&choice.key) || measured(&choice.key) {
            true => 0.0,
            false => -1.0,
        };
        let prices = Prices { flash_bytes: env.limits.flash_bytes, latency_ticks: None, cost: &gain };
        let path = paths.problem(env, &prices).solve(&[])?;
        if path.cost == 0.0 {
            return Ok(None);
        }
        let keys = paths.stages().iter().zip(&path.arcs).map(|(choices, &arc)| choices[arc].key.clone());
        let bits = paths.bits(&path.arcs);
        self.covered.extend(keys);
        Ok(Some(Proposal::of_bits(env, bits)))
    }

    fn observe(&mut self, _: &Environment, _: &Outcome) -> Result<(), StrategyError> {
        Ok(())
    }

    fn save(&self) -> Result<Blob, StrategyError> {
        let mut covered: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for key in &self.covered {
            covered.entry(key.geometry.clone()).or_default().push(key.bits);
        }
        Ok(Blob::new(self.name(), &Header { covered }, &[]))
    }

    fn load(&mut self, blob: &Blob) -> Result<(), StrategyError> {
        let header: Header = blob.header(self.name())?;
        let keys = |(geometry, all): (String, Vec<_>)| {
            all.into_iter().map(move |bits| CostKey { geometry: geometry.clone(), bits })
        };
        self.covered = header.covered.into_iter().flat_map(keys).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::toy;

    #[test]
    fn every_combination_of_every_layer_is_covered_by_few_candidates() {
        let env = toy::environment(None, None);
        let mut profile = Profile::default();
        let mut covered = BTreeSet::new();
        let mut candidates = 0;
        while let Some(proposal) = profile.propose(&env).expect("a chain") {
            let (tensors, weights) = env.space.widths(&proposal.asked);
            covered.extend((0..weights.len()).map(|layer| env.latency.key(layer, &tensors, weights[layer])));
            candidates += 1;
        }
        // First layer 3 x 3, depthwise and pointwise 27 each, the pool 9, the last layer 9.
        assert_eq!(covered.len(), 9 + 27 + 27 + 9 + 9);
        // No design has fewer than 27.
        assert!(candidates <= 36, "{candidates} candidates");
    }
}
