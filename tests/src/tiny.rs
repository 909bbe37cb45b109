//! A network and data small enough that a whole campaign takes seconds, and real enough to be quantized, flashed and run.
//!
//! The data: 8 x 8 images of noise with one bright quadrant, which is the class. The weights are written down, not trained.

use std::fs::File;
use std::path::{Path, PathBuf};

use bitrack_model::graph::{Activation, Graph, Op, Shape, TensorId, Window};
use bitrack_model::{FloatModel, FloatWeights};
use ndarray::{Array1, Array4};
use ndarray_npy::NpzWriter;

const SIDE: usize = 8;
const CLASSES: usize = 4;
const CHANNELS: usize = 6;

/// Writes `model` and the folder `data` into `folder`; their paths, for `hil.toml`.
pub fn write(folder: &Path) -> (PathBuf, PathBuf) {
    let (model, data) = (folder.join("model"), folder.join("data"));
    network().save(&model).expect("the folder is writable");
    std::fs::create_dir_all(&data).expect("the folder is writable");
    write_samples(&data.join("train.npz"), 400, 1);
    write_samples(&data.join("eval.npz"), 100, 2);
    (model, data)
}

/// conv 3x3, depthwise 3x3, pointwise, average over quadrants, fully connected.
pub fn network() -> FloatModel {
    let mut graph = Graph::new("tiny", Shape::new(SIDE, SIDE, 1));
    let window = |k, stride, pad| Window { kernel: [k, k], stride: [stride, stride], pad_before: [pad, pad] };
    let relu = Activation::Relu;
    let wide = Shape::new(SIDE, SIDE, CHANNELS);
    let conv = graph.push(Op::Conv2d { window: window(3, 1, 1), activation: relu }, vec![TensorId(0)], wide);
    let spread = Op::DepthwiseConv2d { window: window(3, 1, 1), activation: relu };
    let spread = graph.push(spread, vec![conv], wide);
    let mixed = graph.push(Op::Conv2d { window: window(1, 1, 0), activation: relu }, vec![spread], wide);
    let quadrants = Op::AveragePool { window: window(SIDE / 2, SIDE / 2, 0), activation: Activation::None };
    let quadrants = graph.push(quadrants, vec![mixed], Shape::new(2, 2, CHANNELS));
    let flat = graph.push(Op::Reshape {}, vec![quadrants], Shape::new(1, 1, 4 * CHANNELS));
    graph.push(Op::FullyConnected { activation: Activation::None }, vec![flat], Shape::new(1, 1, CLASSES));
    let smooth = |count: usize, scale: f32| {
        let values = (0..count).map(|i| scale * (1.0 + 0.1 * (i % 7) as f32)).collect();
        Some(values)
    };
    let layer = |values: Option<Vec<f32>>, outputs| Some(FloatWeights { values: values?, bias: vec![0.0; outputs] });
    let weights = vec![
        layer(smooth(9 * CHANNELS, 0.1), CHANNELS),
        layer(smooth(9 * CHANNELS, 0.1), CHANNELS),
        layer(smooth(CHANNELS * CHANNELS, 0.2), CHANNELS),
        None,
        None,
        layer(Some(votes()), CLASSES),
    ];
    FloatModel::new(graph, weights).expect("the network is written down right")
}

/// Each class: its own quadrant for, the others against.
fn votes() -> Vec<f32> {
    let vote = |class: usize, input: usize| if input / CHANNELS == class { 1.0 } else { -0.3 };
    (0..CLASSES).flat_map(|class| (0..4 * CHANNELS).map(move |input| vote(class, input))).collect()
}

fn write_samples(path: &Path, count: usize, mut seed: u64) {
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 40) as f32 / (1u64 << 24) as f32
    };
    let bright = |class: usize, y: usize, x: usize| 2 * (y / (SIDE / 2)) + x / (SIDE / 2) == class;
    let x = Array4::from_shape_fn((count, SIDE, SIDE, 1), |(i, y, x, _)| {
        noise() + if bright(i % CLASSES, y, x) { 0.35 } else { 0.0 }
    });
    let y = Array1::from_shape_fn(count, |i| (i % CLASSES) as i64);
    let mut npz = NpzWriter::new(File::create(path).expect("the folder is writable"));
    npz.add_array("x", &x).expect("writable");
    npz.add_array("y", &y).expect("writable");
    npz.finish().expect("writable");
}
