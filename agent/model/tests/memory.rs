//! The RAM that the MLPerf Tiny networks take, held against what they take elsewhere.

mod common;

use bitrack_model::graph::Graph;
use bitrack_model::{Bits, FloatModel, Imported, Policy, Variants, footprint, import, ram_by_layer};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Random ones of each network.
const POLICIES: usize = 200;

struct Network {
    path: &'static str,
    /// The tensor arena in bytes that TensorFlow Lite for Microcontrollers takes at 8 bits.
    elsewhere: usize,
    /// Bytes that we take at 8/8.
    wide: usize,
    /// What we take at 4/4, at most, in percent of what we take at 8/8. Not half: inputs are 8 bits wide at any policy, and
    /// scratch does not shrink. The visual network at 4/4 takes its input and 144 bytes of scratch; the autoencoder's
    /// arena is its first layer's input, as 16-bit values.
    narrow_percent: usize,
}

const NETWORKS: [Network; 4] = [
    Network { path: "kws/ds_cnn_float.tflite", elsewhere: 23_940, wide: 9_012, narrow_percent: 54 },
    Network { path: "mlperf_tiny/ic_resnet8_float.tflite", elsewhere: 54_932, wide: 33_872, narrow_percent: 51 },
    Network {
        path: "mlperf_tiny/vww_mobilenet_v1_025_float.tflite",
        elsewhere: 100_676,
        wide: 46_848,
        narrow_percent: 60,
    },
    Network { path: "mlperf_tiny/ad_autoencoder_float.tflite", elsewhere: 2_404, wide: 1_408, narrow_percent: 96 },
];

fn model(network: &Network) -> Option<FloatModel> {
    let Imported::Float(model) = import(&common::data(network.path)?).expect("imports") else {
        panic!("is a float model")
    };
    Some(model)
}

fn arena(graph: &Graph, bits: Bits) -> usize {
    footprint(graph, &Policy::uniform(graph, bits, bits), 2, &Variants::default())
        .expect("the policy is for this graph")
        .ram
}

#[test]
fn arenas_are_smaller_than_elsewhere() {
    for network in NETWORKS {
        let Some(model) = model(&network) else { return };
        let (wide, narrow) = (arena(model.graph(), Bits::Eight), arena(model.graph(), Bits::Four));
        println!("{}: {wide} bytes at 8/8, {narrow} at 4/4", network.path);
        assert!(wide <= network.elsewhere, "{} takes {wide} bytes, {} elsewhere", network.path, network.elsewhere);
        assert_eq!(wide, network.wide, "{}", network.path);
        assert!(100 * narrow <= network.narrow_percent * wide, "{}: {narrow} bytes at 4/4", network.path);
    }
}

/// What the layers take is a bound that strategies prune by: never above the plan, and seldom below.
#[test]
fn plans_meet_the_bound_of_their_layers() {
    let mut runner = TestRunner::deterministic();
    let bits = prop::sample::select(Bits::ALL.to_vec());
    for network in NETWORKS {
        let Some(model) = model(&network) else { return };
        let (graph, uniform) = (model.graph(), Policy::uniform(model.graph(), Bits::Eight, Bits::Eight));
        let widths = |len: usize| prop::collection::vec(bits.clone(), len);
        let policies = (widths(uniform.weights.len()), widths(uniform.activations.len()));
        let (mut met, mut excess) = (0, 0);
        for _ in 0..POLICIES {
            let (weights, activations) = policies.new_tree(&mut runner).expect("no filter").current();
            let policy = Policy { weights, activations };
            let planned = footprint(graph, &policy, 2, &Variants::default()).expect("the policy is for this graph").ram;
            let least = *ram_by_layer(graph, &policy, &Variants::default())
                .expect("likewise")
                .iter()
                .max()
                .expect("has layers");
            assert!(least <= planned, "{policy:?}: {planned} planned, {least} at one layer");
            met += usize::from(planned == least);
            excess = excess.max(1000 * (planned - least) / least);
        }
        println!("{}: {met} of {POLICIES} plans meet the bound, excess {excess} / 1000", network.path);
        assert!(met * 10 >= POLICIES * 9, "{}: {met} of {POLICIES} plans meet the bound", network.path);
    }
}
