//! The finalists of a campaign: its best candidates, fine-tuned for longer and measured again.
//!
//! Rewards are relative to 8 bits everywhere trained for as long: a finalist is compared with its like.

use super::AgentError;
use super::api::{Episode, EpisodeState, Reward, RewardWall};
use super::episodes::{Request, Session, Settled};
use super::limits::resolve;
use super::results::{feasible, front};
use super::run::{accuracy_of_reference, report};
use crate::candidate::Candidate;
use crate::env::{Limits, Measured, Objective, reward};
use crate::qat::FineTune;
use bitrack_model::Bits;

/// The campaign's strategy in `hil.toml`'s and the API's words. It proposes nothing new.
pub const FINALISTS: &str = "finalists";
/// Steps of a finalist's training where the campaign names none.
const STEPS: usize = 600;
/// The baseline that rewards are relative to, as every search labels it.
const REFERENCE: &str = "uniform 8/8";

/// One of the episodes that the campaign is made of.
struct Entry {
    label: String,
    strategy: &'static str,
    bits: Vec<Bits>,
}

/// Those without a measurement, each with the reason.
#[derive(Default)]
struct Ended {
    /// By their own fault.
    unfit: Vec<String>,
    /// By the boards' or the rig's.
    unmeasured: Vec<String>,
}

/// The campaign's episodes so far; none is made twice.
struct Book<'a> {
    session: &'a Session,
    /// By index. Those that this agent found when it started, then those that it added.
    episodes: Vec<Episode>,
    found: usize,
}

/// How finalists are trained: as the campaign says, or for [`STEPS`] steps.
pub fn fine_tune(asked: Option<FineTune>) -> FineTune {
    asked.unwrap_or_else(|| FineTune { steps: Some(STEPS), ..FineTune::default() })
}

/// Trains, measures and rewards as many of the origin's candidates as the budget says, best first. What the database holds
/// already is not done again, unless boards or rig failed it.
///
/// # Errors
/// See [`AgentError`]; a campaign that was not started from another one has no finalists.
pub fn run(session: &Session) -> Result<(), AgentError> {
    let name = &session.start.name;
    let missing = || AgentError::Options {
        campaign: name.clone(),
        reason: "finalists come from another campaign: start them with `hil campaign finalists NAME`".into(),
    };
    let origin = session.start.origin.as_ref().ok_or_else(missing)?;
    let limits = limits(session)?;
    let finalists = best(session, &session.client.other(origin)?.episodes)?;
    if finalists.is_empty() {
        return session.client.finish(&format!("{origin} has no candidate that meets its limits"));
    }
    let all = finalists.len();
    let entries = std::iter::once(eight_bits(session)).chain(finalists);
    let Ended { unfit, unmeasured } = Book::new(session).measure_all(entries, &limits)?;
    if !unmeasured.is_empty() {
        return Err(AgentError::Unmeasured { campaign: name.clone(), failed: unmeasured, all: all + 1 });
    }
    let unfit: String = unfit.iter().map(|told| format!("{told}; ")).collect();
    let reason = format!("{all} finalists of {origin}; {unfit}{}", report(session)?);
    tracing::info!("{reason}");
    session.client.finish(&reason)
}

/// The same network with 8 bits everywhere, trained like the finalists.
fn eight_bits(session: &Session) -> Entry {
    let bits = session.space.uniform(Bits::Eight, Bits::Eight);
    Entry { label: REFERENCE.into(), strategy: "uniform", bits }
}

/// The origin's limits, which the daemon has put in as absolute numbers.
fn limits(session: &Session) -> Result<Limits, AgentError> {
    if let Some(limits) = session.start.limits {
        return Ok(limits);
    }
    let eight = session.footprint(&session.space.uniform(Bits::Eight, Bits::Eight));
    let unmeasured = Err("finalists measure no 8-bit network of their own".into());
    let limits = resolve(&session.start.limits_asked, eight, unmeasured)?;
    session.client.put_limits(&limits)?;
    Ok(limits)
}

impl<'a> Book<'a> {
    fn new(session: &'a Session) -> Self {
        let episodes = session.history();
        Self { session, found: episodes.len(), episodes }
    }

    /// Goes through the entries; rewards are relative to the first.
    fn measure_all(&mut self, entries: impl Iterator<Item = Entry>, limits: &Limits) -> Result<Ended, AgentError> {
        let (mut ended, mut reference) = (Ended::default(), None);
        for entry in entries {
            let index = self.submit(&entry)?;
            let (episode, settled) = self.session.settle(index)?;
            let reference = match reference {
                Some(reference) => reference,
                None => *reference.insert(accuracy_of_reference(self.session, &episode)?),
            };
            let told = |reason: &str| format!("episode {index} ({}): {reason}", entry.label);
            match &settled {
                Settled::Measured(_) => {}
                Settled::Infeasible(reason) => ended.unfit.push(told(reason)),
                Settled::Failed(reason) => ended.unmeasured.push(told(reason)),
            }
            settle(self.session, &entry, &episode, &settled, reference, limits)?;
        }
        Ok(ended)
    }

    /// The index of the entry's episode, which may be a new one.
    fn submit(&mut self, entry: &Entry) -> Result<u32, AgentError> {
        let label = Some(entry.label.as_str());
        let last = self.episodes[..self.found].iter().rfind(|episode| episode.candidate.label.as_deref() == label);
        let again = last.filter(|episode| episode.candidate.state != EpisodeState::Failed);
        let index = match again {
            Some(episode) => episode.candidate.index,
            None => self.episodes.last().map_or(0, |episode| episode.candidate.index + 1),
        };
        let (strategy, bits) = (entry.strategy, entry.bits.as_slice());
        let request =
            Request { index, label, strategy, bits, proposal: None, propose_ms: 0.0, latency: None, network: None };
        let known = again.is_some();
        let made = if known { None } else { self.made(bits)? };
        let episode = match made {
            Some(candidate) => self.session.submit_made(&request, &candidate)?,
            None => self.session.submit(&request)?,
        };
        if !known {
            self.episodes.push(episode);
        }
        Ok(index)
    }

    /// The candidate of these bits, if this campaign has trained it before.
    fn made(&self, bits: &[Bits]) -> Result<Option<Candidate>, AgentError> {
        for episode in self.episodes.iter().rev() {
            if self.session.bits_of(episode)? == bits {
                return self.session.fetched(episode);
            }
        }
        Ok(None)
    }
}

/// Says how an episode ended, and rewards it.
fn settle(
    session: &Session,
    entry: &Entry,
    episode: &Episode,
    settled: &Settled,
    reference: f64,
    limits: &Limits,
) -> Result<(), AgentError> {
    let (index, label) = (episode.candidate.index, &entry.label);
    let measured = match settled {
        Settled::Measured(measured) => {
            tracing::info!(episode = index, accuracy = measured.accuracy, ticks = measured.ticks, "{label}: measured");
            *measured
        }
        Settled::Infeasible(reason) => {
            tracing::warn!(episode = index, "{label}: skipped, it cannot run: {reason}");
            Measured { accuracy: 0.0, ticks: None }
        }
        Settled::Failed(reason) => {
            tracing::warn!(episode = index, "{label}: not measured, by the boards' or the rig's fault: {reason}");
            return Ok(());
        }
    };
    if episode.candidate.reward.is_some() {
        return Ok(());
    }
    let reward = reward(measured, reference, limits.latency_ticks);
    session.client.reward(index, &Reward { reward, step_rewards: None, wall: RewardWall { learn_ms: 0.0 } })
}

/// The feasible candidates, or those on the front where that is the objective: the most accurate and then the fastest first, each
/// choice of bits once.
fn best(session: &Session, episodes: &[Episode]) -> Result<Vec<Entry>, AgentError> {
    let found = match session.start.objective {
        Objective::Front => front(episodes),
        Objective::Reward => feasible(episodes),
    };
    let mut chosen: Vec<Entry> = Vec::new();
    for episode in found {
        let bits = session.bits_of(episode)?;
        if chosen.len() < session.start.budget as usize && chosen.iter().all(|other| other.bits != bits) {
            let label = format!("finalist of episode {}", episode.candidate.index);
            chosen.push(Entry { label, strategy: FINALISTS, bits });
        }
    }
    Ok(chosen)
}
