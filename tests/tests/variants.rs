//! From one profile to campaigns whose images are computed by what was measured to be fastest, on emulated boards.

use std::collections::HashMap;
use std::time::Duration;

use bitrack_model::graph::{Activation, Graph, Op, Shape, TensorId, Window};
use bitrack_model::{Bits, FloatModel, FloatWeights, Variant, Variants};
use bitrack_tests::lab::Lab;
use bitrack_tests::tiny;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(280);
const CHANNELS: usize = 8;
/// By how much a layer measured before may differ from what it takes: `docs/search.md`.
const ERROR: f64 = 0.02;

/// A network that ends in a map of one pixel, where loops over pairs of pixels have nothing to gain.
fn network() -> FloatModel {
    let mut graph = Graph::new("small maps", Shape::new(8, 8, 1));
    let window = |k, stride, pad| Window { kernel: [k, k], stride: [stride, stride], pad_before: [pad, pad] };
    let activation = Activation::Relu;
    let wide = |side: usize| Shape::new(side, side, CHANNELS);
    let mut x = graph.push(Op::Conv2d { window: window(3, 1, 1), activation }, vec![TensorId(0)], wide(8));
    x = graph.push(Op::DepthwiseConv2d { window: window(3, 1, 1), activation }, vec![x], wide(8));
    x = graph.push(Op::AveragePool { window: window(4, 4, 0), activation: Activation::None }, vec![x], wide(2));
    x = graph.push(Op::DepthwiseConv2d { window: window(3, 1, 1), activation }, vec![x], wide(2));
    x = graph.push(Op::DepthwiseConv2d { window: window(3, 2, 1), activation }, vec![x], wide(1));
    x = graph.push(Op::DepthwiseConv2d { window: window(3, 1, 1), activation }, vec![x], wide(1));
    x = graph.push(Op::Conv2d { window: window(1, 1, 0), activation }, vec![x], wide(1));
    graph.push(Op::FullyConnected { activation: Activation::None }, vec![x], Shape::new(1, 1, 4));
    let weights = graph.layers.iter().map(|layer| {
        let shape = graph.weight_shape(layer)?;
        let values = (0..shape.elements()).map(|i| 0.05 * ((i * 5 % 11) as f32 - 4.0)).collect();
        Some(FloatWeights { values, bias: vec![0.0; shape.out] })
    });
    let weights = weights.collect();
    FloatModel::new(graph, weights).expect("the network is written down right")
}

/// A daemon on two boards with a campaign of the network.
fn lab() -> Lab {
    let mut lab = Lab::prepare(
        "[[board]]\nname = \"v1\"\ntype = \"mps2-an386\"\nvirtual = true\n[[board]]\nname = \"v2\"\ntype = \"mps2-an386\"\nvirtual = true\n",
    );
    let (_, data) = tiny::write(lab.folder());
    let model = lab.folder().join("small-maps");
    network().save(&model).expect("the folder is writable");
    lab.append_config(&format!(
        "[campaign.maps]\nmodel = \"{}\"\ndata = \"{}\"\nbudget = 12\nboard-types = [\"mps2-an386\"]\nstrategy = \"random\"\n",
        model.display(),
        data.display()
    ));
    lab.start_daemon();
    lab
}

/// What each variant takes by geometry and bits of weights, input and output, where all were measured.
type Table = HashMap<(String, [u64; 3]), Vec<(String, f64)>>;

fn bits(row: &Value) -> [u64; 3] {
    ["weight_bits", "input_bits", "output_bits"].map(|what| row[what].as_u64().expect("it has weights"))
}

fn measured(lab: &Lab) -> Table {
    let mut table = Table::new();
    for row in lab.query("SELECT * FROM variant_costs") {
        let text = |what: &str| row[what].as_str().expect("a text").to_owned();
        let cost = (text("variant"), row["ticks_mean"].as_f64().expect("measured"));
        table.entry((text("geometry"), bits(&row))).or_default().push(cost);
    }
    table
}

/// The variants of a layer and the usual one, by the compiler.
fn of_compiler(graph: &Graph, layer: usize, [_, input, _]: [u64; 3]) -> (usize, Variant) {
    let input = Bits::try_from(input as u8).expect("2, 4 or 8");
    (Variants::of_layer(graph, layer, input).len(), Variants::usual(graph, layer, input))
}

#[test]
fn one_profile_makes_campaigns_pick_the_fastest_variants() {
    let lab = lab();
    lab.ok(&["campaign", "profile", "maps"]);
    let profile = lab.wait_for_campaign("maps-profile", &["finished", "failed"], PATIENCE);
    assert_eq!(profile["state"], "finished", "{profile}");
    let reason = profile["reason"].as_str().expect("why it ended");
    assert!(reason.contains("nothing new to propose") && !reason.contains("left"), "{reason}");
    let table = measured(&lab);
    lab.ok(&["campaign", "start", "maps"]);
    let campaign = lab.wait_for_campaign("maps", &["finished", "failed"], PATIENCE);
    assert_eq!(campaign["state"], "finished", "{campaign}");
    let graph = network().graph().clone();
    let mut unusual = 0;
    for row in lab.query("SELECT id, image_sha256, prediction_error FROM candidates WHERE campaign = 'maps'") {
        let detail = lab.get(&format!("/api/candidates/{}", row["id"]));
        let layers = detail["layers"].as_array().expect("layers");
        assert_names(&lab, &row, layers);
        unusual += layers.iter().enumerate().filter(|(index, layer)| is_unusual(&graph, &table, *index, layer)).count();
        let error = row["prediction_error"].as_f64().unwrap_or(0.0);
        assert!(error.abs() <= ERROR, "{row}");
    }
    assert!(unusual > 0, "some layer of some candidate is not computed as it would be without a profile");
    let shown = lab.ok(&["campaign", "layers", "maps"]);
    assert!(shown.lines().next().is_some_and(|head| head.contains("fastest") && head.contains("latest")), "{shown}");
    let best = lab.ok(&["best", "maps"]);
    assert!(best.contains("variant") && best.contains("rows"), "{best}");
}

/// The image names what the database says.
fn assert_names(lab: &Lab, row: &Value, layers: &[Value]) {
    let sha = row["image_sha256"].as_str().expect("it was measured");
    let mut answer = ureq::get(format!("{}/api/images/{sha}", lab.url())).call().expect("it is in the cache");
    let image = answer.body_mut().read_to_vec().expect("bytes");
    let named = bitrack_model::variants(&image).expect("an image");
    assert_eq!(named.len(), layers.len());
    for (variant, layer) in named.iter().zip(layers).filter(|(_, layer)| !layer["weight_bits"].is_null()) {
        assert_eq!(layer["variant"], variant.name(), "{layer}");
    }
}

/// Whether a layer runs by another variant than the usual one; it must be the fastest of all.
fn is_unusual(graph: &Graph, table: &Table, index: usize, layer: &Value) -> bool {
    if layer["weight_bits"].is_null() {
        return false;
    }
    let (variants, usual) = of_compiler(graph, index, bits(layer));
    let geometry = layer["geometry"].as_str().expect("told").to_owned();
    let Some(costs) = table.get(&(geometry, bits(layer))).filter(|costs| costs.len() == variants) else { return false };
    let ran = layer["variant"].as_str().expect("told");
    let (_, ticks) = costs.iter().find(|(variant, _)| variant == ran).expect("it was measured");
    assert!(costs.iter().all(|(_, other)| ticks <= other), "{layer} though {costs:?}");
    ran != usual.name()
}
