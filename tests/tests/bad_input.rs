//! What a user may get wrong, with the real agent and daemon: each mistake is told in the campaign's row and in `hil campaign show`, nothing
//! that was recorded is lost, and the daemon goes on with the next campaign.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use bitrack_model::graph::{Activation, Graph, Op, Shape, TensorId};
use bitrack_model::{FloatModel, FloatWeights};
use bitrack_tests::lab::Lab;
use bitrack_tests::tiny;
use ndarray::{Array1, Array4};
use ndarray_npy::{NpzWriter, WritableElement};
use serde_json::Value;

/// All of it takes well under a minute on an idle machine.
const PATIENCE: Duration = Duration::from_secs(240);

const BOARDS: &str = "\n[[board]]\nname = \"v1\"\ntype = \"mps2-an386\"\nvirtual = true\n";

/// A mistake, and what must be said about it.
struct Case {
    name: &'static str,
    /// Model and data below the lab's folder.
    model: &'static str,
    data: &'static str,
    /// The rest of the campaign's table.
    lines: &'static str,
    said: &'static [&'static str],
}

const fn case(name: &'static str, data: &'static str, lines: &'static str, said: &'static [&'static str]) -> Case {
    Case { name, model: "model", data, lines, said }
}

const CASES: [Case; 13] = [
    case(
        "flash",
        "data",
        "limits = { flash = \"100\" }",
        &["even with 2 bits everywhere", "flash needs at least", "but the limit is 100"],
    ),
    case("ram", "data", "limits = { ram = \"1%\" }", &["even with 2 bits everywhere", "RAM needs at least"]),
    case(
        "both",
        "data",
        "limits = { flash = \"10\", ram = \"20\" }",
        &["flash needs at least", "limit is 10; RAM needs", "limit is 20"],
    ),
    case("label", "label", "", &["sample 3 of the train split has the label 9", "the model's classes are 0 to 3"]),
    case("negative", "negative", "", &["train.npz", "sample 3 has the label -1, which is no class"]),
    case("fraction", "fraction", "", &["train.npz", "y is not an array of integers"]),
    case("nan", "nan", "", &["train.npz", "sample 5 holds a value that is not finite"]),
    case("class", "class", "", &["class 3 has no sample in the validation split"]),
    case("shape", "shape", "", &["the model takes 8x8x1", "the data hold 4x4x1"]),
    case("no-data", "absent", "", &["unknown data", "absent"]),
    case(
        "option",
        "data",
        "agent = { validation-sample = 7 }",
        &["[campaign.option.agent]: unknown field `validation-sample`"],
    ),
    case("strategy", "data", "strategy = \"best\"", &["unknown strategy `best`: choose one of ddpg, ilp"]),
    Case { model: "garbage", ..case("model", "data", "", &["not a readable model", "garbage"]) },
];

/// What is said of a latency limit that nothing meets; the last part once the baselines are measured.
const TOO_SLOW: [&str; 3] = [
    "the latency limit of 9 instructions cannot be met by any choice of bits within flash and RAM",
    "the fastest is predicted to take",
    "; the fastest baseline, ",
];

fn write<Y: WritableElement>(path: &Path, x: &Array4<f32>, labels: impl IntoIterator<Item = Y>) {
    let mut npz = NpzWriter::new(File::create(path).expect("the folder is writable"));
    npz.add_array("x", x).expect("writable");
    npz.add_array("y", &Array1::from_iter(labels)).expect("writable");
    npz.finish().expect("writable");
}

const SAMPLES: usize = 80;

fn samples(side: usize) -> Array4<f32> {
    Array4::from_shape_fn((SAMPLES, side, side, 1), |(i, y, x, _)| ((i * 31 + y * 7 + x) % 17) as f32 / 17.0)
}

/// Every folder of data that a case names but the good one, each with one defect in its training samples.
fn write_bad_data(folder: &Path) {
    let labels = || (0..SAMPLES as i64).map(|i| i % 4);
    let with = |at: usize, bad: i64| labels().enumerate().map(move |(i, label)| if i == at { bad } else { label });
    let set = |name: &str, side: usize, train: &dyn Fn(&Path)| {
        let data = folder.join(name);
        std::fs::create_dir(&data).expect("a new folder");
        train(&data.join("train.npz"));
        write(&data.join("eval.npz"), &samples(side), labels());
    };
    set("label", 8, &|path| write(path, &samples(8), labels().map(|label| if label == 3 { 9 } else { label })));
    set("negative", 8, &|path| write(path, &samples(8), with(3, -1)));
    set("fraction", 8, &|path| {
        write(path, &samples(8), labels().map(|label| if label == 2 { f64::NAN } else { label as f64 }))
    });
    set("class", 8, &|path| write(path, &samples(8), labels().map(|label| label % 3)));
    set("shape", 4, &|path| write(path, &samples(4), labels()));
    let mut holed = samples(8);
    holed[[5, 2, 2, 0]] = f32::NAN;
    set("nan", 8, &|path| write(path, &holed, labels()));
}

/// A network that takes the same data and has other tensors.
fn other_network() -> FloatModel {
    let mut graph = Graph::new("other", Shape::new(8, 8, 1));
    let flat = graph.push(Op::Reshape {}, vec![TensorId(0)], Shape::new(1, 1, 64));
    graph.push(Op::FullyConnected { activation: Activation::None }, vec![flat], Shape::new(1, 1, 4));
    let weights = FloatWeights { values: (0..256).map(|i| (i % 5) as f32 / 5.0).collect(), bias: vec![0.0; 4] };
    FloatModel::new(graph, vec![None, Some(weights)]).expect("the network is written down right")
}

/// The tiny network with other weights, as if it had been trained again under the same name.
fn retrained_network() -> FloatModel {
    let tiny = tiny::network();
    let weaker = |layer: usize| {
        let FloatWeights { values, bias } = tiny.weights(layer)?.clone();
        Some(FloatWeights { values: values.into_iter().map(|value| 0.9 * value).collect(), bias })
    };
    let weights = (0..tiny.graph().layers.len()).map(weaker).collect();
    FloatModel::new(tiny.graph().clone(), weights).expect("the same topology")
}

fn campaign(lab: &mut Lab, case: &Case, budget: u32) {
    let Case { name, model, data, lines, .. } = case;
    let (model, data) = (lab.folder().join(model), lab.folder().join(data));
    lab.append_config(&format!(
        "\n[campaign.{name}]\nmodel = \"{}\"\ndata = \"{}\"\nbudget = {budget}\nboard-types = [\"mps2-an386\"]\n{lines}\n",
        model.display(),
        data.display()
    ));
}

fn lab() -> Lab {
    let mut lab = Lab::prepare(BOARDS);
    tiny::write(lab.folder());
    write_bad_data(lab.folder());
    std::fs::write(lab.folder().join("garbage"), b"not a network").expect("the folder is writable");
    CASES.iter().for_each(|case| campaign(&mut lab, case, 4));
    campaign(&mut lab, &case("swapped", "data", "strategy = \"random\"", &[]), 30);
    for name in ["slow", "slow-again"] {
        campaign(&mut lab, &case(name, "data", "strategy = \"uniform\"\nlimits = { latency = \"9 instr\" }", &[]), 4);
    }
    lab.start_daemon();
    lab
}

/// The campaign failed at once, for these reasons, and `hil campaign show` says so.
fn assert_told(lab: &Lab, name: &str, said: &[&str]) {
    let campaign = lab.wait_for_campaign(name, &["failed", "finished"], PATIENCE);
    assert_eq!(campaign["state"], "failed", "{campaign}");
    let reason = campaign["reason"].as_str().expect("a reason").to_owned();
    let shown = lab.ok(&["campaign", "show", name]);
    for part in said {
        assert!(reason.contains(part), "{name}: `{part}` in {reason}");
        assert!(shown.contains(part), "{name}: `{part}` in {shown}");
    }
    let log =
        std::fs::read_to_string(lab.folder().join(format!(".bitrack/agent-{name}.log"))).expect("the agent wrote it");
    assert_eq!(log.matches(said[0]).count(), 1, "{name}: nothing is tried twice that no other start can mend: {log}");
}

fn measurements(lab: &Lab, campaign: &str) -> Vec<Value> {
    lab.query(&format!("SELECT c.idx, m.* FROM measurements m JOIN candidates c ON c.id = m.episode WHERE c.campaign = '{campaign}' ORDER BY m.id"))
}

#[test]
fn every_mistake_is_told_and_the_daemon_goes_on() {
    let lab = lab();
    for Case { name, .. } in &CASES {
        lab.ok(&["campaign", "start", name]);
    }
    for Case { name, said, .. } in &CASES {
        assert_told(&lab, name, said);
    }

    // A latency has no minimum that arithmetic knows: nothing was measured yet, so the baselines are.
    lab.ok(&["campaign", "start", "slow"]);
    assert_told(&lab, "slow", &TOO_SLOW);
    let rows = lab.query("SELECT label, reward, ticks FROM candidates WHERE campaign = 'slow' ORDER BY idx");
    assert_eq!(rows.len(), 4, "the baselines and no candidate: {rows:?}");
    assert!(rows.iter().all(|row| row["reward"].is_number() && row["ticks"].is_number()), "{rows:?}");

    // The model is replaced in the middle of a search: the checkpoint and the episodes belong to the old one.
    lab.ok(&["campaign", "start", "swapped"]);
    lab.wait_for_measured("swapped", 2, PATIENCE);
    lab.ok(&["campaign", "stop", "swapped"]);
    let (model, kept) = (lab.folder().join("model"), lab.folder().join("kept"));
    std::fs::rename(&model, &kept).expect("ours");
    let before = measurements(&lab, "swapped");
    for (network, said) in [
        (other_network(), "tensors are not those of this model"),
        (retrained_network(), "it belongs to another model: the weights differ"),
    ] {
        network.save(&model).expect("the folder is writable");
        lab.ok(&["campaign", "resume", "swapped"]);
        assert_told(&lab, "swapped", &[said]);
    }
    std::fs::rename(&kept, &model).expect("ours");

    // So are the samples.
    let train = lab.folder().join("data/train.npz");
    std::fs::rename(&train, &kept).expect("ours");
    write(&train, &samples(8), (0..SAMPLES as i64).map(|i| i % 4));
    lab.ok(&["campaign", "resume", "swapped"]);
    assert_told(&lab, "swapped", &["it belongs to other data: samples or labels differ"]);
    let after = measurements(&lab, "swapped");
    assert_eq!(after[..before.len()], before[..], "what was measured stays as it was");

    // With the old files back it goes on to its end, and so does a campaign that was never in doubt.
    std::fs::rename(&kept, &train).expect("ours");
    lab.ok(&["campaign", "resume", "swapped"]);
    let swapped = lab.wait_for_campaign("swapped", &["failed", "finished"], PATIENCE);
    assert_eq!((&swapped["state"], &swapped["measured"]), (&"finished".into(), &30.into()), "{swapped}");
    assert_eq!(measurements(&lab, "swapped")[..before.len()], before[..]);

    // What every layer takes is known from that search.
    lab.ok(&["campaign", "start", "slow-again"]);
    assert_told(&lab, "slow-again", &[TOO_SLOW[0], TOO_SLOW[1]]);
    assert!(measurements(&lab, "slow-again").is_empty(), "nothing had to be measured");
}
