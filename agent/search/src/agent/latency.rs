//! What is known of latency before a search begins, and limits that it rules out.

use super::AgentError;
use super::api::LimitAsked;
use super::client::Client;
use super::episodes::{Session, Settled};
use super::run::BASELINES;
use super::search::learn_latency;
use crate::env::{CostKey, Environment, LatencyModel, LayerBits, Measured, Space};
use crate::ilp::fastest::fastest;
use bitrack_model::{Bits, Variant};

/// By how much a choice may be faster than the fastest baseline, as a share, when nothing tells what its layers take.
const UNPREDICTED: f64 = 0.5;

/// Latency limits that no choice of bits meets, as far as predictions and measurements tell.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the latency limit of {limit} {unit} cannot be met by any choice of bits within flash and RAM: {why}")]
pub struct TooSlow {
    limit: u64,
    unit: String,
    why: String,
}

/// What the daemon knows of layers' costs.
///
/// # Errors
/// The daemon's.
pub fn know_layers(session: &Session, env: &mut Environment) -> Result<(), AgentError> {
    know_costs(&session.client, &mut env.latency)?;
    env.latency.fit();
    Ok(())
}

/// What layers cost on the campaign's board types, in any network.
///
/// # Errors
/// The daemon's.
pub fn know_costs(client: &Client, latency: &mut LatencyModel) -> Result<(), AgentError> {
    for cost in client.layer_costs()? {
        let width = |bits: u8| Bits::try_from(bits).ok();
        let (Some(input), Some(output)) = (width(cost.input_bits), width(cost.output_bits)) else { continue };
        let bits = LayerBits { weights: cost.weight_bits.and_then(width), input, output };
        let variant = cost.variant.as_deref().and_then(Variant::named);
        latency.insert(&cost.board_type, CostKey { geometry: cost.geometry, variant, bits }, cost.samples, cost.ticks);
    }
    Ok(())
}

/// The same, and what the baselines tell.
///
/// # Errors
/// See [`AgentError`].
pub fn know_latency(session: &Session, env: &mut Environment) -> Result<(), AgentError> {
    know_layers(session, env)?;
    for index in 0..BASELINES {
        let (episode, _) = session.settle(index)?;
        learn_latency(env, &session.bits_of(&episode)?, &episode);
    }
    env.latency.fit();
    Ok(())
}

/// Refuses a latency limit that earlier measurements rule out, before anything is measured. One in percent waits for the baselines.
///
/// # Errors
/// [`AgentError::TooSlow`], or the daemon's.
pub fn check_before(session: &Session, env: &mut Environment) -> Result<(), AgentError> {
    env.limits.latency_ticks = match (session.start.limits, session.start.limits_asked.latency) {
        (Some(limits), _) => limits.latency_ticks,
        (None, Some(LimitAsked::Ticks(limit))) => Some(limit),
        (None, _) => None,
    };
    let Some(limit) = env.limits.latency_ticks.filter(|_| is_open(session)) else { return Ok(()) };
    know_layers(session, env)?;
    refuse(session, limit, predicted(env, limit))
}

/// Refuses a latency limit that the baselines rule out, by what is predicted from them, or by themselves where nothing can be predicted.
///
/// # Errors
/// [`AgentError::TooSlow`], or the daemon's.
pub fn check_after(session: &Session, env: &Environment) -> Result<(), AgentError> {
    let Some(limit) = env.limits.latency_ticks.filter(|_| is_open(session)) else { return Ok(()) };
    let mut measured: Vec<(u64, String)> = Vec::new();
    for index in 0..BASELINES {
        let (episode, settled) = session.settle(index)?;
        let Settled::Measured(Measured { ticks: Some(ticks), .. }) = settled else { continue };
        measured.push((ticks, episode.candidate.label.unwrap_or_default()));
    }
    // What was measured is true, whatever was predicted.
    let Some((ticks, label)) = measured.into_iter().min().filter(|(ticks, _)| *ticks > limit) else { return Ok(()) };
    let why = match fastest(env) {
        Some(_) => predicted(env, limit).map(|why| format!("{why}; the fastest baseline, {label}, took {ticks}")),
        None if ticks as f64 * UNPREDICTED > limit as f64 => {
            Some(format!("the fastest baseline, {label}, took {ticks}, more than twice as many"))
        }
        None => None,
    };
    refuse(session, limit, why)
}

/// Whether a search is still to begin that wants something fast: a profile measures what layers take, however long that is.
fn is_open(session: &Session) -> bool {
    session.judged && session.start.checkpoint.is_none()
}

fn refuse(session: &Session, limit: u64, why: Option<String>) -> Result<(), AgentError> {
    let unit = session.start.board_types.first().map_or_else(String::new, |board| board.unit.clone());
    why.map_or(Ok(()), |why| Err(TooSlow { limit, unit, why }.into()))
}

/// Why predictions say that nothing meets the limit; `None` when they do not.
fn predicted(env: &Environment, limit: u64) -> Option<String> {
    let fastest = fastest(env).filter(|fastest| fastest.least > limit as f64)?;
    let error = 100.0 * (1.0 - fastest.least / fastest.ticks);
    Some(format!(
        "the fastest is predicted to take {:.0} on {} ({}), and predictions are known to be off by up to {error:.1} %",
        fastest.ticks,
        fastest.board_type,
        told(&env.space, &fastest.bits)
    ))
}

/// What a search that ends without a candidate as fast as its limit should say; `None` when nothing can be predicted. Predictions know more
/// then than when the limit was checked.
pub fn unmet(env: &Environment, limit: u64) -> Option<String> {
    let fastest = fastest(env)?;
    Some(format!(
        "no candidate was as fast as the limit of {limit}; the fastest choice is predicted to take {:.0} on {} ({})",
        fastest.ticks,
        fastest.board_type,
        told(&env.space, &fastest.bits)
    ))
}

/// The width that most tensors have, and what differs from it.
fn told(space: &Space, bits: &[Bits]) -> String {
    let count = |width: &Bits| bits.iter().filter(|other| *other == width).count();
    let usual = Bits::ALL.into_iter().max_by_key(count).unwrap_or(Bits::Eight);
    let others = space.slots().iter().zip(bits).filter(|(_, width)| **width != usual);
    let others: Vec<String> = others.map(|(slot, width)| format!("{} {}", slot.name, width.get())).collect();
    match others.is_empty() {
        true => format!("{} bits everywhere", usual.get()),
        false => format!("{} bits but for {}", usual.get(), others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Ran, toy};

    #[test]
    fn a_search_without_anything_fast_enough_tells_what_would_be() {
        let mut env = toy::environment(None, None);
        assert_eq!(unmet(&env, 9), None, "nothing was measured");
        for width in Bits::ALL {
            let bits = env.space.uniform(width, width);
            let layers = vec![100 * u64::from(width.get()); env.space.graph().layers.len()];
            env.latency.observe(&env.space.clone(), "toy", Ran::picked(&bits), &layers, layers.iter().sum());
        }
        env.latency.fit();
        let said = unmet(&env, 9).expect("every layer was measured");
        let least = 200 * env.space.graph().layers.len();
        assert_eq!(
            said,
            format!(
                "no candidate was as fast as the limit of 9; the fastest choice is predicted to take {least} on toy (2 bits everywhere)"
            )
        );
    }

    #[test]
    fn a_choice_is_told_by_what_differs() {
        let space = Space::new(&toy::graph());
        let mut bits = space.uniform(Bits::Four, Bits::Four);
        assert_eq!(told(&space, &bits), "4 bits everywhere");
        (bits[0], bits[7]) = (Bits::Eight, Bits::Two);
        assert_eq!(told(&space, &bits), "4 bits but for conv2d_0.weight 8, fully_connected_4.weight 2");
    }
}
