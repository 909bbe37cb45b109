use super::*;
use crate::env::{Judge, toy};

fn trained(seed: u64, config: &OneShotConfig, env: &Environment) -> OneShot {
    let mut one_shot = OneShot::new(seed, config.clone());
    while one_shot.prepare(env).expect("trains").is_some() {}
    one_shot
}

#[test]
fn what_it_proposes_loses_less_than_chance_and_is_within_the_limits() {
    let env = toy::environment(Some(70), Some(300));
    let mut one_shot = trained(1, &OneShotConfig::default(), &env);
    let divergence = |bits: &[Bits]| toy::ToyJudge.divergence(bits).expect("never fails");
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let even = Categorical::new([3; 8], OneShotConfig::default().policy());
    let chance: Vec<f64> = (0..200).map(|_| divergence(&env.project(&widths(&even.sample(&mut rng))))).collect();
    let mut seen = Vec::new();
    for index in 0..6 {
        let asked = one_shot.propose(&env).expect("proposes").expect("there are more").asked;
        let bits = env.project(&asked);
        assert!(env.costs.footprint(&bits).within(&env.limits));
        assert!(!seen.contains(&bits), "each choice is proposed once");
        let worse = chance.iter().filter(|&&other| other > divergence(&bits)).count();
        assert!(index > 0 || worse >= 190, "only {worse} of 200 random choices lose more");
        seen.push(bits);
    }
}

#[test]
fn nothing_is_proposed_before_the_last_step_and_the_policy_settles() {
    let env = toy::environment(Some(70), Some(300));
    let config = OneShotConfig { steps: 50, ..OneShotConfig::default() };
    let mut one_shot = OneShot::new(1, config.clone());
    let mut parts = 0;
    while one_shot.prepare(&env).expect("trains").is_some() {
        parts += 1;
    }
    assert_eq!(parts, 3, "20, 20 and 10 steps");
    let entropy = |one_shot: &OneShot| one_shot.policy.as_ref().expect("begun").entropy();
    let settled = trained(1, &OneShotConfig::default(), &env);
    assert!(entropy(&settled) < entropy(&one_shot) && entropy(&settled) < 0.5, "{}", entropy(&settled));
}

#[test]
fn other_options_do_not_go_on_from_a_checkpoint() {
    let config = |steps| OneShotConfig { steps, ..OneShotConfig::default() };
    let blob = OneShot::new(1, config(100)).save().expect("saves");
    let error = OneShot::new(1, config(200)).load(&blob).expect_err("other options").to_string();
    assert!(error.contains("`one-shot` options were others"), "{error}");
}

#[test]
fn a_small_space_is_exhausted() {
    let least = toy::environment(None, None).costs.footprint(&[Bits::Two; 8]);
    let env = toy::environment(Some(least.flash_bytes), Some(least.ram_bytes));
    let mut one_shot = OneShot::new(1, OneShotConfig { steps: 20, ..OneShotConfig::default() });
    let mut count = 0;
    while one_shot.propose(&env).expect("proposes").is_some() {
        count += 1;
        assert!(count < 100, "only the widths of small tensors are free");
    }
    assert!(count >= 1);
}
