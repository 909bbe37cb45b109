//! Whole campaigns against a daemon made of the API only: to the end, and through deaths at every stage.

mod fake_daemon;

use bitrack_model::graph::{Activation, Graph, Op, Shape, TensorId, Window};
use bitrack_model::{FloatModel, FloatWeights};
use bitrack_search::agent::{Client, run};
use fake_daemon::{Campaign, FakeDaemon};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use tempfile::TempDir;

const BUDGET: u64 = 8;
/// Uniform 8/8, 4/4, 2/2 and the rule-based policy.
const BASELINES: u64 = 4;

/// Three layers with random weights on 6 x 6 images.
fn model(path: &Path) {
    let mut graph = Graph::new("toy", Shape::new(6, 6, 1));
    let window = Window { kernel: [3, 3], stride: [1, 1], pad_before: [1, 1] };
    let activation = Activation::Relu;
    let x = graph.push(Op::Conv2d { window, activation }, vec![TensorId(0)], Shape::new(6, 6, 4));
    let x = graph.push(Op::DepthwiseConv2d { window, activation }, vec![x], Shape::new(6, 6, 4));
    let whole = Window { kernel: [6, 6], stride: [1, 1], pad_before: [0, 0] };
    let x = graph.push(Op::AveragePool { window: whole, activation: Activation::None }, vec![x], Shape::new(1, 1, 4));
    graph.push(Op::FullyConnected { activation: Activation::None }, vec![x], Shape::new(1, 1, 3));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut random = |n: usize| (0..n).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f32>>();
    let layer = |layer: &bitrack_model::graph::Layer| {
        let shape = graph.weight_shape(layer)?;
        Some(FloatWeights { values: random(shape.elements()), bias: random(shape.out) })
    };
    let weights = graph.layers.iter().map(layer).collect();
    FloatModel::new(graph, weights).expect("consistent").save(path).expect("saved");
}

fn data(path: &Path) {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let x = ndarray::Array4::from_shape_fn((90, 6, 6, 1), |_| rng.random_range(0.0f32..1.0));
    let mut archive = ndarray_npy::NpzWriter::new(std::fs::File::create(path).expect("created"));
    archive.add_array("x", &x).expect("x");
    archive.add_array("y", &ndarray::Array1::from_iter((0..90i64).map(|i| i % 3))).expect("y");
    archive.finish().expect("finished");
}

/// A campaign on a folder with model and data.
fn campaign(folder: &TempDir, strategy: &str) -> Campaign {
    let (model_path, data_path) = (folder.path().join("model"), folder.path().join("data.npz"));
    model(&model_path);
    data(&data_path);
    let start = json!({
        "id": 1, "name": "toy", "model": model_path, "data": data_path, "strategy": strategy, "seed": 3,
        "budget": BUDGET, "measured": 0, "warmup": 1, "repeats": 3,
        "limits_asked": {"flash": {"percent": 90.0}, "ram": {"percent": 80.0}, "latency": {"percent": 100.0}},
        "board_types": [{"name": "toy", "unit": "instructions", "clock_hz": 1, "slot_bytes": 65536, "arena_bytes": 65536}],
        "options": {"checkpoint-every": 2, "ddpg": {"warm-up": 2, "batch": 8, "updates-per-step": 1}},
        "next_index": 0,
    });
    Campaign { start, ..Campaign::default() }
}

fn run_to_end(daemon: &FakeDaemon) {
    run(Client::new(&daemon.url, "toy")).expect("the campaign ends");
}

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
    let daemon = FakeDaemon::new(campaign(&folder, "random"));
    run_to_end(&daemon);
    let campaign = daemon.lock();
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

/// What must not depend on how often the agent died.
fn outcome(campaign: &Campaign) -> Vec<(Value, Value, Value)> {
    let key = |e: &Value| (e["client_key"].clone(), e["steps"].clone(), e["candidate"]["reward"].clone());
    campaign.episodes.values().map(key).collect()
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
        let mut deaths = 0;
        while daemon.lock().finished.is_none() {
            daemon.lock().requests_left = Some(lifetime + deaths);
            match run(Client::new(&daemon.url, "toy")) {
                Ok(()) => {}
                Err(error) => assert!(error.to_string().contains("dead"), "{error}"),
            }
            deaths += 1;
            assert!(deaths < 60, "no progress with {lifetime} requests per life");
        }
        assert!(deaths > 2, "lifetime {lifetime} never ended a life");
        assert_eq!(outcome(&daemon.lock()), outcome(&undisturbed.lock()), "lifetime {lifetime}");
    }
}

/// Images of a campaign, each once.
fn images(campaign: &Campaign) -> BTreeSet<String> {
    campaign.images.iter().cloned().collect()
}

#[test]
fn fine_tuned_candidates_are_the_same_images_after_every_death() {
    let folder = tempfile::tempdir().expect("a folder");
    let tuned = || {
        let mut campaign = campaign(&folder, "random");
        campaign.start["options"]["fine-tune"] = json!({"steps": 3, "batch": 16, "learning-rate": 0.05});
        campaign
    };
    let plain = FakeDaemon::new(campaign(&folder, "random"));
    run_to_end(&plain);
    let undisturbed = FakeDaemon::new(tuned());
    run_to_end(&undisturbed);
    assert!(images(&plain.lock()).is_disjoint(&images(&undisturbed.lock())), "fine-tuning changes every image");
    let daemon = FakeDaemon::new(tuned());
    for deaths in 0.. {
        daemon.lock().requests_left = Some(12 + deaths);
        if run(Client::new(&daemon.url, "toy")).is_ok() {
            break;
        }
        assert!(deaths < 60, "no progress");
    }
    assert_eq!(outcome(&daemon.lock()), outcome(&undisturbed.lock()));
    assert_eq!(images(&daemon.lock()), images(&undisturbed.lock()));
}

#[test]
fn a_wrong_fine_tuning_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut campaign = campaign(&folder, "random");
    campaign.start["options"]["fine-tune"] = json!({"learning-rate": 0.1});
    let error = run(Client::new(&FakeDaemon::new(campaign).url, "toy")).expect_err("refused").to_string();
    assert_eq!(error, "[campaign.toy.agent]: fine-tune: give steps or seconds");
}

#[test]
fn predictions_are_stored_and_right_where_every_layer_was_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let profiled = FakeDaemon::new(campaign(&folder, "profile"));
    profiled.lock().start["budget"] = 60.into();
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
fn finalists_are_the_best_of_another_campaign_trained_for_longer() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = FakeDaemon::new(campaign(&folder, "random"));
    run_to_end(&first);
    let mut second = campaign(&folder, "finalists");
    second.start["budget"] = 2.into();
    second.start["origin"] = "first".into();
    second.start["limits_asked"] = json!({"flash": null, "ram": null, "latency": null});
    second.start["options"] = json!({"fine-tune": {"steps": 5, "batch": 16}});
    second.other = Some(first.lock().agent_start());
    let daemon = FakeDaemon::new(second);
    run_to_end(&daemon);

    let mut feasible: Vec<(f64, i64, u64)> = Vec::new();
    for (&index, episode) in &first.lock().episodes {
        let row = &episode["candidate"];
        if row["feasible"] == true {
            let (accuracy, ticks) = (row["accuracy"].as_f64(), row["ticks"].as_i64());
            feasible.push((accuracy.expect("judged"), -ticks.expect("measured"), index));
        }
    }
    feasible.sort_by(|a, b| b.partial_cmp(a).expect("numbers"));
    let finished = daemon.lock();
    assert_eq!(finished.episodes.len(), 2);
    let finalist = &finished.episodes[&0];
    let origin = first.lock().episodes[&feasible[0].2].clone();
    assert_eq!(finalist["candidate"]["label"], format!("finalist of episode {}", origin["candidate"]["index"]));
    let bits = |episode: &Value| -> Vec<Value> {
        episode["steps"].as_array().expect("steps").iter().map(|step| step["bits"].clone()).collect()
    };
    assert_eq!(bits(finalist), bits(&origin));
    assert!(finalist["candidate"]["reward"].is_number());
    let known = first.lock().images.clone();
    assert!(finished.images.iter().all(|image| !known.contains(image)), "training changes the image");
}

#[test]
fn finalists_are_the_same_images_after_every_death() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = FakeDaemon::new(campaign(&folder, "random"));
    run_to_end(&first);
    let finalists = || {
        let mut second = campaign(&folder, "finalists");
        second.start["budget"] = 3.into();
        second.start["origin"] = "first".into();
        second.start["limits_asked"] = json!({"flash": null, "ram": null, "latency": null});
        second.start["options"] = json!({"fine-tune": {"steps": 5, "batch": 16}});
        second.other = Some(first.lock().agent_start());
        second
    };
    let undisturbed = FakeDaemon::new(finalists());
    run_to_end(&undisturbed);
    let daemon = FakeDaemon::new(finalists());
    let mut deaths = 0;
    while daemon.lock().finished.is_none() {
        daemon.lock().requests_left = Some(5 + deaths);
        match run(Client::new(&daemon.url, "toy")) {
            Ok(()) => {}
            Err(error) => assert!(error.to_string().contains("dead"), "{error}"),
        }
        deaths += 1;
        assert!(deaths < 60, "no progress");
    }
    assert!(deaths > 2, "no life ended");
    assert_eq!(outcome(&daemon.lock()), outcome(&undisturbed.lock()));
    assert_eq!(images(&daemon.lock()), images(&undisturbed.lock()));
    assert_eq!(daemon.lock().finished, undisturbed.lock().finished);
}

#[test]
fn finalists_need_a_campaign_to_come_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = run(Client::new(&FakeDaemon::new(campaign(&folder, "finalists")).url, "toy")).expect_err("no origin");
    assert!(error.to_string().contains("hil campaign finalists NAME"), "{error}");
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
