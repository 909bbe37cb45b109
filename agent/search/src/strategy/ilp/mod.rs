//! `ilp`: HAWQ-V3's bit allocation (Yao et al. 2021), exact, over sensitivities measured on the host; then again and again with what
//! the measured candidates teach.
//!
//! The first proposal is the best choice of bits under flash, RAM and predicted latency if every tensor's loss were what
//! it is alone. Afterwards each measured accuracy corrects the losses ([`losses`]); proposals alternate between the best choice
//! by the most likely losses and the best by losses drawn from what is still possible (Thompson 1933), so that doubts
//! are looked into. Nothing is proposed twice.

mod losses;

use super::ddpg::standard_normal;
use super::{Blob, Outcome, Proposal, RngState, Strategy, StrategyError};
use crate::env::{Environment, Sensitivity};
use crate::ilp::IlpError;
use crate::ilp::network::{LayerChoice, NetworkPaths, Prices};
use bitrack_model::Bits;
use losses::{Losses, Seen};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Choices skipped because their plan needs more RAM than their layers do, before layers are held to less.
const MAX_SKIPPED: usize = 200;

/// What layers are held to in turn, in sixteenths of the RAM limit: a plan can need more than the layer that needs most, because
/// what lies over what of one layer must suit the next.
const RAM_SHARES: [u64; 4] = [16, 15, 13, 11];

/// The strategy.
#[derive(Debug)]
pub struct Ilp {
    rng: ChaCha8Rng,
    sensitivity: Option<Sensitivity>,
    /// Everything proposed, in order.
    proposed: Vec<Vec<Bits>>,
    seen: Vec<Seen>,
    paths: Option<NetworkPaths>,
}

/// What looking for a choice comes to.
enum Found {
    Choice(Vec<Bits>),
    /// Nothing within the limits is left.
    Nothing,
    /// Of all that were looked at, the plans need more RAM than there is.
    TooLarge,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    rng: RngState,
    proposed: Vec<Vec<Bits>>,
    seen: Vec<Seen>,
}

impl Ilp {
    /// Reproducible from its seed; the first proposal does not depend on it.
    pub fn new(seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { rng, sensitivity: None, proposed: Vec::new(), seen: Vec::new(), paths: None }
    }

    fn prepare(&mut self, env: &Environment) -> Result<(), StrategyError> {
        if self.sensitivity.is_none() {
            tracing::info!(tensors = env.space.len(), "measuring sensitivities on this host");
            self.sensitivity = Some(Sensitivity::measure(&env.space, env.judge.as_ref())?.rounded());
        }
        if self.paths.is_none() {
            self.paths = Some(NetworkPaths::new(env, env.limits.ram_bytes)?);
        }
        Ok(())
    }

    /// The best choice by `losses` that was not proposed before; `None` when all were.
    fn best(&self, env: &Environment, losses: &[[f64; 3]]) -> Result<Option<Vec<Bits>>, StrategyError> {
        let Some(paths) = &self.paths else { return Ok(None) };
        let mut found = self.best_of(env, paths, losses)?;
        for share in &RAM_SHARES[1..] {
            let (Found::TooLarge, Some(ram)) = (&found, env.limits.ram_bytes) else { break };
            found = self.best_of(env, &NetworkPaths::new(env, Some(ram * share / RAM_SHARES[0]))?, losses)?;
        }
        Ok(if let Found::Choice(bits) = found { Some(bits) } else { None })
    }

    /// The best choice among `paths`.
    fn best_of(&self, env: &Environment, paths: &NetworkPaths, losses: &[[f64; 3]]) -> Result<Found, StrategyError> {
        let cost = |choice: &LayerChoice| choice.settles.iter().map(|&(slot, width)| losses[slot][width.index()]).sum();
        let latency_ticks = env.limits.latency_ticks.map(|limit| limit as f64);
        let prices = Prices { flash_bytes: env.limits.flash_bytes, latency_ticks, cost: &cost };
        let problem = paths.problem(env, &prices);
        let mut excluded: Vec<Vec<usize>> = self.proposed.iter().filter_map(|bits| paths.path(bits)).collect();
        for _ in 0..MAX_SKIPPED {
            let path = match problem.solve(&excluded) {
                Ok(path) => path,
                Err(IlpError::Conflict | IlpError::Infeasible { .. }) => return Ok(Found::Nothing),
                Err(error) => return Err(error.into()),
            };
            let bits = paths.bits(&path.arcs);
            // The planner may need a little more than the layer that needs most.
            if env.costs.fit(&bits, &env.limits) {
                return Ok(Found::Choice(bits));
            }
            excluded.push(path.arcs);
        }
        Ok(Found::TooLarge)
    }
}

impl Strategy for Ilp {
    fn name(&self) -> &'static str {
        "ilp"
    }

    fn propose(&mut self, env: &Environment) -> Result<Option<Proposal>, StrategyError> {
        self.prepare(env)?;
        let Some(sensitivity) = &self.sensitivity else { return Ok(None) };
        let losses = Losses::new(sensitivity, &self.seen);
        let losses = match self.proposed.len() % 2 {
            0 => losses.likely(),
            _ => losses.sample(|| standard_normal(&mut self.rng)),
        };
        let found = match self.best(env, &losses)? {
            None if self.proposed.is_empty() => Some(self.fallback(env)),
            found => found,
        };
        let Some(bits) = found else { return Ok(None) };
        self.proposed.push(bits.clone());
        Ok(Some(Proposal::of_bits(env, bits)))
    }

    fn observe(&mut self, _: &Environment, outcome: &Outcome) -> Result<(), StrategyError> {
        if let Some(measured) = outcome.measured.filter(|_| outcome.reward.is_some()) {
            self.seen.push(Seen::new(&outcome.bits, measured.accuracy));
        }
        Ok(())
    }

    fn save(&self) -> Result<Blob, StrategyError> {
        let (rng, proposed, seen) = (RngState::of(&self.rng), self.proposed.clone(), self.seen.clone());
        let floats = self.sensitivity.as_ref().map_or_else(Vec::new, Sensitivity::floats);
        Ok(Blob::new(self.name(), &Header { rng, proposed, seen }, &floats))
    }

    fn load(&mut self, blob: &Blob) -> Result<(), StrategyError> {
        let header: Header = blob.header(self.name())?;
        let sensitivity = Sensitivity::from_floats(&blob.floats());
        let slots = header.proposed.first().map_or(sensitivity.len(), Vec::len);
        if !sensitivity.is_empty() && sensitivity.len() != slots {
            return Err(StrategyError::Checkpoint { reason: "its sensitivities are another network's".into() });
        }
        self.sensitivity = (!sensitivity.is_empty()).then_some(sensitivity);
        (self.rng, self.proposed, self.seen) = (header.rng.rng(), header.proposed, header.seen);
        Ok(())
    }
}

impl Ilp {
    /// What to begin with when predictions say that no choice is fast enough: the boards shall say so.
    fn fallback(&self, env: &Environment) -> Vec<Bits> {
        env.project(&env.space.uniform(Bits::Eight, Bits::Eight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Costs, Judge, toy};

    /// A planner that needs an eighth more than the layer that needs most.
    #[derive(Debug)]
    struct Wasteful(toy::ToyCosts);

    impl Costs for Wasteful {
        fn flash_bytes(&self, bits: &[Bits]) -> u64 {
            self.0.flash_bytes(bits)
        }

        fn ram_bytes(&self, bits: &[Bits]) -> u64 {
            let exact = self.0.ram_bytes(bits);
            exact + exact / 8
        }

        fn layer_ram(&self, bits: &[Bits]) -> Vec<u64> {
            self.0.layer_ram(bits)
        }
    }

    #[test]
    fn plans_that_need_more_than_their_layers_are_not_taken_for_impossible() {
        let mut env = toy::environment(None, Some(500));
        env.costs = Box::new(Wasteful(toy::ToyCosts(env.space.clone())));
        let mut ilp = Ilp::new(1);
        for _ in 0..3 {
            let bits = ilp.propose(&env).expect("solves").expect("there are some").asked;
            assert!(env.costs.footprint(&bits).within(&env.limits));
        }
    }

    #[test]
    fn the_first_proposal_is_the_optimum_and_none_is_repeated() {
        let env = toy::environment(Some(70), Some(300));
        let mut ilp = Ilp::new(1);
        let first = ilp.propose(&env).expect("solves").expect("feasible").asked;
        let divergence = |bits: &[Bits]| toy::ToyJudge.divergence(bits).expect("never fails");
        let mut seen = vec![first.clone()];
        for _ in 0..40 {
            let next = ilp.propose(&env).expect("solves").expect("there are more").asked;
            assert!(env.costs.footprint(&next).within(&env.limits));
            assert!(divergence(&next) >= divergence(&first) - 1e-6);
            assert!(!seen.contains(&next));
            seen.push(next);
        }
    }

    #[test]
    fn a_small_space_is_exhausted() {
        let least = toy::environment(None, None).costs.footprint(&[Bits::Two; 8]);
        let env = toy::environment(Some(least.flash_bytes), Some(least.ram_bytes));
        let mut ilp = Ilp::new(1);
        let mut count = 0;
        while ilp.propose(&env).expect("solves").is_some() {
            count += 1;
            assert!(count < 100, "only the widths of small tensors are free");
        }
        assert!(count >= 1);
    }
}
