//! The search itself: propose, wait, reward, learn; in an order that a resumed agent repeats exactly.

use super::AgentError;
use super::api::{Episode, Reward, RewardWall};
use super::episodes::{Request, Session, Settled};
use super::latency;
use super::queue::{Pending, Progress, Subject, proposal};
use super::training::EpisodeRun;
use crate::env::{Environment, Measured, Ran, action_of_bits, reward};
use crate::qat::Watch;
use crate::strategy::{MAX_REPEATS, Outcome, Strategy};
use bitrack_model::Bits;
use std::collections::HashMap;
use std::time::Instant;

/// Failed episodes in a row after which the rack is given up.
const MAX_FAILURES: usize = 10;

/// What people read while a strategy trains before its first proposal.
const PREPARATION: &str = "bits and shared weights";

/// A strategy at work on a campaign.
///
/// Up to as many candidates as there are boards are in flight, and outcomes are observed in the order of the proposals:
/// so the sequence of proposals and observations does not depend on which board is faster.
pub struct Search<'a> {
    session: &'a Session,
    env: Environment,
    strategy: &'a mut dyn Strategy,
    /// Validation accuracy of 8 bits everywhere.
    reference: f64,
    window: usize,
    progress: Progress,
    /// Rewards and measurements of bits that the strategy may know.
    known: HashMap<Vec<Bits>, (f64, Measured)>,
    failures: usize,
    since_checkpoint: usize,
    /// The first episode that is not a baseline.
    first: u32,
}

impl<'a> Search<'a> {
    /// A search that goes on where the last checkpoint was, or begins with episode `first`.
    ///
    /// # Errors
    /// A checkpoint of another model or strategy.
    pub fn new(
        session: &'a Session,
        mut env: Environment,
        strategy: &'a mut dyn Strategy,
        reference: f64,
        first: u32,
    ) -> Result<Self, AgentError> {
        let builder = &session.builder;
        let subject = Subject { network: builder.network_id(), data: builder.splits().id() };
        let progress = match session.start.checkpoint {
            Some(_) => Progress::load(&session.client.checkpoint()?, subject, &mut env, strategy)?,
            None => Progress::new(subject, first),
        };
        let window = match session.options.in_flight {
            Some(window) => window,
            None => boards(session)?,
        };
        let known = HashMap::new();
        let mut search = Self {
            session,
            env,
            strategy,
            reference,
            window,
            progress,
            known,
            failures: 0,
            since_checkpoint: 0,
            first,
        };
        search.remember(first)?;
        Ok(search)
    }

    /// What the strategy acts in.
    pub fn env(&self) -> &Environment {
        &self.env
    }

    /// What the strategy had observed at the checkpoint.
    fn remember(&mut self, first: u32) -> Result<(), AgentError> {
        for index in first..self.progress.next_index {
            if self.progress.pending.iter().any(|pending| pending.index == Some(index)) {
                continue;
            }
            let (episode, settled) = self.session.settle(index)?;
            if let Some(value) = self.value(&settled) {
                self.known.insert(self.session.bits_of(&episode)?, value);
            }
        }
        Ok(())
    }

    /// Until the budget is spent or the strategy has nothing left; says which.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn run(mut self) -> Result<String, AgentError> {
        if self.session.start.checkpoint.is_none() {
            // What is predicted from grows with every measurement: an agent that dies must begin again from the same.
            self.save()?;
        }
        self.prepare()?;
        loop {
            while self.may_propose() {
                self.propose()?;
            }
            let Some(pending) = self.progress.pending.pop_front() else { break };
            self.observe(pending)?;
            self.checkpoint()?;
        }
        let measured = self.progress.measured;
        let remarks = self.strategy.remark().into_iter().chain(self.too_slow());
        let remark: String = remarks.map(|remark| format!("; {remark}")).collect();
        let end = match measured >= self.session.start.budget {
            true => format!("budget reached: {measured} candidates measured"),
            false => format!("{measured} candidates measured; `{}` has nothing new to propose", self.strategy.name()),
        };
        Ok(end + &remark)
    }

    /// What to say when nothing that was measured is within the latency limit.
    fn too_slow(&self) -> Option<String> {
        let limit = self.env.limits.latency_ticks?;
        let mut ticks = self.known.values().filter_map(|(_, measured)| measured.ticks);
        if ticks.any(|ticks| ticks <= limit) { None } else { latency::unmet(&self.env, limit) }
    }

    /// What the strategy does before it proposes anything; a checkpoint after each part.
    fn prepare(&mut self) -> Result<(), AgentError> {
        let every = self.session.options.training_checkpoint_every;
        let mut watch =
            EpisodeRun::new(&self.session.client, self.progress.next_index, Some(PREPARATION), every, false);
        while let Some(told) = self.strategy.prepare(&self.env)? {
            watch.tell(&told)?;
            self.save()?;
        }
        Ok(())
    }

    fn may_propose(&self) -> bool {
        let progress = &self.progress;
        let spent = progress.measured + progress.in_flight();
        !progress.exhausted && progress.pending.len() < self.window && spent < self.session.start.budget
    }

    fn propose(&mut self) -> Result<(), AgentError> {
        let start = Instant::now();
        let Some(proposal) = self.strategy.propose(&self.env)? else {
            self.progress.exhausted = true;
            return Ok(());
        };
        proposal.check(self.strategy.name(), &self.env)?;
        let bits = self.env.project(&proposal.asked);
        let repeats = |pending: &Pending| pending.bits == bits;
        // With variants of its own it is another candidate.
        let is_own = proposal.variants.is_some();
        if !is_own && (self.known.contains_key(&bits) || self.progress.pending.iter().any(repeats)) {
            self.progress.repeats += 1;
            self.progress.exhausted = self.progress.repeats >= MAX_REPEATS;
            self.progress.pending.push_back(Pending { index: None, proposal, bits });
            return Ok(());
        }
        self.progress.repeats = 0;
        let pending = self.submit(proposal, bits, start.elapsed().as_secs_f64() * 1e3)?;
        self.progress.pending.push_back(pending);
        Ok(())
    }

    fn submit(
        &mut self,
        proposal: crate::strategy::Proposal,
        bits: Vec<Bits>,
        propose_ms: f64,
    ) -> Result<Pending, AgentError> {
        let index = self.progress.next_index;
        let strategy = self.strategy.name();
        let proposed = Some(&proposal);
        let network = self.strategy.network(&bits)?;
        let request = Request {
            index,
            label: None,
            strategy,
            bits: &bits,
            proposal: proposed,
            propose_ms,
            latency: Some(&self.env.latency),
            network,
        };
        let episode = self.session.submit(&request)?;
        self.progress.next_index += 1;
        let ran = self.session.bits_of(&episode)?;
        let proposal = if ran == bits { proposal } else { self.adopted(&episode, &ran) };
        Ok(Pending { index: Some(index), proposal, bits: ran })
    }

    /// The decisions of an episode that an earlier version of this strategy proposed.
    fn adopted(&self, episode: &Episode, bits: &[Bits]) -> crate::strategy::Proposal {
        let actions = episode.steps.iter().zip(bits);
        proposal(&self.env, actions.map(|(step, &bits)| step.raw_action.unwrap_or(action_of_bits(bits))).collect())
    }

    fn observe(&mut self, pending: Pending) -> Result<(), AgentError> {
        let Some(index) = pending.index else {
            // Its twin was observed before it, unless that one failed and taught nothing.
            let value = self.known.get(&pending.bits).copied();
            return self.learn(pending, value).map(drop);
        };
        let (episode, settled) = self.session.settle(index)?;
        let row = &episode.candidate;
        let value = self.value(&settled);
        let reward = value.map(|(reward, _)| reward);
        tracing::info!(episode = index, accuracy = row.accuracy, ticks = row.ticks, reward, "{}", told(&settled));
        self.count(&settled)?;
        let bits = pending.bits.clone();
        learn_latency(&mut self.env, &bits, &episode);
        self.env.latency.fit();
        let learn_ms = self.learn(pending, value)?;
        self.reward(index, &bits, &settled, learn_ms)
    }

    fn learn(&mut self, pending: Pending, value: Option<(f64, Measured)>) -> Result<f64, AgentError> {
        let start = Instant::now();
        let (reward, measured) = value.unzip();
        let outcome = Outcome { proposal: pending.proposal, bits: pending.bits, reward, measured };
        self.strategy.observe(&self.env, &outcome)?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    }

    fn count(&mut self, settled: &Settled) -> Result<(), AgentError> {
        match settled {
            Settled::Measured(_) => self.progress.measured += 1,
            Settled::Infeasible(_) => {}
            Settled::Failed(reason) => {
                self.failures += 1;
                if self.failures >= MAX_FAILURES {
                    return Err(AgentError::Rig { count: self.failures, reason: reason.clone() });
                }
                return Ok(());
            }
        }
        self.failures = 0;
        Ok(())
    }

    /// The reward of what happened, and what it follows from; `None` when nothing was learned about the candidate.
    fn value(&self, settled: &Settled) -> Option<(f64, Measured)> {
        let measured = match settled {
            Settled::Measured(measured) => *measured,
            Settled::Infeasible(_) => Measured { accuracy: 0.0, ticks: None },
            Settled::Failed(_) => return None,
        };
        Some((reward(measured, self.reference, self.env.limits.latency_ticks), measured))
    }

    /// Tells the daemon what an episode was worth, and remembers it.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn reward(&mut self, index: u32, bits: &[Bits], settled: &Settled, learn_ms: f64) -> Result<(), AgentError> {
        let Some((reward, measured)) = self.value(settled) else { return Ok(()) };
        // A baseline is no twin of a candidate with other weights.
        if index >= self.first || !self.strategy.has_own_weights() {
            self.known.insert(bits.to_vec(), (reward, measured));
        }
        if self.session.past(index).is_some_and(|past| past.candidate.reward.is_some()) {
            return Ok(());
        }
        let step_rewards = Some(vec![reward; bits.len()]);
        self.session.client.reward(index, &Reward { reward, step_rewards, wall: RewardWall { learn_ms } })
    }

    fn checkpoint(&mut self) -> Result<(), AgentError> {
        self.since_checkpoint += 1;
        if self.since_checkpoint < self.session.options.checkpoint_every {
            return Ok(());
        }
        self.since_checkpoint = 0;
        self.save()
    }

    fn save(&self) -> Result<(), AgentError> {
        let bytes = self.progress.save(&self.env, self.strategy)?;
        self.session.client.put_checkpoint(self.progress.next_index.saturating_sub(1), &bytes)
    }
}

/// Boards that can work on the campaign at once: those of its scarcest type.
fn boards(session: &Session) -> Result<usize, AgentError> {
    let rack = session.client.rack()?;
    let count = |name: &str| rack.boards.iter().filter(|board| board.board_type == name).count();
    Ok(session.start.board_types.iter().map(|kind| count(&kind.name)).min().unwrap_or(1).max(1))
}

/// The layers of a measurement, for predictions of others.
pub fn learn_latency(env: &mut Environment, bits: &[Bits], episode: &Episode) {
    let Some(measurement) = &episode.measurement else { return };
    let Some(ticks) = &measurement.ticks else { return };
    let layers: Vec<u64> = measurement.layers.iter().map(|layer| layer.ticks).collect();
    let ran = Ran { bits, variants: &episode.variants() };
    env.latency.observe(&env.space, &measurement.board_type, ran, &layers, ticks.median);
}

fn told(settled: &Settled) -> &str {
    match settled {
        Settled::Measured(_) => "measured",
        Settled::Infeasible(reason) | Settled::Failed(reason) => reason,
    }
}
