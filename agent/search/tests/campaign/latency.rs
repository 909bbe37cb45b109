//! Latency limits that nothing meets: told as soon as earlier measurements, or the baselines, rule them out.

use super::fake_daemon::{Campaign, FakeDaemon};
use super::toy::{BASELINES, BUDGET, campaign, run_through_deaths, run_to_end};
use bitrack_search::agent::{AgentError, Client, run};
use serde_json::{Value, json};
use tempfile::TempDir;

fn limited(folder: &TempDir, latency: Value) -> Campaign {
    let mut campaign = campaign(folder, "random");
    campaign.start["limits_asked"]["latency"] = latency;
    campaign
}

fn refused(daemon: &FakeDaemon) -> String {
    let error = run(Client::new(&daemon.url, "toy")).expect_err("impossible");
    assert!(matches!(error, AgentError::TooSlow(_)) && error.is_final(), "{error}");
    assert_eq!(daemon.lock().finished, None, "the daemon is told by the exit code");
    error.to_string()
}

/// What a profile of the network finds out.
fn profiled(folder: &TempDir) -> Vec<u8> {
    let mut campaign = campaign(folder, "profile");
    campaign.start["budget"] = 200.into();
    campaign.start["limits_asked"] = json!({"flash": null, "ram": null, "latency": null});
    let daemon = FakeDaemon::new(campaign);
    run_to_end(&daemon);
    daemon.lock().layer_costs()
}

#[test]
fn what_a_profile_rules_out_is_refused_before_anything_is_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let costs = profiled(&folder);
    let daemon = FakeDaemon::new(Campaign { costs: costs.clone(), ..limited(&folder, json!({"ticks": 300})) });
    let error = refused(&daemon);
    assert!(daemon.lock().episodes.is_empty(), "no board was asked");
    // Four layers of 100 ticks, but for the depthwise one, which row loops compute in 60; three with weights of 2 bits at 3 ticks each; of the
    // activations, input and output of the network stay at 8 bits.
    assert!(error.starts_with("the latency limit of 300 instructions cannot be met"), "{error}");
    assert!(error.contains("the fastest is predicted to take 420 on toy (2 bits everywhere)"), "{error}");
    assert!(error.ends_with("off by up to 2.0 %"), "{error}");

    // An inference takes 1,000 ticks beyond its layers, which only measurements tell.
    let daemon = FakeDaemon::new(Campaign { costs, ..limited(&folder, json!({"ticks": 1000})) });
    let error = refused(&daemon);
    assert!(error.contains("to take 1420 ") && error.contains("fastest baseline, uniform 2/2, took 1420"), "{error}");
    assert_eq!(daemon.lock().episodes.len() as u64, BASELINES);
}

#[test]
fn what_the_baselines_rule_out_spends_no_budget_and_keeps_them() {
    let folder = tempfile::tempdir().expect("a folder");
    for latency in [json!({"ticks": 900}), json!({"percent": 40.0})] {
        let daemon = FakeDaemon::new(limited(&folder, latency));
        let error = refused(&daemon);
        assert!(error.contains("the fastest baseline, uniform 2/2, took 1420"), "{error}");
        let campaign = daemon.lock();
        assert_eq!(campaign.episodes.len() as u64, BASELINES);
        let rewarded = |episode: &Value| episode["candidate"]["reward"].is_number();
        assert!(campaign.episodes.values().all(rewarded), "what was measured has its reward");
    }
}

#[test]
fn where_nothing_is_predicted_the_baselines_speak_for_themselves() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = FakeDaemon::new(Campaign { layerless: true, ..limited(&folder, json!({"ticks": 700})) });
    let error = refused(&daemon);
    assert!(error.ends_with("the fastest baseline, uniform 2/2, took 1420, more than twice as many"), "{error}");
    let daemon = FakeDaemon::new(Campaign { layerless: true, ..limited(&folder, json!({"ticks": 800})) });
    run_to_end(&daemon);
    assert_eq!(daemon.lock().episodes.len() as u64, BASELINES + BUDGET, "less than twice: a search may still find it");
}

#[test]
fn the_least_that_is_possible_is_searched_and_never_refused_on_the_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = FakeDaemon::new(limited(&folder, json!({"ticks": 1420})));
    assert!(run_through_deaths(&daemon, 9) > 2, "no life ended");
    assert!(daemon.lock().finished.clone().is_some_and(|reason| reason.contains("best: episode 2 (uniform 2/2)")));
}
