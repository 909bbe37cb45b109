//! A campaign from its start, or from wherever it stands, to its end.

use super::AgentError;
use super::api::Episode;
use super::client::Client;
use super::episodes::{Request, Session, Settled};
use super::finalists::{self, FINALISTS, fine_tune};
use super::latency;
use super::limits::resolve;
use super::options::Options;
use super::results::{feasible, front};
use super::search::Search;
use super::variants;
use crate::candidate::{HostJudge, HostTraining, Source};
use crate::env::{Environment, Limits, Measured, Objective, reward};
use crate::strategy::{Elite, Known, NAMES, PROFILE, Strategy, Warm, build, rule_based_bits};
use bitrack_model::Bits;
use std::path::Path;

/// The uniform baselines, widest first: their episodes are the first of every campaign.
const UNIFORM: [(Bits, &str); 3] =
    [(Bits::Eight, "uniform 8/8"), (Bits::Four, "uniform 4/4"), (Bits::Two, "uniform 2/2")];
/// The episode after them: the rule-based baseline, which needs to know the limits.
const RULE_BASED: u32 = UNIFORM.len() as u32;
/// Episodes before the first that a strategy proposes.
pub const BASELINES: u32 = RULE_BASED + 1;
/// Candidates of an earlier campaign that a warm start measures again.
const EARLIER: usize = 5;

/// Runs the campaign to its end.
///
/// # Errors
/// See [`AgentError`]; what was measured is kept, and a later call goes on from there.
pub fn run(client: Client) -> Result<(), AgentError> {
    let mut start = client.start()?;
    let mut options = Options::of(&start)?;
    let is_final = start.strategy == FINALISTS;
    if is_final {
        options.fine_tune = Some(fine_tune(options.fine_tune));
    } else {
        // A wrong name is told before anything is loaded.
        build(&start.strategy, start.seed, &options.settings)?;
    }
    if start.strategy == PROFILE {
        // What layers take does not depend on how good their weights are.
        options.fine_tune = None;
    }
    tracing::info!(campaign = start.name, model = start.model, data = start.data, "preparing model and data");
    let mut builder = Source::load(Path::new(&start.model), &start.data)?.prepare(&options.preparation)?;
    variants::choose(&client, &mut start, options.preparation.variants, &mut builder)?;
    let mut session = Session::new(client, start, options, builder);
    if is_final {
        return finalists::run(&session);
    }
    check_limits(&session)?;
    session.retry_failed(0..BASELINES)?;
    let limits = uniform_baselines(&session)?;
    let reference = reference(&session)?;
    let mut env = environment(&session, &limits)?;
    rule_based_baseline(&session, &env)?;
    latency::know_latency(&session, &mut env)?;
    let mut strategy = strategy(&session, &env, reference)?;
    let mut search = Search::new(&session, env, strategy.as_mut(), reference, BASELINES)?;
    reward_baselines(&session, &mut search)?;
    latency::check_after(&session, search.env())?;
    let reason = search.run()?;
    let reason = format!("{reason}; {}", report(&session)?);
    tracing::info!("{reason}");
    session.client.finish(&reason)
}

fn environment(session: &Session, limits: &Limits) -> Result<Environment, AgentError> {
    let judge = HostJudge::new(session.builder.clone(), session.options.sensitivity_samples);
    let costs = Box::new(session.builder.costs());
    let boards = session.start.board_types.iter().map(|board| board.name.clone());
    let training = Box::new(HostTraining(session.builder.clone()));
    let limits = session.search_limits(limits)?;
    let mut env = Environment::new(session.space.clone(), costs, limits, Box::new(judge), training, boards)?;
    env.latency.set_variants(session.builder.variants().clone());
    Ok(env)
}

/// The campaign's strategy, perhaps with a warm start.
fn strategy(session: &Session, env: &Environment, reference: f64) -> Result<Box<dyn Strategy>, AgentError> {
    let (start, options) = (&session.start, &session.options);
    let of_name = |name: &str| build(name, start.seed, &options.settings);
    let learner = of_name(&start.strategy)?;
    // A campaign started from another one begins with its candidates.
    let Some(from) = options.warm_start.as_ref().or(start.origin.as_ref()) else { return Ok(learner) };
    if NAMES.contains(&from.as_str()) {
        let lead = options.warm_proposals.unwrap_or(start.budget as usize / 2);
        return Ok(Box::new(Warm::new(of_name(from)?, learner, lead)));
    }
    let lead = options.warm_proposals.unwrap_or(EARLIER);
    let leader = Elite::new(earlier(session, env, reference, from)?, lead);
    Ok(Box::new(Warm::new(Box::new(leader), learner, lead)))
}

/// The candidates of another campaign of this model that meet this one's limits, rewarded as in this one.
fn earlier(session: &Session, env: &Environment, reference: f64, name: &str) -> Result<Vec<Known>, AgentError> {
    let mut known = Vec::new();
    for episode in session.client.other(name)?.episodes {
        let row = &episode.candidate;
        let (Some(accuracy), Some(ticks)) = (row.accuracy, row.ticks) else { continue };
        let bits = session.bits_of(&episode)?;
        let measured = Measured { accuracy, ticks: Some(ticks) };
        if env.costs.footprint(&bits).within(&env.limits) {
            known.push(Known { bits, reward: reward(measured, reference, env.limits.latency_ticks), measured });
        }
    }
    Ok(known)
}

/// Refuses limits on flash or RAM that 2 bits everywhere exceed, before anything is measured: arithmetic tells. And limits on latency
/// that earlier measurements rule out.
fn check_limits(session: &Session) -> Result<(), AgentError> {
    let eight = session.footprint(&session.space.uniform(Bits::Eight, Bits::Eight));
    let limits = resolve(&session.start.limits_asked, eight, Ok(0))?;
    let mut env = environment(session, &Limits { latency_ticks: None, ..limits })?;
    latency::check_before(session, &mut env)
}

/// Measures the uniform baselines and settles the limits.
fn uniform_baselines(session: &Session) -> Result<Limits, AgentError> {
    for (index, (bits, label)) in UNIFORM.into_iter().enumerate() {
        let bits = session.space.uniform(bits, bits);
        submit_baseline(session, index as u32, label, "uniform", &bits)?;
    }
    if let Some(limits) = session.start.limits {
        return Ok(limits);
    }
    let eight = session.footprint(&session.space.uniform(Bits::Eight, Bits::Eight));
    let ticks = match session.settle(0)?.1 {
        Settled::Measured(Measured { ticks: Some(ticks), .. }) => Ok(ticks),
        Settled::Measured(_) => Err("the measurement holds no ticks".into()),
        Settled::Infeasible(reason) | Settled::Failed(reason) => Err(reason),
    };
    let limits = resolve(&session.start.limits_asked, eight, ticks)?;
    session.client.put_limits(&limits)?;
    Ok(limits)
}

fn submit_baseline(
    session: &Session,
    index: u32,
    label: &str,
    strategy: &str,
    bits: &[Bits],
) -> Result<(), AgentError> {
    let label = Some(label);
    let request =
        Request { index, label, strategy, bits, proposal: None, propose_ms: 0.0, latency: None, network: None };
    session.submit(&request).map(drop)
}

fn rule_based_baseline(session: &Session, env: &Environment) -> Result<(), AgentError> {
    let bits = rule_based_bits(env)?;
    submit_baseline(session, RULE_BASED, "rule-based", "rule-based", &bits)
}

/// Validation accuracy of 8 bits everywhere, which rewards are relative to. Known as soon as it is proposed.
fn reference(session: &Session) -> Result<f64, AgentError> {
    match session.judged {
        true => accuracy_of_reference(session, &session.settle(0)?.0),
        false => Ok(0.0),
    }
}

/// The accuracy of the baseline that rewards are relative to.
///
/// # Errors
/// [`AgentError::History`] when it has none, and why.
pub fn accuracy_of_reference(session: &Session, episode: &Episode) -> Result<f64, AgentError> {
    let row = &episode.candidate;
    let missing = || {
        let why = row.reason.as_deref().unwrap_or("no reason was given");
        let reason = format!("rewards are relative to its accuracy, and it has none: {why}");
        AgentError::History { index: row.index, reason }
    };
    Ok(session.exact(row.accuracy.ok_or_else(missing)?))
}

fn reward_baselines(session: &Session, search: &mut Search) -> Result<(), AgentError> {
    for index in 0..BASELINES {
        let (episode, settled) = session.settle(index)?;
        let bits = session.bits_of(&episode)?;
        search.reward(index, &bits, &settled, 0.0)?;
    }
    Ok(())
}

/// The result, judged on the test split this once.
///
/// # Errors
/// See [`AgentError`].
pub fn report(session: &Session) -> Result<String, AgentError> {
    if !session.judged {
        return Ok("layers measured; nothing was judged".into());
    }
    let episodes = session.client.start()?.episodes;
    let Some(best) = feasible(&episodes).first().copied() else {
        return Ok("no candidate met all limits".into());
    };
    let test = match session.fetched(best)? {
        Some(candidate) => {
            let test = session.builder.test(&candidate.image)?;
            format!("test top-1 {:.2} % ({} samples)", test.top1 * 100.0, test.samples)
        }
        None => "not judged on the test samples: its image is gone from the daemon's cache".into(),
    };
    let row = &best.candidate;
    let front = match session.start.objective {
        Objective::Front => format!("{} candidates on the front; ", front(&episodes).len()),
        Objective::Reward => String::new(),
    };
    Ok(format!(
        "{front}best: episode {}{}, {test}, {} bytes of flash, {} of RAM",
        row.index,
        row.label.as_ref().map_or_else(String::new, |label| format!(" ({label})")),
        row.flash_bytes,
        row.ram_bytes
    ))
}
