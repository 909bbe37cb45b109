//! Campaigns whose strategy trains the weights of its candidates itself.

use super::fake_daemon::FakeDaemon;
use super::toy::{BASELINES, BUDGET, campaign, images, outcome, run_through_deaths, run_to_end};
use bitrack_search::agent::{Client, run};
use serde_json::{Value, json};

#[test]
fn shared_weights_are_measured_and_are_the_same_after_every_death() {
    let folder = tempfile::tempdir().expect("a folder");
    let undisturbed = FakeDaemon::new(campaign(&folder, "one-shot"));
    run_to_end(&undisturbed);
    let daemon = FakeDaemon::new(campaign(&folder, "one-shot"));
    // The first lives end during the training, which leaves a checkpoint every 20 steps.
    let deaths = run_through_deaths(&daemon, 20);
    assert!(deaths > 3, "died {deaths} times");
    let (daemon, undisturbed) = (daemon.lock(), undisturbed.lock());
    assert_eq!(outcome(&daemon), outcome(&undisturbed));
    assert_eq!(images(&daemon), images(&undisturbed));
    assert_eq!(daemon.finished, undisturbed.finished);
    // Four baselines quantized like everybody's, and candidates with weights that no quantizer makes.
    let plain = FakeDaemon::new(campaign(&folder, "random"));
    run_to_end(&plain);
    assert_eq!(images(&plain.lock()).intersection(&images(&daemon)).count() as u64, BASELINES);
    assert_eq!(daemon.episodes.len() as u64, BASELINES + BUDGET);
}

#[test]
fn the_budget_is_what_is_measured_and_limits_hold() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut one = campaign(&folder, "one-shot");
    one.start["budget"] = 1.into();
    let daemon = FakeDaemon::new(one);
    run_to_end(&daemon);
    let campaign = daemon.lock();
    assert_eq!(campaign.episodes.len() as u64, BASELINES + 1);
    let limits = campaign.limits.clone().expect("resolved");
    let row = &campaign.episodes[&BASELINES]["candidate"];
    assert!(row["flash_bytes"].as_u64() <= limits["flash_bytes"].as_u64());
    assert!(row["ram_bytes"].as_u64() <= limits["ram_bytes"].as_u64());
}

#[test]
fn everybody_hears_how_far_the_training_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = FakeDaemon::new(campaign(&folder, "one-shot"));
    run_to_end(&daemon);
    let campaign = daemon.lock();
    let (index, told) = campaign.told.last().expect("told");
    assert_eq!((*index, &told["label"], &told["step"]), (BASELINES, &json!("bits and shared weights"), &json!(70)));
    assert_eq!((&told["steps"], &told["share"]), (&json!(70), &json!(1.0)));
    assert!(told["loss"].as_f64().is_some_and(f64::is_finite), "{told}");
}

#[test]
fn no_other_training_and_no_other_strategys_lead_goes_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    for (key, value) in [("fine-tune", json!({"steps": 3})), ("warm-start", Value::from("ilp"))] {
        let mut campaign = campaign(&folder, "one-shot");
        campaign.start["options"][key] = value;
        let error = run(Client::new(&FakeDaemon::new(campaign).url, "toy")).expect_err("refused").to_string();
        assert!(error.starts_with(&format!("[campaign.toy.agent]: {key}: `one-shot`")), "{error}");
    }
}
