//! `one-shot`: FLIQS as published (Dotzel et al. 2023), with shared weights: policy and weights are trained together, once, and
//! what comes out is measured as it is.
//!
//! Every step draws a choice of bits from one categorical distribution per tensor, takes it to within the limits, and lets the
//! shared weights learn one batch at these bits. Then a few choices are compared on validation samples, and the
//! distributions are moved towards those that lost less (REINFORCE), under a penalty on entropy that ramps up. Only then is anything
//! proposed: the likeliest choice, and while the budget lasts the next likeliest ones, all with the weights as they are.
//!
//! `reinforce` is the other way round: it trains a policy only, and each of its rewards is a measurement of weights that were
//! quantized for these very bits.

mod config;
mod ranking;

pub use config::OneShotConfig;

use super::reinforce::{Categorical, SavedCategorical};
use super::{Blob, Outcome, Proposal, RngState, Strategy, StrategyError};
use crate::env::{Environment, Measured, SharedWeights, reward};
use crate::qat::Told;
use bitrack_model::{Bits, QuantizedModel};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use ranking::Ranking;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Its name in configuration and database.
pub const ONE_SHOT: &str = "one-shot";
/// Steps between two checkpoints.
const PART: usize = 20;
/// Choices looked at for one that is new and, as far as is known, fast enough, before the policy has nothing left to say.
const MAX_SKIPPED: usize = 2000;

/// The strategy.
#[derive(Debug)]
pub struct OneShot {
    config: OneShotConfig,
    seed: u64,
    rng: ChaCha8Rng,
    /// Known once the number of tensors is.
    policy: Option<Categorical>,
    weights: Option<Box<dyn SharedWeights>>,
    /// State of the shared weights, until there is an environment to make them in.
    saved: Option<Blob>,
    /// What the final policy would choose, from the first that was not looked at.
    ranking: Option<Ranking>,
    looked_at: usize,
    proposed: Vec<Vec<Bits>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    config: OneShotConfig,
    seed: u64,
    rng: RngState,
    policy: Option<SavedCategorical>,
    looked_at: usize,
    proposed: Vec<Vec<Bits>>,
    /// Name and header of the shared weights' state.
    weights: Option<(String, String)>,
}

impl OneShot {
    /// Reproducible from its seed.
    pub fn new(seed: u64, config: OneShotConfig) -> Self {
        Self {
            config,
            seed,
            rng: ChaCha8Rng::seed_from_u64(seed),
            policy: None,
            weights: None,
            saved: None,
            ranking: None,
            looked_at: 0,
            proposed: Vec::new(),
        }
    }

    /// Makes policy and weights, or takes them up where they were saved.
    fn begin(&mut self, env: &Environment) -> Result<(), StrategyError> {
        if self.weights.is_none() {
            let mut weights = env.training.shared_weights(&self.config.weights(self.seed))?;
            if let Some(saved) = &self.saved {
                weights.load(saved)?;
            }
            (self.weights, self.saved) = (Some(weights), None);
        }
        let choices = std::iter::repeat_n(Bits::ALL.len(), env.space.len());
        self.policy.get_or_insert_with(|| Categorical::new(choices, self.config.policy()));
        Ok(())
    }

    /// One step of both; the loss of the weights.
    fn step(&mut self, env: &Environment) -> Result<f64, StrategyError> {
        let Self { policy: Some(policy), weights: Some(weights), rng, config, .. } = self else { return Ok(0.0) };
        let learns = weights.steps() >= config.warm_up_steps();
        let draw = |_| env.project(&widths(&policy.sample(rng)));
        let choices: Vec<Vec<Bits>> = (0..if learns { config.samples } else { 1 }).map(draw).collect();
        let loss = weights.learn(&choices[0])?;
        if learns {
            for (bits, excess) in choices.iter().zip(weights.excess(&choices)?) {
                // As in `reinforce`, what ran is what is learned from.
                let ran: Vec<usize> = bits.iter().map(|bits| bits.index()).collect();
                policy.learn(&ran, lateness(env, bits) - excess);
            }
        }
        Ok(loss)
    }

    fn ranking(&mut self, policy: &Categorical) -> &mut Ranking {
        let looked_at = self.looked_at;
        self.ranking.get_or_insert_with(|| {
            let mut ranking = Ranking::new(&policy.probabilities());
            ranking.by_ref().take(looked_at).for_each(drop);
            ranking
        })
    }

    /// The likeliest choice that was not looked at; its bits within the limits.
    fn next(&mut self, env: &Environment) -> Option<(Vec<Bits>, Vec<Bits>)> {
        let policy = self.policy.clone()?;
        let asked = widths(&self.ranking(&policy).next()?);
        self.looked_at += 1;
        let bits = env.project(&asked);
        Some((asked, bits))
    }
}

fn widths(choices: &[usize]) -> Vec<Bits> {
    choices.iter().map(|&choice| Bits::ALL[choice]).collect()
}

/// The reward's term for latency, by prediction: 0 within the limit, or while nothing can be predicted, else negative.
fn lateness(env: &Environment, bits: &[Bits]) -> f64 {
    let ticks =
        env.limits.latency_ticks.and_then(|_| env.predict(bits)).map(|predicted| predicted.ticks.round() as u64);
    reward(Measured { accuracy: 0.0, ticks }, 0.0, env.limits.latency_ticks)
}

impl Strategy for OneShot {
    fn name(&self) -> &'static str {
        ONE_SHOT
    }

    fn prepare(&mut self, env: &Environment) -> Result<Option<Told>, StrategyError> {
        let start = Instant::now();
        self.begin(env)?;
        let (first, all) = (self.weights.as_ref().map_or(0, |weights| weights.steps()), self.config.steps);
        let last = (first + PART).min(all);
        if first >= last {
            return Ok(None);
        }
        let mut loss = 0.0;
        for _ in first..last {
            loss += self.step(env)? / (last - first) as f64;
        }
        let entropy = self.policy.as_ref().map_or(0.0, Categorical::entropy);
        tracing::info!(step = last, "policy of bits: entropy {entropy:.3} nats a tensor");
        let remaining_s = start.elapsed().as_secs_f64() * (all - last) as f64 / (last - first) as f64;
        Ok(Some(Told { step: last, steps: Some(all), share: last as f64 / all as f64, loss, remaining_s }))
    }

    fn propose(&mut self, env: &Environment) -> Result<Option<Proposal>, StrategyError> {
        while self.prepare(env)?.is_some() {}
        for _ in 0..MAX_SKIPPED {
            let Some((asked, bits)) = self.next(env) else { return Ok(None) };
            // The boards shall tell of the first, even if no choice seems fast enough.
            let too_slow = !self.proposed.is_empty() && lateness(env, &bits) < 0.0;
            if !too_slow && !self.proposed.contains(&bits) {
                self.proposed.push(bits);
                return Ok(Some(Proposal::of_bits(env, asked)));
            }
        }
        Ok(None)
    }

    fn observe(&mut self, _: &Environment, _: &Outcome) -> Result<(), StrategyError> {
        Ok(())
    }

    fn has_own_weights(&self) -> bool {
        true
    }

    fn network(&self, bits: &[Bits]) -> Result<Option<QuantizedModel>, StrategyError> {
        Ok(self.weights.as_ref().map(|weights| weights.network(bits)).transpose()?)
    }

    fn save(&self) -> Result<Blob, StrategyError> {
        let weights = match &self.weights {
            Some(weights) => Some(weights.save()?),
            None => self.saved.clone(),
        };
        let header = Header {
            config: self.config.clone(),
            seed: self.seed,
            rng: RngState::of(&self.rng),
            policy: self.policy.as_ref().map(Categorical::save),
            looked_at: self.looked_at,
            proposed: self.proposed.clone(),
            weights: weights.as_ref().map(|blob| (blob.strategy.clone(), blob.header.clone())),
        };
        let mut blob = Blob::new(self.name(), &header, &[]);
        blob.floats = weights.map_or_else(Vec::new, |weights| weights.floats);
        Ok(blob)
    }

    fn load(&mut self, blob: &Blob) -> Result<(), StrategyError> {
        let header: Header = blob.header(self.name())?;
        if header.config != self.config {
            let reason = "its `one-shot` options were others; a campaign cannot change them on its way".into();
            return Err(StrategyError::Checkpoint { reason });
        }
        let floats = &blob.floats;
        *self = Self {
            rng: header.rng.rng(),
            policy: header.policy.map(|policy| Categorical::restore(policy, self.config.policy())),
            saved: header.weights.map(|(strategy, header)| Blob { strategy, header, floats: floats.clone() }),
            looked_at: header.looked_at,
            proposed: header.proposed,
            ..Self::new(header.seed, header.config)
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
