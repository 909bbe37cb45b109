//! What a strategy has proposed and what came of it, so that it proposes nothing twice and can look around the best.

use super::nearby::neighbours;
use crate::env::Environment;
use bitrack_model::Bits;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Choices of bits in the order in which they were first proposed or, if others proposed them, measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    tried: Vec<Tried>,
    /// The neighbours of those that were looked around, which take a while to find.
    #[serde(skip)]
    nearby: HashMap<Vec<Bits>, Vec<Vec<Bits>>>,
}

/// One choice, and its reward as the bits of an f64 once that is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tried {
    bits: Vec<Bits>,
    reward: Option<u64>,
}

impl History {
    /// Whether these bits were proposed or measured.
    pub fn knows(&self, bits: &[Bits]) -> bool {
        self.tried.iter().any(|tried| tried.bits == bits)
    }

    /// Notes a proposal.
    pub fn proposed(&mut self, bits: &[Bits]) {
        if !self.knows(bits) {
            self.tried.push(Tried { bits: bits.to_vec(), reward: None });
        }
    }

    /// Notes a reward; whether it is news.
    pub fn rewarded(&mut self, bits: &[Bits], reward: f64) -> bool {
        self.proposed(bits);
        let tried = self.tried.iter_mut().find(|tried| tried.bits == bits);
        tried.is_some_and(|tried| tried.reward.replace(reward.to_bits()).is_none())
    }

    /// Everything of which the reward is known.
    pub fn rewards(&self) -> impl Iterator<Item = (&[Bits], f64)> {
        self.tried.iter().filter_map(|tried| Some((tried.bits.as_slice(), f64::from_bits(tried.reward?))))
    }

    /// The share of a budget that is spent.
    pub fn spent(&self, budget: usize) -> f64 {
        self.rewards().count() as f64 / budget.max(1) as f64
    }

    /// What lies next to the best candidate and is not known; where all of that is, next to the second best, and so on.
    pub fn beside_the_best(&mut self, env: &Environment) -> Vec<Vec<Bits>> {
        let mut centers: Vec<(Vec<Bits>, f64)> = self.rewards().map(|(bits, reward)| (bits.to_vec(), reward)).collect();
        centers.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (center, _) in centers {
            let new: Vec<Vec<Bits>> = self.beside(env, &center).into_iter().filter(|bits| !self.knows(bits)).collect();
            if !new.is_empty() {
                return new;
            }
        }
        Vec::new()
    }

    fn beside(&mut self, env: &Environment, center: &[Bits]) -> Vec<Vec<Bits>> {
        self.nearby.entry(center.to_vec()).or_insert_with(|| neighbours(env, center)).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::toy;

    #[test]
    fn the_neighbours_of_the_best_are_told_until_each_was_proposed() {
        let env = toy::environment(None, None);
        let (good, bad) = (env.space.uniform(Bits::Eight, Bits::Four), env.space.uniform(Bits::Two, Bits::Two));
        let mut history = History::default();
        assert!(history.beside_the_best(&env).is_empty());
        assert!(history.rewarded(&bad, -3.0));
        assert!(history.rewarded(&good, -1.0));
        assert!(!history.rewarded(&good, -1.0), "no news");
        let near = history.beside_the_best(&env);
        assert_eq!(near.len(), 2 * good.len());
        history.proposed(&near[3]);
        assert!(history.knows(&near[3]));
        assert_eq!(history.beside_the_best(&env).len(), near.len() - 1);
        assert_eq!(history.spent(4), 0.5, "a proposal without a reward costs nothing yet");
    }
}
