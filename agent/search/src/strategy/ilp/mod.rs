//! `ilp`: HAWQ-V3's bit allocation (Yao et al. 2021), exact, over sensitivities measured on the host; then again and again with what
//! the measured candidates teach.
//!
//! The first proposal is the best choice of bits under flash, RAM and predicted latency if every tensor's loss were what
//! it is alone. Afterwards each measured accuracy corrects the losses ([`losses`]); proposals alternate between the best choice
//! by the most likely losses and the best by losses drawn from what is still possible (Thompson 1933), so that doubts
//! are looked into. Nothing is proposed twice.
//!
//! RAM is met layer by layer, which is less than the planner may need. So choices are enumerated in the order of their losses until the
//! planner bears one: that is the best. What a choice's plan needs depends on its activations and scratch only, so that one look rules out
//! all choices that share them.

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

/// Plans looked at for one proposal that need more RAM than their layers do, before layers are held to less. A count, not a time: a
/// search that is repeated finds the same.
const MAX_PLANS: usize = 2000;
/// Partial paths looked at for one proposal until then.
const MAX_LABELS: usize = 10_000_000;
/// Plans looked at when layers are held to less.
const MAX_SKIPPED: usize = 200;

/// What layers are held to in turn then, in sixteenths of the RAM limit: a plan can need more than the layer that needs most, because
/// what lies over what of one layer must suit the next.
const RAM_SHARES: [u64; 3] = [15, 13, 11];
const RAM_SHARE: u64 = 16;

/// What is said of a proposal found that way.
const UNPROVEN: &str = "too many plans need more RAM than their layers: layers were held to less, and what that finds is within the limits but \
                        not provably the best";

/// The strategy.
#[derive(Debug)]
pub struct Ilp {
    rng: ChaCha8Rng,
    sensitivity: Option<Sensitivity>,
    /// Everything proposed, in order.
    proposed: Vec<Vec<Bits>>,
    seen: Vec<Seen>,
    paths: Option<NetworkPaths>,
    /// Proposals that are within the limits and not provably the best.
    unproven: usize,
    /// Plans looked at for a proof: [`MAX_PLANS`].
    plans: usize,
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
    #[serde(default)]
    unproven: usize,
}

impl Ilp {
    /// Reproducible from its seed; the first proposal does not depend on it.
    pub fn new(seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self {
            rng,
            sensitivity: None,
            proposed: Vec::new(),
            seen: Vec::new(),
            paths: None,
            unproven: 0,
            plans: MAX_PLANS,
        }
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
    fn best(&mut self, env: &Environment, losses: &[[f64; 3]]) -> Result<Option<Vec<Bits>>, StrategyError> {
        let Some(paths) = &self.paths else { return Ok(None) };
        let mut found = self.best_of(env, paths, losses, self.plans)?;
        let is_proven = !matches!(found, Found::TooLarge);
        for share in &RAM_SHARES {
            let (Found::TooLarge, Some(ram)) = (&found, env.limits.ram_bytes) else { break };
            let paths = NetworkPaths::new(env, Some(ram * share / RAM_SHARE))?;
            found = self.best_of(env, &paths, losses, MAX_SKIPPED)?;
        }
        if !is_proven {
            self.unproven += 1;
            tracing::warn!(proposal = self.proposed.len(), "{UNPROVEN}");
        }
        Ok(if let Found::Choice(bits) = found { Some(bits) } else { None })
    }

    /// The best choice among `paths`, as long as it is among the first ones: those with the best `plans` ways to use RAM.
    fn best_of(
        &self,
        env: &Environment,
        paths: &NetworkPaths,
        losses: &[[f64; 3]],
        plans: usize,
    ) -> Result<Found, StrategyError> {
        let cost = |choice: &LayerChoice| choice.settles.iter().map(|&(slot, width)| losses[slot][width.index()]).sum();
        let latency_ticks = env.limits.latency_ticks.map(|limit| limit as f64);
        let prices = Prices { flash_bytes: env.limits.flash_bytes, latency_ticks, cost: &cost };
        let problem = paths.problem(env, &prices);
        let mut forbidden = paths.forbidden();
        self.proposed.iter().filter_map(|bits| paths.path(bits)).for_each(|path| forbidden.path(&path));
        let mut solver = match problem.solver() {
            Ok(solver) => solver,
            Err(IlpError::Conflict | IlpError::Infeasible { .. }) => return Ok(Found::Nothing),
            Err(error) => return Err(error.into()),
        };
        for plan in 0..plans {
            let path = match solver.next(&forbidden) {
                Ok(path) => path,
                Err(IlpError::Conflict | IlpError::Infeasible { .. }) => return Ok(Found::Nothing),
                // What was forbidden makes it hard.
                Err(IlpError::TooHard) if plan > 0 => break,
                Err(error) => return Err(error.into()),
            };
            let bits = paths.bits(&path.arcs);
            // The planner may need a little more than the layer that needs most.
            if env.costs.fit(&bits, &env.limits) {
                return Ok(Found::Choice(bits));
            }
            match env.limits.ram_bytes.is_some_and(|limit| env.costs.ram_bytes(&bits) > limit) {
                true => forbidden.all_like(&path.arcs),
                false => forbidden.path(&path.arcs),
            }
            if solver.labels() > MAX_LABELS {
                break;
            }
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

    fn remark(&self) -> Option<String> {
        (self.unproven > 0).then(|| format!("at {} of {} proposals {UNPROVEN}", self.unproven, self.proposed.len()))
    }

    fn save(&self) -> Result<Blob, StrategyError> {
        let (rng, proposed, seen) = (RngState::of(&self.rng), self.proposed.clone(), self.seen.clone());
        let floats = self.sensitivity.as_ref().map_or_else(Vec::new, Sensitivity::floats);
        Ok(Blob::new(self.name(), &Header { rng, proposed, seen, unproven: self.unproven }, &floats))
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
        self.unproven = header.unproven;
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
mod tests;
