use super::*;
use crate::env::{Judge, toy};

fn settings() -> Settings {
    Settings::for_budget(60)
}

#[test]
fn every_name_builds_the_strategy_it_names() {
    for name in NAMES {
        let strategy = build(name, 1, &settings()).expect("known");
        assert_eq!(strategy.name(), name);
    }
    let error = build("best", 1, &settings()).err().expect("unknown").to_string();
    assert_eq!(
        error,
        "unknown strategy `best`: choose one of ddpg, ilp, reinforce, one-shot, evolution, random, uniform, rule-based, profile"
    );
}

#[test]
fn every_strategy_proposes_the_whole_space() {
    let env = toy::environment(None, None);
    for name in NAMES {
        let mut strategy = build(name, 1, &settings()).expect("known");
        let proposal = strategy.propose(&env).expect("proposes").expect("at least one");
        proposal.check(strategy.name(), &env).expect("covers the space");
    }
}

/// Measures a proposal on a board that likes wide tensors.
fn outcome(env: &Environment, proposal: Proposal) -> Outcome {
    let bits = env.project(&proposal.asked);
    let accuracy = bits.iter().map(|b| f64::from(b.get())).sum::<f64>() / (8 * bits.len()) as f64;
    let measured = Measured { accuracy, ticks: Some(1000 + bits.iter().map(|b| u64::from(b.get())).sum::<u64>()) };
    Outcome { proposal, bits, reward: Some(accuracy - 1.0), measured: Some(measured) }
}

/// One round with two proposals in flight, as with two boards.
fn round(strategy: &mut dyn Strategy, env: &Environment) -> Vec<Option<Proposal>> {
    let proposals: Vec<_> = (0..2).map(|_| strategy.propose(env).expect("proposes")).collect();
    for proposal in proposals.iter().flatten() {
        strategy.observe(env, &outcome(env, proposal.clone())).expect("learns");
    }
    proposals
}

fn warm(seed: u64) -> Box<dyn Strategy> {
    let part = |name: &str| build(name, seed, &settings()).expect("known");
    Box::new(Warm::new(part("ilp"), part("ddpg"), 9))
}

/// Every strategy by name, and a warm start of which both parts come to act.
fn all(seed: u64) -> Vec<Box<dyn Strategy>> {
    NAMES.iter().map(|name| build(name, seed, &settings()).expect("known")).chain([warm(seed)]).collect()
}

#[test]
fn a_resumed_strategy_is_the_same_to_the_last_bit() {
    let env = toy::environment(Some(90), Some(500));
    for rounds in [0, 3, 7] {
        for (mut original, mut resumed) in all(7).into_iter().zip(all(99)) {
            (0..rounds).for_each(|_| drop(round(original.as_mut(), &env)));
            let bytes = original.save().expect("saves").to_bytes();
            resumed.load(&Blob::from_bytes(&bytes).expect("own bytes")).expect("loads");
            assert_eq!(resumed.save().expect("saves").to_bytes(), bytes, "{}", original.name());
            for _ in 0..4 {
                let (theirs, ours) = (round(resumed.as_mut(), &env), round(original.as_mut(), &env));
                assert_eq!(theirs, ours, "{} after {rounds} rounds", original.name());
            }
            assert_eq!(resumed.save().expect("saves"), original.save().expect("saves"), "{}", original.name());
        }
    }
}

#[test]
fn no_strategy_continues_from_anothers_checkpoint() {
    for strategy in all(1) {
        let blob = strategy.save().expect("saves");
        for mut other in all(1).into_iter().filter(|other| other.name() != strategy.name()) {
            let refused = other.load(&blob);
            assert!(
                matches!(refused, Err(StrategyError::Checkpoint { .. })),
                "{} <- {}",
                other.name(),
                strategy.name()
            );
        }
    }
}

#[test]
fn a_learner_goes_on_from_what_its_leader_found() {
    let env = toy::environment(Some(90), Some(500));
    let score = |proposals: &[Proposal]| {
        let rewards = proposals.iter().map(|p| outcome(&env, p.clone()).reward.expect("measured"));
        rewards.sum::<f64>() / proposals.len() as f64
    };
    let mut strategy = warm(3);
    let mut proposals = Vec::new();
    (0..20).for_each(|_| proposals.extend(round(strategy.as_mut(), &env).into_iter().flatten()));
    assert_eq!(strategy.name(), "ddpg");
    let mut random = Random::new(3);
    let chance: Vec<Proposal> = (0..40).filter_map(|_| random.propose(&env).expect("proposes")).collect();
    // The learner's own proposals, not only its leader's, are better than chance.
    assert!(score(&proposals[20..]) > score(&chance), "{} {}", score(&proposals[20..]), score(&chance));
}

#[test]
fn garbage_is_refused() {
    let env = toy::environment(None, None);
    let good = Proposal::of_bits(&env, env.space.uniform(Bits::Two, Bits::Four));
    let mut short = good.clone();
    short.actions.pop();
    assert!(matches!(short.check("toy", &env), Err(StrategyError::Garbage { .. })));
    let mut nan = good;
    nan.actions[2] = f64::NAN;
    let error = nan.check("toy", &env).expect_err("NaN").to_string();
    assert_eq!(error, "strategy `toy` proposed garbage: action 2 is NaN");
}

/// A made-up network's reward: losses that nearly add up, and an accident of each choice that no model foresees.
fn reward_of(bits: &[Bits]) -> f64 {
    let loss = toy::ToyJudge.divergence(bits).expect("never fails");
    let hash = bits
        .iter()
        .fold(7u64, |hash, bits| hash.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(u64::from(bits.get())));
    -loss - (hash >> 40) as f64 / f64::from(1 << 24)
}

/// Best reward of a rehearsal with these many candidates.
fn best_of(env: &Environment, name: &str, seed: u64, budget: usize) -> f64 {
    let mut strategy = build(name, seed, &Settings::for_budget(budget)).expect("known");
    let measure = |bits: &[Bits]| -> Result<Known, StrategyError> {
        let reward = reward_of(bits);
        Ok(Known {
            bits: bits.to_vec(),
            reward,
            measured: Measured { accuracy: 1.0 + reward / 100.0, ticks: Some(1000) },
        })
    };
    let rehearsal = Rehearsal { budget, in_flight: 2, known: Vec::new() };
    let found = rehearse(env, strategy.as_mut(), &rehearsal, measure).expect("rehearsed");
    assert_eq!(found.len(), budget, "{name}, seed {seed}: nothing is wasted on what is known");
    found.iter().map(|known| known.reward).fold(f64::NEG_INFINITY, f64::max)
}

#[test]
fn what_learns_finds_no_less_than_chance_at_tight_limits_and_nearly_always_more() {
    let env = toy::environment(Some(70), Some(300));
    for name in ["evolution", "reinforce"] {
        let pairs = (1..=20).map(|seed| (best_of(&env, name, seed, 60), best_of(&env, "random", seed, 60)));
        let pairs: Vec<(f64, f64)> = pairs.collect();
        assert!(pairs.iter().all(|(ours, chance)| ours >= chance), "{name}: {pairs:?}");
        assert!(pairs.iter().filter(|(ours, chance)| ours > chance).count() >= 15, "{name}: {pairs:?}");
    }
}
