use super::*;
use crate::env::toy;

fn agent(seed: u64) -> Ddpg {
    let config = DdpgConfig { warm_up: 3, batch: 16, updates_per_step: 2, ..DdpgConfig::for_budget(20) };
    Ddpg::new(seed, config, 40).expect("agent")
}

/// The mean width: the more bits, the better.
fn score(bits: &[Bits]) -> f64 {
    bits.iter().map(|b| f64::from(b.get())).sum::<f64>() / bits.len() as f64
}

fn episode(agent: &mut Ddpg, env: &Environment) -> Proposal {
    let proposal = agent.propose(env).expect("proposes").expect("endless");
    let bits = env.project(&proposal.asked);
    let outcome = Outcome { reward: Some(score(&bits)), measured: None, bits, proposal: proposal.clone() };
    agent.observe(env, &outcome).expect("learns");
    proposal
}

#[test]
fn a_resumed_agent_is_the_same_to_the_last_bit() {
    let env = toy::environment(Some(70), Some(300));
    let mut original = agent(7);
    for _ in 0..6 {
        episode(&mut original, &env);
    }
    let bytes = original.save().expect("saves").to_bytes();
    let mut resumed = agent(99);
    resumed.load(&Blob::from_bytes(&bytes).expect("own bytes")).expect("loads");
    assert_eq!(resumed.save().expect("saves").to_bytes(), bytes);
    for _ in 0..4 {
        assert_eq!(episode(&mut resumed, &env), episode(&mut original, &env));
    }
    assert_eq!(resumed.save().expect("saves").to_bytes(), original.save().expect("saves").to_bytes());
}

#[test]
fn the_same_seed_proposes_the_same_and_another_does_not() {
    let env = toy::environment(None, None);
    let run = |seed| {
        let mut agent = agent(seed);
        (0..6).map(|_| episode(&mut agent, &env)).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn credit_goes_to_the_bits_that_ran() {
    let env = toy::environment(None, None);
    let asked = env.space.uniform(Bits::Eight, Bits::Eight);
    let mut bits = asked.clone();
    bits[2] = Bits::Two;
    let outcome =
        Outcome { proposal: Proposal::of_bits(&env, asked), bits: bits.clone(), reward: Some(1.0), measured: None };
    let transitions = transitions(&env, &outcome, 1.0);
    for (transition, &bits) in transitions.iter().zip(&bits) {
        assert_eq!(bits_of_action(f64::from(transition.action)), bits);
    }
    // The step after the overruled one sees what ran before it.
    assert_eq!(transitions[3].state[8], 0.25);
    assert_eq!(transitions[2].next, transitions[3].state);
    let ends: Vec<bool> = transitions.iter().map(|t| t.terminal).collect();
    assert_eq!(ends.iter().filter(|&&end| end).count(), 1);
    assert!(ends[bits.len() - 1]);
}

#[test]
fn a_measurement_that_failed_teaches_nothing() {
    let env = toy::environment(None, None);
    let mut agent = agent(1);
    let proposal = agent.propose(&env).expect("proposes").expect("endless");
    let before = agent.save().expect("saves");
    let outcome = Outcome { bits: proposal.asked.clone(), proposal, reward: None, measured: None };
    agent.observe(&env, &outcome).expect("ignores");
    assert_eq!(agent.save().expect("saves"), before);
}

#[test]
fn an_obvious_reward_is_followed() {
    let env = toy::environment(None, None);
    let mut agent = agent(4);
    let scores: Vec<f64> = (0..40).map(|_| score(&episode(&mut agent, &env).asked)).collect();
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    assert!(mean(&scores[30..]) > mean(&scores[..10]) + 1.0, "{scores:?}");
}

#[test]
fn an_actor_that_is_sure_of_itself_still_proposes_news() {
    let env = toy::environment(Some(70), Some(300));
    let config = DdpgConfig { warm_sigma: 0.01, ..DdpgConfig::for_budget(20) };
    let mut agent = Ddpg::new(3, config, 20).expect("agent");
    let asked = env.space.uniform(Bits::Eight, Bits::Eight);
    let bits = env.project(&asked);
    let lesson = Outcome { proposal: Proposal::of_bits(&env, asked), bits, reward: Some(1.0), measured: None };
    agent.learn_from(&env, &[lesson]).expect("learns");
    let ran: std::collections::HashSet<_> = (0..20).map(|_| env.project(&episode(&mut agent, &env).asked)).collect();
    assert_eq!(ran.len(), 20);
}

#[test]
fn late_proposals_lie_next_to_the_best_and_are_those_that_the_critic_values() {
    let env = toy::environment(None, None);
    let mut agent = agent(5);
    while agent.history.spent(agent.budget) < LOCAL_FROM {
        episode(&mut agent, &env);
    }
    let near = agent.history.clone().beside_the_best(&env);
    let value = |bits: &Vec<Bits>| {
        let proposal = Proposal::of_bits(&env, bits.clone());
        agent.networks.value(&proposal.states, &proposal.actions).expect("valued")
    };
    let highest = near.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
    let proposal = agent.propose(&env).expect("proposes").expect("endless");
    assert!(near.contains(&proposal.asked));
    assert_eq!(agent.networks.value(&proposal.states, &proposal.actions).expect("valued"), highest);
}

#[test]
fn a_checkpoint_from_before_there_was_a_history_still_says_what_is_known() {
    let env = toy::environment(None, None);
    let mut old = agent(6);
    let ran: Vec<Vec<Bits>> = (0..4).map(|_| episode(&mut old, &env).asked).collect();
    let mut blob = old.save().expect("saves");
    let mut header: serde_json::Value = serde_json::from_str(&blob.header).expect("JSON");
    let fields = header.as_object_mut().expect("an object");
    fields.remove("history").expect("it is there");
    fields.insert("known".into(), serde_json::to_value(&ran).expect("bits"));
    blob.header = header.to_string();
    let mut resumed = agent(99);
    resumed.load(&blob).expect("loads");
    assert!(ran.iter().all(|bits| resumed.history.knows(bits)));
}

#[test]
fn a_checkpoint_of_another_size_is_refused() {
    let mut agent = agent(1);
    let mut blob = agent.save().expect("saves");
    blob.floats.pop();
    assert!(matches!(agent.load(&blob), Err(StrategyError::Checkpoint { .. })));
}
