//! Fake quantization against the integer kernels: random small networks, random widths, layer by layer and as a whole.

use bitrack_model::graph::{Activation, Graph, Op, Shape, TensorId, Window};
use bitrack_model::{
    Bits, Dataset, FloatModel, FloatWeights, HostImage, LowerOptions, Policy, QuantizedModel, Quantizer, RangeMethod,
    Samples, Split, lower,
};
use bitrack_search::qat::Parameters;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

const NETWORKS: u64 = 150;
const SAMPLES: usize = 40;

/// What was compared, and what differed.
#[derive(Debug, Default)]
struct Tally {
    samples: usize,
    other_class: usize,
    codes: usize,
    /// Codes that differ by one though the layer's inputs were equal.
    off_by_one: usize,
    networks: usize,
}

/// A random number below `n`.
fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    rng.random_range(0..n)
}

fn window(rng: &mut ChaCha8Rng, input: Shape) -> (Window, [usize; 2]) {
    let kernel = [1 + below(rng, input.h.min(4)), 1 + below(rng, input.w.min(3))];
    let stride = [1 + below(rng, 2), 1 + below(rng, 2)];
    let pad_before = [below(rng, kernel[0]), below(rng, kernel[1])];
    let out = |axis: usize, size: usize, rng: &mut ChaCha8Rng| {
        // Any output that every window touches the input for; the padding behind follows from it.
        let most = (size + pad_before[axis] - 1) / stride[axis] + 1;
        let least = (size + pad_before[axis]).saturating_sub(kernel[axis]) / stride[axis] + 1;
        least.min(most) + below(rng, most - least.min(most) + 1)
    };
    let output = [out(0, input.h, rng), out(1, input.w, rng)];
    (Window { kernel, stride, pad_before }, output)
}

fn activation(rng: &mut ChaCha8Rng) -> Activation {
    [Activation::None, Activation::Relu, Activation::Relu6][below(rng, 3)]
}

/// Two to five layers of any kind, then a pool, a reshape or neither, a fully connected layer, and often a softmax.
fn graph(rng: &mut ChaCha8Rng) -> Graph {
    let mut graph = Graph::new("random", Shape::new(4 + below(rng, 5), 3 + below(rng, 5), 1 + below(rng, 3)));
    for _ in 0..2 + below(rng, 4) {
        push_layer(&mut graph, rng);
    }
    let shape = graph.shape(graph.output);
    let x = if rng.random() {
        let window = Window { kernel: [shape.h, shape.w], stride: [1, 1], pad_before: [0, 0] };
        let pool = Op::AveragePool { window, activation: Activation::None };
        graph.push(pool, vec![graph.output], Shape::new(1, 1, shape.c))
    } else {
        graph.push(Op::Reshape {}, vec![graph.output], Shape::new(1, 1, shape.elements()))
    };
    let classes = Shape::new(1, 1, 3 + below(rng, 4));
    let x = graph.push(Op::FullyConnected { activation: Activation::None }, vec![x], classes);
    if rng.random_bool(0.7) {
        graph.push(Op::Softmax { beta: 1.0 }, vec![x], classes);
    }
    graph
}

fn push_layer(graph: &mut Graph, rng: &mut ChaCha8Rng) {
    let x = graph.output;
    let input = graph.shape(x);
    let (window, [h, w]) = window(rng, input);
    let activation = activation(rng);
    match below(rng, 6) {
        0 | 1 => graph.push(Op::Conv2d { window, activation }, vec![x], Shape::new(h, w, 1 + below(rng, 9))),
        2 => graph.push(Op::DepthwiseConv2d { window, activation }, vec![x], Shape::new(h, w, input.c)),
        3 => graph.push(Op::AveragePool { window, activation }, vec![x], Shape::new(h, w, input.c)),
        4 => {
            let activation = Activation::None;
            graph.push(Op::MaxPool { window, activation }, vec![x], Shape::new(h, w, input.c))
        }
        _ => {
            let earlier: Vec<TensorId> =
                (0..graph.tensors.len()).map(TensorId).filter(|&id| graph.shape(id) == input).collect();
            let second = earlier[below(rng, earlier.len())];
            graph.push(Op::Add { activation }, vec![x, second], input)
        }
    };
}

fn model(rng: &mut ChaCha8Rng) -> FloatModel {
    let graph = graph(rng);
    let weights = |layer: &bitrack_model::graph::Layer| {
        let shape = graph.weight_shape(layer)?;
        let spread = 2.0 / (shape.per_channel() as f32).sqrt();
        let mut random = |n: usize, spread: f32| (0..n).map(|_| rng.random_range(-spread..spread)).collect();
        Some(FloatWeights { values: random(shape.elements(), spread), bias: random(shape.out, 0.5) })
    };
    let weights = graph.layers.iter().map(weights).collect();
    FloatModel::new(graph, weights).expect("consistent")
}

fn data(rng: &mut ChaCha8Rng, shape: Shape) -> Dataset {
    let values = (0..SAMPLES * shape.elements()).map(|_| rng.random_range(-2.0f32..3.0)).collect();
    Dataset::new(Split::Train, shape, Samples::F32(values), vec![0; SAMPLES]).expect("fits")
}

fn policy(rng: &mut ChaCha8Rng, graph: &Graph) -> Policy {
    let mut bits = |n: usize| (0..n).map(|_| Bits::ALL[below(rng, 3)]).collect();
    Policy { weights: bits(graph.weight_layers().len()), activations: bits(graph.activation_slots().len()) }
}

fn first_largest(codes: &[f64]) -> usize {
    (0..codes.len()).rev().fold(codes.len() - 1, |best, i| if codes[i] >= codes[best] { i } else { best })
}

/// Codes `[h][w][c]` of all samples as `[n, c, h, w]`.
fn codes_tensor(samples: &[&[u8]], shape: Shape) -> Tensor {
    let all: Vec<u8> = samples.concat();
    let size = [samples.len(), shape.h, shape.w, shape.c].map(|d| d as i64);
    Tensor::from_slice(&all).view(size.as_slice()).permute([0, 3, 1, 2]).to_kind(Kind::Float).contiguous()
}

fn compare(float: &FloatModel, quantized: &QuantizedModel, data: &Dataset, kind: Kind, tally: &mut Tally) {
    let graph = quantized.graph();
    let parameters = Parameters::new(float, quantized.clone(), kind).expect("parameters");
    let rounded = parameters.rounded().expect("rounds");
    // What goes back out is what came in: the first step is the quantizer's network.
    assert_eq!(&parameters.quantized().expect("exports"), quantized);
    let image = lower(quantized, &LowerOptions::default()).expect("lowers");
    let host = HostImage::new(&image.bytes).expect("valid");
    let mut sample = Vec::new();
    let mut inputs = Vec::new();
    let mut traces = Vec::new();
    let mut reals = Vec::new();
    for index in 0..data.len() {
        data.read(index, &mut sample);
        traces.push(host.trace(&host.encode(&sample).expect("encodes")).expect("runs"));
        let quant = host.input_quant();
        inputs.push(sample.iter().map(|&x| quant.code(x)).collect::<Vec<u8>>());
        reals.extend_from_slice(&sample);
    }
    let codes_of = |id: TensorId| {
        let of_sample = |i: usize| match graph.producer(id) {
            Some(layer) => traces[i][layer].as_slice(),
            None => inputs[i].as_slice(),
        };
        codes_tensor(&(0..data.len()).map(of_sample).collect::<Vec<_>>(), graph.shape(id))
    };
    for (index, layer) in graph.layers.iter().enumerate() {
        let inputs: Vec<Tensor> = layer.inputs.iter().map(|&id| codes_of(id)).collect();
        let ours = rounded.layer_codes(index, &inputs).expect("runs").to_kind(Kind::Float);
        let distance = (ours - codes_of(layer.output)).abs();
        let worst = distance.max().double_value(&[]);
        assert!(worst <= 1.0, "{} differs by {worst} codes: {:?}", layer.name, layer.op);
        let off = distance.sum(Kind::Double).double_value(&[]) as usize;
        if off > 0 {
            println!("{off} of {} codes of {} differ: {:?}", distance.numel(), layer.name, layer.op);
        }
        tally.codes += distance.numel();
        tally.off_by_one += off;
    }
    let shape = data.shape();
    let size = [data.len(), shape.h, shape.w, shape.c].map(|d| d as i64);
    let x = Tensor::from_slice(&reals).view(size.as_slice()).permute([0, 3, 1, 2]).contiguous();
    let codes = rounded.forward(&x).expect("runs").codes.to_kind(Kind::Double);
    for (row, trace) in traces.iter().enumerate() {
        let ours: Vec<f64> = Vec::try_from(codes.get(row as i64)).expect("floats");
        let theirs: Vec<f64> = trace[graph.layers.len() - 1].iter().map(|&code| code.into()).collect();
        tally.samples += 1;
        tally.other_class += usize::from(first_largest(&ours) != first_largest(&theirs));
    }
    tally.networks += 1;
}

fn run(kind: Kind, seeds: std::ops::Range<u64>) -> Tally {
    tch::set_num_threads(1);
    let mut tally = Tally::default();
    for seed in seeds {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let float = model(&mut rng);
        let data = data(&mut rng, float.graph().shape(float.graph().input));
        let quantizer = Quantizer::new(float.clone(), &data, RangeMethod::Mse).expect("calibrates");
        let uniform = |w, a| Policy::uniform(float.graph(), w, a);
        let mut policies = vec![policy(&mut rng, float.graph()), policy(&mut rng, float.graph())];
        policies.push(uniform(Bits::ALL[seed as usize % 3], Bits::ALL[seed as usize / 3 % 3]));
        for policy in &policies {
            let quantized = quantizer.quantize(policy).expect("fits");
            eprintln!("seed {seed} {policy:?}");
            compare(&float, &quantized, &data, kind, &mut tally);
        }
    }
    tally
}

fn assert_agrees(tally: &Tally, most_off_by_one: f64) {
    let agree = 1.0 - tally.other_class as f64 / tally.samples as f64;
    let off = tally.off_by_one as f64 / tally.codes as f64;
    println!(
        "{} networks, {} samples: same class {:.4} %; {} codes, off by one {:.1e}",
        tally.networks,
        tally.samples,
        100.0 * agree,
        tally.codes,
        off
    );
    assert!(agree >= 0.999, "{tally:?}");
    assert!(off <= most_off_by_one, "{tally:?}");
}

#[test]
fn float32_agrees_with_the_integer_kernels() {
    assert_agrees(&run(Kind::Float, 0..NETWORKS), 2e-4);
}

/// In double precision only the multipliers' own rounding is left.
#[test]
fn float64_agrees_with_the_integer_kernels() {
    assert_agrees(&run(Kind::Double, 1000..1000 + NETWORKS / 3), 2e-4);
}
