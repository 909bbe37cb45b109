//! A search without boards: a strategy against anything that says what a candidate would measure.
//!
//! As in a campaign, several proposals are in flight, outcomes arrive in the order of the proposals, and what is known already is not
//! measured again. So strategies can be compared over many seeds where boards would take hours.

use super::{Known, MAX_REPEATS, Outcome, Proposal, Strategy, StrategyError};
use crate::env::Environment;
use bitrack_model::Bits;
use std::collections::{HashMap, VecDeque};

/// How long a rehearsal is, and what is known before it.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// Candidates to be measured.
    pub budget: usize,
    /// Proposals that wait for their outcome at once; at least 1.
    pub in_flight: usize,
    /// Candidates whose measurement is known, such as baselines: proposing them costs nothing.
    pub known: Vec<Known>,
}

/// A proposal that waits, with the bits that run; `is_new` unless these were known or in flight.
struct Waiting {
    proposal: Proposal,
    bits: Vec<Bits>,
    is_new: bool,
}

/// What a strategy finds, in the order of its measurements; ends early when it has nothing new to propose.
///
/// # Errors
/// The strategy's, or those of `measure`.
pub fn rehearse<E: From<StrategyError>>(
    env: &Environment,
    strategy: &mut dyn Strategy,
    rehearsal: &Rehearsal,
    mut measure: impl FnMut(&[Bits]) -> Result<Known, E>,
) -> Result<Vec<Known>, E> {
    let mut known: HashMap<Vec<Bits>, Known> = rehearsal.known.iter().map(|k| (k.bits.clone(), k.clone())).collect();
    let mut waiting: VecDeque<Waiting> = VecDeque::new();
    let (mut found, mut repeats, mut exhausted) = (Vec::new(), 0, false);
    loop {
        let in_flight = |waiting: &VecDeque<Waiting>| waiting.iter().filter(|waiting| waiting.is_new).count();
        while !exhausted
            && waiting.len() < rehearsal.in_flight.max(1)
            && found.len() + in_flight(&waiting) < rehearsal.budget
        {
            let Some(proposal) = strategy.propose(env)? else {
                exhausted = true;
                break;
            };
            proposal.check(strategy.name(), env)?;
            let bits = env.project(&proposal.asked);
            let is_new = !known.contains_key(&bits) && waiting.iter().all(|waiting| waiting.bits != bits);
            repeats = if is_new { 0 } else { repeats + 1 };
            exhausted = repeats >= MAX_REPEATS;
            waiting.push_back(Waiting { proposal, bits, is_new });
        }
        let Some(Waiting { proposal, bits, is_new }) = waiting.pop_front() else { return Ok(found) };
        if is_new {
            let candidate = measure(&bits)?;
            known.insert(bits.clone(), candidate.clone());
            found.push(candidate);
        }
        let (reward, measured) = known.get(&bits).map(|known| (known.reward, known.measured)).unzip();
        strategy.observe(env, &Outcome { proposal, bits, reward, measured })?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Measured, toy};
    use crate::strategy::{Uniform, build};

    /// Every width counts.
    fn measure(bits: &[Bits]) -> Result<Known, StrategyError> {
        let accuracy = bits.iter().map(|b| f64::from(b.get())).sum::<f64>() / (8 * bits.len()) as f64;
        Ok(Known { bits: bits.to_vec(), reward: accuracy - 1.0, measured: Measured { accuracy, ticks: Some(1) } })
    }

    #[test]
    fn the_budget_counts_measurements_only_and_nothing_is_measured_twice() {
        let env = toy::environment(Some(90), Some(500));
        for in_flight in [1, 3] {
            let mut strategy = build("random", 1, &crate::strategy::Settings::for_budget(30)).expect("known");
            let rehearsal = Rehearsal { budget: 30, in_flight, known: Vec::new() };
            let found = rehearse(&env, strategy.as_mut(), &rehearsal, measure).expect("rehearsed");
            let distinct: std::collections::HashSet<_> = found.iter().map(|known| known.bits.clone()).collect();
            assert_eq!((found.len(), distinct.len()), (30, 30));
            assert!(found.iter().all(|known| env.costs.footprint(&known.bits).within(&env.limits)));
        }
    }

    #[test]
    fn what_is_known_costs_nothing_and_who_has_nothing_left_ends() {
        let env = toy::environment(None, None);
        let eight = env.space.uniform(Bits::Eight, Bits::Eight);
        let rehearsal = Rehearsal { budget: 100, in_flight: 2, known: vec![measure(&eight).expect("measured")] };
        let found = rehearse(&env, &mut Uniform::default(), &rehearsal, measure).expect("rehearsed");
        assert_eq!(found.len(), 8, "nine uniform choices, one of them known");
        assert!(found.iter().all(|known| known.bits != eight));
    }
}
