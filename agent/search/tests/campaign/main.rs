//! Whole campaigns against a daemon made of the API only: to the end, and through deaths at every stage.

mod fake_daemon;
mod latency;
mod one_shot;
mod toy;
mod training;
mod variants;

use bitrack_search::agent::{Client, run};
use fake_daemon::{Campaign, FakeDaemon};
use serde_json::{Value, json};
use toy::{BASELINES, BUDGET, campaign, outcome, run_through_deaths, run_to_end};

#[test]
fn a_campaign_measures_baselines_then_searches_within_the_limits() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = FakeDaemon::new(campaign(&folder, "ddpg"));
    run_to_end(&daemon);
    let campaign = daemon.lock();
    let labels: Vec<&str> = campaign.episodes.values().filter_map(|e| e["candidate"]["label"].as_str()).collect();
    assert_eq!(labels, ["uniform 8/8", "uniform 4/4", "uniform 2/2", "rule-based"]);
    assert_eq!(campaign.episodes.len() as u64, BASELINES + BUDGET);
    let limits = campaign.limits.clone().expect("resolved");
    for (index, episode) in campaign.episodes.range(BASELINES - 1..) {
        let row = &episode["candidate"];
        assert!(row["flash_bytes"].as_u64() <= limits["flash_bytes"].as_u64(), "episode {index}");
        assert!(row["ram_bytes"].as_u64() <= limits["ram_bytes"].as_u64(), "episode {index}");
        assert_eq!(row["state"], "done");
    }
    let reason = campaign.finished.clone().expect("finished");
    assert!(reason.starts_with("budget reached: 8 candidates measured; best: episode"), "{reason}");
    assert!(reason.contains("test top-1"), "{reason}");
}

#[test]
fn every_reward_follows_from_the_database_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    for strategy in ["random", "one-shot"] {
        let daemon = FakeDaemon::new(campaign(&folder, strategy));
        run_to_end(&daemon);
        assert_rewards_follow(&daemon.lock());
    }
}

fn assert_rewards_follow(campaign: &Campaign) {
    let accuracy = |row: &Value| row["accuracy"].as_f64().expect("judged");
    let reference = accuracy(&campaign.episodes[&0]["candidate"]);
    let limit = campaign.limits.as_ref().expect("resolved")["latency_ticks"].as_f64().expect("limited");
    for episode in campaign.episodes.values() {
        let row = &episode["candidate"];
        let over = row["ticks"].as_f64().expect("measured") / limit - 1.0;
        let late = if over > 0.0 { 1.0 + 10.0 * over } else { 0.0 };
        let expected = 10.0 * (accuracy(row) - reference) - late;
        assert!((row["reward"].as_f64().expect("rewarded") - expected).abs() < 1e-9);
    }
}

#[test]
fn an_agent_that_dies_again_and_again_finds_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    for (lifetime, strategy, warm_start) in
        [(9, "ddpg", None), (16, "ddpg", None), (11, "ddpg", Some("ilp")), (12, "evolution", None)]
    {
        let campaign = || {
            let mut campaign = campaign(&folder, strategy);
            campaign.start["options"]["warm-start"] = warm_start.into();
            campaign
        };
        let undisturbed = FakeDaemon::new(campaign());
        run_to_end(&undisturbed);
        let daemon = FakeDaemon::new(campaign());
        let deaths = run_through_deaths(&daemon, lifetime);
        assert!(deaths > 2, "lifetime {lifetime} never ended a life");
        assert_eq!(outcome(&daemon.lock()), outcome(&undisturbed.lock()), "lifetime {lifetime}");
    }
}

#[test]
fn predictions_are_stored_and_right_where_every_layer_was_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let profiled = FakeDaemon::new(campaign(&folder, "profile"));
    profiled.lock().start["budget"] = 200.into();
    profiled.lock().start["limits_asked"] = json!({"flash": null, "ram": null, "latency": null});
    run_to_end(&profiled);
    let episodes = profiled.lock().episodes.clone();
    assert!(episodes.values().all(|episode| episode["candidate"]["accuracy"].is_null()));
    let reason = profiled.lock().finished.clone().expect("finished");
    assert!(reason.contains("`profile` has nothing new to propose"), "{reason}");
    // Random candidates on the same rack, which now knows every layer at all bits.
    let daemon = FakeDaemon::new(campaign(&folder, "random"));
    daemon.lock().costs = profiled.lock().layer_costs();
    run_to_end(&daemon);
    for (index, episode) in daemon.lock().episodes.range(BASELINES..) {
        assert_eq!(episode["predicted_ticks"], episode["candidate"]["ticks"], "episode {index}");
    }
}

#[test]
fn a_campaign_may_begin_with_an_earlier_ones_best() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = FakeDaemon::new(campaign(&folder, "random"));
    run_to_end(&first);
    let mut second = campaign(&folder, "evolution");
    second.start["options"]["warm-start"] = "first".into();
    second.other = Some(first.lock().agent_start());
    let daemon = FakeDaemon::new(second);
    run_to_end(&daemon);
    let reward = |episode: &Value| episode["candidate"]["reward"].as_f64().unwrap_or(f64::NEG_INFINITY);
    let best = first.lock().episodes.range(BASELINES..).map(|(_, e)| reward(e)).fold(f64::NEG_INFINITY, f64::max);
    let proposed = daemon.lock().episodes[&BASELINES].clone();
    assert_eq!(reward(&proposed), best);
}

#[test]
fn a_failed_measurement_is_nobodys_reward_and_costs_no_budget() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = FakeDaemon::new(Campaign { failing: vec![BASELINES + 1], ..campaign(&folder, "random") });
    run_to_end(&daemon);
    let campaign = daemon.lock();
    assert_eq!(campaign.episodes.len() as u64, BASELINES + BUDGET + 1);
    assert!(campaign.episodes[&(BASELINES + 1)]["candidate"]["reward"].is_null());
}

#[test]
fn impossible_limits_are_told_with_their_minimum() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut campaign = campaign(&folder, "random");
    campaign.start["limits_asked"]["flash"] = json!({"bytes": 10});
    let daemon = FakeDaemon::new(campaign);
    let error = run(Client::new(&daemon.url, "toy")).expect_err("impossible").to_string();
    assert!(error.contains("flash needs at least") && error.contains("but the limit is 10"), "{error}");
    assert!(daemon.lock().episodes.is_empty(), "arithmetic tells, and no board was asked");
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = FakeDaemon::new(campaign(&folder, "random"));
    run_to_end(&daemon);
    let mut bytes = daemon.lock().checkpoint.clone().expect("saved");
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    daemon.lock().checkpoint = Some(bytes);
    let error = run(Client::new(&daemon.url, "toy")).expect_err("damaged").to_string();
    assert_eq!(error, "the checkpoint cannot be used: it is damaged");
}
