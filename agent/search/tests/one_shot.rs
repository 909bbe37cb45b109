//! Policy and weights trained together, on a small network with real training, integer kernels and real limits.

use bitrack_model::graph::{Activation, Graph, Op, Shape, TensorId, Window};
use bitrack_model::{Bits, Dataset, FloatModel, FloatWeights, Samples, Split};
use bitrack_search::candidate::{Builder, HostJudge, HostTraining, ModelCosts, Preparation, Source};
use bitrack_search::data::Splits;
use bitrack_search::env::{Costs, Environment, Limits};
use bitrack_search::qat::FloatNetwork;
use bitrack_search::strategy::one_shot::{OneShot, OneShotConfig};
use bitrack_search::strategy::{Blob, Random, Strategy};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use tch::{Kind, Tensor};

const SHAPE: Shape = Shape::new(6, 6, 1);
/// How far the limits are from what 2 bits everywhere need towards what 8 bits do.
const ROOM: f64 = 0.4;

/// Two convolutions, a wide pointwise layer and a classifier, with random weights.
fn model(rng: &mut ChaCha8Rng) -> FloatModel {
    let mut graph = Graph::new("toy", SHAPE);
    let window = |kernel: usize| Window { kernel: [kernel; 2], stride: [1, 1], pad_before: [kernel / 2; 2] };
    let activation = Activation::Relu;
    let x = graph.push(Op::Conv2d { window: window(3), activation }, vec![TensorId(0)], Shape::new(6, 6, 8));
    let x = graph.push(Op::Conv2d { window: window(3), activation }, vec![x], Shape::new(6, 6, 8));
    let x = graph.push(Op::Conv2d { window: window(1), activation }, vec![x], Shape::new(6, 6, 24));
    let whole = Window { kernel: [6, 6], stride: [1, 1], pad_before: [0, 0] };
    let x = graph.push(Op::AveragePool { window: whole, activation: Activation::None }, vec![x], Shape::new(1, 1, 24));
    graph.push(Op::FullyConnected { activation: Activation::None }, vec![x], Shape::new(1, 1, 4));
    let layer = |layer: &bitrack_model::graph::Layer| {
        let shape = graph.weight_shape(layer)?;
        let mut random = |n: usize, most: f32| (0..n).map(|_| rng.random_range(-most..most)).collect();
        let fan_in = (shape.elements() / shape.out) as f32;
        let values = random(shape.elements(), (6.0 / fan_in).sqrt());
        Some(FloatWeights { values, bias: random(shape.out, 0.2) })
    };
    let weights = graph.layers.iter().map(layer).collect();
    FloatModel::new(graph, weights).expect("consistent")
}

/// Samples that the float network labels itself: what quantization costs is then all that is wrong. Logits are taken against their mean, so
/// that all classes occur.
fn samples(model: &FloatModel, split: Split, n: usize, rng: &mut ChaCha8Rng) -> Dataset {
    let mut values = Vec::new();
    for _ in 0..n {
        let (row, column) = (rng.random_range(0..6i32), rng.random_range(0..6i32));
        let slope = rng.random_range(-1.0f32..1.0);
        for at in 0..36i32 {
            let near = (at / 6 - row).abs() + (at % 6 - column).abs();
            values.push(slope * (3 - near) as f32 + rng.random_range(-0.3f32..0.3));
        }
    }
    let logits = FloatNetwork::new(model, Kind::Float)
        .and_then(|network| network.logits(&Tensor::from_slice(&values).view([n as i64, 1, 6, 6])))
        .expect("runs");
    let mean = logits.mean_dim([0i64].as_slice(), true, Kind::Float);
    let best = Vec::<i64>::try_from((logits - mean).argmax(1, false)).expect("classes");
    let labels = best.into_iter().map(|label| label as u16).collect();
    Dataset::new(split, SHAPE, Samples::F32(values), labels).expect("fits")
}

fn builder() -> Arc<Builder> {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let model = model(&mut rng);
    let train = samples(&model, Split::Train, 700, &mut rng);
    let test = samples(&model, Split::Test, 20, &mut rng);
    let splits = Splits::new("toy", &train, 300, test).expect("splits");
    let preparation = Preparation { calibration_samples: 64, ..Preparation::default() };
    Arc::new(Source::new(model, splits).and_then(|source| source.prepare(&preparation)).expect("prepares"))
}

fn environment(builder: &Arc<Builder>) -> Environment {
    let (space, costs): (_, ModelCosts) = (builder.space(), builder.costs());
    let [two, eight] = [Bits::Two, Bits::Eight].map(|bits| costs.footprint(&space.uniform(bits, bits)));
    let between = |least: u64, most: u64| Some(least + ((most - least) as f64 * ROOM) as u64);
    let flash_bytes = between(two.flash_bytes, eight.flash_bytes);
    let ram_bytes = between(two.ram_bytes, eight.ram_bytes);
    let limits = Limits { flash_bytes, ram_bytes, latency_ticks: None };
    let judge = Box::new(HostJudge::new(builder.clone(), 16));
    let training = Box::new(HostTraining(builder.clone()));
    Environment::new(space, Box::new(costs), limits, judge, training, ["toy".into()]).expect("limits above the minimum")
}

fn config(steps: usize) -> OneShotConfig {
    OneShotConfig { steps, batch: 32, shift: 0, ..OneShotConfig::default() }
}

/// Validation accuracy of the shared weights at these bits, by the integer kernels.
fn accuracy(builder: &Builder, strategy: &OneShot, bits: &[Bits]) -> f64 {
    let network = strategy.network(bits).expect("lowers").expect("trained");
    let candidate = builder.trained(&builder.space().policy(bits), &network).expect("lowers");
    builder.validate(&candidate.image, usize::MAX).expect("runs").top1
}

#[test]
fn bits_go_where_they_matter_and_the_limits_hold() {
    let builder = builder();
    let env = environment(&builder);
    let mut one_shot = OneShot::new(1, config(300));
    let mut proposed = Vec::new();
    for _ in 0..4 {
        let asked = one_shot.propose(&env).expect("trains").expect("there are more").asked;
        let bits = env.project(&asked);
        assert!(env.costs.footprint(&bits).within(&env.limits));
        assert!(!proposed.contains(&bits), "each choice is proposed once");
        proposed.push(bits);
    }
    let mut random = Random::new(5);
    let chance: Vec<f64> = (0..40)
        .map(|_| random.propose(&env).expect("proposes").expect("endless"))
        .map(|proposal| accuracy(&builder, &one_shot, &env.project(&proposal.asked)))
        .collect();
    let mean = chance.iter().sum::<f64>() / chance.len() as f64;
    let found = accuracy(&builder, &one_shot, &proposed[0]);
    println!("found {found:.3} with {:?}, random policies {mean:.3} on average", proposed[0]);
    assert!(found > mean + 0.03, "found {found}, random policies with the same weights {mean} on average");
}

#[test]
fn a_run_that_was_interrupted_anywhere_ends_with_the_same_network() {
    let builder = builder();
    let env = environment(&builder);
    let options = config(50);
    let finish = |one_shot: &mut OneShot| {
        let asked = one_shot.propose(&env).expect("trains").expect("one at least").asked;
        let network = one_shot.network(&env.project(&asked)).expect("lowers").expect("trained");
        (asked, network, one_shot.save().expect("saves"))
    };
    let whole = finish(&mut OneShot::new(1, options.clone()));
    for parts in 0..4 {
        let mut first = OneShot::new(1, options.clone());
        for _ in 0..parts {
            assert!(first.prepare(&env).expect("trains").is_some(), "50 steps are three parts");
        }
        let bytes = first.save().expect("saves").to_bytes();
        let mut second = OneShot::new(99, options.clone());
        second.load(&Blob::from_bytes(&bytes).expect("own bytes")).expect("loads");
        assert!(finish(&mut second) == whole, "interrupted after {parts} parts");
    }
    let other = finish(&mut OneShot::new(2, options));
    assert!(other.1 != whole.1, "another seed trains another network");
}
