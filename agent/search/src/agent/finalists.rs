//! The finalists of a campaign: its best candidates, fine-tuned for longer and measured again.

use super::AgentError;
use super::api::{Episode, EpisodeState, Reward, RewardWall};
use super::episodes::{Request, Session, Settled};
use super::limits::resolve;
use super::run::report;
use crate::env::{Limits, reward};
use crate::qat::FineTune;
use bitrack_model::Bits;

/// The campaign's strategy in `hil.toml`'s and the API's words. It proposes nothing new.
pub const FINALISTS: &str = "finalists";
/// Steps of a finalist's training where the campaign names none.
const STEPS: usize = 600;
/// The baseline that rewards are relative to, as every search labels it.
const REFERENCE: &str = "uniform 8/8";

/// How finalists are trained: as the campaign says, or for [`STEPS`] steps.
pub fn fine_tune(asked: Option<FineTune>) -> FineTune {
    asked.unwrap_or_else(|| FineTune { steps: Some(STEPS), ..FineTune::default() })
}

/// Trains, measures and rewards as many of the origin's candidates as the budget says, best first. What the database
/// holds already is not done again.
///
/// # Errors
/// See [`AgentError`]; a campaign that was not started from another one has no finalists.
pub fn run(session: &Session) -> Result<(), AgentError> {
    let wrong = |reason: &str| AgentError::Options { campaign: session.start.name.clone(), reason: reason.into() };
    let origin =
        session.start.origin.as_ref().ok_or_else(|| {
            wrong("finalists come from another campaign: start them with `hil campaign finalists NAME`")
        })?;
    let limits = limits(session)?;
    let episodes = session.client.other(origin)?.episodes;
    let reference = reference(&episodes).ok_or_else(|| wrong("the campaign they come from has no 8-bit baseline"))?;
    let finalists = best(session, &episodes)?;
    if finalists.is_empty() {
        return session.client.finish(&format!("{origin} has no candidate that meets its limits"));
    }
    for (index, (from, bits)) in finalists.iter().enumerate() {
        finish_one(session, index as u32, *from, bits, reference, &limits)?;
    }
    let reason = format!("{} finalists of {origin}; {}", finalists.len(), report(session)?);
    tracing::info!("{reason}");
    session.client.finish(&reason)
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

fn finish_one(
    session: &Session,
    index: u32,
    from: u32,
    bits: &[Bits],
    reference: f64,
    limits: &Limits,
) -> Result<(), AgentError> {
    let label = format!("finalist of episode {from}");
    tracing::info!(episode = index, "{label}: training");
    let request = Request {
        index,
        label: Some(&label),
        strategy: FINALISTS,
        bits,
        proposal: None,
        propose_ms: 0.0,
        predicted_ticks: None,
    };
    session.submit(&request)?;
    let (episode, settled) = session.settle(index)?;
    let Settled::Measured(measured) = settled else { return Ok(()) };
    tracing::info!(episode = index, accuracy = measured.accuracy, ticks = measured.ticks, "{label}: measured");
    if episode.candidate.reward.is_some() {
        return Ok(());
    }
    let reward = reward(measured, reference, limits.latency_ticks);
    session.client.reward(index, &Reward { reward, step_rewards: None, wall: RewardWall { learn_ms: 0.0 } })
}

/// Accuracy of 8 bits everywhere.
fn reference(episodes: &[Episode]) -> Option<f64> {
    let baseline = episodes.iter().find(|episode| episode.candidate.label.as_deref() == Some(REFERENCE));
    baseline?.candidate.accuracy
}

/// Index and bits of the feasible candidates, the most accurate and then the fastest first; each choice of bits once.
fn best(session: &Session, episodes: &[Episode]) -> Result<Vec<(u32, Vec<Bits>)>, AgentError> {
    let mut feasible: Vec<&Episode> = episodes.iter().filter(|episode| is_feasible(episode)).collect();
    feasible.sort_by(|a, b| {
        let key = |e: &Episode| (e.candidate.accuracy.unwrap_or(0.0), e.candidate.ticks.unwrap_or(u64::MAX));
        let ((accuracy_a, ticks_a), (accuracy_b, ticks_b)) = (key(a), key(b));
        accuracy_b.total_cmp(&accuracy_a).then(ticks_a.cmp(&ticks_b)).then(a.candidate.index.cmp(&b.candidate.index))
    });
    let mut chosen: Vec<(u32, Vec<Bits>)> = Vec::new();
    for episode in feasible {
        let bits = session.bits_of(episode)?;
        if chosen.len() < session.start.budget as usize && chosen.iter().all(|(_, other)| *other != bits) {
            chosen.push((episode.candidate.index, bits));
        }
    }
    Ok(chosen)
}

fn is_feasible(episode: &Episode) -> bool {
    let row = &episode.candidate;
    matches!(row.state, EpisodeState::Measured | EpisodeState::Done) && row.feasible == Some(true)
}
