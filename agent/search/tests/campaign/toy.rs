//! A network, data and campaigns small enough to be searched in a moment.

use super::fake_daemon::{Campaign, FakeDaemon};
use bitrack_model::graph::{Activation, Graph, Op, Shape, TensorId, Window};
use bitrack_model::{FloatModel, FloatWeights};
use bitrack_search::agent::{Client, run};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use tempfile::TempDir;

pub const BUDGET: u64 = 8;
/// Uniform 8/8, 4/4, 2/2 and the rule-based policy.
pub const BASELINES: u64 = 4;

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
pub fn campaign(folder: &TempDir, strategy: &str) -> Campaign {
    let (model_path, data_path) = (folder.path().join("model"), folder.path().join("data.npz"));
    model(&model_path);
    data(&data_path);
    let start = json!({
        "id": 1, "name": "toy", "model": model_path, "data": data_path, "strategy": strategy, "seed": 3,
        "budget": BUDGET, "measured": 0, "warmup": 1, "repeats": 3,
        "limits_asked": {"flash": {"percent": 90.0}, "ram": {"percent": 90.0}, "latency": {"percent": 100.0}},
        "board_types": [{"name": "toy", "unit": "instructions", "clock_hz": 1, "slot_bytes": 65536, "arena_bytes": 65536}],
        "options": {"checkpoint-every": 2, "ddpg": {"warm-up": 2, "batch": 8, "updates-per-step": 1},
                    "one-shot": {"steps": 70, "batch": 16}},
        "next_index": 0,
    });
    Campaign { start, ..Campaign::default() }
}

pub fn run_to_end(daemon: &FakeDaemon) {
    run(Client::new(&daemon.url, "toy")).expect("the campaign ends");
}

/// What must not depend on how often the agent died.
pub fn outcome(campaign: &Campaign) -> Vec<(Value, Value, Value)> {
    let key = |e: &Value| (e["client_key"].clone(), e["steps"].clone(), e["candidate"]["reward"].clone());
    campaign.episodes.values().map(key).collect()
}

/// Images of a campaign, each once.
pub fn images(campaign: &Campaign) -> BTreeSet<String> {
    campaign.images.keys().cloned().collect()
}

/// Lets the agent die after ever more requests until the campaign is finished; how often it died.
pub fn run_through_deaths(daemon: &FakeDaemon, lifetime: u32) -> u32 {
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
    deaths
}
