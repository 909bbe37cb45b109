//! `ddpg`: HAQ's agent (Wang et al. 2019, `lib/rl/ddpg.py`) for 2, 4 or 8 bits.
//!
//! What differs from HAQ, on purpose: it learns from the bits that ran, not from the action that the projection overruled;
//! an episode starts from a fresh state; the terminal step is marked as such; the reward comes from validation samples. It proposes
//! nothing twice, and in the last part of the budget what its critic values highest of what lies next to the best candidate: noise
//! around an actor that is sure of itself changes many tensors at once, where one at a time would do.

mod adam;
mod config;
mod networks;
mod noise;
mod replay;

pub use config::DdpgConfig;
pub(super) use noise::standard_normal;

use super::history::History;
use super::{Blob, Outcome, Proposal, RngState, Strategy, StrategyError};
use crate::env::{Environment, action_of_bits, bits_of_action};
use bitrack_model::Bits;
use networks::ActorCritic;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use replay::{Replay, Transition};
use serde::{Deserialize, Serialize};

/// Steps in which the actor learns to do as good candidates did.
const IMITATION_STEPS: usize = 300;
/// Draws, each with more noise, before a known candidate is proposed after all.
const MAX_ATTEMPTS: i32 = 30;
/// Factor on the noise from draw to draw. An actor that is sure of itself asks for more than fits, and the projection makes the same of
/// all that is near: only draws that are far from it are news.
const WIDER: f64 = 1.2;
/// Share of the budget after which proposals come from around the best candidate.
const LOCAL_FROM: f64 = 0.65;

/// Deep deterministic policy gradient over one scalar action per tensor.
#[derive(Debug)]
pub struct Ddpg {
    config: DdpgConfig,
    networks: ActorCritic,
    replay: Replay,
    rng: ChaCha8Rng,
    proposed: usize,
    /// Moving average of the batches' mean reward, subtracted from rewards.
    baseline: Option<f64>,
    /// Whether it began from what another strategy found.
    warm: bool,
    /// Candidates that will be measured.
    budget: usize,
    /// What ran or will run because of it: measuring that again would teach nothing.
    history: History,
}

/// The saved state beside the networks' and the replay memory's numbers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    rng: RngState,
    proposed: usize,
    /// As bits: JSON would round it.
    baseline: Option<u64>,
    warm: bool,
    /// Checkpoints of earlier versions have no history, but the bits that were known.
    #[serde(default)]
    history: History,
    #[serde(default, skip_serializing)]
    known: Vec<Vec<Bits>>,
    updates: u32,
    transitions: usize,
    oldest: usize,
    capacity: usize,
}

impl Ddpg {
    /// A fresh agent, reproducible from its seed; `budget` candidates will be measured.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn new(seed: u64, config: DdpgConfig, budget: usize) -> Result<Self, StrategyError> {
        // The networks are far too small to share among threads, and a fixed number keeps sums in a fixed order.
        tch::set_num_threads(1);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let networks = ActorCritic::new(&mut rng)?;
        let (replay, history) = (Replay::default(), History::default());
        Ok(Self { config, networks, replay, rng, proposed: 0, baseline: None, warm: false, budget, history })
    }

    /// `wider` multiplies the noise.
    fn action(&mut self, state: &[f32], wider: f64) -> Result<f64, StrategyError> {
        let sigma = match (self.warm, self.proposed.checked_sub(self.config.warm_up)) {
            (true, _) => self.config.warm_sigma,
            (false, Some(after_warm_up)) => self.config.sigma(after_warm_up),
            (false, None) => return Ok(self.rng.random()),
        };
        let mean = self.networks.act(state)?;
        Ok(noise::truncated_normal(mean, (sigma * wider).min(1.0), &mut self.rng))
    }

    /// What the actor does, with more and more noise until it is new, if that can be had.
    fn drawn(&mut self, env: &Environment) -> Result<Proposal, StrategyError> {
        let mut proposal = Proposal::walk(env, |state| self.action(state, 1.0))?;
        for attempt in 1..=MAX_ATTEMPTS {
            if !self.history.knows(&env.project(&proposal.asked)) {
                break;
            }
            let wider = WIDER.powi(attempt);
            proposal = Proposal::walk(env, |state| self.action(state, wider))?;
        }
        Ok(proposal)
    }

    /// Of what lies next to the best candidate and is new, what the critic values highest.
    fn beside_the_best(&mut self, env: &Environment) -> Result<Option<Proposal>, StrategyError> {
        let mut best: Option<(f64, Proposal)> = None;
        for bits in self.history.beside_the_best(env) {
            let proposal = Proposal::of_bits(env, bits);
            let value = self.networks.value(&proposal.states, &proposal.actions)?;
            if best.as_ref().is_none_or(|(highest, _)| value > *highest) {
                best = Some((value, proposal));
            }
        }
        Ok(best.map(|(_, proposal)| proposal))
    }

    fn remember(&mut self, env: &Environment, outcome: &Outcome) {
        let Some(reward) = outcome.reward else { return };
        self.history.rewarded(&outcome.bits, reward);
        let transitions = transitions(env, outcome, reward);
        self.replay.set_capacity(self.config.replay_per_slot * transitions.len());
        transitions.into_iter().for_each(|transition| self.replay.push(transition));
    }

    /// Updates per transition, as many as the episode had, once there is something learned to follow.
    fn learn(&mut self, steps: usize) -> Result<(), StrategyError> {
        if (self.proposed <= self.config.warm_up && !self.warm) || self.replay.len() < self.config.batch {
            return Ok(());
        }
        for _ in 0..steps * self.config.updates_per_step {
            let batch = self.replay.sample(self.config.batch, &mut self.rng);
            let mean = batch.iter().map(|t| f64::from(t.reward)).sum::<f64>() / batch.len() as f64;
            // HAQ: the first batch sets the baseline, later ones move it by half.
            let baseline = self.baseline.map_or(mean, |old| old + 0.5 * (mean - old));
            self.baseline = Some(baseline);
            self.networks.update(&batch, baseline, &self.config)?;
        }
        Ok(())
    }
}

/// The transitions of an episode as if the agent had chosen what ran. Every step gets the episode's reward.
fn transitions(env: &Environment, outcome: &Outcome, reward: f64) -> Vec<Transition> {
    let states = env.states.episode(&outcome.bits);
    let steps = outcome.bits.len();
    let transition = |step: usize| {
        let asked = outcome.proposal.actions[step];
        let bits = outcome.bits[step];
        Transition {
            state: states[step],
            action: if bits_of_action(asked) == bits { asked } else { action_of_bits(bits) } as f32,
            reward: reward as f32,
            next: states[(step + 1).min(steps - 1)],
            terminal: step + 1 == steps,
        }
    };
    (0..steps).map(transition).collect()
}

impl Strategy for Ddpg {
    fn name(&self) -> &'static str {
        "ddpg"
    }

    fn propose(&mut self, env: &Environment) -> Result<Option<Proposal>, StrategyError> {
        let is_late = self.history.spent(self.budget) >= LOCAL_FROM;
        let nearby = if is_late { self.beside_the_best(env)? } else { None };
        let proposal = match nearby {
            Some(proposal) => proposal,
            None => self.drawn(env)?,
        };
        self.history.proposed(&env.project(&proposal.asked));
        self.proposed += 1;
        Ok(Some(proposal))
    }

    fn observe(&mut self, env: &Environment, outcome: &Outcome) -> Result<(), StrategyError> {
        if outcome.reward.is_none() {
            return Ok(());
        }
        self.remember(env, outcome);
        self.learn(outcome.bits.len())
    }

    /// Fills the replay memory, lets the critic see all of it, and then has the actor do as the best of them did.
    fn learn_from(&mut self, env: &Environment, outcomes: &[Outcome]) -> Result<(), StrategyError> {
        outcomes.iter().for_each(|outcome| self.remember(env, outcome));
        let mut best: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.reward.is_some()).collect();
        best.sort_by(|a, b| b.reward.unwrap_or(0.0).total_cmp(&a.reward.unwrap_or(0.0)));
        self.warm = !best.is_empty();
        for _ in 0..outcomes.len() {
            self.learn(env.space.len())?;
        }
        best.truncate(self.config.imitate);
        let examples: Vec<Transition> =
            best.iter().flat_map(|outcome| transitions(env, outcome, outcome.reward.unwrap_or(0.0))).collect();
        if !examples.is_empty() {
            self.networks.imitate(&examples, IMITATION_STEPS, &self.config)?;
        }
        Ok(())
    }

    fn save(&self) -> Result<Blob, StrategyError> {
        let header = Header {
            rng: RngState::of(&self.rng),
            proposed: self.proposed,
            baseline: self.baseline.map(f64::to_bits),
            warm: self.warm,
            history: self.history.clone(),
            known: Vec::new(),
            updates: self.networks.updates(),
            transitions: self.replay.len(),
            oldest: self.replay.oldest(),
            capacity: self.replay.capacity(),
        };
        let mut floats = self.networks.floats()?;
        floats.extend(self.replay.floats());
        Ok(Blob::new(self.name(), &header, &floats))
    }

    fn load(&mut self, blob: &Blob) -> Result<(), StrategyError> {
        let header: Header = blob.header(self.name())?;
        let floats = blob.floats();
        let wrong = || StrategyError::Checkpoint { reason: "it holds an agent of another size".into() };
        let replay_len = header.transitions * Transition::LEN;
        let (networks, replay) = floats.split_at_checked(floats.len().wrapping_sub(replay_len)).ok_or_else(wrong)?;
        if !self.networks.load(networks, header.updates)? {
            return Err(wrong());
        }
        self.replay = Replay::restore(replay, header.oldest, header.capacity);
        self.rng = header.rng.rng();
        self.proposed = header.proposed;
        self.baseline = header.baseline.map(f64::from_bits);
        self.warm = header.warm;
        self.history = header.history;
        header.known.iter().for_each(|bits| self.history.proposed(bits));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
