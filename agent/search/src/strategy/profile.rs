//! `profile`: a covering design. It proposes candidates that run every layer at every combination of weight, input and output bits, by
//! every variant of its kernel, as few as it can, so that afterwards any candidate's latency is a sum of measured layers.

use super::{Blob, Outcome, Proposal, Strategy, StrategyError};
use crate::env::{CostKey, Environment};
use crate::ilp::network::{LayerChoice, NetworkPaths, Prices};
use bitrack_model::{Site, Variant, Variants};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Its name in configuration and database.
pub const PROFILE: &str = "profile";

/// What is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ProfileConfig {
    /// By which variants of its kernel a layer is measured.
    pub variants: Ways,
}

/// Which of a layer's variants are covered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ways {
    /// Each that there is.
    #[default]
    All,
    /// The one that the campaign picks.
    Picked,
}

/// Each candidate is the one that runs most combinations not covered yet: greedy, but exact at each step.
#[derive(Debug)]
pub struct Profile {
    config: ProfileConfig,
    covered: BTreeSet<CostKey>,
    design: Option<Design>,
    /// Combinations that no candidate so far runs.
    left: usize,
}

/// All that there is to cover.
#[derive(Debug)]
struct Design {
    paths: NetworkPaths,
    /// Per choice of a layer: itself by every variant to measure.
    ways: HashMap<CostKey, Vec<CostKey>>,
}

/// A set of keys with their texts, which are long and few, apart.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    covered: BTreeMap<String, Vec<crate::env::LayerBits>>,
}

impl Design {
    fn new(env: &Environment, config: ProfileConfig) -> Result<Self, StrategyError> {
        let paths = NetworkPaths::new(env, env.limits.ram_bytes)?;
        let ways = |layer: usize, key: &CostKey| match config.variants {
            Ways::All => env.latency.by_variants(layer, key),
            Ways::Picked => vec![key.clone()],
        };
        let all = paths.stages().iter().enumerate().flat_map(|(layer, choices)| {
            choices.iter().map(move |choice| (choice.key.clone(), ways(layer, &choice.key)))
        });
        Ok(Self { ways: all.collect(), paths })
    }

    /// The ways of a choice that nobody has measured or is about to.
    fn missing<'a>(
        &'a self,
        env: &'a Environment,
        covered: &'a BTreeSet<CostKey>,
        key: &CostKey,
    ) -> impl Iterator<Item = &'a CostKey> {
        let is_known = |key: &CostKey| {
            let mut boards = env.latency.board_types();
            covered.contains(key) || boards.all(|board| env.latency.layer(board, key).is_some_and(|known| known.exact))
        };
        self.ways[key].iter().filter(move |way| !is_known(way))
    }
}

impl Profile {
    /// One that has covered nothing.
    pub fn new(config: ProfileConfig) -> Self {
        Self { config, covered: BTreeSet::new(), design: None, left: 0 }
    }

    /// The layers of a candidate in the ways that are missing most; layers that are alike in different ones.
    fn assign<'a>(&self, env: &Environment, design: &Design, keys: impl Iterator<Item = &'a CostKey>) -> Vec<CostKey> {
        let mut taken = self.covered.clone();
        let way = |key: &CostKey| {
            let missing = design.missing(env, &taken, key).next();
            let way = missing.or_else(|| design.missing(env, &self.covered, key).next()).unwrap_or(key).clone();
            taken.insert(way.clone());
            way
        };
        keys.map(way).collect()
    }
}

/// What a candidate names for its layers.
fn told(ways: &[CostKey]) -> Variants {
    let site = |(layer, key): (usize, &CostKey)| -> Option<(Site, Variant)> {
        Some(((layer, [key.bits.weights?, key.bits.input, key.bits.output]), key.variant?))
    };
    Variants::told(ways.iter().enumerate().filter_map(site).collect())
}

impl Strategy for Profile {
    fn name(&self) -> &'static str {
        PROFILE
    }

    fn propose(&mut self, env: &Environment) -> Result<Option<Proposal>, StrategyError> {
        let design = match self.design.take() {
            Some(design) => design,
            None => Design::new(env, self.config)?,
        };
        let paths = &design.paths;
        // Layers of one geometry are worth as many measurements together as there are ways, which counting each of them only approximates.
        let gain = |choice: &LayerChoice| match design.missing(env, &self.covered, &choice.key).next() {
            Some(_) => -1.0,
            None => 0.0,
        };
        let prices = Prices { flash_bytes: env.limits.flash_bytes, latency_ticks: None, cost: &gain };
        let path = paths.problem(env, &prices).solve(&[])?;
        let proposal = (path.cost < 0.0).then(|| {
            let keys = paths.stages().iter().zip(&path.arcs).map(|(choices, &arc)| &choices[arc].key);
            let ways = self.assign(env, &design, keys);
            let variants = (self.config.variants == Ways::All).then(|| told(&ways));
            self.covered.extend(ways);
            Proposal { variants, ..Proposal::of_bits(env, paths.bits(&path.arcs)) }
        });
        self.left = design.ways.keys().map(|key| design.missing(env, &self.covered, key).count()).sum();
        self.design = Some(design);
        Ok(proposal)
    }

    fn observe(&mut self, _: &Environment, _: &Outcome) -> Result<(), StrategyError> {
        Ok(())
    }

    fn remark(&self) -> Option<String> {
        let left = self.left;
        (left > 0)
            .then(|| format!("{left} combinations of layers, bits and variants are left: profile again, with --as NEW"))
    }

    fn save(&self) -> Result<Blob, StrategyError> {
        let mut covered: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for key in &self.covered {
            covered.entry(key.text()).or_default().push(key.bits);
        }
        Ok(Blob::new(self.name(), &Header { covered }, &[]))
    }

    fn load(&mut self, blob: &Blob) -> Result<(), StrategyError> {
        let header: Header = blob.header(self.name())?;
        let keys =
            |(text, all): (String, Vec<_>)| all.into_iter().map(move |bits| CostKey::of_text(text.clone(), bits));
        self.covered = header.covered.into_iter().flat_map(keys).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::toy;

    /// What all candidates run, and how many they are.
    fn covered(variants: Ways) -> (BTreeSet<CostKey>, usize) {
        let mut env = toy::environment(None, None);
        let mut profile = Profile::new(ProfileConfig { variants });
        let (mut covered, mut candidates) = (BTreeSet::new(), 0);
        while let Some(proposal) = profile.propose(&env).expect("a chain") {
            let (tensors, weights) = env.space.widths(&proposal.asked);
            assert_eq!(proposal.variants.is_some(), variants == Ways::All);
            env.latency.set_variants(proposal.variants.unwrap_or_default());
            covered.extend((0..weights.len()).map(|layer| env.latency.key(layer, &tensors, weights[layer])));
            candidates += 1;
        }
        assert_eq!(profile.remark(), None);
        (covered, candidates)
    }

    #[test]
    fn every_combination_of_every_layer_is_covered_by_few_candidates() {
        let (covered, candidates) = covered(Ways::Picked);
        // First layer 3 x 3, depthwise and pointwise 27 each, the pool 9, the last layer 9.
        assert_eq!(covered.len(), 9 + 27 + 27 + 9 + 9);
        // No design has fewer than 27.
        assert!(candidates <= 36, "{candidates} candidates");
    }

    #[test]
    fn every_variant_of_every_layer_is_covered_too() {
        let (covered, candidates) = covered(Ways::All);
        // Rows beside general for the depthwise layer, and pixels for the pointwise one, which below 8 bits wants eight channels and has four.
        assert_eq!(covered.len(), 9 + 2 * 27 + (2 * 9 + 18) + 9 + 9);
        // No design has fewer than 54.
        assert!(candidates <= 64, "{candidates} candidates");
    }

    #[test]
    fn what_a_budget_cuts_short_is_told() {
        let env = toy::environment(None, None);
        let mut profile = Profile::new(ProfileConfig::default());
        profile.propose(&env).expect("a chain");
        // Five of 117 are covered.
        let said = profile.remark().expect("much is left");
        assert!(said.starts_with("112 combinations"), "{said}");
    }
}
